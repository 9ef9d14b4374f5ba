//! Blocks that are decoded in fragments without being kept: the table is what a whole block would
//! have made of it, wherever the block is cut, and large strings are not kept.

use thalweg_hpack::{BlockSkipper, DecodeError, Decoder};

use crate::support::{decode, entries, integer, list, literal, unhex};

/// Skips a block in fragments.
fn skip<'f>(
    decoder: &mut Decoder,
    fragments: impl IntoIterator<Item = &'f [u8]>,
) -> Result<usize, DecodeError> {
    let mut skipper = BlockSkipper::new();
    let mut kept = 0;
    for fragment in fragments {
        skipper.push(decoder, fragment)?;
        kept = kept.max(skipper.capacity_bytes());
    }
    skipper.finish(decoder)?;
    decoder.check();
    Ok(kept)
}

/// A decoder with entries of all kinds in its table.
fn primed() -> Decoder {
    let mut decoder = Decoder::new(4096);
    let block = [
        literal(0x40, b"x-first", b"1"),
        literal(0x40, "n".repeat(90).as_bytes(), b"2"),
        literal(0x40, b"cookie", b"crumb"),
    ];
    decode(&mut decoder, &block.concat()).unwrap();
    decoder
}

/// Blocks that use each representation, with strings of each kind.
fn blocks() -> Vec<Vec<u8>> {
    let large = vec![b'v'; 5000];
    vec![
        vec![],
        unhex("20 3f e1 1f"), // size updates alone: to 0, to 4096
        [unhex("3f e1 0f 82"), literal(0x40, b"a", b"1")].concat(), // to 2048
        unhex("82 86 be bf c0"), // indexed, of both tables
        unhex("7e 01 61 7f 00 01 62 7f 01 81 1f"), // names of entries, the long one too
        unhex("00 81 1f 81 1f 10 01 62 81 1f 0f 2f 01 63"), // literals that enter no table
        unhex("40 81 1f 00 40 01 61 00 00 00 00 40 00 00"), // empty strings
        literal(0x40, b"x-mid", &[b'm'; 900]),
        [literal(0x40, b"x-large", &large), literal(0x40, b"x-after", b"1")].concat(),
        [literal(0x00, b"x-large", &large), literal(0x40, b"x-after", b"1")].concat(),
        [literal(0x10, &large, &large), unhex("be")].concat(),
        [literal(0x40, &large, b""), literal(0x40, b"x-after", b"1")].concat(),
        // The name of an entry and a value that empties the table, Huffman-coded.
        [unhex("7f 00"), integer(0x80, 0x7f, 20_000), vec![0x18; 20_000], unhex("82")].concat(),
        // Huffman-coded, and just small enough: 30 bits for each octet.
        [unhex("40 01 61"), integer(0x80, 0x7f, 15), unhex("ffffff3f ffffcfff fff3ffff fcffff ff")].concat(),
    ]
}

#[test]
fn s4_3_a_block_cut_anywhere_leaves_the_table_of_the_whole_block() {
    for block in blocks() {
        let mut whole = primed();
        let decoded = decode(&mut whole, &block).map(|_| entries(&mut whole));
        let step = 1 + block.len() / 400;
        for cut in (0..=block.len()).step_by(step) {
            let mut decoder = primed();
            let (one, two) = block.split_at(cut);
            let skipped = skip(&mut decoder, [one, two]).map(|_| entries(&mut decoder));
            assert_eq!(skipped, decoded, "cut at {cut}: {block:02x?}");
        }
        for len in [1, 2, 3, 7, 64] {
            let mut decoder = primed();
            let skipped = skip(&mut decoder, block.chunks(len)).map(|_| entries(&mut decoder));
            assert_eq!(skipped, decoded, "cut each {len}: {block:02x?}");
        }
    }
}

#[test]
fn s4_3_a_block_that_ends_early_is_truncated_wherever_it_is_cut() {
    for block in [literal(0x40, b"x-name", b"value"), literal(0x00, b"x-name", b"value"), unhex("3f e1 0f")] {
        for end in 1..block.len() {
            let mut decoder = primed();
            assert_eq!(skip(&mut decoder, block[..end].chunks(1)), Err(DecodeError::Truncated));
            assert_eq!(decode(&mut decoder, b""), Err(DecodeError::Truncated), "an error is final");
        }
    }
}

#[test]
fn bad_fields_are_refused_in_fragments_as_in_whole_blocks() {
    let cases = [
        unhex("80"),                      // index 0
        unhex("c1"),                      // past the end
        unhex("7f 02 01 61"),             // the same, of a name
        unhex("0f 32 01 61"),             // the same, of a field that enters no table
        unhex("82 20"),                   // a late size update
        unhex("3f e2 1f"),                // one that is too large
        unhex("ff ff ff ff ff ff 01"),    // an integer that is too large
        unhex("00 81 00 01 61"),          // padding of zeros
        unhex("00 01 61 84 ff ff ff ff"), // end-of-string
        [unhex("40 01 61 ff a1 9f 01"), vec![0x00; 1]].concat(),
        [unhex("40 01 61"), integer(0x80, 0x7f, 20_000), vec![0xff; 20_000]].concat(),
    ];
    for block in cases {
        let expected = decode(&mut primed(), &block).unwrap_err();
        for len in [1, 2, 5, usize::MAX] {
            let error = skip(&mut primed(), block.chunks(len)).unwrap_err();
            assert_eq!(error, expected, "{len}: {:02x?}", &block[..block.len().min(20)]);
        }
    }
}

#[test]
fn s4_2_a_size_update_that_is_due_is_demanded_of_a_skipped_block() {
    for (block, good) in [("20", true), ("3f 45", true), ("3f 46", false), ("82", false), ("", false)] {
        let mut decoder = primed();
        decoder.set_table_bytes_max(100);
        let skipped = skip(&mut decoder, unhex(block).chunks(1)).map(drop);
        let expected = if good { Ok(()) } else { Err(DecodeError::SizeUpdateMissing { bytes_max: 100 }) };
        let expected = if block == "3f 46" {
            Err(DecodeError::SizeUpdateTooLarge { bytes: 101, bytes_max: 100 })
        } else {
            expected
        };
        assert_eq!(skipped, expected, "{block}");
    }
}

/// A literal that cannot enter the table, and one that is as long as an entry may be.
#[test]
fn what_is_kept_between_two_fragments_is_bounded_by_the_table() {
    let mebibyte = vec![b'v'; 1 << 20];
    let mut huffman = [unhex("40 01 61"), integer(0x80, 0x7f, 15_000)].concat();
    huffman.resize(huffman.len() + 14_999, 0x18);
    huffman.push(0x1f);
    for (block, kept_max) in [
        (literal(0x00, b"x-large", &mebibyte), 16),
        (literal(0x40, b"x-large", &mebibyte), 32),
        (literal(0x40, &mebibyte, &mebibyte), 16),
        (literal(0x40, b"x-fits", &[b'v'; 4000]), 8 << 10),
        (huffman, 32 << 10),
    ] {
        let mut decoder = primed();
        let kept = skip(&mut decoder, block.chunks(100)).unwrap();
        assert!(kept <= kept_max, "{kept} bytes kept, {kept_max} expected");
        assert!(decoder.table_bytes() < 64 << 10, "{}", decoder.table_bytes());
    }
}

#[test]
fn the_next_block_refers_to_entries_of_a_skipped_one() {
    let mut decoder = primed();
    let block = [literal(0x00, b"x", &[b'v'; 40_000]), literal(0x40, b"x-kept", b"yes")].concat();
    skip(&mut decoder, block.chunks(16_384)).unwrap();
    assert_eq!(decode(&mut decoder, &unhex("be bf")), Ok(list(&[("x-kept", "yes"), ("cookie", "crumb")])));
}
