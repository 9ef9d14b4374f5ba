//! The byte streams that the measured endpoint receives.
//!
//! A script stands in for the other end of the connection. The plain encoder of this crate makes it
//! before the measurement, so every library gets the same bytes.

use crate::hpack::{PlainEncoder, Policy};
use crate::traffic::*;
use crate::wire::PREFACE;
use crate::workload::{Scene, Side, Workload};

/// The other end: sends its frames in order, whatever it receives.
#[derive(Debug)]
pub struct Script {
    scene: Scene,
    encoder: PlainEncoder,
    next_stream: u32,
    next_path: usize,
}

impl Script {
    /// Creates the script of a scene, from its start.
    pub fn new(scene: Scene) -> Self {
        Self { scene, encoder: PlainEncoder::default(), next_stream: 1, next_path: 0 }
    }

    /// Returns the first two reads: what the other end sends at once, and its answer to our
    /// SETTINGS.
    pub fn opening(&self) -> [Vec<u8>; 2] {
        let mut hello = match self.scene.side {
            Side::Server => PREFACE.to_vec(),
            Side::Client => Vec::new(),
        };
        // An endless body is held back by the window, so that every peer sends the same amount.
        let window = if self.scene.is_sending() { ENDLESS_BYTES } else { 1 << 30 };
        let mut settings = Vec::new();
        for (id, value) in [(SETTINGS_PUSH, 0), (SETTINGS_STREAMS, 1 << 20), (SETTINGS_WINDOW, window)] {
            // RFC 9113 §6.5.2: only a client announces whether it accepts pushes.
            if id != SETTINGS_PUSH || self.scene.side == Side::Server {
                settings.extend_from_slice(&id.to_be_bytes());
                settings.extend_from_slice(&value.to_be_bytes());
            }
        }
        frame(&mut hello, SETTINGS, 0, 0, &settings);
        frame(&mut hello, WINDOW_UPDATE, 0, 0, &(window - 65_535).to_be_bytes());
        let mut ack = Vec::new();
        frame(&mut ack, SETTINGS, ACK, 0, &[]);
        [hello, ack]
    }

    /// Requests that the measured client opens once, before the first chunk.
    pub fn asked_first(&self) -> usize {
        usize::from(self.scene.side == Side::Client && self.scene.is_endless())
    }

    /// Returns what starts the endless body; empty in the other scenes.
    pub fn start(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        if !self.scene.is_endless() {
            return out;
        }
        let stream = self.take_stream();
        match (self.scene.side, self.scene.is_sending()) {
            (Side::Server, true) => self.get(&mut out, stream, END_STREAM),
            (Side::Server, false) => {
                let mut fields = GET_FIELDS;
                fields[0].1 = "POST";
                let block = self.encoder.block(&fields, Policy::Index);
                frame(&mut out, HEADERS, END_HEADERS, stream, &block);
            }
            (Side::Client, true) => {}
            (Side::Client, false) => self.response(&mut out, stream, &ENDLESS_RESPONSE_FIELDS),
        }
        out
    }

    /// Opens streams that stay open. The other end of a measured client sends nothing on them.
    pub fn held(&mut self, streams: usize) -> Vec<u8> {
        let mut out = Vec::new();
        for _ in 0..streams {
            let stream = self.take_stream();
            if self.scene.side == Side::Server {
                self.get(&mut out, stream, 0);
            }
        }
        out
    }

    /// Returns the input of the next reads: `units` units of work.
    pub fn chunk(&mut self, units: usize) -> Vec<u8> {
        let mut out = Vec::new();
        if self.scene.is_sending() {
            let more = ((units * FRAME_BYTES) as u32).to_be_bytes();
            frame(&mut out, WINDOW_UPDATE, 0, 0, &more);
            frame(&mut out, WINDOW_UPDATE, 0, 1, &more);
            return out;
        }
        for _ in 0..units {
            if self.scene.is_endless() {
                frame(&mut out, DATA, 0, 1, &BODY);
                continue;
            }
            let stream = self.take_stream();
            match self.scene.side {
                Side::Server => self.request(&mut out, stream),
                Side::Client => self.answer(&mut out, stream),
            }
        }
        out
    }

    fn request(&mut self, out: &mut Vec<u8>, stream: u32) {
        if self.scene.workload == Workload::W2 {
            let block = self.encoder.block(&GRPC_FIELDS, Policy::Index);
            frame(out, HEADERS, END_HEADERS, stream, &block);
            return frame(out, DATA, END_STREAM, stream, &BODY[..GRPC_BODY_BYTES]);
        }
        self.get(out, stream, END_STREAM);
        if self.scene.workload == Workload::W4 {
            frame(out, RST_STREAM, 0, stream, &CANCEL.to_be_bytes());
        }
    }

    fn answer(&mut self, out: &mut Vec<u8>, stream: u32) {
        match self.scene.workload {
            Workload::W2 => {
                self.response(out, stream, &GRPC_RESPONSE_FIELDS);
                frame(out, DATA, 0, stream, &BODY[..GRPC_BODY_BYTES]);
                let trailers = self.encoder.block(&GRPC_TRAILERS, Policy::Index);
                frame(out, HEADERS, END_HEADERS | END_STREAM, stream, &trailers);
            }
            Workload::W4 => self.response(out, stream, &RESPONSE_FIELDS),
            _ => {
                self.response(out, stream, &RESPONSE_FIELDS);
                frame(out, DATA, END_STREAM, stream, &BODY[..GET_BODY_BYTES]);
            }
        }
    }

    fn get(&mut self, out: &mut Vec<u8>, stream: u32, flags: u8) {
        let path = path(self.next_path);
        self.next_path += 1;
        let mut fields = GET_FIELDS.map(|(name, value)| (name, value));
        fields[PATH_AT].1 = &path;
        let block = self.encoder.block(&fields, self.policy());
        frame(out, HEADERS, END_HEADERS | flags, stream, &block);
    }

    fn response(&mut self, out: &mut Vec<u8>, stream: u32, fields: &[(&str, &str)]) {
        let all: Vec<_> = [(":status", "200")].iter().chain(fields).copied().collect();
        let block = self.encoder.block(&all, self.policy());
        frame(out, HEADERS, END_HEADERS, stream, &block);
    }

    fn policy(&self) -> Policy {
        if self.scene.workload == Workload::W1Lit { Policy::NeverIndex } else { Policy::Index }
    }

    fn take_stream(&mut self) -> u32 {
        let stream = self.next_stream;
        self.next_stream += 2;
        stream
    }
}

/// RFC 9113 §4.1: a header of nine bytes, then the payload.
fn frame(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    out.extend_from_slice(&(payload.len() as u32).to_be_bytes()[1..]);
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(payload);
}

/// What the windows let an endless body send before the first chunk.
pub const ENDLESS_BYTES: u32 = 1 << 20;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const WINDOW_UPDATE: u8 = 8;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const CANCEL: u32 = 8;
const SETTINGS_PUSH: u16 = 2;
const SETTINGS_STREAMS: u16 = 3;
const SETTINGS_WINDOW: u16 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn script(name: &str) -> Script {
        Script::new(name.parse().unwrap())
    }

    #[test]
    fn a_request_takes_as_many_bytes_as_a_browsers() {
        let mut script = script("w1");
        script.chunk(1);
        // Nine indexed fields, `:path` as a literal of 39 characters, and the frame header.
        assert_eq!(script.chunk(100).len() / 100, 48);
    }

    #[test]
    fn literal_requests_never_shrink() {
        let mut script = script("w1lit");
        let first = script.chunk(1).len();
        assert_eq!(script.chunk(1).len(), first);
        assert!(first > 250, "{first}");
    }

    #[test]
    fn held_streams_keep_their_numbers_on_both_sides() {
        for name in ["w5stream", "client-w5stream"] {
            let mut script = script(name);
            script.held(10);
            assert_eq!(script.take_stream(), 21, "{name}");
        }
    }
}
