//! Acts on timeouts, shuts the connection down, and moves the output to the caller.

use crate::error::{CloseCause, ConnectionError, ErrorCode, StreamError, Timeout};
use crate::event::ResetCause;
use crate::pings::{KEEP_ALIVE_PING, SHUTDOWN_PING};
use crate::shutdown::ShutdownPhase;
use crate::stream_id::{StreamId, StreamKey};
use crate::streams::slot::Slot;
use crate::time::Instant;

use super::inner::{ConnectionFailed, Inner};

impl Inner {
    /// Returns when `handle_timeout` is to be called.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        if self.lifecycle.has_error() {
            return None;
        }
        match (self.timers.next(), self.avoidance.next(self.timers.now())) {
            (Some(timeout), Some(short_frame)) => Some(timeout.min(short_frame)),
            (timeout, short_frame) => timeout.or(short_frame),
        }
    }

    /// Acts on every timeout that has passed.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> Result<(), ConnectionFailed> {
        if self.lifecycle.has_error() {
            return Err(ConnectionFailed);
        }
        let before = self.timers.now();
        let now = self.timers.handle_time(now);
        if now == before {
            self.avoidance.count_standing_call(now);
        }
        self.streams.start_waits(now);
        if self.avoidance.turn_on() {
            self.update_full_frame();
            self.watch_connection_window();
        }
        self.avoidance.observe_time(now);
        self.timers.enter();
        let outcome = self.handle_due(now);
        self.timers.leave();
        outcome
    }

    fn handle_due(&mut self, now: Instant) -> Result<(), ConnectionFailed> {
        if self.avoidance.pop_expired(now) {
            self.release_short_frames(now);
        }
        while let Some(due) = self.timers.pop_expired() {
            match due {
                Timeout::KeepAlive => {
                    self.outbound.ping(false, KEEP_ALIVE_PING);
                    self.timers.arm_after_transmit(Timeout::Ping);
                }
                Timeout::Idle if self.streams.live() > 0 => {}
                Timeout::Idle => self.shutdown(),
                Timeout::Stall => self.reset_stalled(now),
                Timeout::Content => self.end_incomplete_requests(now),
                // The peer does not acknowledge the PING that follows the first GOAWAY: the final
                // GOAWAY need not wait.
                Timeout::Ping if self.lifecycle.shutdown().phase() == ShutdownPhase::Announced => {
                    self.stop_waiting_for_ping();
                }
                Timeout::Preface
                | Timeout::SettingsAck
                | Timeout::HeaderBlock
                | Timeout::Ping
                | Timeout::Shutdown
                | Timeout::Transmit => {
                    return Err(self.fail(ConnectionError::new(CloseCause::Timeout(due), due.code())));
                }
            }
        }
        Ok(())
    }

    /// Releases frames that the window makes short and that have waited long enough: see
    /// `silly_window`.
    fn release_short_frames(&mut self, now: Instant) {
        let streams_wait = self.streams.release_short_frames(now);
        let connection_window = self.windows.send_window().available();
        let first_waits = connection_window > 0 && self.first_lacks_connection_window();
        let first_was_vain = self.avoidance.count_connection_wait(first_waits);
        if first_was_vain {
            self.windows.wait_was_vain(now);
            self.update_full_frame();
        }
        self.avoidance.continue_waits(streams_wait, now);
    }

    /// Resets the streams that have waited for window too long, and arms the timeout for the next.
    fn reset_stalled(&mut self, now: Instant) {
        let connection = self.connection_credit();
        let waits_since = |slot: &mut Slot| {
            let since = slot.send.waits_since(connection, now)?;
            Some((since, slot.send.lacks_window(connection)))
        };
        let cause = ResetCause::Local(StreamError::Timeout(Timeout::Stall));
        self.end_overdue(Timeout::Stall, now, waits_since, |inner, stream| {
            inner.reset_stream(stream, ErrorCode::CANCEL, cause);
        });
    }

    /// Calls `end` for each stream that has waited for the length of a timeout, and arms it for the
    /// next. `waits_since` returns since when a stream waits, and whether `end` may be called.
    pub(super) fn end_overdue(
        &mut self,
        timeout: Timeout,
        now: Instant,
        mut waits_since: impl FnMut(&mut Slot) -> Option<(Instant, bool)>,
        mut end: impl FnMut(&mut Self, StreamKey),
    ) {
        let Some(limit) = self.timers.duration(timeout) else { return };
        let mut next: Option<Instant> = None;
        let mut from = 0;
        loop {
            let overdue_stream = |(stream, slot): (StreamKey, &mut Slot)| {
                let (since, may_end) = waits_since(slot)?;
                if may_end && since + limit <= now {
                    return Some(stream);
                }
                next = Some(next.map_or(since, |earlier| earlier.min(since)));
                None
            };
            let overdue =
                self.streams.iter_mut().filter(|(stream, _)| stream.index() >= from).find_map(overdue_stream);
            let Some(stream) = overdue else { break };
            from = stream.index();
            end(self, stream);
        }
        if let Some(since) = next {
            self.timers.arm_since(timeout, since);
        }
    }

    /// Starts a graceful shutdown (RFC 9113 §6.8). A server sends a GOAWAY that excludes no stream,
    /// and a PING whose acknowledgement shows that the peer has received it; then the final GOAWAY.
    /// A client sends the final GOAWAY at once, since the peer opens nothing but pushes, which it
    /// no longer accepts.
    pub(super) fn shutdown(&mut self) {
        if self.lifecycle.has_error() || !self.lifecycle.shutdown_mut().announce() {
            return;
        }
        if self.lifecycle.is_eof() {
            return self.send_final_goaway();
        }
        if self.is_client() {
            self.send_final_goaway();
        } else {
            self.outbound.goaway(StreamId::MAX, ErrorCode::NO_ERROR, &[]);
            self.outbound.ping(false, SHUTDOWN_PING);
            self.timers.arm_after_transmit(Timeout::Ping);
        }
        self.timers.arm(Timeout::Shutdown);
    }

    /// Sends the final GOAWAY of a shutdown although the peer has not acknowledged the PING.
    /// Without streams, the connection has ended in order; otherwise a PING checks whether the peer
    /// is there.
    fn stop_waiting_for_ping(&mut self) {
        self.send_final_goaway();
        if self.streams.live() > 0 && self.timers.duration(Timeout::KeepAlive).is_some() {
            self.outbound.ping(false, KEEP_ALIVE_PING);
            self.timers.arm_after_transmit(Timeout::Ping);
        }
    }

    /// Ends the connection now.
    pub(super) fn close(&mut self, code: ErrorCode, debug: &[u8]) {
        if !self.lifecycle.has_error() {
            let debug = &debug[..debug.len().min(DEBUG_BYTES_MAX)];
            self.terminate(ConnectionError::new(CloseCause::Closed, code), debug);
        }
    }

    /// Moves the output to `out`. A call confirms that the output of the call before is written.
    #[inline]
    pub(super) fn poll_transmit(&mut self, out: &mut alloc::vec::Vec<u8>) -> bool {
        self.record_output_peak();
        let taken = self.outbound.take(out);
        self.restart_transmit(taken);
        taken
    }

    /// Moves the output to `out`, and the places of spliced payloads to `splices`.
    pub(super) fn poll_transmit_spliced(
        &mut self,
        out: &mut alloc::vec::Vec<u8>,
        splices: &mut alloc::vec::Vec<crate::outbound::Splice>,
    ) -> bool {
        self.record_output_peak();
        let taken = self.outbound.take_spliced(out, splices);
        self.restart_transmit(taken);
        taken
    }

    #[inline]
    fn record_output_peak(&mut self) {
        let waiting = self.outbound.len() as u64;
        self.counters.output_bytes_peak = self.counters.output_bytes_peak.max(waiting);
    }

    #[inline]
    fn restart_transmit(&mut self, taken: bool) {
        if taken {
            self.timers.output_taken();
            self.timers.arm(Timeout::Transmit);
        } else {
            self.timers.disarm(Timeout::Transmit);
        }
    }
}

/// The most debug data that `close` sends, bytes.
const DEBUG_BYTES_MAX: usize = 1024;
