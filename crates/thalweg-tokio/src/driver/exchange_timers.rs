//! The deadlines of a connection's exchanges, and the timer that wakes its task for the next.
//!
//! Invariant: an exchange that has ended has no deadline here.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use thalweg::{Instant, StreamKey};
use thalweg_http::deadlines::Deadlines;
use thalweg_http::exchange::{Actions, Exchange, Input, Timeouts};
use tokio::time::{self, Sleep};

/// The deadlines, and the time of the current turn.
#[derive(Debug)]
pub(crate) struct ExchangeTimers {
    now: Instant,
    timeouts: Timeouts,
    deadlines: Deadlines<StreamKey>,
}

impl ExchangeTimers {
    /// Creates an empty set.
    pub(crate) fn new(timeouts: Timeouts) -> Self {
        Self { now: Instant::ZERO, timeouts, deadlines: Deadlines::default() }
    }

    /// Sets the time of the turn.
    pub(crate) fn set_time(&mut self, now: Instant) {
        self.now = now;
    }

    /// Returns the time of the turn.
    pub(crate) const fn now(&self) -> Instant {
        self.now
    }

    /// Passes an input to an exchange. The caller updates its deadline.
    pub(crate) fn handle(&self, exchange: &mut Exchange, input: Input) -> Actions {
        exchange.handle(input, self.now, &self.timeouts)
    }

    /// Replaces the deadline of an exchange.
    pub(crate) fn set(&mut self, stream: StreamKey, before: Option<Instant>, after: Option<Instant>) {
        self.deadlines.set(stream, before, after);
    }

    /// Returns the next deadline.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    /// Removes a deadline that has come, and returns its exchange.
    pub(crate) fn pop_expired(&mut self) -> Option<StreamKey> {
        self.deadlines.pop_expired(self.now)
    }
}

/// The timer of the task.
#[derive(Debug, Default)]
pub(crate) struct DeadlineTimer(Option<Timer>);

#[derive(Debug)]
struct Timer {
    at: Instant,
    sleep: Pin<Box<Sleep>>,
}

impl DeadlineTimer {
    /// Returns whether the deadline has come; otherwise the task is woken then. `to_tokio` converts
    /// the time.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        deadline: Option<Instant>,
        to_tokio: impl FnOnce(Instant) -> time::Instant,
    ) -> bool {
        let Some(at) = deadline else {
            self.0 = None;
            return false;
        };
        // Firing early once costs less than resetting the timer whenever the deadline moves.
        if self.0.as_ref().is_none_or(|timer| timer.at > at) {
            let until = to_tokio(at);
            match &mut self.0 {
                Some(timer) => {
                    timer.at = at;
                    timer.sleep.as_mut().reset(until);
                }
                None => self.0 = Some(Timer { at, sleep: Box::pin(time::sleep_until(until)) }),
            }
        }
        let fired = self.0.as_mut().is_some_and(|timer| timer.sleep.as_mut().poll(cx) == Poll::Ready(()));
        if fired {
            self.0 = None;
        }
        fired
    }
}
