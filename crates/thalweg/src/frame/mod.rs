//! The frame layer (RFC 9113 §4, §6): typed views that parse and emit, each the inverse of the
//! other.
//!
//! Public for tools, proxies and tests; the state machine uses the same functions. Owns no state.
//! Invariants: a frame that parses is emitted as the same bytes (padding becomes zeros), and
//! lengths, padding and the place of a frame (stream or connection) are checked here and nowhere
//! else.
//!
//! ```
//! use thalweg::frame::{Frame, FrameHeader, HEADER_LEN};
//!
//! let ping = Frame::Ping { ack: false, payload: *b"thalweg!" };
//! let mut wire = Vec::new();
//! ping.emit(&mut wire);
//! let header = FrameHeader::parse(wire[..HEADER_LEN].try_into().unwrap());
//! assert_eq!(Frame::parse(header, &wire[HEADER_LEN..]), Ok(ping));
//! ```

pub(crate) mod emit;
pub(crate) mod parse;
mod settings;

use thalweg_hpack::KnownName;

use crate::error_code::ErrorCode;
use crate::headers::{authority, validate};
use crate::stream_id::StreamId;

pub use crate::frame_size::PAYLOAD_LEN_MAX;
pub use settings::{SettingEntries, SettingId};

/// The length of a frame header, bytes (RFC 9113 §4.1).
pub const HEADER_LEN: usize = 9;

/// What a client sends first (RFC 9113 §3.4).
pub const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A frame type (RFC 9113 §6); unknown types are allowed and kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FrameType(pub u8);

impl FrameType {
    /// RFC 9113 §6.1
    pub const DATA: Self = Self(0x0);
    /// RFC 9113 §6.2
    pub const HEADERS: Self = Self(0x1);
    /// HEADERS: the payload has the deprecated priority fields.
    pub const PRIORITY: Self = Self(0x2);
    /// RFC 9113 §6.4
    pub const RST_STREAM: Self = Self(0x3);
    /// RFC 9113 §6.5
    pub const SETTINGS: Self = Self(0x4);
    /// RFC 9113 §6.6
    pub const PUSH_PROMISE: Self = Self(0x5);
    /// RFC 9113 §6.7
    pub const PING: Self = Self(0x6);
    /// RFC 9113 §6.8
    pub const GOAWAY: Self = Self(0x7);
    /// RFC 9113 §6.9
    pub const WINDOW_UPDATE: Self = Self(0x8);
    /// RFC 9113 §6.10
    pub const CONTINUATION: Self = Self(0x9);
    /// RFC 7838 §4
    pub const ALTSVC: Self = Self(0xa);
    /// RFC 8336 §2
    pub const ORIGIN: Self = Self(0xc);
    /// RFC 9218 §7.1
    pub const PRIORITY_UPDATE: Self = Self(0x10);

    /// Returns the name that the RFC gives to the type, if there is one.
    pub const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::DATA => "DATA",
            Self::HEADERS => "HEADERS",
            Self::PRIORITY => "PRIORITY",
            Self::RST_STREAM => "RST_STREAM",
            Self::SETTINGS => "SETTINGS",
            Self::PUSH_PROMISE => "PUSH_PROMISE",
            Self::PING => "PING",
            Self::GOAWAY => "GOAWAY",
            Self::WINDOW_UPDATE => "WINDOW_UPDATE",
            Self::CONTINUATION => "CONTINUATION",
            Self::ALTSVC => "ALTSVC",
            Self::ORIGIN => "ORIGIN",
            Self::PRIORITY_UPDATE => "PRIORITY_UPDATE",
            _ => return None,
        })
    }
}

/// The flags of a frame. The meaning of a bit depends on the frame type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags(pub u8);

impl Flags {
    /// SETTINGS, PING: acknowledges a frame of the receiver.
    pub const ACK: Self = Self(0x1);
    /// DATA, HEADERS: ends the sender's half of the stream.
    pub const END_STREAM: Self = Self(0x1);
    /// HEADERS, PUSH_PROMISE, CONTINUATION: ends the header block.
    pub const END_HEADERS: Self = Self(0x4);
    /// DATA, HEADERS, PUSH_PROMISE: the payload has a Pad Length and padding.
    pub const PADDED: Self = Self(0x8);
    /// HEADERS: the deprecated priority fields are there.
    pub const PRIORITY: Self = Self(0x20);

    /// Whether all bits of `flags` are set.
    pub const fn contains(self, flags: Self) -> bool {
        self.0 & flags.0 == flags.0
    }

    /// Adds `flags` if `on`.
    #[must_use]
    pub const fn with(self, flags: Self, on: bool) -> Self {
        if on { Self(self.0 | flags.0) } else { self }
    }
}

/// A frame header: nine bytes (RFC 9113 §4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// The payload's length, bytes, below 2^24.
    pub len: u32,
    /// The frame type.
    pub kind: FrameType,
    /// The flags.
    pub flags: Flags,
    /// The stream, or the connection.
    pub stream: StreamId,
}

/// The deprecated priority fields of HEADERS and PRIORITY (RFC 9113 §5.3.2): read, kept, and of no
/// effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dependency {
    /// The stream that this one depends on.
    pub stream: StreamId,
    /// Whether it is the only one to depend on it.
    pub exclusive: bool,
    /// The weight less one, 0 to 255.
    pub weight: u8,
}

/// A whole frame, its payload borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Frame<'a> {
    /// DATA (RFC 9113 §6.1).
    Data {
        /// The stream.
        stream: StreamId,
        /// The bytes without padding.
        data: &'a [u8],
        /// END_STREAM
        end_stream: bool,
        /// The Pad Length, if the frame is padded: that many bytes after the data, and one before.
        padding: Option<u8>,
    },
    /// HEADERS (RFC 9113 §6.2).
    Headers {
        /// The stream.
        stream: StreamId,
        /// The first part of the header block, or all of it.
        fragment: &'a [u8],
        /// END_STREAM
        end_stream: bool,
        /// END_HEADERS
        end_headers: bool,
        /// The deprecated priority fields.
        dependency: Option<Dependency>,
        /// The Pad Length.
        padding: Option<u8>,
    },
    /// PRIORITY (RFC 9113 §6.3), deprecated.
    Priority {
        /// The stream.
        stream: StreamId,
        /// The deprecated priority fields.
        dependency: Dependency,
    },
    /// RST_STREAM (RFC 9113 §6.4).
    Reset {
        /// The stream.
        stream: StreamId,
        /// Why.
        code: ErrorCode,
    },
    /// SETTINGS (RFC 9113 §6.5).
    Settings {
        /// Whether it acknowledges ours; then there are no entries.
        ack: bool,
        /// The settings.
        entries: SettingEntries<'a>,
    },
    /// PUSH_PROMISE (RFC 9113 §6.6).
    PushPromise {
        /// The stream of the request that the push belongs to.
        stream: StreamId,
        /// The stream that is promised.
        promised: StreamId,
        /// The first part of the header block, or all of it.
        fragment: &'a [u8],
        /// END_HEADERS
        end_headers: bool,
        /// The Pad Length.
        padding: Option<u8>,
    },
    /// PING (RFC 9113 §6.7).
    Ping {
        /// Whether it answers ours.
        ack: bool,
        /// Eight bytes of the sender's choice.
        payload: [u8; 8],
    },
    /// GOAWAY (RFC 9113 §6.8).
    GoAway {
        /// The last stream that the sender may have acted on.
        last_stream: StreamId,
        /// Why.
        code: ErrorCode,
        /// Debug data, for people.
        debug: &'a [u8],
    },
    /// WINDOW_UPDATE (RFC 9113 §6.9).
    WindowUpdate {
        /// The stream, or the connection.
        stream: StreamId,
        /// Bytes, 1 to 2^31-1.
        increment: u32,
    },
    /// CONTINUATION (RFC 9113 §6.10).
    Continuation {
        /// The stream.
        stream: StreamId,
        /// The next part of the header block.
        fragment: &'a [u8],
        /// END_HEADERS
        end_headers: bool,
    },
    /// PRIORITY_UPDATE (RFC 9218 §7.1).
    PriorityUpdate {
        /// The stream whose priority changes.
        prioritized: StreamId,
        /// A Priority field value.
        value: &'a [u8],
    },
    /// ALTSVC (RFC 7838 §4).
    AltSvc {
        /// The stream whose origin is meant, or the connection.
        stream: StreamId,
        /// The origin, empty on a stream.
        origin: &'a [u8],
        /// An Alt-Svc field value.
        value: &'a [u8],
    },
    /// ORIGIN (RFC 8336 §2).
    Origin {
        /// The origin set.
        origins: OriginEntries<'a>,
    },
    /// Any other type: an extension (RFC 9113 §5.5).
    Unknown {
        /// The type.
        kind: FrameType,
        /// The flags.
        flags: Flags,
        /// The stream, or the connection.
        stream: StreamId,
        /// The payload.
        payload: &'a [u8],
    },
}

/// The entries of an ORIGIN frame: ASCII serialisations of origins, in wire order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OriginEntries<'a> {
    payload: &'a [u8],
}

impl<'a> OriginEntries<'a> {
    /// Wraps a payload. RFC 8336 §2.1: an entry whose length passes the end, or that is no origin,
    /// is passed over.
    pub const fn new(payload: &'a [u8]) -> Self {
        Self { payload }
    }

    /// Returns the payload as it is on the wire.
    pub const fn as_bytes(self) -> &'a [u8] {
        self.payload
    }
}

impl<'a> Iterator for OriginEntries<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            let (len, rest) = self.payload.split_first_chunk::<2>()?;
            let Some((origin, rest)) = rest.split_at_checked(usize::from(u16::from_be_bytes(*len))) else {
                self.payload = &[];
                return None;
            };
            self.payload = rest;
            if is_origin(origin) {
                return Some(origin);
            }
        }
    }
}

/// RFC 6454 §6.2: a scheme, a host, and perhaps a port, in ASCII. The origin `null` names no
/// server.
fn is_origin(text: &[u8]) -> bool {
    let Some(at) = text.windows(3).position(|separator| separator == b"://") else { return false };
    let (scheme, host) = (&text[..at], &text[at + 3..]);
    text.is_ascii()
        && validate::check_pseudo_value(KnownName::SCHEME, scheme).is_ok()
        && authority::check(host, Some(scheme)).is_ok()
}
