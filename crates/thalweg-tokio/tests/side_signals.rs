//! Signals on a stream besides its request and response: interim responses, pushes, priorities.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod support;

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty, Full};
use support::{Peer, Running, within};
use thalweg::{Config, ErrorCode, Priority, SendError};
use thalweg_testkit::frames::{
    self, Frame, data, headers, kind, priority_update, push_promise, setting, settings,
};
use thalweg_testkit::hpack;
use thalweg_tokio::client::{self, OnInformational, OnPush, Pushed};
use thalweg_tokio::server::{Builder, StreamHandle};
use thalweg_tokio::{Body, Client, Error, service_fn};
use tokio::io::DuplexStream;
use tokio::sync::{mpsc, oneshot};

type Answer = Result<Response<Full<Bytes>>, Infallible>;

/// Serves a function that gets the handle of its stream.
fn serve<A>(mut function: impl FnMut(StreamHandle, Request<Body>) -> A + Send + 'static) -> DuplexStream
where
    A: Future<Output = Answer> + Send + 'static,
{
    let (near, far) = tokio::io::duplex(64 << 10);
    let service = service_fn(move |request: Request<Body>| {
        function(request.extensions().get::<StreamHandle>().unwrap().clone(), request)
    });
    tokio::spawn(Builder::new().stream_handles().serve_connection(far, service).unwrap());
    near
}

fn get(stream: u32, path: &str) -> Frame {
    headers(stream, hpack::get(path)).end_headers().end_stream()
}

fn hints() -> HeaderMap {
    HeaderMap::from_iter([(http::header::LINK, "</style.css>; rel=preload".parse().unwrap())])
}

fn answer(text: impl Into<Bytes>) -> Answer {
    Ok(Response::new(Full::new(text.into())))
}

#[tokio::test]
async fn early_hints_are_sent_while_the_handler_is_running() {
    let (release, released) = oneshot::channel::<()>();
    let mut released = Some(released);
    let io = serve(move |handle, _| {
        let released = released.take();
        async move {
            handle.send_early_hints(hints()).unwrap();
            if let Some(released) = released {
                released.await.unwrap();
            }
            answer("whole")
        }
    });
    let mut peer = Peer::client(io).await;
    peer.send_frames(&[get(1, "/")]).await;
    assert_eq!(peer.expect_headers().await, [":status: 103", "link: </style.css>; rel=preload"]);
    release.send(()).unwrap();
    assert_eq!(peer.expect_headers().await[0], ":status: 200");
    assert_eq!(peer.expect_content(1).await.0, b"whole");
    // Interim and final responses of the same turn keep their order.
    peer.send_frames(&[get(3, "/")]).await;
    assert_eq!(peer.expect_headers().await[0], ":status: 103");
    assert_eq!(peer.expect_headers().await[0], ":status: 200");
}

#[tokio::test]
async fn a_final_status_as_interim_response_is_refused_and_commands_after_the_end_are_refused() {
    let kept: Arc<Mutex<Option<StreamHandle>>> = Arc::default();
    let keep = Arc::clone(&kept);
    let io = serve(move |handle, _| {
        for status in [StatusCode::OK, StatusCode::SWITCHING_PROTOCOLS] {
            let mut response = Response::new(());
            *response.status_mut() = status;
            let refused = handle.send_informational(response);
            assert!(matches!(refused, Err(Error::Send(SendError::OutOfRange))));
        }
        *keep.lock().unwrap() = Some(handle);
        async { answer("ok") }
    });
    let mut peer = Peer::client(io).await;
    peer.send_frames(&[get(1, "/")]).await;
    assert_eq!(peer.expect_headers().await[0], ":status: 200");
    peer.expect_content(1).await;
    let handle = kept.lock().unwrap().take().unwrap();
    assert!(matches!(handle.send_early_hints(hints()), Err(Error::Send(SendError::StreamClosed))));
}

#[tokio::test]
async fn an_interim_response_with_fields_of_http_1_is_repaired() {
    let io = serve(|handle, _| async move {
        let mut fields = hints();
        fields.insert("te", "gzip".parse().unwrap());
        fields.insert("content-length", "5".parse().unwrap());
        handle.send_early_hints(fields).unwrap();
        answer("ok")
    });
    let mut peer = Peer::client(io).await;
    peer.send_frames(&[get(1, "/")]).await;
    // 9110-8.6-5, 9110-7.6.1-3
    let hints = [":status: 103", "link: </style.css>; rel=preload"];
    assert_eq!(peer.expect_headers().await, hints);
    assert_eq!(peer.expect_headers().await[0], ":status: 200");
}

/// Serves a page that pushes its style sheet.
fn serve_with_push() -> DuplexStream {
    serve(|handle, request| async move {
        let path = request.uri().path().to_owned();
        if path == "/" {
            let style = Request::get("http://example.org/style.css").body(()).unwrap();
            handle.push(style).unwrap();
        }
        answer(format!("{} {path}", request.method()))
    })
}

#[tokio::test]
async fn a_push_is_handled_by_the_same_service() {
    let mut peer = Peer::client(serve_with_push()).await;
    peer.send_frames(&[get(1, "/")]).await;
    let promise = peer.expect(kind::PUSH_PROMISE).await;
    assert_eq!((promise.stream, promise.promised()), (1, Some(2)));
    let fields = peer.fields(&promise);
    assert_eq!(fields, [":method: GET", ":scheme: http", ":authority: example.org", ":path: /style.css"]);
    let mut contents = Vec::new();
    while contents.len() < 2 {
        let frame = peer.next().await.unwrap();
        match frame.kind {
            kind::HEADERS => assert_eq!(peer.fields(&frame)[0], ":status: 200"),
            kind::DATA => contents.push((frame.stream, String::from_utf8(frame.body).unwrap())),
            _ => {}
        }
    }
    contents.sort();
    assert_eq!(contents, [(1, "GET /".into()), (2, "GET /style.css".into())]);
}

#[tokio::test]
async fn nothing_is_pushed_to_a_client_that_disabled_push() {
    let mut peer = Peer::new(serve_with_push());
    peer.send(&frames::wire([&frames::preface(), &settings().entry(setting::ENABLE_PUSH, 0)])).await;
    peer.expect(kind::SETTINGS).await;
    peer.send_frames(&[get(1, "/"), get(3, "/other")]).await;
    loop {
        let frame = peer.next().await.unwrap();
        assert_ne!(frame.kind, kind::PUSH_PROMISE);
        if frame.stream == 3 && frame.ends_stream() {
            break;
        }
    }
}

#[tokio::test]
async fn a_handler_reads_the_priority_and_sees_it_change() {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let io = serve(move |handle, _| {
        let sender = sender.clone();
        async move {
            sender.send(handle.priority()).unwrap();
            while handle.priority() != Priority::new(0, true) {
                tokio::task::yield_now().await;
            }
            handle.set_priority(Priority::new(7, false)).unwrap();
            sender.send(handle.priority()).unwrap();
            answer("ok")
        }
    });
    let mut peer = Peer::client(io).await;
    let request = hpack::Block::new()
        .literal(":method", "GET")
        .literal(":scheme", "http")
        .literal(":authority", "a")
        .literal(":path", "/")
        .literal("priority", "u=5");
    peer.send_frames(&[headers(1, request.bytes()).end_headers().end_stream()]).await;
    assert_eq!(within(receiver.recv()).await, Some(Priority::new(5, false)));
    peer.send_frames(&[priority_update(1, "u=0, i")]).await;
    assert_eq!(peer.expect_headers().await[0], ":status: 200");
    assert_eq!(within(receiver.recv()).await, Some(Priority::new(7, false)));
}

fn client(config: Config) -> (Client<Empty<Bytes>>, DuplexStream, Running) {
    let (near, far) = tokio::io::duplex(64 << 10);
    let (client, connection) = client::handshake(near, config).unwrap();
    (client, far, Running(tokio::spawn(connection)))
}

fn ask() -> Request<Empty<Bytes>> {
    Request::get("http://example.org/").body(Empty::new()).unwrap()
}

fn response(stream: u32, status: u16) -> Frame {
    headers(stream, hpack::response(status)).end_headers()
}

#[tokio::test]
async fn a_client_receives_interim_responses_in_order() {
    let (mut client, io, _running) = client(Config::default());
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let mut request = ask();
    request.extensions_mut().insert(OnInformational::new(move |response| {
        sender.send(response.status().as_u16()).unwrap();
        assert_ne!(response.status(), 102, "a panic of the listener goes no further");
    }));
    let answer = tokio::spawn(client.send(request));
    let mut peer = Peer::server(io, settings()).await;
    peer.expect(kind::HEADERS).await;
    peer.send_frames(&[response(1, 100), response(1, 102), response(1, 103)]).await;
    assert_eq!(within(receiver.recv()).await, Some(100));
    assert_eq!(within(receiver.recv()).await, Some(102));
    assert_eq!(within(receiver.recv()).await, Some(103));
    peer.send_frames(&[response(1, 200).end_stream()]).await;
    assert_eq!(within(answer).await.unwrap().unwrap().status(), 200);
}

/// Promises stream 2 on the request of a client that accepts pushes.
async fn promised(
    config: Config,
) -> (Peer<DuplexStream>, mpsc::UnboundedReceiver<Pushed>, Client<Empty<Bytes>>) {
    let (mut client, io, _running) = client(config);
    let (sender, receiver) = mpsc::unbounded_channel();
    let mut request = ask();
    request.extensions_mut().insert(OnPush::new(move |pushed| drop(sender.send(pushed))));
    tokio::spawn(client.send(request));
    let mut peer = Peer::server(io, settings()).await;
    peer.expect(kind::HEADERS).await;
    peer.send_frames(&[push_promise(1, 2, hpack::get("/style.css")).end_headers()]).await;
    (peer, receiver, client)
}

fn with_push() -> Config {
    let mut config = Config::default();
    config.enable_push = true;
    config
}

#[tokio::test]
async fn a_pushed_response_follows_its_promise() {
    let (mut peer, mut receiver, _client) = promised(with_push()).await;
    let pushed = within(receiver.recv()).await.unwrap();
    assert_eq!(pushed.request().uri().path(), "/style.css");
    peer.send_frames(&[response(2, 200), data(2, "body {}").end_stream()]).await;
    let response = within(pushed).await.unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "body {}");
}

#[tokio::test]
async fn a_push_that_is_dropped_is_cancelled() {
    let (mut peer, mut receiver, _client) = promised(with_push()).await;
    drop(within(receiver.recv()).await.unwrap());
    assert_eq!(peer.expect_on(2).await.code(), Some(ErrorCode::CANCEL));
}

#[tokio::test]
async fn a_client_asks_for_another_priority() {
    let (mut client, io, _running) = client(Config::default());
    let handle = client::StreamHandle::new();
    let mut request = ask();
    request.extensions_mut().insert(handle.clone());
    let answer = tokio::spawn(client.send(request));
    let mut peer = Peer::server(io, settings().entry(setting::NO_RFC7540_PRIORITIES, 1)).await;
    peer.expect(kind::HEADERS).await;
    handle.set_priority(Priority::new(1, true)).unwrap();
    let update = peer.expect(kind::PRIORITY_UPDATE).await;
    assert_eq!(update.body, b"\0\0\0\x01u=1, i");
    peer.send_frames(&[response(1, 200).end_stream()]).await;
    within(answer).await.unwrap().unwrap();
    assert!(matches!(handle.set_priority(Priority::default()), Err(Error::Send(SendError::StreamClosed))));
}
