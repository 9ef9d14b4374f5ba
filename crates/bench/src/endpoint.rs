//! What a peer's driver provides to be measured.

use crate::wire::Wire;
use crate::workload::App;

/// One end of a connection: a library with the fixed application of [`App`] on top.
///
/// The application is the cheapest that the library's users can write: it reads what it gets,
/// answers from static data, and never waits for anything but its peer.
pub trait Endpoint: Sized {
    /// Whether `turn` itself copies its input, as a library does that reads from a socket into its
    /// own buffer. For the others the caller makes the copy that the kernel would make.
    const READS: bool;

    /// Creates a new connection, with `SETTINGS` on their way, that allows `streams_max` streams at
    /// a time.
    fn start(app: App, streams_max: u32) -> Self;

    /// Opens `requests` requests; only a client does. They go out at the next `turn`.
    fn ask(&mut self, requests: usize) {
        assert_eq!(requests, 0, "a server asks for nothing");
    }

    /// Takes bytes from the peer, lets the application do all it can, and hands every output byte
    /// to `out`.
    fn turn(&mut self, input: &[u8], out: &mut Wire);

    /// Returns what the application has seen so far.
    fn seen(&self) -> Seen;
}

/// What an application saw, for checking that all peers did the same work.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Seen {
    /// Header sections of requests (at a server) or of final responses (at a client).
    pub messages: u64,
    /// Bytes of bodies received.
    pub body_bytes: u64,
    /// Messages received whole, to END_STREAM.
    pub complete: u64,
}
