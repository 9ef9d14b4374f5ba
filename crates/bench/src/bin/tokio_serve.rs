//! thalweg-tokio's server for the end-to-end runs: `tokio_serve PORT [inline|spawned|when-slow]
//! [THREADS]`. Handlers run on the task of their connection, on tasks of their own, or on those
//! when one was seen to block. Without THREADS, the one thread of the program runs all. `/block`
//! blocks its thread for 100 ms.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use std::convert::Infallible;
use std::error::Error;
use std::net::Ipv4Addr;
use std::time::Duration;
use thalweg_bench::payload::{self, Payload};
use thalweg_tokio::{Body, Server, SpawnHandlers, service_fn};

fn main() -> Result<(), Box<dyn Error>> {
    let (port, payload) = (payload::port()?, Payload::new());
    let (how, threads) = (std::env::args().nth(2), std::env::args().nth(3));
    let mut runtime = match threads {
        Some(threads) => {
            let mut runtime = tokio::runtime::Builder::new_multi_thread();
            runtime.worker_threads(threads.parse()?);
            runtime
        }
        None => tokio::runtime::Builder::new_current_thread(),
    };
    let runtime = runtime.enable_all().build()?;
    runtime.block_on(async move {
        let server = Server::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let service = service_fn(move |request: Request<Body>| serve(payload.clone(), request));
        match how.as_deref() {
            Some("spawned") => server.serve(SpawnHandlers(service)).await?,
            Some("when-slow") => server.serve(SpawnHandlers::when_slow(service)).await?,
            _ => server.serve(service).await?,
        };
        Ok(())
    })
}

async fn serve(payload: Payload, request: Request<Body>) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.uri().path() == "/block" {
        std::thread::sleep(BLOCK_TIME);
    }
    let answer = payload.answer(request.uri().path());
    let status = if answer.is_some() { StatusCode::OK } else { StatusCode::NOT_FOUND };
    let mut response = Response::new(Full::new(answer.unwrap_or_default()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(payload::CONTENT_TYPE));
    Ok(response)
}

/// How long a handler blocks that is asked to.
const BLOCK_TIME: Duration = Duration::from_millis(100);
