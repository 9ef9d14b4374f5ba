//! A decoder of field blocks that follows RFC 7541 literally.

use std::collections::VecDeque;
use std::fmt::{self, Display, Formatter};

use super::static_table::STATIC_TABLE;
use super::{Header, huffman};

/// The decoding half of a connection's HPACK state.
#[derive(Clone, Debug)]
pub struct Decoder {
    /// Newest first.
    table: VecDeque<(Vec<u8>, Vec<u8>)>,
    size: usize,
    limit: usize,
    /// The limit of SETTINGS_HEADER_TABLE_SIZE.
    allowed: usize,
    /// A lower bound was set and not announced by the encoder yet (RFC 7541 §4.2).
    owed: Option<usize>,
}

/// Why a block cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

impl Display for Malformed {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Malformed {}

impl Default for Decoder {
    fn default() -> Self {
        Self::new(4096)
    }
}

impl Decoder {
    /// Creates a decoder with a value of SETTINGS_HEADER_TABLE_SIZE.
    pub fn new(table_bytes: usize) -> Self {
        Self { table: VecDeque::new(), size: 0, limit: table_bytes, allowed: table_bytes, owed: None }
    }

    /// Applies an acknowledged SETTINGS_HEADER_TABLE_SIZE.
    pub fn allow_table_bytes(&mut self, bytes: usize) {
        if bytes < self.limit {
            self.owed = Some(self.owed.map_or(bytes, |owed| owed.min(bytes)));
        }
        self.allowed = bytes;
    }

    /// Decodes one block.
    ///
    /// # Errors
    /// The block breaks a rule of RFC 7541. The decoder must not be used afterwards.
    pub fn decode(&mut self, block: &[u8]) -> Result<Vec<Header>, Malformed> {
        let mut rest = block;
        let mut headers = Vec::new();
        while let Some(&first) = rest.first() {
            if first & 0xe0 == 0x20 {
                let bytes = integer(&mut rest, 5)?;
                self.resize(bytes, headers.is_empty())?;
                continue;
            }
            if self.owed.is_some() {
                return Err(Malformed("a smaller table was not announced first"));
            }
            headers.push(self.field(first, &mut rest)?);
        }
        Ok(headers)
    }

    fn field(&mut self, first: u8, rest: &mut &[u8]) -> Result<Header, Malformed> {
        if first & 0x80 != 0 {
            let (name, value) = self.entry(integer(rest, 7)?)?;
            return Ok(Header { name, value, never_indexed: false });
        }
        let indexed = first & 0x40 != 0;
        let name = match integer(rest, if indexed { 6 } else { 4 })? {
            0 => string(rest)?,
            index => self.entry(index)?.0,
        };
        let value = string(rest)?;
        if indexed {
            self.insert(name.clone(), value.clone());
        }
        Ok(Header { name, value, never_indexed: first & 0xf0 == 0x10 })
    }

    /// RFC 7541 §2.3.3: the static table first, then the dynamic one, newest first.
    fn entry(&self, index: usize) -> Result<(Vec<u8>, Vec<u8>), Malformed> {
        let index = index.checked_sub(1).ok_or(Malformed("index 0"))?;
        if let Some((name, value)) = STATIC_TABLE.get(index) {
            return Ok((name.as_bytes().to_vec(), value.as_bytes().to_vec()));
        }
        self.table.get(index - STATIC_TABLE.len()).cloned().ok_or(Malformed("an index past the tables"))
    }

    /// RFC 7541 §4.4: an entry larger than the table empties it and is not an error.
    fn insert(&mut self, name: Vec<u8>, value: Vec<u8>) {
        self.size += entry_size(&name, &value);
        self.table.push_front((name, value));
        self.evict();
    }

    fn resize(&mut self, bytes: usize, at_start: bool) -> Result<(), Malformed> {
        if !at_start {
            return Err(Malformed("a change of the table's size after a field"));
        }
        if bytes > self.allowed {
            return Err(Malformed("a table larger than allowed"));
        }
        if self.owed.is_some_and(|owed| bytes <= owed) {
            self.owed = None;
        }
        self.limit = bytes;
        self.evict();
        Ok(())
    }

    fn evict(&mut self) {
        while self.size > self.limit {
            let (name, value) = self.table.pop_back().expect("an empty table has size 0");
            self.size -= entry_size(&name, &value);
        }
    }
}

/// RFC 7541 §4.1: an entry counts 32 bytes in addition to its strings.
fn entry_size(name: &[u8], value: &[u8]) -> usize {
    name.len() + value.len() + 32
}

fn integer(rest: &mut &[u8], bits: u32) -> Result<usize, Malformed> {
    const CUT: Malformed = Malformed("the block ends inside an integer");
    let most = (1_usize << bits) - 1;
    let (first, mut after) = rest.split_first().ok_or(CUT)?;
    let mut value = usize::from(*first) & most;
    if value == most {
        for shift in (0..).step_by(7) {
            let (byte, next) = after.split_first().ok_or(CUT)?;
            if shift > 28 {
                return Err(Malformed("an integer of more than 5 bytes"));
            }
            value += usize::from(byte & 0x7f) << shift;
            after = next;
            if byte & 0x80 == 0 {
                break;
            }
        }
    }
    *rest = after;
    Ok(value)
}

fn string(rest: &mut &[u8]) -> Result<Vec<u8>, Malformed> {
    let coded = rest.first().is_some_and(|first| first & 0x80 != 0);
    let len = integer(rest, 7)?;
    let (text, after) = rest.split_at_checked(len).ok_or(Malformed("the block ends inside a string"))?;
    *rest = after;
    if coded { huffman::decode(text) } else { Ok(text.to_vec()) }
}
