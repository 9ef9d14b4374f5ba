//! The options of a client, and its ways to connect: over TCP, over TLS, over a socket that is
//! connected, and over any transport.

use std::fmt;
use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::thread;

use thalweg::{Config, ConfigError, OwnedEvent};
use thalweg_http::exchange::Timeouts as ExchangeTimeouts;
use thalweg_io::{CloseLimits, Counters, Handle};

use super::{Client, ClientDriver};
use crate::driver::options::DriverOptions;
use crate::driver::poller::{Poller, Socket};
use crate::transport::Transport;

/// Builds a [`Client`], or a [`ClientDriver`] for an event loop of your own.
///
/// ```no_run
/// # fn main() -> std::io::Result<()> {
/// use thalweg_threads::{Client, Config};
///
/// let config = Config::default().enable_push(true);
/// let client = Client::builder().config(config).connect("localhost:80")?;
/// # drop(client);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Builder {
    options: DriverOptions<thalweg::Client>,
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
        self.options.setup.config = config;
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

    /// Sets the limits on the end of a connection: to write the final output, and to wait for the
    /// server to close its direction.
    #[must_use]
    pub fn close_limits(mut self, limits: CloseLimits) -> Self {
        self.options.close_limits = limits;
        self
    }

    /// Sets the content that a writer may queue ahead of the core, bytes. A writer above it waits.
    /// Default 128 KiB.
    #[must_use]
    pub fn unsent_bytes_max(mut self, bytes: usize) -> Self {
        self.options.unsent_bytes_max = bytes;
        self
    }

    /// Sets how long an unwanted half of an exchange may live.
    #[must_use]
    pub fn exchange_timeouts(mut self, timeouts: ExchangeTimeouts) -> Self {
        self.options.timeouts = timeouts;
        self
    }

    /// Adds what the connections do to `counters`, which others may share. Default: none.
    #[must_use]
    pub fn counters(mut self, counters: Arc<Counters>) -> Self {
        self.options.counters = Some(counters);
        self
    }

    /// Sets a callback for connection-level events of the server: settings, origins, alternative
    /// services, extension frames. It runs in the connection's thread and should only forward its
    /// arguments. Its panics are caught and logged.
    #[must_use]
    pub fn on_notice(
        mut self,
        on_notice: impl Fn(&Handle<thalweg::Client>, OwnedEvent) + Send + Sync + 'static,
    ) -> Self {
        self.options.on_notice = Some(Arc::new(on_notice));
        self
    }

    /// Connects to a server over cleartext TCP, with prior knowledge (RFC 9113 §3.3).
    ///
    /// `authority` is host and port, for example `example.org:8080`; the default port is 80.
    ///
    /// # Errors
    /// The name cannot be resolved, the connection is refused, or no thread can be started.
    /// `InvalidInput`: the configuration is out of range.
    pub fn connect(&self, authority: &str) -> io::Result<Client> {
        self.handshake(connect_tcp(authority, 80)?, "http", authority)
    }

    /// Connects to a server over TLS; the default port of `authority` is 443. The server must
    /// negotiate `h2` by ALPN (RFC 9113 §3.2). Adds `h2` to a configuration without ALPN protocols.
    /// The time limit of the handshake is `timeouts.preface` of the core's configuration.
    ///
    /// # Errors
    /// Those of [`connect`](Self::connect). `InvalidData` with a [`rustls::Error`] inside: the
    /// handshake failed, for example because the certificate is not valid for the name; with
    /// [`NegotiationError::NotTls`](crate::NegotiationError::NotTls) inside: the server does not
    /// speak TLS. `Unsupported` with
    /// [`NegotiationError::NoAlpn`](crate::NegotiationError::NoAlpn) inside: the server did not
    /// negotiate `h2`. `UnexpectedEof`: the server closed the connection during the handshake.
    #[cfg(feature = "rustls")]
    pub fn connect_tls(
        &self,
        authority: &str,
        tls: impl Into<Arc<rustls::ClientConfig>>,
    ) -> io::Result<Client> {
        let host = split_port(authority).map_or(authority, |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = rustls::pki_types::ServerName::try_from(host)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let mut stream = connect_tcp(authority, 443)?;
        stream.set_nodelay(true)?;
        let mut builder = self.clone();
        let config = &mut builder.options.setup.config;
        // RFC 8336 §2.2: ORIGIN is valid over TLS only.
        config.over_tls = true;
        let session = crate::tls::handshake(&mut stream, name, tls.into(), config.timeouts.preface)?;
        builder.start(stream, "https", authority, |socket| crate::Tls::new(session, socket))
    }

    /// Speaks HTTP/2 on a connected socket. `scheme` and `authority` are the defaults for requests.
    ///
    /// # Errors
    /// Those of [`connect`](Self::connect).
    pub fn handshake(&self, stream: TcpStream, scheme: &'static str, authority: &str) -> io::Result<Client> {
        self.start(stream, scheme, authority, |socket| socket)
    }

    /// Creates the driver of one connection over a transport that does not block, and its client.
    /// `scheme` and `authority` are the defaults for requests. `wake` must make the caller's loop
    /// take a turn soon, from any thread: it is called when a message arrives while the driver
    /// waits.
    ///
    /// # Errors
    /// The first field of the configuration that is outside its range.
    pub fn driver<T: Transport>(
        &self,
        transport: T,
        scheme: &'static str,
        authority: impl Into<String>,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> Result<(ClientDriver<T>, Client), ConfigError> {
        ClientDriver::new(transport, scheme, authority.into(), &self.options, wake)
    }

    /// Starts the driver's thread. `wrap` may wrap the socket, for example in TLS.
    fn start<T: Transport + 'static>(
        &self,
        stream: TcpStream,
        scheme: &'static str,
        authority: &str,
        wrap: impl FnOnce(Socket) -> T,
    ) -> io::Result<Client> {
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let remote = stream.peer_addr().ok();
        let mut socket = mio::net::TcpStream::from_std(stream);
        let mut poller = Poller::new()?;
        poller.watch(&mut socket)?;
        let transport = wrap(Socket::new(socket, remote));
        let (mut driver, client) = self
            .driver(transport, scheme, authority, poller.waker())
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        thread::Builder::new().name("thalweg client".to_owned()).spawn(move || {
            poller.drive(&mut driver, |_, _| {});
        })?;
        Ok(client)
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("config", &self.options.setup.config).finish_non_exhaustive()
    }
}

/// Splits host and port, if there is a port.
fn split_port(authority: &str) -> Option<(&str, &str)> {
    authority.rsplit_once(':').filter(|(host, port)| {
        port.bytes().all(|byte| byte.is_ascii_digit())
            && !port.is_empty()
            && (!host.contains(':') || host.ends_with(']'))
    })
}

/// Connects to the first address of a name that accepts a connection.
fn connect_tcp(authority: &str, default_port: u16) -> io::Result<TcpStream> {
    if split_port(authority).is_some() {
        return TcpStream::connect(authority);
    }
    let host = authority.trim_start_matches('[').trim_end_matches(']');
    TcpStream::connect((host, default_port).to_socket_addrs()?.collect::<Vec<_>>().as_slice())
}
