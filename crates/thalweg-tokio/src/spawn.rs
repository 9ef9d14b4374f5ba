//! Handlers on separate tasks.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::task::JoinHandle;
use tower_service::Service;

use crate::error::BoxError;

/// Runs each call of a service on a separate task, so that a handler that computes for long does
/// not delay the other streams of its connection. Costs one task per request.
///
/// Dropping the future of a call aborts the task at its next await point. A panic becomes an error.
#[derive(Clone, Copy, Debug)]
pub struct SpawnHandlers<S>(pub S);

impl<S, R> Service<R> for SpawnHandlers<S>
where
    S: Service<R>,
    S::Future: Send + 'static,
    S::Response: Send + 'static,
    S::Error: Into<BoxError> + Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = SpawnedHandler<S::Response, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: R) -> Self::Future {
        SpawnedHandler(tokio::spawn(self.0.call(request)))
    }
}

/// A call that runs on a separate task.
#[derive(Debug)]
pub struct SpawnedHandler<T, E>(JoinHandle<Result<T, E>>);

impl<T, E: Into<BoxError>> Future for SpawnedHandler<T, E> {
    type Output = Result<T, BoxError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(match ready!(Pin::new(&mut self.0).poll(cx)) {
            Ok(outcome) => outcome.map_err(Into::into),
            Err(panic) => Err(panic.into()),
        })
    }
}

impl<T, E> Drop for SpawnedHandler<T, E> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
