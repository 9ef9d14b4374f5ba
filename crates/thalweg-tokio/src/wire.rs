//! The transport under a connection: bytes in both directions, its clock, and its end.
//!
//! Keeps true: no read buffer is held while the task sleeps; every write hands over all that one turn has made; what was
//! handed over is written to its last byte before the transport ends; the end is told to the peer by a half-close,
//! and what it still sends is read and thrown away within a bound, so that TCP does not swallow the last word.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use thalweg::{Connection, ErrorCode, Event, Instant, Role, Stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{self, Sleep};

use crate::error::End;

/// A transport and the connection on it.
pub struct Wire<IO, R: Role> {
    io: IO,
    connection: Connection<R>,
    output: Vec<u8>,
    written: usize,
    needs_flush: bool,
    origin: time::Instant,
    timer: Option<Timer>,
    eof: bool,
    /// The connection is over: only its output is left.
    over: bool,
    ending: Option<Ending>,
    failure: Option<io::Error>,
}

struct Timer {
    at: Instant,
    sleep: Pin<Box<Sleep>>,
}

/// The way from the last word to the end of the transport.
struct Ending {
    deadline: Pin<Box<Sleep>>,
    stage: Stage,
    /// Bytes that are still read and thrown away.
    drain_left: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Writing,
    ShuttingDown,
    Draining,
}

/// What an event asks of the connection, once the event is let go.
#[derive(Clone, Copy, Debug)]
pub enum Followup {
    /// Nothing.
    None,
    /// Bytes that nobody will read.
    Release(Stream, usize),
    /// The end of a stream.
    Reset(Stream, ErrorCode),
}

impl<IO: AsyncRead + AsyncWrite + Unpin, R: Role> Wire<IO, R> {
    /// Puts a connection on a transport.
    pub fn new(io: IO, connection: Connection<R>) -> Self {
        Self {
            io,
            connection,
            output: Vec::new(),
            written: 0,
            needs_flush: false,
            origin: time::Instant::now(),
            timer: None,
            eof: false,
            over: false,
            ending: None,
            failure: None,
        }
    }

    /// The connection.
    pub fn connection(&mut self) -> &mut Connection<R> {
        &mut self.connection
    }

    /// How the connection stands, or how it ended.
    pub fn end(&mut self) -> End {
        End { report: self.connection.report(), transport: self.failure.take() }
    }

    /// Whether the connection is over: nothing may be asked of it any more.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// Whether all is said, so that the transport may end.
    pub fn is_finished(&self) -> bool {
        self.failure.is_some() || self.over || self.connection.is_finished()
    }

    /// Reads once and passes what came to `hear`, event by event. Returns whether to come again at once.
    pub fn poll_input(
        &mut self,
        cx: &mut Context<'_>,
        mut hear: impl FnMut(Event<'_, '_>) -> Followup,
    ) -> bool {
        if self.eof || self.over || !self.connection.wants_read() {
            // Time and calls have events, too.
            if !self.over {
                self.pass(&[], &mut hear);
            }
            return false;
        }
        let mut buffer = take_buffer();
        let mut read = ReadBuf::new(&mut buffer);
        let outcome = Pin::new(&mut self.io).poll_read(cx, &mut read);
        let again = match outcome {
            Poll::Pending => {
                self.pass(&[], &mut hear);
                false
            }
            Poll::Ready(Ok(())) if read.filled().is_empty() => {
                self.eof = true;
                self.over = self.connection.handle_eof().is_err();
                true
            }
            Poll::Ready(Ok(())) => {
                self.pass(read.filled(), &mut hear);
                true
            }
            Poll::Ready(Err(error)) => {
                self.fail(error);
                true
            }
        };
        put_buffer(buffer);
        again
    }

    fn pass(&mut self, mut input: &[u8], hear: &mut impl FnMut(Event<'_, '_>) -> Followup) {
        // The core never goes back in time: without input it stays where it is.
        let now = if input.is_empty() { Instant::ZERO } else { self.now() };
        loop {
            let followup = match self.connection.receive(&mut input, now) {
                Ok(Some(event)) => hear(event),
                Ok(None) => return,
                Err(_) => {
                    self.over = true;
                    return;
                }
            };
            match followup {
                Followup::None => {}
                Followup::Release(stream, bytes) => self.connection.release(stream, bytes),
                Followup::Reset(stream, code) => self.connection.send_reset(stream, code),
            }
        }
    }

    /// Writes what the turn has made. Returns whether all of it went out, so that there is room for more.
    pub fn poll_output(&mut self, cx: &mut Context<'_>) -> bool {
        let mut wrote = false;
        loop {
            while self.written < self.output.len() {
                match Pin::new(&mut self.io).poll_write(cx, &self.output[self.written..]) {
                    Poll::Pending => return false,
                    Poll::Ready(Ok(0)) => {
                        self.fail(io::ErrorKind::WriteZero.into());
                        return false;
                    }
                    Poll::Ready(Ok(len)) => {
                        self.written += len;
                        self.needs_flush = true;
                        wrote = true;
                    }
                    Poll::Ready(Err(error)) => {
                        self.fail(error);
                        return false;
                    }
                }
            }
            self.output.clear();
            self.written = 0;
            if !self.connection.poll_transmit(&mut self.output) {
                break;
            }
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
        let Some(at) = self.connection.poll_timeout() else {
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
        self.over = self.connection.handle_timeout(self.now()).is_err();
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
        self.over = true;
        self.failure = Some(error);
    }

    /// Ends the transport: the rest of the output, a half-close, and what the peer still sends.
    pub fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.failure.is_some() {
            return Poll::Ready(());
        }
        let ending = self.ending.get_or_insert_with(|| Ending {
            deadline: Box::pin(time::sleep(WRITE_TIME_MAX)),
            stage: Stage::Writing,
            drain_left: DRAIN_BYTES_MAX,
        });
        if ending.deadline.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        if ending.stage == Stage::Writing {
            self.poll_output(cx);
            if self.failure.is_some() {
                return Poll::Ready(());
            }
            if !self.output.is_empty() || self.needs_flush {
                return Poll::Pending;
            }
        }
        self.poll_close(cx)
    }

    /// The half-close and the drain.
    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(ending) = &mut self.ending else { return Poll::Ready(()) };
        if ending.stage == Stage::Writing {
            ending.stage = Stage::ShuttingDown;
            ending.deadline.as_mut().reset(time::Instant::now() + DRAIN_TIME_MAX);
            // Only a poll makes the new deadline known to the task.
            if ending.deadline.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
        }
        if ending.stage == Stage::ShuttingDown {
            if ready!(Pin::new(&mut self.io).poll_shutdown(cx)).is_err() || self.eof {
                return Poll::Ready(());
            }
            ending.stage = Stage::Draining;
        }
        let mut buffer = take_buffer();
        let drained = loop {
            let mut read = ReadBuf::new(&mut buffer);
            match Pin::new(&mut self.io).poll_read(cx, &mut read) {
                Poll::Pending => break Poll::Pending,
                Poll::Ready(Ok(())) if !read.filled().is_empty() && ending.drain_left > 0 => {
                    ending.drain_left = ending.drain_left.saturating_sub(read.filled().len());
                }
                Poll::Ready(_) => break Poll::Ready(()),
            }
        };
        put_buffer(buffer);
        drained
    }

    /// Gives back memory that an idle connection does not need.
    pub fn rest(&mut self) {
        if self.output.is_empty() {
            self.output = Vec::new();
        }
    }
}

thread_local! {
    /// The read buffer of all connections that this thread drives. Nobody has it while a task sleeps.
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

fn take_buffer() -> Vec<u8> {
    let mut buffer = BUFFER.take();
    // Zeroed once per thread, and for a transport that drives another connection while it is read.
    buffer.resize(READ_BYTES, 0);
    buffer
}

fn put_buffer(buffer: Vec<u8>) {
    BUFFER.set(buffer);
}

/// The most bytes of one read.
const READ_BYTES: usize = 64 << 10;
/// How long the last output may take.
const WRITE_TIME_MAX: Duration = Duration::from_secs(5);
/// How long the peer may take to end its side after we have ended ours.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(1);
/// How much the peer may send after we have ended our side, bytes.
const DRAIN_BYTES_MAX: usize = 16 << 20;
