//! hyper's HTTP/2 server for the end-to-end runs, on one thread: `hyper_serve PORT`.
//!
//! `GET /bytes/N` is answered with N bytes, at most 1 MiB.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue, SERVER};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::convert::Infallible;
use std::error::Error;
use std::net::Ipv4Addr;
use tokio::net::TcpListener;

fn main() -> Result<(), Box<dyn Error>> {
    let port: u16 = std::env::args().nth(1).ok_or("usage: hyper_serve PORT")?.parse()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let body: Bytes = (0..BODY_BYTES_MAX).map(|i| (i % 251) as u8).collect();
    runtime.block_on(async move {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        loop {
            let (socket, _) = listener.accept().await?;
            socket.set_nodelay(true)?;
            let body = body.clone();
            tokio::spawn(async move {
                let service = hyper::service::service_fn(move |request| serve(request, body.clone()));
                let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(socket), service);
                if let Err(error) = connection.await {
                    eprintln!("{error}");
                }
            });
        }
    })
}

async fn serve(request: Request<Incoming>, body: Bytes) -> Result<Response<Full<Bytes>>, Infallible> {
    let asked = request.uri().path().strip_prefix("/bytes/").and_then(|n| n.parse().ok());
    let mut response = match asked.filter(|&n: &usize| n <= BODY_BYTES_MAX) {
        Some(n) => Response::new(Full::new(body.slice(..n))),
        None => {
            let mut missing = Response::new(Full::default());
            *missing.status_mut() = StatusCode::NOT_FOUND;
            missing
        }
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(SERVER, HeaderValue::from_static("bench/1.0"));
    Ok(response)
}

const BODY_BYTES_MAX: usize = 1 << 20;
