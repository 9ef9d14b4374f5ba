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
/// A piece stays as the peer's data came, up to the stream's window in length. Polling costs no copy.
pub struct Body {
    inbox: Option<Arc<Inbox>>,
}

impl Body {
    /// A body without content.
    pub const fn empty() -> Self {
        Self { inbox: None }
    }

    pub(crate) const fn new(inbox: Arc<Inbox>) -> Self {
        Self { inbox: Some(inbox) }
    }
}

impl Default for Body {
    fn default() -> Self {
        Self::empty()
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match &self.inbox {
            None => Poll::Ready(None),
            Some(inbox) => inbox.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inbox.as_ref().is_none_or(|inbox| inbox.is_end())
    }

    fn size_hint(&self) -> SizeHint {
        match &self.inbox {
            None => SizeHint::with_exact(0),
            Some(inbox) => inbox.bytes_left().map_or_else(SizeHint::default, SizeHint::with_exact),
        }
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        if let Some(inbox) = &self.inbox {
            inbox.abandon();
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let left = self.inbox.as_ref().map_or(Some(0), |inbox| inbox.bytes_left());
        f.debug_struct("Body").field("bytes_left", &left).finish()
    }
}
