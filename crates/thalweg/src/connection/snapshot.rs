//! Getters that show the state of the owners and change nothing.

use crate::flow::{ReceiveWindow, SendWindow};
use crate::snapshot::{RateLimitsSnapshot, StreamSnapshot, WindowSnapshot};
use crate::stream_id::StreamKey;
use crate::streams::slot::{Blocked, Slot};
use crate::streams::state::State;
use crate::time::Instant;

use super::inner::Inner;

impl Inner {
    /// Returns a snapshot of each live stream.
    pub(super) fn streams(&self) -> impl Iterator<Item = StreamSnapshot> {
        self.streams.iter().map(|(stream, slot)| stream_snapshot(stream, slot))
    }

    /// Returns the connection's windows.
    pub(super) fn window(&self) -> WindowSnapshot {
        window_snapshot(self.windows.send_window(), &self.windows.receive_window())
    }

    /// Returns since when the connection's receive window is used up by content that the caller
    /// holds.
    pub(super) fn window_exhausted_since(&self) -> Option<Instant> {
        self.windows.exhausted_since()
    }

    /// Returns what is left of each rate limit.
    pub(super) fn rate_limits(&self) -> RateLimitsSnapshot {
        self.rate_limiter.snapshot()
    }

    /// Whether the input so far ends between two frames.
    pub(super) fn is_between_frames(&self) -> bool {
        self.inbound.is_between_frames()
    }
}

fn stream_snapshot(stream: StreamKey, slot: &Slot) -> StreamSnapshot {
    StreamSnapshot {
        stream,
        is_reserved: matches!(slot.state, State::ReservedLocal | State::ReservedRemote),
        local: slot.state.local(),
        remote: slot.state.remote(),
        priority: slot.send.priority(),
        is_blocked: slot.send.blocked != Blocked::NO,
        window: window_snapshot(slot.send.window, &slot.receive.window),
        send_left: slot.send.left.bytes(),
        receive_left: slot.receive.left.bytes(),
    }
}

fn window_snapshot(send: SendWindow, receive: &ReceiveWindow) -> WindowSnapshot {
    WindowSnapshot {
        send: send.as_i64(),
        receive: receive.available(),
        held: receive.held(),
        due: receive.due(),
    }
}
