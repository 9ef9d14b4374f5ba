//! Header blocks: the one reusable arena into which they are decoded, and the view that events show.
//!
//! Keeps true: pseudo-header fields come first, each at most once; names that have a token are not stored; the arena holds
//! one block at a time and never more than `Config::header_list_bytes_max` allows.

#[cfg(feature = "http")]
pub(crate) mod http;
pub(crate) mod outgoing;
pub(crate) mod rules;

use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use thalweg_hpack::{Field, Indexing, Token};

/// The decoded fields of one header block, inside the connection.
#[derive(Debug, Default)]
pub struct HeaderBlock {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    /// Where the name begins, or the value if the token knows the name.
    start: u32,
    name_len: u32,
    value_len: u32,
    token: Token,
    indexing: Indexing,
}

impl Entry {
    /// Where the value lies in the block.
    #[inline]
    fn value(&self) -> Range<usize> {
        let start = (self.start + self.name_len) as usize;
        start..start + self.value_len as usize
    }
}

impl HeaderBlock {
    /// Forgets the last block and keeps its memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.entries.clear();
    }

    /// Appends a field.
    #[inline]
    pub fn push(&mut self, field: &Field<'_>) {
        let start = self.bytes.len() as u32;
        let mut name_len = 0;
        if field.token == Token::UNKNOWN {
            self.bytes.extend_from_slice(field.name);
            name_len = field.name.len() as u32;
        }
        self.bytes.extend_from_slice(field.value);
        let value_len = field.value.len() as u32;
        self.entries.push(Entry { start, name_len, value_len, token: field.token, indexing: field.indexing });
    }

    /// The view that an event shows.
    pub fn view(&self) -> Headers<'_> {
        Headers { block: self }
    }

    /// Returns the memory that is held, bytes.
    pub fn capacity_bytes(&self) -> usize {
        self.bytes.capacity() + self.entries.capacity() * size_of::<Entry>()
    }

    fn field(&self, entry: &Entry) -> Field<'_> {
        let value = entry.value();
        let name = match entry.token {
            Token::UNKNOWN => &self.bytes[entry.start as usize..value.start],
            token => token.name(),
        };
        Field { name, value: &self.bytes[value], token: entry.token, indexing: entry.indexing }
    }
}

/// The fields of a header block, as an event shows them: borrowed from the connection, valid until its next call.
#[derive(Clone, Copy)]
pub struct Headers<'c> {
    block: &'c HeaderBlock,
}

impl<'c> Headers<'c> {
    /// `:method` of a request.
    pub fn method(&self) -> Option<&'c [u8]> {
        self.pseudo(Token::METHOD)
    }

    /// `:scheme` of a request.
    pub fn scheme(&self) -> Option<&'c [u8]> {
        self.pseudo(Token::SCHEME)
    }

    /// `:authority` of a request; where it is absent, see the field `host`.
    pub fn authority(&self) -> Option<&'c [u8]> {
        self.pseudo(Token::AUTHORITY)
    }

    /// `:path` of a request: path and query.
    pub fn path(&self) -> Option<&'c [u8]> {
        self.pseudo(Token::PATH)
    }

    /// `:protocol` of an extended CONNECT (RFC 8441 §4).
    pub fn protocol(&self) -> Option<&'c [u8]> {
        self.pseudo(Token::PROTOCOL)
    }

    /// `:status` of a response, 100 to 999.
    pub fn status(&self) -> Option<u16> {
        self.pseudo(Token::STATUS).and_then(rules::parse_status)
    }

    /// The regular fields in the order of the wire. Costs nothing but the walk.
    pub fn fields(&self) -> impl ExactSizeIterator<Item = Field<'c>> + Clone + use<'c> {
        let block = self.block;
        let pseudos = block.entries.iter().take_while(|entry| entry.token.is_pseudo()).count();
        block.entries[pseudos..].iter().map(move |entry| block.field(entry))
    }

    /// The first value of the field `name`, which must be lower case. Costs a walk.
    pub fn get(&self, name: &[u8]) -> Option<&'c [u8]> {
        self.fields().find(|field| field.name == name).map(|field| field.value)
    }

    /// All values of `cookie` joined by `"; "`, for those who pass the message to HTTP/1 (RFC 9113 §8.2.3).
    /// `None` without any. Allocates.
    pub fn joined_cookies(&self) -> Option<Vec<u8>> {
        let mut joined: Option<Vec<u8>> = None;
        for field in self.fields().filter(|field| field.token == Token::COOKIE) {
            match &mut joined {
                Some(all) => {
                    all.extend_from_slice(b"; ");
                    all.extend_from_slice(field.value);
                }
                None => joined = Some(field.value.to_vec()),
            }
        }
        joined
    }

    fn pseudo(&self, token: Token) -> Option<&'c [u8]> {
        let block = self.block;
        let is_pseudo = |entry: &&Entry| entry.token.is_pseudo();
        let entry = block.entries.iter().take_while(is_pseudo).find(|entry| entry.token == token)?;
        Some(block.field(entry).value)
    }
}

impl fmt::Debug for Headers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for entry in &self.block.entries {
            let field = self.block.field(entry);
            let shown = if field.indexing == Indexing::Never { &b"(sensitive)"[..] } else { field.value };
            map.entry(
                &format_args!("{}", field.name.escape_ascii()),
                &format_args!("{}", shown.escape_ascii()),
            );
        }
        map.finish()
    }
}
