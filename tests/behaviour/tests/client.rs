//! Clients: what a server sees of a caller, and what a caller sees of a server.

use thalweg::{Config, ErrorCode};
use thalweg_behaviour::{Adapter, Call, Client, Content, Peer, Pending, Piece, client, on_both};
use thalweg_testkit::frames::{Frame, data, headers, kind, rst_stream, settings, window_update};
use thalweg_testkit::hpack;

on_both!(
    content_whose_source_fails_fails_the_call,
    te_trailers_is_sent,
    a_reset_with_no_error_after_the_response_is_no_failure,
);

/// Starts a client and a server that have exchanged SETTINGS.
fn connected<A: Adapter>() -> (A::Client, Peer) {
    connected_with::<A>(&settings())
}

fn connected_with<A: Adapter>(settings: &Frame) -> (A::Client, Peer) {
    let (client, mut peer) = client::<A>(Config::default());
    peer.answer_greeting(settings);
    (client, peer)
}

fn response(stream: u32, status: u16) -> Frame {
    headers(stream, hpack::response(status)).end_headers()
}

fn source(len: Option<u64>, pieces: Vec<Piece>) -> Content {
    Content::Source { len, pieces }
}

/// Returns the fields other than pseudo-header fields.
fn fields(peer: &mut Peer, stream: u32) -> (Vec<String>, bool) {
    let (fields, ends) = peer.expect_fields(stream);
    (fields.into_iter().filter(|field| !field.starts_with(':')).collect(), ends)
}

fn content_whose_source_fails_fails_the_call<A: Adapter>() {
    let (client, mut peer) = connected::<A>();
    let content = source(None, vec![Piece::Bytes(b"abc".to_vec()), Piece::Fail]);
    let mut pending = client.send(Call::post("/", content));
    peer.expect(kind::RST_STREAM);
    let failure = pending.head().expect_err("the content is incomplete");
    assert!(failure.text.contains("the source fails"), "{failure}");
}

fn te_trailers_is_sent<A: Adapter>() {
    let (client, mut peer) = connected::<A>();
    let _pending = client.send(Call::get("/").field("te", "trailers"));
    assert_eq!(fields(&mut peer, 1).0, ["te: trailers"]);
}

fn a_reset_with_no_error_after_the_response_is_no_failure<A: Adapter>() {
    let (client, mut peer) = connected::<A>();
    let mut pending = client.send(Call::post("/", Content::Whole(vec![0; 100_000])));
    fields(&mut peer, 1);
    peer.send_frame(&response(1, 200));
    peer.send_frame(&data(1, "ok").end_stream());
    peer.send_frame(&rst_stream(1, ErrorCode::NO_ERROR));
    assert_eq!(pending.head().expect("a response").start, "200");
    assert_eq!(pending.read().expect("content").content, b"ok");
    peer.send_frame(&window_update(0, 1));
}
