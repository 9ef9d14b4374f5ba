//! A relay that reads the frames between a client and a server, and records how connections end.
//!
//! Invariants: bytes pass unchanged and no faster than they are read; the relay reads a server to
//! its end even after its client has closed, so that it sees the server's final GOAWAY.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::ensure;
use thalweg::ErrorCode;
use thalweg::frame::{Frame, FrameHeader, HEADER_LEN};
use thalweg::inspect::{Captured, Direction, Inspector};

pub struct Relay {
    pub address: SocketAddr,
    observed: Arc<Mutex<Observed>>,
    is_over: Arc<AtomicBool>,
}

/// What the relay observed of all connections.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    pub connections: u32,
    /// Connections that the server has ended, for any reason.
    pub ended: u32,
    /// Of these, how many without a GOAWAY, and how many within a frame.
    pub without_goaway: u32,
    pub within_frame: u32,
    /// GOAWAYs of the server with ENHANCE_YOUR_CALM.
    pub enhance_your_calm: u32,
    /// GOAWAYs of the server with another error.
    pub other_errors: u32,
    /// Frames that break a rule, either way.
    pub broken: u32,
    pub requests: u32,
    pub resets_by_client: u32,
    pub resets_by_server: u32,
}

/// One direction of one connection.
struct DirectionReader {
    direction: Direction,
    inspector: Arc<Mutex<Inspector>>,
    observed: Arc<Mutex<Observed>>,
    bytes: u64,
    /// Where the last frame that was seen ends.
    frame_end: u64,
    has_goaway: bool,
}

impl Relay {
    pub fn start(server: SocketAddr) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let (observed, is_over) = (Arc::default(), Arc::new(AtomicBool::new(false)));
        let relay = Self { address, observed: Arc::clone(&observed), is_over: Arc::clone(&is_over) };
        thread::spawn(move || {
            for client in listener.incoming() {
                if is_over.load(Ordering::Acquire) {
                    return;
                }
                // If the relay reaches no server, the client's connection ends.
                let _ = client.and_then(|client| pass_both_ways(client, server, &observed));
            }
        });
        Ok(relay)
    }

    /// Waits until every connection has ended, and returns what the relay observed.
    pub fn finish(self, limit: Duration) -> anyhow::Result<Observed> {
        let deadline = Instant::now() + limit;
        loop {
            let observed = lock(&self.observed).clone();
            if observed.ended == observed.connections {
                return Ok(observed);
            }
            ensure!(Instant::now() < deadline, "not every connection has ended: {observed:?}");
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Release);
        // Wakes the listener, which then sees that it is over.
        let _ = TcpStream::connect(self.address);
    }
}

fn pass_both_ways(
    client: TcpStream,
    server: SocketAddr,
    observed: &Arc<Mutex<Observed>>,
) -> std::io::Result<()> {
    let server = TcpStream::connect(server)?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    lock(observed).connections += 1;
    let inspector = Arc::new(Mutex::new(Inspector::new()));
    for (from, to, direction) in [
        (client.try_clone()?, server.try_clone()?, Direction::ToServer),
        (server, client, Direction::ToClient),
    ] {
        let (inspector, observed) = (Arc::clone(&inspector), Arc::clone(observed));
        let reader =
            DirectionReader { direction, inspector, observed, bytes: 0, frame_end: 0, has_goaway: false };
        thread::spawn(move || reader.pass(from, to));
    }
    Ok(())
}

impl DirectionReader {
    fn pass(mut self, mut from: TcpStream, mut to: TcpStream) {
        let mut buffer = [0; 32 << 10];
        let mut is_received = true;
        loop {
            let len = match from.read(&mut buffer) {
                Ok(0) => break,
                Ok(len) => len,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => break,
            };
            self.look(&buffer[..len]);
            is_received = is_received && to.write_all(&buffer[..len]).is_ok();
        }
        if self.direction == Direction::ToClient {
            self.count_end();
        }
        // The other direction continues until its own side has ended. An error means that it has.
        let _ = to.shutdown(Shutdown::Write);
    }

    fn look(&mut self, mut input: &[u8]) {
        self.bytes += input.len() as u64;
        let mut inspector = lock(&self.inspector);
        let mut observed = lock(&self.observed);
        while let Some(seen) = inspector.inspect(self.direction, &mut input) {
            let end_of = |head: FrameHeader| seen.offset + HEADER_LEN as u64 + u64::from(head.len);
            let from_server = self.direction == Direction::ToClient;
            match seen.captured {
                Captured::Data(head) | Captured::Oversized(head) => self.frame_end = end_of(head),
                Captured::Frame(head, frame, _) => {
                    self.frame_end = end_of(head);
                    match frame {
                        Frame::Headers { .. } if !from_server => observed.requests += 1,
                        Frame::Reset { .. } if from_server => observed.resets_by_server += 1,
                        Frame::Reset { .. } => observed.resets_by_client += 1,
                        Frame::GoAway { code, .. } if from_server => {
                            self.has_goaway = true;
                            observed.enhance_your_calm += u32::from(code == ErrorCode::ENHANCE_YOUR_CALM);
                            let known = [ErrorCode::NO_ERROR, ErrorCode::ENHANCE_YOUR_CALM];
                            observed.other_errors += u32::from(!known.contains(&code));
                        }
                        _ => {}
                    }
                }
                Captured::Malformed(head, _) => {
                    self.frame_end = end_of(head);
                    observed.broken += 1;
                }
                Captured::NotHttp2 => observed.broken += 1,
                _ => {}
            }
        }
    }

    fn count_end(&self) {
        let mut observed = lock(&self.observed);
        observed.ended += 1;
        observed.without_goaway += u32::from(!self.has_goaway);
        observed.within_frame += u32::from(self.frame_end != self.bytes);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns what the relay saw of a server that sends `words` and closes, and whether the client
    /// received all of it.
    fn observe(words: &'static [u8]) -> Observed {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let relay = Relay::start(server.local_addr().unwrap()).unwrap();
        let served = thread::spawn(move || server.accept().unwrap().0.write_all(words).unwrap());
        let mut received = Vec::new();
        let mut client = TcpStream::connect(relay.address).unwrap();
        client.read_to_end(&mut received).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        served.join().unwrap();
        assert_eq!(received, words);
        relay.finish(Duration::from_secs(20)).unwrap()
    }

    const SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";

    #[test]
    fn a_close_without_goaway_is_counted() {
        let one = Observed { connections: 1, ended: 1, ..Observed::default() };
        assert_eq!(observe(SETTINGS), Observed { without_goaway: 1, ..one.clone() });
        let goaway = b"\0\0\0\x04\0\0\0\0\0\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\0";
        assert_eq!(observe(goaway), one);
    }

    #[test]
    fn errors_are_distinguished() {
        let one = Observed { connections: 1, ended: 1, ..Observed::default() };
        let calm = b"\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\x0b";
        assert_eq!(observe(calm), Observed { enhance_your_calm: 1, ..one.clone() });
        let other = b"\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\x01";
        assert_eq!(observe(other), Observed { other_errors: 1, ..one.clone() });
        let cut = b"\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x05\0\0\0\0\0\x01ab";
        assert_eq!(observe(cut), Observed { within_frame: 1, ..one });
    }
}
