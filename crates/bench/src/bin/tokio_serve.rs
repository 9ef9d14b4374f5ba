//! thalweg-tokio's server for the end-to-end runs, on one thread: `tokio_serve PORT [spawned]`.
//! Handlers run on the task of their connection, or on tasks of their own.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use std::convert::Infallible;
use std::error::Error;
use std::net::Ipv4Addr;
use thalweg_bench::payload::{self, Payload};
use thalweg_tokio::{Body, Server, SpawnHandlers, service_fn};

fn main() -> Result<(), Box<dyn Error>> {
    let (port, payload) = (payload::port()?, Payload::new());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async move {
        let server = Server::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let service = service_fn(move |request: Request<Body>| serve(payload.clone(), request));
        if std::env::args().nth(2).is_some_and(|how| how == "spawned") {
            server.serve(SpawnHandlers(service)).await?;
        } else {
            server.serve(service).await?;
        }
        Ok(())
    })
}

async fn serve(payload: Payload, request: Request<Body>) -> Result<Response<Full<Bytes>>, Infallible> {
    let answer = payload.answer(request.uri().path());
    let status = if answer.is_some() { StatusCode::OK } else { StatusCode::NOT_FOUND };
    let mut response = Response::new(Full::new(answer.unwrap_or_default()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(payload::CONTENT_TYPE));
    Ok(response)
}
