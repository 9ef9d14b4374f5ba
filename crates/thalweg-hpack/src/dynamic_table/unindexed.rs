//! The literals of the current block that enter no table.
//!
//! Owns their strings, back to back, and the last of these fields:
//!
//! ```text
//! 04 02 "/a"   00 01 "k" 01 "v"        text  / a k v |        len = 4
//! ```
//!
//! The strings stay where they are until the next block starts, so a sink can keep a field as
//! offsets.

use alloc::vec::Vec;

use super::{EMPTY, Entry, between, grow};

/// The strings of one block's unindexed literals.
#[derive(Clone, Debug)]
pub(crate) struct Unindexed {
    text: Vec<u8>,
    len: usize,
    /// The literal that was read last, while it is delivered.
    pub(super) last: Entry,
}

impl Unindexed {
    pub(super) const fn new() -> Self {
        Self { text: Vec::new(), len: 0, last: EMPTY }
    }

    /// Returns the memory held, in bytes.
    pub(super) fn heap_bytes(&self) -> usize {
        self.text.capacity()
    }

    /// Discards the strings of the previous block.
    #[inline(always)]
    pub(super) fn clear(&mut self) {
        self.len = 0;
    }

    /// Sets the literal that is delivered next.
    #[inline(always)]
    pub(crate) fn set_last(&mut self, entry: Entry) {
        self.last = entry;
    }

    /// Returns `len` octets from `start` on.
    #[inline(always)]
    pub(crate) fn string(&self, start: u32, len: u32) -> &[u8] {
        between(&self.text, start as usize, len)
    }

    /// Returns the offset of the next string, and at least `bytes` of space for it.
    #[inline(always)]
    pub(crate) fn reserve(&mut self, bytes: usize) -> (u32, &mut [u8]) {
        if self.text.len() - self.len < bytes {
            self.grow(bytes);
        }
        (self.len as u32, &mut self.text[self.len..])
    }

    /// Keeps the first `len` octets of the reserved space.
    #[inline(always)]
    pub(crate) fn commit(&mut self, len: usize) {
        self.len += len;
    }

    /// Appends a string, and returns its offset.
    #[inline(always)]
    pub(super) fn push(&mut self, string: &[u8]) -> u32 {
        let (start, to) = self.reserve(string.len());
        to[..string.len()].copy_from_slice(string);
        self.commit(string.len());
        start
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self, bytes: usize) {
        let needed = self.len + bytes;
        grow(&mut self.text, needed + needed / 8);
    }
}
