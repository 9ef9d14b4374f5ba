//! Events that calls, time, and earlier frames have caused and `receive` has not returned yet.
//!
//! Invariants: each of them is returned once; the payload belongs to the last event that was
//! returned.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::error::ErrorCode;
use crate::event::ResetCause;
use crate::stream_id::StreamKey;

/// The pending events of a connection, and the payload that the last event lends.
#[derive(Debug, Default)]
pub(crate) struct PendingEvents {
    resets: VecDeque<PendingReset>,
    /// The slot from which streams above the last one of the peer's GOAWAY are still to be looked
    /// for.
    goaway_scan_from: Option<usize>,
    stream_available: StreamAvailability,
    /// The payload of the control frame that the last event shows.
    control_payload: Vec<u8>,
}

/// A stream's reset that an event will report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PendingReset {
    pub stream: StreamKey,
    pub code: ErrorCode,
    pub by: ResetCause,
}

/// Whether the caller waits until it may open a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum StreamAvailability {
    #[default]
    NotRequested,
    /// A request was refused because of the peer's limit of concurrent streams.
    Requested,
    /// A stream may be opened, and no event has reported that yet.
    Due,
}

impl PendingEvents {
    /// Whether no event is pending.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.resets.is_empty()
            && self.goaway_scan_from.is_none()
            && self.stream_available != StreamAvailability::Due
    }

    /// Adds a reset.
    pub(crate) fn push_reset(&mut self, reset: PendingReset) {
        self.resets.push_back(reset);
    }

    /// Removes and returns the first reset.
    pub(crate) fn pop_reset(&mut self) -> Option<PendingReset> {
        self.resets.pop_front()
    }

    /// Whether a reset is pending.
    pub(crate) fn has_resets(&self) -> bool {
        !self.resets.is_empty()
    }

    /// Drops all resets: the connection's end reports those streams.
    pub(crate) fn clear_resets(&mut self) {
        self.resets.clear();
    }

    /// Starts the search for streams above the last one of the peer's GOAWAY.
    pub(crate) fn start_goaway_scan(&mut self) {
        self.goaway_scan_from = Some(0);
    }

    /// Returns the slot from which the search continues, if it runs.
    pub(crate) fn goaway_scan_from(&self) -> Option<usize> {
        self.goaway_scan_from
    }

    /// Continues the search at a slot, or ends it.
    pub(crate) fn set_goaway_scan(&mut self, from: Option<usize>) {
        self.goaway_scan_from = from;
    }

    /// Records that the caller wants to open a stream and may not.
    pub(crate) fn request_stream(&mut self) {
        self.stream_available = StreamAvailability::Requested;
    }

    /// Whether the caller waits until it may open a stream.
    #[inline]
    pub(crate) fn is_stream_requested(&self) -> bool {
        self.stream_available == StreamAvailability::Requested
    }

    /// Makes the event due that reports that a stream may be opened.
    pub(crate) fn push_stream_available(&mut self) {
        debug_assert!(self.is_stream_requested());
        self.stream_available = StreamAvailability::Due;
    }

    /// Removes that event. Returns whether it was due.
    pub(crate) fn pop_stream_available(&mut self) -> bool {
        let is_due = self.stream_available == StreamAvailability::Due;
        if is_due {
            self.stream_available = StreamAvailability::NotRequested;
        }
        is_due
    }

    /// Copies the payload that the next event shows.
    pub(crate) fn store_payload(&mut self, payload: &[u8]) {
        self.control_payload.clear();
        self.control_payload.extend_from_slice(payload);
    }

    /// Copies a payload of two parts.
    pub(crate) fn store_payload_parts(&mut self, first: &[u8], second: &[u8]) {
        self.store_payload(first);
        self.control_payload.extend_from_slice(second);
    }

    /// Returns the payload that the last event shows.
    pub(crate) fn payload(&self) -> &[u8] {
        &self.control_payload
    }

    /// Returns the heap that is held, bytes.
    pub(crate) fn capacity_bytes(&self) -> usize {
        self.control_payload.capacity() + self.resets.capacity() * size_of::<PendingReset>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_reported_as_available_once_and_only_on_request() {
        let mut pending = PendingEvents::default();
        assert!(!pending.is_stream_requested() && !pending.pop_stream_available());
        pending.request_stream();
        assert!(pending.is_empty(), "there is no stream yet");
        pending.push_stream_available();
        assert!(!pending.is_empty());
        assert!(pending.pop_stream_available());
        assert!(!pending.pop_stream_available() && pending.is_empty());
    }

    #[test]
    fn a_running_goaway_scan_is_a_pending_event() {
        let mut pending = PendingEvents::default();
        pending.start_goaway_scan();
        assert_eq!((pending.is_empty(), pending.goaway_scan_from()), (false, Some(0)));
        pending.set_goaway_scan(Some(7));
        assert_eq!(pending.goaway_scan_from(), Some(7));
        pending.set_goaway_scan(None);
        assert!(pending.is_empty());
    }

    #[test]
    fn the_payload_of_the_last_event_replaces_the_one_before() {
        let mut pending = PendingEvents::default();
        pending.store_payload(b"a longer payload");
        pending.store_payload_parts(b"or", b"igin");
        assert_eq!(pending.payload(), b"origin");
    }
}
