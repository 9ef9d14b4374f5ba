//! The state of the transport's two directions, and when the driver looks at it again.
//!
//! Invariant: the table of `thalweg_http::transport` decides what the driver does in each state.

use std::io;
use std::time::Duration;

use thalweg::Instant;
use thalweg_http::Role;
use thalweg_http::transport::{Close, Duties, READ_TIME_MAX, Read, TransportState};

/// The directions of one transport.
#[derive(Debug)]
pub(crate) struct Directions {
    role: Role,
    state: TransportState,
    error: Option<io::Error>,
    /// When the input that may follow a failed write is given up, or when an ended input is watched
    /// again.
    at: Option<Instant>,
    watch_interval: Duration,
}

impl Directions {
    /// Creates the state of an open transport.
    pub(crate) fn new(role: Role) -> Self {
        Self { role, state: TransportState::default(), error: None, at: None, watch_interval: WATCH_MIN }
    }

    /// Returns what to do.
    pub(crate) fn duties(&self) -> Duties {
        self.state.duties(self.role)
    }

    /// Handles the end of input.
    pub(crate) fn end_input(&mut self, has_notify: bool, now: Instant) {
        self.state.end_input(has_notify);
        self.at = Some(now + self.watch_interval);
    }

    /// Handles a read error.
    pub(crate) fn fail_input(&mut self, error: io::Error) {
        self.state.fail_input();
        // A failed write explains the end better than what follows it.
        self.error.get_or_insert(error);
    }

    /// Handles a write error, or one that the watched transport shows.
    pub(crate) fn fail_output(&mut self, error: io::Error, now: Instant) {
        self.state.fail_output();
        self.error.get_or_insert(error);
        self.at = Some(now + READ_TIME_MAX);
    }

    /// Returns whether the transport has failed in a direction.
    pub(crate) const fn has_failed(&self) -> bool {
        self.error.is_some()
    }

    /// Takes the first error.
    pub(crate) fn take_error(&mut self) -> Option<io::Error> {
        self.error.take()
    }

    /// Returns when `is_watch_due` or `is_finished` changes by itself.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.at
    }

    /// Returns whether to look for an error of a transport whose input has ended. The next look is
    /// later.
    pub(crate) fn is_watch_due(&mut self, now: Instant) -> bool {
        let is_due = self.duties().read == Read::Watch && self.at.is_some_and(|at| at <= now);
        if is_due {
            self.watch_interval = (2 * self.watch_interval).min(WATCH_MAX);
            self.at = Some(now + self.watch_interval);
        }
        is_due
    }

    /// Returns whether the state alone ends the transport.
    pub(crate) fn is_finished(&self, now: impl FnOnce() -> Instant) -> bool {
        match self.duties().close {
            Close::WhenFinished => false,
            Close::AfterInput => self.at.is_some_and(|at| at <= now()),
            Close::AfterWrite | Close::Now => true,
        }
    }
}

/// The interval of looking at a transport whose input has ended. The peer's kernel answers the
/// GOAWAY that follows the end of input with RST if the peer has closed both directions.
const WATCH_MIN: Duration = Duration::from_millis(50);
const WATCH_MAX: Duration = Duration::from_secs(1);
