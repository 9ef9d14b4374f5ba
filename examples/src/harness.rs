//! What the tests of the loops do to them: ten clients at once, and one who speaks something else.

use std::error::Error;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use thalweg_threads::{Client, Request};

use crate::pattern::Pattern;

/// Ten clients fetch two megabytes each, byte for byte, break off another fetch in the middle, and say goodbye.
///
/// # Panics
/// The server does something else than it should.
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

/// What does not speak HTTP/2 gets a last word. Returns its transport, whose end lets a loop see that it is done.
///
/// # Panics
/// There is no GOAWAY.
///
/// # Errors
/// The transport fails.
pub fn receive_goaway(address: SocketAddr) -> io::Result<TcpStream> {
    let mut socket = TcpStream::connect(address)?;
    socket.write_all(b"GET / HTTP/1.1\r\n\r\n")?;
    let mut told = Vec::new();
    socket.read_to_end(&mut told)?;
    assert!(told.windows(4).any(|head| head[3] == GOAWAY), "no GOAWAY in {told:?}");
    Ok(socket)
}

const LIMIT: Duration = Duration::from_secs(20);
const LEN: usize = 2_000_000;
/// RFC 9113 §6.8
const GOAWAY: u8 = 7;
