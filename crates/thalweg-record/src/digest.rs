//! The running digest of a connection's results, and the checksum of the file's blocks.
//!
//! Invariants: the same words in the same order give the same digest on every machine and in every
//! build; changing one word changes the digest, since each step is a bijection of the state and of
//! the word.
//!
//! ```text
//! word(w):   x = (state ^ w) * 0x9e3779b97f4a7c15;   state = x ^ (x >> 32)
//! bytes(b):  word(length), then a word for each eight bytes, little endian, the last zero-padded
//! ```

use core::fmt;

/// A digest of 64 bits. It detects accidental changes, not forgeries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Digest(u64);

impl Digest {
    /// Creates the digest of no words.
    pub(crate) const fn new() -> Self {
        Self(0x7468_616c_7765_6721)
    }

    /// Adds a number.
    #[inline]
    pub(crate) const fn word(&mut self, word: u64) {
        let product = (self.0 ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = product ^ (product >> 32);
    }

    /// Adds bytes and their number.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.word(bytes.len() as u64);
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.word(u64::from_le_bytes(*word));
        }
        if !rest.is_empty() {
            let mut last = [0; 8];
            last[..rest.len()].copy_from_slice(rest);
            self.word(u64::from_le_bytes(last));
        }
    }

    /// Adds the `Debug` output of a value as one string: for rare values.
    pub(crate) fn debug(&mut self, value: &impl fmt::Debug) {
        self.bytes(alloc::format!("{value:?}").as_bytes());
    }

    /// Returns the digest so far.
    pub(crate) const fn value(self) -> u64 {
        self.0
    }
}

/// Returns the digest of a byte string.
pub(crate) fn of(bytes: &[u8]) -> u64 {
    let mut digest = Digest::new();
    digest.bytes(bytes);
    digest.value()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values are part of the file format.
    #[test]
    fn the_digest_is_the_documented_one() {
        assert_eq!(of(b""), 0xd073_790d_c7bc_08b8);
        assert_eq!(of(b"the line of fastest flow"), 0x8db5_6b7e_27c8_4ef0);
    }

    #[test]
    fn another_byte_anywhere_is_another_digest() {
        let text = *b"0123456789abcdefg";
        for at in 0..text.len() {
            for bit in 0..8 {
                let mut other = text;
                other[at] ^= 1 << bit;
                assert_ne!(of(&other), of(&text));
            }
        }
        assert_ne!(of(b"ab\0"), of(b"ab"));
    }
}
