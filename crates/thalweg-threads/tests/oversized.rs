//! An oversized field block fails its own message and no other stream of the connection.

#![allow(clippy::unwrap_used, reason = "it is all tests")]

mod shared;

use std::collections::BTreeMap;
use std::io;
use std::thread;

use shared::{LIMIT, Peer, Running};
use thalweg::{Limit, ResetCause, StreamError};
use thalweg_testkit::frames::{
    Frame, data, flag, fragments, headers, kind, setting, settings, window_update, wire,
};
use thalweg_testkit::hpack::{self, Block};
use thalweg_threads::{Body, Client, Error, ErrorCode, Request, Responder, Response};

/// A block with a field of `bytes` bytes, followed by a field for the dynamic table.
fn oversized(front: &[u8], bytes: usize) -> Vec<u8> {
    let block = Block::new().raw(front).literal("x-large", "v".repeat(bytes));
    block.literal_indexed("x-kept", "yes").bytes()
}

/// Responds with `x-kept` or with a megabyte.
#[allow(clippy::needless_pass_by_value, reason = "it is a handler")]
fn download(request: Request<Body>, responder: Responder) -> io::Result<()> {
    match request.fields.value("x-kept") {
        Some(value) => responder.send(Response::ok().body(value.to_vec())),
        None => responder.send(Response::ok().body(vec![7; 1 << 20])),
    }
}

fn five_downloads_beside(oversized: &[Frame]) {
    let server = Running::start(download);
    let mut peer = server.peer();
    peer.greet_with(&settings().entry(setting::INITIAL_WINDOW_SIZE, 1 << 20));
    for id in [1, 3, 5, 7, 9] {
        peer.send(&headers(id, hpack::get("/")).end_headers().end_stream().bytes());
    }
    // The downloads are in progress.
    let first = peer.until(kind::HEADERS);
    assert_eq!(peer.fields(&first)[0], ":status: 200");
    let bytes: Vec<u8> = oversized.iter().flat_map(Frame::bytes).collect();
    peer.send(&bytes);
    let kept = Block::new().raw(hpack::get("/")).indexed(62).bytes();
    peer.send(&wire([&headers(13, kept).end_headers().end_stream(), &window_update(0, 8 << 20)]));
    let mut answers = Vec::new();
    let mut ended = BTreeMap::new();
    while ended.len() < 7 {
        let frame = peer.frame().expect("the connection lives");
        assert!(!matches!(frame.kind, kind::GOAWAY | kind::RST_STREAM), "{frame}");
        if frame.kind == kind::HEADERS {
            answers.push((frame.stream, peer.fields(&frame)[0].clone()));
        }
        if matches!(frame.kind, kind::DATA | kind::HEADERS) && frame.flags & flag::END_STREAM != 0 {
            ended.insert(frame.stream, frame.kind);
        }
    }
    let data = |stream| (stream, kind::DATA);
    let expected = [data(1), data(3), data(5), data(7), data(9), (11, kind::HEADERS), data(13)];
    assert_eq!(ended, BTreeMap::from(expected));
    answers.sort();
    let expected = [(11, ":status: 431".to_owned()), (13, ":status: 200".to_owned())];
    assert!(answers.ends_with(&expected), "{answers:?}");
    peer.leave();
}

#[test]
fn an_oversized_request_does_not_affect_five_downloads() {
    for bytes in [40_000, 60_000, 900_000] {
        for len in [16_384, 9000] {
            let first = headers(11, oversized(&hpack::get("/"), bytes)).end_stream();
            five_downloads_beside(&fragments(first, len));
        }
    }
}

#[test]
fn an_oversized_response_fails_its_own_request() {
    let (mut peer, client) = Peer::accept(|address| Client::connect(&address.to_string()).unwrap());
    peer.answer_greeting(&settings());
    let client = client.time_limit(Some(LIMIT));
    let limit = StreamError::Limit(Limit::HeaderBlockBytes);
    let send = || {
        let client = client.clone();
        thread::spawn(move || client.send(Request::get("/")))
    };
    let first = send();
    assert_eq!(peer.until(kind::HEADERS).stream, 1);
    let second = send();
    assert_eq!(peer.until(kind::HEADERS).stream, 3);
    let frames = fragments(headers(1, oversized(&hpack::response(200), 40_000)), 16_384);
    peer.send(&frames.iter().flat_map(Frame::bytes).collect::<Vec<u8>>());
    let kept = Block::new().raw(hpack::response(200)).indexed(62).bytes();
    peer.send(&wire([&headers(3, kept).end_headers(), &data(3, "content").end_stream()]));
    let error = first.join().unwrap().unwrap_err();
    let Error::Reset { code: ErrorCode::ENHANCE_YOUR_CALM, by: ResetCause::Local(by) } = error else {
        panic!("{error:?}")
    };
    assert_eq!(by, limit);
    assert_eq!(peer.until(kind::RST_STREAM).code(), Some(ErrorCode::ENHANCE_YOUR_CALM));
    let mut response = second.join().unwrap().unwrap();
    assert_eq!(response.fields.value("x-kept"), Some(&b"yes"[..]));
    assert_eq!(response.body.read_whole(100).unwrap(), b"content");

    // The same with trailers.
    let third = send();
    assert_eq!(peer.until(kind::HEADERS).stream, 5);
    peer.send(&wire([&headers(5, hpack::response(200)).end_headers(), &data(5, "content")]));
    let frames = fragments(headers(5, oversized(&[], 40_000)).end_stream(), 16_384);
    peer.send(&frames.iter().flat_map(Frame::bytes).collect::<Vec<u8>>());
    let error = third.join().unwrap().unwrap().body.read_whole(100).unwrap_err();
    let error = Error::of_io(&error).expect("an error of ours");
    assert!(matches!(error, Error::Reset { by: ResetCause::Local(by), .. } if *by == limit), "{error:?}");
    client.shutdown();
}
