//! The transport under a connection: bytes in both directions, its clock, and its end.
//!
//! Keeps true: every write hands over all that one turn has made; what was handed over is written to its last byte before
//! the transport ends, if the peer takes it within a bound of time.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use thalweg::{ConnectionError, ErrorCode, Event, Instant, Role, StreamKey};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{self, Sleep};

use crate::buffer;
use crate::error::ConnectionEnd;
use crate::lingering_close::LingeringClose;
use crate::record::Connection;
use crate::splicing::{SplicedOutput, SplicingConnection};
use crate::tap::Tap;

/// A transport and the connection on it.
pub struct ConnectionIo<IO, R: Role> {
    io: IO,
    connection: SplicingConnection<R>,
    /// Read before this began.
    prefetched: Vec<u8>,
    output: SplicedOutput,
    needs_flush: bool,
    origin: time::Instant,
    timer: Option<Timer>,
    eof: bool,
    /// The connection is over: only its output is left.
    failed: bool,
    flush_deadline: Option<Pin<Box<Sleep>>>,
    linger: Option<LingeringClose>,
    failure: Option<io::Error>,
    tap: Tap,
}

struct Timer {
    at: Instant,
    sleep: Pin<Box<Sleep>>,
}

/// What an event asks of the connection, once the event is let go.
#[derive(Clone, Copy, Debug)]
pub enum Action {
    /// Nothing.
    None,
    /// Bytes that nobody will read.
    Release(StreamKey, usize),
    /// The end of a stream.
    Reset(StreamKey, ErrorCode),
    /// So much was heard that it goes to work before it hears more.
    StartRequests,
}

/// Who hears what the peer did.
pub trait EventHandler<R: Role> {
    /// Takes an event.
    fn handle_event(&mut self, event: Event<'_, '_>) -> Action;

    /// Acts on what was heard, between two events.
    fn start_requests(&mut self, connection: &mut SplicingConnection<R>);
}

impl<IO: AsyncRead + AsyncWrite + Unpin, R: Role> ConnectionIo<IO, R> {
    /// Puts a connection on a transport.
    pub fn new(io: IO, connection: Connection<R>) -> Self {
        let connection = SplicingConnection::new(connection, io.is_write_vectored());
        Self {
            io,
            connection,
            prefetched: Vec::new(),
            output: SplicedOutput::default(),
            needs_flush: false,
            origin: time::Instant::now(),
            timer: None,
            eof: false,
            failed: false,
            flush_deadline: None,
            linger: None,
            failure: None,
            tap: Tap::default(),
        }
    }

    /// The connection.
    pub fn connection(&mut self) -> &mut SplicingConnection<R> {
        &mut self.connection
    }

    /// How the connection stands, or how it ended.
    pub fn end(&mut self) -> ConnectionEnd {
        let end = ConnectionEnd { report: self.connection.report(), transport: self.failure.take() };
        self.tap.end(&end);
        end
    }

    /// Whether the connection is over: nothing may be asked of it any more.
    pub fn has_failed(&self) -> bool {
        self.failed
    }

    /// Whether all is said, so that the transport may end.
    pub fn is_finished(&self) -> bool {
        self.failure.is_some() || self.failed || self.connection.is_finished()
    }

    /// What was read before the connection was put on the transport: it comes first.
    pub fn set_prefetched(&mut self, bytes: Vec<u8>) {
        self.prefetched = bytes;
    }

    /// What goes out in front of all frames.
    pub fn prepend_output(&mut self, bytes: &[u8]) {
        self.output.prepend(bytes);
    }

    /// Tells a watch what happens from now on.
    pub fn set_tap(&mut self, tap: Tap) {
        self.tap = tap;
    }

    /// The task is about to sleep.
    pub fn publish(&mut self, cx: &Context<'_>) {
        let Self { tap, connection, output, .. } = self;
        tap.publish(cx, connection, || output.unwritten_bytes());
    }

    /// Reads once and passes what came on, event by event. Returns whether to come again at once.
    pub fn poll_input(&mut self, cx: &mut Context<'_>, handler: &mut impl EventHandler<R>) -> bool {
        if self.failed {
            return false;
        }
        if !self.prefetched.is_empty() {
            let bytes = std::mem::take(&mut self.prefetched);
            self.tap.received(&bytes);
            self.failed = feed(&mut self.connection, &bytes, self.origin, handler).is_err();
            return true;
        }
        if !self.eof && self.connection.wants_read() {
            let Self { io, connection, origin, tap, .. } = self;
            let read = buffer::poll_read(io, cx, |bytes| {
                tap.received(bytes);
                feed(connection, bytes, *origin, handler).map(|()| bytes.len())
            });
            match read {
                Poll::Pending => {}
                Poll::Ready(Ok(outcome)) => {
                    self.eof = outcome == Ok(0);
                    self.failed = outcome.is_err() || self.eof && self.connection.handle_eof().is_err();
                    return true;
                }
                // TLS that ends without close_notify: HTTP/2 knows itself whether something is missing.
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    self.eof = true;
                    self.failed = self.connection.handle_eof().is_err();
                    return true;
                }
                Poll::Ready(Err(error)) => {
                    self.fail(error);
                    return true;
                }
            }
        }
        // Time and calls have events, too.
        self.failed = feed(&mut self.connection, &[], self.origin, handler).is_err();
        false
    }

    /// Writes what the turn has made. Returns whether all of it went out, so that there is room for more.
    pub fn poll_output(&mut self, cx: &mut Context<'_>) -> bool {
        let mut wrote = false;
        loop {
            while !self.output.is_empty() {
                match self.output.poll_write(&mut self.io, cx) {
                    Poll::Pending => return false,
                    Poll::Ready(Ok(0)) => {
                        self.fail(io::ErrorKind::WriteZero.into());
                        return false;
                    }
                    Poll::Ready(Ok(_)) => {
                        self.needs_flush = true;
                        wrote = true;
                    }
                    Poll::Ready(Err(error)) => {
                        self.fail(error);
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
                Poll::Ready(Err(error)) => self.fail(error),
            }
        }
        wrote
    }

    /// Acts on deadlines that have passed and waits for the next. Returns whether one had passed.
    pub fn poll_time(&mut self, cx: &mut Context<'_>) -> bool {
        if self.failed {
            return false;
        }
        let Some(at) = self.connection.poll_timeout() else {
            self.timer = None;
            return false;
        };
        // A timer that fires too early costs less than one that is set anew for every deadline that moves away.
        let is_set = self.timer.as_ref().is_some_and(|timer| timer.at <= at);
        if !is_set {
            if at <= self.now() {
                return self.handle_timeouts();
            }
            self.set_timer(at);
        }
        let Some(timer) = &mut self.timer else { return false };
        if timer.sleep.as_mut().poll(cx).is_pending() {
            return false;
        }
        self.timer = None;
        self.handle_timeouts()
    }

    fn handle_timeouts(&mut self) -> bool {
        let now = self.now();
        self.failed = self.connection.handle_timeout(now).is_err();
        true
    }

    fn set_timer(&mut self, at: Instant) {
        let deadline = self.origin + Duration::from_nanos(at.as_nanos());
        match &mut self.timer {
            Some(timer) => {
                timer.at = at;
                timer.sleep.as_mut().reset(deadline);
            }
            None => self.timer = Some(Timer { at, sleep: Box::pin(time::sleep_until(deadline)) }),
        }
    }

    fn now(&self) -> Instant {
        Instant::from_origin(self.origin.elapsed())
    }

    fn fail(&mut self, error: io::Error) {
        // The core's report should say what the peer still owed.
        let _ = self.connection.handle_eof();
        self.failed = true;
        self.failure = Some(error);
    }

    /// Ends the transport: the rest of the output, a half-close, and what the peer still sends.
    pub fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.failure.is_some() {
            return Poll::Ready(());
        }
        if self.linger.is_none() {
            ready!(self.poll_flush_output(cx));
            if self.failure.is_some() {
                return Poll::Ready(());
            }
        }
        let linger = self.linger.get_or_insert_with(LingeringClose::new);
        linger.poll(&mut self.io, cx, self.eof)
    }

    /// Writes what is left, within a bound of time.
    fn poll_flush_output(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_output(cx);
        if self.failure.is_some() || self.output.is_empty() && !self.needs_flush {
            return Poll::Ready(());
        }
        let deadline = self.flush_deadline.get_or_insert_with(|| Box::pin(time::sleep(WRITE_TIME_MAX)));
        ready!(deadline.as_mut().poll(cx));
        self.failure = Some(io::ErrorKind::TimedOut.into());
        Poll::Ready(())
    }

    /// Gives back memory that an idle connection does not need.
    pub fn shrink(&mut self) {
        if self.output.is_empty() {
            self.output = SplicedOutput::default();
        }
    }
}

/// Passes bytes on, event by event.
fn feed<R: Role>(
    connection: &mut SplicingConnection<R>,
    mut input: &[u8],
    origin: time::Instant,
    handler: &mut impl EventHandler<R>,
) -> Result<(), ConnectionError> {
    // Without input, too: the calls of this turn come after this time, and timeouts that they arm
    // start later.
    let now = Instant::from_origin(origin.elapsed());
    while let Some(event) = connection.receive(&mut input, now)? {
        match handler.handle_event(event) {
            Action::None => {}
            Action::StartRequests => handler.start_requests(connection),
            Action::Release(stream, bytes) => connection.release(stream, bytes),
            Action::Reset(stream, code) => connection.send_reset(stream, code),
        }
    }
    Ok(())
}

/// How long the last output may take.
const WRITE_TIME_MAX: Duration = Duration::from_secs(5);
