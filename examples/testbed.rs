//! The routes of `serve` and two gRPC calls, `/echo.Echo/Unary` and `/echo.Echo/Stream`: `testbed
//! --listen 127.0.0.1:8080 --root DIR`.
//!
//! A server for tests with third-party clients. `GET /slow/MS/N` responds with N bytes after MS
//! milliseconds. Prints how each connection ended. Ctrl-C and SIGTERM shut it down gracefully.

use std::convert::Infallible;
use std::path::PathBuf;
use std::pin::Pin;
use std::process::ExitCode;
use std::task::{Context, Poll};

use bytes::Bytes;
use clap::Parser;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt as _, Either, LengthLimitError, Limited};
use thalweg_examples::arguments::{self, Listen};
use thalweg_examples::files::{self, Reply};
use thalweg_examples::grpc::{self, Call, GrpcError, Replies};
use thalweg_examples::signals;
use thalweg_examples::site::Site;
use thalweg_examples::slow::Slow;
use thalweg_tokio::{Body, Server, service_fn};

/// Serves the routes of the example serve, delayed responses and two gRPC calls, for third-party
/// clients. Ctrl-C and SIGTERM shut it down gracefully
///
/// GET /slow/MS/N responds with N bytes after MS milliseconds; /echo.Echo/Unary and
/// /echo.Echo/Stream are the calls.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(flatten)]
    listen: Listen,
    /// Directory whose files are served
    #[arg(long, value_name = "DIR", default_value = ".")]
    root: PathBuf,
    /// Prints no line per connection
    #[arg(long)]
    quiet: bool,
}

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

#[tokio::main]
async fn main() -> ExitCode {
    arguments::exit("testbed", run(Arguments::parse()).await)
}

async fn run(args: Arguments) -> Result<(), String> {
    let Arguments { listen: Listen { addr }, root, quiet } = args;
    let signal = signals::shutdown()?;
    let site = Site::new(&root)?;
    let server = Server::builder().on_end(move |end| {
        if let Some(peer) = end.remote
            && !quiet
        {
            println!("{peer} ended: {end}");
        }
    });
    let server = server.bind(addr).await.map_err(|error| format!("cannot listen on {addr}: {error}"))?;
    println!("listening on {}", server.local_addr().map_err(|error| error.to_string())?);
    let service = service_fn(move |request: Request<Body>| {
        let site = site.clone();
        async move { Ok::<_, Infallible>(answer(site, request).await) }
    });
    server.serve_until(service, signal).await.map(drop).map_err(|error| error.to_string())
}

async fn answer(site: Site, request: Request<Body>) -> Response<Either<Reply, Messages>> {
    if let Some(slow) = slow(&request) {
        return match slow {
            Ok(Slow { delay, content }) => {
                tokio::time::sleep(delay).await;
                files::bytes(content).map(Either::Left)
            }
            Err(mistake) => files::bad_request(mistake).map(Either::Left),
        };
    }
    let Some(call) = Call::from_path(request.uri().path()) else {
        return files::answer(site, request).await.map(Either::Left);
    };
    let is_grpc = |value: &HeaderValue| value.as_bytes().starts_with(grpc::CONTENT_TYPE.as_bytes());
    if !request.headers().get(CONTENT_TYPE).is_some_and(is_grpc) {
        let mut refusal = Response::new(Either::Right(Messages::default()));
        *refusal.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return refusal;
    }
    let outcome = match call {
        Ok(call) => message(request.into_body()).await.and_then(|message| call.answer(message)),
        Err(refusal) => Err(refusal),
    };
    let mut response = match outcome {
        Ok(replies) => Response::new(Messages { replies: Some(replies), trailers: Some(status("0")) }),
        Err(refusal) => {
            let mut response = Response::new(Messages::default());
            *response.headers_mut() = status(refusal.code);
            response.headers_mut().insert(GRPC_MESSAGE, HeaderValue::from_static(refusal.message));
            response
        }
    };
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(grpc::CONTENT_TYPE));
    response.map(Either::Right)
}

/// Parses a request for a delayed response.
fn slow(request: &Request<Body>) -> Option<Result<Slow, String>> {
    let is_asked = request.method() == Method::GET || request.method() == Method::HEAD;
    if is_asked { Slow::from_target(request.uri().path()) } else { None }
}

async fn message(body: Body) -> Result<Bytes, GrpcError> {
    match Limited::new(body, grpc::REQUEST_BYTES_MAX).collect().await {
        Ok(whole) => Ok(whole.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(grpc::TOO_LONG),
        Err(_) => Err(grpc::CANCELLED),
    }
}

fn status(code: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(GRPC_STATUS, HeaderValue::from_static(code))])
}

/// The messages of a call, created as they are sent, and its status.
#[derive(Default)]
struct Messages {
    replies: Option<Replies>,
    trailers: Option<HeaderMap>,
}

impl http_body::Body for Messages {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let message = self.replies.as_mut().and_then(Iterator::next).map(Frame::data);
        Poll::Ready(message.or_else(|| self.trailers.take().map(Frame::trailers)).map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.trailers.is_none()
    }
}
