//! Protocol negotiation on a server's connection: identifies its first bytes, and rejects other
//! protocols than HTTP/2.
//!
//! Invariants: a peer that does not speak HTTP/2 never receives a frame; every byte is passed to
//! its owner.

use std::fmt;
use std::io;

use thalweg_h2c::{Config, Protocol, SniffError, Sniffer, Upgrade, responses};

/// Why a connection never spoke HTTP/2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NegotiationError {
    /// The peer closed it without sending a byte, as port scanners and health checks do.
    NoData,
    /// The first bytes belong to no known protocol.
    Sniff(SniffError),
    /// The peer speaks HTTP/1, and received an error response.
    Http1,
    /// The settings or the request of an Upgrade are invalid; the peer received an HTTP/1.1 error
    /// response.
    Upgrade,
    /// The negotiation did not complete within `Config::timeouts.preface`.
    TimedOut,
    /// The connection was shut down before the negotiation completed.
    ShuttingDown,
    /// The peer made no progress, and the server closed the connection to make room for another.
    Evicted,
    /// The transport failed; [`ConnectionEnd::transport`](crate::ConnectionEnd::transport) contains
    /// the reason.
    Transport,
    /// The TLS handshake failed; [`ConnectionEnd::transport`](crate::ConnectionEnd::transport)
    /// contains the reason.
    Handshake,
    /// The peer does not speak TLS, on a transport that requires it.
    NotTls,
    /// The peer did not offer `h2` in ALPN (RFC 9113 §3.2).
    NoAlpn,
}

impl NegotiationError {
    /// Returns the negotiation error inside an error of a transport.
    #[must_use]
    pub fn of_io(error: &io::Error) -> Option<Self> {
        error.get_ref()?.downcast_ref().copied()
    }

    /// Returns whether the reason lies in the transport's error.
    pub(crate) const fn has_transport_error(self) -> bool {
        matches!(self, Self::Transport | Self::Handshake)
    }
}

impl fmt::Display for NegotiationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoData => f.write_str("closed by the peer without a byte"),
            Self::Sniff(error) => write!(f, "refused: {error}"),
            Self::Http1 => f.write_str("refused: http/1, which this server does not speak"),
            Self::Upgrade => f.write_str("refused: an upgrade with unusable settings or request"),
            Self::TimedOut => f.write_str("refused: negotiation exceeded timeouts.preface"),
            Self::ShuttingDown => f.write_str("closed because the server shuts down"),
            Self::Evicted => {
                f.write_str("closed to make room: the peer was silent at the limit of connections")
            }
            Self::Transport => f.write_str("the transport failed"),
            Self::Handshake => f.write_str("the TLS handshake failed"),
            Self::NotTls => f.write_str(
                "the peer does not speak TLS here: http:// is for a cleartext port, https:// for a TLS port",
            ),
            Self::NoAlpn => {
                f.write_str("the peer does not speak HTTP/2 over TLS: it did not negotiate h2 by ALPN")
            }
        }
    }
}

impl std::error::Error for NegotiationError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Sniff(error) => Some(error),
            _ => None,
        }
    }
}

/// A negotiation error, and the response that the peer receives before the transport ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rejection {
    /// The error.
    pub error: NegotiationError,
    /// The bytes of an HTTP/1.1 response; empty if the peer receives none.
    pub response: &'static [u8],
}

impl Rejection {
    /// The rejection of a TLS peer that does not negotiate `h2` (RFC 9113 §3.2).
    pub const NO_ALPN: Self =
        Self { error: NegotiationError::NoAlpn, response: responses::VERSION_NOT_SUPPORTED };
    /// The rejection of an Upgrade with invalid settings or an invalid request.
    pub const UPGRADE: Self = Self { error: NegotiationError::Upgrade, response: responses::BAD_REQUEST };

    /// Creates a rejection without a response.
    pub const fn without_response(error: NegotiationError) -> Self {
        Self { error, response: &[] }
    }
}

impl From<SniffError> for Rejection {
    fn from(error: SniffError) -> Self {
        Self { error: NegotiationError::Sniff(error), response: error.response().unwrap_or_default() }
    }
}

/// The detected start of HTTP/2.
#[derive(Debug)]
pub enum DetectedProtocol {
    /// The client preface (RFC 9113 §3.4). These bytes of it were taken; the connection receives
    /// them first, then the rest of the input.
    Preface(&'static [u8]),
    /// An HTTP/1.1 request with Upgrade (RFC 7540 §3.2). The rest of the input belongs to the
    /// connection.
    Upgrade(Box<Upgrade>),
}

/// The negotiation of a server on a cleartext connection.
#[derive(Debug)]
pub struct Negotiation {
    sniffer: Sniffer,
}

impl Negotiation {
    /// Starts a negotiation.
    pub fn new(config: Config) -> Self {
        Self { sniffer: Sniffer::new(config) }
    }

    /// Takes bytes from the front of `input` until the protocol is known.
    ///
    /// # Errors
    /// The peer does not speak HTTP/2, and receives the response of the rejection.
    pub fn receive(&mut self, input: &mut &[u8]) -> Result<Option<DetectedProtocol>, Rejection> {
        match self.sniffer.receive(input)? {
            None => Ok(None),
            Some(Protocol::Http2 { seen }) => Ok(Some(DetectedProtocol::Preface(seen))),
            Some(Protocol::Upgrade(upgrade)) => Ok(Some(DetectedProtocol::Upgrade(upgrade))),
            Some(Protocol::Http1(request)) => {
                Err(Rejection { error: NegotiationError::Http1, response: request.response() })
            }
            Some(_) => {
                Err(Rejection { error: NegotiationError::Http1, response: responses::VERSION_NOT_SUPPORTED })
            }
        }
    }

    /// Handles the end of input before the protocol is known. Returns the rejection.
    #[must_use]
    pub fn handle_eof(&mut self) -> Rejection {
        self.sniffer
            .handle_eof()
            .map_or_else(Rejection::from, |()| Rejection::without_response(NegotiationError::NoData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

    #[test]
    fn every_byte_of_a_preface_is_passed_on_whatever_the_chunking() {
        let wire = [PREFACE, &b"\0\0\0\x04\0\0\0\0\0"[..]].concat();
        for at in 0..=wire.len() {
            let mut negotiation = Negotiation::new(Config::default());
            let (mut first, mut second) = wire.split_at(at);
            let mut detected = negotiation.receive(&mut first).unwrap();
            if detected.is_none() {
                assert!(first.is_empty(), "all bytes are taken until the protocol is known");
                detected = negotiation.receive(&mut second).unwrap();
            }
            let Some(DetectedProtocol::Preface(seen)) = detected else { panic!("{detected:?}") };
            assert_eq!([seen, first, second].concat(), wire);
        }
    }

    #[test]
    fn a_peer_of_another_protocol_gets_a_response_in_its_own() {
        let reject = |mut input: &[u8]| Negotiation::new(Config::default()).receive(&mut input).unwrap_err();
        let http_1 = reject(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(http_1.error, NegotiationError::Http1);
        assert!(http_1.response.starts_with(b"HTTP/1.1 426 "));
        let tls = reject(b"\x16\x03\x01\x02\0\x01");
        assert!(matches!(tls.error, NegotiationError::Sniff(SniffError::Tls { .. })), "{tls:?}");
    }

    #[test]
    fn an_end_without_a_byte_is_told_from_one_after_some() {
        let mut negotiation = Negotiation::new(Config::default());
        let expected = Rejection::without_response(NegotiationError::NoData);
        assert_eq!(negotiation.handle_eof(), expected);
        let mut negotiation = Negotiation::new(Config::default());
        assert!(negotiation.receive(&mut &b"PRI"[..]).unwrap().is_none());
        let error = negotiation.handle_eof().error;
        assert!(matches!(error, NegotiationError::Sniff(SniffError::Eof { .. })), "{error:?}");
    }

    #[test]
    fn the_error_is_found_inside_an_error_of_the_transport() {
        let error = io::Error::new(io::ErrorKind::InvalidData, NegotiationError::NotTls);
        assert_eq!(NegotiationError::of_io(&error), Some(NegotiationError::NotTls));
        assert_eq!(NegotiationError::of_io(&io::Error::other("x")), None);
    }
}
