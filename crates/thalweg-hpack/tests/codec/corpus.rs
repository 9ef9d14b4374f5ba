//! The stories of http2jp's hpack-test-case, read where they lie beside the project.

use thalweg_hpack::{Decoder, Encoder};

use crate::support::{corpus, decode, encode, stories};

/// The directories of the corpus, one for each encoder, with the number of their stories.
const ENCODERS: [(&str, usize); 14] = [
    ("go-hpack", 32),
    ("haskell-http2-linear", 32),
    ("haskell-http2-linear-huffman", 32),
    ("haskell-http2-naive", 32),
    ("haskell-http2-naive-huffman", 32),
    ("haskell-http2-static", 32),
    ("haskell-http2-static-huffman", 32),
    ("nghttp2", 32),
    ("nghttp2-16384-4096", 31),
    ("nghttp2-change-table-size", 31),
    ("node-http2-hpack", 32),
    ("python-hpack", 32),
    ("swift-nio-hpack-huffman", 32),
    ("swift-nio-hpack-plain-text", 32),
];

#[test]
fn every_story_of_every_encoder_decodes_to_its_lists() {
    if corpus().is_none() {
        return;
    }
    for (encoder, count) in ENCODERS {
        let stories = stories(encoder);
        assert_eq!(stories.len(), count, "{encoder}");
        for story in stories {
            let mut decoder = Decoder::new(4096);
            for (at, case) in story.cases.iter().enumerate() {
                if let Some(bytes) = case.table_bytes {
                    decoder.set_table_bytes_max(bytes);
                }
                let list = decode(&mut decoder, &case.wire);
                assert_eq!(list.as_ref(), Ok(&case.list), "{} case {at}", story.name);
            }
        }
    }
}

#[test]
fn what_we_encode_of_the_raw_lists_we_decode() {
    for table_bytes in [4096, 0, 100, 1024, 65536] {
        for story in stories("raw-data") {
            let mut encoder = Encoder::new(table_bytes, 7);
            let mut decoder = Decoder::new(4096);
            encoder.set_peer_table_bytes_max(table_bytes);
            decoder.set_table_bytes_max(table_bytes);
            for (at, case) in story.cases.iter().enumerate() {
                let block = encode(&mut encoder, &case.list);
                assert_eq!(decode(&mut decoder, &block).as_ref(), Ok(&case.list), "{} {at}", story.name);
            }
        }
    }
}
