//! The state of a connection as plain values for tools: its windows, its rate limits, its streams.
//!
//! Invariants: a snapshot changes nothing, and costs nothing unless it is taken.

use crate::config::{Cost, Limit};
use crate::priority::Priority;
use crate::stream_id::StreamKey;

pub use crate::streams::state::HalfState;

/// Both flow-control windows of a stream, or of the connection (RFC 9113 §5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WindowSnapshot {
    /// What we may send, bytes. Negative after the peer's setting shrank (RFC 9113 §6.9.2).
    pub send: i64,
    /// What the peer may send, bytes. Negative after our setting shrank.
    pub receive: i64,
    /// What the peer sent and the caller has not released, bytes.
    pub held: u32,
    /// What the caller has released and no WINDOW_UPDATE has announced yet, bytes.
    pub due: u32,
}

/// The state of a live stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamSnapshot {
    /// The key of the stream.
    pub stream: StreamKey,
    /// Whether it is promised and its response has not begun.
    pub is_reserved: bool,
    /// The state of our half.
    pub local: HalfState,
    /// The state of the peer's half.
    pub remote: HalfState,
    /// The priority (RFC 9218).
    pub priority: Priority,
    /// Whether `send_data` was cut short and has not caught up: content waits for a window, for
    /// output room, or for its turn.
    pub is_blocked: bool,
    /// Its windows.
    pub window: WindowSnapshot,
    /// Content that an announced content-length still leaves to send, bytes.
    pub send_left: Option<u64>,
    /// Content that an announced content-length still leaves to receive, bytes.
    pub receive_left: Option<u64>,
}

impl StreamSnapshot {
    /// Returns the name of the state (RFC 9113 §5.1).
    pub const fn state(&self) -> &'static str {
        match (self.is_reserved, self.local, self.remote) {
            (true, _, HalfState::Closed) => "reserved (local)",
            (true, ..) => "reserved (remote)",
            (_, HalfState::Closed, HalfState::Closed) => "closed",
            (_, HalfState::Closed, _) => "half-closed (local)",
            (_, _, HalfState::Closed) => "half-closed (remote)",
            _ => "open",
        }
    }
}

/// What flow control allows a stream to send now (see
/// [`send_capacity`](crate::Connection::send_capacity)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SendCapacity {
    /// The stream's window, bytes.
    pub stream: u32,
    /// The window of the whole connection, bytes.
    pub connection: u32,
}

impl SendCapacity {
    /// Returns what both windows allow, bytes.
    pub fn bytes(self) -> u32 {
        self.stream.min(self.connection)
    }
}

/// What is left of every rate limit of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimitsSnapshot {
    rate_limits: [RateLimitSnapshot; Cost::COUNT],
}

impl RateLimitsSnapshot {
    pub(crate) const fn new(rate_limits: [RateLimitSnapshot; Cost::COUNT]) -> Self {
        Self { rate_limits }
    }

    /// Returns what is left of one rate limit; `None` if `limit` is not a rate limit.
    pub fn get(&self, limit: Limit) -> Option<RateLimitSnapshot> {
        self.iter().find(|snapshot| snapshot.limit == limit)
    }

    /// Returns what is left of each, in the order of the fields of
    /// [`RateLimits`](crate::RateLimits).
    pub fn iter(&self) -> impl ExactSizeIterator<Item = RateLimitSnapshot> + '_ {
        self.rate_limits.iter().copied()
    }
}

/// What is left of a rate limit (see [`RateLimits`](crate::RateLimits)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateLimitSnapshot {
    /// The rate limit.
    pub limit: Limit,
    /// The tokens that are left. While more than half are left, those that time gives back are not
    /// counted in.
    pub tokens: u32,
    /// The most tokens.
    pub burst: u32,
}
