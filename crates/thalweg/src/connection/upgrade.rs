//! Starts HTTP/2 after an HTTP/1.1 Upgrade (RFC 7540 §3.2): stream 1 carries the request that was
//! sent there.

use alloc::vec::Vec;

use crate::config::Config;
use crate::frame::SettingEntries;
use crate::headers::validate::method_of;
use crate::settings::Settings;
use crate::stream_id::{StreamId, StreamKey};
use crate::streams::state::{HalfState, State};
use crate::violation::Violation;

use super::inner::Inner;

impl Inner {
    /// Opens stream 1 for the request of the Upgrade, which was complete.
    pub(super) fn open_upgrade_stream(&mut self, method: &[u8]) -> StreamKey {
        let state = if self.is_client() {
            State::opened(true, true)
        } else {
            State::Active { local: HalfState::Headers, remote: HalfState::Closed }
        };
        let mut slot = self.new_slot(state, method_of(method));
        slot.reported = true;
        // RFC 7540 §3.2: the client sends its preface when it has received the 101 response.
        self.expect_preface_after_transmit();
        self.counters.streams_opened += 1;
        self.streams.open(StreamId::new(1), slot)
    }

    /// Applies the settings of the field `HTTP2-Settings`. RFC 7540 §3.2.1: they are not
    /// acknowledged.
    pub(super) fn apply_upgrade_settings(&mut self, payload: &[u8]) -> Result<(), Violation> {
        let entries_max = self.limits.settings_entries_max as usize;
        if !payload.len().is_multiple_of(6) || payload.len() > 6 * entries_max {
            return Err(Violation::SettingsLength);
        }
        self.settings.receive_upgrade(SettingEntries::new(payload))?;
        self.codec.set_encoder_table_bytes_max(self.settings.remote().header_table_size);
        Ok(())
    }
}

/// Returns the payload of SETTINGS that a client with this configuration puts into
/// `HTTP2-Settings`.
pub(super) fn upgrade_settings(config: &Config) -> Vec<u8> {
    let mut payload = Vec::new();
    for (id, value) in Settings::from_config(config, true).changes_from(&Settings::default()) {
        payload.extend_from_slice(&id.0.to_be_bytes());
        payload.extend_from_slice(&value.to_be_bytes());
    }
    payload
}
