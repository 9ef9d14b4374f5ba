//! Many short insertions in a row, which nobody sees: the cheapest way for a peer to keep us busy.
//!
//! What a single insertion does, but the counters stay in registers from the first to the last, and strings
//! arrive as words, not as slices. Both are always stored with 16 octets, whatever their length; what is
//! too much is overwritten by the next:
//!
//! ```text
//! 40 01 61 02 62 63     scratch  a???????????????
//!                       then     abc???????????????    head moves on by 3
//! ```

use super::{DynamicTable, EMPTY, Entry};
use crate::field::OVERHEAD;
use crate::known_name::KnownName;
use crate::swar;
use crate::validate::Checked;

/// A field to insert.
pub struct ShortField {
    pub name: ShortName,
    pub value: ShortString,
}

pub enum ShortName {
    Known(KnownName),
    Literal(ShortString),
    /// That of the entry which is so many insertions older than the newest one.
    FromEntry(u32),
}

/// At most 16 octets, and whatever follows them.
#[derive(Clone, Copy)]
pub struct ShortString {
    pub octets: [u8; 16],
    pub len: u32,
}

/// What a run came to.
pub struct BulkInsertion {
    /// Where it ended.
    pub end: usize,
    pub fields: u32,
    /// The sizes of the fields, added up.
    pub bytes: u64,
}

/// The counters of a table.
struct Counters {
    first: u32,
    next: u32,
    size: u32,
    head: usize,
}

impl DynamicTable {
    /// Inserts what `read` finds at `at` and at each place that it returns, as long as it finds anything and
    /// nothing has to grow.
    #[inline(always)]
    pub fn insert_bulk(
        &mut self,
        at: usize,
        read: impl Fn(usize) -> Option<(ShortField, usize)>,
    ) -> BulkInsertion {
        let mut bulk = BulkInsertion { end: at, fields: 0, bytes: 0 };
        let mut counters = Counters { first: self.first, next: self.next, size: self.size, head: self.head };
        while let Some((short, end)) = read(bulk.end)
            && let Some(entry) = self.store(&mut counters, &short)
            && self.evict_and_insert(&mut counters, &entry)
        {
            bulk = BulkInsertion { end, fields: bulk.fields + 1, bytes: bulk.bytes + u64::from(entry.size) };
        }
        (self.first, self.next, self.size, self.head) =
            (counters.first, counters.next, counters.size, counters.head);
        bulk
    }

    /// Writes the strings to the scratch space, if there is room.
    #[inline(always)]
    fn store(&mut self, counters: &mut Counters, short: &ShortField) -> Option<Entry> {
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

    /// RFC 7541 §4.4: makes an entry whose strings are at `head` the newest. False if the ring must grow
    /// for it first.
    #[inline(always)]
    fn evict_and_insert(&mut self, counters: &mut Counters, entry: &Entry) -> bool {
        // What is larger than the table empties it.
        let rest = self.size_max.checked_sub(entry.size);
        while counters.size > rest.unwrap_or(0) {
            counters.size -= self.entries[self.slot(counters.first)].size;
            counters.first = counters.first.wrapping_add(1);
        }
        if rest.is_none() {
            return true;
        }
        if counters.next.wrapping_sub(counters.first) as usize == self.entries.len() {
            return false;
        }
        let slot = self.slot(counters.next);
        self.entries[slot] = *entry;
        counters.next = counters.next.wrapping_add(1);
        counters.size += entry.size;
        counters.head = self.offset(entry.value_start) + entry.value_len as usize;
        true
    }
}
