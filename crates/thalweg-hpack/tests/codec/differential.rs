//! Comparison with fluke-hpack: on the corpus, on mutated blocks, and on the fuzz targets' corpora.

use std::path::Path;

use thalweg_hpack::{Decoder, Encoder, Indexing};

use crate::oracle;
use crate::script;
use crate::support::{List, Story, corpus, decode, encode_as, stories};

/// Decodes a block with fluke-hpack.
fn decode_with_oracle(decoder: &mut oracle::Decoder, block: &[u8]) -> Result<List, oracle::Refused> {
    Ok(decoder.decode(block)?.into_iter().map(|field| (field.name, field.value)).collect())
}

#[test]
fn fluke_hpack_reads_the_corpus_as_we_do() {
    let Some(corpus) = corpus() else { return };
    let mut directories: Vec<_> = std::fs::read_dir(corpus).unwrap().map(|entry| entry.unwrap()).collect();
    directories.retain(|entry| entry.path().is_dir() && entry.file_name() != "raw-data");
    assert_eq!(directories.len(), 14);
    for directory in directories {
        // fluke-hpack is slow: a few blocks of each story are enough.
        for story in stories(directory.file_name().to_str().unwrap()) {
            let (mut ours, mut oracle) = (Decoder::new(4096), oracle::Decoder::new(4096));
            for case in story.cases.iter().take(4) {
                if let Some(bytes) = case.table_bytes {
                    ours.set_table_bytes_max(bytes);
                    oracle.set_table_bytes_max(bytes);
                }
                assert_eq!(
                    decode_with_oracle(&mut oracle, &case.wire).as_ref(),
                    Ok(&case.list),
                    "{}",
                    story.name
                );
                assert_eq!(decode(&mut ours, &case.wire).as_ref(), Ok(&case.list), "{}", story.name);
            }
        }
    }
}

#[test]
fn fluke_hpack_reads_what_we_encode() {
    // The whole corpus with default indexing, and stories in which the limit changes; a part of it
    // with other indexing.
    for directory in ["raw-data", "nghttp2-change-table-size", "nghttp2-16384-4096"] {
        for story in stories(directory) {
            fluke_reads(&story, Indexing::Default, 16_384, usize::MAX);
        }
    }
    for indexing in [Indexing::Default, Indexing::Always, Indexing::NotIndexed, Indexing::Never] {
        for table_bytes in [4096, 300] {
            for story in stories("raw-data").iter().step_by(4) {
                fluke_reads(story, indexing, table_bytes, 4);
            }
        }
    }
}

fn fluke_reads(story: &Story, indexing: Indexing, table_bytes: u32, blocks: usize) {
    let mut encoder = Encoder::new(table_bytes, 11);
    let mut oracle = oracle::Decoder::new(4096);
    for case in story.cases.iter().take(blocks) {
        if let Some(bytes) = case.table_bytes {
            encoder.set_peer_table_bytes_max(bytes);
            oracle.set_table_bytes_max(bytes);
        }
        let block = encode_as(&mut encoder, &case.list, indexing);
        assert_eq!(decode_with_oracle(&mut oracle, &block).as_ref(), Ok(&case.list), "{}", story.name);
    }
}

#[test]
fn fluke_hpack_agrees_on_mutated_blocks() {
    // Generated blocks, which need no corpus.
    let mut random = Random(0x9e37_79b9);
    let (mut refused, mut accepted) = (0, 0);
    for _ in 0..1500 {
        let mut script = vec![0x00];
        let mut encoder = Encoder::new(4096, 1);
        for turn in 0..3 {
            let mut block = own_block(&mut encoder, &mut random, turn);
            for _ in 0..random.below(3) {
                mutate(&mut block, &mut random);
            }
            block.truncate(254);
            script.extend([random.below(256) as u8 & 0xef, block.len() as u8]);
            script.extend(block);
        }
        script::decode_agrees(&script);
        let first = &script[3..3 + usize::from(script[2])];
        if decode(&mut Decoder::new(4096), first).is_ok() { accepted += 1 } else { refused += 1 }
    }
    // Both results are frequent.
    assert!(accepted > 400 && refused > 200, "{accepted} accepted, {refused} refused");
}

/// Encodes a block with fields that repeat and fields that do not.
fn own_block(encoder: &mut Encoder, random: &mut Random, turn: usize) -> Vec<u8> {
    let names = [":path", "x-trace", "accept", "cookie", "te", "x-a-rather-long-name-that-is-not-known"];
    let fields: List = (0..4)
        .map(|_| {
            let value = format!("value-{}-{}", turn, random.below(5)).repeat(1 + random.below(2) as usize);
            (names[random.below(6) as usize].as_bytes().to_vec(), value.into_bytes())
        })
        .collect();
    let indexings = [Indexing::Default, Indexing::Always, Indexing::NotIndexed, Indexing::Never];
    encode_as(encoder, &fields, indexings[random.below(4) as usize])
}

fn mutate(block: &mut Vec<u8>, random: &mut Random) {
    let at = random.below(block.len().max(1) as u64) as usize;
    match random.below(5) {
        _ if block.is_empty() => block.push(random.below(256) as u8),
        0 => block[at] ^= 1 << random.below(8),
        1 => block[at] = random.below(256) as u8,
        2 => block.insert(at, random.below(256) as u8),
        3 => drop(block.remove(at)),
        _ => block.truncate(at),
    }
}

/// A multiplicative generator: the tests are the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (self.0 >> 33) % bound
    }
}

#[test]
fn the_guard_refuses_what_would_make_fluke_hpack_panic() {
    // The octet of RUSTSEC-2023-0085, and similar ones.
    for block in [&[0x3f][..], &[0x3f, 0x80], &[0x82, 0x3f], &[0x3f, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]] {
        assert_eq!(oracle::Decoder::new(4096).decode(block), Err(oracle::Refused::ByGuard));
    }
}

#[test]
fn the_oracle_detects_differences() {
    // An oracle that accepted or refused everything would detect no fault.
    for (block, verdict) in [
        (&[0x82][..], None),
        (&[0x80], Some(oracle::Refused::ByFluke)),
        (&[0xbe], Some(oracle::Refused::ByFluke)),
        (&[0x41, 0x81, 0x1f], None),
        (&[0x41, 0x81, 0x1e], Some(oracle::Refused::ByFluke)),
        (&[0x41, 0x82, 0x1f, 0xff], Some(oracle::Refused::ByFluke)),
        (&[0x41, 0x02, 0x61], Some(oracle::Refused::ByGuard)),
        (&[0x82, 0x20], Some(oracle::Refused::ByGuard)),
        (&[0x3f, 0xe2, 0x1f], Some(oracle::Refused::ByGuard)),
    ] {
        assert_eq!(oracle::Decoder::new(4096).decode(block).err(), verdict, "{block:x?}");
    }
    // Integers may have more octets than necessary.
    let long = [0x7f, 0x80, 0x80, 0x80, 0x80, 0x00, 0x01, 0x61];
    assert_eq!(oracle::Decoder::new(4096).decode(&long).err(), Some(oracle::Refused::ByFluke));
    let short = [0x0f, 0x80, 0x80, 0x80, 0x80, 0x00, 0x01, 0x61];
    let fields = oracle::Decoder::new(4096).decode(&short).unwrap();
    assert_eq!((&fields[0].name[..], fields[0].indexing), (&b"accept-charset"[..], Indexing::NotIndexed));
}

/// Runs `check` on the committed inputs of a fuzz target.
fn replay(target: &str, check: fn(&[u8])) {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz");
    let mut inputs = 0;
    for directory in [fuzz.join("corpus").join(target), fuzz.join("regressions").join(target)] {
        // A target without regressions has no such directory.
        let Ok(entries) = std::fs::read_dir(&directory) else { continue };
        for entry in entries {
            check(&std::fs::read(entry.unwrap().path()).unwrap());
            inputs += 1;
        }
    }
    assert!(inputs > 0, "{target} has a corpus");
}

#[test]
fn the_corpus_of_hpack_decode_is_replayed() {
    replay("hpack_decode", script::decode_agrees);
}

#[test]
fn the_corpus_of_hpack_roundtrip_is_replayed() {
    replay("hpack_roundtrip", script::round_trip);
}
