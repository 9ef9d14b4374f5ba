//! The clock of a connection: converts between `std::time::Instant` and the core's time.
//!
//! Invariant: the two conversions are inverses for times from the origin on.

use std::time::{Duration, Instant};

/// The clock of a connection. The core's time is the time since the clock's origin.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: Instant,
}

impl Clock {
    /// Creates a clock with an origin. Earlier times count as the origin.
    pub const fn new(origin: Instant) -> Self {
        Self { origin }
    }

    /// Converts a time to the core's time.
    pub fn to_core(&self, at: Instant) -> thalweg::Instant {
        thalweg::Instant::from_origin(at.saturating_duration_since(self.origin))
    }

    /// Converts a core's time, for example that of `poll_timeout`. A time that the system cannot
    /// represent is replaced with one about 30 years after the origin.
    pub fn to_std(&self, at: thalweg::Instant) -> Instant {
        self.origin.checked_add(Duration::from_nanos(at.as_nanos())).unwrap_or(self.origin + FAR_FUTURE)
    }
}

const FAR_FUTURE: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_conversions_are_inverses_from_the_origin_on() {
        let origin = Instant::now();
        let clock = Clock::new(origin);
        let later = origin + Duration::from_nanos(1_500_000_001);
        assert_eq!(clock.to_core(later), thalweg::Instant::from_nanos(1_500_000_001));
        assert_eq!(clock.to_std(clock.to_core(later)), later);
        assert_eq!(Clock::new(later).to_core(origin), thalweg::Instant::ZERO);
        assert!(clock.to_std(thalweg::Instant::from_nanos(u64::MAX)) > later);
    }
}
