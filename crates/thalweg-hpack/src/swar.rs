//! Short strings as machine words.
//!
//! Names are mostly 4 to 20 octets long. Comparing or hashing them by words that may overlap needs
//! neither a loop over octets nor a call:
//!
//! ```text
//! "content-type"    c o n t e n t -
//!                           e n t - t y p e
//! ```

/// Returns the eight octets at `at`, or 0 if they are not all there.
#[inline(always)]
pub(crate) const fn word(text: &[u8], at: usize) -> u64 {
    let Some((_, rest)) = text.split_at_checked(at) else { return 0 };
    match rest.first_chunk::<8>() {
        Some(octets) => u64::from_le_bytes(*octets),
        None => 0,
    }
}

/// Returns the first and the last four octets of a text of at least four, each as a word. For a
/// shorter one all octets are in the first word.
#[inline(always)]
pub(crate) const fn ends(text: &[u8]) -> (u32, u32) {
    match (text.first_chunk::<4>(), text.last_chunk::<4>()) {
        (Some(first), Some(last)) => (u32::from_le_bytes(*first), u32::from_le_bytes(*last)),
        _ => match *text {
            [a, b, c] => (u32::from_le_bytes([a, b, c, 0]), 0),
            [a, b] => (u32::from_le_bytes([a, b, 0, 0]), 0),
            [a] => (a as u32, 0),
            _ => (0, 0),
        },
    }
}

/// Whether two texts are equal.
#[inline(always)]
pub(crate) const fn equal(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let (Some(last_a), Some(last_b)) = (a.last_chunk::<8>(), b.last_chunk::<8>()) else {
        let (a, b) = (ends(a), ends(b));
        return a.0 == b.0 && a.1 == b.1;
    };
    let mut differ = u64::from_le_bytes(*last_a) ^ u64::from_le_bytes(*last_b);
    let (mut a, mut b) = (a, b);
    while let (Some((first_a, rest_a)), Some((first_b, rest_b))) =
        (a.split_first_chunk::<8>(), b.split_first_chunk::<8>())
    {
        differ |= u64::from_le_bytes(*first_a) ^ u64::from_le_bytes(*first_b);
        (a, b) = (rest_a, rest_b);
    }
    differ == 0
}

/// Whether two texts are equal. For 8 to 32 octets this needs neither a loop nor a call.
#[inline(always)]
pub(crate) fn equal_short(a: &[u8], b: &[u8]) -> bool {
    match a.len() {
        len if len != b.len() => false,
        8..=16 => a.first_chunk::<8>() == b.first_chunk() && a.last_chunk::<8>() == b.last_chunk(),
        17..=32 => a.first_chunk::<16>() == b.first_chunk() && a.last_chunk::<16>() == b.last_chunk(),
        _ => a == b,
    }
}

/// Copies a few octets by words, without a call. A short text is copied together with the octets
/// behind it. (For an assignment of the whole array, the compiler would call `memcpy`.)
#[inline(always)]
pub(crate) fn copy<const LEN: usize>(from: &[u8; LEN], to: &mut [u8; LEN]) {
    for at in (0..LEN).step_by(8) {
        to[at..at + 8].copy_from_slice(&word(from, at).to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn texts_are_equal_only_to_themselves() {
        let text: Vec<u8> = (1..=40).collect();
        for len in 0..text.len() {
            let a = &text[..len];
            for equal in [equal, equal_short] {
                assert!(equal(a, &text.clone()[..len]));
                assert!(!equal(a, &text[..len + 1]));
            }
            for at in 0..len {
                let mut b = a.to_vec();
                b[at] ^= 0x80;
                assert!(!equal(a, &b), "octet {at} of {len}");
                assert!(!equal_short(a, &b), "octet {at} of {len}");
            }
        }
    }

    #[test]
    fn ends_hold_every_octet_of_a_short_text() {
        for len in 0..8 {
            let a: Vec<u8> = (1..=len).collect();
            for at in 0..a.len() {
                let mut b = a.clone();
                b[at] ^= 0x80;
                assert_ne!(ends(&a), ends(&b), "octet {at} of {len}");
            }
        }
    }
}
