//! Connection ends: GOAWAY is written, the end is reported once, and other connections are not
//! affected.

#![allow(clippy::unwrap_used, reason = "it is all tests")]

mod shared;

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use shared::{LIMIT, Peer, Random, Running};
use thalweg::{CloseCause, Limit, Violation};
use thalweg_testkit::frames::{
    data, goaway, headers, kind, ping, preface, raw, rst_stream, setting, settings, settings_ack, wire,
};
use thalweg_testkit::hpack;
use thalweg_threads::{
    Body, CloseLimits, ErrorCode, NegotiationError, Payload, Request, Responder, Response,
};

/// `/large` is a megabyte, `/echo` an echo, and everything else a greeting.
fn handler(mut request: Request<Body>, responder: Responder) -> io::Result<()> {
    match request.path() {
        "/large" => responder.send(Response::ok().body(Payload::sized_reader(io::repeat(7), 1 << 20))),
        "/echo" => {
            let mut echo = responder.start(Response::ok())?;
            echo.write_from(&mut request.body)?;
            echo.finish()
        }
        _ => responder.send(Response::ok().body("hello")),
    }
}

fn still_serves(server: &Running) {
    let client = server.client();
    let mut response = client.send(Request::get("/")).unwrap();
    assert_eq!(response.body.read_whole(100).unwrap(), b"hello");
    client.shutdown();
    client.wait_end();
    assert_eq!(server.end().cause, None);
}

#[test]
fn input_that_is_not_http2_ends_with_a_goaway_with_its_code() {
    let server = Running::with(|server| server.h2c(None), handler);
    let nonsense: [&[u8]; 5] = [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00",
        b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
        b"\x00\x00\x00\x04\x00\x00\x00\x00\x00",
        &[0xff; 100_000],
    ];
    for bytes in nonsense {
        let mut peer = server.peer();
        // The server may have closed the connection before everything was written.
        let _ = peer.stream.write_all(bytes);
        let frames = peer.rest();
        assert_eq!(frames[0].kind, kind::SETTINGS);
        let last = frames.last().unwrap();
        assert_eq!((last.kind, last.code()), (kind::GOAWAY, Some(ErrorCode::PROTOCOL_ERROR)), "{last}");
        drop(peer);
        let end = server.end();
        assert_eq!(end.cause, Some(CloseCause::Violation(Violation::PrefaceInvalid)), "{}", end.text);
    }
    still_serves(&server);
}

#[test]
fn a_connection_error_is_described_in_the_goaway() {
    let server = Running::start(handler);
    let mut peer = server.peer();
    peer.greet();
    peer.send(&data(0, b"").bytes());
    let frames = peer.rest();
    let last = frames.last().unwrap();
    assert_eq!((last.code(), last.last_stream()), (Some(ErrorCode::PROTOCOL_ERROR), Some(0)));
    let debug = String::from_utf8_lossy(&last.body[8..]).into_owned();
    assert!(debug.contains("RFC 9113 §6.1"), "{debug}");
    drop(peer);
    assert!(server.end().text.contains("RFC 9113 §6.1"));
    still_serves(&server);
}

#[test]
fn end_of_input_at_every_byte_closes_gracefully() {
    let server = Running::start(handler);
    let script = wire([
        &preface(),
        &settings(),
        &settings_ack(),
        &headers(1, hpack::request("POST", "/echo")).end_headers(),
        &data(1, b"content").end_stream(),
    ]);
    let settings_end = 24 + 9;
    // This much of the preface determines that the peer speaks HTTP/2.
    let deciding = b"PRI * HTTP/2".len();
    for cut in 0..=script.len() {
        let mut peer = server.peer();
        peer.send(&script[..cut]);
        peer.stream.shutdown(Shutdown::Write).unwrap();
        let frames = peer.rest();
        if cut < deciding {
            assert_eq!(frames, [], "cut at {cut}");
            let negotiation_error = server.end().negotiation_error;
            assert!(
                matches!(negotiation_error, Some(NegotiationError::NoData | NegotiationError::Sniff(_))),
                "cut at {cut}: {negotiation_error:?}"
            );
            continue;
        }
        // Complete streams still get their responses after it.
        let last = frames.iter().rfind(|frame| frame.kind == kind::GOAWAY).expect("a GOAWAY frame");
        let end = server.end();
        let whole = [settings_end, settings_end + 9, script.len()];
        if whole.contains(&cut) {
            assert_eq!(end.cause, None, "cut at {cut}: {}", end.text);
            assert_eq!(last.code(), Some(ErrorCode::NO_ERROR), "cut at {cut}");
        } else {
            assert_eq!(end.cause, Some(CloseCause::Eof), "cut at {cut}: {}", end.text);
        }
        let answered = frames.iter().any(|frame| frame.kind == kind::DATA && frame.body == b"content");
        assert_eq!(answered, cut == script.len(), "cut at {cut}: {frames:?}");
    }
    still_serves(&server);
}

#[test]
fn a_peer_that_keeps_sending_still_receives_the_goaway() {
    let server = Running::start(handler);
    for _ in 0..20 {
        let mut peer = server.peer();
        peer.greet();
        // The first frame is the error; 4 MB follow it. Without draining, TCP would respond to them
        // with a reset, which discards the GOAWAY before the peer reads it.
        peer.send(&data(0, b"").bytes());
        for _ in 0..256 {
            peer.send(&data(1, [1; 16_384]).bytes());
        }
        peer.stream.shutdown(Shutdown::Write).unwrap();
        let frames = peer.rest();
        assert_eq!(frames.last().unwrap().kind, kind::GOAWAY);
        assert_eq!(server.end().transport, None);
    }
    still_serves(&server);
}

#[test]
fn a_peer_that_does_not_close_is_dropped() {
    const LINGER: Duration = Duration::from_millis(200);
    let server = Running::with(|server| server.close_limits(CloseLimits::default().drain(LINGER)), handler);
    let mut peer = server.peer();
    peer.greet();
    let before = Instant::now();
    peer.send(&data(0, b"").bytes());
    assert_eq!(peer.rest().last().unwrap().kind, kind::GOAWAY);
    server.end();
    assert!(before.elapsed() >= LINGER, "the peer had its time");
    server.drained();

    // This peer does not read either: the GOAWAY cannot be written.
    let mut peer = server.peer();
    peer.greet_with(&settings().entry(setting::INITIAL_WINDOW_SIZE, 0x7fff_ffff));
    peer.send(&thalweg_testkit::frames::window_update(0, 0x7fff_0000).bytes());
    for stream in 0..100 {
        let request = headers(2 * stream + 1, hpack::get("/large")).end_stream().end_headers();
        peer.send(&request.bytes());
    }
    peer.send(&data(0, b"").bytes());
    assert!(matches!(server.end().cause, Some(CloseCause::Violation(_))));
    server.drained();
    still_serves(&server);
}

#[test]
fn a_transport_that_fails_is_reported_with_its_error() {
    let server = Running::start(handler);
    let mut peer = server.peer();
    peer.greet();
    peer.send(&headers(1, hpack::request("POST", "/large")).end_headers().bytes());
    // Closing a socket with unread input resets the connection.
    peer.until(kind::HEADERS);
    assert!(peer.stream.peek(&mut [0]).unwrap() > 0);
    drop(peer);
    let end = server.end();
    let expected = (Some(CloseCause::Eof), Some(ErrorKind::ConnectionReset));
    assert_eq!((end.cause, end.transport), expected, "{}", end.text);
    still_serves(&server);
}

#[test]
fn a_flood_ends_with_the_exceeded_limit_in_the_report() {
    let server = Running::start(handler);
    let mut peer = server.peer();
    peer.greet();
    let one = ping([0; 8]).bytes();
    let flood: Vec<u8> = one.iter().copied().cycle().take(one.len() * 20_000).collect();
    // It is not read to its end.
    let writer = peer.stream.try_clone().unwrap();
    let flooding = std::thread::spawn(move || drop((&writer).write_all(&flood)));
    let frames = peer.rest();
    let last = frames.last().unwrap();
    assert_eq!(last.code(), Some(ErrorCode::ENHANCE_YOUR_CALM), "{last}");
    peer.stream.shutdown(Shutdown::Both).unwrap();
    flooding.join().unwrap();
    let end = server.end();
    assert_eq!(end.cause, Some(CloseCause::Limit(Limit::Pings)), "{}", end.text);
    assert!(end.text.contains("rate_limits.pings"), "{}", end.text);
    still_serves(&server);
}

#[test]
fn every_waiting_caller_gets_the_end_of_the_connection_once() {
    // A handler at each point where it can wait when the client disconnects.
    let (sender, receiver) = channel();
    let sender = Mutex::new(sender);
    let server = Running::start(move |mut request: Request<Body>, responder: Responder| {
        let path = request.path().to_owned();
        let outcome = match &*path {
            "/read" => {
                sender.lock().unwrap().send(("begun", path.clone(), None)).unwrap();
                request.body.read(&mut [0]).map(drop)
            }
            _ => {
                let mut writer = responder.start(Response::ok())?;
                sender.lock().unwrap().send(("begun", path.clone(), None)).unwrap();
                loop {
                    if let Err(error) = writer.write_all(&[0; 10_000]) {
                        break Err(error);
                    }
                }
            }
        };
        let kind = outcome.unwrap_err().kind();
        sender.lock().unwrap().send(("ended", path, Some(kind))).unwrap();
        Ok(())
    });
    let mut peer = server.peer();
    peer.greet();
    for (stream, path) in [(1, "/read"), (3, "/write"), (5, "/read"), (7, "/write")] {
        peer.send(&headers(stream, hpack::request("POST", path)).end_headers().bytes());
    }
    for _ in 0..4 {
        assert_eq!(receiver.recv_timeout(LIMIT).unwrap().0, "begun");
    }
    drop(peer);
    let mut ended: Vec<_> = (0..4).map(|_| receiver.recv_timeout(LIMIT).unwrap()).collect();
    ended.sort();
    let kind = Some(ErrorKind::ConnectionAborted);
    let expected = ["/read", "/read", "/write", "/write"].map(|path| ("ended", path.to_owned(), kind));
    assert_eq!(ended, expected);
    server.end();
    server.stop();
    assert!(receiver.try_recv().is_err(), "each end is reported once");
}

/// 2,000 clients that disconnect between any two bytes, with requests at every stage.
#[test]
fn a_server_survives_killed_clients() {
    const CLIENTS: u64 = 2000;
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0x7a11_4e60);
    println!("SEED={seed}");
    let server = Running::with(
        |server| server.close_limits(CloseLimits::default().drain(Duration::from_millis(100))),
        handler,
    );
    let mut random = Random(seed);
    for _ in 0..CLIENTS {
        kill_one(&server, &mut random);
    }
    for _ in 0..CLIENTS {
        server.end();
    }
    server.drained();
    assert_eq!(server.handle.stats().streams, 0);
    still_serves(&server);
    server.stop();
}

fn kill_one(server: &Running, random: &mut Random) {
    let mut script = wire([&preface(), &settings(), &settings_ack()]);
    for index in 0..random.below(12) as u32 {
        let stream = 2 * index + 1;
        let request = |method, path| headers(stream, hpack::request(method, path)).end_headers();
        let frames = match random.below(6) {
            0 => vec![request("GET", "/").end_stream()],
            1 => vec![request("GET", "/large").end_stream()],
            2 => vec![request("POST", "/echo"), data(stream, [1; 1000])],
            3 => vec![request("POST", "/echo"), data(stream, [1; 10_000]).end_stream()],
            4 => vec![request("POST", "/"), data(stream, b"x"), rst_stream(stream, ErrorCode::CANCEL)],
            _ => vec![request("GET", "/large").end_stream(), raw(0x7f, 0, 0, b"?")],
        };
        frames.iter().for_each(|frame| script.extend(frame.bytes()));
    }
    if random.below(8) == 0 {
        script.extend(goaway(0, ErrorCode::NO_ERROR).bytes());
    }
    let cut = random.below(script.len() as u64 + 1) as usize;
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let half = random.below(cut as u64 + 1) as usize;
    stream.write_all(&script[..half]).unwrap();
    if half >= b"PRI * HTTP/2".len() && random.below(2) == 0 {
        // The server has sent output: closing with unread input resets the connection.
        let mut some = vec![0; 1 + random.below(100) as usize];
        let _ = stream.read(&mut some).unwrap();
    }
    // The server may have closed the connection because of the earlier input.
    let _ = stream.write_all(&script[half..cut]);
    if random.below(4) == 0 {
        let _ = stream.shutdown(Shutdown::Write);
    }
}

#[test]
fn a_client_that_sends_goaway_closes_gracefully() {
    let server = Running::start(handler);
    let mut peer = server.peer();
    peer.greet();
    peer.send(&headers(1, hpack::get("/")).end_stream().end_headers().bytes());
    peer.until(kind::DATA);
    peer.send(&goaway(0, ErrorCode::NO_ERROR).bytes());
    // The server closes first: it has no more output for a client that closes.
    assert_eq!(peer.rest(), [goaway(1, ErrorCode::NO_ERROR)]);
    drop(peer);
    let end = server.end();
    assert_eq!((end.cause, end.transport), (None, None));
    let plain = Peer::client(TcpStream::connect(server.address).unwrap());
    drop(plain);
    assert_eq!(server.end().negotiation_error, Some(NegotiationError::NoData), "the peer sent no byte");
}
