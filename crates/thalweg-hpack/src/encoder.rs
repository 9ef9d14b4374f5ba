//! The encoder, RFC 7541 §2.3 and §6.
//!
//! Owns the dynamic table of the fields that are sent, the hash tables that find a field in it, and
//! the choice of a representation. Entries with the same hash form a chain from the newest to older
//! ones. Ids only grow, so a chain ends at the first id that is no longer in the table, and an
//! eviction unlinks nothing:
//!
//! ```text
//! heads[hash] -> id 90 -> id 71 -> id 12         the table has 60..=93: 12 is gone, the chain ends
//! ```
//!
//! Most fields repeat the last value of their name. An array indexed by known name finds that entry
//! without a hash, and one comparison of the value decides. A field that the application prepared
//! is hashed only once ([`PreparedField`]).
//!
//! Invariants: every entry, or a newer equal one, is in the chains of its field and its name; the
//! table is never larger than the peer and the local configuration allow; a size update announces a
//! change at the start of the next block.

use alloc::vec;
use alloc::vec::Vec;

use crate::dynamic_table::{DynamicTable, Entry, NO_SLOT};
use crate::field::{Field, Indexing};
use crate::hash::{Key, hash};
use crate::huffman;
use crate::integer;
use crate::known_name::KnownName;
use crate::static_table::{STATIC_LEN, STATIC_TABLE, STATIC_VALUES};
use crate::swar;
use crate::validate::Checked;

/// The initial size of a table (RFC 9113 §6.5.2).
const TABLE_BYTES_INITIAL: u32 = 4096;

/// Encodes the header blocks of one direction of a connection, in order.
#[derive(Clone, Debug)]
pub struct Encoder {
    table: DynamicTable,
    /// The chains, by slot of the ring of entries.
    links: Vec<Link>,
    /// The newest entry of each chain, by the low bits of a hash: of the field, and of the name.
    /// Both have twice as many heads as the ring has entries.
    fields: Vec<u32>,
    names: Vec<u32>,
    /// The newest entry of each known name.
    known: Vec<u32>,
    key: Key,
    own_bytes_max: u32,
    /// RFC 7541 §4.2: the smallest size since the last block, if the size changed.
    smallest: Option<u32>,
}

/// The hashes of an entry, and its place in two chains.
#[derive(Clone, Copy, Debug, Default)]
struct Link {
    field_hash: u32,
    name_hash: u32,
    /// The next older entry of each chain.
    field_next: u32,
    name_next: u32,
}

impl Encoder {
    /// Creates an encoder whose table has at most `table_bytes_max`, whatever the peer allows, and
    /// whose hashes depend on `seed`. The peer's limit is 4096 until a setting changes it.
    /// Allocates nothing.
    pub const fn new(table_bytes_max: u32, seed: u64) -> Self {
        let is_small = table_bytes_max < TABLE_BYTES_INITIAL;
        let bytes = if is_small { table_bytes_max } else { TABLE_BYTES_INITIAL };
        Self {
            table: DynamicTable::new(bytes),
            links: Vec::new(),
            fields: Vec::new(),
            names: Vec::new(),
            known: Vec::new(),
            key: Key::new(seed),
            own_bytes_max: table_bytes_max,
            smallest: if is_small { Some(bytes) } else { None },
        }
    }

    /// Applies the peer's `SETTINGS_HEADER_TABLE_SIZE`, in bytes. The next block begins with size
    /// updates: the smallest size since the last block, then the current one (RFC 7541 §4.2).
    pub fn set_peer_table_bytes_max(&mut self, bytes: u32) {
        let bytes = bytes.min(self.own_bytes_max);
        if bytes != self.table.size_max() {
            self.smallest = Some(self.smallest.map_or(bytes, |smallest| smallest.min(bytes)));
            self.table.set_size_max(bytes);
        }
    }

    /// Asserts the encoder's invariants, in builds with debug assertions: for tests and fuzzing.
    /// Takes time in proportion to the table.
    pub fn check(&self) {
        self.table.check();
        debug_assert!(self.table.size_max() <= self.own_bytes_max);
        debug_assert_eq!(self.links.len(), self.table.ring_len());
        let entries = self.table.len();
        for age in 0..entries {
            let Some((slot, entry)) = self.table.entry(age) else { unreachable!("an age below the length") };
            let (name, value) = self.table.strings(entry);
            let field = Field { known_name: entry.known_name, ..Field::new(name, value) };
            let name_hash = hash_name(self.key, &field);
            let field_hash = hash_field(self.key, name_hash, value);
            debug_assert_eq!(self.links[slot].field_hash, field_hash as u32);
            // Each entry is found, or a newer one that equals it.
            debug_assert!(self.find_field(field_hash, &field, entries).is_some_and(|found| found <= age));
            debug_assert!(self.find_name(name_hash, &field, entries).is_some_and(|(found, _)| found <= age));
        }
    }

    /// Returns the memory that the encoder holds, in bytes.
    pub fn table_bytes(&self) -> usize {
        self.table.heap_bytes()
            + self.links.capacity() * size_of::<Link>()
            + (self.fields.capacity() + self.names.capacity() + self.known.capacity()) * size_of::<u32>()
    }

    /// Starts a block: appends the size updates that are due.
    #[inline]
    pub fn start_block(&mut self, out: &mut Vec<u8>) {
        if let Some(smallest) = self.smallest.take() {
            if smallest < self.table.size_max() {
                integer::encode(out, 0x20, 0x1f, smallest);
            }
            integer::encode(out, 0x20, 0x1f, self.table.size_max());
        }
    }

    /// Looks `field` up in the static table and in the newest entry of its name. Changes nothing.
    /// The result is for [`encode_matched`](Self::encode_matched).
    ///
    /// A field that is found was encoded by this encoder before, or is in the static table, so the
    /// caller need not validate its octets again.
    #[inline(always)]
    pub fn find(&self, field: &Field<'_>) -> TableMatch {
        let representation = Representation::of(field);
        if representation == Representation::Never {
            return TableMatch(Location::NotFound);
        }
        if let Some(index) = static_match(field.known_name, field.value) {
            return TableMatch(Location::Static(index));
        }
        if representation == Representation::NotIndexed {
            return TableMatch(Location::NotIndexed);
        }
        let newest =
            if field.known_name.is_known() { self.find_known(field) } else { self.find_unlisted(field) };
        if let Some((age, entry)) = newest
            && self.table.has_value(entry, field.value)
        {
            return TableMatch(Location::Dynamic(self.table.next_id().wrapping_sub(1 + age)));
        }
        TableMatch(Location::NotFound)
    }

    /// Appends one field of the open block that [`find`](Self::find) has looked up. Entries may
    /// have been inserted since.
    #[inline(always)]
    pub fn encode_matched(&mut self, field: &Field<'_>, found: TableMatch, out: &mut Vec<u8>) {
        match found.0 {
            Location::Static(index) => out.push(0x80 | index),
            Location::Dynamic(id) if self.table.age(id) < self.table.len() => {
                integer::encode(out, 0x80, 0x7f, STATIC_LEN + 1 + self.table.age(id));
            }
            Location::NotIndexed => self.encode_not_indexed(field, out),
            _ => self.encode(*field, out),
        }
    }

    /// RFC 7541 §6.2.2: appends a literal for which no table need be searched again.
    #[inline(never)]
    fn encode_not_indexed(&mut self, field: &Field<'_>, out: &mut Vec<u8>) {
        self.encode_literal(field, 0x00, out);
    }

    /// Appends one field of the open block.
    pub fn encode(&mut self, field: Field<'_>, out: &mut Vec<u8>) {
        let representation = Representation::of(&field);
        if representation != Representation::Never
            && let Some(index) = static_match(field.known_name, field.value)
        {
            out.push(0x80 | index);
            return;
        }
        match representation {
            Representation::Index => self.encode_indexed(&field, out),
            Representation::NotIndexed => self.encode_literal(&field, 0x00, out),
            Representation::Never | Representation::NeverIfShort => self.encode_literal(&field, 0x10, out),
        }
    }

    /// RFC 7541 §6.2.2 and §6.2.3: appends a literal that does not enter the table.
    #[inline(always)]
    fn encode_literal(&mut self, field: &Field<'_>, lead: u8, out: &mut Vec<u8>) {
        let name_index = match field.known_name.static_index() {
            Some(index) => u32::from(index),
            None => self.dynamic_name_index(field),
        };
        literal(out, lead, 0x0f, name_index, field);
    }

    /// Returns the index of a name that is not in the static table; 0 if no table has it.
    #[inline(never)]
    fn dynamic_name_index(&self, field: &Field<'_>) -> u32 {
        let same_name = self.find_name(hash_name(self.key, field), field, VISITS_MAX);
        same_name.map_or(0, |(age, _)| STATIC_LEN + 1 + age)
    }

    /// Appends RFC 7541 §6.1 if an entry equals the field, else §6.2.1.
    #[inline(always)]
    fn encode_indexed(&mut self, field: &Field<'_>, out: &mut Vec<u8>) {
        let name_hash = hash_name(self.key, field);
        let same_name = self.find_name(name_hash, field, VISITS_MAX);
        // Most fields repeat the last value of their name, and need no hash of the value.
        if let Some((age, entry)) = same_name
            && self.table.has_value(entry, field.value)
        {
            integer::encode(out, 0x80, 0x7f, STATIC_LEN + 1 + age);
            return;
        }
        let name_index = name_index(field.known_name, same_name);
        self.encode_changed(field, name_hash, name_index, same_name.is_some(), out);
    }

    /// Continues `encode_indexed` for a field that differs from the last one of its name. A
    /// separate function, so that the common case need not save the registers that this one uses.
    #[inline(never)]
    fn encode_changed(
        &mut self,
        field: &Field<'_>,
        name_hash: u64,
        name_index: u32,
        has_same_name: bool,
        out: &mut Vec<u8>,
    ) {
        let field_hash = hash_field(self.key, name_hash, field.value);
        if has_same_name && let Some(age) = self.find_field(field_hash, field, VISITS_MAX) {
            integer::encode(out, 0x80, 0x7f, STATIC_LEN + 1 + age);
            return;
        }
        if field.size() > self.entry_size_max(field.indexing) {
            literal(out, 0x00, 0x0f, name_index, field);
            return;
        }
        literal(out, 0x40, 0x3f, name_index, field);
        self.insert(field, name_hash, field_hash);
    }

    /// Returns the size of the largest field that may enter the table. By default that is less than
    /// the table, so that one field does not evict all others.
    #[inline(always)]
    fn entry_size_max(&self, indexing: Indexing) -> usize {
        let table = self.table.size_max() as usize;
        if indexing == Indexing::Always { table } else { table / 4 * 3 }
    }

    /// Appends one field of the open block that was hashed in advance.
    #[inline]
    pub fn encode_prepared(&mut self, field: &PreparedField<'_>, out: &mut Vec<u8>) {
        if let Some(index) = field.static_index {
            out.push(0x80 | index);
        } else if field.may_be_indexed
            && field.seed == self.key.seed()
            && let Some(age) = self.find_field(field.field_hash, &field.field, VISITS_MAX)
        {
            integer::encode(out, 0x80, 0x7f, STATIC_LEN + 1 + age);
        } else {
            self.encode(field.field, out);
        }
    }

    /// Returns the newest entry with the name of `field`, and its age, if it is among the first
    /// `visits_max` of its chain.
    #[inline(always)]
    fn find_name(&self, name_hash: u64, field: &Field<'_>, visits_max: u32) -> Option<(u32, &Entry)> {
        if field.known_name.is_known() {
            return self.find_known(field);
        }
        let id = *self.names.get(head(name_hash, self.names.len()))?;
        let (age, entry, link) = self.visit(id)?;
        if self.has_name(entry, link, name_hash, field) {
            return Some((age, entry));
        }
        self.find_older_name(link.name_next, name_hash, field, visits_max - 1)
    }

    /// Returns the newest entry with the known name of `field`, and its age.
    #[inline(always)]
    fn find_known(&self, field: &Field<'_>) -> Option<(u32, &Entry)> {
        let age = self.table.age(*self.known.get(usize::from(field.known_name.id()))?);
        let (_, entry) = self.table.entry(age)?;
        if entry.known_name == field.known_name { Some((age, entry)) } else { None }
    }

    /// Does the same for a name that is not a known one. A function of its own, so that a loop over
    /// fields need not keep what the hash requires in registers.
    #[inline(never)]
    fn find_unlisted(&self, field: &Field<'_>) -> Option<(u32, &Entry)> {
        self.find_name(hash_name(self.key, field), field, VISITS_MAX)
    }

    /// Follows a chain from its second entry on. Cold, since most lookups end at the first.
    #[cold]
    #[inline(never)]
    fn find_older_name(
        &self,
        mut id: u32,
        name_hash: u64,
        field: &Field<'_>,
        visits_max: u32,
    ) -> Option<(u32, &Entry)> {
        for _ in 0..visits_max {
            let (age, entry, link) = self.visit(id)?;
            if self.has_name(entry, link, name_hash, field) {
                return Some((age, entry));
            }
            id = link.name_next;
        }
        None
    }

    /// Whether an entry has the name of `field`, which is not a known one.
    #[inline(always)]
    fn has_name(&self, entry: &Entry, link: &Link, name_hash: u64, field: &Field<'_>) -> bool {
        link.name_hash == name_hash as u32
            && !entry.known_name.is_known()
            && self.table.has_name(entry, field.name)
    }

    /// Returns the age of an entry that equals `field`, if it is among the first `visits_max` of
    /// its chain.
    #[inline(always)]
    fn find_field(&self, field_hash: u64, field: &Field<'_>, visits_max: u32) -> Option<u32> {
        let id = *self.fields.get(head(field_hash, self.fields.len()))?;
        let (age, entry, link) = self.visit(id)?;
        if self.has_field(entry, link, field_hash, field) {
            return Some(age);
        }
        self.find_older_field(link.field_next, field_hash, field, visits_max - 1)
    }

    /// Follows a chain from its second entry on, as `find_older_name` does.
    #[cold]
    #[inline(never)]
    fn find_older_field(
        &self,
        mut id: u32,
        field_hash: u64,
        field: &Field<'_>,
        visits_max: u32,
    ) -> Option<u32> {
        for _ in 0..visits_max {
            let (age, entry, link) = self.visit(id)?;
            if self.has_field(entry, link, field_hash, field) {
                return Some(age);
            }
            id = link.field_next;
        }
        None
    }

    /// Whether an entry equals `field`.
    #[inline(always)]
    fn has_field(&self, entry: &Entry, link: &Link, field_hash: u64, field: &Field<'_>) -> bool {
        link.field_hash == field_hash as u32
            && entry.known_name == field.known_name
            && self.table.has_value(entry, field.value)
            && (entry.known_name.is_known() || self.table.has_name(entry, field.name))
    }

    /// Returns the entry with an id, its age, and its links; none where a chain ends.
    #[inline(always)]
    fn visit(&self, id: u32) -> Option<(u32, &Entry, &Link)> {
        let age = self.table.age(id);
        let (slot, entry) = self.table.entry(age)?;
        Some((age, entry, self.links.get(slot)?))
    }

    /// RFC 7541 §6.2.1: inserts the field as the newest entry.
    fn insert(&mut self, field: &Field<'_>, name_hash: u64, field_hash: u64) {
        let name: &[u8] = if field.known_name.is_known() { b"" } else { field.name };
        let (name_len, value_len) = (name.len(), field.value.len());
        self.table.reserve_scratch(name_len + value_len, 0);
        let scratch = self.table.scratch_mut();
        scratch[..name_len].copy_from_slice(name);
        scratch[name_len..name_len + value_len].copy_from_slice(field.value);
        let id = self.table.next_id();
        if self.known.is_empty() {
            self.known = vec![0; KnownName::COUNT];
        }
        let entry = self.table.scratch_entry(name_len, value_len, field.known_name, Checked::Nothing);
        if self.table.commit(&entry) == NO_SLOT {
            return;
        }
        if self.links.len() != self.table.ring_len() {
            self.grow_links(id);
        }
        self.link(id, field.known_name, name_hash as u32, field_hash as u32);
    }

    #[inline(always)]
    fn link(&mut self, id: u32, known_name: KnownName, name_hash: u32, field_hash: u32) {
        let slot = self.table.slot(id);
        let field_head = field_hash as usize & (self.fields.len() - 1);
        let field_next = core::mem::replace(&mut self.fields[field_head], id);
        let mut name_next = 0;
        if known_name.is_known() {
            self.known[usize::from(known_name.id())] = id;
        } else {
            let name_head = name_hash as usize & (self.names.len() - 1);
            name_next = core::mem::replace(&mut self.names[name_head], id);
        }
        self.links[slot] = Link { field_hash, name_hash, field_next, name_next };
    }

    /// Doubles the links together with the ring of entries, and links all entries older than `end`
    /// again.
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
            let known_name = self.table.known_name(id);
            self.link(id, known_name, link.name_hash, link.field_hash);
            id = id.wrapping_add(1);
        }
    }
}

/// The result of [`Encoder::find`]: where a table has the field, or that it was not found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableMatch(Location);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Location {
    NotFound,
    /// No static entry equals the field, and it does not enter the dynamic table.
    NotIndexed,
    /// The static entry with this index.
    Static(u8),
    /// The entry with this id.
    Dynamic(u32),
}

impl TableMatch {
    /// For a field that was not looked up.
    pub const NOT_SEARCHED: Self = Self(Location::NotFound);

    /// Whether a table has the field.
    #[inline(always)]
    #[must_use]
    pub fn is_found(self) -> bool {
        matches!(self.0, Location::Static(_) | Location::Dynamic(_))
    }
}

/// A field that is sent repeatedly and hashed once.
///
/// The hash is valid for encoders with the same seed; others encode it as any field.
#[derive(Clone, Copy, Debug)]
pub struct PreparedField<'a> {
    field: Field<'a>,
    seed: u64,
    field_hash: u64,
    static_index: Option<u8>,
    may_be_indexed: bool,
}

impl<'a> PreparedField<'a> {
    /// Hashes `field` for encoders with `seed`.
    pub fn new(field: Field<'a>, seed: u64) -> Self {
        let key = Key::new(seed);
        let field_hash = hash_field(key, hash_name(key, &field), field.value);
        let representation = Representation::of(&field);
        let is_never = representation == Representation::Never;
        let static_index = if is_never { None } else { static_match(field.known_name, field.value) };
        Self {
            field,
            seed,
            field_hash,
            static_index,
            may_be_indexed: representation == Representation::Index,
        }
    }

    /// Returns the field.
    pub const fn field(&self) -> Field<'a> {
        self.field
    }
}

/// The representation of a field that no table has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Representation {
    Index,
    NotIndexed,
    Never,
    /// `Never` if the value is short, else `Index`.
    NeverIfShort,
}

impl Representation {
    #[inline(always)]
    fn of(field: &Field<'_>) -> Self {
        if field.indexing != Indexing::Default {
            return Self::from_hint(field.indexing);
        }
        match POLICY[usize::from(field.known_name.id() & 127)] {
            Self::NeverIfShort if field.value.len() < SECRET_LEN_MIN => Self::Never,
            Self::NeverIfShort => Self::Index,
            representation => representation,
        }
    }

    #[cold]
    fn from_hint(indexing: Indexing) -> Self {
        match indexing {
            Indexing::Default | Indexing::Always => Self::Index,
            Indexing::NotIndexed => Self::NotIndexed,
            Indexing::Never => Self::Never,
        }
    }
}

/// The default representation by name. Values that differ in every message would only evict those
/// that do not. Short secrets could be guessed from the size of the output (RFC 7541 §7.1.3).
static POLICY: [Representation; 128] = {
    let mut policy = [Representation::Index; 128];
    policy[KnownName::AUTHORIZATION.id() as usize] = Representation::Never;
    policy[KnownName::PROXY_AUTHORIZATION.id() as usize] = Representation::Never;
    policy[KnownName::COOKIE.id() as usize] = Representation::NeverIfShort;
    policy[KnownName::PATH.id() as usize] = Representation::NotIndexed;
    policy[KnownName::AGE.id() as usize] = Representation::NotIndexed;
    policy[KnownName::CONTENT_LENGTH.id() as usize] = Representation::NotIndexed;
    policy[KnownName::ETAG.id() as usize] = Representation::NotIndexed;
    policy[KnownName::IF_MODIFIED_SINCE.id() as usize] = Representation::NotIndexed;
    policy[KnownName::IF_NONE_MATCH.id() as usize] = Representation::NotIndexed;
    policy[KnownName::LAST_MODIFIED.id() as usize] = Representation::NotIndexed;
    policy[KnownName::SET_COOKIE.id() as usize] = Representation::NotIndexed;
    policy
};

/// The largest number of entries that a lookup visits. Without an attack, long chains are those of
/// one name with many values, and any of these answers the lookup of that name; a peer that knows
/// the seed can make others. An entry beyond the limit is not found: its field is encoded as a
/// literal and, if indexed, becomes the newest entry.
const VISITS_MAX: u32 = 8;

/// The shortest value that is assumed to be too long to guess, in octets.
const SECRET_LEN_MIN: usize = 20;

/// Returns the index of the static entry that equals the field.
#[inline(always)]
fn static_match(known_name: KnownName, value: &[u8]) -> Option<u8> {
    let values = usize::from(STATIC_VALUES[usize::from(known_name.id() & 127)]);
    if values == 0 {
        return if value.is_empty() { known_name.static_index() } else { None };
    }
    let first = known_name.static_index()?;
    for index in first..first + values as u8 {
        if swar::equal(STATIC_TABLE.get(usize::from(index))?.value, value) {
            return Some(index);
        }
    }
    None
}

/// Returns the index of the name: the static one if there is one.
#[inline(always)]
fn name_index(known_name: KnownName, same_name: Option<(u32, &Entry)>) -> u32 {
    match (known_name.static_index(), same_name) {
        (Some(index), _) => u32::from(index),
        (None, Some((age, _))) => STATIC_LEN + 1 + age,
        (None, None) => 0,
    }
}

#[inline(always)]
fn hash_name(key: Key, field: &Field<'_>) -> u64 {
    if field.known_name.is_known() { u64::from(field.known_name.id()) } else { hash(key, field.name) }
}

#[inline(always)]
fn hash_field(key: Key, name_hash: u64, value: &[u8]) -> u64 {
    hash(key.with(name_hash), value)
}

/// Returns the place of a hash among `heads`, which is a power of two or 0. Uses low bits, which a
/// link keeps.
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

/// RFC 7541 §5.2: appends a string in its shorter form.
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
        long_string(out, at);
    }
}

/// Inserts the length of the octets behind `at + 1` in front of them, where one octet is reserved.
#[cold]
#[inline(never)]
fn long_string(out: &mut Vec<u8>, at: usize) {
    let end = out.len();
    integer::encode(out, 0x80, 0x7f, (end - at - 1) as u32);
    let length_octets = out.len() - end;
    out[at + 1..].rotate_right(length_octets);
    out.remove(at);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decoder::{Decoder, ListLimits, SinkAction};
    use alloc::collections::BTreeSet;
    use alloc::format;

    /// An encoder whose table has room for some hundred entries.
    fn encoder(seed: u64) -> Encoder {
        let mut encoder = Encoder::new(1 << 16, seed);
        encoder.set_peer_table_bytes_max(1 << 16);
        encoder
    }

    #[test]
    fn values_that_contain_a_constant_of_the_hash_have_different_hashes() {
        // A factor with only a constant is zero for one of these words; 200 values then had one
        // hash.
        for constant in [0x6a09_e667_f3bc_c909, 0x9e37_79b9_7f4a_7c15, 0, u64::MAX] {
            for seed in [0, 1, 0x5eed_5eed_5eed, u64::MAX] {
                for constant_is_first in [true, false] {
                    let mut encoder = encoder(seed);
                    for number in 0..200u64 {
                        let mut words = [constant, number];
                        if !constant_is_first {
                            words.reverse();
                        }
                        let [first, second] = words.map(u64::to_le_bytes);
                        let value = [&first[..], &second, b"the same end"].concat();
                        encoder.encode(Field::new(b"x-attack", &value), &mut Vec::new());
                    }
                    let links = (0..200).filter_map(|age| Some(encoder.links[encoder.table.entry(age)?.0]));
                    let hashes: BTreeSet<u32> = links.map(|link| link.field_hash).collect();
                    assert_eq!(hashes.len(), 200, "{constant:x} for the seed {seed:x}");
                }
            }
        }
    }

    #[test]
    fn a_lookup_visits_a_bounded_number_of_entries() {
        // All hashes are equal, so each list of 200 entries is one chain.
        let mut encoder = encoder(1);
        let strings: Vec<_> = (0..200).map(|number| (format!("x-{number}"), format!("{number}"))).collect();
        let fields = || strings.iter().map(|(name, value)| Field::new(name.as_bytes(), value.as_bytes()));
        for field in fields() {
            encoder.insert(&field, 7, 7);
        }
        for (age, field) in (0..).zip(fields().rev()) {
            let is_visited = age < VISITS_MAX;
            assert_eq!(encoder.find_field(7, &field, VISITS_MAX), is_visited.then_some(age));
            let same_name = encoder.find_name(7, &field, VISITS_MAX).map(|(age, _)| age);
            assert_eq!(same_name, is_visited.then_some(age));
            assert_eq!(encoder.find_field(7, &field, 200), Some(age));
        }
    }

    #[test]
    fn names_chosen_for_a_known_seed_are_encoded_without_loss() {
        // The ring has 256 entries and 512 heads; all these names have the same head.
        let mut encoder = encoder(0);
        let names: Vec<_> = (0..)
            .map(|number| format!("x-{number}"))
            .filter(|name| hash(encoder.key, name.as_bytes()).is_multiple_of(512))
            .take(200)
            .collect();
        let mut decoder = Decoder::new(1 << 16);
        for _ in 0..3 {
            let mut block = Vec::new();
            encoder.start_block(&mut block);
            for name in &names {
                encoder.encode(Field::new(name.as_bytes(), b"v"), &mut block);
            }
            encoder.check();
            let mut decoded = Vec::new();
            let totals = decoder.decode(&block, ListLimits::NONE, |field| {
                decoded.push(field.field().name.to_vec());
                SinkAction::Unchecked
            });
            assert_eq!(totals.map(|totals| totals.fields), Ok(200));
            assert!(decoded.iter().zip(&names).all(|(decoded, name)| decoded == name.as_bytes()));
        }
    }
}
