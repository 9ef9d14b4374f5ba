//! The state of one stream in a monitor.

use super::Batch;

/// The state of a stream at one endpoint (RFC 9113 §5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StreamState {
    /// Stream 0.
    Connection,
    /// Idle.
    Idle,
    /// Reserved (local).
    ReservedLocal,
    /// Reserved (remote).
    ReservedRemote,
    /// Open.
    Open,
    /// Half-closed (local).
    HalfClosedLocal,
    /// Half-closed (remote).
    HalfClosedRemote,
    /// Closed.
    Closed,
}

/// The phase of one half of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HalfState {
    /// The final field block was not sent yet.
    #[default]
    Headers,
    /// Content or trailers may follow.
    Data,
    /// END_STREAM was sent, or the half never existed.
    Closed,
}

/// One stream.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stream {
    /// The endpoint's half.
    pub local: HalfState,
    /// The peer's half.
    pub remote: HalfState,
    /// Whether it is promised and its response has not begun.
    pub reserved: bool,
    /// The stream's send window.
    pub send_window: i64,
    /// The stream window that the end has advertised to the peer.
    pub receive_window: i64,
    /// Whether this endpoint has reset it.
    pub reset_sent: bool,
    /// The batch in which the peer has reset it.
    pub reset_received: Option<Batch>,
    /// What a sent content-length leaves to send.
    pub remaining_length: Option<u64>,
    /// Whether the request was a HEAD, so that content-length does not apply to the response.
    pub is_head: bool,
    /// Whether CONNECT opened it: only DATA may follow the headers, and content-length does not
    /// apply.
    pub is_connect: bool,
}

impl Stream {
    /// Returns its state.
    pub const fn state(&self) -> StreamState {
        if self.reset_sent || self.reset_received.is_some() {
            return StreamState::Closed;
        }
        match (self.local, self.remote) {
            (HalfState::Closed, HalfState::Closed) => StreamState::Closed,
            (_, HalfState::Closed) if self.reserved => StreamState::ReservedLocal,
            (HalfState::Closed, _) if self.reserved => StreamState::ReservedRemote,
            (HalfState::Closed, _) => StreamState::HalfClosedLocal,
            (_, HalfState::Closed) => StreamState::HalfClosedRemote,
            _ => StreamState::Open,
        }
    }

    /// Whether it counts towards the limit of concurrent streams (RFC 9113 §5.1.2).
    pub const fn is_active(&self) -> bool {
        matches!(
            self.state(),
            StreamState::Open | StreamState::HalfClosedLocal | StreamState::HalfClosedRemote
        )
    }

    /// Returns the phase of the peer's half after the frames that were received before the stream
    /// was opened.
    ///
    /// RFC 9113 §8.4: the client's half of a promised stream never exists, so an early HEADERS
    /// frame does not open it.
    pub const fn remote_after(&self, early: HalfState) -> HalfState {
        match (self.remote, early) {
            (HalfState::Closed, _) => HalfState::Closed,
            (remote, HalfState::Headers) => remote,
            (_, early) => early,
        }
    }

    /// Whether this endpoint may still send on it in this batch.
    pub fn may_send(&self, batch: Batch) -> bool {
        !self.reset_sent
            && self.local != HalfState::Closed
            && self.reset_received.is_none_or(|inbound| inbound == batch)
    }
}
