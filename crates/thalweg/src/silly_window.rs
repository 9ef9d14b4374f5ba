//! Sender-side avoidance of silly windows, as RFC 1122 §4.2.3.4 describes it for TCP.
//!
//! A peer that credits each DATA frame by its length turns every short frame into a short
//! increment, and that into the next short frame: the window stays divided into small pieces. So a
//! frame that only the window makes short waits.
//!
//! This module owns the rule. A frame is sent at once if
//!
//! * it carries all that the caller has, or as much as the peer's frame size or the room of the
//!   output allows; or
//! * it is at least as long as [`full_frame`]: the smaller of the peer's frame size, half of the
//!   stream's window and half of the connection's. The window counts whole here, with what was sent
//!   and not credited, and so it follows each change of SETTINGS_INITIAL_WINDOW_SIZE: a window of
//!   one byte carries frames of one byte; or
//! * it is the first short one after half of the limiting window, and seven eighths of what is in
//!   flight under it, were sent without any credit in between: the peer credits neither frame by
//!   frame nor half of the window at a time. A peer that consumes nothing before the last byte
//!   which fits the window gets that byte at once, and one that credits each half of its window
//!   gets no short frame after each half; or
//! * it has waited for one to two times [`Avoidance::interval`]. One short frame is then sent.
//!
//! Why this never waits for window that cannot come: a frame that waits has a window between zero
//! and the threshold. Either credit lifts the window to the threshold, or none arrives, and the
//! timer releases the frame: the window is then exhausted, as it would be without the rule. Streams
//! that follow it in the send queue wait no longer than it. Without a clock (all timeouts are off,
//! so that `poll_timeout` never asks for time), and after the end of input, no frame waits. A clock
//! that does not advance holds no frame either: while the timer runs, [`STANDING_CALLS_MAX`] calls
//! of `handle_timeout` without a later time count as an interval. So a caller that always passes
//! the same time only has to call it in each iteration.
//!
//! The timer is not in the timer table (`timers`): it ends nothing, has no name in `Timeout`, which
//! is public, and is not configured. The table's scan stays as long as its list of timeouts.
//!
//! Why frames are long: a frame that the window makes short is at least half of `full_frame`, or
//! follows half a window of frames that are at least `full_frame` bytes long, or follows an expiry
//! of the timer. The mean is at least half of `full_frame` for every pattern of credit.
//!
//! Invariants: the timer is armed only while a stream could send a short frame.

use core::time::Duration;

use crate::time::Instant;

/// Returns the shortest frame that a window may make of a longer one, as far as the connection
/// decides; at least 1.
#[inline]
pub(crate) fn full_frame(frame_bytes_max: u32, connection_window_size: u32) -> u32 {
    frame_bytes_max.min(connection_window_size / 2).max(1)
}

/// How long a short frame has waited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Wait {
    /// The timer has not fired since the frame is short.
    #[default]
    No,
    /// The timer has fired once.
    Found,
    /// The frame may be sent.
    Over,
}

impl Wait {
    /// Advances the wait when the timer fires.
    pub(crate) const fn advance(&mut self) {
        *self = match self {
            Self::No => Self::Found,
            Self::Found | Self::Over => Self::Over,
        };
    }
}

/// The state of the timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Timer {
    Off,
    /// It starts at the next time that the caller passes.
    Pending,
    At(Instant),
}

/// The timer, and what the peer's credit has shown.
#[derive(Debug)]
pub(crate) struct Avoidance {
    /// `None` without a clock.
    interval: Option<Duration>,
    timer: Timer,
    /// Calls of `handle_timeout` without a later time, since the timer runs.
    standing_calls: u8,
    /// DATA bytes since credit arrived, or since a short frame was sent.
    burst_bytes: u32,
    /// The wait of the first stream of the queue for the connection's window.
    pub connection_wait: Wait,
}

impl Avoidance {
    /// Creates it with the timer off. `stall`: the timeout of a stream without window; a short
    /// frame waits less.
    pub(crate) fn new(has_clock: bool, stall: Option<Duration>) -> Self {
        let interval = stall.map_or(INTERVAL_MAX, |stall| INTERVAL_MAX.min(stall / 4));
        Self {
            interval: has_clock.then_some(interval),
            timer: Timer::Off,
            standing_calls: 0,
            burst_bytes: 0,
            connection_wait: Wait::No,
        }
    }

    /// Whether frames wait at all.
    pub(crate) const fn is_on(&self) -> bool {
        self.interval.is_some()
    }

    /// Stops all waiting: no more window can arrive.
    pub(crate) const fn turn_off(&mut self) {
        self.interval = None;
        self.timer = Timer::Off;
    }

    /// Whether a short frame may be sent at once, under a window of this size of which
    /// `uncredited` bytes are in flight.
    #[inline]
    pub(crate) const fn allows_short(&self, window_size: u32, uncredited: u32) -> bool {
        self.burst_bytes >= window_size.div_ceil(2) && self.burst_bytes as u64 * 8 >= uncredited as u64 * 7
    }

    /// Counts a DATA frame.
    #[inline]
    pub(crate) const fn count_frame(&mut self, bytes: u32) {
        self.burst_bytes = self.burst_bytes.saturating_add(bytes);
    }

    /// Records that a short frame was sent, or is promised to a stream.
    pub(crate) const fn short_frame_sent(&mut self) {
        self.burst_bytes = 0;
    }

    /// Records that the peer has credited something.
    #[inline]
    pub(crate) const fn credited(&mut self) {
        self.burst_bytes = 0;
    }

    /// Starts the timer at the next time that the caller passes, unless it runs.
    #[inline]
    pub(crate) fn watch(&mut self) {
        if self.timer == Timer::Off && self.interval.is_some() {
            self.timer = Timer::Pending;
        }
    }

    /// Takes the time that the caller passes.
    #[inline]
    pub(crate) fn observe_time(&mut self, now: Instant) {
        if self.timer == Timer::Pending
            && let Some(interval) = self.interval
        {
            self.timer = Timer::At(now + interval);
            self.standing_calls = 0;
        }
    }

    /// Counts a call of `handle_timeout` whose time is not later than `now`.
    #[cold]
    pub(crate) fn count_standing_call(&mut self, now: Instant) {
        if matches!(self.timer, Timer::At(_)) {
            self.standing_calls += 1;
            if self.standing_calls >= STANDING_CALLS_MAX {
                self.timer = Timer::At(now);
            }
        }
    }

    /// Returns when the timer is due; `now` is the last time that the caller passed.
    #[inline]
    pub(crate) const fn next(&self, now: Instant) -> Option<Instant> {
        match self.timer {
            Timer::Off => None,
            Timer::Pending => Some(now),
            Timer::At(at) => Some(at),
        }
    }

    /// Returns whether the timer has fired, and turns it off if so.
    pub(crate) fn pop_expired(&mut self, now: Instant) -> bool {
        let is_due = matches!(self.timer, Timer::At(at) if at <= now);
        if is_due {
            self.timer = Timer::Off;
        }
        is_due
    }
}

/// RFC 1122 §4.2.3.4 allows 0.1 to 1 s; a short frame waits for one to two intervals.
const INTERVAL_MAX: Duration = Duration::from_millis(100);
/// More calls than fit one tick of a coarse clock, if they are made when they are due.
const STANDING_CALLS_MAX: u8 = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_frame_is_half_a_small_window_and_never_0() {
        let cases = [(16_384, 65_535, 16_384), (16_384, 20_000, 10_000), (16_384, 1, 1), (16_384, 0, 1)];
        for (frame, window, full) in cases {
            assert_eq!(full_frame(frame, window), full, "{frame} {window}");
        }
    }

    #[test]
    fn the_timer_starts_at_the_next_time_that_is_passed() {
        let seconds = |seconds| Instant::ZERO + Duration::from_secs(seconds);
        let mut avoidance = Avoidance::new(true, None);
        assert_eq!(avoidance.next(seconds(1)), None);
        avoidance.watch();
        assert_eq!(avoidance.next(seconds(1)), Some(seconds(1)), "at once");
        assert!(!avoidance.pop_expired(seconds(100)));
        avoidance.observe_time(seconds(100));
        let at = seconds(100) + INTERVAL_MAX;
        assert_eq!(avoidance.next(seconds(100)), Some(at));
        avoidance.watch();
        avoidance.observe_time(seconds(101));
        assert_eq!(avoidance.next(seconds(101)), Some(at), "it runs already");
        assert!(avoidance.pop_expired(at));
        assert!(!avoidance.pop_expired(at));
    }

    #[test]
    fn a_short_frame_waits_less_than_a_stall_and_not_at_all_without_a_clock() {
        let mut avoidance = Avoidance::new(true, Some(Duration::from_millis(80)));
        avoidance.watch();
        avoidance.observe_time(Instant::ZERO);
        assert_eq!(avoidance.next(Instant::ZERO), Some(Instant::ZERO + Duration::from_millis(20)));
        let mut avoidance = Avoidance::new(false, None);
        avoidance.watch();
        assert_eq!((avoidance.is_on(), avoidance.next(Instant::ZERO)), (false, None));
    }

    #[test]
    fn calls_replace_a_clock_that_does_not_advance() {
        let mut avoidance = Avoidance::new(true, None);
        avoidance.count_standing_call(Instant::ZERO);
        avoidance.watch();
        avoidance.observe_time(Instant::ZERO);
        for _ in 1..STANDING_CALLS_MAX {
            avoidance.count_standing_call(Instant::ZERO);
            assert!(!avoidance.pop_expired(Instant::ZERO));
        }
        avoidance.count_standing_call(Instant::ZERO);
        assert!(avoidance.pop_expired(Instant::ZERO));
        avoidance.watch();
        avoidance.observe_time(Instant::ZERO);
        avoidance.count_standing_call(Instant::ZERO);
        assert!(!avoidance.pop_expired(Instant::ZERO), "the count starts with the timer");
    }

    #[test]
    fn half_a_window_without_credit_allows_one_short_frame() {
        let mut avoidance = Avoidance::new(true, None);
        avoidance.count_frame(32_767);
        assert!(!avoidance.allows_short(65_535, 32_767));
        avoidance.count_frame(1);
        assert!(avoidance.allows_short(65_535, 32_768));
        assert!(!avoidance.allows_short(65_535, 65_500), "half of the window was in flight before");
        avoidance.count_frame(16_384);
        assert!(!avoidance.allows_short(65_535, 65_500), "half, and what an earlier half left over");
        avoidance.count_frame(10_000);
        assert!(avoidance.allows_short(65_535, 65_500));
        avoidance.short_frame_sent();
        assert!(!avoidance.allows_short(65_535, 65_535));
        avoidance.count_frame(65_535);
        avoidance.credited();
        assert!(!avoidance.allows_short(65_535, 65_535));
    }
}
