//! A stream as bytes in both directions, for CONNECT and extended CONNECT (RFC 9113 §8.5, RFC
//! 8441).
//!
//! Invariants: a bounded number of bytes waits to be sent; an end without `shutdown` resets the
//! stream, so that the peer cannot take truncated data for complete data.

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

/// A tunnel: reads the peer's data on a stream, and writes data to it.
///
/// On a server, [`accept`](Self::accept) creates it from the content of a CONNECT request, together
/// with the content for the response. On a client, the content of the request comes from
/// [`outgoing`], and [`new`](Self::new) joins the writer with the content of the response.
///
/// The peer may send as many further bytes as were read. `shutdown` closes our half of the stream.
/// Dropping the tunnel before `shutdown` resets the stream with CANCEL. Dropping it afterwards gives
/// the peer the time `exchange_timeouts.tunnel_end` to end its half; then a server resets the stream
/// with NO_ERROR, and a client with CANCEL.
#[derive(Debug)]
pub struct Tunnel {
    incoming: Body,
    /// The unread rest of a piece from `incoming`.
    piece: Bytes,
    writer: Writer,
}

/// Creates content that is written piece by piece, and its writer.
pub fn outgoing() -> (Writer, Outgoing) {
    let pipe = Arc::new(Pipe::default());
    (Writer(Arc::clone(&pipe)), Outgoing(pipe))
}

impl Tunnel {
    /// Joins incoming content with the writer of outgoing content.
    pub const fn new(incoming: Body, writer: Writer) -> Self {
        Self { incoming, piece: Bytes::new(), writer }
    }

    /// Creates a tunnel from the content of a request, and the content for the response.
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
                // A byte stream cannot represent trailers.
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

/// Writes the content of a message. At most 16 KiB wait to be sent. `shutdown` ends the content;
/// dropping the writer before that is an error that resets the stream with CANCEL.
pub struct Writer(Arc<Pipe>);

impl AsyncWrite for Writer {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.poll_write(cx, bytes)
    }

    /// The driver sends written data without a flush.
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

/// Content that a [`Writer`] writes.
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

/// The buffer between a writer and the driver. The lock belongs to this stream alone.
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

    /// Marks the stream as closed: the driver has dropped its side.
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

/// Converts the error of an exchange to one of a byte stream.
fn io_error(error: Error) -> io::Error {
    let kind = match &error {
        Error::Reset { .. } => io::ErrorKind::ConnectionReset,
        Error::Connection { .. } | Error::GoingAway => io::ErrorKind::ConnectionAborted,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}

const WAITING_BYTES_MAX: usize = 16 << 10;
