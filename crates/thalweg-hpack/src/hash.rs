//! A seeded hash of short strings, for the encoder's look-ups.
//!
//! Two words at a time are multiplied to 128 bits, and the halves folded together. The seed is an argument
//! because this crate has no random source: with a seed that the peer cannot guess, it cannot choose
//! fields that meet in one chain. (Even if it could, a chain is no longer than the table has entries.)

/// Hashes `text`.
#[inline]
pub fn hash(seed: u64, text: &[u8]) -> u64 {
    let len = text.len();
    let start = seed ^ (len as u64).wrapping_mul(SPREAD);
    let (low, high) = if len >= 8 { (word(text, 0), word(text, len - 8)) } else { short(text) };
    if len <= 16 {
        return fold(low ^ LOW, high ^ start);
    }
    let mut state = start;
    let mut at = 0;
    while at + 16 < len {
        state = fold(word(text, at) ^ LOW, word(text, at + 8) ^ state);
        at += 16;
    }
    fold(word(text, len - 16) ^ LOW, high ^ state)
}

/// Mixes a second value into a hash.
#[inline(always)]
pub fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

/// All octets of up to seven, in two words.
#[inline(always)]
fn short(text: &[u8]) -> (u64, u64) {
    match (text.first_chunk::<4>(), text.last_chunk::<4>()) {
        (Some(first), Some(last)) => {
            (u64::from(u32::from_le_bytes(*first)), u64::from(u32::from_le_bytes(*last)))
        }
        _ => match *text {
            [] => (0, 0),
            [a, .., b] => (u64::from(a) | u64::from(text[text.len() / 2]) << 8, u64::from(b)),
            [a] => (u64::from(a), u64::from(a)),
        },
    }
}

#[inline(always)]
fn word(text: &[u8], at: usize) -> u64 {
    text.get(at..).and_then(|rest| rest.first_chunk::<8>()).map_or(0, |octets| u64::from_le_bytes(*octets))
}

/// Odd numbers with about as many ones as zeros: the golden ratio and the square roots of 2 and 3, as
/// 64-bit fractions.
pub const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
const LOW: u64 = 0x6a09_e667_f3bc_c909;
