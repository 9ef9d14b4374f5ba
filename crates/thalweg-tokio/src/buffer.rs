//! The read buffer, shared by all connections that a thread drives.
//!
//! Invariant: no sleeping task holds the buffer. A task takes it for one read and for the immediate
//! handling of the bytes.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, ReadBuf};

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
