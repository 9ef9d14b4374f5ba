//! What the encoder chooses.

use thalweg_hpack::{Decoder, Encoder, Field, Indexing, KnownName, PreparedField};

use crate::support::{decode, encode, entries, list, literal, unhex};

/// The block of one field in a table that nothing else has touched.
fn block_of(encoder: &mut Encoder, field: Field<'_>) -> Vec<u8> {
    let mut block = Vec::new();
    encoder.start_block(&mut block);
    encoder.encode(field, &mut block);
    block
}

#[test]
fn fields_that_change_with_every_message_stay_out_of_the_table() {
    for name in [
        ":path",
        "age",
        "content-length",
        "etag",
        "if-modified-since",
        "if-none-match",
        "last-modified",
        "set-cookie",
    ] {
        let mut encoder = Encoder::new(4096, 1);
        let first = block_of(&mut encoder, Field::new(name.as_bytes(), b"12345"));
        assert_eq!(first[0] & 0xf0, 0x00, "{name}");
        assert_eq!(block_of(&mut encoder, Field::new(name.as_bytes(), b"12345")), first);
        // Unless the caller knows better.
        let always = Field::new(name.as_bytes(), b"12345").with_indexing(Indexing::Always);
        assert_eq!(block_of(&mut encoder, always)[0] & 0xc0, 0x40);
        assert_eq!(block_of(&mut encoder, always), [0xbe]);
    }
}

#[test]
fn other_fields_enter_the_table_and_are_found_there() {
    let mut encoder = Encoder::new(4096, 1);
    let fields = list(&[
        ("accept", "*/*"),
        ("date", "today"),
        ("te", "trailers"),
        ("x-id", "1"),
        ("x-id", "2"),
        ("", ""),
    ]);
    let first = encode(&mut encoder, &fields);
    assert!(first.len() > 20);
    assert_eq!(encode(&mut encoder, &fields), unhex("c3 c2 c1 c0 bf be"));
}

#[test]
fn a_field_without_indexing_is_not_looked_up_and_not_entered() {
    let mut encoder = Encoder::new(4096, 1);
    let field = Field::new(b"x", b"y").with_indexing(Indexing::NotIndexed);
    assert_eq!(block_of(&mut encoder, field), literal(0x00, b"x", b"y"));
    block_of(&mut encoder, Field::new(b"x", b"y"));
    // The name is taken from the entry; the value is spelled out.
    assert_eq!(block_of(&mut encoder, field), unhex("0f 2f 01 79"));
}

#[test]
fn a_large_field_does_not_push_out_all_others() {
    let mut encoder = Encoder::new(4096, 1);
    for (len, is_indexed) in [(3072 - 33, true), (3072 - 32, false), (5000, false)] {
        let value = vec![0x01; len];
        assert_eq!(block_of(&mut encoder, Field::new(b"n", &value))[0] == 0x40, is_indexed, "{len}");
    }
    for (len, is_indexed) in [(4096 - 33, true), (4096 - 32, false)] {
        let value = vec![0x02; len];
        let field = Field::new(b"n", &value).with_indexing(Indexing::Always);
        assert_eq!(block_of(&mut encoder, field)[0] & 0xc0 == 0x40, is_indexed, "{len}");
    }
}

#[test]
fn s5_2_a_string_takes_the_shorter_of_its_forms() {
    // "0" to "2" and "a" take five bits, "&" eight, 0x01 twenty-three.
    for (value, expected) in [
        ("", "00"),
        ("a", "01 61"),
        ("aa", "02 6161"),
        ("aaa", "82 18c7"),
        ("&&", "02 2626"),
        ("&&aaa", "84 f8f8 18c7"),
        ("aaaaaaaa\u{1}", "88 18c6318c63 ffffb1"),
        ("aaa\u{1}", "04 61616101"),
    ] {
        let expected = [vec![0x04], unhex(expected)].concat();
        assert_eq!(
            block_of(&mut Encoder::new(4096, 1), Field::new(b":path", value.as_bytes())),
            expected,
            "{value:?}"
        );
    }
}

#[test]
fn s5_2_strings_of_every_length_and_kind_come_back() {
    // Common octets, octets of long codes, and both; lengths around every edge of the length's
    // integer.
    let kinds: [fn(usize) -> u8; 7] = [
        |at| b"e0 /-t~Z"[at % 8],
        |at| (at * 37) as u8,
        |at| if at % 9 == 0 { 0xfe } else { b'o' },
        |_| 0x0a,
        |at| if at % 2 == 0 { b'$' } else { b'a' },
        |at| if at % 20 == 0 { b'~' } else { b'&' },
        |at| b"$a\\\xc3&"[at % 5],
    ];
    for kind in kinds {
        for len in (0..300).chain([16_250, 16_383, 16_384, 20_000, 26_000]) {
            let value: Vec<u8> = (0..len).map(kind).collect();
            let block = block_of(&mut Encoder::new(4096, 1), Field::new(b":path", &value));
            assert!(block.len() <= len + 5, "{} for {len}", block.len());
            let decoded = decode(&mut Decoder::new(4096), &block).unwrap();
            assert_eq!(decoded, [(b":path".to_vec(), value)], "{len}");
        }
    }
}

#[test]
fn output_is_appended_to_what_is_there() {
    let mut encoder = Encoder::new(4096, 1);
    let mut out = b"before".to_vec();
    encoder.encode(Field::new(b"a", &[b'a'; 500]), &mut out);
    encoder.encode(Field::new(b"a", &[0x01; 500]), &mut out);
    assert_eq!(&out[..6], b"before");
    let fields = decode(&mut Decoder::new(4096), &out[6..]).unwrap();
    assert_eq!(fields, [(b"a".to_vec(), vec![b'a'; 500]), (b"a".to_vec(), vec![0x01; 500])]);
}

#[test]
fn a_prepared_field_is_encoded_as_any_other() {
    let fields = [
        Field::new(b"server", b"thalweg"),
        Field::with_known_name(KnownName::STATUS, b"200"),
        Field::with_known_name(KnownName::STATUS, b"299"),
        Field::new(b"x-frame-options", b"deny"),
        Field::new(b"x-own", b"1"),
        Field::new(b"authorization", b"secret"),
        Field::new(b"x-own", b"1").sensitive(),
        Field::with_known_name(KnownName::METHOD, b"GET").sensitive(),
        Field::new(b"x-own", b"1").with_indexing(Indexing::NotIndexed),
        Field::new(b"content-length", b"17"),
    ];
    for seed in [7, 8] {
        // The seed of the prepared fields is that of one of the encoders only.
        let (mut plain, mut prepared) = (Encoder::new(4096, seed), Encoder::new(4096, seed));
        for turn in 0..3 {
            for field in fields {
                let (mut one, mut other) = (Vec::new(), Vec::new());
                plain.encode(field, &mut one);
                prepared.encode_prepared(&PreparedField::new(field, 7), &mut other);
                assert_eq!(one, other, "{field:?} in turn {turn}");
            }
        }
    }
}

#[test]
fn entries_are_found_in_a_table_that_turns_over() {
    // Many names and values in a small table: chains through evicted entries, rings that grow and
    // wrap.
    let mut encoder = Encoder::new(700, 3);
    let mut decoder = Decoder::new(4096);
    let mut hits = 0;
    for turn in 0..5000u32 {
        let number = turn.wrapping_mul(2_654_435_761) >> 20;
        let (name, value) = (format!("n{}", number % 5), format!("v{}", number / 5 % 4));
        let fields = list(&[(&name, &value), ("te", &value)]);
        let known = entries(&mut decoder);
        let block = encode(&mut encoder, &fields);
        assert_eq!(decode(&mut decoder, &block).as_ref(), Ok(&fields));
        // An entry that is there is used, not spelled out.
        if known.contains(&fields[0]) && known.contains(&fields[1]) {
            assert_eq!(block.len(), 2, "turn {turn}");
            hits += 1;
        }
    }
    assert!(hits > 500, "{hits}");
}
