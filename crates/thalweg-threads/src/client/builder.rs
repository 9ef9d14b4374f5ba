//! Connects clients: over TCP, over TLS, and over sockets that are connected.

use std::io;
use std::net::{TcpStream, ToSocketAddrs};
#[cfg(feature = "rustls")]
use std::sync::Arc;
use std::thread;

use crate::client::Client;
use crate::client::streams::ClientDriver;
use crate::driver::options::Options;
use crate::driver::poller::{Poller, Socket};

impl Client {
    /// Connects to a server over cleartext TCP, with prior knowledge (RFC 9113 §3.3) and the
    /// default configuration.
    ///
    /// `authority` is host and port, for example `example.org:8080`; the default port is 80.
    ///
    /// # Errors
    /// The name cannot be resolved, the connection is refused, or no thread can be started.
    pub fn connect(authority: &str) -> io::Result<Self> {
        Self::connect_with(authority, &Options::default())
    }

    /// Connects with options.
    ///
    /// # Errors
    /// As [`connect`](Self::connect); `InvalidInput` for a configuration out of range.
    pub fn connect_with(authority: &str, options: &Options) -> io::Result<Self> {
        let stream = connect_tcp(authority, 80)?;
        Self::over(stream, "http", authority, options)
    }

    /// Connects to a server over TLS; the default port of `authority` is 443. The server must
    /// negotiate `h2` by ALPN (RFC 9113 §3.2). Adds `h2` to a configuration without ALPN protocols.
    /// The time limit of the handshake is `options.config.timeouts.preface`.
    ///
    /// # Errors
    /// Those of [`connect_with`](Self::connect_with). `InvalidData` with a [`rustls::Error`]
    /// inside: the handshake failed, for example because the certificate is not valid for the name;
    /// with [`NegotiationError::NotTls`](crate::NegotiationError::NotTls) inside: the server does
    /// not speak TLS. `Unsupported` with
    /// [`NegotiationError::NoAlpn`](crate::NegotiationError::NoAlpn) inside: the server did not
    /// negotiate `h2`. `UnexpectedEof`: the server closed the connection during the handshake.
    #[cfg(feature = "rustls")]
    pub fn connect_tls(
        authority: &str,
        tls: Arc<rustls::ClientConfig>,
        options: &Options,
    ) -> io::Result<Self> {
        let host = split_port(authority).map_or(authority, |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = rustls::pki_types::ServerName::try_from(host)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let mut stream = connect_tcp(authority, 443)?;
        stream.set_nodelay(true)?;
        // RFC 8336 §2.2: ORIGIN is valid over TLS only.
        let mut options = options.clone();
        options.config.over_tls = true;
        let options = &options;
        let session = crate::tls::handshake(&mut stream, name, tls, options.config.timeouts.preface)?;
        Self::start(stream, "https", authority, options, |socket| Ok(crate::Tls::new(session, socket)))
    }

    /// Uses a connected socket.
    ///
    /// # Errors
    /// Those of [`connect_with`](Self::connect_with).
    pub fn over(
        stream: TcpStream,
        scheme: &'static str,
        authority: &str,
        options: &Options,
    ) -> io::Result<Self> {
        Self::start(stream, scheme, authority, options, Ok)
    }

    /// Starts the driver's thread. `wrap` may wrap the socket, for example in TLS.
    pub(crate) fn start<T: crate::Transport + 'static>(
        stream: TcpStream,
        scheme: &'static str,
        authority: &str,
        options: &Options,
        wrap: impl FnOnce(Socket) -> io::Result<T>,
    ) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let options = Options { remote: stream.peer_addr().ok(), ..options.clone() };
        let mut socket = mio::net::TcpStream::from_std(stream);
        let mut poller = Poller::new()?;
        poller.watch(&mut socket)?;
        let transport = wrap(Socket(socket))?;
        let (mut driver, client) = ClientDriver::new(transport, scheme, authority, &options, poller.waker())
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        thread::Builder::new().name("thalweg client".to_owned()).spawn(move || {
            poller.drive(&mut driver, |_| {});
        })?;
        Ok(client)
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
