//! Protocol negotiation of a server by the first bytes of its connections.

#![allow(clippy::unwrap_used, reason = "it is all tests")]

mod shared;

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use shared::{End, LIMIT, Running};
use thalweg::{CloseCause, Config, Timeout, Violation};
use thalweg_testkit::frames::{headers, kind, ping, preface, read_all, settings, window_update, wire};
use thalweg_testkit::hpack;
use thalweg_threads::server::ServeStats;
use thalweg_threads::thalweg_h2c::SniffError;
use thalweg_threads::{Body, ErrorCode, NegotiationError, Request, Responder, Response, Status};

/// Responds with a description of the request.
fn describe(mut request: Request<Body>, responder: Responder) -> io::Result<()> {
    let mut text = format!("{} {} {} ", request.method(), request.authority(), request.path());
    request.body.read_to_string(&mut text)?;
    responder.send(Response::ok().body(text))
}

/// Sends bytes and returns the complete response, and the end on the server.
fn send_raw(server: &Running, bytes: &[u8]) -> (Vec<u8>, End) {
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.write_all(bytes).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    (answer, server.end())
}

fn upgrade(method: &str, settings: &[u8], content: &str) -> Vec<u8> {
    let len = content.len();
    let settings = URL_SAFE_NO_PAD.encode(settings);
    format!(
        "{method} /up HTTP/1.1\r\nHost: example.org\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\
         HTTP2-Settings: {settings}\r\nContent-Length: {len}\r\n\r\n{content}"
    )
    .into_bytes()
}

#[test]
fn an_http_1_request_gets_505() {
    let server = Running::start(describe);
    let (answer, end) = send_raw(&server, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(answer.starts_with(b"HTTP/1.1 426 Upgrade Required\r\n"), "{}", answer.escape_ascii());
    assert_eq!(end.negotiation_error, Some(NegotiationError::Http1));
    let (answer, end) = send_raw(&server, b"GET / HTTP/3.0\r\nHost: a\r\n\r\n");
    assert!(answer.starts_with(b"HTTP/1.1 505 "), "{}", answer.escape_ascii());
    assert!(
        matches!(end.negotiation_error, Some(NegotiationError::Sniff(SniffError::Version { .. }))),
        "{end:?}"
    );
}

#[test]
fn an_upgrade_becomes_http_2_with_its_request_on_stream_1() {
    let server = Running::start(describe);
    let mut peer = server.peer();
    // The client's first HTTP/2 bytes may arrive in the same packet. Its settings set a window of
    // five bytes.
    peer.send(&wire([
        &upgrade("POST", &[0, 4, 0, 0, 0, 5], "body"),
        &preface(),
        &settings(),
        &headers(3, hpack::get("/g")).end_headers().end_stream(),
    ]));
    let expected = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n";
    let mut switching = vec![0; expected.len()];
    peer.stream.read_exact(&mut switching).unwrap();
    assert_eq!(switching.escape_ascii().to_string(), expected.escape_ascii().to_string());
    let (mut upgraded, mut other) = (Vec::new(), Vec::new());
    while upgraded != b"POST example.org /up body" || other.is_empty() {
        let frame = peer.until(kind::DATA);
        if frame.stream == 1 && upgraded.is_empty() {
            assert_eq!(frame.body, b"POST ");
            peer.send(&window_update(1, 100).bytes());
        }
        if frame.stream == 1 { &mut upgraded } else { &mut other }.extend_from_slice(&frame.body);
    }
    assert!(other.starts_with(b"GET "), "{}", other.escape_ascii());
    peer.leave();
    assert_eq!(server.end().negotiation_error, None);
}

#[test]
fn an_upgrade_may_arrive_byte_by_byte() {
    let server = Running::start(describe);
    let mut peer = server.peer();
    for byte in wire([&upgrade("GET", &[0, 4, 0, 0, 1, 0], ""), &preface(), &settings()]) {
        peer.send(&[byte]);
    }
    let mut first = [0; 12];
    peer.stream.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 101");
}

#[test]
fn an_unusable_upgrade_gets_an_http_1_error() {
    let server = Running::start(describe);
    // SETTINGS_MAX_FRAME_SIZE of 5.
    let (answer, end) = send_raw(&server, &upgrade("GET", &[0, 5, 0, 0, 0, 5], ""));
    assert!(answer.starts_with(b"HTTP/1.1 4"), "{}", answer.escape_ascii());
    assert!(
        matches!(end.negotiation_error, Some(NegotiationError::Http1 | NegotiationError::Upgrade)),
        "{end:?}"
    );
}

#[test]
fn input_that_is_not_http_is_reported_and_gets_no_response() {
    let server = Running::start(describe);
    let tls_hello = [&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3][..], &[7; 506]].concat();
    let (answer, end) = send_raw(&server, &tls_hello);
    assert_eq!(answer, b"");
    assert!(
        matches!(end.negotiation_error, Some(NegotiationError::Sniff(SniffError::Tls { .. }))),
        "{end:?}"
    );
    let (answer, end) = send_raw(&server, &[0; 64]);
    assert_eq!(answer, b"");
    assert!(
        matches!(end.negotiation_error, Some(NegotiationError::Sniff(SniffError::NotHttp { .. }))),
        "{end:?}"
    );
    let (answer, end) = send_raw(&server, b"");
    assert_eq!((answer.as_slice(), end.negotiation_error), (&b""[..], Some(NegotiationError::NoData)));
}

#[test]
fn an_invalid_end_of_the_preface_gets_a_goaway() {
    let server = Running::start(describe);
    let (answer, end) = send_raw(&server, b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n");
    let frames = read_all(&answer);
    assert_eq!(frames.last().unwrap().code(), Some(ErrorCode::PROTOCOL_ERROR), "{frames:?}");
    assert_eq!(end.cause, Some(CloseCause::Violation(Violation::PrefaceInvalid)), "{}", end.text);
}

fn is_reset(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe)
}

#[test]
fn a_peer_that_sends_no_preface_in_time_is_closed() {
    let mut config = Config::default();
    config.timeouts.preface = Some(Duration::from_millis(20));
    let server = Running::with(|server| server.config(config), describe);
    for beginning in [&b"GET / HT"[..], b"PRI *", b""] {
        let mut stream = TcpStream::connect(server.address).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        let mut answer = Vec::new();
        // On a busy machine the time limit may expire before the write: then TCP reports a reset.
        let received = stream.write_all(beginning).and_then(|()| stream.read_to_end(&mut answer));
        assert!(received.map_or_else(|error| is_reset(&error), |_| true), "not in time");
        assert_eq!(answer, b"");
        drop(stream);
        assert_eq!(server.end().negotiation_error, Some(NegotiationError::TimedOut));
    }
}

#[test]
fn a_shutdown_does_not_wait_for_a_peer_that_has_sent_nothing() {
    let server = Running::start(describe);
    let mut silent = TcpStream::connect(server.address).unwrap();
    silent.set_read_timeout(Some(LIMIT)).unwrap();
    while server.handle.stats().connections == 0 {
        thread::yield_now();
    }
    server.handle.shutdown(LIMIT);
    assert_eq!(silent.read(&mut [0]).unwrap(), 0, "nothing is sent");
    drop(silent);
    assert_eq!(server.end().negotiation_error, Some(NegotiationError::ShuttingDown));
}

#[test]
fn an_http_2_only_server_sends_its_preface_first_and_accepts_no_upgrade() {
    let server = Running::with(|server| server.h2c(None), describe);
    let mut peer = server.peer();
    assert_eq!(peer.frame().unwrap().kind, kind::SETTINGS);
    peer.send(&upgrade("GET", &[0, 4, 0, 0, 1, 0], ""));
    let last = peer.rest().pop().unwrap();
    assert_eq!((last.kind, last.code()), (kind::GOAWAY, Some(ErrorCode::PROTOCOL_ERROR)));
    drop(peer);
    assert_eq!(server.end().cause, Some(CloseCause::Violation(Violation::PrefaceInvalid)));
}

/// Responds when the content of its request has ended.
fn cut_off(shutdown: Duration, limit: Duration) -> (ServeStats, End) {
    let mut config = Config::default();
    config.timeouts.shutdown = Some(shutdown);
    let server = Running::with(|server| server.config(config), describe);
    let idle = server.client();
    let mut peer = server.peer();
    peer.greet();
    // Its content never ends.
    peer.send(&wire([&headers(1, hpack::request("POST", "/")).end_headers(), &ping([7; 8])]));
    peer.until(kind::PING);
    server.handle.shutdown(limit);
    let end = loop {
        let end = server.end();
        if end.text.contains("; 1 streams") {
            break end;
        }
    };
    drop((peer, idle));
    (server.stop(), end)
}

#[test]
fn a_stream_that_outlives_the_shutdown_is_counted_as_dropped() {
    // The time limit of the connection, then that of the server.
    let (stats, end) = cut_off(Duration::from_millis(20), LIMIT);
    assert_eq!(end.cause, Some(CloseCause::Timeout(Timeout::Shutdown)), "{}", end.text);
    assert_eq!((stats.accepted, stats.dropped), (2, 1));
    let (stats, _) = cut_off(LIMIT, Duration::from_millis(20));
    assert_eq!((stats.accepted, stats.dropped), (2, 1));
}

#[test]
fn a_shutdown_that_all_streams_survive_drops_none() {
    let server = Running::start(describe);
    let client = server.client();
    assert_eq!(client.send(Request::get("/")).unwrap().status(), Status::OK);
    let stats = server.stop();
    assert_eq!((stats.accepted, stats.dropped), (1, 0));
    drop(client);
}
