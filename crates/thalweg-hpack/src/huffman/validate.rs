//! Validation of a Huffman-coded string that arrives in pieces and is not buffered.
//!
//! Bits of incomplete codes are kept at the front of a word. A piece adds octets behind them, and
//! whenever there are more than 48 bits, four lookups consume as many as they can, as in
//! [`decode`](super::decode::decode):
//!
//! ```text
//! word   01101 11000 11...0     12 pending bits, then zeros
//! ```
//!
//! Invariants: fewer than 49 bits are pending between two octets, so a code is incomplete only if
//! its last bits have not arrived.

use super::code::LENGTH_MAX;
use super::decode::{LONG, Round, long_symbol};
use crate::error::DecodeError;

/// The state of one string between two pieces.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Validator {
    /// The pending bits, the next one highest; zeros below them.
    word: u64,
    bits: usize,
}

impl Validator {
    /// Validates the next octets of the string.
    ///
    /// # Errors
    ///
    /// `HuffmanEndOfString`.
    pub(crate) fn push(&mut self, octets: &[u8]) -> Result<(), DecodeError> {
        let Self { mut word, mut bits } = *self;
        for &octet in octets {
            word |= u64::from(octet) << (56 - bits);
            bits += 8;
            while bits > MANY {
                let used =
                    if word >= LONG { long_symbol(word, bits)?.1 } else { Round::of::<4>(word).bits() };
                word <<= used;
                bits -= used;
            }
        }
        *self = Self { word, bits };
        Ok(())
    }

    /// Validates the end of the string.
    ///
    /// # Errors
    ///
    /// `HuffmanPadding` and `HuffmanEndOfString`.
    pub(crate) fn finish(self) -> Result<(), DecodeError> {
        let Self { mut word, mut bits } = self;
        while bits > 0 {
            // Ones never complete a symbol.
            let padded = word | u64::MAX >> bits;
            if bits < 8 && padded == u64::MAX {
                break;
            }
            let used =
                if padded >= LONG { long_symbol(padded, bits)?.1 } else { Round::of::<1>(padded).bits() };
            bits = bits.checked_sub(used).ok_or(DecodeError::HuffmanPadding)?;
            word <<= used;
        }
        Ok(())
    }
}

/// The largest number of bits that four lookups consume; no code is longer.
const MANY: usize = 48;
const _: () = assert!(LENGTH_MAX <= MANY);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::huffman::code::{CODES, LENGTHS};
    use crate::huffman::decode;
    use alloc::vec;
    use alloc::vec::Vec;

    fn encoded(text: &[u8]) -> Vec<u8> {
        let (mut out, mut word, mut bits) = (Vec::new(), 0u64, 0);
        for &octet in text {
            let length = u32::from(LENGTHS[usize::from(octet)]);
            word = word << length | u64::from(CODES[usize::from(octet)]);
            bits += length;
            while bits >= 8 {
                bits -= 8;
                out.push((word >> bits) as u8);
            }
        }
        if bits > 0 {
            out.push((word << (8 - bits)) as u8 | 0xff >> bits);
        }
        out
    }

    fn validated(text: &[u8], piece: usize) -> Result<(), DecodeError> {
        let mut validator = Validator::default();
        text.chunks(piece).try_for_each(|piece| validator.push(piece))?;
        validator.finish()
    }

    fn decoded(text: &[u8]) -> Result<(), DecodeError> {
        decode::decode(text, &mut vec![0; decode::room_for(text.len())]).map(drop)
    }

    #[test]
    fn s5_2_strings_of_every_octet_are_valid_in_pieces_of_every_length() {
        for len in 1..40 {
            let text: Vec<u8> = (0..=255u8).flat_map(|octet| vec![octet; len % 3 + 1]).collect();
            let coded = encoded(&text[len..]);
            for piece in 1..9 {
                assert_eq!(validated(&coded, piece), Ok(()));
            }
        }
    }

    #[test]
    fn s5_2_validator_and_decoder_agree_on_any_octets() {
        let mut state = 7u64;
        let mut refused = 0;
        for round in 0..20_000usize {
            let text: Vec<u8> = (0..round % 23)
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    // Many ones: long codes, padding and end-of-string.
                    let octet = (state >> 33) as u8;
                    if round % 3 == 0 { octet | octet.rotate_left(1) | octet.rotate_left(3) } else { octet }
                })
                .collect();
            refused += usize::from(decoded(&text).is_err());
            for piece in 1..4 {
                assert_eq!(validated(&text, piece).is_ok(), decoded(&text).is_ok(), "{text:02x?}");
            }
        }
        assert!((1000..19_000).contains(&refused), "{refused}");
    }
}
