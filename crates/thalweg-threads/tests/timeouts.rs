//! Timeouts start at the calls that arm them: a handler or a caller that was inactive for longer
//! than a timeout is not penalized.

#![allow(clippy::unwrap_used, reason = "it is all tests")]

mod shared;

use std::io;
use std::thread::{self, sleep};
use std::time::Duration;

use shared::{LIMIT, Peer, Running};
use thalweg::Config;
use thalweg::frame::SettingId;
use thalweg_testkit::frames::{flag, headers, kind, ping_ack, settings, settings_ack, window_update, wire};
use thalweg_testkit::hpack;
use thalweg_threads::{Body, Client, Options, Request, Responder, Response};

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
    let (mut peer, client) = Peer::accept(|address| {
        let mut options = Options::default();
        options.config = config();
        Client::connect_with(&address.to_string(), &options).unwrap()
    });
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
