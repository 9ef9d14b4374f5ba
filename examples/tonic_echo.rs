//! A gRPC service and a client by tonic on Thalweg, without a protobuf compiler: messages are
//! bytes.
//!
//! `tonic_echo --listen ADDR [--tls [CERT KEY]]` serves the four kinds of calls, with `--tonic`
//! over tonic's own transport; `tonic_echo --call http://ADDR` makes one of each.
//!
//! Calls on one connection share its task. A service whose methods block or compute for more than
//! about a millisecond belongs in `SpawnHandlers`, which runs each call in a separate task, as
//! tonic's own server does.

use std::convert::Infallible;
use std::pin::Pin;
use std::process::ExitCode;
use std::task::{Context, Poll};

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use clap::Parser;
use futures_util::stream::{self, StreamExt as _};
use http::Uri;
use http::uri::PathAndQuery;
use thalweg_examples::arguments::{self, Listen, Tls};
use thalweg_examples::plain::Plain;
use thalweg_examples::signals;
use thalweg_tokio::{BoxError, Server, client, service_fn};
use tonic::client::{Grpc as Caller, GrpcService};
use tonic::codec::Streaming;
use tonic::server::{Grpc, NamedService};
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};
use tower_service::Service;

/// A gRPC service by tonic on Thalweg, and its client. Ctrl-C and SIGTERM shut the service down
/// gracefully
#[derive(Debug, Parser)]
struct Arguments {
    #[command(flatten)]
    listen: Listen,
    #[command(flatten)]
    tls: Tls,
    /// Serves over tonic's own transport, in cleartext
    #[arg(long, conflicts_with = "tls")]
    tonic: bool,
    /// Serves nothing: makes a call of each kind to the service at this URL
    #[arg(long, value_name = "URL", value_parser = arguments::cleartext_url)]
    #[arg(conflicts_with_all = ["listen", "tls", "tonic"])]
    call: Option<Uri>,
}

#[tokio::main]
async fn main() -> ExitCode {
    arguments::exit("tonic_echo", run(Arguments::parse()).await)
}

async fn run(args: Arguments) -> Result<(), String> {
    let Arguments { listen: Listen { addr }, tls, tonic: is_tonics, call: url } = args;
    if let Some(url) = url {
        let host = url.authority().ok_or("the URL names no host")?.as_str();
        let (client, connection) = client::connect(host).await.map_err(|error| error.to_string())?;
        tokio::spawn(connection);
        for line in call_all(client, url).await.map_err(|status| status.to_string())? {
            println!("{line}");
        }
        return Ok(());
    }
    let tls = tls.server_config()?;
    let signal = signals::shutdown()?;
    if is_tonics {
        let incoming =
            TcpIncoming::bind(addr).map_err(|error| format!("cannot listen on {addr}: {error}"))?;
        println!("listening on {}", incoming.local_addr().map_err(|error| error.to_string())?);
        let server = tonic::transport::Server::builder().add_service(Echo);
        let served = server.serve_with_incoming_shutdown(incoming, signal).await;
        return served.map_err(|error| error.to_string());
    }
    let mut server = Server::builder();
    if let Some(tls) = tls {
        server = server.tls(tls);
    }
    let server = server.bind(addr).await.map_err(|error| format!("cannot listen on {addr}: {error}"))?;
    println!("listening on {}", server.local_addr().map_err(|error| error.to_string())?);
    // No method blocks, so no call needs a separate task.
    server.serve_until(Echo, signal).await.map(drop).map_err(|error| error.to_string())
}

/// The service `echo.Echo`, for any server of tower services.
#[derive(Clone, Copy, Debug)]
pub struct Echo;

impl NamedService for Echo {
    const NAME: &'static str = "echo.Echo";
}

impl<B> Service<http::Request<B>> for Echo
where
    B: http_body::Body<Data: Send, Error: Into<BoxError> + Send> + Send + 'static,
{
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        Box::pin(async move {
            let mut grpc = Grpc::new(Plain);
            Ok(match request.uri().path() {
                "/echo.Echo/Unary" => grpc.unary(service_fn(unary), request).await,
                "/echo.Echo/Stream" => grpc.server_streaming(service_fn(stream), request).await,
                "/echo.Echo/Collect" => grpc.client_streaming(service_fn(collect), request).await,
                "/echo.Echo/Chat" => grpc.streaming(service_fn(chat), request).await,
                _ => Status::unimplemented("unknown method").into_http(),
            })
        })
    }
}

type Answer<T> = Result<Response<T>, Status>;

/// Echoes one message.
async fn unary(request: Request<Bytes>) -> Answer<Bytes> {
    Ok(Response::new(request.into_inner()))
}

/// Receives a count and a payload, and sends as many numbered copies.
async fn stream(request: Request<Bytes>) -> Answer<impl stream::Stream<Item = Result<Bytes, Status>>> {
    let mut message = request.into_inner();
    if message.len() < size_of::<u32>() {
        return Err(Status::invalid_argument("a count of 4 bytes comes first"));
    }
    let count = message.get_u32();
    Ok(Response::new(stream::iter(0..count).map(move |number| {
        let mut copy = BytesMut::with_capacity(size_of::<u32>() + message.len());
        copy.put_u32(number);
        copy.extend_from_slice(&message);
        Ok(copy.freeze())
    })))
}

/// Concatenates all messages into one.
async fn collect(request: Request<Streaming<Bytes>>) -> Answer<Bytes> {
    let mut messages = request.into_inner();
    let mut all = BytesMut::new();
    while let Some(message) = messages.message().await? {
        all.extend_from_slice(&message);
    }
    Ok(Response::new(all.freeze()))
}

/// Echoes each message immediately.
async fn chat(request: Request<Streaming<Bytes>>) -> Answer<Streaming<Bytes>> {
    Ok(Response::new(request.into_inner()))
}

/// Makes a call of each kind; returns a line with the result of each.
pub async fn call_all<T>(service: T, origin: Uri) -> Result<Vec<String>, Status>
where
    T: GrpcService<tonic::body::Body>,
    T::ResponseBody: http_body::Body<Error: Into<BoxError>> + Send + 'static,
{
    let mut caller = Caller::with_origin(service, origin);
    let mut lines = Vec::new();
    let path = |name| PathAndQuery::from_static(name);
    let failed = |error: T::Error| Status::from_error(error.into());
    let words = || stream::iter(["the line ", "of fastest ", "flow"].map(Bytes::from));

    caller.ready().await.map_err(failed)?;
    let answer = caller.unary(Request::new(Bytes::from("hello")), path("/echo.Echo/Unary"), Plain).await?;
    lines.push(format!("unary: {}", String::from_utf8_lossy(answer.get_ref())));

    caller.ready().await.map_err(failed)?;
    let count = Request::new(Bytes::from_static(b"\0\0\0\x03x"));
    let mut copies = caller.server_streaming(count, path("/echo.Echo/Stream"), Plain).await?.into_inner();
    while let Some(copy) = copies.message().await? {
        lines.push(format!("stream: {}", copy.escape_ascii()));
    }

    caller.ready().await.map_err(failed)?;
    let all = caller.client_streaming(Request::new(words()), path("/echo.Echo/Collect"), Plain).await?;
    lines.push(format!("collect: {}", String::from_utf8_lossy(all.get_ref())));

    caller.ready().await.map_err(failed)?;
    let mut chat =
        caller.streaming(Request::new(words()), path("/echo.Echo/Chat"), Plain).await?.into_inner();
    while let Some(word) = chat.message().await? {
        lines.push(format!("chat: {}", String::from_utf8_lossy(&word)));
    }
    Ok(lines)
}
