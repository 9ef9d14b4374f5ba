//! The decoder, RFC 7541 §3 and §6.
//!
//! Owns the dynamic table of what the peer sends, and the rules for its size.

use crate::dynamic_table::{DynamicTable, Entry};
use crate::error::DecodeError;
use crate::field::{Field, Indexing, OVERHEAD};
use crate::huffman;
use crate::integer;
use crate::static_table::{STATIC_LEN, STATIC_TABLE, StaticEntry};
use crate::token::Token;
use crate::valid::{Checked, ends_are_visible, name_is_valid, value_is_valid};

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
        (self.checked.name() || name_is_valid(self.field.name))
            && (self.checked.value() || value_is_valid(self.field.value))
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
#[derive(Debug)]
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
        mut sink: impl FnMut(Decoded<'_>) -> Verdict,
    ) -> Result<Totals, DecodeError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let mut delivery = Delivery { limits, totals: NOTHING, is_open: true };
        match self.decode_block(block, &mut delivery, &mut sink) {
            Ok(()) => Ok(delivery.totals),
            Err(error) => {
                self.failed = Some(error);
                Err(error)
            }
        }
    }

    #[inline(always)]
    fn decode_block(
        &mut self,
        block: &[u8],
        delivery: &mut Delivery,
        sink: &mut impl FnMut(Decoded<'_>) -> Verdict,
    ) -> Result<(), DecodeError> {
        let mut at = self.size_updates(block)?;
        while let Some(&first) = block.get(at) {
            at += 1;
            if first >= 0x80 {
                let index = integer::decode(block, &mut at, first, 0x7f)?;
                self.indexed(index, delivery, sink)?;
            } else {
                let literal = self.literal(block, &mut at, first)?;
                let (name, value) = (self.text(literal.name), self.text(literal.value));
                let field = Field { name, value, token: literal.token, indexing: literal.indexing };
                let verdict = delivery.offer(Decoded { field, checked: literal.checked }, sink);
                if first >= 0x40 {
                    self.insert(&literal, verdict);
                }
            }
        }
        Ok(())
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
            if self.update_due.is_some_and(|due| bytes <= due) {
                self.update_due = None;
            }
            self.table.set_size_max(bytes);
        }
        Ok(())
    }

    /// RFC 7541 §6.1.
    #[inline(always)]
    fn indexed(
        &mut self,
        index: u32,
        delivery: &mut Delivery,
        sink: &mut impl FnMut(Decoded<'_>) -> Verdict,
    ) -> Result<(), DecodeError> {
        if index <= STATIC_LEN {
            let &StaticEntry { name, value, token } = static_entry(index)?;
            let field = Field { name, value, token, indexing: Indexing::Default };
            delivery.offer(Decoded { field, checked: Checked::Both }, sink);
            return Ok(());
        }
        let age = index - STATIC_LEN - 1;
        let &entry = self.dynamic_entry(age)?;
        let (name, value) = self.table.strings(&entry);
        let field = Field { name, value, token: entry.token, indexing: Indexing::Default };
        let verdict = delivery.offer(Decoded { field, checked: entry.checked }, sink);
        if verdict == Verdict::Valid && entry.checked != Checked::Both {
            self.table.set_valid(age);
        }
        Ok(())
    }

    #[inline(always)]
    fn dynamic_entry(&self, age: u32) -> Result<&Entry, DecodeError> {
        self.table.entry(age).ok_or_else(|| DecodeError::IndexPastEnd {
            index: age + STATIC_LEN + 1,
            last: STATIC_LEN + self.table.len(),
        })
    }

    /// RFC 7541 §6.2: reads a literal field. What had to be decoded, and the name of what will be
    /// indexed, is in the table's scratch space afterwards.
    fn literal<'b>(
        &mut self,
        block: &'b [u8],
        at: &mut usize,
        first: u8,
    ) -> Result<Literal<'b>, DecodeError> {
        let (indexing, mask) = match first >> 4 {
            4.. => (Indexing::Default, 0x3f),
            2 | 3 => return Err(DecodeError::SizeUpdateLate),
            1 => (Indexing::Never, 0x0f),
            _ => (Indexing::Without, 0x0f),
        };
        let is_indexed = first >= 0x40;
        let index = integer::decode(block, at, first, mask)?;
        let name = match index {
            0 => self.literal_name(block, at, is_indexed)?,
            1..=STATIC_LEN => Name::known(static_entry(index)?.token),
            _ => self.dynamic_name(index - STATIC_LEN - 1, is_indexed)?,
        };
        let value = Encoded::read(block, at)?;
        if !value.is_huffman {
            return Ok(Literal {
                name: name.text,
                value: Text::At(&block[value.start..value.end]),
                token: name.token,
                indexing,
                checked: Checked::new(name.is_valid, false),
                name_scratch: name.scratch,
            });
        }
        let room = name.scratch + huffman::decode::room_for(value.end - value.start);
        let moved = self.table.reserve_scratch(room, name.scratch);
        let to = &mut self.table.scratch_mut()[name.scratch..];
        let decoded = huffman::decode::decode(block, value.start, value.end, to)?;
        let is_valid = decoded.is_plain && ends_are_visible(&to[..decoded.len]);
        Ok(Literal {
            name: name.text.moved(moved),
            value: Text::InTable { start: self.table.head() + name.scratch, len: decoded.len },
            token: name.token,
            indexing,
            checked: Checked::new(name.is_valid, is_valid),
            name_scratch: name.scratch,
        })
    }

    /// A name that is spelled out. An unknown one is in the scratch space if it came as Huffman code, or
    /// if its field will be indexed.
    #[inline(always)]
    fn literal_name<'b>(
        &mut self,
        block: &'b [u8],
        at: &mut usize,
        is_indexed: bool,
    ) -> Result<Name<'b>, DecodeError> {
        let coded = Encoded::read(block, at)?;
        let len = coded.end - coded.start;
        if coded.is_huffman {
            self.table.reserve_scratch(huffman::decode::room_for(len), 0);
            let to = self.table.scratch_mut();
            let len = huffman::decode::decode(block, coded.start, coded.end, to)?.len;
            let token = Token::of(&to[..len]);
            if token.is_known() {
                return Ok(Name::known(token));
            }
            return Ok(Name::in_scratch(self.table.head(), len, false));
        }
        let raw = &block[coded.start..coded.end];
        let token = Token::of(raw);
        if token.is_known() {
            return Ok(Name::known(token));
        }
        if is_indexed {
            self.table.reserve_scratch(len, 0);
            self.table.scratch_mut()[..len].copy_from_slice(raw);
            return Ok(Name::in_scratch(self.table.head(), len, false));
        }
        Ok(Name { text: Text::At(raw), token, is_valid: false, scratch: 0 })
    }

    /// The name of a dynamic entry. One that will be indexed again is copied, because the insertion may
    /// evict the entry (RFC 7541 §4.4).
    #[inline(always)]
    fn dynamic_name<'b>(&mut self, age: u32, is_indexed: bool) -> Result<Name<'b>, DecodeError> {
        let &entry = self.dynamic_entry(age)?;
        if entry.token.is_known() {
            return Ok(Name::known(entry.token));
        }
        let (len, is_valid) = (entry.name_len as usize, entry.checked.name());
        if !is_indexed {
            let text = Text::InTable { start: self.table.offset(&entry), len };
            return Ok(Name { text, token: entry.token, is_valid, scratch: 0 });
        }
        self.table.reserve_scratch(len, 0);
        self.table.copy_to_scratch(self.table.offset(&entry), len);
        Ok(Name::in_scratch(self.table.head(), len, is_valid))
    }

    #[inline(always)]
    fn text<'a>(&'a self, text: Text<'a>) -> &'a [u8] {
        match text {
            Text::At(octets) => octets,
            Text::InTable { start, len } => self.table.text(start, len),
        }
    }

    /// RFC 7541 §6.2.1: a literal becomes the newest entry.
    #[inline(always)]
    fn insert(&mut self, literal: &Literal<'_>, verdict: Verdict) {
        let value_len = match literal.value {
            Text::InTable { len, .. } => len,
            Text::At(value) => {
                self.table.reserve_scratch(literal.name_scratch + value.len(), literal.name_scratch);
                self.table.scratch_mut()[literal.name_scratch..][..value.len()].copy_from_slice(value);
                value.len()
            }
        };
        let checked = if verdict == Verdict::Valid { Checked::Both } else { literal.checked };
        self.table.commit(literal.name_scratch, value_len, literal.token, checked);
    }
}

/// Counts the fields of a block and passes them on while that is allowed.
struct Delivery {
    limits: Limits,
    totals: Totals,
    is_open: bool,
}

const NOTHING: Totals = Totals { list_bytes: 0, fields: 0, over_limit: None, stopped: false };

impl Delivery {
    #[inline(always)]
    fn offer(&mut self, decoded: Decoded<'_>, sink: &mut impl FnMut(Decoded<'_>) -> Verdict) -> Verdict {
        let totals = &mut self.totals;
        totals.list_bytes += (decoded.field.name.len() + decoded.field.value.len() + OVERHEAD) as u64;
        totals.fields += 1;
        if !self.is_open {
            return Verdict::Unchecked;
        }
        if totals.list_bytes > u64::from(self.limits.list_bytes_max) {
            totals.over_limit = Some(Limit::ListBytes);
        } else if totals.fields > self.limits.fields_max {
            totals.over_limit = Some(Limit::Fields);
        } else {
            let verdict = sink(decoded);
            if verdict == Verdict::Stop {
                totals.stopped = true;
                self.is_open = false;
            }
            return verdict;
        }
        self.is_open = false;
        Verdict::Unchecked
    }
}

/// Where a decoded string is.
#[derive(Clone, Copy)]
enum Text<'b> {
    /// In the block, or a name that never moves.
    At(&'b [u8]),
    /// In the table's text or scratch space, at an offset of its text.
    InTable { start: usize, len: usize },
}

impl Text<'_> {
    /// The same string after the table's text moved towards its front.
    #[inline(always)]
    fn moved(self, by: usize) -> Self {
        match self {
            Self::InTable { start, len } => Self::InTable { start: start - by, len },
            Self::At(_) => self,
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

    #[inline(always)]
    fn in_scratch(start: usize, len: usize, is_valid: bool) -> Self {
        Self { text: Text::InTable { start, len }, token: Token::UNKNOWN, is_valid, scratch: len }
    }
}

/// A literal field, read but not yet delivered.
struct Literal<'b> {
    name: Text<'b>,
    value: Text<'b>,
    token: Token,
    indexing: Indexing,
    checked: Checked,
    name_scratch: usize,
}

/// A string as it is in the block, RFC 7541 §5.2.
struct Encoded {
    is_huffman: bool,
    start: usize,
    end: usize,
}

impl Encoded {
    #[inline(always)]
    fn read(block: &[u8], at: &mut usize) -> Result<Self, DecodeError> {
        let first = *block.get(*at).ok_or(DecodeError::Truncated)?;
        *at += 1;
        let len = integer::decode(block, at, first, 0x7f)? as usize;
        if len > block.len() - *at {
            return Err(DecodeError::Truncated);
        }
        let start = *at;
        *at += len;
        Ok(Self { is_huffman: first >= 0x80, start, end: start + len })
    }
}

/// The static entry of an index up to 61.
#[inline(always)]
fn static_entry(index: u32) -> Result<&'static StaticEntry, DecodeError> {
    match STATIC_TABLE.get(index as usize) {
        Some(entry) if index != 0 => Ok(entry),
        _ => Err(DecodeError::IndexZero),
    }
}
