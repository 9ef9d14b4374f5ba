//! The transport under a connection: bytes in both directions, its clock, and its end.
//!
//! Invariants: each write hands over all the output of one turn; the driver writes all committed
//! output before it ends the transport, if the peer reads it within a time limit.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use thalweg::{ConnectionError, ErrorCode, Event, Instant, Role, StreamKey};
use thalweg_http::transport::{Close, Exchanges, Read, Write};
use thalweg_io::{
    Clock, CloseEvent, CloseLimits, CloseStep, Connection, ConnectionEnd, IdleState, SplicedOutput,
    SplicingConnection,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task;
use tokio::time::{self, Sleep};

use super::directions::Directions;
use super::readiness::RuntimePoll;
use super::tap::Tap;
use crate::transport::{self, SPLICE_BYTES_MIN, TransportClose};

/// A transport and the connection on it.
pub(crate) struct ConnectionIo<IO, R: Role> {
    io: IO,
    connection: SplicingConnection<R>,
    /// Bytes that were read before the connection was created.
    prefetched: Vec<u8>,
    output: SplicedOutput,
    needs_flush: bool,
    clock: Clock,
    timer: Option<Timer>,
    /// The poll for input that an expired timeout waits for.
    runtime_poll: Option<RuntimePoll>,
    directions: Directions,
    /// Whether the connection has failed, so that only its output is left.
    failed: bool,
    close_limits: CloseLimits,
    close: Option<TransportClose>,
    /// The peer's address, for the report.
    remote: Option<SocketAddr>,
    tap: Tap,
}

struct Timer {
    at: Instant,
    sleep: Pin<Box<Sleep>>,
}

/// A request of the event handler to the connection, executed once the event is released.
#[derive(Clone, Copy, Debug)]
pub enum Action {
    /// Nothing.
    None,
    /// Releases window for bytes that the application will not read.
    Release(StreamKey, usize),
    /// Releases only the connection's window, for bytes of a stream that nothing reads.
    Discard(StreamKey, usize),
    /// Resets a stream.
    Reset(StreamKey, ErrorCode),
    /// Starts the queued requests before the next event.
    StartRequests,
}

/// Receives the events of a connection.
pub(crate) trait EventHandler<R: Role> {
    /// Handles an event.
    fn handle_event(&mut self, event: Event<'_, '_>) -> Action;

    /// Starts the requests of the events so far, between two events.
    fn start_requests(&mut self, connection: &mut SplicingConnection<R>);
}

impl<IO: AsyncRead + AsyncWrite + Unpin, R: Role> ConnectionIo<IO, R> {
    /// Places a connection on a transport.
    pub(crate) fn new(
        io: IO,
        connection: Connection<R>,
        close_limits: CloseLimits,
        remote: Option<SocketAddr>,
        tap: Tap,
    ) -> Self {
        let splice_bytes_min = io.is_write_vectored().then_some(SPLICE_BYTES_MIN);
        let connection = SplicingConnection::new(connection, splice_bytes_min);
        Self {
            io,
            connection,
            prefetched: Vec::new(),
            output: SplicedOutput::default(),
            needs_flush: false,
            clock: Clock::new(time::Instant::now().into_std()),
            timer: None,
            runtime_poll: None,
            directions: Directions::new(thalweg_http::Role::of::<R>()),
            failed: false,
            close_limits,
            close: None,
            remote,
            tap,
        }
    }

    /// Returns the connection.
    pub(crate) fn connection(&mut self) -> &mut SplicingConnection<R> {
        &mut self.connection
    }

    /// Returns the current report, or how the connection ended.
    pub(crate) fn end(&mut self) -> ConnectionEnd {
        if self.directions.has_failed() {
            // Lets the core report what the peer had left incomplete.
            let _ = self.connection.handle_eof();
        }
        let mut end = ConnectionEnd::new(self.connection.report());
        (end.remote, end.transport) = (self.remote, self.directions.take_error());
        self.tap.end(&end);
        end
    }

    /// Returns whether the connection has failed: the driver must not call it any more.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed
    }

    /// Returns whether all output is written, so that the transport may end.
    pub(crate) fn is_finished(&self) -> bool {
        let ends_by_core = self.directions.duties().close == Close::WhenFinished;
        self.failed
            || ends_by_core && self.connection.is_finished()
            || self.directions.is_finished(|| self.now())
    }

    /// Returns what the state of the transport means to the exchanges.
    pub(crate) fn exchanges(&self) -> Exchanges {
        self.directions.duties().exchanges
    }

    /// Returns when the driver must look at the transport again.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.directions.deadline()
    }

    /// Sets bytes that were read before the connection was created. They precede further input.
    pub(crate) fn set_prefetched(&mut self, bytes: Vec<u8>) {
        self.prefetched = bytes;
    }

    /// Writes bytes before all frames.
    pub(crate) fn prepend_output(&mut self, bytes: &[u8]) {
        self.output.queue(bytes);
    }

    /// Publishes a snapshot, before the task sleeps.
    pub(crate) fn publish(&mut self, cx: &Context<'_>) {
        let Self { tap, connection, output, .. } = self;
        tap.publish(cx, connection, || output.unwritten_bytes());
    }

    /// Reads once and passes the events on. Returns whether to call again immediately.
    pub(crate) fn poll_input(&mut self, cx: &mut Context<'_>, handler: &mut impl EventHandler<R>) -> bool {
        self.poll_input_at(cx, handler, None)
    }

    /// The same with a time that was read before.
    fn poll_input_at(
        &mut self,
        cx: &mut Context<'_>,
        handler: &mut impl EventHandler<R>,
        time: Option<Instant>,
    ) -> bool {
        if self.failed {
            return false;
        }
        if !self.prefetched.is_empty() {
            let bytes = std::mem::take(&mut self.prefetched);
            self.tap.received(&bytes);
            let now = time.unwrap_or_else(|| self.now());
            self.failed = feed(&mut self.connection, &bytes, now, handler).is_err();
            return true;
        }
        let wants_read = match self.directions.duties().read {
            Read::Yes => self.connection.wants_read(),
            Read::ToEnd => true,
            Read::Watch => {
                self.watch(cx);
                false
            }
            Read::No => false,
        };
        if wants_read {
            let Self { io, connection, clock, tap, .. } = self;
            let read = transport::poll_read(io, cx, |bytes| {
                tap.received(bytes);
                let now = time.unwrap_or_else(|| core_now(*clock));
                feed(connection, bytes, now, handler).map(|()| bytes.len())
            });
            match read {
                Poll::Pending => {}
                Poll::Ready(Ok(Ok(0))) => {
                    self.end_input(true);
                    return true;
                }
                Poll::Ready(Ok(outcome)) => {
                    self.failed = outcome.is_err();
                    return true;
                }
                // TLS that ended without close_notify: HTTP/2 detects truncation itself.
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    self.end_input(false);
                    return true;
                }
                Poll::Ready(Err(error)) => {
                    self.directions.fail_input(error);
                    let _ = self.connection.handle_eof();
                    return true;
                }
            }
        }
        // Timers and calls cause events, too.
        let now = time.unwrap_or_else(|| self.now());
        self.failed = feed(&mut self.connection, &[], now, handler).is_err();
        false
    }

    fn end_input(&mut self, has_notify: bool) {
        self.directions.end_input(has_notify, core_now(self.clock));
        self.failed = self.connection.handle_eof().is_err();
    }

    /// Looks for an error of a transport whose input has ended: the peer may have half-closed, or
    /// be gone.
    fn watch(&mut self, cx: &mut Context<'_>) {
        let now = self.now();
        if !self.directions.is_watch_due(now) {
            return;
        }
        // Reading repeats the end of input. An empty write fails on a socket whose peer has answered
        // the GOAWAY with RST; over TLS it does nothing, and `half_closed` ends the exchanges.
        if let Poll::Ready(Err(error)) = Pin::new(&mut self.io).poll_write(cx, &[]) {
            self.fail_output(error);
        }
    }

    /// Discards the output of a transport that accepts none.
    fn discard_output(&mut self) {
        loop {
            self.output.advance(self.output.unwritten_bytes());
            if !self.output.fetch(&mut self.connection) {
                break;
            }
        }
        self.needs_flush = false;
    }

    /// Writes the output of the turn. Returns whether all of it was written, so that there is room
    /// for more.
    pub(crate) fn poll_output(&mut self, cx: &mut Context<'_>) -> bool {
        if self.directions.duties().write == Write::Discard {
            self.discard_output();
            return false;
        }
        let mut wrote = false;
        loop {
            while !self.output.is_empty() {
                match transport::poll_write(&mut self.io, cx, &mut self.output) {
                    Poll::Pending => return false,
                    Poll::Ready(Ok(0)) => {
                        self.fail_output(io::ErrorKind::WriteZero.into());
                        return false;
                    }
                    Poll::Ready(Ok(_)) => {
                        self.needs_flush = true;
                        wrote = true;
                    }
                    Poll::Ready(Err(error)) => {
                        self.fail_output(error);
                        return false;
                    }
                }
            }
            if !self.output.fetch(&mut self.connection) {
                break;
            }
            self.tap.sent(self.output.chunks());
        }
        if self.needs_flush {
            match Pin::new(&mut self.io).poll_flush(cx) {
                Poll::Pending => {}
                Poll::Ready(Ok(())) => self.needs_flush = false,
                Poll::Ready(Err(error)) => self.fail_output(error),
            }
        }
        wrote
    }

    /// Handles expired timeouts and sets the timer for the next. Returns whether the time was
    /// passed, which may have caused output.
    pub(crate) fn poll_time(&mut self, cx: &mut Context<'_>, handler: &mut impl EventHandler<R>) -> bool {
        if self.failed {
            return false;
        }
        let Some(at) = self.connection.poll_timeout() else {
            self.timer = None;
            return false;
        };
        // Firing early once costs less than resetting the timer whenever the deadline moves.
        let is_set = self.timer.as_ref().is_some_and(|timer| timer.at <= at);
        if !is_set {
            let now = self.now();
            if at <= now {
                return self.handle_time(cx, now, handler);
            }
            self.set_timer(at);
        }
        let Some(timer) = &mut self.timer else { return false };
        if timer.sleep.as_mut().poll(cx).is_pending() {
            return false;
        }
        self.timer = None;
        self.handle_time(cx, self.now(), handler)
    }

    /// Passes the time. If a timeout has expired, passes the input first that had arrived at that
    /// time: the timeout may have ended with it.
    fn handle_time(
        &mut self,
        cx: &mut Context<'_>,
        now: Instant,
        handler: &mut impl EventHandler<R>,
    ) -> bool {
        // Starts the timeouts that calls have armed, and fires none.
        self.failed = feed(&mut self.connection, &[], now, handler).is_err();
        if self.failed {
            return true;
        }
        // The core returns the time itself to ask for it.
        if self.connection.poll_timeout().is_some_and(|at| at < now) {
            let poll = self.runtime_poll.get_or_insert_with(|| RuntimePoll::request(cx));
            if !poll.is_complete() {
                return false;
            }
            self.drain_input(cx, now, handler);
            if self.failed {
                return true;
            }
        }
        self.runtime_poll = None;
        self.failed = self.connection.handle_timeout(now).is_err();
        true
    }

    /// Passes the input that has arrived, up to a bound, so that a peer that never stops sending
    /// does not hold timeouts off.
    fn drain_input(&mut self, cx: &mut Context<'_>, now: Instant, handler: &mut impl EventHandler<R>) {
        let drain = poll_fn(|cx| {
            for _ in 0..DRAIN_READS_MAX {
                if !self.poll_input_at(cx, handler, Some(now)) {
                    break;
                }
            }
            Poll::Ready(())
        });
        // A task that has used up its budget would find the transport not ready.
        let _ = pin!(task::unconstrained(drain)).poll(cx);
    }

    fn set_timer(&mut self, at: Instant) {
        let deadline = self.clock.to_std(at).into();
        match &mut self.timer {
            Some(timer) => {
                timer.at = at;
                timer.sleep.as_mut().reset(deadline);
            }
            None => self.timer = Some(Timer { at, sleep: Box::pin(time::sleep_until(deadline)) }),
        }
    }

    /// Returns the present time.
    pub(crate) fn now(&self) -> Instant {
        core_now(self.clock)
    }

    /// Converts a time for a timer.
    pub(crate) fn to_tokio(&self, at: Instant) -> time::Instant {
        self.clock.to_std(at).into()
    }

    fn fail_output(&mut self, error: io::Error) {
        self.directions.fail_output(error, core_now(self.clock));
        self.discard_output();
    }

    /// Shortens the close of a connection that makes room for others.
    pub(crate) fn limit_close(&mut self, idle: &IdleState) {
        self.close_limits = idle.close_limits(self.close_limits);
    }

    /// Ends the transport: writes the remaining output, half-closes, and drains the input.
    pub(crate) fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self.directions.duties().write {
            Write::Yes => {}
            // GOAWAY, or a TLS alert, may get through.
            Write::Once => {
                self.poll_output(cx);
                return Poll::Ready(());
            }
            Write::Discard => return Poll::Ready(()),
        }
        let close = self.close.get_or_insert_with(|| TransportClose::new(self.close_limits));
        match close.poll_step(cx) {
            CloseStep::Flush => {
                self.poll_output(cx);
                if self.directions.duties().write == Write::Discard {
                    return Poll::Ready(());
                }
                if !self.output.is_empty() || self.needs_flush {
                    return Poll::Pending;
                }
            }
            CloseStep::ShutdownWrite | CloseStep::Drain | CloseStep::Closed => {}
        }
        let Self { io, close: Some(close), directions, .. } = self else { return Poll::Pending };
        if directions.duties().is_eof {
            close.handle_event(CloseEvent::InputEnded);
        }
        close.poll_close(io, cx)
    }

    /// Frees memory that an idle connection does not need.
    pub(crate) fn shrink(&mut self) {
        self.output.shrink(0);
    }
}

/// Passes bytes to the core, and its events to the handler.
fn feed<R: Role>(
    connection: &mut SplicingConnection<R>,
    mut input: &[u8],
    now: Instant,
    handler: &mut impl EventHandler<R>,
) -> Result<(), ConnectionError> {
    // Sets the time even without input: calls of this turn follow, and timeouts that they arm start
    // later.
    while let Some(event) = connection.receive(&mut input, now)? {
        match handler.handle_event(event) {
            Action::None => {}
            Action::StartRequests => handler.start_requests(connection),
            Action::Release(stream, bytes) => connection.release(stream, bytes),
            Action::Discard(stream, bytes) => connection.discard(stream, bytes),
            Action::Reset(stream, code) => connection.send_reset(stream, code),
        }
    }
    Ok(())
}

/// Returns the present time of the core's clock. tokio's clock can be paused in tests.
fn core_now(clock: Clock) -> Instant {
    clock.to_core(time::Instant::now().into_std())
}

/// Reads before a timeout fires. Together they hold as much as a connection's window and the
/// receive buffer of a socket usually do.
const DRAIN_READS_MAX: usize = 64;
