//! Services from functions.

use std::fmt;
use std::future::Future;
use std::task::{Context, Poll};

use tower_service::Service;

/// A service that calls a function for each request.
#[derive(Clone, Copy)]
pub struct ServiceFn<F> {
    function: F,
}

/// Creates a service from a function of a request.
pub const fn service_fn<F>(function: F) -> ServiceFn<F> {
    ServiceFn { function }
}

impl<F, R, A, T, E> Service<R> for ServiceFn<F>
where
    F: FnMut(R) -> A,
    A: Future<Output = Result<T, E>>,
{
    type Response = T;
    type Error = E;
    type Future = A;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), E>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: R) -> A {
        (self.function)(request)
    }
}

impl<F> fmt::Debug for ServiceFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServiceFn")
    }
}
