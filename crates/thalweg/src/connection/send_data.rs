//! Sends content: DATA frames, in the order of `send_queue`, within the windows and the output.
//!
//! A call checks everything before it writes the first byte: an error changes nothing.

use crate::data_frame::DataFrame;
use crate::error::{SendError, Timeout};
use crate::flow::SendWindow;
use crate::rate_limit::Cost;
use crate::silly_window::Wait;
use crate::stream_id::StreamKey;
use crate::streams::slot::{Blocked, ConnectionCredit, SendHalf};
use crate::streams::state::{Input, Transition};

use super::inner::Inner;

impl Inner {
    /// Frames as much of `data` as the windows, the order of streams and the output allow. Returns
    /// how much it took.
    pub(super) fn send_data(
        &mut self,
        stream: StreamKey,
        data: &[u8],
        end: bool,
        pad_len: Option<u8>,
    ) -> Result<usize, SendError> {
        let next = self.check_data(stream, data.len(), end)?;
        let padding_max = pad_len.map_or(0, |pad_len| 1 + usize::from(pad_len));
        let mut taken = 0;
        loop {
            let rest = &data[taken..];
            if rest.is_empty() && !(end && taken == data.len()) {
                break;
            }
            let room = self.output_room(1);
            let Some(frame) = self.next_frame(stream, rest.len(), padding_max, room) else { break };
            let content = &rest[..frame.content];
            let last = end && frame.content == rest.len();
            match frame.padding.checked_sub(1) {
                None => self.outbound.data(stream.id(), content, last),
                Some(pad_len) => self.outbound.data_padded(stream.id(), content, last, pad_len as u8),
            }
            self.debit(stream, frame);
            taken += frame.content;
            if last {
                self.close_local_half(stream, next);
                return Ok(taken);
            }
        }
        let left = (taken < data.len() || end).then_some(data.len() - taken);
        self.mark_blocked(stream, left, taken > 0);
        Ok(taken)
    }

    /// Reserves window for `len` bytes and writes the header of one DATA frame; the caller places
    /// the payload.
    pub(super) fn splice_data(
        &mut self,
        stream: StreamKey,
        len: usize,
        end: bool,
    ) -> Result<usize, SendError> {
        let next = self.check_data(stream, len, end)?;
        let room = self.output_room(SPLICED_OVERRUN);
        let Some(frame) = self.next_frame(stream, len, 0, room) else {
            self.mark_blocked(stream, Some(len), false);
            return Ok(0);
        };
        let taken = frame.content;
        let last = end && taken == len;
        if taken > 0 || last {
            self.outbound.splice(stream, taken, last);
            self.debit(stream, frame);
        }
        if last {
            self.close_local_half(stream, next);
        } else {
            self.mark_blocked(stream, (taken < len || end).then_some(len - taken), taken > 0);
        }
        Ok(taken)
    }

    /// Checks that DATA may be sent, and that it fits the announced content-length. Returns the
    /// transition that its last frame causes.
    #[inline]
    fn check_data(&self, stream: StreamKey, len: usize, end: bool) -> Result<Transition, SendError> {
        let slot = self.slot_for_send(stream)?;
        let next = slot.state.next(Input::SendData { end })?;
        if slot.send.left.allows(len as u64, end) {
            return Ok(next);
        }
        Err(SendError::ContentLength { left: slot.send.left.bytes().unwrap_or(0), given: len as u64 })
    }

    /// Returns the room for DATA below `times` the output limit, bytes.
    #[inline]
    fn output_room(&self, times: usize) -> usize {
        (times * self.limits.output_bytes_max as usize).saturating_sub(self.outbound.len())
    }

    /// Returns the next DATA frame of a stream that has `len` bytes, or `None` if it must wait.
    /// `padding_max` counts Pad Length too; `room` bounds the payload.
    ///
    /// An end alone is an empty frame, which needs neither window nor room (RFC 9113 §6.9.1), nor a
    /// turn.
    #[inline(always)]
    fn next_frame(
        &mut self,
        stream: StreamKey,
        len: usize,
        padding_max: usize,
        room: usize,
    ) -> Option<DataFrame> {
        if len == 0 && padding_max == 0 {
            return Some(DataFrame::EMPTY);
        }
        let send = &self.streams.find(stream)?.send;
        let window = send.window.available().min(self.windows.send_window().available()) as usize;
        let payload_max = room.min(self.settings.remote().max_frame_size as usize);
        let frame = DataFrame::fit(len, padding_max, payload_max, window);
        let is_short =
            frame.is_cut_by_window && frame.content < send.shortest_frame(self.streams.full_frame()) as usize;
        if is_short && !self.may_send_short(send) {
            return None;
        }
        let is_possible = frame.len() <= payload_max && (frame.content > 0 || len == 0);
        if !is_possible {
            return (len == 0).then_some(DataFrame::EMPTY);
        }
        if self.streams.is_next(stream) {
            self.avoidance.in_order_sent();
        } else if !self.pass_first(stream, frame, len) {
            return (len == 0).then_some(DataFrame::EMPTY);
        }
        if is_short {
            self.record_short_frame(stream);
        }
        Some(frame)
    }

    /// Whether a frame may be sent before the first stream of the queue, which it then passes. The
    /// first stream waits for the connection's window, and the frame would not become longer if it
    /// waited, too. Frames that pass are in the order of the queue among each other.
    #[cold]
    fn pass_first(&mut self, stream: StreamKey, frame: DataFrame, len: usize) -> bool {
        let bytes = frame.len() as u32;
        let bytes_max = self.avoidance.passing_bytes_max(self.streams.full_frame());
        let passes = frame.content == len
            && bytes <= bytes_max
            && !self.may_exhaust_connection()
            && self.first_lacks_connection_window()
            && self.streams.may_pass_first(stream, bytes_max.min(self.windows.send_window().available()));
        if passes {
            self.avoidance.count_passed(bytes, self.streams.full_frame());
        } else if self.streams.is_granted(stream) {
            // `poll_writable` has named it for this, and must not do so again and again.
            self.avoidance.stop_passing();
        }
        passes
    }

    /// Whether the connection's window would make the frame of the first stream of the queue too
    /// short.
    pub(super) fn first_lacks_connection_window(&mut self) -> bool {
        let needed = self.streams.first_ready_needs().unwrap_or(0);
        self.windows.send_window().available() < needed
    }

    /// Records that the next frame of a stream is shorter than half of its windows allow.
    #[cold]
    fn record_short_frame(&mut self, stream: StreamKey) {
        let now = self.timers.now();
        self.avoidance.short_frame_sent();
        // Until the frame was released, the stream has waited for the peer, however early its
        // window opened.
        if let Some(slot) = self.streams.find_mut(stream)
            && slot.send.short_wait == Wait::Over
        {
            slot.send.window_opened_at = now;
        }
    }

    /// Whether the next frame of a stream may be shorter than half of its windows allow.
    #[cold]
    fn may_send_short(&self, send: &SendHalf) -> bool {
        if send.short_wait == Wait::Over {
            return true;
        }
        if send.window.available() < self.windows.send_window().available() {
            self.avoidance.allows_short(send.window.reachable(), send.window.in_flight())
        } else {
            self.may_exhaust_connection()
        }
    }

    /// Whether the connection's window may make the next frame of any stream short.
    fn may_exhaust_connection(&self) -> bool {
        let window = self.windows.send_window();
        self.avoidance.allows_short(window.reachable(), window.in_flight())
    }

    /// Starts the timer of short frames if the connection's window makes the first stream of the
    /// queue wait.
    #[inline]
    pub(super) fn watch_connection_window(&mut self) {
        if self.streams.any_ready() && self.windows.send_window().available() < self.streams.full_frame() {
            self.avoidance.watch();
        }
    }

    /// Counts a frame that was written.
    #[inline(always)]
    fn debit(&mut self, stream: StreamKey, frame: DataFrame) {
        let bytes = frame.len() as u32;
        self.windows.debit_send(bytes);
        if let Some(slot) = self.streams.find_mut(stream) {
            slot.send.window.take(bytes);
            slot.send.left.take(frame.content as u64);
            slot.send.progress_bytes = slot.send.progress_bytes.saturating_add(bytes);
            slot.send.short_wait = Wait::No;
            slot.receive.content_timer.restart();
        }
        self.avoidance.count_frame(bytes);
        // An end alone took no turn.
        if bytes > 0 {
            self.streams.rotate(stream);
        }
        self.watch_connection_window();
        // The peer may answer content with a PING, to measure the bandwidth.
        self.rate_limiter.credit_one(Cost::Ping);
    }

    /// Closes our half after END_STREAM was written.
    #[inline]
    fn close_local_half(&mut self, stream: StreamKey, next: Transition) {
        self.clear_blocked(stream);
        self.apply_transition(stream, next);
    }

    /// Records how much was left, if anything was, so that `poll_writable` returns the stream when
    /// it can send again.
    #[inline(always)]
    fn mark_blocked(&mut self, stream: StreamKey, left: Option<usize>, sent: bool) {
        match left {
            None => self.clear_blocked(stream),
            Some(left) => self.block(stream, left, sent),
        }
    }

    /// Marks a stream of which `left` bytes, or the end alone, could not be sent.
    fn block(&mut self, stream: StreamKey, left: usize, sent: bool) {
        let Some(slot) = self.streams.find_mut(stream) else { return };
        slot.send.blocked_bytes = u32::try_from(left).unwrap_or(u32::MAX);
        let window = slot.send.window;
        self.wait_for_window(stream, sent);
        if self.streams.waits_short(stream) {
            self.wait_short(stream, window);
        }
        self.streams.requeue(stream);
        self.watch_connection_window();
        if self.avoidance.is_standby() {
            self.avoidance.watch();
        }
        if self.lifecycle.is_eof() {
            self.reset_blocked();
        }
    }

    /// Handles a stream with less window than its next frame should have: it waits for more, or has
    /// one short frame.
    #[cold]
    fn wait_short(&mut self, stream: StreamKey, window: SendWindow) {
        if !self.avoidance.allows_short(window.reachable(), window.in_flight()) {
            return self.avoidance.watch();
        }
        self.avoidance.short_frame_sent();
        if let Some(slot) = self.streams.find_mut(stream) {
            slot.send.short_wait = Wait::Over;
        }
    }

    /// Restarts the wait for window, if this call has begun it. While the window was open between
    /// two waits, the stream did not wait for the peer.
    #[inline]
    fn wait_for_window(&mut self, stream: StreamKey, sent: bool) {
        let connection = self.connection_credit();
        let Some(slot) = self.streams.find_mut(stream) else { return };
        let waited = slot.send.restart_wait(sent, connection, self.limits.stall_bytes_min);
        let Some(waited) = waited else { return };
        self.streams.wait_from_next_time(stream, waited);
        self.timers.arm_for_one_more(Timeout::Stall);
    }

    /// Returns what the connection's window contributes to the wait of a stream.
    #[inline]
    pub(super) fn connection_credit(&self) -> ConnectionCredit {
        ConnectionCredit {
            available: self.windows.send_window().available(),
            opened_at: self.windows.send_opened_at(),
            full_frame: self.streams.full_frame(),
        }
    }

    /// Ends the wait of a stream that has sent everything.
    #[inline(always)]
    pub(super) fn clear_blocked(&mut self, stream: StreamKey) {
        let Some(slot) = self.streams.find_mut(stream) else { return };
        if slot.send.blocked != Blocked::NO {
            slot.send.blocked = Blocked::NO;
            slot.send.short_wait = Wait::No;
            self.streams.dequeue(stream);
        }
    }

    /// Returns the first blocked stream that can send now, and takes it off the queue.
    pub(super) fn poll_writable(&mut self) -> Option<StreamKey> {
        if !self.streams.any_ready()
            || self.lifecycle.has_error()
            || self.windows.send_window().available() == 0
        {
            return None;
        }
        let room_needed = self.limits.output_bytes_max as usize / 2;
        if self.outbound.len() > room_needed {
            return None;
        }
        let may_exhaust = self.may_exhaust_connection();
        let window = if may_exhaust { u32::MAX } else { self.windows.send_window().available() };
        self.streams.pop_first(window, self.avoidance.passing_bytes_max(self.streams.full_frame()))
    }
}

/// How many times the output limit spliced payloads may take: they cost no memory here, and a
/// transport that takes long writes wakes its reader less often.
const SPLICED_OVERRUN: usize = 4;
