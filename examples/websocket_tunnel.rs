//! WebSockets on streams of a connection: extended CONNECT (RFC 8441). The stream becomes a
//! `Tunnel`, which reads and writes like a socket, and is the transport of a WebSocket library,
//! here tungstenite.
//!
//! `websocket_tunnel` connects to itself. `websocket_tunnel --listen ADDR --tls [CERT KEY]` echoes
//! to a browser; the page at `https://ADDR/` shows it. Browsers speak HTTP/2 over TLS only, and use
//! extended CONNECT on the page's connection.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::process::ExitCode;

use bytes::Bytes;
use clap::Parser;
use futures_util::{SinkExt as _, StreamExt as _};
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::Either;
use thalweg_examples::arguments::{self, Tls};
use thalweg_examples::signals;
use thalweg_tokio::thalweg::Config;
use thalweg_tokio::tunnel::{Outgoing, outgoing};
use thalweg_tokio::{Body, BoxError, Client, Protocol, Server, Tunnel, client, service_fn};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::oneshot;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{self, Message, protocol::Role};

const PAGE: &[u8] = include_bytes!("websocket_tunnel.html");

/// WebSockets on streams of an HTTP/2 connection: connects to itself, or echoes to browsers
#[derive(Debug, Parser)]
struct Arguments {
    /// Address to listen on; Ctrl-C and SIGTERM shut the server down gracefully
    #[arg(long, visible_aliases = ["serve", "h2c"], value_name = "ADDR")]
    listen: Option<SocketAddr>,
    #[command(flatten)]
    tls: Tls,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    arguments::exit("websocket_tunnel", run(Arguments::parse()).await)
}

async fn run(args: Arguments) -> Result<(), BoxError> {
    let (addr, tls) = (args.listen, args.tls.server_config()?);
    if addr.is_none() && tls.is_some() {
        arguments::mistake("--tls is for browsers: give --listen ADDR, too");
    }
    // Without this setting no client may use extended CONNECT.
    let mut config = Config::default();
    config.enable_connect_protocol = true;
    let mut server = Server::builder().config(config);
    if let Some(tls) = tls {
        server = server.tls(tls);
    }
    let server = server.bind(addr.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 0)))).await?;
    if addr.is_none() {
        return run_self_test(server).await;
    }
    let signal = signals::shutdown()?;
    println!("listening on {}", server.local_addr()?);
    Ok(server.serve_until(service_fn(answer), signal).await.map(drop)?)
}

async fn run_self_test(server: Server) -> Result<(), BoxError> {
    let addr = server.local_addr()?;
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(server.serve_until(service_fn(answer), async { drop(stopped.await) }));
    let (mut client, connection) = client::connect(addr).await?;
    let connection = tokio::spawn(connection);
    let mut chat = open(&mut client, &format!("http://{addr}/chat")).await?;
    for text in ["the line", "of fastest flow"] {
        chat.send(Message::text(text)).await?;
        let echo = chat.next().await.ok_or("the server has ended the tunnel")??;
        println!("echo: {echo}");
    }
    chat.close(None).await?;
    // The last message is the response to our close.
    while let Some(last) = chat.next().await {
        last?;
    }
    chat.get_mut().shutdown().await?;
    println!("both sides have ended the tunnel");
    drop((chat, client));
    connection.await?;
    let _ = stop.send(());
    serving.await??;
    Ok(())
}

/// Opens the client's side: an extended CONNECT request, whose content is the outgoing data.
async fn open(client: &mut Client<Outgoing>, url: &str) -> Result<WebSocketStream<Tunnel>, BoxError> {
    let (writer, content) = outgoing();
    let mut request = Request::get(url).header("sec-websocket-version", "13").body(content)?;
    request.extensions_mut().insert(Protocol::new("websocket"));
    let response = client.send(request).await?;
    if response.status() != StatusCode::OK {
        return Err(format!("no tunnel: {}", response.status()).into());
    }
    let tunnel = Tunnel::new(response.into_body(), writer);
    Ok(WebSocketStream::from_raw_socket(tunnel, Role::Client, None).await)
}

/// The server's side: status 200 opens the tunnel, and a separate task uses it. Other requests get
/// the page.
async fn answer(request: Request<Body>) -> Result<Response<Either<Outgoing, Body>>, Infallible> {
    let Some(protocol) = request.extensions().get::<Protocol>() else {
        let mut page = Response::new(Either::Right(Body::from(Bytes::from_static(PAGE))));
        let html = HeaderValue::from_static("text/html; charset=utf-8");
        page.headers_mut().insert(header::CONTENT_TYPE, html);
        return Ok(page);
    };
    if protocol.as_bytes() != b"websocket" {
        let mut refusal = Response::new(Either::Right(Body::empty()));
        *refusal.status_mut() = StatusCode::NOT_IMPLEMENTED;
        return Ok(refusal);
    }
    let (tunnel, content) = Tunnel::accept(request.into_body());
    tokio::spawn(async move {
        let chat = WebSocketStream::from_raw_socket(tunnel, Role::Server, None).await;
        match echo(chat).await {
            Ok(()) => println!("a chat has come to its end"),
            Err(error) => println!("a chat has failed: {error}"),
        }
    });
    Ok(Response::new(Either::Left(content)))
}

/// Echoes messages until the other side closes.
async fn echo(mut chat: WebSocketStream<Tunnel>) -> tungstenite::Result<()> {
    while let Some(message) = chat.next().await {
        let message = message?;
        if message.is_text() || message.is_binary() {
            chat.send(message).await?;
        }
    }
    // Closes the stream as well: dropping it open would reset it.
    Ok(chat.get_mut().shutdown().await?)
}
