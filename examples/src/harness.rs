//! Tests for the event loops: ten concurrent clients, and one that does not speak HTTP/2.

use std::error::Error;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use thalweg_threads::{Client, Request};

use crate::pattern::Pattern;

/// Runs ten clients that fetch two megabytes each, compare every byte, cancel another fetch in the
/// middle, and shut down.
///
/// # Panics
/// The server misbehaves.
pub fn fetch_at_once(address: SocketAddr) {
    let fetch = move |seed: u64| -> Result<(), Box<dyn Error + Send + Sync>> {
        let client = Client::connect(&address.to_string())?.time_limit(Some(LIMIT));
        let mut expected = vec![0; LEN];
        Pattern::new(LEN as u64, seed).fill(&mut expected);
        let mut response = client.send(Request::get(format!("/bytes/{LEN}?seed={seed}")))?;
        assert!(response.body.read_whole(LEN)? == expected, "not the bytes of seed {seed}");
        drop(client.send(Request::get(format!("/bytes/{LEN}")))?);
        client.shutdown();
        assert!(client.wait_end().is_orderly(), "the end is not in order");
        Ok(())
    };
    let clients: Vec<_> = (0..10).map(|seed| thread::spawn(move || fetch(seed))).collect();
    for client in clients {
        client.join().expect("its assertions hold").expect("it is served");
    }
}

/// Checks that a peer that does not speak HTTP/2 receives GOAWAY. Returns its transport, so that
/// the caller decides when it is closed.
///
/// # Panics
/// There is no GOAWAY.
///
/// # Errors
/// The transport fails.
pub fn receive_goaway(address: SocketAddr) -> io::Result<TcpStream> {
    let mut socket = TcpStream::connect(address)?;
    socket.write_all(b"GET / HTTP/1.1\r\n\r\n")?;
    let mut received = Vec::new();
    socket.read_to_end(&mut received)?;
    assert!(received.windows(4).any(|head| head[3] == GOAWAY), "no GOAWAY in {received:?}");
    Ok(socket)
}

const LIMIT: Duration = Duration::from_secs(20);
const LEN: usize = 2_000_000;
/// RFC 9113 §6.8
const GOAWAY: u8 = 7;
