//! axum and tonic on our server, tonic on our client, and each against tonic's own counterpart.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::Uri;
use http::uri::PathAndQuery;
use http_body_util::{BodyExt as _, Full, StreamBody};
use thalweg_examples::plain::Plain;
use thalweg_tokio::thalweg::{Config, ErrorCode};
use thalweg_tokio::{Body, Client, Error, Server, client, service_fn};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tonic::client::Grpc as Caller;
use tonic::codec::Streaming;
use tonic::{Code, Request, Response, Status};

#[allow(dead_code, reason = "its main is not called")]
#[path = "../axum_app.rs"]
mod axum_app;
#[allow(dead_code, reason = "its main is not called")]
#[path = "../tonic_echo.rs"]
mod tonic_echo;

use tonic_echo::{Echo, call_all};

async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("it takes too long")
}

fn url(addr: SocketAddr) -> Uri {
    format!("http://{addr}").parse().unwrap()
}

async fn connect<B>(addr: SocketAddr) -> Client<B>
where
    B: http_body::Body<Data: Send, Error: Into<thalweg_tokio::BoxError>> + Send + 'static,
{
    let (client, connection) = client::connect(addr).await.unwrap();
    tokio::spawn(connection);
    client
}

async fn serve_echo() -> SocketAddr {
    let server = Server::bind("127.0.0.1:0").await.unwrap();
    let addr = server.local_addr().unwrap();
    tokio::spawn(server.serve(Echo));
    addr
}

fn expect_all(lines: &[String]) {
    let expected = [
        "unary: hello",
        r"stream: \x00\x00\x00\x00x",
        r"stream: \x00\x00\x00\x01x",
        r"stream: \x00\x00\x00\x02x",
        "collect: the line of fastest flow",
        "chat: the line ",
        "chat: of fastest ",
        "chat: flow",
    ];
    assert_eq!(lines, expected);
}

#[tokio::test]
async fn tonic_calls_our_server_over_our_client() {
    let addr = serve_echo().await;
    expect_all(&within(call_all(connect(addr).await, url(addr))).await.unwrap());
}

#[tokio::test]
async fn tonic_calls_our_server_over_its_own_client() {
    let addr = serve_echo().await;
    let channel = tonic::transport::Endpoint::from(url(addr)).connect().await.unwrap();
    expect_all(&within(call_all(channel, url(addr))).await.unwrap());
}

#[tokio::test]
async fn tonic_calls_its_own_server_over_our_client() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let incoming = tonic::transport::server::TcpIncoming::from(listener);
    tokio::spawn(tonic::transport::Server::builder().add_service(Echo).serve_with_incoming(incoming));
    expect_all(&within(call_all(connect(addr).await, url(addr))).await.unwrap());
}

async fn call(client: Client<tonic::body::Body>, addr: SocketAddr) -> Result<Response<Bytes>, Status> {
    let mut caller = Caller::with_origin(client, url(addr));
    caller.ready().await.unwrap();
    let path = PathAndQuery::from_static("/echo.Echo/Unary");
    within(caller.unary(Request::new(Bytes::from("?")), path, Plain)).await
}

#[tokio::test]
async fn a_reset_is_the_grpc_status_that_belongs_to_its_code() {
    for (code, expected) in [
        (ErrorCode::CANCEL, Code::Cancelled),
        (ErrorCode::REFUSED_STREAM, Code::Unavailable),
        (ErrorCode::ENHANCE_YOUR_CALM, Code::ResourceExhausted),
        (ErrorCode::INTERNAL_ERROR, Code::Internal),
    ] {
        let server = Server::bind("127.0.0.1:0").await.unwrap();
        let addr = server.local_addr().unwrap();
        tokio::spawn(server.serve(service_fn(move |_: http::Request<Body>| async move {
            Err::<http::Response<Full<Bytes>>, _>(Error::reset(code))
        })));
        let status = call(connect(addr).await, addr).await.unwrap_err();
        assert_eq!(status.code(), expected, "{code}: {status}");
    }
}

#[tokio::test]
async fn a_connection_that_is_lost_is_unavailable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move { drop(listener.accept().await.unwrap()) });
    let status = call(connect(addr).await, addr).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status}");
}

/// The mapping of errors in tonic's generated clients, `Unknown` included.
async fn generated_call(client: Client<tonic::body::Body>, addr: SocketAddr) -> Status {
    let mut caller = Caller::with_origin(client, url(addr));
    if let Err(error) = within(caller.ready()).await {
        return Status::unknown(format!("Service was not ready: {error}"));
    }
    let path = PathAndQuery::from_static("/echo.Echo/Unary");
    within(caller.unary(Request::new(Bytes::from("?")), path, Plain)).await.unwrap_err()
}

async fn closed(client: &Client<tonic::body::Body>) {
    within(async {
        while !client.is_closed() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// Connections that ended before the call, and those that end during it.
#[tokio::test]
async fn a_closed_connection_is_unavailable_and_never_unknown() {
    // It was closed while no call was open.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move { drop(listener.accept().await.unwrap()) });
    let client = connect(addr).await;
    closed(&client).await;
    let status = generated_call(client.clone(), addr).await;
    assert_eq!(status.code(), Code::Unavailable, "closed: {status}");
    assert_eq!(generated_call(client, addr).await.code(), Code::Unavailable, "and again");

    // The server is shutting down: its GOAWAY has arrived, and another call is still open.
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = Server::bind("127.0.0.1:0").await.unwrap();
    let addr = server.local_addr().unwrap();
    let (sender, mut arrived) = mpsc::unbounded_channel();
    let never = service_fn(move |_: http::Request<Body>| {
        sender.send(()).unwrap();
        std::future::pending::<Result<http::Response<Full<Bytes>>, Error>>()
    });
    tokio::spawn(server.serve_until(never, async { drop(stopped.await) }));
    let client = connect(addr).await;
    let under_way = tokio::spawn(generated_call(client.clone(), addr));
    within(arrived.recv()).await.unwrap();
    // Ready before the GOAWAY, called after it.
    let mut early = Caller::with_origin(client.clone(), url(addr));
    early.ready().await.unwrap();
    stop.send(()).unwrap();
    closed(&client).await;
    let status = generated_call(client, addr).await;
    assert_eq!(status.code(), Code::Unavailable, "GOAWAY: {status}");
    let path = PathAndQuery::from_static("/echo.Echo/Unary");
    let status = within(early.unary(Request::new(Bytes::from("?")), path, Plain)).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "GOAWAY between ready and call: {status}");
    under_way.abort();
}

/// A peer that accepts the connection and sends scripted frames.
async fn scripted(
    config: Config,
    script: &'static [u8],
) -> (Client<tonic::body::Body>, tokio::io::DuplexStream) {
    let (near, mut far) = tokio::io::duplex(64 << 10);
    let (client, connection) = client::handshake(near, config).unwrap();
    tokio::spawn(connection);
    tokio::io::AsyncWriteExt::write_all(&mut far, script).await.unwrap();
    (client, far)
}

/// SETTINGS without entries.
const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];

#[tokio::test]
async fn an_open_call_when_its_connection_ends_is_unavailable() {
    let addr = SocketAddr::from(([127, 0, 0, 1], 1));
    // GOAWAY with last stream 0: the call was not processed (RFC 9113 §6.8).
    const GOAWAY: &[u8] = &[0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    // The same with PROTOCOL_ERROR.
    const ACCUSED: &[u8] = &[0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    // PING on a stream breaks a rule: we end the connection.
    const MALFORMED: &[u8] = &[0, 0, 8, 6, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
    for last in [GOAWAY, ACCUSED, MALFORMED] {
        let (client, mut far) = scripted(Config::default(), &SETTINGS).await;
        let calling = tokio::spawn(generated_call(client, addr));
        // The preface of 24 bytes and more: the request may have been sent or not.
        let mut preface = [0; 24];
        within(tokio::io::AsyncReadExt::read_exact(&mut far, &mut preface)).await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut far, last).await.unwrap();
        let status = within(calling).await.unwrap();
        assert_eq!(status.code(), Code::Unavailable, "{last:?}: {status}");
    }

    // A server that stops responding, which a PING detects.
    let mut config = Config::default();
    config.timeouts.keep_alive = Some(Duration::from_millis(20));
    config.timeouts.ping = Some(Duration::from_millis(20));
    let (client, _far) = scripted(config, &SETTINGS).await;
    let status = generated_call(client, addr).await;
    assert_eq!(status.code(), Code::Unavailable, "PING: {status}");

    // A server that sends nothing at all.
    let mut config = Config::default();
    config.timeouts.preface = Some(Duration::from_millis(20));
    let (client, _far) = scripted(config, &[]).await;
    let status = generated_call(client, addr).await;
    assert_eq!(status.code(), Code::Unavailable, "preface: {status}");
}

/// tonic takes `Cancelled` on a request for its end, and any other status for an error.
#[tokio::test]
async fn a_cancelled_call_is_seen_as_cancelled() {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let chat = move |request: Request<Streaming<Bytes>>| {
        let sender = sender.clone();
        let mut messages = request.into_inner();
        tokio::spawn(async move {
            loop {
                let message = messages.message().await.map_err(|status| status.code());
                let is_last = !matches!(message, Ok(Some(_)));
                sender.send(message).unwrap();
                if is_last {
                    break;
                }
            }
        });
        async { Ok(Response::new(stream::pending::<Result<Bytes, Status>>())) }
    };
    let server = Server::bind("127.0.0.1:0").await.unwrap();
    let addr = server.local_addr().unwrap();
    tokio::spawn(server.serve(service_fn(move |request: http::Request<Body>| {
        let chat = chat.clone();
        async move {
            let answer = tonic::server::Grpc::new(Plain).streaming(service_fn(chat), request).await;
            Ok::<_, std::convert::Infallible>(answer)
        }
    })));
    let mut caller = Caller::with_origin(connect::<tonic::body::Body>(addr).await, url(addr));
    caller.ready().await.unwrap();
    let (messages, endless) = mpsc::unbounded_channel();
    messages.send(Bytes::from("one")).unwrap();
    let endless =
        stream::unfold(endless, |mut receiver| async { receiver.recv().await.map(|next| (next, receiver)) });
    let path = PathAndQuery::from_static("/echo.Echo/Chat");
    let answer = within(caller.streaming(Request::new(endless), path, Plain)).await.unwrap();
    assert_eq!(within(receiver.recv()).await, Some(Ok(Some(Bytes::from("one")))));
    drop(answer);
    assert_eq!(within(receiver.recv()).await, Some(Ok(None)));
}

#[tokio::test]
async fn a_deadline_that_passes_cancels_the_call_without_a_connection_error() {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let server = Server::builder().on_end(move |end| {
        sender.send((end.is_warning(), end.report.counters.resets_received)).unwrap();
    });
    let server = server.bind("127.0.0.1:0").await.unwrap();
    let addr = server.local_addr().unwrap();
    let (arrival, mut arrived) = mpsc::unbounded_channel();
    tokio::spawn(server.serve(service_fn(move |_: http::Request<Body>| {
        arrival.send(()).unwrap();
        std::future::pending::<Result<http::Response<Full<Bytes>>, Error>>()
    })));
    let client = connect(addr).await;
    // Starts when the call has arrived: before that there may be nothing to cancel.
    let deadline = async {
        within(arrived.recv()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    tokio::select! {
        answer = call(client, addr) => panic!("{answer:?}"),
        () = deadline => {}
    }
    assert_eq!(within(receiver.recv()).await, Some((false, 1)));
}

async fn serve_app() -> SocketAddr {
    let server = Server::bind("127.0.0.1:0").await.unwrap();
    let addr = server.local_addr().unwrap();
    tokio::spawn(server.serve(axum_app::router()));
    addr
}

/// Sends a request to the app; returns status, content type, content.
async fn ask(addr: SocketAddr, request: http::Request<String>) -> (u16, String, String) {
    let mut client: Client<String> = connect(addr).await;
    let response = within(client.send(request)).await.unwrap();
    let status = response.status().as_u16();
    let kind = response.headers().get("content-type").map_or("", |kind| kind.to_str().unwrap()).to_owned();
    let content = within(response.into_body().collect()).await.unwrap().to_bytes();
    (status, kind, String::from_utf8(content.to_vec()).unwrap())
}

fn get(addr: SocketAddr, path: &str) -> http::Request<String> {
    http::Request::get(format!("http://{addr}{path}")).body(String::new()).unwrap()
}

#[tokio::test]
async fn axum_extracts_and_falls_back() {
    let addr = serve_app().await;
    let (status, _, text) = ask(addr, get(addr, "/hello/you?times=2")).await;
    assert_eq!((status, text.as_str()), (200, "hello, you\nhello, you\n"));
    assert_eq!(ask(addr, get(addr, "/hello/you?times=x")).await.0, 400);
    let (status, _, text) = ask(addr, get(addr, "/nowhere")).await;
    assert_eq!((status, text.as_str()), (404, "nothing at /nowhere\n"));
    let sum = http::Request::post(format!("http://{addr}/sum")).header("content-type", "application/json");
    let (status, kind, text) = ask(addr, sum.body("[1, 2, 3]".into()).unwrap()).await;
    assert_eq!((status, kind.as_str(), text.as_str()), (200, "application/json", r#"{"sum":6}"#));
    let (status, ..) =
        ask(addr, http::Request::post(format!("http://{addr}/hello/you")).body("x".into()).unwrap()).await;
    assert_eq!(status, 405);
}

#[tokio::test]
async fn axum_streams_content_while_it_arrives() {
    let addr = serve_app().await;
    let (pieces, coming) = mpsc::unbounded_channel::<&'static str>();
    let coming = stream::unfold(coming, |mut coming| async {
        let piece = coming.recv().await?;
        Some((Ok::<_, Error>(http_body::Frame::data(Bytes::from(piece))), coming))
    });
    let mut client = connect(addr).await;
    let request = http::Request::post(format!("http://{addr}/upper"));
    let response = client.send(request.body(Box::pin(StreamBody::new(coming))).unwrap());
    pieces.send("first").unwrap();
    let mut body = within(response).await.unwrap().into_body();
    let mut next = async || within(body.frame()).await.map(|frame| frame.unwrap().into_data().unwrap());
    assert_eq!(next().await.unwrap(), "FIRST");
    pieces.send("second").unwrap();
    assert_eq!(next().await.unwrap(), "SECOND");
    drop(pieces);
    assert_eq!(next().await, None);
}

#[tokio::test]
async fn axum_sends_events_until_the_client_disconnects() {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let server = Server::builder().on_end(move |end| sender.send(end.is_warning()).unwrap());
    let server = server.bind("127.0.0.1:0").await.unwrap();
    let addr = server.local_addr().unwrap();
    tokio::spawn(server.serve(axum_app::router()));
    let mut client: Client<String> = connect(addr).await;
    let response = within(client.send(get(addr, "/ticks"))).await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut body = response.into_body();
    let mut text = String::new();
    while !text.contains("event: tick\ndata: 2\n\n") {
        let frame = within(body.frame()).await.unwrap().unwrap();
        text.push_str(std::str::from_utf8(&frame.into_data().unwrap()).unwrap());
    }
    assert!(text.starts_with("event: tick\ndata: 0\n\n"), "{text}");
    drop((body, client));
    assert_eq!(within(receiver.recv()).await, Some(false));
}

#[tokio::test]
async fn axum_is_served_over_tls() {
    let tls = thalweg_examples::tls::server_config(&[]).unwrap();
    let server = Server::builder().tls(tls).bind("127.0.0.1:0").await.unwrap();
    let addr = server.local_addr().unwrap();
    tokio::spawn(server.serve(axum_app::router()));
    let tls = Arc::new(thalweg_examples::tls::client_config(true).unwrap());
    let name = "localhost".try_into().unwrap();
    let (mut client, connection) = client::connect_tls(addr, name, tls).await.unwrap();
    tokio::spawn(connection);
    let request = http::Request::get("https://localhost/hello/tls").body(String::new()).unwrap();
    let response = within(client.send(request)).await.unwrap();
    let content = within(response.into_body().collect()).await.unwrap().to_bytes();
    assert_eq!(content, "hello, tls\n");
}
