//! The dynamic table, RFC 7541 §2.3.2 and §4.

use alloc::vec;
use alloc::vec::Vec;

use crate::field::OVERHEAD;
use crate::token::Token;
use crate::valid::Checked;

/// One field of the table. Its strings lie in the table's text.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Where the strings begin: a position that only grows, modulo 2^32.
    pub start: u32,
    /// The length of the name in the text: 0 when the token names it.
    pub name_len: u32,
    pub value_len: u32,
    pub token: Token,
    pub checked: Checked,
}

const VACANT: Entry =
    Entry { start: 0, name_len: 0, value_len: 0, token: Token::UNKNOWN, checked: Checked::Nothing };

impl Entry {
    /// The octets that the entry has in the text.
    #[inline(always)]
    fn text_len(&self) -> u32 {
        self.name_len + self.value_len
    }

    /// RFC 7541 §4.1.
    #[inline(always)]
    fn size(&self) -> u32 {
        self.text_len() + self.token.name().len() as u32 + OVERHEAD as u32
    }
}

/// The table of one direction.
#[derive(Debug)]
pub struct DynamicTable {
    /// The strings of all entries back to back, oldest first, at `tail..head`; scratch space follows.
    text: Vec<u8>,
    /// The position of `text[0]`, modulo 2^32.
    base: u32,
    tail: usize,
    head: usize,
    /// A ring; its length is a power of two, or 0 before the first insertion.
    entries: Vec<Entry>,
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
            tail: 0,
            head: 0,
            entries: Vec::new(),
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

    /// The length of the ring of entries.
    pub fn ring_len(&self) -> usize {
        self.entries.len()
    }

    /// The memory held, in bytes.
    pub fn heap_bytes(&self) -> usize {
        self.text.capacity() + self.entries.capacity() * size_of::<Entry>()
    }

    /// The place of `id` in the ring, and in every table that runs along with it.
    #[inline(always)]
    pub fn slot(&self, id: u32) -> usize {
        id as usize & self.entries.len().wrapping_sub(1)
    }

    /// The entry that is `age` insertions older than the newest one.
    #[inline(always)]
    pub fn entry(&self, age: u32) -> Option<&Entry> {
        if age < self.len() {
            self.entries.get(self.slot(self.next.wrapping_sub(1).wrapping_sub(age)))
        } else {
            None
        }
    }

    /// Marks that the entry passed the caller's checks.
    #[inline(always)]
    pub fn set_valid(&mut self, age: u32) {
        let slot = self.slot(self.next.wrapping_sub(1).wrapping_sub(age));
        if let Some(entry) = self.entries.get_mut(slot) {
            entry.checked = Checked::Both;
        }
    }

    /// The strings of an entry.
    #[inline(always)]
    pub fn strings(&self, entry: &Entry) -> (&[u8], &[u8]) {
        let start = self.offset(entry);
        let text = &self.text[start..start + entry.text_len() as usize];
        let (name, value) = text.split_at(entry.name_len as usize);
        (if entry.token.is_known() { entry.token.name() } else { name }, value)
    }

    /// Where the strings of an entry begin in the text.
    #[inline(always)]
    pub fn offset(&self, entry: &Entry) -> usize {
        entry.start.wrapping_sub(self.base) as usize
    }

    /// The scratch space behind the newest entry.
    #[inline(always)]
    pub fn scratch_mut(&mut self) -> &mut [u8] {
        &mut self.text[self.head..]
    }

    /// Any octets of the text, by offset.
    #[inline(always)]
    pub fn text(&self, offset: usize, len: usize) -> &[u8] {
        &self.text[offset..offset + len]
    }

    /// Copies octets of the text to the front of the scratch space.
    #[inline(always)]
    pub fn copy_to_scratch(&mut self, offset: usize, len: usize) {
        self.text.copy_within(offset..offset + len, self.head);
    }

    /// The offset of the scratch space.
    #[inline(always)]
    pub fn head(&self) -> usize {
        self.head
    }

    /// Makes the scratch space at least `bytes` long; its first `kept` octets stay. Returns by how much
    /// the text moved towards its front.
    #[inline(always)]
    pub fn reserve_scratch(&mut self, bytes: usize, kept: usize) -> usize {
        if self.text.len() - self.head < bytes { self.make_room(bytes, kept) } else { 0 }
    }

    #[cold]
    #[inline(never)]
    fn make_room(&mut self, bytes: usize, kept: usize) -> usize {
        let moved = self.tail;
        self.text.copy_within(self.tail..self.head + kept, 0);
        self.base = self.base.wrapping_add(self.tail as u32);
        self.head -= self.tail;
        self.tail = 0;
        let need = self.head + bytes;
        // While more than half is taken, entries would soon move again: double until twice the limit.
        let roomy = (self.text.len() * 2).min(2 * self.size_max as usize).max(TEXT_MIN);
        if self.text.len() < need {
            self.text.resize(need.max(roomy), 0);
        } else if self.head > self.text.len() / 2 && self.text.len() < roomy {
            self.text.resize(roomy, 0);
        }
        moved
    }

    /// Evicts entries until `size` is at most `limit` (RFC 7541 §4.3).
    #[inline(always)]
    fn evict_to(&mut self, limit: u32) {
        while self.size > limit {
            let slot = self.slot(self.first);
            let entry = &self.entries[slot];
            self.size -= entry.size();
            self.tail += entry.text_len() as usize;
            self.first = self.first.wrapping_add(1);
        }
    }

    /// Changes the most that the table may hold (RFC 7541 §4.2).
    pub fn set_size_max(&mut self, bytes: u32) {
        self.size_max = bytes;
        self.evict_to(bytes);
    }

    /// Makes the front of the scratch space the newest entry: `name_len` octets of name (none when the
    /// token is known), then `value_len` of value. Says whether it fits the table at all; when it does
    /// not, the table is empty afterwards (RFC 7541 §4.4).
    #[inline(always)]
    pub fn commit(&mut self, name_len: usize, value_len: usize, token: Token, checked: Checked) -> bool {
        let size = name_len + value_len + token.name().len() + OVERHEAD;
        if size > self.size_max as usize {
            self.evict_to(0);
            return false;
        }
        self.evict_to(self.size_max - size as u32);
        if self.len() as usize == self.entries.len() {
            self.grow_ring();
        }
        let slot = self.slot(self.next);
        self.entries[slot] = Entry {
            start: self.base.wrapping_add(self.head as u32),
            name_len: name_len as u32,
            value_len: value_len as u32,
            token,
            checked,
        };
        self.next = self.next.wrapping_add(1);
        self.head += name_len + value_len;
        self.size += size as u32;
        true
    }

    #[cold]
    #[inline(never)]
    fn grow_ring(&mut self) {
        let mut grown = vec![VACANT; (self.entries.len() * 2).max(RING_MIN)];
        let mask = grown.len() - 1;
        let mut id = self.first;
        while id != self.next {
            grown[id as usize & mask] = self.entries[self.slot(id)];
            id = id.wrapping_add(1);
        }
        self.entries = grown;
    }
}

/// What the first insertion allocates: octets of text, and entries.
const TEXT_MIN: usize = 512;
const RING_MIN: usize = 16;
