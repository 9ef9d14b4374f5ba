//! An axum `Router` on Thalweg, served with one call: extractors, streaming content, server-sent
//! events, a fallback.
//!
//! `axum_app [--listen ADDR] [--tls [CERT KEY]]`; then `curl --http2-prior-knowledge
//! http://ADDR/hello/you?times=2`, or with `--tls` a browser at `https://ADDR/`, whose page uses
//! every route.
//!
//! Handlers of one connection share its task. A router whose handlers block or compute for more
//! than about a millisecond belongs in `SpawnHandlers(router())`, which runs each request in a
//! separate task, as `axum::serve` does.

use std::convert::Infallible;
use std::process::ExitCode;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, Query};
use axum::http::{StatusCode, Uri};
use axum::response::Html;
use axum::response::sse::{Event, Sse};
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use clap::Parser;
use futures_util::stream::{self, Stream, StreamExt as _};
use serde::{Deserialize, Serialize};
use thalweg_examples::arguments::{self, Listen, Tls};
use thalweg_examples::signals;
use thalweg_tokio::Server;

/// An axum Router on Thalweg. Ctrl-C and SIGTERM shut it down gracefully
#[derive(Debug, Parser)]
struct Arguments {
    #[command(flatten)]
    listen: Listen,
    #[command(flatten)]
    tls: Tls,
}

#[tokio::main]
async fn main() -> ExitCode {
    arguments::exit("axum_app", run(Arguments::parse()).await)
}

async fn run(args: Arguments) -> Result<(), String> {
    let addr = args.listen.addr;
    let tls = args.tls.server_config()?;
    let signal = signals::shutdown()?;
    let mut server = Server::builder();
    if let Some(tls) = tls {
        server = server.tls(tls);
    }
    let server = server.bind(addr).await.map_err(|error| format!("cannot listen on {addr}: {error}"))?;
    println!("listening on {}", server.local_addr().map_err(|error| error.to_string())?);
    // No handler blocks, so none needs a separate task.
    server.serve_until(router(), signal).await.map(drop).map_err(|error| error.to_string())
}

/// Returns the routes.
pub fn router() -> Router {
    Router::new()
        .route("/", get(async || Html(include_str!("axum_app.html"))))
        .route("/hello/{name}", get(hello))
        .route("/sum", post(sum))
        .route("/upper", post(upper))
        .route("/ticks", get(ticks))
        .fallback(|uri: Uri| async move { (StatusCode::NOT_FOUND, format!("nothing at {}\n", uri.path())) })
}

#[derive(Deserialize)]
struct Times {
    times: Option<usize>,
}

async fn hello(Path(name): Path<String>, Query(Times { times }): Query<Times>) -> String {
    format!("hello, {name}\n").repeat(times.unwrap_or(1).min(100))
}

#[derive(Serialize)]
struct Sum {
    sum: i64,
}

async fn sum(Json(numbers): Json<Vec<i32>>) -> Json<Sum> {
    Json(Sum { sum: numbers.into_iter().map(i64::from).sum() })
}

/// Responds with the request in upper case, each piece as it arrives.
async fn upper(body: Body) -> Body {
    let pieces = body.into_data_stream();
    Body::from_stream(pieces.map(|piece| piece.map(|piece| Bytes::from(piece.to_ascii_uppercase()))))
}

/// Sends server-sent events, ten a second, indefinitely.
async fn ticks() -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    Sse::new(stream::unfold(0_u64, |number| async move {
        tokio::time::sleep(Duration::from_millis(100)).await;
        Some((Ok(Event::default().event("tick").data(number.to_string())), number + 1))
    }))
}
