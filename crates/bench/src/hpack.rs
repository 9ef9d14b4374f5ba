//! A plain HPACK encoder for the fixtures (RFC 7541).
//!
//! Owns the field policy of the byte streams that every peer is fed. It is written apart from the
//! codec under test, so that a change there never changes what is measured, and it needs no C
//! library. Its policy is that of common browsers and of nghttp2: everything that fits enters the
//! dynamic table, but `:path` and `content-length`, which seldom repeat.

use std::collections::VecDeque;

/// The encoder of one direction of one connection.
#[derive(Debug, Default)]
pub struct PlainEncoder {
    /// Newest first, as RFC 7541 §2.3.3 numbers them.
    dynamic: VecDeque<(String, String)>,
    dynamic_bytes: usize,
}

/// How the fields of a block are represented.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Policy {
    /// Indexed where the tables have the field, and put into the dynamic table where they do not.
    Index,
    /// RFC 7541 §6.2.3: never indexed, every value a Huffman-coded literal.
    NeverIndex,
}

impl PlainEncoder {
    /// Encodes one header block.
    pub fn block(&mut self, fields: &[(&str, &str)], policy: Policy) -> Vec<u8> {
        let mut out = Vec::new();
        for &(name, value) in fields {
            match policy {
                Policy::Index => self.field(&mut out, name, value),
                Policy::NeverIndex => literal(&mut out, 0x10, 4, self.name_index(name), name, value),
            }
        }
        out
    }

    fn field(&mut self, out: &mut Vec<u8>, name: &str, value: &str) {
        if let Some(index) = self.index_of(name, value) {
            return integer(out, 0x80, 7, index);
        }
        let name_index = self.name_index(name);
        if matches!(name, ":path" | "content-length") {
            return literal(out, 0x00, 4, name_index, name, value);
        }
        literal(out, 0x40, 6, name_index, name, value);
        self.insert(name, value);
    }

    fn index_of(&self, name: &str, value: &str) -> Option<usize> {
        let fixed = STATIC.iter().find(|e| e.1 == name && e.2 == value).map(|e| e.0);
        fixed.or_else(|| {
            let at = self.dynamic.iter().position(|(n, v)| n == name && v == value)?;
            Some(STATIC_LEN + 1 + at)
        })
    }

    /// Returns the index of an entry with this name, or 0 where the name must be spelt out.
    fn name_index(&self, name: &str) -> usize {
        let fixed = STATIC.iter().find(|e| e.1 == name).map(|e| e.0);
        let known =
            fixed.or_else(|| self.dynamic.iter().position(|(n, _)| n == name).map(|at| STATIC_LEN + 1 + at));
        known.unwrap_or(0)
    }

    fn insert(&mut self, name: &str, value: &str) {
        // RFC 7541 §4.1: an entry counts 32 bytes more than its two strings.
        let bytes = name.len() + value.len() + 32;
        while self.dynamic_bytes + bytes > TABLE_BYTES_MAX {
            let Some((n, v)) = self.dynamic.pop_back() else { return };
            self.dynamic_bytes -= n.len() + v.len() + 32;
        }
        self.dynamic.push_front((name.to_owned(), value.to_owned()));
        self.dynamic_bytes += bytes;
    }
}

fn literal(out: &mut Vec<u8>, pattern: u8, prefix_bits: u32, name_index: usize, name: &str, value: &str) {
    integer(out, pattern, prefix_bits, name_index);
    if name_index == 0 {
        string(out, name.as_bytes());
    }
    string(out, value.as_bytes());
}

/// RFC 7541 §5.1: an integer behind the bits of `pattern`.
fn integer(out: &mut Vec<u8>, pattern: u8, prefix_bits: u32, value: usize) {
    let limit = (1usize << prefix_bits) - 1;
    if value < limit {
        out.push(pattern | value as u8);
        return;
    }
    out.push(pattern | limit as u8);
    let mut rest = value - limit;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// RFC 7541 §5.2: a string, Huffman-coded where that is shorter.
fn string(out: &mut Vec<u8>, text: &[u8]) {
    let bits: usize = text.iter().map(|&b| usize::from(CODE_BITS[usize::from(b)])).sum();
    let coded = bits.div_ceil(8);
    if coded >= text.len() {
        integer(out, 0x00, 7, text.len());
        out.extend_from_slice(text);
        return;
    }
    integer(out, 0x80, 7, coded);
    let (mut pending, mut pending_bits) = (0u64, 0u32);
    for &b in text {
        let bits = u32::from(CODE_BITS[usize::from(b)]);
        pending = pending << bits | u64::from(CODES[usize::from(b)]);
        pending_bits += bits;
        while pending_bits >= 8 {
            pending_bits -= 8;
            out.push((pending >> pending_bits) as u8);
        }
    }
    if pending_bits > 0 {
        // RFC 7541 §5.2: the padding is ones.
        let pad = 8 - pending_bits;
        out.push((pending << pad) as u8 | ((1u16 << pad) - 1) as u8);
    }
}

const TABLE_BYTES_MAX: usize = 4096;
const STATIC_LEN: usize = 61;

/// The entries of RFC 7541's Appendix A that the fixtures' fields meet, an exact match before its
/// name.
const STATIC: [(usize, &str, &str); 20] = [
    (1, ":authority", ""),
    (2, ":method", "GET"),
    (3, ":method", "POST"),
    (4, ":path", "/"),
    (6, ":scheme", "http"),
    (7, ":scheme", "https"),
    (8, ":status", "200"),
    (16, "accept-encoding", "gzip, deflate"),
    (17, "accept-language", ""),
    (19, "accept", ""),
    (24, "cache-control", ""),
    (28, "content-length", ""),
    (31, "content-type", ""),
    (32, "cookie", ""),
    (33, "date", ""),
    (38, "host", ""),
    (49, "range", ""),
    (51, "referer", ""),
    (54, "server", ""),
    (58, "user-agent", ""),
];

/// Bits of each symbol's code in RFC 7541's Appendix B. The code is canonical, so these are all of
/// it.
#[rustfmt::skip]
const CODE_BITS: [u8; 256] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28,
    28, 28, 28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7,
    7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21,
    23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24,
    21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
];

const CODES: [u32; 256] = canonical_codes();

/// Codes in order of their length, and of their symbols within a length, each one more than the
/// last.
const fn canonical_codes() -> [u32; 256] {
    let mut codes = [0; 256];
    let mut next = 0;
    let mut bits = 1;
    while bits <= 30 {
        next <<= 1;
        let mut symbol = 0;
        while symbol < 256 {
            if CODE_BITS[symbol] == bits {
                codes[symbol] = next;
                next += 1;
            }
            symbol += 1;
        }
        bits += 1;
    }
    codes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|b| format!("{b:02x}")).collect()
    }

    /// The three requests of RFC 7541 §C.4 share one dynamic table.
    #[test]
    fn huffman_requests_are_those_of_the_rfc() {
        let mut encoder = PlainEncoder::default();
        let authority = (":authority", "www.example.com");
        let first = [(":method", "GET"), (":scheme", "http"), (":path", "/"), authority];
        assert_eq!(hex(&encoder.block(&first, Policy::Index)), "828684418cf1e3c2e5f23a6ba0ab90f4ff");
        let second = [first[0], first[1], first[2], authority, ("cache-control", "no-cache")];
        assert_eq!(hex(&encoder.block(&second, Policy::Index)), "828684be5886a8eb10649cbf");
    }

    #[test]
    fn rare_values_stay_out_of_the_table() {
        let mut encoder = PlainEncoder::default();
        let fields = [(":path", "/a"), ("content-length", "128")];
        let first = encoder.block(&fields, Policy::Index);
        assert_eq!(first, encoder.block(&fields, Policy::Index));
        // Without indexing, by the name at index 4; two characters gain nothing from Huffman
        // coding.
        assert_eq!(hex(&first[..2]), "0402");
    }

    #[test]
    fn never_indexed_literals_repeat_in_full() {
        let mut encoder = PlainEncoder::default();
        let fields = [("te", "trailers"), ("user-agent", "thalweg")];
        let first = encoder.block(&fields, Policy::NeverIndex);
        assert_eq!(first[0], 0x10);
        assert_eq!(first, encoder.block(&fields, Policy::NeverIndex));
    }

    #[test]
    fn old_entries_make_room() {
        let mut encoder = PlainEncoder::default();
        let long = "v".repeat(1500);
        for name in ["a", "b", "c"] {
            encoder.block(&[(name, &long)], Policy::Index);
        }
        assert_eq!(encoder.dynamic.len(), 2);
        assert!(encoder.dynamic_bytes <= TABLE_BYTES_MAX);
    }
}
