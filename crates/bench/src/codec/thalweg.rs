//! `thalweg-hpack`, with validation on.

use super::{Decode, Encode};
use std::hint::black_box;
use thalweg_hpack::{Field, KnownName, ListLimits, PreparedField, SinkAction};

/// The decoder, as the core drives it.
pub struct Decoder(thalweg_hpack::Decoder);

impl Decode for Decoder {
    fn new() -> Self {
        Self(thalweg_hpack::Decoder::new(4096))
    }

    fn block(&mut self, block: &[u8]) -> usize {
        let limits = ListLimits { list_bytes_max: 1 << 20, fields_max: 1 << 10 };
        let mut octets = 0;
        let totals = self.0.decode(block, limits, |decoded| {
            if !decoded.is_valid() {
                return SinkAction::Stop;
            }
            let field = decoded.field();
            octets += field.name().len() + field.value.len();
            SinkAction::Valid
        });
        black_box(octets);
        totals.map_or(0, |totals| totals.fields as usize)
    }
}

/// The encoder; tokens are looked up for each field.
pub struct Encoder(thalweg_hpack::Encoder);

impl Encode for Encoder {
    type List<'a> = &'a [(Vec<u8>, Vec<u8>)];

    fn new() -> Self {
        Self(thalweg_hpack::Encoder::new(4096, SEED))
    }

    fn list<'a>(list: &'a [(Vec<u8>, Vec<u8>)]) -> Self::List<'a> {
        list
    }

    fn block(&mut self, list: &Self::List<'_>, out: &mut Vec<u8>) {
        self.0.start_block(out);
        for (name, value) in *list {
            self.0.encode(Field::new(name, value), out);
        }
    }
}

/// The encoder of an application that prepared all its fields but the path.
pub struct PreparedEncoder(thalweg_hpack::Encoder);

impl Encode for PreparedEncoder {
    type List<'a> = Vec<PreparedField<'a>>;

    fn new() -> Self {
        Self(thalweg_hpack::Encoder::new(4096, SEED))
    }

    fn list<'a>(list: &'a [(Vec<u8>, Vec<u8>)]) -> Self::List<'a> {
        list.iter().map(|(name, value)| PreparedField::new(Field::new(name, value), SEED)).collect()
    }

    fn block(&mut self, list: &Self::List<'_>, out: &mut Vec<u8>) {
        self.0.start_block(out);
        for prepared in list {
            let field = prepared.field();
            if field.known_name() == KnownName::PATH {
                self.0.encode(Field::with_known_name(KnownName::PATH, field.value), out);
            } else {
                self.0.encode_prepared(prepared, out);
            }
        }
    }
}

const SEED: u64 = 0x5eed;
