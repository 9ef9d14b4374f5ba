//! Complete HTTP/1.1 responses as bytes, for a server without HTTP/1.
//!
//! All except [`SWITCHING_PROTOCOLS`] contain a line of text for a person, and announce that the
//! connection closes: send one, half-close, and drain. [`Http1::response`](crate::Http1::response)
//! and [`SniffError::response`](crate::SniffError::response) choose the right one. For a `HEAD`
//! request send [`without_content`] of it.
//!
//! RFC 9110 §6.6.1: a server without a clock sends no `Date`, and this crate has no clock.

/// Accepts the Upgrade. The next byte on the wire is the first of the server's SETTINGS frame.
///
/// RFC 7540 §3.2: this response also acknowledges the settings of the request.
pub const SWITCHING_PROTOCOLS: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n";

/// 426: the server has no HTTP/1.1, and the client may request an upgrade to h2c (RFC 9110
/// §15.5.22).
pub const UPGRADE_REQUIRED: &[u8] = b"HTTP/1.1 426 Upgrade Required\r\n\
    Connection: Upgrade, close\r\nUpgrade: h2c\r\nContent-Type: text/plain\r\nContent-Length: 89\r\n\r\n\
    This port speaks HTTP/2 only: begin with its preface, or ask by HTTP/1.1 Upgrade to h2c.\n";

/// 505: the server has no HTTP/1, and upgrades are disabled (RFC 9110 §15.6.6).
pub const VERSION_NOT_SUPPORTED: &[u8] = b"HTTP/1.1 505 HTTP Version Not Supported\r\n\
    Connection: close\r\nContent-Type: text/plain\r\nContent-Length: 60\r\n\r\n\
    This port speaks HTTP/2 only: begin with its preface (h2c).\n";

/// 400: the request is malformed or ambiguous (RFC 9110 §15.5.1).
pub const BAD_REQUEST: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\
    Connection: close\r\nContent-Type: text/plain\r\nContent-Length: 55\r\n\r\n\
    This request is malformed, or its framing is in doubt.\n";

/// 413: the body exceeds [`Config::body_bytes_max`](crate::Config::body_bytes_max) (RFC 9110
/// §15.5.14).
pub const CONTENT_TOO_LARGE: &[u8] = b"HTTP/1.1 413 Content Too Large\r\n\
    Connection: close\r\nContent-Type: text/plain\r\nContent-Length: 82\r\n\r\n\
    The content is too long for a request that upgrades: upgrade first, then send it.\n";

/// 417: `Expect` is not supported in an upgrade request (RFC 9110 §15.5.18).
pub const EXPECTATION_FAILED: &[u8] = b"HTTP/1.1 417 Expectation Failed\r\n\
    Connection: close\r\nContent-Type: text/plain\r\nContent-Length: 52\r\n\r\n\
    Expect is not supported in a request that upgrades.\n";

/// 431: the head exceeds a limit of [`Config`](crate::Config) (RFC 6585 §5).
pub const FIELDS_TOO_LARGE: &[u8] = b"HTTP/1.1 431 Request Header Fields Too Large\r\n\
    Connection: close\r\nContent-Type: text/plain\r\nContent-Length: 46\r\n\r\n\
    The request's header fields exceed the limit.\n";

/// 501: the method or the transfer coding is not supported (RFC 9110 §15.6.2, RFC 9112 §6.1).
pub const NOT_IMPLEMENTED: &[u8] = b"HTTP/1.1 501 Not Implemented\r\n\
    Connection: close\r\nContent-Type: text/plain\r\nContent-Length: 67\r\n\r\n\
    This method or coding is not supported in a request that upgrades.\n";

/// Returns the head of a response, including its empty line.
///
/// RFC 9110 §9.3.2: the response to `HEAD` has no content, but may have the Content-Length.
pub fn without_content(response: &'static [u8]) -> &'static [u8] {
    let end = response.windows(4).position(|four| four == b"\r\n\r\n");
    end.map_or(response, |at| &response[..at + 4])
}
