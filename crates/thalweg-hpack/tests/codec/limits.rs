//! Bounds on what is delivered of a block, and that the table stays in step past them.

use thalweg_hpack::{Checked, Decoder, ListLimit, ListLimits, SinkAction, Totals};

use crate::support::{List, decode, entries, integer, list, literal, unhex};

/// Decodes a block and returns what came out of it.
fn within(decoder: &mut Decoder, block: &[u8], limits: ListLimits) -> (List, Totals) {
    let mut seen = List::new();
    let totals = decoder.decode(block, limits, |decoded| {
        seen.push((decoded.field().name().to_vec(), decoded.field().value.to_vec()));
        SinkAction::Valid
    });
    (seen, totals.unwrap())
}

/// Three fields of 34, 34 and 35 octets, all of which enter the table.
fn three() -> (Vec<u8>, List) {
    let fields = [(b"a", &b"1"[..]), (b"b", b"2"), (b"c", b"33")];
    let block = fields.iter().map(|(name, value)| literal(0x40, *name, value)).collect::<Vec<_>>().concat();
    (block, list(&[("a", "1"), ("b", "2"), ("c", "33")]))
}

#[test]
fn s6_5_2_a_list_at_its_limit_is_delivered_whole() {
    let (block, fields) = three();
    for (list_bytes_max, fields_max) in [(103, 3), (103, u32::MAX), (u32::MAX, 3)] {
        let limits = ListLimits { list_bytes_max, fields_max };
        let (seen, totals) = within(&mut Decoder::new(4096), &block, limits);
        assert_eq!(seen, fields);
        assert_eq!(totals, Totals { list_bytes: 103, fields: 3, over_limit: None, stopped: false });
    }
}

#[test]
fn s6_5_2_past_a_limit_delivery_stops_and_the_table_stays_in_step() {
    let (block, fields) = three();
    let cases = [
        (102, 9, 2, ListLimit::ListBytes),
        (68, 9, 2, ListLimit::ListBytes),
        (67, 9, 1, ListLimit::ListBytes),
        (33, 9, 0, ListLimit::ListBytes),
        (0, 9, 0, ListLimit::ListBytes),
        (999, 2, 2, ListLimit::Fields),
        (999, 1, 1, ListLimit::Fields),
        (999, 0, 0, ListLimit::Fields),
        (67, 1, 1, ListLimit::ListBytes),
    ];
    for (list_bytes_max, fields_max, delivered, limit) in cases {
        let mut decoder = Decoder::new(4096);
        let (seen, totals) = within(&mut decoder, &block, ListLimits { list_bytes_max, fields_max });
        assert_eq!(seen, fields[..delivered]);
        let over_limit = Some(limit);
        assert_eq!(totals, Totals { list_bytes: 103, fields: 3, over_limit, stopped: false });
        let mut newest_first = fields.clone();
        newest_first.reverse();
        assert_eq!(entries(&mut decoder), newest_first);
    }
}

#[test]
fn past_a_limit_every_representation_is_still_decoded() {
    let long_name = "n".repeat(70);
    let block = [
        literal(0x40, b"a", b"1"),
        literal(0x40, long_name.as_bytes(), b"2"),
        unhex("7e 81 1f"),                 // the long name again, 'a'
        unhex("82 bf"),                    // indexed, of either table
        literal(0x10, b"b", b"3"),         // never indexed
        unhex("0f 2f 81 1f"),              // without indexing, name of entry 62
        unhex("00 81 1f 81 1f"),           // Huffman-coded name and value
        literal(0x40, b"a", &[b'v'; 200]), // a length of two octets
    ]
    .concat();
    let mut whole = Decoder::new(4096);
    let (all, totals) = within(&mut whole, &block, ListLimits::NONE);
    assert_eq!(all.len(), 9);
    for fields_max in 0..9 {
        let mut decoder = Decoder::new(4096);
        let limits = ListLimits { fields_max, ..ListLimits::NONE };
        let (seen, bounded) = within(&mut decoder, &block, limits);
        assert_eq!(seen, all[..fields_max as usize]);
        assert_eq!((bounded.fields, bounded.list_bytes), (totals.fields, totals.list_bytes));
        assert_eq!(entries(&mut decoder), entries(&mut whole));
    }
}

#[test]
fn past_a_limit_insertions_of_every_shape_are_the_same_as_before_it() {
    let long_name = [b'n'; 70];
    let shapes = [
        unhex("41 00"),                          // a known name, no value
        unhex("41 03 616263"),                   // a value of a few octets,
        literal(0x40, b"te", &[b'v'; 16]),       // of as many as are taken in one move,
        literal(0x40, b"te", &[b'v'; 17]),       // and of more
        unhex("41 81 1f 41 80"),                 // Huffman-coded values: one symbol, none,
        unhex("41 88 18c6318c6318c63f"),         // as many as eight octets hold,
        unhex("41 89 18c6318c6318c6318f"),       // more,
        unhex("41 84 ffcffe7f 41 84 fffffff3"),  // and in long codes
        unhex("40 00 00 40 01 61 00"),           // names that are spelled out, plain
        unhex("40 81 1f 01 62 40 82 4a5f 80"),   // and Huffman-coded, a known one among them
        literal(0x40, &[b'm'; 16], &[b'v'; 16]), // of 16 octets
        literal(0x40, &long_name, b"1"),         // and of many, which are shared
        unhex("7e 00 7e 01 62 7f 00 00"),        // names of entries: the newest, the one before,
        unhex("41 00 7f 00 00 7f 02 81 1f"),     // of a known name
        unhex("41 00 41 00 7f 80 00 00"),        // with an index that is longer than it needs
        unhex("7e 81 1f be 0f 2f 81 1f 82"),     // and other representations between them
    ];
    for table_bytes in [0, 32, 33, 64, 150, 4096] {
        for (first, second) in
            shapes.iter().flat_map(|first| shapes.iter().map(move |second| (first, second)))
        {
            let block =
                [literal(0x40, b"o", b"o"), literal(0x40, b"p", b"p"), first.repeat(9), second.repeat(9)];
            let (mut whole, mut bounded) = (Decoder::new(table_bytes), Decoder::new(table_bytes));
            // Twice, so that the table is full at the second time.
            for _ in 0..2 {
                let decoded = whole.decode(&block.concat(), ListLimits::NONE, |_| SinkAction::Unchecked);
                let again =
                    bounded.decode(&block.concat(), ListLimits { fields_max: 0, ..ListLimits::NONE }, |_| {
                        unreachable!("nothing is delivered")
                    });
                bounded.check();
                let Ok(totals) = decoded else {
                    assert_eq!(again, decoded, "{first:x?} {second:x?} in {table_bytes}");
                    break;
                };
                assert_eq!(again, Ok(Totals { over_limit: Some(ListLimit::Fields), ..totals }));
                let pair = format!("{first:x?} {second:x?} in {table_bytes}");
                assert_eq!(entries(&mut bounded), entries(&mut whole), "{pair}");
                assert!(validity(&bounded).eq(validity(&whole)), "{pair}");
            }
        }
    }
}

/// Whether each entry of the table is valid, newest first.
fn validity(decoder: &Decoder) -> impl Iterator<Item = bool> {
    (62..).map_while(|index| {
        let mut is_valid = None;
        let block = integer(0x80, 0x7f, index);
        let decoded = decoder.clone().decode(&block, ListLimits::NONE, |decoded| {
            is_valid = Some(decoded.is_valid());
            SinkAction::Unchecked
        });
        decoded.ok().and(is_valid)
    })
}

#[test]
fn an_error_past_a_limit_is_an_error() {
    let limits = ListLimits { fields_max: 1, ..ListLimits::NONE };
    let bad_huffman = ["41 84 ffffffff", "41 82 1fff", "41 81 1e", "00 00 82 ff c6", "41 84 ff cf fe 7e"];
    let others = ["80", "c0", "20", "40 12 61", "41 81 ff", "7e 00", "7f 00 00", "0f 2f 00", "00 81 00 00"];
    for bad in bad_huffman.iter().chain(&others) {
        // What is near the end of a block is read in another way.
        for padding in [0, 40] {
            let block = [unhex("82 84"), unhex(bad), vec![0x82; padding]].concat();
            let bounded = Decoder::new(4096).decode(&block, limits, |_| SinkAction::Valid).unwrap_err();
            assert_eq!(Err(bounded), decode(&mut Decoder::new(4096), &block), "{bad}");
        }
    }
}

#[test]
fn a_sink_that_stops_gets_no_more_and_the_table_stays_in_step() {
    let (block, fields) = three();
    for stop_at in 0..3 {
        let mut decoder = Decoder::new(4096);
        let mut seen = 0;
        let totals = decoder.decode(&block, ListLimits::NONE, |_| {
            seen += 1;
            if seen > stop_at { SinkAction::Stop } else { SinkAction::Valid }
        });
        assert_eq!(seen, stop_at + 1);
        let stopped = Totals { list_bytes: 103, fields: 3, over_limit: None, stopped: true };
        assert_eq!(totals, Ok(stopped));
        assert_eq!(entries(&mut decoder).len(), fields.len());
    }
}

#[test]
fn a_block_of_16384_octets_of_any_one_field_is_bounded() {
    let limits = ListLimits { list_bytes_max: 16 << 10, fields_max: 128 };
    // What is sent before, the octets that are repeated, and how many fields are delivered of them.
    let large = literal(0x40, &[b'n'; 4000], &[b'v'; 64]);
    let cases = [
        (vec![], "82", 128),
        (large.clone(), "be", 4),
        (vec![], "00 80 80", 128),
        (vec![], "41 00", 128),
        (vec![], "00 81 1f 81 1f", 128),
        (large, "7e 00", 4),
    ];
    for (before, unit, delivered) in cases {
        let unit = unhex(unit);
        let count = (16 << 10) / unit.len();
        let block = unit.repeat(count);
        let mut decoder = Decoder::new(4096);
        decode(&mut decoder, &before).unwrap();
        for _ in 0..3 {
            let (seen, totals) = within(&mut decoder, &block, limits);
            assert_eq!((seen.len(), totals.fields as usize), (delivered, count), "{unit:x?}");
            assert!(totals.over_limit.is_some());
        }
        // As much as two tables, what one Huffman-coded string may need, and the entries.
        assert!(decoder.table_bytes() < 2 * 4096 + 128 * 32 + 1024, "{}", decoder.table_bytes());
    }
}

#[test]
fn a_field_that_passed_once_is_marked_validated() {
    let mut decoder = Decoder::new(4096);
    let mut checked = |block: &[u8], verdict| {
        let mut seen = Vec::new();
        let totals = decoder.decode(block, ListLimits::NONE, |decoded| {
            seen.push(decoded.checked());
            verdict
        });
        totals.unwrap();
        seen
    };
    // Static entries are approved, but for those without a value; a plain literal is not looked at.
    assert_eq!(
        checked(&unhex("82 81 8f"), SinkAction::Unchecked),
        [Checked::Validated, Checked::Both, Checked::Both]
    );
    assert_eq!(checked(&literal(0x40, b"n", b"v"), SinkAction::Unchecked), [Checked::Nothing]);
    assert_eq!(checked(&unhex("be"), SinkAction::Unchecked), [Checked::Nothing]);
    // The verdict on an entry is remembered, whether it is on the literal or on the entry.
    assert_eq!(checked(&unhex("be"), SinkAction::Valid), [Checked::Nothing]);
    assert_eq!(checked(&unhex("be"), SinkAction::Unchecked), [Checked::Validated]);
    assert_eq!(checked(&literal(0x40, b"m", b"v"), SinkAction::Valid), [Checked::Nothing]);
    assert_eq!(checked(&unhex("be"), SinkAction::Unchecked), [Checked::Validated]);
    // A new value for the name of a valid entry, or for a known name: only the value is open.
    assert_eq!(checked(&unhex("7e 01 77"), SinkAction::Unchecked), [Checked::Name]);
    assert_eq!(checked(&unhex("0f 2f 01 77"), SinkAction::Unchecked), [Checked::Name]);
    assert_eq!(checked(&unhex("41 01 77"), SinkAction::Unchecked), [Checked::Name]);
    assert_eq!(checked(&literal(0x00, b"te", b"w"), SinkAction::Unchecked), [Checked::Name]);
    // A value in common Huffman codes, or none, needs no look; one with a space at an end does.
    assert_eq!(checked(&unhex("41 81 1f"), SinkAction::Unchecked), [Checked::Both]);
    assert_eq!(checked(&unhex("be"), SinkAction::Valid), [Checked::Both]);
    assert_eq!(checked(&unhex("be"), SinkAction::Unchecked), [Checked::Validated]);
    assert_eq!(checked(&unhex("41 00"), SinkAction::Unchecked), [Checked::Both]);
    assert_eq!(checked(&unhex("00 01 61 81 1f"), SinkAction::Unchecked), [Checked::Value]);
    assert_eq!(checked(&unhex("41 81 53"), SinkAction::Unchecked), [Checked::Name]);
    // A code of more than 12 bits may be a control octet: here it is 0x00.
    assert_eq!(checked(&unhex("41 82 ff c7"), SinkAction::Unchecked), [Checked::Name]);
}

#[test]
fn s8_2_1_is_valid_agrees_with_the_octets() {
    for (name, value, is_valid) in [
        ("a", "b", true),
        ("te", "trailers", true),
        (":method", "GET", true),
        (":unknown", "x", false),
        ("A", "b", false),
        ("", "b", false),
        ("a b", "c", false),
        ("a", " b", false),
        ("a", "b\t", false),
        ("a", "b\tc", true),
        ("a", "b\nc", false),
        ("a", "", true),
        ("te", " ", false),
    ] {
        for flags in [0x40, 0x00] {
            let mut decoder = Decoder::new(4096);
            let block = literal(flags, name.as_bytes(), value.as_bytes());
            let again = if flags == 0x40 { integer(0x80, 0x7f, 62) } else { block.clone() };
            for block in [&block, &again, &again] {
                let totals = decoder.decode(block, ListLimits::NONE, |decoded| {
                    assert_eq!(decoded.is_valid(), is_valid, "{name:?}: {value:?}");
                    if decoded.is_valid() { SinkAction::Valid } else { SinkAction::Unchecked }
                });
                assert_eq!(totals.unwrap().fields, 1);
            }
        }
    }
}
