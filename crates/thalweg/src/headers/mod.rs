//! Field blocks: the fields that are kept until the next block, and the view of them in events.
//!
//! Invariants: pseudo-header fields come first, each at most once; strings stay in the decoder,
//! which moves none before its next block; at most one block is kept, never more than
//! `Config::header_list_bytes_max` allows.

pub(crate) mod authority;
#[cfg(feature = "http")]
pub(crate) mod http;
pub(crate) mod outbound_fields;
pub(crate) mod validate;

use alloc::vec::Vec;
use core::fmt;

use thalweg_hpack::{Decoded, Decoder, Field, FieldRef, Indexing, KnownName};

use crate::message::parse_status;

/// The decoded fields of one field block, inside the connection.
#[derive(Debug, Default)]
pub(crate) struct HeaderBlock {
    fields: Vec<FieldRef>,
}

impl HeaderBlock {
    /// Clears the last block and keeps its memory.
    pub(crate) fn clear(&mut self) {
        self.fields.clear();
    }

    /// Appends a field.
    #[inline]
    pub(crate) fn push(&mut self, field: &Decoded<'_>) {
        self.fields.push(field.to_ref());
    }

    /// Returns the view for an event. `decoder` is the one that decoded the block.
    #[inline]
    pub(crate) fn view<'c>(&'c self, decoder: &'c Decoder) -> Headers<'c> {
        Headers { block: self, decoder }
    }

    /// Returns the memory that is held, bytes.
    pub(crate) fn capacity_bytes(&self) -> usize {
        self.fields.capacity() * size_of::<FieldRef>()
    }
}

/// The fields of a field block in an event. They are borrowed from the connection, and valid until
/// its next call.
#[derive(Clone, Copy)]
pub struct Headers<'c> {
    block: &'c HeaderBlock,
    decoder: &'c Decoder,
}

impl<'c> Headers<'c> {
    /// Returns `:method` of a request.
    pub fn method(&self) -> Option<&'c [u8]> {
        self.pseudo(KnownName::METHOD)
    }

    /// Returns `:scheme` of a request.
    pub fn scheme(&self) -> Option<&'c [u8]> {
        self.pseudo(KnownName::SCHEME)
    }

    /// Returns `:authority` of a request; where it is absent, see the field `host`.
    pub fn authority(&self) -> Option<&'c [u8]> {
        self.pseudo(KnownName::AUTHORITY)
    }

    /// Returns `:path` of a request: path and query.
    pub fn path(&self) -> Option<&'c [u8]> {
        self.pseudo(KnownName::PATH)
    }

    /// Returns `:protocol` of an extended CONNECT (RFC 8441 §4).
    pub fn protocol(&self) -> Option<&'c [u8]> {
        self.pseudo(KnownName::PROTOCOL)
    }

    /// Returns `:status` of a response, 100 to 999.
    pub fn status(&self) -> Option<u16> {
        self.pseudo(KnownName::STATUS).and_then(parse_status)
    }

    /// Returns the regular fields in the order of the wire. Costs nothing but the iteration.
    pub fn fields(&self) -> impl ExactSizeIterator<Item = Field<'c>> + Clone + use<'c> {
        let Self { block, decoder } = *self;
        block.fields[self.pseudo_count()..].iter().map(move |field_ref| decoder.field(field_ref))
    }

    /// Returns the first value of the field `name`, which must be lower case. Compares the names
    /// one by one.
    pub fn get(&self, name: &[u8]) -> Option<&'c [u8]> {
        self.fields().find(|field| field.name() == name).map(|field| field.value)
    }

    /// Returns all values of `cookie` joined by `"; "`, for callers that pass the message to HTTP/1
    /// (RFC 9113 §8.2.3), or `None` without any. Allocates.
    pub fn joined_cookies(&self) -> Option<Vec<u8>> {
        let mut joined: Option<Vec<u8>> = None;
        for field in self.fields().filter(|field| field.known_name() == KnownName::COOKIE) {
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

    /// Returns the first value of a field with a known name. Costs a comparison for each field.
    #[inline]
    pub(crate) fn known(&self, name: KnownName) -> Option<&'c [u8]> {
        let field = self.block.fields.iter().find(|field| field.known_name() == name)?;
        Some(self.decoder.field(field).value)
    }

    /// Whether `content-type` is `application/grpc`, alone or with a suffix after a plus sign or
    /// parameters. The calls of `application/grpc-web` send all their content at once.
    #[inline]
    pub(crate) fn is_grpc(&self) -> bool {
        self.known(KnownName::CONTENT_TYPE).is_some_and(is_grpc)
    }

    #[inline]
    fn pseudo(&self, known_name: KnownName) -> Option<&'c [u8]> {
        let field_ref = self
            .block
            .fields
            .iter()
            .take(PSEUDOS_MAX)
            .find(|field_ref| field_ref.known_name() == known_name)?;
        Some(self.decoder.field(field_ref).value)
    }

    fn pseudo_count(&self) -> usize {
        self.block.fields.iter().take_while(|field_ref| field_ref.known_name().is_pseudo()).count()
    }
}

/// The most pseudo-header fields of one block: those of an extended CONNECT (RFC 8441 §4).
const PSEUDOS_MAX: usize = 5;

impl fmt::Debug for Headers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for field_ref in &self.block.fields {
            let field = self.decoder.field(field_ref);
            let shown = if field.indexing == Indexing::Never { &b"(sensitive)"[..] } else { field.value };
            map.entry(
                &format_args!("{}", field.name().escape_ascii()),
                &format_args!("{}", shown.escape_ascii()),
            );
        }
        map.finish()
    }
}

#[inline]
fn is_grpc(content_type: &[u8]) -> bool {
    let Some((start, rest)) = content_type.split_at_checked(GRPC.len()) else { return false };
    // Clients write it in lower case: the comparison of words costs less than that of letters.
    (start == GRPC || start.eq_ignore_ascii_case(GRPC))
        && matches!(rest.trim_ascii_start().first(), None | Some(b'+' | b';'))
}

const GRPC: &[u8] = b"application/grpc";
