//! The decoder, RFC 7541 §3 and §6.
//!
//! Owns the dynamic table of the fields that the peer sends, and the rules for its size. The
//! strings of a literal are decoded directly to their place in the table's text, and stay there
//! until the next block, whether they become an entry or not. The result of validation is stored in
//! the entry, so a field that repeats in every request is validated once:
//!
//! ```text
//! 40 04 "x-id" 02 "17"   delivered: nothing checked     sink: Valid  ->  entry 62 is marked
//! be                     delivered: both strings valid  validated no more
//! ```
//!
//! Invariants: the table equals the peer's, however much of a block was delivered; after an error
//! the table is not used again; a size update comes at the start of a block, is within the local
//! limit, and is present after that was lowered.

use crate::dynamic_table::{DynamicTable, EMPTY, Entry, NO_SLOT, Storage};
use crate::error::DecodeError;
use crate::field::{Indexing, OVERHEAD};
use crate::huffman::{self, decode::Decoded as Huffman};
use crate::integer;
use crate::known_name::KnownName;
use crate::static_table::{STATIC_ENTRIES, STATIC_LEN};
use crate::swar;
use crate::validate::{Checked, ends_are_visible};

pub use self::block_skipper::BlockSkipper;
pub use self::decoded::{Decoded, FieldRef};

mod block_skipper;
mod decoded;
mod skip;

/// Limits how much of one block is delivered. Beyond either limit delivery stops, and the block is
/// still decoded to its end, so that the table stays equal to the peer's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListLimits {
    /// The largest size of the list, in bytes as RFC 9113 §6.5.2 counts them: both strings and 32
    /// for each field.
    pub list_bytes_max: u32,
    /// The largest number of fields.
    pub fields_max: u32,
}

impl ListLimits {
    /// No limit below `u32::MAX`.
    pub const NONE: Self = Self { list_bytes_max: u32::MAX, fields_max: u32::MAX };
}

/// Names the limit that a block exceeded first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListLimit {
    /// [`ListLimits::list_bytes_max`].
    ListBytes,
    /// [`ListLimits::fields_max`].
    Fields,
}

/// Tells the decoder what to do after the sink has seen a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SinkAction {
    /// Marks the entry of the field, if there is one, as valid.
    Valid,
    /// Marks nothing.
    Unchecked,
    /// Delivers no more of this block.
    Stop,
}

/// The totals of a whole block, delivered or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Totals {
    /// The size of the list in bytes, as RFC 9113 §6.5.2 counts it.
    pub list_bytes: u64,
    /// The number of fields.
    pub fields: u32,
    /// The limit that ended delivery.
    pub over_limit: Option<ListLimit>,
    /// Whether the sink ended delivery.
    pub stopped: bool,
}

impl Totals {
    /// Counts a field, and returns whether it is beyond a limit.
    #[inline(always)]
    fn count(&mut self, entry: &Entry, limits: ListLimits) -> bool {
        self.list_bytes += u64::from(entry.size);
        self.fields += 1;
        if self.list_bytes > u64::from(limits.list_bytes_max) {
            self.over_limit = Some(ListLimit::ListBytes);
        } else if self.fields > limits.fields_max {
            self.over_limit = Some(ListLimit::Fields);
        }
        self.over_limit.is_some()
    }
}

/// Decodes the header blocks of one direction of a connection, in order.
#[derive(Clone, Debug)]
pub struct Decoder {
    table: DynamicTable,
    /// The largest size that an update may set.
    bytes_max: u32,
    /// RFC 7541 §4.2: the next block must begin with an update to at most this.
    update_due: Option<u32>,
    /// The first error, which is final: from then on the tables may differ.
    failed: Option<DecodeError>,
}

impl Decoder {
    /// Creates a decoder whose table holds at most `table_bytes_max`. For HTTP/2 that is 4096 (RFC
    /// 9113 §4.3.1) until the peer acknowledges a change. Allocates nothing.
    pub const fn new(table_bytes_max: u32) -> Self {
        Self {
            table: DynamicTable::new(table_bytes_max),
            bytes_max: table_bytes_max,
            update_due: None,
            failed: None,
        }
    }

    /// Sets the largest table size that the peer may choose, in bytes: the local
    /// `SETTINGS_HEADER_TABLE_SIZE`, once the peer has acknowledged it. If that is less than the
    /// table's current maximum, the next block must begin with a size update within it (RFC 9113
    /// §4.3.1).
    pub fn set_table_bytes_max(&mut self, bytes: u32) {
        self.bytes_max = bytes;
        if bytes < self.table.size_max() {
            self.update_due = Some(self.update_due.map_or(bytes, |due| due.min(bytes)));
        }
    }

    /// Asserts the decoder's invariants, in builds with debug assertions: for tests and fuzzing.
    pub fn check(&self) {
        self.table.check();
        debug_assert!(
            self.failed.is_some() || self.update_due.is_some() || self.table.size_max() <= self.bytes_max
        );
        // A known name is not validated again: that of a pseudo-header field would fail.
        for (_, entry) in (0..self.table.len()).filter_map(|age| self.table.entry(age)) {
            debug_assert!(!entry.known_name.is_known() || (entry.checked.name() && entry.name_len == 0));
        }
    }

    /// Returns the memory that the decoder holds, in bytes.
    pub fn table_bytes(&self) -> usize {
        self.table.heap_bytes()
    }

    /// Decodes one whole block and delivers its fields to `sink`, in order.
    ///
    /// # Errors
    ///
    /// Any [`DecodeError`]; all later calls return the same one. Fields may have been delivered
    /// before.
    pub fn decode(
        &mut self,
        block: &[u8],
        limits: ListLimits,
        sink: impl FnMut(Decoded<'_>) -> SinkAction,
    ) -> Result<Totals, DecodeError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let decoded = self.decode_block(block, limits, sink);
        if let Err(error) = decoded {
            self.failed = Some(error);
        }
        decoded
    }

    /// Loops over the fields of a block. Indexed fields, which are the most frequent, need few
    /// registers and no call; `literal` reads the others.
    #[inline(always)]
    fn decode_block(
        &mut self,
        block: &[u8],
        limits: ListLimits,
        mut sink: impl FnMut(Decoded<'_>) -> SinkAction,
    ) -> Result<Totals, DecodeError> {
        let mut totals = Totals { list_bytes: 0, fields: 0, over_limit: None, stopped: false };
        let mut at = self.size_updates(block)?;
        self.table.pin();
        while let Some(&first) = block.get(at) {
            at += 1;
            let (slot, entry) = if first >= 0x80 {
                // RFC 7541 §6.1.
                let index = integer::decode(block, &mut at, first, 0x7f)?;
                if index <= STATIC_LEN { (NO_SLOT, static_entry(index)?) } else { self.dynamic_entry(index)? }
            } else {
                let slot;
                (slot, at) = self.literal(block, at, first)?;
                (slot, self.table.entry_in(slot))
            };
            if totals.count(entry, limits) {
                return self.skip_remaining(block, at, totals);
            }
            let is_validated = entry.checked == Checked::Validated;
            let action = sink(Decoded { entry, table: &self.table });
            if action == SinkAction::Stop {
                totals.stopped = true;
                return self.skip_remaining(block, at, totals);
            }
            if action == SinkAction::Valid && !is_validated {
                self.table.set_validated(slot);
            }
        }
        Ok(totals)
    }

    /// RFC 7541 §6.3: reads the size updates at the front of a block, and returns where they end.
    #[inline(always)]
    fn size_updates(&mut self, block: &[u8]) -> Result<usize, DecodeError> {
        let mut at = 0;
        match block.first() {
            Some(first) if first & 0xe0 == 0x20 => self.size_updates_present(block, &mut at)?,
            _ => {}
        }
        self.check_update_due()?;
        Ok(at)
    }

    /// RFC 7541 §4.2: fails if a size update was due and did not come.
    #[inline(always)]
    fn check_update_due(&self) -> Result<(), DecodeError> {
        match self.update_due {
            Some(bytes_max) => Err(DecodeError::SizeUpdateMissing { bytes_max }),
            None => Ok(()),
        }
    }

    #[inline(never)]
    fn size_updates_present(&mut self, block: &[u8], at: &mut usize) -> Result<(), DecodeError> {
        while let Some(&first) = block.get(*at) {
            if first & 0xe0 != 0x20 {
                break;
            }
            *at = self.size_update(block, *at, first)?;
        }
        Ok(())
    }

    /// RFC 7541 §6.3: applies the size update at `at`, and returns where it ends. A truncated one
    /// changes nothing.
    fn size_update(&mut self, block: &[u8], at: usize, first: u8) -> Result<usize, DecodeError> {
        let mut end = at + 1;
        let bytes = integer::decode(block, &mut end, first, 0x1f)?;
        if bytes > self.bytes_max {
            return Err(DecodeError::SizeUpdateTooLarge { bytes, bytes_max: self.bytes_max });
        }
        // RFC 7541 §4.2: the first one must name at most the smallest limit that was in force.
        if let Some(bytes_max) = self.update_due.take()
            && bytes > bytes_max
        {
            return Err(DecodeError::SizeUpdateMissing { bytes_max });
        }
        self.table.set_size_max(bytes);
        Ok(end)
    }

    /// Returns an entry of the dynamic table, and its slot.
    #[inline(always)]
    fn dynamic_entry(&self, index: u32) -> Result<(usize, &Entry), DecodeError> {
        let found = self.table.entry(index - STATIC_LEN - 1);
        found.ok_or(DecodeError::IndexPastEnd { index, last: STATIC_LEN + self.table.len() })
    }

    /// RFC 7541 §6.2: reads a literal field. Returns its slot, `NO_SLOT` if it enters no table, and
    /// where it ends in the block.
    #[inline(never)]
    fn literal(&mut self, block: &[u8], at: usize, first: u8) -> Result<(usize, usize), DecodeError> {
        match first {
            0x40.. => self.literal_indexed(block, at, first),
            0x20.. => Err(DecodeError::SizeUpdateLate),
            0x10.. => self.literal_unindexed(block, at, first, Indexing::Never),
            _ => self.literal_unindexed(block, at, first, Indexing::NotIndexed),
        }
    }

    /// RFC 7541 §6.2.1: reads a literal field that becomes the newest entry, unless it is too
    /// large. Both strings are written to the scratch space behind the newest entry, where the
    /// insertion leaves them.
    #[inline(always)]
    fn literal_indexed(
        &mut self,
        block: &[u8],
        mut at: usize,
        first: u8,
    ) -> Result<(usize, usize), DecodeError> {
        let index = integer::decode(block, &mut at, first, 0x3f)?;
        let known_name;
        let (mut name_len, mut name_is_valid) = (0, true);
        let mut owner = None;
        if index == 0 {
            let coded = Encoded::read(block, &mut at)?;
            name_len = self.read_into_scratch(0, &coded)?.len;
            known_name = KnownName::of(&self.table.scratch()[..name_len]);
            name_is_valid = known_name.is_known();
            if name_is_valid {
                name_len = 0;
            }
        } else if index <= STATIC_LEN {
            known_name = static_entry(index)?.known_name;
        } else {
            let (slot, &entry) = self.dynamic_entry(index)?;
            known_name = entry.known_name;
            name_is_valid = entry.checked.name();
            if !known_name.is_known() {
                if entry.name_len < SHARED_LEN_MIN {
                    name_len = entry.name_len as usize;
                    self.table.reserve_scratch(name_len, 0);
                    self.table.copy_name_to_scratch(slot);
                } else {
                    owner = Some(slot);
                }
            }
        }
        let coded = Encoded::read(block, &mut at)?;
        let value = self.read_into_scratch(name_len, &coded)?;
        let checked = Checked::new(name_is_valid, value.is_plain);
        let mut entry = self.table.scratch_entry(name_len, value.len, known_name, checked);
        if let Some(slot) = owner {
            self.table.share_name(&mut entry, slot);
        }
        Ok((self.table.commit(&entry), at))
    }

    /// RFC 7541 §6.2.2 and §6.2.3: reads a literal field that does not enter the table. Its strings
    /// are kept for this block.
    #[inline(always)]
    fn literal_unindexed(
        &mut self,
        block: &[u8],
        mut at: usize,
        first: u8,
        indexing: Indexing,
    ) -> Result<(usize, usize), DecodeError> {
        let index = integer::decode(block, &mut at, first, 0x0f)?;
        let mut entry = Entry { indexing, storage: Storage::Unindexed, ..EMPTY };
        let mut name_is_valid = true;
        if index == 0 {
            let coded = Encoded::read(block, &mut at)?;
            let name;
            (entry.name_start, name) = self.read_unindexed(&coded)?;
            entry.known_name = KnownName::of(self.table.unindexed.string(entry.name_start, name.len as u32));
            name_is_valid = entry.known_name.is_known();
            if !name_is_valid {
                entry.name_len = name.len as u32;
            }
        } else if index <= STATIC_LEN {
            entry.known_name = static_entry(index)?.known_name;
        } else {
            let (slot, owner) = self.dynamic_entry(index)?;
            (entry.name_len, entry.known_name) = (owner.name_len, owner.known_name);
            name_is_valid = owner.checked.name();
            if entry.name_len > 0 {
                entry.name_start = self.table.copy_name_unindexed(slot);
            }
        }
        let coded = Encoded::read(block, &mut at)?;
        let value;
        (entry.value_start, value) = self.read_unindexed(&coded)?;
        entry.value_len = value.len as u32;
        let size = entry.known_name.name().len() + entry.name_len as usize + value.len + OVERHEAD;
        entry.size = u32::try_from(size).unwrap_or(u32::MAX);
        entry.checked = Checked::new(name_is_valid, value.is_plain);
        self.table.unindexed.set_last(entry);
        Ok((NO_SLOT, at))
    }

    /// Decodes or copies a string to the unindexed ones. Returns its offset there.
    #[inline(always)]
    fn read_unindexed(&mut self, coded: &Encoded<'_>) -> Result<(u32, Huffman), DecodeError> {
        let octets = coded.octets;
        if coded.is_huffman {
            return self.decode_huffman_unindexed(octets);
        }
        let (start, to) = self.table.unindexed.reserve(octets.len().max(SHORT));
        coded.copy(to);
        self.table.unindexed.commit(octets.len());
        Ok((start, Huffman { len: octets.len(), is_plain: octets.is_empty() }))
    }

    #[inline(never)]
    fn decode_huffman_unindexed(&mut self, octets: &[u8]) -> Result<(u32, Huffman), DecodeError> {
        let (start, to) = self.table.unindexed.reserve(huffman::decode::room_for(octets.len()));
        let mut decoded = huffman::decode::decode(octets, to)?;
        decoded.is_plain = decoded.is_plain && ends_are_visible(&to[..decoded.len]);
        self.table.unindexed.commit(decoded.len);
        Ok((start, decoded))
    }

    /// Decodes or copies a string to the scratch space behind its first `kept` octets.
    #[inline(always)]
    fn read_into_scratch(&mut self, kept: usize, coded: &Encoded<'_>) -> Result<Huffman, DecodeError> {
        let octets = coded.octets;
        if coded.is_huffman {
            return self.decode_huffman_into_scratch(kept, octets);
        }
        coded.copy(self.table.scratch_room(octets.len().max(SHORT), kept));
        Ok(Huffman { len: octets.len(), is_plain: octets.is_empty() })
    }

    #[inline(never)]
    fn decode_huffman_into_scratch(&mut self, kept: usize, octets: &[u8]) -> Result<Huffman, DecodeError> {
        let to = self.table.scratch_room(huffman::decode::room_for(octets.len()), kept);
        let mut decoded = huffman::decode::decode(octets, to)?;
        decoded.is_plain = decoded.is_plain && ends_are_visible(&to[..decoded.len]);
        Ok(decoded)
    }
}

/// A string as encoded in the block, RFC 7541 §5.2.
struct Encoded<'b> {
    is_huffman: bool,
    octets: &'b [u8],
    /// The same octets and the rest of the block.
    tail: &'b [u8],
}

impl<'b> Encoded<'b> {
    #[inline(always)]
    fn read(block: &'b [u8], at: &mut usize) -> Result<Self, DecodeError> {
        let first = *block.get(*at).ok_or(DecodeError::Truncated)?;
        *at += 1;
        let len = integer::decode(block, at, first, 0x7f)? as usize;
        let tail = block.get(*at..).ok_or(DecodeError::Truncated)?;
        let octets = tail.get(..len).ok_or(DecodeError::Truncated)?;
        *at += len;
        // An empty string needs no decoding.
        Ok(Self { is_huffman: first >= 0x80 && len > 0, octets, tail })
    }

    /// Copies a plain string. A short one is copied together with the octets behind it, in one
    /// move.
    #[inline(always)]
    fn copy(&self, to: &mut [u8]) {
        match (self.tail.first_chunk::<SHORT>(), to.first_chunk_mut::<SHORT>()) {
            (Some(from), Some(to)) if self.octets.len() <= SHORT => swar::copy(from, to),
            _ => to[..self.octets.len()].copy_from_slice(self.octets),
        }
    }
}

/// The longest plain string that is copied in one move, in octets.
const SHORT: usize = 32;

/// The shortest name that entries share instead of copying it, in octets. Two octets of a block can
/// repeat a name of thousands, and then cost no more than others.
const SHARED_LEN_MIN: u32 = 64;

/// Returns the static entry of an index up to 61.
#[inline(always)]
fn static_entry(index: u32) -> Result<&'static Entry, DecodeError> {
    match STATIC_ENTRIES.get(index as usize) {
        Some(entry) if index != 0 => Ok(entry),
        _ => Err(DecodeError::IndexZero),
    }
}
