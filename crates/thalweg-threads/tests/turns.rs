//! A long response does not delay the others of its connection.

#![allow(clippy::unwrap_used, reason = "it is all tests")]

mod shared;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use shared::Running;
use shared::pipe::{Bench, get, greeting};
use thalweg_testkit::frames::{Reader, headers, kind, setting, settings, window_update};
use thalweg_testkit::hpack;
use thalweg_threads::server::Builder;
use thalweg_threads::{Body, Pool, Request, Responder, Response};

#[test]
fn a_short_response_does_not_wait_for_the_end_of_a_long_one() {
    let server = Running::start(|request: Request<Body>, responder: Responder| {
        let len = if request.path() == "/long" { 64 << 20 } else { 1000 };
        responder.send(Response::ok().body(vec![b'x'; len]))
    });
    let mut peer = server.peer();
    peer.greet_with(&settings().entry(setting::INITIAL_WINDOW_SIZE, 1 << 30));
    peer.send(&window_update(0, 1 << 30).bytes());
    peer.send(&headers(1, hpack::get("/long")).end_stream().end_headers().bytes());
    let mut has_asked = false;
    loop {
        let frame = peer.frame().expect("both responses come");
        match (frame.kind, frame.stream) {
            (kind::DATA, 1) if !has_asked => {
                has_asked = true;
                peer.send(&headers(3, hpack::get("/short")).end_stream().end_headers().bytes());
            }
            // How much comes first is up to the scheduler and the buffers of two sockets; the test
            // below has the exact bound.
            (kind::DATA, 1) => assert!(!frame.ends_stream(), "all of the long response came first"),
            (kind::DATA, 3) if frame.ends_stream() => break,
            _ => {}
        }
    }
}

/// Output that the driver queues ahead of a short response while the transport accepts none.
#[test]
fn no_more_than_the_output_of_the_core_is_ahead_of_a_short_response() {
    const ROOM: usize = 1 << 20;
    let has_answered = Arc::new(AtomicBool::new(false));
    let answered = Arc::clone(&has_answered);
    let pool = Pool::new(2, move |request: Request<Body>, responder: Responder| {
        if request.path() == "/long" {
            return responder.send(Response::ok().body(vec![b'x'; 64 << 20]));
        }
        let outcome = responder.send(Response::ok().body(vec![b'x'; 1000]));
        answered.store(true, Ordering::SeqCst);
        outcome
    });
    let mut bench = Bench::vectored(&pool, &Builder::new());
    bench.pipe.with(|ends| ends.room = Some(ROOM));
    bench.pipe.send(&greeting(1 << 30));
    bench.pipe.send(&get(1, "/long"));
    bench.until(|pipe| pipe.with(|ends| (ends.room == Some(0)).then_some(())));
    bench.pipe.send(&get(3, "/short"));
    // The handler may wake the driver before it sets the mark: the mark wakes nothing.
    let deadline = Instant::now() + Duration::from_secs(20);
    while !has_answered.load(Ordering::SeqCst) {
        assert!(Instant::now() < deadline, "the handler does not respond");
        bench.go();
        std::thread::yield_now();
    }
    bench.go();
    bench.pipe.with(|ends| ends.room = None);

    let (mut reader, mut long_bytes) = (Reader::default(), 0);
    bench.until(|pipe| {
        reader.push(&pipe.written());
        while let Some(frame) = reader.next_frame().unwrap() {
            match (frame.kind, frame.stream) {
                (kind::DATA, 1) => long_bytes += frame.body.len(),
                (kind::DATA, 3) if frame.ends_stream() => return Some(()),
                _ => {}
            }
        }
        None
    });
    // Four times the default of `output_bytes_max`, and the two turns.
    let ahead = long_bytes.saturating_sub(ROOM);
    assert!(ahead < 320 << 10, "{ahead} bytes of the long response came first");
}
