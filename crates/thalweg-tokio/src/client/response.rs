//! The future of a response.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use tokio::sync::OwnedSemaphorePermit;

use crate::body::Body;
use crate::body::inbox::Inbox;
use crate::error::Error;

use super::streams::PendingRequest;
use super::{Acquire, Shared};

/// The response to a request, as a future. Dropping it cancels the request.
#[must_use = "dropping the future cancels the request"]
pub struct ResponseFuture<B>(State<B>);

enum State<B> {
    /// The number of open streams is at the peer's limit.
    Waiting {
        shared: Arc<Shared<B>>,
        acquire: Acquire,
        request: Option<Box<Request<B>>>,
    },
    /// The driver has the request.
    Submitted(PendingResponse),
    /// The request could not be submitted.
    Failed(Option<Error>),
    Done,
}

/// An inbox whose reader is dropped unless the body takes it over.
pub(crate) struct PendingResponse(Option<Arc<Inbox>>);

impl PendingResponse {
    /// Wraps an inbox.
    pub(crate) const fn new(inbox: Arc<Inbox>) -> Self {
        Self(Some(inbox))
    }

    /// Waits for the response. Its body takes the inbox over.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Response<Body>, Error>> {
        // Polled after completion.
        let Some(inbox) = &self.0 else { return Poll::Pending };
        let head = ready!(inbox.poll_head(cx));
        let inbox = self.0.take();
        Poll::Ready(head.map(|head| head.map(|()| inbox.map_or_else(Body::empty, Body::new))))
    }
}

impl Drop for PendingResponse {
    fn drop(&mut self) {
        if let Some(inbox) = &self.0 {
            inbox.drop_reader();
        }
    }
}

// Request bodies are not pinned here, only passed to the driver.
impl<B> Unpin for ResponseFuture<B> {}

impl<B> ResponseFuture<B> {
    pub(crate) fn submitted(shared: &Shared<B>, request: Request<B>, permit: OwnedSemaphorePermit) -> Self {
        let inbox = Arc::new(Inbox::new(None));
        let pending = PendingRequest { request, inbox: Arc::clone(&inbox), permit };
        Self(match shared.submitted.send(pending) {
            Ok(()) => State::Submitted(PendingResponse::new(inbox)),
            Err(_) => State::Failed(Some(shared.closed())),
        })
    }

    pub(crate) fn waiting(shared: Arc<Shared<B>>, request: Request<B>) -> Self {
        let acquire = Box::pin(Arc::clone(&shared.permits).acquire_owned());
        Self(State::Waiting { shared, acquire, request: Some(Box::new(request)) })
    }
}

impl<B> Future for ResponseFuture<B> {
    type Output = Result<Response<Body>, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        loop {
            match &mut this.0 {
                State::Waiting { shared, acquire, request } => {
                    let permit = ready!(acquire.as_mut().poll(cx));
                    let next = match (permit, request.take()) {
                        (Ok(permit), Some(request)) => Self::submitted(shared, *request, permit),
                        _ => Self(State::Failed(Some(shared.closed()))),
                    };
                    *this = next;
                }
                State::Submitted(response) => return response.poll(cx),
                State::Failed(error) => {
                    let error = error.take();
                    this.0 = State::Done;
                    return error.map_or(Poll::Pending, |error| Poll::Ready(Err(error)));
                }
                // Polled after completion.
                State::Done => return Poll::Pending,
            }
        }
    }
}

impl<B> fmt::Debug for ResponseFuture<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
