//! A long response does not delay the others of its connection.

mod shared;

use shared::Running;
use thalweg_testkit::frames::{headers, kind, setting, settings, window_update};
use thalweg_testkit::hpack;
use thalweg_threads::{Body, Request, Responder, Response};

#[test]
fn a_short_response_does_not_wait_for_the_end_of_a_long_one() {
    const LONG_BYTES: usize = 64 << 20;
    let server = Running::start(|request: Request<Body>, responder: Responder| {
        let len = if request.path() == "/long" { LONG_BYTES } else { 1000 };
        responder.send(Response::ok().body(vec![b'x'; len]))
    });
    let mut peer = server.peer();
    peer.greet_with(&settings().entry(setting::INITIAL_WINDOW_SIZE, 1 << 30));
    peer.send(&window_update(0, 1 << 30).bytes());
    peer.send(&headers(1, hpack::get("/long")).end_stream().end_headers().bytes());
    let mut long_bytes = 0;
    let mut has_asked = false;
    loop {
        let frame = peer.frame().expect("both responses come");
        match (frame.kind, frame.stream) {
            (kind::DATA, 1) if !has_asked => {
                has_asked = true;
                peer.send(&headers(3, hpack::get("/short")).end_stream().end_headers().bytes());
            }
            (kind::DATA, 1) => long_bytes += frame.body.len(),
            (kind::DATA, 3) if frame.ends_stream() => break,
            _ => {}
        }
    }
    // The buffers of two sockets, and the output that the driver has written.
    assert!(long_bytes < 16 << 20, "{long_bytes} bytes of the long response came first");
}
