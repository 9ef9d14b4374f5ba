//! Header blocks by a codec of our own (RFC 7541): stateless where it writes, complete where it
//! reads.
//!
//! Slow and obvious. It shares no code with `thalweg-hpack`, so that each can be tested against the
//! other.
//!
//! ```
//! use thalweg_testkit::hpack;
//!
//! let block = hpack::block(&[(":status", "200"), ("server", "thalweg")]);
//! let fields = hpack::Decoder::default().decode(&block).unwrap();
//! assert_eq!(fields[1].to_string(), "server: thalweg");
//! ```

mod decoder;
mod huffman;
mod static_table;

use std::fmt::{self, Display, Formatter};

pub use decoder::{Decoder, Malformed};
pub use huffman::encode as huffman;

/// A field of a decoded header block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The name.
    pub name: Vec<u8>,
    /// The value.
    pub value: Vec<u8>,
    /// Whether intermediaries must not index it either (RFC 7541 §6.2.3).
    pub never_indexed: bool,
}

impl Display for Header {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name.escape_ascii(), self.value.escape_ascii())
    }
}

/// Writes fields as literals without indexing and without Huffman coding (RFC 7541 §6.2.2): any
/// name, any value.
pub fn block<N: AsRef<[u8]>, V: AsRef<[u8]>>(fields: &[(N, V)]) -> Vec<u8> {
    fields.iter().fold(Block::new(), |block, (name, value)| block.literal(name, value)).bytes()
}

/// Returns the block of `GET https://example.org` for `path`.
pub fn get(path: &str) -> Vec<u8> {
    request("GET", path)
}

/// Returns the block of a request to `https://example.org`.
pub fn request(method: &str, path: &str) -> Vec<u8> {
    block(&[(":method", method), (":scheme", "https"), (":authority", "example.org"), (":path", path)])
}

/// Returns the block of a response with only a status.
pub fn response(status: u16) -> Vec<u8> {
    block(&[(":status", status.to_string())])
}

/// Writes a header block representation by representation.
#[derive(Clone, Debug, Default)]
pub struct Block {
    bytes: Vec<u8>,
}

impl Block {
    /// Creates an empty block.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends an indexed field (RFC 7541 §6.1).
    #[must_use]
    pub fn indexed(mut self, index: u32) -> Self {
        put_integer(&mut self.bytes, 0x80, 7, index);
        self
    }

    /// Appends a literal without indexing (RFC 7541 §6.2.2).
    #[must_use]
    pub fn literal(self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.with_name(0x00, name.as_ref(), value.as_ref())
    }

    /// Appends a literal with incremental indexing (RFC 7541 §6.2.1).
    #[must_use]
    pub fn literal_indexed(self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.with_name(0x40, name.as_ref(), value.as_ref())
    }

    /// Appends a literal that must never be indexed (RFC 7541 §6.2.3).
    #[must_use]
    pub fn literal_never(self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.with_name(0x10, name.as_ref(), value.as_ref())
    }

    /// Appends a literal with incremental indexing and an indexed name.
    #[must_use]
    pub fn named_indexed(mut self, name: u32, value: impl AsRef<[u8]>) -> Self {
        put_integer(&mut self.bytes, 0x40, 6, name);
        self.string(value)
    }

    /// Appends a literal without indexing and with an indexed name.
    #[must_use]
    pub fn named(mut self, name: u32, value: impl AsRef<[u8]>) -> Self {
        put_integer(&mut self.bytes, 0x00, 4, name);
        self.string(value)
    }

    /// Appends a dynamic table size update (RFC 7541 §6.3).
    #[must_use]
    pub fn table_size(mut self, bytes: u32) -> Self {
        put_integer(&mut self.bytes, 0x20, 5, bytes);
        self
    }

    /// Appends a string literal (RFC 7541 §5.2), for use after [`Self::raw`].
    #[must_use]
    pub fn string(mut self, text: impl AsRef<[u8]>) -> Self {
        put_string(&mut self.bytes, text.as_ref());
        self
    }

    /// Appends any bytes.
    #[must_use]
    pub fn raw(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.bytes.extend_from_slice(bytes.as_ref());
        self
    }

    /// Returns the block.
    pub fn bytes(self) -> Vec<u8> {
        self.bytes
    }

    fn with_name(mut self, pattern: u8, name: &[u8], value: &[u8]) -> Self {
        self.bytes.push(pattern);
        put_string(&mut self.bytes, name);
        put_string(&mut self.bytes, value);
        self
    }
}

/// RFC 7541 §5.1: an integer with a prefix of `bits` bits.
fn put_integer(out: &mut Vec<u8>, pattern: u8, bits: u32, value: u32) {
    let most = (1 << bits) - 1;
    if value < most {
        out.push(pattern | value as u8);
        return;
    }
    out.push(pattern | most as u8);
    let mut rest = value - most;
    while rest >= 128 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

fn put_string(out: &mut Vec<u8>, text: &[u8]) {
    put_integer(out, 0, 7, u32::try_from(text.len()).expect("a test's string has below 2^32 bytes"));
    out.extend_from_slice(text);
}
