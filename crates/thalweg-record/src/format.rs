//! The format of the file.
//!
//! ```text
//! file    "THALWEG", version, then blocks; the last is an end
//! block   kind, payload length (4 bytes, little endian), payload, checksum of the three (8 bytes)
//! ```

/// The first bytes of a file; the version follows.
pub(crate) const MAGIC: &[u8; 7] = b"THALWEG";
/// The version of the file format.
pub(crate) const VERSION: u8 = 3;

/// The kinds of blocks.
pub(crate) const BEGIN: u8 = b'B';
pub(crate) const STEPS: u8 = b'S';
pub(crate) const END: u8 = b'E';
/// The kind, and the length of the payload.
pub(crate) const BLOCK_HEAD_BYTES: usize = 5;
/// The checksum behind the payload.
pub(crate) const CHECKSUM_BYTES: usize = 8;
