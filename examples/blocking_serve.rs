//! Serves a directory over HTTP/2, on threads: `blocking_serve --listen 127.0.0.1:8080 --root DIR`,
//! with prior knowledge and by Upgrade, or with `--tls` over TLS. Without the files of a
//! certificate and its key it generates a certificate for `localhost`.
//!
//! Besides files there are `GET /bytes/N?seed=S`, N computed bytes, and `POST /echo`, which returns
//! content while it arrives. Prints a line for each request and for each connection's end
//! (`--quiet`: only for connections that failed). Ctrl-C and SIGTERM shut it down gracefully.

use std::io;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use thalweg_examples::arguments::{self, Listen, Tls};
use thalweg_examples::blocking_files;
use thalweg_examples::site::Site;
use thalweg_threads::{Body, Request, Responder, Server, WithCauses};

/// Serves a directory, computed bytes and an echo over HTTP/2, on threads. Ctrl-C and SIGTERM shut
/// it down gracefully
///
/// GET /bytes/N?seed=S responds with N bytes, POST /echo with the request's content, any other path
/// with a file or the page of a directory.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(flatten)]
    listen: Listen,
    #[command(flatten)]
    tls: Tls,
    /// Directory whose files are served
    #[arg(long, value_name = "DIR", default_value = ".")]
    root: PathBuf,
    /// Maximum of concurrent handlers
    #[arg(long, value_name = "N", default_value = "64")]
    threads: NonZeroUsize,
    /// Prints only the ends of connections that failed
    #[arg(long)]
    quiet: bool,
}

/// Time limit for transfers after Ctrl-C or SIGTERM.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(30);

fn main() -> ExitCode {
    arguments::exit("blocking_serve", run(Arguments::parse()))
}

fn run(args: Arguments) -> Result<(), String> {
    let Arguments { listen: Listen { addr: address }, tls, root, threads, quiet: is_quiet } = args;
    let tls = tls.server_config()?;
    let site = Site::new(&root)?;
    let describe = |error: io::Error| format!("{address}: {error}");
    let mut builder = Server::builder().threads_max(threads.get()).on_end(move |end| {
        if !is_quiet || end.is_warning() {
            let remote = end.remote.map_or_else(|| "?".to_owned(), |remote| remote.to_string());
            println!("{remote} connection ended: {end}");
        }
    });
    if let Some(tls) = tls {
        builder = builder.tls(tls);
    }
    let server = builder.bind(address).map_err(|error| format!("cannot listen on {address}: {error}"))?;
    println!("listening on {}", server.local_addr().map_err(|error| error.to_string())?);
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
                Err(error) => println!("{line} failed: {}", WithCauses(error)),
            }
            outcome.map(drop)
        })
        .map(drop)
        .map_err(describe)
}
