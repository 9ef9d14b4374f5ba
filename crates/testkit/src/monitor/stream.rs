//! One stream as a monitor sees it.

use super::Batch;

/// Where a stream is in its life (RFC 9113 §5.1), as one end sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StreamState {
    /// Stream 0.
    Connection,
    /// Not used yet.
    Idle,
    /// Promised by this end.
    ReservedLocal,
    /// Promised by the peer.
    ReservedRemote,
    /// Both sides may send.
    Open,
    /// This end has ended its half.
    HalfClosedLocal,
    /// The peer has ended its half.
    HalfClosedRemote,
    /// Over.
    Closed,
}

/// How far one half of a stream has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HalfState {
    /// The final header block is still to come.
    #[default]
    Headers,
    /// Content or trailers may come.
    Data,
    /// END_STREAM was there, or the half never existed.
    Closed,
}

/// One stream.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stream {
    /// This end's half.
    pub local: HalfState,
    /// The peer's half.
    pub remote: HalfState,
    /// It was promised and not begun.
    pub reserved: bool,
    /// What this end may send on it.
    pub send_window: i64,
    /// The stream window that the end has advertised to the peer.
    pub receive_window: i64,
    /// This end has reset it.
    pub reset_sent: bool,
    /// The peer has reset it, in this batch.
    pub reset_received: Option<Batch>,
    /// The rest of a sent content-length.
    pub remaining_length: Option<u64>,
    /// The request was a HEAD, so that content-length does not apply to the response.
    pub is_head: bool,
    /// CONNECT: nothing but DATA after the headers, and content-length means nothing.
    pub is_connect: bool,
}

impl Stream {
    /// Where it is in its life.
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

    /// The peer's half, given how far frames that were seen before the stream was said take it.
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

    /// Whether this end may still send on it in this batch.
    pub fn may_send(&self, batch: Batch) -> bool {
        !self.reset_sent
            && self.local != HalfState::Closed
            && self.reset_received.is_none_or(|inbound| inbound == batch)
    }
}
