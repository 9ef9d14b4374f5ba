//! The digest of a step: the events and results of a call.
//!
//! Invariants: two results that a caller can distinguish have different digests, except by chance.

use core::fmt;

use thalweg::{ConnectionError, Event, HeadersKind, Splice, StreamKey};

use crate::digest::Digest;

/// Adds an event, none, or an error.
pub(crate) fn received(digest: &mut Digest, outcome: &Result<Option<Event<'_, '_>>, ConnectionError>) {
    match outcome {
        Ok(None) => digest.word(NOTHING),
        Ok(Some(found)) => event(digest, found),
        Err(error) => digest.debug(error),
    }
}

fn event(digest: &mut Digest, event: &Event<'_, '_>) {
    match event {
        Event::Headers { stream, kind, headers, end } => {
            let kind = match kind {
                HeadersKind::Request => 0,
                HeadersKind::Response => 1,
                HeadersKind::Informational => 2,
                HeadersKind::Trailers => 3,
                HeadersKind::Push { parent } => handle(*parent) << 3 | 4,
                kind => {
                    digest.debug(kind);
                    5
                }
            };
            for word in [HEADERS, handle(*stream), kind, u64::from(*end)] {
                digest.word(word);
            }
            let pseudos =
                [headers.method(), headers.scheme(), headers.authority(), headers.path(), headers.protocol()];
            for pseudo in pseudos {
                digest.word(pseudo.is_some().into());
                digest.bytes(pseudo.unwrap_or_default());
            }
            digest.word(headers.status().unwrap_or(0).into());
            for field in headers.fields() {
                digest.word(field.indexing as u64);
                digest.bytes(field.name());
                digest.bytes(field.value);
            }
        }
        Event::Data { stream, data, end } => {
            for word in [DATA, handle(*stream), u64::from(*end)] {
                digest.word(word);
            }
            digest.bytes(data);
        }
        // The others are rare.
        event => digest.debug(event),
    }
}

/// Adds the result of a call.
pub(crate) fn returned<T: Returned, E: fmt::Debug>(digest: &mut Digest, result: &Result<T, E>) {
    match result {
        Ok(value) => digest.word(value.word()),
        Err(error) => digest.debug(error),
    }
}

/// Adds output; the offsets of splices count from `base`.
pub(crate) fn transmitted(digest: &mut Digest, out: &[u8], base: usize, splices: &[Splice]) {
    digest.bytes(out);
    for splice in splices {
        for word in [(splice.offset - base) as u64, splice.len as u64, handle(splice.stream)] {
            digest.word(word);
        }
    }
}

/// Returns a key as a number.
pub(crate) const fn handle(stream: StreamKey) -> u64 {
    (stream.index() as u64) << 32 | stream.id().as_u32() as u64
}

/// A result that can be converted to a number.
pub(crate) trait Returned {
    /// Returns the number.
    fn word(&self) -> u64;
}

impl Returned for () {
    fn word(&self) -> u64 {
        0
    }
}

impl Returned for usize {
    fn word(&self) -> u64 {
        *self as u64
    }
}

impl Returned for StreamKey {
    fn word(&self) -> u64 {
        handle(*self)
    }
}

const NOTHING: u64 = 0;
const HEADERS: u64 = 1;
const DATA: u64 = 2;
