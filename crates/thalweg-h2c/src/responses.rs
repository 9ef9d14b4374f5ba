//! Complete HTTP/1.1 answers as bytes, for a server that speaks HTTP/2 only.
//!
//! All but [`SWITCHING_PROTOCOLS`] carry a line of text for the person in front of the client, and announce that
//! the connection closes: send one, half-close, and drain. [`Http1::response`](crate::Http1::response) and
//! [`SniffError::response`](crate::SniffError::response) choose the right one. To a request whose method is `HEAD`
//! goes [`without_content`] of it.
//!
//! RFC 9110 §6.6.1: a server without a clock sends no `Date`; this crate has none.

/// Accepts the Upgrade. The next byte on the wire is the first of the server's SETTINGS frame.
///
/// RFC 7540 §3.2: this answer also acknowledges the settings of the request.
pub const SWITCHING_PROTOCOLS: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n";

/// Says that HTTP/1.1 is not served here, and that the client may ask again for h2c (RFC 9110 §15.5.22).
pub const UPGRADE_REQUIRED: &[u8] = b"HTTP/1.1 426 Upgrade Required\r\n\
    Connection: Upgrade, close\r\nUpgrade: h2c\r\nContent-Type: text/plain\r\nContent-Length: 89\r\n\r\n\
    This port speaks HTTP/2 only: begin with its preface, or ask by HTTP/1.1 Upgrade to h2c.\n";

/// Says that the version is not served here, and neither is an Upgrade (RFC 9110 §15.6.6).
pub const VERSION_NOT_SUPPORTED: &[u8] = b"HTTP/1.1 505 HTTP Version Not Supported\r\n\
    Connection: close\r\nContent-Type: text/plain\r\nContent-Length: 60\r\n\r\n\
    This port speaks HTTP/2 only: begin with its preface (h2c).\n";

/// Says that the request cannot be read without doubt (RFC 9110 §15.5.1).
pub const BAD_REQUEST: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\
    Connection: close\r\nContent-Type: text/plain\r\nContent-Length: 55\r\n\r\n\
    This request is malformed, or its framing is in doubt.\n";

/// Says that the body exceeds [`Config::body_bytes_max`](crate::Config::body_bytes_max) (RFC 9110 §15.5.14).
pub const CONTENT_TOO_LARGE: &[u8] = b"HTTP/1.1 413 Content Too Large\r\n\
    Connection: close\r\nContent-Type: text/plain\r\nContent-Length: 82\r\n\r\n\
    The content is too long for a request that upgrades: upgrade first, then send it.\n";

/// Says that `Expect` is not honoured before the Upgrade (RFC 9110 §15.5.18).
pub const EXPECTATION_FAILED: &[u8] = b"HTTP/1.1 417 Expectation Failed\r\n\
    Connection: close\r\nContent-Type: text/plain\r\nContent-Length: 52\r\n\r\n\
    Expect is not supported in a request that upgrades.\n";

/// Says that the head exceeds a limit of [`Config`](crate::Config) (RFC 6585 §5).
pub const FIELDS_TOO_LARGE: &[u8] = b"HTTP/1.1 431 Request Header Fields Too Large\r\n\
    Connection: close\r\nContent-Type: text/plain\r\nContent-Length: 46\r\n\r\n\
    The request's header fields exceed the limit.\n";

/// Says that the method or the transfer coding is not supported (RFC 9110 §15.6.2, RFC 9112 §6.1).
pub const NOT_IMPLEMENTED: &[u8] = b"HTTP/1.1 501 Not Implemented\r\n\
    Connection: close\r\nContent-Type: text/plain\r\nContent-Length: 67\r\n\r\n\
    This method or coding is not supported in a request that upgrades.\n";

/// Cuts an answer behind the empty line of its head.
///
/// RFC 9110 §9.3.2: the answer to `HEAD` has no content, but may keep the Content-Length.
pub fn without_content(response: &'static [u8]) -> &'static [u8] {
    let end = response.windows(4).position(|four| four == b"\r\n\r\n");
    end.map_or(response, |at| &response[..at + 4])
}
