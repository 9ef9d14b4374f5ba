//! The counters of a connection, and the report of how it ended.
//!
//! Invariants: counters only grow; the report is a plain value that outlives the connection.

use core::fmt;

use crate::error::{CloseCause, ConnectionError, ErrorCode};
use crate::frame::FrameType;
use crate::stream_id::StreamId;

/// What a connection did so far, in one direction each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Frames received, by type.
    pub frames_received: FrameCounts,
    /// Bytes received.
    pub bytes_received: u64,
    /// Bytes sent, as far as they were fetched by `poll_transmit`.
    pub bytes_sent: u64,
    /// The most bytes that ever waited in the output when it was fetched.
    pub output_bytes_peak: u64,
    /// Streams opened by either side.
    pub streams_opened: u64,
    /// Streams that ended by END_STREAM on both halves.
    pub streams_completed: u64,
    /// Streams that the peer reset.
    pub resets_received: u64,
    /// Streams that we reset or refused, for the caller or for an error.
    pub resets_sent: u64,
}

impl Counters {
    /// Counts a frame.
    #[inline]
    pub(crate) fn count_frame(&mut self, kind: FrameType) {
        self.frames_received.count(kind);
    }
}

/// Frames counted by type: one count for each type of RFC 9113 §6, and one for all other types.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct FrameCounts {
    counts: [u64; FRAME_COUNTS],
}

impl FrameCounts {
    /// Returns the frames of one type. Types outside RFC 9113 share a count.
    pub fn get(&self, kind: FrameType) -> u64 {
        self.counts[Self::index(kind)]
    }

    /// Returns the frames of types outside RFC 9113.
    pub fn others(&self) -> u64 {
        self.counts[OTHER_TYPES]
    }

    /// Returns the frames of all types.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    #[inline]
    fn count(&mut self, kind: FrameType) {
        self.counts[Self::index(kind)] += 1;
    }

    #[inline]
    fn index(kind: FrameType) -> usize {
        usize::from(kind.0).min(OTHER_TYPES)
    }
}

impl fmt::Debug for FrameCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for (kind, count) in (0..).map(FrameType).zip(&self.counts[..OTHER_TYPES]) {
            map.entry(&kind, count);
        }
        map.entry(&format_args!("others"), &self.others()).finish()
    }
}

/// The index of the count that the types outside RFC 9113 share: behind CONTINUATION, 9.
const OTHER_TYPES: usize = 10;
const FRAME_COUNTS: usize = OTHER_TYPES + 1;

/// The terminal report of a connection (see [`report`](crate::Connection::report)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CloseReport {
    /// How it ended; `None` while it has not, or when it ended in order.
    pub error: Option<ConnectionError>,
    /// The code of the GOAWAY that the peer sent, if it sent one.
    pub remote_code: Option<ErrorCode>,
    /// Whether the peer ended the byte stream though neither side had sent GOAWAY: many clients do,
    /// and so does a process that is killed.
    pub ended_without_goaway: bool,
    /// The type and stream of the last frame whose head was received.
    pub last_frame: Option<(FrameType, StreamId)>,
    /// Streams that were live when the connection ended.
    pub live_streams: u32,
    /// Our streams above this one were not processed by the peer and may be tried again; `None`
    /// when nothing is known.
    pub retry_above: Option<StreamId>,
    /// The counters.
    pub counters: Counters,
}

impl CloseReport {
    /// Returns whether the end deserves a warning: the peer is at fault, or a limit or timeout was
    /// exceeded.
    #[must_use]
    pub fn is_warning(&self) -> bool {
        self.error.is_some_and(|error| error.is_peer_fault())
    }
}

impl fmt::Display for CloseReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.error, self.remote_code) {
            // An error that the peer reported names its GOAWAY by itself.
            (Some(error), Some(code)) if error.cause() == CloseCause::Eof => {
                write!(f, "{error}, after GOAWAY with {code}")?;
            }
            (Some(error), _) => write!(f, "{error}")?,
            (None, Some(code)) => write!(f, "ended in order, the peer sent GOAWAY with {code}")?,
            (None, None) if self.ended_without_goaway => {
                f.write_str("the peer ended the transport without GOAWAY")?;
            }
            (None, None) => f.write_str("ended in order")?,
        }
        let Counters { streams_opened, streams_completed, resets_received, resets_sent, .. } = self.counters;
        write!(
            f,
            "; {streams_opened} streams, {streams_completed} completed, {resets_received} reset by the peer, \
             {resets_sent} by us, {} alive",
            self.live_streams
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_counted_by_type_and_unknown_types_together() {
        let mut counters = Counters::default();
        for kind in [FrameType::DATA, FrameType::DATA, FrameType::CONTINUATION, FrameType(10), FrameType(255)]
        {
            counters.count_frame(kind);
        }
        let counts = counters.frames_received;
        assert_eq!((counts.get(FrameType::DATA), counts.get(FrameType::CONTINUATION)), (2, 1));
        assert_eq!((counts.get(FrameType::PING), counts.others(), counts.total()), (0, 2, 5));
    }
}
