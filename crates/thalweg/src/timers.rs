//! The timer table: the timeouts of a connection, and the last time that the caller passed.
//!
//! Only `receive` and `handle_timeout` carry the time. A timeout that is armed while one of them
//! runs starts at that time. A timeout that any other call arms is *pending*: it starts at the next
//! time that the caller passes. So no timeout can be measured from a time that passed before the
//! call that armed it.
//!
//! A timeout of a frame that the peer must see before it can answer (SETTINGS, PING, the client's
//! preface) is *unsent* until `poll_transmit` hands the output out; then it is pending.
//!
//! Invariants: `next` is the earliest armed timeout, or the last known time while one is pending; a
//! timeout that the configuration disables is neither armed, nor pending, nor unsent; an unsent
//! timeout alone asks for no time.

use core::time::Duration;

use crate::config::Timeouts;
use crate::error::Timeout;
use crate::time::Instant;

/// The armed and the pending timeouts.
#[derive(Debug)]
pub(crate) struct Timers {
    at: [Instant; Timeout::COUNT],
    /// Nanoseconds; `OFF` disables the timeout.
    durations: [u64; Timeout::COUNT],
    /// One bit for each timeout that starts at the next time that the caller passes.
    pending: u16,
    /// One bit for each timeout that becomes pending when the output is handed out.
    unsent: u16,
    /// Whether `now` is the time of the current call.
    is_current: bool,
    /// The latest time that was passed; `None` before the first.
    now: Option<Instant>,
    /// The `now` with which input was received last, as it was passed.
    input_at: Option<Instant>,
}

impl Timers {
    /// Creates the table of a new connection. The timeouts of [`ARMED_AT_START`] start at the first
    /// time that the caller passes. [`SENT_AT_START`] starts when the output is handed out.
    pub(crate) fn new(timeouts: &Timeouts) -> Self {
        let nanos = |duration: Option<Duration>| {
            duration.map_or(OFF, |duration| u64::try_from(duration.as_nanos()).unwrap_or(OFF - 1))
        };
        let durations = Timeout::ALL.map(|timeout| nanos(timeouts.of(timeout)));
        let mut timers = Self {
            at: [Instant::NEVER; Timeout::COUNT],
            durations,
            pending: 0,
            unsent: 0,
            is_current: false,
            now: None,
            input_at: None,
        };
        ARMED_AT_START.into_iter().for_each(|timeout| timers.arm(timeout));
        timers.arm_after_transmit(SENT_AT_START);
        timers
    }

    /// Returns the duration of a timeout, if it is enabled.
    #[inline]
    pub(crate) fn duration(&self, timeout: Timeout) -> Option<Duration> {
        let nanos = self.durations[timeout as usize];
        (nanos != OFF).then(|| Duration::from_nanos(nanos))
    }

    /// Returns the latest time that was passed, or the origin before the first.
    #[inline]
    pub(crate) fn now(&self) -> Instant {
        self.now.unwrap_or(Instant::ZERO)
    }

    /// Whether input was last received with this same `now`.
    #[inline]
    pub(crate) fn is_input_time(&self, now: Instant) -> bool {
        self.input_at == Some(now)
    }

    /// Records the `now` of `receive`. Returns whether it is later than the last time: only then do
    /// pending timeouts start. An equal `now` is the same reading of the clock, made before the
    /// calls between the two.
    pub(crate) fn receive_time(&mut self, now: Instant, has_input: bool) -> bool {
        let is_later = self.now.is_none_or(|before| now > before);
        if is_later {
            self.start_pending(now);
        }
        if has_input {
            self.input_at = Some(now);
            self.start(Timeout::KeepAlive);
        }
        is_later
    }

    /// Records the `now` of `handle_timeout`, which starts pending timeouts in any case. Returns
    /// the current time, which never goes back.
    pub(crate) fn handle_time(&mut self, now: Instant) -> Instant {
        self.start_pending(now.max(self.now()));
        self.now()
    }

    fn start_pending(&mut self, now: Instant) {
        self.now = Some(now);
        while self.pending != 0 {
            let index = self.pending.trailing_zeros() as usize;
            self.pending &= self.pending - 1;
            if self.at[index] == Instant::NEVER {
                self.at[index] = now + Duration::from_nanos(self.durations[index]);
            }
        }
    }

    /// Begins a call that carries the time: until `leave`, `arm` starts timeouts at that time.
    #[inline]
    pub(crate) fn enter(&mut self) {
        self.is_current = true;
    }

    /// Ends a call that carries the time.
    #[inline]
    pub(crate) fn leave(&mut self) {
        self.is_current = false;
    }

    /// Arms a timeout. An armed one starts again.
    #[inline]
    pub(crate) fn arm(&mut self, timeout: Timeout) {
        if self.is_current {
            self.start(timeout);
        } else {
            self.arm_on_next_time(timeout);
        }
    }

    /// Arms a timeout unless it is armed or pending already.
    #[inline]
    pub(crate) fn arm_if_unarmed(&mut self, timeout: Timeout) {
        if self.at[timeout as usize] == Instant::NEVER && self.pending & bit(timeout) == 0 {
            self.arm(timeout);
        }
    }

    /// Arms a timeout that several streams share, for one more of them. If it is armed, it still
    /// expires when it would have. `next` returns the last known time in any case, since the wait
    /// of this stream starts when the caller passes the time.
    #[inline]
    pub(crate) fn arm_for_one_more(&mut self, timeout: Timeout) {
        if self.durations[timeout as usize] != OFF {
            self.pending |= bit(timeout);
        }
    }

    /// Arms a timeout of a frame that was appended to the output: it starts at the first time after
    /// the output was handed out. If it is armed for an earlier frame, that one's expiry stays.
    #[inline]
    pub(crate) fn arm_after_transmit(&mut self, timeout: Timeout) {
        if self.durations[timeout as usize] != OFF {
            self.unsent |= bit(timeout);
        }
    }

    /// Whether a frame that arms the timeout is in the output.
    #[inline]
    fn is_unsent(&self, timeout: Timeout) -> bool {
        self.unsent & bit(timeout) != 0
    }

    /// Makes the unsent timeouts pending: the output was handed out.
    #[inline]
    pub(crate) fn output_taken(&mut self) {
        self.pending |= self.unsent;
        self.unsent = 0;
    }

    /// Ends the wait for the oldest of several frames. If a later one is handed out, the wait for
    /// its answer starts now.
    pub(crate) fn restart_for_next(&mut self, timeout: Timeout) {
        if self.is_unsent(timeout) {
            self.at[timeout as usize] = Instant::NEVER;
            self.pending &= !bit(timeout);
        } else {
            self.arm(timeout);
        }
    }

    /// Arms a timeout that expires its duration after `since`, a time that was passed earlier.
    pub(crate) fn arm_since(&mut self, timeout: Timeout, since: Instant) {
        if let Some(duration) = self.duration(timeout) {
            self.at[timeout as usize] = since + duration;
        }
    }

    #[inline]
    fn start(&mut self, timeout: Timeout) {
        let nanos = self.durations[timeout as usize];
        if nanos != OFF {
            self.at[timeout as usize] = self.now() + Duration::from_nanos(nanos);
            self.pending &= !bit(timeout);
        }
    }

    #[inline]
    fn arm_on_next_time(&mut self, timeout: Timeout) {
        if self.durations[timeout as usize] != OFF {
            self.at[timeout as usize] = Instant::NEVER;
            self.pending |= bit(timeout);
        }
    }

    /// Disarms a timeout.
    #[inline]
    pub(crate) fn disarm(&mut self, timeout: Timeout) {
        self.at[timeout as usize] = Instant::NEVER;
        self.pending &= !bit(timeout);
        self.unsent &= !bit(timeout);
    }

    /// Disarms all timeouts.
    pub(crate) fn disarm_all(&mut self) {
        self.at = [Instant::NEVER; Timeout::COUNT];
        (self.pending, self.unsent) = (0, 0);
    }

    /// Returns when `handle_timeout` should be called: at once, which is the last known time, while
    /// a timeout is pending; else at the earliest timeout.
    pub(crate) fn next(&self) -> Option<Instant> {
        if self.pending != 0 {
            return Some(self.now());
        }
        self.at.iter().min().copied().filter(|at| *at != Instant::NEVER)
    }

    /// Disarms and returns the next timeout that has expired, in the order of their numbers.
    pub(crate) fn pop_expired(&mut self) -> Option<Timeout> {
        let now = self.now();
        let due = Timeout::ALL.into_iter().find(|timeout| {
            let at = self.at[*timeout as usize];
            at <= now && at != Instant::NEVER
        })?;
        // A frame that is still in the output keeps its timeout.
        self.at[due as usize] = Instant::NEVER;
        self.pending &= !bit(due);
        Some(due)
    }

    /// Asserts the invariants.
    pub(crate) fn check(&self) {
        for timeout in Timeout::ALL {
            let is_waiting = (self.pending | self.unsent) & bit(timeout) != 0;
            let is_enabled = self.at[timeout as usize] != Instant::NEVER || is_waiting;
            debug_assert!(!is_enabled || self.duration(timeout).is_some(), "{timeout:?} is off");
        }
        debug_assert!(!self.is_current, "the call that carried the time has returned");
    }
}

const fn bit(timeout: Timeout) -> u16 {
    1 << timeout as u16
}

/// The timeouts that a new connection arms.
const ARMED_AT_START: [Timeout; 3] = [Timeout::Preface, Timeout::Idle, Timeout::KeepAlive];
/// The timeout that waits for an answer to what a new connection sends first.
const SENT_AT_START: Timeout = Timeout::SettingsAck;
const OFF: u64 = u64::MAX;

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(seconds: u32) -> Instant {
        Instant::ZERO + SECOND * seconds
    }

    /// A table at 1 s whose first timeouts were disarmed.
    fn table(timeouts: &Timeouts) -> Timers {
        let mut timers = Timers::new(timeouts);
        timers.handle_time(at(1));
        timers.disarm_all();
        timers
    }

    #[test]
    fn a_timeout_armed_within_a_call_that_carries_the_time_starts_there() {
        let mut timers = table(&Timeouts { idle: None, ..Timeouts::default() });
        assert_eq!(timers.next(), None);
        timers.enter();
        timers.arm(Timeout::Idle);
        assert_eq!(timers.next(), None, "it is off");
        timers.arm(Timeout::Stall);
        timers.arm(Timeout::Preface);
        timers.leave();
        timers.arm_if_unarmed(Timeout::Preface);
        assert_eq!(timers.next(), Some(at(11)));
        assert_eq!(timers.pop_expired(), None);
        timers.handle_time(at(11));
        assert_eq!(timers.pop_expired(), Some(Timeout::Preface));
        assert_eq!(timers.pop_expired(), None);
        assert_eq!(timers.next(), Some(at(61)), "the stall stays armed");
    }

    #[test]
    fn every_timeout_that_another_call_arms_starts_at_the_next_time() {
        let all_on = Timeouts { keep_alive: Some(SECOND * 5), idle: Some(SECOND * 7), ..Timeouts::default() };
        for timeout in Timeout::ALL {
            let mut timers = table(&all_on);
            timers.arm(timeout);
            assert_eq!(timers.next(), Some(at(1)), "{timeout:?} asks for the time at once");
            assert!(!timers.receive_time(at(1), false), "the same reading of the clock");
            assert_eq!(timers.next(), Some(at(1)));
            assert!(timers.receive_time(at(100), false));
            let length = timers.duration(timeout).expect("it is on");
            assert_eq!(timers.next(), Some(at(100) + length), "{timeout:?}");
        }
    }

    #[test]
    fn an_unsent_timeout_asks_for_no_time_until_the_output_is_handed_out() {
        let mut timers = table(&Timeouts::default());
        timers.arm_after_transmit(Timeout::SettingsAck);
        timers.handle_time(at(50));
        assert_eq!(timers.next(), None);
        timers.output_taken();
        assert_eq!(timers.next(), Some(at(50)));
        timers.handle_time(at(100));
        assert_eq!(timers.next(), Some(at(110)));
        // The second of two frames, handed out later, leaves the expiry of the first.
        timers.arm_after_transmit(Timeout::SettingsAck);
        timers.output_taken();
        timers.handle_time(at(105));
        assert_eq!(timers.next(), Some(at(110)));
        timers.restart_for_next(Timeout::SettingsAck);
        timers.handle_time(at(106));
        assert_eq!(timers.next(), Some(at(116)));
        timers.arm_after_transmit(Timeout::SettingsAck);
        timers.restart_for_next(Timeout::SettingsAck);
        assert_eq!(timers.next(), None, "the next frame is still in the output");
        timers.disarm(Timeout::SettingsAck);
        timers.output_taken();
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn handle_timeout_starts_what_is_pending_even_at_the_same_time() {
        let mut timers = table(&Timeouts::default());
        timers.arm(Timeout::Shutdown);
        assert_eq!(timers.handle_time(Instant::ZERO), at(1), "a clock that jumps back is held");
        assert_eq!(timers.next(), Some(at(31)));
    }

    #[test]
    fn arming_again_from_a_call_moves_a_timeout_and_one_more_stream_does_not() {
        let mut timers = table(&Timeouts::default());
        timers.arm(Timeout::Shutdown);
        timers.arm_for_one_more(Timeout::Stall);
        timers.handle_time(at(1));
        assert_eq!(timers.next(), Some(at(31)));
        timers.arm(Timeout::Shutdown);
        timers.arm_for_one_more(Timeout::Stall);
        timers.handle_time(at(50));
        assert_eq!(timers.next(), Some(at(61)), "the stall");
        timers.disarm(Timeout::Stall);
        assert_eq!(timers.next(), Some(at(80)), "the shutdown");
    }

    #[test]
    fn no_time_is_asked_for_when_every_timeout_is_off() {
        let mut timers = Timers::new(&Timeouts::OFF);
        assert_eq!(timers.next(), None);
        Timeout::ALL.into_iter().for_each(|timeout| timers.arm(timeout));
        timers.arm_for_one_more(Timeout::Stall);
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn timeouts_are_in_the_order_of_their_numbers() {
        for (index, timeout) in Timeout::ALL.into_iter().enumerate() {
            assert_eq!(timeout as usize, index);
        }
    }
}
