//! A server that runs for one test, and a peer that exchanges frames over a socket. Every wait has
//! a time limit.

#![allow(dead_code, reason = "each test file takes what it needs")]
#![allow(clippy::unwrap_used, reason = "it is all tests")]

pub mod pipe;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use thalweg::CloseCause;
use thalweg_testkit::frames::{
    Frame, Reader, flag, goaway, kind, preface, raw, settings, settings_ack, wire,
};
use thalweg_threads::server::{Builder, ServeStats, ServerHandle};
use thalweg_threads::{Client, ConnectionEnd, ErrorCode, Handler, NegotiationError};

/// For waits that take no time unless something is broken.
pub const LIMIT: Duration = Duration::from_secs(20);

/// A server in a separate thread, which is shut down at the end of its test.
pub struct Running {
    pub address: SocketAddr,
    pub handle: ServerHandle,
    /// The reported ends of connections.
    pub ends: Receiver<End>,
    thread: Option<JoinHandle<std::io::Result<ServeStats>>>,
}

/// The part of a connection's end that tests check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    pub cause: Option<CloseCause>,
    pub transport: Option<ErrorKind>,
    pub negotiation_error: Option<NegotiationError>,
    pub text: String,
}

impl End {
    fn new(end: &ConnectionEnd) -> Self {
        Self {
            cause: end.report.error.map(|error| error.cause()),
            transport: end.transport.as_ref().map(std::io::Error::kind),
            negotiation_error: end.negotiation_error,
            text: end.to_string(),
        }
    }
}

impl Running {
    pub fn start(handler: impl Handler) -> Self {
        Self::with(|server| server, handler)
    }

    pub fn with(configure: impl FnOnce(Builder) -> Builder, handler: impl Handler) -> Self {
        let (sender, ends) = channel();
        let server = configure(Builder::new())
            // The test may have ended before its connections.
            .on_end(move |end| drop(sender.send(End::new(end))))
            .bind("127.0.0.1:0")
            .unwrap();
        let (address, handle) = (server.local_addr().unwrap(), server.handle());
        let thread = Some(thread::spawn(move || server.serve(handler)));
        Self { address, handle, ends, thread }
    }

    pub fn client(&self) -> Client {
        Client::connect(&self.address.to_string()).unwrap().time_limit(Some(LIMIT))
    }

    pub fn peer(&self) -> Peer {
        Peer::client(TcpStream::connect(self.address).unwrap())
    }

    pub fn end(&self) -> End {
        self.ends.recv_timeout(LIMIT).expect("a connection ends")
    }

    /// Waits until no connection is open.
    pub fn drained(&self) {
        assert!(self.handle.wait_idle(LIMIT), "connections are left: {:?}", self.handle);
    }

    pub fn stop(mut self) -> ServeStats {
        self.join().expect("it has not been joined")
    }

    fn join(&mut self) -> Option<ServeStats> {
        self.handle.shutdown(LIMIT);
        let outcome = self.thread.take()?.join().expect("the server does not panic");
        if thread::panicking() { None } else { Some(outcome.unwrap()) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if thread::panicking() {
            self.handle.shutdown(Duration::ZERO);
        }
        self.join();
    }
}

/// A scripted peer, frame by frame.
pub struct Peer {
    pub stream: TcpStream,
    reader: Reader,
    pub decoder: thalweg_testkit::hpack::Decoder,
}

impl Peer {
    /// Creates a client that has sent nothing yet.
    pub fn client(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.set_write_timeout(Some(LIMIT)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, reader: Reader::default(), decoder: Default::default() }
    }

    /// Creates a server for one connection of a client that `connect` creates.
    pub fn accept<T>(connect: impl FnOnce(SocketAddr) -> T) -> (Self, T) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let made = connect(listener.local_addr().unwrap());
        let mut peer = Self::client(listener.accept().unwrap().0);
        let mut first = [0; 24];
        peer.stream.read_exact(&mut first).unwrap();
        assert_eq!(first, preface());
        (peer, made)
    }

    /// Sends the preface and SETTINGS, and acknowledges the server's.
    pub fn greet(&mut self) {
        self.greet_with(&settings());
    }

    pub fn greet_with(&mut self, settings: &Frame) {
        self.send(&wire([&preface(), settings]));
        self.until(kind::SETTINGS);
        self.send(&settings_ack().bytes());
        // The acknowledgement of our SETTINGS.
        self.until(kind::SETTINGS);
    }

    /// As a server: sends SETTINGS and acknowledges the client's.
    pub fn answer_greeting(&mut self, settings: &Frame) {
        self.send(&wire([settings, &settings_ack()]));
        self.until(kind::SETTINGS);
        self.until(kind::SETTINGS);
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Returns the next frame; `None` at the end of the stream.
    pub fn frame(&mut self) -> Option<Frame> {
        let mut buffer = [0; 4096];
        loop {
            if let Some(frame) = self.reader.next_frame().unwrap() {
                return Some(frame);
            }
            let len = self.stream.read(&mut buffer).expect("the stream ends in order");
            if len == 0 {
                assert!(self.reader.rest().is_empty(), "the stream ends inside a frame");
                return None;
            }
            self.reader.push(&buffer[..len]);
        }
    }

    /// Returns the next frame of a type; skips others except GOAWAY.
    pub fn until(&mut self, wanted: u8) -> Frame {
        loop {
            let frame = self.frame().unwrap_or_else(|| panic!("the stream ends before a frame {wanted:#x}"));
            if frame.kind == wanted {
                return frame;
            }
            assert_ne!(frame.kind, kind::GOAWAY, "{frame}: {:?}", frame.body.escape_ascii().to_string());
        }
    }

    /// Returns all frames to the end of the stream.
    pub fn rest(&mut self) -> Vec<Frame> {
        std::iter::from_fn(|| self.frame()).collect()
    }

    /// Returns the fields of a response.
    pub fn fields(&mut self, frame: &Frame) -> Vec<String> {
        let block = frame.block().expect("a header block");
        self.decoder.decode(block).unwrap().iter().map(ToString::to_string).collect()
    }

    /// As a server: returns all frames until the client closes its side. Acknowledges PINGs.
    pub fn until_end_of_client(&mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        while let Some(frame) = self.frame() {
            if frame.kind == kind::PING && frame.flags == 0 {
                self.send(&raw(kind::PING, flag::ACK, 0, &frame.body).bytes());
            }
            frames.push(frame);
        }
        frames
    }

    /// Closes the connection gracefully, and waits for the server to close its side.
    pub fn leave(mut self) {
        self.send(&goaway(0, ErrorCode::NO_ERROR).bytes());
        self.stream.shutdown(Shutdown::Write).unwrap();
        self.rest();
    }
}

/// A pseudo-random generator with a seed (SplitMix64).
#[derive(Clone)]
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}
