//! Protocol negotiation on an accepted connection: identifies its first bytes, and rejects other
//! protocols than HTTP/2.

use std::future::poll_fn;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Request;
use thalweg_h2c::Upgrade;
use thalweg_io::{DetectedProtocol, Negotiation, NegotiationError, Rejection};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::body::Body;
use crate::driver::control::ConnectionControl;
use crate::transport::{self, Refused, reject};

/// The result of the negotiation.
#[derive(Default)]
pub(crate) struct Negotiated {
    /// Bytes of the connection that were already read.
    pub(crate) prefetched: Vec<u8>,
    /// The request of an Upgrade.
    pub(crate) upgrade: Option<Box<Upgrade>>,
}

/// Identifies the protocol of a cleartext connection, and rejects it if it is not HTTP/2.
pub(crate) async fn negotiate_cleartext<IO>(
    io: &mut IO,
    config: thalweg_h2c::Config,
    control: &ConnectionControl<thalweg::Server>,
) -> Result<Negotiated, Refused>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let mut negotiation = Negotiation::new(config);
    match poll_fn(|cx| poll_negotiation(io, cx, &mut negotiation, control)).await? {
        Ok((DetectedProtocol::Preface(seen), rest)) => {
            Ok(Negotiated { prefetched: [seen, &rest].concat(), upgrade: None })
        }
        Ok((DetectedProtocol::Upgrade(upgrade), rest)) => {
            Ok(Negotiated { prefetched: rest, upgrade: Some(upgrade) })
        }
        Err(rejection) => {
            if rejection.error != NegotiationError::NoData {
                reject(io, rejection.response).await;
            }
            Err(rejection.error.into())
        }
    }
}

/// The protocol and the bytes after those that the negotiation took; or a rejection.
type Detected = Result<(DetectedProtocol, Vec<u8>), Rejection>;

fn poll_negotiation<IO>(
    io: &mut IO,
    cx: &mut Context<'_>,
    negotiation: &mut Negotiation,
    control: &ConnectionControl<thalweg::Server>,
) -> Poll<Result<Detected, Refused>>
where
    IO: AsyncRead + Unpin,
{
    loop {
        if let Some(reason) = control.poll_negotiation_end(cx.waker()) {
            return Poll::Ready(Err(reason.into()));
        }
        let read = transport::poll_read(io, cx, |bytes| {
            if bytes.is_empty() {
                return Some(Err(negotiation.handle_eof()));
            }
            let mut input = bytes;
            let detected = negotiation.receive(&mut input).transpose()?;
            Some(detected.map(|protocol| (protocol, input.to_vec())))
        });
        match read {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Err(error)) => return Poll::Ready(Err(Refused::transport(error))),
            Poll::Ready(Ok(None)) => control.idle().negotiation_progressed(),
            Poll::Ready(Ok(Some(detected))) => return Poll::Ready(Ok(detected)),
        }
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
