//! An oversized field block fails its own message and no other stream of the connection.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod support;

use std::collections::BTreeMap;
use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use support::{Peer, Running, serve, within};
use thalweg::{Config, ErrorCode, Limit, ResetCause, StreamError};
use thalweg_testkit::frames::{Frame, data, flag, fragments, headers, kind, settings, window_update};
use thalweg_testkit::hpack::{self, Block};
use thalweg_tokio::{Body, Error, client};

/// A block with a field of `bytes` bytes, followed by a field for the dynamic table.
fn oversized(front: &[u8], bytes: usize) -> Vec<u8> {
    let block = Block::new().raw(front).literal("x-large", "v".repeat(bytes));
    block.literal_indexed("x-kept", "yes").bytes()
}

/// Responds with `x-kept` or with a megabyte.
async fn download(request: Request<Body>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(match request.headers().get("x-kept") {
        Some(value) => Full::from(value.as_bytes().to_vec()),
        None => Full::from(vec![7; 1 << 20]),
    }))
}

async fn five_downloads_beside(oversized: Vec<Frame>) {
    let (io, _running) = serve(download);
    let mut peer = Peer::client(io).await;
    for id in [1, 3, 5, 7, 9] {
        peer.send_frames(&[headers(id, hpack::get("/")).end_headers().end_stream()]).await;
    }
    // The downloads are in progress.
    assert_eq!(peer.expect_headers().await[0], ":status: 200");
    peer.send_frames(&oversized).await;
    let kept = Block::new().raw(hpack::get("/")).indexed(62).bytes();
    peer.send_frames(&[headers(13, kept).end_headers().end_stream(), window_update(0, 8 << 20)]).await;
    for id in [1, 3, 5, 7, 9] {
        peer.send_frames(&[window_update(id, 1 << 20)]).await;
    }
    let mut lengths = BTreeMap::new();
    let mut ended = 0;
    let mut answers = Vec::new();
    while ended < 7 {
        let frame = within(peer.next()).await.expect("the connection lives");
        assert!(!matches!(frame.kind, kind::GOAWAY | kind::RST_STREAM), "{frame}");
        if frame.kind == kind::DATA {
            *lengths.entry(frame.stream).or_insert(0) += frame.body.len();
        } else if frame.kind == kind::HEADERS {
            answers.push((frame.stream, peer.fields(&frame)[0].clone()));
        }
        let carries_end = matches!(frame.kind, kind::DATA | kind::HEADERS);
        ended += u32::from(carries_end && frame.flags & flag::END_STREAM != 0);
    }
    let mebibyte = 1 << 20;
    let expected = [(1, mebibyte), (3, mebibyte), (5, mebibyte), (7, mebibyte), (9, mebibyte), (13, 3)];
    assert_eq!(lengths, BTreeMap::from(expected));
    let ok = |stream| (stream, ":status: 200".to_owned());
    answers.sort();
    let refused = (11, ":status: 431".to_owned());
    assert!(answers.ends_with(&[refused, ok(13)]), "{answers:?}");
}

#[tokio::test]
async fn an_oversized_request_does_not_affect_five_downloads() {
    for bytes in [40_000, 60_000, 900_000] {
        for len in [16_384, 9000] {
            let first = headers(11, oversized(&hpack::get("/"), bytes)).end_stream();
            five_downloads_beside(fragments(first, len)).await;
        }
    }
}

#[tokio::test]
async fn an_oversized_response_fails_its_own_request() {
    let (near, far) = tokio::io::duplex(64 << 10);
    let (client, connection) = client::handshake(near, Config::default()).unwrap();
    let _running = Running(tokio::spawn(connection));
    let get = || Request::get("http://example.org/").body(Full::<Bytes>::default()).unwrap();
    let mut client = client;
    let (first, second, third) = (client.send(get()), client.send(get()), client.send(get()));
    let mut peer = Peer::server(far, settings()).await;
    peer.send_frames(&fragments(headers(1, oversized(&hpack::response(200), 40_000)), 16_384)).await;
    let kept = Block::new().raw(hpack::response(200)).indexed(62).bytes();
    peer.send_frames(&[headers(3, kept).end_headers(), data(3, "content").end_stream()]).await;
    let limit = StreamError::Limit(Limit::HeaderBlockBytes);
    let error = within(first).await.unwrap_err();
    let Error::Reset { code: ErrorCode::ENHANCE_YOUR_CALM, by: ResetCause::Local(by) } = error else {
        panic!("{error:?}")
    };
    assert_eq!(by, limit);
    assert_eq!(peer.expect(kind::RST_STREAM).await.code(), Some(ErrorCode::ENHANCE_YOUR_CALM));
    let response = within(second).await.unwrap();
    assert_eq!(response.headers()["x-kept"], "yes");
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "content");

    // The same with trailers.
    peer.send_frames(&[headers(5, hpack::response(200)).end_headers(), data(5, "content")]).await;
    peer.send_frames(&fragments(headers(5, oversized(&[], 40_000)).end_stream(), 16_384)).await;
    let error = within(within(third).await.unwrap().into_body().collect()).await.unwrap_err();
    assert!(matches!(error, Error::Reset { by: ResetCause::Local(by), .. } if by == limit), "{error:?}");
}

/// The `http` crate's map holds 24,576 names: under higher limits, a request is refused and a
/// response fails.
#[tokio::test]
async fn more_fields_than_a_header_map_holds_fail_only_their_message() {
    let mut config = Config::default();
    config.header_fields_max = 1 << 16;
    config.header_list_bytes_max = 4 << 20;
    config.header_block_bytes_max = 1 << 20;
    let many = |front: Vec<u8>| {
        (0..30_000)
            .fold(Block::new().raw(front), |block, field| block.literal(format!("{field}"), ""))
            .bytes()
    };
    let (near, far) = tokio::io::duplex(64 << 10);
    let service = thalweg_tokio::service_fn(download);
    let connection = thalweg_tokio::server::Connection::new(far, service, config).unwrap();
    let _running = Running(tokio::spawn(connection));
    let mut peer = Peer::client(near).await;
    peer.send_frames(&fragments(headers(1, many(hpack::get("/"))).end_stream(), 16_384)).await;
    assert_eq!(peer.expect_headers().await[0], ":status: 400");
    let kept = Block::new().raw(hpack::get("/")).literal("x-kept", "yes").bytes();
    peer.send_frames(&[headers(3, kept).end_headers().end_stream()]).await;
    assert_eq!(peer.expect_content_of(3).await.0, b"yes");

    let (near, far) = tokio::io::duplex(64 << 10);
    let (mut client, connection) = client::handshake(near, config).unwrap();
    let _running = Running(tokio::spawn(connection));
    let get = || Request::get("http://example.org/").body(Full::<Bytes>::default()).unwrap();
    let (first, second) = (client.send(get()), client.send(get()));
    let mut peer = Peer::server(far, settings()).await;
    peer.send_frames(&fragments(headers(1, many(hpack::response(200))).end_stream(), 16_384)).await;
    let error = within(first).await.unwrap_err();
    assert!(matches!(error, Error::Message(_)), "{error:?}");
    peer.send_frames(&[headers(3, hpack::response(204)).end_headers().end_stream()]).await;
    assert_eq!(within(second).await.unwrap().status(), 204);
}
