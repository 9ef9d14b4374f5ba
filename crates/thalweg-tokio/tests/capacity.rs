//! The limit of connections: an idle connection makes room for a new one, a busy one does not.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod support;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use support::{Peer, describe, within};
use thalweg::{Config, ErrorCode};
use thalweg_testkit::frames::{data, headers, kind, ping, preface, settings, wire};
use thalweg_testkit::hpack;
use thalweg_tokio::{CloseLimits, NegotiationError, Server, service_fn};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

async fn listen(connections_max: usize) -> SocketAddr {
    let server = Server::builder().connections_max(connections_max).bind("127.0.0.1:0").await.unwrap();
    let addr = server.local_addr().unwrap();
    tokio::spawn(server.serve(service_fn(describe)));
    addr
}

async fn connect(addr: SocketAddr) -> Peer<TcpStream> {
    Peer::client(TcpStream::connect(addr).await.unwrap()).await
}

/// Sends a request and reads the response.
async fn get(peer: &mut Peer<TcpStream>, stream: u32) {
    peer.send(&headers(stream, hpack::get("/")).end_stream().end_headers().bytes()).await;
    peer.expect_headers().await;
    assert_eq!(peer.expect_content(stream).await.0, b"GET / ");
}

/// Starts a request without END_STREAM.
async fn post(peer: &mut Peer<TcpStream>, stream: u32) {
    peer.send(&headers(stream, hpack::request("POST", "/")).end_headers().bytes()).await;
    // The PING acknowledgement shows that the server has received the request.
    peer.send(&ping([7; 8]).bytes()).await;
    peer.expect(kind::PING).await;
}

#[tokio::test]
async fn the_connection_that_is_idle_for_longest_makes_room() {
    let addr = listen(2).await;
    let mut first = connect(addr).await;
    get(&mut first, 1).await;
    let mut second = connect(addr).await;
    get(&mut second, 1).await;
    // The first connection is used again, so the second has been idle for longest.
    get(&mut first, 3).await;
    let mut third = connect(addr).await;
    get(&mut third, 1).await;
    let end = within(second.next()).await.unwrap();
    assert_eq!((end.kind, end.last_stream(), end.code()), (kind::GOAWAY, Some(1), Some(ErrorCode::NO_ERROR)));
    let text = &end.payload()[8..];
    assert_eq!(text, b"idle, and the server has reached its limit of connections");
    assert!(within(second.next()).await.is_none());
    get(&mut first, 5).await;
}

#[tokio::test]
async fn a_connection_that_ends_makes_room() {
    let addr = listen(1).await;
    let mut first = connect(addr).await;
    post(&mut first, 1).await;
    let second = tokio::spawn(connect(addr));
    drop(first);
    get(&mut within(second).await.unwrap(), 1).await;
}

#[tokio::test]
async fn a_silent_peer_makes_room_as_well() {
    let addr = listen(1).await;
    let silent = connect(addr).await;
    let mut second = connect(addr).await;
    get(&mut second, 1).await;
    drop(silent);
}

/// Clients that do not close their evicted connections hold them, but not their places.
#[tokio::test]
async fn an_evicted_connection_that_lingers_delays_no_other_client() {
    let limits = CloseLimits::default().drain(Duration::from_secs(60));
    let server = Server::builder().connections_max(2).close_limits(limits).bind("127.0.0.1:0").await.unwrap();
    let addr = server.local_addr().unwrap();
    tokio::spawn(server.serve(service_fn(describe)));
    let mut held = Vec::new();
    // More than may linger at a time.
    for _ in 0..70 {
        let start = Instant::now();
        let mut peer = connect(addr).await;
        get(&mut peer, 1).await;
        assert!(start.elapsed() < Duration::from_secs(10), "{}: {:?}", held.len(), start.elapsed());
        held.push(peer);
    }
}

#[tokio::test]
async fn a_busy_connection_is_not_evicted_until_it_is_idle() {
    let addr = listen(2).await;
    let mut first = connect(addr).await;
    post(&mut first, 1).await;
    let mut second = connect(addr).await;
    post(&mut second, 1).await;
    let mut third = TcpStream::connect(addr).await.unwrap();
    third.write_all(&wire([&preface(), &settings()])).await.unwrap();
    let mut byte = [0];
    // This cannot prove that it never ends, but it fails if the server evicts busy connections.
    let early = tokio::time::timeout(Duration::from_millis(200), third.read(&mut byte)).await;
    assert!(early.is_err(), "the third waits");
    second.send(&data(1, "x").end_stream().bytes()).await;
    second.expect_headers().await;
    assert_eq!(second.expect_content(1).await.0, b"POST / x");
    assert_eq!(within(third.read(&mut byte)).await.unwrap(), 1);
    second.expect(kind::GOAWAY).await;
    first.send(&data(1, "y").end_stream().bytes()).await;
    first.expect_headers().await;
    assert_eq!(first.expect_content(1).await.0, b"POST / y");
}

/// Without a time limit of the negotiation, only eviction makes room.
#[tokio::test]
async fn connections_without_a_byte_make_room() {
    let mut config = Config::default();
    config.timeouts.preface = None;
    let (sender, mut ended) = mpsc::unbounded_channel();
    let server = Server::builder().config(config).connections_max(2);
    let server = server.on_end(move |end| sender.send(end.negotiation_error).unwrap());
    let server = server.bind("127.0.0.1:0").await.unwrap();
    let addr = server.local_addr().unwrap();
    tokio::spawn(server.serve(service_fn(describe)));
    let mut first = TcpStream::connect(addr).await.unwrap();
    let second = TcpStream::connect(addr).await.unwrap();
    get(&mut connect(addr).await, 1).await;
    assert_eq!(within(ended.recv()).await, Some(Some(NegotiationError::Evicted)));
    assert_eq!(within(first.read(&mut [0])).await.unwrap(), 0, "the first was silent for longest");
    drop(second);
}
