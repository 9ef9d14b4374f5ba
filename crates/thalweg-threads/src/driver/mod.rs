//! The driver of one connection: sole owner of the transport, the core, and their buffers. Other
//! threads send it messages.
//!
//! Invariants: a turn reads, dispatches events, and writes, in that order, and never blocks; once
//! the connection has ended, the driver flushes the output, half-closes, and drains the input, all
//! within the linger time; every waiting caller gets the end of the connection.

pub(crate) mod options;
pub(crate) mod poller;
pub(crate) mod stream_table;
mod transport_io;

use std::fmt;
use std::io;
use std::mem;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use thalweg::{ConfigError, ConnectionError, ErrorCode, Event, Headers, HeadersKind, Role, StreamKey};

use self::stream_table::StreamTable;
pub use self::transport_io::Readiness;
use self::transport_io::{Input, TransportIo};
use crate::commands::{ConnectionCommand, DriverMessage};
use crate::counters::Share;
use crate::driver::options::Options;
use crate::error::{ConnectionEnd, Error};
use crate::exchange::StreamCommand;
use crate::handle::{Handle, OnNotice};
use crate::mailbox::Mailbox;
use crate::negotiate::{NegotiationError, Rejection};
use crate::record::Connection;
use crate::trace;
use crate::transport::{NegotiatedProtocol, Transport};

/// The differences between a server's driver and a client's.
pub trait Host {
    /// The core's role.
    type Role: Role;
    /// Messages that only this role receives.
    type Message: Send;

    /// Inspects the first bytes of a transport without negotiated protocol, and takes the ones that
    /// it needs. Once the protocol is known, returns the bytes that the core receives first, and
    /// the response that precedes its output.
    fn open(
        &mut self,
        connection: &mut Connection<Self::Role>,
        table: &mut StreamTable,
        input: &mut &[u8],
    ) -> Result<Option<Negotiated>, Rejection>;

    /// Handles the end of input before the protocol is known.
    fn open_eof(&mut self) -> Rejection;

    /// Handles a header block. Returns a code to reset its stream with.
    fn receive_headers(
        &mut self,
        table: &mut StreamTable,
        stream: StreamKey,
        kind: HeadersKind,
        headers: &Headers<'_>,
        end: bool,
    ) -> Option<ErrorCode>;

    /// Executes a message of this role.
    fn execute(
        &mut self,
        connection: &mut Connection<Self::Role>,
        table: &mut StreamTable,
        message: Self::Message,
    );

    /// Executes an application's command for its stream.
    fn execute_stream_command(
        &mut self,
        connection: &mut Connection<Self::Role>,
        table: &mut StreamTable,
        stream: StreamKey,
        command: StreamCommand,
    );

    /// Handles new capacity for streams.
    fn streams_available(&mut self, connection: &mut Connection<Self::Role>, table: &mut StreamTable);

    /// Handles the peer's SETTINGS.
    fn settings_received(&mut self, connection: &mut Connection<Self::Role>, table: &mut StreamTable);

    /// Handles the reset of a stream.
    fn stream_reset(&mut self, stream: StreamKey);

    /// Called after all events of a turn. Returns when to call it again.
    fn after_events(&mut self, now: Instant) -> Option<Duration>;

    /// Handles the end of the connection.
    fn connection_ended(&mut self, end: &Arc<ConnectionEnd>);

    /// Handles the close of the transport.
    fn connection_closed(&mut self, end: &Arc<ConnectionEnd>);

    /// Fails a message that arrived after the end of the connection.
    fn fail_message(&mut self, message: Self::Message, error: &Error);
}

/// The start of HTTP/2 on a transport.
#[derive(Debug)]
pub struct Negotiated {
    /// Bytes that were taken from the input and belong to the core.
    pub prefetched: &'static [u8],
    /// The response sent before the first frame.
    pub response: &'static [u8],
}

/// What the driver needs next.
#[derive(Debug)]
#[must_use]
pub enum Turn {
    /// The driver waits.
    Wait(Wait),
    /// The connection has ended, and the caller may drop the transport.
    Ended(Arc<ConnectionEnd>),
}

/// Conditions that a driver waits for: any of these, or its wake-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// Input to read.
    pub read: bool,
    /// Space to write.
    pub write: bool,
    /// Time to pass; zero if there is more work now.
    pub timeout: Option<Duration>,
}

/// Drives one connection over one transport.
///
/// It is passive: call [`turn`](Self::turn) whenever the transport is ready, the timeout of the
/// last turn has expired, or the driver has called `wake`.
pub struct Driver<H: Host, T: Transport> {
    connection: Connection<H::Role>,
    host: H,
    table: StreamTable,
    io: TransportIo<T>,
    mailbox: Arc<Mailbox<DriverMessage<H::Message, H::Role>>>,
    messages: Vec<DriverMessage<H::Message, H::Role>>,
    origin: Instant,
    remote: Option<SocketAddr>,
    linger: Duration,
    phase: Phase,
    /// Connection commands that arrived before the protocol was known.
    deferred_commands: Vec<ConnectionCommand<H::Role>>,
    on_notice: Option<OnNotice>,
    share: Option<Share>,
    /// Whether the last turn stopped writing at its bound.
    has_more: bool,
    negotiation_error: Option<NegotiationError>,
    end: Option<Arc<ConnectionEnd>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The protocol is not known yet.
    Negotiating {
        until: Option<Instant>,
    },
    Open,
    /// The connection has ended; its remaining output is being written.
    Flushing {
        until: Instant,
    },
    /// Our side is closed; the input is drained.
    Draining {
        until: Instant,
        bytes_left: usize,
    },
    Closed,
}

/// The state of the negotiation after a turn.
enum Negotiation {
    Undecided,
    /// HTTP/2, with the core's result for the bytes received so far.
    Open(Result<(), ConnectionError>),
    Rejected(Rejection),
}

impl<H: Host, T: Transport> Driver<H, T> {
    /// Creates a driver. `sniffs`: the first bytes of a transport without negotiated protocol
    /// determine the protocol.
    pub(crate) fn start(
        transport: T,
        options: &Options,
        host: H,
        sniffs: bool,
        mailbox: Arc<Mailbox<DriverMessage<H::Message, H::Role>>>,
    ) -> Result<Self, ConfigError> {
        let origin = Instant::now();
        let phase = match transport.negotiated_protocol() {
            NegotiatedProtocol::None if !sniffs => Phase::Open,
            NegotiatedProtocol::Http2 => Phase::Open,
            _ => Phase::Negotiating { until: options.config.timeouts.preface.map(|limit| origin + limit) },
        };
        let connection = options.setup().start()?;
        if let Some(counters) = &options.counters {
            counters.count_opened();
        }
        Ok(Self {
            connection,
            host,
            table: StreamTable::new(transport.is_vectored()),
            io: TransportIo::new(transport),
            mailbox,
            messages: Vec::new(),
            origin,
            remote: options.remote,
            linger: options.linger,
            phase,
            deferred_commands: Vec::new(),
            on_notice: options.on_notice.clone(),
            share: options.counters.clone().map(Share::new),
            has_more: false,
            negotiation_error: None,
            end: None,
        })
    }

    /// Does what is possible now without blocking: executes messages, reads, dispatches events, and
    /// writes.
    ///
    /// `ready` is the known readiness of the transport; [`Readiness::ALL`] if it is unknown. Makes
    /// a bounded number of reads and writes, typically one of each.
    pub fn turn(&mut self, ready: Readiness) -> Turn {
        self.io.update_readiness(ready);
        let now = Instant::now();
        let mut retry_after = None;
        let outcome = match self.phase {
            Phase::Negotiating { .. } | Phase::Open => self.advance(now).map(|again| retry_after = again),
            Phase::Flushing { .. } | Phase::Draining { .. } => self.finish_output(now),
            Phase::Closed => Ok(()),
        };
        if let Err(error) = outcome {
            self.end_transport(error, now);
        }
        self.next_turn(now, retry_after)
    }

    /// Ends the connection because of a transport error that the caller's loop found. Tries to
    /// write the remaining output once.
    pub fn fail(&mut self, error: io::Error) {
        self.end_transport(error, Instant::now());
        self.phase = Phase::Closed;
    }

    /// Handles a transport error. After a read error, GOAWAY may still reach the peer.
    fn end_transport(&mut self, error: io::Error, now: Instant) {
        if self.end.is_none() {
            // The input has ended, whatever the reason, so the core fails all open streams.
            let _ = self.connection.handle_eof();
            self.connection.close(ErrorCode::NO_ERROR, &[]);
            if matches!(self.phase, Phase::Negotiating { .. }) {
                self.discard_output();
                let is_handshake = self.io.transport.negotiated_protocol() == NegotiatedProtocol::Pending;
                self.negotiation_error =
                    NegotiationError::of_io(&error).or(is_handshake.then_some(NegotiationError::Handshake));
            }
        }
        self.end(Some(error), now);
        if self.io.is_broken() || self.finish_output(now).is_err() {
            self.phase = Phase::Closed;
        }
    }

    /// Returns the handle that shuts the connection down and sends connection-level frames.
    pub fn handle(&self) -> Handle<H::Role>
    where
        H::Role: 'static,
        H::Message: 'static,
    {
        Handle::new(Arc::clone(&self.mailbox))
    }

    /// Shuts down gracefully (RFC 9113 §6.8): open requests still get their responses.
    pub fn shutdown(&self) {
        self.mailbox.post(DriverMessage::Shutdown);
    }

    /// Returns the mailbox for messages from other threads.
    pub(crate) fn mailbox(&self) -> Arc<Mailbox<DriverMessage<H::Message, H::Role>>> {
        Arc::clone(&self.mailbox)
    }

    /// Sets the callback for connection-level events of the peer.
    pub(crate) fn set_on_notice(&mut self, on_notice: OnNotice) {
        self.on_notice = Some(on_notice);
    }

    /// Returns the transport.
    pub fn transport(&self) -> &T {
        &self.io.transport
    }

    /// Returns the number of open streams.
    pub fn live_streams(&self) -> u32 {
        self.connection.live_streams()
    }

    /// Returns the number of streams opened so far.
    pub(crate) fn streams_opened(&self) -> u64 {
        self.connection.report().counters.streams_opened
    }

    /// Returns whether the connection speaks HTTP/2 and has no streams.
    pub(crate) fn is_idle(&self) -> bool {
        self.phase == Phase::Open && self.connection.live_streams() == 0
    }

    /// Converts a time to the core's clock.
    fn core_time(&self, now: Instant) -> thalweg::Instant {
        thalweg::Instant::from_origin(now.saturating_duration_since(self.origin))
    }

    /// Takes a turn of an open connection.
    fn advance(&mut self, now: Instant) -> io::Result<Option<Duration>> {
        let time = self.core_time(now);
        let mut outcome = Ok(());
        if self.phase == Phase::Open {
            // Sets the core's time before messages cause calls to it.
            outcome = self.receive(0..0, time);
        }
        let wants_end = self.execute_messages();
        if let Phase::Negotiating { until } = self.phase {
            let is_late = until.is_some_and(|until| now >= until);
            outcome = match self.open(is_late, wants_end, time)? {
                Negotiation::Undecided => return self.io.flush_transport().map(|()| None),
                Negotiation::Open(outcome) => {
                    mem::take(&mut self.deferred_commands)
                        .into_iter()
                        .for_each(|command| apply(&mut self.connection, command));
                    outcome
                }
                Negotiation::Rejected(rejection) => return self.reject(&rejection, now).map(|()| None),
            };
        }
        if outcome.is_ok() {
            outcome = self.read(time)?;
        }
        if outcome.is_ok() {
            outcome = self.handle_timeouts();
        }
        let retry_after = self.host.after_events(now);
        if let Err(error) = self.transmit() {
            self.drain_input(time);
            return Err(error);
        }
        // Timeouts that the calls of this turn have armed start now, after them.
        if outcome.is_ok() {
            outcome = self.handle_timeouts();
        }
        if outcome.is_err() || self.connection.is_finished() && self.io.is_flushed() {
            self.end(None, now);
            self.finish_output(now)?;
        }
        Ok(retry_after)
    }

    /// Negotiates the protocol.
    fn open(&mut self, is_late: bool, wants_end: bool, time: thalweg::Instant) -> io::Result<Negotiation> {
        if wants_end && self.connection.live_streams() == 0 {
            return Ok(Negotiation::Rejected(Rejection::without_response(NegotiationError::ShuttingDown)));
        }
        for _ in 0..READS_PER_TURN {
            if !self.io.is_readable() {
                break;
            }
            let input = self.io.read()?;
            let negotiation = match (self.io.transport.negotiated_protocol(), input) {
                (NegotiatedProtocol::None, Input::Bytes(len)) => self.negotiate_with(len, time),
                (NegotiatedProtocol::None | NegotiatedProtocol::Pending, Input::End) => {
                    Negotiation::Rejected(self.host.open_eof())
                }
                (NegotiatedProtocol::Other, _) => Negotiation::Rejected(Rejection::NO_ALPN),
                (NegotiatedProtocol::Http2, Input::Blocked) => Negotiation::Open(Ok(())),
                (NegotiatedProtocol::Http2, Input::Bytes(len)) => {
                    Negotiation::Open(self.receive(0..len, time))
                }
                (NegotiatedProtocol::Http2, Input::End) => Negotiation::Open(self.connection.handle_eof()),
                (NegotiatedProtocol::None | NegotiatedProtocol::Pending, _) => Negotiation::Undecided,
            };
            if !matches!(negotiation, Negotiation::Undecided) {
                self.phase = Phase::Open;
                return Ok(negotiation);
            }
        }
        if is_late {
            return Ok(Negotiation::Rejected(Rejection::without_response(NegotiationError::TimedOut)));
        }
        Ok(Negotiation::Undecided)
    }

    /// Inspects the first bytes.
    fn negotiate_with(&mut self, len: usize, time: thalweg::Instant) -> Negotiation {
        let mut input = self.io.input(0..len);
        let opened = self.host.open(&mut self.connection, &mut self.table, &mut input);
        let taken = len - input.len();
        match opened {
            Ok(None) => Negotiation::Undecided,
            Ok(Some(Negotiated { mut prefetched, response })) => {
                self.io.queue_output(response);
                let received = self.connection.receive(&mut prefetched, time);
                debug_assert!(received.is_ok_and(|event| event.is_none()), "half a preface causes no event");
                Negotiation::Open(self.receive(taken..len, time))
            }
            Err(rejection) => Negotiation::Rejected(rejection),
        }
    }

    /// Rejects a peer that does not speak HTTP/2: sends the HTTP/1.1 response and ends the
    /// transport.
    fn reject(&mut self, rejection: &Rejection, now: Instant) -> io::Result<()> {
        self.connection.close(ErrorCode::NO_ERROR, &[]);
        self.discard_output();
        self.io.queue_output(rejection.response);
        self.negotiation_error = Some(rejection.error);
        self.end(None, now);
        self.finish_output(now)
    }

    /// Discards the core's output, which a peer without HTTP/2 cannot read.
    fn discard_output(&mut self) {
        let mut discarded = Vec::new();
        while self.connection.poll_transmit(&mut discarded) {
            discarded.clear();
        }
    }

    /// Executes messages. Returns whether one of them requests the connection's end.
    fn execute_messages(&mut self) -> bool {
        let mut wants_end = false;
        let Self { connection, host, table, mailbox, messages, deferred_commands, phase, .. } = self;
        mailbox.take(messages);
        for message in messages.drain(..) {
            match message {
                DriverMessage::Stream(stream, command) => {
                    host.execute_stream_command(connection, table, stream, command);
                }
                DriverMessage::Host(message) => host.execute(connection, table, message),
                // An Upgrade replaces the core's connection, so commands wait for it.
                DriverMessage::Connection(command) if matches!(phase, Phase::Negotiating { .. }) => {
                    deferred_commands.push(command);
                }
                DriverMessage::Connection(command) => apply(connection, command),
                DriverMessage::Shutdown => {
                    wants_end = true;
                    connection.shutdown();
                }
                DriverMessage::Close(code) => {
                    wants_end = true;
                    connection.close(code, &[]);
                }
            }
        }
        wants_end
    }

    /// Reads while there is input, up to a bound. The inner result is the connection's.
    fn read(&mut self, time: thalweg::Instant) -> io::Result<Result<(), ConnectionError>> {
        for _ in 0..READS_PER_TURN {
            if !self.io.is_readable() || !self.connection.wants_read() {
                break;
            }
            let outcome = match self.io.read()? {
                Input::Blocked => break,
                Input::Bytes(len) => self.receive(0..len, time),
                Input::End => self.connection.handle_eof(),
            };
            if outcome.is_err() {
                return Ok(outcome);
            }
        }
        // Messages cause events, too.
        Ok(self.receive(0..0, time))
    }

    /// Reads the remaining input after a write error: the peer may have sent GOAWAY with the
    /// reason.
    fn drain_input(&mut self, time: thalweg::Instant) {
        for _ in 0..FINAL_READS_MAX {
            match self.io.read() {
                Ok(Input::Bytes(len)) if self.receive(0..len, time).is_ok() => {}
                _ => return,
            }
        }
    }

    /// Passes the time if the core needs it. The clock is read again, so that timeouts which the
    /// preceding calls have armed start now.
    fn handle_timeouts(&mut self) -> Result<(), ConnectionError> {
        let Some(at) = self.connection.poll_timeout() else { return Ok(()) };
        let time = self.core_time(Instant::now());
        if at > time {
            return Ok(());
        }
        self.connection.handle_timeout(time)?;
        self.receive(0..0, time)
    }

    /// Passes received bytes to the core and dispatches its events.
    fn receive(&mut self, read: Range<usize>, time: thalweg::Instant) -> Result<(), ConnectionError> {
        let Self { connection, host, table, io, on_notice, .. } = self;
        let mut input = io.input(read);
        while let Some(event) = connection.receive(&mut input, time)? {
            if let Some(on_notice) = on_notice
                && let Some(notice) = event.to_owned_event()
            {
                on_notice.notify(notice);
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
                        entry.exchange.deliver_end(Error::Reset { code, by });
                    }
                }
                Event::Priority { stream, priority } => {
                    if let Some(entry) = table.find(stream) {
                        entry.exchange.deliver_priority(priority);
                    }
                }
                Event::StreamAvailable => host.streams_available(connection, table),
                Event::Settings { .. } => host.settings_received(connection, table),
                _ => {}
            }
        }
        Ok(())
    }

    /// Sends queued content and writes, until the transport is full or no output is left, up to a
    /// bound.
    fn transmit(&mut self) -> io::Result<()> {
        self.has_more = false;
        for _ in 0..WRITES_PER_TURN {
            while let Some(stream) = self.connection.poll_writable() {
                self.table.resume(&mut self.connection, stream);
            }
            if !self.io.write(&mut self.connection, &mut self.table.chunks)? {
                return Ok(());
            }
        }
        self.has_more = true;
        Ok(())
    }

    /// Ends the connection: fails all streams, and reports the end once.
    fn end(&mut self, transport: Option<io::Error>, now: Instant) {
        if self.end.is_some() {
            return;
        }
        let report = self.connection.report();
        let negotiation_error = self.negotiation_error;
        let end = Arc::new(ConnectionEnd { remote: self.remote, report, transport, negotiation_error });
        self.host.connection_ended(&end);
        // Streams that the peer's GOAWAY excludes were reset before; the peer may have processed
        // the remaining ones.
        let unknown = Error::Connection { end: Arc::clone(&end), unprocessed: false };
        for entry in self.table.remove_all() {
            entry.exchange.deliver_end(unknown.clone());
        }
        let late = Error::Connection { end: Arc::clone(&end), unprocessed: true };
        for message in self.messages.drain(..).chain(self.mailbox.close()) {
            if let DriverMessage::Host(message) = message {
                self.host.fail_message(message, &late);
            }
        }
        self.end = Some(end);
        self.phase = Phase::Flushing { until: now + self.linger };
    }

    /// Flushes, half-closes, and drains (RFC 9113 §6.8: GOAWAY is useless if a TCP reset discards
    /// it).
    fn finish_output(&mut self, now: Instant) -> io::Result<()> {
        if let Phase::Flushing { until } = self.phase {
            while self.io.write(&mut self.connection, &mut self.table.chunks)? {}
            if self.io.is_flushed() && self.connection.is_finished() && self.io.shutdown_write()? {
                self.phase = Phase::Draining { until, bytes_left: DRAIN_BYTES_MAX };
            } else if now >= until {
                self.phase = Phase::Closed;
            }
        }
        while let Phase::Draining { until, bytes_left } = self.phase {
            if self.io.has_ended() || now >= until {
                self.phase = Phase::Closed;
            } else if !self.io.is_readable() {
                break;
            } else if let Input::Bytes(len) = self.io.read()? {
                self.phase = match bytes_left.checked_sub(len) {
                    Some(bytes_left) => Phase::Draining { until, bytes_left },
                    None => Phase::Closed,
                };
            }
        }
        Ok(())
    }

    /// Adds to the counters.
    fn count(&mut self) {
        if let Some(share) = &mut self.share {
            share.add(&self.connection.report());
        }
    }

    /// Decides what to wait for.
    fn next_turn(&mut self, now: Instant, retry_after: Option<Duration>) -> Turn {
        let writes = !self.io.is_flushed();
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
            (Phase::Negotiating { until }, _) => until.map(|until| self.core_time(until)),
            _ => self.connection.poll_timeout(),
        };
        let read = self.connection.wants_read() && !self.io.has_ended();
        let more = read && self.io.is_readable() || self.has_more;
        // With `retry_after` the driver checks its mailbox again after a moment.
        if more || !self.mailbox.sleep(retry_after.is_some()) {
            return Turn::Wait(Wait { read, write: writes, timeout: Some(Duration::ZERO) });
        }
        self.count();
        let deadline = until.map(|at| at.saturating_duration_since(self.core_time(now)));
        let timeout = [deadline, retry_after].into_iter().flatten().min();
        Turn::Wait(Wait { read, write: writes, timeout })
    }
}

impl<H: Host, T: Transport> Drop for Driver<H, T> {
    fn drop(&mut self) {
        if self.end.is_none() {
            self.fail(io::Error::new(io::ErrorKind::Interrupted, "the driver was dropped"));
        }
        if let Some(end) = &self.end {
            trace::connection_ended(end);
            if let Some(share) = &mut self.share {
                share.add(&self.connection.report());
                share.counters().count_ended(end.negotiation_error.is_some(), end.is_warning());
            }
            self.host.connection_closed(end);
        }
    }
}

impl<H: Host, T: Transport> fmt::Debug for Driver<H, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver")
            .field("phase", &self.phase)
            .field("live_streams", &self.live_streams())
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}

/// Executes a command. One that the core refuses is logged and dropped.
fn apply<R: Role>(connection: &mut Connection<R>, command: ConnectionCommand<R>) {
    if let Err(error) = command(connection) {
        trace::command_failed(&error);
    }
}

/// Reads in one turn before it writes.
const READS_PER_TURN: u32 = 4;
/// Reads from a transport after a write error.
const FINAL_READS_MAX: u32 = 64;
/// Writes in one turn before it reads.
const WRITES_PER_TURN: u32 = 4;
/// Limit of drained input from a peer that does not close its side, bytes.
const DRAIN_BYTES_MAX: usize = 16 << 20;
