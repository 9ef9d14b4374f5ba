//! Huffman encoding in one pass.

use alloc::vec::Vec;

use super::code::{CODES, LENGTHS};

/// Appends the Huffman code of `text` when that is shorter, and says whether it did. When it is not,
/// `out` is as before.
#[inline]
pub fn encode_if_shorter(text: &[u8], out: &mut Vec<u8>) -> bool {
    let start = out.len();
    let end = start + text.len();
    // The low `bits` bits of `acc` wait to be written; there are fewer than 32 of them between octets.
    let (mut acc, mut bits) = (0u64, 0u32);
    for &octet in text {
        let entry = TABLE[usize::from(octet)];
        let length = (entry & 0xff) as u32;
        acc = acc << length | entry >> 8;
        bits += length;
        if bits >= 32 {
            bits -= 32;
            out.extend_from_slice(&((acc >> bits) as u32).to_be_bytes());
            if out.len() >= end {
                out.truncate(start);
                return false;
            }
        }
    }
    // RFC 7541 §5.2: the last octet is filled with the front of end-of-string, which is ones.
    let octets = bits.div_ceil(8);
    acc = (acc << 32 | 0xffff_ffff) >> bits;
    out.extend_from_slice(&(acc as u32).to_be_bytes()[..octets as usize]);
    if out.len() >= end {
        out.truncate(start);
        return false;
    }
    true
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
