//! An HTTP/1 request that is not upgraded.

use alloc::vec::Vec;
use core::fmt;

use crate::head::{Fields, RequestHead, Version, text};
use crate::rejection::UpgradeRejection;
use crate::responses;

/// An HTTP/1 request that is not upgraded: its received bytes, unchanged, and its parsed head.
///
/// A server with an HTTP/1 implementation passes it [`into_seen`](Self::into_seen), then the rest
/// of the input. A server without one sends [`response`](Self::response) and closes the connection.
///
/// The parts are those of the head as received. Only the rules for an upgrade were checked, and
/// only if one was requested: the request may still be ambiguous (RFC 9112 §11).
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

    /// Returns why the request was not upgraded to h2c, or `None` if the client did not request it.
    pub fn rejection(&self) -> Option<UpgradeRejection> {
        self.rejection
    }

    /// Returns every consumed byte: the head, and the consumed part of the body.
    pub fn seen(&self) -> &[u8] {
        &self.seen
    }

    /// Returns every consumed byte, without a copy.
    pub fn into_seen(self) -> Vec<u8> {
        self.seen
    }

    /// Returns the length of the head in [`seen`](Self::seen), including its empty line.
    pub fn head_bytes(&self) -> usize {
        self.head.len
    }

    /// Returns the method.
    pub fn method(&self) -> &str {
        text(&self.seen, &self.head.method)
    }

    /// Returns the request target as received.
    pub fn target(&self) -> &str {
        text(&self.seen, &self.head.target)
    }

    /// Returns the version.
    pub fn version(&self) -> Version {
        self.head.version
    }

    /// Yields names, with their case unchanged, and values.
    pub fn fields(&self) -> impl ExactSizeIterator<Item = (&str, &[u8])> {
        self.head_fields().iter()
    }

    /// Returns the complete response of a server without HTTP/1, which then closes the connection.
    ///
    /// That is 426 to HTTP/1.1 if upgrades are enabled, else 505. For a rejected upgrade the status
    /// depends on the reason: 400, 413, 417 or 501.
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
