//! The body of a request that upgrades: it must be here to its last byte before HTTP/2 begins (RFC 7540 §3.2).

use alloc::vec::Vec;

use crate::refusal::Refusal;

/// A body on its way in.
pub enum Body {
    /// Delimited by Content-Length, with this many bytes to come.
    Length { left: usize },
    /// Delimited by chunks.
    Chunked(Chunked),
}

/// Where a body stands after some input.
pub enum Progress {
    /// More has to come.
    More,
    /// This is all.
    Complete,
    /// It will not do for an Upgrade. The bytes that told so are taken.
    Refused(Refusal),
}

impl Body {
    /// Takes bytes up to the end of the body: as they are into `seen`, and what they say into `body`.
    pub fn receive(&mut self, input: &mut &[u8], seen: &mut Vec<u8>, body: &mut Vec<u8>) -> Progress {
        match self {
            Self::Length { left } => {
                let (taken, rest) = input.split_at((*left).min(input.len()));
                *input = rest;
                *left -= taken.len();
                seen.extend_from_slice(taken);
                body.extend_from_slice(taken);
                if *left == 0 { Progress::Complete } else { Progress::More }
            }
            Self::Chunked(chunked) => chunked.receive(input, seen, body),
        }
    }
}

/// The chunks of RFC 9112 §7.1, without what makes readers disagree: extensions, white space, bare LF, trailers.
pub struct Chunked {
    place: Place,
    /// Bytes that may still come, framing included.
    room: usize,
    limit: usize,
}

/// What the next byte is. Data that is left never exceeds the room.
#[derive(Clone, Copy)]
enum Place {
    /// The first digit of a size.
    Size,
    /// A further digit, or the CR behind the last.
    SizeOrCr { size: usize },
    /// The LF behind a size.
    SizeLf { size: usize },
    /// Data of a chunk.
    Data { left: usize },
    /// The CR behind the data.
    DataCr,
    /// The LF behind the data.
    DataLf,
    /// The CR of the empty line behind the last chunk; anything else begins a trailer.
    LastCr,
    /// The LF of that line.
    LastLf,
}

impl Chunked {
    /// Expects a chunked body that takes `limit` bytes on the wire at most.
    pub fn new(limit: usize) -> Self {
        Self { place: Place::Size, room: limit, limit }
    }

    fn receive(&mut self, input: &mut &[u8], seen: &mut Vec<u8>, body: &mut Vec<u8>) -> Progress {
        loop {
            // The empty line is still to come, so nothing that fills the room can be all.
            if self.room == 0 {
                return self.too_long();
            }
            if let Place::Data { left } = self.place {
                let (taken, rest) = input.split_at(left.min(input.len()));
                *input = rest;
                self.room -= taken.len();
                seen.extend_from_slice(taken);
                body.extend_from_slice(taken);
                if taken.len() < left {
                    self.place = Place::Data { left: left - taken.len() };
                    return Progress::More;
                }
                self.place = Place::DataCr;
                continue;
            }
            let Some((&byte, rest)) = input.split_first() else { return Progress::More };
            *input = rest;
            self.room -= 1;
            seen.push(byte);
            if let Some(progress) = self.step(byte) {
                return progress;
            }
        }
    }

    /// Takes one byte of framing. Says nothing while the body goes on.
    fn step(&mut self, byte: u8) -> Option<Progress> {
        self.place = match (self.place, byte) {
            (Place::Size, _) if byte.is_ascii_hexdigit() => Place::SizeOrCr { size: digit(byte) },
            (Place::SizeOrCr { size }, _) if byte.is_ascii_hexdigit() => {
                Place::SizeOrCr { size: size.saturating_mul(16).saturating_add(digit(byte)) }
            }
            (Place::SizeOrCr { size }, b'\r') => Place::SizeLf { size },
            (Place::SizeLf { size: 0 }, b'\n') => Place::LastCr,
            (Place::SizeLf { size }, b'\n') => Place::Data { left: size },
            (Place::DataCr, b'\r') => Place::DataLf,
            (Place::DataLf, b'\n') => Place::Size,
            (Place::LastCr, b'\r') => Place::LastLf,
            (Place::LastLf, b'\n') => return Some(Progress::Complete),
            (Place::LastCr, _) => return Some(Progress::Refused(Refusal::Trailers)),
            _ => return Some(Progress::Refused(Refusal::Chunk)),
        };
        match self.place {
            // A chunk that cannot fit with what must follow it is refused before it is kept.
            Place::Data { left } if left > self.room.saturating_sub(LEAST_BEHIND_DATA.len()) => {
                Some(self.too_long())
            }
            _ => None,
        }
    }

    fn too_long(&self) -> Progress {
        Progress::Refused(Refusal::BodyTooLong { limit: self.limit })
    }
}

/// The end of a chunk, the last chunk, and the empty line.
const LEAST_BEHIND_DATA: &[u8] = b"\r\n0\r\n\r\n";

fn digit(byte: u8) -> usize {
    match byte {
        b'0'..=b'9' => usize::from(byte - b'0'),
        _ => usize::from((byte | 0x20) - b'a') + 10,
    }
}
