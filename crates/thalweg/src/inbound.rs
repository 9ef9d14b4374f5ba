//! The byte machine: cuts the input into frames, whatever the cuts of the transport.
//!
//! ```text
//! Preface -> FrameHeader -> Payload -> FrameHeader     control frames, header blocks: whole payloads
//!                 -> Data -> Skip        DATA: handed out as it comes, then padding
//!                 -> Skip                frames that nobody wants
//! ```
//!
//! Keeps true: a frame that is whole in the caller's buffer is not copied; what is carried over is at most one head and one payload
//! of a known bound; DATA is never carried; only an empty input stops the machine.

use alloc::boxed::Box;
use alloc::vec::Vec;

use thalweg_hpack::BlockSkipper;

use crate::frame::{FrameHeader, FrameType, HEADER_LEN, PREFACE};
use crate::stream_id::{StreamId, StreamKey};
use crate::violation::Violation;

/// Where the machine stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// A client's preface is due; so many bytes of it have come.
    Preface { matched: u8 },
    /// A frame head is due.
    FrameHeader,
    /// The payload of this frame is due.
    Payload(FrameHeader),
    /// DATA is being handed out.
    Data(DataPhase),
    /// So many bytes are passed over.
    Skip { left: u32 },
    /// DATA with padding is passed over; its Pad Length is due.
    SkipPadded { stream: StreamId, left: u32 },
    /// The connection has failed.
    Stopped,
}

/// A DATA frame under way. It was debited from the windows at its head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataPhase {
    /// The stream.
    pub stream: StreamKey,
    /// Payload bytes that are still to come; content first, then padding.
    pub left: u32,
    /// Padding behind the content; `None` while the Pad Length is still to come.
    pub pad_len: Option<u8>,
    /// END_STREAM
    pub end: bool,
    /// The whole payload, as flow control counts it.
    pub len: u32,
    /// Pad Length and padding, as flow control counts them.
    pub overhead: u32,
}

/// A header block of which the last fragment has not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenBlock {
    /// The stream of its frames.
    pub stream: StreamId,
    /// The promised stream, for PUSH_PROMISE.
    pub promised: Option<StreamId>,
    /// END_STREAM
    pub end: bool,
    /// CONTINUATION frames so far.
    pub continuations: u32,
    /// Bytes of fragments so far.
    pub bytes: u32,
}

/// The machine.
#[derive(Debug)]
pub struct Inbound {
    /// Where it stands.
    pub phase: Phase,
    /// The header block under way.
    pub open_block: Option<OpenBlock>,
    /// Fragments of that block, none when it is too large to be kept.
    pub fragments: Vec<u8>,
    /// What decodes the block under way when it is too large to be kept.
    pub skipper: Option<Box<BlockSkipper>>,
    header: [u8; HEADER_LEN],
    header_len: u8,
    payload: Vec<u8>,
    last_frame: Option<(FrameType, StreamId)>,
}

/// A payload that is whole.
pub enum Payload<'b> {
    /// In the caller's buffer.
    Borrowed(&'b [u8]),
    /// Carried over; [`Inbound::recycle`] returns the memory.
    Buffered(Vec<u8>),
}

impl Inbound {
    /// Starts before the preface, or before the first frame.
    pub const fn new(expects_preface: bool) -> Self {
        let phase = if expects_preface { Phase::Preface { matched: 0 } } else { Phase::FrameHeader };
        Self {
            phase,
            open_block: None,
            fragments: Vec::new(),
            skipper: None,
            header: [0; HEADER_LEN],
            header_len: 0,
            payload: Vec::new(),
            last_frame: None,
        }
    }

    /// Compares input with the preface, of which `matched` bytes were received.
    ///
    /// # Errors
    /// `PrefaceInvalid`: they differ.
    pub fn take_preface(&mut self, matched: u8, input: &mut &[u8]) -> Result<(), Violation> {
        let expected = &PREFACE[usize::from(matched)..];
        let len = expected.len().min(input.len());
        let (seen, rest) = input.split_at(len);
        if seen != &expected[..len] {
            return Err(Violation::PrefaceInvalid);
        }
        *input = rest;
        let whole = len == expected.len();
        self.phase = if whole { Phase::FrameHeader } else { Phase::Preface { matched: matched + len as u8 } };
        Ok(())
    }

    /// Takes a head off the input; `None` when it is not whole yet, and the input is empty then.
    #[inline]
    pub fn take_header(&mut self, input: &mut &[u8]) -> Option<FrameHeader> {
        if self.header_len == 0
            && let Some((header, rest)) = input.split_first_chunk::<HEADER_LEN>()
        {
            *input = rest;
            return Some(self.record_header(FrameHeader::parse(header)));
        }
        self.buffer_header(input)
    }

    #[inline]
    const fn record_header(&mut self, header: FrameHeader) -> FrameHeader {
        self.last_frame = Some((header.kind, header.stream));
        header
    }

    /// Returns the type and the stream of the last frame header.
    pub const fn last_frame(&self) -> Option<(FrameType, StreamId)> {
        self.last_frame
    }

    /// What has come of a frame head that is not whole.
    pub fn unfinished_head(&self) -> Vec<u8> {
        self.header[..usize::from(self.header_len)].to_vec()
    }

    fn buffer_header(&mut self, input: &mut &[u8]) -> Option<FrameHeader> {
        let have = usize::from(self.header_len);
        let len = (HEADER_LEN - have).min(input.len());
        let (seen, rest) = input.split_at(len);
        self.header[have..have + len].copy_from_slice(seen);
        *input = rest;
        self.header_len += len as u8;
        if usize::from(self.header_len) < HEADER_LEN {
            return None;
        }
        self.header_len = 0;
        Some(self.record_header(FrameHeader::parse(&self.header)))
    }

    /// Takes a payload of `len` bytes off the input; `None` when it is not whole yet, and the input is empty then.
    #[inline]
    pub fn take_payload<'b>(&mut self, len: usize, input: &mut &'b [u8]) -> Option<Payload<'b>> {
        if self.payload.is_empty()
            && let Some((payload, rest)) = input.split_at_checked(len)
        {
            *input = rest;
            return Some(Payload::Borrowed(payload));
        }
        let missing = len - self.payload.len();
        let (seen, rest) = input.split_at(missing.min(input.len()));
        self.payload.extend_from_slice(seen);
        *input = rest;
        if self.payload.len() < len {
            return None;
        }
        Some(Payload::Buffered(core::mem::take(&mut self.payload)))
    }

    /// Returns the memory of a carried payload. Small buffers are kept, large ones freed.
    pub fn recycle(&mut self, mut payload: Vec<u8>) {
        payload.clear();
        if payload.capacity() <= KEPT_BYTES_MAX {
            self.payload = payload;
        }
    }

    /// Ends the header block under way; its fragments' memory is kept if it is small.
    pub fn close_block(&mut self, mut fragments: Vec<u8>) {
        self.open_block = None;
        fragments.clear();
        if fragments.capacity() <= KEPT_BYTES_MAX {
            self.fragments = fragments;
        }
    }

    /// Whether the input so far ends between two frames.
    pub fn is_between_frames(&self) -> bool {
        self.phase == Phase::FrameHeader && self.header_len == 0 && self.open_block.is_none()
    }

    /// Takes no more input for good, and frees what was carried.
    pub fn stop(&mut self) {
        self.phase = Phase::Stopped;
        self.open_block = None;
        self.fragments = Vec::new();
        self.skipper = None;
        self.payload = Vec::new();
    }

    /// Returns the memory that is held, bytes.
    pub fn capacity_bytes(&self) -> usize {
        let skipper = self.skipper.as_ref();
        let skipped = skipper.map_or(0, |skipper| size_of::<BlockSkipper>() + skipper.capacity_bytes());
        self.payload.capacity() + self.fragments.capacity() + skipped
    }
}

/// The largest buffer that is kept for the next frame, bytes.
const KEPT_BYTES_MAX: usize = 1024;
