//! Serves a directory over HTTP/2, on threads: `blocking_serve --h2c 127.0.0.1:8080 --root DIR`, with prior knowledge and by Upgrade, or with
//! `--tls` over TLS. Without the files of a certificate and its key it makes a certificate for `localhost` by itself.
//!
//! Besides files there are `GET /bytes/N?seed=S`, N computed bytes, and `POST /echo`, which sends back what it hears while it hears it. Prints
//! a line for each request and for each connection's end (`--quiet`: only for connections that went wrong). Ctrl-C ends gracefully.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use thalweg_examples::arguments::{self, Arguments};
use thalweg_examples::blocking_files;
use thalweg_examples::site::Site;
use thalweg_examples::tls;
use thalweg_threads::{Body, Request, Responder, Server};

const USAGE: &str = "blocking_serve --h2c ADDRESS [--tls [CERT KEY]] --root DIR [--threads N] [--quiet]";
/// How long transfers may go on after Ctrl-C.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(30);

fn main() -> ExitCode {
    arguments::exit("blocking_serve", run())
}

fn run() -> Result<(), String> {
    let mut arguments = Arguments::from_env(USAGE);
    let address: SocketAddr = arguments.option("--h2c")?.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 8080)));
    let tls = arguments.words_behind("--tls").map(|files| tls::server_config(&files)).transpose()?;
    let root: PathBuf = arguments.option("--root")?.unwrap_or_else(|| PathBuf::from("."));
    let threads: usize = arguments.option("--threads")?.unwrap_or(64);
    let is_quiet = arguments.switch("--quiet");
    arguments.finish()?;

    let site = Site::new(&root)?;
    let describe = |error: io::Error| format!("{address}: {error}");
    let mut server = Server::bind(address).map_err(describe)?.threads_max(threads);
    if let Some(tls) = tls {
        server = server.tls(tls);
    }
    let server = server.on_end(move |end| {
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
            let outcome = blocking_files::answer(&site, request, responder);
            match &outcome {
                Ok(_) if is_quiet => {}
                Ok((status, bytes)) => println!("{line} {status} {bytes} bytes"),
                Err(error) => println!("{line} failed: {error}"),
            }
            outcome.map(drop)
        })
        .map_err(describe)
}
