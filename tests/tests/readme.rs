//! The README's server: these tests run the program that it shows.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

include!("readme/server.rs");

use std::net::{Shutdown, SocketAddr};
use std::time::Duration;

use thalweg_threads::{Client, Request};

/// Serves one connection, and returns the result of `serve`.
fn serve_one(content: &'static [u8]) -> (SocketAddr, thread::JoinHandle<Result<(), String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let served = thread::spawn(move || {
        let (socket, _) = listener.accept().unwrap();
        serve(socket, content).map_err(|error| error.to_string())
    });
    (address, served)
}

#[test]
fn the_readme_shows_this_program() {
    let shown = concat!("```rust,no_run\n", include_str!("readme/server.rs"), "```\n");
    assert!(include_str!("../../README.md").contains(shown));
}

#[test]
fn content_beyond_all_windows_arrives_whole_on_concurrent_and_on_successive_streams() {
    let content: &[u8] = (0..1_000_000_u32).map(|i| (i * 7 + (i >> 8)) as u8).collect::<Vec<u8>>().leak();
    let (address, served) = serve_one(content);
    let builder = Client::builder().config(Config::default().stream_window(5_000));
    let client = builder.connect(&address.to_string()).unwrap();
    let client = client.time_limit(Some(Duration::from_secs(30)));
    for _ in 0..2 {
        let mut responses = [(); 3].map(|()| client.send(Request::post("/").body("a word")).unwrap());
        for response in &mut responses {
            assert!(response.body.read_whole(2_000_000).unwrap() == content);
        }
        // The caller drops one response: its stream is reset midway, and the others complete.
        drop(client.send(Request::get("/")).unwrap());
    }
    assert_eq!(client.send(Request::new("HEAD", "/")).unwrap().status().as_u16(), 200);
    client.shutdown();
    assert!(client.wait_end().is_orderly());
    served.join().unwrap().unwrap();
}

#[test]
fn input_that_is_not_http2_gets_a_goaway() {
    let (address, served) = serve_one(b"");
    let mut socket = TcpStream::connect(address).unwrap();
    socket.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    socket.shutdown(Shutdown::Write).unwrap();
    let mut received = Vec::new();
    socket.read_to_end(&mut received).unwrap();
    assert!(received.windows(4).any(|head| head[3] == 7), "no GOAWAY in {received:?}");
    served.join().unwrap().unwrap();
}
