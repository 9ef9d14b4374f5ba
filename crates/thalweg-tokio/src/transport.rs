//! Reads, writes and closes a transport: any `AsyncRead` and `AsyncWrite`.
//!
//! Invariants: no sleeping task holds the read buffer, which all connections of a thread share: a
//! task takes it for one read and for the immediate handling of the bytes. A transport is closed
//! in the order that `LingeringClose` says, within its deadlines.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use thalweg_io::{
    Clock, CloseEvent, CloseLimits, CloseStep, ConnectionEnd, LingeringClose, NegotiationError, SplicedOutput,
};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::time::{self, Sleep};

thread_local! {
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Reads once and passes the bytes to `take`. An empty slice means the end of input.
pub(crate) fn poll_read<IO, T>(
    io: &mut IO,
    cx: &mut Context<'_>,
    take: impl FnOnce(&[u8]) -> T,
) -> Poll<io::Result<T>>
where
    IO: AsyncRead + Unpin,
{
    let mut buffer = BUFFER.take();
    // Zeroed once per thread, and again when a transport drives another connection while it is
    // being read.
    buffer.resize(READ_BYTES, 0);
    let mut read = ReadBuf::new(&mut buffer);
    let polled = Pin::new(io).poll_read(cx, &mut read);
    let taken = polled.map(|outcome| outcome.map(|()| take(read.filled())));
    BUFFER.set(buffer);
    taken
}

/// Length of one read at most, bytes.
pub(crate) const READ_BYTES: usize = 64 << 10;

/// Writes once. Returns how many bytes the transport accepted.
pub(crate) fn poll_write<IO>(
    io: &mut IO,
    cx: &mut Context<'_>,
    output: &mut SplicedOutput,
) -> Poll<io::Result<usize>>
where
    IO: AsyncWrite + Unpin,
{
    let io = Pin::new(io);
    let polled = match output.as_slice() {
        Some(bytes) => io.poll_write(cx, bytes),
        None => {
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            let count = output.fill_slices(&mut slices);
            io.poll_write_vectored(cx, &slices[..count])
        }
    };
    if let Poll::Ready(Ok(len)) = polled {
        output.advance(len);
    }
    polled
}

/// The close of a transport, with the timer of its deadline.
#[derive(Debug)]
pub(crate) struct TransportClose {
    close: LingeringClose,
    clock: Clock,
    timer: Pin<Box<Sleep>>,
}

impl TransportClose {
    /// Starts the close. The caller writes the remaining output.
    pub(crate) fn new(limits: CloseLimits) -> Self {
        let now = time::Instant::now();
        let clock = Clock::new(now.into_std());
        let close = LingeringClose::new(limits, clock.to_core(now.into_std()));
        Self { close, clock, timer: Box::pin(time::sleep_until(now + limits.flush)) }
    }

    /// Returns the next step, after handling an expired deadline. The task is woken at the
    /// deadline.
    pub(crate) fn poll_step(&mut self, cx: &mut Context<'_>) -> CloseStep {
        match self.timer.as_mut().poll(cx) {
            Poll::Ready(()) => self.close.handle_timeout(self.now()),
            Poll::Pending => self.close.step(),
        }
    }

    /// Handles what happened, and sets the timer to the deadline of the next step.
    pub(crate) fn handle_event(&mut self, event: CloseEvent) -> CloseStep {
        let before = self.close.deadline();
        let step = self.close.handle_event(event, self.now());
        if let Some(deadline) = self.close.deadline()
            && before != Some(deadline)
        {
            self.timer.as_mut().reset(self.clock.to_std(deadline).into());
        }
        step
    }

    /// Performs the steps after the output is written.
    pub(crate) fn poll_close<IO>(&mut self, io: &mut IO, cx: &mut Context<'_>) -> Poll<()>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        loop {
            let event = match self.poll_step(cx) {
                CloseStep::Flush => CloseEvent::Flushed,
                CloseStep::ShutdownWrite => match ready!(Pin::new(&mut *io).poll_shutdown(cx)) {
                    Ok(()) => CloseEvent::WriteShut,
                    Err(_) => CloseEvent::OutputFailed,
                },
                CloseStep::Drain => match ready!(poll_read(io, cx, <[u8]>::len)) {
                    Ok(0) | Err(_) => CloseEvent::InputEnded,
                    Ok(len) => CloseEvent::Received(len),
                },
                CloseStep::Closed => return Poll::Ready(()),
            };
            self.handle_event(event);
        }
    }

    fn now(&self) -> thalweg::Instant {
        self.clock.to_core(time::Instant::now().into_std())
    }
}

/// Sends an HTTP/1.1 response and closes the transport.
pub(crate) async fn reject<IO>(io: &mut IO, response: &[u8])
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    // The response fits any socket's send buffer. A full buffer means that the peer does not read.
    let written = time::timeout(RESPONSE_TIME_MAX, async {
        io.write_all(response).await?;
        io.flush().await
    });
    if let Ok(Ok(())) = written.await {
        let mut close = TransportClose::new(CloseLimits::default());
        poll_fn(|cx| close.poll_close(io, cx)).await;
    }
}

/// Why a connection never spoke HTTP/2, and the transport's error, if that was the reason.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) error: NegotiationError,
    pub(crate) transport: Option<io::Error>,
}

impl Refused {
    /// Creates the reason of a failed transport.
    pub(crate) const fn transport(error: io::Error) -> Self {
        Self { error: NegotiationError::Transport, transport: Some(error) }
    }

    /// Converts the reason to the end of its connection.
    pub(crate) fn into_end(self) -> ConnectionEnd {
        let mut end = ConnectionEnd::refused(self.error);
        end.transport = self.transport;
        end
    }
}

impl From<NegotiationError> for Refused {
    fn from(error: NegotiationError) -> Self {
        Self { error, transport: None }
    }
}

/// Slices of one write.
const SLICES_MAX: usize = 64;
/// Content of at least this length is spliced, bytes: another slice in a write costs about as much
/// as copying less.
pub(crate) const SPLICE_BYTES_MIN: usize = 2048;
const RESPONSE_TIME_MAX: Duration = Duration::from_secs(1);
