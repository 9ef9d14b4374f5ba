//! The options of a client's connection.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use http_body::Body as HttpBody;
use thalweg::{Config, ConfigError, OwnedEvent};
use thalweg_http::exchange::Timeouts;
use thalweg_io::{CloseLimits, Counters, Handle, Setup};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, ToSocketAddrs};

use super::{Client, Connection};
use crate::driver::DriverOptions;
use crate::driver::control::OnNotice;
use crate::driver::tap::Tap;
use crate::error::BoxError;

/// The options of a client's connection. [`connect`](Self::connect),
/// [`connect_tls`](Self::connect_tls) and [`handshake`](Self::handshake) create it.
///
/// ```no_run
/// use bytes::Bytes;
/// use http_body_util::Empty;
/// use thalweg::Config;
/// use thalweg_tokio::Client;
///
/// # async fn run() -> std::io::Result<()> {
/// let config = Config::default().stream_window(1 << 20);
/// let builder = Client::builder().config(config);
/// let (client, connection) = builder.connect("127.0.0.1:8080").await?;
/// tokio::spawn(connection);
/// # let _: Client<Empty<Bytes>> = client;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Builder {
    setup: Setup,
    close_limits: CloseLimits,
    exchange_timeouts: Timeouts,
    remote: Option<SocketAddr>,
    counters: Option<Arc<Counters>>,
    on_notice: Option<OnNotice<thalweg::Client>>,
    #[cfg(feature = "inspect")]
    monitor: Option<crate::inspect::ConnectionMonitor>,
}

impl Builder {
    /// Creates the default options.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the configuration of the connection.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.setup.config = config;
        self
    }

    /// Sets the limits for the end of the connection.
    #[must_use]
    pub fn close_limits(mut self, limits: CloseLimits) -> Self {
        self.close_limits = limits;
        self
    }

    /// Sets how long unwanted halves of exchanges may live.
    #[must_use]
    pub fn exchange_timeouts(mut self, timeouts: Timeouts) -> Self {
        self.exchange_timeouts = timeouts;
        self
    }

    /// Sets the server's address, for the report of a connection on a transport that
    /// [`handshake`](Self::handshake) gets.
    #[must_use]
    pub fn remote(mut self, remote: SocketAddr) -> Self {
        self.remote = Some(remote);
        self
    }

    /// Adds what the connection does to `counters`, which others may share. Default: none.
    #[must_use]
    pub fn counters(mut self, counters: Arc<Counters>) -> Self {
        self.counters = Some(counters);
        self
    }

    /// Records the connection. [`RecordingStore`](thalweg_record::RecordingStore) describes the
    /// destination, the limits, and the retention.
    #[cfg(feature = "record")]
    #[must_use]
    pub fn record(mut self, recordings: &thalweg_record::RecordingStore) -> Self {
        self.setup.recordings = Some(recordings.clone());
        self
    }

    /// Registers the connection with a [`ConnectionMonitor`](crate::inspect::ConnectionMonitor),
    /// which documents the cost.
    #[cfg(feature = "inspect")]
    #[must_use]
    pub fn inspect(mut self, monitor: &crate::inspect::ConnectionMonitor) -> Self {
        self.monitor = Some(monitor.clone());
        self
    }

    /// Sets a callback for connection-level events of the server: settings, origins, alternative
    /// services, extension frames. It runs in the connection's task and should only forward its
    /// arguments.
    #[must_use]
    pub fn on_notice(
        mut self,
        on_notice: impl Fn(&Handle<thalweg::Client>, OwnedEvent) + Send + Sync + 'static,
    ) -> Self {
        self.on_notice = Some(Arc::new(on_notice));
        self
    }

    /// Connects over TCP and speaks HTTP/2 with prior knowledge (RFC 9113 §3.3). Does not wait for
    /// the server preface: the first request fails if the peer does not speak HTTP/2.
    ///
    /// # Errors
    /// The error of the operating system; `InvalidInput` for a configuration outside its ranges.
    pub async fn connect<B>(
        self,
        addr: impl ToSocketAddrs,
    ) -> io::Result<(Client<B>, Connection<TcpStream, B>)>
    where
        B: HttpBody,
        B::Error: Into<BoxError>,
    {
        let (socket, builder) = self.connect_tcp(addr).await?;
        builder.handshake(socket).map_err(invalid_input)
    }

    /// Connects over TCP and TLS, and speaks HTTP/2 if the server negotiates it by ALPN (RFC 9113
    /// §3.2). Adds `h2` to a configuration without ALPN protocols.
    ///
    /// # Errors
    /// Those of [`connect`](Self::connect), or of the handshake, for example that the certificate
    /// is not valid for `name`. `Unsupported` with
    /// [`NegotiationError::NoAlpn`](crate::NegotiationError::NoAlpn) inside: the server does not
    /// negotiate `h2`. `InvalidData` with
    /// [`NegotiationError::NotTls`](crate::NegotiationError::NotTls) inside: the server does not
    /// speak TLS. `UnexpectedEof`: the server closed the connection during the handshake.
    #[cfg(feature = "rustls")]
    pub async fn connect_tls<B>(
        self,
        addr: impl ToSocketAddrs,
        name: crate::rustls::pki_types::ServerName<'static>,
        tls: impl Into<Arc<crate::rustls::ClientConfig>>,
    ) -> io::Result<(Client<B>, Connection<tokio_rustls::client::TlsStream<TcpStream>, B>)>
    where
        B: HttpBody,
        B::Error: Into<BoxError>,
    {
        let (socket, mut builder) = self.connect_tcp(addr).await?;
        let stream = crate::tls::connect(socket, name, tls.into()).await?;
        builder.setup.config.over_tls = true;
        builder.handshake(stream).map_err(invalid_input)
    }

    async fn connect_tcp(mut self, addr: impl ToSocketAddrs) -> io::Result<(TcpStream, Self)> {
        let socket = TcpStream::connect(addr).await?;
        // Each turn is written with one call, so waiting for more data would only delay it.
        socket.set_nodelay(true)?;
        self.remote = socket.peer_addr().ok();
        Ok((socket, self))
    }

    /// Speaks HTTP/2 on a connected transport. The requests' bodies have the type `B`.
    ///
    /// # Errors
    /// The first field of the configuration that is outside its range.
    pub fn handshake<IO, B>(self, io: IO) -> Result<(Client<B>, Connection<IO, B>), ConfigError>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
        B: HttpBody,
        B::Error: Into<BoxError>,
    {
        let core = self.setup.start()?;
        let tap = self.tap();
        let Self { close_limits, exchange_timeouts, remote, counters, on_notice, .. } = self;
        let control = Arc::default();
        let options = DriverOptions { control, remote, close_limits, counters, on_notice, tap };
        Ok(super::start(io, core, options, exchange_timeouts))
    }

    #[cfg(feature = "inspect")]
    fn tap(&self) -> Tap {
        self.monitor.as_ref().map(|monitor| Tap::new(monitor, self.remote, true)).unwrap_or_default()
    }

    #[cfg(not(feature = "inspect"))]
    #[allow(clippy::unused_self, reason = "the feature `inspect` uses it")]
    fn tap(&self) -> Tap {
        Tap::default()
    }
}

fn invalid_input(error: ConfigError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, error)
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("setup", &self.setup)
            .field("remote", &self.remote)
            .finish_non_exhaustive()
    }
}
