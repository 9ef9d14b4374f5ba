//! The flow-control windows of the connection as a whole (RFC 9113 §5.2, §6.9).
//!
//! Invariants: the unreleased bytes of the receive window are those of the live streams plus those
//! of completed streams whose content the caller still holds.
//!
//! Called for each DATA frame in either direction, for WINDOW_UPDATE on stream 0, and by `release`.

use crate::flow::{ReceiveWindow, SendWindow};
use crate::time::Instant;

/// Both windows of a connection.
#[derive(Debug)]
pub(crate) struct ConnectionWindows {
    send: SendWindow,
    /// When the peer last credited the send window while it was too small for a full frame.
    send_opened_at: Instant,
    receive: ReceiveWindow,
    /// Bytes of completed streams that the caller has not released.
    unreleased_after_close: u32,
    /// When content was last received. `None` after the peer got new window: the time then counts
    /// from the next expiry of the content timeout.
    content_received: Option<Instant>,
}

impl ConnectionWindows {
    /// Creates both windows with their initial size (RFC 9113 §6.9.2).
    pub(crate) const fn new() -> Self {
        Self {
            send: SendWindow::new(WINDOW_SIZE_INITIAL),
            send_opened_at: Instant::ZERO,
            receive: ReceiveWindow::new(WINDOW_SIZE_INITIAL),
            unreleased_after_close: 0,
            content_received: Some(Instant::ZERO),
        }
    }

    /// Returns what may be sent.
    #[inline]
    pub(crate) const fn send_window(&self) -> SendWindow {
        self.send
    }

    /// Returns when the peer last credited the send window while it was too small for a full frame.
    #[inline]
    pub(crate) const fn send_opened_at(&self) -> Instant {
        self.send_opened_at
    }

    /// Debits a DATA frame that was written, padding included.
    #[inline]
    pub(crate) fn debit_send(&mut self, bytes: u32) {
        self.send.take(bytes);
    }

    /// Records that a frame has waited for the send window in vain, until `now`.
    pub(crate) fn wait_was_vain(&mut self, now: Instant) {
        self.send.wait_was_vain();
        self.send_opened_at = now;
    }

    /// Adds a WINDOW_UPDATE, and returns by how much it exceeds what was sent. `full_frame`: see
    /// `silly_window`; `frame_bytes_max`: the longest frame that the peer takes.
    ///
    /// # Errors
    /// The size that the window would have, if that is above 2^31-1 (RFC 9113 §6.9.1).
    #[inline]
    pub(crate) fn credit_send(
        &mut self,
        increment: u32,
        full_frame: u32,
        frame_bytes_max: u32,
        now: Instant,
    ) -> Result<u32, u64> {
        if self.send.available() < full_frame {
            self.send_opened_at = now;
        }
        let before = self.send.as_i64();
        self.send.add(increment, frame_bytes_max).ok_or((before + i64::from(increment)).max(0) as u64)
    }

    /// Returns what the peer may send, and what became of the content that it sent.
    #[inline]
    pub(crate) const fn receive_window(&self) -> ReceiveWindow {
        self.receive
    }

    /// Widens the receive window to `bytes` from its initial size, and returns the increment of the
    /// WINDOW_UPDATE that announces it, if one is needed: the connection's window has no setting.
    pub(crate) fn widen_receive(&mut self, bytes: u32) -> Option<u32> {
        let increment = bytes - WINDOW_SIZE_INITIAL;
        self.receive.widen(increment);
        (increment > 0).then_some(increment)
    }

    /// Debits a received DATA frame, padding included.
    ///
    /// # Errors
    /// The bytes that were left, if the frame has more (RFC 9113 §6.9.1).
    #[inline]
    pub(crate) fn debit_receive(&mut self, bytes: u32) -> Result<(), u64> {
        match self.receive.receive(bytes) {
            Some(()) => Ok(()),
            None => Err(self.receive.available().max(0) as u64),
        }
    }

    /// Releases received bytes, and returns the increment of the WINDOW_UPDATE that is due, if any.
    #[inline]
    pub(crate) fn release(&mut self, bytes: u32) -> Option<u32> {
        self.receive.release(bytes);
        let increment = self.receive.take_update()?;
        self.content_received = None;
        Some(increment)
    }

    /// Keeps count of the bytes that the caller still holds of a completed stream.
    #[inline]
    pub(crate) const fn keep_after_close(&mut self, held: u32) {
        self.unreleased_after_close += held;
    }

    /// Takes up to `bytes` off the count of completed streams, and returns how many. The caller of
    /// this method releases them.
    pub(crate) fn take_after_close(&mut self, bytes: u32) -> u32 {
        let taken = bytes.min(self.unreleased_after_close);
        self.unreleased_after_close -= taken;
        taken
    }

    /// Returns since when the peer can send no content, on any stream, because the caller holds
    /// what it has sent: since the last content, which took the rest of the window.
    pub(crate) const fn exhausted_since(&self) -> Option<Instant> {
        if self.receive.available() <= 0 && self.receive.held() > 0 { self.content_received } else { None }
    }

    /// Records that content was received, on any stream.
    #[inline]
    pub(crate) const fn record_content(&mut self, now: Instant) {
        self.content_received = Some(now);
    }

    /// Returns since when the peer could have sent content and has not; from `now` on, if it got
    /// new window since the last call.
    pub(crate) fn content_received_at(&mut self, now: Instant) -> Instant {
        *self.content_received.get_or_insert(now)
    }

    /// Asserts the invariants; `held` is the sum over the live streams.
    pub(crate) fn check(&self, held: u32) {
        self.receive.check();
        debug_assert_eq!(held + self.unreleased_after_close, self.receive.held(), "unreleased bytes");
    }
}

/// RFC 9113 §6.9.2
const WINDOW_SIZE_INITIAL: u32 = 65_535;

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;

    #[test]
    fn content_of_completed_streams_stays_in_the_window_until_it_is_released() {
        let mut windows = ConnectionWindows::new();
        assert_eq!(windows.debit_receive(40_000), Ok(()));
        windows.keep_after_close(40_000);
        windows.check(0);
        assert_eq!(windows.take_after_close(10_000), 10_000);
        assert_eq!(windows.release(10_000), None);
        windows.check(0);
        assert_eq!(windows.take_after_close(u32::MAX), 30_000, "no more than is held");
        assert_eq!(windows.release(30_000), Some(40_000));
        assert_eq!(windows.receive_window(), ReceiveWindow::new(65_535));
        windows.check(0);
    }

    #[test]
    fn errors_carry_the_sizes_that_were_seen() {
        let mut windows = ConnectionWindows::new();
        assert_eq!(windows.debit_receive(65_536), Err(65_535));
        assert_eq!(windows.credit_send(0x7fff_0000, 1, 16_384, Instant::ZERO), Ok(0x7fff_0000));
        assert_eq!(windows.credit_send(1, 1, 16_384, Instant::ZERO), Err(1 << 31));
    }

    #[test]
    fn credit_for_a_send_window_below_a_full_frame_records_the_time() {
        let at = |seconds| Instant::ZERO + Duration::from_secs(seconds);
        let mut windows = ConnectionWindows::new();
        windows.debit_send(65_534);
        assert_eq!(windows.credit_send(1, 1, 16_384, at(1)), Ok(0));
        assert_eq!(windows.send_opened_at(), Instant::ZERO, "two bytes were left");
        windows.debit_send(2);
        assert_eq!(windows.credit_send(1, 1, 16_384, at(2)), Ok(0));
        assert_eq!(windows.send_opened_at(), at(2));
        assert_eq!(windows.credit_send(1, 2, 16_384, at(3)), Ok(0));
        assert_eq!(windows.send_opened_at(), at(3), "one byte is less than a full frame");
    }

    #[test]
    fn new_window_restarts_the_wait_for_content() {
        let at = |seconds| Instant::ZERO + Duration::from_secs(seconds);
        let mut windows = ConnectionWindows::new();
        windows.record_content(at(1));
        assert_eq!(windows.content_received_at(at(5)), at(1));
        assert_eq!(windows.debit_receive(60_000), Ok(()));
        assert_eq!(windows.release(60_000), Some(60_000));
        assert_eq!(windows.content_received_at(at(6)), at(6));
        assert_eq!(windows.content_received_at(at(7)), at(6));
    }

    #[test]
    fn the_initial_window_needs_no_window_update() {
        let mut windows = ConnectionWindows::new();
        assert_eq!(windows.widen_receive(65_535), None);
        assert_eq!(windows.widen_receive(100_000), Some(34_465));
        assert_eq!(windows.receive_window().available(), 100_000);
    }
}
