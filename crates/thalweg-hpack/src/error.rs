//! Errors of header blocks, RFC 7541.
//!
//! Owns the only error type of the decoder. For HTTP/2 every variant is a connection error of type
//! `COMPRESSION_ERROR` (RFC 9113 §4.3), because the two tables may differ afterwards.

use core::fmt;

/// Why a header block cannot be decoded.
///
/// Every variant ends the compression context, and with it the connection: RFC 9113 §4.3 makes it a
/// connection error of type `COMPRESSION_ERROR`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// The block ends inside an integer or a string.
    Truncated,
    /// RFC 7541 §5.1: an integer takes more than five octets after its prefix, or exceeds 2^32 - 1.
    IntegerTooLarge,
    /// RFC 7541 §6.1: an indexed field names index 0.
    IndexZero,
    /// RFC 7541 §2.3.3: an index is beyond the end of both tables.
    IndexPastEnd {
        /// The index that the peer sent.
        index: u32,
        /// The highest index that has an entry now.
        last: u32,
    },
    /// RFC 7541 §5.2: a Huffman-coded string contains the end-of-string symbol.
    HuffmanEndOfString,
    /// RFC 7541 §5.2: the padding of a Huffman-coded string is a whole octet, or not all ones.
    HuffmanPadding,
    /// RFC 7541 §6.3: a size update exceeds the local `SETTINGS_HEADER_TABLE_SIZE`.
    SizeUpdateTooLarge {
        /// The size that the peer asked for, in bytes.
        bytes: u32,
        /// The largest size that it may ask for, in bytes.
        bytes_max: u32,
    },
    /// RFC 7541 §4.2: a size update follows a field of the block.
    SizeUpdateLate,
    /// RFC 9113 §4.3.1: the peer acknowledged a lower limit, and the block does not begin with a
    /// size update within it.
    SizeUpdateMissing {
        /// The largest size that the update may set, in bytes.
        bytes_max: u32,
    },
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Truncated => f.write_str("header block ends inside a field"),
            Self::IntegerTooLarge => f.write_str("integer in header block exceeds 4294967295"),
            Self::IndexZero => f.write_str("indexed field with index 0"),
            Self::IndexPastEnd { index, last } => {
                write!(f, "index {index} is past the end of the table, last is {last}")
            }
            Self::HuffmanEndOfString => f.write_str("huffman string contains the end-of-string symbol"),
            Self::HuffmanPadding => f.write_str("huffman string is not padded with up to 7 one bits"),
            Self::SizeUpdateTooLarge { bytes, bytes_max } => {
                write!(f, "table size update to {bytes}, limit {bytes_max}")
            }
            Self::SizeUpdateLate => f.write_str("table size update after a field"),
            Self::SizeUpdateMissing { bytes_max } => {
                write!(f, "table size update to at most {bytes_max} is missing")
            }
        }
    }
}

impl core::error::Error for DecodeError {}
