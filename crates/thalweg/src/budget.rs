//! What a peer may make us do: a token bucket for each kind of cheap frame that costs us work.
//!
//! Keeps true: a bucket holds at most its burst; time gives tokens back, and so does useful work (a stream that
//! is opened or completes, content that is sent, received or consumed), so that limits grow with honest traffic and no
//! total is ever counted. The table in `docs/security.md` says what honest peers reach.

use crate::config::{Budget, Budgets};
use crate::error::Limit;
use crate::time::Instant;
use crate::view::BudgetView;

/// The kinds of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Work {
    /// A stream that ended early.
    Reset,
    /// PING.
    Ping,
    /// SETTINGS.
    Settings,
    /// A frame without content.
    EmptyFrame,
    /// PRIORITY or PRIORITY_UPDATE.
    Priority,
    /// A WINDOW_UPDATE that helps nobody.
    WindowUpdate,
    /// A frame of an unknown type.
    Extension,
    /// A small DATA frame whose content the application holds.
    SmallData,
}

/// The buckets of one connection.
#[derive(Debug)]
pub struct Accounts {
    buckets: [Bucket; KINDS],
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: u32,
    budget: Budget,
    /// When tokens were last given back.
    refilled: Instant,
}

/// A bucket that is empty: which, and its burst.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exhausted {
    /// The limit to name.
    pub limit: Limit,
    /// Its burst.
    pub burst: u32,
}

impl Accounts {
    /// Starts with full buckets.
    pub fn new(budgets: &Budgets) -> Self {
        let bucket = |budget: Budget| Bucket { tokens: budget.burst, budget, refilled: Instant::ZERO };
        Self {
            buckets: [
                bucket(budgets.resets),
                bucket(budgets.pings),
                bucket(budgets.settings),
                bucket(budgets.empty_frames),
                bucket(budgets.priorities),
                bucket(budgets.window_updates),
                bucket(budgets.extensions),
                bucket(budgets.small_data),
            ],
        }
    }

    /// Charges one piece of work.
    #[inline]
    pub fn charge(&mut self, work: Work, now: Instant) -> Result<(), Exhausted> {
        let bucket = &mut self.buckets[work as usize];
        if bucket.tokens > bucket.budget.burst / 2 {
            bucket.tokens -= 1;
            return Ok(());
        }
        bucket.charge_slowly(now).map_err(|burst| Exhausted { limit: limit_of(work), burst })
    }

    /// Gives tokens back for useful work.
    #[inline]
    pub fn credit(&mut self, work: Work, tokens: u32) {
        let bucket = &mut self.buckets[work as usize];
        bucket.tokens = bucket.tokens.saturating_add(tokens).min(bucket.budget.burst);
    }

    /// A DATA frame with content has arrived. Honest peers send signals beside it: a PING to measure, an empty frame to
    /// flush, an extension frame as grease.
    #[inline]
    pub fn credit_content(&mut self) {
        self.credit(Work::Ping, 1);
        self.credit(Work::EmptyFrame, 1);
        self.credit(Work::Extension, 1);
    }

    /// A stream was opened, by either side. Its peer may give it a priority and grease, and end it by an empty frame that
    /// arrives late.
    #[inline]
    pub fn credit_stream(&mut self) {
        self.credit(Work::Priority, 1);
        self.credit(Work::EmptyFrame, 1);
        self.credit(Work::Extension, 1);
    }

    /// What is left in each bucket.
    pub fn view(&self) -> [BudgetView; KINDS] {
        WORKS.map(|work| {
            let bucket = &self.buckets[work as usize];
            BudgetView { limit: limit_of(work), tokens: bucket.tokens, burst: bucket.budget.burst }
        })
    }

    /// Asserts what this owner keeps true.
    pub fn check(&self) {
        debug_assert!(self.buckets.iter().all(|bucket| bucket.tokens <= bucket.budget.burst));
    }
}

impl Bucket {
    /// The clock is read only when half the tokens are gone.
    fn charge_slowly(&mut self, now: Instant) -> Result<(), u32> {
        let Budget { burst, per_second } = self.budget;
        if burst == u32::MAX {
            return Ok(());
        }
        let nanos = now.saturating_duration_since(self.refilled).as_nanos();
        let tokens = nanos * u128::from(per_second) / NANOS_PER_SECOND;
        if tokens > 0 {
            self.tokens = u32::try_from(tokens).unwrap_or(u32::MAX).saturating_add(self.tokens).min(burst);
            // What did not make a whole token is kept for the next time.
            let spent = tokens * NANOS_PER_SECOND / u128::from(per_second);
            let refilled = u128::from(self.refilled.as_nanos()) + spent;
            self.refilled = Instant::from_nanos(u64::try_from(refilled).unwrap_or(u64::MAX));
        }
        self.tokens = self.tokens.checked_sub(1).ok_or(burst)?;
        Ok(())
    }
}

const fn limit_of(work: Work) -> Limit {
    match work {
        Work::Reset => Limit::Resets,
        Work::Ping => Limit::Pings,
        Work::Settings => Limit::Settings,
        Work::EmptyFrame => Limit::EmptyFrames,
        Work::Priority => Limit::Priorities,
        Work::WindowUpdate => Limit::WindowUpdates,
        Work::Extension => Limit::Extensions,
        Work::SmallData => Limit::SmallData,
    }
}

/// All kinds, in the order of the buckets.
const WORKS: [Work; KINDS] = [
    Work::Reset,
    Work::Ping,
    Work::Settings,
    Work::EmptyFrame,
    Work::Priority,
    Work::WindowUpdate,
    Work::Extension,
    Work::SmallData,
];

/// How many kinds there are.
pub const KINDS: usize = 8;
const NANOS_PER_SECOND: u128 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;

    fn accounts(burst: u32, per_second: u32) -> Accounts {
        Accounts::new(&Budgets { pings: Budget::new(burst, per_second), ..Budgets::default() })
    }

    #[test]
    fn the_burst_is_exact_and_time_gives_tokens_back() {
        let mut accounts = accounts(10, 5);
        let start = Instant::ZERO;
        for _ in 0..10 {
            assert_eq!(accounts.charge(Work::Ping, start), Ok(()));
        }
        let exhausted = Exhausted { limit: Limit::Pings, burst: 10 };
        assert_eq!(accounts.charge(Work::Ping, start), Err(exhausted));
        let later = start + Duration::from_millis(399);
        assert_eq!(accounts.charge(Work::Ping, later), Ok(()));
        assert_eq!(accounts.charge(Work::Ping, later), Err(exhausted));
        let later = start + Duration::from_millis(400);
        assert_eq!(accounts.charge(Work::Ping, later), Ok(()), "the remainder of 199 ms was kept");
    }

    #[test]
    fn credit_stops_at_the_burst_and_unlimited_never_ends() {
        let mut accounts = accounts(2, 0);
        accounts.credit(Work::Ping, 100);
        accounts.check();
        assert_eq!(accounts.charge(Work::Ping, Instant::ZERO), Ok(()));
        assert_eq!(accounts.charge(Work::Ping, Instant::ZERO), Ok(()));
        assert!(accounts.charge(Work::Ping, Instant::ZERO).is_err());
        let mut unlimited = Accounts::new(&Budgets::UNLIMITED);
        unlimited.buckets[Work::Ping as usize].tokens = 0;
        assert_eq!(unlimited.charge(Work::Ping, Instant::ZERO), Ok(()));
    }
}
