//! How a connection of a listener opens: what its first bytes are, and what becomes of those that are not HTTP/2.

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

/// How a connection that a server accepted has ended.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectionOutcome {
    /// It spoke HTTP/2.
    Ended(Arc<ConnectionEnd>),
    /// It never came to that.
    Refused(NegotiationError),
}

impl ConnectionOutcome {
    /// Whether it deserves a warning: the peer is to blame. What happens before HTTP/2 is spoken does not:
    /// scanners and clients of other protocols come to every port.
    pub fn is_warning(&self) -> bool {
        match self {
            Self::Ended(end) => end.is_warning(),
            Self::Refused(_) => false,
        }
    }
}

impl ConnectionOutcome {
    /// Whether streams were under way when the time for a graceful end was over.
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
    /// It ended without a byte, as those of port scanners and health checks do.
    NoData,
    /// Its first bytes lead nowhere.
    Sniff(SniffError),
    /// It speaks HTTP/1, and was told that this server does not.
    Http1,
    /// The settings or the request of an Upgrade cannot be used; it was told so over HTTP/1.1.
    Upgrade,
    /// It did not come to the point within `Config::timeouts.preface`.
    TimedOut,
    /// The server ends.
    ShuttingDown,
    /// The transport failed.
    Transport(io::Error),
    /// The TLS handshake failed.
    Handshake(io::Error),
    /// The peer does not speak TLS, on a transport that begins with it.
    NotTls,
    /// TLS without `h2` in ALPN (RFC 9113 §3.2).
    NoAlpn,
}

impl fmt::Display for NegotiationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoData => f.write_str("closed by the peer without a byte"),
            Self::Sniff(error) => write!(f, "refused: {error}"),
            Self::Http1 => f.write_str("refused: http/1, which this server does not speak"),
            Self::Upgrade => f.write_str("refused: an upgrade with unusable settings or request"),
            Self::TimedOut => f.write_str("refused: too slow, timeouts.preface passed"),
            Self::ShuttingDown => f.write_str("closed because the server shuts down"),
            Self::Transport(error) => write!(f, "transport failed: {error}"),
            Self::Handshake(error) => write!(f, "the TLS handshake failed: {error}"),
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
            Self::Transport(error) | Self::Handshake(error) => Some(error),
            _ => None,
        }
    }
}

/// What a connection opened with.
#[derive(Default)]
pub struct Negotiated {
    /// Bytes that belong to the connection and were read already.
    pub prefetched: Vec<u8>,
    /// The request of an Upgrade.
    pub upgrade: Option<Box<Upgrade>>,
}

/// Finds out what the peer of a cleartext connection speaks, and tells it if that is not HTTP/2.
pub async fn negotiate_cleartext<IO>(
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

/// Says a last word in HTTP/1.1 and ends the transport.
pub async fn reject<IO>(io: &mut IO, answer: &[u8])
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let mut linger = LingeringClose::new();
    // The answer fits any socket's buffer; one that is full has a peer that does not read.
    let written = tokio::time::timeout(ANSWER_TIME_MAX, async {
        io.write_all(answer).await?;
        io.flush().await
    });
    if let Ok(Ok(())) = written.await {
        poll_fn(|cx| linger.poll(io, cx, false)).await;
    }
}

/// Makes the request of an Upgrade the one that a service gets.
pub fn upgraded_request(request: thalweg_h2c::UpgradeRequest) -> Result<Request<Body>, http::Error> {
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

/// What a peer gets over TLS that does not ask for HTTP/2 there.
#[cfg(feature = "rustls")]
pub const NO_HTTP_1: &[u8] = responses::VERSION_NOT_SUPPORTED;

/// What a peer gets whose Upgrade cannot be used.
pub const UNUSABLE_UPGRADE: &[u8] = responses::BAD_REQUEST;

const ANSWER_TIME_MAX: std::time::Duration = std::time::Duration::from_secs(1);
