//! The decoder, RFC 7541 §3 and §6.
//!
//! Owns the dynamic table of what the peer sends, and the rules for its size. A field's strings stay where
//! they are: in the block, in the table, or, if they were coded, in the table's scratch space. What was
//! found out about an entry is kept with it, so a header that comes with every request is validated once:
//!
//! ```text
//! 40 04 "x-id" 02 "17"   delivered: nothing checked     sink: Valid  ->  entry 62 is marked
//! be                     delivered: both strings valid  nobody looks at them again
//! ```
//!
//! What it keeps true: the table is what the peer's is, however much of a block was delivered; after an
//! error it is not used again; a size update stands in front of a block, obeys our limit, and is there when
//! we have lowered that.

use crate::dynamic_table::{DynamicTable, Entry};
use crate::error::DecodeError;
use crate::field::{Field, Indexing};
use crate::huffman::{self, decode::Decoded as Huffman};
use crate::integer;
use crate::static_table::{STATIC_LEN, STATIC_TABLE, StaticEntry};
use crate::token::Token;
use crate::valid::{Checked, ends_are_visible, rest_is_valid};
use crate::words;

mod undelivered;

/// How much of one block is delivered. Past either bound delivery stops, and the block is still decoded
/// to its end, so that the table stays in step with the peer's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most that the list may take, in bytes as RFC 9113 §6.5.2 counts them: both strings and 32
    /// for each field.
    pub list_bytes_max: u32,
    /// The most fields.
    pub fields_max: u32,
}

impl Limits {
    /// No bound but that of the integers.
    pub const NONE: Self = Self { list_bytes_max: u32::MAX, fields_max: u32::MAX };
}

/// Names the bound that a block went past first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// [`Limits::list_bytes_max`].
    ListBytes,
    /// [`Limits::fields_max`].
    Fields,
}

/// One field of a block, and what is known of its octets.
#[derive(Clone, Copy, Debug)]
pub struct Decoded<'a> {
    /// The field. It lives until the sink returns.
    pub field: Field<'a>,
    /// Which of its strings need no check any more.
    pub checked: Checked,
}

impl Decoded<'_> {
    /// Whether name and value hold only octets that RFC 9113 §8.2.1 allows. Looks only at what was not
    /// checked before; a sink that is content returns [`Verdict::Valid`], so a table entry is looked at
    /// once. A pseudo-field's name is valid if it is a known one.
    #[inline(always)]
    pub fn is_valid(&self) -> bool {
        self.checked == Checked::Both || rest_is_valid(self.checked, self.field.name, self.field.value)
    }
}

impl StaticEntry {
    #[inline(always)]
    fn decoded(&self) -> Decoded<'_> {
        let &Self { name, value, token } = self;
        Decoded { field: Field { name, value, token, indexing: Indexing::Default }, checked: Checked::Both }
    }
}

impl DynamicTable {
    #[inline(always)]
    fn decoded(&self, entry: &Entry) -> Decoded<'_> {
        let (name, value) = self.strings(entry);
        let field = Field { name, value, token: entry.token, indexing: Indexing::Default };
        Decoded { field, checked: entry.checked }
    }
}

/// What the sink says to a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Its octets are valid: if it enters the table, remember that.
    Valid,
    /// Nothing is to be remembered.
    Unchecked,
    /// Deliver no more of this block.
    Stop,
}

/// What a whole block amounted to, delivered or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Totals {
    /// The size of the list in bytes, as RFC 9113 §6.5.2 counts it.
    pub list_bytes: u64,
    /// The number of fields.
    pub fields: u32,
    /// The bound that ended delivery.
    pub over_limit: Option<Limit>,
    /// Whether the sink ended delivery.
    pub stopped: bool,
}

/// Decodes the header blocks of one direction of a connection, in order.
#[derive(Clone, Debug)]
pub struct Decoder {
    table: DynamicTable,
    /// The most that a size update may ask for.
    bytes_max: u32,
    /// RFC 7541 §4.2: the next block must begin with an update to at most this.
    update_due: Option<u32>,
    /// An error is final: the tables may differ from then on.
    failed: Option<DecodeError>,
}

impl Decoder {
    /// A decoder whose table holds at most `table_bytes_max` from the start, which for HTTP/2 is 4096
    /// (RFC 9113 §4.3.1) until a change is acknowledged. Allocates nothing.
    pub const fn new(table_bytes_max: u32) -> Self {
        Self {
            table: DynamicTable::new(table_bytes_max),
            bytes_max: table_bytes_max,
            update_due: None,
            failed: None,
        }
    }

    /// Sets the most that the peer may use of our memory: the value of our `SETTINGS_HEADER_TABLE_SIZE`,
    /// once the peer has acknowledged it. If that is less than the table's present size limit, the next
    /// block must begin with a size update that obeys (RFC 9113 §4.3.1).
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
    }

    /// The memory that the decoder holds, in bytes.
    pub fn table_bytes(&self) -> usize {
        self.table.heap_bytes()
    }

    /// Decodes one whole block and delivers its fields to `sink`, in order.
    ///
    /// # Errors
    ///
    /// Any [`DecodeError`]; all later calls return the same one. Fields may have been delivered before.
    pub fn decode(
        &mut self,
        block: &[u8],
        limits: Limits,
        sink: impl FnMut(Decoded<'_>) -> Verdict,
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

    /// The loop over the fields of a block. It has one place that calls the sink, so that the sink is
    /// compiled into it, and nothing that it calls takes the address of its counters.
    #[inline(always)]
    fn decode_block(
        &mut self,
        block: &[u8],
        limits: Limits,
        mut sink: impl FnMut(Decoded<'_>) -> Verdict,
    ) -> Result<Totals, DecodeError> {
        let mut totals = Totals { list_bytes: 0, fields: 0, over_limit: None, stopped: false };
        let mut at = self.size_updates(block)?;
        while let Some(&first) = block.get(at) {
            at += 1;
            let mut unchecked = None;
            let decoded = if first >= 0x80 {
                // RFC 7541 §6.1.
                let index = integer::decode(block, &mut at, first, 0x7f)?;
                if index <= STATIC_LEN {
                    static_entry(index)?.decoded()
                } else {
                    let (slot, entry) = self.dynamic_entry(index)?;
                    unchecked = (entry.checked != Checked::Both).then_some(slot);
                    self.table.decoded(entry)
                }
            } else if first >= 0x40 {
                let (entry, slot, end) = self.literal_to_index(block, at, first)?;
                (at, unchecked) = (end, slot);
                self.table.decoded(&entry)
            } else {
                let literal = self.literal(block, at, first)?;
                at = literal.end;
                literal.decoded(&self.table)
            };
            totals.list_bytes += decoded.field.size() as u64;
            totals.fields += 1;
            if totals.list_bytes > u64::from(limits.list_bytes_max) {
                totals.over_limit = Some(Limit::ListBytes);
                return self.decode_undelivered(block, at, totals);
            }
            if totals.fields > limits.fields_max {
                totals.over_limit = Some(Limit::Fields);
                return self.decode_undelivered(block, at, totals);
            }
            match (sink(decoded), unchecked) {
                (Verdict::Valid, Some(slot)) => self.table.set_valid(slot),
                (Verdict::Stop, _) => {
                    totals.stopped = true;
                    return self.decode_undelivered(block, at, totals);
                }
                _ => {}
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
        match self.update_due {
            Some(bytes_max) => Err(DecodeError::SizeUpdateMissing { bytes_max }),
            None => Ok(at),
        }
    }

    #[inline(never)]
    fn size_updates_present(&mut self, block: &[u8], at: &mut usize) -> Result<(), DecodeError> {
        while let Some(&first) = block.get(*at) {
            if first & 0xe0 != 0x20 {
                break;
            }
            *at += 1;
            let bytes = integer::decode(block, at, first, 0x1f)?;
            if bytes > self.bytes_max {
                return Err(DecodeError::SizeUpdateTooLarge { bytes, bytes_max: self.bytes_max });
            }
            // The first one must name the smallest size that we had set (RFC 7541 §4.2), or less.
            if let Some(bytes_max) = self.update_due.take()
                && bytes > bytes_max
            {
                return Err(DecodeError::SizeUpdateMissing { bytes_max });
            }
            self.table.set_size_max(bytes);
        }
        Ok(())
    }

    /// An entry of the dynamic table, and its slot.
    #[inline(always)]
    fn dynamic_entry(&self, index: u32) -> Result<(usize, &Entry), DecodeError> {
        let found = self.table.entry(index - STATIC_LEN - 1);
        found.ok_or(DecodeError::IndexPastEnd { index, last: STATIC_LEN + self.table.len() })
    }

    /// RFC 7541 §6.2.1: a literal field that becomes the newest entry. Both strings are gathered in the
    /// scratch space behind the last entry, where an insertion only has to count them in. Returns the
    /// entry (also if it was too large for the table), its slot if it is there but not known to be valid,
    /// and where the field ends in the block.
    #[inline(always)]
    fn literal_to_index(
        &mut self,
        block: &[u8],
        mut at: usize,
        first: u8,
    ) -> Result<(Entry, Option<usize>, usize), DecodeError> {
        let index = integer::decode(block, &mut at, first, 0x3f)?;
        let token;
        let (mut name_len, mut name_is_valid) = (0, true);
        let mut owner = None;
        if index == 0 {
            let coded = Encoded::read(block, &mut at)?;
            name_len = self.place(0, &coded)?.len;
            token = Token::of(&self.table.scratch()[..name_len]);
            name_is_valid = false;
        } else if index <= STATIC_LEN {
            token = static_entry(index)?.token;
        } else {
            let (slot, &entry) = self.dynamic_entry(index)?;
            token = entry.token;
            name_is_valid = entry.checked.name();
            if !token.is_known() {
                if entry.name_len < SHARED_LEN_MIN {
                    name_len = entry.name_len as usize;
                    self.table.reserve_scratch(name_len, 0);
                    self.table.copy_name_to_scratch(slot);
                } else {
                    owner = Some(slot);
                }
            }
        }
        if token.is_known() {
            (name_len, name_is_valid) = (0, true);
        }
        let coded = Encoded::read(block, &mut at)?;
        let value = self.place(name_len, &coded)?;
        let checked = Checked::new(name_is_valid, value.is_plain);
        let mut entry = self.table.scratch_entry(name_len, value.len, token, checked);
        if let Some(slot) = owner {
            self.table.share_name(&mut entry, slot);
        }
        let slot = self.table.commit(&entry);
        Ok((entry, if checked == Checked::Both { None } else { slot }, at))
    }

    /// Decodes or copies a string to the scratch space behind its first `kept` octets.
    #[inline(always)]
    fn place(&mut self, kept: usize, coded: &Encoded<'_>) -> Result<Huffman, DecodeError> {
        let octets = coded.octets;
        if coded.is_huffman {
            return self.place_huffman(kept, octets);
        }
        self.table.reserve_scratch(kept + octets.len().max(SHORT), kept);
        let to = &mut self.table.scratch_mut()[kept..];
        match (coded.run.first_chunk::<SHORT>(), to.first_chunk_mut::<SHORT>()) {
            (Some(from), Some(to)) if octets.len() <= SHORT => words::copy(from, to),
            _ => to[..octets.len()].copy_from_slice(octets),
        }
        Ok(Huffman { len: octets.len(), is_plain: octets.is_empty() })
    }

    #[inline(never)]
    fn place_huffman(&mut self, kept: usize, octets: &[u8]) -> Result<Huffman, DecodeError> {
        self.table.reserve_scratch(kept + huffman::decode::room_for(octets.len()), kept);
        let to = &mut self.table.scratch_mut()[kept..];
        let mut decoded = huffman::decode::decode(octets, to)?;
        decoded.is_plain = decoded.is_plain && ends_are_visible(&to[..decoded.len]);
        Ok(decoded)
    }

    /// RFC 7541 §6.2.2 and §6.2.3: a literal field that leaves the table alone. Its strings stay where
    /// they are: in the block, in an entry, or, if they are Huffman-coded, in the scratch space.
    #[inline(always)]
    fn literal<'b>(&mut self, block: &'b [u8], mut at: usize, first: u8) -> Result<Literal<'b>, DecodeError> {
        let indexing = match first >> 4 {
            0 => Indexing::Without,
            1 => Indexing::Never,
            _ => return Err(DecodeError::SizeUpdateLate),
        };
        let index = integer::decode(block, &mut at, first, 0x0f)?;
        let name = match index {
            0 => self.literal_name(block, &mut at)?,
            1..=STATIC_LEN => Name::known(static_entry(index)?.token),
            _ => {
                let (slot, entry) = self.dynamic_entry(index)?;
                if entry.token.is_known() {
                    Name::known(entry.token)
                } else {
                    let is_valid = entry.checked.name();
                    Name { text: Text::Entry(slot), token: entry.token, is_valid, scratch: 0 }
                }
            }
        };
        let coded = Encoded::read(block, &mut at)?;
        let (mut value, mut value_is_valid) = (Text::At(coded.octets), coded.octets.is_empty());
        if coded.is_huffman {
            let decoded = self.place(name.scratch, &coded)?;
            value = Text::Scratch { start: name.scratch, len: decoded.len };
            value_is_valid = decoded.is_plain;
        }
        let checked = Checked::new(name.is_valid, value_is_valid);
        Ok(Literal { name: name.text, value, token: name.token, indexing, checked, end: at })
    }

    /// A name that is spelled out.
    #[inline(always)]
    fn literal_name<'b>(&mut self, block: &'b [u8], at: &mut usize) -> Result<Name<'b>, DecodeError> {
        let coded = Encoded::read(block, at)?;
        let (mut text, mut scratch) = (Text::At(coded.octets), 0);
        let mut token = Token::of(coded.octets);
        if coded.is_huffman {
            scratch = self.place(0, &coded)?.len;
            text = Text::Scratch { start: 0, len: scratch };
            token = Token::of(&self.table.scratch()[..scratch]);
        }
        if token.is_known() {
            return Ok(Name::known(token));
        }
        Ok(Name { text, token, is_valid: false, scratch })
    }
}

/// Where a decoded string is.
#[derive(Clone, Copy)]
enum Text<'b> {
    /// In the block, or a name that never moves.
    At(&'b [u8]),
    /// In the table's scratch space.
    Scratch { start: usize, len: usize },
    /// The stored name of the entry in a slot.
    Entry(usize),
}

impl<'b> Text<'b> {
    #[inline(always)]
    fn octets<'a>(self, table: &'a DynamicTable) -> &'a [u8]
    where
        'b: 'a,
    {
        match self {
            Self::At(octets) => octets,
            Self::Scratch { start, len } => &table.scratch()[start..start + len],
            Self::Entry(slot) => table.stored_name(table.entry_in(slot)),
        }
    }
}

/// The name of a literal field.
struct Name<'b> {
    text: Text<'b>,
    token: Token,
    is_valid: bool,
    /// How many octets of it are at the front of the scratch space.
    scratch: usize,
}

impl Name<'_> {
    #[inline(always)]
    fn known(token: Token) -> Self {
        Self { text: Text::At(token.name()), token, is_valid: true, scratch: 0 }
    }
}

/// A literal field, read but not yet delivered.
struct Literal<'b> {
    name: Text<'b>,
    value: Text<'b>,
    token: Token,
    indexing: Indexing,
    checked: Checked,
    /// Where it ends in the block.
    end: usize,
}

impl<'b> Literal<'b> {
    #[inline(always)]
    fn decoded<'a>(&self, table: &'a DynamicTable) -> Decoded<'a>
    where
        'b: 'a,
    {
        let (name, value) = (self.name.octets(table), self.value.octets(table));
        let field = Field { name, value, token: self.token, indexing: self.indexing };
        Decoded { field, checked: self.checked }
    }
}

/// A string as it is in the block, RFC 7541 §5.2.
struct Encoded<'b> {
    is_huffman: bool,
    octets: &'b [u8],
    /// The same octets and all behind them.
    run: &'b [u8],
}

impl<'b> Encoded<'b> {
    #[inline(always)]
    fn read(block: &'b [u8], at: &mut usize) -> Result<Self, DecodeError> {
        let first = *block.get(*at).ok_or(DecodeError::Truncated)?;
        *at += 1;
        let len = integer::decode(block, at, first, 0x7f)? as usize;
        let run = block.get(*at..).ok_or(DecodeError::Truncated)?;
        let octets = run.get(..len).ok_or(DecodeError::Truncated)?;
        *at += len;
        // An empty string needs no decoding.
        Ok(Self { is_huffman: first >= 0x80 && len > 0, octets, run })
    }
}

/// A plain string of so many octets is copied in one move.
const SHORT: usize = 16;

/// A name from here on is shared by the entries that repeat it, not copied: two octets of a block that
/// make an entry with a name of thousands then cost no more than others.
const SHARED_LEN_MIN: u32 = 64;

/// The static entry of an index up to 61.
#[inline(always)]
fn static_entry(index: u32) -> Result<&'static StaticEntry, DecodeError> {
    match STATIC_TABLE.get(index as usize) {
        Some(entry) if index != 0 => Ok(entry),
        _ => Err(DecodeError::IndexZero),
    }
}
