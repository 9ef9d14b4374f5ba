//! The range of SETTINGS_MAX_FRAME_SIZE. A leaf: the configuration, the windows and the frames
//! themselves depend on it.

/// The largest payload that SETTINGS_MAX_FRAME_SIZE can allow, bytes (RFC 9113 §4.2).
pub const PAYLOAD_LEN_MAX: u32 = (1 << 24) - 1;

/// The largest payload that every peer accepts, bytes: the least and the initial value of
/// SETTINGS_MAX_FRAME_SIZE (RFC 9113 §6.5.2).
pub(crate) const PAYLOAD_LEN_DEFAULT: u32 = 1 << 14;
