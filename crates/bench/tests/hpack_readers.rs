//! What `thalweg-hpack` encodes, read by the decoders of others: nghttp2's and that of Python's
//! hpack.
//!
//! Everything that the encoder can be asked for is asked: the corpus, tables of several sizes,
//! limits that change between blocks, each policy of indexing, prepared fields. (fluke-hpack reads
//! the same in the tests of `thalweg-hpack` itself.)

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use thalweg_bench::codec::corpus::{self, List};
use thalweg_bench::codec::workload::{Sessions, Workload};
use thalweg_hpack::{Encoder, Field, Indexing, PreparedField};

/// Blocks of one connection, with the limits that the reader has set before them, and what they
/// hold.
struct Connection {
    name: String,
    blocks: Vec<(Option<u32>, Vec<u8>, List)>,
}

/// How to encode.
#[derive(Clone, Copy, Debug)]
enum EncodeMode {
    As(Indexing),
    PreparedField,
}

const SEED: u64 = 7;

fn encode(name: String, mode: EncodeMode, table_bytes: u32, lists: Vec<(Option<u32>, List)>) -> Connection {
    let mut encoder = Encoder::new(table_bytes, SEED);
    let blocks = lists.into_iter().map(|(limit, list)| {
        if let Some(bytes) = limit {
            encoder.set_peer_table_bytes_max(bytes);
        }
        let mut block = Vec::new();
        encoder.start_block(&mut block);
        for (name, value) in &list {
            let field = Field::new(name, value);
            match mode {
                EncodeMode::As(indexing) => encoder.encode(field.with_indexing(indexing), &mut block),
                EncodeMode::PreparedField => {
                    encoder.encode_prepared(&PreparedField::new(field, SEED), &mut block);
                }
            }
        }
        (limit, block, list)
    });
    let blocks = blocks.collect();
    Connection { name, blocks }
}

/// Returns all that is read, and whether the corpus is part of it.
fn connections() -> (Vec<Connection>, bool) {
    let mut all = Vec::new();
    for (workload, name) in
        [(Workload::EncodeKeepalive, "requests"), (Workload::EncodeResponses, "responses")]
    {
        let sessions = Sessions::new(workload).expect("these are made here");
        // The limit changes now and then: down, to nothing, up again.
        let limits =
            [Some(4096), None, Some(256), None, None, Some(0), None, Some(100), Some(1000), Some(4096)];
        let lists = sessions.0.iter().flat_map(|session| &session.lists);
        let lists: Vec<_> = limits.into_iter().cycle().zip(lists.cloned()).collect();
        for mode in
            [EncodeMode::As(Indexing::Default), EncodeMode::As(Indexing::Always), EncodeMode::PreparedField]
        {
            all.push(encode(format!("{name}, {mode:?}"), mode, 4096, lists.clone()));
        }
    }
    if let Err(absent) = corpus::directory() {
        println!("skipped: {absent}");
        return (all, false);
    }
    // The second and the third are stories in which the reader changes the limit.
    for encoder in ["raw-data", "nghttp2-change-table-size", "nghttp2-16384-4096"] {
        for (number, session) in
            corpus::sessions(encoder).expect("the corpus can be read").into_iter().enumerate()
        {
            let lists: Vec<_> = session.into_iter().map(|case| (case.table_bytes, case.list)).collect();
            let ways = [Indexing::Default, Indexing::Always, Indexing::NotIndexed, Indexing::Never]
                .map(EncodeMode::As);
            // Every story by default, and each otherwise in one of several ways.
            all.push(encode(format!("{encoder} {number}"), ways[0], 16_384, lists.clone()));
            let mode = if number % 4 == 0 { EncodeMode::PreparedField } else { ways[number % 4] };
            let table_bytes = [200, 4096, 1000][number % 3];
            all.push(encode(
                format!("{encoder} {number}, {mode:?} in {table_bytes}"),
                mode,
                table_bytes,
                lists,
            ));
        }
    }
    (all, true)
}

/// Python with hpack, as `cargo xtask setup` makes it.
fn python() -> Option<Command> {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/xtask/python/bin/python");
    let imports = Command::new(&program).args(["-c", "import hpack"]).output();
    imports.is_ok_and(|output| output.status.success()).then(|| Command::new(program))
}

#[test]
fn python_hpack_reads_what_we_encode() {
    let Some(mut python) = python() else {
        return println!("skipped: Python's hpack is absent; `cargo xtask setup` installs it");
    };
    let (connections, _) = connections();
    let mut lines = String::new();
    for connection in &connections {
        lines.push_str("new\n");
        for (limit, block, _) in &connection.blocks {
            if let Some(bytes) = limit {
                let _ = writeln!(lines, "limit {bytes}");
            }
            let _ = writeln!(lines, "block {}", hex(block));
        }
    }
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("blocks.txt");
    std::fs::write(&file, lines).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/read_blocks.py");
    let output = python.arg(script).arg(&file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let read = String::from_utf8(output.stdout).unwrap();
    let mut read = read.lines();
    let mut blocks = 0;
    for connection in &connections {
        for (_, _, list) in &connection.blocks {
            let fields: Vec<String> =
                list.iter().map(|(name, value)| format!("{}:{}", hex(name), hex(value))).collect();
            assert_eq!(read.next(), Some(fields.join(" ").as_str()), "{}", connection.name);
            blocks += 1;
        }
    }
    assert_eq!(read.next(), None);
    println!("{blocks} blocks");
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

#[cfg(not(has_nghttp2))]
#[test]
fn nghttp2_reads_what_we_encode() {
    println!(
        "skipped: libnghttp2 is absent, or the feature `nghttp2` is off; `cargo xtask setup` installs it"
    );
}

#[cfg(has_nghttp2)]
#[test]
fn nghttp2_reads_what_we_encode() {
    use thalweg_bench::codec::Decode as _;
    use thalweg_bench::codec::nghttp2::Inflater;

    let (connections, has_corpus) = connections();
    let mut blocks = 0;
    for connection in &connections {
        let mut inflater = Inflater::new();
        for (limit, block, list) in &connection.blocks {
            if let Some(bytes) = limit {
                inflater.set_table_bytes_max(*bytes);
            }
            let mut read = List::new();
            let decoded = inflater.decode(block, |name, value, _| read.push((name.to_vec(), value.to_vec())));
            assert_eq!((decoded, &read), (Ok(()), list), "{}", connection.name);
            blocks += 1;
        }
    }
    assert!(blocks > if has_corpus { 19_000 } else { 1000 }, "{blocks}");
    println!("{blocks} blocks");
}
