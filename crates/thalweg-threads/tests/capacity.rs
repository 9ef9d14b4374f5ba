//! The limit of connections: an idle connection makes room for a new one, a busy one does not.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod shared;

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use shared::{LIMIT, Peer, Running};
use thalweg::ErrorCode;
use thalweg_testkit::frames::{data, headers, kind, ping, preface, settings, wire};
use thalweg_testkit::hpack;
use thalweg_threads::{Body, CloseLimits, NegotiationError, Request, Responder, Response};

fn listen(connections_max: usize) -> Running {
    Running::with(
        |server| server.connections_max(connections_max),
        |mut request: Request<Body>, responder: Responder| {
            let content = request.body.read_whole(100)?;
            responder.send(Response::ok().body(content))
        },
    )
}

fn connect(server: &Running) -> Peer {
    let mut peer = server.peer();
    peer.greet();
    peer
}

/// Sends a request and reads the response.
fn get(peer: &mut Peer, stream: u32) {
    peer.send(&headers(stream, hpack::get("/")).end_stream().end_headers().bytes());
    assert_eq!(peer.until(kind::HEADERS).stream, stream);
}

/// Sends a request, reads the response, and waits until the server has recorded that all
/// connections are idle again: its thread may lag behind its response.
fn get_and_wait_idle(server: &Running, peer: &mut Peer, stream: u32) {
    get(peer, stream);
    while server.handle.stats().streams > 0 {
        std::thread::yield_now();
    }
}

/// Starts a request without END_STREAM.
fn post(peer: &mut Peer, stream: u32) {
    peer.send(&headers(stream, hpack::request("POST", "/")).end_headers().bytes());
    // The PING acknowledgement shows that the server has received the request.
    peer.send(&ping([7; 8]).bytes());
    peer.until(kind::PING);
}

#[test]
fn the_connection_that_is_idle_for_longest_makes_room() {
    let server = listen(2);
    let mut first = connect(&server);
    get_and_wait_idle(&server, &mut first, 1);
    let mut second = connect(&server);
    get_and_wait_idle(&server, &mut second, 1);
    // The first connection is used again, so the second has been idle for longest.
    get_and_wait_idle(&server, &mut first, 3);
    let mut third = connect(&server);
    get(&mut third, 1);
    let end = second.rest();
    let end = end.iter().find(|frame| frame.kind == kind::GOAWAY).unwrap();
    assert_eq!((end.last_stream(), end.code()), (Some(1), Some(ErrorCode::NO_ERROR)));
    assert_eq!(&end.payload()[8..], b"idle, and the server has reached its limit of connections");
    get(&mut first, 5);
    drop((first, third));
    server.stop();
}

#[test]
fn a_connection_that_ends_makes_room() {
    let server = listen(1);
    let mut first = connect(&server);
    post(&mut first, 1);
    let mut second = server.peer();
    second.send(&wire([&preface(), &settings()]));
    assert_eq!(server.handle.stats().connections, 1);
    first.leave();
    second.until(kind::SETTINGS);
    second.leave();
    server.stop();
}

#[test]
fn a_silent_peer_makes_room_as_well() {
    let server = listen(1);
    let silent = connect(&server);
    let mut second = connect(&server);
    get(&mut second, 1);
    drop((silent, second));
    server.stop();
}

#[test]
fn a_client_that_never_sent_a_whole_preface_makes_room() {
    for beginning in [&b""[..], b"PRI * HT"] {
        let server = listen(2);
        let silent = [(); 2].map(|()| {
            let mut socket = TcpStream::connect(server.address).unwrap();
            socket.write_all(beginning).unwrap();
            socket
        });
        let started = Instant::now();
        let mut third = connect(&server);
        get(&mut third, 1);
        // Without eviction it takes 10 s, which is `timeouts.preface`.
        assert!(started.elapsed() < Duration::from_secs(6), "{:?}", started.elapsed());
        assert_eq!(server.end().negotiation_error, Some(NegotiationError::Evicted));
        drop((silent, third));
        server.stop();
    }
}

/// Clients that do not close their evicted connections hold them, but not their places.
#[test]
fn an_evicted_connection_that_lingers_delays_no_other_client() {
    let limits = CloseLimits::default().drain(Duration::from_secs(60));
    let server = Running::with(
        |server| server.connections_max(2).close_limits(limits),
        |_: Request<Body>, responder: Responder| responder.send(Response::ok()),
    );
    let mut held = Vec::new();
    // More than may linger at a time.
    for _ in 0..70 {
        let start = Instant::now();
        let mut peer = connect(&server);
        get_and_wait_idle(&server, &mut peer, 1);
        assert!(start.elapsed() < Duration::from_secs(10), "{}: {:?}", held.len(), start.elapsed());
        held.push(peer);
    }
    drop(held);
    server.stop();
}

#[test]
fn a_busy_connection_is_not_evicted_until_it_is_idle() {
    let server = listen(2);
    let mut first = connect(&server);
    post(&mut first, 1);
    let mut second = connect(&server);
    post(&mut second, 1);
    let mut third = server.peer();
    third.send(&wire([&preface(), &settings()]));
    third.stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    // This cannot prove that it never ends, but it fails if the server evicts busy connections.
    let early = third.stream.read(&mut [0]).unwrap_err();
    assert!(matches!(early.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{early}");
    third.stream.set_read_timeout(Some(LIMIT)).unwrap();
    second.send(&data(1, "x").end_stream().bytes());
    second.until(kind::HEADERS);
    third.until(kind::SETTINGS);
    assert!(second.rest().iter().any(|frame| frame.kind == kind::GOAWAY));
    first.send(&data(1, "y").end_stream().bytes());
    first.until(kind::HEADERS);
    drop((first, third));
    server.stop();
}
