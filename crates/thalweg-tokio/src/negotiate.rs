//! Protocol negotiation on an accepted connection: identifies its first bytes, and rejects other
//! protocols than HTTP/2.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Request;
use thalweg::{CloseCause, Timeout};
use thalweg_h2c::{Protocol, SniffError, Sniffer, Upgrade, responses};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};

use crate::body::Body;
use crate::buffer;
use crate::control::ConnectionControl;
use crate::error::ConnectionEnd;
use crate::lingering_close::LingeringClose;

/// How a connection that a server accepted ended.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectionOutcome {
    /// The connection spoke HTTP/2.
    Ended(Arc<ConnectionEnd>),
    /// The connection ended before it spoke HTTP/2.
    Refused(NegotiationError),
}

impl ConnectionOutcome {
    /// Returns whether the end is logged as a warning because the peer is at fault. Failures before
    /// HTTP/2 are not: every port receives connections of scanners and of clients of other
    /// protocols.
    pub fn is_warning(&self) -> bool {
        match self {
            Self::Ended(end) => end.is_warning(),
            Self::Refused(_) => false,
        }
    }
}

impl ConnectionOutcome {
    /// Returns whether streams were open when the time for a graceful shutdown expired.
    pub(crate) fn is_cut_off(&self) -> bool {
        let Self::Ended(end) = self else { return false };
        let cause = end.report.error.map(|error| error.cause());
        cause == Some(CloseCause::Timeout(Timeout::Shutdown)) && end.report.live_streams > 0
    }
}

impl fmt::Display for ConnectionOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended(end) => end.fmt(f),
            Self::Refused(error) => error.fmt(f),
        }
    }
}

/// Why a connection never spoke HTTP/2.
#[derive(Debug)]
#[non_exhaustive]
pub enum NegotiationError {
    /// The peer closed it without sending a byte, as port scanners and health checks do.
    NoData,
    /// The first bytes belong to no known protocol.
    Sniff(SniffError),
    /// The peer speaks HTTP/1.1, and received an error response.
    Http1,
    /// The settings or the request of an Upgrade are invalid; the peer received an HTTP/1.1 error
    /// response.
    Upgrade,
    /// The negotiation did not complete within `Config::timeouts.preface`.
    TimedOut,
    /// The server is shutting down.
    ShuttingDown,
    /// The transport failed.
    Transport(io::Error),
    /// The TLS handshake failed.
    Handshake(io::Error),
    /// The peer does not speak TLS, on a transport that requires it.
    NotTls,
    /// The peer did not offer `h2` in ALPN (RFC 9113 §3.2).
    NoAlpn,
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
            Self::Transport(error) => write!(f, "transport failed: {error}"),
            Self::Handshake(error) => write!(f, "the TLS handshake failed: {error}"),
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
            Self::Transport(error) | Self::Handshake(error) => Some(error),
            _ => None,
        }
    }
}

/// The result of the negotiation.
#[derive(Default)]
pub(crate) struct Negotiated {
    /// Bytes of the connection that were already read.
    pub prefetched: Vec<u8>,
    /// The request of an Upgrade.
    pub upgrade: Option<Box<Upgrade>>,
}

/// Identifies the protocol of a cleartext connection, and rejects it if it is not HTTP/2.
pub(crate) async fn negotiate_cleartext<IO>(
    io: &mut IO,
    config: thalweg_h2c::Config,
    control: &ConnectionControl<thalweg::Server>,
) -> Result<Negotiated, NegotiationError>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let mut sniffer = Sniffer::new(config);
    let (opening, mut rest) = match poll_fn(|cx| poll_sniff(io, cx, &mut sniffer, control)).await {
        Ok(sniffed) => sniffed,
        Err(error) => {
            if let NegotiationError::Sniff(error) = &error {
                reject(io, error.response().unwrap_or_default()).await;
            }
            return Err(error);
        }
    };
    match opening {
        Protocol::Http2 { seen } => {
            rest.splice(..0, seen.iter().copied());
            Ok(Negotiated { prefetched: rest, upgrade: None })
        }
        Protocol::Upgrade(upgrade) => Ok(Negotiated { prefetched: rest, upgrade: Some(upgrade) }),
        Protocol::Http1(request) => {
            reject(io, request.response()).await;
            Err(NegotiationError::Http1)
        }
        _ => Err(NegotiationError::Http1),
    }
}

type Sniffed = Result<(Protocol, Vec<u8>), NegotiationError>;

fn poll_sniff<IO>(
    io: &mut IO,
    cx: &mut Context<'_>,
    sniffer: &mut Sniffer,
    control: &ConnectionControl<thalweg::Server>,
) -> Poll<Sniffed>
where
    IO: AsyncRead + Unpin,
{
    loop {
        control.register(cx.waker());
        if control.wants_shutdown() {
            return Poll::Ready(Err(NegotiationError::ShuttingDown));
        }
        let read = buffer::poll_read(io, cx, |bytes| {
            let mut input = bytes;
            if bytes.is_empty() {
                return match sniffer.handle_eof() {
                    Ok(()) => Err(NegotiationError::NoData),
                    Err(error) => Err(NegotiationError::Sniff(error)),
                };
            }
            match sniffer.receive(&mut input) {
                Ok(opening) => Ok(opening.map(|opening| (opening, input.to_vec()))),
                Err(error) => Err(NegotiationError::Sniff(error)),
            }
        });
        match read {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Err(error)) => return Poll::Ready(Err(NegotiationError::Transport(error))),
            Poll::Ready(Ok(Ok(None))) => {}
            Poll::Ready(Ok(Ok(Some(sniffed)))) => return Poll::Ready(Ok(sniffed)),
            Poll::Ready(Ok(Err(error))) => return Poll::Ready(Err(error)),
        }
    }
}

/// Sends an HTTP/1.1 response and closes the transport.
pub(crate) async fn reject<IO>(io: &mut IO, response: &[u8])
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let mut linger = LingeringClose::new();
    // The response fits any socket's send buffer. A full buffer means that the peer does not read.
    let written = tokio::time::timeout(RESPONSE_TIME_MAX, async {
        io.write_all(response).await?;
        io.flush().await
    });
    if let Ok(Ok(())) = written.await {
        poll_fn(|cx| linger.poll(io, cx, false)).await;
    }
}

/// Converts the request of an Upgrade into the one that the service gets.
pub(crate) fn upgraded_request(request: thalweg_h2c::UpgradeRequest) -> Result<Request<Body>, http::Error> {
    let uri = if request.path.starts_with('/') {
        format!("http://{}{}", request.authority, request.path)
    } else {
        request.path
    };
    let mut builder =
        Request::builder().method(request.method.as_str()).uri(uri).version(http::Version::HTTP_2);
    for (name, value) in request.fields {
        builder = builder.header(name, value);
    }
    builder.body(Body::from(Bytes::from(request.body)))
}

/// The response to a TLS peer that does not negotiate `h2`.
#[cfg(feature = "rustls")]
pub(crate) const NO_HTTP_1: &[u8] = responses::VERSION_NOT_SUPPORTED;

/// The response to an unusable Upgrade.
pub(crate) const UNUSABLE_UPGRADE: &[u8] = responses::BAD_REQUEST;

const RESPONSE_TIME_MAX: std::time::Duration = std::time::Duration::from_secs(1);
