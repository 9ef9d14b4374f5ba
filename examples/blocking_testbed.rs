//! The routes of `blocking_serve` and two gRPC calls, `/echo.Echo/Unary` and `/echo.Echo/Stream`,
//! on threads: `blocking_testbed --listen 127.0.0.1:8080 --root DIR`.
//!
//! A server for tests with third-party clients. `GET /slow/MS/N` responds with N bytes after MS
//! milliseconds. Prints how each connection ended. Ctrl-C and SIGTERM shut it down gracefully.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use clap::Parser;
use thalweg_examples::arguments::{self, Listen};
use thalweg_examples::blocking_files;
use thalweg_examples::grpc::{self, Call, GrpcError, Replies};
use thalweg_examples::site::Site;
use thalweg_examples::slow::Slow;
use thalweg_threads::{Body, Fields, Request, Responder, Response, Server, Status};

/// Serves the routes of the example blocking_serve, delayed responses and two gRPC calls, for
/// third-party clients. Ctrl-C and SIGTERM shut it down gracefully
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
    /// Prints only the ends of connections that failed
    #[arg(long)]
    quiet: bool,
}

/// Time limit for transfers after Ctrl-C or SIGTERM.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(30);
const UNSUPPORTED_MEDIA_TYPE: u16 = 415;

fn main() -> ExitCode {
    arguments::exit("blocking_testbed", run(Arguments::parse()))
}

fn run(args: Arguments) -> Result<(), String> {
    let Arguments { listen: Listen { addr: address }, root, quiet: is_quiet } = args;
    let site = Site::new(&root)?;
    let describe = |error: io::Error| format!("{address}: {error}");
    let builder = Server::builder().on_end(move |end| {
        if !is_quiet || end.is_warning() {
            println!("connection ended: {end}");
        }
    });
    let server = builder.bind(address).map_err(|error| format!("cannot listen on {address}: {error}"))?;
    println!("listening on {}", server.local_addr().map_err(|error| error.to_string())?);
    let handle = server.handle();
    ctrlc::set_handler(move || handle.shutdown(SHUTDOWN_LIMIT)).map_err(|error| error.to_string())?;
    server
        .serve(move |request: Request<Body>, responder: Responder| match Call::from_path(request.path()) {
            Some(call) => answer(call, request, responder),
            None => match slow(&request) {
                Some(Ok(Slow { delay, content })) => {
                    // Occupies one of the pool's threads, as a handler that computes does.
                    thread::sleep(delay);
                    blocking_files::bytes(content, responder).map(drop)
                }
                Some(Err(mistake)) => blocking_files::bad_request(mistake, responder).map(drop),
                None => blocking_files::answer(&site, request, responder).map(drop),
            },
        })
        .map(drop)
        .map_err(describe)
}

/// Parses a request for a delayed response.
fn slow(request: &Request<Body>) -> Option<Result<Slow, String>> {
    if matches!(request.method(), "GET" | "HEAD") { Slow::from_target(request.path()) } else { None }
}

fn answer(call: Result<Call, GrpcError>, mut request: Request<Body>, responder: Responder) -> io::Result<()> {
    if !request.fields.text("content-type").is_some_and(|value| value.starts_with(grpc::CONTENT_TYPE)) {
        let status = Status::new(UNSUPPORTED_MEDIA_TYPE).expect("a status is from 100 to 999");
        return responder.send(Response::new(status));
    }
    let outcome = match call {
        Ok(call) => message(&mut request.body)?.and_then(|message| call.answer(message.into())),
        Err(refusal) => Err(refusal),
    };
    let head = Response::ok().field("content-type", grpc::CONTENT_TYPE);
    match outcome {
        Ok(replies) => send(replies, head, responder),
        Err(refusal) => responder
            .send(head.field("grpc-status", refusal.code).field("grpc-message", refusal.message).body(())),
    }
}

/// Reads a message. A message that is too long gets an error response; a truncated one has no
/// recipient for a response.
fn message(body: &mut Body) -> io::Result<Result<Vec<u8>, GrpcError>> {
    match body.read_whole(grpc::REQUEST_BYTES_MAX) {
        Ok(message) => Ok(Ok(message)),
        Err(error) if error.kind() == io::ErrorKind::FileTooLarge => Ok(Err(grpc::TOO_LONG)),
        Err(error) => Err(error),
    }
}

fn send(replies: Replies, head: Response<()>, responder: Responder) -> io::Result<()> {
    let mut content = responder.start(head)?;
    for reply in replies {
        io::Write::write_all(&mut content, &reply)?;
    }
    content.finish_with(Fields::new().with("grpc-status", "0"))
}
