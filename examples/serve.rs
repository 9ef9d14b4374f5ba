//! The main job: files of a directory, bytes by number, and an echo, over HTTP/2 with prior knowledge.
//!
//! `GET /bytes/N?seed=S` answers with N bytes, `POST /echo` with what it gets while it gets it, any other path with a file or
//! the page of a directory. Prints a line per request and per connection that has ended. Ctrl-C ends it gracefully.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::process::ExitCode;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::header::{ALLOW, CONTENT_TYPE, HeaderValue, LOCATION};
use http::{Method, Request, Response, StatusCode};
use http_body::{Frame, SizeHint};
use thalweg_examples::arguments::{self, Arguments};
use thalweg_examples::pattern::Pattern;
use thalweg_examples::site::{Entry, Site};
use thalweg_tokio::{Body, BoxError, Server, service_fn};
use tokio::fs::File;
use tokio::io::{AsyncRead, ReadBuf};

const USAGE: &str = "serve [--h2c ADDR] [--root DIR] [--quiet]";

#[tokio::main]
async fn main() -> ExitCode {
    arguments::exit("serve", run().await)
}

async fn run() -> Result<(), String> {
    let mut args = Arguments::from_env(USAGE);
    let addr = args.option("--h2c")?.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 8080)));
    let root: PathBuf = args.option("--root")?.unwrap_or_else(|| ".".into());
    let quiet = args.switch("--quiet");
    args.finish()?;
    let site = Site::new(&root)?;
    let server = Server::bind(addr).await.map_err(|error| format!("cannot listen on {addr}: {error}"))?;
    println!("listening on {}", server.local_addr().map_err(|error| error.to_string())?);

    let server = server.on_end(move |peer, end| {
        if !quiet {
            println!("{peer} ended: {end}");
        }
    });
    let service = service_fn(move |request: Request<Body>| {
        let site = site.clone();
        async move {
            let asked = format!("{} {}", request.method(), request.uri().path());
            let response = answer(site, request).await;
            if !quiet {
                println!("{asked} {}", response.status().as_u16());
            }
            Ok::<_, Infallible>(response)
        }
    });
    let signal = async { drop(tokio::signal::ctrl_c().await) };
    server.serve_until(service, signal).await.map(|_| ()).map_err(|error| error.to_string())
}

async fn answer(site: Site, request: Request<Body>) -> Response<Reply> {
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
    if target == "/echo" && request.method() == Method::POST {
        return reply(StatusCode::OK, "application/octet-stream", Reply::Echo(request.into_body()));
    }
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let mut refusal = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD, and POST to /echo\n");
        refusal.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refusal;
    }
    match Pattern::from_target(target) {
        Some(Ok(pattern)) => {
            return reply(StatusCode::OK, "application/octet-stream", Reply::Pattern(pattern));
        }
        Some(Err(mistake)) => return text(StatusCode::BAD_REQUEST, mistake),
        None => {}
    }
    let target = target.to_owned();
    match tokio::task::spawn_blocking(move || site.find(&target)).await {
        Ok(Ok(Entry::File { file, len, content_type })) => {
            reply(StatusCode::OK, content_type, Reply::File { file: File::from_std(file), left: len })
        }
        Ok(Ok(Entry::Page(page))) => {
            reply(StatusCode::OK, "text/html; charset=utf-8", Reply::Text(Some(page.into())))
        }
        Ok(Ok(Entry::Moved(to))) => match HeaderValue::try_from(to) {
            Ok(to) => {
                let mut moved = text(StatusCode::MOVED_PERMANENTLY, "moved\n");
                moved.headers_mut().insert(LOCATION, to);
                moved
            }
            Err(_) => text(StatusCode::NOT_FOUND, "not found\n"),
        },
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            text(StatusCode::FORBIDDEN, "not allowed\n")
        }
        Ok(Err(_)) => text(StatusCode::NOT_FOUND, "not found\n"),
        Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, "the file system failed\n"),
    }
}

fn text(status: StatusCode, text: &'static str) -> Response<Reply> {
    reply(status, "text/plain; charset=utf-8", Reply::Text(Some(Bytes::from_static(text.as_bytes()))))
}

fn reply(status: StatusCode, content_type: &'static str, body: Reply) -> Response<Reply> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// What is sent back. Only the piece that is on its way is ever in memory.
enum Reply {
    Text(Option<Bytes>),
    Pattern(Pattern),
    File { file: File, left: u64 },
    Echo(Body),
}

impl http_body::Body for Reply {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let piece = match self.get_mut() {
            Self::Echo(body) => return Pin::new(body).poll_frame(cx).map_err(Into::into),
            Self::Text(text) => text.take(),
            Self::Pattern(pattern) => {
                let mut piece = BytesMut::zeroed(PIECE_BYTES.min(usize::try_from(pattern.remaining())?));
                pattern.fill(&mut piece);
                Some(piece.freeze())
            }
            Self::File { file, left } => {
                let mut piece = BytesMut::zeroed(PIECE_BYTES.min(usize::try_from(*left)?));
                let mut buf = ReadBuf::new(&mut piece);
                ready!(Pin::new(file).poll_read(cx, &mut buf))?;
                let len = buf.filled().len();
                if len == 0 && *left > 0 {
                    return Poll::Ready(Some(Err("the file has become shorter".into())));
                }
                piece.truncate(len);
                *left -= len as u64;
                Some(piece.freeze())
            }
        };
        Poll::Ready(piece.filter(|piece| !piece.is_empty()).map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Echo(body) => body.is_end_stream(),
            _ => self.size_hint().exact() == Some(0),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Text(text) => SizeHint::with_exact(text.as_ref().map_or(0, |text| text.len() as u64)),
            Self::Pattern(pattern) => SizeHint::with_exact(pattern.remaining()),
            Self::File { left, .. } => SizeHint::with_exact(*left),
            Self::Echo(body) => body.size_hint(),
        }
    }
}

const PIECE_BYTES: usize = 64 << 10;
