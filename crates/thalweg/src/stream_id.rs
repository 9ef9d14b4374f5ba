//! Stream identifiers, and the handle by which callers name a stream.

use core::fmt;

/// A stream identifier, 0 to 2^31-1; 0 is the connection itself (RFC 9113 §5.1.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(u32);

impl StreamId {
    /// The connection as a whole.
    pub const CONNECTION: Self = Self(0);
    /// The largest identifier, which a first graceful GOAWAY names (RFC 9113 §6.8).
    pub const MAX: Self = Self(0x7fff_ffff);

    /// Makes an identifier; the reserved top bit is dropped, as a receiver must (RFC 9113 §4.1).
    pub const fn new(id: u32) -> Self {
        Self(id & 0x7fff_ffff)
    }

    /// Returns the number.
    pub const fn as_u32(self) -> u32 {
        self.0
    }

    /// Whether a client opened it: clients use odd numbers (RFC 9113 §5.1.1).
    #[must_use]
    pub const fn is_client_initiated(self) -> bool {
        self.0 & 1 == 1
    }

    /// Whether it names the connection rather than a stream.
    #[must_use]
    pub const fn is_connection(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A handle to one stream of one connection: eight bytes, `Copy`, valid as long as the stream is.
///
/// A handle that has outlived its stream is an error value at every call, never another stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamKey {
    id: StreamId,
    slot: u32,
}

impl StreamKey {
    /// Pairs an identifier with its slot; only the stream table knows which pairs are true.
    pub(crate) const fn from_parts(id: StreamId, slot: u32) -> Self {
        Self { id, slot }
    }

    /// Returns the stream's identifier on the wire.
    pub const fn id(self) -> StreamId {
        self.id
    }

    /// Returns a small number for the caller's own table: below the largest number of streams that
    /// were ever open at once, and used again after this stream has ended.
    pub const fn index(self) -> usize {
        self.slot as usize
    }
}

impl fmt::Display for StreamKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.id.fmt(f)
    }
}
