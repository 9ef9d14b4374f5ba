//! Clients that disconnect at random points, and a server that continues to serve.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod support;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use support::{Alive, Peer, Random, within};
use thalweg_testkit::frames::{
    data, headers, kind, preface, rst_stream, settings, settings_ack, window_update, wire,
};
use thalweg_testkit::hpack;
use thalweg_tokio::{Body, BoxError, Server, service_fn};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

const DEATHS: u64 = 2000;

/// The input of a client that does not disconnect: requests of all kinds, uploads, resets, and
/// window for large responses.
fn conversation() -> Vec<u8> {
    let ask = |stream, method, path| headers(stream, hpack::request(method, path)).end_headers();
    let piece = vec![5; 3000];
    wire([
        &preface(),
        &settings(),
        &window_update(0, 1 << 20),
        &ask(1, "GET", "/large").end_stream(),
        &ask(3, "POST", "/echo"),
        &data(3, &piece),
        &ask(5, "GET", "/never").end_stream(),
        &settings_ack(),
        &data(3, &piece),
        &window_update(1, 1 << 20),
        &ask(7, "POST", "/never"),
        &data(7, &piece),
        &rst_stream(5, thalweg::ErrorCode::CANCEL),
        &ask(9, "POST", "/small"),
        &data(9, "end").end_stream(),
        &data(3, &piece).end_stream(),
    ])
}

async fn answer(
    request: Request<Body>,
    alive: Alive,
) -> Result<Response<BoxBody<Bytes, BoxError>>, Infallible> {
    let _guard = alive.enter();
    Ok(Response::new(match request.uri().path() {
        "/large" => Full::from(vec![1; 500_000]).map_err(|never| match never {}).boxed(),
        "/echo" => request.into_body().map_err(Into::into).boxed(),
        "/never" => std::future::pending().await,
        _ => Full::from("small").map_err(|never| match never {}).boxed(),
    }))
}

#[tokio::test]
async fn two_thousand_clients_disconnect_at_random_points_without_leaks() {
    let alive = Alive::default();
    let ended = Arc::new(AtomicU64::new(0));
    let live_streams = Arc::new(AtomicU64::new(0));
    let (count, streams) = (Arc::clone(&ended), Arc::clone(&live_streams));
    let server = Server::builder().on_end(move |end| {
        count.fetch_add(1, Ordering::SeqCst);
        if end.report.error.is_none() {
            streams.fetch_add(end.report.live_streams.into(), Ordering::SeqCst);
        }
    });
    let server = server.bind("127.0.0.1:0").await.unwrap();
    let addr = server.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let guard = alive.clone();
    let service = service_fn(move |request| answer(request, guard.clone()));
    let server = tokio::spawn(server.serve_until(service, async { stopped.await.unwrap() }));

    let conversation = conversation();
    for seed in 0..DEATHS {
        let mut random = Random(seed);
        let mut socket = TcpStream::connect(addr).await.unwrap();
        let len = random.below(conversation.len() + 1);
        let (first, second) = conversation[..len].split_at(random.below(len + 1));
        socket.write_all(first).await.unwrap();
        if first.len() >= 24 && random.below(2) == 0 {
            // Reads a random part of the output, so that the server is in the middle of writing.
            let mut some = vec![0; 1 + random.below(40_000)];
            let _ = within(socket.read(&mut some)).await.unwrap();
        }
        // The server may have closed the connection already.
        let _ = socket.write_all(second).await;
        if random.below(2) == 0 {
            socket.set_zero_linger().unwrap();
        }
    }

    let mut peer = Peer::client(TcpStream::connect(addr).await.unwrap()).await;
    peer.send(&wire([&headers(1, hpack::get("/small")).end_headers().end_stream()])).await;
    assert_eq!(peer.expect_on(1).await.kind, kind::HEADERS);
    assert_eq!(peer.expect_content(1).await.0, b"small", "the server is healthy");
    drop(peer);

    stop.send(()).unwrap();
    let served = within(server).await.unwrap().unwrap();
    assert_eq!((served.accepted, served.dropped), (DEATHS + 1, 0));
    assert_eq!(ended.load(Ordering::SeqCst), DEATHS + 1, "each end is reported once");
    assert_eq!(alive.count(), 0, "every handler is gone");
    assert_eq!(live_streams.load(Ordering::SeqCst), 0);
}
