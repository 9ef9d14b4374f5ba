//! HPACK in both directions, and the fields of the last field block that was decoded.
//!
//! Invariants: each received block is decoded exactly once, those of refused streams and oversized
//! ones too, since the dynamic table follows all of them (RFC 9113 §4.3).

use alloc::vec::Vec;

use thalweg_hpack::{BlockSkipper, Decoder, Encoder, Field, ListLimit, ListLimits, SinkAction, TableMatch};

use crate::error::Limit;
use crate::headers::validate::{BlockInfo, BlockKind, Validator};
use crate::headers::{HeaderBlock, Headers};
use crate::stream_id::StreamId;
use crate::violation::Violation;

/// The decoder and the encoder of a connection.
#[derive(Debug)]
pub(crate) struct FieldCodec {
    decoder: Decoder,
    encoder: Encoder,
    block: HeaderBlock,
}

/// A whole field block that was received.
#[derive(Clone, Copy, Debug)]
pub(crate) enum FieldBlock<'a> {
    /// Still to be decoded.
    Kept(&'a [u8]),
    /// Larger than `Config::header_block_bytes_max`: it was decoded as it arrived, and was not
    /// kept.
    Skipped,
}

/// What was found in a block that was decoded whole.
pub(crate) enum BlockOutcome {
    Valid(BlockInfo),
    Malformed(Violation),
    TooLarge(Limit),
}

impl FieldCodec {
    /// Creates both halves. `encoder_table_bytes_max` bounds the table that the encoder uses.
    pub(crate) fn new(encoder_table_bytes_max: u32, hash_seed: u64) -> Self {
        Self {
            decoder: Decoder::new(TABLE_BYTES_INITIAL),
            encoder: Encoder::new(encoder_table_bytes_max, hash_seed),
            block: HeaderBlock::default(),
        }
    }

    /// Returns the fields of the last block.
    #[inline]
    pub(crate) fn headers(&self) -> Headers<'_> {
        self.block.view(&self.decoder)
    }

    /// Decodes and validates a block.
    ///
    /// # Errors
    /// `HeaderBlockInvalid`: it cannot be decoded.
    #[inline]
    pub(crate) fn decode(
        &mut self,
        kind: BlockKind,
        bytes: FieldBlock<'_>,
        limits: ListLimits,
    ) -> Result<BlockOutcome, Violation> {
        let FieldBlock::Kept(bytes) = bytes else {
            return Ok(BlockOutcome::TooLarge(Limit::HeaderBlockBytes));
        };
        let block = &mut self.block;
        block.clear();
        let mut validator = Validator::new(kind);
        let totals = self.decoder.decode(bytes, limits, |decoded| {
            let action = validator.field(&decoded);
            if action == SinkAction::Valid {
                block.push(&decoded);
                return SinkAction::Valid;
            }
            if action == SinkAction::Unchecked {
                block.push(&decoded);
            }
            action
        });
        let Ok(totals) = totals else { return Err(Violation::HeaderBlockInvalid) };
        Ok(match (validator.finish(&self.headers()), totals.over_limit) {
            (_, Some(ListLimit::ListBytes)) => BlockOutcome::TooLarge(Limit::HeaderListBytes),
            (_, Some(ListLimit::Fields)) => BlockOutcome::TooLarge(Limit::HeaderFields),
            (Ok(info), None) => BlockOutcome::Valid(info),
            (Err(violation), None) => BlockOutcome::Malformed(violation),
        })
    }

    /// Decodes a block for its effect on the dynamic table alone.
    ///
    /// # Errors
    /// `HeaderBlockInvalid`: it cannot be decoded.
    pub(crate) fn discard(&mut self, bytes: FieldBlock<'_>) -> Result<(), Violation> {
        let FieldBlock::Kept(bytes) = bytes else { return Ok(()) };
        match self.decoder.decode(bytes, ListLimits::NONE, |_| SinkAction::Stop) {
            Ok(_) => Ok(()),
            Err(_) => Err(Violation::HeaderBlockInvalid),
        }
    }

    /// Decodes a fragment of a block that is not kept.
    ///
    /// # Errors
    /// `HeaderBlockInvalid`: it cannot be decoded.
    pub(crate) fn skip(&mut self, skipper: &mut BlockSkipper, fragment: &[u8]) -> Result<(), Violation> {
        skipper.push(&mut self.decoder, fragment).map_err(|_| Violation::HeaderBlockInvalid)
    }

    /// Ends the decoding of a block that is not kept.
    ///
    /// # Errors
    /// `HeaderBlockInvalid`: it is incomplete.
    pub(crate) fn finish_skip(&mut self, skipper: BlockSkipper) -> Result<(), Violation> {
        skipper.finish(&mut self.decoder).map_err(|_| Violation::HeaderBlockInvalid)
    }

    /// Applies our acknowledged SETTINGS_HEADER_TABLE_SIZE.
    pub(crate) fn set_decoder_table_bytes_max(&mut self, bytes: u32) {
        self.decoder.set_table_bytes_max(bytes);
    }

    /// Applies the peer's SETTINGS_HEADER_TABLE_SIZE.
    pub(crate) fn set_encoder_table_bytes_max(&mut self, bytes: u32) {
        self.encoder.set_peer_table_bytes_max(bytes);
    }

    /// Returns the encoder, in which callers look fields up before they encode a block.
    #[inline]
    pub(crate) const fn encoder(&self) -> &Encoder {
        &self.encoder
    }

    /// Encodes a block, behind the promised identifier if there is one. The dynamic table follows
    /// the order of blocks on the wire, so the caller appends the block to the output at once.
    #[inline]
    pub(crate) fn encode(
        &mut self,
        promised: Option<StreamId>,
        fields: &[(Field<'_>, TableMatch)],
        out: &mut Vec<u8>,
    ) {
        if let Some(promised) = promised {
            out.extend_from_slice(&promised.as_u32().to_be_bytes());
        }
        self.encoder.start_block(out);
        for (field, found) in fields {
            self.encoder.encode_matched(field, *found, out);
        }
    }

    /// Returns the heap that is held, bytes.
    pub(crate) fn capacity_bytes(&self) -> usize {
        self.block.capacity_bytes() + self.decoder.table_bytes() + self.encoder.table_bytes()
    }
}

/// RFC 9113 §6.5.2
const TABLE_BYTES_INITIAL: u32 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(codec: &mut FieldCodec, name: &[u8], value: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        codec.encode(None, &[(Field::new(name, value), TableMatch::NOT_SEARCHED)], &mut out);
        out
    }

    #[test]
    fn a_discarded_block_still_enters_the_dynamic_table() {
        let mut peer = FieldCodec::new(4096, 0);
        let mut codec = FieldCodec::new(4096, 0);
        let first = encoded(&mut peer, b"x-name", b"value");
        let second = encoded(&mut peer, b"x-name", b"value");
        assert!(second.len() < first.len(), "an index");
        assert_eq!(codec.discard(FieldBlock::Kept(&first)), Ok(()));
        let outcome = codec.decode(BlockKind::Trailers, FieldBlock::Kept(&second), ListLimits::NONE);
        assert!(matches!(outcome, Ok(BlockOutcome::Valid(_))));
        assert_eq!(codec.headers().get(b"x-name"), Some(&b"value"[..]));
    }

    #[test]
    fn a_promised_identifier_precedes_the_block() {
        let mut out = Vec::new();
        let field = (Field::new(b":method", b"GET"), TableMatch::NOT_SEARCHED);
        FieldCodec::new(4096, 0).encode(Some(StreamId::new(6)), &[field], &mut out);
        assert_eq!(out, [0, 0, 0, 6, 0x82]);
    }

    #[test]
    fn a_block_that_was_not_kept_is_too_large() {
        let mut codec = FieldCodec::new(4096, 0);
        let outcome = codec.decode(BlockKind::Trailers, FieldBlock::Skipped, ListLimits::NONE);
        assert!(matches!(outcome, Ok(BlockOutcome::TooLarge(Limit::HeaderBlockBytes))));
        assert_eq!(codec.discard(FieldBlock::Kept(&[0xff])), Err(Violation::HeaderBlockInvalid));
    }
}
