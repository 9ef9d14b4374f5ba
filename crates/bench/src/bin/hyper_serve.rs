//! hyper's HTTP/2 server for the end-to-end runs, on one thread: `hyper_serve PORT`.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::convert::Infallible;
use std::error::Error;
use std::net::Ipv4Addr;
use thalweg_bench::payload::{self, Payload};
use tokio::net::TcpListener;

fn main() -> Result<(), Box<dyn Error>> {
    let (port, payload) = (payload::port()?, Payload::new());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async move {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        loop {
            let (socket, _) = listener.accept().await?;
            socket.set_nodelay(true)?;
            let payload = payload.clone();
            tokio::spawn(async move {
                let service = hyper::service::service_fn(move |request| serve(payload.clone(), request));
                let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(socket), service);
                if let Err(error) = connection.await {
                    eprintln!("{error}");
                }
            });
        }
    })
}

async fn serve(payload: Payload, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let answer = payload.answer(request.uri().path());
    let status = if answer.is_some() { StatusCode::OK } else { StatusCode::NOT_FOUND };
    let mut response = Response::new(Full::new(answer.unwrap_or_default()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(payload::CONTENT_TYPE));
    Ok(response)
}
