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
//!   stream's window and half of the connection's. The window that counts is the one that can be
//!   *reached*: what is available, and what is in flight and can be expected back. So it follows
//!   each change of SETTINGS_INITIAL_WINDOW_SIZE: a window of one byte carries frames of one byte;
//!   or
//! * it is the first short one after half of that window, and seven eighths of what is in flight
//!   under it, were sent without any credit in between: the peer credits neither frame by frame nor
//!   half of the window at a time. A peer that consumes nothing before the last byte which fits the
//!   window gets that byte at once, and one that credits each half of its window gets no short
//!   frame after each half; or
//! * it has waited for one to two times [`Avoidance::interval`].
//!
//! # What can be expected back
//!
//! A peer may hold bytes for long: those of a stream that it has paused, or what it reads ahead.
//! The window that they take cannot be reached. When the timer releases a frame, all that is in
//! flight under the window that made the frame short is *stale* (`SendWindow`), and no longer
//! counts. What is left open then carries frames of half its size without a wait.
//!
//! Credit shows that the peer consumes again. It does not show which bytes it has consumed, so it
//! removes only a part of its own length from what is stale: a 16th after the first wait in vain,
//! a 64th, a 256th and at last a 1024th after the next ones ([`released_by_credit`]). Therefore
//!
//! * a peer that lets `r` bytes circulate and holds the others costs one wait for each 16, 64, 256
//!   and then each 1024 times `r` bytes;
//! * a peer that was slow once gets long frames again after at most 1024 windows of credit. If it
//!   credits whole frames, that is at the first of them: a window that opens for a full frame has
//!   nothing stale, and the next wait in vain counts as the first.
//!
//! # The order of streams
//!
//! If the first stream of the send queue waits for the connection's window, a frame that would not
//! become longer may pass it: one that carries all that its caller has, of a stream that is no less
//! urgent. A look at the first few entries of each class finds such streams, and keeps their order.
//! Between two frames in order, at most eight such frames pass, and they take at most one
//! [`full_frame`] of the window. From then on all credit is the first stream's, so that no flood of
//! short messages starves it, and a caller that writes byte by byte does not overtake the others.
//!
//! # Why this never waits for window that cannot come
//!
//! A frame that waits has a window between zero and the threshold. Either credit lifts the window
//! to the threshold, or none arrives, and the timer releases the frame: the window is then
//! exhausted, as it would be without the rule. Streams that follow it in the send queue wait no
//! longer than it.
//!
//! The timer needs a caller that handles timeouts. No frame waits before the first call of
//! `handle_timeout`; the first stream that is blocked makes `poll_timeout` ask for that call. A
//! program that never makes it sends short frames, and never hangs. Without a clock (all timeouts
//! are off, so that `poll_timeout` never asks for time), and after the end of input, no frame waits
//! either. A clock that does not advance holds no frame: while the timer runs,
//! [`STANDING_CALLS_MAX`] calls of `handle_timeout` without a later time count as an interval. So a
//! caller that always passes the same time only has to call it in each iteration.
//!
//! The timer is not in the timer table (`timers`): it ends nothing, has no name in `Timeout`, which
//! is public, and is not configured. The table's scan stays as long as its list of timeouts.
//!
//! # Why frames are long
//!
//! While nothing is stale, a frame that the window makes short is at least half of `full_frame`, or
//! follows half a window of frames that are at least `full_frame` bytes long, or follows an expiry
//! of the timer. The mean is at least half of `full_frame` for every pattern of credit. After an
//! expiry the same holds for the window that can be reached.
//!
//! Invariants: the timer is armed only while a stream could send a short frame, or while
//! `handle_timeout` was never called.

use core::time::Duration;

use crate::time::Instant;

/// Returns the shortest frame that a window may make of a longer one, as far as the connection
/// decides; at least 1. `window_bytes`: what its window can reach.
#[inline]
pub(crate) fn full_frame(frame_bytes_max: u32, window_bytes: u32) -> u32 {
    frame_bytes_max.min(window_bytes / 2).max(1)
}

/// Returns how many stale bytes an increment shows to be consumed, after so many waits in vain; at
/// least 1.
pub(crate) fn released_by_credit(increment: u32, vain_waits: u8) -> u32 {
    let waits = u32::from(vain_waits.min(VAIN_WAITS_COUNTED));
    increment.div_ceil(1 << (2 * waits + 2))
}

/// How long a short frame has waited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Wait {
    /// The timer has not fired since the frame is short.
    #[default]
    No,
    /// The timer has fired once.
    Found,
    /// The frame may be sent: it has waited long enough, or need not.
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
    /// `None` without a clock, and after the end of input.
    interval: Option<Duration>,
    /// Whether the caller has ever called `handle_timeout`.
    handles_timeouts: bool,
    timer: Timer,
    /// Calls of `handle_timeout` without a later time, since the timer runs.
    standing_calls: u8,
    /// DATA bytes since credit arrived, or since a short frame was sent.
    burst_bytes: u32,
    /// Whether the timer has fired since the first stream of the queue waits for the connection's
    /// window.
    connection_has_waited: bool,
    /// Bytes of frames that have passed the first stream of the queue since the last frame in
    /// order.
    passed_bytes: u32,
}

impl Avoidance {
    /// Creates it with the timer off, before any call of `handle_timeout`. `stall`: the timeout of
    /// a stream without window; a short frame waits less.
    pub(crate) fn new(has_clock: bool, stall: Option<Duration>) -> Self {
        let interval = stall.map_or(INTERVAL_MAX, |stall| INTERVAL_MAX.min(stall / 4));
        Self {
            interval: has_clock.then_some(interval),
            handles_timeouts: false,
            timer: Timer::Off,
            standing_calls: 0,
            burst_bytes: 0,
            connection_has_waited: false,
            passed_bytes: 0,
        }
    }

    /// Whether frames wait at all.
    pub(crate) const fn is_on(&self) -> bool {
        self.interval.is_some() && self.handles_timeouts
    }

    /// Whether frames will wait once `handle_timeout` has been called.
    pub(crate) const fn is_standby(&self) -> bool {
        self.interval.is_some() && !self.handles_timeouts
    }

    /// Records a call of `handle_timeout`. Returns whether frames wait from now on.
    #[inline]
    pub(crate) const fn turn_on(&mut self) -> bool {
        let was_standby = self.is_standby();
        if was_standby {
            self.timer = Timer::Off;
        }
        self.handles_timeouts = true;
        was_standby
    }

    /// Stops all waiting: no more window can arrive.
    pub(crate) const fn turn_off(&mut self) {
        self.interval = None;
        self.timer = Timer::Off;
    }

    /// Whether a short frame may be sent at once, under a window that can reach `window_bytes`, of
    /// which `in_flight` can be expected back.
    #[inline]
    pub(crate) const fn allows_short(&self, window_bytes: u32, in_flight: u32) -> bool {
        self.burst_bytes >= window_bytes.div_ceil(2) && self.burst_bytes as u64 * 8 >= in_flight as u64 * 7
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

    /// Records a frame in the order of the queue: the first stream of the queue no longer waits.
    #[inline]
    pub(crate) const fn in_order_sent(&mut self) {
        self.passed_bytes = 0;
        self.connection_has_waited = false;
    }

    /// Returns how many bytes a frame may have that passes the first stream of the queue.
    #[inline]
    pub(crate) const fn passing_bytes_max(&self, full_frame: u32) -> u32 {
        full_frame.saturating_sub(self.passed_bytes)
    }

    /// Counts a frame that passes the first stream of the queue. A short one counts as the part of
    /// `full_frame` that lets [`PASSING_FRAMES_MAX`] of them pass.
    pub(crate) fn count_passed(&mut self, bytes: u32, full_frame: u32) {
        let counted = bytes.max(full_frame.div_ceil(PASSING_FRAMES_MAX));
        self.passed_bytes = self.passed_bytes.saturating_add(counted);
    }

    /// Lets no frame pass until the next frame in order.
    pub(crate) const fn stop_passing(&mut self) {
        self.passed_bytes = u32::MAX;
    }

    /// Takes whether the first stream of the queue waits for the connection's window while the
    /// timer fires. Returns whether it has done so since the timer fired before.
    pub(crate) const fn count_connection_wait(&mut self, waits: bool) -> bool {
        let was_vain = waits && self.connection_has_waited;
        self.connection_has_waited = waits && !was_vain;
        was_vain
    }

    /// Restarts the timer that has fired, if a stream still waits for its own window, as
    /// `streams_wait` says, or the first one for the connection's.
    pub(crate) fn continue_waits(&mut self, streams_wait: bool, now: Instant) {
        if streams_wait || self.connection_has_waited {
            self.watch();
            self.observe_time(now);
        }
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
        // On standby only `handle_timeout` starts it: until then `poll_timeout` asks for the call.
        if self.timer == Timer::Pending
            && self.handles_timeouts
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
/// Frames that pass the first stream of the queue between two frames in order.
const PASSING_FRAMES_MAX: u32 = 8;
/// After more waits in vain, credit releases no smaller part of what is stale.
const VAIN_WAITS_COUNTED: u8 = 4;
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
    fn frames_wait_from_the_first_handled_timeout_to_the_end_of_input() {
        let mut avoidance = Avoidance::new(true, None);
        assert_eq!((avoidance.is_on(), avoidance.is_standby()), (false, true));
        assert!(avoidance.turn_on());
        assert_eq!((avoidance.is_on(), avoidance.is_standby()), (true, false));
        assert!(!avoidance.turn_on(), "it is on");
        avoidance.turn_off();
        assert_eq!((avoidance.is_on(), avoidance.is_standby()), (false, false));
        assert!(!avoidance.turn_on(), "no more window can arrive");
        assert!(!Avoidance::new(false, None).turn_on(), "there is no clock");
    }

    #[test]
    fn credit_releases_less_after_each_wait_in_vain_and_never_nothing() {
        let released = [0, 1, 2, 3, 4, 5, 255].map(|waits| released_by_credit(16_384, waits));
        assert_eq!(released, [4096, 1024, 256, 64, 16, 16, 16]);
        assert_eq!([1, 16, 17].map(|increment| released_by_credit(increment, 1)), [1, 1, 2]);
    }

    #[test]
    fn the_first_stream_has_waited_in_vain_when_the_timer_fires_twice() {
        let mut avoidance = Avoidance::new(true, None);
        let waits = [true, false, true, true, true, true].map(|waits| avoidance.count_connection_wait(waits));
        assert_eq!(waits, [false, false, false, true, false, true]);
        avoidance.count_connection_wait(true);
        avoidance.in_order_sent();
        assert!(!avoidance.count_connection_wait(true), "another stream has just become the first");
    }

    #[test]
    fn frames_that_pass_the_first_stream_have_one_frame_together() {
        let mut avoidance = Avoidance::new(true, None);
        avoidance.count_passed(16_000, 16_384);
        assert_eq!([16_384, 10_000].map(|full| avoidance.passing_bytes_max(full)), [384, 0]);
        avoidance.in_order_sent();
        assert_eq!(avoidance.passing_bytes_max(16_384), 16_384);
        // Eight tiny frames, and no more.
        for left in (0..8).rev() {
            assert_ne!(avoidance.passing_bytes_max(16_384), 0);
            avoidance.count_passed(1, 16_384);
            assert_eq!(avoidance.passing_bytes_max(16_384), left * 2048);
        }
    }

    #[test]
    fn the_timer_starts_at_the_next_time_that_is_passed() {
        let seconds = |seconds| Instant::ZERO + Duration::from_secs(seconds);
        let mut avoidance = Avoidance::new(true, None);
        assert_eq!(avoidance.next(seconds(1)), None);
        avoidance.watch();
        avoidance.observe_time(seconds(1));
        assert_eq!(avoidance.next(seconds(1)), Some(seconds(1)), "at once");
        assert!(!avoidance.pop_expired(seconds(100)));
        assert!(avoidance.turn_on());
        assert_eq!(avoidance.next(seconds(1)), None, "the call was made");
        avoidance.watch();
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
        avoidance.turn_on();
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
        avoidance.turn_on();
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
