//! What a program can observe of its open connections, and of each at its end.

#![allow(clippy::unwrap_used, reason = "it is all tests")]

mod shared;

use std::io::{self, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use shared::pipe::Bench;
use shared::{LIMIT, Running};
use thalweg_testkit::frames::{data, headers, kind, preface, rst_stream, settings, wire};
use thalweg_testkit::hpack;
use thalweg_threads::server::Builder;
use thalweg_threads::{
    Body, Client, CounterSnapshot, Counters, ErrorCode, NegotiationError, Pool, Request, Responder, Response,
};

/// Responds immediately; to /wait, when the client has disconnected.
#[allow(clippy::needless_pass_by_value, reason = "a handler owns its request")]
fn answer(request: Request<Body>, responder: Responder) -> io::Result<()> {
    if request.path() == "/wait" {
        let cancellation = responder.cancellation();
        while !cancellation.is_cancelled() {
            thread::sleep(Duration::from_millis(1));
        }
    }
    responder.send(Response::ok().body("hello"))
}

fn until(counters: &Counters, is_there: impl Fn(&CounterSnapshot) -> bool) -> CounterSnapshot {
    let deadline = Instant::now() + LIMIT;
    loop {
        let now = counters.snapshot();
        if is_there(&now) {
            return now;
        }
        assert!(Instant::now() < deadline, "{now:?}");
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn counters_are_updated_while_connections_are_open() {
    let counters = Arc::<Counters>::default();
    let server = Running::with(|server| server.counters(Arc::clone(&counters)), answer);
    let mut peer = server.peer();
    peer.greet();
    for stream in [1, 3] {
        peer.send(&headers(stream, hpack::get("/")).end_headers().end_stream().bytes());
        peer.until(kind::DATA);
    }
    let now = until(&counters, |now| now.streams_completed == 2);
    assert_eq!((now.connections_opened, now.connections_ended, now.streams_opened), (1, 0, 2));
    assert!(now.bytes_received > 24 && now.bytes_sent > 24, "{now:?}");
    let wait = headers(5, hpack::get("/wait")).end_headers().end_stream();
    peer.send(&wire([&wait, &rst_stream(5, ErrorCode::CANCEL)]));
    until(&counters, |now| now.resets_received == 1);
    let unanswerable = headers(7, hpack::block(&[(":method", "GET")])).end_headers().end_stream();
    peer.send(&unanswerable.bytes());
    until(&counters, |now| now.resets_sent == 1);
    peer.leave();
    let now = until(&counters, |now| now.connections_ended == 1);
    assert_eq!((now.connections_refused, now.connections_warned), (0, 0));

    let mut socket = TcpStream::connect(server.address).unwrap();
    socket.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    let now = until(&counters, |now| now.connections_ended == 2);
    assert_eq!((now.connections_opened, now.connections_refused, now.connections_warned), (2, 1, 0));
    assert_eq!(server.end().negotiation_error, None);
    assert_eq!(server.end().negotiation_error, Some(NegotiationError::Http1));
}

#[test]
fn clients_that_share_counters_add_to_them() {
    let server = Running::start(answer);
    let counters = Arc::<Counters>::default();
    let builder = Client::builder().counters(Arc::clone(&counters));
    for count in 1..=2 {
        let client = builder.connect(&server.address.to_string()).unwrap();
        let mut response = client.send(Request::get("/")).unwrap();
        assert_eq!(response.body.read_whole(100).unwrap(), b"hello");
        assert_eq!(counters.snapshot().connections_opened, count);
        client.shutdown();
        assert!(client.wait_end().is_orderly());
    }
    let now = until(&counters, |now| now.connections_ended == 2);
    assert_eq!((now.streams_opened, now.streams_completed, now.connections_warned), (2, 2, 0));
    assert!(now.bytes_sent > 48 && now.bytes_received > 48, "{now:?}");
}

#[test]
fn the_only_turn_of_a_connection_is_counted_at_its_end() {
    let counters = Arc::<Counters>::default();
    let pool = Pool::new(1, answer);
    let mut bench = Bench::new(&pool, &Builder::new().counters(Arc::clone(&counters)));
    // RFC 9113 §6.1: DATA belongs to a stream.
    let bytes = wire([&preface(), &settings(), &data(0, "")]);
    bench.pipe.send(&bytes);
    bench.go();
    drop(bench);
    let now = counters.snapshot();
    assert_eq!((now.connections_opened, now.connections_ended, now.connections_warned), (1, 1, 1));
    assert_eq!(now.bytes_received, bytes.len() as u64);
}
