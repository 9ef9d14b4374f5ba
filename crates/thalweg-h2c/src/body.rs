//! The body of an upgrade request, all of which must arrive before HTTP/2 begins (RFC 7540 §3.2).

use alloc::vec::Vec;

use crate::rejection::UpgradeRejection;

/// A body that is being received.
pub(crate) enum Body {
    /// Delimited by Content-Length; this many bytes remain.
    Length { left: usize },
    /// Delimited by chunks.
    Chunked(Chunked),
}

/// The state of a body after some input.
pub(crate) enum BodyStatus {
    /// The body is incomplete.
    More,
    /// The body is complete.
    Complete,
    /// The body rules out an upgrade. The bytes that show this are consumed.
    Rejected(UpgradeRejection),
}

impl Body {
    /// Consumes bytes up to the end of the body. Appends them unchanged to `seen`, and the content
    /// to `body`.
    pub(crate) fn receive(
        &mut self,
        input: &mut &[u8],
        seen: &mut Vec<u8>,
        body: &mut Vec<u8>,
    ) -> BodyStatus {
        match self {
            Self::Length { left } => {
                let (taken, rest) = input.split_at((*left).min(input.len()));
                *input = rest;
                *left -= taken.len();
                seen.extend_from_slice(taken);
                body.extend_from_slice(taken);
                if *left == 0 { BodyStatus::Complete } else { BodyStatus::More }
            }
            Self::Chunked(chunked) => chunked.receive(input, seen, body),
        }
    }
}

/// The chunked coding of RFC 9112 §7.1, without the parts that parsers disagree on: extensions,
/// white space, bare LF, trailers.
pub(crate) struct Chunked {
    state: ChunkState,
    /// Bytes that may still arrive, including framing.
    remaining: usize,
    limit: usize,
}

/// What the next byte is. The remaining data of a chunk never exceeds `remaining`.
#[derive(Clone, Copy)]
enum ChunkState {
    /// The first digit of a chunk size.
    Size,
    /// A further digit, or the CR after the last.
    SizeOrCr { size: usize },
    /// The LF after a chunk size.
    SizeLf { size: usize },
    /// The data of a chunk.
    Data { left: usize },
    /// The CR after the data.
    DataCr,
    /// The LF after the data.
    DataLf,
    /// The CR of the empty line after the last chunk; any other byte begins a trailer.
    LastCr,
    /// The LF of that line.
    LastLf,
}

impl Chunked {
    /// Creates the state for a chunked body of at most `limit` bytes on the wire.
    pub(crate) fn new(limit: usize) -> Self {
        Self { state: ChunkState::Size, remaining: limit, limit }
    }

    fn receive(&mut self, input: &mut &[u8], seen: &mut Vec<u8>, body: &mut Vec<u8>) -> BodyStatus {
        loop {
            // The empty line is still missing, so a body that reaches the limit exceeds it.
            if self.remaining == 0 {
                return self.too_long();
            }
            if let ChunkState::Data { left } = self.state {
                let (taken, rest) = input.split_at(left.min(input.len()));
                *input = rest;
                self.remaining -= taken.len();
                seen.extend_from_slice(taken);
                body.extend_from_slice(taken);
                if taken.len() < left {
                    self.state = ChunkState::Data { left: left - taken.len() };
                    return BodyStatus::More;
                }
                self.state = ChunkState::DataCr;
                continue;
            }
            let Some((&byte, rest)) = input.split_first() else { return BodyStatus::More };
            *input = rest;
            self.remaining -= 1;
            seen.push(byte);
            if let Some(progress) = self.step(byte) {
                return progress;
            }
        }
    }

    /// Processes one byte of framing. Returns `None` while the body is incomplete.
    fn step(&mut self, byte: u8) -> Option<BodyStatus> {
        self.state = match (self.state, byte) {
            (ChunkState::Size, _) if byte.is_ascii_hexdigit() => ChunkState::SizeOrCr { size: digit(byte) },
            (ChunkState::SizeOrCr { size }, _) if byte.is_ascii_hexdigit() => {
                ChunkState::SizeOrCr { size: size.saturating_mul(16).saturating_add(digit(byte)) }
            }
            (ChunkState::SizeOrCr { size }, b'\r') => ChunkState::SizeLf { size },
            (ChunkState::SizeLf { size: 0 }, b'\n') => ChunkState::LastCr,
            (ChunkState::SizeLf { size }, b'\n') => ChunkState::Data { left: size },
            (ChunkState::DataCr, b'\r') => ChunkState::DataLf,
            (ChunkState::DataLf, b'\n') => ChunkState::Size,
            (ChunkState::LastCr, b'\r') => ChunkState::LastLf,
            (ChunkState::LastLf, b'\n') => return Some(BodyStatus::Complete),
            (ChunkState::LastCr, _) => return Some(BodyStatus::Rejected(UpgradeRejection::Trailers)),
            _ => return Some(BodyStatus::Rejected(UpgradeRejection::Chunk)),
        };
        match self.state {
            // A chunk that cannot fit together with the minimum that follows is rejected before it
            // is buffered.
            ChunkState::Data { left } if left > self.remaining.saturating_sub(LEAST_BEHIND_DATA.len()) => {
                Some(self.too_long())
            }
            _ => None,
        }
    }

    fn too_long(&self) -> BodyStatus {
        BodyStatus::Rejected(UpgradeRejection::BodyTooLong { limit: self.limit })
    }
}

/// The minimum after the data of a chunk: its end, the last chunk, and the empty line.
const LEAST_BEHIND_DATA: &[u8] = b"\r\n0\r\n\r\n";

fn digit(byte: u8) -> usize {
    match byte {
        b'0'..=b'9' => usize::from(byte - b'0'),
        _ => usize::from((byte | 0x20) - b'a') + 10,
    }
}
