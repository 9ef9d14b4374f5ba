//! A process that runs out of file descriptors goes on serving those that it has, and the others when it can. Alone in its file,
//! since the limit is the process's.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "it is all tests")]

mod shared;

use std::fs;
use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use shared::Running;
use thalweg_testkit::frames::{headers, kind};
use thalweg_testkit::hpack;
use thalweg_threads::{Body, Request, Responder, Response};

#[test]
fn too_many_open_files_are_waited_out() {
    const CLIENTS: usize = 6;
    let server = Running::start(|_: Request<Body>, responder: Responder| -> io::Result<()> {
        responder.send(Response::ok().body("hello"))
    });
    let open = fs::read_dir("/proc/self/fd").unwrap().count() as u64;
    let limits = getrlimit(Resource::Nofile);
    // Each client needs one descriptor, and each connection of the server three.
    let current = Some(open + 2 * CLIENTS as u64);
    setrlimit(Resource::Nofile, Rlimit { current, ..limits }).unwrap();
    let mut peers: Vec<_> = (0..CLIENTS).map(|_| server.peer()).collect();
    peers[0].greet();
    let accepted = server.handle.population().connections;
    assert!(accepted < CLIENTS, "all {CLIENTS} were accepted");
    let mut last = peers.pop().unwrap();
    drop(peers);
    last.greet();
    last.send(&headers(1, hpack::get("/")).end_stream().end_headers().bytes());
    assert_eq!(last.until(kind::DATA).body, b"hello");
    last.leave();
    server.stop();
}
