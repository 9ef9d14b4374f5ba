//! The protocol of an extended CONNECT.

use std::fmt;

use bytes::Bytes;

/// The protocol of an extended CONNECT, for example `websocket` (RFC 8441 §4): an extension of the
/// request.
///
/// A server finds it there if `Config::enable_connect_protocol` is set. On a client it turns a
/// request into an extended CONNECT, whatever its method; the URI names scheme, authority and path
/// as for any other request. Such a request waits for the server's first SETTINGS, and later
/// requests wait behind it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Protocol(Bytes);

impl Protocol {
    /// Creates a protocol name. Sending fails if it is not a token.
    pub fn new(name: impl Into<Bytes>) -> Self {
        Self(name.into())
    }

    /// Returns the name.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.escape_ascii().fmt(f)
    }
}
