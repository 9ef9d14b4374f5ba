//! One header field, for both directions.
//!
//! A [`Field`] borrows its bytes: from the block or the dynamic table when it was decoded, from the caller
//! when it is to be encoded. It carries the token of its name, so nobody looks a name up twice, and how
//! it may be represented (RFC 7541 §6.2), so an intermediary keeps what must never be indexed.

use crate::known_name::KnownName;

/// How a field is, or shall be, represented (RFC 7541 §6.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Indexing {
    /// The encoder's policy decides. Decoded: the field was indexed, or is from now on.
    #[default]
    Default,
    /// To encode: enter the dynamic table whatever the policy says, if it fits there. Never decoded.
    Always,
    /// RFC 7541 §6.2.2: not entered in the dynamic table.
    NotIndexed,
    /// RFC 7541 §6.2.3: never entered in any dynamic table, on any hop.
    Never,
}

/// A name, a value, the name's token, and how the field is represented.
#[derive(Clone, Copy, Debug)]
pub struct Field<'a> {
    /// The name, in lower case. It is `known_name.name()` when the token is known.
    pub name: &'a [u8],
    /// The value.
    pub value: &'a [u8],
    /// The token of the name. The encoder trusts it: a token that belongs to another name encodes that
    /// other name.
    pub known_name: KnownName,
    /// How the field is, or shall be, represented.
    pub indexing: Indexing,
}

impl<'a> Field<'a> {
    /// A field of any name; looks the name's token up.
    #[inline]
    pub fn new(name: &'a [u8], value: &'a [u8]) -> Self {
        Self { name, value, known_name: KnownName::of(name), indexing: Indexing::Default }
    }

    /// A field of a known name; looks nothing up. With [`KnownName::NONE`] the name is empty.
    #[inline]
    pub const fn with_known_name(known_name: KnownName, value: &'a [u8]) -> Self {
        Self { name: known_name.name(), value, known_name, indexing: Indexing::Default }
    }

    /// The same field, never to be indexed by anyone (RFC 7541 §7.1.3): for passwords, session keys and
    /// what else a neighbour on the connection must not be able to guess by looking at sizes.
    #[inline]
    pub const fn sensitive(mut self) -> Self {
        self.indexing = Indexing::Never;
        self
    }

    /// The size of the field in a dynamic table and in a header list, in bytes: both strings and 32
    /// (RFC 7541 §4.1, RFC 9113 §6.5.2).
    #[inline]
    pub const fn size(&self) -> usize {
        self.name.len() + self.value.len() + OVERHEAD
    }
}

/// What RFC 7541 §4.1 adds to the lengths of a field's strings.
pub(crate) const OVERHEAD: usize = 32;
