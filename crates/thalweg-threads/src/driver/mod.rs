//! One connection's driver: it alone owns the transport, the core, and their buffers; others send it messages.
//!
//! Keeps true: a turn reads, tells events, and writes, in that order, and never blocks; once the connection is over, the output is
//! flushed, our side is ended, and what the peer still sends is drained, all within the linger time; everybody who waits is told the end.

pub mod client;
pub mod pushes;
pub mod server;
mod table;
mod wire;

use std::io;
use std::mem;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use thalweg::{Config, ConfigError, ConnectionError, ErrorCode, Event, Headers, HeadersKind, Role, StreamKey};

use self::table::Table;
pub use self::wire::Readiness;
use self::wire::{Input, Wire};
use crate::counters::{Counters, Share};
use crate::error::{ConnectionEnd, Error};
use crate::exchange::{Ask, Limits, Outbox};
use crate::handle::{Handle, OnNotice, Wish};
use crate::mailbox::Mailbox;
use crate::opening::{Refusal, Refused};
use crate::record::{self, Connection};
use crate::trace;
use crate::transport::{Agreement, Transport};

/// A message to a driver.
pub enum ToDriver<M, R: Role> {
    /// From an application, for its stream.
    Stream(StreamKey, Ask),
    /// For the driver's role.
    Host(M),
    /// For the connection, once it speaks HTTP/2.
    Wish(Wish<R>),
    /// End gracefully.
    Shutdown,
    /// End now.
    Close(ErrorCode),
}

impl<M: Send, R: Role> Outbox for Mailbox<ToDriver<M, R>> {
    fn ask(&self, stream: StreamKey, ask: Ask) {
        self.post(ToDriver::Stream(stream, ask));
    }
}

/// What differs between a server's driver and a client's.
pub trait Host {
    /// The core's role.
    type Role: Role;
    /// What only this role is sent.
    type Message: Send;

    /// Looks at the first bytes of a transport on which nothing is agreed, and takes those that it needs. Returns what goes to the
    /// core before the rest, once that is clear; and puts what is to be said first on the wire.
    fn open(
        &mut self,
        connection: &mut Connection<Self::Role>,
        table: &mut Table,
        input: &mut &[u8],
    ) -> Result<Option<Opened>, Refused>;

    /// The bytes have ended before that was clear.
    fn open_eof(&mut self) -> Refused;

    /// A header block has come. Returns a code if its stream is not wanted.
    fn receive_headers(
        &mut self,
        table: &mut Table,
        stream: StreamKey,
        kind: HeadersKind,
        headers: &Headers<'_>,
        end: bool,
    ) -> Option<ErrorCode>;

    /// Does what a message of this role asks for.
    fn perform(&mut self, connection: &mut Connection<Self::Role>, table: &mut Table, message: Self::Message);

    /// Does what an application asks for its stream.
    fn perform_ask(
        &mut self,
        connection: &mut Connection<Self::Role>,
        table: &mut Table,
        stream: StreamKey,
        ask: Ask,
    );

    /// The peer has room for streams again.
    fn openable(&mut self, connection: &mut Connection<Self::Role>, table: &mut Table);

    /// The peer's settings have come.
    fn settings_received(&mut self, connection: &mut Connection<Self::Role>, table: &mut Table);

    /// A stream was reset.
    fn stream_reset(&mut self, stream: StreamKey);

    /// All events of a turn were told. Returns when it wants to be called again.
    fn after_events(&mut self, now: Instant) -> Option<Duration>;

    /// The connection is over.
    fn connection_ended(&mut self, end: &Arc<ConnectionEnd>);

    /// The transport was ended.
    fn connection_closed(&mut self, end: &Arc<ConnectionEnd>);

    /// A message came too late.
    fn refuse(&mut self, message: Self::Message, error: &Error);
}

/// How HTTP/2 begins on a transport.
#[derive(Debug)]
pub struct Opened {
    /// Bytes that were taken and belong to the core.
    pub seen: &'static [u8],
    /// What is said before its first frame.
    pub answer: &'static [u8],
}

/// What a driver is told about its connection.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// The core's configuration.
    pub config: Config,
    /// The peer's address, for the report. Default none.
    pub remote: Option<SocketAddr>,
    /// How long the end of a connection may take once it is over: to flush the last word, to end our side, and to drain what the peer still
    /// sends. Default 2 s.
    pub linger: Duration,
    /// What the first bytes of a server's cleartext connection may be and cost. Default: HTTP/2, an HTTP/1.1 Upgrade to it, or HTTP/1, which
    /// is told in its own words that it is not spoken. None: HTTP/2 alone (RFC 9113 §3.3), and the server speaks first.
    pub h2c: Option<thalweg_h2c::Config>,
    /// What the writer of a stream's content may be ahead of the core, bytes; above it, it waits. Default 128 KiB.
    pub unsent_bytes_max: usize,
    /// Where the connection counts what it does, with others or alone. Default nowhere; [`Server`](crate::Server) has its own.
    pub counters: Option<Arc<Counters>>,
    /// Who hears what the peer says about the connection. Default nobody.
    pub on_notice: Option<OnNotice>,
    /// Who gets the connection's recording. Default none: it is not recorded.
    #[cfg(feature = "record")]
    pub recordings: Option<thalweg_record::RecordingStore>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            config: Config::default(),
            remote: None,
            linger: Duration::from_secs(2),
            h2c: Some(thalweg_h2c::Config::default()),
            unsent_bytes_max: 128 << 10,
            counters: None,
            on_notice: None,
            #[cfg(feature = "record")]
            recordings: None,
        }
    }
}

impl Options {
    pub(crate) fn limits(&self) -> Limits {
        // Less than half of the window, which is when the core passes credit on.
        let report_bytes = (self.config.stream_window_bytes / 4) as usize;
        Limits { report_bytes, unsent_bytes_max: self.unsent_bytes_max }
    }
}

/// What a connection's driver does next.
#[derive(Debug)]
#[must_use]
pub enum Turn {
    /// It waits.
    Wait(Wait),
    /// The connection is over, and the transport may be dropped.
    Ended(Arc<ConnectionEnd>),
}

/// What a driver waits for: any of these, or its wake-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// Bytes to read.
    pub read: bool,
    /// Room to write.
    pub write: bool,
    /// Time to pass; zero: there is more to do at once.
    pub timeout: Option<Duration>,
}

/// Drives one connection over one transport.
///
/// It does nothing by itself: call [`turn`](Self::turn) whenever the transport is ready, the time has passed that the last turn named, or
/// the wake-up given at its making was called.
pub struct Driver<H: Host, T: Transport> {
    connection: Connection<H::Role>,
    host: H,
    table: Table,
    wire: Wire<T>,
    mailbox: Arc<Mailbox<ToDriver<H::Message, H::Role>>>,
    messages: Vec<ToDriver<H::Message, H::Role>>,
    origin: Instant,
    remote: Option<SocketAddr>,
    linger: Duration,
    phase: Phase,
    /// What was wished before it was clear that HTTP/2 is spoken.
    early: Vec<Wish<H::Role>>,
    on_notice: Option<OnNotice>,
    share: Option<Share>,
    /// The last turn stopped writing before it had to.
    has_more: bool,
    refusal: Option<Refusal>,
    end: Option<Arc<ConnectionEnd>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// It is not clear yet that HTTP/2 is spoken.
    Opening {
        until: Option<Instant>,
    },
    Open,
    /// The connection is over; its last words are being written.
    Flushing {
        until: Instant,
    },
    /// Our side has ended; what the peer sends is thrown away.
    Draining {
        until: Instant,
        bytes_left: usize,
    },
    Closed,
}

/// How far a turn brought the opening.
enum Progress {
    Undecided,
    /// HTTP/2 is spoken; what the core says of the bytes that came with that.
    Open(Result<(), ConnectionError>),
    Refused(Refused),
}

impl<H: Host, T: Transport> Driver<H, T> {
    fn start(
        transport: T,
        options: &Options,
        host: H,
        sniffs: bool,
        mailbox: Arc<Mailbox<ToDriver<H::Message, H::Role>>>,
    ) -> Result<Self, ConfigError> {
        let origin = Instant::now();
        let phase = match transport.agreement() {
            Agreement::None if !sniffs => Phase::Open,
            Agreement::Http2 => Phase::Open,
            _ => Phase::Opening { until: options.config.timeouts.preface.map(|limit| origin + limit) },
        };
        let connection = record::start(options)?;
        if let Some(counters) = &options.counters {
            counters.count_opened();
        }
        Ok(Self {
            connection,
            host,
            table: Table::new(transport.is_vectored()),
            wire: Wire::new(transport),
            mailbox,
            messages: Vec::new(),
            origin,
            remote: options.remote,
            linger: options.linger,
            phase,
            early: Vec::new(),
            on_notice: options.on_notice.clone(),
            share: options.counters.clone().map(Share::new),
            has_more: false,
            refusal: None,
            end: None,
        })
    }

    /// Does what can be done now without blocking: acts on messages, reads, hands events on, and writes.
    ///
    /// `ready` says what is known of the transport; [`Readiness::ALL`] if nothing is. Costs at most a handful of reads and of
    /// writes; the common turn is one of each.
    pub fn turn(&mut self, ready: Readiness) -> Turn {
        self.wire.note(ready);
        let now = Instant::now();
        let mut recall = None;
        let outcome = match self.phase {
            Phase::Opening { .. } | Phase::Open => self.advance(now).map(|again| recall = again),
            Phase::Flushing { .. } | Phase::Draining { .. } => self.wind_up(now),
            Phase::Closed => Ok(()),
        };
        if let Err(error) = outcome {
            self.end_transport(error, now);
        }
        self.rest(now, recall)
    }

    /// The transport is of no more use, for a reason that the caller's loop found. The last word is still tried, once.
    pub fn fail(&mut self, error: io::Error) {
        self.end_transport(error, Instant::now());
        self.phase = Phase::Closed;
    }

    /// The transport has failed. If that was in reading, the last word may still get through.
    fn end_transport(&mut self, error: io::Error, now: Instant) {
        if self.end.is_none() {
            // The bytes have ended, whatever the reason; whoever still waits is over.
            let _ = self.connection.handle_eof();
            self.connection.close(ErrorCode::NO_ERROR, &[]);
            if matches!(self.phase, Phase::Opening { .. }) {
                self.fall_silent();
                let is_handshake = self.wire.transport.agreement() == Agreement::Pending;
                self.refusal = Refusal::of_io(&error).or(is_handshake.then_some(Refusal::Handshake));
            }
        }
        self.end(Some(error), now);
        if self.wire.is_broken() || self.wind_up(now).is_err() {
            self.phase = Phase::Closed;
        }
    }

    /// The handle through which others end the connection gracefully, and say what belongs to no request.
    pub fn handle(&self) -> Handle<H::Role>
    where
        H::Role: 'static,
        H::Message: 'static,
    {
        Handle::new(Arc::clone(&self.mailbox))
    }

    /// Tells what the peer says about the connection from now on.
    pub(crate) fn set_on_notice(&mut self, on_notice: OnNotice) {
        self.on_notice = Some(on_notice);
    }

    /// The transport.
    pub fn transport(&self) -> &T {
        &self.wire.transport
    }

    /// The live streams.
    pub fn live_streams(&self) -> u32 {
        self.connection.live_streams()
    }

    /// Streams that were opened so far.
    pub(crate) fn streams_opened(&self) -> u64 {
        self.connection.report().counters.streams_opened
    }

    /// Whether HTTP/2 is spoken, and there are no streams.
    pub(crate) fn is_idle(&self) -> bool {
        self.phase == Phase::Open && self.connection.live_streams() == 0
    }

    /// The time as the core counts it.
    fn core_time(&self, now: Instant) -> thalweg::Instant {
        thalweg::Instant::from_origin(now.saturating_duration_since(self.origin))
    }

    /// One turn of a connection that lives.
    fn advance(&mut self, now: Instant) -> io::Result<Option<Duration>> {
        let time = self.core_time(now);
        let mut outcome = Ok(());
        if self.phase == Phase::Open {
            // The core learns the time before messages are forwarded to it.
            outcome = self.receive(0..0, time);
        }
        let wants_end = self.perform_messages();
        if let Phase::Opening { until } = self.phase {
            let is_late = until.is_some_and(|until| now >= until);
            outcome = match self.open(is_late, wants_end, time)? {
                Progress::Undecided => return self.wire.flush_transport().map(|()| None),
                Progress::Open(outcome) => {
                    mem::take(&mut self.early).into_iter().for_each(|wish| grant(&mut self.connection, wish));
                    outcome
                }
                Progress::Refused(refused) => return self.refuse(&refused, now).map(|()| None),
            };
        }
        if outcome.is_ok() {
            outcome = self.read(time)?;
        }
        if outcome.is_ok() {
            outcome = self.pass_time();
        }
        let recall = self.host.after_events(now);
        if let Err(error) = self.transmit() {
            self.hear_out(time);
            return Err(error);
        }
        // Timeouts that the calls of this turn have armed start now, after them.
        if outcome.is_ok() {
            outcome = self.pass_time();
        }
        if outcome.is_err() || self.connection.is_finished() && self.wire.is_flushed() {
            self.end(None, now);
            self.wind_up(now)?;
        }
        Ok(recall)
    }

    /// Finds out whether HTTP/2 is spoken.
    fn open(&mut self, is_late: bool, wants_end: bool, time: thalweg::Instant) -> io::Result<Progress> {
        if wants_end && self.connection.live_streams() == 0 {
            return Ok(Progress::Refused(Refused::silently(Refusal::ShuttingDown)));
        }
        for _ in 0..READS_PER_TURN {
            if !self.wire.is_readable() {
                break;
            }
            let input = self.wire.read()?;
            let progress = match (self.wire.transport.agreement(), input) {
                (Agreement::None, Input::Bytes(len)) => self.open_with(len, time),
                (Agreement::None | Agreement::Pending, Input::End) => Progress::Refused(self.host.open_eof()),
                (Agreement::Other, _) => Progress::Refused(Refused::NO_ALPN),
                (Agreement::Http2, Input::Blocked) => Progress::Open(Ok(())),
                (Agreement::Http2, Input::Bytes(len)) => Progress::Open(self.receive(0..len, time)),
                (Agreement::Http2, Input::End) => Progress::Open(self.connection.handle_eof()),
                (Agreement::None | Agreement::Pending, _) => Progress::Undecided,
            };
            if !matches!(progress, Progress::Undecided) {
                self.phase = Phase::Open;
                return Ok(progress);
            }
        }
        if is_late {
            return Ok(Progress::Refused(Refused::silently(Refusal::TimedOut)));
        }
        Ok(Progress::Undecided)
    }

    /// Looks at the first bytes.
    fn open_with(&mut self, len: usize, time: thalweg::Instant) -> Progress {
        let mut input = self.wire.input(0..len);
        let opened = self.host.open(&mut self.connection, &mut self.table, &mut input);
        let taken = len - input.len();
        match opened {
            Ok(None) => Progress::Undecided,
            Ok(Some(Opened { mut seen, answer })) => {
                self.wire.say(answer);
                let begun = self.connection.receive(&mut seen, time);
                debug_assert!(begun.is_ok_and(|event| event.is_none()), "half a preface is no event");
                Progress::Open(self.receive(taken..len, time))
            }
            Err(refused) => Progress::Refused(refused),
        }
    }

    /// The peer does not speak HTTP/2: it is told in its own words, and the transport ends.
    fn refuse(&mut self, refused: &Refused, now: Instant) -> io::Result<()> {
        self.connection.close(ErrorCode::NO_ERROR, &[]);
        self.fall_silent();
        self.wire.say(refused.answer);
        self.refusal = Some(refused.refusal);
        self.end(None, now);
        self.wind_up(now)
    }

    /// What the core has to say is not for this peer.
    fn fall_silent(&mut self) {
        let mut unsaid = Vec::new();
        while self.connection.poll_transmit(&mut unsaid) {
            unsaid.clear();
        }
    }

    /// Acts on messages. Returns whether one of them wants the connection's end.
    fn perform_messages(&mut self) -> bool {
        let mut wants_end = false;
        let Self { connection, host, table, mailbox, messages, early, phase, .. } = self;
        mailbox.take(messages);
        for message in messages.drain(..) {
            match message {
                ToDriver::Stream(stream, ask) => host.perform_ask(connection, table, stream, ask),
                ToDriver::Host(message) => host.perform(connection, table, message),
                // An Upgrade makes another connection of this one.
                ToDriver::Wish(wish) if matches!(phase, Phase::Opening { .. }) => early.push(wish),
                ToDriver::Wish(wish) => grant(connection, wish),
                ToDriver::Shutdown => {
                    wants_end = true;
                    connection.shutdown();
                }
                ToDriver::Close(code) => {
                    wants_end = true;
                    connection.close(code, &[]);
                }
            }
        }
        wants_end
    }

    /// Reads while there is something to read, up to a bound. The inner result is the connection's.
    fn read(&mut self, time: thalweg::Instant) -> io::Result<Result<(), ConnectionError>> {
        for _ in 0..READS_PER_TURN {
            if !self.wire.is_readable() || !self.connection.wants_read() {
                break;
            }
            let outcome = match self.wire.read()? {
                Input::Blocked => break,
                Input::Bytes(len) => self.receive(0..len, time),
                Input::End => self.connection.handle_eof(),
            };
            if outcome.is_err() {
                return Ok(outcome);
            }
        }
        // What messages have caused is told, too.
        Ok(self.receive(0..0, time))
    }

    /// Nothing can be written any more, but the peer may have said why before it left.
    fn hear_out(&mut self, time: thalweg::Instant) {
        for _ in 0..FINAL_READS_MAX {
            match self.wire.read() {
                Ok(Input::Bytes(len)) if self.receive(0..len, time).is_ok() => {}
                _ => return,
            }
        }
    }

    /// Passes the time if the core asks for it. The clock is read anew: the core counts from here
    /// what the calls before have armed.
    fn pass_time(&mut self) -> Result<(), ConnectionError> {
        let Some(at) = self.connection.poll_timeout() else { return Ok(()) };
        let time = self.core_time(Instant::now());
        if at > time {
            return Ok(());
        }
        self.connection.handle_timeout(time)?;
        self.receive(0..0, time)
    }

    /// Hands on the events of bytes that were read.
    fn receive(&mut self, read: Range<usize>, time: thalweg::Instant) -> Result<(), ConnectionError> {
        let Self { connection, host, table, wire, on_notice, .. } = self;
        let mut input = wire.input(read);
        while let Some(event) = connection.receive(&mut input, time)? {
            if let Some(on_notice) = on_notice
                && let Some(notice) = event.to_owned_event()
            {
                on_notice.tell(notice);
            }
            match event {
                Event::Data { stream, data, end } => table.receive_data(connection, stream, data, end),
                Event::Headers { stream, kind, headers, end } => {
                    if let Some(code) = host.receive_headers(table, stream, kind, &headers, end) {
                        connection.send_reset(stream, code);
                    }
                }
                Event::Reset { stream, code, by } => {
                    host.stream_reset(stream);
                    if let Some(entry) = table.remove(stream) {
                        entry.exchange.tell_end(Error::Reset { code, by });
                    }
                }
                Event::Priority { stream, priority } => {
                    if let Some(entry) = table.find(stream) {
                        entry.exchange.tell_priority(priority);
                    }
                }
                Event::StreamAvailable => host.openable(connection, table),
                Event::Settings { .. } => host.settings_received(connection, table),
                _ => {}
            }
        }
        Ok(())
    }

    /// Lets streams go on that can, and writes, until the transport is full or nothing is left, up to a bound.
    fn transmit(&mut self) -> io::Result<()> {
        self.has_more = false;
        for _ in 0..WRITES_PER_TURN {
            while let Some(stream) = self.connection.poll_writable() {
                self.table.go_on(&mut self.connection, stream);
            }
            if !self.wire.write(&mut self.connection, &mut self.table.pieces)? {
                return Ok(());
            }
        }
        self.has_more = true;
        Ok(())
    }

    /// The connection is over: everybody is told, once.
    fn end(&mut self, transport: Option<io::Error>, now: Instant) {
        if self.end.is_some() {
            return;
        }
        let report = self.connection.report();
        let refusal = self.refusal;
        let end = Arc::new(ConnectionEnd { remote: self.remote, report, transport, refusal });
        self.host.connection_ended(&end);
        // Streams that a GOAWAY of the peer excludes were reset before; of these nobody knows what the peer did.
        let unknown = Error::Connection { end: Arc::clone(&end), unprocessed: false };
        for entry in self.table.remove_all() {
            entry.exchange.tell_end(unknown.clone());
        }
        let late = Error::Connection { end: Arc::clone(&end), unprocessed: true };
        for message in self.messages.drain(..).chain(self.mailbox.close()) {
            if let ToDriver::Host(message) = message {
                self.host.refuse(message, &late);
            }
        }
        self.end = Some(end);
        self.phase = Phase::Flushing { until: now + self.linger };
    }

    /// The last word: flush, end our side, drain (RFC 9113 §6.8: GOAWAY is of no use if TCP throws it away).
    fn wind_up(&mut self, now: Instant) -> io::Result<()> {
        if let Phase::Flushing { until } = self.phase {
            while self.wire.write(&mut self.connection, &mut self.table.pieces)? {}
            if self.wire.is_flushed() && self.connection.is_finished() && self.wire.end_writing()? {
                self.phase = Phase::Draining { until, bytes_left: DRAIN_BYTES_MAX };
            } else if now >= until {
                self.phase = Phase::Closed;
            }
        }
        while let Phase::Draining { until, bytes_left } = self.phase {
            if self.wire.has_ended() || now >= until {
                self.phase = Phase::Closed;
            } else if !self.wire.is_readable() {
                break;
            } else if let Input::Bytes(len) = self.wire.read()? {
                self.phase = match bytes_left.checked_sub(len) {
                    Some(bytes_left) => Phase::Draining { until, bytes_left },
                    None => Phase::Closed,
                };
            }
        }
        Ok(())
    }

    /// Adds what has happened to the counters.
    fn count(&mut self) {
        if let Some(share) = &mut self.share {
            share.add(&self.connection.report());
        }
    }

    /// Decides what to wait for.
    fn rest(&mut self, now: Instant, recall: Option<Duration>) -> Turn {
        let writes = !self.wire.is_flushed();
        let until = match (self.phase, &self.end) {
            (Phase::Closed, Some(end)) => return Turn::Ended(Arc::clone(end)),
            (Phase::Flushing { until }, _) => {
                let timeout = Some(until.saturating_duration_since(now));
                return Turn::Wait(Wait { read: false, write: true, timeout });
            }
            (Phase::Draining { until, .. }, _) => {
                let timeout = Some(until.saturating_duration_since(now));
                return Turn::Wait(Wait { read: true, write: false, timeout });
            }
            (Phase::Opening { until }, _) => until.map(|until| self.core_time(until)),
            _ => self.connection.poll_timeout(),
        };
        let read = self.connection.wants_read() && !self.wire.has_ended();
        let more = read && self.wire.is_readable() || self.has_more;
        // Whoever wants to be called again looks by himself after a moment.
        if more || !self.mailbox.sleep(recall.is_some()) {
            return Turn::Wait(Wait { read, write: writes, timeout: Some(Duration::ZERO) });
        }
        self.count();
        let deadline = until.map(|at| at.saturating_duration_since(self.core_time(now)));
        let timeout = [deadline, recall].into_iter().flatten().min();
        Turn::Wait(Wait { read, write: writes, timeout })
    }
}

impl<H: Host, T: Transport> Drop for Driver<H, T> {
    fn drop(&mut self) {
        if self.end.is_none() {
            self.fail(io::Error::new(io::ErrorKind::Interrupted, "its driver was dropped"));
        }
        if let Some(end) = &self.end {
            trace::connection_ended(end);
            if let Some(share) = &mut self.share {
                share.add(&self.connection.report());
                share.counters().count_ended(end.refusal.is_some(), end.is_warning());
            }
            self.host.connection_closed(end);
        }
    }
}

/// Does what is wished of a connection. What the core refuses is left out.
fn grant<R: Role>(connection: &mut Connection<R>, wish: Wish<R>) {
    if let Err(error) = wish(connection) {
        trace::left_out(&error);
    }
}

/// How often a turn reads before it writes.
const READS_PER_TURN: u32 = 4;
/// How often a transport is read on which nothing can be written.
const FINAL_READS_MAX: u32 = 64;
/// How often a turn writes before it reads.
const WRITES_PER_TURN: u32 = 4;
/// What is drained from a peer that does not end its side, bytes.
const DRAIN_BYTES_MAX: usize = 16 << 20;
