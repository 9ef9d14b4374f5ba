//! Time as an argument: an instant that needs no clock.
//!
//! The core reads no clock. The caller passes the time to `receive` and `handle_timeout`, counted
//! from an origin of its choice; tests use `Instant::ZERO`.

use core::ops::Add;
use core::time::Duration;

/// A point in time: nanoseconds since an origin that the caller chooses once per connection.
///
/// The largest value is about 584 years after the origin; arithmetic saturates there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The origin.
    pub const ZERO: Self = Self(0);

    /// The last instant. A timeout at it is not armed.
    pub(crate) const NEVER: Self = Self(u64::MAX);

    /// Creates an instant from nanoseconds after the origin.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Creates an instant from the time since the origin, for example from the `elapsed` of a
    /// `std::time::Instant` that was taken at the start of the program.
    pub const fn from_origin(elapsed: Duration) -> Self {
        let nanos = elapsed.as_nanos();
        if nanos > u64::MAX as u128 { Self(u64::MAX) } else { Self(nanos as u64) }
    }

    /// Returns the nanoseconds since the origin.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Returns the time since `earlier`, or zero when `earlier` is later.
    pub const fn saturating_duration_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// Returns the instant `duration` before this one, or the origin.
    pub(crate) fn saturating_sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(nanos))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates_at_both_ends() {
        let late = Instant::from_nanos(u64::MAX - 1);
        assert_eq!(late + Duration::from_secs(1), Instant::NEVER);
        assert_eq!(Instant::ZERO.saturating_duration_since(late), Duration::ZERO);
        assert_eq!(late.saturating_duration_since(Instant::ZERO), Duration::from_nanos(u64::MAX - 1));
        assert_eq!(Instant::from_origin(Duration::MAX), Instant::NEVER);
    }
}
