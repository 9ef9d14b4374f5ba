//! The dynamic table, RFC 7541 §2.3.2 and §4.
//!
//! Owns the entries of one direction. Their strings lie in one run of text, oldest first; what is read next
//! is gathered right behind the newest, so that an insertion moves no octet: it only counts them in. An
//! eviction counts out:
//!
//! ```text
//! text     ..gone.. | oldest ... newest | scratch: "x-id" "17" |
//!                                       ^ head                 ^ head after the insertion
//! entries  a ring by id:  id modulo its length;  index 62 is the newest id, 63 the one before
//! ```
//!
//! When the text is used up, what is left moves to its front; it has twice the table's size, so that happens
//! once in a table's worth of octets. A known name is a token and takes no text. A long name that
//! entries repeat is shared by position, until the text moves.
//!
//! While a block is delivered nothing moves, so that a field can be kept as a position. The strings of fields
//! that enter no table are then kept apart, until the next block begins.
//!
//! What it keeps true: `size` is the sum of the entries' sizes and at most `size_max`; all strings of
//! entries lie before `head`; nothing is allocated before the first string.

use alloc::vec;
use alloc::vec::Vec;

use crate::field::{Indexing, OVERHEAD};
use crate::known_name::KnownName;
use crate::swar;
use crate::validate::Checked;

pub mod bulk_insert;

/// One field of the table. Its strings lie in the table's text, at positions that only grow, modulo 2^32.
/// Fields that are in no table, or in the static one, take the same form while they are delivered.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    pub name_start: u32,
    pub value_start: u32,
    /// 0 when the token names the field: then the text does not hold the name.
    pub name_len: u32,
    pub value_len: u32,
    /// RFC 7541 §4.1: what the entry counts, with its name wherever that is.
    pub size: u32,
    pub known_name: KnownName,
    pub checked: Checked,
    pub storage: Storage,
    /// How the field was represented. In the table: `Default`.
    pub indexing: Indexing,
}

/// Where the strings of a field lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    /// In the table's text.
    Text,
    /// In the static table, whose index is `value_start`.
    Static,
    /// Apart, at offsets.
    Unindexed,
}

pub const EMPTY: Entry = Entry {
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

/// The slot of what is not in the table.
pub const NO_SLOT: usize = usize::MAX;

/// The table of one direction.
#[derive(Clone, Debug)]
pub struct DynamicTable {
    /// The strings of all entries back to back, oldest first, up to `head`; scratch space follows.
    text: Vec<u8>,
    /// The position of `text[0]`, modulo 2^32.
    base: u32,
    head: usize,
    /// A ring; its length is a power of two, or 0 before the first insertion.
    entries: Vec<Entry>,
    /// The strings of literals of the present block that entered no table, and the last of these literals.
    unindexed: Vec<u8>,
    unindexed_len: usize,
    unindexed_entry: Entry,
    /// Whether the name of some entry may lie before those of the oldest.
    has_shared: bool,
    /// Whether what lies in the text must stay where it is.
    is_pinned: bool,
    /// The ids of the oldest entry and of the one to come. An id grows by one each insertion, modulo
    /// 2^32; its entry lies at that id modulo the ring's length.
    first: u32,
    next: u32,
    size: u32,
    size_max: u32,
}

impl DynamicTable {
    pub const fn new(size_max: u32) -> Self {
        Self {
            text: Vec::new(),
            base: 0,
            head: 0,
            entries: Vec::new(),
            unindexed: Vec::new(),
            unindexed_len: 0,
            unindexed_entry: EMPTY,
            has_shared: false,
            is_pinned: false,
            first: 1,
            next: 1,
            size: 0,
            size_max,
        }
    }

    /// How many entries there are.
    #[inline(always)]
    pub fn len(&self) -> u32 {
        self.next.wrapping_sub(self.first)
    }

    /// The most that `size` may be.
    #[inline(always)]
    pub fn size_max(&self) -> u32 {
        self.size_max
    }

    /// The id that the next entry will have.
    #[inline(always)]
    pub fn next_id(&self) -> u32 {
        self.next
    }

    /// How many insertions older than the newest entry that with this id is, or would be.
    #[inline(always)]
    pub fn age(&self, id: u32) -> u32 {
        self.next.wrapping_sub(1).wrapping_sub(id)
    }

    /// The length of the ring of entries.
    pub fn ring_len(&self) -> usize {
        self.entries.len()
    }

    /// The memory held, in bytes.
    pub fn heap_bytes(&self) -> usize {
        self.text.capacity() + self.unindexed.capacity() + self.entries.capacity() * size_of::<Entry>()
    }

    /// The place of `id` in the ring, and in every table that runs along with it.
    #[inline(always)]
    pub fn slot(&self, id: u32) -> usize {
        id as usize & self.entries.len().wrapping_sub(1)
    }

    /// The entry that is `age` insertions older than the newest one, and its slot.
    #[inline(always)]
    pub fn entry(&self, age: u32) -> Option<(usize, &Entry)> {
        if age >= self.len() {
            return None;
        }
        let slot = self.slot(self.next.wrapping_sub(1).wrapping_sub(age));
        Some((slot, self.entries.get(slot)?))
    }

    /// The token of the entry with this id.
    #[inline(always)]
    pub fn known_name(&self, id: u32) -> KnownName {
        self.entries[self.slot(id)].known_name
    }

    /// The entry in a slot, or the last literal that has none.
    #[inline(always)]
    pub fn entry_in(&self, slot: usize) -> &Entry {
        self.entries.get(slot).unwrap_or(&self.unindexed_entry)
    }

    /// Keeps a literal that enters no table.
    #[inline(always)]
    pub fn set_unindexed(&mut self, entry: Entry) {
        self.unindexed_entry = entry;
    }

    /// Marks that the entry of a slot passed the sink's checks.
    #[inline(always)]
    pub fn set_validated(&mut self, slot: usize) {
        if let Some(entry) = self.entries.get_mut(slot) {
            entry.checked = Checked::Validated;
        }
    }

    /// The strings of an entry.
    #[inline(always)]
    pub fn strings(&self, entry: &Entry) -> (&[u8], &[u8]) {
        let name =
            if entry.known_name.is_known() { entry.known_name.name() } else { self.stored_name(entry) };
        (name, self.value(entry))
    }

    /// The value of an entry.
    #[inline(always)]
    pub fn value(&self, entry: &Entry) -> &[u8] {
        between(&self.text, self.offset(entry.value_start), entry.value_len)
    }

    /// Whether an entry has this value.
    #[inline(always)]
    pub fn has_value(&self, entry: &Entry, value: &[u8]) -> bool {
        entry.value_len as usize == value.len() && self.holds(entry.value_start, value)
    }

    /// Whether an entry whose token is not known has this name.
    #[inline(always)]
    pub fn has_name(&self, entry: &Entry, name: &[u8]) -> bool {
        entry.name_len as usize == name.len() && self.holds(entry.name_start, name)
    }

    /// Whether the text has these octets at a position.
    #[inline(always)]
    fn holds(&self, position: u32, octets: &[u8]) -> bool {
        let start = self.offset(position);
        let held = self.text.get(start..start.wrapping_add(octets.len()));
        held.is_some_and(|held| swar::equal_short(held, octets))
    }

    /// So much of what is kept apart, from an offset on.
    #[inline(always)]
    pub fn unindexed(&self, start: u32, len: u32) -> &[u8] {
        between(&self.unindexed, start as usize, len)
    }

    /// The name of an entry as far as the text holds it.
    #[inline(always)]
    pub fn stored_name(&self, entry: &Entry) -> &[u8] {
        between(&self.text, self.offset(entry.name_start), entry.name_len)
    }

    /// Where a position lies in the text.
    #[inline(always)]
    fn offset(&self, position: u32) -> usize {
        position.wrapping_sub(self.base) as usize
    }

    /// The position of an offset of the text.
    #[inline(always)]
    fn position(&self, offset: usize) -> u32 {
        self.base.wrapping_add(offset as u32)
    }

    /// The scratch space behind the newest entry.
    #[inline(always)]
    pub fn scratch(&self) -> &[u8] {
        &self.text[self.head..]
    }

    /// The same, to write to.
    #[inline(always)]
    pub fn scratch_mut(&mut self) -> &mut [u8] {
        &mut self.text[self.head..]
    }

    /// At least `bytes` of scratch space behind its first `kept` octets, which stay.
    #[inline(always)]
    pub fn scratch_room(&mut self, bytes: usize, kept: usize) -> &mut [u8] {
        let start = self.head + kept;
        if self.text.len() < start + bytes {
            self.make_room(kept + bytes, kept);
        }
        &mut self.text[self.head + kept..]
    }

    /// Copies the stored name of the entry in `slot` to the front of the scratch space, which must hold it.
    #[inline(always)]
    pub fn copy_name_to_scratch(&mut self, slot: usize) {
        // By slot, not by entry: making room may have moved names.
        let entry = &self.entries[slot];
        let start = self.offset(entry.name_start);
        self.text.copy_within(start..start + entry.name_len as usize, self.head);
    }

    /// Copies the stored name of the entry in `slot`, to be kept apart.
    #[inline(always)]
    pub fn copy_name_unindexed(&mut self, slot: usize) -> u32 {
        let Entry { name_start, name_len, .. } = self.entries[slot];
        let (from, len) = (self.offset(name_start), name_len as usize);
        self.reserve_unindexed(len);
        let start = self.unindexed_len;
        self.unindexed[start..start + len].copy_from_slice(&self.text[from..from + len]);
        self.commit_unindexed(len);
        start as u32
    }

    /// Makes the scratch space at least `bytes` long; its first `kept` octets stay.
    #[inline(always)]
    pub fn reserve_scratch(&mut self, bytes: usize, kept: usize) {
        if self.text.len() - self.head < bytes {
            self.make_room(bytes, kept);
        }
    }

    /// Begins a block: what was kept of the last one goes. From here on no text moves, not even that of entries which
    /// are evicted.
    #[inline(always)]
    pub fn pin(&mut self) {
        self.is_pinned = false;
        self.unindexed_len = 0;
        // Text that had to grow for one block must not grow again for the next.
        let is_grown = self.text.len() > 2 * self.size_max as usize;
        if self.text.len() - self.head < self.text.len() / if is_grown { 2 } else { 8 } {
            self.make_room(0, 0);
        }
        self.is_pinned = true;
    }

    /// Lets text move again.
    #[inline(always)]
    pub fn unpin(&mut self) {
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
            self.text.copy_within(tail..self.head + kept, 0);
            self.base = self.position(tail);
            self.head -= tail;
        }
        let need = self.head + bytes;
        // While more than half is taken, entries would soon move again: double until twice the limit.
        let roomy = (self.text.len() * 2).min(2 * self.size_max as usize).max(TEXT_MIN);
        if self.text.len() < need {
            self.text.resize(need.max(roomy), 0);
        } else if self.head > self.text.len() / 2 && self.text.len() < roomy {
            self.text.resize(roomy, 0);
        }
    }

    /// Makes the scratch space at least `bytes` long, and moves nothing within the text.
    fn grow_text(&mut self, bytes: usize) {
        let need = self.head + bytes;
        let roomy = (self.text.len() * 2).min(2 * self.size_max as usize).max(TEXT_MIN);
        grow(&mut self.text, (need + need / 8).max(roomy));
    }

    /// Where the next string goes that is kept apart until the next block, and `bytes` of room for it.
    #[inline(always)]
    pub fn reserve_unindexed(&mut self, bytes: usize) -> (u32, &mut [u8]) {
        if self.unindexed.len() - self.unindexed_len < bytes {
            self.grow_unindexed(bytes);
        }
        (self.unindexed_len as u32, &mut self.unindexed[self.unindexed_len..])
    }

    /// Keeps `len` octets of that room.
    #[inline(always)]
    pub fn commit_unindexed(&mut self, len: usize) {
        self.unindexed_len += len;
    }

    #[cold]
    #[inline(never)]
    fn grow_unindexed(&mut self, bytes: usize) {
        let need = self.unindexed_len + bytes;
        grow(&mut self.unindexed, need + need / 8);
    }

    /// Gives every entry its own name in a new text, followed by `kept` octets of scratch space. What all
    /// entries then have is at most `size_max` (RFC 7541 §4.1), so this cannot outgrow the limit.
    fn compact(&mut self, kept: usize) {
        let mut text = Vec::with_capacity(self.text.len());
        let mut id = self.first;
        while id != self.next {
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
        (self.text, self.base, self.head) = (text, 0, head);
        self.has_shared = false;
    }

    /// Where the strings of the oldest entry begin, as long as no name is shared.
    fn tail(&self) -> usize {
        if self.len() == 0 { self.head } else { self.offset(self.entries[self.slot(self.first)].name_start) }
    }

    /// Evicts entries until `size` is at most `limit` (RFC 7541 §4.3).
    #[inline(always)]
    fn evict_to(&mut self, limit: u32) {
        let (mut first, mut size) = (self.first, self.size);
        while size > limit {
            size -= self.entries[self.slot(first)].size;
            first = first.wrapping_add(1);
        }
        (self.first, self.size) = (first, size);
    }

    /// Evicts all entries, as an entry does that is larger than the table (RFC 7541 §4.4).
    pub fn evict_all(&mut self) {
        self.evict_to(0);
    }

    /// Changes the most that the table may hold (RFC 7541 §4.2).
    pub fn set_size_max(&mut self, bytes: u32) {
        self.size_max = bytes;
        self.evict_to(bytes);
    }

    /// What the front of the scratch space holds: `name_len` octets of name (none when the token is
    /// known), then `value_len` of value.
    #[inline(always)]
    pub fn scratch_entry(
        &self,
        name_len: usize,
        value_len: usize,
        known_name: KnownName,
        checked: Checked,
    ) -> Entry {
        let name_start = self.position(self.head);
        let size =
            u32::try_from(known_name.name().len() + name_len + value_len + OVERHEAD).unwrap_or(u32::MAX);
        let (name_len, value_len) = (name_len as u32, value_len as u32);
        let value_start = name_start.wrapping_add(name_len);
        Entry { name_start, value_start, name_len, value_len, size, known_name, checked, ..EMPTY }
    }

    /// Lends a scratch entry the name of the entry in `slot`.
    #[inline(always)]
    pub fn share_name(&mut self, entry: &mut Entry, slot: usize) {
        let owner = &self.entries[slot];
        (entry.name_start, entry.name_len) = (owner.name_start, owner.name_len);
        entry.size = entry.size.saturating_add(owner.name_len);
        self.has_shared = true;
    }

    /// Makes a scratch entry the newest one, and returns its slot. One that is larger than the table
    /// only empties it (RFC 7541 §4.4); it then has no slot, and its strings stay where they are, all the same.
    #[inline(always)]
    pub fn commit(&mut self, entry: &Entry) -> usize {
        if entry.size > self.size_max {
            self.evict_to(0);
            self.head = self.offset(entry.value_start) + entry.value_len as usize;
            self.unindexed_entry = *entry;
            return NO_SLOT;
        }
        self.evict_to(self.size_max - entry.size);
        if self.len() as usize == self.entries.len() {
            self.grow_ring();
        }
        let slot = self.slot(self.next);
        self.entries[slot] = *entry;
        self.next = self.next.wrapping_add(1);
        self.head = self.offset(entry.value_start) + entry.value_len as usize;
        self.size += entry.size;
        slot
    }

    /// Asserts what the table keeps true, in builds with debug assertions.
    pub fn check(&self) {
        if !cfg!(debug_assertions) {
            return;
        }
        debug_assert!(self.size <= self.size_max, "size {} over {}", self.size, self.size_max);
        debug_assert!(self.entries.is_empty() || self.entries.len().is_power_of_two());
        debug_assert!(self.len() as usize <= self.entries.len());
        debug_assert!(self.head <= self.text.len());
        let (mut size, mut end) = (0, None);
        for age in (0..self.len()).rev() {
            let Some((slot, entry)) = self.entry(age) else { unreachable!("an age below the length") };
            debug_assert_eq!(slot, self.slot(self.next.wrapping_sub(1 + age)));
            let (name, value) = self.strings(entry);
            debug_assert_eq!(entry.size as usize, name.len() + value.len() + OVERHEAD);
            // Own strings lie back to back; a name elsewhere is shared.
            let (name_start, value_start) = (self.offset(entry.name_start), self.offset(entry.value_start));
            let has_own_name = name_start + entry.name_len as usize == value_start;
            debug_assert!(has_own_name || self.has_shared);
            let follows = |start| end.is_none_or(|end| start == end);
            debug_assert!((has_own_name && follows(name_start)) || (self.has_shared && follows(value_start)));
            end = Some(value_start + entry.value_len as usize);
            size += entry.size;
        }
        debug_assert_eq!((size, end.unwrap_or(self.head)), (self.size, self.head));
    }

    #[cold]
    #[inline(never)]
    fn grow_ring(&mut self) {
        let mut grown = vec![EMPTY; (self.entries.len() * 2).max(RING_MIN)];
        let mask = grown.len() - 1;
        let mut id = self.first;
        while id != self.next {
            grown[id as usize & mask] = self.entries[self.slot(id)];
            id = id.wrapping_add(1);
        }
        self.entries = grown;
    }
}

/// So many octets of `text` from `start` on; nothing if they are not all there, as for an entry that was kept for too long.
#[inline(always)]
pub fn between(text: &[u8], start: usize, len: u32) -> &[u8] {
    // An end that wraps lies before the start, so that there are none, either.
    text.get(start..start.wrapping_add(len as usize)).unwrap_or_default()
}

/// Makes room, and no more than that.
fn grow(text: &mut Vec<u8>, len: usize) {
    text.reserve_exact(len - text.len());
    text.resize(len, 0);
}

/// What the first insertion allocates: octets of text, and entries.
const TEXT_MIN: usize = 512;
const RING_MIN: usize = 16;
