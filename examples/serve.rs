//! The main example: serves files of a directory, computed bytes, and an echo over HTTP/2, with
//! prior knowledge and by Upgrade, or with `--tls` over TLS. Without the files of a certificate and
//! its key it generates a certificate for `localhost`.
//!
//! `GET /bytes/N?seed=S` responds with N bytes, `POST /echo` with the request's content while it
//! arrives, any other path with a file or the page of a directory. `--record DIR` stores the last
//! 16 connections as files for the example `replay`. `--inspect ADDR` serves a live view of the
//! connections. Prints a line per request and per closed connection. Ctrl-C and SIGTERM shut it
//! down gracefully.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use http::Request;
use thalweg_examples::arguments::{self, Listen, Tls};
use thalweg_examples::files;
use thalweg_examples::inspect;
use thalweg_examples::signals;
use thalweg_examples::site::Site;
use thalweg_tokio::inspect::ConnectionMonitor;
use thalweg_tokio::thalweg_record::{RecordingStore, Retention};
use thalweg_tokio::{Body, Server, service_fn};
use tokio::net::TcpListener;

/// Serves a directory, computed bytes and an echo over HTTP/2. Ctrl-C and SIGTERM shut it down
/// gracefully
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
    /// Stores recordings of the last 16 connections here, for the example replay
    #[arg(long, value_name = "DIR")]
    record: Option<PathBuf>,
    /// Serves a live view of the connections at this loopback address
    #[arg(long, value_name = "ADDR")]
    inspect: Option<SocketAddr>,
    /// Prints no line per request and per connection
    #[arg(long)]
    quiet: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    arguments::exit("serve", run(Arguments::parse()).await)
}

async fn run(args: Arguments) -> Result<(), String> {
    let Arguments { listen: Listen { addr }, tls, root, record, inspect, quiet } = args;
    let tls = tls.server_config()?;
    let signal = signals::shutdown()?;
    let site = Site::new(&root)?;
    let listener =
        TcpListener::bind(addr).await.map_err(|error| format!("cannot listen on {addr}: {error}"))?;
    println!("listening on {}", listener.local_addr().map_err(|error| error.to_string())?);
    let mut server = Server::builder();
    if let Some(inspect) = inspect {
        // The content of this server is public.
        let monitor = ConnectionMonitor::new().keep_recording().with_paths();
        server = server.inspect(&monitor);
        inspect::start(inspect, monitor, tls.clone()).await?;
    }
    if let Some(tls) = tls {
        server = server.tls(tls);
    }
    if let Some(folder) = record {
        let recordings =
            RecordingStore::new(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        // The content of this server is public.
        server = server.record(&recordings.retention(Retention::All).with_secrets());
    }
    let server = server.on_end(move |end| {
        if let Some(peer) = end.remote
            && !quiet
        {
            println!("{peer} ended: {end}");
        }
    });
    let server = server.from_listener(listener);
    let service = service_fn(move |request: Request<Body>| {
        let site = site.clone();
        async move {
            let asked = format!("{} {}", request.method(), request.uri().path());
            let response = files::answer(site, request).await;
            if !quiet {
                println!("{asked} {}", response.status().as_u16());
            }
            Ok::<_, Infallible>(response)
        }
    });
    server.serve_until(service, signal).await.map(|_| ()).map_err(|error| error.to_string())
}
