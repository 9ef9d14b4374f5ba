//! The end of a transport: a half-close tells the peer, and what it still sends is read and thrown away within a bound, so
//! that TCP does not swallow the last word.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{self, Sleep};

use crate::buffer;

/// The way from the last byte that was written to the end of the transport.
#[derive(Debug)]
pub struct LingeringClose {
    deadline: Pin<Box<Sleep>>,
    is_shut: bool,
    /// Bytes that are still read.
    drain_left: usize,
}

impl LingeringClose {
    /// Begins.
    pub fn new() -> Self {
        Self { deadline: Box::pin(time::sleep(DRAIN_TIME_MAX)), is_shut: false, drain_left: DRAIN_BYTES_MAX }
    }

    /// Goes on. `has_ended`: the peer has ended its side, and nothing is left to read.
    pub fn poll<IO>(&mut self, io: &mut IO, cx: &mut Context<'_>, has_ended: bool) -> Poll<()>
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

/// How long the peer may take to end its side after we have ended ours.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(1);
/// How much the peer may send after we have ended our side, bytes.
const DRAIN_BYTES_MAX: usize = 16 << 20;
