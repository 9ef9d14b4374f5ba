//! What a connection did, counted, and how it ended.
//!
//! Keeps true: counters only grow; the report is a plain value that outlives the connection.

use core::fmt;

use crate::error::{ConnectionError, ErrorCode};
use crate::frame::FrameType;
use crate::stream_id::StreamId;

/// What a connection did so far, in one direction each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Frames received, by type: DATA at 0 to CONTINUATION at 9, all others at 10.
    pub frames_received: [u64; 11],
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
        self.frames_received[usize::from(kind.0).min(10)] += 1;
    }
}

/// The terminal report of a connection (see [`report`](crate::Connection::report)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CloseReport {
    /// How it ended; `None` while it has not, or when it ended in order.
    pub error: Option<ConnectionError>,
    /// The code of the GOAWAY that the peer sent, if it sent one.
    pub remote_code: Option<ErrorCode>,
    /// Whether the peer ended the byte stream though neither side had sent GOAWAY: many clients do, and so does a
    /// process that is killed.
    pub ended_without_goaway: bool,
    /// The type and stream of the last frame whose head was received.
    pub last_frame: Option<(FrameType, StreamId)>,
    /// Streams that were live when the connection ended.
    pub live_streams: u32,
    /// Our streams above this one were not processed by the peer and may be tried again; `None` when nothing is known.
    pub retry_above: Option<StreamId>,
    /// The counters.
    pub counters: Counters,
}

impl CloseReport {
    /// Whether the end deserves a warning: we accused the peer, or a limit or deadline tripped.
    pub fn is_warning(&self) -> bool {
        self.error.is_some_and(|error| error.is_peer_fault())
    }
}

impl fmt::Display for CloseReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.error, self.remote_code) {
            (Some(error), _) => write!(f, "{error}")?,
            (None, Some(code)) => write!(f, "ended in order, the peer said {code}")?,
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
