//! The encoding of a configuration: one list of all fields for both directions.
//!
//! Keeps true: a configuration is read as it was written (a test counts its fields, so that a new
//! one cannot be forgotten).

use alloc::vec::Vec;
use core::time::Duration;

use thalweg::{Config, RateLimit, WindowRelease};

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

fn visit(config: &mut Config, codec: &mut Codec<'_>) -> Result<(), ReadError> {
    codec(&mut config.hash_seed)?;
    for value in [
        &mut config.header_table_bytes_max,
        &mut config.encoder_table_bytes_max,
        &mut config.concurrent_streams_max,
        &mut config.stream_window_bytes,
        &mut config.connection_window_bytes,
        &mut config.frame_bytes_max,
        &mut config.header_list_bytes_max,
        &mut config.header_fields_max,
        &mut config.header_block_bytes_max,
        &mut config.oversized_block_bytes_max,
        &mut config.continuations_max,
        &mut config.settings_entries_max,
        &mut config.control_payload_bytes_max,
        &mut config.closed_streams_max,
        &mut config.output_bytes_max,
        &mut config.stall_bytes_min,
    ] {
        number(value, codec)?;
    }
    for value in [
        &mut config.enable_push,
        &mut config.enable_connect_protocol,
        &mut config.over_tls,
        &mut config.extension_frames,
    ] {
        flag(value, codec)?;
    }
    let mut automatic = config.release == WindowRelease::Automatic;
    flag(&mut automatic, codec)?;
    config.release = if automatic { WindowRelease::Automatic } else { WindowRelease::Explicit };
    let rate_limits = &mut config.rate_limits;
    for RateLimit { burst, per_second } in [
        &mut rate_limits.resets,
        &mut rate_limits.pings,
        &mut rate_limits.settings,
        &mut rate_limits.empty_frames,
        &mut rate_limits.priorities,
        &mut rate_limits.window_updates,
        &mut rate_limits.extensions,
        &mut rate_limits.small_data,
    ] {
        number(burst, codec)?;
        number(per_second, codec)?;
    }
    let timeouts = &mut config.timeouts;
    for value in [
        &mut timeouts.preface,
        &mut timeouts.settings_ack,
        &mut timeouts.header_block,
        &mut timeouts.keep_alive,
        &mut timeouts.ping,
        &mut timeouts.idle,
        &mut timeouts.shutdown,
        &mut timeouts.stall,
        &mut timeouts.transmit,
        &mut timeouts.client_idle,
        &mut timeouts.content,
    ] {
        duration(value, codec)?;
    }
    Ok(())
}

/// A value beyond the type's range is clamped: configurations are validated when they are used.
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

    /// A field that `visit` leaves out keeps its default, which this test detects.
    #[test]
    fn no_field_is_left_out() {
        let (usual, odd) = (format!("{:?}", Config::default()), format!("{:?}", odd()));
        assert_eq!(usual.split(", ").count(), odd.split(", ").count());
        let pairs = usual.split(", ").zip(odd.split(", "));
        let same: Vec<_> = pairs.filter(|(usual, odd)| usual == odd).collect();
        assert_eq!(same, []);
    }
}
