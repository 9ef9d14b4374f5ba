//! Handlers on separate tasks.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use pin_project_lite::pin_project;
use tokio::task::JoinHandle;
use tower_service::Service;

use crate::error::BoxError;

/// Runs each call of a service on a separate task, so that a handler that computes for long does
/// not delay the other streams of its connection. Costs one task per request;
/// [`when_slow`](Self::when_slow) spawns tasks only while handlers are slow.
///
/// Only the future that `call` returns runs there, not `call` itself. Dropping the future of a call
/// aborts the task at its next await point. A panic becomes an error.
#[derive(Clone, Copy, Debug)]
pub struct SpawnHandlers<S>(pub S);

impl<S> SpawnHandlers<S> {
    /// Spawns handlers only after one has blocked: handlers run in the task of their connection
    /// until a poll of one takes 5 ms; handlers that start within the next ten seconds, on all
    /// connections, run on separate tasks.
    ///
    /// The first slow handler still delays its connection. Costs two readings of the clock for each
    /// poll of a handler.
    pub fn when_slow(service: S) -> SpawnWhenSlow<S> {
        SpawnWhenSlow { service, slowness: Arc::default() }
    }
}

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

/// A service whose handlers run on separate tasks while some of them block. Created by
/// [`SpawnHandlers::when_slow`]. Clones, one for each connection, share the state.
#[derive(Clone, Debug)]
pub struct SpawnWhenSlow<S> {
    service: S,
    slowness: Arc<Slowness>,
}

impl<S, R> Service<R> for SpawnWhenSlow<S>
where
    S: Service<R>,
    S::Future: Send + 'static,
    S::Response: Send + 'static,
    S::Error: Into<BoxError> + Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = MaybeSpawnedHandler<S::Future, S::Response, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.service.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let spawns = self.slowness.is_recent();
        let handler =
            TimedHandler { handler: self.service.call(request), slowness: Arc::clone(&self.slowness) };
        let place = if spawns {
            Place::Task { handler: SpawnedHandler(tokio::spawn(handler)) }
        } else {
            Place::Inline { handler }
        };
        MaybeSpawnedHandler { place }
    }
}

pin_project! {
    /// A call of [`SpawnWhenSlow`].
    pub struct MaybeSpawnedHandler<F, T, E> {
        #[pin]
        place: Place<F, T, E>,
    }
}

pin_project! {
    /// The place where a handler runs.
    #[project = PlaceProjection]
    enum Place<F, T, E> {
        Inline { #[pin] handler: TimedHandler<F> },
        Task { handler: SpawnedHandler<T, E> },
    }
}

impl<F, T, E> Future for MaybeSpawnedHandler<F, T, E>
where
    F: Future<Output = Result<T, E>>,
    E: Into<BoxError>,
{
    type Output = Result<T, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().place.project() {
            PlaceProjection::Inline { handler } => handler.poll(cx).map_err(Into::into),
            PlaceProjection::Task { handler } => Pin::new(handler).poll(cx),
        }
    }
}

impl<F, T, E> std::fmt::Debug for MaybeSpawnedHandler<F, T, E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MaybeSpawnedHandler")
    }
}

pin_project! {
    /// A handler whose polls are timed.
    struct TimedHandler<F> {
        #[pin]
        handler: F,
        slowness: Arc<Slowness>,
    }
}

impl<F: Future> Future for TimedHandler<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let start = Instant::now();
        let polled = this.handler.poll(cx);
        let end = Instant::now();
        if end.duration_since(start) >= SLOW_POLL {
            this.slowness.note(end);
            LAST_HANDLED.set(Some(end));
        }
        polled
    }
}

thread_local! {
    /// The end of the last slow poll on this thread after which requests are spawned.
    static LAST_HANDLED: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Returns whether a slow poll that this thread started at `start` belongs to a service that spawns
/// its requests from now on.
pub(crate) fn is_handled(start: Instant) -> bool {
    LAST_HANDLED.get().is_some_and(|end| end >= start)
}

/// The time of the last slow handler.
#[derive(Debug, Default)]
struct Slowness {
    /// The time until which handlers are spawned, in nanoseconds after `ORIGIN`; 0 if none was
    /// slow.
    until: AtomicU64,
}

impl Slowness {
    fn note(&self, now: Instant) {
        self.until.fetch_max(nanos(now + SPAWN_TIME), Ordering::Relaxed);
    }

    /// Reads the clock only if a handler has been slow.
    fn is_recent(&self) -> bool {
        let until = self.until.load(Ordering::Relaxed);
        until > 0 && nanos(Instant::now()) < until
    }
}

fn nanos(at: Instant) -> u64 {
    u64::try_from(at.saturating_duration_since(*ORIGIN).as_nanos()).unwrap_or(u64::MAX)
}

static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
/// A poll that delays a connection noticeably. A shorter limit would count too many handlers that
/// were only preempted on a busy machine.
const SLOW_POLL: Duration = Duration::from_millis(5);
/// Time for which handlers are spawned after the last slow poll.
const SPAWN_TIME: Duration = Duration::from_secs(10);
