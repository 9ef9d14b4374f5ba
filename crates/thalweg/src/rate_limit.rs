//! Rate limits: a token bucket for each kind of cheap frame that costs us work.
//!
//! Invariants: a bucket holds at most its burst; time gives tokens back, and so does useful work (a
//! stream that is opened or completes, content that is sent, received or consumed), so that limits
//! grow with useful traffic and no total is ever counted. The table in `docs/security.md` lists
//! what well-behaved peers reach.

pub(crate) use crate::config::Cost;
use crate::config::{RateLimit, RateLimits};
use crate::error::Limit;
use crate::snapshot::{RateLimitSnapshot, RateLimitsSnapshot};
use crate::time::Instant;

/// The buckets of one connection.
#[derive(Debug)]
pub(crate) struct RateLimiter {
    buckets: [Bucket; Cost::COUNT],
    /// Field blocks that are still free of charge on streams that we have reset.
    late_blocks: u32,
    /// Late resets since one drew a token.
    late_resets: u32,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: u32,
    rate_limit: RateLimit,
    /// When tokens were last added.
    refilled: Instant,
}

/// A bucket that is empty: which, and its burst.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exhausted {
    /// The limit to name.
    pub limit: Limit,
    /// Its burst.
    pub burst: u32,
}

impl RateLimiter {
    /// Creates the buckets, which are full.
    pub(crate) fn new(rate_limits: &RateLimits) -> Self {
        let bucket = |cost| {
            let rate_limit = rate_limits.of(cost);
            Bucket { tokens: rate_limit.burst, rate_limit, refilled: Instant::ZERO }
        };
        Self { buckets: Cost::ALL.map(bucket), late_blocks: 0, late_resets: 0 }
    }

    /// Draws one token.
    #[inline]
    pub(crate) fn charge(&mut self, cost: Cost, now: Instant) -> Result<(), Exhausted> {
        let bucket = &mut self.buckets[cost as usize];
        if bucket.tokens > bucket.rate_limit.burst / 2 {
            bucket.tokens -= 1;
            return Ok(());
        }
        bucket.charge_slowly(now).map_err(|burst| Exhausted { limit: cost.limit(), burst })
    }

    /// Returns tokens for useful work.
    #[inline]
    pub(crate) fn credit(&mut self, cost: Cost, tokens: u32) {
        let bucket = &mut self.buckets[cost as usize];
        bucket.tokens = bucket.tokens.saturating_add(tokens).min(bucket.rate_limit.burst);
    }

    /// Returns one token for useful work.
    #[inline]
    pub(crate) fn credit_one(&mut self, cost: Cost) {
        let bucket = &mut self.buckets[cost as usize];
        bucket.tokens += u32::from(bucket.tokens < bucket.rate_limit.burst);
    }

    /// Returns the tokens for a received DATA frame with content. Well-behaved peers send signals
    /// beside it: a PING to measure, an empty frame to flush, an extension frame as grease.
    #[inline]
    pub(crate) fn credit_content(&mut self) {
        self.credit_one(Cost::Ping);
        self.credit_one(Cost::EmptyFrame);
        self.credit_one(Cost::Extension);
    }

    /// Returns the tokens for a stream that either side opened. The peer may send a priority and
    /// grease for it, and end it by an empty frame that arrives late.
    #[inline]
    pub(crate) fn credit_stream(&mut self) {
        self.credit_one(Cost::Priority);
        self.credit_one(Cost::EmptyFrame);
        self.credit_one(Cost::Extension);
    }

    /// Pays for the field blocks that cross our reset of a stream whose peer had not finished.
    #[inline]
    pub(crate) fn credit_late_blocks(&mut self) {
        self.late_blocks = (self.late_blocks + LATE_BLOCKS_PER_STREAM).min(LATE_BLOCKS_MAX);
    }

    /// Charges a field block that is decoded for the compression table alone. One that no reset of
    /// ours has paid for draws on the resets.
    pub(crate) fn charge_late_block(&mut self, now: Instant) -> Result<(), Exhausted> {
        if self.late_blocks == 0 {
            return self.charge(Cost::Reset, now);
        }
        self.late_blocks -= 1;
        Ok(())
    }

    /// Counts the reset of a stream that has waited for its response for a while. Returns whether
    /// it draws a token: one of [`LATE_RESETS_PER_TOKEN`] does.
    pub(crate) fn count_late_reset(&mut self) -> bool {
        self.late_resets = (self.late_resets + 1) % LATE_RESETS_PER_TOKEN;
        self.late_resets == 0
    }

    /// Returns what is left in each bucket.
    pub(crate) fn snapshot(&self) -> RateLimitsSnapshot {
        RateLimitsSnapshot::new(Cost::ALL.map(|cost| {
            let bucket = &self.buckets[cost as usize];
            RateLimitSnapshot { limit: cost.limit(), tokens: bucket.tokens, burst: bucket.rate_limit.burst }
        }))
    }

    /// Asserts the invariants.
    pub(crate) fn check(&self) {
        debug_assert!(self.buckets.iter().all(|bucket| bucket.tokens <= bucket.rate_limit.burst));
    }
}

impl Bucket {
    /// Adds the tokens of the time that has passed, then draws one. Called only when half the
    /// tokens are gone. Returns the burst if there is none left.
    fn charge_slowly(&mut self, now: Instant) -> Result<(), u32> {
        let RateLimit { burst, per_second } = self.rate_limit;
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

/// Field blocks that may cross the reset of one stream: two informational responses, the final one,
/// and trailers.
const LATE_BLOCKS_PER_STREAM: u32 = 4;
/// The most that are paid for at once: those of 16,384 streams which are reset within a round trip.
const LATE_BLOCKS_MAX: u32 = 1 << 16;
/// Late resets that cost one token. `docs/security.md` has the rates that follow for attackers and
/// for callers whose time limits pass in an outage.
const LATE_RESETS_PER_TOKEN: u32 = 32;
const NANOS_PER_SECOND: u128 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;

    fn limiter(burst: u32, per_second: u32) -> RateLimiter {
        RateLimiter::new(&RateLimits { pings: RateLimit::new(burst, per_second), ..RateLimits::default() })
    }

    #[test]
    fn the_burst_is_exact_and_time_refills_tokens() {
        let mut limiter = limiter(10, 5);
        let start = Instant::ZERO;
        for _ in 0..10 {
            assert_eq!(limiter.charge(Cost::Ping, start), Ok(()));
        }
        let exhausted = Exhausted { limit: Limit::Pings, burst: 10 };
        assert_eq!(limiter.charge(Cost::Ping, start), Err(exhausted));
        let later = start + Duration::from_millis(399);
        assert_eq!(limiter.charge(Cost::Ping, later), Ok(()));
        assert_eq!(limiter.charge(Cost::Ping, later), Err(exhausted));
        let later = start + Duration::from_millis(400);
        assert_eq!(limiter.charge(Cost::Ping, later), Ok(()), "the remainder of 199 ms was kept");
    }

    #[test]
    fn late_blocks_are_free_up_to_what_resets_have_paid_for_and_then_cost_resets() {
        let limits = RateLimits { resets: RateLimit::new(2, 0), ..RateLimits::default() };
        let mut limiter = RateLimiter::new(&limits);
        limiter.credit_late_blocks();
        for _ in 0..4 + 2 {
            assert_eq!(limiter.charge_late_block(Instant::ZERO), Ok(()));
        }
        let exhausted = Exhausted { limit: Limit::Resets, burst: 2 };
        assert_eq!(limiter.charge_late_block(Instant::ZERO), Err(exhausted));
        for _ in 0..20_000 {
            limiter.credit_late_blocks();
        }
        assert_eq!(limiter.late_blocks, 1 << 16);
    }

    #[test]
    fn one_of_thirty_two_late_resets_draws_a_token() {
        let mut limiter = RateLimiter::new(&RateLimits::default());
        let drawing = (1..=96).filter(|_| limiter.count_late_reset()).count();
        assert_eq!(drawing, 3);
        assert!((1..32).all(|_| !limiter.count_late_reset()));
        assert!(limiter.count_late_reset());
    }

    #[test]
    fn credit_stops_at_the_burst_and_unlimited_never_runs_out() {
        let mut limiter = limiter(2, 0);
        limiter.credit(Cost::Ping, 100);
        limiter.credit_one(Cost::Ping);
        limiter.check();
        assert_eq!(limiter.charge(Cost::Ping, Instant::ZERO), Ok(()));
        assert_eq!(limiter.charge(Cost::Ping, Instant::ZERO), Ok(()));
        assert!(limiter.charge(Cost::Ping, Instant::ZERO).is_err());
        limiter.credit_one(Cost::Ping);
        assert_eq!(limiter.charge(Cost::Ping, Instant::ZERO), Ok(()));
        assert!(limiter.charge(Cost::Ping, Instant::ZERO).is_err());
        let mut unlimited = RateLimiter::new(&RateLimits::UNLIMITED);
        unlimited.buckets[Cost::Ping as usize].tokens = 0;
        assert_eq!(unlimited.charge(Cost::Ping, Instant::ZERO), Ok(()));
    }
}
