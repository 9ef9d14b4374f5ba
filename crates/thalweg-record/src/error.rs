//! Errors of reading a recording.

use core::fmt;

use crate::format::VERSION;

/// Why a recording cannot be read. Offsets count bytes from the beginning of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadError {
    /// It does not begin with the signature of a recording.
    NotARecording,
    /// It has a version of the format that this crate does not support.
    Version {
        /// The version of the recording.
        seen: u8,
    },
    /// It ends before its end mark: only a part of it was written or copied.
    Truncated {
        /// The offset of its last byte plus one.
        offset: usize,
    },
    /// A block is damaged: its checksum differs.
    Damaged {
        /// The offset of the block.
        offset: usize,
    },
    /// A block is intact but has invalid content: the writer was faulty.
    Malformed {
        /// The offset of the invalid content.
        offset: usize,
        /// The expected item.
        what: &'static str,
    },
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotARecording => f.write_str("not a recording: it does not begin with THALWEG"),
            Self::Version { seen } => {
                write!(f, "recording has format version {seen}, supported is {VERSION}")
            }
            Self::Truncated { offset } => write!(f, "the recording is cut off at byte {offset}"),
            Self::Damaged { offset } => {
                write!(f, "the recording is damaged: the block at byte {offset} differs from its checksum")
            }
            Self::Malformed { offset, what } => {
                write!(f, "the recording is malformed at byte {offset}, expected {what}")
            }
        }
    }
}

impl core::error::Error for ReadError {}
