//! The payload of a SETTINGS frame in `HTTP2-Settings`.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Why the payload of a SETTINGS frame is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SettingsError {
    /// The length is not a multiple of six (RFC 9113 §6.5).
    Length {
        /// The payload's length.
        bytes: usize,
    },
    /// There are more settings than [`Config::settings_max`](crate::Config::settings_max) allows.
    TooMany {
        /// Settings in the payload.
        settings: usize,
        /// The limit.
        limit: usize,
    },
    /// A setting has a value outside its range (RFC 9113 §6.5.2, RFC 8441 §3, RFC 9218 §2.1).
    Value {
        /// The setting's identifier.
        id: u16,
        /// Its value.
        value: u32,
    },
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { bytes } => write!(f, "settings payload of {bytes} bytes, not a multiple of 6"),
            Self::TooMany { settings, limit } => write!(f, "{settings} settings, limit {limit}"),
            Self::Value { id, value } => write!(f, "setting {id:#x} has the invalid value {value}"),
        }
    }
}

impl core::error::Error for SettingsError {}

/// Validates a payload, RFC 7540 §3.2.1: like that of any other SETTINGS frame.
pub(crate) fn check(payload: &[u8], settings_max: usize) -> Result<(), SettingsError> {
    let (settings, rest) = payload.as_chunks::<6>();
    if !rest.is_empty() {
        return Err(SettingsError::Length { bytes: payload.len() });
    }
    if settings.len() > settings_max {
        return Err(SettingsError::TooMany { settings: settings.len(), limit: settings_max });
    }
    for &[id_high, id_low, a, b, c, d] in settings {
        let id = u16::from_be_bytes([id_high, id_low]);
        let value = u32::from_be_bytes([a, b, c, d]);
        let valid = match id {
            ENABLE_PUSH | ENABLE_CONNECT_PROTOCOL | NO_RFC7540_PRIORITIES => value <= 1,
            INITIAL_WINDOW_SIZE => value <= 0x7fff_ffff,
            MAX_FRAME_SIZE => (0x4000..=0x00ff_ffff).contains(&value),
            // RFC 9113 §6.5.2: the others take any value, and unknown ones are ignored.
            _ => true,
        };
        if !valid {
            return Err(SettingsError::Value { id, value });
        }
    }
    Ok(())
}

/// Decodes the field value. `None` if it is not token68 of base64url without padding.
///
/// token68 has at least one character, so an empty value is invalid (RFC 7540 §3.2.1, RFC 9110
/// §11.2).
pub(crate) fn decode(value: &[u8]) -> Option<Vec<u8>> {
    if value.is_empty() { None } else { URL_SAFE_NO_PAD.decode(value).ok() }
}

/// Encodes the field value. An empty payload, which token68 cannot express, becomes a setting at
/// its default.
pub(crate) fn encode(payload: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(if payload.is_empty() { HEADER_TABLE_SIZE_DEFAULT } else { payload })
}

const ENABLE_PUSH: u16 = 0x2;
const INITIAL_WINDOW_SIZE: u16 = 0x4;
const MAX_FRAME_SIZE: u16 = 0x5;
const ENABLE_CONNECT_PROTOCOL: u16 = 0x8;
const NO_RFC7540_PRIORITIES: u16 = 0x9;

/// SETTINGS_HEADER_TABLE_SIZE = 4096, which is the initial value (RFC 9113 §6.5.2).
const HEADER_TABLE_SIZE_DEFAULT: &[u8] = &[0x00, 0x01, 0x00, 0x00, 0x10, 0x00];
