//! A caller's mistake is reported to that caller, ends its own stream, and never looks like the end
//! of a request.
//!
//! Related tests: `server.rs` has services and bodies that fail, panic, or differ from their
//! announced length, and clients that disconnect; `client.rs` bodies that fail and responses that
//! are dropped; `tls.rs` certificates and ALPN; `negotiate.rs` and `client.rs` peers that speak
//! HTTP/1.1.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod support;

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderValue, Request};
use http_body::Frame as BodyFrame;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use support::{Peer, Running, within};
use thalweg::{Config, ErrorCode};
use thalweg_testkit::frames::{headers, kind, settings};
use thalweg_testkit::hpack;
use thalweg_tokio::thalweg_http::content::ContentError;
use thalweg_tokio::{Client, Error, client};
use tokio::io::DuplexStream;

type Content = BoxBody<Bytes, Infallible>;

fn client() -> (Client<Content>, DuplexStream, Running) {
    let (near, far) = tokio::io::duplex(64 << 10);
    let (client, connection) = client::handshake(near, Config::default()).unwrap();
    (client, far, Running(tokio::spawn(connection)))
}

fn post(content: Content) -> Request<Content> {
    Request::post("http://example.org/").body(content).unwrap()
}

fn full(content: &'static str) -> Content {
    Full::from(content).boxed()
}

/// Content that does not know its length.
struct Unsized(Content);

impl http_body::Body for Unsized {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<BodyFrame<Bytes>, Infallible>>> {
        Pin::new(&mut self.0).poll_frame(cx)
    }
}

/// Checks that the connection still serves a request on this stream.
async fn still_serves(client: &mut Client<Content>, peer: &mut Peer<DuplexStream>, stream: u32) {
    let response = tokio::spawn(client.send(post(full("x"))));
    while peer.expect(kind::HEADERS).await.stream != stream {}
    peer.send_frames(&[headers(stream, hpack::response(200)).end_headers().end_stream()]).await;
    assert_eq!(within(response).await.unwrap().unwrap().status(), 200);
}

#[tokio::test]
async fn an_invalid_request_is_refused_and_not_sent() {
    let (mut client, io, _running) = client();
    let mut peer = Peer::server(io, settings()).await;
    let mut no_number = post(full("x"));
    no_number.headers_mut().insert("content-length", HeaderValue::from_static("one"));
    let mut mismatch = post(full("hello"));
    mismatch.headers_mut().insert("content-length", HeaderValue::from_static("6"));
    // 9110-9.3.8-4
    let mut trace = post(full("x"));
    *trace.method_mut() = http::Method::TRACE;
    for (request, expected) in [
        (no_number, ContentError::InvalidLength),
        (mismatch, ContentError::Mismatch { announced: 6, len: 5 }),
        (trace, ContentError::Forbidden),
    ] {
        let error = within(client.send(request)).await.unwrap_err();
        assert!(matches!(error, Error::Content(error) if error == expected), "{error}");
        assert!(!error.is_retryable());
    }
    still_serves(&mut client, &mut peer, 1).await;
}

#[tokio::test]
async fn content_with_a_wrong_length_resets_the_request_and_fails_the_caller() {
    let (mut client, io, _running) = client();
    let mut peer = Peer::server(io, settings()).await;
    for (stream, announced, content) in [(1, "5", "hell"), (3, "5", "hello!"), (5, "0", "x")] {
        let mut request = post(Unsized(full(content)).boxed());
        request.headers_mut().insert("content-length", announced.parse().unwrap());
        let response = tokio::spawn(client.send(request));
        loop {
            let frame = peer.expect_on(stream).await;
            assert!(!frame.ends_stream(), "an end that looks like one: {frame}");
            if frame.kind == kind::RST_STREAM {
                assert_eq!(frame.code(), Some(ErrorCode::CANCEL));
                break;
            }
        }
        let error = within(response).await.unwrap().unwrap_err();
        let is_length = |error| matches!(error, ContentError::TooShort { .. } | ContentError::TooLong { .. });
        assert!(matches!(error, Error::Content(error) if is_length(error)), "{error}");
    }
    still_serves(&mut client, &mut peer, 7).await;
}

#[tokio::test]
async fn a_panic_of_a_body_ends_its_request_and_no_other() {
    struct Panics;
    impl http_body::Body for Panics {
        type Data = Bytes;
        type Error = Infallible;
        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<BodyFrame<Bytes>, Infallible>>> {
            panic!("a body of the test");
        }
    }
    let (mut client, io, _running) = client();
    let mut peer = Peer::server(io, settings()).await;
    let error = within(client.send(post(Panics.boxed()))).await.unwrap_err();
    assert!(matches!(&error, Error::Body(source) if source.to_string().contains("panicked")), "{error}");
    assert_eq!(peer.expect_on(1).await.kind, kind::HEADERS);
    assert_eq!(peer.expect_on(1).await.code(), Some(ErrorCode::CANCEL));
    still_serves(&mut client, &mut peer, 3).await;
}
