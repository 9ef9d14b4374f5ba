//! Servers: what a peer sees of a handler, and what a handler sees of a peer.

use std::sync::Arc;
use std::time::Duration;

use thalweg::{Config, ErrorCode};
use thalweg_behaviour::{
    Adapter, Content, Handler, Observation, Peer, Piece, Received, Server, Step, on_both, respond,
};
use thalweg_testkit::frames::{Frame, data, headers, kind, setting, settings, window_update};
use thalweg_testkit::hpack;

on_both!(
    content_and_trailers_reach_the_handler,
    the_handler_that_does_not_read_makes_no_100,
    content_that_arrived_makes_no_100,
    a_tunnel_that_finishes_sends_end_stream_alone,
    content_shorter_than_its_length_is_reset,
    a_handler_that_fails_in_its_content_resets_its_stream,
);

const SHORT: Duration = Duration::from_millis(300);

fn serve<A: Adapter>(steps: impl Fn(&str) -> Vec<Step> + Send + Sync + 'static) -> A::Server {
    let handler: Handler = Arc::new(move |head| steps(head.path()));
    A::serve(Config::default(), handler)
}

fn get(stream: u32, path: &str) -> Frame {
    headers(stream, hpack::get(path)).end_headers().end_stream()
}

fn post(stream: u32, path: &str) -> Frame {
    headers(stream, hpack::request("POST", path)).end_headers()
}

fn with_fields(method: &str, path: &str, fields: &[(&str, &str)]) -> Vec<u8> {
    [hpack::request(method, path), hpack::block(fields)].concat()
}

/// Returns the first observation other than the request.
fn outcome(server: &impl Server) -> Observation {
    loop {
        match server.observation() {
            Observation::Request(_) => {}
            other => return other,
        }
    }
}

/// Returns the fields of a response without its date.
fn undated(fields: Vec<String>) -> Vec<String> {
    fields.into_iter().filter(|field| !field.starts_with("date: ")).collect()
}

/// Returns the fields of the next HEADERS without the date, and whether they end the stream.
fn response(peer: &mut Peer, stream: u32) -> (Vec<String>, bool) {
    let (fields, ends) = peer.expect_fields(stream);
    (undated(fields), ends)
}

fn resets(frames: &[Frame]) -> Vec<ErrorCode> {
    let resets = frames.iter().filter(|frame| frame.kind == kind::RST_STREAM);
    resets.map(|frame| frame.code().expect("a reset has a code")).collect()
}

fn content_and_trailers_reach_the_handler<A: Adapter>() {
    let server = serve::<A>(|_| [vec![Step::ReadAll], respond(200, "hello")].concat());
    let mut peer = server.peer();
    peer.send_frame(&post(1, "/a"));
    peer.send_frame(&data(1, "abc"));
    peer.send_frame(&headers(1, hpack::block(&[("x", "y")])).end_headers().end_stream());
    assert_eq!(response(&mut peer, 1).0, [":status: 200", "content-length: 5"]);
    assert_eq!(peer.expect_content(1).content, b"hello");
    let received = Received { content: b"abc".to_vec(), trailers: vec!["x: y".to_owned()] };
    assert_eq!(outcome(&server), Observation::Content("/a".to_owned(), received));
}

fn expecting(path: &str) -> Frame {
    headers(1, with_fields("POST", path, &[("expect", "100-continue")])).end_headers()
}

fn the_handler_that_does_not_read_makes_no_100<A: Adapter>() {
    let server = serve::<A>(|_| respond(403, ""));
    let mut peer = server.peer();
    peer.send_frame(&expecting("/a"));
    assert_eq!(response(&mut peer, 1).0[0], ":status: 403");
}

// RFC 9110 §10.1.1: a server may omit 100 if it has already received content.
fn content_that_arrived_makes_no_100<A: Adapter>() {
    let server = serve::<A>(|_| [vec![Step::ReadAll], respond(200, "")].concat());
    let mut peer = server.peer();
    peer.send(&[expecting("/a").bytes(), data(1, "abc").end_stream().bytes()].concat());
    assert_eq!(response(&mut peer, 1).0[0], ":status: 200");
}

fn connect(stream: u32) -> Frame {
    let block = hpack::block(&[(":method", "CONNECT"), (":authority", "example.org:443")]);
    headers(stream, block).end_headers()
}

fn a_tunnel_that_finishes_sends_end_stream_alone<A: Adapter>() {
    let server = serve::<A>(|_| {
        vec![
            Step::Start(200, vec![]),
            Step::ReadSome,
            Step::Write(b"abc".to_vec()),
            Step::Finish,
            Step::ReadAll,
        ]
    });
    let mut peer = server.peer();
    peer.send_frame(&connect(1));
    peer.send_frame(&data(1, "x"));
    assert_eq!(response(&mut peer, 1).0, [":status: 200"]);
    assert_eq!(peer.expect_content(1).content, b"abc");
    let (frames, _) = peer.frames_within(SHORT);
    assert_eq!(resets(&frames), []);
    peer.send_frame(&data(1, "yz").end_stream());
    let received = Received { content: b"yz".to_vec(), trailers: vec![] };
    assert_eq!(outcome(&server), Observation::Content(String::new(), received));
    let (frames, _) = peer.frames_within(SHORT);
    assert_eq!(resets(&frames), []);
}

fn content_shorter_than_its_length_is_reset<A: Adapter>() {
    let server = serve::<A>(|_| {
        let pieces = vec![Piece::Bytes(vec![b'x'; 100_000])];
        let content = Content::Source { len: Some(200_000), pieces };
        vec![Step::Respond { status: 200, fields: vec![], content }]
    });
    let mut peer = server.silent_peer();
    peer.greet_with(&settings().entry(setting::INITIAL_WINDOW_SIZE, 1 << 20));
    peer.send_frame(&window_update(0, 1 << 20));
    peer.send_frame(&get(1, "/"));
    assert_eq!(response(&mut peer, 1).0, [":status: 200", "content-length: 200000"]);
    let reset = peer.expect(kind::RST_STREAM);
    assert_eq!((reset.stream, reset.code()), (1, Some(ErrorCode::INTERNAL_ERROR)));
}

fn a_handler_that_fails_in_its_content_resets_its_stream<A: Adapter>() {
    let server = serve::<A>(|path| {
        let last = if path == "/fail" { Step::Fail } else { Step::Panic };
        vec![Step::Start(200, vec![]), Step::Write(b"abc".to_vec()), last]
    });
    let mut peer = server.peer();
    for (stream, path) in [(1, "/fail"), (3, "/panic")] {
        peer.send_frame(&get(stream, path));
        assert_eq!(response(&mut peer, stream).0, [":status: 200"]);
        let reset = peer.expect(kind::RST_STREAM);
        assert_eq!((reset.stream, reset.code()), (stream, Some(ErrorCode::INTERNAL_ERROR)));
    }
    peer.send_frame(&settings());
    peer.expect(kind::SETTINGS);
}
