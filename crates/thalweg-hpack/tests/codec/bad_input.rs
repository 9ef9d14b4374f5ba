//! What a peer must not send, each with its error, and that an error is final.

use thalweg_hpack::{DecodeError, Decoder, Encoder, Indexing, ListLimits, SinkAction};

use crate::support::{List, decode, encode_as, entries, integer, list, literal, unhex};

/// The error of a block in a new decoder.
fn error(block: &[u8]) -> DecodeError {
    let mut decoder = Decoder::new(4096);
    let error = decode(&mut decoder, block).unwrap_err();
    // An error is final: nothing that follows can be trusted.
    assert_eq!(decode(&mut decoder, &[0x82]), Err(error));
    error
}

#[test]
fn s2_3_3_an_index_past_both_tables_is_an_error() {
    // 7541-2.3.3-2
    for (flags, mask) in [(0x80, 0x7f), (0x40, 0x3f), (0x00, 0x0f), (0x10, 0x0f)] {
        for index in [62, 63, 127, 1000, u32::MAX] {
            let block = [integer(flags, mask, u64::from(index)), unhex("01 61")].concat();
            assert_eq!(error(&block), DecodeError::IndexPastEnd { index, last: 61 });
            let after_one = [literal(0x40, b"n", b"v"), block].concat();
            if index > 62 {
                assert_eq!(error(&after_one), DecodeError::IndexPastEnd { index, last: 62 });
            }
        }
    }
}

#[test]
fn s6_1_index_0_of_an_indexed_field_is_an_error() {
    // 7541-6.1-2
    assert_eq!(error(&[0x80]), DecodeError::IndexZero);
    assert_eq!(error(&[0x82, 0x80]), DecodeError::IndexZero);
}

#[test]
fn s5_1_an_integer_that_is_too_large_or_too_long_is_an_error() {
    // 7541-5.1-2, 7541-5.1-3, 7541-7.4-1
    for (flags, mask) in [(0x80, 0x7f), (0x40, 0x3f), (0x00, 0x0f), (0x10, 0x0f), (0x20, 0x1f)] {
        for more in ["80 80 80 80 10", "ff ff ff ff 7f", "80 80 80 80 80 00", "ff ff ff ff ff ff ff ff ff 01"]
        {
            let block = [vec![flags | mask], unhex(more)].concat();
            assert_eq!(error(&block), DecodeError::IntegerTooLarge, "{flags:x} {more}");
        }
    }
    // The length of a name, and of a value.
    assert_eq!(error(&unhex("40 7f 80 80 80 80 10")), DecodeError::IntegerTooLarge);
    assert_eq!(error(&unhex("40 01 61 ff 80 80 80 80 80 00")), DecodeError::IntegerTooLarge);
}

#[test]
fn s5_1_an_integer_may_be_longer_than_it_needs() {
    // 7541-5.1-1
    assert_eq!(
        decode(&mut Decoder::new(4096), &unhex("0f 80 80 80 80 00 01 61")),
        Ok(list(&[("accept-charset", "a")]))
    );
    assert_eq!(decode(&mut Decoder::new(4096), &unhex("00 01 61 01 62")), Ok(list(&[("a", "b")])));
}

#[test]
fn s5_2_a_string_longer_than_its_block_is_truncated() {
    // 7541-7.4-1
    for block in ["40 02 61", "40 01 61 02 62", "40 81", "41 7f ff ff ff 7f 61", "41 ff 80 ff ff ff 0f 61"] {
        assert_eq!(error(&unhex(block)), DecodeError::Truncated, "{block}");
    }
}

#[test]
fn s5_2_padding_of_a_whole_octet_is_an_error() {
    // 7541-5.2-2
    // 'a' is 00011; seven bits of padding are right, eight and more are not.
    for value in ["82 1f ff", "83 1f ff ff", "81 ff", "82 ff ff", "83 ff ff ff"] {
        assert_eq!(error(&unhex(&format!("41 {value}"))), DecodeError::HuffmanPadding, "{value}");
    }
    // '9' is 011111: one octet of it has two ones of padding.
    assert_eq!(decode(&mut Decoder::new(0), &unhex("41 81 7f")), Ok(list(&[(":authority", "9")])));
    // 0xf8 is '&', and no padding is needed.
    assert_eq!(decode(&mut Decoder::new(0), &unhex("41 81 f8")), Ok(list(&[(":authority", "&")])));
}

#[test]
fn s5_2_padding_other_than_ones_is_an_error() {
    // 7541-5.2-3
    // All ends of an octet that begins with 'a': only ones are padding, all else is half a code.
    for octet in 0b0001_1000..=0b0001_1111 {
        let block = [0x41, 0x81, octet];
        if octet == 0b0001_1111 {
            assert_eq!(decode(&mut Decoder::new(0), &block), Ok(list(&[(":authority", "a")])));
        } else {
            assert_eq!(error(&block), DecodeError::HuffmanPadding, "{octet:b}");
        }
    }
    // Half of a long code, after eight octets and more.
    assert_eq!(error(&unhex("41 89 1863 1863 1863 1863 00")), DecodeError::HuffmanPadding);
    assert_eq!(error(&unhex("41 8a 1863 1863 1863 1863 1f fe")), DecodeError::HuffmanPadding);
}

#[test]
fn s5_2_end_of_string_is_an_error_at_every_position() {
    // 7541-5.2-4
    for value in
        ["84 ff ff ff ff", "84 ff ff ff fc", "85 1f ff ff ff ff", "8c 1863 1863 1863 1863 ff ff ff ff"]
    {
        assert_eq!(error(&unhex(&format!("41 {value}"))), DecodeError::HuffmanEndOfString, "{value}");
    }
    // In a name as well.
    assert_eq!(error(&unhex("40 84 ff ff ff ff 00")), DecodeError::HuffmanEndOfString);
}

#[test]
fn s4_2_a_size_update_after_a_field_is_an_error() {
    // 7541-4.2-3
    assert_eq!(error(&unhex("82 20")), DecodeError::SizeUpdateLate);
    assert_eq!(error(&unhex("20 82 3f e1 1f")), DecodeError::SizeUpdateLate);
    assert_eq!(error(&[literal(0x40, b"n", b"v"), unhex("3f 00")].concat()), DecodeError::SizeUpdateLate);
}

#[test]
fn s4_2_size_updates_before_all_fields_are_taken_in_order() {
    // 7541-4.2-3, 7541-4.3-1
    let mut decoder = Decoder::new(4096);
    decode(&mut decoder, &literal(0x40, b"n", b"v")).unwrap();
    assert_eq!(decode(&mut decoder, &unhex("20 3f e1 1f 3f 00 82")), Ok(list(&[(":method", "GET")])));
    assert_eq!(entries(&mut decoder), []);
    // A block of updates alone is a block without fields.
    assert_eq!(decode(&mut decoder, &unhex("20 3f e1 1f")), Ok(List::new()));
    assert_eq!(decode(&mut decoder, b""), Ok(List::new()));
}

#[test]
fn s6_3_a_size_update_above_the_limit_is_an_error() {
    // 7541-6.3-3
    let mut decoder = Decoder::new(4096);
    decode(&mut decoder, &integer(0x20, 0x1f, 4096)).unwrap();
    let above = DecodeError::SizeUpdateTooLarge { bytes: 4097, bytes_max: 4096 };
    assert_eq!(decode(&mut decoder, &integer(0x20, 0x1f, 4097)), Err(above));
    let mut decoder = Decoder::new(4096);
    decoder.set_table_bytes_max(u32::MAX);
    decode(&mut decoder, &integer(0x20, 0x1f, u64::from(u32::MAX))).unwrap();
    decode(&mut decoder, &literal(0x40, b"n", b"v")).unwrap();
    assert_eq!(entries(&mut decoder), list(&[("n", "v")]));
}

#[test]
fn s4_2_a_lowered_limit_requires_a_size_update() {
    // 9113-4.3.1-4, 7541-4.2-4
    // The limits that were set and acknowledged, the block, and what becomes of it.
    let cases: [(&[u32], &str, Option<u32>); 12] = [
        (&[100], "82", Some(100)),
        (&[100], "", Some(100)),
        (&[100], "3f 45 82", None),
        (&[100], "3f 44 82", None),
        (&[0], "20 82", None),
        (&[4096], "82", None),
        (&[8000], "82", None),
        (&[100, 4096], "82", Some(100)),
        (&[100, 4096], "3f e1 1f 82", Some(100)),
        (&[100, 4096], "3f e1 1f 20 82", Some(100)),
        (&[100, 4096], "20 3f e1 1f 82", None),
        (&[300, 100, 200], "3f 45 3f a9 01 82", None),
    ];
    for (limits, block, due) in cases {
        let mut decoder = Decoder::new(4096);
        for bytes in limits {
            decoder.set_table_bytes_max(*bytes);
        }
        let decoded = decode(&mut decoder, &unhex(block));
        match due {
            Some(bytes_max) => assert_eq!(decoded, Err(DecodeError::SizeUpdateMissing { bytes_max })),
            None => assert!(decoded.is_ok(), "{limits:?} {block}: {decoded:?}"),
        }
    }
    // Too large even for what was due.
    let mut decoder = Decoder::new(4096);
    decoder.set_table_bytes_max(100);
    let above = DecodeError::SizeUpdateTooLarge { bytes: 101, bytes_max: 100 };
    assert_eq!(decode(&mut decoder, &integer(0x20, 0x1f, 101)), Err(above));
}

#[test]
fn s4_2_a_limit_that_the_peer_never_used_requires_no_update() {
    // 9113-4.3.1-4
    let mut decoder = Decoder::new(4096);
    decode(&mut decoder, &integer(0x20, 0x1f, 50)).unwrap();
    decoder.set_table_bytes_max(100);
    assert_eq!(decode(&mut decoder, &[0x82]), Ok(list(&[(":method", "GET")])));
}

/// A block with every representation, both forms of strings, and long ones.
fn rich_block() -> Vec<u8> {
    let long = "x".repeat(300);
    let mut encoder = Encoder::new(100, 1);
    let mut block = Vec::new();
    encoder.start_block(&mut block);
    for indexing in [Indexing::Always, Indexing::Default, Indexing::NotIndexed, Indexing::Never] {
        let fields = list(&[
            (":method", "GET"),
            (":path", "/a/b?c=d"),
            ("x-name", "\u{1}\u{2}"),
            ("x-name", "some value"),
            ("te", &long),
        ]);
        block.extend(encode_as(&mut encoder, &fields, indexing));
    }
    block
}

#[test]
fn a_block_cut_anywhere_is_truncated_or_ends_between_fields() {
    let block = rich_block();
    let whole = decode(&mut Decoder::new(4096), &block).unwrap();
    assert_eq!(whole.len(), 20);
    let mut ends = 0;
    for end in 0..block.len() {
        let mut decoder = Decoder::new(4096);
        match decode(&mut decoder, &block[..end]) {
            Ok(fields) => {
                assert_eq!(fields, whole[..fields.len()], "cut at {end}");
                ends += 1;
                // The table is where it was when those fields were through.
                let mut other = Decoder::new(4096);
                decode(&mut other, &block[..end]).unwrap();
                assert_eq!(entries(&mut decoder), entries(&mut other));
            }
            Err(error) => assert_eq!(error, DecodeError::Truncated, "cut at {end}"),
        }
    }
    // After the size update's last octet, and after each field but the last.
    assert_eq!(ends, 1 + 20);
}

#[test]
fn fields_before_an_error_were_delivered_and_no_others() {
    let mut decoder = Decoder::new(4096);
    let mut seen = 0;
    let decoded = decoder.decode(&unhex("82 84 80 86"), ListLimits::NONE, |_| {
        seen += 1;
        SinkAction::Valid
    });
    assert_eq!((decoded, seen), (Err(DecodeError::IndexZero), 2));
}

#[test]
fn no_block_of_two_octets_panics() {
    for first in 0..=255u8 {
        let _ = decode(&mut Decoder::new(4096), &[first]);
        for second in 0..=255u8 {
            let _ = decode(&mut Decoder::new(4096), &[first, second]);
        }
    }
}

#[test]
fn error_messages_contain_the_value_and_the_limit() {
    let texts = [
        (DecodeError::Truncated, "header block ends inside a field"),
        (DecodeError::IntegerTooLarge, "integer in header block exceeds 4294967295"),
        (DecodeError::IndexZero, "indexed field with index 0"),
        (
            DecodeError::IndexPastEnd { index: 70, last: 65 },
            "index 70 is past the end of the table, last is 65",
        ),
        (DecodeError::HuffmanEndOfString, "huffman string contains the end-of-string symbol"),
        (DecodeError::HuffmanPadding, "huffman string is not padded with up to 7 one bits"),
        (DecodeError::SizeUpdateTooLarge { bytes: 9, bytes_max: 8 }, "table size update to 9, limit 8"),
        (DecodeError::SizeUpdateLate, "table size update after a field"),
        (DecodeError::SizeUpdateMissing { bytes_max: 7 }, "table size update to at most 7 is missing"),
    ];
    for (error, text) in texts {
        assert_eq!(error.to_string(), text);
        let _: &dyn core::error::Error = &error;
    }
}
