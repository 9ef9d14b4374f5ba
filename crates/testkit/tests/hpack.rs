//! The decoder of the test kit against public vectors.
#![allow(clippy::unwrap_used)]

mod shared;

use serde_json::Value;
use thalweg_testkit::hpack::{Block, Decoder, Malformed, huffman};

#[test]
fn public_vectors_are_read() {
    let Some(root) = shared::data("hpack-test-case") else { return };
    let mut seen = 0;
    for path in shared::files(&root, "json") {
        let json: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let mut decoder = Decoder::default();
        for case in json["cases"].as_array().unwrap() {
            let Some(wire) = case["wire"].as_str() else { continue };
            if let Some(bytes) = case["header_table_size"].as_u64() {
                decoder.allow_table_bytes(usize::try_from(bytes).unwrap());
            }
            let read: Vec<String> =
                decoder.decode(&shared::unhex(wire)).unwrap().iter().map(ToString::to_string).collect();
            let listed: Vec<String> = case["headers"].as_array().unwrap().iter().map(line).collect();
            assert_eq!(read, listed, "{}", path.display());
            seen += 1;
        }
    }
    assert!(seen > 10_000, "only {seen} blocks");
}

fn line(header: &Value) -> String {
    let (name, value) = header.as_object().unwrap().iter().next().unwrap();
    format!("{name}: {}", value.as_str().unwrap().escape_default())
}

#[test]
fn each_representation_is_read() {
    let block = Block::new()
        .table_size(100)
        .indexed(2)
        .literal_indexed("a", "1")
        .indexed(62)
        .named(62, "2")
        .named_indexed(17, "de")
        .literal_never("secret", "3")
        .raw([0x00, 0x81])
        .raw(huffman("x"))
        .string("4");
    let fields = Decoder::default().decode(&block.bytes()).unwrap();
    let shown: Vec<String> = fields.iter().map(ToString::to_string).collect();
    assert_eq!(shown, [":method: GET", "a: 1", "a: 1", "a: 2", "accept-language: de", "secret: 3", "x: 4"]);
    let never: Vec<bool> = fields.iter().map(|field| field.never_indexed).collect();
    assert_eq!(never, [false, false, false, false, false, true, false]);
}

#[test]
fn malformed_blocks_are_refused() {
    let cases: [(Block, &str); 11] = [
        (Block::new().indexed(0), "index 0"),
        (Block::new().indexed(62), "an index past the tables"),
        (Block::new().literal_indexed("a", "1").indexed(63), "an index past the tables"),
        (Block::new().table_size(4097), "a table larger than allowed"),
        (Block::new().indexed(2).table_size(0), "a change of the table's size after a field"),
        (Block::new().raw([0x3f]), "the block ends inside an integer"),
        (Block::new().raw([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]), "an integer of more than 5 bytes"),
        (Block::new().raw([0x00, 0x05, b'a']), "the block ends inside a string"),
        (Block::new().raw([0x00, 0x84, 0xff, 0xff, 0xff, 0xff]), "the end-of-string symbol in a string"),
        (Block::new().raw([0x00, 0x82, 0x07, 0xff]), "a string does not end in up to 7 ones"),
        (Block::new().raw([0x00, 0x81, 0x18]), "a string does not end in up to 7 ones"),
    ];
    for (block, reason) in cases {
        assert_eq!(Decoder::default().decode(&block.clone().bytes()), Err(Malformed(reason)), "{block:02x?}");
    }
    let mut owed = Decoder::default();
    owed.allow_table_bytes(100);
    let refused = Malformed("a smaller table was not announced first");
    assert_eq!(owed.decode(&Block::new().indexed(2).bytes()), Err(refused));
}

#[test]
fn the_table_evicts_by_size() {
    // Two entries of 34 bytes fit 68, a third pushes out the first.
    let two = || Block::new().table_size(68).literal_indexed("a", "1").literal_indexed("b", "2");
    assert!(Decoder::default().decode(&two().indexed(63).bytes()).is_ok());
    let three = two().literal_indexed("c", "3");
    assert!(Decoder::default().decode(&three.clone().indexed(63).bytes()).is_ok());
    let gone = Err(Malformed("an index past the tables"));
    assert_eq!(Decoder::default().decode(&three.indexed(64).bytes()), gone);
    assert_eq!(
        Decoder::default().decode(&two().literal_indexed("long", [b'x'; 40]).indexed(62).bytes()),
        gone
    );
}
