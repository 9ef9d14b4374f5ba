//! The order in which requests start, and the cleanup of streams that end early.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod support;

use std::convert::Infallible;
use std::io;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Empty};
use support::{Peer, hello, serve, within};
use thalweg::ErrorCode;
use thalweg_testkit::frames::{Frame, data, headers, kind, ping, rst_stream, setting, settings};
use thalweg_testkit::hpack;
use thalweg_tokio::tunnel::outgoing;
use thalweg_tokio::{Body, client};
use tokio::io::{AsyncWriteExt as _, DuplexStream};
use tokio::sync::mpsc;

fn get(stream: u32) -> Frame {
    headers(stream, hpack::get("/")).end_stream().end_headers()
}

fn post(stream: u32) -> Frame {
    headers(stream, hpack::request("POST", "/")).end_headers()
}

/// Many requests in one read are started in small batches, and all responses follow their order.
#[tokio::test]
async fn requests_of_one_read_get_responses_in_order() {
    let (io, running) = serve(hello);
    let mut peer = Peer::client(io).await;
    let requests: Vec<Frame> = (0..50).map(|index| get(2 * index + 1)).collect();
    peer.send_frames(&requests).await;
    for index in 0..50 {
        assert_eq!(peer.expect(kind::HEADERS).await.stream, 2 * index + 1);
        assert_eq!(peer.expect_content(2 * index + 1).await.0, b"hello");
    }
    drop(peer);
    assert_eq!(running.end().await.report.counters.streams_completed, 50);
}

#[tokio::test]
async fn a_request_directly_followed_by_its_reset_never_reaches_the_service() {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let (io, _running) = serve(move |request: Request<Body>| {
        sender.send(request.uri().path().to_owned()).unwrap();
        std::future::pending::<Result<Response<Empty<Bytes>>, Infallible>>()
    });
    let mut peer = Peer::client(io).await;
    let ended = |stream| [get(stream), rst_stream(stream, ErrorCode::CANCEL)];
    let mut frames: Vec<Frame> = (0..20).flat_map(|index| ended(2 * index + 1)).collect();
    frames.extend([headers(41, hpack::get("/last")).end_stream().end_headers(), ping([1; 8])]);
    peer.send_frames(&frames).await;
    peer.expect(kind::PING).await;
    assert_eq!(receiver.recv().await.as_deref(), Some("/last"));
}

/// Collects a body frame by frame: its content, and the code of its failure.
async fn read(mut body: Body) -> (Vec<u8>, Option<ErrorCode>) {
    let mut content = Vec::new();
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => content.extend_from_slice(&frame.into_data().unwrap()),
            Err(error) => return (content, error.code()),
        }
    }
    (content, None)
}

#[tokio::test]
async fn content_that_had_arrived_is_read_before_the_reset_on_a_server() {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let (io, _running) = serve(move |request: Request<Body>| {
        sender.send(request.into_body()).unwrap();
        std::future::pending::<Result<Response<Empty<Bytes>>, Infallible>>()
    });
    let mut peer = Peer::client(io).await;
    peer.send_frames(&[post(1)]).await;
    let body = within(receiver.recv()).await.unwrap();
    peer.send_frames(&[data(1, "half"), rst_stream(1, ErrorCode::CANCEL), ping([1; 8])]).await;
    peer.expect(kind::PING).await;
    assert_eq!(within(read(body)).await, (b"half".to_vec(), Some(ErrorCode::CANCEL)));
}

#[tokio::test]
async fn content_that_had_arrived_is_read_before_the_reset_on_a_client() {
    let (near, far) = tokio::io::duplex(64 << 10);
    let (mut client, connection) = client::handshake(far, thalweg::Config::default()).unwrap();
    tokio::spawn(connection);
    let mut peer = Peer::server(near, settings()).await;
    let request = Request::get("http://example.org/").body(Empty::<Bytes>::new()).unwrap();
    let response = client.send(request);
    peer.expect(kind::HEADERS).await;
    let head = headers(1, hpack::Block::new().indexed(8).bytes()).end_headers();
    peer.send_frames(&[head, data(1, "half"), rst_stream(1, ErrorCode::INTERNAL_ERROR), ping([1; 8])]).await;
    peer.expect(kind::PING).await;
    let body = within(response).await.unwrap().into_body();
    assert_eq!(within(read(body)).await, (b"half".to_vec(), Some(ErrorCode::INTERNAL_ERROR)));
    // No state of the stream is left, so the connection ends.
    drop(client);
    peer.expect(kind::GOAWAY).await;
}

/// 9113-8.1-8: the server responds completely and stops the upload with NO_ERROR. The response
/// stays valid whatever its caller is doing: it has not polled yet, or waits for the headers, for
/// content, or for trailers. The writer of the upload gets the end.
#[tokio::test]
async fn a_complete_response_stays_valid_after_no_error() {
    // How much of the response has arrived when the caller waits for the next part.
    for seen in [None, Some(0), Some(1), Some(2)] {
        let (near, far) = tokio::io::duplex(64 << 10);
        let (mut client, connection) = client::handshake(far, thalweg::Config::default()).unwrap();
        tokio::spawn(connection);
        let mut peer = Peer::server(near, settings().entry(setting::INITIAL_WINDOW_SIZE, 3)).await;
        settle(&mut peer).await;
        let (mut writer, content) = outgoing();
        let response = client.send(Request::post("http://example.org/").body(content).unwrap());
        let upload = tokio::spawn(async move { writer.write_all(&[7; 100_000]).await });
        assert_eq!(peer.expect(kind::DATA).await.body, [7; 3]);
        let collect = async { response.await.unwrap().into_body().collect().await };
        let trailers = hpack::block(&[("grpc-status", "0")]);
        let answer = [
            headers(1, hpack::response(200)).end_headers(),
            data(1, "enough"),
            headers(1, trailers).end_headers().end_stream(),
            rst_stream(1, ErrorCode::NO_ERROR),
        ];
        let (before, after) = answer.split_at(seen.unwrap_or_default());
        let collected = if seen.is_some() {
            let collecting = tokio::spawn(collect);
            peer.send_frames(before).await;
            settle(&mut peer).await;
            peer.send_frames(after).await;
            within(collecting).await.unwrap()
        } else {
            peer.send_frames(after).await;
            settle(&mut peer).await;
            within(collect).await
        };
        let collected = collected.unwrap();
        assert_eq!(collected.trailers().unwrap()["grpc-status"], "0", "{seen:?}");
        assert_eq!(collected.to_bytes(), "enough", "{seen:?}");
        assert_eq!(within(upload).await.unwrap().unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        drop(client);
        let rest = peer.rest().await;
        assert!(rest.iter().all(|frame| frame.stream == 0), "no further frame on the stream: {rest:?}");
    }
}

/// Waits until all earlier frames are handled, and all woken tasks have run.
async fn settle(peer: &mut Peer<DuplexStream>) {
    peer.send_frames(&[ping([1; 8])]).await;
    peer.expect(kind::PING).await;
    tokio::task::yield_now().await;
}
