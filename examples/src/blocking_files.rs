//! The routes of `blocking_serve` and `blocking_testbed`, on threads: files of a directory,
//! computed bytes, and an echo.
//!
//! Besides files there are `GET /bytes/N?seed=S`, N computed bytes, and `POST /echo`, which returns
//! content while it arrives.

use std::io;

use thalweg_threads::{Body, Payload, Request, Responder, Response, Status};

use crate::pattern::Pattern;
use crate::site::{Entry, Site};

/// Responds to a request. Returns the status and the number of content bytes sent.
///
/// # Errors
/// The stream's end, or the error of reading the content.
pub fn answer(site: &Site, mut request: Request<Body>, responder: Responder) -> io::Result<(Status, u64)> {
    let path = request.path();
    match (request.method(), path) {
        ("POST" | "PUT", "/echo") => {
            let mut echo = responder.start(Response::ok())?;
            let bytes = echo.write_from(&mut request.body)?;
            echo.finish()?;
            Ok((Status::OK, bytes))
        }
        ("GET" | "HEAD", _) => match Pattern::from_target(path) {
            Some(Ok(pattern)) => bytes(pattern, responder),
            Some(Err(mistake)) => send(responder, 400, "text/plain; charset=utf-8", mistake.into()),
            None => file(site, path, responder),
        },
        _ => send(responder, 405, "text/plain; charset=utf-8", "GET, HEAD, or POST /echo\n".into()),
    }
}

/// Responds with computed bytes, as [`answer`] does.
///
/// # Errors
/// The stream's end.
pub fn bytes(pattern: Pattern, responder: Responder) -> io::Result<(Status, u64)> {
    let len = pattern.remaining();
    send(responder, 200, "application/octet-stream", Payload::sized_reader(pattern, len))
}

/// Responds with 400, and `mistake` as the reason.
///
/// # Errors
/// The stream's end.
pub fn bad_request(mistake: String, responder: Responder) -> io::Result<(Status, u64)> {
    send(responder, 400, "text/plain; charset=utf-8", mistake.into())
}

fn file(site: &Site, path: &str, responder: Responder) -> io::Result<(Status, u64)> {
    match site.find(path) {
        Ok(Entry::File { file, len, content_type }) => {
            send(responder, 200, content_type, Payload::sized_reader(file, len))
        }
        Ok(Entry::Page(page)) => send(responder, 200, "text/html; charset=utf-8", page.into()),
        Ok(Entry::Moved(to)) => {
            let status = status(308);
            responder.send(Response::new(status).field("location", to))?;
            Ok((status, 0))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            send(responder, 404, "text/plain; charset=utf-8", "not found\n".into())
        }
        Err(error) => send(responder, 500, "text/plain; charset=utf-8", format!("{error}\n").into()),
    }
}

fn send(responder: Responder, code: u16, content_type: &str, content: Payload) -> io::Result<(Status, u64)> {
    let (status, bytes) = (status(code), content.content_length().unwrap_or(0));
    responder.send(Response::new(status).field("content-type", content_type).body(content))?;
    Ok((status, bytes))
}

fn status(code: u16) -> Status {
    Status::new(code).expect("the codes here are from 100 to 999")
}
