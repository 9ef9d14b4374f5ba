//! The encoder, RFC 7541 §2.3 and §6.

use alloc::vec;
use alloc::vec::Vec;

use crate::dynamic_table::DynamicTable;
use crate::field::{Field, Indexing};
use crate::hash::{SPREAD, fold, hash};
use crate::huffman;
use crate::integer;
use crate::static_table::{STATIC_LEN, STATIC_RUN, STATIC_TABLE};
use crate::token::Token;
use crate::valid::Checked;

/// The size of a table before anybody changes it (RFC 9113 §6.5.2).
const TABLE_BYTES_INITIAL: u32 = 4096;

/// Encodes the header blocks of one direction of a connection, in order.
#[derive(Debug)]
pub struct Encoder {
    table: DynamicTable,
    /// By place in the ring of entries: where to look further.
    links: Vec<Link>,
    /// By the top bits of a hash: the newest entry, first by field, then by name. Both have twice as
    /// many heads as the ring has entries.
    fields: Vec<u32>,
    names: Vec<u32>,
    seed: u64,
    own_bytes_max: u32,
    /// RFC 7541 §4.2: the smallest size since the last block, if the size changed.
    smallest: Option<u32>,
}

/// What the encoder knows of an entry beside its strings.
#[derive(Clone, Copy, Debug, Default)]
struct Link {
    field_hash: u32,
    name_hash: u32,
    /// The next older entry in the same chain. Ids only grow, so a chain ends at the first that is gone,
    /// and eviction unlinks nothing.
    field_next: u32,
    name_next: u32,
}

impl Encoder {
    /// An encoder that uses at most `table_bytes_max` of memory for fields, whatever the peer allows, and
    /// looks them up by hashes with `seed`. The peer's limit is 4096 until it says otherwise. Allocates
    /// nothing.
    pub const fn new(table_bytes_max: u32, seed: u64) -> Self {
        let is_small = table_bytes_max < TABLE_BYTES_INITIAL;
        let bytes = if is_small { table_bytes_max } else { TABLE_BYTES_INITIAL };
        Self {
            table: DynamicTable::new(bytes),
            links: Vec::new(),
            fields: Vec::new(),
            names: Vec::new(),
            seed,
            own_bytes_max: table_bytes_max,
            smallest: if is_small { Some(bytes) } else { None },
        }
    }

    /// Takes the peer's `SETTINGS_HEADER_TABLE_SIZE`, in bytes. The change is announced at the beginning
    /// of the next block: the smallest size since the last block, then the present one (RFC 7541 §4.2).
    pub fn set_peer_table_bytes_max(&mut self, bytes: u32) {
        let bytes = bytes.min(self.own_bytes_max);
        if bytes != self.table.size_max() {
            self.smallest = Some(self.smallest.map_or(bytes, |smallest| smallest.min(bytes)));
            self.table.set_size_max(bytes);
        }
    }

    /// The memory that the encoder holds, in bytes.
    pub fn table_bytes(&self) -> usize {
        self.table.heap_bytes()
            + self.links.capacity() * size_of::<Link>()
            + (self.fields.capacity() + self.names.capacity()) * size_of::<u32>()
    }

    /// Opens a block: appends the size updates that are due.
    #[inline]
    pub fn begin(&mut self, out: &mut Vec<u8>) {
        if let Some(smallest) = self.smallest.take() {
            if smallest < self.table.size_max() {
                integer::encode(out, 0x20, 0x1f, smallest);
            }
            integer::encode(out, 0x20, 0x1f, self.table.size_max());
        }
    }

    /// Appends one field of the open block.
    #[inline]
    pub fn encode(&mut self, field: Field<'_>, out: &mut Vec<u8>) {
        let choice = Choice::of(&field, self.table.size_max());
        if choice != Choice::Never
            && let Some(index) = static_match(field.token, field.value)
        {
            out.push(0x80 | index);
            return;
        }
        self.encode_searched(&field, choice, out);
    }

    fn encode_searched(&mut self, field: &Field<'_>, choice: Choice, out: &mut Vec<u8>) {
        let name_hash = hash_name(self.seed, field);
        let same_name = self.find_name(name_hash, field);
        if choice != Choice::Index {
            let name_index = name_index(field.token, same_name);
            let lead = if choice == Choice::Never { 0x10 } else { 0 };
            literal(out, lead, 0x0f, name_index, field);
            return;
        }
        if let Some(age) = same_name
            && self.table.entry(age).is_some_and(|entry| self.table.strings(entry).1 == field.value)
        {
            integer::encode(out, 0x80, 0x7f, STATIC_LEN + 1 + age);
            return;
        }
        let field_hash = hash_field(self.seed, name_hash, field.value);
        if same_name.is_some()
            && let Some(age) = self.find_field(field_hash, field)
        {
            integer::encode(out, 0x80, 0x7f, STATIC_LEN + 1 + age);
            return;
        }
        literal(out, 0x40, 0x3f, name_index(field.token, same_name), field);
        self.insert(field, name_hash, field_hash);
    }

    /// Appends one field of the open block that was hashed in advance.
    #[inline]
    pub fn encode_prepared(&mut self, field: &Prepared<'_>, out: &mut Vec<u8>) {
        if let Some(index) = field.static_index {
            out.push(0x80 | index);
        } else if field.seed == self.seed
            && Choice::of(&field.field, self.table.size_max()) == Choice::Index
            && let Some(age) = self.find_field(field.field_hash, &field.field)
        {
            integer::encode(out, 0x80, 0x7f, STATIC_LEN + 1 + age);
        } else {
            self.encode(field.field, out);
        }
    }

    /// The age of the newest entry with the name of `field`.
    #[inline(always)]
    fn find_name(&self, name_hash: u64, field: &Field<'_>) -> Option<u32> {
        let head = *self.names.get(head(name_hash, self.names.len()))?;
        let newest = self.table.next_id().wrapping_sub(1);
        let (mut id, mut past) = (head, 0);
        loop {
            let age = newest.wrapping_sub(id);
            if age < past {
                return None;
            }
            let entry = self.table.entry(age)?;
            let link = self.links.get(self.table.slot(id))?;
            if link.name_hash == name_hash as u32
                && entry.token == field.token
                && (entry.token.is_known() || self.table.strings(entry).0 == field.name)
            {
                return Some(age);
            }
            past = age + 1;
            id = link.name_next;
        }
    }

    /// The age of an entry that equals `field`.
    #[inline(always)]
    fn find_field(&self, field_hash: u64, field: &Field<'_>) -> Option<u32> {
        let head = *self.fields.get(head(field_hash, self.fields.len()))?;
        let newest = self.table.next_id().wrapping_sub(1);
        let (mut id, mut past) = (head, 0);
        loop {
            let age = newest.wrapping_sub(id);
            if age < past {
                return None;
            }
            let entry = self.table.entry(age)?;
            let link = self.links.get(self.table.slot(id))?;
            if link.field_hash == field_hash as u32 && entry.token == field.token {
                let (name, value) = self.table.strings(entry);
                if value == field.value && (entry.token.is_known() || name == field.name) {
                    return Some(age);
                }
            }
            past = age + 1;
            id = link.field_next;
        }
    }

    /// RFC 7541 §6.2.1: the field becomes the newest entry.
    fn insert(&mut self, field: &Field<'_>, name_hash: u64, field_hash: u64) {
        let name: &[u8] = if field.token.is_known() { b"" } else { field.name };
        let (name_len, value_len) = (name.len(), field.value.len());
        self.table.reserve_scratch(name_len + value_len, 0);
        let scratch = self.table.scratch_mut();
        scratch[..name_len].copy_from_slice(name);
        scratch[name_len..name_len + value_len].copy_from_slice(field.value);
        let id = self.table.next_id();
        if !self.table.commit(name_len, value_len, field.token, Checked::Nothing) {
            return;
        }
        if self.links.len() != self.table.ring_len() {
            self.grow_links(id);
        }
        self.link(id, name_hash, field_hash);
    }

    #[inline(always)]
    fn link(&mut self, id: u32, name_hash: u64, field_hash: u64) {
        let slot = self.table.slot(id);
        let (field_head, name_head) =
            (head(field_hash, self.fields.len()), head(name_hash, self.names.len()));
        self.links[slot] = Link {
            field_hash: field_hash as u32,
            name_hash: name_hash as u32,
            field_next: self.fields[field_head],
            name_next: self.names[name_head],
        };
        self.fields[field_head] = id;
        self.names[name_head] = id;
    }

    /// Follows the ring of entries, which has doubled, and links all entries older than `end` again.
    #[cold]
    #[inline(never)]
    fn grow_links(&mut self, end: u32) {
        let old = core::mem::replace(&mut self.links, vec![Link::default(); self.table.ring_len()]);
        self.fields = vec![0; 2 * self.links.len()];
        self.names = vec![0; 2 * self.links.len()];
        if old.is_empty() {
            return;
        }
        let mut id = end.wrapping_sub(self.table.len() - 1);
        while id != end {
            let link = old[id as usize & (old.len() - 1)];
            self.link(id, u64::from(link.name_hash), u64::from(link.field_hash));
            id = id.wrapping_add(1);
        }
    }
}

/// A field that is sent again and again, hashed once.
///
/// Its hashes hold for encoders with the same seed; others encode it as any field.
#[derive(Clone, Copy, Debug)]
pub struct Prepared<'a> {
    field: Field<'a>,
    seed: u64,
    field_hash: u64,
    static_index: Option<u8>,
}

impl<'a> Prepared<'a> {
    /// Hashes `field` for encoders with `seed`.
    pub fn new(field: Field<'a>, seed: u64) -> Self {
        let field_hash = hash_field(seed, hash_name(seed, &field), field.value);
        let is_never = Choice::of(&field, u32::MAX) == Choice::Never;
        let static_index = if is_never { None } else { static_match(field.token, field.value) };
        Self { field, seed, field_hash, static_index }
    }

    /// The field.
    pub const fn field(&self) -> Field<'a> {
        self.field
    }
}

/// The representation that a field gets if no table has it whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Choice {
    Index,
    Without,
    Never,
}

impl Choice {
    #[inline(always)]
    fn of(field: &Field<'_>, table_bytes_max: u32) -> Self {
        match field.indexing {
            Indexing::Never => Self::Never,
            Indexing::Always if field.size() <= table_bytes_max as usize => Self::Index,
            Indexing::Without | Indexing::Always => Self::Without,
            Indexing::Default => Self::by_policy(field, table_bytes_max),
        }
    }

    /// What differs on every message would only push out what does not; what is secret and short could be
    /// guessed by its size (RFC 7541 §7.1).
    #[inline(always)]
    fn by_policy(field: &Field<'_>, table_bytes_max: u32) -> Self {
        match field.token {
            Token::AUTHORIZATION | Token::PROXY_AUTHORIZATION => Self::Never,
            Token::COOKIE if field.value.len() < 20 => Self::Never,
            Token::PATH
            | Token::AGE
            | Token::CONTENT_LENGTH
            | Token::ETAG
            | Token::IF_MODIFIED_SINCE
            | Token::IF_NONE_MATCH
            | Token::LOCATION
            | Token::SET_COOKIE => Self::Without,
            _ if field.size() > table_bytes_max as usize / 4 * 3 => Self::Without,
            _ => Self::Index,
        }
    }
}

/// The index of the static entry that equals the field.
#[inline(always)]
fn static_match(token: Token, value: &[u8]) -> Option<u8> {
    let first = usize::from(token.static_index()?);
    let run = usize::from(*STATIC_RUN.get(first)?);
    for (at, entry) in STATIC_TABLE.get(first..first + run)?.iter().enumerate() {
        if entry.value == value {
            return Some((first + at) as u8);
        }
    }
    None
}

/// The index that names the field: the static one if there is one.
#[inline(always)]
fn name_index(token: Token, same_name: Option<u32>) -> u32 {
    match (token.static_index(), same_name) {
        (Some(index), _) => u32::from(index),
        (None, Some(age)) => STATIC_LEN + 1 + age,
        (None, None) => 0,
    }
}

#[inline(always)]
fn hash_name(seed: u64, field: &Field<'_>) -> u64 {
    if field.token.is_known() {
        let spread = u64::from(field.token.id()).wrapping_mul(SPREAD);
        spread >> 32
    } else {
        hash(seed, field.name)
    }
}

#[inline(always)]
fn hash_field(seed: u64, name_hash: u64, value: &[u8]) -> u64 {
    hash(fold(seed ^ SPREAD, name_hash ^ seed), value)
}

/// The place of a hash among `heads`, which is a power of two or 0. It takes bits that a link keeps.
#[inline(always)]
fn head(hash: u64, heads: usize) -> usize {
    hash as usize & heads.wrapping_sub(1)
}

/// RFC 7541 §6.2: appends a literal field.
fn literal(out: &mut Vec<u8>, lead: u8, mask: u8, name_index: u32, field: &Field<'_>) {
    integer::encode(out, lead, mask, name_index);
    if name_index == 0 {
        string(out, field.name);
    }
    string(out, field.value);
}

/// RFC 7541 §5.2: appends a string, in the shorter of its two forms.
#[inline]
fn string(out: &mut Vec<u8>, text: &[u8]) {
    let at = out.len();
    out.push(0);
    if !huffman::encode::encode_if_shorter(text, out) {
        out.truncate(at);
        integer::encode(out, 0, 0x7f, text.len() as u32);
        out.extend_from_slice(text);
        return;
    }
    let len = out.len() - at - 1;
    if len < 0x7f {
        out[at] = 0x80 | len as u8;
    } else {
        long_string(out, at, len);
    }
}

/// Makes room for a length of more than one octet before the `len` octets at the end of `out`.
#[cold]
#[inline(never)]
fn long_string(out: &mut Vec<u8>, at: usize, len: usize) {
    let end = out.len();
    integer::encode(out, 0x80, 0x7f, len as u32);
    let length_octets = out.len() - end;
    out[at + 1..].rotate_right(length_octets);
    out.remove(at);
}
