//! Timeouts start at the calls that arm them: a handler or a caller that was inactive for longer
//! than a timeout is not penalized.

#![allow(clippy::unwrap_used, reason = "it is all tests")]

mod shared;

use std::io;
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use shared::{LIMIT, Peer, Running};
use thalweg::Config;
use thalweg::frame::SettingId;
use thalweg_testkit::frames::{
    data, flag, goaway, headers, kind, ping_ack, rst_stream, settings, settings_ack, window_update, wire,
};
use thalweg_testkit::hpack;
use thalweg_threads::{Body, Client, ErrorCode, Request, Responder, Response};

/// The length of the timeouts in this file.
const TIMEOUT: Duration = Duration::from_secs(1);
const SILENCE: Duration = Duration::from_millis(1500);
const BODY: usize = 1 << 20;

/// `shutdown`, `stall` and `settings_ack` are short.
fn config() -> Config {
    let mut config = Config::default();
    config.timeouts.shutdown = Some(TIMEOUT);
    config.timeouts.stall = Some(TIMEOUT);
    config.timeouts.settings_ack = Some(TIMEOUT);
    config
}

/// Responds with 1 MiB after a pause.
fn ponder(_: Request<Body>, responder: Responder) -> io::Result<()> {
    sleep(SILENCE);
    responder.send(Response::ok().body(vec![7; BODY]))
}

fn server() -> Running {
    Running::with(|server| server.config(config()), ponder)
}

/// Reads the content of a stream, and extends the window for each frame.
fn content(peer: &mut Peer, stream: u32) -> usize {
    let mut len = 0;
    loop {
        let frame = peer.frame().expect("the content continues");
        assert_ne!((frame.kind, frame.stream), (kind::RST_STREAM, stream), "{frame}");
        if frame.kind != kind::DATA {
            continue;
        }
        len += frame.body.len();
        if frame.has(flag::END_STREAM) {
            return len;
        }
        if !frame.body.is_empty() {
            let bytes = frame.body.len() as u32;
            peer.send(&wire([&window_update(0, bytes), &window_update(stream, bytes)]));
        }
    }
}

#[test]
fn a_long_inactive_handler_completes_during_a_graceful_shutdown() {
    let server = server();
    let mut peer = server.peer();
    peer.greet();
    peer.send(&headers(1, hpack::get("/")).end_headers().end_stream().bytes());
    sleep(SILENCE - TIMEOUT / 4);
    server.handle.shutdown(LIMIT);
    peer.until(kind::GOAWAY);
    let ping = peer.until(kind::PING).body.try_into().unwrap();
    peer.send(&ping_ack(ping).bytes());
    assert_eq!(content(&mut peer, 1), BODY);
    peer.leave();
    assert_eq!(server.end().cause, None);
}

#[test]
fn a_long_inactive_handler_sends_a_complete_response() {
    let server = server();
    let mut peer = server.peer();
    peer.greet();
    peer.send(&headers(1, hpack::get("/")).end_headers().end_stream().bytes());
    assert_eq!(content(&mut peer, 1), BODY);
    peer.leave();
}

/// A client of a scripted server.
fn client() -> (Peer, Client) {
    let (mut peer, client) =
        Peer::accept(|address| Client::builder().config(config()).connect(&address.to_string()).unwrap());
    peer.answer_greeting(&settings());
    (peer, client.time_limit(Some(LIMIT)))
}

#[test]
fn a_long_idle_client_completes_its_upload() {
    let (mut peer, client) = client();
    for stream in [1, 3] {
        let client = client.clone();
        let upload = thread::spawn(move || client.send(Request::post("/p").body(vec![7; BODY])));
        assert_eq!(content(&mut peer, stream), BODY);
        peer.send(&headers(stream, hpack::response(204)).end_headers().end_stream().bytes());
        upload.join().unwrap().unwrap();
        sleep(SILENCE);
    }
}

#[test]
fn settings_sent_after_inactivity_may_be_acknowledged_in_time() {
    let (mut peer, client) = client();
    let handle = client.handle();
    for value in [1, 2] {
        sleep(SILENCE);
        assert!(handle.send_extension_settings([(SettingId(0xf000), value)]));
        let frame = peer.until(kind::SETTINGS);
        assert!(!frame.has(flag::ACK));
        peer.send(&settings_ack().bytes());
    }
    client.shutdown();
    peer.until_end_of_client();
    drop(peer);
    assert!(client.wait_end().is_orderly());
}

/// A server that echoes a request, with a short `content` or `idle` timeout.
fn impatient(configure: impl FnOnce(&mut Config)) -> Running {
    let mut config = Config::default();
    configure(&mut config);
    Running::with(
        |server| server.config(config),
        |mut request: Request<Body>, responder: Responder| {
            if request.path() == "/whole" {
                let content = request.body.read_whole(100)?;
                return responder.send(Response::ok().body(content));
            }
            let mut echo = responder.start(Response::ok())?;
            echo.write_from(&mut request.body)?;
            echo.finish()
        },
    )
}

#[test]
fn content_that_does_not_arrive_gets_408() {
    let server = impatient(|config| config.timeouts.content = Some(TIMEOUT));
    let mut peer = server.peer();
    peer.greet();
    let start = Instant::now();
    peer.send(&wire([&headers(1, hpack::request("POST", "/whole")).end_headers(), &data(1, "ab")]));
    let head = peer.until(kind::HEADERS);
    assert_eq!(peer.fields(&head), [":status: 408"]);
    assert!(start.elapsed() >= TIMEOUT, "{:?}", start.elapsed());
    assert_eq!(peer.until(kind::RST_STREAM), rst_stream(1, ErrorCode::NO_ERROR));
    // Other requests are served.
    peer.send(&headers(3, hpack::get("/whole")).end_headers().end_stream().bytes());
    let head = peer.until(kind::HEADERS);
    assert_eq!((head.stream, &peer.fields(&head)[0]), (3, &":status: 200".to_owned()));
    peer.leave();
}

#[test]
fn content_missing_after_the_start_of_the_response_resets_the_stream() {
    let server = impatient(|config| config.timeouts.content = Some(TIMEOUT));
    let mut peer = server.peer();
    peer.greet();
    let start = Instant::now();
    let mut fields = vec![(":method", "POST"), (":scheme", "http"), (":authority", "a"), (":path", "/p")];
    fields.push(("content-length", "3"));
    peer.send(&wire([&headers(1, hpack::block(&fields)).end_headers(), &data(1, "ab")]));
    assert_eq!(peer.until(kind::DATA), data(1, "ab"));
    assert_eq!(peer.until(kind::RST_STREAM), rst_stream(1, ErrorCode::CANCEL));
    assert!(start.elapsed() >= TIMEOUT, "{:?}", start.elapsed());
    peer.leave();
}

#[test]
fn a_stream_on_which_nothing_moves_after_the_start_of_the_response_is_reset() {
    let server = impatient(|config| config.timeouts.content = Some(TIMEOUT));
    let mut peer = server.peer();
    peer.greet();
    let start = Instant::now();
    peer.send(&headers(1, hpack::request("POST", "/echo")).end_headers().bytes());
    assert_eq!(peer.until(kind::HEADERS).stream, 1);
    assert_eq!(peer.until(kind::RST_STREAM), rst_stream(1, ErrorCode::CANCEL));
    assert!(start.elapsed() >= TIMEOUT, "{:?}", start.elapsed());
    peer.leave();
}

#[test]
fn an_idle_connection_closes_gracefully_with_and_without_a_ping_ack() {
    for answers in [true, false] {
        let server = impatient(|config| {
            config.timeouts.idle = Some(TIMEOUT);
            config.timeouts.ping = Some(if answers { LIMIT * 2 } else { TIMEOUT });
        });
        let mut peer = server.peer();
        peer.greet();
        let start = Instant::now();
        let frame = peer.frame().unwrap();
        assert_eq!(frame, goaway((1 << 31) - 1, ErrorCode::NO_ERROR));
        assert!(start.elapsed() > TIMEOUT / 2, "{:?}", start.elapsed());
        let ping = peer.until(kind::PING).body.try_into().unwrap();
        let start = Instant::now();
        if answers {
            peer.send(&ping_ack(ping).bytes());
        }
        assert_eq!(peer.rest(), [goaway(0, ErrorCode::NO_ERROR)]);
        assert!(answers || start.elapsed() > TIMEOUT / 2, "{:?}", start.elapsed());
        drop(peer);
        let end = server.end();
        assert_eq!((end.cause, end.transport), (None, None), "{}", end.text);
    }
}
