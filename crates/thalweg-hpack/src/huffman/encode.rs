//! Huffman encoding in one pass.
//!
//! Codes are shifted into a 64-bit accumulator from the right, four octets at a time, and are
//! written in 32-bit words. Fewer than 32 bits are pending between two groups of four, and a group
//! of common octets adds at most 32, so the accumulator never overflows and one test per group is
//! enough:
//!
//! ```text
//! pending 17 bits | "ping": 6 + 5 + 6 + 6 = 23 bits  ->  40 bits: 32 are written, 8 remain
//! ```
//!
//! A group with longer codes is encoded octet by octet. Only there can the code become longer than
//! the plain text, so only there the encoder gives up early.

use alloc::vec::Vec;

use super::code::{CODES, LENGTHS};

/// Appends the Huffman code of `text` if that is shorter, and returns whether it did. If not, `out`
/// is unchanged.
#[inline]
pub(crate) fn encode_if_shorter(text: &[u8], out: &mut Vec<u8>) -> bool {
    let start = out.len();
    let end = start + text.len();
    let mut bits = Bits { pending: 0, count: 0 };
    let (groups, rest) = text.as_chunks::<4>();
    for group in groups {
        let codes = group.map(|octet| TABLE[usize::from(octet)]);
        let length = codes.iter().fold(0u32, |sum, code| sum.wrapping_add(*code as u32)) & 0xff;
        if length <= 32 {
            for code in codes {
                bits.pending = bits.pending << (code & 63) | code >> 8;
            }
            bits.count += length;
            bits.flush(out);
        } else {
            for code in codes {
                bits.push(code, out);
            }
            if out.len() >= end {
                out.truncate(start);
                return false;
            }
        }
    }
    for octet in rest {
        bits.push(TABLE[usize::from(*octet)], out);
    }
    bits.finish(out);
    if out.len() >= end {
        out.truncate(start);
        return false;
    }
    true
}

/// Bits that are not yet written.
struct Bits {
    /// The low `count` bits are pending; those above are written already.
    pending: u64,
    count: u32,
}

impl Bits {
    #[inline(always)]
    fn push(&mut self, code: u64, out: &mut Vec<u8>) {
        self.pending = self.pending << (code & 63) | code >> 8;
        self.count += code as u32 & 0xff;
        self.flush(out);
    }

    /// Writes 32 bits if that many are pending.
    #[inline(always)]
    fn flush(&mut self, out: &mut Vec<u8>) {
        if self.count >= 32 {
            self.count -= 32;
            out.extend_from_slice(&((self.pending >> (self.count & 63)) as u32).to_be_bytes());
        }
    }

    /// Writes the last bits. RFC 7541 §5.2: the last octet is padded with a prefix of
    /// end-of-string, which is ones.
    #[inline(always)]
    fn finish(self, out: &mut Vec<u8>) {
        let padded = (self.pending << 32 | 0xffff_ffff) >> (self.count & 63);
        let end = out.len() + self.count.div_ceil(8) as usize;
        out.extend_from_slice(&(padded as u32).to_be_bytes());
        out.truncate(end);
    }
}

/// For each octet, its code above 8 bits with its length.
static TABLE: [u64; 256] = {
    let mut table = [0; 256];
    let mut octet = 0;
    while octet < 256 {
        table[octet] = (CODES[octet] as u64) << 8 | LENGTHS[octet] as u64;
        octet += 1;
    }
    table
};
