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
use crate::closing::Closing;
use crate::error::End;
use crate::link::{Link, Output};
use crate::record::Connection;
use crate::tap::Tap;

/// A transport and the connection on it.
pub struct Wire<IO, R: Role> {
    io: IO,
    link: Link<R>,
    /// Read before this began.
    first_input: Vec<u8>,
    output: Output,
    needs_flush: bool,
    origin: time::Instant,
    timer: Option<Timer>,
    eof: bool,
    /// The connection is over: only its output is left.
    over: bool,
    last_output: Option<Pin<Box<Sleep>>>,
    closing: Option<Closing>,
    failure: Option<io::Error>,
    tap: Tap,
}

struct Timer {
    at: Instant,
    sleep: Pin<Box<Sleep>>,
}

/// What an event asks of the connection, once the event is let go.
#[derive(Clone, Copy, Debug)]
pub enum Followup {
    /// Nothing.
    None,
    /// Bytes that nobody will read.
    Release(StreamKey, usize),
    /// The end of a stream.
    Reset(StreamKey, ErrorCode),
    /// So much was heard that it goes to work before it hears more.
    Work,
}

/// Who hears what the peer did.
pub trait Listener<R: Role> {
    /// Takes an event.
    fn hear(&mut self, event: Event<'_, '_>) -> Followup;

    /// Acts on what was heard, between two events.
    fn work(&mut self, connection: &mut Link<R>);
}

impl<IO: AsyncRead + AsyncWrite + Unpin, R: Role> Wire<IO, R> {
    /// Puts a connection on a transport.
    pub fn new(io: IO, connection: Connection<R>) -> Self {
        let link = Link::new(connection, io.is_write_vectored());
        Self {
            io,
            link,
            first_input: Vec::new(),
            output: Output::default(),
            needs_flush: false,
            origin: time::Instant::now(),
            timer: None,
            eof: false,
            over: false,
            last_output: None,
            closing: None,
            failure: None,
            tap: Tap::default(),
        }
    }

    /// The connection.
    pub fn connection(&mut self) -> &mut Link<R> {
        &mut self.link
    }

    /// How the connection stands, or how it ended.
    pub fn end(&mut self) -> End {
        let end = End { report: self.link.report(), transport: self.failure.take() };
        self.tap.end(&end);
        end
    }

    /// Whether the connection is over: nothing may be asked of it any more.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// Whether all is said, so that the transport may end.
    pub fn is_finished(&self) -> bool {
        self.failure.is_some() || self.over || self.link.is_finished()
    }

    /// What was read before the connection was put on the transport: it comes first.
    pub fn set_first_input(&mut self, bytes: Vec<u8>) {
        self.first_input = bytes;
    }

    /// What goes out in front of all frames.
    pub fn set_first_output(&mut self, bytes: &[u8]) {
        self.output.begin_with(bytes);
    }

    /// Tells a watch what happens from now on.
    pub fn set_tap(&mut self, tap: Tap) {
        self.tap = tap;
    }

    /// The task is about to sleep.
    pub fn turn(&mut self, cx: &Context<'_>) {
        let Self { tap, link, output, .. } = self;
        tap.turn(cx, link, || output.unwritten_bytes());
    }

    /// Reads once and passes what came on, event by event. Returns whether to come again at once.
    pub fn poll_input(&mut self, cx: &mut Context<'_>, listener: &mut impl Listener<R>) -> bool {
        if self.over {
            return false;
        }
        if !self.first_input.is_empty() {
            let bytes = std::mem::take(&mut self.first_input);
            self.tap.heard(&bytes);
            self.over = pass(&mut self.link, &bytes, self.origin, listener).is_err();
            return true;
        }
        if !self.eof && self.link.wants_read() {
            let Self { io, link, origin, tap, .. } = self;
            let read = buffer::poll_read(io, cx, |bytes| {
                tap.heard(bytes);
                pass(link, bytes, *origin, listener).map(|()| bytes.len())
            });
            match read {
                Poll::Pending => {}
                Poll::Ready(Ok(outcome)) => {
                    self.eof = outcome == Ok(0);
                    self.over = outcome.is_err() || self.eof && self.link.handle_eof().is_err();
                    return true;
                }
                // TLS that ends without close_notify: HTTP/2 knows itself whether something is missing.
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    self.eof = true;
                    self.over = self.link.handle_eof().is_err();
                    return true;
                }
                Poll::Ready(Err(error)) => {
                    self.fail(error);
                    return true;
                }
            }
        }
        // Time and calls have events, too.
        self.over = pass(&mut self.link, &[], self.origin, listener).is_err();
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
            if !self.output.fetch(&mut self.link) {
                break;
            }
            self.tap.said(self.output.pieces());
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
        if self.over {
            return false;
        }
        let Some(at) = self.link.poll_timeout() else {
            self.timer = None;
            return false;
        };
        // A timer that fires too early costs less than one that is set anew for every deadline that moves away.
        let is_set = self.timer.as_ref().is_some_and(|timer| timer.at <= at);
        if !is_set {
            if at <= self.now() {
                return self.pass_time();
            }
            self.set_timer(at);
        }
        let Some(timer) = &mut self.timer else { return false };
        if timer.sleep.as_mut().poll(cx).is_pending() {
            return false;
        }
        self.timer = None;
        self.pass_time()
    }

    fn pass_time(&mut self) -> bool {
        let now = self.now();
        self.over = self.link.handle_timeout(now).is_err();
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
        let _ = self.link.handle_eof();
        self.over = true;
        self.failure = Some(error);
    }

    /// Ends the transport: the rest of the output, a half-close, and what the peer still sends.
    pub fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.failure.is_some() {
            return Poll::Ready(());
        }
        if self.closing.is_none() {
            ready!(self.poll_last_output(cx));
            if self.failure.is_some() {
                return Poll::Ready(());
            }
        }
        let closing = self.closing.get_or_insert_with(Closing::new);
        closing.poll(&mut self.io, cx, self.eof)
    }

    /// Writes what is left, within a bound of time.
    fn poll_last_output(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_output(cx);
        if self.failure.is_some() || self.output.is_empty() && !self.needs_flush {
            return Poll::Ready(());
        }
        let deadline = self.last_output.get_or_insert_with(|| Box::pin(time::sleep(WRITE_TIME_MAX)));
        ready!(deadline.as_mut().poll(cx));
        self.failure = Some(io::ErrorKind::TimedOut.into());
        Poll::Ready(())
    }

    /// Gives back memory that an idle connection does not need.
    pub fn rest(&mut self) {
        if self.output.is_empty() {
            self.output = Output::default();
        }
    }
}

/// Passes bytes on, event by event.
fn pass<R: Role>(
    connection: &mut Link<R>,
    mut input: &[u8],
    origin: time::Instant,
    listener: &mut impl Listener<R>,
) -> Result<(), ConnectionError> {
    // Without input, too: the calls of this turn come after this time, and timeouts that they arm
    // start later.
    let now = Instant::from_origin(origin.elapsed());
    while let Some(event) = connection.receive(&mut input, now)? {
        match listener.hear(event) {
            Followup::None => {}
            Followup::Work => listener.work(connection),
            Followup::Release(stream, bytes) => connection.release(stream, bytes),
            Followup::Reset(stream, code) => connection.send_reset(stream, code),
        }
    }
    Ok(())
}

/// How long the last output may take.
const WRITE_TIME_MAX: Duration = Duration::from_secs(5);
