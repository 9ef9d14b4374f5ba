//! One header field, for both directions.
//!
//! A [`Field`] borrows its bytes: from the block or the dynamic table when it was decoded, from the
//! caller when it is to be encoded. It carries the number of its name, so that a name is looked up
//! at most once, and how it may be represented (RFC 7541 §6.2), so that an intermediary keeps what
//! must never be indexed.
//!
//! Invariants: `known_name` belongs to `name`. The encoder relies on it, so both are private.

use core::fmt;

use crate::known_name::KnownName;

/// How a field is, or is to be, represented (RFC 7541 §6.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Indexing {
    /// To encode: the encoder's policy decides. Decoded: the field is in a table.
    #[default]
    Default,
    /// To encode: inserted into the dynamic table whatever the policy is, if it fits. Never
    /// decoded.
    Always,
    /// RFC 7541 §6.2.2: not inserted into the dynamic table.
    NotIndexed,
    /// RFC 7541 §6.2.3: never inserted into any dynamic table, on any hop.
    Never,
}

/// A name, a value, and how the field is represented.
///
/// `Debug` prints both as text, and hides the value if `indexing` is [`Indexing::Never`].
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Field<'a> {
    pub(crate) name: &'a [u8],
    /// The value.
    pub value: &'a [u8],
    pub(crate) known_name: KnownName,
    /// How the field is, or is to be, represented.
    pub indexing: Indexing,
}

impl<'a> Field<'a> {
    /// Creates a field of any name, which must be lower case; looks the name up.
    #[inline]
    pub fn new<N, V>(name: &'a N, value: &'a V) -> Self
    where
        N: AsRef<[u8]> + ?Sized,
        V: AsRef<[u8]> + ?Sized,
    {
        let name = name.as_ref();
        Self { name, value: value.as_ref(), known_name: KnownName::of(name), indexing: Indexing::Default }
    }

    /// Creates a field of a known name, without a look-up. With [`KnownName::NONE`] the name is
    /// empty.
    #[inline]
    pub const fn with_known_name(known_name: KnownName, value: &'a [u8]) -> Self {
        Self { name: known_name.name(), value, known_name, indexing: Indexing::Default }
    }

    /// Creates a field without looking its name up: for names that have no [`KnownName`], in code
    /// that has looked before. A name that has one is encoded as a literal.
    #[inline]
    pub const fn with_unlisted_name(name: &'a [u8], value: &'a [u8]) -> Self {
        Self { name, value, known_name: KnownName::NONE, indexing: Indexing::Default }
    }

    /// Returns the name. It is `known_name().name()` if the name is known.
    #[inline]
    pub const fn name(&self) -> &'a [u8] {
        self.name
    }

    /// Returns the number of the name, or [`KnownName::NONE`].
    #[inline]
    pub const fn known_name(&self) -> KnownName {
        self.known_name
    }

    /// Returns the same field with another representation.
    #[inline]
    #[must_use]
    pub const fn with_indexing(mut self, indexing: Indexing) -> Self {
        self.indexing = indexing;
        self
    }

    /// Returns the same field, never to be indexed on any hop (RFC 7541 §7.1.3): for passwords,
    /// session keys and other values that must not be guessed from the sizes of blocks.
    #[inline]
    #[must_use]
    pub const fn sensitive(self) -> Self {
        self.with_indexing(Indexing::Never)
    }

    /// Returns the size of the field in a dynamic table and in a header list, bytes: both strings
    /// and 32 (RFC 7541 §4.1, RFC 9113 §6.5.2).
    #[inline]
    pub const fn size(&self) -> usize {
        self.name.len() + self.value.len() + OVERHEAD
    }
}

impl fmt::Debug for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Field({}: ", self.name.escape_ascii())?;
        match self.indexing {
            Indexing::Never => f.write_str("(sensitive))"),
            Indexing::Default => write!(f, "{})", self.value.escape_ascii()),
            indexing => write!(f, "{}, {indexing:?})", self.value.escape_ascii()),
        }
    }
}

/// What RFC 7541 §4.1 adds to the lengths of a field's strings.
pub(crate) const OVERHEAD: usize = 32;

#[cfg(test)]
mod tests {
    use std::format;
    use std::string::String;

    use super::*;

    #[test]
    fn debug_prints_text_and_hides_sensitive_values() {
        let field = Field::new("cookie", "a=b\x01");
        assert_eq!(format!("{field:?}"), "Field(cookie: a=b\\x01)");
        let fixed = field.with_indexing(Indexing::NotIndexed);
        assert_eq!(format!("{fixed:?}"), "Field(cookie: a=b\\x01, NotIndexed)");
        assert_eq!(format!("{:?}", field.sensitive()), "Field(cookie: (sensitive))");
    }

    #[test]
    fn text_and_bytes_make_equal_fields() {
        let value = String::from("*/*");
        assert_eq!(Field::new("accept", &value), Field::new(b"accept", b"*/*"));
        assert_eq!(Field::new("accept", "*/*"), Field::with_known_name(KnownName::ACCEPT, b"*/*"));
        assert_ne!(Field::new("accept", "*/*"), Field::new("accept", "*/*").sensitive());
    }
}
