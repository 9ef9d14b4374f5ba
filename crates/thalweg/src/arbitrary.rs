//! The feature `arbitrary`: values for fuzzing, always within their ranges.

use core::ops::RangeInclusive;

use arbitrary::{Arbitrary, Result, Unstructured};

use crate::config::{Config, ConfigValue, RateLimit, WindowRelease};
use crate::error::ErrorCode;
use crate::message::Status;
use crate::priority::Priority;
use crate::stream_id::StreamId;
use crate::time::Instant;

impl<'a> Arbitrary<'a> for Instant {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(Self::from_nanos(u.arbitrary()?))
    }
}

impl<'a> Arbitrary<'a> for StreamId {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(Self::new(u.arbitrary()?))
    }
}

impl<'a> Arbitrary<'a> for ErrorCode {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(Self(u.int_in_range(0..=0xf)?))
    }
}

impl<'a> Arbitrary<'a> for Priority {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(Self::new(u.int_in_range(0..=7)?, u.arbitrary()?))
    }
}

impl<'a> Arbitrary<'a> for Status {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(Self::new(u.int_in_range(100..=999)?).unwrap_or(Self::OK))
    }
}

impl<'a> Arbitrary<'a> for RateLimit {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(Self::new(u.int_in_range(1..=10_000)?, u.int_in_range(0..=10_000)?))
    }
}

impl<'a> Arbitrary<'a> for WindowRelease {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(if u.arbitrary()? { Self::Automatic } else { Self::Explicit })
    }
}

/// Returns a number of a range. Small numbers are more likely, since most faults are near small
/// limits.
fn skewed(u: &mut Unstructured<'_>, range: &RangeInclusive<u32>) -> Result<u32> {
    let bits = u.int_in_range(0..=31u32)?;
    let span = (range.end() - range.start()).min(1 << bits);
    Ok(range.start() + u.int_in_range(0..=span)?)
}

/// Sets a field to a value within its range.
fn fill(u: &mut Unstructured<'_>, field: &str, value: ConfigValue<'_>) -> Result<()> {
    match value {
        ConfigValue::Seed(seed) => *seed = u.arbitrary()?,
        ConfigValue::Number(number) => *number = skewed(u, &Config::range_of(field))?,
        ConfigValue::Flag(flag) => *flag = u.arbitrary()?,
        ConfigValue::Release(release) => *release = u.arbitrary()?,
        ConfigValue::RateLimit(limit) => *limit = u.arbitrary()?,
        ConfigValue::Timeout(timeout) => *timeout = u.arbitrary()?,
    }
    Ok(())
}

impl<'a> Arbitrary<'a> for Config {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let (mut config, mut filled) = (Self::default(), Ok(()));
        config.visit_fields(|field, value| {
            if filled.is_ok() {
                filled = fill(u, field, value);
            }
        });
        filled?;
        // The one range that depends on another field.
        config.oversized_block_bytes_max =
            config.oversized_block_bytes_max.max(config.header_block_bytes_max);
        debug_assert_eq!(config.validate(), Ok(()));
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RateLimits;

    /// 2000 values made from pseudo-random bytes.
    fn values<T: for<'a> Arbitrary<'a>>() -> impl Iterator<Item = T> {
        let mut word = 1_u32;
        (0..2000).map(move |_| {
            let bytes: [u8; 512] = core::array::from_fn(|_| {
                word = word.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (word >> 24) as u8
            });
            T::arbitrary(&mut Unstructured::new(&bytes)).expect("512 bytes are enough")
        })
    }

    #[test]
    fn configurations_are_valid_and_reach_their_small_limits() {
        let configs: alloc::vec::Vec<Config> = values().collect();
        assert!(configs.iter().all(|config| config.validate().is_ok()));
        assert!(configs.iter().any(|config| config.stream_window_bytes < 8));
        assert!(configs.iter().any(|config| config.stream_window_bytes > 1 << 24));
        assert!(configs.iter().any(|config| config.release == WindowRelease::Automatic));
        assert!(configs.iter().any(|config| config.over_tls && config.stall_bytes_min == 0));
        assert!(configs.iter().any(|config| config.rate_limits != RateLimits::new()));
        assert!(configs.iter().any(|config| config.timeouts.stall.is_none()));
    }

    #[test]
    fn values_are_in_their_ranges() {
        assert!(values::<Status>().all(|status| (100..=999).contains(&status.as_u16())));
        assert!(values::<ErrorCode>().all(|code| code.0 <= 0xf));
        assert!(values::<StreamId>().all(|id| id <= StreamId::MAX));
        assert!(
            values::<Priority>()
                .all(|priority| priority == Priority::new(priority.urgency(), priority.incremental()))
        );
        assert!(values::<RateLimit>().all(|rate_limit| rate_limit.burst >= 1));
        assert!(values::<Instant>().any(|instant| instant > Instant::ZERO));
    }
}
