//! Setting identifiers, and the entries of a SETTINGS payload (RFC 9113 §6.5.1, §6.5.2).

/// The identifier of a setting. Unknown ones are allowed and kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SettingId(pub u16);

impl SettingId {
    /// RFC 9113 §6.5.2
    pub const HEADER_TABLE_SIZE: Self = Self(0x1);
    /// RFC 9113 §6.5.2
    pub const ENABLE_PUSH: Self = Self(0x2);
    /// RFC 9113 §6.5.2
    pub const MAX_CONCURRENT_STREAMS: Self = Self(0x3);
    /// RFC 9113 §6.5.2
    pub const INITIAL_WINDOW_SIZE: Self = Self(0x4);
    /// RFC 9113 §6.5.2
    pub const MAX_FRAME_SIZE: Self = Self(0x5);
    /// RFC 9113 §6.5.2
    pub const MAX_HEADER_LIST_SIZE: Self = Self(0x6);
    /// RFC 8441 §3
    pub const ENABLE_CONNECT_PROTOCOL: Self = Self(0x8);
    /// RFC 9218 §2.1
    pub const NO_RFC7540_PRIORITIES: Self = Self(0x9);

    /// Returns the name without the leading `SETTINGS_`, if the setting has one.
    pub const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::HEADER_TABLE_SIZE => "HEADER_TABLE_SIZE",
            Self::ENABLE_PUSH => "ENABLE_PUSH",
            Self::MAX_CONCURRENT_STREAMS => "MAX_CONCURRENT_STREAMS",
            Self::INITIAL_WINDOW_SIZE => "INITIAL_WINDOW_SIZE",
            Self::MAX_FRAME_SIZE => "MAX_FRAME_SIZE",
            Self::MAX_HEADER_LIST_SIZE => "MAX_HEADER_LIST_SIZE",
            Self::ENABLE_CONNECT_PROTOCOL => "ENABLE_CONNECT_PROTOCOL",
            Self::NO_RFC7540_PRIORITIES => "NO_RFC7540_PRIORITIES",
            _ => return None,
        })
    }
}

/// The entries of a SETTINGS payload, in wire order; later ones override earlier ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SettingEntries<'a> {
    payload: &'a [u8],
}

impl<'a> SettingEntries<'a> {
    /// Wraps a payload. Bytes after the last whole entry are ignored.
    pub const fn new(payload: &'a [u8]) -> Self {
        Self { payload }
    }

    /// Returns the payload as it is on the wire.
    pub const fn as_bytes(self) -> &'a [u8] {
        self.payload
    }

    /// Returns how many entries are left.
    pub const fn remaining(self) -> usize {
        self.payload.len() / ENTRY_LEN
    }
}

impl Iterator for SettingEntries<'_> {
    type Item = (SettingId, u32);

    fn next(&mut self) -> Option<Self::Item> {
        let (entry, rest) = self.payload.split_first_chunk::<ENTRY_LEN>()?;
        self.payload = rest;
        let [a, b, value @ ..] = *entry;
        Some((SettingId(u16::from_be_bytes([a, b])), u32::from_be_bytes(value)))
    }
}

/// Bytes of one entry on the wire.
pub(super) const ENTRY_LEN: usize = 6;
