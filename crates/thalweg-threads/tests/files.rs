//! A process without free file descriptors continues to serve its open connections, and accepts
//! others when it can. This test has its own file because the limit applies to the process.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "it is all tests")]

mod shared;

use std::fs;
use std::io;
use std::net::TcpStream;
use std::path::Path;

use rustix::net::{AddressFamily, SocketType, connect, socket};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use shared::{Peer, Running};
use thalweg_testkit::frames::{headers, kind};
use thalweg_testkit::hpack;
use thalweg_threads::{Body, Request, Responder, Response};

/// Lowers the process limit so that exactly `room` more descriptors can be opened. The limit bounds
/// descriptor numbers, and inherited descriptors may leave gaps.
fn leave_descriptors(room: usize) {
    let listed: Vec<u64> = fs::read_dir("/proc/self/fd")
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap().parse().unwrap())
        .collect();
    // One of them belonged to the directory stream, which is closed now.
    let is_open =
        |number: &u64| listed.contains(number) && Path::new(&format!("/proc/self/fd/{number}")).is_symlink();
    let last = (0..).filter(|number| !is_open(number)).nth(room - 1).unwrap();
    let limits = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(last + 1), ..limits }).unwrap();
}

#[test]
fn accepting_resumes_after_file_descriptor_exhaustion() {
    const CLIENTS: usize = 6;
    let server = Running::start(|_: Request<Body>, responder: Responder| -> io::Result<()> {
        responder.send(Response::ok().body("hello"))
    });
    // The clients' descriptors are opened before the limit is lowered, so that only the server can
    // reach it, however far it gets between two steps of this test.
    let sockets: Vec<_> =
        (0..CLIENTS).map(|_| socket(AddressFamily::INET, SocketType::STREAM, None).unwrap()).collect();
    // A connection needs three descriptors: its socket, its poll and its waker. The poll and the
    // waker of the first connection may be open already; then they serve the second, which lacks
    // the one for its socket.
    leave_descriptors(3);
    let connected = sockets.into_iter().map(|socket| {
        connect(&socket, &server.address).unwrap();
        Peer::client(TcpStream::from(socket))
    });
    let mut peers: Vec<_> = connected.collect();
    peers[0].greet();
    assert_eq!(server.handle.stats().connections, 1, "of {CLIENTS}");
    let mut last = peers.pop().unwrap();
    drop(peers);
    last.greet();
    last.send(&headers(1, hpack::get("/")).end_stream().end_headers().bytes());
    assert_eq!(last.until(kind::DATA).body, b"hello");
    last.leave();
    server.stop();
}
