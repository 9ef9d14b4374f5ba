//! The protocol of an extended CONNECT.

use std::fmt;

use bytes::Bytes;

/// What an extended CONNECT wants to speak, for example `websocket` (RFC 8441 §4): an extension of the request.
///
/// A server finds it there if `Config::enable_connect_protocol` is set. On a client it makes a request an extended
/// CONNECT, whatever its method; the URI names scheme, authority and path as for any other. Such a request waits for the
/// server's first settings, and what is sent behind it waits with it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Protocol(Bytes);

impl Protocol {
    /// Takes a name. One that is no token is refused when the request is sent.
    pub fn new(name: impl Into<Bytes>) -> Self {
        Self(name.into())
    }

    /// The name.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.escape_ascii().fmt(f)
    }
}
