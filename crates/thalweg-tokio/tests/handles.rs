//! Connection-level signals: origins, alternative services, extension frames and settings, and
//! padding, sent and received on both sides, over sockets, frame by frame.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod support;

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{Empty, Full};
use support::{Peer, within};
use thalweg::frame::{Flags, FrameType, SettingId};
use thalweg::{Client, Config, ErrorCode, OwnedEvent, Priority, StreamId};
use thalweg_testkit::frames::{
    self, Frame, altsvc, data, goaway, headers, kind, origin, ping, priority_update, raw, setting, settings,
};
use thalweg_testkit::hpack;
use thalweg_tokio::server::{Builder, StreamHandle};
use thalweg_tokio::{Body, Handle, Server, client, service_fn};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{self, UnboundedReceiver};

const MINE: SettingId = SettingId(0xfe01);
const TYPE: FrameType = FrameType(0xfe);

/// Serves on a free port, with the extension frames of the tests and what `options` sets.
async fn serve(options: impl FnOnce(Builder) -> Builder) -> SocketAddr {
    let mut config = Config::default();
    config.extension_frames = true;
    let builder = options(Server::builder().config(config));
    let server = builder.bind("127.0.0.1:0").await.unwrap();
    let addr = server.local_addr().unwrap();
    tokio::spawn(server.serve(service_fn(answer)));
    addr
}

async fn answer(request: Request<Body>) -> Result<Response<Full<Bytes>>, Infallible> {
    if let Some(handle) = request.extensions().get::<StreamHandle>() {
        handle.send_alt_svc("h3=\":1\"").unwrap();
        handle.send_extension(TYPE, Flags(5), "of the stream").unwrap();
        handle.set_padding(Some(10)).unwrap();
    }
    Ok(Response::new(Full::from("hello")))
}

fn get(stream: u32) -> Frame {
    headers(stream, hpack::get("/")).end_headers().end_stream()
}

/// The next frames, without those of the handshake and keep-alive.
async fn read_signals(peer: &mut Peer<TcpStream>, count: usize) -> Vec<Frame> {
    let mut read_signals = Vec::new();
    while read_signals.len() < count {
        let frame = peer.next().await.expect("a frame, not the end");
        let is_usual = frame.kind == kind::WINDOW_UPDATE || frame.kind == kind::SETTINGS && frame.has(1);
        if !is_usual {
            read_signals.push(frame);
        }
    }
    read_signals
}

#[tokio::test]
async fn a_servers_connection_signals_follow_its_settings() {
    let on_open = |handle: &Handle<_>, peer: SocketAddr| {
        assert!(peer.ip().is_loopback());
        assert!(handle.send_origins(["https://a.example", "https://b.example"]));
        assert!(handle.send_alt_svc("https://a.example", "h3=\":443\""));
        assert!(handle.send_extension(TYPE, Flags(0x81), [1, 2, 3]));
        assert!(handle.send_extension_settings([(MINE, 7)]));
        // Frames of core types are dropped without side effects.
        assert!(handle.send_extension(FrameType::GOAWAY, Flags(0), [0; 8]));
    };
    let addr = serve(|builder| builder.on_open(on_open)).await;
    let mut peer = Peer::client(TcpStream::connect(addr).await.unwrap()).await;
    peer.send_frames(&[get(1)]).await;
    let expected = [
        origin(["https://a.example", "https://b.example"]),
        altsvc(0, "https://a.example", "h3=\":443\""),
        raw(0xfe, 0x81, 0, [1, 2, 3]),
        settings().entry(MINE.0, 7),
    ];
    assert_eq!(read_signals(&mut peer, 4).await, expected);
    assert_eq!(peer.expect_headers().await[0], ":status: 200");
    assert_eq!(peer.expect(kind::DATA).await, data(1, "hello").end_stream());
}

#[tokio::test]
async fn a_handler_sends_frames_and_padding_on_its_stream() {
    let addr = serve(Builder::stream_handles).await;
    let mut peer = Peer::client(TcpStream::connect(addr).await.unwrap()).await;
    peer.send_frames(&[get(1)]).await;
    let frames = read_signals(&mut peer, 4).await;
    assert_eq!(frames[0], altsvc(1, "", "h3=\":1\""));
    assert_eq!(frames[1], raw(0xfe, 5, 1, "of the stream"));
    assert_eq!(frames[2].kind, kind::HEADERS);
    assert_eq!(frames[3], data(1, "hello").padded(10).end_stream());
}

#[tokio::test]
async fn a_server_receives_a_clients_connection_signals_and_can_respond() {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let (opened, mut handles) = mpsc::unbounded_channel();
    let on_notice = move |handle: &Handle<_>, notice| {
        if matches!(notice, OwnedEvent::Extension { .. }) {
            assert!(handle.send_extension(TYPE, Flags(0), "received"));
        }
        sender.send((handle.clone(), notice)).unwrap();
        panic!("a panic of the listener goes no further");
    };
    let on_open = move |handle: &Handle<_>, _| opened.send(handle.clone()).unwrap();
    let addr = serve(|builder| builder.on_open(on_open).on_notice(on_notice)).await;
    let mut peer = Peer::new(TcpStream::connect(addr).await.unwrap());
    let first = settings().entry(setting::MAX_FRAME_SIZE, 20_000).entry(MINE.0, 3);
    peer.send(&frames::wire([&frames::preface(), &first, &frames::settings_ack()])).await;
    let (extension, update) = (raw(0xfe, 9, 0, "ask"), priority_update(1, "u=0"));
    peer.send_frames(&[headers(1, hpack::get("/")).end_headers(), extension, update]).await;
    let expected = [
        OwnedEvent::Settings { entries: vec![(SettingId::MAX_FRAME_SIZE, 20_000), (MINE, 3)] },
        OwnedEvent::SettingsAcknowledged,
        OwnedEvent::Extension {
            kind: TYPE,
            flags: Flags(9),
            stream: StreamId::CONNECTION,
            payload: (*b"ask").into(),
        },
        OwnedEvent::Priority { stream: StreamId::new(1), priority: Priority::new(0, false) },
    ];
    let opened: Handle<_> = within(handles.recv()).await.unwrap();
    for notice in expected {
        assert_eq!(within(receiver.recv()).await.unwrap(), (opened.clone(), notice));
    }
    assert_eq!(peer.expect(0xfe).await, raw(0xfe, 0, 0, "received"));
    peer.send_frames(&[data(1, "").end_stream(), goaway(0, ErrorCode::NO_ERROR)]).await;
    assert_eq!(peer.expect_headers().await[0], ":status: 200");
    assert_eq!(peer.expect_content(1).await.0, b"hello");
    let over =
        OwnedEvent::GoAway { last_stream: StreamId::CONNECTION, code: ErrorCode::NO_ERROR, debug: [].into() };
    assert_eq!(within(receiver.recv()).await.unwrap().1, over);
    // A closed connection accepts no commands, even while its transport is drained.
    peer.rest().await;
    assert!(!opened.send_extension(TYPE, Flags(0), "late"));
}

#[tokio::test]
async fn a_connection_without_http_2_accepts_no_commands_after_its_end() {
    let (opened, mut handles) = mpsc::unbounded_channel();
    let on_open = move |handle: &Handle<_>, _| opened.send(handle.clone()).unwrap();
    let addr = serve(|builder| builder.on_open(on_open)).await;
    let mut peer = Peer::new(TcpStream::connect(addr).await.unwrap());
    let handle: Handle<_> = within(handles.recv()).await.unwrap();
    assert!(handle.send_origins(["https://a.example"]));
    peer.send(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    drop(peer);
    within(async {
        while handle.send_extension(TYPE, Flags(0), "late") {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// A client over a socket, its handle, its notices, and the scripted server.
async fn connected(
    config: Config,
) -> (thalweg_tokio::Client<Full<Bytes>>, Handle<Client>, UnboundedReceiver<OwnedEvent>, Peer<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (sender, receiver) = mpsc::unbounded_channel();
    let builder = client::Client::builder().config(config);
    let builder = builder.on_notice(move |_, notice| drop(sender.send(notice)));
    let (client, connection) = builder.handshake(near).unwrap();
    let handle = connection.handle();
    tokio::spawn(connection);
    let peer = Peer::server(listener.accept().await.unwrap().0, settings().entry(MINE.0, 1)).await;
    (client, handle, receiver, peer)
}

#[tokio::test]
async fn a_client_receives_origins_alternative_services_settings_and_extensions() {
    let mut config = Config::default();
    (config.over_tls, config.extension_frames) = (true, true);
    let (_client, _handle, mut receiver, mut peer) = connected(config).await;
    peer.send_frames(&[
        origin(["https://a.example"]),
        altsvc(0, "https://a.example", "clear"),
        raw(0xfe, 1, 0, "!"),
        settings().entry(MINE.0, 2),
    ])
    .await;
    let expected = [
        OwnedEvent::Settings { entries: vec![(MINE, 1)] },
        OwnedEvent::SettingsAcknowledged,
        OwnedEvent::Origin { origins: vec![(*b"https://a.example").into()] },
        OwnedEvent::AltSvc {
            stream: StreamId::CONNECTION,
            origin: (*b"https://a.example").into(),
            value: (*b"clear").into(),
        },
        OwnedEvent::Extension {
            kind: TYPE,
            flags: Flags(1),
            stream: StreamId::CONNECTION,
            payload: (*b"!").into(),
        },
        OwnedEvent::Settings { entries: vec![(MINE, 2)] },
    ];
    for notice in expected {
        assert_eq!(within(receiver.recv()).await.unwrap(), notice);
    }
}

#[tokio::test]
async fn a_client_ignores_unknown_extensions() {
    let (_client, _handle, mut receiver, mut peer) = connected(Config::default()).await;
    peer.send_frames(&[raw(0xfe, 1, 0, "!"), origin(["https://a.example"]), ping([1; 8])]).await;
    peer.expect(kind::PING).await;
    let mut received = vec![within(receiver.recv()).await.unwrap(), within(receiver.recv()).await.unwrap()];
    assert_eq!(received.pop(), Some(OwnedEvent::SettingsAcknowledged));
    assert!(receiver.try_recv().is_err(), "the answer to the PING came behind the rest");
}

#[tokio::test]
async fn a_client_sends_extensions_and_pads_its_content() {
    let (mut client, handle, _receiver, mut peer) = connected(Config::default()).await;
    assert!(handle.send_extension(TYPE, Flags(2), "ahead"));
    assert!(handle.send_extension_settings([(MINE, 9)]));
    assert_eq!(read_signals(&mut peer, 2).await, [raw(0xfe, 2, 0, "ahead"), settings().entry(MINE.0, 9)]);
    let stream = client::StreamHandle::new();
    stream.set_padding(Some(3)).unwrap();
    stream.send_extension(TYPE, Flags(4), "on it").unwrap();
    let mut request = Request::post("http://a/").body(Full::from("content")).unwrap();
    request.extensions_mut().insert(stream);
    let _answer = client.send(request);
    let frames = read_signals(&mut peer, 3).await;
    assert_eq!(frames[0].kind, kind::HEADERS);
    assert_eq!(frames[1..], [raw(0xfe, 4, 1, "on it"), data(1, "content").padded(3).end_stream()]);
}

#[tokio::test]
async fn a_client_shuts_down_gracefully_through_its_handle() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (mut client, connection) = client::handshake::<_, Empty<Bytes>>(near, Config::default()).unwrap();
    let handle = connection.handle();
    let running = support::Running(tokio::spawn(connection));
    let mut peer = Peer::server(listener.accept().await.unwrap().0, settings()).await;
    let answer = tokio::spawn(client.send(Request::get("http://a/").body(Empty::new()).unwrap()));
    peer.expect(kind::HEADERS).await;
    handle.shutdown();
    assert_eq!(peer.expect(kind::GOAWAY).await.code(), Some(ErrorCode::NO_ERROR));
    peer.send_frames(&[headers(1, hpack::response(200)).end_headers().end_stream()]).await;
    assert_eq!(within(answer).await.unwrap().unwrap().status(), 200);
    drop(peer);
    assert!(running.end().await.report.error.is_none());
    assert!(!handle.send_extension(TYPE, Flags(0), "late"));
}
