//! Huffman decoding by a table of 12 bits, two symbols a lookup.
//!
//! The 12 bits at the front of the bit accumulator index a table whose entry holds up to two
//! symbols and how many bits they took. Octets of header fields take 5 to 7 bits, so most entries
//! hold two:
//!
//! ```text
//! accumulator   00011 00100 01 01101000...          'a' 'c' and two more bits
//! entry         symbols "ac", 2 octets, 10 bits     (0 octets, 0 bits: a code longer than 12)
//! ```
//!
//! A round loads 8 octets, looks up four times without a branch, and stores 8 octets. Bits beyond
//! the end of the string are set to ones. These are a prefix of end-of-string and never complete a
//! symbol, so the last octets need no separate loop.
//!
//! Invariants: no more than [`room_for`] octets are written; a string that ends in more than 7 bits
//! of padding, in padding other than ones, or contains end-of-string is an error (RFC 7541 §5.2).

use super::code::{CODES, LENGTH_MAX, LENGTH_MIN, LENGTHS};
use crate::error::DecodeError;

/// The result of decoding a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decoded {
    /// The number of octets written.
    pub len: usize,
    /// No code was longer than 12 bits: every octet is visible ASCII or a space.
    pub is_plain: bool,
}

/// Returns how many octets must be writable to decode `len` octets: the shortest code has 5 bits,
/// and every store writes 8 octets.
#[inline(always)]
pub(crate) const fn room_for(len: usize) -> usize {
    len / LENGTH_MIN * 8 + 16
}

/// Decodes `text` to the front of `to`, which holds at least `room_for(text.len())`.
///
/// # Errors
///
/// `HuffmanPadding` and `HuffmanEndOfString`.
#[inline]
pub(crate) fn decode(text: &[u8], to: &mut [u8]) -> Result<Decoded, DecodeError> {
    let (mut at_bit, mut len, mut is_plain) = (0, 0, true);
    // While there are 8 octets, at least 57 bits of a load are new; four lookups consume at most
    // 48.
    while let Some(octets) = text.get(at_bit / 8..).and_then(|rest| rest.first_chunk::<8>()) {
        let word = u64::from_be_bytes(*octets) << (at_bit % 8);
        let round = Round::of::<4>(word);
        round.store(to, &mut len)?;
        at_bit += round.bits();
        if round.bits() == 0 {
            (at_bit, len) = long_symbols(text, at_bit, to, len)?;
            is_plain = false;
        }
    }
    let last = final_word(text);
    let mut left = text.len() * 8 - at_bit;
    while left > 0 {
        let word = last << (64 - left) | u64::MAX >> left;
        if left < 8 && word == u64::MAX {
            break;
        }
        if word >= LONG {
            let (symbol, length) = long_symbol(word, left)?;
            put(to, &mut len, symbol)?;
            left -= length;
            is_plain = false;
            continue;
        }
        let round = if left > 24 { Round::of::<4>(word) } else { Round::of::<2>(word) };
        round.store(to, &mut len)?;
        if round.bits() > left {
            return Err(DecodeError::HuffmanPadding);
        }
        left -= round.bits();
    }
    Ok(Decoded { len, is_plain })
}

/// Decodes a string of up to 8 octets at the front of `octets`, and returns its symbols (12 at
/// most, then zeros) and their number. `None` if it is longer or not well-formed.
///
/// Costs a fraction of [`decode`], which is for longer strings.
#[inline(always)]
pub(crate) fn decode_short(octets: [u8; 8], len: usize) -> Option<([u8; 16], usize)> {
    if len > 8 {
        return None;
    }
    let mut left = 8 * len;
    let mut word = u64::from_be_bytes(octets) | u64::MAX.checked_shr(left as u32).unwrap_or(0);
    let (mut symbols, mut count) = (0u128, 0);
    while left >= 8 || word != u64::MAX {
        let (more, number, used) = if word >= LONG {
            let (symbol, length) = long_symbol(word, left).ok()?;
            (u64::from(symbol), 1, length)
        } else {
            let round = if left > 24 { Round::of::<4>(word) } else { Round::of::<2>(word) };
            (round.symbols, round.len(), round.bits())
        };
        symbols |= u128::from(more) << (8 * count);
        count += number;
        left = left.checked_sub(used)?;
        word = !(!word << used);
    }
    Some((symbols.to_le_bytes(), count))
}

/// The symbols that a few lookups found at the front of a word.
#[derive(Clone, Copy)]
pub(super) struct Round {
    symbols: u64,
    /// The sum of the entries: bits in bits 0..8, 8 times the number of symbols in bits 8..16.
    sum: u32,
}

impl Round {
    #[inline(always)]
    pub(super) fn of<const LOOK_UPS: usize>(mut word: u64) -> Self {
        let (mut symbols, mut sum) = (0, 0u32);
        for _ in 0..LOOK_UPS {
            let entry = TABLE[(word >> (64 - INDEX_BITS)) as usize];
            symbols |= u64::from(entry >> 16) << (sum >> 8 & 63);
            sum = sum.wrapping_add(entry);
            word <<= entry & 63;
        }
        Self { symbols, sum }
    }

    #[inline(always)]
    pub(super) fn bits(self) -> usize {
        (self.sum & 0xff) as usize
    }

    /// Returns the number of symbols.
    #[inline(always)]
    fn len(self) -> usize {
        (self.sum >> 11 & 0x1f) as usize
    }

    /// Writes the symbols, and arbitrary octets after them, behind the first `len` octets.
    #[inline(always)]
    fn store(self, to: &mut [u8], len: &mut usize) -> Result<(), DecodeError> {
        let place = to.get_mut(*len..).and_then(|rest| rest.first_chunk_mut::<8>());
        *place.ok_or(DecodeError::HuffmanPadding)? = self.symbols.to_le_bytes();
        *len += self.len();
        Ok(())
    }
}

#[inline(always)]
fn put(to: &mut [u8], len: &mut usize, symbol: u8) -> Result<(), DecodeError> {
    *to.get_mut(*len).ok_or(DecodeError::HuffmanPadding)? = symbol;
    *len += 1;
    Ok(())
}

/// Decodes one lookup or one long code at a time, since long codes tend to come together. Ends
/// after many successful lookups in a row. Returns where the next code begins, and how many octets
/// are written.
#[cold]
#[inline(never)]
fn long_symbols(
    text: &[u8],
    mut at_bit: usize,
    to: &mut [u8],
    mut len: usize,
) -> Result<(usize, usize), DecodeError> {
    let mut found = 0;
    while found < 16
        && let Some(octets) = text.get(at_bit / 8..).and_then(|rest| rest.first_chunk::<8>())
    {
        let mut word = u64::from_be_bytes(*octets) << (at_bit % 8);
        let mut left = 57;
        while left >= LENGTH_MAX {
            let used = if word >= LONG {
                let (symbol, length) = long_symbol(word, left)?;
                put(to, &mut len, symbol)?;
                found = 0;
                length
            } else {
                let round = Round::of::<1>(word);
                round.store(to, &mut len)?;
                found += 1;
                round.bits()
            };
            word <<= used;
            left -= used;
            at_bit += used;
        }
    }
    Ok((at_bit, len))
}

/// Codes longer than 12 bits begin with ten ones or more, others with fewer.
pub(super) const LONG: u64 = 0x3ff << 54;

/// Returns the last 8 octets, or all of them with zeros in front.
#[inline(always)]
fn final_word(text: &[u8]) -> u64 {
    match text.last_chunk::<8>() {
        Some(octets) => u64::from_be_bytes(*octets),
        None => text.iter().fold(0, |word, &octet| word << 8 | u64::from(octet)),
    }
}

/// Returns the symbol at the front of `word`, for a code of any length, and that length. Only the
/// first `bits` bits belong to the string.
#[inline(always)]
pub(super) fn long_symbol(word: u64, bits: usize) -> Result<(u8, usize), DecodeError> {
    let front = (word >> 32) as u32;
    for length in FIRST_LENGTHS[front.leading_ones() as usize]..=LENGTH_MAX {
        if front < CANON.end[length] {
            if length > bits {
                return Err(DecodeError::HuffmanPadding);
            }
            let code = (front >> (32 - length)) as u16;
            let rank = code.wrapping_add(CANON.rank[length]);
            return Ok((CANON.symbols[usize::from(rank & 0xff)], length));
        }
    }
    // All ones. Fewer than 30 of them are padding of more than 7 bits.
    Err(if bits < LENGTH_MAX { DecodeError::HuffmanPadding } else { DecodeError::HuffmanEndOfString })
}

const INDEX_BITS: usize = 12;

/// By the next 12 bits: symbols in bits 16.. (the first one lowest), 8 times their number in bits
/// 8..16, the bits they take in bits 0..8.
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

/// By the number of ones that a code begins with, the shortest length of such a code. Long codes
/// begin with ten ones or more, and few lengths share a number.
static FIRST_LENGTHS: [usize; 33] = {
    let mut lengths = [LENGTH_MAX; 33];
    let mut octet = 0;
    while octet < 256 {
        let length = LENGTHS[octet] as usize;
        let ones = (CODES[octet] << (32 - length)).leading_ones() as usize;
        if length < lengths[ones] {
            lengths[ones] = length;
        }
        octet += 1;
    }
    lengths
};

/// The canonical code, for codes of any length.
struct Canon {
    /// For each length, the first 32-bit prefix beyond its codes and all shorter ones.
    end: [u32; LENGTH_MAX + 1],
    /// For each length, the difference between the place in `symbols` and the code, modulo 2^16.
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

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    /// Compares the results of both functions.
    fn compare(octets: [u8; 8], len: usize) {
        let mut to = vec![0; room_for(len)];
        let long = decode(&octets[..len], &mut to).ok().map(|decoded| &to[..decoded.len]);
        let short = decode_short(octets, len);
        let short = short.as_ref().map(|(symbols, count)| &symbols[..*count]);
        assert_eq!(short, long, "{:x?}", &octets[..len]);
    }

    #[test]
    fn short_strings_are_decoded_as_others_are() {
        for word in 0..=0xffff_u64 {
            // The 16 bits at the front, repeated, and at the end; long codes begin with ones.
            for rest in [0, 0x1863_1863_1863, u64::MAX >> 16, 0xffcf_fe7f_f3ff] {
                for word in [word << 48 | rest, word << 48 | word << 24 | rest >> 32, word | rest << 16] {
                    for len in 0..=8 {
                        compare(word.to_be_bytes(), len);
                    }
                }
            }
        }
        assert_eq!(decode_short([0xff; 8], 9), None);
    }

    #[test]
    fn long_codes_begin_with_ten_ones() {
        for (code, length) in CODES.iter().zip(LENGTHS) {
            let front = u64::from(*code) << (64 - u32::from(length));
            assert_eq!(front >= LONG, usize::from(length) > INDEX_BITS);
        }
    }
}
