//! The main job: files of a directory, bytes by number, and an echo, over HTTP/2: with prior knowledge and by Upgrade, or with
//! `--tls` over TLS. Without the files of a certificate and its key it makes a certificate for `localhost` by itself.
//!
//! `GET /bytes/N?seed=S` answers with N bytes, `POST /echo` with what it gets while it gets it, any other path with a file or
//! the page of a directory. `--record DIR` keeps the last 16 connections as files for the example `replay`.
//! `--inspect ADDR` shows the connections on a page that updates itself. Prints a line per request and per connection that has
//! ended. Ctrl-C ends it gracefully.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use http::Request;
use thalweg_examples::arguments::{self, Arguments};
use thalweg_examples::files;
use thalweg_examples::inspect;
use thalweg_examples::site::Site;
use thalweg_examples::tls;
use thalweg_tokio::inspect::Watch;
use thalweg_tokio::thalweg_record::{Keep, Recordings};
use thalweg_tokio::{Body, Server, service_fn};

const USAGE: &str =
    "serve [--h2c ADDR] [--tls [CERT KEY]] [--root DIR] [--record DIR] [--inspect ADDR] [--quiet]";

#[tokio::main]
async fn main() -> ExitCode {
    arguments::exit("serve", run().await)
}

async fn run() -> Result<(), String> {
    let mut args = Arguments::from_env(USAGE);
    let addr = args.option("--h2c")?.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 8080)));
    let tls = args.words_behind("--tls").map(|files| tls::server_config(&files)).transpose()?;
    let root: PathBuf = args.option("--root")?.unwrap_or_else(|| ".".into());
    let record: Option<PathBuf> = args.option("--record")?;
    let inspect: Option<SocketAddr> = args.option("--inspect")?;
    let quiet = args.switch("--quiet");
    args.finish()?;
    let site = Site::new(&root)?;
    let mut server = Server::bind(addr).await.map_err(|error| format!("cannot listen on {addr}: {error}"))?;
    println!("listening on {}", server.local_addr().map_err(|error| error.to_string())?);

    if let Some(inspect) = inspect {
        // What is served here is no secret.
        let watch = Watch::new().always().with_paths();
        server = server.inspect(&watch);
        inspect::start(inspect, watch, tls.clone()).await?;
    }
    if let Some(tls) = tls {
        server = server.tls(tls);
    }
    if let Some(folder) = record {
        let recordings =
            Recordings::new(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        // What is served here is no secret.
        server = server.record(&recordings.keep(Keep::All).with_secrets());
    }
    let server = server.on_end(move |peer, end| {
        if !quiet {
            println!("{peer} ended: {end}");
        }
    });
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
    let signal = async { drop(tokio::signal::ctrl_c().await) };
    server.serve_until(service, signal).await.map(|_| ()).map_err(|error| error.to_string())
}
