//! Writes and reads a configuration: every field, by one visitor that serves both directions.
//!
//! Invariants: a configuration is read as it was written (a test counts its fields, so that a new
//! one cannot be forgotten).

use alloc::vec::Vec;
use core::time::Duration;

use thalweg::{Config, ConfigValue, RateLimit, WindowRelease};

use crate::codec::{Reader, put_number};
use crate::error::ReadError;

/// Appends a configuration.
pub(crate) fn put(out: &mut Vec<u8>, config: &Config) {
    let mut config = *config;
    visit(&mut config, &mut |value| {
        put_number(out, *value);
        Ok(())
    })
    .expect("writing does not fail");
}

/// Reads a configuration.
pub(crate) fn take(reader: &mut Reader<'_>) -> Result<Config, ReadError> {
    let mut config = Config::default();
    visit(&mut config, &mut |value| {
        *value = reader.number("a configuration")?;
        Ok(())
    })?;
    Ok(config)
}

/// Either writes a number or replaces it.
type Codec<'c> = dyn FnMut(&mut u64) -> Result<(), ReadError> + 'c;

/// The kinds of fields, in the order of the format. Within a kind, the order is that of the
/// declaration of [`Config`]: a new field there needs a new version of the format.
const KINDS: [fn(&ConfigValue<'_>) -> bool; 6] = [
    |value| matches!(value, ConfigValue::Seed(_)),
    |value| matches!(value, ConfigValue::Number(_)),
    |value| matches!(value, ConfigValue::Flag(_)),
    |value| matches!(value, ConfigValue::Release(_)),
    |value| matches!(value, ConfigValue::RateLimit(_)),
    |value| matches!(value, ConfigValue::Timeout(_)),
];

fn visit(config: &mut Config, codec: &mut Codec<'_>) -> Result<(), ReadError> {
    let mut outcome = Ok(());
    for is_kind in KINDS {
        config.visit_fields(|_, value| {
            if outcome.is_ok() && is_kind(&value) {
                outcome = field(value, codec);
            }
        });
    }
    outcome
}

fn field(value: ConfigValue<'_>, codec: &mut Codec<'_>) -> Result<(), ReadError> {
    match value {
        ConfigValue::Seed(seed) => codec(seed),
        ConfigValue::Number(value) => number(value, codec),
        ConfigValue::Flag(value) => flag(value, codec),
        ConfigValue::Release(release) => {
            let mut automatic = *release == WindowRelease::Automatic;
            flag(&mut automatic, codec)?;
            *release = if automatic { WindowRelease::Automatic } else { WindowRelease::Explicit };
            Ok(())
        }
        ConfigValue::RateLimit(RateLimit { burst, per_second }) => {
            number(burst, codec)?;
            number(per_second, codec)
        }
        ConfigValue::Timeout(timeout) => duration(timeout, codec),
        _ => unreachable!("KINDS selects the values"),
    }
}

/// Passes a number. A value beyond its range is clamped: configurations are validated when they
/// are used.
fn number(value: &mut u32, codec: &mut Codec<'_>) -> Result<(), ReadError> {
    let mut wide = u64::from(*value);
    codec(&mut wide)?;
    *value = u32::try_from(wide).unwrap_or(u32::MAX);
    Ok(())
}

fn flag(value: &mut bool, codec: &mut Codec<'_>) -> Result<(), ReadError> {
    let mut wide = u64::from(*value);
    codec(&mut wide)?;
    *value = wide != 0;
    Ok(())
}

fn duration(value: &mut Option<Duration>, codec: &mut Codec<'_>) -> Result<(), ReadError> {
    let mut is_some = value.is_some();
    flag(&mut is_some, codec)?;
    if !is_some {
        *value = None;
        return Ok(());
    }
    let duration = value.unwrap_or_default();
    let (mut seconds, mut nanos) = (duration.as_secs(), u64::from(duration.subsec_nanos()));
    codec(&mut seconds)?;
    codec(&mut nanos)?;
    *value = Some(Duration::from_secs(seconds).saturating_add(Duration::from_nanos(nanos)));
    Ok(())
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    /// Gives each number a different value.
    fn odd() -> Config {
        let mut config = Config::default();
        let mut next = 1_000_000;
        visit(&mut config, &mut |value| {
            next += 1;
            *value = next;
            Ok(())
        })
        .unwrap();
        config
    }

    #[test]
    fn a_configuration_comes_back() {
        for config in [Config::default(), odd()] {
            let mut out = Vec::new();
            put(&mut out, &config);
            let mut reader = Reader::new(&out, 0);
            assert_eq!(take(&mut reader).unwrap(), config);
            assert!(reader.is_empty());
        }
    }

    /// Files written before keep their meaning only while the numbers come in this order.
    #[test]
    fn the_default_configuration_is_these_numbers() {
        let mut config = Config::default();
        config.timeouts.keep_alive = Some(Duration::new(1, 5));
        let mut numbers = Vec::new();
        visit(&mut config, &mut |value| {
            numbers.push(*value);
            Ok(())
        })
        .unwrap();
        let (seed, limits) = numbers.split_at(1);
        let (limits, switches) = limits.split_at(16);
        let (switches, rates) = switches.split_at(5);
        let (rates, timeouts) = rates.split_at(16);
        assert_eq!(seed, [0]);
        assert_eq!(limits[..8], [4096, 4096, 256, 262_144, 1_048_576, 16_384, 16_384, 512]);
        assert_eq!(limits[8..], [32_768, 1_048_576, 128, 32, 4096, 256, 65_536, 4096]);
        assert_eq!(switches, [0; 5]);
        assert_eq!(rates[..8], [1000, 33, 10_000, 1000, 100, 10, 1000, 100]);
        assert_eq!(rates[8..], [10_000, 10_000, 10_000, 1000, 1000, 100, 262_144, 10_000]);
        // Preface, acknowledgement, header block, keep-alive, PING.
        assert_eq!(timeouts[..15], [1, 10, 0, 1, 10, 0, 1, 10, 0, 1, 1, 5, 1, 10, 0]);
        // Idle, shutdown, stall, transmit, a client's idle, content.
        assert_eq!(timeouts[15..], [1, 180, 0, 1, 30, 0, 1, 60, 0, 1, 60, 0, 0, 1, 60, 0]);
    }

    /// A field that `visit` leaves out keeps its default, and shows here.
    #[test]
    fn no_field_is_left_out() {
        let (usual, odd) = (format!("{:?}", Config::default()), format!("{:?}", odd()));
        assert_eq!(usual.split(", ").count(), odd.split(", ").count());
        let pairs = usual.split(", ").zip(odd.split(", "));
        let same: Vec<_> = pairs.filter(|(usual, odd)| usual == odd).collect();
        assert_eq!(same, []);
    }
}
