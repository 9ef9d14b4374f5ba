//! Stream identifiers, and the key by which callers name a stream.

use core::fmt;

/// A stream identifier, 0 to 2^31-1; 0 is the connection itself (RFC 9113 §5.1.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(u32);

impl StreamId {
    /// The connection as a whole.
    pub const CONNECTION: Self = Self(0);
    /// The largest identifier, the last stream identifier of the first GOAWAY of a graceful
    /// shutdown (RFC 9113 §6.8).
    pub const MAX: Self = Self(0x7fff_ffff);

    /// Creates an identifier. The reserved top bit is ignored, as RFC 9113 §4.1 requires of a
    /// receiver.
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

/// The key of one stream of one connection: eight bytes, `Copy`, valid as long as the stream is
/// live.
///
/// Every call with the key of a closed stream returns an error or does nothing; such a key never
/// names another stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamKey {
    id: StreamId,
    slot: u32,
}

impl StreamKey {
    /// Creates the key of a stream from its identifier and its slot.
    pub(crate) const fn from_parts(id: StreamId, slot: u32) -> Self {
        Self { id, slot }
    }

    /// Returns the stream's identifier on the wire.
    pub const fn id(self) -> StreamId {
        self.id
    }

    /// Returns an index for a table of the caller. It is below the largest number of streams that
    /// were ever live at once, and reused after this stream is closed.
    pub const fn index(self) -> usize {
        self.slot as usize
    }
}

impl fmt::Display for StreamKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.id.fmt(f)
    }
}
