//! Why a recording cannot be read, and at which byte.

use core::fmt;

/// Why a recording cannot be read. Offsets count bytes from the beginning of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadError {
    /// It does not begin as a recording does.
    NotARecording,
    /// It is of a version of the format that this crate does not read.
    Version {
        /// The version that it names.
        seen: u8,
    },
    /// It ends before its end mark: only a part of it was written or copied.
    Truncated {
        /// Where it ends.
        offset: usize,
    },
    /// The block that begins there is not what was written: its checksum differs.
    Damaged {
        /// Where the block begins.
        offset: usize,
    },
    /// The block is as it was written, and what stands there makes no sense: whoever wrote it is at fault.
    Malformed {
        /// Where.
        offset: usize,
        /// What was to be read.
        what: &'static str,
    },
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotARecording => f.write_str("not a recording: it does not begin with THALWEG"),
            Self::Version { seen } => {
                write!(f, "a recording of format version {seen}, and this reads version {VERSION}")
            }
            Self::Truncated { offset } => write!(f, "the recording is cut off at byte {offset}"),
            Self::Damaged { offset } => {
                write!(f, "the recording is damaged: the block at byte {offset} differs from its checksum")
            }
            Self::Malformed { offset, what } => {
                write!(f, "the recording makes no sense at byte {offset}, where {what} should be")
            }
        }
    }
}

impl core::error::Error for ReadError {}

/// The version of the file format.
pub(crate) const VERSION: u8 = 2;
