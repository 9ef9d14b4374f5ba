//! The checks of the fuzz targets. The ordinary tests replay the committed corpora with them.
//!
//! An input is read as a script: octets that select an operation, and octets of data. The
//! assertions hold for any input.

use thalweg_hpack::{
    BlockSkipper, DecodeError, Decoded, Decoder, Encoder, Field, Indexing, KnownName, ListLimits,
    PreparedField, SinkAction,
};

use crate::oracle;

/// Decodes blocks with our decoder and with the guarded fluke-hpack, and asserts equal results.
///
/// A step is an octet that selects the table limit and the limits of a second decoder, an octet of
/// length, and that many octets of block. A length of 255 means the rest of the input.
pub fn decode_agrees(input: &[u8]) {
    let mut script = Script(input);
    let bytes = TABLE_BYTES[usize::from(script.octet() >> 5)];
    let mut ours = Decoder::new(bytes);
    let mut bounded = Decoder::new(bytes);
    let mut skipping = Decoder::new(bytes);
    let mut oracle = oracle::Decoder::new(bytes);
    while !script.0.is_empty() {
        let choice = script.octet();
        if choice & 0x10 != 0 {
            let bytes = TABLE_BYTES[usize::from(choice >> 5)];
            ours.set_table_bytes_max(bytes);
            bounded.set_table_bytes_max(bytes);
            skipping.set_table_bytes_max(bytes);
            oracle.set_table_bytes_max(bytes);
        }
        let len = usize::from(script.octet());
        let block = if len == 255 { script.take(usize::MAX) } else { script.take(len) };
        let expected = oracle.decode(block);
        let decoded = decode(&mut ours, block);
        ours.check();
        let skipped = skip(&mut skipping, block, choice);
        skipping.check();
        assert_eq!(skipped.is_ok(), decoded.is_ok(), "skipped in fragments: {block:02x?}: {skipped:?}");
        let Ok(list) = &decoded else {
            assert!(expected.is_err(), "only we refuse {block:02x?}: {decoded:?}");
            assert_eq!(decode(&mut ours, &[]), decoded, "an error is final");
            assert_eq!(decode_bounded(&mut bounded, block, choice, &[]).err(), decoded.err());
            return;
        };
        assert_eq!(expected.as_ref(), Ok(list), "{block:02x?}");
        let bound = decode_bounded(&mut bounded, block, choice, list);
        bounded.check();
        assert_eq!(bound, Ok(()), "the bounded decoder is out of step");
    }
}

/// Decodes a whole block, checks the totals and each field, and returns the fields.
fn decode(decoder: &mut Decoder, block: &[u8]) -> Result<Vec<oracle::Field>, DecodeError> {
    let (mut list, mut held) = (Vec::new(), Vec::new());
    let totals = decoder.decode(block, ListLimits::NONE, |decoded| {
        check(&decoded);
        list.push(owned(&decoded.field()));
        held.push(decoded.to_ref());
        if decoded.is_valid() { SinkAction::Valid } else { SinkAction::Unchecked }
    })?;
    let list_bytes: usize = list.iter().map(|field| field.name.len() + field.value.len() + 32).sum();
    assert_eq!((totals.fields as usize, totals.list_bytes), (list.len(), list_bytes as u64));
    assert_eq!((totals.over_limit, totals.stopped), (None, false));
    assert!(held.iter().map(|held| owned(&decoder.field(held))).eq(list.iter().cloned()));
    Ok(list)
}

/// Decodes a block in fragments whose lengths depend on `choice`. In every other step the block is
/// delivered instead, so that a wrong table is detected.
fn skip(decoder: &mut Decoder, block: &[u8], choice: u8) -> Result<(), DecodeError> {
    if choice & 0x08 != 0 {
        return decode(decoder, block).map(drop);
    }
    let mut skipper = BlockSkipper::new();
    let (mut rest, mut len) = (block, usize::from(choice & 0x07));
    while !rest.is_empty() {
        let (fragment, after) = rest.split_at(len.min(rest.len()));
        skipper.push(decoder, fragment)?;
        (rest, len) = (after, (len * 5 + 1) % 23);
    }
    skipper.finish(decoder)
}

/// Decodes a block within limits, or with a sink that stops, and asserts that a prefix of `list` is
/// delivered.
fn decode_bounded(
    decoder: &mut Decoder,
    block: &[u8],
    choice: u8,
    list: &[oracle::Field],
) -> Result<(), DecodeError> {
    let (bound, stop_at) = (u32::from(choice & 0x07), usize::from(choice & 0x07));
    let limits = match choice & 0x08 {
        0 => ListLimits { list_bytes_max: bound * 40, fields_max: 6 },
        _ => ListLimits::NONE,
    };
    let mut seen = 0;
    let totals = decoder.decode(block, limits, |decoded| {
        check(&decoded);
        if let Some(field) = list.get(seen) {
            assert_eq!(owned(&decoded.field()), *field);
        }
        seen += 1;
        if seen > stop_at { SinkAction::Stop } else { SinkAction::Unchecked }
    })?;
    assert_eq!(totals.fields as usize, list.len());
    assert!(seen <= list.len());
    assert!(seen == list.len() || totals.stopped || totals.over_limit.is_some());
    Ok(())
}

fn owned(field: &Field<'_>) -> oracle::Field {
    oracle::Field { name: field.name().to_vec(), value: field.value.to_vec(), indexing: field.indexing }
}

/// Checks what a decoded field reports of itself.
fn check(decoded: &Decoded<'_>) {
    let field = decoded.field();
    let (name, value, known_name) = (field.name(), field.value, field.known_name());
    assert_eq!(known_name, KnownName::of(name));
    // RFC 9110 §5.6.2: a token; RFC 9113 §8.2.1: in lower case.
    let in_token =
        |octet: &u8| matches!(octet, b'a'..=b'z' | b'0'..=b'9') || b"!#$%&'*+-.^_`|~".contains(octet);
    let name_is_valid = known_name != KnownName::NONE || (!name.is_empty() && name.iter().all(in_token));
    let is_blank = |octet: Option<&u8>| matches!(octet, Some(b' ' | b'\t'));
    let value_is_valid = !value.iter().any(|octet| matches!(octet, 0 | b'\r' | b'\n'))
        && !is_blank(value.first())
        && !is_blank(value.last());
    assert!(!decoded.checked().name() || name_is_valid);
    assert!(!decoded.checked().value() || value_is_valid);
    assert_eq!(decoded.is_valid(), name_is_valid && value_is_valid);
}

/// Encodes lists, and asserts that our decoder and, for every fourth seed, the slower fluke-hpack
/// return them.
pub fn round_trip(input: &[u8]) {
    let mut script = Script(input);
    let (own, seed) = (TABLE_BYTES[usize::from(script.octet() & 7)], u64::from(script.octet()));
    let mut encoder = Encoder::new(own, seed);
    let mut ours = Decoder::new(4096);
    let mut oracle = oracle::Decoder::new(4096);
    while !script.0.is_empty() {
        let choice = script.octet();
        for _ in 0..choice >> 6 {
            let bytes = TABLE_BYTES[usize::from(script.octet() & 7)];
            encoder.set_peer_table_bytes_max(bytes);
            ours.set_table_bytes_max(bytes);
            oracle.set_table_bytes_max(bytes);
        }
        let mut block = Vec::new();
        encoder.start_block(&mut block);
        let mut list = Vec::new();
        for _ in 0..choice & 0x0f {
            let before = block.len();
            let choice = script.octet();
            let (name, value) = (script.name(), script.value());
            let indexing = INDEXINGS[usize::from(choice & 3)];
            let field = Field::new(&name, &value).with_indexing(indexing);
            if choice & 4 != 0 {
                encoder.encode_prepared(&PreparedField::new(field, u64::from(choice >> 3)), &mut block);
            } else {
                encoder.encode(field, &mut block);
            }
            // One octet of representation, and lengths of at most three octets: never longer than
            // plain strings.
            assert!(block.len() - before <= 1 + 3 + name.len() + 3 + value.len());
            list.push((name, value, indexing));
        }
        let decoded = decode(&mut ours, &block).expect("what we encode we decode");
        encoder.check();
        ours.check();
        if seed % 4 == 0 {
            assert_eq!(oracle.decode(&block).as_ref(), Ok(&decoded));
        }
        assert_eq!(decoded.len(), list.len());
        for (field, (name, value, indexing)) in decoded.iter().zip(&list) {
            assert_eq!((&field.name, &field.value), (name, value));
            if *indexing == Indexing::Never {
                assert_eq!(field.indexing, Indexing::Never);
            }
        }
    }
}

/// The rest of an input.
struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    /// Returns the next octet; 0 after the end.
    fn octet(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or(0)
    }

    /// Returns the next octets, fewer at the end.
    fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// Returns a name: a common one, or octets of the input.
    fn name(&mut self) -> Vec<u8> {
        let choice = self.octet();
        match NAMES.get(usize::from(choice)) {
            Some(name) => name.to_vec(),
            None => self.take(usize::from(choice & 0x0f)).to_vec(),
        }
    }

    /// Returns a value: octets of the input, or a few of them repeated.
    fn value(&mut self) -> Vec<u8> {
        let choice = self.octet();
        let octets = self.take(usize::from(choice & 0x1f));
        octets.repeat(if choice & 0x80 == 0 { 1 } else { usize::from(choice >> 5 & 3) * 20 + 1 })
    }
}

const TABLE_BYTES: [u32; 8] = [4096, 0, 33, 64, 100, 200, 1000, 70_000];

const INDEXINGS: [Indexing; 4] = [Indexing::Default, Indexing::Always, Indexing::NotIndexed, Indexing::Never];

const NAMES: [&[u8]; 16] = [
    b":method",
    b":path",
    b":status",
    b":authority",
    b"accept-encoding",
    b"cookie",
    b"authorization",
    b"date",
    b"te",
    b"grpc-status",
    b"",
    b"x",
    b"x-custom-name",
    b"X-Upper",
    b"name with spaces",
    b"a-name-of-more-than-sixty-four-octets-that-entries-share-instead-of-copying-it",
];
