//! The timer table: the timeouts of a connection, and the time as the core knows it.
//!
//! Only `receive` and `handle_timeout` carry the time. A timeout that is armed while one of them
//! runs starts at that time. A timeout that any other call arms is *pending*: it starts at the next
//! time that the caller passes. So no timeout can be measured from a time that passed before the
//! call that armed it.
//!
//! Keeps true: `next` is the earliest armed timeout, or the last known time while one is pending; a
//! timeout that is off in the configuration is neither armed nor pending.

use core::time::Duration;

use crate::config::Deadlines;
use crate::error::Deadline;
use crate::time::Instant;

/// The armed and the pending timeouts.
#[derive(Debug)]
pub struct Liveness {
    at: [Instant; Deadline::COUNT],
    /// Nanoseconds; `OFF` is none.
    durations: [u64; Deadline::COUNT],
    /// One bit for each timeout that starts at the next time.
    pending: u16,
    /// Whether `now` is the time of the call that runs.
    is_current: bool,
    /// The latest time that was passed; `None` before the first.
    now: Option<Instant>,
    /// The `now` with which input was received last, as it was passed.
    input_at: Option<Instant>,
}

impl Liveness {
    /// Creates the table of a new connection: the timeouts that it begins with start at the first
    /// time.
    pub fn new(deadlines: &Deadlines) -> Self {
        let nanos = |duration: Option<Duration>| {
            duration.map_or(OFF, |duration| u64::try_from(duration.as_nanos()).unwrap_or(OFF - 1))
        };
        let durations = [
            nanos(deadlines.preface),
            nanos(deadlines.settings_ack),
            nanos(deadlines.header_block),
            nanos(deadlines.keep_alive),
            nanos(deadlines.ping),
            nanos(deadlines.idle),
            nanos(deadlines.shutdown),
            nanos(deadlines.stall),
            nanos(deadlines.transmit),
            nanos(deadlines.content),
        ];
        let mut liveness = Self {
            at: [Instant::NEVER; Deadline::COUNT],
            durations,
            pending: 0,
            is_current: false,
            now: None,
            input_at: None,
        };
        STARTED_AT_ONCE.into_iter().for_each(|deadline| liveness.arm(deadline));
        liveness
    }

    /// Returns how long a timeout is, if it is on.
    #[inline]
    pub fn duration(&self, deadline: Deadline) -> Option<Duration> {
        let nanos = self.durations[deadline as usize];
        (nanos != OFF).then(|| Duration::from_nanos(nanos))
    }

    /// Returns the latest time that was passed, or the origin before the first.
    #[inline]
    pub fn now(&self) -> Instant {
        self.now.unwrap_or(Instant::ZERO)
    }

    /// Whether input was last received with this same `now`.
    #[inline]
    pub fn is_input_time(&self, now: Instant) -> bool {
        self.input_at == Some(now)
    }

    /// Takes the `now` of `receive`. Returns whether it is later than the time before: only then do
    /// pending timeouts start. An equal `now` is the same reading of the clock, made before the
    /// calls that came between.
    pub fn receive_time(&mut self, now: Instant, has_input: bool) -> bool {
        let is_later = self.now.is_none_or(|before| now > before);
        if is_later {
            self.start_pending(now);
        }
        if has_input {
            self.input_at = Some(now);
            self.start(Deadline::KeepAlive);
        }
        is_later
    }

    /// Takes the `now` of `handle_timeout`, which starts what is pending in any case. Returns the
    /// time that it is: a clock that jumps back is held.
    pub fn handle_time(&mut self, now: Instant) -> Instant {
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
    pub fn enter(&mut self) {
        self.is_current = true;
    }

    /// Ends a call that carries the time.
    #[inline]
    pub fn leave(&mut self) {
        self.is_current = false;
    }

    /// Arms a timeout, in place of where it stood.
    #[inline]
    pub fn arm(&mut self, deadline: Deadline) {
        if self.is_current {
            self.start(deadline);
        } else {
            self.arm_on_next_time(deadline);
        }
    }

    /// Arms a timeout unless it is armed or pending already.
    #[inline]
    pub fn arm_if_off(&mut self, deadline: Deadline) {
        if self.at[deadline as usize] == Instant::NEVER && self.pending & bit(deadline) == 0 {
            self.arm(deadline);
        }
    }

    /// Arms a timeout that several streams share, for one more of them. An armed one keeps its
    /// earlier end; the next time is asked for in any case, since the stream's own wait starts
    /// there.
    #[inline]
    pub fn arm_for_one_more(&mut self, deadline: Deadline) {
        if self.durations[deadline as usize] != OFF {
            self.pending |= bit(deadline);
        }
    }

    /// Arms a timeout that is due `since` a time that was passed earlier plus its length.
    pub fn arm_since(&mut self, deadline: Deadline, since: Instant) {
        if let Some(duration) = self.duration(deadline) {
            self.at[deadline as usize] = since + duration;
        }
    }

    #[inline]
    fn start(&mut self, deadline: Deadline) {
        let nanos = self.durations[deadline as usize];
        if nanos != OFF {
            self.at[deadline as usize] = self.now() + Duration::from_nanos(nanos);
            self.pending &= !bit(deadline);
        }
    }

    #[inline]
    fn arm_on_next_time(&mut self, deadline: Deadline) {
        if self.durations[deadline as usize] != OFF {
            self.at[deadline as usize] = Instant::NEVER;
            self.pending |= bit(deadline);
        }
    }

    /// Takes a timeout back.
    #[inline]
    pub fn disarm(&mut self, deadline: Deadline) {
        self.at[deadline as usize] = Instant::NEVER;
        self.pending &= !bit(deadline);
    }

    /// Takes all back.
    pub fn disarm_all(&mut self) {
        self.at = [Instant::NEVER; Deadline::COUNT];
        self.pending = 0;
    }

    /// Returns when `handle_timeout` should be called: at once, which is the last known time, while
    /// a timeout is pending; else at the earliest timeout.
    pub fn next(&self) -> Option<Instant> {
        if self.pending != 0 {
            return Some(self.now());
        }
        self.at.iter().min().copied().filter(|at| *at != Instant::NEVER)
    }

    /// Takes the next timeout that has passed, in the order of their numbers.
    pub fn take_due(&mut self) -> Option<Deadline> {
        let now = self.now();
        let due = Deadline::ALL.into_iter().find(|deadline| {
            let at = self.at[*deadline as usize];
            at <= now && at != Instant::NEVER
        })?;
        self.disarm(due);
        Some(due)
    }

    /// Asserts what this owner keeps true.
    pub fn check(&self) {
        for deadline in Deadline::ALL {
            let is_used = self.at[deadline as usize] != Instant::NEVER || self.pending & bit(deadline) != 0;
            debug_assert!(!is_used || self.duration(deadline).is_some(), "{deadline:?} is off");
        }
        debug_assert!(!self.is_current, "the call that carried the time has returned");
    }
}

const fn bit(deadline: Deadline) -> u16 {
    1 << deadline as u16
}

/// The timeouts that a new connection begins with.
const STARTED_AT_ONCE: [Deadline; 4] =
    [Deadline::Preface, Deadline::SettingsAck, Deadline::Idle, Deadline::KeepAlive];
const OFF: u64 = u64::MAX;

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(seconds: u32) -> Instant {
        Instant::ZERO + SECOND * seconds
    }

    /// A table at 1 s whose first timeouts were taken back.
    fn table(deadlines: &Deadlines) -> Liveness {
        let mut liveness = Liveness::new(deadlines);
        liveness.handle_time(at(1));
        liveness.disarm_all();
        liveness
    }

    #[test]
    fn a_timeout_armed_within_a_call_that_carries_the_time_starts_there() {
        let mut liveness = table(&Deadlines { idle: None, ..Deadlines::default() });
        assert_eq!(liveness.next(), None);
        liveness.enter();
        liveness.arm(Deadline::Idle);
        assert_eq!(liveness.next(), None, "it is off");
        liveness.arm(Deadline::Stall);
        liveness.arm(Deadline::Preface);
        liveness.leave();
        liveness.arm_if_off(Deadline::Preface);
        assert_eq!(liveness.next(), Some(at(11)));
        assert_eq!(liveness.take_due(), None);
        liveness.handle_time(at(11));
        assert_eq!(liveness.take_due(), Some(Deadline::Preface));
        assert_eq!(liveness.take_due(), None);
        assert_eq!(liveness.next(), Some(at(61)), "the stall stays armed");
    }

    #[test]
    fn every_timeout_that_another_call_arms_starts_at_the_next_time() {
        let all_on =
            Deadlines { keep_alive: Some(SECOND * 5), idle: Some(SECOND * 7), ..Deadlines::default() };
        for deadline in Deadline::ALL {
            let mut liveness = table(&all_on);
            liveness.arm(deadline);
            assert_eq!(liveness.next(), Some(at(1)), "{deadline:?} asks for the time at once");
            assert!(!liveness.receive_time(at(1), false), "the same reading of the clock");
            assert_eq!(liveness.next(), Some(at(1)));
            assert!(liveness.receive_time(at(100), false));
            let length = liveness.duration(deadline).expect("it is on");
            assert_eq!(liveness.next(), Some(at(100) + length), "{deadline:?}");
        }
    }

    #[test]
    fn handle_timeout_starts_what_is_pending_even_at_the_same_time() {
        let mut liveness = table(&Deadlines::default());
        liveness.arm(Deadline::Shutdown);
        assert_eq!(liveness.handle_time(Instant::ZERO), at(1), "a clock that jumps back is held");
        assert_eq!(liveness.next(), Some(at(31)));
    }

    #[test]
    fn arming_again_from_a_call_moves_a_timeout_and_one_more_stream_does_not() {
        let mut liveness = table(&Deadlines::default());
        liveness.arm(Deadline::Shutdown);
        liveness.arm_for_one_more(Deadline::Stall);
        liveness.handle_time(at(1));
        assert_eq!(liveness.next(), Some(at(31)));
        liveness.arm(Deadline::Shutdown);
        liveness.arm_for_one_more(Deadline::Stall);
        liveness.handle_time(at(50));
        assert_eq!(liveness.next(), Some(at(61)), "the stall");
        liveness.disarm(Deadline::Stall);
        assert_eq!(liveness.next(), Some(at(80)), "the shutdown");
    }

    #[test]
    fn no_time_is_asked_for_when_every_timeout_is_off() {
        let mut liveness = Liveness::new(&Deadlines::OFF);
        assert_eq!(liveness.next(), None);
        Deadline::ALL.into_iter().for_each(|deadline| liveness.arm(deadline));
        liveness.arm_for_one_more(Deadline::Stall);
        assert_eq!(liveness.next(), None);
    }

    #[test]
    fn deadlines_stand_in_the_order_of_their_numbers() {
        for (index, deadline) in Deadline::ALL.into_iter().enumerate() {
            assert_eq!(deadline as usize, index);
        }
    }
}
