//! Many short insertions in a row, none of which is delivered: what costs a peer the least octets.
//!
//! Does the same as single insertions, but the counters stay in registers from the first to the
//! last, and strings arrive as words, not as slices. Each string is stored with 16 octets, whatever
//! its length; the next one overwrites the excess:
//!
//! ```text
//! 40 01 61 02 62 63     scratch  a???????????????
//!                       then     abc???????????????    head advances by 3
//! ```

use super::{Counters, DynamicTable, EMPTY, Entry, Insertion};
use crate::field::OVERHEAD;
use crate::known_name::KnownName;
use crate::swar;
use crate::validate::Checked;

/// A field to insert.
pub(crate) struct ShortField {
    pub name: ShortName,
    pub value: ShortString,
}

pub(crate) enum ShortName {
    Known(KnownName),
    Literal(ShortString),
    /// The name of the entry that is this many insertions older than the newest one.
    FromEntry(u32),
}

/// At most 16 octets; the octets from `len` on are arbitrary.
#[derive(Clone, Copy)]
pub(crate) struct ShortString {
    pub octets: [u8; 16],
    pub len: u32,
}

/// The result of a bulk insertion.
pub(crate) struct BulkInsertion {
    /// Where the last field ended.
    pub end: usize,
    pub fields: u32,
    /// The sum of the fields' sizes.
    pub bytes: u64,
}

impl DynamicTable {
    /// Inserts the fields that `read` finds at `at` and at each place that it returns, until it
    /// finds none or the text or the ring must grow.
    #[inline(always)]
    pub(crate) fn insert_bulk(
        &mut self,
        at: usize,
        read: impl Fn(usize) -> Option<(ShortField, usize)>,
    ) -> BulkInsertion {
        let mut bulk = BulkInsertion { end: at, fields: 0, bytes: 0 };
        let mut counters = self.counters;
        while let Some((short, end)) = read(bulk.end)
            && let Some(entry) = self.store(&counters, &short)
            && !matches!(
                counters.insert(&mut self.entries, &entry, self.size_max, self.base),
                Insertion::RingFull
            )
        {
            bulk = BulkInsertion { end, fields: bulk.fields + 1, bytes: bulk.bytes + u64::from(entry.size) };
        }
        self.counters = counters;
        bulk
    }

    /// Writes the strings to the scratch space, if it has room for them.
    #[inline(always)]
    fn store(&mut self, counters: &Counters, short: &ShortField) -> Option<Entry> {
        let room = self.text.get_mut(counters.head..)?.first_chunk_mut::<32>()?;
        let name_start = self.base.wrapping_add(counters.head as u32);
        let mut entry = Entry { name_start, value_start: name_start, value_len: short.value.len, ..EMPTY };
        let mut at = 0;
        match &short.name {
            &ShortName::Known(known_name) => {
                (entry.known_name, entry.size) = (known_name, (known_name.name().len() + OVERHEAD) as u32);
                entry.checked = Checked::Name;
            }
            ShortName::Literal(name) => {
                swar::copy(&name.octets, room.first_chunk_mut()?);
                (entry.name_len, entry.size) = (name.len, name.len + OVERHEAD as u32);
                entry.value_start = name_start.wrapping_add(name.len);
                at = name.len as usize;
            }
            &ShortName::FromEntry(age) => {
                if age >= counters.next.wrapping_sub(counters.first) {
                    return None;
                }
                let id = counters.next.wrapping_sub(1).wrapping_sub(age);
                let owner = self.entries.get(id as usize & self.entries.len().wrapping_sub(1))?;
                (entry.known_name, entry.size) = (owner.known_name, owner.size - owner.value_len);
                entry.checked = Checked::new(owner.checked.name(), false);
                if !owner.known_name.is_known() {
                    (entry.name_start, entry.name_len) = (owner.name_start, owner.name_len);
                    self.has_shared = true;
                }
            }
        }
        swar::copy(&short.value.octets, room.get_mut(at..)?.first_chunk_mut()?);
        entry.size += short.value.len;
        Some(entry)
    }
}
