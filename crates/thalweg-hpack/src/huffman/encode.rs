//! Huffman encoding in one pass.
//!
//! Codes are pushed into a 64-bit accumulator from the right, four octets at a time, and leave it by
//! whole 32-bit words. Fewer than 32 bits wait between two groups of four, and a group of common octets
//! adds at most 32, so nothing is lost and one test per group is enough:
//!
//! ```text
//! waiting 17 bits | "ping": 6 + 5 + 6 + 6 = 23 bits  ->  40 bits: 32 are written, 8 wait
//! ```
//!
//! A group with longer codes goes octet by octet. Only there can the code outgrow the plain text, so only
//! there it is given up early.

use alloc::vec::Vec;

use super::code::{CODES, LENGTHS};

/// Appends the Huffman code of `text` if that is shorter, and says whether it did. If not, `out` is as
/// before.
#[inline]
pub(crate) fn encode_if_shorter(text: &[u8], out: &mut Vec<u8>) -> bool {
    let start = out.len();
    let end = start + text.len();
    let mut bits = Bits { waiting: 0, count: 0 };
    let (groups, rest) = text.as_chunks::<4>();
    for group in groups {
        let codes = group.map(|octet| TABLE[usize::from(octet)]);
        let length = codes.iter().fold(0u32, |sum, code| sum.wrapping_add(*code as u32)) & 0xff;
        if length <= 32 {
            for code in codes {
                bits.waiting = bits.waiting << (code & 63) | code >> 8;
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

/// Bits on their way out.
struct Bits {
    /// The low `count` bits wait to be written; what is above them was.
    waiting: u64,
    count: u32,
}

impl Bits {
    #[inline(always)]
    fn push(&mut self, code: u64, out: &mut Vec<u8>) {
        self.waiting = self.waiting << (code & 63) | code >> 8;
        self.count += code as u32 & 0xff;
        self.flush(out);
    }

    /// Writes 32 bits if so many wait.
    #[inline(always)]
    fn flush(&mut self, out: &mut Vec<u8>) {
        if self.count >= 32 {
            self.count -= 32;
            out.extend_from_slice(&((self.waiting >> (self.count & 63)) as u32).to_be_bytes());
        }
    }

    /// Writes the last bits. RFC 7541 §5.2: the last octet is filled with the front of end-of-string,
    /// which is ones.
    #[inline(always)]
    fn finish(self, out: &mut Vec<u8>) {
        let padded = (self.waiting << 32 | 0xffff_ffff) >> (self.count & 63);
        let end = out.len() + self.count.div_ceil(8) as usize;
        out.extend_from_slice(&(padded as u32).to_be_bytes());
        out.truncate(end);
    }
}

/// By octet: its code above the 8 bits of its length.
static TABLE: [u64; 256] = {
    let mut table = [0; 256];
    let mut octet = 0;
    while octet < 256 {
        table[octet] = (CODES[octet] as u64) << 8 | LENGTHS[octet] as u64;
        octet += 1;
    }
    table
};
