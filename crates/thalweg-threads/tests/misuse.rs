//! An application's mistake ends its own stream, by RST_STREAM with INTERNAL_ERROR, and never looks
//! like the end of a message.
//!
//! Related tests: `client.rs` has invalid requests and dropped handles, `tls.rs` certificates and
//! ALPN, `negotiate.rs` and `client.rs` peers that speak HTTP/1.1.

#![allow(clippy::unwrap_used, reason = "it is all tests")]

mod shared;

use std::io::{self, ErrorKind, Read, Write};

use shared::Running;
use thalweg_testkit::frames::{Frame, headers, kind};
use thalweg_testkit::hpack;
use thalweg_threads::{Body, ErrorCode, Payload, Request, Responder, Response, Status};

/// The frames that stream 1 gets from a handler that misbehaves, without those of the connection;
/// checks that stream 3 is served normally.
fn outcome_of(misbehave: impl Fn(Responder) -> io::Result<()> + Send + Sync + 'static) -> Vec<Frame> {
    let server = Running::start(move |request: Request<Body>, responder: Responder| match request.path() {
        "/misbehave" => misbehave(responder),
        _ => responder.send(Response::ok().body("hello")),
    });
    let mut peer = server.peer();
    peer.greet();
    let request =
        |stream: u32, path: &str| headers(stream, hpack::get(path)).end_stream().end_headers().bytes();
    peer.send(&request(1, "/misbehave"));
    let mut outcome = Vec::new();
    while outcome.last().is_none_or(|frame: &Frame| frame.kind != kind::RST_STREAM) {
        let frame = peer.frame().expect("the connection lives");
        assert!(frame.stream == 0 || !frame.ends_stream(), "an end that looks like one: {frame}");
        if frame.stream == 1 {
            outcome.push(frame);
        }
    }
    assert_eq!(outcome.last().and_then(Frame::code), Some(ErrorCode::INTERNAL_ERROR));
    peer.send(&request(3, "/"));
    let (head, content) = (peer.until(kind::HEADERS), peer.until(kind::DATA));
    assert_eq!((head.stream, content.body.as_slice(), content.ends_stream()), (3, &b"hello"[..], true));
    outcome.pop();
    outcome
}

/// Returns the content before the reset.
fn content(outcome: &[Frame]) -> Vec<u8> {
    let data = outcome.iter().filter(|frame| frame.kind == kind::DATA);
    data.flat_map(|frame| frame.body.clone()).collect()
}

#[test]
fn a_handler_that_fails_before_its_response_resets_its_stream() {
    assert_eq!(outcome_of(|_| Err(io::Error::other("out of order"))), []);
}

#[test]
fn a_handler_that_panics_before_its_response_resets_its_stream() {
    assert_eq!(outcome_of(|_| panic!("this panic is part of the test")), []);
}

#[test]
fn a_handler_that_fails_or_panics_within_its_content_resets_its_stream() {
    for panics in [false, true] {
        let outcome = outcome_of(move |responder| {
            let mut writer = responder.start(Response::ok())?;
            writer.write_all(b"part")?;
            writer.flush()?;
            assert!(!panics, "this panic is part of the test");
            Err(io::Error::other("the disk is gone"))
        });
        assert_eq!(outcome[0].kind, kind::HEADERS);
        assert!(b"part".starts_with(&content(&outcome)));
    }
}

/// A reader that fails after its first bytes.
struct Goes(Option<ErrorKind>, usize);

impl Read for Goes {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.1 > 0 {
            let len = out.len().min(self.1);
            self.1 -= len;
            out[..len].fill(7);
            return Ok(len);
        }
        Err(self.0.expect("this panic is part of the test").into())
    }
}

#[test]
fn content_whose_reader_fails_or_panics_midway_is_reset_and_not_truncated() {
    for wrong in [Some(ErrorKind::NotFound), None] {
        for announced in [None, Some(300_000)] {
            let outcome = outcome_of(move |responder| {
                let reader = Goes(wrong, 50_000);
                let payload = match announced {
                    None => Payload::reader(reader),
                    Some(len) => Payload::sized_reader(reader, len),
                };
                responder.send(Response::ok().body(payload))
            });
            assert_eq!(outcome[0].kind, kind::HEADERS);
            let content = content(&outcome);
            assert!(content.len() <= 50_000 && content.iter().all(|byte| *byte == 7));
        }
    }
}

#[test]
fn content_with_a_wrong_length_never_looks_complete() {
    // Too short, too long in one piece, too long in the second piece, and non-empty where no
    // content is allowed.
    for (announced, pieces) in
        [("5", &["hell"][..]), ("5", &["hello!"]), ("5", &["hello", "!"]), ("0", &["x"])]
    {
        let outcome = outcome_of(move |responder| {
            let mut writer = responder.start(Response::ok().field("content-length", announced))?;
            for piece in pieces {
                writer.write_all(piece.as_bytes())?;
                writer.flush()?;
            }
            writer.finish()
        });
        let content = content(&outcome);
        assert!(content.len() <= announced.parse().unwrap(), "{announced} {pieces:?} {content:?}");
    }
    let short =
        |responder: Responder| responder.send(Response::ok().body(Payload::sized_reader(&b"hell"[..], 5)));
    assert_eq!(outcome_of(short), []);
}

#[test]
fn invalid_response_headers_reset_their_stream() {
    for (name, value) in [("x", "a\r\nb"), ("x", "a\0b"), (":path", "/"), ("x y", "")] {
        let outcome = outcome_of(move |responder| {
            let error = responder.send(Response::ok().field(name, value)).unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
            Err(error)
        });
        assert_eq!(outcome, [], "{name}: {value}");
    }
    let informational = |responder: Responder| responder.send(Response::new(Status::EARLY_HINTS));
    assert_eq!(outcome_of(informational), []);
}
