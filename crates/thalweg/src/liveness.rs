//! All deadlines of a connection, in one array.
//!
//! Keeps true: `next` is the earliest armed deadline; a deadline that is off in the configuration is never armed.

use core::time::Duration;

use crate::config::Deadlines;
use crate::error::Deadline;
use crate::time::Instant;

/// The armed deadlines.
#[derive(Debug)]
pub struct Liveness {
    at: [Instant; Deadline::COUNT],
    /// Nanoseconds; `OFF` is none.
    durations: [u64; Deadline::COUNT],
}

impl Liveness {
    /// Starts with none armed.
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
        Self { at: [Instant::NEVER; Deadline::COUNT], durations }
    }

    /// How long a deadline is, if it is on.
    #[inline]
    pub fn duration(&self, deadline: Deadline) -> Option<Duration> {
        let nanos = self.durations[deadline as usize];
        (nanos != OFF).then(|| Duration::from_nanos(nanos))
    }

    /// Arms a deadline from `now` on, in place of where it stood.
    #[inline]
    pub fn arm(&mut self, deadline: Deadline, now: Instant) {
        let nanos = self.durations[deadline as usize];
        if nanos != OFF {
            self.at[deadline as usize] = Instant::from_nanos(now.as_nanos().saturating_add(nanos));
        }
    }

    /// Arms a deadline unless it is armed already.
    #[inline]
    pub fn arm_if_off(&mut self, deadline: Deadline, now: Instant) {
        if self.at[deadline as usize] == Instant::NEVER {
            self.arm(deadline, now);
        }
    }

    /// Takes a deadline back.
    #[inline]
    pub fn disarm(&mut self, deadline: Deadline) {
        self.at[deadline as usize] = Instant::NEVER;
    }

    /// Takes all back.
    pub fn disarm_all(&mut self) {
        self.at = [Instant::NEVER; Deadline::COUNT];
    }

    /// Whether any deadline that a new connection has is on.
    pub fn is_used(&self) -> bool {
        STARTED_AT_ONCE.iter().any(|deadline| self.duration(*deadline).is_some())
    }

    /// The earliest deadline.
    pub fn next(&self) -> Option<Instant> {
        self.at.iter().min().copied().filter(|at| *at != Instant::NEVER)
    }

    /// Takes the next deadline that has passed, in the order of their numbers.
    pub fn take_due(&mut self, now: Instant) -> Option<Deadline> {
        let due = Deadline::ALL.into_iter().find(|deadline| {
            let at = self.at[*deadline as usize];
            at <= now && at != Instant::NEVER
        })?;
        self.disarm(due);
        Some(due)
    }
}

/// The deadlines that a new connection starts with.
pub const STARTED_AT_ONCE: [Deadline; 4] =
    [Deadline::Preface, Deadline::SettingsAck, Deadline::Idle, Deadline::KeepAlive];
const OFF: u64 = u64::MAX;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_is_next_and_what_is_off_never_comes() {
        let mut liveness = Liveness::new(&Deadlines { idle: None, ..Deadlines::default() });
        assert_eq!(liveness.next(), None);
        liveness.arm(Deadline::Idle, Instant::ZERO);
        assert_eq!(liveness.next(), None);
        liveness.arm(Deadline::Stall, Instant::ZERO);
        liveness.arm(Deadline::Preface, Instant::ZERO);
        liveness.arm_if_off(Deadline::Preface, Instant::from_nanos(5));
        let ten_seconds = Instant::ZERO + Duration::from_secs(10);
        assert_eq!(liveness.next(), Some(ten_seconds));
        assert_eq!(liveness.take_due(Instant::from_nanos(1)), None);
        assert_eq!(liveness.take_due(ten_seconds), Some(Deadline::Preface));
        assert_eq!(liveness.take_due(ten_seconds), None);
        assert_eq!(liveness.next(), Some(Instant::ZERO + Duration::from_secs(60)), "the stall stays armed");
    }

    #[test]
    fn deadlines_stand_in_the_order_of_their_numbers() {
        for (index, deadline) in Deadline::ALL.into_iter().enumerate() {
            assert_eq!(deadline as usize, index);
        }
    }
}
