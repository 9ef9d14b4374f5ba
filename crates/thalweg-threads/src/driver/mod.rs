//! The driver of one connection: sole owner of the transport, the core, and their buffers. Other
//! threads send it messages.
//!
//! Invariants: a turn reads, dispatches events, and writes, in that order, and never blocks; once
//! the connection has ended, the driver flushes the output, half-closes, and drains the input, all
//! within the linger time; every waiting caller gets the end of the connection.

mod inbox;
mod negotiate;
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

use thalweg::{
    ConfigError, ConnectionError, ErrorCode, Event, Headers, HeadersKind, OpenError, Status, StreamKey,
};
use thalweg_http::Role;
use thalweg_http::exchange::Input as Life;
use thalweg_http::transport::{Close, Exchanges, READ_TIME_MAX, Read, Write};
use thalweg_io::{
    Clock, CloseEvent, CloseLimits, CloseStep, ConnectionCounters, ConnectionEnd, Handle, LingeringClose,
    NegotiationError, Rejection, SplicingConnection,
};

use self::inbox::{Inbox, apply};
pub(crate) use self::negotiate::Negotiated;
use self::negotiate::Progress;
use self::options::DriverOptions;
use self::stream_table::StreamTable;
pub use self::transport_io::Readiness;
use self::transport_io::{Input, TransportIo};
use crate::body::exchange::StreamCommand;
use crate::commands::DriverMessage;
use crate::error::Error;
use crate::handle::{OnNotice, notify};
use crate::mailbox::Mailbox;
use crate::trace;
use crate::transport::{NegotiatedProtocol, Transport};

/// The differences between a server's driver and a client's.
pub trait Host {
    /// The core's role.
    type Role: thalweg::Role + 'static;
    /// Messages that only this role receives.
    type Message: Send + 'static;

    /// Inspects the first bytes of a transport without negotiated protocol, and takes the ones that
    /// it needs. Once the protocol is known, returns the bytes that the core receives first, and
    /// the response that precedes its output.
    fn open(
        &mut self,
        connection: &mut SplicingConnection<Self::Role>,
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
        connection: &mut SplicingConnection<Self::Role>,
        table: &mut StreamTable,
        message: Self::Message,
    );

    /// Executes an application's command for its stream.
    fn execute_stream_command(
        &mut self,
        connection: &mut SplicingConnection<Self::Role>,
        table: &mut StreamTable,
        stream: StreamKey,
        command: StreamCommand,
    );

    /// Handles new capacity for streams.
    fn streams_available(&mut self, connection: &mut SplicingConnection<Self::Role>, table: &mut StreamTable);

    /// Handles the peer's SETTINGS.
    fn settings_received(&mut self, connection: &mut SplicingConnection<Self::Role>, table: &mut StreamTable);

    /// Handles the reset of a stream.
    fn stream_reset(&mut self, stream: StreamKey);

    /// Handles that nothing can be sent any more: fails what was not sent.
    fn output_failed(&mut self, error: &Error);

    /// Handles the end of a turn, after all its events. Returns after what time to call it again.
    fn after_events(&mut self, now: Instant) -> Option<Duration>;

    /// Handles the end of the connection.
    fn connection_ended(&mut self, end: &Arc<ConnectionEnd>);

    /// Handles the close of the transport.
    fn connection_closed(&mut self, end: &Arc<ConnectionEnd>);

    /// Fails a message that arrived after the end of the connection.
    fn fail_message(&mut self, message: Self::Message, error: &Error);
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
    connection: SplicingConnection<H::Role>,
    host: H,
    table: StreamTable,
    io: TransportIo<T>,
    inbox: Inbox<H::Message, H::Role>,
    clock: Clock,
    phase: Phase,
    close_limits: CloseLimits,
    on_notice: Option<OnNotice<H::Role>>,
    handle: Handle<H::Role>,
    counters: Option<ConnectionCounters>,
    /// Whether the last turn stopped writing at its bound.
    has_more: bool,
    remote: Option<SocketAddr>,
    /// How the connection ended, once it has.
    end: Option<Arc<ConnectionEnd>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The protocol is not known yet.
    Negotiating {
        until: Option<thalweg::Instant>,
    },
    Open,
    /// Writing has failed, and the input is read to its end.
    Receiving {
        until: thalweg::Instant,
    },
    /// The connection has ended; `end` is set.
    Closing(LingeringClose),
}

impl<H: Host, T: Transport> Driver<H, T> {
    /// Creates a driver. `sniffs`: the first bytes of a transport without negotiated protocol
    /// determine the protocol.
    pub(crate) fn start(
        transport: T,
        options: &DriverOptions<H::Role>,
        host: H,
        sniffs: bool,
        mailbox: Arc<Mailbox<DriverMessage<H::Message, H::Role>>>,
    ) -> Result<Self, ConfigError> {
        let clock = Clock::new(Instant::now());
        let phase = match transport.negotiated_protocol() {
            NegotiatedProtocol::None if !sniffs => Phase::Open,
            NegotiatedProtocol::Http2 => Phase::Open,
            _ => {
                let limit = options.setup.config.timeouts.preface;
                Phase::Negotiating { until: limit.map(thalweg::Instant::from_origin) }
            }
        };
        let splice_bytes_min = transport.is_vectored().then_some(SPLICE_BYTES_MIN);
        let connection = SplicingConnection::new(options.setup.start()?, splice_bytes_min);
        let counters = options.counters.clone().map(ConnectionCounters::new);
        if let Some(counters) = &counters {
            counters.connection_opened();
        }
        let inbox = Inbox::new(mailbox);
        Ok(Self {
            connection,
            host,
            table: StreamTable::new(options.timeouts),
            remote: transport.remote_addr(),
            io: TransportIo::new(transport),
            handle: inbox.handle(),
            inbox,
            clock,
            phase,
            close_limits: options.close_limits,
            on_notice: options.on_notice.clone(),
            counters,
            has_more: false,
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
            Phase::Receiving { until } => self.receive_rest(now, until),
            Phase::Closing(_) => self.finish_output(now),
        };
        if let Err(error) = outcome {
            self.end_transport(error, now);
        }
        self.next_turn(now, retry_after)
    }

    /// Ends the connection because of a transport error that the caller's loop found. Tries to
    /// write the remaining output once.
    pub fn fail(&mut self, error: io::Error) {
        let now = Instant::now();
        self.end_transport(error, now);
        self.abort_close(now);
    }

    /// Handles a transport error. After a read error, GOAWAY may still reach the peer.
    fn end_transport(&mut self, error: io::Error, now: Instant) {
        let mut negotiation_error = None;
        if self.end.is_none() {
            // The input has ended, whatever the reason, so the core fails all open streams.
            let _ = self.connection.handle_eof();
            self.connection.close(ErrorCode::NO_ERROR, &[]);
            if self.is_negotiating() {
                self.io.discard_output(&mut self.connection);
                let is_handshake = self.io.transport.negotiated_protocol() == NegotiatedProtocol::Pending;
                let other =
                    if is_handshake { NegotiationError::Handshake } else { NegotiationError::Transport };
                negotiation_error = Some(NegotiationError::of_io(&error).unwrap_or(other));
            }
        }
        self.end(Some(error), negotiation_error, now);
        let duties = self.io.duties(Role::of::<H::Role>());
        let has_failed = duties.write == Write::Discard || self.finish_output(now).is_err();
        if has_failed || duties.close == Close::AfterWrite {
            self.abort_close(now);
        }
    }

    /// Returns the handle that shuts the connection down and sends connection-level frames.
    pub fn handle(&self) -> Handle<H::Role> {
        self.handle.clone()
    }

    /// Shuts down gracefully (RFC 9113 §6.8): open requests still get their responses.
    pub fn shutdown(&self) {
        self.inbox.mailbox.post(DriverMessage::Shutdown);
    }

    /// Returns the mailbox for messages from other threads.
    pub(crate) fn mailbox(&self) -> Arc<Mailbox<DriverMessage<H::Message, H::Role>>> {
        Arc::clone(&self.inbox.mailbox)
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

    /// Returns whether the protocol is not known yet.
    pub(crate) fn is_negotiating(&self) -> bool {
        matches!(self.phase, Phase::Negotiating { .. })
    }

    /// Returns whether the connection speaks HTTP/2 and has no streams.
    pub(crate) fn is_idle(&self) -> bool {
        self.phase == Phase::Open && self.connection.live_streams() == 0
    }

    /// Takes a turn of an open connection.
    fn advance(&mut self, now: Instant) -> io::Result<Option<Duration>> {
        let time = self.clock.to_core(now);
        self.table.set_time(time);
        let mut outcome = Ok(());
        if self.phase == Phase::Open {
            // Sets the core's time before messages cause calls to it.
            outcome = self.receive(0..0, time);
        }
        let ended_by = self.execute_messages();
        if let Phase::Negotiating { until } = self.phase {
            let is_late = until.is_some_and(|until| time >= until);
            if is_late {
                // Input that has arrived comes first, whatever is known of the transport.
                self.io.update_readiness(Readiness { read: true, ..Readiness::NONE });
            }
            outcome = match self.negotiate(is_late, ended_by, time)? {
                Progress::Undecided => return self.io.flush_transport().map(|()| None),
                Progress::Open(outcome) => {
                    self.inbox.apply_deferred(&mut self.connection);
                    outcome
                }
                Progress::Rejected(rejection) => return self.reject(&rejection, now).map(|()| None),
            };
        }
        if outcome.is_ok() {
            outcome = self.read(time, READS_PER_TURN, false)?;
        }
        if outcome.is_ok() {
            outcome = self.handle_timeouts()?;
        }
        if self.io.is_peer_gone() {
            return Err(self.io.take_write_error());
        }
        self.expire_exchanges();
        let retry_after = self.host.after_events(now);
        if let Err(error) = self.transmit() {
            return self.fail_output(error, now).map(|()| retry_after);
        }
        // Timeouts that the calls of this turn have armed start now, after them.
        if outcome.is_ok() {
            outcome = self.handle_timeouts()?;
        }
        if outcome.is_err() || self.connection.is_finished() && self.io.is_flushed() {
            self.end(None, None, now);
            self.finish_output(now)?;
        }
        Ok(retry_after)
    }

    /// Executes messages. Returns the reason to end a negotiation, if one of them is a reason.
    fn execute_messages(&mut self) -> Option<NegotiationError> {
        let mut ended_by = None;
        let is_negotiating = self.is_negotiating();
        let Self { connection, host, table, inbox, close_limits, .. } = self;
        inbox.mailbox.take(&mut inbox.taken);
        let mut taken = mem::take(&mut inbox.taken);
        for message in taken.drain(..) {
            match message {
                DriverMessage::Stream(stream, command) => {
                    host.execute_stream_command(connection, table, stream, command);
                }
                DriverMessage::Host(message) => host.execute(connection, table, message),
                // An Upgrade replaces the core's connection, so commands wait for it.
                DriverMessage::Connection(command) if is_negotiating => inbox.defer(command),
                DriverMessage::Evict(state, _) if is_negotiating => {
                    state.set_closed();
                    *close_limits = state.close_limits(*close_limits);
                    ended_by = Some(NegotiationError::Evicted);
                }
                DriverMessage::Evict(state, command) => {
                    apply(connection, command);
                    *close_limits = state.close_limits(*close_limits);
                }
                DriverMessage::Connection(command) => apply(connection, command),
                DriverMessage::Shutdown => {
                    ended_by = Some(NegotiationError::ShuttingDown);
                    connection.shutdown();
                }
                DriverMessage::Close(code) => {
                    ended_by = Some(NegotiationError::ShuttingDown);
                    connection.close(code, &[]);
                }
            }
        }
        inbox.taken = taken;
        ended_by
    }

    /// Reads while there is input, up to a bound. `tries`: reads once although the transport is not
    /// known to be readable. The inner result is the connection's.
    fn read(
        &mut self,
        time: thalweg::Instant,
        reads_max: u32,
        tries: bool,
    ) -> io::Result<Result<(), ConnectionError>> {
        if tries {
            self.io.update_readiness(Readiness { read: true, ..Readiness::NONE });
        }
        for _ in 0..reads_max {
            if !self.io.is_readable() || !self.connection.wants_read() {
                break;
            }
            let outcome = match self.io.read()? {
                Input::Blocked => break,
                Input::Bytes(len) => self.receive(0..len, time),
                Input::End => self.end_input(),
            };
            if outcome.is_err() {
                return Ok(outcome);
            }
        }
        // Messages cause events, too.
        Ok(self.receive(0..0, time))
    }

    /// Handles the end of input: the peer may have half-closed the transport.
    fn end_input(&mut self) -> Result<(), ConnectionError> {
        self.connection.handle_eof()?;
        self.table.end_input(&mut self.connection);
        Ok(())
    }

    /// Ends the exchanges whose time is over.
    fn expire_exchanges(&mut self) {
        while let Some((stream, has_ended)) = self.table.handle_timeout(&mut self.connection) {
            if has_ended {
                self.host.stream_reset(stream);
            }
        }
    }

    /// Handles a failed write: what the peer has sent before it left is received.
    fn fail_output(&mut self, error: io::Error, now: Instant) -> io::Result<()> {
        let duties = self.io.duties(Role::of::<H::Role>());
        if duties.read != Read::ToEnd {
            return Err(error);
        }
        // RFC 9113 §8.7: what was not sent was not processed.
        self.host.output_failed(&NOT_SENT);
        if duties.exchanges == Exchanges::ReceiveOnly {
            self.table.withhold_all(&mut self.connection);
        } else {
            let mut end = ConnectionEnd::new(self.connection.report());
            (end.remote, end.transport) = (self.remote, Some(error.kind().into()));
            let lost = Error::Connection { end: Arc::new(end), processed: true };
            for entry in self.table.remove_all() {
                entry.exchange.deliver_end(lost.clone());
            }
        }
        self.io.set_write_error(error);
        let until = self.clock.to_core(now) + READ_TIME_MAX;
        self.phase = Phase::Receiving { until };
        self.receive_rest(now, until)
    }

    /// Reads after a failed write. Returns its error at the end of input, or when the time is over.
    fn receive_rest(&mut self, now: Instant, until: thalweg::Instant) -> io::Result<()> {
        let time = self.clock.to_core(now);
        self.table.set_time(time);
        self.io.discard_output(&mut self.connection);
        let Self { connection, host, table, inbox, .. } = self;
        inbox.mailbox.take(&mut inbox.taken);
        let mut taken = mem::take(&mut inbox.taken);
        for message in taken.drain(..) {
            match message {
                DriverMessage::Stream(stream, command) => {
                    host.execute_stream_command(connection, table, stream, command);
                }
                DriverMessage::Host(message) => host.fail_message(message, &NOT_SENT),
                // The connection is ending already.
                _ => {}
            }
        }
        inbox.taken = taken;
        let is_received = matches!(self.read(time, READS_PER_TURN, false), Ok(Ok(())));
        if !is_received || self.io.has_ended() || time >= until {
            return Err(self.io.take_write_error());
        }
        Ok(())
    }

    /// Passes the time if the core needs it. The clock is read again, so that timeouts which the
    /// preceding calls have armed start now. If a timeout has expired, passes the input first that
    /// had arrived at that time: the timeout may have ended with it. Whether the transport is
    /// readable is not known then, for example after the process was suspended, so this reads in
    /// any case. The inner result is the connection's.
    fn handle_timeouts(&mut self) -> io::Result<Result<(), ConnectionError>> {
        let Some(at) = self.connection.poll_timeout() else { return Ok(Ok(())) };
        let time = self.clock.to_core(Instant::now());
        if at > time {
            return Ok(Ok(()));
        }
        // Starts the timeouts that calls have armed, and fires none.
        let mut outcome = self.receive(0..0, time);
        // The core returns the time itself to ask for it.
        if outcome.is_ok() && self.connection.poll_timeout().is_some_and(|at| at < time) {
            outcome = self.read(time, DRAIN_READS_MAX, true)?;
        }
        if outcome.is_ok() {
            outcome = self.connection.handle_timeout(time);
        }
        if outcome.is_ok() {
            outcome = self.receive(0..0, time);
        }
        Ok(outcome)
    }

    /// Passes received bytes to the core and dispatches its events.
    fn receive(&mut self, read: Range<usize>, time: thalweg::Instant) -> Result<(), ConnectionError> {
        let Self { connection, host, table, io, on_notice, handle, .. } = self;
        let mut input = io.input(read);
        while let Some(event) = connection.receive(&mut input, time)? {
            if let Some(on_notice) = on_notice
                && let Some(notice) = event.to_owned_event()
            {
                notify(on_notice, handle, notice);
            }
            match event {
                Event::Data { stream, data, end } => table.receive_data(connection, stream, data, end),
                Event::Headers { stream, kind, headers, end } => {
                    let status = headers.status().and_then(Status::new);
                    // The headers borrow the connection: what follows from them comes after.
                    match host.receive_headers(table, stream, kind, &headers, end) {
                        Some(code) => connection.send_reset(stream, code),
                        None => table.receive_headers(connection, stream, kind, status, end),
                    }
                }
                Event::Reset { stream, code, by } => {
                    host.stream_reset(stream);
                    let reason = Error::Reset { code, by };
                    table.handle(connection, stream, Life::StreamReset { code }, Some(reason));
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
            if !self.io.write(&mut self.connection)? {
                return Ok(());
            }
        }
        self.has_more = true;
        Ok(())
    }

    /// Ends the connection: fails all streams, and reports the end once.
    fn end(
        &mut self,
        transport: Option<io::Error>,
        negotiation_error: Option<NegotiationError>,
        now: Instant,
    ) {
        if self.end.is_some() {
            return;
        }
        let mut end = ConnectionEnd::new(self.connection.report());
        (end.remote, end.transport, end.negotiation_error) = (self.remote, transport, negotiation_error);
        let end = Arc::new(end);
        self.host.connection_ended(&end);
        // Streams that the peer's GOAWAY excludes were reset before; the peer may have processed
        // the remaining ones.
        let unknown = Error::Connection { end: Arc::clone(&end), processed: true };
        for entry in self.table.remove_all() {
            entry.exchange.deliver_end(unknown.clone());
        }
        let late = Error::Connection { end: Arc::clone(&end), processed: false };
        for message in self.inbox.close() {
            if let DriverMessage::Host(message) = message {
                self.host.fail_message(message, &late);
            }
        }
        self.end = Some(end);
        self.phase = Phase::Closing(LingeringClose::new(self.close_limits, self.clock.to_core(now)));
    }

    /// Flushes, half-closes, and drains (RFC 9113 §6.8: GOAWAY is useless if a TCP reset discards
    /// it).
    fn finish_output(&mut self, now: Instant) -> io::Result<()> {
        let time = self.clock.to_core(now);
        while let Phase::Closing(close) = &mut self.phase {
            let event = match close.step() {
                CloseStep::Flush => {
                    while self.io.write(&mut self.connection)? {}
                    let is_flushed = self.io.is_flushed() && self.connection.is_finished();
                    is_flushed.then_some(CloseEvent::Flushed)
                }
                CloseStep::ShutdownWrite => self.io.shutdown_write()?.then_some(CloseEvent::WriteShut),
                CloseStep::Drain => self.io.discard_input()?,
                CloseStep::Closed => None,
            };
            let Some(event) = event else {
                close.handle_timeout(time);
                break;
            };
            close.handle_event(event, time);
        }
        Ok(())
    }

    /// Ends the close without further output.
    fn abort_close(&mut self, now: Instant) {
        if let Phase::Closing(close) = &mut self.phase {
            close.handle_event(CloseEvent::OutputFailed, self.clock.to_core(now));
        }
    }

    /// Adds to the counters.
    fn count(&mut self) {
        if let Some(counters) = &mut self.counters {
            counters.add(&self.connection.report());
        }
    }

    /// Decides what to wait for.
    fn next_turn(&mut self, now: Instant, retry_after: Option<Duration>) -> Turn {
        let is_receiving = matches!(self.phase, Phase::Receiving { .. });
        let writes = !is_receiving && !self.io.is_flushed();
        let until = match (&self.phase, &self.end) {
            (Phase::Closing(close), Some(end)) => {
                let Some(deadline) = close.deadline() else { return Turn::Ended(Arc::clone(end)) };
                let drains = close.step() == CloseStep::Drain;
                let timeout = Some(self.timeout(deadline, now));
                return Turn::Wait(Wait { read: drains, write: !drains, timeout });
            }
            (Phase::Negotiating { until }, _) => *until,
            (Phase::Receiving { until }, _) => Some(*until),
            _ => {
                let timeouts = [self.connection.poll_timeout(), self.table.poll_timeout()];
                timeouts.into_iter().flatten().min()
            }
        };
        let read = self.connection.wants_read() && !self.io.has_ended();
        let more = read && self.io.is_readable() || self.has_more;
        // With `retry_after` the driver checks its mailbox again after a moment.
        if more || !self.inbox.mailbox.sleep(retry_after.is_some()) {
            return Turn::Wait(Wait { read, write: writes, timeout: Some(Duration::ZERO) });
        }
        self.count();
        let deadline = until.map(|at| self.timeout(at, now));
        let timeout = [deadline, retry_after].into_iter().flatten().min();
        Turn::Wait(Wait { read, write: writes, timeout })
    }

    /// Returns the time until a deadline of the core.
    fn timeout(&self, deadline: thalweg::Instant, now: Instant) -> Duration {
        self.clock.to_std(deadline).saturating_duration_since(now)
    }
}

impl<H: Host, T: Transport> Drop for Driver<H, T> {
    fn drop(&mut self) {
        if self.end.is_none() {
            self.fail(io::Error::new(io::ErrorKind::Interrupted, "the driver was dropped"));
        }
        if let Some(end) = &self.end {
            trace::connection_ended(end);
            if let Some(counters) = &mut self.counters {
                counters.add(&self.connection.report());
                counters.connection_ended(end);
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

/// Reads in one turn before it writes.
const READS_PER_TURN: u32 = 4;
/// Reads before a timeout fires. Together they hold as much as a connection's window and the
/// receive buffer of a socket usually do. The bound is for a peer that never stops sending.
const DRAIN_READS_MAX: u32 = 64;
/// The error of what was not sent before writing failed: any request of it may be retried.
const NOT_SENT: Error = Error::Open(OpenError::GoingAway);
/// Writes in one turn before it reads.
const WRITES_PER_TURN: u32 = 4;
/// Shorter content is copied, which costs less than a splice, bytes.
const SPLICE_BYTES_MIN: usize = 8 << 10;
