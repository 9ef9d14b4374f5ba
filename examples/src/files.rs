//! The routes of `serve` and `testbed`, on tokio: files of a directory, computed bytes, and an
//! echo.
//!
//! `GET /bytes/N?seed=S` responds with N bytes, `POST /echo` with the request's content while it
//! arrives, any other path with a file or the page of a directory.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::header::{ALLOW, CONTENT_TYPE, HeaderValue, LOCATION};
use http::{Method, Request, Response, StatusCode};
use http_body::{Frame, SizeHint};
use thalweg_tokio::{Body, BoxError};
use tokio::fs::File;
use tokio::io::{AsyncRead, ReadBuf};

use crate::pattern::Pattern;
use crate::site::{Entry, Site};

/// Responds to a request.
pub async fn answer(site: Site, request: Request<Body>) -> Response<Reply> {
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
        Some(Ok(pattern)) => return bytes(pattern),
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

/// Responds with computed bytes.
pub fn bytes(pattern: Pattern) -> Response<Reply> {
    reply(StatusCode::OK, "application/octet-stream", Reply::Pattern(pattern))
}

/// Responds with 400, and `mistake` as the reason.
pub fn bad_request(mistake: String) -> Response<Reply> {
    reply(StatusCode::BAD_REQUEST, "text/plain; charset=utf-8", Reply::Text(Some(mistake.into())))
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

/// The content of a response. Only the current piece is in memory.
#[derive(Debug)]
pub enum Reply {
    /// A short text, or a page.
    Text(Option<Bytes>),
    /// Computed bytes.
    Pattern(Pattern),
    /// The announced number of bytes of a file.
    File {
        /// The source.
        file: File,
        /// The number of bytes left.
        left: u64,
    },
    /// The client's content.
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
