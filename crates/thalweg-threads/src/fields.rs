//! Owned header fields, which messages carry between threads.
//!
//! Invariants: names are in lower case; a name with a token is not stored; two allocations hold a
//! whole list.

use std::fmt;

use thalweg::{Field, Indexing, KnownName};

/// An ordered list of header or trailer fields; names may repeat.
#[derive(Clone, Default)]
pub struct Fields {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
}

#[derive(Clone, Copy)]
struct Entry {
    /// The start of the name, or of the value if the token identifies the name.
    start: u32,
    name_len: u32,
    value_len: u32,
    known_name: KnownName,
    indexing: Indexing,
}

impl Fields {
    /// Creates an empty list. Allocates nothing.
    pub const fn new() -> Self {
        Self { bytes: Vec::new(), entries: Vec::new() }
    }

    /// Appends a field; converts the name to lower case (RFC 9113 §8.2). Sending fails if the field
    /// is invalid.
    pub fn push(&mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
        let name = name.as_ref();
        if name.iter().any(u8::is_ascii_uppercase) {
            return self.push_field(&Field::new(&name.to_ascii_lowercase(), value.as_ref()));
        }
        self.push_field(&Field::new(name, value.as_ref()));
    }

    /// Appends a field that no intermediary may add to a compression table (RFC 7541 §7.1.3), for
    /// example a password or a session key.
    pub fn push_sensitive(&mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
        self.push(name, value);
        if let Some(entry) = self.entries.last_mut() {
            entry.indexing = Indexing::Never;
        }
    }

    /// Appends a field of the core, whose name is in lower case.
    pub fn push_field(&mut self, field: &Field<'_>) {
        let start = self.bytes.len() as u32;
        let mut name_len = 0;
        if field.known_name() == KnownName::NONE {
            self.bytes.extend_from_slice(field.name());
            name_len = field.name().len() as u32;
        }
        self.bytes.extend_from_slice(field.value);
        let value_len = field.value.len() as u32;
        self.entries.push(Entry {
            start,
            name_len,
            value_len,
            known_name: field.known_name(),
            indexing: field.indexing,
        });
    }

    /// Returns the list with one more field.
    #[must_use]
    pub fn with(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.push(name, value);
        self
    }

    /// Returns the fields in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Field<'_>> + Clone {
        self.entries.iter().map(|entry| self.field(entry))
    }

    /// Returns the first value of the field `name`, which must be in lower case. Takes linear time.
    pub fn value(&self, name: &str) -> Option<&[u8]> {
        self.iter().find(|field| field.name() == name.as_bytes()).map(|field| field.value)
    }

    /// Returns the first value as text; `None` also if it is not UTF-8.
    pub fn text(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.value(name)?).ok()
    }

    /// Returns the first value of a field by its token. Takes linear time over small integers.
    pub(crate) fn known(&self, known_name: KnownName) -> Option<&[u8]> {
        let entry = self.entries.iter().find(|entry| entry.known_name == known_name)?;
        Some(self.field(entry).value)
    }

    /// Returns the number of fields.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns whether the list is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Creates a list with capacity for `fields` fields of `bytes` bytes in total.
    pub(crate) fn with_capacity(fields: usize, bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), entries: Vec::with_capacity(fields) }
    }

    fn field(&self, entry: &Entry) -> Field<'_> {
        let name_end = (entry.start + entry.name_len) as usize;
        let value = &self.bytes[name_end..name_end + entry.value_len as usize];
        let field = match entry.known_name {
            KnownName::NONE => Field::with_unlisted_name(&self.bytes[entry.start as usize..name_end], value),
            known_name => Field::with_known_name(known_name, value),
        };
        field.with_indexing(entry.indexing)
    }
}

impl<'a> FromIterator<Field<'a>> for Fields {
    fn from_iter<I: IntoIterator<Item = Field<'a>>>(fields: I) -> Self {
        let fields = fields.into_iter();
        // Most lists lose nothing in their repair.
        let (min, max) = fields.size_hint();
        let len = max.unwrap_or(min);
        let mut list = Self::with_capacity(len, len * BYTES_PER_FIELD);
        for field in fields {
            list.push_field(&field);
        }
        list
    }
}

impl<N: AsRef<[u8]>, V: AsRef<[u8]>, const COUNT: usize> From<[(N, V); COUNT]> for Fields {
    fn from(fields: [(N, V); COUNT]) -> Self {
        let mut list = Self::new();
        for (name, value) in fields {
            list.push(name, value);
        }
        list
    }
}

impl PartialEq for Fields {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len()
            && self.iter().zip(other.iter()).all(|(a, b)| a.name() == b.name() && a.value == b.value)
    }
}

impl Eq for Fields {}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for field in self.iter() {
            let shown = if field.indexing == Indexing::Never { &b"(sensitive)"[..] } else { field.value };
            map.entry(
                &format_args!("{}", field.name().escape_ascii()),
                &format_args!("{}", shown.escape_ascii()),
            );
        }
        map.finish()
    }
}

/// An estimate that saves most lists a second allocation.
const BYTES_PER_FIELD: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_returns_its_fields_with_names_in_lower_case() {
        let mut fields = Fields::from([("Content-Type", "text/plain"), ("X-Mine", "a")]).with("x-mine", "b");
        fields.push_sensitive("authorization", "secret");
        let pairs: Vec<_> = fields.iter().map(|field| (field.name(), field.value)).collect();
        let expected: [(&[u8], &[u8]); 4] = [
            (b"content-type", b"text/plain"),
            (b"x-mine", b"a"),
            (b"x-mine", b"b"),
            (b"authorization", b"secret"),
        ];
        assert_eq!(pairs, expected);
        assert_eq!(fields.text("x-mine"), Some("a"));
        assert_eq!(fields.value("x-other"), None);
        assert_eq!(fields.iter().last().map(|field| field.indexing), Some(Indexing::Never));
        assert!(!format!("{fields:?}").contains("secret"));
        assert_eq!(fields.iter().collect::<Fields>(), fields);
    }
}
