//! What the servers of the end-to-end runs answer with: `GET /bytes/N` gives N bytes from memory.

use bytes::Bytes;
use std::error::Error;

/// The bytes that are served, in one piece for all requests.
#[derive(Debug, Clone)]
pub struct Payload(Bytes);

impl Payload {
    /// Makes the bytes.
    pub fn new() -> Self {
        Self((0..BYTES_MAX).map(|i| (i % 251) as u8).collect())
    }

    /// Returns what a path asks for; `None` if it asks for something else or too much.
    pub fn answer(&self, path: &str) -> Option<Bytes> {
        let path = path.split_once('?').map_or(path, |(path, _)| path);
        let len: usize = path.strip_prefix("/bytes/")?.parse().ok()?;
        (len <= BYTES_MAX).then(|| self.0.slice(..len))
    }
}

impl Default for Payload {
    fn default() -> Self {
        Self::new()
    }
}

/// Returns the port that the arguments name.
///
/// # Errors
/// If there is no argument, or it is no port.
pub fn port() -> Result<u16, Box<dyn Error>> {
    Ok(std::env::args().nth(1).ok_or("the port is missing")?.parse()?)
}

/// The largest body.
const BYTES_MAX: usize = 1 << 20;
/// A field that each of the servers sends.
pub const CONTENT_TYPE: &str = "application/octet-stream";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_asks_for_bytes() {
        let payload = Payload::new();
        assert_eq!(payload.answer("/bytes/128?seed=1").map(|body| body.len()), Some(128));
        assert_eq!(payload.answer("/bytes/1048576").map(|body| body.len()), Some(1 << 20));
        for other in ["/bytes/1048577", "/bytes/", "/bytes/-1", "/", "/bytes/1/2"] {
            assert_eq!(payload.answer(other), None, "{other}");
        }
    }
}
