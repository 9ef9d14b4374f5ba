//! The settings of both endpoints of a connection (RFC 9113 §6.5).
//!
//! Invariants: the peer's values are the defaults until its first SETTINGS frame; a frame with an
//! invalid entry changes nothing.

use crate::frame::{SettingEntries, SettingId};
use crate::settings::{LocalSettings, Settings};
use crate::violation::Violation;

/// Our settings and the peer's.
#[derive(Debug)]
pub(crate) struct EndpointSettings {
    /// What we announced.
    pub local: LocalSettings,
    remote: Settings,
    remote_received: bool,
}

/// A change of the peer's settings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RemoteChange {
    pub before: Settings,
    pub after: Settings,
    /// Whether it was the peer's first SETTINGS frame.
    pub is_first: bool,
}

/// An entry of SETTINGS that breaks a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InvalidSetting {
    pub violation: Violation,
    /// The value of the entry, if the value alone breaks the rule.
    pub value: Option<u32>,
}

impl EndpointSettings {
    /// Creates the settings of a connection that announces `first`.
    pub(crate) fn new(first: Settings) -> Self {
        Self { local: LocalSettings::new(first), remote: Settings::default(), remote_received: false }
    }

    /// Returns the peer's settings.
    #[inline]
    pub(crate) const fn remote(&self) -> &Settings {
        &self.remote
    }

    /// Whether the peer's first SETTINGS frame was received.
    #[inline]
    pub(crate) const fn is_remote_received(&self) -> bool {
        self.remote_received
    }

    /// Applies a SETTINGS frame of the peer.
    ///
    /// # Errors
    /// The first entry that breaks a rule.
    pub(crate) fn receive(
        &mut self,
        entries: SettingEntries<'_>,
        from_server: bool,
    ) -> Result<RemoteChange, InvalidSetting> {
        let before = self.remote;
        let mut after = before;
        for (id, value) in entries {
            after
                .apply(id, value, from_server)
                .map_err(|violation| InvalidSetting { violation, value: Some(value) })?;
        }
        // RFC 9218 §2.1: the value of the first SETTINGS frame must not change.
        if self.remote_received && after.no_rfc7540_priorities != before.no_rfc7540_priorities {
            let violation = Violation::SettingsNoRfc7540Priorities;
            return Err(InvalidSetting { violation, value: None });
        }
        let is_first = !core::mem::replace(&mut self.remote_received, true);
        self.remote = after;
        Ok(RemoteChange { before, after, is_first })
    }

    /// Applies the settings of an Upgrade request (RFC 7540 §3.2.1): a SETTINGS frame still
    /// follows.
    ///
    /// # Errors
    /// The first entry that breaks a rule.
    pub(crate) fn receive_upgrade(&mut self, entries: SettingEntries<'_>) -> Result<(), Violation> {
        let mut after = self.remote;
        for (id, value) in entries {
            after.apply(id, value, false)?;
        }
        self.remote = after;
        Ok(())
    }

    /// Returns the heap that is held, bytes.
    pub(crate) fn capacity_bytes(&self) -> usize {
        self.local.capacity_bytes()
    }

    /// Asserts the invariants.
    pub(crate) fn check(&self) {
        self.local.check();
    }
}

/// Returns each value of SETTINGS_HEADER_TABLE_SIZE in a frame: the encoder must announce the
/// smallest (RFC 7541 §4.2).
pub(crate) fn table_sizes(entries: SettingEntries<'_>) -> impl Iterator<Item = u32> {
    entries.filter(|(id, _)| *id == SettingId::HEADER_TABLE_SIZE).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    fn payload(entries: &[(SettingId, u32)]) -> Vec<u8> {
        let entry = |(id, value): &(SettingId, u32)| [&id.0.to_be_bytes()[..], &value.to_be_bytes()].concat();
        entries.iter().flat_map(entry).collect()
    }

    #[test]
    fn a_frame_with_an_invalid_entry_changes_nothing() {
        let mut settings = EndpointSettings::new(Settings::default());
        let invalid =
            payload(&[(SettingId::MAX_CONCURRENT_STREAMS, 7), (SettingId::INITIAL_WINDOW_SIZE, 1 << 31)]);
        let outcome = settings.receive(SettingEntries::new(&invalid), true).map(|_| ());
        let violation = Violation::SettingsInitialWindowSize;
        assert_eq!(outcome, Err(InvalidSetting { violation, value: Some(1 << 31) }));
        assert_eq!((*settings.remote(), settings.is_remote_received()), (Settings::default(), false));
    }

    #[test]
    fn the_scheme_of_priorities_is_fixed_by_the_first_frame() {
        let mut settings = EndpointSettings::new(Settings::default());
        let enabled = payload(&[(SettingId::NO_RFC7540_PRIORITIES, 1)]);
        let change = settings.receive(SettingEntries::new(&enabled), true).unwrap();
        assert!(change.is_first && change.after.no_rfc7540_priorities);
        let disabled = payload(&[(SettingId::NO_RFC7540_PRIORITIES, 0)]);
        let outcome = settings.receive(SettingEntries::new(&disabled), true).map(|_| ());
        let violation = Violation::SettingsNoRfc7540Priorities;
        assert_eq!(outcome, Err(InvalidSetting { violation, value: None }));
        let again = settings.receive(SettingEntries::new(&enabled), true).unwrap();
        assert!(!again.is_first);
    }

    #[test]
    fn settings_of_an_upgrade_are_not_the_first_frame() {
        let mut settings = EndpointSettings::new(Settings::default());
        let entries = payload(&[(SettingId::MAX_FRAME_SIZE, 20_000)]);
        assert_eq!(settings.receive_upgrade(SettingEntries::new(&entries)), Ok(()));
        assert_eq!(settings.remote().max_frame_size, 20_000);
        assert!(!settings.is_remote_received());
    }
}
