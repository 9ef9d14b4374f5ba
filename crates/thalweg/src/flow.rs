//! Flow-control windows (RFC 9113 §5.2, §6.9).
//!
//! Invariants: a send window stays within [-(2^31), 2^31-1], and knows which of its bytes the peer
//! has yet to credit and which of those it seems to hold (`silly_window`); in a receive window,
//! what the peer may still send, what the caller holds, and what is due to the peer add up to the
//! window's size.
//!
//! # When a WINDOW_UPDATE is sent
//!
//! RFC 1122 §4.2.3.3 has a receiver avoid silly windows: it does not advertise a window that is
//! little larger. What counts here is the *gain* of the peer: the bytes that are due, less those
//! that only lift a window which a settings change made negative. An update is sent when the gain
//!
//! * is half of the window or more; or
//! * fills a frame of 16,384 bytes and is more than the peer has left: a peer that is stalled, or
//!   nearly so, does not wait for a caller that holds the other half.
//!
//! Both are checked when the caller releases bytes, when a DATA frame has lowered what the peer has
//! left, and when a settings change has moved the window. So a caller that reads one byte at a time
//! does not hold a peer without avoidance of its own at frames of one byte.
//!
//! Why this does not deadlock:
//!
//! * While the caller holds nothing, `available + due` is the window. If no update is sent, less
//!   than half is due, so the peer has more than half of the window: a peer that waits for half of
//!   it (RFC 1122 §4.2.3.4) may send, too. That holds for windows of 1 and 3 bytes. A window of 0
//!   has nothing to announce; the settings change that opens it checks again.
//! * A caller that holds bytes releases them at some time, and the first case applies. A caller
//!   that waits for more while it holds all but less than 16,384 bytes of the window, or more than
//!   half of a window below 32,768 bytes, waits for itself. It does so anyway as soon as nothing is
//!   due; with nghttp2 it does so once it holds half of any window.
//! * On the connection, the core itself releases padding and what is discarded, and a reset
//!   releases what its stream holds.

use crate::frame_size::PAYLOAD_LEN_DEFAULT;
use crate::silly_window::{self, full_frame};

/// What we may send, on a stream or on the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SendWindow {
    /// Negative after a settings change (RFC 9113 §6.9.2).
    available: i32,
    /// DATA bytes that were sent and that no WINDOW_UPDATE has credited yet.
    uncredited: u32,
    /// Of these, what the peer seems to hold, bytes: see `silly_window`.
    stale: u32,
    /// Waits for this window that were in vain, since the peer last let it open.
    vain_waits: u8,
}

impl SendWindow {
    /// Creates a window of `bytes`.
    pub(crate) const fn new(bytes: u32) -> Self {
        Self { available: bytes as i32, uncredited: 0, stale: 0, vain_waits: 0 }
    }

    /// Returns the bytes that may be sent now: 0 while the window is negative.
    #[inline]
    pub(crate) const fn available(self) -> u32 {
        if self.available > 0 { self.available as u32 } else { 0 }
    }

    /// Returns the window as the RFC counts it, negative after a settings change.
    pub(crate) const fn as_i64(self) -> i64 {
        self.available as i64
    }

    /// Returns the bytes that were sent and not credited yet.
    pub(crate) const fn uncredited(self) -> u32 {
        self.uncredited
    }

    /// Returns the bytes that were sent, and for which credit can be expected.
    pub(crate) const fn in_flight(self) -> u32 {
        self.uncredited - self.stale
    }

    /// Returns what the window can be expected to become: its size without what the peer seems to
    /// hold.
    #[inline]
    pub(crate) const fn reachable(self) -> u32 {
        let reachable = self.available as i64 + self.in_flight() as i64;
        if reachable > 0 { reachable as u32 } else { 0 }
    }

    /// Whether waits for this window were in vain since the peer last let it open.
    #[inline]
    pub(crate) const fn has_waited_in_vain(self) -> bool {
        self.vain_waits > 0
    }

    /// Records that a frame has waited for this window in vain: the peer seems to hold all that it
    /// has not credited.
    pub(crate) fn wait_was_vain(&mut self) {
        self.stale = self.uncredited;
        self.vain_waits = self.vain_waits.saturating_add(1);
    }

    /// Returns the size of the window if the peer credited all that was sent. It follows every
    /// settings change.
    #[inline]
    pub(crate) const fn size(self) -> u32 {
        let size = self.available as i64 + self.uncredited as i64;
        if size > 0 { size as u32 } else { 0 }
    }

    /// Takes `bytes` that are about to be sent, and that are available.
    #[inline]
    pub(crate) fn take(&mut self, bytes: u32) {
        debug_assert!(bytes <= self.available());
        self.available -= bytes as i32;
        self.uncredited = self.uncredited.saturating_add(bytes);
    }

    /// Adds a WINDOW_UPDATE, and returns by how much it exceeds what was sent. `None`: the window
    /// would exceed 2^31-1 (RFC 9113 §6.9.1), and has not changed. `frame_bytes_max`: the longest
    /// frame that the peer takes.
    #[inline]
    pub(crate) fn add(&mut self, increment: u32, frame_bytes_max: u32) -> Option<u32> {
        self.available = self.available.checked_add_unsigned(increment)?;
        let excess = take_credit(&mut self.uncredited, increment);
        if self.vain_waits > 0 {
            self.expect_more(increment, frame_bytes_max);
        }
        Some(excess)
    }

    /// Takes credit as a sign that the peer holds less than it seemed to.
    #[cold]
    fn expect_more(&mut self, increment: u32, frame_bytes_max: u32) {
        if self.available() >= full_frame(frame_bytes_max, self.size()) {
            (self.stale, self.vain_waits) = (0, 0);
        } else {
            let released = silly_window::released_by_credit(increment, self.vain_waits);
            self.stale = self.stale.saturating_sub(released).min(self.uncredited);
        }
    }

    /// Changes the window with SETTINGS_INITIAL_WINDOW_SIZE; it may become negative (RFC 9113
    /// §6.9.2). `None`: it would exceed 2^31-1.
    pub(crate) fn shift(&mut self, change: i64) -> Option<()> {
        self.available = i32::try_from(i64::from(self.available) + change).ok()?;
        Some(())
    }
}

/// Takes the credit for bytes that were sent, and returns by how much the increment exceeds them.
#[inline]
pub(crate) fn take_credit(uncredited: &mut u32, increment: u32) -> u32 {
    let credit = increment.min(*uncredited);
    *uncredited -= credit;
    increment - credit
}

/// What the peer may send, and the state of what it has sent, on a stream or on the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReceiveWindow {
    /// What the peer may still send. Negative when our setting shrank.
    available: i32,
    /// Received, and not yet released by the caller.
    held: u32,
    /// Released, and not yet announced to the peer.
    due: u32,
}

impl ReceiveWindow {
    /// Starts with `bytes` available.
    pub(crate) const fn new(bytes: u32) -> Self {
        Self { available: bytes as i32, held: 0, due: 0 }
    }

    /// Returns the bytes that were received and not released.
    pub(crate) const fn held(&self) -> u32 {
        self.held
    }

    /// Returns the bytes that the peer may still send.
    pub(crate) const fn available(&self) -> i64 {
        self.available as i64
    }

    /// Returns the bytes that were released and not announced.
    pub(crate) const fn due(&self) -> u32 {
        self.due
    }

    /// Returns the whole window: `available + held + due`.
    pub(crate) const fn size(&self) -> i64 {
        self.available as i64 + self.held as i64 + self.due as i64
    }

    /// Debits a DATA frame at its header, padding included. `None`: it has more than was available
    /// (RFC 9113 §6.9.1).
    #[inline]
    pub(crate) fn receive(&mut self, bytes: u32) -> Option<()> {
        if i64::from(bytes) > i64::from(self.available) && bytes > 0 {
            return None;
        }
        self.available -= bytes as i32;
        self.held += bytes;
        Some(())
    }

    /// Moves up to `bytes` from held to due; returns how many.
    #[inline]
    pub(crate) fn release(&mut self, bytes: u32) -> u32 {
        let released = bytes.min(self.held);
        self.held -= released;
        self.due += released;
        released
    }

    /// Removes up to `bytes` of held from the window, and all that is due, so that the window
    /// shrinks to what the peer may still send; returns how many of held.
    pub(crate) fn discard(&mut self, bytes: u32) -> u32 {
        let discarded = bytes.min(self.held);
        self.held -= discarded;
        self.due = 0;
        discarded
    }

    /// Returns the WINDOW_UPDATE that should go out now, if any, and counts it as announced: see
    /// the documentation of the module.
    #[inline]
    pub(crate) fn take_update(&mut self) -> Option<u32> {
        if !self.wants_update() {
            return None;
        }
        let increment = self.due;
        self.due = 0;
        self.available += increment as i32;
        Some(increment)
    }

    /// Whether a WINDOW_UPDATE should be sent now.
    #[inline]
    pub(crate) const fn wants_update(&self) -> bool {
        let available = self.available as i64;
        // Half of the window and a frame both exceed what the peer has left, or equal it.
        if (self.due as i64) < available || self.due == 0 {
            return false;
        }
        let gain = self.due as i64 + if available < 0 { available } else { 0 };
        let is_half = 2 * gain >= self.size();
        let is_frame = gain >= FRAME_BYTES && gain > available;
        gain > 0 && (is_half || is_frame)
    }

    /// Widens the window by `bytes` that are announced at the same time.
    pub(crate) fn widen(&mut self, bytes: u32) {
        debug_assert!(self.size() + i64::from(bytes) <= i64::from(WINDOW_MAX));
        self.available += bytes as i32;
    }

    /// Changes the window with our own SETTINGS_INITIAL_WINDOW_SIZE, once the peer has acknowledged
    /// it.
    pub(crate) fn shift(&mut self, change: i64) {
        self.available =
            (i64::from(self.available) + change).clamp(i64::from(i32::MIN), i64::from(WINDOW_MAX)) as i32;
    }

    /// Asserts the invariants.
    pub(crate) fn check(&self) {
        debug_assert!(self.size() <= i64::from(WINDOW_MAX));
    }
}

/// The largest flow-control window, bytes (RFC 9113 §6.9.1).
pub(crate) const WINDOW_MAX: u32 = (1 << 31) - 1;

/// RFC 9113 §4.2: the frame that every peer can send.
pub(crate) const FRAME_BYTES: i64 = PAYLOAD_LEN_DEFAULT as i64;

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn a_receive_window_that_settings_change_stays_within_32_bits() {
        let mut window = ReceiveWindow::new(i32::MAX as u32);
        window.shift(1);
        assert_eq!(window.available(), i64::from(i32::MAX));
        window.shift(-(1 << 33));
        assert_eq!(window.available(), i64::from(i32::MIN));
    }

    #[test]
    fn a_send_window_stops_at_its_largest_value() {
        // 9113-6.9.1-7
        let mut window = SendWindow::new(0);
        assert_eq!(window.add(0x7fff_ffff, 16_384), Some(0x7fff_ffff));
        assert_eq!(window.add(1, 16_384), None);
        assert_eq!(window.available(), 0x7fff_ffff);
    }

    #[test]
    fn a_send_window_can_become_negative_and_recover() {
        let mut window = SendWindow::new(65_535);
        window.take(60_000);
        assert_eq!(window.shift(-49_151), Some(()));
        assert_eq!((window.as_i64(), window.available()), (-43_616, 0));
        assert_eq!(window.add(43_617, 16_384), Some(0));
        assert_eq!(window.available(), 1);
    }

    #[test]
    fn credit_is_told_apart_from_growth() {
        let mut window = SendWindow::new(100);
        window.take(60);
        assert_eq!((window.size(), window.uncredited()), (100, 60));
        assert_eq!(window.add(50, 16_384), Some(0));
        assert_eq!((window.size(), window.uncredited()), (100, 10));
        assert_eq!(window.add(25, 16_384), Some(15));
        assert_eq!((window.size(), window.uncredited()), (115, 0));
        window.take(115);
        assert_eq!(window.shift(-99), Some(()));
        assert_eq!(window.size(), 16, "what can come back follows the settings");
        assert_eq!(window.shift(-17), Some(()));
        assert_eq!(window.size(), 0);
    }

    #[test]
    fn what_the_peer_holds_does_not_count_as_reachable_until_it_credits() {
        let mut window = SendWindow::new(65_535);
        window.take(60_000);
        assert_eq!((window.reachable(), window.in_flight()), (65_535, 60_000));
        window.wait_was_vain();
        assert_eq!((window.reachable(), window.in_flight(), window.size()), (5535, 0, 65_535));
        window.take(5535);
        assert_eq!((window.reachable(), window.in_flight()), (5535, 5535));
        // A sixteenth of the credit, and a sixty-fourth after the next wait in vain.
        assert_eq!(window.add(1600, 16_384), Some(0));
        assert_eq!((window.reachable(), window.in_flight()), (5635, 4035));
        window.wait_was_vain();
        assert_eq!(window.reachable(), 1600);
        assert_eq!(window.add(1600, 16_384), Some(0));
        assert_eq!((window.reachable(), window.has_waited_in_vain()), (3200, true), "all else is older");
        // No more than is in flight counts as held.
        assert_eq!(window.shift(-60_000), Some(()));
        assert_eq!((window.as_i64(), window.reachable()), (-56_800, 0));
        assert_eq!(window.add(62_000, 16_384), Some(0));
        assert_eq!((window.available(), window.reachable(), window.size()), (5200, 5535, 5535));
        assert!(!window.has_waited_in_vain(), "it is open for half of its size");
    }

    #[test]
    fn a_window_that_opens_for_a_full_frame_is_trusted_again() {
        for (frame_bytes_max, increment) in [(16_384, 16_384), (65_535, 32_767)] {
            let mut window = SendWindow::new(65_535);
            window.take(65_535);
            window.wait_was_vain();
            assert_eq!(window.add(increment - 1, frame_bytes_max), Some(0));
            assert!(window.has_waited_in_vain() && window.reachable() < 65_535);
            assert_eq!(window.add(1, frame_bytes_max), Some(0));
            assert_eq!((window.has_waited_in_vain(), window.reachable()), (false, 65_535));
        }
    }

    #[test]
    fn credit_goes_out_at_half_the_window() {
        let mut window = ReceiveWindow::new(1000);
        assert_eq!(window.receive(499), Some(()));
        assert_eq!((window.release(499), window.take_update()), (499, None));
        assert_eq!(window.size(), 1000, "what is due counts");
        assert_eq!(window.receive(1), Some(()));
        assert_eq!((window.release(9), window.take_update()), (1, Some(500)));
        assert_eq!(window, ReceiveWindow::new(1000));
    }

    #[test]
    fn discarded_bytes_leave_the_window_for_good() {
        let mut window = ReceiveWindow::new(100_000);
        window.receive(60_000).unwrap();
        assert_eq!((window.release(1_000), window.take_update()), (1_000, None));
        assert_eq!(window.discard(50_000), 50_000);
        assert_eq!((window.available(), window.held(), window.due()), (40_000, 9_000, 0));
        assert_eq!(window.discard(u32::MAX), 9_000, "no more than is held");
        assert_eq!((window.size(), window.take_update()), (40_000, None));
        assert_eq!(window.receive(40_001), None);
        // Later content is released as ever, in the smaller window.
        window.receive(40_000).unwrap();
        assert_eq!((window.release(40_000), window.take_update()), (40_000, Some(40_000)));
    }

    #[test]
    fn credit_waits_while_the_peer_has_as_much_left() {
        let mut window = ReceiveWindow::new(1000);
        assert_eq!(window.receive(600), Some(()));
        assert_eq!((window.release(400), window.take_update()), (400, None));
        assert_eq!((window.available(), window.held(), window.size()), (400, 200, 1000));
        assert_eq!((window.release(200), window.take_update()), (200, Some(600)));
    }

    #[test]
    fn a_stalled_peer_gets_a_frame_although_the_caller_holds_more_than_half() {
        let mut window = ReceiveWindow::new(65_535);
        assert_eq!(window.receive(65_535), Some(()));
        assert_eq!((window.release(16_383), window.take_update()), (16_383, None));
        assert_eq!((window.release(1), window.take_update()), (1, Some(16_384)));
        assert_eq!((window.available(), window.held(), window.size()), (16_384, 49_151, 65_535));
    }

    /// Has a caller read `window` bytes one by one, and returns the increments.
    fn increments(window: u32) -> Vec<u32> {
        let mut receive_window = ReceiveWindow::new(window);
        assert_eq!(receive_window.receive(window), Some(()));
        let updates = (0..window).filter_map(|_| {
            receive_window.release(1);
            receive_window.take_update()
        });
        updates.collect()
    }

    #[test]
    fn an_exhausted_window_that_is_read_byte_by_byte_is_credited_by_frames_or_halves() {
        assert_eq!(increments(65_535), [16_384, 16_385]);
        assert_eq!(increments(1000), [500, 500]);
        assert_eq!(increments(3), [2]);
        assert_eq!(increments(2), [1, 1]);
        assert_eq!(increments(1), [1]);
        assert_eq!(increments(0), []);
    }

    #[test]
    fn a_peer_has_more_than_half_of_any_window_of_which_the_caller_holds_nothing() {
        for window in (0..200).chain([16_383, 32_767, 32_768, 65_535, 1 << 20]) {
            let mut receive_window = ReceiveWindow::new(window);
            for bytes in [1, 2, 3, 50, 5000, 16_384, 9, 16_383] {
                let bytes = bytes.min(receive_window.available() as u32);
                assert_eq!(receive_window.receive(bytes), Some(()));
                receive_window.release(bytes);
                receive_window.take_update();
                let left = receive_window.available();
                assert!(2 * left > i64::from(window) || window == 0, "{left} of {window}");
            }
        }
    }

    #[test]
    fn a_frame_that_lowers_the_window_makes_credit_worth_announcing() {
        let mut window = ReceiveWindow::new(65_535);
        assert_eq!(window.receive(20_000), Some(()));
        assert_eq!((window.release(20_000), window.take_update()), (20_000, None));
        assert_eq!(window.receive(25_535), Some(()));
        assert!(!window.wants_update(), "the peer has as much left as is due");
        assert_eq!(window.receive(1), Some(()));
        assert_eq!(window.take_update(), Some(20_000));
    }

    #[test]
    fn credit_that_leaves_a_window_negative_waits() {
        let mut window = ReceiveWindow::new(10_000);
        assert_eq!(window.receive(10_000), Some(()));
        window.shift(-9000);
        assert_eq!((window.release(9000), window.take_update()), (9000, None));
        assert_eq!((window.release(499), window.take_update()), (499, None));
        assert_eq!((window.release(1), window.take_update()), (1, Some(9500)));
        assert_eq!((window.available(), window.held(), window.size()), (500, 500, 1000));
        // A window of 0 has nothing to announce, and what was withheld goes out when it opens.
        window.shift(-1000);
        assert_eq!((window.release(500), window.take_update()), (500, None));
        assert_eq!(window.size(), 0);
        window.shift(1);
        assert_eq!((window.take_update(), window.available()), (Some(500), 1));
    }

    #[test]
    fn the_early_decision_agrees_with_the_rule_of_the_module() {
        let sizes = [0, 1, 2, 3, 500, 16_383, 16_384, 16_385, 32_768, 40_000];
        for available in sizes.into_iter().chain([-1, -500, -16_384]) {
            for (held, due) in sizes.into_iter().flat_map(|held| sizes.map(|due| (held, due))) {
                let window = ReceiveWindow { available, held: held as u32, due: due as u32 };
                let gain = due + available.min(0);
                let is_half = 2 * gain >= available + held + due;
                let is_frame = gain >= 16_384 && gain > available;
                assert_eq!(window.wants_update(), due > 0 && gain > 0 && (is_half || is_frame), "{window:?}");
            }
        }
    }

    #[test]
    fn a_frame_beyond_the_window_is_refused_and_an_empty_one_never() {
        let mut window = ReceiveWindow::new(10);
        assert_eq!(window.receive(11), None);
        window.shift(-20);
        assert_eq!(window.receive(0), Some(()));
        assert_eq!(window.receive(1), None);
    }
}
