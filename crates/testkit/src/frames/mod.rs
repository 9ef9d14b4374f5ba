//! Frames in the terms of RFC 9113 §6: builders that can build invalid frames, and a reader that
//! rejects them.
//!
//! Shares no code with `thalweg::frame`, so that each can be tested against the other.
//!
//! ```
//! use thalweg_testkit::{frames::*, hpack};
//!
//! let block = hpack::block(&[(":method", "GET"), (":scheme", "https"), (":path", "/")]);
//! let request = headers(1, &block).end_stream().end_headers();
//! let wire = wire([&preface(), &settings().entry(4, 100), &request]);
//! let read = read_all(after_preface(&wire));
//! assert_eq!(read[0].to_string(), "SETTINGS INITIAL_WINDOW_SIZE=100");
//! assert_eq!(read[1].to_string(), "HEADERS stream=1 END_STREAM|END_HEADERS 37 bytes");
//! ```

mod reader;
mod show;

use thalweg::ErrorCode;

pub use reader::{ReadError, Reader, after_preface, read_all};
pub use show::kind_name;

/// Frame types as they are on the wire (RFC 9113 §6, RFC 7838 §4, RFC 8336 §2, RFC 9218 §7.1).
#[allow(missing_docs)]
pub mod kind {
    pub const DATA: u8 = 0x0;
    pub const HEADERS: u8 = 0x1;
    pub const PRIORITY: u8 = 0x2;
    pub const RST_STREAM: u8 = 0x3;
    pub const SETTINGS: u8 = 0x4;
    pub const PUSH_PROMISE: u8 = 0x5;
    pub const PING: u8 = 0x6;
    pub const GOAWAY: u8 = 0x7;
    pub const WINDOW_UPDATE: u8 = 0x8;
    pub const CONTINUATION: u8 = 0x9;
    pub const ALTSVC: u8 = 0xa;
    pub const ORIGIN: u8 = 0xc;
    pub const PRIORITY_UPDATE: u8 = 0x10;
}

/// Flags as they are on the wire.
#[allow(missing_docs)]
pub mod flag {
    pub const ACK: u8 = 0x1;
    pub const END_STREAM: u8 = 0x1;
    pub const END_HEADERS: u8 = 0x4;
    pub const PADDED: u8 = 0x8;
    pub const PRIORITY: u8 = 0x20;
}

/// Settings as they are on the wire (RFC 9113 §6.5.2, RFC 8441 §3, RFC 9218 §2.1).
#[allow(missing_docs)]
pub mod setting {
    pub const HEADER_TABLE_SIZE: u16 = 0x1;
    pub const ENABLE_PUSH: u16 = 0x2;
    pub const MAX_CONCURRENT_STREAMS: u16 = 0x3;
    pub const INITIAL_WINDOW_SIZE: u16 = 0x4;
    pub const MAX_FRAME_SIZE: u16 = 0x5;
    pub const MAX_HEADER_LIST_SIZE: u16 = 0x6;
    pub const ENABLE_CONNECT_PROTOCOL: u16 = 0x8;
    pub const NO_RFC7540_PRIORITIES: u16 = 0x9;
}

/// The first bytes of a client (RFC 9113 §3.4).
pub const PREFACE: [u8; 24] = *b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Bytes of a frame header (RFC 9113 §4.1).
pub const HEADER_LEN: usize = 9;

/// A frame, built or read. Equal frames have equal bytes on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The type, see [`kind`].
    pub kind: u8,
    /// The flags, see [`flag`].
    pub flags: u8,
    /// The stream identifier, with the reserved bit if a builder sets it.
    pub stream: u32,
    /// The payload without padding and without the priority fields of HEADERS.
    pub body: Vec<u8>,
    /// The priority fields of HEADERS and PRIORITY.
    pub dependency: Option<Dependency>,
    padding: Option<Padding>,
    length: Option<u32>,
}

/// The deprecated priority fields (RFC 9113 §5.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dependency {
    /// The stream that this one depends on.
    pub stream: u32,
    /// Whether the dependency is exclusive.
    pub exclusive: bool,
    /// The weight as on the wire: one less than its value.
    pub weight: u8,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Padding {
    /// The value of the field Pad Length.
    announced: u8,
    bytes: Vec<u8>,
}

/// Returns a field block in several frames: `first` (HEADERS or PUSH_PROMISE, with the whole block)
/// keeps `len` bytes, and CONTINUATION frames of at most `len` bytes carry the rest.
///
/// # Panics
/// If `len` is 0.
pub fn fragments(mut first: Frame, len: usize) -> Vec<Frame> {
    let rest = first.body.split_off(len.min(first.body.len()));
    let stream = first.stream;
    let mut frames = vec![first];
    frames.extend(rest.chunks(len).map(|piece| continuation(stream, piece)));
    if let Some(last) = frames.pop() {
        frames.push(last.end_headers());
    }
    frames
}

/// Returns the client's connection preface, without its SETTINGS.
pub const fn preface() -> [u8; 24] {
    PREFACE
}

/// Builds a frame of any type, any flags, any payload.
pub fn raw(kind: u8, flags: u8, stream: u32, payload: impl AsRef<[u8]>) -> Frame {
    let body = payload.as_ref().to_vec();
    Frame { kind, flags, stream, body, dependency: None, padding: None, length: None }
}

/// Builds DATA (RFC 9113 §6.1).
pub fn data(stream: u32, bytes: impl AsRef<[u8]>) -> Frame {
    raw(kind::DATA, 0, stream, bytes)
}

/// Builds HEADERS (RFC 9113 §6.2), without END_HEADERS.
pub fn headers(stream: u32, block: impl AsRef<[u8]>) -> Frame {
    raw(kind::HEADERS, 0, stream, block)
}

/// Builds PRIORITY (RFC 9113 §6.3); the weight is as on the wire, one less than its value.
pub fn priority(stream: u32, on: u32, weight: u8) -> Frame {
    let dependency = Some(Dependency { stream: on, exclusive: false, weight });
    Frame { dependency, ..raw(kind::PRIORITY, 0, stream, []) }
}

/// Builds RST_STREAM (RFC 9113 §6.4).
pub fn rst_stream(stream: u32, code: ErrorCode) -> Frame {
    raw(kind::RST_STREAM, 0, stream, code.0.to_be_bytes())
}

/// Builds SETTINGS (RFC 9113 §6.5), without entries: chain [`Frame::entry`].
pub fn settings() -> Frame {
    raw(kind::SETTINGS, 0, 0, [])
}

/// Builds SETTINGS with ACK.
pub fn settings_ack() -> Frame {
    raw(kind::SETTINGS, flag::ACK, 0, [])
}

/// Builds PUSH_PROMISE (RFC 9113 §6.6), without END_HEADERS.
pub fn push_promise(stream: u32, promised: u32, block: impl AsRef<[u8]>) -> Frame {
    raw(kind::PUSH_PROMISE, 0, stream, [&promised.to_be_bytes(), block.as_ref()].concat())
}

/// Builds PING (RFC 9113 §6.7).
pub fn ping(payload: [u8; 8]) -> Frame {
    raw(kind::PING, 0, 0, payload)
}

/// Builds PING with ACK.
pub fn ping_ack(payload: [u8; 8]) -> Frame {
    raw(kind::PING, flag::ACK, 0, payload)
}

/// Builds GOAWAY (RFC 9113 §6.8); for debug data chain [`Frame::debug`].
pub fn goaway(last_stream: u32, code: ErrorCode) -> Frame {
    raw(kind::GOAWAY, 0, 0, [last_stream.to_be_bytes(), code.0.to_be_bytes()].concat())
}

/// Builds WINDOW_UPDATE (RFC 9113 §6.9); stream 0 is the connection.
pub fn window_update(stream: u32, increment: u32) -> Frame {
    raw(kind::WINDOW_UPDATE, 0, stream, increment.to_be_bytes())
}

/// Builds CONTINUATION (RFC 9113 §6.10), without END_HEADERS.
pub fn continuation(stream: u32, block: impl AsRef<[u8]>) -> Frame {
    raw(kind::CONTINUATION, 0, stream, block)
}

/// Builds PRIORITY_UPDATE (RFC 9218 §7.1) for a stream, sent on the connection.
pub fn priority_update(prioritized: u32, value: impl AsRef<[u8]>) -> Frame {
    raw(kind::PRIORITY_UPDATE, 0, 0, [&prioritized.to_be_bytes(), value.as_ref()].concat())
}

/// Builds ORIGIN (RFC 8336 §2).
pub fn origin<T: AsRef<[u8]>>(origins: impl IntoIterator<Item = T>) -> Frame {
    let mut body = Vec::new();
    for origin in origins {
        put_prefixed(&mut body, origin.as_ref());
    }
    raw(kind::ORIGIN, 0, 0, body)
}

/// Builds ALTSVC (RFC 7838 §4).
pub fn altsvc(stream: u32, origin: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Frame {
    let mut body = Vec::new();
    put_prefixed(&mut body, origin.as_ref());
    body.extend_from_slice(value.as_ref());
    raw(kind::ALTSVC, 0, stream, body)
}

fn put_prefixed(out: &mut Vec<u8>, text: &[u8]) {
    let len = u16::try_from(text.len()).expect("an origin has below 65,536 bytes");
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(text);
}

impl Frame {
    /// Sets END_STREAM.
    #[must_use]
    pub fn end_stream(mut self) -> Self {
        self.flags |= flag::END_STREAM;
        self
    }

    /// Sets END_HEADERS.
    #[must_use]
    pub fn end_headers(mut self) -> Self {
        self.flags |= flag::END_HEADERS;
        self
    }

    /// Replaces all flags, including those that other methods set.
    #[must_use]
    pub fn flags(mut self, flags: u8) -> Self {
        self.flags = flags;
        self
    }

    /// Sets PADDED and adds the Pad Length and `len` zeros.
    #[must_use]
    pub fn padded(self, len: u8) -> Self {
        self.padded_with(vec![0; usize::from(len)])
    }

    /// Sets PADDED and adds the Pad Length and this padding.
    #[must_use]
    pub fn padded_with(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        self.flags |= flag::PADDED;
        let announced = u8::try_from(bytes.len()).expect("padding has below 256 bytes");
        self.padding = Some(Padding { announced, bytes });
        self
    }

    /// Announces a Pad Length that differs from the padding.
    #[must_use]
    pub fn pad_length(mut self, announced: u8) -> Self {
        self.flags |= flag::PADDED;
        self.padding.get_or_insert(Padding { announced, bytes: Vec::new() }).announced = announced;
        self
    }

    /// Sets PRIORITY and adds the priority fields; the weight is as on the wire, one less than its
    /// value.
    #[must_use]
    pub fn with_priority(mut self, on: u32, exclusive: bool, weight: u8) -> Self {
        self.flags |= flag::PRIORITY;
        self.dependency = Some(Dependency { stream: on, exclusive, weight });
        self
    }

    /// Makes the dependency of a PRIORITY frame exclusive.
    #[must_use]
    pub fn exclusive(mut self) -> Self {
        if let Some(dependency) = &mut self.dependency {
            dependency.exclusive = true;
        }
        self
    }

    /// Adds an entry to SETTINGS, see [`setting`].
    #[must_use]
    pub fn entry(mut self, id: u16, value: u32) -> Self {
        self.body.extend_from_slice(&id.to_be_bytes());
        self.body.extend_from_slice(&value.to_be_bytes());
        self
    }

    /// Adds debug data to GOAWAY.
    #[must_use]
    pub fn debug(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.body.extend_from_slice(bytes.as_ref());
        self
    }

    /// Announces a length that differs from the payload's, below 2^24.
    #[must_use]
    pub fn length(mut self, len: u32) -> Self {
        assert!(len < 1 << 24, "a frame length has 24 bits");
        self.length = Some(len);
        self
    }

    /// Sets the reserved bit before the stream identifier.
    #[must_use]
    pub fn reserved_bit(mut self) -> Self {
        self.stream |= 1 << 31;
        self
    }

    /// Returns the bytes on the wire.
    pub fn bytes(&self) -> Vec<u8> {
        let payload = self.payload();
        let actual = u32::try_from(payload.len()).ok().filter(|len| *len < 1 << 24);
        let len = self.length.or(actual).expect("a payload has below 2^24 bytes");
        let mut wire = len.to_be_bytes()[1..].to_vec();
        wire.extend_from_slice(&[self.kind, self.flags]);
        wire.extend_from_slice(&self.stream.to_be_bytes());
        wire.extend_from_slice(&payload);
        wire
    }

    /// Returns the payload on the wire: with padding and priority fields.
    pub fn payload(&self) -> Vec<u8> {
        let mut payload = Vec::new();
        payload.extend(self.padding.as_ref().map(|padding| padding.announced));
        if let Some(Dependency { stream, exclusive, weight }) = self.dependency {
            payload.extend_from_slice(&(stream | u32::from(exclusive) << 31).to_be_bytes());
            payload.push(weight);
        }
        payload.extend_from_slice(&self.body);
        payload.extend(self.padding.iter().flat_map(|padding| &padding.bytes));
        payload
    }

    /// Whether all bits of `flags` are set.
    pub const fn has(&self, flags: u8) -> bool {
        self.flags & flags == flags
    }

    /// Whether this frame ends the sender's half of its stream.
    pub const fn ends_stream(&self) -> bool {
        matches!(self.kind, kind::DATA | kind::HEADERS) && self.has(flag::END_STREAM)
    }

    /// Returns the Pad Length, if the frame is padded.
    pub fn padding(&self) -> Option<u8> {
        self.padding.as_ref().map(|padding| padding.announced)
    }

    /// Returns the field block fragment of HEADERS, PUSH_PROMISE or CONTINUATION.
    pub fn block(&self) -> Option<&[u8]> {
        match self.kind {
            kind::HEADERS | kind::CONTINUATION => Some(&self.body),
            kind::PUSH_PROMISE => self.body.get(4..),
            _ => None,
        }
    }

    /// Returns the stream that PUSH_PROMISE promises, or whose priority PRIORITY_UPDATE changes.
    pub fn promised(&self) -> Option<u32> {
        self.word(0, &[kind::PUSH_PROMISE, kind::PRIORITY_UPDATE])
    }

    /// Returns the error code of RST_STREAM or GOAWAY.
    pub fn code(&self) -> Option<ErrorCode> {
        self.word(0, &[kind::RST_STREAM]).or_else(|| self.word(4, &[kind::GOAWAY])).map(ErrorCode)
    }

    /// Returns the last stream identifier of GOAWAY.
    pub fn last_stream(&self) -> Option<u32> {
        self.word(0, &[kind::GOAWAY])
    }

    /// Returns the increment of WINDOW_UPDATE.
    pub fn increment(&self) -> Option<u32> {
        self.word(0, &[kind::WINDOW_UPDATE])
    }

    /// Returns the entries of SETTINGS.
    pub fn entries(&self) -> Vec<(u16, u32)> {
        let body: &[u8] = if self.kind == kind::SETTINGS { &self.body } else { &[] };
        body.chunks_exact(6)
            .map(|entry| {
                let value = [entry[2], entry[3], entry[4], entry[5]];
                (u16::from_be_bytes([entry[0], entry[1]]), u32::from_be_bytes(value))
            })
            .collect()
    }

    /// Returns what DATA takes from the windows, bytes: the payload, padding included (RFC 9113
    /// §6.9.1). 0 for other frames.
    pub fn flow_controlled_len(&self) -> u32 {
        if self.kind != kind::DATA {
            return 0;
        }
        let padding = self.padding.as_ref().map_or(0, |padding| 1 + padding.bytes.len());
        u32::try_from(self.body.len() + padding).expect("a payload has below 2^24 bytes")
    }

    fn word(&self, at: usize, kinds: &[u8]) -> Option<u32> {
        if !kinds.contains(&self.kind) {
            return None;
        }
        self.body.get(at..).and_then(<[u8]>::first_chunk).map(|bytes| u32::from_be_bytes(*bytes))
    }
}

/// A piece of a wire: a frame, some bytes, or a list of pieces.
pub trait Piece {
    /// Appends the bytes of the piece.
    fn put(&self, wire: &mut Vec<u8>);
}

impl Piece for Frame {
    fn put(&self, wire: &mut Vec<u8>) {
        wire.extend(self.bytes());
    }
}

impl Piece for [u8] {
    fn put(&self, wire: &mut Vec<u8>) {
        wire.extend_from_slice(self);
    }
}

impl<const N: usize> Piece for [u8; N] {
    fn put(&self, wire: &mut Vec<u8>) {
        wire.extend_from_slice(self);
    }
}

impl Piece for [Frame] {
    fn put(&self, wire: &mut Vec<u8>) {
        self.iter().for_each(|frame| frame.put(wire));
    }
}

impl Piece for Vec<u8> {
    fn put(&self, wire: &mut Vec<u8>) {
        wire.extend_from_slice(self);
    }
}

impl Piece for Vec<Frame> {
    fn put(&self, wire: &mut Vec<u8>) {
        self.as_slice().put(wire);
    }
}

/// Joins pieces: `wire([&preface(), &settings(), &headers(1, &block)])`.
pub fn wire<const N: usize>(pieces: [&dyn Piece; N]) -> Vec<u8> {
    let mut wire = Vec::new();
    pieces.iter().for_each(|piece| piece.put(&mut wire));
    wire
}
