//! TLS by rustls, with `h2` negotiated by ALPN (RFC 9113 §3.2).
//!
//! rustls satisfies RFC 9113 §9.2 by construction: it speaks TLS 1.2 and 1.3 only, without
//! compression, renegotiation, or any of the prohibited cipher suites.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use thalweg_io::tls::{client_config, client_error, handshake_error, is_h2, no_alpn, server_closed};
use thalweg_io::{NegotiationError, Rejection};
use tokio::io::ReadBuf;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream as ClientStream;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{self, ClientConfig};
use tokio_rustls::server::TlsStream as ServerStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::driver::control::ConnectionControl;
use crate::transport::{Refused, reject};

/// Performs the server's side of a handshake.
pub(crate) async fn accept(
    acceptor: &TlsAcceptor,
    socket: TcpStream,
    control: &ConnectionControl<thalweg::Server>,
) -> Result<ServerStream<TcpStream>, Refused> {
    poll_unless_shutdown(control, |cx| {
        // After the handshake it is unknown whether the peer sent a byte before it closed.
        let mut byte = [0];
        socket.poll_peek(cx, &mut ReadBuf::new(&mut byte)).map(|peeked| match peeked {
            Ok(0) => Err(NegotiationError::NoData.into()),
            Ok(_) => Ok(()),
            Err(error) => Err(Refused::transport(error)),
        })
    })
    .await?;
    let mut handshake = pin!(acceptor.accept(socket));
    let mut stream = poll_unless_shutdown(control, |cx| handshake.as_mut().poll(cx).map_err(refused)).await?;
    if is_h2(stream.get_ref().1.alpn_protocol()) {
        return Ok(stream);
    }
    reject(&mut stream, Rejection::NO_ALPN.response).await;
    Err(Rejection::NO_ALPN.error.into())
}

/// Polls until there is a result or the server shuts down.
async fn poll_unless_shutdown<T>(
    control: &ConnectionControl<thalweg::Server>,
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<Result<T, Refused>>,
) -> Result<T, Refused> {
    poll_fn(|cx| {
        if let Some(reason) = control.poll_negotiation_end(cx.waker()) {
            return Poll::Ready(Err(reason.into()));
        }
        // The socket became ready, so the peer has sent or read something.
        control.idle().negotiation_progressed();
        poll(cx)
    })
    .await
}

/// Performs the client's side of a handshake. Adds `h2` to a configuration without ALPN protocols.
///
/// # Errors
/// Those of `client::Builder::connect_tls`, except for the errors of connecting.
pub(crate) async fn connect(
    socket: TcpStream,
    name: ServerName<'static>,
    config: Arc<ClientConfig>,
) -> io::Result<ClientStream<TcpStream>> {
    let connected = TlsConnector::from(client_config(config)).connect(name, socket).await;
    let stream = connected.map_err(|error| match rustls_error(&error) {
        Some(error) => client_error(error.clone()),
        None if error.kind() == io::ErrorKind::UnexpectedEof => server_closed(),
        None => error,
    })?;
    if is_h2(stream.get_ref().1.alpn_protocol()) { Ok(stream) } else { Err(no_alpn()) }
}

/// Classifies a handshake of a server that failed.
fn refused(error: io::Error) -> Refused {
    match rustls_error(&error).map(handshake_error) {
        Some(reason @ (NegotiationError::NotTls | NegotiationError::NoAlpn)) => reason.into(),
        _ if error.kind() == io::ErrorKind::UnexpectedEof => {
            let error = io::Error::new(error.kind(), "the peer closed the connection");
            Refused { error: NegotiationError::Handshake, transport: Some(error) }
        }
        _ => Refused { error: NegotiationError::Handshake, transport: Some(error) },
    }
}

/// Returns the error of rustls inside the one of tokio-rustls.
fn rustls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}
