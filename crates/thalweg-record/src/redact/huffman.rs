//! Reads and overwrites strings in the Huffman code of RFC 7541 Appendix B in place.
//!
//! Invariants: an octet is only replaced by one with a code of the same length, so that every other
//! bit keeps its place.

use alloc::vec::Vec;

use thalweg_hpack::HUFFMAN_LENGTHS as LENGTHS;

/// The code of each octet. It is canonical: codes of one length are consecutive, in the order of
/// their octets.
static CODES: [u32; 256] = {
    let mut codes = [0; 256];
    let (mut next, mut length) = (0, 0);
    while length < LENGTH_MAX {
        length += 1;
        next <<= 1;
        let mut octet = 0;
        while octet < 256 {
            if LENGTHS[octet] as u32 == length {
                codes[octet] = next;
                next += 1;
            }
            octet += 1;
        }
    }
    codes
};

/// Decodes a string; `None` if it is not valid (RFC 7541 §5.2).
pub(super) fn decode(coded: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    let (mut code, mut length) = (0u32, 0u32);
    for bit in (0..coded.len() * 8).map(|at| coded[at / 8] >> (7 - at % 8) & 1) {
        code = code << 1 | u32::from(bit);
        length += 1;
        if let Some(octet) = octet_of(code, length) {
            text.push(octet);
            (code, length) = (0, 0);
        } else if length >= LENGTH_MAX {
            return None;
        }
    }
    // The remaining bits are padding: less than an octet, all ones.
    (length < 8 && code == (1 << length) - 1).then_some(text)
}

fn octet_of(code: u32, length: u32) -> Option<u8> {
    (0..=255u8).find(|octet| {
        let octet = usize::from(*octet);
        u32::from(LENGTHS[octet]) == length && CODES[octet] == code
    })
}

/// Overwrites a coded string with another text, octet by octet with codes of the same length.
pub(super) fn overwrite(coded: &mut [u8], text: &[u8]) {
    let mut at = 0;
    for octet in text {
        let (code, length) = (CODES[usize::from(*octet)], usize::from(LENGTHS[usize::from(*octet)]));
        for bit in (0..length).rev() {
            let mask = 0x80 >> (at % 8);
            if code >> bit & 1 == 1 {
                coded[at / 8] |= mask;
            } else {
                coded[at / 8] &= !mask;
            }
            at += 1;
        }
    }
}

const LENGTH_MAX: u32 = 30;

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7541 §C.4.1
    const CODED: [u8; 12] = [0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff];

    #[test]
    fn a_string_is_read_and_overwritten() {
        let mut coded = CODED;
        assert_eq!(decode(&coded).unwrap(), b"www.example.com");
        overwrite(&mut coded, b"zzz.avodgfc.tsh");
        assert_eq!(decode(&coded).unwrap(), b"zzz.avodgfc.tsh");
        overwrite(&mut coded, b"www.example.com");
        assert_eq!(coded, CODED);
    }

    #[test]
    fn an_invalid_huffman_string_is_rejected() {
        assert_eq!(decode(&[0xff]), None);
        assert_eq!(decode(&[0x00]), None);
        assert_eq!(decode(&[0xff; 4]), None);
        assert_eq!(decode(&[]).unwrap(), b"");
    }
}
