//! Cuts the input into frames, however the transport has divided it.
//!
//! ```text
//! Preface -> FrameHeader -> Payload -> FrameHeader   control frames, header blocks: whole payloads
//!                        -> Data -> Skip             DATA: returned as it arrives, then padding
//!                        -> Skip                     frames that are ignored
//! ```
//!
//! Invariants: a frame that is whole in the caller's buffer is not copied; at most one frame header
//! and one payload of a known bound are buffered, DATA never; all input is consumed.

use alloc::boxed::Box;
use alloc::vec::Vec;

use thalweg_hpack::BlockSkipper;

use crate::frame::{FrameHeader, FrameType, HEADER_LEN, PREFACE};
use crate::stream_id::{StreamId, StreamKey};
use crate::violation::Violation;

/// What the next byte of the input belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The client's preface, of which `matched` bytes were received.
    Preface { matched: u8 },
    /// A frame header.
    FrameHeader,
    /// The payload of this frame.
    Payload(FrameHeader),
    /// DATA that is returned as it arrives.
    Data(DataPhase),
    /// A payload that is ignored; `left` bytes follow.
    Skip { left: u32 },
    /// The Pad Length of DATA that is ignored.
    SkipPadded { stream: StreamId, left: u32 },
    /// Nothing: the connection has failed.
    Stopped,
}

/// A DATA frame that is being received. The windows were debited at its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DataPhase {
    /// The stream.
    pub stream: StreamKey,
    /// Payload bytes that follow: content first, then padding.
    pub left: u32,
    /// The padding after the content; `None` before the Pad Length was received.
    pub pad_len: Option<u8>,
    /// END_STREAM
    pub end: bool,
    /// The whole payload, as flow control counts it.
    pub len: u32,
    /// Pad Length and padding, as flow control counts them.
    pub overhead: u32,
}

impl DataPhase {
    /// Whether no event is possible before more input arrives.
    pub(crate) fn needs_input(&self) -> bool {
        match self.pad_len {
            None => true,
            Some(pad_len) => self.left > u32::from(pad_len),
        }
    }
}

/// A header block whose last fragment was not received yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OpenBlock {
    /// The stream of its frames.
    pub stream: StreamId,
    /// The promised stream, for PUSH_PROMISE.
    pub promised: Option<StreamId>,
    /// END_STREAM
    pub end: bool,
    /// Whether HEADERS names its own stream as the one that it depends on.
    pub depends_on_itself: bool,
    /// CONTINUATION frames so far.
    pub continuations: u32,
    /// Bytes of fragments so far.
    pub bytes: u32,
}

/// The state of the input.
#[derive(Debug)]
pub(crate) struct Inbound {
    /// What the next byte belongs to.
    pub phase: Phase,
    /// The open header block.
    pub open_block: Option<OpenBlock>,
    /// The fragments of that block; empty when it is too large to be kept.
    pub fragments: Vec<u8>,
    /// Decodes the open block when it is too large to be kept.
    pub skipper: Option<Box<BlockSkipper>>,
    header: [u8; HEADER_LEN],
    header_len: u8,
    payload: Vec<u8>,
    last_frame: Option<(FrameType, StreamId)>,
}

/// A whole payload.
pub(crate) enum Payload<'b> {
    /// In the caller's buffer.
    Borrowed(&'b [u8]),
    /// Collected from several inputs; [`Inbound::recycle`] takes the memory back.
    Buffered(Vec<u8>),
}

impl Inbound {
    /// Creates the state before the preface, or before the first frame.
    pub(crate) const fn new(expects_preface: bool) -> Self {
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
    pub(crate) fn take_preface(&mut self, matched: u8, input: &mut &[u8]) -> Result<(), Violation> {
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

    /// Skips payload bytes, of which `left` follow. Returns whether more of them follow; the input
    /// is then empty.
    pub(crate) fn skip_payload(&mut self, left: u32, input: &mut &[u8]) -> bool {
        let len = input.len().min(left as usize);
        *input = &input[len..];
        let left = left - len as u32;
        self.phase = if left > 0 { Phase::Skip { left } } else { Phase::FrameHeader };
        left > 0
    }

    /// Takes a frame header off the input; `None` if it is incomplete, and the input is then empty.
    #[inline]
    pub(crate) fn take_header(&mut self, input: &mut &[u8]) -> Option<FrameHeader> {
        if self.header_len == 0
            && let Some((header, rest)) = input.split_first_chunk::<HEADER_LEN>()
        {
            *input = rest;
            return Some(self.record_header(FrameHeader::parse(header)));
        }
        // Each read ends here.
        if input.is_empty() { None } else { self.buffer_header(input) }
    }

    #[inline]
    const fn record_header(&mut self, header: FrameHeader) -> FrameHeader {
        self.last_frame = Some((header.kind, header.stream));
        header
    }

    /// Returns the type and the stream of the last frame header.
    pub(crate) const fn last_frame(&self) -> Option<(FrameType, StreamId)> {
        self.last_frame
    }

    /// Returns what was received of an incomplete frame header.
    pub(crate) fn unfinished_header(&self) -> Vec<u8> {
        self.header[..usize::from(self.header_len)].to_vec()
    }

    /// Collects a frame header that several inputs hold. Not a part of the loop over frames, which
    /// would keep the address of each byte.
    #[inline(never)]
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

    /// Takes a payload of `len` bytes off the input; `None` if it is incomplete, and the input is
    /// then empty.
    #[inline]
    pub(crate) fn take_payload<'b>(&mut self, len: usize, input: &mut &'b [u8]) -> Option<Payload<'b>> {
        if self.payload.is_empty()
            && let Some((payload, rest)) = input.split_at_checked(len)
        {
            *input = rest;
            return Some(Payload::Borrowed(payload));
        }
        self.buffer_payload(len, input)
    }

    /// Collects a payload that several inputs hold.
    #[inline(never)]
    fn buffer_payload<'b>(&mut self, len: usize, input: &mut &'b [u8]) -> Option<Payload<'b>> {
        let missing = len - self.payload.len();
        let (seen, rest) = input.split_at(missing.min(input.len()));
        self.payload.extend_from_slice(seen);
        *input = rest;
        if self.payload.len() < len {
            return None;
        }
        Some(Payload::Buffered(core::mem::take(&mut self.payload)))
    }

    /// Takes the memory of a buffered payload back. Large buffers are freed.
    pub(crate) fn recycle(&mut self, mut payload: Vec<u8>) {
        payload.clear();
        if payload.capacity() <= KEPT_BYTES_MAX {
            self.payload = payload;
        }
    }

    /// Closes the open header block. The memory of its fragments is kept if it is small.
    pub(crate) fn close_block(&mut self, mut fragments: Vec<u8>) {
        self.open_block = None;
        fragments.clear();
        if fragments.capacity() <= KEPT_BYTES_MAX {
            self.fragments = fragments;
        }
    }

    /// Whether the input so far ends between two frames.
    pub(crate) fn is_between_frames(&self) -> bool {
        self.phase == Phase::FrameHeader && self.header_len == 0 && self.open_block.is_none()
    }

    /// Stops taking input, and frees what was buffered.
    pub(crate) fn stop(&mut self) {
        self.phase = Phase::Stopped;
        self.open_block = None;
        self.fragments = Vec::new();
        self.skipper = None;
        self.payload = Vec::new();
    }

    /// Returns the heap that is held, bytes.
    pub(crate) fn capacity_bytes(&self) -> usize {
        let skipper = self.skipper.as_ref();
        let skipped = skipper.map_or(0, |skipper| size_of::<BlockSkipper>() + skipper.capacity_bytes());
        self.payload.capacity() + self.fragments.capacity() + skipped
    }
}

/// The largest buffer that is kept for the next frame, bytes.
const KEPT_BYTES_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ignored_payload_is_skipped_across_inputs_and_no_further() {
        let mut inbound = Inbound::new(false);
        let mut input = &b"abc"[..];
        assert!(inbound.skip_payload(5, &mut input));
        assert_eq!((inbound.phase, input), (Phase::Skip { left: 2 }, &b""[..]));
        let mut input = &b"defg"[..];
        assert!(!inbound.skip_payload(2, &mut input));
        assert_eq!((inbound.phase, input), (Phase::FrameHeader, &b"fg"[..]));
    }

    #[test]
    fn an_invalid_preface_is_an_error_wherever_it_is_cut() {
        for cut in 0..PREFACE.len() {
            let mut inbound = Inbound::new(true);
            let mut input = &PREFACE[..cut];
            assert_eq!(inbound.take_preface(0, &mut input), Ok(()));
            let Phase::Preface { matched } = inbound.phase else { panic!("{cut}: {:?}", inbound.phase) };
            assert_eq!(usize::from(matched), cut);
            assert_eq!(inbound.take_preface(matched, &mut &b"\0"[..]), Err(Violation::PrefaceInvalid));
            let mut input = &PREFACE[cut..];
            assert_eq!(inbound.take_preface(matched, &mut input), Ok(()));
            assert!(inbound.is_between_frames());
        }
    }
}
