//! Blocks of 16 KiB that cost a decoder more than they cost the peer that makes them.

use super::Decode;
use std::hint::black_box;
use std::time::Instant;

/// What a peer sends.
#[derive(Debug)]
pub struct Hostile {
    /// What is hostile about it.
    pub name: &'static str,
    /// A block that goes before, once.
    pub before: Vec<u8>,
    /// The block, to be sent again and again.
    pub block: Vec<u8>,
}

/// The octets of each block.
pub const BLOCK_BYTES: usize = 16 << 10;

/// Returns all hostile blocks.
pub fn all() -> Vec<Hostile> {
    let repeated = |name, unit: &[u8]| {
        let block = unit.iter().copied().cycle().take(BLOCK_BYTES / unit.len() * unit.len()).collect();
        Hostile { name, before: Vec::new(), block }
    };
    // One entry as large as a table of 4096 allows: 4000 octets of name, 64 of value.
    let (name, value) = ([b'n'; 4000], [b'v'; 64]);
    let large = [&[0x40, 0x7f, 0xa1, 0x1e][..], &name, &[64], &value].concat();
    // The longest codes: 0x0a, 0x0d and 0x16 take 30 bits each, so 15 octets hold four of them.
    let long_codes =
        [[0xff, 0xff, 0xff, 0xf3, 0xff, 0xff, 0xff, 0xdf, 0xff, 0xff, 0xff, 0xbf, 0xff, 0xff, 0xfc]; 1090]
            .concat();
    let coded = [&[0x00, 0x01, b'n', 0xff, 0xdf, 0x7e][..], &long_codes[..16350], &[0x82; 28]].concat();
    // Of 13 bits and of 5 by turns, `$a$a$a$a` in nine octets: no look-up helps the next.
    let by_turns = [0xff, 0xc8, 0xff, 0xf2, 0x3f, 0xfc, 0x8f, 0xff, 0x23].repeat(1818);
    let by_turns = [&[0x00, 0x01, b'n', 0xff, 0xeb, 0x7e][..], &by_turns, &[0x82; 16]].concat();
    vec![
        repeated("static fields of one octet", &[0x82]),
        Hostile { before: large.clone(), ..repeated("the largest entry, by one octet", &[0xbe]) },
        repeated("empty huffman strings", &[0x00, 0x80, 0x80]),
        repeated("huffman strings of one octet", &[0x00, 0x81, 0x1f, 0x81, 0x1f]),
        repeated("insertions of two huffman strings", &[0x40, 0x81, 0x1f, 0x81, 0x1f]),
        repeated("insertions of two octets", &[0x41, 0x00]),
        Hostile { before: large, ..repeated("insertions of the largest name, by two octets", &[0x7e, 0x00]) },
        Hostile { name: "the longest huffman codes", before: Vec::new(), block: coded },
        Hostile { name: "long and short huffman codes by turns", before: Vec::new(), block: by_turns },
    ]
}

/// Nanoseconds that a decoder takes for each block whose name contains `name`: the best of
/// `passes`.
pub fn run<D: Decode>(passes: usize, name: &str) -> String {
    let lines = all().into_iter().filter(|hostile| hostile.name.contains(name)).map(|hostile| {
        let mut decoder = D::new();
        decoder.block(&hostile.before);
        let best = (0..passes).map(|_| {
            let start = Instant::now();
            black_box(decoder.block(&hostile.block));
            start.elapsed().as_nanos()
        });
        format!("{} ns: {}\n", best.min().unwrap_or_default(), hostile.name)
    });
    lines.collect()
}
