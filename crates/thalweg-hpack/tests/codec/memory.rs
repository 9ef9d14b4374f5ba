//! Memory: nothing before it is needed, a bound, and nothing new in steady state.

use thalweg_hpack::{Decoder, Encoder};

use crate::support::{decode, encode, list, unhex};

#[test]
fn a_new_codec_holds_no_memory() {
    let (mut encoder, mut decoder) = (Encoder::new(4096, 1), Decoder::new(4096));
    assert_eq!((encoder.table_bytes(), decoder.table_bytes()), (0, 0));
    // Nor does one that has seen only fields of the static table.
    let fields = list(&[(":method", "GET"), (":path", "/")]);
    let block = encode(&mut encoder, &fields);
    assert_eq!(decode(&mut decoder, &block), Ok(fields));
    assert_eq!((encoder.table_bytes(), decoder.table_bytes()), (0, 0));
}

#[test]
fn a_few_fields_take_a_few_octets() {
    let (mut encoder, mut decoder) = (Encoder::new(4096, 1), Decoder::new(4096));
    let fields = list(&[("user-agent", "curl/8.1"), ("accept", "*/*"), ("x-id", "17")]);
    let block = encode(&mut encoder, &fields);
    assert_eq!(decode(&mut decoder, &block), Ok(fields));
    assert!(decoder.table_bytes() <= 1024, "{}", decoder.table_bytes());
    assert!(encoder.table_bytes() <= 2048, "{}", encoder.table_bytes());
}

#[test]
fn memory_is_bounded_and_stays_as_it_is() {
    for table_bytes in [256, 4096, 65536] {
        let (mut encoder, mut decoder) = (Encoder::new(table_bytes, 1), Decoder::new(4096));
        encoder.set_peer_table_bytes_max(table_bytes);
        decoder.set_table_bytes_max(table_bytes);
        let (mut held, mut last_change) = ((0, 0), 0);
        for turn in 0..20_000u32 {
            // Values of 0 to 60 octets that seldom repeat, and a name that changes now and then.
            let value = "v".repeat((turn * 7 % 53) as usize) + &turn.to_string();
            let name = format!("x-{}", turn / 16 % 9);
            let fields = list(&[(&name, &value), ("cookie", "session=0123456789abcdef")]);
            let block = encode(&mut encoder, &fields);
            assert_eq!(decode(&mut decoder, &block), Ok(fields));
            let now = (encoder.table_bytes(), decoder.table_bytes());
            if now != held {
                (held, last_change) = (now, turn);
            }
        }
        assert!(last_change < 5000, "memory still changed in turn {last_change}");
        // Twice the table for strings and some scratch space; an entry of 32 octets or more has 24
        // octets of bookkeeping here, and the encoder 32 more. Rings and heads are powers of two.
        let (strings, entries) = (2 * table_bytes as usize + 512, table_bytes as usize / 32);
        assert!(held.1 <= strings + 24 * entries, "decoder {} for {table_bytes}", held.1);
        assert!(held.0 <= strings + (24 + 32) * entries + 512, "encoder {} for {table_bytes}", held.0);
    }
}

#[test]
fn a_long_string_that_is_not_indexed_costs_its_own_length_once() {
    let mut decoder = Decoder::new(0);
    // 10,000 octets of Huffman code, 16,000 decoded.
    let block = [unhex("04 ff 91 4d"), vec![0; 10_000]].concat();
    for _ in 0..10 {
        assert_eq!(decode(&mut decoder, &block).unwrap()[0].1, [b'0'; 16_000]);
        // And an eighth, so that many strings do not each ask for more.
        assert!(decoder.table_bytes() <= 18_100, "{}", decoder.table_bytes());
    }
}
