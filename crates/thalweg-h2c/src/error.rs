//! The errors of protocol detection on the server, of an upgrade on the client, and of the caller.

use core::fmt;

use crate::head::HeadError;
use crate::responses;
use crate::settings::SettingsError;

/// The first received bytes, for the log.
///
/// Printed as a quoted string with escapes, so that no control byte reaches a terminal or a log.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Excerpt {
    bytes: [u8; Self::BYTES_MAX],
    len: u8,
}

impl Excerpt {
    /// The largest length of an excerpt, in bytes.
    pub const BYTES_MAX: usize = 32;

    pub(crate) fn of(seen: &[u8]) -> Self {
        let len = seen.len().min(Self::BYTES_MAX);
        let mut bytes = [0; Self::BYTES_MAX];
        bytes[..len].copy_from_slice(&seen[..len]);
        Self { bytes, len: len as u8 }
    }

    /// Returns the bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.as_bytes().escape_ascii())
    }
}

impl fmt::Debug for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Where the client's input ended too early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EofPosition {
    /// Before the protocol was detected, at the latest by the end of the request line.
    Start,
    /// In the fields of an HTTP/1 request.
    Head,
    /// In the body of an upgrade request.
    Body,
}

/// Why no protocol was detected.
///
/// [`Sniffer::seen`](crate::Sniffer::seen) returns every consumed byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SniffError {
    /// A TLS record (RFC 8446 §5.1): the client expects TLS on this port.
    Tls {
        /// The received bytes.
        seen: Excerpt,
    },
    /// Neither HTTP/2 nor HTTP/1: no line with a version of HTTP, or a first word of 24 bytes.
    NotHttp {
        /// The received bytes.
        seen: Excerpt,
    },
    /// A malformed request line (RFC 9112 §3) that ends with a version of HTTP.
    RequestLine {
        /// The received bytes.
        seen: Excerpt,
    },
    /// A request line with a version other than HTTP/1.0 and HTTP/1.1 (RFC 9112 §2.3).
    Version {
        /// The received bytes.
        seen: Excerpt,
    },
    /// A malformed (RFC 9112 §5) or folded (§5.2) field line.
    FieldLine,
    /// More fields than [`Config::fields_max`](crate::Config::fields_max).
    TooManyFields {
        /// The limit.
        limit: usize,
    },
    /// No end of the head within [`Config::head_bytes_max`](crate::Config::head_bytes_max).
    HeadTooLong {
        /// The limit in bytes.
        limit: usize,
    },
    /// The input ended before the protocol was detected.
    Eof {
        /// Where the input ended.
        at: EofPosition,
        /// The number of received bytes.
        bytes: usize,
    },
    /// A mistake of the caller: an earlier call returned the decision, and further bytes belong to
    /// the detected protocol.
    Decided,
}

impl SniffError {
    /// Returns a complete HTTP/1.1 response, if the client can be expected to understand one.
    ///
    /// It has content even if the request may have been a `HEAD`: the connection closes after it,
    /// so no client can mistake the content for the next response.
    pub fn response(&self) -> Option<&'static [u8]> {
        match self {
            // RFC 9112 §8: an incomplete request may be answered before the connection closes.
            Self::RequestLine { .. }
            | Self::FieldLine
            | Self::Eof { at: EofPosition::Head | EofPosition::Body, .. } => Some(responses::BAD_REQUEST),
            Self::Version { .. } => Some(responses::VERSION_NOT_SUPPORTED),
            Self::TooManyFields { .. } | Self::HeadTooLong { .. } => Some(responses::FIELDS_TOO_LARGE),
            Self::Tls { .. }
            | Self::NotHttp { .. }
            | Self::Eof { at: EofPosition::Start, .. }
            | Self::Decided => None,
        }
    }

    pub(crate) fn of_head(error: HeadError, fields_max: usize) -> Self {
        match error {
            HeadError::Syntax => Self::FieldLine,
            HeadError::TooMany => Self::TooManyFields { limit: fields_max },
        }
    }
}

impl fmt::Display for SniffError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tls { seen } => {
                write!(f, "tls on a cleartext port, use http:// instead of https://: {seen}")
            }
            Self::NotHttp { seen } => write!(f, "neither http/2 nor http/1: {seen}"),
            Self::RequestLine { seen } => write!(f, "malformed request line: {seen}"),
            Self::Version { seen } => write!(f, "http version is not 1.0, 1.1 or 2: {seen}"),
            Self::FieldLine => f.write_str("malformed field line"),
            Self::TooManyFields { limit } => write!(f, "more than {limit} fields (fields_max)"),
            Self::HeadTooLong { limit } => write!(f, "head is longer than {limit} bytes (head_bytes_max)"),
            Self::Eof { at, bytes } => {
                let at = match at {
                    EofPosition::Start => "before the protocol was detected",
                    EofPosition::Head => "in the head of a request",
                    EofPosition::Body => "in the body of an upgrade request",
                };
                write!(f, "end of input {at}, after {bytes} bytes")
            }
            Self::Decided => f.write_str("the protocol was detected before: further bytes belong to it"),
        }
    }
}

impl core::error::Error for SniffError {}

/// Why the response to an upgrade request is unusable.
///
/// [`Upgrader::seen`](crate::Upgrader::seen) returns every consumed byte. Close the connection: the
/// protocol of the bytes that follow is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UpgradeResponseError {
    /// A TLS record, most likely an alert: the server speaks TLS on this port.
    Tls {
        /// The received bytes.
        seen: Excerpt,
    },
    /// A SETTINGS frame: the server expects prior knowledge of HTTP/2. Connect again with it.
    Http2 {
        /// The received bytes.
        seen: Excerpt,
    },
    /// Not a response of HTTP/1.0 or HTTP/1.1.
    NotHttp {
        /// The received bytes.
        seen: Excerpt,
    },
    /// A malformed status line (RFC 9112 §4).
    StatusLine {
        /// The received bytes.
        seen: Excerpt,
    },
    /// A malformed field line in an interim response or in the 101.
    FieldLine,
    /// More fields than [`Config::fields_max`](crate::Config::fields_max).
    TooManyFields {
        /// The limit.
        limit: usize,
    },
    /// No end of the heads within [`Config::head_bytes_max`](crate::Config::head_bytes_max).
    HeadTooLong {
        /// The limit in bytes.
        limit: usize,
    },
    /// A 101 of HTTP/1.0, which has no interim responses (RFC 9110 §15.2).
    Http10,
    /// A 101 with a line that ends in LF without CR (RFC 9112 §2.2).
    BareLineFeed,
    /// A 101 whose `Upgrade` is not exactly `h2c` (RFC 9110 §7.8).
    Protocol,
    /// A 101 whose `Connection` does not list `Upgrade` (RFC 9110 §7.8).
    UpgradeNotListed,
    /// A 101 with Content-Length or Transfer-Encoding, which cannot have content (RFC 9110 §8.6,
    /// RFC 9112 §6.1).
    Framed,
    /// The input ended before the response.
    Eof {
        /// The number of received bytes.
        bytes: usize,
    },
    /// A mistake of the caller: an earlier call returned the decision, and further bytes belong to
    /// the detected protocol.
    Decided,
}

impl UpgradeResponseError {
    pub(crate) fn of_head(error: HeadError, fields_max: usize) -> Self {
        match error {
            HeadError::Syntax => Self::FieldLine,
            HeadError::TooMany => Self::TooManyFields { limit: fields_max },
        }
    }
}

impl fmt::Display for UpgradeResponseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tls { seen } => write!(f, "tls on a cleartext port: {seen}"),
            Self::Http2 { seen } => write!(f, "http/2 without an upgrade: {seen}"),
            Self::NotHttp { seen } => write!(f, "not an http/1 response: {seen}"),
            Self::StatusLine { seen } => write!(f, "malformed status line: {seen}"),
            Self::FieldLine => f.write_str("malformed field line"),
            Self::TooManyFields { limit } => write!(f, "more than {limit} fields (fields_max)"),
            Self::HeadTooLong { limit } => write!(f, "heads are longer than {limit} bytes (head_bytes_max)"),
            Self::Http10 => f.write_str("a 101 of HTTP/1.0"),
            Self::BareLineFeed => f.write_str("a line of the 101 ends in LF without CR"),
            Self::Protocol => f.write_str("the 101 switches to something other than h2c"),
            Self::UpgradeNotListed => f.write_str("connection of the 101 does not list upgrade"),
            Self::Framed => f.write_str("the 101 has content-length or transfer-encoding"),
            Self::Eof { bytes } => write!(f, "end of input after {bytes} bytes, before a response"),
            Self::Decided => {
                f.write_str("the response was returned before: further bytes belong to its protocol")
            }
        }
    }
}

impl core::error::Error for UpgradeResponseError {}

/// Why an [`UpgradeRequest`](crate::UpgradeRequest) cannot be sent.
///
/// No byte was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestError {
    /// The method is not a token, or is `CONNECT`.
    Method,
    /// The authority is not a host with an optional port.
    Authority,
    /// The path does not begin with a slash and is not the `*` of `OPTIONS`, or it has bytes that
    /// are invalid in a URI.
    Path,
    /// A field's name is not a token.
    FieldName {
        /// Index in [`UpgradeRequest::fields`](crate::UpgradeRequest::fields).
        index: usize,
    },
    /// A field's value has control bytes, or white space at an end.
    FieldValue {
        /// Index in [`UpgradeRequest::fields`](crate::UpgradeRequest::fields).
        index: usize,
    },
    /// A field that this crate writes, or that conflicts with an upgrade: `host`, `connection`,
    /// `upgrade`, `http2-settings`, `keep-alive`, `proxy-connection`, `transfer-encoding`,
    /// `expect`; `te` unless it is `trailers`; `content-length` unless there is one and it
    /// equals the length of the body.
    FieldForbidden {
        /// Index in [`UpgradeRequest::fields`](crate::UpgradeRequest::fields).
        index: usize,
    },
    /// The settings are not the payload of a valid SETTINGS frame.
    Settings(SettingsError),
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Method => f.write_str("method is not a token, or is connect"),
            Self::Authority => f.write_str("authority is not a host with an optional port"),
            Self::Path => f.write_str("path is invalid for the method, or has invalid bytes"),
            Self::FieldName { index } => write!(f, "name of field {index} is not a token"),
            Self::FieldValue { index } => write!(f, "value of field {index} has invalid bytes"),
            Self::FieldForbidden { index } => {
                write!(f, "field {index} is set by this crate or conflicts with an upgrade")
            }
            Self::Settings(error) => write!(f, "settings: {error}"),
        }
    }
}

impl core::error::Error for RequestError {}
