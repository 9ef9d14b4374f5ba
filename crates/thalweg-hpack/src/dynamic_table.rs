//! The dynamic table, RFC 7541 §2.3.2 and §4.
//!
//! Owns the entries of one direction. Their strings lie back to back in one text, oldest first. The
//! strings of the next entry are written right behind the newest, to the scratch space. An
//! insertion then only advances `head`, and an eviction only advances `first`:
//!
//! ```text
//! text     free | oldest ... newest | scratch: "x-id" "17" |
//!          base                     ^ head                 ^ head after the insertion
//! entries  a ring by id: id modulo its length; index 62 is the newest id, 63 the one before
//! ```
//!
//! An entry with a known name does not store it.
//!
//! **The scratch space runs out.** `make_room` moves the entries to the front of the text, which
//! has twice the size of the table, so this happens once in a table's size of octets:
//!
//! ```text
//! before   free ............ | oldest ... newest | scr
//! after    oldest ... newest | scratch ..............        base and head are smaller
//! ```
//!
//! **Pinned.** From `pin`, at the start of a block, to `unpin` or the next block, `make_room` grows
//! the text at its end and moves no string within it. A sink can then keep a field as positions.
//! `unpin` comes where delivery stops.
//!
//! **Shared names.** An entry may use the long name of an older one in place, and the older one may
//! be evicted first. The name then lies outside of the range that the entries span, so `make_room`
//! cannot move that range as a whole; `compact` writes each entry with its own copy of the name:
//!
//! ```text
//! before   free: "x-long" "1" | "2" | "3" | scratch           2 and 3 use the name of 1, evicted
//! after    "x-long" "2" | "x-long" "3" | scratch
//! ```
//!
//! **Fields that enter no table.** The strings of an unindexed literal are in [`Unindexed`]. A
//! literal with indexing that is larger than the table empties it (RFC 7541 §4.4); its strings stay
//! in the text until the next block, behind the entries.
//!
//! Invariants: `size` is the sum of the entries' sizes and at most `size_max`; all strings of
//! entries lie before `head`; nothing is allocated before the first string.

use alloc::vec;
use alloc::vec::Vec;

use crate::field::{Indexing, OVERHEAD};
use crate::known_name::KnownName;
use crate::swar;
use crate::validate::Checked;

use self::unindexed::Unindexed;

pub(crate) mod bulk_insert;
pub(crate) mod unindexed;

/// One field of the table. Its strings lie in the table's text, at positions that only grow, modulo
/// 2^32. Fields of the static table and unindexed ones have the same form while they are delivered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub name_start: u32,
    pub value_start: u32,
    /// 0 for a known name, which the text does not contain.
    pub name_len: u32,
    pub value_len: u32,
    /// RFC 7541 §4.1: the size of the entry, including a known or shared name.
    pub size: u32,
    pub known_name: KnownName,
    pub checked: Checked,
    pub storage: Storage,
    /// The representation of the field; `Default` for an entry of the table.
    pub indexing: Indexing,
}

/// Where the strings of a field lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Storage {
    /// In the table's text.
    Text,
    /// In the static table, whose index is `value_start`.
    Static,
    /// In [`Unindexed`], at offsets.
    Unindexed,
}

pub(crate) const EMPTY: Entry = Entry {
    name_start: 0,
    value_start: 0,
    name_len: 0,
    value_len: 0,
    size: 0,
    known_name: KnownName::NONE,
    checked: Checked::Nothing,
    storage: Storage::Text,
    indexing: Indexing::Default,
};

/// The slot of a field that is not in the dynamic table.
pub(crate) const NO_SLOT: usize = usize::MAX;

/// The table of one direction.
#[derive(Clone, Debug)]
pub(crate) struct DynamicTable {
    /// The strings of all entries back to back, oldest first, up to `head`; scratch space follows.
    text: Vec<u8>,
    /// The position of `text[0]`, modulo 2^32.
    base: u32,
    /// A ring; its length is a power of two, or 0 before the first insertion.
    entries: Vec<Entry>,
    counters: Counters,
    size_max: u32,
    /// Whether the name of some entry may lie before the strings of the oldest.
    has_shared: bool,
    /// Whether the strings must stay where they are.
    is_pinned: bool,
    /// The literals of the current block that are in no table.
    pub unindexed: Unindexed,
}

/// What insertions and evictions change. A copy stays in registers for the length of a bulk
/// insertion.
#[derive(Clone, Copy, Debug)]
struct Counters {
    /// The ids of the oldest entry and of the next one. An id grows by one each insertion, modulo
    /// 2^32; its entry lies at that id modulo the ring's length.
    first: u32,
    next: u32,
    /// RFC 7541 §4.1: the sum of the entries' sizes.
    size: u32,
    /// Where the scratch space begins in the text.
    head: usize,
}

/// What became of an entry.
enum Insertion {
    /// It is the newest, in this slot.
    Done(usize),
    /// RFC 7541 §4.4: it is larger than the table, which is now empty.
    TooLarge,
    /// The ring must grow first. Entries that were in the way are evicted already.
    RingFull,
}

impl DynamicTable {
    pub(crate) const fn new(size_max: u32) -> Self {
        Self {
            text: Vec::new(),
            base: 0,
            entries: Vec::new(),
            counters: Counters { first: 1, next: 1, size: 0, head: 0 },
            size_max,
            has_shared: false,
            is_pinned: false,
            unindexed: Unindexed::new(),
        }
    }

    /// Returns the number of entries.
    #[inline(always)]
    pub(crate) fn len(&self) -> u32 {
        self.counters.next.wrapping_sub(self.counters.first)
    }

    /// Returns the largest allowed `size`.
    #[inline(always)]
    pub(crate) fn size_max(&self) -> u32 {
        self.size_max
    }

    /// Returns the id of the next entry.
    #[inline(always)]
    pub(crate) fn next_id(&self) -> u32 {
        self.counters.next
    }

    /// Returns how many insertions older than the newest entry the one with this id is, or would
    /// be.
    #[inline(always)]
    pub(crate) fn age(&self, id: u32) -> u32 {
        self.counters.next.wrapping_sub(1).wrapping_sub(id)
    }

    /// Returns the length of the ring of entries.
    pub(crate) fn ring_len(&self) -> usize {
        self.entries.len()
    }

    /// Returns the memory held, in bytes.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.text.capacity() + self.unindexed.heap_bytes() + self.entries.capacity() * size_of::<Entry>()
    }

    /// Returns the place of `id` in the ring, and in every table that is parallel to it.
    #[inline(always)]
    pub(crate) fn slot(&self, id: u32) -> usize {
        slot(id, &self.entries)
    }

    /// Returns the entry that is `age` insertions older than the newest one, and its slot.
    #[inline(always)]
    pub(crate) fn entry(&self, age: u32) -> Option<(usize, &Entry)> {
        if age >= self.len() {
            return None;
        }
        let slot = self.slot(self.counters.next.wrapping_sub(1).wrapping_sub(age));
        Some((slot, self.entries.get(slot)?))
    }

    /// Returns the known name of the entry with this id.
    #[inline(always)]
    pub(crate) fn known_name(&self, id: u32) -> KnownName {
        self.entries[self.slot(id)].known_name
    }

    /// Returns the entry in a slot, or the last literal without one.
    #[inline(always)]
    pub(crate) fn entry_in(&self, slot: usize) -> &Entry {
        self.entries.get(slot).unwrap_or(&self.unindexed.last)
    }

    /// Marks the entry of a slot as accepted by the sink.
    #[inline(always)]
    pub(crate) fn set_validated(&mut self, slot: usize) {
        if let Some(entry) = self.entries.get_mut(slot) {
            entry.checked = Checked::Validated;
        }
    }

    /// Returns the strings of an entry.
    #[inline(always)]
    pub(crate) fn strings(&self, entry: &Entry) -> (&[u8], &[u8]) {
        let name =
            if entry.known_name.is_known() { entry.known_name.name() } else { self.stored_name(entry) };
        (name, self.value(entry))
    }

    /// Returns the value of an entry.
    #[inline(always)]
    pub(crate) fn value(&self, entry: &Entry) -> &[u8] {
        between(&self.text, self.offset(entry.value_start), entry.value_len)
    }

    /// Whether an entry has this value.
    #[inline(always)]
    pub(crate) fn has_value(&self, entry: &Entry, value: &[u8]) -> bool {
        entry.value_len as usize == value.len() && self.holds(entry.value_start, value)
    }

    /// Whether an entry without a known name has this name.
    #[inline(always)]
    pub(crate) fn has_name(&self, entry: &Entry, name: &[u8]) -> bool {
        entry.name_len as usize == name.len() && self.holds(entry.name_start, name)
    }

    /// Whether the text has these octets at a position.
    #[inline(always)]
    fn holds(&self, position: u32, octets: &[u8]) -> bool {
        let start = self.offset(position);
        let held = self.text.get(start..start.wrapping_add(octets.len()));
        held.is_some_and(|held| swar::equal_short(held, octets))
    }

    /// Returns the name of an entry, which is empty for a known name.
    #[inline(always)]
    pub(crate) fn stored_name(&self, entry: &Entry) -> &[u8] {
        between(&self.text, self.offset(entry.name_start), entry.name_len)
    }

    /// Returns the offset of a position.
    #[inline(always)]
    fn offset(&self, position: u32) -> usize {
        position.wrapping_sub(self.base) as usize
    }

    /// Returns the position of an offset.
    #[inline(always)]
    fn position(&self, offset: usize) -> u32 {
        self.base.wrapping_add(offset as u32)
    }

    /// Returns the scratch space behind the newest entry.
    #[inline(always)]
    pub(crate) fn scratch(&self) -> &[u8] {
        &self.text[self.counters.head..]
    }

    /// Returns the scratch space for writing.
    #[inline(always)]
    pub(crate) fn scratch_mut(&mut self) -> &mut [u8] {
        &mut self.text[self.counters.head..]
    }

    /// Returns at least `bytes` of scratch space behind its first `kept` octets, which stay.
    #[inline(always)]
    pub(crate) fn scratch_room(&mut self, bytes: usize, kept: usize) -> &mut [u8] {
        let start = self.counters.head + kept;
        if self.text.len() < start + bytes {
            self.make_room(kept + bytes, kept);
        }
        &mut self.text[self.counters.head + kept..]
    }

    /// Copies the stored name of the entry in `slot` to the front of the scratch space, which must
    /// be large enough.
    #[inline(always)]
    pub(crate) fn copy_name_to_scratch(&mut self, slot: usize) {
        // By slot, not by entry, since `make_room` may have moved the name.
        let entry = &self.entries[slot];
        let start = self.offset(entry.name_start);
        self.text.copy_within(start..start + entry.name_len as usize, self.counters.head);
    }

    /// Copies the stored name of the entry in `slot` to the unindexed strings, and returns its
    /// offset.
    #[inline(always)]
    pub(crate) fn copy_name_unindexed(&mut self, slot: usize) -> u32 {
        let Entry { name_start, name_len, .. } = self.entries[slot];
        let start = self.offset(name_start);
        self.unindexed.push(&self.text[start..start + name_len as usize])
    }

    /// Makes the scratch space at least `bytes` long; its first `kept` octets stay.
    #[inline(always)]
    pub(crate) fn reserve_scratch(&mut self, bytes: usize, kept: usize) {
        if self.text.len() - self.counters.head < bytes {
            self.make_room(bytes, kept);
        }
    }

    /// Starts a block: discards the strings that the previous one kept, and pins the text. Until
    /// `unpin` no string moves, not even those of entries that are evicted.
    #[inline(always)]
    pub(crate) fn pin(&mut self) {
        self.is_pinned = false;
        self.unindexed.clear();
        // A text that grew for one block must not grow again for the next.
        let is_grown = self.text.len() > 2 * self.size_max as usize;
        if self.text.len() - self.counters.head < self.text.len() / if is_grown { 2 } else { 8 } {
            self.make_room(0, 0);
        }
        self.is_pinned = true;
    }

    /// Allows strings to move again.
    #[inline(always)]
    pub(crate) fn unpin(&mut self) {
        self.is_pinned = false;
    }

    #[cold]
    #[inline(never)]
    fn make_room(&mut self, bytes: usize, kept: usize) {
        if self.is_pinned {
            return self.grow_text(bytes);
        }
        if self.has_shared {
            self.compact(kept);
        } else {
            let tail = self.tail();
            self.text.copy_within(tail..self.counters.head + kept, 0);
            self.base = self.position(tail);
            self.counters.head -= tail;
        }
        let need = self.counters.head + bytes;
        // If more than half is in use, entries would soon move again: double, up to twice the
        // limit.
        let roomy = (self.text.len() * 2).min(2 * self.size_max as usize).max(TEXT_MIN);
        if self.text.len() < need {
            self.text.resize(need.max(roomy), 0);
        } else if self.counters.head > self.text.len() / 2 && self.text.len() < roomy {
            self.text.resize(roomy, 0);
        }
    }

    /// Makes the scratch space at least `bytes` long without moving a string within the text.
    fn grow_text(&mut self, bytes: usize) {
        let need = self.counters.head + bytes;
        let roomy = (self.text.len() * 2).min(2 * self.size_max as usize).max(TEXT_MIN);
        grow(&mut self.text, (need + need / 8).max(roomy));
    }

    /// Writes every entry with its own name to a new text, followed by `kept` octets of scratch
    /// space. The result has at most `size_max` octets (RFC 7541 §4.1), so it cannot outgrow
    /// the limit.
    fn compact(&mut self, kept: usize) {
        let mut text = Vec::with_capacity(self.text.len());
        let mut id = self.counters.first;
        while id != self.counters.next {
            let slot = self.slot(id);
            let entry = self.entries[slot];
            let moved = &mut self.entries[slot];
            moved.name_start = text.len() as u32;
            moved.value_start = moved.name_start + entry.name_len;
            text.extend_from_slice(self.stored_name(&entry));
            text.extend_from_slice(self.value(&entry));
            id = id.wrapping_add(1);
        }
        let head = text.len();
        text.extend_from_slice(&self.scratch()[..kept]);
        text.resize(text.len().max(self.text.len()), 0);
        (self.text, self.base, self.counters.head) = (text, 0, head);
        self.has_shared = false;
    }

    /// Returns the offset of the oldest entry's strings, while no name is shared.
    fn tail(&self) -> usize {
        if self.len() == 0 {
            self.counters.head
        } else {
            self.offset(self.entries[self.slot(self.counters.first)].name_start)
        }
    }

    /// Evicts all entries, as an entry does that is larger than the table (RFC 7541 §4.4).
    pub(crate) fn evict_all(&mut self) {
        (self.counters.first, self.counters.size) = (self.counters.next, 0);
    }

    /// Changes the largest size of the table (RFC 7541 §4.2).
    pub(crate) fn set_size_max(&mut self, bytes: u32) {
        self.size_max = bytes;
        self.counters.evict(&self.entries, bytes);
    }

    /// Makes an entry of the front of the scratch space: `name_len` octets of name (none for a
    /// known name), then `value_len` of value.
    #[inline(always)]
    pub(crate) fn scratch_entry(
        &self,
        name_len: usize,
        value_len: usize,
        known_name: KnownName,
        checked: Checked,
    ) -> Entry {
        let name_start = self.position(self.counters.head);
        let size =
            u32::try_from(known_name.name().len() + name_len + value_len + OVERHEAD).unwrap_or(u32::MAX);
        let (name_len, value_len) = (name_len as u32, value_len as u32);
        let value_start = name_start.wrapping_add(name_len);
        Entry { name_start, value_start, name_len, value_len, size, known_name, checked, ..EMPTY }
    }

    /// Gives a scratch entry the name of the entry in `slot`, without copying it.
    #[inline(always)]
    pub(crate) fn share_name(&mut self, entry: &mut Entry, slot: usize) {
        let owner = &self.entries[slot];
        (entry.name_start, entry.name_len) = (owner.name_start, owner.name_len);
        entry.size = entry.size.saturating_add(owner.name_len);
        self.has_shared = true;
    }

    /// Inserts a scratch entry, and returns its slot. One that is larger than the table has none.
    /// Its strings stay where they are, so it can still be delivered.
    #[inline(always)]
    pub(crate) fn commit(&mut self, entry: &Entry) -> usize {
        loop {
            match self.counters.insert(&mut self.entries, entry, self.size_max, self.base) {
                Insertion::Done(slot) => return slot,
                Insertion::TooLarge => {
                    self.counters.head = end_of(entry, self.base);
                    self.unindexed.last = *entry;
                    return NO_SLOT;
                }
                Insertion::RingFull => self.grow_ring(),
            }
        }
    }

    /// Asserts the table's invariants, in builds with debug assertions.
    pub(crate) fn check(&self) {
        if !cfg!(debug_assertions) {
            return;
        }
        debug_assert!(
            self.counters.size <= self.size_max,
            "size {} over {}",
            self.counters.size,
            self.size_max
        );
        debug_assert!(self.entries.is_empty() || self.entries.len().is_power_of_two());
        debug_assert!(self.len() as usize <= self.entries.len());
        debug_assert!(self.counters.head <= self.text.len());
        let (mut size, mut end) = (0, None);
        for age in (0..self.len()).rev() {
            let Some((slot, entry)) = self.entry(age) else { unreachable!("an age below the length") };
            debug_assert_eq!(slot, self.slot(self.counters.next.wrapping_sub(1 + age)));
            let (name, value) = self.strings(entry);
            debug_assert_eq!(entry.size as usize, name.len() + value.len() + OVERHEAD);
            // The strings of an entry lie back to back, unless its name is shared.
            let (name_start, value_start) = (self.offset(entry.name_start), self.offset(entry.value_start));
            let has_own_name = name_start + entry.name_len as usize == value_start;
            debug_assert!(has_own_name || self.has_shared);
            let follows = |start| end.is_none_or(|end| start == end);
            debug_assert!((has_own_name && follows(name_start)) || (self.has_shared && follows(value_start)));
            end = Some(value_start + entry.value_len as usize);
            size += entry.size;
        }
        debug_assert_eq!((size, end.unwrap_or(self.counters.head)), (self.counters.size, self.counters.head));
    }

    /// Doubles the ring.
    #[cold]
    #[inline(never)]
    fn grow_ring(&mut self) {
        let mut grown = vec![EMPTY; (self.entries.len() * 2).max(RING_MIN)];
        let mask = grown.len() - 1;
        let mut id = self.counters.first;
        while id != self.counters.next {
            grown[id as usize & mask] = self.entries[self.slot(id)];
            id = id.wrapping_add(1);
        }
        self.entries = grown;
    }
}

impl Counters {
    /// Evicts entries until `size` is at most `limit` (RFC 7541 §4.3).
    #[inline(always)]
    fn evict(&mut self, entries: &[Entry], limit: u32) {
        let (mut first, mut size) = (self.first, self.size);
        while size > limit {
            size -= entries[slot(first, entries)].size;
            first = first.wrapping_add(1);
        }
        (self.first, self.size) = (first, size);
    }

    /// RFC 7541 §4.4: evicts entries until this one fits, and makes it the newest. Its strings lie
    /// at the front of the scratch space.
    #[inline(always)]
    fn insert(&mut self, entries: &mut [Entry], entry: &Entry, size_max: u32, base: u32) -> Insertion {
        let Some(limit) = size_max.checked_sub(entry.size) else {
            self.evict(entries, 0);
            return Insertion::TooLarge;
        };
        self.evict(entries, limit);
        if self.next.wrapping_sub(self.first) as usize == entries.len() {
            return Insertion::RingFull;
        }
        let slot = slot(self.next, entries);
        entries[slot] = *entry;
        self.next = self.next.wrapping_add(1);
        self.head = end_of(entry, base);
        self.size += entry.size;
        Insertion::Done(slot)
    }
}

/// Returns the offset behind the strings of an entry, in a text whose first position is `base`.
#[inline(always)]
fn end_of(entry: &Entry, base: u32) -> usize {
    entry.value_start.wrapping_sub(base) as usize + entry.value_len as usize
}

/// Returns the place of `id` in a ring.
#[inline(always)]
fn slot(id: u32, entries: &[Entry]) -> usize {
    id as usize & entries.len().wrapping_sub(1)
}

/// Returns `len` octets of `text` from `start` on; none if they are not all there, as for a field
/// that was kept for too long.
#[inline(always)]
fn between(text: &[u8], start: usize, len: u32) -> &[u8] {
    // An end that wraps lies before the start, and the range is invalid.
    text.get(start..start.wrapping_add(len as usize)).unwrap_or_default()
}

/// Makes the text `len` octets long, and reserves no more than that.
fn grow(text: &mut Vec<u8>, len: usize) {
    text.reserve_exact(len - text.len());
    text.resize(len, 0);
}

/// The first allocation: octets of text, and entries.
const TEXT_MIN: usize = 512;
const RING_MIN: usize = 16;
