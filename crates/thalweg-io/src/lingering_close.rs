//! The lingering close of a transport: writes the remaining output, closes our direction, and
//! discards the peer's input within limits, so that a TCP reset does not destroy the GOAWAY frame
//! before the peer reads it (RFC 9113 §6.8).
//!
//! The states, and what moves them on; every other event changes nothing:
//!
//! | Step | `Flushed` | `WriteShut` | `Received` | `InputEnded` | `OutputFailed`, timeout |
//! |---|---|---|---|---|---|
//! | `Flush` | `ShutdownWrite` | | | (kept) | `Closed` |
//! | `ShutdownWrite` | | `Drain`; `Closed` if the input has ended | | (kept) | `Closed` |
//! | `Drain` | | | `Closed` beyond the limit | `Closed` | `Closed` |
//! | `Closed` | | | | | |
//!
//! Invariants: each step has a deadline; `Closed` is final.

use std::time::Duration;

use thalweg::Instant;

/// Limits of a [`LingeringClose`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CloseLimits {
    /// The time to write the remaining output. Default 5 s.
    pub flush: Duration,
    /// The time after that for the peer to close its direction. Default 1 s.
    pub drain: Duration,
    /// The input that is discarded in that time, bytes. Default 16 MiB.
    pub drain_bytes: usize,
}

impl Default for CloseLimits {
    fn default() -> Self {
        Self { flush: Duration::from_secs(5), drain: Duration::from_secs(1), drain_bytes: 16 << 20 }
    }
}

impl CloseLimits {
    /// Sets the time to write the remaining output.
    #[must_use]
    pub const fn flush(mut self, limit: Duration) -> Self {
        self.flush = limit;
        self
    }

    /// Sets the time for the peer to close its direction.
    #[must_use]
    pub const fn drain(mut self, limit: Duration) -> Self {
        self.drain = limit;
        self
    }

    /// Sets the limit of input that is discarded, bytes.
    #[must_use]
    pub const fn drain_bytes(mut self, limit: usize) -> Self {
        self.drain_bytes = limit;
        self
    }
}

/// What an I/O layer does next to close a transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseStep {
    /// Write the remaining output and flush the transport, then report [`CloseEvent::Flushed`].
    Flush,
    /// Close our direction (`shutdown(SHUT_WR)`, with close_notify over TLS), then report
    /// [`CloseEvent::WriteShut`].
    ShutdownWrite,
    /// Read and discard input: report [`CloseEvent::Received`] or [`CloseEvent::InputEnded`].
    Drain,
    /// Close the transport.
    Closed,
}

/// What happened to a transport that is being closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseEvent {
    /// All output is written.
    Flushed,
    /// Our direction is closed.
    WriteShut,
    /// This many bytes were read.
    Received(usize),
    /// The input has ended, or reading failed.
    InputEnded,
    /// Writing, or closing our direction, failed.
    OutputFailed,
}

/// A close in progress. The caller performs [`step`](Self::step), reports what happened with
/// [`handle_event`](Self::handle_event), and calls [`handle_timeout`](Self::handle_timeout) at the
/// [`deadline`](Self::deadline).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LingeringClose {
    step: CloseStep,
    deadline: Instant,
    limits: CloseLimits,
    input_ended: bool,
    /// The number of bytes that may still be discarded.
    drain_left: usize,
}

impl LingeringClose {
    /// Starts a close whose output is to be written.
    pub fn new(limits: CloseLimits, now: Instant) -> Self {
        let drain_left = limits.drain_bytes;
        Self { step: CloseStep::Flush, deadline: now + limits.flush, limits, input_ended: false, drain_left }
    }

    /// Returns what to do next.
    #[must_use]
    pub const fn step(&self) -> CloseStep {
        self.step
    }

    /// Returns when the current step must be complete; `None` once the transport may be closed.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        (self.step != CloseStep::Closed).then_some(self.deadline)
    }

    /// Handles what happened, and returns what to do next.
    pub fn handle_event(&mut self, event: CloseEvent, now: Instant) -> CloseStep {
        match (self.step, event) {
            (CloseStep::Closed, _) => {}
            (_, CloseEvent::OutputFailed) | (CloseStep::Drain, CloseEvent::InputEnded) => {
                self.step = CloseStep::Closed;
            }
            (CloseStep::Flush, CloseEvent::Flushed) => {
                self.step = CloseStep::ShutdownWrite;
                self.deadline = now + self.limits.drain;
            }
            (CloseStep::ShutdownWrite, CloseEvent::WriteShut) => {
                self.step = if self.input_ended { CloseStep::Closed } else { CloseStep::Drain };
            }
            (CloseStep::Drain, CloseEvent::Received(len)) => match self.drain_left.checked_sub(len) {
                Some(left) => self.drain_left = left,
                None => self.step = CloseStep::Closed,
            },
            (CloseStep::Flush | CloseStep::ShutdownWrite, CloseEvent::InputEnded) => self.input_ended = true,
            (_, CloseEvent::Flushed | CloseEvent::WriteShut | CloseEvent::Received(_)) => {}
        }
        self.step
    }

    /// Handles the passing of time, and returns what to do next.
    pub fn handle_timeout(&mut self, now: Instant) -> CloseStep {
        if now >= self.deadline {
            self.step = CloseStep::Closed;
        }
        self.step
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: CloseLimits =
        CloseLimits { flush: Duration::from_secs(5), drain: Duration::from_secs(1), drain_bytes: 10 };
    const START: Instant = Instant::from_nanos(3_000_000_000);

    /// Returns a close at this step.
    fn at(step: CloseStep, input_ended: bool) -> LingeringClose {
        let mut close = LingeringClose::new(LIMITS, START);
        (close.step, close.input_ended) = (step, input_ended);
        close
    }

    #[test]
    fn every_event_at_every_step_leads_where_the_table_says() {
        use CloseEvent::{Flushed, InputEnded, OutputFailed, Received, WriteShut};
        use CloseStep::{Closed, Drain, Flush, ShutdownWrite};
        let events = [Flushed, WriteShut, Received(10), Received(11), InputEnded, OutputFailed];
        for (step, input_ended, expected) in [
            (Flush, false, [ShutdownWrite, Flush, Flush, Flush, Flush, Closed]),
            (Flush, true, [ShutdownWrite, Flush, Flush, Flush, Flush, Closed]),
            (
                ShutdownWrite,
                false,
                [ShutdownWrite, Drain, ShutdownWrite, ShutdownWrite, ShutdownWrite, Closed],
            ),
            (
                ShutdownWrite,
                true,
                [ShutdownWrite, Closed, ShutdownWrite, ShutdownWrite, ShutdownWrite, Closed],
            ),
            (Drain, false, [Drain, Drain, Drain, Closed, Closed, Closed]),
            (Closed, false, [Closed; 6]),
        ] {
            for (event, expected) in events.into_iter().zip(expected) {
                let mut close = at(step, input_ended);
                assert_eq!(close.handle_event(event, START), expected, "{step:?}, {event:?}");
                assert_eq!(close.step(), expected);
                let ended = input_ended || event == InputEnded && matches!(step, Flush | ShutdownWrite);
                assert_eq!(close.input_ended, ended, "{step:?}, {event:?}");
                assert_eq!(close.deadline().is_none(), expected == Closed);
            }
        }
    }

    #[test]
    fn every_step_ends_at_its_deadline() {
        let mut close = LingeringClose::new(LIMITS, START);
        let just_before = |deadline: Instant| Instant::from_nanos(deadline.as_nanos() - 1);
        assert_eq!(close.deadline(), Some(START + LIMITS.flush));
        assert_eq!(close.handle_timeout(just_before(START + LIMITS.flush)), CloseStep::Flush);
        assert_eq!(close.clone().handle_timeout(START + LIMITS.flush), CloseStep::Closed);
        let flushed = START + Duration::from_secs(2);
        close.handle_event(CloseEvent::Flushed, flushed);
        assert_eq!(close.deadline(), Some(flushed + LIMITS.drain));
        close.handle_event(CloseEvent::WriteShut, flushed + LIMITS.drain / 2);
        assert_eq!(close.deadline(), Some(flushed + LIMITS.drain), "the two steps share it");
        assert_eq!(close.handle_timeout(just_before(flushed + LIMITS.drain)), CloseStep::Drain);
        assert_eq!(close.handle_timeout(flushed + LIMITS.drain), CloseStep::Closed);
        assert_eq!(close.deadline(), None);
    }

    #[test]
    fn input_is_discarded_up_to_the_limit_in_total() {
        let mut close = at(CloseStep::Drain, false);
        assert_eq!(close.handle_event(CloseEvent::Received(4), START), CloseStep::Drain);
        assert_eq!(close.handle_event(CloseEvent::Received(6), START), CloseStep::Drain);
        assert_eq!(close.handle_event(CloseEvent::Received(1), START), CloseStep::Closed);
    }
}
