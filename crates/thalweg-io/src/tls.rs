//! TLS by rustls: `h2` in ALPN (RFC 9113 §3.2), and what a failed handshake means.
//!
//! rustls satisfies RFC 9113 §9.2 by construction: it speaks TLS 1.2 and 1.3 only, without
//! compression, renegotiation, or any of the prohibited cipher suites.

use std::io;
use std::sync::Arc;

use rustls::{AlertDescription, ClientConfig, ServerConfig};

use crate::negotiate::NegotiationError;

/// Adds `h2` to a server's configuration without ALPN protocols.
#[must_use]
pub fn server_config(mut config: Arc<ServerConfig>) -> Arc<ServerConfig> {
    if config.alpn_protocols.is_empty() {
        Arc::make_mut(&mut config).alpn_protocols = vec![H2.to_vec()];
    }
    config
}

/// Adds `h2` to a client's configuration without ALPN protocols.
#[must_use]
pub fn client_config(mut config: Arc<ClientConfig>) -> Arc<ClientConfig> {
    if config.alpn_protocols.is_empty() {
        Arc::make_mut(&mut config).alpn_protocols = vec![H2.to_vec()];
    }
    config
}

/// Returns whether the protocol that a handshake has negotiated by ALPN is HTTP/2.
#[must_use]
pub fn is_h2(alpn_protocol: Option<&[u8]>) -> bool {
    alpn_protocol == Some(H2)
}

/// Classifies a failed handshake. The error that rustls returns for a peer without TLS is hard to
/// recognize.
#[must_use]
pub fn handshake_error(error: &rustls::Error) -> NegotiationError {
    match error {
        rustls::Error::InvalidMessage(_) => NegotiationError::NotTls,
        rustls::Error::AlertReceived(AlertDescription::NoApplicationProtocol) => NegotiationError::NoAlpn,
        _ => NegotiationError::Handshake,
    }
}

/// Returns the error of a client whose handshake failed: `InvalidData` with
/// [`NegotiationError::NotTls`] inside, `Unsupported` with [`NegotiationError::NoAlpn`] inside, or
/// else `InvalidData` with the error of rustls.
#[must_use]
pub fn client_error(error: rustls::Error) -> io::Error {
    match handshake_error(&error) {
        NegotiationError::Handshake => io::Error::new(io::ErrorKind::InvalidData, error),
        NegotiationError::NoAlpn => no_alpn(),
        reason => io::Error::new(io::ErrorKind::InvalidData, reason),
    }
}

/// Returns the error of a client whose server does not negotiate `h2`: `Unsupported` with
/// [`NegotiationError::NoAlpn`] inside.
#[must_use]
pub fn no_alpn() -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, NegotiationError::NoAlpn)
}

/// Returns the error of a client whose server closed the connection during the handshake:
/// `UnexpectedEof`.
#[must_use]
pub fn server_closed() -> io::Error {
    let text =
        "the server closed the connection during the TLS handshake: if this is a cleartext port, use http://";
    io::Error::new(io::ErrorKind::UnexpectedEof, text)
}

const H2: &[u8] = b"h2";

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::{CertificateError, InvalidMessage};

    #[test]
    fn the_error_of_a_client_names_what_the_server_lacks() {
        let no_protocol = rustls::Error::AlertReceived(AlertDescription::NoApplicationProtocol);
        let bad_name = rustls::Error::InvalidCertificate(CertificateError::NotValidForName);
        for (error, kind, reason) in [
            (
                rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType),
                io::ErrorKind::InvalidData,
                Some(NegotiationError::NotTls),
            ),
            (no_protocol, io::ErrorKind::Unsupported, Some(NegotiationError::NoAlpn)),
            (bad_name, io::ErrorKind::InvalidData, None),
        ] {
            assert_eq!(handshake_error(&error), reason.unwrap_or(NegotiationError::Handshake));
            let text = error.to_string();
            let error = client_error(error);
            assert_eq!((error.kind(), NegotiationError::of_io(&error)), (kind, reason));
            assert!(reason.is_some() || error.to_string() == text, "{error}");
        }
    }

    #[test]
    fn only_h2_is_http_2() {
        assert!(is_h2(Some(b"h2")));
        assert!(!is_h2(Some(b"h2c")) && !is_h2(Some(b"http/1.1")) && !is_h2(None));
    }
}
