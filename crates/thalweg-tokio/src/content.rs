//! The content of a message on its way to the peer: a body that is polled as fast as its stream takes it.
//!
//! Keeps true: at most one piece of the body is held, and the body is not polled while any of it is left; whatever cuts a body
//! short is a failure for the caller to turn into a reset, never an early end.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Buf;
use http_body::Body;
use pin_project_lite::pin_project;
use thalweg::{Role, SendError, Stream, map_fields};

use crate::error::{BoxError, Error};
use crate::record::Connection;

pin_project! {
    /// A body and the piece of it that its stream did not take yet.
    pub struct Content<B: Body> {
        #[pin]
        body: B,
        piece: Option<B::Data>,
        is_last: bool,
    }
}

/// How far sending has come.
#[derive(Debug)]
pub enum Progress {
    /// The body has nothing yet, or the stream takes no more for now: a waker or `poll_writable` will tell.
    Waiting,
    /// There is more at once, but it is time for other streams.
    Yielding,
    /// Our half of the stream has ended.
    Ended,
    /// The stream is gone; whoever ended it says so elsewhere.
    Gone,
    /// The body failed, or does not fit what was announced: the stream must be reset.
    Failed(Error),
}

impl<B> Content<B>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    /// Takes a body whose headers were sent without END_STREAM.
    pub const fn new(body: B) -> Self {
        Self { body, piece: None, is_last: false }
    }

    /// Sends what the body has and the stream takes, with `pad_len` bytes of padding in each frame.
    pub fn poll_send<R: Role>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        connection: &mut Connection<R>,
        stream: Stream,
        pad_len: Option<u8>,
    ) -> Progress {
        match self.send(cx, connection, stream, pad_len) {
            Ok(progress) => progress,
            // What ended the stream or the connection has told the application by itself.
            Err(Error::Send(SendError::StreamGone | SendError::Connection(_))) => Progress::Gone,
            Err(error) => Progress::Failed(error),
        }
    }

    fn send<R: Role>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        connection: &mut Connection<R>,
        stream: Stream,
        pad_len: Option<u8>,
    ) -> Result<Progress, Error> {
        let mut this = self.project();
        for _ in 0..FRAMES_MAX {
            if let Some(piece) = this.piece {
                match pad_len {
                    None => connection.send_buf(stream, piece, *this.is_last)?,
                    Some(pad_len) => send_padded(connection, stream, piece, *this.is_last, pad_len)?,
                };
                if piece.has_remaining() {
                    return Ok(Progress::Waiting);
                }
                *this.piece = None;
                if *this.is_last {
                    return Ok(Progress::Ended);
                }
            }
            match this.body.as_mut().poll_frame(cx) {
                Poll::Pending => return Ok(Progress::Waiting),
                Poll::Ready(None) => {
                    connection.send_data(stream, &[], true)?;
                    return Ok(Progress::Ended);
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
                        return Ok(Progress::Ended);
                    }
                },
            }
        }
        Ok(Progress::Yielding)
    }
}

/// Sends a piece with padding in each frame.
fn send_padded<R: Role>(
    connection: &mut Connection<R>,
    stream: Stream,
    piece: &mut impl Buf,
    is_last: bool,
    pad_len: u8,
) -> Result<usize, SendError> {
    let mut taken = 0;
    loop {
        let chunk = piece.chunk();
        let (len, is_rest) = (chunk.len(), chunk.len() == piece.remaining());
        let sent = connection.send_data_padded(stream, chunk, is_last && is_rest, pad_len)?;
        piece.advance(sent);
        taken += sent;
        if is_rest || sent < len {
            return Ok(taken);
        }
    }
}

/// Frames of one body before others get their turn.
const FRAMES_MAX: usize = 32;
