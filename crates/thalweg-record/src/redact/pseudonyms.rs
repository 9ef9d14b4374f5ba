//! The replacement of a value: another of the same length, plain and Huffman-coded, derived from a
//! key that is discarded.
//!
//! Invariants: equal values have equal replacements and different values different ones, so that
//! table lookups have the same results; no value becomes one of the static table, and those of the
//! static table stay. Bytes that the core's rules examine stay.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use thalweg_hpack::HUFFMAN_LENGTHS as LENGTHS;

/// The values of one recording and their replacements.
#[derive(Debug)]
pub(super) struct Pseudonyms {
    key: [u64; 2],
    known: BTreeMap<Vec<u8>, Vec<u8>>,
    taken: BTreeSet<Vec<u8>>,
    /// The bytes that may replace each other, by the length of their codes.
    classes: Classes,
    /// The same, for values that may be hosts.
    host_classes: Classes,
}

type Classes = [Vec<u8>; 31];

impl Pseudonyms {
    /// Creates an empty map with a secret key.
    pub(super) fn new(key: [u64; 2]) -> Self {
        Self {
            key,
            known: BTreeMap::new(),
            taken: BTreeSet::new(),
            classes: classes(|_| true),
            host_classes: classes(is_host_byte),
        }
    }

    /// Returns the replacement for the value of a field.
    pub(super) fn value(&mut self, name: &[u8], value: &[u8]) -> Vec<u8> {
        if KEPT_NAMES.contains(&name) {
            return value.to_vec();
        }
        // RFC 9110 §4.2.3: a port may be the one that the scheme implies, which the core compares.
        if matches!(name, b":authority" | b"host")
            && let Some(colon) = value.iter().rposition(|byte| *byte == b':')
            && value[colon + 1..].iter().all(u8::is_ascii_digit)
        {
            let mut word = self.replace(&value[..colon]);
            word.extend_from_slice(&value[colon..]);
            return word;
        }
        self.replace(value)
    }

    /// Returns the replacement for a value of any name.
    pub(super) fn replace(&mut self, value: &[u8]) -> Vec<u8> {
        if STATIC_VALUES.contains(&value) || value.iter().all(|byte| stays(*byte)) {
            return value.to_vec();
        }
        if let Some(word) = self.known.get(value) {
            return word.clone();
        }
        let mut word = Vec::new();
        for attempt in 0..ATTEMPTS_MAX {
            word = self.attempt(value, attempt);
            if word != value && !self.taken.contains(&word) && !STATIC_VALUES.contains(&&word[..]) {
                break;
            }
        }
        self.taken.insert(word.clone());
        self.known.insert(value.to_vec(), word.clone());
        word
    }

    fn attempt(&self, value: &[u8], attempt: u64) -> Vec<u8> {
        let mut state = hash([self.key[0], self.key[1] ^ attempt], value);
        // RFC 3986 §3.2.2: the core examines each byte of a host. The same value has the same
        // replacement under every name.
        let may_be_host = value.iter().all(|byte| is_host_byte(*byte) || stays(*byte));
        let classes = if may_be_host { &self.host_classes } else { &self.classes };
        let substitute = |byte: &u8| {
            if stays(*byte) {
                return *byte;
            }
            let class = &classes[usize::from(LENGTHS[usize::from(*byte)])];
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            class[(mix(state) % class.len() as u64) as usize]
        };
        value.iter().map(substitute).collect()
    }
}

/// Returns the bytes that do not stay and are `wanted`, by the length of their codes.
fn classes(wanted: impl Fn(u8) -> bool) -> Classes {
    let mut classes = [const { Vec::new() }; 31];
    for byte in (0..=255u8).filter(|byte| !stays(*byte) && wanted(*byte)) {
        classes[usize::from(LENGTHS[usize::from(byte)])].push(byte);
    }
    classes
}

/// RFC 3986 §3.2.2: the bytes of a registered name, without percent-encoded ones.
const fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'+' | b'=')
}

/// Controls and space, and the delimiters that the rules of RFC 9113 §8 examine in paths,
/// authorities and lists.
const fn stays(byte: u8) -> bool {
    byte <= b' '
        || byte == 0x7f
        || matches!(byte, b'/' | b'?' | b'#' | b'*' | b'@' | b':' | b'[' | b']' | b'\\' | b',' | b';')
}

/// Spreads the bits of a counter.
const fn mix(state: u64) -> u64 {
    let state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

/// Computes SipHash-2-4, which cannot be inverted or forged without the key.
fn hash(key: [u64; 2], bytes: &[u8]) -> u64 {
    let mut state = [
        key[0] ^ 0x736f_6d65_7073_6575,
        key[1] ^ 0x646f_7261_6e64_6f6d,
        key[0] ^ 0x6c79_6765_6e65_7261,
        key[1] ^ 0x7465_6462_7974_6573,
    ];
    let mut absorb = |word: u64| {
        state[3] ^= word;
        sip_rounds(&mut state, 2);
        state[0] ^= word;
    };
    let (chunks, rest) = bytes.as_chunks::<8>();
    chunks.iter().for_each(|word| absorb(u64::from_le_bytes(*word)));
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    last[7] = bytes.len() as u8;
    absorb(u64::from_le_bytes(last));
    state[2] ^= 0xff;
    sip_rounds(&mut state, 4);
    state[0] ^ state[1] ^ state[2] ^ state[3]
}

fn sip_rounds(v: &mut [u64; 4], rounds: u32) {
    for _ in 0..rounds {
        v[0] = v[0].wrapping_add(v[1]);
        v[2] = v[2].wrapping_add(v[3]);
        v[1] = v[1].rotate_left(13) ^ v[0];
        v[3] = v[3].rotate_left(16) ^ v[2];
        v[0] = v[0].rotate_left(32);
        v[2] = v[2].wrapping_add(v[1]);
        v[0] = v[0].wrapping_add(v[3]);
        v[1] = v[1].rotate_left(17) ^ v[2];
        v[3] = v[3].rotate_left(21) ^ v[0];
        v[2] = v[2].rotate_left(32);
    }
}

/// The core depends on their values.
const KEPT_NAMES: &[&[u8]] =
    &[b":method", b":scheme", b":status", b":protocol", b"content-length", b"te", b"priority"];

/// RFC 7541 Appendix A: values that the static table has.
const STATIC_VALUES: &[&[u8]] = &[
    b"GET",
    b"POST",
    b"/",
    b"/index.html",
    b"http",
    b"https",
    b"200",
    b"204",
    b"206",
    b"304",
    b"400",
    b"404",
    b"500",
    b"gzip, deflate",
];

/// The number of attempts to find an unused replacement. Values of one or two letters may share
/// one.
const ATTEMPTS_MAX: u64 = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    /// The test vector of the paper, Appendix A.
    #[test]
    fn the_hash_is_siphash() {
        let key = [0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908];
        let bytes: Vec<u8> = (0..15).collect();
        assert_eq!(hash(key, &bytes), 0xa129_ca61_49be_45e5);
    }

    #[test]
    fn a_pseudonym_is_unique_and_of_the_same_length() {
        let mut pseudonyms = Pseudonyms::new([1, 2]);
        let mut seen = BTreeSet::new();
        let bits = |text: &[u8]| text.iter().map(|byte| u32::from(LENGTHS[usize::from(*byte)])).sum::<u32>();
        for number in 0..3000u32 {
            let value = alloc::format!("/path/{number}?q=\"Wert {number}\"&\u{e9}");
            let word = pseudonyms.replace(value.as_bytes());
            assert_eq!(word.len(), value.len());
            assert_eq!(bits(&word), bits(value.as_bytes()));
            assert_eq!(word, pseudonyms.value(b":path", value.as_bytes()));
            assert!(word.starts_with(b"/") && word != value.as_bytes());
            assert!(seen.insert(word));
        }
        // All ten letters of five bits, each once; the last is unlikely to be found.
        let short: BTreeSet<_> = b"012aceiost".iter().map(|letter| pseudonyms.replace(&[*letter])).collect();
        assert!(short.len() >= 9, "{short:?}");
    }

    #[test]
    fn another_key_gives_other_pseudonyms() {
        let value = b"Bearer t0ps3cret-t0ps3cret";
        assert_ne!(Pseudonyms::new([1, 2]).replace(value), Pseudonyms::new([1, 3]).replace(value));
        assert_eq!(Pseudonyms::new([1, 2]).replace(value), Pseudonyms::new([1, 2]).replace(value));
    }

    #[test]
    fn the_replacement_of_a_host_is_a_host() {
        for key in 0..200 {
            let mut pseudonyms = Pseudonyms::new([key, 2]);
            let authority = pseudonyms.value(b":authority", b"User-1.example.ORG:443");
            let host = authority.strip_suffix(b":443").unwrap();
            assert!(host.iter().all(|byte| is_host_byte(*byte)), "{}", host.escape_ascii());
            assert_eq!(pseudonyms.value(b"x-host", b"User-1.example.ORG"), host);
        }
    }

    #[test]
    fn values_that_decide_behaviour_are_kept() {
        let mut pseudonyms = Pseudonyms::new([1, 2]);
        assert_eq!(pseudonyms.value(b"content-length", b"117"), b"117");
        assert_eq!(pseudonyms.value(b":method", b"PATCH"), b"PATCH");
        assert_eq!(pseudonyms.value(b"x-any", b"gzip, deflate"), b"gzip, deflate");
        let authority = pseudonyms.value(b":authority", b"bank.example:8443");
        assert!(authority.ends_with(b":8443") && !authority.starts_with(b"bank"));
        assert_eq!(pseudonyms.value(b"host", b"bank.example"), authority[..12]);
    }
}
