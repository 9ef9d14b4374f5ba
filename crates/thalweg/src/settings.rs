//! The settings of one endpoint, and those that wait for their acknowledgement (RFC 9113 §6.5, RFC
//! 8441 §3, RFC 9218 §2.1).
//!
//! Invariants: values are in their ranges; what we announced binds the peer only after its
//! acknowledgement, and announcements are acknowledged in the order in which they were made.

use smallvec::SmallVec;

use crate::config::{Config, ConfigError};
use crate::flow::WINDOW_MAX;
use crate::frame::SettingId;
use crate::frame_size::{PAYLOAD_LEN_DEFAULT, PAYLOAD_LEN_MAX};
use crate::violation::Violation;

/// The settings of one endpoint. Defaults are those of RFC 9113 §6.5.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settings {
    /// SETTINGS_HEADER_TABLE_SIZE, bytes.
    pub header_table_size: u32,
    /// SETTINGS_ENABLE_PUSH.
    pub enable_push: bool,
    /// SETTINGS_MAX_CONCURRENT_STREAMS; `u32::MAX` if it was not sent.
    pub max_concurrent_streams: u32,
    /// SETTINGS_INITIAL_WINDOW_SIZE, bytes, up to 2^31-1.
    pub initial_window_size: u32,
    /// SETTINGS_MAX_FRAME_SIZE, bytes, 2^14 to 2^24-1.
    pub max_frame_size: u32,
    /// SETTINGS_MAX_HEADER_LIST_SIZE, bytes; `u32::MAX` if it was not sent.
    pub max_header_list_size: u32,
    /// SETTINGS_ENABLE_CONNECT_PROTOCOL.
    pub enable_connect_protocol: bool,
    /// SETTINGS_NO_RFC7540_PRIORITIES.
    pub no_rfc7540_priorities: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            header_table_size: 4096,
            enable_push: true,
            max_concurrent_streams: u32::MAX,
            initial_window_size: 65_535,
            max_frame_size: PAYLOAD_LEN_DEFAULT,
            max_header_list_size: u32::MAX,
            enable_connect_protocol: false,
            no_rfc7540_priorities: false,
        }
    }
}

impl Settings {
    /// Applies one entry of a SETTINGS frame that we received.
    ///
    /// RFC 9113 §6.5.2: unknown settings are ignored. `from_server`: only clients may enable push.
    ///
    /// # Errors
    /// The rule that the value breaks.
    pub(crate) fn apply(&mut self, id: SettingId, value: u32, from_server: bool) -> Result<(), Violation> {
        match id {
            SettingId::HEADER_TABLE_SIZE => self.header_table_size = value,
            SettingId::ENABLE_PUSH => match value {
                0 => self.enable_push = false,
                1 if !from_server => self.enable_push = true,
                _ => return Err(Violation::SettingsEnablePush),
            },
            SettingId::MAX_CONCURRENT_STREAMS => self.max_concurrent_streams = value,
            SettingId::INITIAL_WINDOW_SIZE if value > WINDOW_MAX => {
                return Err(Violation::SettingsInitialWindowSize);
            }
            SettingId::INITIAL_WINDOW_SIZE => self.initial_window_size = value,
            SettingId::MAX_FRAME_SIZE if !(PAYLOAD_LEN_DEFAULT..=PAYLOAD_LEN_MAX).contains(&value) => {
                return Err(Violation::SettingsMaxFrameSize);
            }
            SettingId::MAX_FRAME_SIZE => self.max_frame_size = value,
            SettingId::MAX_HEADER_LIST_SIZE => self.max_header_list_size = value,
            // RFC 8441 §3: the value that a client sends has no meaning.
            SettingId::ENABLE_CONNECT_PROTOCOL if !from_server => {}
            // RFC 8441 §3: a sender must not send 0 after 1.
            SettingId::ENABLE_CONNECT_PROTOCOL => match value {
                1 => self.enable_connect_protocol = true,
                0 if !self.enable_connect_protocol => {}
                _ => return Err(Violation::SettingsConnectProtocol),
            },
            SettingId::NO_RFC7540_PRIORITIES => match value {
                0 | 1 => self.no_rfc7540_priorities = value == 1,
                _ => return Err(Violation::SettingsNoRfc7540Priorities),
            },
            _ => {}
        }
        Ok(())
    }

    /// Returns the settings that a configuration announces.
    pub(crate) fn from_config(config: &Config, is_client: bool) -> Self {
        let pushes = !is_client || config.enable_push;
        Self {
            header_table_size: config.header_table_bytes_max,
            enable_push: pushes,
            max_concurrent_streams: if pushes { config.concurrent_streams_max } else { u32::MAX },
            initial_window_size: config.stream_window_bytes,
            max_frame_size: config.frame_bytes_max,
            max_header_list_size: config.header_list_bytes_max,
            enable_connect_protocol: config.enable_connect_protocol && !is_client,
            // RFC 9218 §2.1: we schedule by RFC 9218 alone, and announce it.
            no_rfc7540_priorities: true,
        }
    }

    /// Checks the ranges, which are those of `Config`.
    ///
    /// # Errors
    /// Names the first field that is outside its range, the value, and the range.
    pub fn validate(&self) -> Result<(), ConfigError> {
        Config::new()
            .header_table_bytes_max(self.header_table_size)
            .stream_window(self.initial_window_size)
            .frame_bytes_max(self.max_frame_size)
            .header_list_bytes_max(self.max_header_list_size)
            .validate()
    }

    /// Returns the entries that differ from `before`, in the order of their identifiers.
    pub(crate) fn changes_from(&self, before: &Self) -> SmallVec<[(SettingId, u32); SETTINGS_KNOWN]> {
        let mut changes = SmallVec::new();
        let mut change = |id, old: u32, new: u32| {
            if old != new {
                changes.push((id, new));
            }
        };
        change(SettingId::HEADER_TABLE_SIZE, before.header_table_size, self.header_table_size);
        change(SettingId::ENABLE_PUSH, before.enable_push.into(), self.enable_push.into());
        change(SettingId::MAX_CONCURRENT_STREAMS, before.max_concurrent_streams, self.max_concurrent_streams);
        change(SettingId::INITIAL_WINDOW_SIZE, before.initial_window_size, self.initial_window_size);
        change(SettingId::MAX_FRAME_SIZE, before.max_frame_size, self.max_frame_size);
        change(SettingId::MAX_HEADER_LIST_SIZE, before.max_header_list_size, self.max_header_list_size);
        let (old, new) = (before.enable_connect_protocol, self.enable_connect_protocol);
        change(SettingId::ENABLE_CONNECT_PROTOCOL, old.into(), new.into());
        let (old, new) = (before.no_rfc7540_priorities, self.no_rfc7540_priorities);
        change(SettingId::NO_RFC7540_PRIORITIES, old.into(), new.into());
        changes
    }
}

/// Our settings: those in force, and those that the peer has not acknowledged yet.
#[derive(Debug)]
pub(crate) struct LocalSettings {
    in_force: Settings,
    unacknowledged: SmallVec<[Settings; 1]>,
}

impl LocalSettings {
    /// Creates the default settings, with `first` announced.
    pub(crate) fn new(first: Settings) -> Self {
        Self { in_force: Settings::default(), unacknowledged: SmallVec::from_buf([first]) }
    }

    /// Returns the settings that bind the peer now.
    pub(crate) fn in_force(&self) -> &Settings {
        &self.in_force
    }

    /// Returns the settings that will bind the peer once it has acknowledged everything.
    pub(crate) fn announced(&self) -> &Settings {
        self.unacknowledged.last().unwrap_or(&self.in_force)
    }

    /// Whether another announcement may be made: the number of unacknowledged ones is bounded.
    pub(crate) fn can_announce(&self) -> bool {
        self.unacknowledged.len() < UNACKNOWLEDGED_MAX
    }

    /// Whether an announcement is unacknowledged.
    pub(crate) fn has_unacknowledged(&self) -> bool {
        !self.unacknowledged.is_empty()
    }

    /// Records an announcement.
    pub(crate) fn announce(&mut self, settings: Settings) {
        debug_assert!(self.can_announce());
        self.unacknowledged.push(settings);
    }

    /// Applies an acknowledgement. Returns the settings that were in force before, and those that
    /// are in force now.
    ///
    /// RFC 9113 §6.5.3: an acknowledgement answers a SETTINGS frame; one without a frame to
    /// acknowledge is an error.
    pub(crate) fn acknowledge(&mut self) -> Result<(Settings, Settings), Violation> {
        if self.unacknowledged.is_empty() {
            return Err(Violation::SettingsAckUnexpected);
        }
        let before = self.in_force;
        self.in_force = self.unacknowledged.remove(0);
        Ok((before, self.in_force))
    }

    /// Returns the memory that is held, bytes.
    pub(crate) fn capacity_bytes(&self) -> usize {
        if self.unacknowledged.spilled() { self.unacknowledged.capacity() * size_of::<Settings>() } else { 0 }
    }

    /// Asserts the invariants.
    pub(crate) fn check(&self) {
        debug_assert!(self.unacknowledged.len() <= UNACKNOWLEDGED_MAX);
    }
}

/// The number of settings that this implementation knows.
pub(crate) const SETTINGS_KNOWN: usize = 8;
const UNACKNOWLEDGED_MAX: usize = 8;
