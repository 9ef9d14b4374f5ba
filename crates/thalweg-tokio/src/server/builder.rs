//! The options of a server.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use http::{Request, Response};
use thalweg::{Config, ConfigError, OwnedEvent};
use thalweg_http::exchange::Timeouts;
use thalweg_io::{CloseLimits, ConnectionEnd, Counters, Handle, Setup};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, ToSocketAddrs};
use tower_service::Service;

use super::{Connection, Server};
use crate::body::Body;
use crate::driver::DriverOptions;
use crate::driver::control::{ConnectionControl, OnNotice};
use crate::driver::tap::Tap;
use crate::error::BoxError;

/// The options of a server, from [`Server::builder`]. [`bind`](Self::bind) and
/// [`from_listener`](Self::from_listener) create a server,
/// [`serve_connection`](Self::serve_connection) serves one connection on any transport.
///
/// ```no_run
/// use std::convert::Infallible;
///
/// use http::Response;
/// use thalweg_tokio::{Body, Server, service_fn};
///
/// # async fn run() -> std::io::Result<()> {
/// let service = service_fn(|_| async { Ok::<_, Infallible>(Response::new(Body::empty())) });
/// let server = Server::builder().connections_max(50_000).bind("127.0.0.1:8080").await?;
/// server.serve(service).await?;
/// # Ok(())
/// # }
/// ```
pub struct Builder {
    pub(super) options: Options,
    pub(super) connections_max: usize,
}

/// The options that all connections of a server share.
pub(super) struct Options {
    pub(super) setup: Setup,
    pub(super) close_limits: CloseLimits,
    pub(super) h2c: Option<thalweg_h2c::Config>,
    pub(super) stream_handles: bool,
    pub(super) date: bool,
    pub(super) exchange_timeouts: Timeouts,
    pub(super) counters: Arc<Counters>,
    pub(super) hooks: Hooks,
    #[cfg(feature = "inspect")]
    monitor: Option<crate::inspect::ConnectionMonitor>,
    #[cfg(feature = "rustls")]
    pub(super) tls: Option<tokio_rustls::TlsAcceptor>,
}

/// The callbacks of a server.
#[derive(Default)]
pub(super) struct Hooks {
    pub(super) on_open: Option<Box<OnOpen>>,
    on_notice: Option<OnNotice<thalweg::Server>>,
    pub(super) on_end: Option<Box<OnEnd>>,
}

type OnOpen = dyn Fn(&Handle<thalweg::Server>, SocketAddr) + Send + Sync;
type OnEnd = dyn Fn(&ConnectionEnd) + Send + Sync;

impl Default for Builder {
    fn default() -> Self {
        let options = Options {
            setup: Setup::default(),
            close_limits: CloseLimits::default(),
            h2c: Some(thalweg_h2c::Config::default()),
            stream_handles: false,
            date: true,
            exchange_timeouts: Timeouts::default(),
            counters: Arc::default(),
            hooks: Hooks::default(),
            #[cfg(feature = "inspect")]
            monitor: None,
            #[cfg(feature = "rustls")]
            tls: None,
        };
        Self { options, connections_max: CONNECTIONS_MAX }
    }
}

impl Builder {
    /// Creates the default options.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the configuration of each connection.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.options.setup.config = config;
        self
    }

    /// Sets the limits on the first bytes of a cleartext connection, and whether Upgrade is
    /// accepted (default). `None`: only HTTP/2 with prior knowledge (RFC 9113 §3.3), and the server
    /// sends its preface immediately.
    #[must_use]
    pub fn h2c(mut self, h2c: impl Into<Option<thalweg_h2c::Config>>) -> Self {
        self.options.h2c = h2c.into();
        self
    }

    /// Sets the limits for the end of each connection.
    #[must_use]
    pub fn close_limits(mut self, limits: CloseLimits) -> Self {
        self.options.close_limits = limits;
        self
    }

    /// Adds a [`StreamHandle`](super::StreamHandle) to each request as an extension. Costs three
    /// allocations per request.
    #[must_use]
    pub fn stream_handles(mut self) -> Self {
        self.options.stream_handles = true;
        self
    }

    /// Sets whether each final response without a `date` field gets one (default). RFC 9110 §6.6.1:
    /// a server with a clock sends it.
    #[must_use]
    pub fn date(mut self, date: bool) -> Self {
        self.options.date = date;
        self
    }

    /// Sets how long unwanted halves of exchanges may live.
    #[must_use]
    pub fn exchange_timeouts(mut self, timeouts: Timeouts) -> Self {
        self.options.exchange_timeouts = timeouts;
        self
    }

    /// Adds what the connections do to `counters`, which others may share. Default: counters of
    /// this server, which [`Server::counters`] returns.
    #[must_use]
    pub fn counters(mut self, counters: Arc<Counters>) -> Self {
        self.options.counters = counters;
        self
    }

    /// Requires TLS on every connection, and serves those that negotiate `h2` by ALPN (RFC 9113
    /// §3.2). Adds `h2` to a configuration without ALPN protocols. Rejects other clients, with an
    /// HTTP/1.1 response if they speak HTTP/1.1.
    #[cfg(feature = "rustls")]
    #[must_use]
    pub fn tls(mut self, config: impl Into<Arc<crate::rustls::ServerConfig>>) -> Self {
        self.options.tls = Some(thalweg_io::tls::server_config(config.into()).into());
        self
    }

    /// Records each connection. [`RecordingStore`](thalweg_record::RecordingStore) describes the
    /// destination, the limits, and the retention.
    #[cfg(feature = "record")]
    #[must_use]
    pub fn record(mut self, recordings: &thalweg_record::RecordingStore) -> Self {
        self.options.setup.recordings = Some(recordings.clone());
        self
    }

    /// Registers each connection with a [`ConnectionMonitor`](crate::inspect::ConnectionMonitor),
    /// which documents the cost.
    #[cfg(feature = "inspect")]
    #[must_use]
    pub fn inspect(mut self, monitor: &crate::inspect::ConnectionMonitor) -> Self {
        self.options.monitor = Some(monitor.clone());
        self
    }

    /// Sets the maximum of concurrent connections. Default 10,000. When another client connects at
    /// the limit, the server shuts down the connections that have been idle for longest, with
    /// GOAWAY: an eighth of the idle ones, at least 1 and at most 32. The new client waits while no
    /// connection is idle. An evicted connection gives its place at once: up to 64 of them linger
    /// beside the limit until their clients close (see [`close_limits`](Self::close_limits)).
    ///
    /// A connection with a stream is not idle. What bounds a stream whose peer does nothing are
    /// `timeouts.content` and `timeouts.stall`; they do not bound gRPC, CONNECT, and handlers that
    /// do not answer. A service with those needs limits of its own for each client.
    #[must_use]
    pub fn connections_max(mut self, connections_max: usize) -> Self {
        self.connections_max = connections_max;
        self
    }

    /// Sets a callback for each accepted connection, before anything is read from it, with its
    /// handle and the peer's address. Frames sent through the handle in the callback, for example
    /// ORIGIN, directly follow the server's SETTINGS.
    #[must_use]
    pub fn on_open(
        mut self,
        on_open: impl Fn(&Handle<thalweg::Server>, SocketAddr) + Send + Sync + 'static,
    ) -> Self {
        self.options.hooks.on_open = Some(Box::new(on_open));
        self
    }

    /// Sets a callback for connection-level events of clients: settings, priorities, extension
    /// frames. It runs in the connection's task and should only forward its arguments.
    #[must_use]
    pub fn on_notice(
        mut self,
        on_notice: impl Fn(&Handle<thalweg::Server>, OwnedEvent) + Send + Sync + 'static,
    ) -> Self {
        self.options.hooks.on_notice = Some(Arc::new(on_notice));
        self
    }

    /// Sets a callback for the end of each connection.
    #[must_use]
    pub fn on_end(mut self, on_end: impl Fn(&ConnectionEnd) + Send + Sync + 'static) -> Self {
        self.options.hooks.on_end = Some(Box::new(on_end));
        self
    }

    /// Listens on an address.
    ///
    /// # Errors
    /// The error of the operating system, for example that the port is in use.
    pub async fn bind(self, addr: impl ToSocketAddrs) -> io::Result<Server> {
        TcpListener::bind(addr).await.map(|listener| self.from_listener(listener))
    }

    /// Uses an existing listener.
    #[allow(clippy::wrong_self_convention, reason = "the listener is what the server is made from")]
    pub fn from_listener(self, listener: TcpListener) -> Server {
        Server::new(listener, self)
    }

    /// Serves `service` on one transport from which nothing was read yet, with prior knowledge
    /// (RFC 9113 §3.3). The options of listening, TLS, `h2c`, `connections_max` and `on_open`, are
    /// not used.
    ///
    /// # Errors
    /// The first field of the configuration that is outside its range.
    pub fn serve_connection<IO, S, B>(self, io: IO, service: S) -> Result<Connection<IO, S, B>, ConfigError>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
        S: Service<Request<Body>, Response = Response<B>>,
        S::Error: Into<BoxError>,
        B: http_body::Body,
        B::Error: Into<BoxError>,
    {
        Connection::standalone(io, service, self.options)
    }
}

impl Options {
    /// Returns the options for the driver of one connection.
    pub(super) fn for_driver(
        &self,
        control: Arc<ConnectionControl<thalweg::Server>>,
        remote: Option<SocketAddr>,
    ) -> DriverOptions<thalweg::Server> {
        DriverOptions {
            control,
            remote,
            close_limits: self.close_limits,
            counters: Some(Arc::clone(&self.counters)),
            on_notice: self.hooks.on_notice.clone(),
            tap: self.tap(remote),
        }
    }

    #[cfg(feature = "inspect")]
    fn tap(&self, remote: Option<SocketAddr>) -> Tap {
        self.monitor.as_ref().map(|monitor| Tap::new(monitor, remote, false)).unwrap_or_default()
    }

    #[cfg(not(feature = "inspect"))]
    fn tap(&self, _: Option<SocketAddr>) -> Tap {
        Tap::default()
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("setup", &self.options.setup)
            .field("connections_max", &self.connections_max)
            .finish_non_exhaustive()
    }
}

const CONNECTIONS_MAX: usize = 10_000;
