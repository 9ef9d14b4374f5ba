//! Fields that a sink keeps: they stay readable until the next block, whatever the rest of the
//! block does to the table meanwhile.

use thalweg_hpack::{Decoder, FieldRef, ListLimits, SinkAction};

use crate::support::unhex;

type List = Vec<(Vec<u8>, Vec<u8>)>;

/// Decodes a block whole: the fields as the sink saw them, and as they were held.
fn both(decoder: &mut Decoder, block: &[u8]) -> (List, List) {
    let (mut seen, mut refs): (List, Vec<FieldRef>) = Default::default();
    let totals = decoder.decode(block, ListLimits::NONE, |decoded| {
        let field = decoded.field();
        seen.push((field.name().to_vec(), field.value.to_vec()));
        refs.push(decoded.to_ref());
        SinkAction::Unchecked
    });
    assert_eq!(totals.map(|totals| totals.fields as usize), Ok(seen.len()));
    decoder.check();
    let kept = refs.iter().map(|refs| {
        let field = decoder.field(refs);
        assert_eq!(field.known_name(), refs.known_name());
        (field.name().to_vec(), field.value.to_vec())
    });
    let kept = kept.collect();
    (seen, kept)
}

#[test]
fn a_field_ref_resolves_to_the_same_field_after_its_block() {
    let mut decoder = Decoder::new(4096);
    // Of both tables; literals of all kinds, with and without an entry; one that is never indexed.
    let block =
        unhex("82 04 02 2f61 40 01 61 01 62 be 00 01 63 01 64 10 01 65 01 66 81 41 02 7878 bf 0f 2f 81 1f");
    for _ in 0..400 {
        let (seen, refs) = both(&mut decoder, &block);
        assert_eq!(refs, seen);
        assert_eq!(refs.len(), 10);
    }
}

#[test]
fn a_field_ref_outlives_the_eviction_of_its_entry() {
    // A table of three entries: the block pushes out each that it has named.
    let mut decoder = Decoder::new(102);
    let names: Vec<u8> = (b'a'..=b'z').flat_map(|name| [0x40, 1, name, 1, name, 0xbe]).collect();
    for _ in 0..100 {
        let (seen, refs) = both(&mut decoder, &names);
        assert_eq!(refs, seen);
        assert_eq!(seen.len(), 52);
    }
    // One that is larger than the table empties it.
    let large =
        [&unhex("40 01 61 01 62 40 01 63 70")[..], &[b'v'; 0x70], &unhex("82 00 01 64 01 65")].concat();
    let (seen, refs) = both(&mut decoder, &large);
    assert_eq!(refs, seen);
    assert_eq!(seen[1].1, [b'v'; 0x70]);
}

#[test]
fn referenced_text_stays_while_the_table_grows_for_its_block() {
    // Literals with and without an entry in turns, Huffman-coded and plain, to 16,000 octets from
    // nothing.
    for (with, without) in [("40 01 6e 7f 01", "00 01 6d 7f 02"), ("40 01 6e 7f 00", "0f 2b 7f 03")] {
        let mut block = Vec::new();
        for round in 0..60u8 {
            block.extend([&unhex(with)[..], &vec![b'a' + round % 26; with_len(with)]].concat());
            block.extend([&unhex("0f 2b 83 1b 11 ff"), &unhex(without)[..]].concat());
            block.extend(vec![b'A' + round % 26; with_len(without)]);
        }
        for table in [0, 200, 4096, 65_536] {
            let mut decoder = Decoder::new(table);
            for _ in 0..3 {
                let (seen, refs) = both(&mut decoder, &block);
                assert_eq!(refs, seen);
                assert_eq!(seen[178].1, b"a/b");
                assert_eq!(seen[179].1[0], b'A' + 59 % 26);
            }
        }
    }
}

/// The length that a literal's last integer gives to its value.
fn with_len(text: &str) -> usize {
    127 + usize::from(*unhex(text).last().unwrap())
}

#[test]
fn text_of_a_finished_block_is_freed() {
    // Entries and literals without one, in turns.
    let mut decoder = Decoder::new(4096);
    let mut most = 0;
    for round in 0..2000u32 {
        let mut block = Vec::new();
        for part in 0..8 {
            let id = format!("{:07}", round * 8 + part);
            block.extend(
                [&unhex("00 01 61 28")[..], &[b'g'; 40], &unhex("40 01 62 07"), id.as_bytes()].concat(),
            );
        }
        let (seen, refs) = both(&mut decoder, &block);
        assert_eq!(refs, seen);
        most = most.max(decoder.table_bytes());
    }
    // Twice the table, twice what a block delivers and an eighth, and the entries.
    assert!(most <= 2 * 4096 + 2 * 8 * 50 * 9 / 8 + 128 * 24, "{most}");
}

#[test]
fn resolving_a_stale_field_ref_does_not_panic() {
    let mut decoder = Decoder::new(4096);
    let mut kept = Vec::new();
    let block = |decoder: &mut Decoder, kept: &mut Vec<FieldRef>, value: usize| {
        let block = [&unhex("00 03 782d79")[..], &[value as u8], &vec![b'v'; value]].concat();
        let totals = decoder.decode(&block, ListLimits::NONE, |decoded| {
            kept.push(decoded.to_ref());
            SinkAction::Unchecked
        });
        assert!(totals.is_ok());
    };
    block(&mut decoder, &mut kept, 120);
    block(&mut decoder, &mut kept, 3);
    for refs in &kept {
        assert!(decoder.field(refs).value.len() <= 120);
    }
    assert!(Decoder::new(0).field(&kept[0]).value.is_empty());
}
