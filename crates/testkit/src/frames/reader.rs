//! A strict frame reader: it rejects what an endpoint must not send, even where a receiver has to
//! ignore it.

use std::fmt::{self, Display, Formatter};

use super::show::{defined_flags, kind_name};
use super::{Dependency, Frame, HEADER_LEN, PREFACE, Padding, flag, kind};

/// Reads frames from bytes that arrive in pieces of any length.
#[derive(Debug)]
pub struct Reader {
    buffer: Vec<u8>,
    /// Bytes at the front of `buffer` that were taken; the next `push` removes them, so that many
    /// frames cost one move.
    taken: usize,
    frame_bytes_max: usize,
    /// The stream of an unfinished field block.
    block_of: Option<u32>,
}

/// Why bytes are not a frame that an endpoint may send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadError {
    /// The frame header, as far as it could be read.
    pub header: [u8; HEADER_LEN],
    /// What is wrong with it.
    pub reason: &'static str,
}

impl Display for ReadError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let [a, b, c, kind, flags, stream @ ..] = self.header;
        write!(
            f,
            "{}: length {}, type {kind:#x} ({}), flags {flags:#x}, stream {:#x}",
            self.reason,
            u32::from_be_bytes([0, a, b, c]),
            kind_name(kind).unwrap_or("unknown"),
            u32::from_be_bytes(stream)
        )
    }
}

impl std::error::Error for ReadError {}

impl Default for Reader {
    fn default() -> Self {
        Self { buffer: Vec::new(), taken: 0, frame_bytes_max: 16_384, block_of: None }
    }
}

impl Reader {
    /// Sets the largest payload of the following frames, bytes (RFC 9113 §4.2); 16,384 at the
    /// start.
    pub fn allow_frame_bytes(&mut self, max: usize) {
        self.frame_bytes_max = max;
    }

    /// Appends bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.taken);
        self.taken = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// Returns the bytes of the unfinished frame.
    pub fn rest(&self) -> &[u8] {
        &self.buffer[self.taken..]
    }

    /// Whether a field block is unfinished, so that only CONTINUATION may follow.
    pub fn in_block(&self) -> bool {
        self.block_of.is_some()
    }

    /// Removes and returns the next whole frame.
    ///
    /// # Errors
    /// The frame breaks a rule for senders. The reader must not be used afterwards.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, ReadError> {
        let Some(&header) = self.rest().first_chunk::<HEADER_LEN>() else { return Ok(None) };
        let len = u32::from_be_bytes([0, header[0], header[1], header[2]]) as usize;
        let fail = |reason| Err(ReadError { header, reason });
        if len > self.frame_bytes_max {
            return fail("longer than the receiver allows");
        }
        let Some(payload) = self.rest().get(HEADER_LEN..HEADER_LEN + len) else { return Ok(None) };
        let frame = match parse(header, payload) {
            Ok(frame) => frame,
            Err(reason) => return fail(reason),
        };
        if let Err(reason) = self.follow_block(&frame) {
            return fail(reason);
        }
        self.taken += HEADER_LEN + len;
        Ok(Some(frame))
    }

    /// RFC 9113 §6.10: between HEADERS or PUSH_PROMISE and END_HEADERS only CONTINUATION of that
    /// stream may come.
    fn follow_block(&mut self, frame: &Frame) -> Result<(), &'static str> {
        let continues = frame.kind == kind::CONTINUATION;
        match self.block_of {
            Some(stream) if !continues || frame.stream != stream => return Err("inside a header block"),
            None if continues => return Err("continues no header block"),
            _ => {}
        }
        if continues || matches!(frame.kind, kind::HEADERS | kind::PUSH_PROMISE) {
            self.block_of = (!frame.has(flag::END_HEADERS)).then_some(frame.stream);
        }
        Ok(())
    }
}

/// Reads all frames, of any length.
///
/// # Panics
/// If a frame breaks a rule for senders, or if the last frame or a field block is unfinished.
pub fn read_all(wire: &[u8]) -> Vec<Frame> {
    let mut reader = Reader { buffer: wire.to_vec(), taken: 0, frame_bytes_max: 1 << 24, block_of: None };
    let mut frames = Vec::new();
    loop {
        match reader.next_frame() {
            Ok(Some(frame)) => frames.push(frame),
            Ok(None) => break,
            Err(error) => panic!("frame {} of the wire: {error}", frames.len()),
        }
    }
    assert!(reader.rest().is_empty(), "the wire ends inside a frame: {:02x?}", reader.rest());
    assert!(!reader.in_block(), "the wire ends inside a header block");
    frames
}

/// Returns what follows the client's preface.
///
/// # Panics
/// If the bytes do not begin with the preface.
pub fn after_preface(wire: &[u8]) -> &[u8] {
    wire.strip_prefix(&PREFACE).expect("a client begins with its preface")
}

fn parse(header: [u8; HEADER_LEN], payload: &[u8]) -> Result<Frame, &'static str> {
    let [_, _, _, kind, flags, stream @ ..] = header;
    let stream = u32::from_be_bytes(stream);
    if stream >> 31 != 0 {
        return Err("the reserved bit is set");
    }
    let known = kind_name(kind).is_some();
    let defined: u8 = defined_flags(kind).iter().map(|(bit, _)| bit).sum();
    if known && flags & !defined != 0 {
        return Err("a flag without a meaning is set");
    }
    let (padding, rest) = if defined & flags & flag::PADDED != 0 {
        let (&announced, rest) = payload.split_first().ok_or("no room for the Pad Length")?;
        let content = rest.len().checked_sub(announced.into()).ok_or("more padding than payload")?;
        let (rest, bytes) = rest.split_at(content);
        (Some(Padding { announced, bytes: bytes.to_vec() }), rest)
    } else {
        (None, payload)
    };
    let has_dependency = kind == kind::PRIORITY || kind == kind::HEADERS && flags & flag::PRIORITY != 0;
    let (dependency, body) = if has_dependency {
        let (fields, body) = rest.split_first_chunk::<5>().ok_or("no room for the priority fields")?;
        (Some(parse_dependency(*fields)), body)
    } else {
        (None, rest)
    };
    let frame = Frame { kind, flags, stream, body: body.to_vec(), dependency, padding, length: None };
    check_place(&frame)?;
    check_body(&frame)?;
    Ok(frame)
}

fn parse_dependency([a, b, c, d, weight]: [u8; 5]) -> Dependency {
    let word = u32::from_be_bytes([a, b, c, d]);
    Dependency { stream: word & (u32::MAX >> 1), exclusive: word >> 31 == 1, weight }
}

/// RFC 9113 §6: frames of the connection are on stream 0, frames of a stream are not.
fn check_place(frame: &Frame) -> Result<(), &'static str> {
    let on_connection = frame.stream == 0;
    match frame.kind {
        kind::SETTINGS | kind::PING | kind::GOAWAY | kind::ORIGIN | kind::PRIORITY_UPDATE
            if !on_connection =>
        {
            Err("belongs on stream 0")
        }
        kind::DATA
        | kind::HEADERS
        | kind::PRIORITY
        | kind::RST_STREAM
        | kind::PUSH_PROMISE
        | kind::CONTINUATION
            if on_connection =>
        {
            Err("belongs on a stream")
        }
        _ => Ok(()),
    }
}

/// Lengths and values that a sender must keep.
fn check_body(frame: &Frame) -> Result<(), &'static str> {
    let len = frame.body.len();
    let fits = match frame.kind {
        kind::PRIORITY => len == 0,
        kind::RST_STREAM | kind::WINDOW_UPDATE => len == 4,
        kind::SETTINGS if frame.has(flag::ACK) => len == 0,
        kind::SETTINGS => len.is_multiple_of(6),
        kind::PUSH_PROMISE | kind::PRIORITY_UPDATE => len >= 4,
        kind::PING => len == 8,
        kind::GOAWAY => len >= 8,
        kind::ALTSVC => len >= 2,
        _ => true,
    };
    if !fits {
        return Err("wrong length for its type");
    }
    if let Some(Dependency { stream, .. }) = frame.dependency
        && stream == frame.stream
    {
        return Err("depends on itself");
    }
    if frame.padding.as_ref().is_some_and(|padding| padding.bytes.iter().any(|byte| *byte != 0)) {
        return Err("padding is not zero");
    }
    match frame.promised().or(frame.last_stream()).or(frame.increment()) {
        Some(word) if word >> 31 != 0 => Err("the reserved bit in the payload is set"),
        Some(0) if frame.kind == kind::WINDOW_UPDATE => Err("an increment of 0"),
        Some(0) if frame.kind == kind::PRIORITY_UPDATE => Err("the priority of stream 0"),
        // RFC 9113 §5.1.1: a server promises even streams.
        Some(word) if frame.kind == kind::PUSH_PROMISE && (word == 0 || !word.is_multiple_of(2)) => {
            Err("a promised stream has an even identifier")
        }
        _ => Ok(()),
    }
}
