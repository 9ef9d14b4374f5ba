//! The lingering close of a transport: half-closes it, then drains the peer's input within limits,
//! so that a TCP reset does not discard the GOAWAY frame before the peer reads it.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{self, Sleep};

use crate::buffer;

/// The state between the last written byte and the end of the transport.
#[derive(Debug)]
pub(crate) struct LingeringClose {
    deadline: Pin<Box<Sleep>>,
    is_shut: bool,
    /// The number of bytes that may still be drained.
    drain_left: usize,
}

impl LingeringClose {
    /// Starts the close.
    pub(crate) fn new() -> Self {
        Self { deadline: Box::pin(time::sleep(DRAIN_TIME_MAX)), is_shut: false, drain_left: DRAIN_BYTES_MAX }
    }

    /// Advances the close. `has_ended`: the peer has closed its side, and no input is left.
    pub(crate) fn poll<IO>(&mut self, io: &mut IO, cx: &mut Context<'_>, has_ended: bool) -> Poll<()>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        if self.deadline.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        if !self.is_shut {
            if ready!(Pin::new(&mut *io).poll_shutdown(cx)).is_err() || has_ended {
                return Poll::Ready(());
            }
            self.is_shut = true;
        }
        loop {
            match ready!(buffer::poll_read(io, cx, <[u8]>::len)) {
                Ok(len) if len > 0 && self.drain_left > 0 => {
                    self.drain_left = self.drain_left.saturating_sub(len);
                }
                Ok(_) | Err(_) => return Poll::Ready(()),
            }
        }
    }
}

/// Time limit for the peer to close its side after we closed ours.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(1);
/// Limit of input after we closed our side, bytes.
const DRAIN_BYTES_MAX: usize = 16 << 20;
