//! One stream as a monitor sees it.

use super::Batch;

/// Where a stream is in its life (RFC 9113 §5.1), as one end sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
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
pub enum Half {
    /// The final header block is still to come.
    #[default]
    Head,
    /// Content or trailers may come.
    Body,
    /// END_STREAM was there, or the half never existed.
    Ended,
}

/// One stream.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stream {
    /// This end's half.
    pub local: Half,
    /// The peer's half.
    pub remote: Half,
    /// It was promised and not begun.
    pub reserved: bool,
    /// What this end may send on it.
    pub send_window: i64,
    /// What the peer may send on it, as far as it was told.
    pub receive_window: i64,
    /// This end has reset it.
    pub reset_said: bool,
    /// The peer has reset it, in this batch.
    pub reset_seen: Option<Batch>,
    /// What a content-length that was said leaves to be sent.
    pub content_left: Option<u64>,
    /// The request was a HEAD, so that content-length says nothing about the response.
    pub is_head: bool,
    /// CONNECT: nothing but DATA after the headers, and content-length means nothing.
    pub is_connect: bool,
}

impl Stream {
    /// Where it is in its life.
    pub const fn place(&self) -> Place {
        if self.reset_said || self.reset_seen.is_some() {
            return Place::Closed;
        }
        match (self.local, self.remote) {
            (Half::Ended, Half::Ended) => Place::Closed,
            (_, Half::Ended) if self.reserved => Place::ReservedLocal,
            (Half::Ended, _) if self.reserved => Place::ReservedRemote,
            (Half::Ended, _) => Place::HalfClosedLocal,
            (_, Half::Ended) => Place::HalfClosedRemote,
            _ => Place::Open,
        }
    }

    /// Whether it counts towards the limit of concurrent streams (RFC 9113 §5.1.2).
    pub const fn is_counted(&self) -> bool {
        matches!(self.place(), Place::Open | Place::HalfClosedLocal | Place::HalfClosedRemote)
    }

    /// The peer's half, given how far frames that were seen before the stream was said take it.
    ///
    /// RFC 9113 §8.4: the client's half of a promised stream never exists, so an early HEADERS frame
    /// does not open it.
    pub const fn remote_after(&self, early: Half) -> Half {
        match (self.remote, early) {
            (Half::Ended, _) => Half::Ended,
            (remote, Half::Head) => remote,
            (_, early) => early,
        }
    }

    /// Whether this end may still send on it in this batch.
    pub fn may_send(&self, batch: Batch) -> bool {
        !self.reset_said && self.local != Half::Ended && self.reset_seen.is_none_or(|seen| seen == batch)
    }
}
