//! A socket in memory for the libraries that own theirs.

use crate::wire::Wire;
use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The library's end. The bytes given to a turn can be read during that turn only.
#[derive(Clone)]
pub struct MemoryIo(Rc<RefCell<Pipe>>);

struct Pipe {
    /// What is left to read of the slice lent to [`MemoryIo::during`].
    unread: *const [u8],
    out: Wire,
    reader: Option<Waker>,
}

impl MemoryIo {
    pub fn new() -> Self {
        let unread: *const [u8] = &[];
        Self(Rc::new(RefCell::new(Pipe { unread, out: Wire::dropping(), reader: None })))
    }

    /// Runs `turn` with `input` ready to be read and writes going to `out`.
    ///
    /// # Panics
    /// If the library leaves input unread.
    pub fn during(&self, input: &[u8], out: &mut Wire, turn: impl FnOnce()) {
        {
            let mut pipe = self.0.borrow_mut();
            pipe.unread = input;
            std::mem::swap(&mut pipe.out, out);
            if let Some(waker) = pipe.reader.take() {
                waker.wake();
            }
        }
        turn();
        let mut pipe = self.0.borrow_mut();
        assert!(pipe.unread.is_empty(), "the library left input unread");
        pipe.unread = &[];
        std::mem::swap(&mut pipe.out, out);
    }

    /// Gives `take` up to `room` bytes.
    pub fn read(&self, context: &Context<'_>, room: usize, take: impl FnOnce(&[u8])) -> Poll<io::Result<()>> {
        let mut pipe = self.0.borrow_mut();
        if pipe.unread.is_empty() {
            pipe.reader = Some(context.waker().clone());
            return Poll::Pending;
        }
        // SAFETY: the slice was lent to `during`, which has not returned: it clears `unread` when
        // it does.
        let unread = unsafe { &*pipe.unread };
        let (now, later) = unread.split_at(room.min(unread.len()));
        take(now);
        pipe.unread = later;
        Poll::Ready(Ok(()))
    }

    pub fn write(&self, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.borrow_mut().out.put(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    pub fn write_pieces(&self, pieces: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let out = &mut self.0.borrow_mut().out;
        pieces.iter().for_each(|piece| out.put(piece));
        Poll::Ready(Ok(pieces.iter().map(|piece| piece.len()).sum()))
    }
}

impl AsyncRead for MemoryIo {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.read(context, buf.remaining(), |bytes| buf.put_slice(bytes))
    }
}

impl AsyncWrite for MemoryIo {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.write(bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.write_pieces(pieces)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// The same socket as hyper wants it.
pub struct HyperIo(pub MemoryIo);

impl hyper::rt::Read for HyperIo {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut buf: hyper::rt::ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        self.0.read(context, buf.remaining(), |bytes| buf.put_slice(bytes))
    }
}

impl hyper::rt::Write for HyperIo {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.write(bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.0.write_pieces(pieces)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
