//! The output: one contiguous run of whole frames, which the caller fetches.
//!
//! Invariants: it holds whole frames only, in the order in which they were appended, and never
//! changes or removes them, so a reset never touches bytes that are committed. Of a spliced frame,
//! the header is here and the payload with the caller.

use alloc::vec::Vec;

use crate::error::ErrorCode;
use crate::frame::{Flags, FrameHeader, FrameType, HEADER_LEN, PREFACE, SettingId, emit};
use crate::stream_id::{StreamId, StreamKey};

/// The output that was not fetched yet.
#[derive(Debug, Default)]
pub(crate) struct Outbound {
    bytes: Vec<u8>,
    splices: Vec<Splice>,
    /// Payload bytes that the caller places itself.
    spliced_bytes: usize,
    /// Bytes of the output that the peer has caused.
    reply_bytes: usize,
    /// Bytes that were fetched, spliced payloads included.
    total: u64,
}

/// A place in the output at which the caller inserts payload of its own (see
/// [`splice_data`](crate::Connection::splice_data)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Splice {
    /// The offset of the payload in the output that was fetched with it, bytes.
    pub offset: usize,
    /// The length of the payload, bytes: the caller must write exactly this many.
    pub len: usize,
    /// The stream of the payload.
    pub stream: StreamKey,
}

impl Outbound {
    /// Creates an empty output with a capacity in bytes.
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), ..Self::default() }
    }

    /// Returns the length of the output, spliced payloads included, bytes.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() + self.spliced_bytes
    }

    /// Returns the length of the output without the payloads that the caller places, bytes.
    #[inline]
    pub(crate) fn own_len(&self) -> usize {
        self.bytes.len()
    }

    /// Returns the heap that is held, bytes.
    pub(crate) fn capacity_bytes(&self) -> usize {
        self.bytes.capacity() + self.splices.capacity() * size_of::<Splice>()
    }

    /// Whether all output was fetched.
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Counts what was appended since the output was `before` bytes long as replies to the peer.
    /// Returns the bytes of all replies in the output.
    #[inline]
    pub(crate) fn count_replies(&mut self, before: usize) -> usize {
        self.reply_bytes += self.len() - before;
        self.reply_bytes
    }

    /// Returns the bytes that were fetched since the connection began.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// Moves everything to the caller, unless a spliced frame is in it. Returns whether there was
    /// anything.
    ///
    /// An empty `out` is swapped, which costs nothing; otherwise the bytes are appended.
    #[inline]
    pub(crate) fn take(&mut self, out: &mut Vec<u8>) -> bool {
        if self.bytes.is_empty() || !self.splices.is_empty() {
            return false;
        }
        self.total += self.bytes.len() as u64;
        self.reply_bytes = 0;
        if out.is_empty() {
            core::mem::swap(&mut self.bytes, out);
        } else {
            out.append(&mut self.bytes);
        }
        true
    }

    /// Moves everything to the caller, with the places of spliced payloads. An empty argument is
    /// swapped; otherwise the output is appended to it.
    pub(crate) fn take_spliced(&mut self, out: &mut Vec<u8>, splices: &mut Vec<Splice>) -> bool {
        if self.bytes.is_empty() {
            return false;
        }
        self.total += self.len() as u64;
        self.reply_bytes = 0;
        let base = out.len();
        for splice in &mut self.splices {
            splice.offset += base;
        }
        if out.is_empty() {
            core::mem::swap(&mut self.bytes, out);
        } else {
            out.append(&mut self.bytes);
        }
        if splices.is_empty() {
            core::mem::swap(&mut self.splices, splices);
        } else {
            splices.append(&mut self.splices);
        }
        self.spliced_bytes = 0;
        true
    }

    /// Appends the client's preface (RFC 9113 §3.4).
    pub(crate) fn preface(&mut self) {
        self.bytes.extend_from_slice(PREFACE);
    }

    /// Appends SETTINGS.
    pub(crate) fn settings(&mut self, entries: impl ExactSizeIterator<Item = (SettingId, u32)>) {
        emit::settings(&mut self.bytes, entries);
    }

    /// Appends the acknowledgement of SETTINGS.
    pub(crate) fn settings_ack(&mut self) {
        emit::settings_ack(&mut self.bytes);
    }

    /// Appends PING.
    pub(crate) fn ping(&mut self, ack: bool, payload: [u8; 8]) {
        emit::ping(&mut self.bytes, ack, payload);
    }

    /// Appends GOAWAY.
    pub(crate) fn goaway(&mut self, last_stream: StreamId, code: ErrorCode, debug: &[u8]) {
        emit::goaway(&mut self.bytes, last_stream, code, debug);
    }

    /// Appends RST_STREAM.
    pub(crate) fn reset(&mut self, stream: StreamId, code: ErrorCode) {
        emit::reset(&mut self.bytes, stream, code);
    }

    /// Appends WINDOW_UPDATE.
    #[inline]
    pub(crate) fn window_update(&mut self, stream: StreamId, increment: u32) {
        emit::window_update(&mut self.bytes, stream, increment);
    }

    /// Appends any frame.
    pub(crate) fn frame(&mut self, frame: &crate::frame::Frame<'_>) {
        frame.emit(&mut self.bytes);
    }

    /// Appends one DATA frame.
    #[inline]
    pub(crate) fn data(&mut self, stream: StreamId, data: &[u8], end: bool) {
        let flags = Flags::default().with(Flags::END_STREAM, end);
        self.bytes.reserve(HEADER_LEN + data.len());
        emit::header(&mut self.bytes, FrameType::DATA, flags, stream, data.len());
        self.bytes.extend_from_slice(data);
    }

    /// Appends one DATA frame with padding.
    pub(crate) fn data_padded(&mut self, stream: StreamId, data: &[u8], end: bool, pad_len: u8) {
        let frame = crate::frame::Frame::Data { stream, data, end_stream: end, padding: Some(pad_len) };
        frame.emit(&mut self.bytes);
    }

    /// Appends the header of a DATA frame whose payload the caller places.
    pub(crate) fn splice(&mut self, stream: StreamKey, len: usize, end: bool) {
        let flags = Flags::default().with(Flags::END_STREAM, end);
        emit::header(&mut self.bytes, FrameType::DATA, flags, stream.id(), len);
        if len > 0 {
            self.splices.push(Splice { offset: self.bytes.len(), len, stream });
            self.spliced_bytes += len;
        }
    }

    /// Appends a header block: HEADERS or PUSH_PROMISE, and as many CONTINUATION frames as the
    /// peer's frame size requires.
    ///
    /// `encode` writes the block, for PUSH_PROMISE after the promised identifier.
    #[inline]
    pub(crate) fn header_block(
        &mut self,
        kind: FrameType,
        flags: Flags,
        stream: StreamId,
        frame_bytes_max: usize,
        encode: impl FnOnce(&mut Vec<u8>),
    ) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; HEADER_LEN]);
        encode(&mut self.bytes);
        let len = self.bytes.len() - start - HEADER_LEN;
        let first = len.min(frame_bytes_max);
        let flags = flags.with(Flags::END_HEADERS, first == len);
        let header = FrameHeader { len: first as u32, kind, flags, stream };
        self.bytes[start..start + HEADER_LEN].copy_from_slice(&header.to_bytes());
        if first < len {
            self.split_block(start + HEADER_LEN + first, stream, frame_bytes_max);
        }
    }

    /// Splits what follows `at` into CONTINUATION frames (RFC 9113 §6.10), last piece first; each
    /// byte moves once.
    #[cold]
    fn split_block(&mut self, at: usize, stream: StreamId, frame_bytes_max: usize) {
        let mut rest = self.bytes.len() - at;
        let mut frames = rest.div_ceil(frame_bytes_max);
        self.bytes.resize(self.bytes.len() + frames * HEADER_LEN, 0);
        let mut last = true;
        while frames > 0 {
            frames -= 1;
            let from = at + frames * frame_bytes_max;
            let len = rest - frames * frame_bytes_max;
            rest -= len;
            let to = from + (frames + 1) * HEADER_LEN;
            self.bytes.copy_within(from..from + len, to);
            let flags = Flags::default().with(Flags::END_HEADERS, last);
            let header = FrameHeader { len: len as u32, kind: FrameType::CONTINUATION, flags, stream };
            self.bytes[to - HEADER_LEN..to].copy_from_slice(&header.to_bytes());
            last = false;
        }
    }

    /// Asserts the invariants. Costs a walk over the output.
    pub(crate) fn check(&self) {
        if !cfg!(debug_assertions) {
            return;
        }
        let mut at = if self.bytes.starts_with(PREFACE) { PREFACE.len() } else { 0 };
        let mut splices = self.splices.iter().peekable();
        while at < self.bytes.len() {
            let header = self.bytes[at..].first_chunk().map(FrameHeader::parse).expect("a whole header");
            at += HEADER_LEN;
            match splices.next_if(|splice| splice.offset == at) {
                Some(splice) => debug_assert_eq!(splice.len, header.len as usize),
                None => at += header.len as usize,
            }
        }
        debug_assert_eq!(at, self.bytes.len(), "the output ends inside a frame");
        debug_assert!(splices.next().is_none());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_block_is_split_into_continuations() {
        let mut outbound = Outbound::default();
        let block: Vec<u8> = (0..25).collect();
        let stream = StreamId::new(1);
        outbound.header_block(FrameType::HEADERS, Flags::END_STREAM, stream, 10, |out| {
            out.extend_from_slice(&block);
        });
        outbound.check();
        let mut wire = Vec::new();
        assert!(outbound.take(&mut wire));
        assert_eq!(&wire[..9], [0, 0, 10, 1, 0x1, 0, 0, 0, 1]);
        assert_eq!(&wire[19..28], [0, 0, 10, 9, 0x0, 0, 0, 0, 1]);
        assert_eq!(&wire[38..47], [0, 0, 5, 9, 0x4, 0, 0, 0, 1]);
        let pieces = [&wire[9..19], &wire[28..38], &wire[47..]].concat();
        assert_eq!(pieces, block);
    }

    #[test]
    fn output_with_a_spliced_frame_is_only_taken_with_its_splices() {
        let mut outbound = Outbound::default();
        let stream = StreamKey::from_parts(StreamId::new(1), 0);
        outbound.ping(true, [0; 8]);
        outbound.splice(stream, 1000, true);
        outbound.ping(true, [1; 8]);
        outbound.check();
        let (mut wire, mut splices) = (Vec::new(), Vec::new());
        assert!(!outbound.take(&mut wire));
        assert_eq!(outbound.len(), 17 + 9 + 1000 + 17);
        assert!(outbound.take_spliced(&mut wire, &mut splices));
        assert_eq!(splices, [Splice { offset: 26, len: 1000, stream }]);
        assert_eq!(wire.len(), 43);
        assert_eq!(outbound.len(), 0);
    }
}
