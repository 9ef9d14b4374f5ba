//! Emits frames: from views to bytes. Each function appends one whole frame, or one frame header.

use alloc::vec::Vec;

use super::{Dependency, Flags, Frame, FrameHeader, FrameType, HEADER_LEN, SettingId, settings::ENTRY_LEN};
use crate::error_code::ErrorCode;
use crate::stream_id::StreamId;

impl FrameHeader {
    /// Returns the nine bytes of the header; a length of 2^24 or more cannot be expressed and is
    /// truncated.
    #[inline]
    pub const fn to_bytes(self) -> [u8; HEADER_LEN] {
        let [_, l2, l1, l0] = self.len.to_be_bytes();
        let [s3, s2, s1, s0] = self.stream.as_u32().to_be_bytes();
        [l2, l1, l0, self.kind.0, self.flags.0, s3, s2, s1, s0]
    }
}

impl Frame<'_> {
    /// Appends the frame. Costs one copy of the payload.
    pub fn emit(&self, out: &mut Vec<u8>) {
        match *self {
            Self::Data { stream, data, end_stream, padding } => {
                let flags = Flags::default().with(Flags::END_STREAM, end_stream);
                padded(out, FrameType::DATA, flags, stream, padding, data.len(), |out| {
                    out.extend_from_slice(data);
                });
            }
            Self::Headers { stream, fragment, end_stream, end_headers, dependency, padding } => {
                let flags = Flags::default()
                    .with(Flags::END_STREAM, end_stream)
                    .with(Flags::END_HEADERS, end_headers)
                    .with(Flags::PRIORITY, dependency.is_some());
                let len = fragment.len() + if dependency.is_some() { 5 } else { 0 };
                padded(out, FrameType::HEADERS, flags, stream, padding, len, |out| {
                    if let Some(dependency) = dependency {
                        out.extend_from_slice(&dependency_bytes(dependency));
                    }
                    out.extend_from_slice(fragment);
                });
            }
            Self::Priority { stream, dependency } => {
                header(out, FrameType::PRIORITY, Flags::default(), stream, 5);
                out.extend_from_slice(&dependency_bytes(dependency));
            }
            Self::Reset { stream, code } => reset(out, stream, code),
            Self::Settings { ack, entries } => {
                let (flags, bytes) = (Flags::default().with(Flags::ACK, ack), entries.as_bytes());
                header(out, FrameType::SETTINGS, flags, StreamId::CONNECTION, bytes.len());
                out.extend_from_slice(bytes);
            }
            Self::PushPromise { stream, promised, fragment, end_headers, padding } => {
                let flags = Flags::default().with(Flags::END_HEADERS, end_headers);
                padded(out, FrameType::PUSH_PROMISE, flags, stream, padding, 4 + fragment.len(), |out| {
                    out.extend_from_slice(&promised.as_u32().to_be_bytes());
                    out.extend_from_slice(fragment);
                });
            }
            Self::Ping { ack, payload } => ping(out, ack, payload),
            Self::GoAway { last_stream, code, debug } => goaway(out, last_stream, code, debug),
            Self::WindowUpdate { stream, increment } => window_update(out, stream, increment),
            Self::Continuation { stream, fragment, end_headers } => {
                let flags = Flags::default().with(Flags::END_HEADERS, end_headers);
                header(out, FrameType::CONTINUATION, flags, stream, fragment.len());
                out.extend_from_slice(fragment);
            }
            Self::PriorityUpdate { prioritized, value } => {
                let (flags, len) = (Flags::default(), 4 + value.len());
                header(out, FrameType::PRIORITY_UPDATE, flags, StreamId::CONNECTION, len);
                out.extend_from_slice(&prioritized.as_u32().to_be_bytes());
                out.extend_from_slice(value);
            }
            Self::AltSvc { stream, origin, value } => {
                header(out, FrameType::ALTSVC, Flags::default(), stream, 2 + origin.len() + value.len());
                out.extend_from_slice(&(origin.len() as u16).to_be_bytes());
                out.extend_from_slice(origin);
                out.extend_from_slice(value);
            }
            Self::Origin { origins } => {
                let bytes = origins.as_bytes();
                header(out, FrameType::ORIGIN, Flags::default(), StreamId::CONNECTION, bytes.len());
                out.extend_from_slice(bytes);
            }
            Self::Unknown { kind, flags, stream, payload } => {
                header(out, kind, flags, stream, payload.len());
                out.extend_from_slice(payload);
            }
        }
    }
}

/// Appends a frame header.
#[inline]
pub(crate) fn header(out: &mut Vec<u8>, kind: FrameType, flags: Flags, stream: StreamId, len: usize) {
    out.extend_from_slice(&FrameHeader { len: len as u32, kind, flags, stream }.to_bytes());
}

/// Appends RST_STREAM.
pub(crate) fn reset(out: &mut Vec<u8>, stream: StreamId, code: ErrorCode) {
    header(out, FrameType::RST_STREAM, Flags::default(), stream, 4);
    out.extend_from_slice(&code.0.to_be_bytes());
}

/// Appends SETTINGS from pairs.
pub(crate) fn settings(out: &mut Vec<u8>, entries: impl ExactSizeIterator<Item = (SettingId, u32)>) {
    header(out, FrameType::SETTINGS, Flags::default(), StreamId::CONNECTION, entries.len() * ENTRY_LEN);
    for (id, value) in entries {
        out.extend_from_slice(&id.0.to_be_bytes());
        out.extend_from_slice(&value.to_be_bytes());
    }
}

/// Appends the acknowledgement of SETTINGS.
pub(crate) fn settings_ack(out: &mut Vec<u8>) {
    header(out, FrameType::SETTINGS, Flags::ACK, StreamId::CONNECTION, 0);
}

/// Appends PING.
pub(crate) fn ping(out: &mut Vec<u8>, ack: bool, payload: [u8; 8]) {
    header(out, FrameType::PING, Flags::default().with(Flags::ACK, ack), StreamId::CONNECTION, 8);
    out.extend_from_slice(&payload);
}

/// Appends GOAWAY.
pub(crate) fn goaway(out: &mut Vec<u8>, last_stream: StreamId, code: ErrorCode, debug: &[u8]) {
    header(out, FrameType::GOAWAY, Flags::default(), StreamId::CONNECTION, 8 + debug.len());
    out.extend_from_slice(&last_stream.as_u32().to_be_bytes());
    out.extend_from_slice(&code.0.to_be_bytes());
    out.extend_from_slice(debug);
}

/// Appends WINDOW_UPDATE.
pub(crate) fn window_update(out: &mut Vec<u8>, stream: StreamId, increment: u32) {
    header(out, FrameType::WINDOW_UPDATE, Flags::default(), stream, 4);
    out.extend_from_slice(&increment.to_be_bytes());
}

/// Appends a frame that may be padded: `body` writes `len` bytes between Pad Length and padding.
pub(crate) fn padded(
    out: &mut Vec<u8>,
    kind: FrameType,
    flags: Flags,
    stream: StreamId,
    padding: Option<u8>,
    len: usize,
    body: impl FnOnce(&mut Vec<u8>),
) {
    let Some(pad_len) = padding else {
        header(out, kind, flags, stream, len);
        return body(out);
    };
    header(out, kind, flags.with(Flags::PADDED, true), stream, 1 + len + usize::from(pad_len));
    out.push(pad_len);
    body(out);
    out.resize(out.len() + usize::from(pad_len), 0);
}

fn dependency_bytes(dependency: Dependency) -> [u8; 5] {
    let [a, b, c, d] = dependency.stream.as_u32().to_be_bytes();
    [a | u8::from(dependency.exclusive) << 7, b, c, d, dependency.weight]
}
