//! Why a request for an upgrade to h2c stays an HTTP/1 request.

use core::fmt;

use crate::responses;
use crate::settings::SettingsError;

/// Why an HTTP/1 request with `Upgrade: h2c` is not upgraded.
///
/// A server may always ignore `Upgrade` (RFC 9110 §7.8), so a rejection is not an error: the
/// request continues as plain HTTP/1. Ambiguous framing or routing is rejected even if RFC 9112
/// allows a server to repair it, because request smuggling exploits parsers that repair a message
/// differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UpgradeRejection {
    /// [`Config::upgrade`](crate::Config::upgrade) is off.
    Disabled,
    /// The server called [`Upgrade::decline`](crate::Upgrade::decline).
    Declined,
    /// An HTTP/1.0 request cannot upgrade (RFC 9110 §7.8).
    Http10,
    /// A line of the head ends in LF without CR (RFC 9112 §2.2).
    BareLineFeed,
    /// `Connection` does not list `Upgrade` (RFC 9110 §7.8).
    UpgradeNotListed,
    /// `Connection` does not list `HTTP2-Settings` (RFC 7540 §3.2.1).
    SettingsNotListed,
    /// `Connection` lists something other than `Upgrade`, `HTTP2-Settings`, `Keep-Alive` and `TE`:
    /// `close`, or a field that would have to be removed from the request (RFC 9110 §7.6.1).
    ConnectionOption,
    /// There is no `HTTP2-Settings` (RFC 7540 §3.2.1).
    SettingsMissing,
    /// There is more than one `HTTP2-Settings` (RFC 7540 §3.2.1).
    SettingsRepeated,
    /// `HTTP2-Settings` is not base64url without padding (RFC 7540 §3.2.1).
    SettingsEncoding,
    /// `HTTP2-Settings` is not the payload of a valid SETTINGS frame.
    Settings(SettingsError),
    /// `CONNECT` asks for a tunnel, not for a resource (RFC 9110 §9.3.6).
    Connect,
    /// There is no `Host` (RFC 9112 §3.2).
    HostMissing,
    /// There is more than one `Host` (RFC 9112 §3.2).
    HostRepeated,
    /// `Host` is not a host with an optional port (RFC 9110 §7.2).
    Host,
    /// The target is in absolute form and names another host than `Host` (RFC 9112 §3.2.2).
    HostDiffers,
    /// The target has a form that is invalid for the method, or bytes that are invalid in a URI
    /// (RFC 9112 §3.2).
    Target,
    /// The target is in absolute form with a scheme other than "http" (RFC 7540 §3.2).
    Scheme,
    /// There is more than one `Content-Length`, equal or not (RFC 9110 §8.6).
    ContentLengthRepeated,
    /// `Content-Length` is not a decimal number, or exceeds `usize` (RFC 9110 §8.6).
    ContentLength,
    /// There are both `Content-Length` and `Transfer-Encoding` (RFC 9112 §6.1).
    ContentLengthAndCoding,
    /// `Transfer-Encoding` is not exactly one `chunked` (RFC 9112 §6.1).
    TransferCoding,
    /// A chunk is malformed, or has an extension (RFC 9112 §7.1).
    Chunk,
    /// The chunked body ends with a trailer section (RFC 9112 §7.1.2).
    Trailers,
    /// The body is longer than [`Config::body_bytes_max`](crate::Config::body_bytes_max).
    BodyTooLong {
        /// The limit in bytes.
        limit: usize,
    },
    /// The request has `Expect`, so that the client waits before it sends the body (RFC 9110
    /// §10.1.1).
    Expectation,
}

impl UpgradeRejection {
    /// Returns the response of a server without HTTP/1.
    pub(crate) fn response(self) -> &'static [u8] {
        match self {
            Self::Disabled | Self::Declined | Self::Http10 => responses::VERSION_NOT_SUPPORTED,
            Self::BodyTooLong { .. } => responses::CONTENT_TOO_LARGE,
            Self::Expectation => responses::EXPECTATION_FAILED,
            Self::Connect | Self::TransferCoding | Self::Trailers => responses::NOT_IMPLEMENTED,
            _ => responses::BAD_REQUEST,
        }
    }
}

impl fmt::Display for UpgradeRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Disabled => "upgrades are switched off in the configuration",
            Self::Declined => "the server declined",
            Self::Http10 => "an HTTP/1.0 request cannot upgrade",
            Self::BareLineFeed => "a line of the head ends in LF without CR",
            Self::UpgradeNotListed => "connection does not list upgrade",
            Self::SettingsNotListed => "connection does not list http2-settings",
            Self::ConnectionOption => "connection lists an option that does not go with an upgrade",
            Self::SettingsMissing => "http2-settings is missing",
            Self::SettingsRepeated => "more than one http2-settings",
            Self::SettingsEncoding => "http2-settings is not base64url without padding",
            Self::Settings(_) => "http2-settings is invalid",
            Self::Connect => "connect cannot upgrade",
            Self::HostMissing => "host is missing",
            Self::HostRepeated => "more than one host",
            Self::Host => "host is not a host with an optional port",
            Self::HostDiffers => "the target names another host than the host field",
            Self::Target => "the target has no form that suits the method",
            Self::Scheme => "the target's scheme is not http",
            Self::ContentLengthRepeated => "more than one content-length",
            Self::ContentLength => "content-length is not a decimal number within range",
            Self::ContentLengthAndCoding => "both content-length and transfer-encoding",
            Self::TransferCoding => "transfer-encoding is not exactly one chunked",
            Self::Chunk => "a chunk is malformed or has an extension",
            Self::Trailers => "the chunked body has a trailer section",
            Self::BodyTooLong { limit } => {
                return write!(f, "the body is longer than {limit} bytes (body_bytes_max)");
            }
            Self::Expectation => "the client expects an answer before it sends the body",
        })
    }
}

impl core::error::Error for UpgradeRejection {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Settings(error) => Some(error),
            _ => None,
        }
    }
}
