//! The read buffer, one for all connections that a thread drives.
//!
//! Keeps true: nobody has it while a task sleeps. It is taken for one read and for what is done with its bytes at once.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, ReadBuf};

thread_local! {
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Reads once and passes the bytes to `take`; no bytes mean the end.
pub fn poll_read<IO, T>(
    io: &mut IO,
    cx: &mut Context<'_>,
    take: impl FnOnce(&[u8]) -> T,
) -> Poll<io::Result<T>>
where
    IO: AsyncRead + Unpin,
{
    let mut buffer = BUFFER.take();
    // Zeroed once per thread, and for a transport that drives another connection while it is read.
    buffer.resize(READ_BYTES, 0);
    let mut read = ReadBuf::new(&mut buffer);
    let polled = Pin::new(io).poll_read(cx, &mut read);
    let taken = polled.map(|outcome| outcome.map(|()| take(read.filled())));
    BUFFER.set(buffer);
    taken
}

/// The most bytes of one read.
pub const READ_BYTES: usize = 64 << 10;
