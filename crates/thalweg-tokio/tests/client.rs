//! The client over an in-memory transport, against a raw peer and against our own server.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod support;

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body::Frame as BodyFrame;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use support::{Peer, Running, SmallReads, serve, within};
use thalweg::{CloseCause, Config, ErrorCode, Violation};
use thalweg_testkit::frames::{
    data, flag, goaway, headers, kind, ping, rst_stream, setting, settings, window_update,
};
use thalweg_testkit::hpack;
use thalweg_tokio::{BoxError, Client, Error, WithCauses, client};
use tokio::io::{AsyncWriteExt as _, DuplexStream};
use tokio::net::{TcpListener, TcpStream};

type Content = BoxBody<Bytes, BoxError>;

fn content(text: &'static str) -> Content {
    Full::from(text).map_err(|never| match never {}).boxed()
}

fn get() -> Request<Content> {
    Request::get("http://example.org/g").body(content("")).unwrap()
}

fn post(body: Content) -> Request<Content> {
    Request::post("http://example.org/p").body(body).unwrap()
}

/// A client, and the other end of its transport.
fn client() -> (Client<Content>, DuplexStream, Running) {
    let (near, far) = tokio::io::duplex(64 << 10);
    let (client, connection) = client::handshake(near, Config::default()).unwrap();
    (client, far, Running(tokio::spawn(connection)))
}

fn ok(stream: u32) -> thalweg_testkit::frames::Frame {
    headers(stream, hpack::response(200)).end_headers()
}

#[tokio::test]
async fn a_request_and_its_response_arrive_complete() {
    let (mut client, io, _running) = client();
    let response = tokio::spawn(client.send(post(content("question"))));
    let mut peer = Peer::server(io, settings()).await;
    assert_eq!(
        peer.expect_headers().await,
        [":method: POST", ":scheme: http", ":authority: example.org", ":path: /p", "content-length: 8"]
    );
    assert_eq!(peer.expect_content(1).await.0, b"question");
    let trailers = hpack::block(&[("x", "y")]);
    peer.send_frames(&[
        ok(1),
        data(1, "ans"),
        data(1, "wer"),
        headers(1, trailers).end_headers().end_stream(),
    ])
    .await;
    let response = within(response).await.unwrap().unwrap();
    assert_eq!(response.status(), 200);
    let collected = response.into_body().collect().await.unwrap();
    assert_eq!(collected.trailers().unwrap()["x"], "y");
    assert_eq!(collected.to_bytes(), "answer");
}

#[tokio::test]
async fn a_dropped_response_is_cancelled() {
    let (mut client, io, _running) = client();
    let unanswered = client.send(get());
    let mut peer = Peer::server(io, settings()).await;
    assert_eq!(peer.expect_on(1).await.kind, kind::HEADERS);
    drop(unanswered);
    assert_eq!(peer.expect_on(1).await.code(), Some(ErrorCode::CANCEL));

    let half_read = client.send(get());
    assert_eq!(peer.expect_on(3).await.kind, kind::HEADERS);
    peer.send_frames(&[ok(3), data(3, "half")]).await;
    let mut body = within(half_read).await.unwrap().into_body();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "half");
    drop(body);
    assert_eq!(peer.expect_on(3).await.code(), Some(ErrorCode::CANCEL));

    // A request that was not sent, or whose response is complete, needs no reset.
    drop(client.send(get()));
    let whole = client.send(get());
    assert_eq!(peer.expect(kind::HEADERS).await.stream, 5);
    peer.send_frames(&[ok(5), data(5, "whole").end_stream()]).await;
    drop(within(whole).await.unwrap());
    peer.send_frames(&[ping([1; 8])]).await;
    assert_eq!(peer.next().await.unwrap().kind, kind::PING);
}

#[tokio::test]
async fn ready_waits_at_the_peers_limit_of_streams() {
    let (mut client, io, _running) = client();
    let mut peer = Peer::server(io, settings().entry(setting::MAX_CONCURRENT_STREAMS, 1)).await;
    peer.send_frames(&[ping([1; 8])]).await;
    peer.expect(kind::PING).await;
    within(client.ready()).await.unwrap();
    let first = client.send(get());
    let mut other = client.clone();
    let mut ready = Box::pin(other.ready());
    let mut cx = Context::from_waker(std::task::Waker::noop());
    assert!(ready.as_mut().poll(&mut cx).is_pending());
    // A caller that does not call `ready` first waits in the response future.
    let second = tokio::spawn(client.send(get()));
    assert_eq!(peer.expect(kind::HEADERS).await.stream, 1);
    peer.send_frames(&[ok(1).end_stream()]).await;
    within(first).await.unwrap();
    within(ready).await.unwrap();
    let third = tokio::spawn(other.send(get()));
    for stream in [3, 5] {
        assert_eq!(peer.expect(kind::HEADERS).await.stream, stream);
        peer.send_frames(&[ping([2; 8])]).await;
        assert_eq!(peer.next().await.unwrap().kind, kind::PING, "one at a time");
        peer.send_frames(&[ok(stream).end_stream()]).await;
    }
    within(second).await.unwrap().unwrap();
    within(third).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_lowered_limit_delays_requests_that_hold_a_permit() {
    let (mut client, io, _running) = client();
    let mut peer = Peer::server(io, settings().entry(setting::MAX_CONCURRENT_STREAMS, 3)).await;
    let first = client.send(get());
    assert_eq!(peer.expect(kind::HEADERS).await.stream, 1);
    // The permit is acquired before the limit is lowered, the stream is opened afterwards.
    within(client.ready()).await.unwrap();
    peer.send_frames(&[settings().entry(setting::MAX_CONCURRENT_STREAMS, 1)]).await;
    peer.expect(kind::SETTINGS).await;
    let second = client.send(get());
    peer.send_frames(&[ping([1; 8])]).await;
    assert_eq!(peer.next().await.unwrap().kind, kind::PING);
    peer.send_frames(&[ok(1).end_stream()]).await;
    within(first).await.unwrap();
    assert_eq!(peer.expect(kind::HEADERS).await.stream, 3);
    peer.send_frames(&[ok(3).end_stream()]).await;
    within(second).await.unwrap();
}

#[tokio::test]
async fn only_unprocessed_requests_are_retryable() {
    let (mut client, io, _running) = client();
    let mut peer = Peer::server(io, settings()).await;
    let responses: Vec<_> = (0..4).map(|_| client.send(get())).collect();
    for stream in [1, 3, 5, 7] {
        assert_eq!(peer.expect(kind::HEADERS).await.stream, stream);
    }
    peer.send_frames(&[
        rst_stream(1, ErrorCode::REFUSED_STREAM),
        rst_stream(3, ErrorCode::INTERNAL_ERROR),
        goaway(5, ErrorCode::NO_ERROR),
        ok(5).end_stream(),
    ])
    .await;
    let mut outcomes = Vec::new();
    for response in responses {
        outcomes.push(within(response).await.map(|response| response.status().as_u16()));
    }
    let retryable: Vec<_> =
        outcomes.iter().map(|o| o.as_ref().map_err(Error::is_retryable).copied()).collect();
    assert_eq!(retryable, [Err(true), Err(false), Ok(200), Err(true)]);
    assert!(client.is_closed());
    assert!(within(client.ready()).await.unwrap_err().is_retryable());
    assert!(within(client.send(get())).await.unwrap_err().is_retryable());
}

#[tokio::test]
async fn the_end_of_the_connection_is_reported_to_all_callers_with_its_report() {
    let (mut client, io, running) = client();
    let mut peer = Peer::server(io, settings().entry(setting::MAX_CONCURRENT_STREAMS, 1)).await;
    peer.send_frames(&[ping([1; 8])]).await;
    peer.expect(kind::PING).await;
    let open = client.send(get());
    let queued = client.send(get());
    peer.expect(kind::HEADERS).await;
    peer.send_frames(&[ok(1), data(1, "half")]).await;
    let mut body = within(open).await.unwrap().into_body();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "half");
    drop(peer);
    let error = within(body.frame()).await.unwrap().unwrap_err();
    assert_eq!(error.connection_end().unwrap().report.error.unwrap().cause(), CloseCause::Eof);
    assert!(!error.is_retryable(), "the peer had begun");
    let error = within(queued).await.unwrap_err();
    assert!(error.is_retryable() && error.connection_end().is_some(), "{error}");
    let end = running.end().await;
    assert_eq!(client.end().unwrap().report, end.report);
    assert!(within(client.send(get())).await.unwrap_err().connection_end().is_some());
}

#[tokio::test]
async fn a_peer_that_speaks_http_1_is_named_as_such() {
    let (mut client, mut io, _running) = client();
    let response = client.send(get());
    within(io.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")).await.unwrap();
    let error = within(response).await.unwrap_err();
    let cause = error.connection_end().unwrap().report.error.unwrap().cause();
    assert_eq!(cause, CloseCause::Violation(Violation::PrefaceOfHttp1), "{error}");
}

/// A body whose frames come from a channel.
struct Channel(tokio::sync::mpsc::UnboundedReceiver<Result<BodyFrame<Bytes>, BoxError>>);

impl http_body::Body for Channel {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<BodyFrame<Bytes>, BoxError>>> {
        self.0.poll_recv(cx)
    }
}

#[tokio::test]
async fn a_body_that_fails_resets_the_request_and_is_an_error_for_the_caller() {
    let (frames, body) = tokio::sync::mpsc::unbounded_channel();
    let (mut client, io, _running) = client();
    let response = client.send(post(Channel(body).boxed()));
    let mut peer = Peer::server(io, settings()).await;
    frames.send(Ok(BodyFrame::data(Bytes::from_static(b"half")))).unwrap();
    assert_eq!(peer.expect_on(1).await.kind, kind::HEADERS);
    assert_eq!(peer.expect_on(1).await.body, b"half");
    frames.send(Err("the disk is gone".into())).unwrap();
    assert_eq!(peer.expect_on(1).await.code(), Some(ErrorCode::CANCEL));
    let error = within(response).await.unwrap_err();
    assert!(matches!(&error, Error::Body(source) if source.to_string() == "the disk is gone"), "{error}");
}

#[tokio::test]
async fn a_body_waits_for_window_and_ends_with_its_trailers() {
    let (frames, body) = tokio::sync::mpsc::unbounded_channel();
    let (mut client, io, _running) = client();
    let response = client.send(post(Channel(body).boxed()));
    let mut peer = Peer::server(io, settings().entry(setting::INITIAL_WINDOW_SIZE, 10)).await;
    peer.send_frames(&[ping([1; 8])]).await;
    peer.expect(kind::PING).await;
    frames.send(Ok(BodyFrame::data(Bytes::from_static(b"0123456789abcdef")))).unwrap();
    frames
        .send(Ok(BodyFrame::trailers(HeaderMap::from_iter([("x".parse().unwrap(), "y".parse().unwrap())]))))
        .unwrap();
    assert_eq!(peer.expect(kind::DATA).await.body, b"0123456789");
    peer.send_frames(&[window_update(1, 6)]).await;
    assert_eq!(peer.expect(kind::DATA).await.body, b"abcdef");
    let trailers = peer.expect(kind::HEADERS).await;
    assert_ne!(trailers.flags & flag::END_STREAM, 0);
    peer.send_frames(&[ok(1).end_stream()]).await;
    within(response).await.unwrap();
}

#[tokio::test]
async fn a_response_before_the_end_of_the_request_counts() {
    let (frames, body) = tokio::sync::mpsc::unbounded_channel();
    let (mut client, io, _running) = client();
    let response = client.send(post(Channel(body).boxed()));
    let mut peer = Peer::server(io, settings()).await;
    peer.expect(kind::HEADERS).await;
    peer.send_frames(&[ok(1), data(1, "enough").end_stream(), rst_stream(1, ErrorCode::NO_ERROR)]).await;
    let response = within(response).await.unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "enough");
    within(frames.closed()).await;
}

#[tokio::test]
async fn dropping_the_last_handle_and_response_closes_gracefully() {
    let (mut client, io, running) = client();
    let mut peer = Peer::server(io, settings()).await;
    let response = client.send(get());
    drop(client);
    peer.expect(kind::HEADERS).await;
    peer.send_frames(&[ok(1), data(1, "late").end_stream()]).await;
    let body = within(response).await.unwrap().into_body();
    assert_eq!(body.collect().await.unwrap().to_bytes(), "late");
    let goodbye = peer.expect(kind::GOAWAY).await;
    assert_eq!(goodbye.code(), Some(ErrorCode::NO_ERROR));
    assert_eq!(peer.rest().await.len(), 0, "the only GOAWAY, then the end");
    drop(peer);
    assert_eq!(running.end().await.report.error, None);
}

#[tokio::test]
async fn our_own_server_echoes_megabytes_both_ways_at_once() {
    for seed in [None, Some(7)] {
        let (io, server) = serve(|request: Request<thalweg_tokio::Body>| async {
            Ok::<_, Infallible>(http::Response::new(request.into_body()))
        });
        let len = if seed.is_some() { 100_000 } else { 3 << 20 };
        let bytes: Bytes = (0..len).map(|i| (i * 7 + (i >> 8)) as u8).collect();
        let (mut client, connection): (Client<Full<Bytes>>, Running) = match seed {
            None => {
                let (client, connection) = client::handshake(io, Config::default()).unwrap();
                (client, Running(tokio::spawn(connection)))
            }
            Some(seed) => {
                let (client, connection) =
                    client::handshake(SmallReads::new(io, seed), Config::default()).unwrap();
                (client, Running(tokio::spawn(connection)))
            }
        };
        let echoes: Vec<_> = (0..3)
            .map(|_| {
                let request = Request::post("http://a/echo").body(Full::new(bytes.clone())).unwrap();
                let response = client.send(request);
                tokio::spawn(async {
                    response.await.unwrap().into_body().collect().await.unwrap().to_bytes()
                })
            })
            .collect();
        for echo in echoes {
            assert_eq!(within(echo).await.unwrap(), bytes);
        }
        drop(client);
        let (mine, theirs) = (connection.end().await, server.end().await);
        assert_eq!((mine.report.error, theirs.report.error), (None, None));
        assert_eq!(theirs.report.counters.streams_completed, 3);
    }
}

#[tokio::test]
async fn an_endless_body_does_not_delay_others() {
    struct Endless;
    impl http_body::Body for Endless {
        type Data = Bytes;
        type Error = BoxError;
        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<BodyFrame<Bytes>, BoxError>>> {
            Poll::Ready(Some(Ok(BodyFrame::data(Bytes::new()))))
        }
    }
    let (mut client, io, _running) = client();
    let _endless = client.send(post(Endless.boxed()));
    let mut peer = Peer::server(io, settings()).await;
    let second = client.send(get());
    assert_eq!(peer.expect_on(3).await.kind, kind::HEADERS);
    peer.send_frames(&[ok(3).end_stream()]).await;
    within(second).await.unwrap();
}

/// A client over TCP, and a server that has read all its output.
async fn client_over_tcp() -> (Client<Content>, Peer<TcpStream>, Running) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (client, connection) = client::connect(listener.local_addr().unwrap()).await.unwrap();
    let running = Running(tokio::spawn(connection));
    let mut peer = Peer::server(listener.accept().await.unwrap().0, settings()).await;
    assert!(peer.expect(kind::SETTINGS).await.has(flag::ACK));
    (client, peer, running)
}

/// A TLS server may close without an alert when it reads the preface: the caller is told what may
/// be wrong, also if the close was a reset.
#[tokio::test]
async fn a_server_that_closes_before_its_first_byte_may_speak_tls() {
    for resets in [false, true] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (mut client, connection) = client::connect(listener.local_addr().unwrap()).await.unwrap();
        let running = Running(tokio::spawn(connection));
        let response = tokio::spawn(client.send(get()));
        let (mut socket, _) = listener.accept().await.unwrap();
        if resets {
            // Closing with unread input resets the connection.
            socket.readable().await.unwrap();
        } else {
            socket.shutdown().await.unwrap();
            tokio::io::copy(&mut socket, &mut tokio::io::sink()).await.unwrap();
        }
        drop(socket);
        let text = WithCauses(&within(response).await.unwrap().unwrap_err()).to_string();
        assert!(text.contains("if it speaks TLS on this port, connect with TLS (https)"), "{text}");
        assert_eq!(running.end().await.report.error.unwrap().cause(), CloseCause::Eof);
    }
}

#[tokio::test]
async fn a_server_that_closes_without_goaway_is_reported() {
    let (client, peer, running) = client_over_tcp().await;
    // This happens when its process is killed.
    drop(peer);
    let end = running.end().await;
    assert_eq!(end.report.error, None);
    assert!(end.to_string().starts_with("the peer ended the transport without GOAWAY; 0 streams"), "{end}");
    drop(client);

    let (mut client, mut peer, running) = client_over_tcp().await;
    let response = tokio::spawn(client.send(get()));
    peer.expect_headers().await;
    drop(peer);
    let error = within(response).await.unwrap().unwrap_err();
    let text = WithCauses(&error).to_string();
    assert!(text.contains("the peer ended the byte stream too early"), "{text}");
    assert_eq!(running.end().await.report.error.unwrap().cause(), CloseCause::Eof);
}

/// A connection that is awaited inside an async block is `Send`, also for boxed bodies and errors.
#[tokio::test]
#[allow(clippy::redundant_async_block, reason = "the block is what is tested")]
async fn a_connection_is_awaited_inside_an_async_block_with_boxed_errors() {
    let (near, far) = tokio::io::duplex(64 << 10);
    let (client, connection) =
        client::handshake::<_, BoxBody<Bytes, BoxError>>(near, Config::default()).unwrap();
    let ended = tokio::spawn(async move { connection.await });
    drop((client, far));
    within(ended).await.unwrap();
}
