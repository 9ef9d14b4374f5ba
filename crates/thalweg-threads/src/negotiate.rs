//! How a server's connection opens: what its first bytes are, and what becomes of those that are not HTTP/2.
//!
//! Keeps true: a peer that does not speak HTTP/2 is never sent a frame; every byte goes to whom it belongs.

use std::fmt;

use thalweg_h2c::{Protocol, SniffError, Sniffer, Upgrade, responses};

/// Why a connection never spoke HTTP/2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NegotiationError {
    /// It ended without a byte, as those of port scanners and health checks do.
    NoData,
    /// Its first bytes lead nowhere.
    Sniff(SniffError),
    /// It speaks HTTP/1, and was told that this server does not.
    Http1,
    /// The settings of an Upgrade cannot be used; it was told so in HTTP/1.1.
    Upgrade,
    /// It did not come to the point within `Config::timeouts.preface`.
    TimedOut,
    /// It was ended before it came to that.
    ShuttingDown,
    /// The TLS handshake failed; [`ConnectionEnd::transport`](crate::ConnectionEnd::transport) says why.
    Handshake,
    /// The peer does not speak TLS, on a transport that begins with it.
    NotTls,
    /// TLS without `h2` in ALPN (RFC 9113 §3.2).
    NoAlpn,
}

impl NegotiationError {
    /// Whether the peer said or did anything. Even then it deserves no warning: scanners and clients of other
    /// protocols come to every port.
    #[cfg(feature = "tracing")]
    pub(crate) const fn is_notable(self) -> bool {
        !matches!(self, Self::NoData | Self::ShuttingDown)
    }

    /// The refusal inside an error of a transport.
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
            Self::TimedOut => f.write_str("refused: too slow, timeouts.preface passed"),
            Self::ShuttingDown => f.write_str("closed by a shutdown before it began"),
            Self::Handshake => f.write_str("the TLS handshake failed"),
            Self::NotTls => f.write_str(
                "the peer does not speak TLS here: http:// is for a cleartext port, https:// for a TLS port",
            ),
            Self::NoAlpn => {
                f.write_str("the peer does not speak HTTP/2 over TLS: it did not agree to h2 by ALPN")
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

/// A refusal, and what the peer is told in words that it may understand.
#[derive(Debug)]
pub struct Rejection {
    pub error: NegotiationError,
    pub answer: &'static [u8],
}

impl Rejection {
    /// Nothing is said.
    pub const fn without_response(error: NegotiationError) -> Self {
        Self { error, answer: &[] }
    }

    /// RFC 9113 §3.2: over TLS, HTTP/2 is spoken only with those that negotiated it.
    pub const NO_ALPN: Self =
        Self { error: NegotiationError::NoAlpn, answer: responses::VERSION_NOT_SUPPORTED };
    /// The settings of an Upgrade cannot be used.
    pub const UPGRADE: Self = Self { error: NegotiationError::Upgrade, answer: responses::BAD_REQUEST };
}

impl From<SniffError> for Rejection {
    fn from(error: SniffError) -> Self {
        Self { error: NegotiationError::Sniff(error), answer: error.response().unwrap_or_default() }
    }
}

/// How HTTP/2 begins.
#[derive(Debug)]
pub enum DetectedProtocol {
    /// With the preface, of which these bytes were taken already.
    Preface(&'static [u8]),
    /// With an HTTP/1.1 request.
    Upgrade(Box<Upgrade>),
}

/// Takes bytes until it is clear how HTTP/2 begins, or that it does not.
pub fn sniff(sniffer: &mut Sniffer, input: &mut &[u8]) -> Result<Option<DetectedProtocol>, Rejection> {
    match sniffer.receive(input)? {
        None => Ok(None),
        Some(Protocol::Http2 { seen }) => Ok(Some(DetectedProtocol::Preface(seen))),
        Some(Protocol::Upgrade(upgrade)) => Ok(Some(DetectedProtocol::Upgrade(upgrade))),
        Some(Protocol::Http1(request)) => {
            Err(Rejection { error: NegotiationError::Http1, answer: request.response() })
        }
        Some(_) => {
            Err(Rejection { error: NegotiationError::Http1, answer: responses::VERSION_NOT_SUPPORTED })
        }
    }
}

/// The peer's bytes have ended before that was clear.
pub fn sniff_eof(sniffer: &mut Sniffer) -> Rejection {
    sniffer
        .handle_eof()
        .map_or_else(Rejection::from, |()| Rejection::without_response(NegotiationError::NoData))
}
