//! The response to a request of a client, before its headers have arrived.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::body::Body;
use crate::body::exchange::{Exchange, Interest, StreamCommand, WaitResult};
use crate::error::Error;
use crate::handle::StreamHandle;
use crate::message::{Request, Response};

/// The response to a request that was started. Dropping it cancels the request (RST_STREAM with
/// CANCEL).
pub struct PendingResponse {
    exchange: Option<Arc<Exchange>>,
    pub(crate) time_limit: Option<Duration>,
}

impl PendingResponse {
    pub(crate) fn new(exchange: Arc<Exchange>, time_limit: Option<Duration>) -> Self {
        Self { exchange: Some(exchange), time_limit }
    }

    /// Waits for an informational response, for example 103 (RFC 8297). Returns `None` when the
    /// final response has arrived, which [`wait`](Self::wait) returns. Keeps the last 16 that were
    /// not read.
    ///
    /// # Errors
    /// Those of [`wait`](Self::wait).
    pub fn informational(&mut self) -> Result<Option<Response<()>>, Error> {
        let deadline = self.time_limit.map(|limit| Instant::now() + limit);
        self.exchange().wait_informational(deadline)
    }

    /// Returns the handle to the stream: its priority, its padding, and its extension frames.
    pub fn handle(&self) -> StreamHandle {
        StreamHandle::new(Arc::clone(self.exchange()))
    }

    /// Waits for the headers of the response.
    ///
    /// # Errors
    /// The stream ended early, or the time limit expired.
    pub fn wait(self) -> Result<Response<Body>, Error> {
        let interest = Interest { head: true, ..Interest::default() };
        loop {
            let sent = self.exchange().chunks_sent();
            let deadline = self.time_limit.map(|limit| Instant::now() + limit);
            match self.exchange().wait_for(interest, &mut Vec::new(), deadline) {
                WaitResult::Head(head) => return Ok(self.into_response(head)),
                WaitResult::Failed(error) => return Err(error),
                // An upload that makes progress is no wait for the server.
                WaitResult::TimedOut if self.exchange().chunks_sent() == sent => return Err(Error::TimedOut),
                _ => {}
            }
        }
    }

    fn into_response(mut self, head: Response<()>) -> Response<Body> {
        let exchange = Arc::clone(self.exchange());
        let body = Body::of_response(exchange, self.time_limit);
        // From here on, dropping the body cancels the stream.
        self.exchange = None;
        head.replace_body(body).0
    }

    pub(crate) fn exchange(&self) -> &Arc<Exchange> {
        self.exchange.as_ref().expect("it is taken with `self`")
    }
}

impl Drop for PendingResponse {
    fn drop(&mut self) {
        if let Some(exchange) = &self.exchange {
            exchange.submit(StreamCommand::DropReader);
        }
    }
}

impl fmt::Debug for PendingResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingResponse").finish_non_exhaustive()
    }
}

/// A response that the server pushes. Dropping `response` cancels it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Pushed {
    /// The request that the server is answering.
    pub request: Request<()>,
    /// The response.
    pub response: PendingResponse,
}
