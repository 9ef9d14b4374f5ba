//! A header block that is decoded in fragments, only to update the dynamic table.
//!
//! A block that is too large to be buffered must still be decoded: otherwise the table differs from
//! the peer's, which is a connection error (RFC 9113 §4.3). Each fragment is decoded when it
//! arrives. Between two fragments only the incomplete field is buffered, and of that only what the
//! table may need:
//!
//! ```text
//! 40 04 "x-id" 7f f1 07 "v...   a value of 1,136 octets that may become an entry: buffered
//! 00 04 "x-id" 7f f1 07 "v...   enters no table: not buffered
//! 40 04 "x-id" 7f a1 9f 01 ...  larger than the table, which it empties: not buffered
//! ```
//!
//! Invariants: after a whole block the table is the one that [`Decoder::decode`] would have made of
//! the same octets, for any fragmentation; fewer octets are buffered than four times the table's
//! size plus those of two lengths and an index; an incomplete string is read once, when it is
//! complete.

use alloc::vec::Vec;

use super::{Decoder, Totals, static_entry};
use crate::error::DecodeError;
use crate::field::OVERHEAD;
use crate::huffman::validate::Validator;
use crate::integer;
use crate::static_table::STATIC_LEN;

/// Decodes one block in fragments and delivers nothing.
///
/// ```
/// use thalweg_hpack::{BlockSkipper, Decoder, ListLimits, SinkAction};
///
/// let mut decoder = Decoder::new(4096);
/// let mut skipper = BlockSkipper::new();
/// skipper.push(&mut decoder, b"\x82\x40\x04x-").unwrap();
/// skipper.push(&mut decoder, b"id\x0217").unwrap();
/// skipper.finish(&mut decoder).unwrap();
///
/// // Index 62 is the entry that the skipped block inserted.
/// let mut value = Vec::new();
/// let totals = decoder.decode(b"\xbe", ListLimits::NONE, |decoded| {
///     value.extend_from_slice(decoded.field().value);
///     SinkAction::Valid
/// });
/// assert_eq!((totals.unwrap().fields, value), (1, b"17".to_vec()));
/// ```
#[derive(Clone, Debug, Default)]
pub struct BlockSkipper {
    state: State,
    /// The field or length that the last fragment left incomplete.
    carry: Vec<u8>,
    /// The octets, including `carry`, that must be there before the next attempt to read.
    needed: usize,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    /// At the start of the block, where size updates may come.
    #[default]
    Front,
    /// Before a field.
    Fields,
    /// Before the length of a string of a field that is not buffered.
    Length(Unbuffered),
    /// Inside such a string; at least one octet, `left`, follows.
    Octets { left: u32, validator: Option<Validator>, of: Unbuffered },
}

/// A literal that is not buffered.
#[derive(Clone, Copy, Debug)]
struct Unbuffered {
    /// The current string is the name; a value follows.
    is_name: bool,
    /// RFC 7541 §4.4: it is larger than the table and empties it.
    empties_table: bool,
}

/// How decoding continues behind an incomplete field.
enum Incomplete {
    /// The octets, including those already there, that the next attempt needs.
    Needs(u64),
    /// Its strings, which begin at this offset, are skipped as they arrive.
    Unbuffered { at: usize, literal: Unbuffered },
}

impl BlockSkipper {
    /// Creates a skipper for the next block of a decoder. Allocates nothing.
    pub const fn new() -> Self {
        Self { state: State::Front, carry: Vec::new(), needed: 0 }
    }

    /// Decodes the next fragment of the block. The caller decodes nothing else between two
    /// fragments.
    ///
    /// # Errors
    ///
    /// Any [`DecodeError`] but `Truncated`; all later calls of the decoder return the same one.
    pub fn push(&mut self, decoder: &mut Decoder, fragment: &[u8]) -> Result<(), DecodeError> {
        self.guarded(decoder, |skipper, decoder| skipper.push_unguarded(decoder, fragment))
    }

    /// Ends the block.
    ///
    /// # Errors
    ///
    /// `Truncated` if the last field is incomplete, and `SizeUpdateMissing`; all later calls of the
    /// decoder return the same one.
    pub fn finish(mut self, decoder: &mut Decoder) -> Result<(), DecodeError> {
        self.guarded(decoder, |skipper, decoder| match skipper.state {
            _ if !skipper.carry.is_empty() => Err(DecodeError::Truncated),
            State::Front => decoder.check_update_due(),
            State::Fields => Ok(()),
            State::Length(_) | State::Octets { .. } => Err(DecodeError::Truncated),
        })
    }

    /// Returns the memory held, in bytes.
    pub fn capacity_bytes(&self) -> usize {
        self.carry.capacity()
    }

    fn guarded(
        &mut self,
        decoder: &mut Decoder,
        decode: impl FnOnce(&mut Self, &mut Decoder) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        if let Some(error) = decoder.failed {
            return Err(error);
        }
        let decoded = decode(self, decoder);
        decoder.failed = decoded.err();
        decoded
    }

    fn push_unguarded(&mut self, decoder: &mut Decoder, mut input: &[u8]) -> Result<(), DecodeError> {
        decoder.table.unpin();
        while !input.is_empty() {
            if self.carry.is_empty() {
                let used = self.decode(decoder, input)?;
                self.carry.extend_from_slice(&input[used..]);
                return Ok(());
            }
            let missing = self.needed.saturating_sub(self.carry.len());
            let (more, rest) = input.split_at(missing.min(input.len()));
            self.carry.extend_from_slice(more);
            input = rest;
            if self.carry.len() < self.needed {
                return Ok(());
            }
            let mut carry = core::mem::take(&mut self.carry);
            let used = self.decode(decoder, &carry)?;
            carry.drain(..used);
            self.carry = carry;
        }
        Ok(())
    }

    /// Decodes the complete fields of `block`, and returns how many octets those are. For the rest
    /// it sets `needed`.
    fn decode(&mut self, decoder: &mut Decoder, block: &[u8]) -> Result<usize, DecodeError> {
        let mut at = 0;
        while let Some(&first) = block.get(at) {
            let rest = &block[at..];
            let needed = match self.state {
                State::Front if first & 0xe0 == 0x20 => match decoder.size_update(block, at, first) {
                    Ok(end) => {
                        at = end;
                        continue;
                    }
                    Err(DecodeError::Truncated) => rest.len() as u64 + 1,
                    Err(error) => return Err(error),
                },
                State::Front => {
                    decoder.check_update_due()?;
                    self.state = State::Fields;
                    continue;
                }
                State::Fields => match decoder.skip_fields(block, &mut at, &mut { NO_TOTALS }) {
                    Ok(()) => continue,
                    Err(DecodeError::Truncated) => match decoder.incomplete_field(&block[at..])? {
                        Incomplete::Needs(needed) => needed,
                        Incomplete::Unbuffered { at: start, literal } => {
                            at += start;
                            self.state = State::Length(literal);
                            continue;
                        }
                    },
                    Err(error) => return Err(error),
                },
                State::Length(of) => match string_head(rest, 0)? {
                    Some(StringHead { len: 0, end, .. }) => {
                        at += end;
                        self.end_string(decoder, of);
                        continue;
                    }
                    Some(StringHead { len, is_huffman, end }) => {
                        at += end;
                        let validator = is_huffman.then(Validator::default);
                        self.state = State::Octets { left: len, validator, of };
                        continue;
                    }
                    None => rest.len() as u64 + 1,
                },
                State::Octets { left, mut validator, of } => {
                    let octets = &rest[..rest.len().min(left as usize)];
                    at += octets.len();
                    if let Some(validator) = &mut validator {
                        validator.push(octets)?;
                    }
                    let left = left - octets.len() as u32;
                    self.state = State::Octets { left, validator, of };
                    if left == 0 {
                        validator.map_or(Ok(()), Validator::finish)?;
                        self.end_string(decoder, of);
                    }
                    continue;
                }
            };
            self.needed = usize::try_from(needed).unwrap_or(usize::MAX);
            break;
        }
        Ok(at)
    }

    fn end_string(&mut self, decoder: &mut Decoder, of: Unbuffered) {
        if of.is_name {
            self.state = State::Length(Unbuffered { is_name: false, ..of });
            return;
        }
        if of.empties_table {
            decoder.table.evict_all();
        }
        self.state = State::Fields;
    }
}

impl Decoder {
    /// Returns how decoding continues behind an incomplete field. Reads its integers and checks its
    /// index, but reads no string.
    fn incomplete_field(&self, field: &[u8]) -> Result<Incomplete, DecodeError> {
        let one_more = Ok(Incomplete::Needs(field.len() as u64 + 1));
        let Some(&first) = field.first() else { return one_more };
        let is_indexed = first >= 0x40;
        let mask = match first {
            0x80.. => return one_more,
            0x40.. => 0x3f,
            _ => 0x0f,
        };
        let mut at = 1;
        let index = match integer::decode(field, &mut at, first, mask) {
            Err(DecodeError::Truncated) => return one_more,
            index => index?,
        };
        let start = at;
        // The smallest possible size of the field, whatever its strings decode to.
        let mut size = OVERHEAD as u64;
        match index {
            0 => {}
            1..=STATIC_LEN => size += static_entry(index)?.known_name.name().len() as u64,
            index => {
                let entry = self.dynamic_entry(index)?.1;
                size += u64::from(entry.size - entry.value_len) - OVERHEAD as u64;
            }
        }
        let literal = Unbuffered { is_name: index == 0, empties_table: is_indexed };
        if !is_indexed {
            return Ok(Incomplete::Unbuffered { at: start, literal });
        }
        for is_name in [true, false] {
            if is_name && index != 0 {
                continue;
            }
            let Some(head) = string_head(field, at)? else { return one_more };
            size += head.decoded_len_min();
            if size > u64::from(self.table.size_max()) {
                return Ok(Incomplete::Unbuffered { at: start, literal });
            }
            let end = head.end as u64 + u64::from(head.len);
            match usize::try_from(end) {
                Ok(end) if end <= field.len() && is_name => at = end,
                _ if is_name => return Ok(Incomplete::Needs(end + 1)),
                _ => return Ok(Incomplete::Needs(end)),
            }
        }
        one_more
    }
}

/// The length and coding of a string, RFC 7541 §5.2.
struct StringHead {
    is_huffman: bool,
    /// Encoded octets.
    len: u32,
    /// Where they begin.
    end: usize,
}

impl StringHead {
    /// Returns the smallest number of octets that the string may decode to: no code is longer than
    /// 30 bits.
    fn decoded_len_min(&self) -> u64 {
        let len = u64::from(self.len);
        if self.is_huffman { (8 * len).saturating_sub(7) / 30 } else { len }
    }
}

/// Reads the length and coding of the string at `at`; `None` if they are incomplete.
fn string_head(block: &[u8], at: usize) -> Result<Option<StringHead>, DecodeError> {
    let Some(&first) = block.get(at) else { return Ok(None) };
    let mut end = at + 1;
    match integer::decode(block, &mut end, first, 0x7f) {
        Ok(len) => Ok(Some(StringHead { is_huffman: first >= 0x80, len, end })),
        Err(DecodeError::Truncated) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Totals of skipped fields, which are discarded.
const NO_TOTALS: Totals = Totals { list_bytes: 0, fields: 0, over_limit: None, stopped: false };
