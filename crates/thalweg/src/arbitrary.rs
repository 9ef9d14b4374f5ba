//! The feature `arbitrary`: values for fuzzing, always within their ranges.

use arbitrary::{Arbitrary, Result, Unstructured};

use crate::config::{Config, RateLimit, WindowRelease};
use crate::error::ErrorCode;
use crate::flow::WINDOW_MAX;
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

/// Returns a number from `min` to `max`. Small numbers are more likely, since most faults are near
/// small limits.
fn skewed(u: &mut Unstructured<'_>, min: u32, max: u32) -> Result<u32> {
    let bits = u.int_in_range(0..=31u32)?;
    let span = (max - min).min(1 << bits);
    Ok(min + u.int_in_range(0..=span)?)
}

impl<'a> Arbitrary<'a> for Config {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let header_block_bytes_max = skewed(u, 256, 1 << 16)?;
        let config = Self {
            header_table_bytes_max: skewed(u, 0, 1 << 16)?,
            encoder_table_bytes_max: skewed(u, 0, 1 << 16)?,
            hash_seed: u.arbitrary()?,
            enable_push: u.arbitrary()?,
            concurrent_streams_max: skewed(u, 0, 1000)?,
            stream_window_bytes: skewed(u, 0, WINDOW_MAX)?,
            connection_window_bytes: skewed(u, 65_535, WINDOW_MAX)?,
            frame_bytes_max: skewed(u, 16_384, 1 << 20)?,
            enable_connect_protocol: u.arbitrary()?,
            release: if u.arbitrary()? { WindowRelease::Automatic } else { WindowRelease::Explicit },
            extension_frames: u.arbitrary()?,
            header_list_bytes_max: skewed(u, 256, 1 << 16)?,
            header_fields_max: skewed(u, 8, 1 << 10)?,
            header_block_bytes_max,
            oversized_block_bytes_max: skewed(u, header_block_bytes_max, 1 << 20)?,
            continuations_max: skewed(u, 0, 64)?,
            settings_entries_max: skewed(u, 8, 64)?,
            control_payload_bytes_max: skewed(u, 256, 1 << 16)?,
            closed_streams_max: skewed(u, 16, 1024)?,
            output_bytes_max: skewed(u, 1024, 1 << 20)?,
            ..Self::default()
        };
        debug_assert_eq!(config.validate(), Ok(()));
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2000 values made from pseudo-random bytes.
    fn values<T: for<'a> Arbitrary<'a>>() -> impl Iterator<Item = T> {
        let mut word = 1_u32;
        (0..2000).map(move |_| {
            let bytes: [u8; 128] = core::array::from_fn(|_| {
                word = word.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (word >> 24) as u8
            });
            T::arbitrary(&mut Unstructured::new(&bytes)).expect("128 bytes are enough")
        })
    }

    #[test]
    fn configurations_are_valid_and_reach_their_small_limits() {
        let configs: alloc::vec::Vec<Config> = values().collect();
        assert!(configs.iter().all(|config| config.validate().is_ok()));
        assert!(configs.iter().any(|config| config.stream_window_bytes < 8));
        assert!(configs.iter().any(|config| config.stream_window_bytes > 1 << 24));
        assert!(configs.iter().any(|config| config.release == WindowRelease::Automatic));
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
