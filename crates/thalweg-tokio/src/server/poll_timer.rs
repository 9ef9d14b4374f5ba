//! How long the handlers of a connection hold up its task.
//!
//! Keeps true: a poll of one handler is timed by itself, with one reading of the clock. The task as
//! a whole may take long on a busy machine though no handler does: it polls many, and waits for the
//! processor between them.

use std::time::{Duration, Instant};

use crate::driver::SlowPolls;

/// Times handlers that are polled one behind the other.
pub(crate) struct PollTimer {
    /// When the last handler was left, or the first was come to.
    last: Instant,
    slow: SlowPolls,
}

impl PollTimer {
    /// Starts without a slow poll.
    pub(crate) fn new() -> Self {
        Self { last: Instant::now(), slow: SlowPolls::default() }
    }

    /// Starts the time of the first of several polls.
    pub(crate) fn start(&mut self) {
        self.last = Instant::now();
    }

    /// Takes note of the poll that has ended, and starts the time of the next.
    pub(crate) fn lap(&mut self) {
        let now = Instant::now();
        let length = now.duration_since(self.last);
        self.last = now;
        if length >= SLOW_POLL {
            self.slow.count += 1;
            self.slow.longest = self.slow.longest.max(length);
        }
    }

    /// Returns what was slow since the last call.
    pub(crate) fn take_slow(&mut self) -> SlowPolls {
        std::mem::take(&mut self.slow)
    }
}

/// A poll of one handler from which on it is said to block. A thread that a busy machine takes the
/// processor from gets it back sooner.
const SLOW_POLL: Duration = Duration::from_millis(20);
