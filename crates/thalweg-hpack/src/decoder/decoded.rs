//! Fields as they are delivered, and references to them that outlive the sink.
//!
//! The decoder moves no string until its next block, so a sink can keep a field as a copy of its
//! entry, from which [`Decoder::field`] makes the field again:
//!
//! ```text
//! 82               GET             FieldRef: static entry 2
//! be               x-id: 17        FieldRef: the newest entry, by its positions in the text
//! 04 02 2f 61      :path: /a       FieldRef: 2 octets of the unindexed strings
//! ```

use super::Decoder;
use crate::dynamic_table::{DynamicTable, Entry, Storage};
use crate::field::Field;
use crate::known_name::KnownName;
use crate::static_table::STATIC_TABLE;
use crate::validate::{Checked, name_is_valid, value_is_valid};

/// One field of a block, and what is known of its octets. Its strings are looked up by
/// [`field`](Self::field).
#[derive(Clone, Copy, Debug)]
pub struct Decoded<'a> {
    pub(super) entry: &'a Entry,
    pub(super) table: &'a DynamicTable,
}

impl<'a> Decoded<'a> {
    /// Returns the field, which is valid until the sink returns.
    #[inline(always)]
    pub fn field(&self) -> Field<'a> {
        field(self.table, self.entry)
    }

    /// Returns the known name.
    #[inline(always)]
    pub fn known_name(&self) -> KnownName {
        self.entry.known_name
    }

    /// Returns which of its strings are validated already.
    #[inline(always)]
    pub fn checked(&self) -> Checked {
        self.entry.checked
    }

    /// Whether name and value have only octets that RFC 9113 §8.2.1 allows. Validates only what was
    /// not validated before: a sink that accepts the field returns
    /// [`SinkAction::Valid`](super::SinkAction::Valid), so a table entry is validated once. The
    /// name of a pseudo-header field is valid if it is a known one.
    #[inline(always)]
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.checked() >= Checked::Both || strings_are_valid(self.table, self.entry)
    }

    /// Returns a reference for [`Decoder::field`] that outlives the sink. Copies no string.
    #[inline(always)]
    pub fn to_ref(&self) -> FieldRef {
        FieldRef(*self.entry)
    }
}

/// A field that a sink kept: the positions of its strings, which are valid until the decoder's next
/// block.
#[derive(Clone, Copy, Debug)]
pub struct FieldRef(Entry);

impl FieldRef {
    /// Returns the known name.
    #[inline(always)]
    pub fn known_name(&self) -> KnownName {
        self.0.known_name
    }
}

impl Decoder {
    /// Returns the field that a sink kept while the last block was decoded.
    ///
    /// Name and value are arbitrary, or empty, once another block was started, or if the block was
    /// not delivered to its end.
    ///
    /// ```
    /// use thalweg_hpack::{Decoder, ListLimits, SinkAction};
    ///
    /// let mut decoder = Decoder::new(4096);
    /// let mut kept = Vec::new();
    /// let totals = decoder.decode(b"\x82\x04\x02/a", ListLimits::NONE, |decoded| {
    ///     kept.push(decoded.to_ref());
    ///     SinkAction::Unchecked
    /// });
    /// assert!(totals.is_ok());
    /// assert_eq!(decoder.field(&kept[0]).value, b"GET");
    /// assert_eq!(decoder.field(&kept[1]).value, b"/a");
    /// ```
    #[inline(always)]
    pub fn field(&self, field_ref: &FieldRef) -> Field<'_> {
        field(&self.table, &field_ref.0)
    }
}

/// Validates those strings of a field that were not validated yet: mostly the value alone.
#[inline(never)]
fn strings_are_valid(table: &DynamicTable, entry: &Entry) -> bool {
    (entry.checked.name() || literal_name_is_valid(table, entry))
        && (entry.checked.value() || value_is_valid(field(table, entry).value))
}

#[inline(never)]
fn literal_name_is_valid(table: &DynamicTable, entry: &Entry) -> bool {
    name_is_valid(field(table, entry).name)
}

#[inline(always)]
fn field<'a>(table: &'a DynamicTable, entry: &Entry) -> Field<'a> {
    let &Entry { known_name, indexing, .. } = entry;
    let value = match entry.storage {
        Storage::Text => table.value(entry),
        Storage::Static => STATIC_TABLE.get(entry.value_start as usize).map_or(&[][..], |found| found.value),
        Storage::Unindexed => table.unindexed.string(entry.value_start, entry.value_len),
    };
    let name = match entry.storage {
        _ if known_name.is_known() => known_name.name(),
        Storage::Text => table.stored_name(entry),
        // All names of the static table are known ones.
        Storage::Static => &[],
        Storage::Unindexed => table.unindexed.string(entry.name_start, entry.name_len),
    };
    Field { name, value, known_name, indexing }
}
