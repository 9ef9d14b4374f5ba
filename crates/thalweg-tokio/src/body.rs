//! The body of a message that was received.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use crate::error::Error;
use crate::inbox::Inbox;

/// The content of a received message: a request's on a server, a response's on a client.
///
/// The peer may send as much more as was polled out of it, so a slow reader slows the peer down. Dropping it
/// counts the rest as consumed; on a client it also cancels the exchange. Trailers come as the last frame.
///
/// A piece stays as the peer's data came, up to the stream's window in length. Polling costs no copy. If the stream is reset, what
/// had arrived comes first, and the error behind it; a handler that runs on the connection's task is dropped at once.
pub struct Body(Kind);

enum Kind {
    Empty,
    /// Content that is here already.
    Whole(Bytes),
    Coming(Arc<Inbox>),
}

impl Body {
    /// A body without content.
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
