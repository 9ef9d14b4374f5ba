//! The rest of a block after its last delivered field, the largest part of a hostile block.
//!
//! It is decoded only to update the table. Strings are decoded too, because a malformed one is an
//! error anywhere, but they are not validated, and an entry that takes its name from another always
//! shares it:
//!
//! ```text
//! 7e 00   an entry with the name of the newest one, however long, costs one `Entry`
//! ```
//!
//! Fields of two or three octets cost most per octet, so short strings have a path of their own,
//! from the block to the table in words.

use super::{Decoder, Encoded, Totals, static_entry};
use crate::dynamic_table::bulk_insert::{ShortField, ShortName, ShortString};
use crate::error::DecodeError;
use crate::field::OVERHEAD;
use crate::huffman;
use crate::integer;
use crate::known_name::KnownName;
use crate::static_table::{STATIC_LEN, STATIC_TABLE};
use crate::validate::Checked;

impl Decoder {
    /// Decodes a block from `at` to its end, and counts its fields.
    pub fn skip_remaining(
        &mut self,
        block: &[u8],
        mut at: usize,
        mut totals: Totals,
    ) -> Result<Totals, DecodeError> {
        self.table.unpin();
        self.skip_fields(block, &mut at, &mut totals)?;
        Ok(totals)
    }

    /// Decodes the fields of `block` from `end` on and counts them. `end` is where the last whole
    /// field ended, after an error too: a field that is cut short has changed nothing.
    #[inline(always)]
    pub(super) fn skip_fields(
        &mut self,
        block: &[u8],
        end: &mut usize,
        totals: &mut Totals,
    ) -> Result<(), DecodeError> {
        let mut at = *end;
        while let Some(&first) = block.get(at) {
            let size;
            if first >= 0x80 {
                (size, at) = self.skip_indexed(block, at + 1, first)?;
            } else if first >= 0x40 {
                let bulk = self.table.insert_bulk(at, |at| read_short(block, at));
                if bulk.fields > 0 {
                    at = bulk.end;
                    *end = at;
                    totals.fields += bulk.fields;
                    totals.list_bytes += bulk.bytes;
                    continue;
                }
                (size, at) = self.insert_skipped(block, at + 1, first)?;
            } else {
                (size, at) = self.skip_literal(block, at + 1, first)?;
            }
            *end = at;
            totals.fields += 1;
            totals.list_bytes += size as u64;
        }
        Ok(())
    }

    /// RFC 7541 §6.1. Returns the size of the field, and where it ends, as the functions below do.
    #[inline(always)]
    fn skip_indexed(&self, block: &[u8], mut at: usize, first: u8) -> Result<(usize, usize), DecodeError> {
        let index = integer::decode(block, &mut at, first, 0x7f)?;
        let size = if index <= STATIC_LEN {
            static_entry(index)?.size as usize
        } else {
            self.dynamic_entry(index)?.1.size as usize
        };
        Ok((size, at))
    }

    /// RFC 7541 §6.2.1.
    #[inline(never)]
    fn insert_skipped(
        &mut self,
        block: &[u8],
        start: usize,
        first: u8,
    ) -> Result<(usize, usize), DecodeError> {
        let mut at = start;
        let (known_name, owner, name_is_valid) = match integer::decode(block, &mut at, first, 0x3f)? {
            0 => {
                let (slot, end) = self.literal_indexed(block, start, first)?;
                return Ok((self.table.entry_in(slot).size as usize, end));
            }
            index @ 1..=STATIC_LEN => (static_entry(index)?.known_name, None, true),
            index => {
                let (slot, entry) = self.dynamic_entry(index)?;
                (
                    entry.known_name,
                    if entry.known_name.is_known() { None } else { Some(slot) },
                    entry.checked.name(),
                )
            }
        };
        let coded = Encoded::read(block, &mut at)?;
        let value_len = self.read_into_scratch(0, &coded)?.len;
        let checked = Checked::new(name_is_valid, false);
        let mut entry = self.table.scratch_entry(0, value_len, known_name, checked);
        if let Some(slot) = owner {
            self.table.share_name(&mut entry, slot);
        }
        self.table.commit(&entry);
        Ok((entry.size as usize, at))
    }

    /// RFC 7541 §6.2.2 and §6.2.3.
    #[inline(never)]
    fn skip_literal(
        &mut self,
        block: &[u8],
        mut at: usize,
        first: u8,
    ) -> Result<(usize, usize), DecodeError> {
        if first >= 0x20 {
            return Err(DecodeError::SizeUpdateLate);
        }
        let name_len = match integer::decode(block, &mut at, first, 0x0f)? {
            0 => self.skip_string(block, &mut at)?,
            index @ 1..=STATIC_LEN => static_entry(index)?.known_name.name().len(),
            index => {
                let (_, entry) = self.dynamic_entry(index)?;
                entry.size as usize - entry.value_len as usize - OVERHEAD
            }
        };
        let value_len = self.skip_string(block, &mut at)?;
        Ok((name_len + value_len + OVERHEAD, at))
    }

    /// Skips a string, and returns its length once decoded.
    #[inline(always)]
    fn skip_string(&mut self, block: &[u8], at: &mut usize) -> Result<usize, DecodeError> {
        if let Some((text, end)) = short_text(block, *at) {
            *at = end;
            return Ok(text.len as usize);
        }
        let coded = Encoded::read(block, at)?;
        if coded.is_huffman { Ok(self.read_into_scratch(0, &coded)?.len) } else { Ok(coded.octets.len()) }
    }
}

/// RFC 7541 §6.2.1: reads a field if it is short and well-formed, including its index.
#[inline(always)]
fn read_short(block: &[u8], at: usize) -> Option<(ShortField, usize)> {
    // Other representations differ in the high bits, so that the index is too large.
    let (name, at) = match *block.get(at)? ^ 0x40 {
        0 => {
            let (text, end) = short_text(block, at + 1)?;
            let known_name = KnownName::of(text.octets.get(..text.len as usize)?);
            (if known_name.is_known() { ShortName::Known(known_name) } else { ShortName::Literal(text) }, end)
        }
        index @ 1..62 => (ShortName::Known(STATIC_TABLE[usize::from(index)].known_name), at + 1),
        62 => (ShortName::FromEntry(0), at + 1),
        63 => match *block.get(at + 1)? {
            more @ 0..0x80 => (ShortName::FromEntry(u32::from(more) + 1), at + 2),
            _ => return None,
        },
        _ => return None,
    };
    let (value, end) = short_text(block, at)?;
    Some((ShortField { name, value }, end))
}

/// RFC 7541 §5.2: reads a string if it decodes to 16 octets at most and is well-formed. Fails near
/// the end of the block.
#[inline(always)]
fn short_text(block: &[u8], at: usize) -> Option<(ShortString, usize)> {
    let [first, octets @ ..] = block.get(at..)?.first_chunk::<17>()?;
    let coded_len = usize::from(first & 0x7f);
    let text = if *first < 0x80 {
        ShortString { octets: *octets, len: coded_len as u32 }
    } else {
        let (octets, len) = huffman::decode::decode_short(*octets.first_chunk()?, coded_len)?;
        ShortString { octets, len: len as u32 }
    };
    if text.len <= 16 { Some((text, at + 1 + coded_len)) } else { None }
}
