//! The body of a received message.

pub(crate) mod inbox;
pub(crate) mod sender;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use self::inbox::Inbox;
use crate::error::Error;

/// The content of a received message: a request's on a server, a response's on a client.
///
/// The peer may send as many further bytes as were polled out of the body, so a slow reader slows
/// the peer down. Dropping the body counts the unread bytes as consumed; on a client it also
/// cancels the exchange. Trailers are the last frame.
///
/// Each piece is as long as the peer's data was, up to the stream's window. Polling copies nothing.
/// If the stream is reset, the body yields the content that had arrived and then the error; a
/// handler that runs on the connection's task is dropped immediately instead.
pub struct Body(Kind);

enum Kind {
    Empty,
    /// Content that is already complete.
    Whole(Bytes),
    Coming(Arc<Inbox>),
}

impl Body {
    /// Returns a body without content.
    pub const fn empty() -> Self {
        Self(Kind::Empty)
    }

    pub(crate) const fn new(inbox: Arc<Inbox>) -> Self {
        Self(Kind::Coming(inbox))
    }

    fn bytes_left(&self) -> Option<u64> {
        match &self.0 {
            Kind::Empty => Some(0),
            Kind::Whole(bytes) => Some(bytes.len() as u64),
            Kind::Coming(inbox) => inbox.bytes_left(),
        }
    }
}

impl Default for Body {
    fn default() -> Self {
        Self::empty()
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self(if bytes.is_empty() { Kind::Empty } else { Kind::Whole(bytes) })
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match &mut self.0 {
            Kind::Empty => Poll::Ready(None),
            Kind::Whole(bytes) => {
                let frame = Frame::data(std::mem::take(bytes));
                self.0 = Kind::Empty;
                Poll::Ready(Some(Ok(frame)))
            }
            Kind::Coming(inbox) => inbox.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Empty => true,
            Kind::Whole(_) => false,
            Kind::Coming(inbox) => inbox.is_end(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.bytes_left().map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        if let Kind::Coming(inbox) = &self.0 {
            inbox.drop_reader();
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("bytes_left", &self.bytes_left()).finish()
    }
}
