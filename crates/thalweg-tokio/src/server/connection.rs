//! One connection of a server.

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use thalweg::{Config, ConfigError};
use thalweg_io::{Connection as Core, ConnectionEnd, Handle};
use tokio::io::{AsyncRead, AsyncWrite};
use tower_service::Service;

use super::builder::{Builder, Options};
use super::negotiate::{Negotiated, upgraded_request};
use super::streams::ServerStreams;
use crate::body::Body;
use crate::driver::control::ConnectionControl;
use crate::driver::{Driver, DriverOptions};
use crate::error::BoxError;
use crate::trace;

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
    /// The options of a connection that reports its own end, because no listener does.
    standalone: Option<Box<Options>>,
}

impl<IO, S, B> Connection<IO, S, B>
where
    IO: AsyncRead + AsyncWrite + Unpin,
    S: Service<Request<Body>, Response = Response<B>>,
    S::Error: Into<BoxError>,
    B: http_body::Body,
    B::Error: Into<BoxError>,
{
    /// Serves `service` on a transport from which nothing was read yet. Other options:
    /// [`Builder::serve_connection`].
    ///
    /// # Errors
    /// The first field of `config` that is outside its range.
    pub fn new(io: IO, service: S, config: Config) -> Result<Self, ConfigError> {
        Builder::new().config(config).serve_connection(io, service)
    }

    pub(super) fn standalone(io: IO, service: S, options: Options) -> Result<Self, ConfigError> {
        let core = options.setup.start()?;
        let connection = Self::begin(io, core, service, &options, options.for_driver(Arc::default(), None));
        if let Some(counters) = connection.driver.counters() {
            counters.connection_opened();
        }
        Ok(Self { standalone: Some(Box::new(options)), ..connection })
    }

    fn begin(
        io: IO,
        core: Core<thalweg::Server>,
        service: S,
        options: &Options,
        for_driver: DriverOptions<thalweg::Server>,
    ) -> Self {
        let streams =
            ServerStreams::new(service, options.stream_handles, options.date, options.exchange_timeouts);
        Self { driver: Driver::new(io, core, streams, for_driver), standalone: None }
    }

    /// Creates the connection after a negotiation. Returns the transport if the Upgrade is
    /// unusable.
    pub(super) fn negotiated(
        io: IO,
        negotiated: Negotiated,
        service: S,
        options: &Options,
        control: Arc<ConnectionControl<thalweg::Server>>,
        remote: SocketAddr,
    ) -> Result<Self, IO> {
        let for_driver = options.for_driver(control, Some(remote));
        let Negotiated { prefetched, upgrade } = negotiated;
        let Some(upgrade) = upgrade else {
            let Ok(core) = options.setup.start() else { return Err(io) };
            let mut connection = Self::begin(io, core, service, options, for_driver);
            connection.driver.io().set_prefetched(prefetched);
            return Ok(connection);
        };
        let (response, settings, request) = (upgrade.response(), upgrade.settings, upgrade.request);
        let Ok((core, stream)) = options.setup.start_upgraded(&settings, request.method.as_bytes()) else {
            return Err(io);
        };
        let Ok(request) = upgraded_request(request) else { return Err(io) };
        let mut connection = Self::begin(io, core, service, options, for_driver);
        connection.driver.host().enqueue(stream, request, None);
        connection.driver.io().set_prefetched(prefetched);
        connection.driver.io().prepend_output(response);
        Ok(connection)
    }

    /// Returns the handle that shuts the connection down and sends connection-level frames.
    pub fn handle(&self) -> Handle<thalweg::Server> {
        self.driver.handle()
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
        if let Some(options) = &this.standalone {
            trace::connection_ended(&end);
            if let Some(counters) = this.driver.counters() {
                counters.connection_ended(&end);
            }
            if let Some(on_end) = &options.hooks.on_end {
                on_end(&end);
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
