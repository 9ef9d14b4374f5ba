//! Shared by several tests: the corpus, lists, and simple ways to encode and decode.

use std::path::PathBuf;

use serde_json::Value;
use thalweg_hpack::{DecodeError, Decoder, Encoder, Field, Indexing, ListLimits, SinkAction};

/// A header list as its strings.
pub type List = Vec<(Vec<u8>, Vec<u8>)>;

/// One block of a story.
pub struct Case {
    /// The table size that was set and acknowledged just before this block.
    pub table_bytes: Option<u32>,
    pub wire: Vec<u8>,
    pub list: List,
}

/// The blocks of one connection and direction.
pub struct Story {
    pub name: String,
    pub cases: Vec<Case>,
}

/// The directory of http2jp's hpack-test-case beside the project, or where `THALWEG_SHARED` points.
/// Without it the test is skipped, and prints that.
pub fn corpus() -> Option<PathBuf> {
    let shared = std::env::var_os("THALWEG_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), PathBuf::from);
    let path = shared.join("data/hpack-test-case");
    if path.is_dir() {
        Some(path)
    } else {
        println!("skipped: {} is absent", path.display());
        None
    }
}

/// All stories of one encoder, in order.
pub fn stories(encoder: &str) -> Vec<Story> {
    let Some(corpus) = corpus() else { return Vec::new() };
    let mut paths: Vec<_> =
        std::fs::read_dir(corpus.join(encoder)).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    paths.iter().map(|path| story(path)).collect()
}

fn story(path: &std::path::Path) -> Story {
    let json: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let cases = json["cases"].as_array().unwrap().iter().map(|case| Case {
        table_bytes: case["header_table_size"].as_u64().map(|bytes| u32::try_from(bytes).unwrap()),
        wire: case["wire"].as_str().map(unhex).unwrap_or_default(),
        list: case["headers"].as_array().unwrap().iter().map(pair).collect(),
    });
    Story { name: path.display().to_string(), cases: cases.collect() }
}

fn pair(object: &Value) -> (Vec<u8>, Vec<u8>) {
    let (name, value) = object.as_object().unwrap().iter().next().unwrap();
    (name.as_bytes().to_vec(), value.as_str().unwrap().as_bytes().to_vec())
}

/// The octets of a hexadecimal string; spaces are skipped.
pub fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// A list of text fields.
pub fn list(fields: &[(&str, &str)]) -> List {
    fields.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())).collect()
}

/// An integer with a prefix of the `mask` bits, below `flags` (RFC 7541 §5.1).
pub fn integer(flags: u8, mask: u8, value: u64) -> Vec<u8> {
    let Some(mut left) = value.checked_sub(u64::from(mask)) else { return vec![flags | value as u8] };
    let mut octets = vec![flags | mask];
    while left >= 128 {
        octets.push((left % 128) as u8 | 0x80);
        left /= 128;
    }
    octets.push(left as u8);
    octets
}

/// A string in plain octets (RFC 7541 §5.2).
pub fn string(text: &[u8]) -> Vec<u8> {
    [integer(0, 0x7f, text.len() as u64), text.to_vec()].concat()
}

/// A literal field with its name spelled out, in plain octets, below `flags` (RFC 7541 §6.2).
pub fn literal(flags: u8, name: &[u8], value: &[u8]) -> Vec<u8> {
    [vec![flags], string(name), string(value)].concat()
}

/// Returns the whole dynamic table, newest entry first, read through its indices.
pub fn entries(decoder: &mut Decoder) -> List {
    let mut entries = List::new();
    for index in 62.. {
        // An error is final, so a clone decodes one index at a time.
        let mut probe = decoder.clone();
        match decode(&mut probe, &integer(0x80, 0x7f, index)) {
            Ok(field) => entries.extend(field),
            Err(error) => {
                assert!(matches!(error, DecodeError::IndexPastEnd { .. }), "{error}");
                break;
            }
        }
    }
    entries
}

/// Decodes a block of any size to its end.
pub fn decode(decoder: &mut Decoder, block: &[u8]) -> Result<List, DecodeError> {
    let mut list = List::new();
    decoder.decode(block, ListLimits::NONE, |decoded| {
        list.push((decoded.field().name().to_vec(), decoded.field().value.to_vec()));
        if decoded.is_valid() { SinkAction::Valid } else { SinkAction::Unchecked }
    })?;
    Ok(list)
}

/// Encodes a list as one block.
pub fn encode(encoder: &mut Encoder, list: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    encode_as(encoder, list, Indexing::Default)
}

/// Encodes a list as one block, with the same `indexing` for all fields.
pub fn encode_as(encoder: &mut Encoder, list: &[(Vec<u8>, Vec<u8>)], indexing: Indexing) -> Vec<u8> {
    let mut block = Vec::new();
    encoder.start_block(&mut block);
    for (name, value) in list {
        encoder.encode(Field::new(name, value).with_indexing(indexing), &mut block);
    }
    block
}
