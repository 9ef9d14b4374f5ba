//! The content of an outbound message: polls a body as fast as its stream accepts data.
//!
//! Invariants: the sender holds at most one piece of the body, and polls the body only when that
//! piece is sent; a body that ends early is reported as a failure, which the caller turns into a
//! reset, and never as the end of the content.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use http_body::Body;
use pin_project_lite::pin_project;
use thalweg::{Role, SendError, StreamKey};
use thalweg_http::content::LengthCheck;
use thalweg_io::SplicingConnection;

use crate::error::{BoxError, Error};
use crate::fields::send_trailers;

pin_project! {
    /// A body, and the piece of it that its stream has not accepted yet.
    pub struct BodySender<B: Body> {
        #[pin]
        body: B,
        piece: Option<B::Data>,
        // The front of the piece, if it is sent without a copy.
        staged: Bytes,
        is_last: bool,
        // Whether the stream has accepted content since the last `take_progress`.
        progress: bool,
        // Compares the content with the length that its headers announced.
        check: LengthCheck,
    }
}

/// The result of an attempt to send.
#[derive(Debug)]
pub(crate) enum SendStatus {
    /// The body is pending, or the stream accepts no more for now. A waker or `poll_writable`
    /// reports when to poll again.
    Waiting,
    /// More can be sent immediately, but other streams come first.
    Yielding,
    /// The local half of the stream is closed.
    Ended,
    /// The stream is closed. The event or call that closed it has already reported why.
    Closed,
    /// The body failed, or its length differs from the announced one. The caller must reset the
    /// stream.
    Failed(Error),
}

impl<B: Body> BodySender<B> {
    /// Returns whether the stream has accepted content since the last call.
    pub(crate) fn take_progress(self: Pin<&mut Self>) -> bool {
        std::mem::take(self.project().progress)
    }
}

impl<B: Body> BodySender<B> {
    /// Creates a sender for a body whose headers were sent without END_STREAM.
    pub(crate) const fn new(body: B, check: LengthCheck) -> Self {
        Self { body, piece: None, staged: Bytes::new(), is_last: false, progress: false, check }
    }

    /// Sends as much of the body as the stream accepts, with `pad_len` bytes of padding in each
    /// frame. `into_error` converts the body's error.
    pub(crate) fn poll_send<R: Role>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        connection: &mut SplicingConnection<R>,
        stream: StreamKey,
        pad_len: Option<u8>,
        into_error: fn(B::Error) -> BoxError,
    ) -> SendStatus {
        match self.send(cx, connection, stream, pad_len, into_error) {
            Ok(status) => status,
            // The application already knows what ended the stream or the connection.
            Err(Error::Send(SendError::StreamClosed | SendError::Connection(_))) => SendStatus::Closed,
            Err(error) => SendStatus::Failed(error),
        }
    }

    fn send<R: Role>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        connection: &mut SplicingConnection<R>,
        stream: StreamKey,
        pad_len: Option<u8>,
        into_error: fn(B::Error) -> BoxError,
    ) -> Result<SendStatus, Error> {
        let mut this = self.project();
        for _ in 0..FRAMES_MAX {
            if let Some(piece) = this.piece {
                let before = piece.remaining() + this.staged.len();
                match pad_len {
                    Some(pad_len) if this.staged.is_empty() => {
                        send_padded(connection, stream, piece, *this.is_last, pad_len)?;
                    }
                    _ => send_piece(connection, stream, this.staged, piece, *this.is_last)?,
                }
                *this.progress |= piece.remaining() + this.staged.len() < before;
                if piece.has_remaining() || this.staged.has_remaining() {
                    return Ok(SendStatus::Waiting);
                }
                *this.piece = None;
                if *this.is_last {
                    return Ok(SendStatus::Ended);
                }
            }
            match this.body.as_mut().poll_frame(cx) {
                Poll::Pending => return Ok(SendStatus::Waiting),
                Poll::Ready(None) => {
                    this.check.finish()?;
                    // The core always accepts END_STREAM without data.
                    connection.send_data(stream, &[], true)?;
                    return Ok(SendStatus::Ended);
                }
                Poll::Ready(Some(Err(error))) => return Err(Error::Body(Arc::from(into_error(error)))),
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(piece) => {
                        this.check.add(piece.remaining() as u64)?;
                        *this.is_last = this.body.is_end_stream();
                        if *this.is_last {
                            this.check.finish()?;
                        }
                        *this.piece = Some(piece);
                    }
                    Err(frame) => {
                        // A frame of a future kind cannot be represented in HTTP/2.
                        let Ok(trailers) = frame.into_trailers() else { continue };
                        this.check.finish()?;
                        send_trailers(connection, stream, &trailers)?;
                        return Ok(SendStatus::Ended);
                    }
                },
            }
        }
        Ok(SendStatus::Yielding)
    }
}

/// Sends a piece: a long one without a copy, in stages; a short one with a copy.
fn send_piece<R: Role>(
    connection: &mut SplicingConnection<R>,
    stream: StreamKey,
    staged: &mut Bytes,
    piece: &mut impl Buf,
    is_last: bool,
) -> Result<(), SendError> {
    loop {
        if staged.is_empty() {
            let len = piece.remaining();
            if !connection.splices(len) {
                return connection.send_buf(stream, piece, is_last).map(drop);
            }
            // Free for `Bytes`. Other buffers are copied here, because no foreign code may run once
            // a frame header is written.
            *staged = piece.copy_to_bytes(len.min(STAGE_BYTES_MAX));
        }
        connection.splice(stream, staged, is_last && !piece.has_remaining())?;
        if !staged.is_empty() || !piece.has_remaining() {
            return Ok(());
        }
    }
}

/// Sends a piece with padding in each frame.
fn send_padded<R: Role>(
    connection: &mut SplicingConnection<R>,
    stream: StreamKey,
    piece: &mut impl Buf,
    is_last: bool,
    pad_len: u8,
) -> Result<(), SendError> {
    loop {
        let chunk = piece.chunk();
        let (len, is_rest) = (chunk.len(), chunk.len() == piece.remaining());
        let sent = connection.send_data_padded(stream, chunk, is_last && is_rest, pad_len)?;
        piece.advance(sent);
        if is_rest || sent < len {
            return Ok(());
        }
    }
}

/// Frames sent for one body before other streams get their turn.
const FRAMES_MAX: usize = 32;
/// Bytes of a piece that are staged at a time.
const STAGE_BYTES_MAX: usize = 64 << 10;
