//! The content of a message on its way to the peer: a body that is polled as fast as its stream takes it.
//!
//! Keeps true: at most one piece of the body is held, and the body is not polled while any of it is left; whatever cuts a body
//! short is a failure for the caller to turn into a reset, never an early end.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use http_body::Body;
use pin_project_lite::pin_project;
use thalweg::{Role, SendError, StreamKey, map_fields};

use crate::error::{BoxError, Error};
use crate::splicing::SplicingConnection;

pin_project! {
    /// A body and the piece of it that its stream did not take yet.
    pub struct BodySender<B: Body> {
        #[pin]
        body: B,
        piece: Option<B::Data>,
        // The front of the piece, if it is sent from where it lies.
        staged: Bytes,
        is_last: bool,
    }
}

/// How far sending has come.
#[derive(Debug)]
pub enum SendStatus {
    /// The body has nothing yet, or the stream takes no more for now: a waker or `poll_writable` will tell.
    Waiting,
    /// There is more at once, but it is time for other streams.
    Yielding,
    /// Our half of the stream has ended.
    Ended,
    /// The stream is gone; whoever ended it says so elsewhere.
    Closed,
    /// The body failed, or does not fit what was announced: the stream must be reset.
    Failed(Error),
}

impl<B> BodySender<B>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    /// Takes a body whose headers were sent without END_STREAM.
    pub const fn new(body: B) -> Self {
        Self { body, piece: None, staged: Bytes::new(), is_last: false }
    }

    /// Sends what the body has and the stream takes, with `pad_len` bytes of padding in each frame.
    pub fn poll_send<R: Role>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        connection: &mut SplicingConnection<R>,
        stream: StreamKey,
        pad_len: Option<u8>,
    ) -> SendStatus {
        match self.send(cx, connection, stream, pad_len) {
            Ok(status) => status,
            // What ended the stream or the connection has told the application by itself.
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
    ) -> Result<SendStatus, Error> {
        let mut this = self.project();
        for _ in 0..FRAMES_MAX {
            if let Some(piece) = this.piece {
                match pad_len {
                    Some(pad_len) if this.staged.is_empty() => {
                        send_padded(connection, stream, piece, *this.is_last, pad_len)?;
                    }
                    _ => send_piece(connection, stream, this.staged, piece, *this.is_last)?,
                }
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
                    // An end alone is always taken.
                    connection.send_data(stream, &[], true)?;
                    return Ok(SendStatus::Ended);
                }
                Poll::Ready(Some(Err(error))) => return Err(Error::Body(Arc::from(error.into()))),
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(piece) => {
                        *this.is_last = this.body.is_end_stream();
                        *this.piece = Some(piece);
                    }
                    Err(frame) => {
                        // Frames of kinds that are yet to be invented have no place on the wire.
                        let Ok(trailers) = frame.into_trailers() else { continue };
                        connection.send_trailers(stream, map_fields(&trailers))?;
                        return Ok(SendStatus::Ended);
                    }
                },
            }
        }
        Ok(SendStatus::Yielding)
    }
}

/// Sends a piece: a long one from where it lies, in stages, a short one by a copy.
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
            // Free for `Bytes`; other buffers are copied here, and foreign code must not run once a frame's head is written.
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

/// Frames of one body before others get their turn.
const FRAMES_MAX: usize = 32;
/// Bytes of a piece that are staged at once.
const STAGE_BYTES_MAX: usize = 64 << 10;
