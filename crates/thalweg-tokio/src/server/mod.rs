//! The server: connections on any transport, and a listener.

mod accept;
mod date;
mod poll_timer;
mod stream;
mod stream_handle;
mod streams;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use thalweg::{Config, ConfigError, OwnedEvent};
use tokio::io::{AsyncRead, AsyncWrite};
use tower_service::Service;

use crate::body::Body;
use crate::control::{ConnectionControl, Handle};
use crate::counters::Counters;
use crate::driver::Driver;
use crate::error::{BoxError, ConnectionEnd};
use crate::negotiate;
use crate::record::{Connection as Core, Setup};
use crate::trace;

pub use crate::negotiate::{ConnectionOutcome, NegotiationError};
pub use accept::{ServeStats, Server};
pub use stream_handle::StreamHandle;

use streams::ServerStreams;

/// One connection of a server, as a future that drives it to its end.
///
/// It owns the transport. Handlers and response bodies are polled inside it, so they run on its
/// task; [`SpawnHandlers`](crate::SpawnHandlers) is for handlers that compute for long. Dropping
/// the connection drops its handlers and closes the transport without GOAWAY.
#[must_use = "a connection does nothing unless it is polled"]
pub struct Connection<IO, S, B>
where
    S: Service<Request<Body>>,
    B: http_body::Body,
    ServerStreams<S, B>: crate::driver::Host,
{
    driver: Driver<IO, ServerStreams<S, B>>,
    /// Whether the connection logs its own end, because no listener does.
    is_standalone: bool,
}

impl<IO, S, B> Connection<IO, S, B>
where
    IO: AsyncRead + AsyncWrite + Unpin,
    S: Service<Request<Body>, Response = Response<B>>,
    S::Error: Into<BoxError>,
    B: http_body::Body,
    B::Error: Into<BoxError>,
{
    /// Serves `service` on a transport from which nothing was read yet.
    ///
    /// # Errors
    /// The first field of `config` that is outside its range.
    pub fn new(io: IO, service: S, config: Config) -> Result<Self, ConfigError> {
        Self::standalone(io, service, &Setup::from(config))
    }

    /// Serves `service`, and records the connection.
    ///
    /// # Errors
    /// The first field of `config` that is outside its range.
    #[cfg(feature = "record")]
    pub fn recorded(
        io: IO,
        service: S,
        config: Config,
        recordings: &thalweg_record::RecordingStore,
    ) -> Result<Self, ConfigError> {
        Self::standalone(io, service, &Setup { config, recordings: Some(recordings.clone()) })
    }

    fn standalone(io: IO, service: S, setup: &Setup) -> Result<Self, ConfigError> {
        let connection = Self::begin(io, setup.start()?, service, Arc::default());
        Ok(Self { is_standalone: true, ..connection })
    }

    fn begin(
        io: IO,
        core: Core<thalweg::Server>,
        service: S,
        control: Arc<ConnectionControl<thalweg::Server>>,
    ) -> Self {
        Self { driver: Driver::new(io, core, ServerStreams::new(service), control), is_standalone: false }
    }

    /// Creates the connection after a negotiation. Returns `None` and the transport if the Upgrade
    /// is unusable.
    fn negotiated(
        io: IO,
        negotiated: negotiate::Negotiated,
        service: S,
        setup: &Setup,
        control: Arc<ConnectionControl<thalweg::Server>>,
    ) -> Result<Self, IO> {
        let negotiate::Negotiated { prefetched, upgrade } = negotiated;
        let Some(upgrade) = upgrade else {
            let Ok(core) = setup.start() else { return Err(io) };
            let mut connection = Self::begin(io, core, service, control);
            connection.driver.io().set_prefetched(prefetched);
            return Ok(connection);
        };
        let (response, settings, request) = (upgrade.response(), upgrade.settings, upgrade.request);
        let Ok((core, stream)) = setup.upgraded(&settings, request.method.as_bytes()) else {
            return Err(io);
        };
        let Ok(request) = negotiate::upgraded_request(request) else { return Err(io) };
        let mut connection = Self::begin(io, core, service, control);
        connection.driver.host().enqueue(stream, request, None);
        connection.driver.io().set_prefetched(prefetched);
        connection.driver.io().prepend_output(response);
        Ok(connection)
    }

    /// Adds a [`StreamHandle`] to each request as an extension. Costs three allocations per
    /// request.
    pub fn stream_handles(mut self) -> Self {
        self.driver.host().attach_handles();
        self
    }

    /// Adds what the connection does to `counters`, which other connections may share.
    pub fn counters(mut self, counters: Arc<Counters>) -> Self {
        counters.count_opened();
        self.driver.set_counters(counters);
        self
    }

    /// Registers the connection with a [`ConnectionMonitor`](crate::inspect::ConnectionMonitor);
    /// `peer` is only displayed.
    #[cfg(feature = "inspect")]
    pub fn inspect(
        mut self,
        monitor: &crate::inspect::ConnectionMonitor,
        peer: Option<std::net::SocketAddr>,
    ) -> Self {
        self.driver.io().set_tap(crate::tap::Tap::new(monitor, peer, false));
        self
    }

    /// Returns the handle that shuts the connection down and sends connection-level frames.
    pub fn handle(&self) -> Handle<thalweg::Server> {
        self.driver.handle().clone()
    }

    /// Sets a callback for connection-level events of the client: settings, priorities, extension
    /// frames. It runs in the connection's task and should only forward its argument.
    pub fn on_notice(
        mut self,
        on_notice: impl Fn(&Handle<thalweg::Server>, OwnedEvent) + Send + Sync + 'static,
    ) -> Self {
        self.driver.set_on_notice(Arc::new(on_notice));
        self
    }
}

impl<IO, S, B> Future for Connection<IO, S, B>
where
    IO: AsyncRead + AsyncWrite + Unpin,
    S: Service<Request<Body>, Response = Response<B>>,
    S::Error: Into<BoxError>,
    B: http_body::Body,
    B::Error: Into<BoxError>,
{
    type Output = Arc<ConnectionEnd>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let end = ready!(Pin::new(&mut this.driver).poll(cx));
        if this.is_standalone {
            trace::connection_ended(&end);
            if let Some(counters) = this.driver.counters() {
                counters.count_ended(false, end.is_warning());
            }
        }
        Poll::Ready(end)
    }
}

impl<IO, S, B> fmt::Debug for Connection<IO, S, B>
where
    S: Service<Request<Body>>,
    B: http_body::Body,
    ServerStreams<S, B>: crate::driver::Host,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}
