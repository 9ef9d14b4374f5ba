//! A seeded hash of short strings, for the encoder's look-ups.
//!
//! Two words at a time are multiplied to 128 bits, and the halves folded together. The seed is an argument
//! because this crate has no random source: with a seed that the peer cannot guess, it cannot choose
//! fields that meet in one chain. (Even if it could, a chain is no longer than the table has entries.)

use crate::swar::{ends, word};

/// Hashes `text`.
#[inline]
pub fn hash(seed: u64, text: &[u8]) -> u64 {
    let len = text.len();
    let start = seed ^ (len as u64).wrapping_mul(SPREAD);
    if len < 8 {
        let (first, last) = ends(text);
        return fold(u64::from(first) ^ LOW, u64::from(last) ^ start);
    }
    let last = word(text, len - 8);
    if len <= 16 {
        return fold(word(text, 0) ^ LOW, last ^ start);
    }
    let (mut state, mut at) = (start, 0);
    while at + 16 < len {
        state = fold(word(text, at) ^ LOW, word(text, at + 8) ^ state);
        at += 16;
    }
    fold(word(text, len - 16) ^ LOW, last ^ state)
}

/// Multiplies to 128 bits, and folds the halves together.
#[inline(always)]
pub fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

/// Odd numbers with about as many ones as zeros: the golden ratio and the square root of 2, as 64-bit
/// fractions.
pub const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
const LOW: u64 = 0x6a09_e667_f3bc_c909;
