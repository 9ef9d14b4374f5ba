//! Clients: what a server sees of a caller, and what a caller sees of a server.

use std::time::{Duration, Instant};

use thalweg::{Config, ErrorCode};
use thalweg_behaviour::{
    Adapter, Call, Client, Content, Gate, Peer, Pending, Piece, Received, client, on_both,
};
use thalweg_testkit::frames::{
    Frame, data, goaway, headers, kind, rst_stream, setting, settings, window_update,
};
use thalweg_testkit::hpack;

on_both!(
    te_trailers_is_sent,
    content_whose_source_fails_fails_the_call,
    a_reset_with_no_error_after_the_response_is_no_failure,
    requests_that_may_have_content_announce_none,
    requests_announce_the_length_of_their_content,
    content_shorter_than_its_length_fails_the_call,
    connection_specific_fields_of_a_caller_are_not_sent,
    content_waits_for_100_continue,
    content_waits_for_a_second_at_most,
    content_that_a_final_status_refuses_is_not_sent,
    a_final_response_is_read_while_the_upload_goes_on,
    a_final_response_is_read_while_the_source_is_silent,
    a_final_response_is_read_while_the_upload_has_no_window,
    an_upload_ends_with_the_reader_of_its_response,
    the_next_request_takes_the_place_of_an_upload_that_was_refused,
    the_connection_ends_with_its_last_handle_during_an_upload,
    a_final_response_outlives_the_transport,
    a_request_without_content_expects_nothing,
    content_waits_through_other_informational_responses,
    only_a_request_that_was_not_processed_is_retryable,
);

const SHORT: Duration = Duration::from_millis(300);

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

fn text(content: &str) -> Content {
    Content::Whole(content.into())
}

/// Returns the fields other than pseudo-header fields.
fn fields(peer: &mut Peer, stream: u32) -> (Vec<String>, bool) {
    let (fields, ends) = peer.expect_fields(stream);
    (fields.into_iter().filter(|field| !field.starts_with(':')).collect(), ends)
}

// RFC 9110 §8.6: a user agent sends content-length when the method anticipates content.
fn requests_that_may_have_content_announce_none<A: Adapter>() {
    let (client, mut peer) = connected::<A>();
    let mut stream = 1;
    let mut pending = Vec::new();
    for method in ["POST", "PUT", "PATCH", "GET", "DELETE"] {
        pending.push(client.send(Call { method, ..Call::get("/") }));
        let expected: &[&str] = if matches!(method, "GET" | "DELETE") { &[] } else { &["content-length: 0"] };
        let (fields, ends) = fields(&mut peer, stream);
        assert_eq!(
            (&fields[..], ends),
            (&expected.iter().map(ToString::to_string).collect::<Vec<_>>()[..], true)
        );
        stream += 2;
    }
}

fn requests_announce_the_length_of_their_content<A: Adapter>() {
    let (client, mut peer) = connected::<A>();
    let contents = [
        (text("abc"), vec!["content-length: 3"]),
        (source(Some(3), vec![Piece::Bytes(b"abc".to_vec())]), vec!["content-length: 3"]),
        (source(None, vec![Piece::Bytes(b"abc".to_vec())]), vec![]),
    ];
    let mut stream = 1;
    let mut pending = Vec::new();
    for (content, expected) in contents {
        pending.push(client.send(Call::post("/", content)));
        assert_eq!(fields(&mut peer, stream).0, expected);
        assert_eq!(peer.expect_content(stream).content, b"abc");
        stream += 2;
    }
}

fn content_shorter_than_its_length_fails_the_call<A: Adapter>() {
    let (client, mut peer) = connected::<A>();
    let content = source(Some(10), vec![Piece::Bytes(b"abc".to_vec())]);
    let mut pending = client.send(Call::post("/", content));
    assert_eq!(fields(&mut peer, 1), (vec!["content-length: 10".to_owned()], false));
    let reset = peer.expect(kind::RST_STREAM);
    assert_eq!(reset.stream, 1);
    let failure = pending.head().expect_err("the content is incomplete");
    assert!(!failure.is_retryable, "{failure}");
}

fn content_whose_source_fails_fails_the_call<A: Adapter>() {
    let (client, mut peer) = connected::<A>();
    let content = source(None, vec![Piece::Bytes(b"abc".to_vec()), Piece::Fail]);
    let mut pending = client.send(Call::post("/", content));
    peer.expect(kind::RST_STREAM);
    let failure = pending.head().expect_err("the content is incomplete");
    assert!(failure.text.contains("the source fails"), "{failure}");
}

fn connection_specific_fields_of_a_caller_are_not_sent<A: Adapter>() {
    let (client, mut peer) = connected::<A>();
    let call = Call::get("/")
        .field("connection", "x-hop, te")
        .field("x-hop", "1")
        .field("te", "gzip")
        .field("keep-alive", "5")
        .field("transfer-encoding", "chunked")
        .field("x-end", " 1 ");
    let _pending = client.send(call);
    assert_eq!(fields(&mut peer, 1), (vec!["x-end: 1".to_owned()], true));
}

fn te_trailers_is_sent<A: Adapter>() {
    let (client, mut peer) = connected::<A>();
    let _pending = client.send(Call::get("/").field("te", "trailers"));
    assert_eq!(fields(&mut peer, 1).0, ["te: trailers"]);
}

fn expecting(content: Content) -> Call {
    Call::post("/", content).field("expect", "100-continue")
}

fn content_waits_for_100_continue<A: Adapter>() {
    let (client, mut peer) = connected::<A>();
    let mut pending = client.send(expecting(text("abc")));
    assert!(!fields(&mut peer, 1).1);
    let (frames, _) = peer.frames_within(SHORT);
    assert!(frames.is_empty(), "{frames:?}");
    peer.send_frame(&response(1, 100));
    assert_eq!(peer.expect_content(1).content, b"abc");
    peer.send_frame(&response(1, 200).end_stream());
    assert_eq!(pending.head().expect("a response").start, "200");
}

fn content_waits_for_a_second_at_most<A: Adapter>() {
    let (client, mut peer) = connected::<A>();
    let _pending = client.send(expecting(text("abc")));
    assert!(!fields(&mut peer, 1).1);
    let started = Instant::now();
    assert_eq!(peer.expect_content(1).content, b"abc");
    let waited = started.elapsed();
    assert!(waited > Duration::from_millis(700) && waited < Duration::from_secs(10), "{waited:?}");
}

fn content_that_a_final_status_refuses_is_not_sent<A: Adapter>() {
    let (client, mut peer) = connected::<A>();
    let mut pending = client.send(expecting(text("abc")));
    fields(&mut peer, 1);
    peer.send_frame(&response(1, 417).end_stream());
    assert_eq!(pending.head().expect("a response").start, "417");
    assert_eq!(pending.read().expect("no content"), Received::default());
    let reset = peer.expect(kind::RST_STREAM);
    assert!(matches!(reset.code(), Some(ErrorCode::NO_ERROR | ErrorCode::CANCEL)), "{reset}");
}

/// Answers an upload with 401 and reads the whole response; the upload must be reset then.
fn refused<A: Adapter>(settings: &Frame, content: Content) {
    let (client, mut peer) = connected_with::<A>(settings);
    let mut pending = client.send(Call::post("/", content));
    assert!(!fields(&mut peer, 1).1);
    peer.send_frame(&response(1, 401));
    peer.send_frame(&data(1, "who?").end_stream());
    let started = Instant::now();
    assert_eq!(pending.head().expect("a response").start, "401");
    assert_eq!(pending.read().expect("content").content, b"who?");
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    let reset = peer.expect(kind::RST_STREAM);
    assert!(matches!(reset.code(), Some(ErrorCode::NO_ERROR | ErrorCode::CANCEL)), "{reset}");
}

fn a_final_response_is_read_while_the_upload_goes_on<A: Adapter>() {
    let pieces = vec![Piece::Bytes(vec![0; 1000]); 100_000];
    refused::<A>(&settings(), source(None, pieces));
}

fn a_final_response_is_read_while_the_source_is_silent<A: Adapter>() {
    let gate = Gate::default();
    let pieces = vec![Piece::Bytes(b"abc".to_vec()), Piece::Wait(gate.clone())];
    refused::<A>(&settings(), source(None, pieces));
    gate.open();
}

fn a_final_response_is_read_while_the_upload_has_no_window<A: Adapter>() {
    refused::<A>(&settings().entry(setting::INITIAL_WINDOW_SIZE, 0), Content::Whole(vec![0; 100_000]));
}

fn an_upload_ends_with_the_reader_of_its_response<A: Adapter>() {
    let (client, mut peer) = connected::<A>();
    let (gate, dropped) = (Gate::default(), Gate::default());
    let pieces =
        vec![Piece::OpenOnDrop(dropped.clone()), Piece::Bytes(b"abc".to_vec()), Piece::Wait(gate.clone())];
    let mut pending = client.send(Call::post("/", source(None, pieces)));
    fields(&mut peer, 1);
    peer.send_frame(&response(1, 401));
    assert_eq!(pending.head().expect("a response").start, "401");
    drop(pending);
    let reset = peer.expect(kind::RST_STREAM);
    assert_eq!((reset.stream, reset.code()), (1, Some(ErrorCode::CANCEL)));
    gate.open();
    assert!(dropped.wait(), "the source is dropped");
}

fn the_next_request_takes_the_place_of_an_upload_that_was_refused<A: Adapter>() {
    let (client, mut peer) = connected_with::<A>(&settings().entry(setting::MAX_CONCURRENT_STREAMS, 1));
    let gate = Gate::default();
    let pieces = vec![Piece::Bytes(b"abc".to_vec()), Piece::Wait(gate.clone())];
    let mut refused = client.send(Call::post("/", source(None, pieces)));
    fields(&mut peer, 1);
    let mut next = client.send(Call::get("/next"));
    peer.send_frame(&response(1, 401).end_stream());
    assert_eq!(refused.head().expect("a response").start, "401");
    assert_eq!(refused.read().expect("no content"), Received::default());
    assert!(fields(&mut peer, 3).1);
    peer.send_frame(&response(3, 200).end_stream());
    assert_eq!(next.head().expect("a response").start, "200");
    gate.open();
}

fn the_connection_ends_with_its_last_handle_during_an_upload<A: Adapter>() {
    let (client, mut peer) = connected::<A>();
    let gate = Gate::default();
    let pieces = vec![Piece::Bytes(b"abc".to_vec()), Piece::Wait(gate.clone())];
    let mut pending = client.send(Call::post("/", source(None, pieces)));
    fields(&mut peer, 1);
    peer.send_frame(&response(1, 401).end_stream());
    assert_eq!(pending.head().expect("a response").start, "401");
    drop((pending, client));
    let started = Instant::now();
    let frames = peer.rest();
    // The source that still waits does not keep the connection open.
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    assert!(frames.iter().any(|frame| frame.kind == kind::GOAWAY), "{frames:?}");
    gate.open();
}

/// A server sends 413 and GOAWAY and closes the socket with unread input, so that the client's
/// writes fail while the response is unread.
fn a_final_response_outlives_the_transport<A: Adapter>() {
    let (client, mut peer) = connected::<A>();
    let gate = Gate::default();
    let pieces = vec![
        Piece::Bytes(b"abc".to_vec()),
        Piece::Wait(gate.clone()),
        Piece::Bytes(vec![0; 30_000]),
        Piece::Bytes(vec![0; 30_000]),
    ];
    let mut pending = client.send(Call::post("/", source(None, pieces)));
    fields(&mut peer, 1);
    let response = [
        response(1, 413).bytes(),
        data(1, "too large").end_stream().bytes(),
        goaway(1, ErrorCode::NO_ERROR).bytes(),
    ];
    peer.send(&response.concat());
    peer.close();
    gate.open();
    assert_eq!(pending.head().expect("a response").start, "413");
    assert_eq!(pending.read().expect("content").content, b"too large");
    let end = client.end();
    assert!(end.text.contains("GOAWAY") || end.text.contains("going away"), "{}", end.text);
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

// 9110-10.1.1-1
fn a_request_without_content_expects_nothing<A: Adapter>() {
    let (client, mut peer) = connected::<A>();
    let _pending = client.send(Call::get("/").field("expect", "100-continue"));
    assert_eq!(fields(&mut peer, 1), (vec![], true));
}

// 9110-10.1.1-3
fn content_waits_through_other_informational_responses<A: Adapter>() {
    let (client, mut peer) = connected::<A>();
    let _pending = client.send(expecting(text("abc")));
    assert!(!fields(&mut peer, 1).1);
    peer.send_frame(&response(1, 103));
    let (frames, _) = peer.frames_within(SHORT);
    assert!(frames.is_empty(), "{frames:?}");
    peer.send_frame(&response(1, 100));
    assert_eq!(peer.expect_content(1).content, b"abc");
}

// RFC 9113 §8.7: what the server has certainly not processed may be sent again.
fn only_a_request_that_was_not_processed_is_retryable<A: Adapter>() {
    let (client, mut peer) = connected::<A>();
    for (stream, code, is_retryable) in [
        (1, ErrorCode::REFUSED_STREAM, true),
        (3, ErrorCode::CANCEL, false),
        (5, ErrorCode::INTERNAL_ERROR, false),
    ] {
        let mut pending = client.send(Call::get("/"));
        fields(&mut peer, stream);
        peer.send_frame(&rst_stream(stream, code));
        assert_eq!(pending.head().expect_err("a reset").is_retryable, is_retryable, "{code}");
    }
    let mut pending = client.send(Call::post("/", text("abc")));
    fields(&mut peer, 7);
    peer.send_frame(&goaway(5, ErrorCode::NO_ERROR));
    assert!(pending.head().expect_err("it is above the last stream").is_retryable);
}
