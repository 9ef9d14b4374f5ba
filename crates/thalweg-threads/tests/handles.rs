//! Connection-level signals: origins, alternative services, extension frames and settings, and
//! padding, sent and received on both sides, over sockets, frame by frame.

#![allow(clippy::unwrap_used, reason = "it is all tests")]

mod shared;

use std::io;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use base64::Engine as _;
use shared::{LIMIT, Peer, Running};
use thalweg::Config;
use thalweg::frame::{Flags, FrameType, SettingId};
use thalweg_testkit::frames::{
    Frame, altsvc, data, goaway, headers, kind, origin, ping, preface, priority_update, raw, setting,
    settings, settings_ack, wire,
};
use thalweg_testkit::hpack;
use thalweg_threads::server::Builder;
use thalweg_threads::{Body, Client, ErrorCode, Handle, OwnedEvent, Priority, Request, Responder, Response};

const MINE: SettingId = SettingId(0xfe01);
const TYPE: FrameType = FrameType(0xfe);
const CONNECTION: thalweg::StreamId = thalweg::StreamId::CONNECTION;

fn hello(_: Request<Body>, responder: Responder) -> io::Result<()> {
    responder.send(Response::ok().body("hello"))
}

fn collect_notices(server: Builder) -> Builder {
    let mut config = Config::default();
    config.extension_frames = true;
    server.config(config)
}

fn get(stream: u32) -> Vec<u8> {
    headers(stream, hpack::get("/")).end_headers().end_stream().bytes()
}

/// The next frames, without those of the handshake and keep-alive.
fn read_signals(peer: &mut Peer, count: usize) -> Vec<Frame> {
    let mut read_signals = Vec::new();
    while read_signals.len() < count {
        let frame = peer.frame().expect("a frame, not the end");
        let is_usual = frame.kind == kind::WINDOW_UPDATE || frame.kind == kind::SETTINGS && frame.has(1);
        if !is_usual {
            read_signals.push(frame);
        }
    }
    read_signals
}

fn send_signals(handle: &Handle<thalweg::Server>) {
    assert!(handle.send_origins(["https://a.example", "https://b.example"]));
    assert!(handle.send_alt_svc("https://a.example", "h3=\":443\""));
    assert!(handle.send_extension(TYPE, Flags(0x81), [1, 2, 3]));
    assert!(handle.send_extension_settings([(MINE, 7)]));
    // Frames of core types are dropped without side effects.
    assert!(handle.send_extension(FrameType::GOAWAY, Flags(0), [0; 8]));
}

fn expected_signals() -> [Frame; 4] {
    [
        origin(["https://a.example", "https://b.example"]),
        altsvc(0, "https://a.example", "h3=\":443\""),
        raw(0xfe, 0x81, 0, [1, 2, 3]),
        settings().entry(MINE.0, 7),
    ]
}

#[test]
fn a_servers_connection_signals_follow_its_settings() {
    let server = Running::with(
        |server| {
            server.on_open(|handle, peer| {
                assert!(peer.ip().is_loopback());
                send_signals(handle);
            })
        },
        hello,
    );
    let mut peer = server.peer();
    peer.send(&wire([&preface(), &settings(), &settings_ack()]));
    peer.until(kind::SETTINGS);
    assert_eq!(read_signals(&mut peer, 4), expected_signals());
    peer.send(&get(1));
    peer.until(kind::HEADERS);
    assert_eq!(peer.until(kind::DATA), data(1, "hello").end_stream());
}

#[test]
fn signals_sent_before_an_upgrade_follow_it() {
    let server = Running::with(|server| server.on_open(|handle, _| send_signals(handle)), hello);
    let mut peer = server.peer();
    // The driver has received the commands before it reads half a request.
    peer.send(b"GET / HTTP/1.1\r\nhost: a\r\n");
    thread::sleep(Duration::from_millis(20));
    let settings = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode([0, 4, 0, 1, 0, 0]);
    let rest =
        format!("connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: {settings}\r\n\r\n");
    peer.send(rest.as_bytes());
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        io::Read::read_exact(&mut peer.stream, &mut byte).unwrap();
        answer.extend(byte);
    }
    assert!(answer.starts_with(b"HTTP/1.1 101 "));
    peer.send(&wire([&preface(), &thalweg_testkit::frames::settings(), &settings_ack()]));
    peer.until(kind::SETTINGS);
    let read_signals: Vec<_> =
        read_signals(&mut peer, 6).into_iter().filter(|frame| frame.stream == 0).collect();
    assert_eq!(read_signals, expected_signals());
}

#[test]
fn a_handler_sends_frames_and_padding_on_its_stream() {
    let server = Running::start(|_: Request<Body>, responder: Responder| -> io::Result<()> {
        responder.send_alt_svc("h3=\":1\"");
        let handle = responder.handle();
        handle.send_extension(TYPE, Flags(5), "of the stream");
        handle.set_padding(Some(10));
        responder.send(Response::ok().body("hello"))
    });
    let mut peer = server.peer();
    peer.greet();
    peer.send(&get(1));
    let frames = read_signals(&mut peer, 4);
    assert_eq!(frames[0], altsvc(1, "", "h3=\":1\""));
    assert_eq!(frames[1], raw(0xfe, 5, 1, "of the stream"));
    assert_eq!(frames[2].kind, kind::HEADERS);
    assert_eq!(frames[3], data(1, "hello").padded(10).end_stream());
}

#[test]
fn a_handler_reads_the_priority_and_sees_it_change() {
    let (sender, receiver) = channel();
    let sender = Mutex::new(sender);
    let server = Running::start(move |request: Request<Body>, responder: Responder| -> io::Result<()> {
        let handle = responder.handle();
        sender.lock().unwrap().send((request.priority(), handle.priority())).unwrap();
        while handle.priority() != Priority::new(0, true) {
            thread::sleep(Duration::from_millis(1));
        }
        handle.set_priority(Priority::new(7, false));
        sender.lock().unwrap().send((request.priority(), handle.priority())).unwrap();
        responder.send(Response::ok())
    });
    let mut peer = server.peer();
    peer.greet();
    let request = hpack::Block::new().raw(hpack::get("/")).literal("priority", "u=5");
    peer.send(&headers(1, request.bytes()).end_headers().end_stream().bytes());
    let (asked, changed) = (Priority::new(5, false), Priority::new(7, false));
    assert_eq!(receiver.recv_timeout(LIMIT).unwrap(), (asked, asked));
    peer.send(&priority_update(1, "u=0, i").bytes());
    assert_eq!(receiver.recv_timeout(LIMIT).unwrap(), (asked, changed));
    peer.until(kind::HEADERS);
}

#[test]
fn a_server_receives_a_clients_connection_signals_and_can_respond() {
    let (sender, receiver) = channel();
    let (opened, handles) = channel();
    let (sender, opened) = (Mutex::new(sender), Mutex::new(opened));
    let server = Running::with(
        |server| {
            collect_notices(server)
                .on_open(move |handle, _| opened.lock().unwrap().send(handle.clone()).unwrap())
                .on_notice(move |handle, notice| {
                    if matches!(notice, OwnedEvent::Extension { .. }) {
                        assert!(handle.send_extension(TYPE, Flags(0), "received"));
                    }
                    let received = (handle.clone(), notice);
                    sender.lock().unwrap_or_else(std::sync::PoisonError::into_inner).send(received).unwrap();
                    panic!("a panic of the listener goes no further");
                })
        },
        hello,
    );
    let mut peer = server.peer();
    let first = settings().entry(setting::MAX_FRAME_SIZE, 20_000).entry(MINE.0, 3);
    peer.send(&wire([&preface(), &first, &settings_ack()]));
    let (request, ask) = (headers(1, hpack::get("/")).end_headers(), raw(0xfe, 9, 0, "ask"));
    peer.send(&wire([&request, &ask, &priority_update(1, "u=0")]));
    let opened: Handle<_> = handles.recv_timeout(LIMIT).unwrap();
    let expected = [
        OwnedEvent::Settings { entries: vec![(SettingId::MAX_FRAME_SIZE, 20_000), (MINE, 3)] },
        OwnedEvent::SettingsAcknowledged,
        OwnedEvent::Extension { kind: TYPE, flags: Flags(9), stream: CONNECTION, payload: (*b"ask").into() },
        OwnedEvent::Priority { stream: thalweg::StreamId::new(1), priority: Priority::new(0, false) },
    ];
    for notice in expected {
        assert_eq!(receiver.recv_timeout(LIMIT).unwrap(), (opened.clone(), notice));
    }
    assert_eq!(peer.until(0xfe), raw(0xfe, 0, 0, "received"));
    peer.send(&goaway(0, ErrorCode::NO_ERROR).bytes());
    let over = OwnedEvent::GoAway { last_stream: CONNECTION, code: ErrorCode::NO_ERROR, debug: [].into() };
    assert_eq!(receiver.recv_timeout(LIMIT).unwrap().1, over);
    peer.send(&data(1, "").end_stream().bytes());
    assert_eq!(peer.until(kind::DATA), data(1, "hello").end_stream());
    // A closed connection accepts no commands, even while its transport is drained.
    peer.rest();
    assert!(!opened.send_extension(TYPE, Flags(0), "late"));
}

/// A client, its notices, and the scripted server.
fn connected(config: Config) -> (Client, Receiver<OwnedEvent>, Peer) {
    let (sender, receiver) = channel();
    let sender = Mutex::new(sender);
    let builder = Client::builder()
        .config(config)
        .on_notice(move |_, notice| drop(sender.lock().unwrap().send(notice)));
    let (mut peer, client) = Peer::accept(|address| builder.connect(&address.to_string()).unwrap());
    peer.answer_greeting(&settings().entry(MINE.0, 1));
    (client.time_limit(Some(LIMIT)), receiver, peer)
}

#[test]
fn a_client_receives_origins_alternative_services_settings_and_extensions() {
    let mut config = Config::default();
    (config.over_tls, config.extension_frames) = (true, true);
    let (_client, receiver, mut peer) = connected(config);
    let (origins, service) = (origin(["https://a.example"]), altsvc(0, "https://a.example", "clear"));
    peer.send(&wire([&origins, &service, &raw(0xfe, 1, 0, "!"), &settings().entry(MINE.0, 2)]));
    let expected = [
        OwnedEvent::Settings { entries: vec![(MINE, 1)] },
        OwnedEvent::SettingsAcknowledged,
        OwnedEvent::Origin { origins: vec![(*b"https://a.example").into()] },
        OwnedEvent::AltSvc {
            stream: CONNECTION,
            origin: (*b"https://a.example").into(),
            value: (*b"clear").into(),
        },
        OwnedEvent::Extension { kind: TYPE, flags: Flags(1), stream: CONNECTION, payload: (*b"!").into() },
        OwnedEvent::Settings { entries: vec![(MINE, 2)] },
    ];
    for notice in expected {
        assert_eq!(receiver.recv_timeout(LIMIT).unwrap(), notice);
    }
}

#[test]
fn a_client_ignores_unknown_extensions() {
    let (_client, receiver, mut peer) = connected(Config::default());
    peer.send(&wire([&raw(0xfe, 1, 0, "!"), &origin(["https://a.example"]), &ping([1; 8])]));
    peer.until(kind::PING);
    assert_eq!(receiver.try_iter().count(), 2, "settings and their acknowledgement");
}

#[test]
fn a_client_sends_extensions_and_pads_its_content() {
    let (client, _receiver, mut peer) = connected(Config::default());
    let handle = client.handle();
    assert!(handle.send_extension(TYPE, Flags(2), "ahead"));
    assert!(handle.send_extension_settings([(MINE, 9)]));
    assert_eq!(read_signals(&mut peer, 2), [raw(0xfe, 2, 0, "ahead"), settings().entry(MINE.0, 9)]);
    let (mut writer, answer) = client.start_request(Request::post("/")).unwrap();
    let stream = answer.handle();
    stream.set_padding(Some(3));
    stream.send_extension(TYPE, Flags(4), "on it");
    io::Write::write_all(&mut writer, b"content").unwrap();
    writer.finish().unwrap();
    let frames = read_signals(&mut peer, 3);
    assert_eq!(frames[0].kind, kind::HEADERS);
    assert_eq!(frames[1..], [raw(0xfe, 4, 1, "on it"), data(1, "content").padded(3).end_stream()]);
}

#[test]
fn a_client_shuts_down_gracefully_through_its_handle() {
    let (client, _receiver, mut peer) = connected(Config::default());
    let handle = client.handle();
    assert_eq!(handle, client.clone().handle());
    let (writer, answer) = client.start_request(Request::get("/")).unwrap();
    writer.finish().unwrap();
    peer.until(kind::HEADERS);
    handle.shutdown();
    loop {
        let frame = peer.frame().unwrap();
        if frame.kind == kind::GOAWAY {
            assert_eq!(frame.code(), Some(ErrorCode::NO_ERROR));
            break;
        }
    }
    peer.send(&headers(1, hpack::response(200)).end_headers().end_stream().bytes());
    assert_eq!(answer.wait().unwrap().status().as_u16(), 200);
    drop(peer);
    assert!(client.wait_end().is_orderly());
    assert!(!handle.send_extension(TYPE, Flags(0), "late"));
}
