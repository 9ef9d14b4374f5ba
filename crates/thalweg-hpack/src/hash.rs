//! A keyed hash of short strings, for the encoder's lookups.
//!
//! Multiplies two words at a time to 128 bits, and folds the halves together:
//!
//! ```text
//! state = fold(word 0 ^ key.first, word 1 ^ state)      from key.second and the length on
//! ```
//!
//! Both factors contain a secret. A factor with a constant alone is zero for the word that equals
//! the constant, and a product of zero forgets the key: all strings with this word then have the
//! same hash, whatever the seed.
//!
//! This crate has no random source, so the caller passes the seed. A peer that cannot guess it
//! cannot choose fields that collide. For a peer that can, the encoder bounds the length of a
//! lookup.

use crate::swar::{ends, word};

/// The two secret words of the hash.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    first: u64,
    second: u64,
}

impl Key {
    /// Derives a key from a seed: the second word is the seed, and every bit of the first depends
    /// on it.
    pub(crate) const fn new(seed: u64) -> Self {
        Self { first: fold(seed ^ ROOT_OF_2, GOLDEN), second: seed }
    }

    /// Returns the seed.
    #[inline(always)]
    pub(crate) const fn seed(self) -> u64 {
        self.second
    }

    /// Returns the key for the strings that belong to `hash`, such as the values of one name.
    #[inline(always)]
    pub(crate) const fn with(self, hash: u64) -> Self {
        Self { second: fold(self.first, hash ^ self.second), ..self }
    }
}

/// Hashes `text`.
#[inline]
pub(crate) fn hash(key: Key, text: &[u8]) -> u64 {
    let len = text.len();
    let start = key.second ^ (len as u64).wrapping_mul(GOLDEN);
    if len < 8 {
        let (first, last) = ends(text);
        return fold(u64::from(first) ^ key.first, u64::from(last) ^ start);
    }
    let tail = word(text, len - 8);
    if len <= 16 {
        return fold(word(text, 0) ^ key.first, tail ^ start);
    }
    let (mut state, mut at) = (start, 0);
    while at + 16 < len {
        state = fold(word(text, at) ^ key.first, word(text, at + 8) ^ state);
        at += 16;
    }
    fold(word(text, len - 16) ^ key.first, tail ^ state)
}

/// Multiplies to 128 bits, and folds the halves together.
#[inline(always)]
const fn fold(a: u64, b: u64) -> u64 {
    let product = a as u128 * b as u128;
    product as u64 ^ (product >> 64) as u64
}

/// The golden ratio and the square root of 2 as 64-bit fractions: odd numbers with about as many
/// ones as zeros.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
const ROOT_OF_2: u64 = 0x6a09_e667_f3bc_c909;
