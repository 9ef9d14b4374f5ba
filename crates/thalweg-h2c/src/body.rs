//! The body of a request that upgrades: it must be here to its last byte before HTTP/2 begins (RFC 7540 §3.2).

use alloc::vec::Vec;

use crate::rejection::UpgradeRejection;

/// A body on its way in.
pub(crate) enum Body {
    /// Delimited by Content-Length, with this many bytes to come.
    Length { left: usize },
    /// Delimited by chunks.
    Chunked(Chunked),
}

/// Where a body stands after some input.
pub(crate) enum BodyStatus {
    /// More has to come.
    More,
    /// This is all.
    Complete,
    /// It will not do for an Upgrade. The bytes that told so are taken.
    Rejected(UpgradeRejection),
}

impl Body {
    /// Takes bytes up to the end of the body: as they are into `seen`, and what they say into `body`.
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

/// The chunks of RFC 9112 §7.1, without what makes readers disagree: extensions, white space, bare LF, trailers.
pub(crate) struct Chunked {
    state: ChunkState,
    /// Bytes that may still come, framing included.
    remaining: usize,
    limit: usize,
}

/// What the next byte is. Data that is left never exceeds the room.
#[derive(Clone, Copy)]
enum ChunkState {
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
    pub(crate) fn new(limit: usize) -> Self {
        Self { state: ChunkState::Size, remaining: limit, limit }
    }

    fn receive(&mut self, input: &mut &[u8], seen: &mut Vec<u8>, body: &mut Vec<u8>) -> BodyStatus {
        loop {
            // The empty line is still to come, so nothing that fills the room can be all.
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

    /// Takes one byte of framing. Says nothing while the body goes on.
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
            // A chunk that cannot fit with what must follow it is refused before it is kept.
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

/// The end of a chunk, the last chunk, and the empty line.
const LEAST_BEHIND_DATA: &[u8] = b"\r\n0\r\n\r\n";

fn digit(byte: u8) -> usize {
    match byte {
        b'0'..=b'9' => usize::from(byte - b'0'),
        _ => usize::from((byte | 0x20) - b'a') + 10,
    }
}
