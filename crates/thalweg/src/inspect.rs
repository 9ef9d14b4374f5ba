//! Passive inspection of a connection: turns the bytes of both directions into decoded frames.
//!
//! For debug logs of proxies, for packet viewers and for tests. The inspector reports frames that
//! it cannot parse, checks no other rule, and keeps no stream state: only the HPACK state that it
//! needs to show fields.
//!
//! Invariants: the frames do not depend on how the input is split; each direction keeps at most
//! [`PAYLOAD_BYTES_MAX`] bytes between calls; DATA is counted, not kept.
//!
//! ```
//! use thalweg::inspect::{Direction, Inspector};
//! use thalweg::{Client, Config, Connection, Request};
//!
//! let mut client = Connection::<Client>::new(Config::default())?;
//! client.send_request(&Request::get("https", "example.org", "/"), [], true)?;
//! let mut wire = Vec::new();
//! client.poll_transmit(&mut wire);
//!
//! let mut inspector = Inspector::new();
//! let mut input = &wire[..];
//! let mut lines = Vec::new();
//! while let Some(frame) = inspector.inspect(Direction::ToServer, &mut input) {
//!     lines.push(frame.to_string());
//! }
//! assert_eq!(lines[0], "> preface");
//! let start = "> HEADERS stream 1, 13 bytes END_STREAM END_HEADERS {:method: GET";
//! assert!(lines[3].starts_with(start), "{}", lines[3]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use alloc::vec::Vec;
use core::fmt;

use thalweg_hpack::{Decoder, ListLimits, SinkAction};

use crate::frame::{Flags, Frame, FrameHeader, FrameType, HEADER_LEN, PREFACE, parse};
use crate::headers::{HeaderBlock, Headers};
use crate::violation::Violation;

/// The direction of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the client to the server.
    ToServer,
    /// From the server to the client.
    ToClient,
}

/// The inspector of one connection.
#[derive(Debug)]
pub struct Inspector {
    to_server: DirectionState,
    to_client: DirectionState,
}

/// One frame, or another part of the byte stream.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct CapturedFrame<'a> {
    /// The direction.
    pub direction: Direction,
    /// The bytes of this direction that precede it.
    pub offset: u64,
    /// What it is.
    pub captured: Captured<'a>,
}

/// The kinds of what an inspector captures.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Captured<'a> {
    /// The client's preface.
    Preface,
    /// DATA; its payload is not kept.
    Data(FrameHeader),
    /// Any other frame. The one with the last fragment of a field block has the fields.
    Frame(FrameHeader, Frame<'a>, Option<Headers<'a>>),
    /// A frame that is longer than [`PAYLOAD_BYTES_MAX`], and was skipped.
    Oversized(FrameHeader),
    /// A frame that breaks this rule. After a field block that cannot be decoded, later ones of the
    /// direction are not decoded.
    Malformed(FrameHeader, Violation),
    /// The direction does not begin with the preface; its bytes are skipped from here on.
    NotHttp2,
}

/// The state of one direction.
#[derive(Debug)]
struct DirectionState {
    phase: Phase,
    offset: u64,
    carry: Vec<u8>,
    /// The payload of the last captured frame.
    payload: Vec<u8>,
    fragments: Vec<u8>,
    decoder: Decoder,
    decodes: bool,
    headers: HeaderBlock,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Preface,
    FrameHeader,
    Payload(FrameHeader),
    Skip(u32),
    Desynchronized,
}

impl Inspector {
    /// Creates an inspector for a connection from its first byte.
    pub fn new() -> Self {
        Self {
            to_server: DirectionState::new(Phase::Preface),
            to_client: DirectionState::new(Phase::FrameHeader),
        }
    }

    /// Creates an inspector for a connection that has begun: the input starts between two frames of
    /// each direction. The HPACK state of earlier frames is unknown, so no fields are shown.
    pub fn resume() -> Self {
        let state = || DirectionState { decodes: false, ..DirectionState::new(Phase::FrameHeader) };
        Self { to_server: state(), to_client: state() }
    }

    /// Consumes bytes of one direction up to the end of the next frame. Returns `None` if `input`
    /// ends before that.
    pub fn inspect(&mut self, direction: Direction, input: &mut &[u8]) -> Option<CapturedFrame<'_>> {
        let state = match direction {
            Direction::ToServer => &mut self.to_server,
            Direction::ToClient => &mut self.to_client,
        };
        state.inspect(direction, input)
    }
}

impl Default for Inspector {
    fn default() -> Self {
        Self::new()
    }
}

impl DirectionState {
    fn new(phase: Phase) -> Self {
        let mut decoder = Decoder::new(4096);
        // The inspector does not know the agreed size, and accepts any.
        decoder.set_table_bytes_max(TABLE_BYTES_MAX);
        Self {
            phase,
            offset: 0,
            carry: Vec::new(),
            payload: Vec::new(),
            fragments: Vec::new(),
            decoder,
            decodes: true,
            headers: HeaderBlock::default(),
        }
    }

    fn inspect(&mut self, direction: Direction, input: &mut &[u8]) -> Option<CapturedFrame<'_>> {
        loop {
            match self.phase {
                Phase::Preface => {
                    self.collect(PREFACE.len(), input)?;
                    let offset = self.advance(PREFACE.len());
                    if self.carry == PREFACE {
                        self.carry.clear();
                        self.phase = Phase::FrameHeader;
                        return Some(CapturedFrame { direction, offset, captured: Captured::Preface });
                    }
                    self.phase = Phase::Desynchronized;
                    return Some(CapturedFrame { direction, offset, captured: Captured::NotHttp2 });
                }
                Phase::FrameHeader => {
                    self.collect(HEADER_LEN, input)?;
                    let header = self.carry.first_chunk().map(FrameHeader::parse)?;
                    self.carry.clear();
                    if header.kind == FrameType::DATA || header.len > PAYLOAD_BYTES_MAX {
                        let offset = self.advance(HEADER_LEN + header.len as usize);
                        self.phase = Phase::Skip(header.len);
                        let captured = if header.kind == FrameType::DATA {
                            Captured::Data(header)
                        } else {
                            Captured::Oversized(header)
                        };
                        // Without a whole block the dynamic table is unknown.
                        self.decodes &= header.kind == FrameType::DATA || !is_fragment(header.kind);
                        return Some(CapturedFrame { direction, offset, captured });
                    }
                    self.phase = Phase::Payload(header);
                }
                Phase::Payload(header) => {
                    self.collect(header.len as usize, input)?;
                    self.phase = Phase::FrameHeader;
                    let offset = self.advance(HEADER_LEN + header.len as usize);
                    let captured = self.frame(header);
                    return Some(CapturedFrame { direction, offset, captured });
                }
                Phase::Skip(left) => {
                    let len = input.len().min(left as usize);
                    *input = &input[len..];
                    let left = left - len as u32;
                    self.phase = if left == 0 { Phase::FrameHeader } else { Phase::Skip(left) };
                    if left > 0 {
                        return None;
                    }
                }
                Phase::Desynchronized => {
                    *input = &[];
                    return None;
                }
            }
        }
    }

    /// Collects `len` bytes. Returns `None` if the input ends before.
    fn collect(&mut self, len: usize, input: &mut &[u8]) -> Option<()> {
        let missing = len - self.carry.len();
        let (taken, rest) = input.split_at(missing.min(input.len()));
        self.carry.extend_from_slice(taken);
        *input = rest;
        (self.carry.len() == len).then_some(())
    }

    fn advance(&mut self, bytes: usize) -> u64 {
        let offset = self.offset;
        self.offset += bytes as u64;
        offset
    }

    /// Parses the frame whose payload is in `carry`. The result borrows it until the next call.
    fn frame(&mut self, header: FrameHeader) -> Captured<'_> {
        self.headers.clear();
        core::mem::swap(&mut self.carry, &mut self.payload);
        self.carry.clear();
        let payload = core::mem::take(&mut self.payload);
        let whole = self.decode_if_last(header, &payload);
        self.payload = payload;
        let frame = match Frame::parse(header, &self.payload) {
            Ok(frame) => frame,
            Err(violation) => return Captured::Malformed(header, violation),
        };
        match whole {
            Ok(true) => Captured::Frame(header, frame, Some(self.headers.view(&self.decoder))),
            Ok(false) => Captured::Frame(header, frame, None),
            Err(violation) => Captured::Malformed(header, violation),
        }
    }

    /// Collects fragments, and decodes the block after the last one. Returns whether the fields
    /// were decoded.
    fn decode_if_last(&mut self, header: FrameHeader, payload: &[u8]) -> Result<bool, Violation> {
        let fragment = match header.kind {
            FrameType::HEADERS => parse::headers(header.flags, payload)?.0,
            FrameType::PUSH_PROMISE => parse::push_promise(header.flags, payload)?.1,
            FrameType::CONTINUATION => payload,
            _ => return Ok(false),
        };
        self.fragments.extend_from_slice(fragment);
        if self.fragments.len() > PAYLOAD_BYTES_MAX as usize {
            self.decodes = false;
            self.fragments.clear();
        }
        if !header.flags.contains(Flags::END_HEADERS) || !self.decodes {
            return Ok(false);
        }
        let headers = &mut self.headers;
        let decoded = self.decoder.decode(&self.fragments, ListLimits::NONE, |decoded| {
            headers.push(&decoded);
            SinkAction::Unchecked
        });
        self.fragments.clear();
        self.decodes = decoded.is_ok();
        decoded.map(|_| true).map_err(|_| Violation::HeaderBlockInvalid)
    }
}

const fn is_fragment(kind: FrameType) -> bool {
    matches!(kind, FrameType::HEADERS | FrameType::PUSH_PROMISE | FrameType::CONTINUATION)
}

impl fmt::Display for CapturedFrame<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.direction == Direction::ToServer { "> " } else { "< " })?;
        match self.captured {
            Captured::Preface => f.write_str("preface"),
            Captured::NotHttp2 => f.write_str("not HTTP/2"),
            Captured::Data(header) => write_header(f, header),
            Captured::Oversized(header) => {
                write_header(f, header)?;
                f.write_str(" (too long to show)")
            }
            Captured::Malformed(header, violation) => {
                write_header(f, header)?;
                write!(f, " MALFORMED: {violation}")
            }
            Captured::Frame(header, frame, headers) => {
                write_header(f, header)?;
                write_detail(f, &frame)?;
                match headers {
                    Some(headers) => write!(f, " {headers:?}"),
                    None => Ok(()),
                }
            }
        }
    }
}

fn write_header(f: &mut fmt::Formatter<'_>, header: FrameHeader) -> fmt::Result {
    match header.kind.name() {
        Some(name) => f.write_str(name)?,
        None => write!(f, "type {:#x}", header.kind.0)?,
    }
    if !header.stream.is_connection() {
        write!(f, " stream {},", header.stream)?;
    }
    write!(f, " {} bytes", header.len)?;
    let names: &[(Flags, &str)] = match header.kind {
        FrameType::DATA => &[(Flags::END_STREAM, "END_STREAM"), (Flags::PADDED, "PADDED")],
        FrameType::HEADERS | FrameType::PUSH_PROMISE | FrameType::CONTINUATION => &[
            (Flags::END_STREAM, "END_STREAM"),
            (Flags::END_HEADERS, "END_HEADERS"),
            (Flags::PADDED, "PADDED"),
            (Flags::PRIORITY, "PRIORITY"),
        ],
        FrameType::SETTINGS | FrameType::PING => &[(Flags::ACK, "ACK")],
        _ => &[],
    };
    for (flag, name) in names {
        if header.flags.contains(*flag) {
            write!(f, " {name}")?;
        }
    }
    Ok(())
}

fn write_detail(f: &mut fmt::Formatter<'_>, frame: &Frame<'_>) -> fmt::Result {
    match *frame {
        Frame::Settings { entries, .. } => {
            for (id, value) in entries {
                match id.name() {
                    Some(name) => write!(f, " {name}={value}")?,
                    None => write!(f, " {:#x}={value}", id.0)?,
                }
            }
            Ok(())
        }
        Frame::Reset { code, .. } => write!(f, " {code}"),
        Frame::Ping { payload, .. } => write!(f, " {}", payload.escape_ascii()),
        Frame::GoAway { last_stream, code, debug } => {
            write!(f, " last stream {last_stream}, {code}")?;
            if debug.is_empty() { Ok(()) } else { write!(f, ", {}", debug.escape_ascii()) }
        }
        Frame::WindowUpdate { increment, .. } => write!(f, " +{increment}"),
        Frame::PushPromise { promised, .. } => write!(f, " promises stream {promised}"),
        Frame::PriorityUpdate { prioritized, value } => {
            write!(f, " for stream {prioritized}: {}", value.escape_ascii())
        }
        Frame::AltSvc { origin, value, .. } => {
            write!(f, " {} {}", origin.escape_ascii(), value.escape_ascii())
        }
        Frame::Origin { origins } => {
            for origin in origins {
                write!(f, " {}", origin.escape_ascii())?;
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// The longest payload, and the longest field block, that an inspector decodes, bytes.
pub const PAYLOAD_BYTES_MAX: u32 = 64 << 10;
const TABLE_BYTES_MAX: u32 = 1 << 20;

#[cfg(test)]
mod tests {
    use alloc::string::{String, ToString};

    use super::*;
    use crate::stream_id::StreamId;

    fn lines(pieces: &[&[u8]]) -> Vec<String> {
        let mut inspector = Inspector::new();
        let mut lines = Vec::new();
        for mut piece in pieces.iter().copied() {
            while let Some(frame) = inspector.inspect(Direction::ToServer, &mut piece) {
                lines.push(alloc::format!("{} {}", frame.offset, frame));
            }
        }
        lines
    }

    fn wire() -> Vec<u8> {
        let mut wire = PREFACE.to_vec();
        let stream = StreamId::new(1);
        let settings =
            Frame::Settings { ack: false, entries: crate::frame::SettingEntries::new(&[0, 3, 0, 0, 0, 7]) };
        let (first, second) = (&b"\x82\x86\x84"[..], &b"\x41\x01a"[..]);
        let headers = Frame::Headers {
            stream,
            fragment: first,
            end_stream: false,
            end_headers: false,
            dependency: None,
            padding: Some(2),
        };
        let frames = [
            settings,
            headers,
            Frame::Continuation { stream, fragment: second, end_headers: true },
            Frame::Data { stream, data: b"hello", end_stream: true, padding: None },
            Frame::GoAway { last_stream: stream, code: crate::ErrorCode::NO_ERROR, debug: b"bye\n" },
            Frame::Headers {
                stream,
                fragment: b"\xff\xff\xff",
                end_stream: true,
                end_headers: true,
                dependency: None,
                padding: None,
            },
            Frame::WindowUpdate { stream, increment: 9 },
        ];
        for frame in frames {
            frame.emit(&mut wire);
        }
        wire
    }

    const EXPECTED: [&str; 8] = [
        "0 > preface",
        "24 > SETTINGS 6 bytes MAX_CONCURRENT_STREAMS=7",
        "39 > HEADERS stream 1, 6 bytes PADDED",
        "54 > CONTINUATION stream 1, 3 bytes END_HEADERS {:method: GET, :scheme: http, :path: /, :authority: a}",
        "66 > DATA stream 1, 5 bytes END_STREAM",
        "80 > GOAWAY 12 bytes last stream 1, NO_ERROR, bye\\n",
        "101 > HEADERS stream 1, 3 bytes END_STREAM END_HEADERS MALFORMED: the header block cannot be decoded (RFC 9113 §4.3)",
        "113 > WINDOW_UPDATE stream 1, 4 bytes +9",
    ];

    #[test]
    fn a_connection_is_captured_the_same_at_every_split() {
        let wire = wire();
        assert_eq!(lines(&[&wire]), EXPECTED);
        let bytes: Vec<&[u8]> = wire.chunks(1).collect();
        assert_eq!(lines(&bytes), EXPECTED);
        for cut in 0..wire.len() {
            assert_eq!(lines(&[&wire[..cut], &wire[cut..]]), EXPECTED, "cut at {cut}");
        }
    }

    #[test]
    fn a_resumed_inspector_shows_frames_without_fields() {
        let wire = wire();
        let mut inspector = Inspector::resume();
        let mut input = &wire[PREFACE.len()..];
        let mut lines = Vec::new();
        while let Some(frame) = inspector.inspect(Direction::ToServer, &mut input) {
            lines.push(frame.to_string());
        }
        assert_eq!(lines[0], "> SETTINGS 6 bytes MAX_CONCURRENT_STREAMS=7");
        assert_eq!(lines[2], "> CONTINUATION stream 1, 3 bytes END_HEADERS");
        assert_eq!(
            lines[5], "> HEADERS stream 1, 3 bytes END_STREAM END_HEADERS",
            "nor is the block validated"
        );
        assert_eq!(lines.len(), EXPECTED.len() - 1);
    }

    #[test]
    fn a_direction_that_is_not_http2_is_reported_once() {
        assert_eq!(lines(&[b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n"]), ["0 > not HTTP/2"]);
        assert_eq!(lines(&[b"GET / HT"]), Vec::<String>::new());
    }

    #[test]
    fn each_line_begins_with_the_direction() {
        let mut inspector = Inspector::new();
        let mut wire = Vec::new();
        Frame::Ping { ack: true, payload: *b"12345678" }.emit(&mut wire);
        let mut input = &wire[..];
        let frame = inspector.inspect(Direction::ToClient, &mut input).map(|frame| frame.to_string());
        assert_eq!(frame.as_deref(), Some("< PING 8 bytes ACK 12345678"));
    }
}
