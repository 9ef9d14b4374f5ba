//! A stream as bytes in both directions, for CONNECT and extended CONNECT (RFC 9113 §8.5, RFC 8441).
//!
//! Keeps true: at most a bound of bytes waits to be sent; an end that was not said by `shutdown` is a reset, so that nobody takes a
//! part for the whole.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf as _, Bytes, BytesMut};
use http_body::Frame;
use thalweg::ErrorCode;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::body::Body;
use crate::error::Error;

/// A tunnel: reads what the peer sends on a stream, and writes what it gets.
///
/// On a server, [`accept`](Self::accept) makes it from the content of a CONNECT request, with the content for the response.
/// On a client, the content of the request comes from [`outgoing`], and [`new`](Self::new) joins the writer with the
/// content of the response.
///
/// The peer may send as much as was read. `shutdown` ends our side; to drop the tunnel before resets the stream with
/// CANCEL. To drop it after, while the peer still sends, resets it too: a server with NO_ERROR, a client with CANCEL.
#[derive(Debug)]
pub struct Tunnel {
    incoming: Body,
    /// What was taken out of `incoming` and is not read yet.
    piece: Bytes,
    writer: Writer,
}

/// Makes content that is written piece by piece, and its writer.
pub fn outgoing() -> (Writer, Outgoing) {
    let pipe = Arc::new(Pipe::default());
    (Writer(Arc::clone(&pipe)), Outgoing(pipe))
}

impl Tunnel {
    /// Joins what comes in with a writer of what goes out.
    pub const fn new(incoming: Body, writer: Writer) -> Self {
        Self { incoming, piece: Bytes::new(), writer }
    }

    /// Makes a tunnel of the content of a request, and the content with which its response is to be sent.
    pub fn accept(incoming: Body) -> (Self, Outgoing) {
        let (writer, content) = outgoing();
        (Self::new(incoming, writer), content)
    }
}

impl AsyncRead for Tunnel {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while this.piece.is_empty() {
            let frame = ready!(http_body::Body::poll_frame(Pin::new(&mut this.incoming), cx));
            match frame.transpose().map_err(io_error)? {
                None => return Poll::Ready(Ok(())),
                // Trailers have no place among bytes.
                Some(frame) => this.piece = frame.into_data().unwrap_or_default(),
            }
        }
        let len = this.piece.len().min(buf.remaining());
        buf.put_slice(&this.piece[..len]);
        this.piece.advance(len);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tunnel {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.writer).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writer.0.finish();
        Poll::Ready(Ok(()))
    }
}

/// Writes the content of a message. At most 16 KiB wait to be sent; `shutdown` ends the content, and to drop it before is an
/// error that resets the stream with CANCEL.
pub struct Writer(Arc<Pipe>);

impl AsyncWrite for Writer {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.poll_write(cx, bytes)
    }

    /// What was written is on its way already.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.finish();
        Poll::Ready(Ok(()))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Writer")
    }
}

/// Content that is written through a [`Writer`].
pub struct Outgoing(Arc<Pipe>);

impl http_body::Body for Outgoing {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.0.poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        let state = self.0.lock();
        state.bytes.is_empty() && matches!(state.end, PipeEnd::Finished)
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        self.0.close_reader();
    }
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Outgoing")
    }
}

/// What is between a writer and the driver. The lock is of this stream alone.
#[derive(Default)]
struct Pipe(Mutex<State>);

#[derive(Default)]
struct State {
    bytes: BytesMut,
    end: PipeEnd,
    reader_closed: bool,
    writer: Option<Waker>,
    reader: Option<Waker>,
}

#[derive(Default)]
enum PipeEnd {
    #[default]
    Open,
    Finished,
    Aborted,
}

impl Pipe {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn poll_write(&self, cx: &Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut state = self.lock();
        if state.reader_closed || !matches!(state.end, PipeEnd::Open) {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let len = bytes.len().min(WAITING_BYTES_MAX - state.bytes.len());
        if len == 0 && !bytes.is_empty() {
            state.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        state.bytes.extend_from_slice(&bytes[..len]);
        wake(&mut state.reader);
        Poll::Ready(Ok(len))
    }

    fn finish(&self) {
        let mut state = self.lock();
        if matches!(state.end, PipeEnd::Open) {
            state.end = PipeEnd::Finished;
        }
        wake(&mut state.reader);
    }

    fn abort(&self) {
        let mut state = self.lock();
        if matches!(state.end, PipeEnd::Open) {
            state.end = PipeEnd::Aborted;
        }
        wake(&mut state.reader);
    }

    /// The driver has let go: the stream is over.
    fn close_reader(&self) {
        let mut state = self.lock();
        state.reader_closed = true;
        state.bytes = BytesMut::new();
        wake(&mut state.writer);
    }

    fn poll_frame(&self, cx: &Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let mut state = self.lock();
        if matches!(state.end, PipeEnd::Aborted) {
            return Poll::Ready(Some(Err(Error::reset(ErrorCode::CANCEL))));
        }
        if !state.bytes.is_empty() {
            wake(&mut state.writer);
            return Poll::Ready(Some(Ok(Frame::data(state.bytes.split().freeze()))));
        }
        if matches!(state.end, PipeEnd::Finished) {
            return Poll::Ready(None);
        }
        state.reader = Some(cx.waker().clone());
        Poll::Pending
    }
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

/// The error of an exchange as one of a byte stream.
fn io_error(error: Error) -> io::Error {
    let kind = match &error {
        Error::Reset { .. } => io::ErrorKind::ConnectionReset,
        Error::Connection { .. } | Error::GoingAway => io::ErrorKind::ConnectionAborted,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}

const WAITING_BYTES_MAX: usize = 16 << 10;
