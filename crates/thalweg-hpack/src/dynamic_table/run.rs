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

use super::{DynamicTable, Entry, VACANT};
use crate::field::OVERHEAD;
use crate::token::Token;
use crate::valid::Checked;
use crate::words;

/// A field to insert.
pub struct Short {
    pub name: ShortName,
    pub value: ShortText,
}

pub enum ShortName {
    Known(Token),
    Spelled(ShortText),
    /// That of the entry which is so many insertions older than the newest one.
    OfEntry(u32),
}

/// At most 16 octets, and whatever follows them.
#[derive(Clone, Copy)]
pub struct ShortText {
    pub octets: [u8; 16],
    pub len: u32,
}

/// What a run came to.
pub struct Run {
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
    pub fn insert_run(&mut self, at: usize, read: impl Fn(usize) -> Option<(Short, usize)>) -> Run {
        let mut run = Run { end: at, fields: 0, bytes: 0 };
        let mut now = Counters { first: self.first, next: self.next, size: self.size, head: self.head };
        while let Some((short, end)) = read(run.end)
            && let Some(entry) = self.store(&mut now, &short)
            && self.evict_and_insert(&mut now, &entry)
        {
            run = Run { end, fields: run.fields + 1, bytes: run.bytes + u64::from(entry.size) };
        }
        (self.first, self.next, self.size, self.head) = (now.first, now.next, now.size, now.head);
        run
    }

    /// Writes the strings to the scratch space, if there is room.
    #[inline(always)]
    fn store(&mut self, now: &mut Counters, short: &Short) -> Option<Entry> {
        let room = self.text.get_mut(now.head..)?.first_chunk_mut::<32>()?;
        let name_start = self.base.wrapping_add(now.head as u32);
        let mut entry = Entry { name_start, value_start: name_start, value_len: short.value.len, ..VACANT };
        let mut at = 0;
        match &short.name {
            &ShortName::Known(token) => {
                (entry.token, entry.size) = (token, (token.name().len() + OVERHEAD) as u32);
                entry.checked = Checked::Name;
            }
            ShortName::Spelled(name) => {
                words::copy(&name.octets, room.first_chunk_mut()?);
                (entry.name_len, entry.size) = (name.len, name.len + OVERHEAD as u32);
                entry.value_start = name_start.wrapping_add(name.len);
                at = name.len as usize;
            }
            &ShortName::OfEntry(age) => {
                if age >= now.next.wrapping_sub(now.first) {
                    return None;
                }
                let id = now.next.wrapping_sub(1).wrapping_sub(age);
                let owner = self.entries.get(id as usize & self.entries.len().wrapping_sub(1))?;
                (entry.token, entry.size) = (owner.token, owner.size - owner.value_len);
                entry.checked = Checked::new(owner.checked.name(), false);
                if !owner.token.is_known() {
                    (entry.name_start, entry.name_len) = (owner.name_start, owner.name_len);
                    self.has_shared = true;
                }
            }
        }
        words::copy(&short.value.octets, room.get_mut(at..)?.first_chunk_mut()?);
        entry.size += short.value.len;
        Some(entry)
    }

    /// RFC 7541 §4.4: makes an entry whose strings are at `head` the newest. False if the ring must grow
    /// for it first.
    #[inline(always)]
    fn evict_and_insert(&mut self, now: &mut Counters, entry: &Entry) -> bool {
        // What is larger than the table empties it.
        let rest = self.size_max.checked_sub(entry.size);
        while now.size > rest.unwrap_or(0) {
            now.size -= self.entries[self.slot(now.first)].size;
            now.first = now.first.wrapping_add(1);
        }
        if rest.is_none() {
            return true;
        }
        if now.next.wrapping_sub(now.first) as usize == self.entries.len() {
            return false;
        }
        let slot = self.slot(now.next);
        self.entries[slot] = *entry;
        now.next = now.next.wrapping_add(1);
        now.size += entry.size;
        now.head = self.offset(entry.value_start) + entry.value_len as usize;
        true
    }
}
