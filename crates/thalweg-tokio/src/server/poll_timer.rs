//! Measures how long the handlers of a connection block its task.
//!
//! Invariant: each poll of a handler is timed separately, with one reading of the clock. The turn
//! as a whole may take long on a busy machine although no handler does: it polls many handlers, and
//! may be preempted between them.

use std::time::{Duration, Instant};

use crate::driver::SlowPolls;
use crate::spawn::is_handled;

/// Times handlers that are polled one after the other.
pub(crate) struct PollTimer {
    /// The end of the last poll, or the start of the first.
    last: Instant,
    slow: SlowPolls,
}

impl PollTimer {
    /// Creates a timer without slow polls.
    pub(crate) fn new() -> Self {
        Self { last: Instant::now(), slow: SlowPolls::default() }
    }

    /// Starts to time the first of several polls.
    pub(crate) fn start(&mut self) {
        self.last = Instant::now();
    }

    /// Ends the time of a poll, and starts that of the next.
    pub(crate) fn lap(&mut self) {
        let now = Instant::now();
        let length = now.duration_since(self.last);
        if length >= SLOW_POLL {
            self.slow.count += 1;
            self.slow.longest = self.slow.longest.max(length);
            self.slow.needs_remedy |= !is_handled(self.last);
        }
        self.last = now;
    }

    /// Returns the slow polls since the last call.
    pub(crate) fn take_slow(&mut self) -> SlowPolls {
        std::mem::take(&mut self.slow)
    }
}

/// A poll of one handler that takes this long is considered blocking. Longer than a typical
/// preemption on a busy machine.
const SLOW_POLL: Duration = Duration::from_millis(20);
