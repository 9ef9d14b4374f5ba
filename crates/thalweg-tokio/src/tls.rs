//! TLS by rustls, with `h2` negotiated by ALPN (RFC 9113 §3.2).
//!
//! rustls satisfies RFC 9113 §9.2 by construction: it speaks TLS 1.2 and 1.3 only, without
//! compression, renegotiation, or any of the prohibited cipher suites.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http_body::Body;
use thalweg::Config;
use tokio::io::ReadBuf;
use tokio::net::{TcpStream, ToSocketAddrs};
use tokio_rustls::client::TlsStream as ClientStream;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{self, AlertDescription, ClientConfig, ServerConfig};
use tokio_rustls::server::TlsStream as ServerStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::client::{Client, Connection, handshake};
use crate::control::ConnectionControl;
use crate::error::BoxError;
use crate::negotiate::{NO_HTTP_1, NegotiationError, reject};

/// Creates the acceptor of a server.
pub(crate) fn acceptor(mut config: Arc<ServerConfig>) -> TlsAcceptor {
    if config.alpn_protocols.is_empty() {
        Arc::make_mut(&mut config).alpn_protocols = vec![H2.to_vec()];
    }
    TlsAcceptor::from(config)
}

/// Performs the server's side of a handshake.
pub(crate) async fn accept(
    acceptor: &TlsAcceptor,
    socket: TcpStream,
    control: &ConnectionControl<thalweg::Server>,
) -> Result<ServerStream<TcpStream>, NegotiationError> {
    poll_unless_shutdown(control, |cx| {
        // After the handshake it is unknown whether the peer sent a byte before it closed.
        let mut byte = [0];
        socket.poll_peek(cx, &mut ReadBuf::new(&mut byte)).map(|peeked| match peeked {
            Ok(0) => Err(NegotiationError::NoData),
            Ok(_) => Ok(()),
            Err(error) => Err(NegotiationError::Transport(error)),
        })
    })
    .await?;
    let mut handshake = pin!(acceptor.accept(socket));
    let mut stream =
        poll_unless_shutdown(control, |cx| handshake.as_mut().poll(cx).map_err(handshake_failed)).await?;
    if stream.get_ref().1.alpn_protocol() == Some(H2) {
        return Ok(stream);
    }
    reject(&mut stream, NO_HTTP_1).await;
    Err(NegotiationError::NoAlpn)
}

/// Polls until there is a result or the server shuts down.
async fn poll_unless_shutdown<T>(
    control: &ConnectionControl<thalweg::Server>,
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<Result<T, NegotiationError>>,
) -> Result<T, NegotiationError> {
    poll_fn(|cx| {
        control.register(cx.waker());
        if control.wants_shutdown() {
            return Poll::Ready(Err(NegotiationError::ShuttingDown));
        }
        poll(cx)
    })
    .await
}

/// Connects over TCP and TLS, and speaks HTTP/2 if the server negotiates it by ALPN. Adds `h2` to a
/// configuration without ALPN protocols.
///
/// # Errors
/// The error of the operating system or of the handshake, for example that the certificate is not
/// valid for `name`. `Unsupported` with [`NegotiationError::NoAlpn`] inside: the server does not
/// negotiate `h2`. `InvalidData` with [`NegotiationError::NotTls`] inside: the server does not
/// speak TLS. `UnexpectedEof`: the server closed the connection during the handshake.
pub async fn connect<B>(
    addr: impl ToSocketAddrs,
    name: ServerName<'static>,
    mut tls: Arc<ClientConfig>,
    mut config: Config,
) -> io::Result<(Client<B>, Connection<ClientStream<TcpStream>, B>)>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    if tls.alpn_protocols.is_empty() {
        Arc::make_mut(&mut tls).alpn_protocols = vec![H2.to_vec()];
    }
    let socket = TcpStream::connect(addr).await?;
    socket.set_nodelay(true)?;
    let connected = TlsConnector::from(tls).connect(name, socket).await;
    let stream = connected.map_err(|error| into_io_error(handshake_failed(error)))?;
    if stream.get_ref().1.alpn_protocol() != Some(H2) {
        return Err(into_io_error(NegotiationError::NoAlpn));
    }
    config.over_tls = true;
    handshake(stream, config).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
}

/// Classifies a failed handshake. The error that rustls returns for a peer without TLS is hard to
/// recognize.
fn handshake_failed(error: io::Error) -> NegotiationError {
    match error.get_ref().and_then(|source| source.downcast_ref()) {
        Some(rustls::Error::InvalidMessage(_)) => NegotiationError::NotTls,
        Some(rustls::Error::AlertReceived(AlertDescription::NoApplicationProtocol)) => {
            NegotiationError::NoAlpn
        }
        _ if error.kind() == io::ErrorKind::UnexpectedEof => {
            NegotiationError::Handshake(io::Error::new(error.kind(), "the peer closed the connection"))
        }
        _ => NegotiationError::Handshake(error),
    }
}

fn into_io_error(error: NegotiationError) -> io::Error {
    match error {
        NegotiationError::Handshake(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            let text = "the server closed the connection during the TLS handshake: if this is a cleartext port, use http://";
            io::Error::new(io::ErrorKind::UnexpectedEof, text)
        }
        NegotiationError::Handshake(error) | NegotiationError::Transport(error) => error,
        NegotiationError::NoAlpn => io::Error::new(io::ErrorKind::Unsupported, error),
        error => io::Error::new(io::ErrorKind::InvalidData, error),
    }
}

const H2: &[u8] = b"h2";
