//! The options of a server, or of one connection of a server.

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use thalweg::{Config, ConfigError, OwnedEvent};
use thalweg_http::exchange::Timeouts as ExchangeTimeouts;
use thalweg_io::{CloseLimits, ConnectionEnd, Counters, Handle};

use super::{Pool, Server, ServerDriver};
use crate::driver::options::DriverOptions;
use crate::transport::Transport;

/// Builds a [`Server`], or a [`ServerDriver`] for an event loop of your own.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// use thalweg_threads::{Config, Server};
///
/// let server = Server::builder()
///     .config(Config::default().stream_window(1 << 20))
///     .connections_max(200)
///     .on_end(|end| println!("connection ended: {end}"))
///     .bind("127.0.0.1:0")?;
/// # drop(server);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Builder {
    pub(super) driver: DriverOptions<thalweg::Server>,
    pub(super) h2c: Option<thalweg_h2c::Config>,
    pub(super) threads_max: usize,
    pub(super) connections_max: usize,
    pub(super) on_open: Option<Arc<OnOpen>>,
    pub(super) on_end: Option<Arc<OnEnd>>,
    #[cfg(feature = "rustls")]
    pub(super) tls: Option<Arc<rustls::ServerConfig>>,
}

type OnOpen = dyn Fn(&Handle<thalweg::Server>, SocketAddr) + Send + Sync;
type OnEnd = dyn Fn(&ConnectionEnd) + Send + Sync;

impl Default for Builder {
    fn default() -> Self {
        Self {
            driver: DriverOptions::default(),
            h2c: Some(thalweg_h2c::Config::default()),
            threads_max: THREADS_MAX,
            connections_max: CONNECTIONS_MAX,
            on_open: None,
            on_end: None,
            #[cfg(feature = "rustls")]
            tls: None,
        }
    }
}

impl Builder {
    /// Creates a builder with the default options.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the core's configuration.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.driver.setup.config = config;
        self
    }

    /// Sets the protocols and limits for the first bytes of a cleartext connection. Default:
    /// HTTP/2, or an HTTP/1.1 Upgrade to it; another HTTP/1 request gets an HTTP/1.1 error
    /// response. `None`: only HTTP/2 (RFC 9113 §3.3), and the server sends its preface immediately.
    #[must_use]
    pub fn h2c(mut self, h2c: impl Into<Option<thalweg_h2c::Config>>) -> Self {
        self.h2c = h2c.into();
        self
    }

    /// Requires TLS on every connection of a [`Server`], and serves those that negotiate `h2` by
    /// ALPN (RFC 9113 §3.2). Adds `h2` to a configuration without ALPN protocols. Rejects other
    /// clients, with an HTTP/1.1 response if they speak HTTP/1.1. For a driver, wrap its transport
    /// in [`Tls`](crate::Tls).
    #[cfg(feature = "rustls")]
    #[must_use]
    pub fn tls(mut self, config: impl Into<Arc<rustls::ServerConfig>>) -> Self {
        self.tls = Some(thalweg_io::tls::server_config(config.into()));
        self
    }

    /// Records each connection. [`RecordingStore`](thalweg_record::RecordingStore) describes the
    /// destination, the limits, and the retention.
    #[cfg(feature = "record")]
    #[must_use]
    pub fn record(mut self, recordings: &thalweg_record::RecordingStore) -> Self {
        self.driver.setup.recordings = Some(recordings.clone());
        self
    }

    /// Sets the limits on the end of a connection: to write the final output, and to wait for the
    /// client to close its direction.
    #[must_use]
    pub fn close_limits(mut self, limits: CloseLimits) -> Self {
        self.driver.close_limits = limits;
        self
    }

    /// Sets the content that a writer may queue ahead of the core, bytes. A writer above it waits.
    /// Default 128 KiB.
    #[must_use]
    pub fn unsent_bytes_max(mut self, bytes: usize) -> Self {
        self.driver.unsent_bytes_max = bytes;
        self
    }

    /// Sets whether final responses carry `date` (RFC 9110 §6.6.1), unless the handler sets it.
    /// Default: true. A program without a clock switches it off.
    #[must_use]
    pub fn date(mut self, date: bool) -> Self {
        self.driver.date = date;
        self
    }

    /// Sets how long an unwanted half of an exchange may live.
    #[must_use]
    pub fn exchange_timeouts(mut self, timeouts: ExchangeTimeouts) -> Self {
        self.driver.timeouts = timeouts;
        self
    }

    /// Adds what the connections do to `counters`, which others may share. By default each
    /// [`Server`] has counters of its own, and a driver has none.
    #[must_use]
    pub fn counters(mut self, counters: Arc<Counters>) -> Self {
        self.driver.counters = Some(counters);
        self
    }

    /// Limits the threads that run handlers. Default 64; at least 1. Requests wait when all are
    /// busy.
    #[must_use]
    pub fn threads_max(mut self, threads: usize) -> Self {
        self.threads_max = threads;
        self
    }

    /// Sets the maximum of concurrent connections, each of which has a thread. Default 1,024; at
    /// least 1. When another client connects at the limit, the server shuts down the connections
    /// that have been idle for longest, with GOAWAY: an eighth of the idle ones, at least 1 and at
    /// most 32. A client that has sent nothing for a second since it connected counts as idle, and
    /// so does one whose TLS handshake stands still. The new client waits while no connection is
    /// idle. An evicted connection gives its place at once: up to 64 of them linger beside the
    /// limit until their clients close (see [`close_limits`](Self::close_limits)).
    ///
    /// A connection with a stream is not idle. What bounds a stream whose peer does nothing are
    /// `timeouts.content` and `timeouts.stall`; they do not bound gRPC, CONNECT, and handlers that
    /// do not answer. A service with those needs limits of its own for each client.
    #[must_use]
    pub fn connections_max(mut self, connections: usize) -> Self {
        self.connections_max = connections.max(1);
        self
    }

    /// Sets a callback of a [`Server`] for each new connection, before anything is read from it,
    /// with its handle and the peer's address. Frames sent through the handle in the callback, for
    /// example ORIGIN, directly follow the server's SETTINGS.
    #[must_use]
    pub fn on_open(
        mut self,
        on_open: impl Fn(&Handle<thalweg::Server>, SocketAddr) + Send + Sync + 'static,
    ) -> Self {
        self.on_open = Some(Arc::new(on_open));
        self
    }

    /// Sets a callback for connection-level events of clients: settings, priorities, extension
    /// frames. It runs in the connection's thread and should only forward its arguments. Its panics
    /// are caught and logged.
    #[must_use]
    pub fn on_notice(
        mut self,
        on_notice: impl Fn(&Handle<thalweg::Server>, OwnedEvent) + Send + Sync + 'static,
    ) -> Self {
        self.driver.on_notice = Some(Arc::new(on_notice));
        self
    }

    /// Sets a callback of a [`Server`] for the end of each connection. It runs in the connection's
    /// thread, after the transport is closed.
    #[must_use]
    pub fn on_end(mut self, on_end: impl Fn(&ConnectionEnd) + Send + Sync + 'static) -> Self {
        self.on_end = Some(Arc::new(on_end));
        self
    }

    /// Binds a server to an address; port 0 selects a free port.
    ///
    /// # Errors
    /// The error of the operating system.
    pub fn bind(self, address: impl ToSocketAddrs) -> io::Result<Server> {
        self.from_listener(std::net::TcpListener::bind(address)?)
    }

    /// Creates a server on an existing listener.
    ///
    /// # Errors
    /// The error of the operating system.
    #[allow(clippy::wrong_self_convention, reason = "it is a way to build, not a conversion")]
    pub fn from_listener(self, listener: std::net::TcpListener) -> io::Result<Server> {
        Server::new(self, listener)
    }

    /// Creates the driver of one connection over a transport that does not block. `pool` handles
    /// the requests. `wake` must make the caller's loop take a turn soon, from any thread: it is
    /// called when a response arrives while the driver waits.
    ///
    /// # Errors
    /// The first field of the configuration that is outside its range.
    pub fn driver<T: Transport>(
        &self,
        transport: T,
        pool: &Pool,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> Result<ServerDriver<T>, ConfigError> {
        ServerDriver::new(transport, pool, &self.driver, self.h2c, wake)
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("config", &self.driver.setup.config)
            .field("h2c", &self.h2c)
            .field("threads_max", &self.threads_max)
            .field("connections_max", &self.connections_max)
            .finish_non_exhaustive()
    }
}

const THREADS_MAX: usize = 64;
const CONNECTIONS_MAX: usize = 1024;
