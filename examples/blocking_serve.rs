//! Serves a directory over cleartext HTTP/2, on threads: `blocking_serve --h2c 127.0.0.1:8080 --root DIR`.
//!
//! Besides files there are `GET /bytes/N?seed=S`, N computed bytes, and `POST /echo`, which sends back what it hears while it hears it. Prints
//! a line for each request and for each connection's end (`--quiet`: only for connections that went wrong). Ctrl-C ends gracefully.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use thalweg_examples::arguments::{self, Arguments};
use thalweg_examples::pattern::Pattern;
use thalweg_examples::site::{Entry, Site};
use thalweg_threads::{Body, Payload, Request, Responder, Response, Server, Status};

const USAGE: &str = "blocking_serve --h2c ADDRESS --root DIR [--threads N] [--quiet]";
/// How long transfers may go on after Ctrl-C.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(30);

fn main() -> ExitCode {
    arguments::exit("blocking_serve", run())
}

fn run() -> Result<(), String> {
    let mut arguments = Arguments::from_env(USAGE);
    let address: SocketAddr = arguments.option("--h2c")?.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 8080)));
    let root: PathBuf = arguments.option("--root")?.unwrap_or_else(|| PathBuf::from("."));
    let threads: usize = arguments.option("--threads")?.unwrap_or(64);
    let is_quiet = arguments.switch("--quiet");
    arguments.finish()?;

    let site = Site::new(&root)?;
    let describe = |error: io::Error| format!("{address}: {error}");
    let server = Server::bind(address).map_err(describe)?.threads_max(threads).on_end(move |end| {
        if !is_quiet || end.is_warning() {
            let remote = end.remote.map_or_else(|| "?".to_owned(), |remote| remote.to_string());
            println!("{remote} connection ended: {end}");
        }
    });
    println!("listening on {}", server.local_addr());
    let handle = server.handle();
    ctrlc::set_handler(move || handle.shutdown(SHUTDOWN_LIMIT)).map_err(|error| error.to_string())?;
    server
        .serve(move |request: Request<Body>, responder: Responder| {
            let remote = request.remote().map_or_else(String::new, |remote| remote.to_string());
            let line = format!("{remote} {} {}", request.method(), request.path());
            let outcome = answer(&site, request, responder);
            match &outcome {
                Ok(_) if is_quiet => {}
                Ok((status, bytes)) => println!("{line} {status} {bytes} bytes"),
                Err(error) => println!("{line} failed: {error}"),
            }
            outcome.map(drop)
        })
        .map_err(describe)
}

/// Answers a request, and tells the status and how much content was sent.
fn answer(site: &Site, mut request: Request<Body>, responder: Responder) -> io::Result<(Status, u64)> {
    let path = request.path();
    match (request.method(), path) {
        ("POST" | "PUT", "/echo") => {
            let mut echo = responder.start(Response::ok())?;
            let bytes = echo.write_from(&mut request.body)?;
            echo.finish()?;
            Ok((Status::OK, bytes))
        }
        ("GET" | "HEAD", _) => match Pattern::from_target(path) {
            Some(Ok(pattern)) => {
                let len = pattern.remaining();
                send(responder, 200, "application/octet-stream", Payload::sized_reader(pattern, len))
            }
            Some(Err(mistake)) => send(responder, 400, "text/plain; charset=utf-8", mistake.into()),
            None => file(site, path, responder),
        },
        _ => send(responder, 405, "text/plain; charset=utf-8", "GET, HEAD, or POST /echo\n".into()),
    }
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
