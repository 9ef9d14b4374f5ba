//! A process without free file descriptors continues to serve its open connections, and accepts
//! others when it can. This test has its own file because the limit applies to the process.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod support;

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use support::{Peer, hello, within};
use thalweg_testkit::frames::headers;
use thalweg_testkit::hpack;
use thalweg_tokio::{Server, service_fn};
use tokio::net::TcpStream;

async fn is_served(addr: SocketAddr) -> Peer<TcpStream> {
    let mut peer = Peer::client(within(TcpStream::connect(addr)).await.unwrap()).await;
    peer.send_frames(&[headers(1, hpack::get("/")).end_stream().end_headers()]).await;
    peer.expect_headers().await;
    assert_eq!(peer.expect_content(1).await.0, b"hello");
    peer
}

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

#[tokio::test]
async fn accepting_resumes_after_file_descriptor_exhaustion() {
    const SERVED: usize = 3;
    const WAITING: usize = 4;
    let server = Server::bind("127.0.0.1:0").await.unwrap();
    let (addr, counters) = (server.local_addr().unwrap(), server.counters());
    tokio::spawn(server.serve(service_fn(hello)));
    // Each connection needs two descriptors, because both of its ends are in this process.
    leave_descriptors(2 * SERVED + WAITING);
    let mut served = Vec::new();
    for _ in 0..SERVED {
        served.push(is_served(addr).await);
    }
    // These wait in the listener's backlog, because no descriptor is left to accept them.
    let mut waiting = Vec::new();
    for _ in 0..WAITING {
        // Connects synchronously, so that the server cannot accept meanwhile.
        waiting.push(std::net::TcpStream::connect(addr).unwrap());
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    let accepted = counters.snapshot().connections_opened as usize;
    assert!((SERVED..SERVED + WAITING).contains(&accepted), "{accepted} were accepted");
    drop(served);
    let peer = waiting.pop().unwrap();
    peer.set_nonblocking(true).unwrap();
    let mut peer = Peer::client(TcpStream::from_std(peer).unwrap()).await;
    peer.send_frames(&[headers(1, hpack::get("/")).end_stream().end_headers()]).await;
    peer.expect_headers().await;
    assert_eq!(peer.expect_content(1).await.0, b"hello");
}
