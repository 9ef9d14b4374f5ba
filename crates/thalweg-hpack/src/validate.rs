//! Which octets names and values may contain, RFC 9113 §8.2.1, RFC 9110 §5.1.
//!
//! Both checks read eight octets at a time (SIMD within a register): one addition compares all
//! bytes of a word with a bound, since the carry into the top bit of a byte means "at least the
//! bound". The final word overlaps the one before it, so no octet is checked alone:
//!
//! ```text
//! "content-type"    c o n t e n t -
//!                           e n t - t y p e      <- second word, begins at len - 8
//! ```

/// Which strings of a field are known to pass [`name_is_valid`] and [`value_is_valid`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Checked {
    /// Neither is validated.
    Nothing = 0,
    /// The name is valid: it is a known one, or comes from an entry whose name was valid.
    Name = 1,
    /// The value is valid: none of its Huffman codes was longer than 12 bits, and its ends are
    /// visible.
    Value = 2,
    /// Both are valid.
    Both = 3,
    /// Both are valid, and the field also meets the further rules of the sink (the caller's
    /// function that receives the fields): the sink has accepted it before, or it is an entry of
    /// the static table with a value.
    Validated = 7,
}

impl Checked {
    /// Combines what is known of each string.
    #[inline(always)]
    pub const fn new(name: bool, value: bool) -> Self {
        [Self::Nothing, Self::Name, Self::Value, Self::Both][name as usize + 2 * value as usize]
    }

    /// Whether the name is known to be valid.
    #[inline(always)]
    pub const fn name(self) -> bool {
        self as u8 & Self::Name as u8 != 0
    }

    /// Whether the value is known to be valid.
    #[inline(always)]
    pub const fn value(self) -> bool {
        self as u8 & Self::Value as u8 != 0
    }
}

/// Whether `name` has only octets that the name of a regular field may have: those of a token (RFC
/// 9110 §5.6.2), in lower case (RFC 9113 §8.2.1). An empty name is not valid.
///
/// The names of pseudo-header fields begin with a colon and are not valid here: match them as a
/// [`KnownName`](crate::KnownName) first.
#[inline]
pub fn name_is_valid(name: &[u8]) -> bool {
    !name.is_empty() && (no_octet(name, unusual_in_name) || unusual_name_is_valid(name))
}

#[cold]
fn unusual_name_is_valid(name: &[u8]) -> bool {
    name.iter().all(|octet| match octet {
        b'a'..=b'z' | b'0'..=b'9' => true,
        other => b"!#$%&'*+-.^_`|~".contains(other),
    })
}

/// Whether `value` has only octets that RFC 9113 §8.2.1 allows: no NUL, CR or LF anywhere, and
/// neither space nor tab at either end.
#[inline]
pub fn value_is_valid(value: &[u8]) -> bool {
    ends_are_visible(value) && (no_octet(value, control) || unusual_value_is_valid(value))
}

#[cold]
#[inline(never)]
fn unusual_value_is_valid(value: &[u8]) -> bool {
    no_octet(value, bad_in_value)
}

/// Whether neither end of `value` is a space or a tab (RFC 9113 §8.2.1).
#[inline(always)]
pub(crate) fn ends_are_visible(value: &[u8]) -> bool {
    match (value.first(), value.last()) {
        (Some(&first), Some(&last)) => is_visible(first) && is_visible(last),
        _ => true,
    }
}

/// Whether an octet is neither a space nor a tab. Most octets take one comparison.
#[inline(always)]
fn is_visible(octet: u8) -> bool {
    octet > b' ' || !matches!(octet, b' ' | b'\t')
}

/// 1 in each octet.
const ONES: u64 = 0x0101_0101_0101_0101;
/// The top bit of each octet.
const TOPS: u64 = 0x80 * ONES;

/// Whether `bad` sets no top bit in any word of `text`.
#[inline(always)]
fn no_octet(text: &[u8], bad: impl Fn(u64) -> u64) -> bool {
    let Some(last) = text.last_chunk::<8>() else { return bad(short_word(text)) & TOPS == 0 };
    let mut found = bad(u64::from_le_bytes(*last));
    for word in text.as_chunks::<8>().0 {
        found |= bad(u64::from_le_bytes(*word));
    }
    found & TOPS == 0
}

/// Returns all octets of a text of less than eight in one word: some of them twice, and the letter
/// `a` in octets that would be empty.
#[inline(always)]
fn short_word(text: &[u8]) -> u64 {
    match (text.first_chunk::<4>(), text.last_chunk::<4>()) {
        (Some(first), Some(last)) => {
            u64::from(u32::from_le_bytes(*first)) << 32 | u64::from(u32::from_le_bytes(*last))
        }
        _ => text.iter().fold(u64::from(b'a') * ONES, |word, &octet| word << 8 | u64::from(octet)),
    }
}

// The functions below return the result in the top bit of each byte; the other bits are arbitrary.

/// Sets the top bit of each byte whose low seven bits are at least `bound`.
#[inline(always)]
const fn at_least(low: u64, bound: u8) -> u64 {
    low + (0x80 - bound as u64) * ONES
}

/// Sets the top bit of each byte whose low seven bits are not zero.
#[inline(always)]
const fn not_zero(low: u64) -> u64 {
    low + 0x7f * ONES
}

/// Finds octets other than lower-case letters, digits and hyphens.
#[inline(always)]
const fn unusual_in_name(word: u64) -> u64 {
    let low = word & !TOPS;
    let letter = at_least(low, b'a') & !at_least(low, b'z' + 1);
    let digit = at_least(low, b'0') & !at_least(low, b'9' + 1);
    let hyphen = !not_zero(low ^ (b'-' as u64 * ONES));
    word | !(letter | digit | hyphen)
}

/// Finds control octets below a space. May have false positives only beside a true one.
#[inline(always)]
const fn control(word: u64) -> u64 {
    word.wrapping_sub(b' ' as u64 * ONES) & !word
}

#[inline(always)]
const fn bad_in_value(word: u64) -> u64 {
    let low = word & !TOPS;
    let nul = !not_zero(low);
    let line_feed = !not_zero(low ^ (b'\n' as u64 * ONES));
    let carriage_return = !not_zero(low ^ (b'\r' as u64 * ONES));
    (nul | line_feed | carriage_return) & !word
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn name_octet(octet: u8) -> bool {
        // What RFC 9113 §8.2.1 forbids, and the delimiters of RFC 9110 §5.6.2.
        !matches!(octet, 0..=0x20 | b'A'..=b'Z' | b':' | 0x7f..) && !b"\"(),/;<=>?@[\\]{}".contains(&octet)
    }

    fn value_octet(octet: u8) -> bool {
        !matches!(octet, 0 | b'\r' | b'\n')
    }

    #[test]
    fn s8_2_1_each_octet_is_validated_equally_at_every_position() {
        for len in 1..35 {
            for at in 0..len {
                for octet in 0..=255u8 {
                    for filler in [b'a', b'~', 0xe9] {
                        let mut text = vec![filler; len];
                        text[at] = octet;
                        let names = text.iter().all(|&octet| name_octet(octet));
                        assert_eq!(name_is_valid(&text), names, "{octet} at {at} of {len}");
                        let inside = text.iter().all(|&octet| value_octet(octet));
                        let ends = (at > 0 && at + 1 < len) || !matches!(octet, b' ' | b'\t');
                        assert_eq!(value_is_valid(&text), inside && ends, "{octet} at {at} of {len}");
                    }
                }
            }
        }
    }

    #[test]
    fn s8_2_1_an_empty_name_is_invalid_and_an_empty_value_valid() {
        assert!(!name_is_valid(b""));
        assert!(value_is_valid(b""));
    }
}
