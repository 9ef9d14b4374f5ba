//! An HTTP/1 request that stays one.

use alloc::vec::Vec;
use core::fmt;

use crate::head::{Fields, RequestHead, Version, text};
use crate::rejection::UpgradeRejection;
use crate::responses;

/// An HTTP/1 request that stays one: every byte of it that came, untouched, and its head as parsed.
///
/// A server with an HTTP/1 implementation gives that [`into_seen`](Self::into_seen), then what follows on the
/// connection. A server without one sends [`response`](Self::response) and closes.
///
/// The parts are those of the head as it stands. Only what an Upgrade needs was judged, and only if one was asked
/// for: nothing here says that the request is free of doubt (RFC 9112 §11).
pub struct Http1 {
    seen: Vec<u8>,
    head: RequestHead,
    rejection: Option<UpgradeRejection>,
    upgrade_offered: bool,
}

impl Http1 {
    pub(crate) fn new(
        seen: Vec<u8>,
        head: RequestHead,
        rejection: Option<UpgradeRejection>,
        upgrade_offered: bool,
    ) -> Self {
        Self { seen, head, rejection, upgrade_offered }
    }

    /// Says why an Upgrade to h2c was not made, or `None` when the client did not ask for one.
    pub fn rejection(&self) -> Option<UpgradeRejection> {
        self.rejection
    }

    /// Gives every byte that was taken from the input: the head, and the body as far as it was taken.
    pub fn seen(&self) -> &[u8] {
        &self.seen
    }

    /// Gives every byte that was taken from the input, without a copy.
    pub fn into_seen(self) -> Vec<u8> {
        self.seen
    }

    /// Gives the length of the head, its empty line included, in [`seen`](Self::seen).
    pub fn head_bytes(&self) -> usize {
        self.head.len
    }

    /// Gives the method.
    pub fn method(&self) -> &str {
        text(&self.seen, &self.head.method)
    }

    /// Gives the request target, in the form in which it came.
    pub fn target(&self) -> &str {
        text(&self.seen, &self.head.target)
    }

    /// Gives the version.
    pub fn version(&self) -> Version {
        self.head.version
    }

    /// Yields names, case as it came, and values.
    pub fn fields(&self) -> impl ExactSizeIterator<Item = (&str, &[u8])> {
        self.head_fields().iter()
    }

    /// Gives the complete answer of a server that speaks HTTP/2 only, after which it closes.
    ///
    /// Where an Upgrade would be honoured that is 426 to HTTP/1.1. It is 505 otherwise. An Upgrade that was refused
    /// is answered by what was wrong with it: 400, 413, 417 or 501.
    pub fn response(&self) -> &'static [u8] {
        let response = match (self.rejection, self.head.version) {
            (Some(rejection), _) => rejection.response(),
            (None, Version::Http11) if self.upgrade_offered => responses::UPGRADE_REQUIRED,
            (None, _) => responses::VERSION_NOT_SUPPORTED,
        };
        if self.method() == "HEAD" { responses::without_content(response) } else { response }
    }

    fn head_fields(&self) -> Fields<'_> {
        self.head.fields.within(&self.seen)
    }
}

impl fmt::Debug for Http1 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http1")
            .field("seen", &format_args!("\"{}\"", self.seen.escape_ascii()))
            .field("refusal", &self.rejection)
            .finish_non_exhaustive()
    }
}
