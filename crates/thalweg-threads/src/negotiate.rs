//! Protocol negotiation on a server's connection: identifies its first bytes, and rejects other
//! protocols than HTTP/2.
//!
//! Invariants: a peer that does not speak HTTP/2 never receives a frame; every byte is passed to
//! its owner.

use std::fmt;

use thalweg_h2c::{Protocol, SniffError, Sniffer, Upgrade, responses};

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
    /// The settings of an Upgrade are invalid; the peer received an HTTP/1.1 error response.
    Upgrade,
    /// The negotiation did not complete within `Config::timeouts.preface`.
    TimedOut,
    /// The connection was shut down before the negotiation completed.
    ShuttingDown,
    /// The TLS handshake failed; [`ConnectionEnd::transport`](crate::ConnectionEnd::transport)
    /// contains the reason.
    Handshake,
    /// The peer does not speak TLS, on a transport that requires it.
    NotTls,
    /// The peer did not offer `h2` in ALPN (RFC 9113 §3.2).
    NoAlpn,
}

impl NegotiationError {
    /// Returns whether the peer sent anything. Even then the end is no warning: every port receives
    /// connections of scanners and of clients of other protocols.
    #[cfg(feature = "tracing")]
    pub(crate) const fn is_notable(self) -> bool {
        !matches!(self, Self::NoData | Self::ShuttingDown)
    }

    /// Returns the negotiation error inside an error of a transport.
    pub(crate) fn of_io(error: &std::io::Error) -> Option<Self> {
        error.get_ref()?.downcast_ref().copied()
    }
}

impl fmt::Display for NegotiationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoData => f.write_str("closed by the peer without a byte"),
            Self::Sniff(error) => write!(f, "refused: {error}"),
            Self::Http1 => f.write_str("refused: http/1, which this server does not speak"),
            Self::Upgrade => f.write_str("refused: an upgrade with unusable settings"),
            Self::TimedOut => f.write_str("refused: negotiation exceeded timeouts.preface"),
            Self::ShuttingDown => f.write_str("closed because the server shuts down"),
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

/// A negotiation error, and the response that the peer receives.
#[derive(Debug)]
pub struct Rejection {
    pub error: NegotiationError,
    pub response: &'static [u8],
}

impl Rejection {
    /// Creates a rejection without a response.
    pub const fn without_response(error: NegotiationError) -> Self {
        Self { error, response: &[] }
    }

    /// RFC 9113 §3.2: over TLS, HTTP/2 requires negotiation by ALPN.
    pub const NO_ALPN: Self =
        Self { error: NegotiationError::NoAlpn, response: responses::VERSION_NOT_SUPPORTED };
    /// The settings of an Upgrade are invalid.
    pub const UPGRADE: Self = Self { error: NegotiationError::Upgrade, response: responses::BAD_REQUEST };
}

impl From<SniffError> for Rejection {
    fn from(error: SniffError) -> Self {
        Self { error: NegotiationError::Sniff(error), response: error.response().unwrap_or_default() }
    }
}

/// The detected start of HTTP/2.
#[derive(Debug)]
pub(crate) enum DetectedProtocol {
    /// The preface; these bytes of it were already taken.
    Preface(&'static [u8]),
    /// An HTTP/1.1 Upgrade request.
    Upgrade(Box<Upgrade>),
}

/// Takes bytes until the protocol is known.
pub(crate) fn sniff(sniffer: &mut Sniffer, input: &mut &[u8]) -> Result<Option<DetectedProtocol>, Rejection> {
    match sniffer.receive(input)? {
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

/// Handles the end of input before the protocol is known.
pub(crate) fn sniff_eof(sniffer: &mut Sniffer) -> Rejection {
    sniffer
        .handle_eof()
        .map_or_else(Rejection::from, |()| Rejection::without_response(NegotiationError::NoData))
}
