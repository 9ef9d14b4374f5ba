//! Huffman decoding by a table of 12 bits, two symbols a look-up.
//!
//! The 12 bits at the front of the bit accumulator index a table whose entry holds up to two symbols and
//! how many bits they took. Octets of header fields take 5 to 7 bits, so most entries hold two:
//!
//! ```text
//! accumulator   00011 00100 01 01101000...          'a' 'c' and two bits more
//! entry         symbols "ac", 2 octets, 10 bits     (0 octets, 0 bits: a code longer than 12)
//! ```
//!
//! A round loads 8 octets, looks up four times without a branch, and stores 8 octets. Bits past the end
//! of the string are set to ones: that is the prefix of end-of-string, so they never complete a symbol,
//! and the last octets need no loop of their own.
//!
//! What it keeps true: no more than [`room_for`] octets are written; a string that ends in more than
//! 7 bits of padding, in padding other than ones, or holds end-of-string is refused (RFC 7541 §5.2).

use super::code::{CODES, LENGTH_MAX, LENGTH_MIN, LENGTHS};
use crate::error::DecodeError;

/// What a string decoded to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// The number of octets written.
    pub len: usize,
    /// No code was longer than 12 bits: every octet is visible ASCII or a space.
    pub is_plain: bool,
}

/// The octets that must be writable to decode `len` octets: the shortest code has 5 bits, and every
/// store writes 8 octets.
#[inline(always)]
pub const fn room_for(len: usize) -> usize {
    len / LENGTH_MIN * 8 + 16
}

/// Decodes `block[start..end]` to the front of `to`, which holds at least `room_for(end - start)`.
///
/// What follows `end` in the block is loaded but not used: a load of 8 octets then needs no special case
/// but at the block's own end.
///
/// # Errors
///
/// `HuffmanPadding` and `HuffmanEndOfString`.
#[inline]
pub fn decode(block: &[u8], start: usize, end: usize, to: &mut [u8]) -> Result<Decoded, DecodeError> {
    // The top `bits` bits of `acc` are the front of what is not yet decoded; ones follow after the end.
    let (mut acc, mut bits) = (0u64, 0i32);
    let (mut at, mut len) = (start, 0);
    let mut is_plain = true;
    loop {
        let left = end - at;
        let mut word = load(block, at);
        if left < 8 {
            word |= u64::MAX >> (8 * left);
        }
        acc |= word >> (bits & 63);
        let taken = ((63 - bits) as usize / 8).min(left);
        at += taken;
        bits += 8 * taken as i32;

        let (mut symbols, mut used) = (0, 0);
        let mut entry = 0;
        for _ in 0..4 {
            entry = TABLE[(acc >> (64 - INDEX_BITS)) as usize];
            symbols |= u64::from(entry >> 16) << (used >> 8 & 63);
            used += entry & 0xffff;
            acc <<= entry & 63;
        }
        bits -= (used & 0xff) as i32;
        let Some(place) = to.get_mut(len..len + 8) else { return Err(DecodeError::HuffmanPadding) };
        place.copy_from_slice(&symbols.to_le_bytes());
        len += (used >> 11) as usize;

        if entry == 0 {
            if at == end && bits < 8 {
                let padded = bits >= 0 && acc >> 56 == 0xff;
                return if padded { Ok(Decoded { len, is_plain }) } else { Err(DecodeError::HuffmanPadding) };
            }
            if bits < LENGTH_MAX as i32 && at < end {
                continue;
            }
            let (symbol, length) = long_symbol(acc, bits)?;
            to[len] = symbol;
            len += 1;
            acc <<= length;
            bits -= length;
            is_plain = false;
        } else if bits < 0 {
            return Err(DecodeError::HuffmanPadding);
        }
    }
}

/// The 8 octets at `at`, the first one highest; ones past the end of the block.
#[inline(always)]
fn load(block: &[u8], at: usize) -> u64 {
    match block.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        Some(octets) => u64::from_be_bytes(*octets),
        None => load_at_the_end(block, at),
    }
}

#[cold]
#[inline(never)]
fn load_at_the_end(block: &[u8], at: usize) -> u64 {
    let mut octets = [0xff; 8];
    for (to, from) in octets.iter_mut().zip(block.get(at..).unwrap_or_default()) {
        *to = *from;
    }
    u64::from_be_bytes(octets)
}

/// Finds the symbol at the front of `acc` whatever the length of its code, and that length.
#[cold]
#[inline(never)]
fn long_symbol(acc: u64, bits: i32) -> Result<(u8, i32), DecodeError> {
    let front = (acc >> 32) as u32;
    for length in LENGTH_MIN..=LENGTH_MAX {
        if front < CANON.end[length] {
            if length as i32 > bits {
                return Err(DecodeError::HuffmanPadding);
            }
            let code = (front >> (32 - length)) as u16;
            let rank = code.wrapping_add(CANON.rank[length]);
            return Ok((CANON.symbols[usize::from(rank & 0xff)], length as i32));
        }
    }
    // Ones only. Fewer than 30 of them are padding that is a whole octet too long.
    Err(if bits < LENGTH_MAX as i32 { DecodeError::HuffmanPadding } else { DecodeError::HuffmanEndOfString })
}

const INDEX_BITS: usize = 12;

/// By the next 12 bits: symbols in bits 16.. (the first one lowest), 8 times their number in bits 8..16,
/// the bits they take in bits 0..8.
static TABLE: [u32; 1 << INDEX_BITS] = {
    let mut table = [0; 1 << INDEX_BITS];
    let mut first = 0;
    while first < 256 {
        let length = LENGTHS[first] as usize;
        if length <= INDEX_BITS {
            let rest = INDEX_BITS - length;
            let base = (CODES[first] as usize) << rest;
            fill(&mut table, base, rest, (first as u32) << 16 | 8 << 8 | length as u32);
            let mut second = 0;
            while second < 256 {
                let more = LENGTHS[second] as usize;
                if more <= rest {
                    let entry =
                        (second as u32) << 24 | (first as u32) << 16 | 16 << 8 | (length + more) as u32;
                    fill(&mut table, base | (CODES[second] as usize) << (rest - more), rest - more, entry);
                }
                second += 1;
            }
        }
        first += 1;
    }
    table
};

/// Writes `entry` to every index that begins with the bits of `base` and ends in any `rest` bits.
const fn fill(table: &mut [u32; 1 << INDEX_BITS], base: usize, rest: usize, entry: u32) {
    let mut at = 0;
    while at < 1 << rest {
        table[base + at] = entry;
        at += 1;
    }
}

/// The canonical code, for codes of any length.
struct Canon {
    /// For each length, the first 32-bit front that is past its codes and all shorter ones.
    end: [u32; LENGTH_MAX + 1],
    /// For each length, what to add to a code to get its place in `symbols`, modulo 2^16.
    rank: [u16; LENGTH_MAX + 1],
    /// All octets, in the order of their codes.
    symbols: [u8; 256],
}

static CANON: Canon = {
    let mut canon = Canon { end: [0; LENGTH_MAX + 1], rank: [0; LENGTH_MAX + 1], symbols: [0; 256] };
    let (mut length, mut placed, mut end) = (0, 0, 0u32);
    while length < LENGTH_MAX {
        length += 1;
        let mut octet = 0;
        while octet < 256 {
            if LENGTHS[octet] as usize == length {
                let code = CODES[octet];
                end = (code + 1) << (32 - length);
                canon.rank[length] = (placed as u16).wrapping_sub(code as u16);
                canon.symbols[placed] = octet as u8;
                placed += 1;
            }
            octet += 1;
        }
        canon.end[length] = end;
    }
    canon
};
