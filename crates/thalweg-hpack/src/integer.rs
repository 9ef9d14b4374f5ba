//! Integers with a prefix, RFC 7541 §5.1.
//!
//! An integer begins in the low bits of an octet that it shares with flags. If it does not fit, the
//! prefix is all ones and the rest follows in groups of seven bits, least significant first:
//!
//! ```text
//! 1337 with a 5-bit prefix:   xxx11111 10011010 00001010
//!                                   31 +  26 * 1 + 10 * 128
//! ```
//!
//! Invariants: a decoded integer is at most 2^32 - 1 and has at most five octets after its prefix:
//! RFC 7541 §5.1 requires such a limit.

use alloc::vec::Vec;

use crate::error::DecodeError;

/// Reads the integer whose prefix is the `mask` bits of `first`; the octets after it begin at
/// `block[*at]`.
///
/// # Errors
///
/// `Truncated` when the block ends first, `IntegerTooLarge` past 2^32 - 1 or five octets.
#[inline(always)]
pub(crate) fn decode(block: &[u8], at: &mut usize, first: u8, mask: u8) -> Result<u32, DecodeError> {
    let prefix = first & mask;
    if prefix < mask {
        return Ok(u32::from(prefix));
    }
    let (value, end) = decode_rest(block, *at, mask)?;
    *at = end;
    Ok(value)
}

/// Returns the value, and where its octets end. Takes and returns the offset by value, so that the
/// callers' copies of it can stay in a register.
#[inline(never)]
fn decode_rest(block: &[u8], at: usize, mask: u8) -> Result<(u32, usize), DecodeError> {
    let mut value = u64::from(mask);
    for group in 0..5 {
        let octet = *block.get(at + group).ok_or(DecodeError::Truncated)?;
        value += u64::from(octet & 0x7f) << (7 * group);
        if octet < 0x80 {
            let value = u32::try_from(value).map_err(|_| DecodeError::IntegerTooLarge)?;
            return Ok((value, at + group + 1));
        }
    }
    Err(DecodeError::IntegerTooLarge)
}

/// Appends `value` with the flags `lead` above a prefix of the `mask` bits.
#[inline(always)]
pub(crate) fn encode(out: &mut Vec<u8>, lead: u8, mask: u8, value: u32) {
    if value < u32::from(mask) {
        out.push(lead | value as u8);
    } else {
        encode_rest(out, lead | mask, value - u32::from(mask));
    }
}

#[inline(never)]
fn encode_rest(out: &mut Vec<u8>, first: u8, mut rest: u32) {
    out.push(first);
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn decoded(bytes: &[u8], mask: u8) -> Result<(u32, usize), DecodeError> {
        let mut at = 1;
        decode(bytes, &mut at, bytes[0], mask).map(|value| (value, at))
    }

    fn encoded(mask: u8, value: u32) -> Vec<u8> {
        let mut out = vec![];
        encode(&mut out, 0, mask, value);
        out
    }

    #[test]
    fn c_1_examples_decode_and_encode() {
        for (bytes, mask, value) in [(&[10][..], 31, 10), (&[31, 154, 10], 31, 1337), (&[42], 255, 42)] {
            assert_eq!(decoded(bytes, mask), Ok((value, bytes.len())));
            assert_eq!(encoded(mask, value), bytes);
        }
    }

    #[test]
    fn s5_1_flags_above_the_prefix_are_ignored() {
        assert_eq!(decoded(&[0xea], 31), Ok((10, 1)));
    }

    #[test]
    fn s5_1_every_edge_of_a_group_survives_the_round_trip() {
        for mask in [15, 31, 63, 127, 255u8] {
            let edges = (0..5).flat_map(|group| {
                let edge = u64::from(mask) + (1u64 << (7 * group));
                [edge - 1, edge, edge + 1]
            });
            for value in edges.chain([0, 1, u64::from(u32::MAX) - 1, u64::from(u32::MAX)]) {
                let value = u32::try_from(value).unwrap();
                let bytes = encoded(mask, value);
                assert_eq!(decoded(&bytes, mask), Ok((value, bytes.len())), "{value} in {mask}");
            }
        }
    }

    #[test]
    fn s5_1_one_more_than_32_bits_is_refused() {
        assert_eq!(decoded(&[127, 0x80, 0xff, 0xff, 0xff, 0x0f], 127), Ok((u32::MAX, 6)));
        assert_eq!(decoded(&[127, 0x81, 0xff, 0xff, 0xff, 0x0f], 127), Err(DecodeError::IntegerTooLarge));
    }

    #[test]
    fn s5_1_a_sixth_octet_is_refused_even_when_it_adds_nothing() {
        assert_eq!(decoded(&[31, 0x80, 0x80, 0x80, 0x80, 0x00], 31), Ok((31, 6)));
        assert_eq!(decoded(&[31, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00], 31), Err(DecodeError::IntegerTooLarge));
    }

    #[test]
    fn s5_1_an_integer_cut_anywhere_is_truncated() {
        let bytes = encoded(31, u32::MAX);
        for end in 1..bytes.len() {
            assert_eq!(decoded(&bytes[..end], 31), Err(DecodeError::Truncated));
        }
    }
}
