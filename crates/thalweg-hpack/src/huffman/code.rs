//! The code itself, RFC 7541 Appendix B.
//!
//! The code is canonical: codes of one length are consecutive and follow the order of their
//! symbols, and each length continues where the shorter one ended. So only the lengths are stored;
//! the codes are computed at compile time:
//!
//! ```text
//! five bits:  '0' 00000   '1' 00001   '2' 00010   'a' 00011   ..   't' 01001
//! six bits:   ' ' 010100  '%' 010101  '-' 010110  ..         (01010 and one more bit, and so on)
//! ```

/// The number of bits of each octet's Huffman code (RFC 7541 Appendix B). The end-of-string symbol
/// is 30 ones.
#[rustfmt::skip]
pub const LENGTHS: [u8; 256] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
    6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
];

/// The shortest and the longest code, in bits.
pub(crate) const LENGTH_MIN: usize = 5;
pub(crate) const LENGTH_MAX: usize = 30;

/// The code of each octet, in the low bits.
pub(crate) const CODES: [u32; 256] = {
    let mut codes = [0; 256];
    let mut next = 0;
    let mut length = 0;
    while length < LENGTH_MAX {
        length += 1;
        next <<= 1;
        let mut octet = 0;
        while octet < 256 {
            if LENGTHS[octet] as usize == length {
                codes[octet] = next;
                next += 1;
            }
            octet += 1;
        }
    }
    // The remaining code is the end-of-string symbol.
    assert!(next == (1 << LENGTH_MAX) - 1);
    codes
};
