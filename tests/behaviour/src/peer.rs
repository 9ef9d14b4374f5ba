//! A scripted peer over a socket, frame by frame, with a codec that shares no code with ours.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use thalweg::ErrorCode;
use thalweg_testkit::frames::{
    Frame, Reader, flag, kind, preface, raw, settings, settings_ack, window_update, wire,
};
use thalweg_testkit::hpack;

use crate::{LIMIT, Received};

/// A scripted client or server.
pub struct Peer {
    stream: TcpStream,
    reader: Reader,
    decoder: hpack::Decoder,
}

impl Peer {
    /// Creates a peer that has sent nothing.
    pub fn new(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(LIMIT)).expect("a limit");
        stream.set_write_timeout(Some(LIMIT)).expect("a limit");
        stream.set_nodelay(true).expect("a socket");
        Self { stream, reader: Reader::default(), decoder: hpack::Decoder::default() }
    }

    /// As a client: exchanges prefaces and SETTINGS.
    pub fn greet(&mut self) {
        self.greet_with(&settings());
    }

    /// As a client: exchanges prefaces and these SETTINGS.
    pub fn greet_with(&mut self, settings: &Frame) {
        self.send(&wire([&preface(), settings]));
        self.expect(kind::SETTINGS);
        self.send_frame(&settings_ack());
        assert!(self.expect(kind::SETTINGS).has(flag::ACK));
    }

    /// As a server: reads the 24 octets of the client preface.
    pub fn expect_preface(&mut self) {
        let mut first = [0; 24];
        self.stream.read_exact(&mut first).expect("a client preface");
        assert_eq!(first, preface());
    }

    /// As a server: sends these SETTINGS and acknowledges the client's.
    pub fn answer_greeting(&mut self, settings: &Frame) {
        self.send(&wire([settings, &settings_ack()]));
        self.expect(kind::SETTINGS);
        assert!(self.expect(kind::SETTINGS).has(flag::ACK));
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the other side reads");
    }

    pub fn send_frame(&mut self, frame: &Frame) {
        self.send(&frame.bytes());
    }

    /// Returns the next frame, or `None` at the end of input. Acknowledges PINGs, without
    /// returning them.
    pub fn frame(&mut self) -> Option<Frame> {
        self.read_frame().expect("the input ends in order")
    }

    fn read_frame(&mut self) -> std::io::Result<Option<Frame>> {
        let mut buffer = [0; 4096];
        loop {
            if let Some(frame) = self.reader.next_frame().expect("a valid frame") {
                if frame.kind == kind::PING && frame.flags == 0 {
                    let _ = self.stream.write_all(&raw(kind::PING, flag::ACK, 0, &frame.body).bytes());
                    continue;
                }
                return Ok(Some(frame));
            }
            let len = self.stream.read(&mut buffer)?;
            if len == 0 {
                assert!(self.reader.rest().is_empty(), "the input ends inside a frame");
                return Ok(None);
            }
            self.reader.push(&buffer[..len]);
        }
    }

    /// Returns the frames that arrive within a time, and whether the input has ended.
    pub fn frames_within(&mut self, time: Duration) -> (Vec<Frame>, bool) {
        let until = std::time::Instant::now() + time;
        let mut frames = Vec::new();
        let mut ended = false;
        while let Some(left) = until.checked_duration_since(std::time::Instant::now()) {
            let left = left.max(Duration::from_millis(1));
            self.stream.set_read_timeout(Some(left)).expect("a limit");
            match self.read_frame() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => {
                    ended = true;
                    break;
                }
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break,
                Err(error) => panic!("the input fails: {error}"),
            }
        }
        self.stream.set_read_timeout(Some(LIMIT)).expect("a limit");
        (frames, ended)
    }

    /// Returns the next frame of a type; skips others except GOAWAY with an
    /// error.
    pub fn expect(&mut self, wanted: u8) -> Frame {
        loop {
            let frame = self.frame().unwrap_or_else(|| panic!("the input ends before a frame {wanted:#x}"));
            if frame.kind == wanted {
                return frame;
            }
            assert_no_error(&frame);
        }
    }

    /// Returns the next frame on a stream other than WINDOW_UPDATE; skips others except GOAWAY with
    /// an error.
    pub fn expect_on(&mut self, stream: u32) -> Frame {
        loop {
            let frame = self.frame().unwrap_or_else(|| panic!("the input ends before a frame of {stream}"));
            if frame.stream == stream && frame.kind != kind::WINDOW_UPDATE {
                return frame;
            }
            assert_no_error(&frame);
        }
    }

    /// Returns the fields of the next HEADERS on a stream, as `name: value`, and whether it ends
    /// the stream.
    pub fn expect_fields(&mut self, stream: u32) -> (Vec<String>, bool) {
        let frame = self.expect_on(stream);
        assert_eq!(frame.kind, kind::HEADERS, "{frame}");
        let ends = frame.ends_stream();
        (self.fields(&frame), ends)
    }

    /// Decodes the fields of a frame with a whole field block.
    pub fn fields(&mut self, frame: &Frame) -> Vec<String> {
        let block = frame.block().expect("a field block");
        self.decoder.decode(block).expect("valid HPACK").iter().map(ToString::to_string).collect()
    }

    /// Returns content and trailers of a stream to its end, and extends both windows for the
    /// content.
    pub fn expect_content(&mut self, stream: u32) -> Received {
        let mut received = Received::default();
        loop {
            let frame = self.expect_on(stream);
            match frame.kind {
                kind::DATA => {
                    received.content.extend_from_slice(&frame.body);
                    let len = frame.flow_controlled_len();
                    if len > 0 {
                        self.send_frame(&window_update(0, len));
                    }
                    if frame.ends_stream() {
                        return received;
                    }
                    if len > 0 {
                        self.send_frame(&window_update(stream, len));
                    }
                }
                kind::HEADERS => {
                    assert!(frame.ends_stream(), "trailers end the stream: {frame}");
                    received.trailers = self.fields(&frame);
                    return received;
                }
                _ => panic!("{frame} within the content"),
            }
        }
    }

    /// Returns all frames to the end of input.
    pub fn rest(&mut self) -> Vec<Frame> {
        std::iter::from_fn(|| self.frame()).collect()
    }

    /// Closes the sending side.
    pub fn shutdown_write(&self) {
        self.stream.shutdown(Shutdown::Write).expect("an open socket");
    }

    /// Closes both sides; input that was not read makes the kernel send RST.
    pub fn close(self) {
        drop(self.stream);
    }
}

/// Asserts that a frame that a case skips is no GOAWAY with an error.
fn assert_no_error(frame: &Frame) {
    let is_error = frame.kind == kind::GOAWAY && frame.code() != Some(ErrorCode::NO_ERROR);
    assert!(!is_error, "{frame}: {}", frame.body.escape_ascii());
}

impl std::fmt::Debug for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Peer").field("stream", &self.stream).finish_non_exhaustive()
    }
}
