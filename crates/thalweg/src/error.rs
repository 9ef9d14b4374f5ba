//! The three kinds of errors, never mixed: the connection failed ([`ConnectionError`]), the caller
//! made a mistake or must wait ([`SendError`], [`OpenError`], [`ConfigError`]), or a stream was
//! reset ([`StreamError`]).
//!
//! Invariants: errors are `Copy`, hold no `String`, and name the rule or the limit with the value
//! received.

use core::error::Error;
use core::fmt;

pub use crate::config::{ConfigError, Limit, Timeout};
pub use crate::error_code::ErrorCode;
use crate::stream_id::StreamId;
use crate::violation::Violation;

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.config_field())
    }
}

/// Why a connection failed or closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloseCause {
    /// The peer broke a rule.
    Violation(Violation),
    /// The peer exceeded a limit of ours.
    Limit(Limit),
    /// A timeout of ours expired.
    Timeout(Timeout),
    /// The caller closed it with `close`.
    Closed,
    /// The byte stream ended before the preface was complete, within a frame, or while a stream was
    /// open.
    Eof,
    /// The peer sent GOAWAY with an error code, and ended the byte stream.
    GoAway,
}

/// Why the connection ended. `Copy`; every later call returns the same value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionError {
    cause: CloseCause,
    code: ErrorCode,
    stream: StreamId,
    seen: u64,
    limit: u64,
    /// Whether a server ended the byte stream without a byte of its own.
    without_preface: bool,
}

impl ConnectionError {
    pub(crate) const fn violation(violation: Violation, stream: StreamId) -> Self {
        let error = Self::new(CloseCause::Violation(violation), violation.code());
        Self { stream, ..error }
    }

    pub(crate) const fn new(cause: CloseCause, code: ErrorCode) -> Self {
        Self { cause, code, stream: StreamId::CONNECTION, seen: 0, limit: 0, without_preface: false }
    }

    pub(crate) const fn limit(limit: Limit, stream: StreamId, seen: u64, bound: u64) -> Self {
        let error = Self::new(CloseCause::Limit(limit), limit.code());
        Self { stream, ..error }.with_values(seen, bound)
    }

    /// Creates the error of a client whose server ended the byte stream without a byte.
    pub(crate) const fn without_preface() -> Self {
        Self { without_preface: true, ..Self::new(CloseCause::Eof, ErrorCode::NO_ERROR) }
    }

    /// Adds the value that was received and the limit that it exceeded.
    pub(crate) const fn with_values(mut self, seen: u64, limit: u64) -> Self {
        self.seen = seen;
        self.limit = limit;
        self
    }

    /// Adds the first bytes that were received, up to 8.
    pub(crate) fn with_excerpt(self, bytes: &[u8]) -> Self {
        let mut excerpt = [0; 8];
        let len = bytes.len().min(excerpt.len());
        excerpt[..len].copy_from_slice(&bytes[..len]);
        self.with_values(u64::from_be_bytes(excerpt), 0)
    }

    /// Returns the cause.
    pub const fn cause(&self) -> CloseCause {
        self.cause
    }

    /// Returns the code of the GOAWAY that we sent, or, for [`CloseCause::GoAway`], of the one that
    /// the peer sent.
    pub const fn code(&self) -> ErrorCode {
        self.code
    }

    /// Returns the stream whose frame was at fault, or the connection.
    pub const fn stream(&self) -> StreamId {
        self.stream
    }

    /// Returns the value that exceeded a limit, and the limit, where the cause has them.
    pub const fn excess(&self) -> Option<Excess> {
        if self.names_protocol() || (self.seen == 0 && self.limit == 0) {
            return None;
        }
        Some(Excess { seen: self.seen, limit: self.limit })
    }

    /// Returns the first bytes that the peer sent, zero-filled, if they are of another protocol.
    pub const fn first_bytes(&self) -> Option<[u8; 8]> {
        if self.names_protocol() { Some(self.seen.to_be_bytes()) } else { None }
    }

    const fn names_protocol(&self) -> bool {
        matches!(self.cause, CloseCause::Violation(violation) if violation.names_protocol())
    }

    /// Returns whether the peer is at fault: it broke a rule, or exceeded a limit or timeout of
    /// ours.
    #[must_use]
    pub const fn is_peer_fault(&self) -> bool {
        match self.cause {
            CloseCause::Violation(_) | CloseCause::Limit(_) => true,
            CloseCause::Timeout(timeout) => !matches!(timeout, Timeout::Idle),
            CloseCause::Closed | CloseCause::Eof | CloseCause::GoAway => false,
        }
    }
}

impl fmt::Display for ConnectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.cause {
            CloseCause::Violation(violation) => write!(f, "{violation}")?,
            CloseCause::Limit(limit) => write!(f, "limit {limit} of the configuration reached")?,
            CloseCause::Timeout(timeout) => write!(f, "{} passed", timeout.config_field())?,
            CloseCause::Closed => write!(f, "closed by us with {}", self.code)?,
            CloseCause::Eof if self.without_preface => f.write_str(
                "the server closed the connection before it sent anything: if it speaks TLS on this port, \
                 connect with TLS (https); otherwise it may not speak HTTP/2",
            )?,
            CloseCause::Eof => f.write_str("the peer ended the byte stream too early")?,
            CloseCause::GoAway => write!(f, "closed by the peer with {}", self.code)?,
        }
        if !self.stream.is_connection() {
            write!(f, " on stream {}", self.stream)?;
        }
        if let Some(excerpt) = self.first_bytes() {
            let len = excerpt.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            return write!(f, ": \"{}\"", excerpt[..len].escape_ascii());
        }
        match self.excess() {
            Some(Excess { seen, limit }) => write!(f, ": {seen}, limit {limit}"),
            None => Ok(()),
        }
    }
}

impl Error for ConnectionError {}

/// A value that exceeded a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Excess {
    /// The value, in the unit of the limit.
    pub seen: u64,
    /// The limit.
    pub limit: u64,
}

/// Why we reset a stream that the peer had not reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StreamError {
    /// The peer broke a rule on this stream.
    Violation(Violation),
    /// The peer exceeded a limit of ours.
    Limit(Limit),
    /// A timeout expired.
    Timeout(Timeout),
    /// The peer ended its byte stream while this stream had no window left: no WINDOW_UPDATE can
    /// arrive any more.
    Eof,
}

impl StreamError {
    /// Returns the code of the RST_STREAM.
    pub const fn code(self) -> ErrorCode {
        match self {
            Self::Violation(violation) => violation.code(),
            Self::Limit(limit) => limit.code(),
            Self::Timeout(timeout) => timeout.code(),
            Self::Eof => ErrorCode::CANCEL,
        }
    }
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Violation(violation) => violation.fmt(f),
            Self::Limit(limit) => write!(f, "limit {limit} of the configuration reached"),
            Self::Timeout(timeout) => write!(f, "{} passed", timeout.config_field()),
            Self::Eof => f.write_str("the peer ended the byte stream, and no window is left"),
        }
    }
}

impl Error for StreamError {}

/// Why a `send_*` call was rejected. A rejected call changes and sends nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// The key is of no live stream: the stream has ended, or belongs to another connection.
    StreamClosed,
    /// The connection has ended.
    Connection(ConnectionError),
    /// END_STREAM was already sent on the stream.
    AlreadyEnded,
    /// The final header block was already sent.
    HeadersSent,
    /// Data or trailers before the final header block.
    HeadersNotSent,
    /// The message would be malformed; the violation names the rule.
    Malformed(Violation),
    /// The data does not fit the content-length that was announced.
    ContentLength {
        /// Bytes of the announced length that were not sent before this call.
        left: u64,
        /// Bytes that the caller passed.
        given: u64,
    },
    /// The header list is larger than the peer's SETTINGS_MAX_HEADER_LIST_SIZE.
    HeaderListTooLarge {
        /// The list as RFC 9113 §6.5.2 counts it, in bytes.
        bytes: u64,
        /// The peer's limit.
        limit: u32,
    },
    /// The peer's settings do not allow this: pushes, extended CONNECT, PRIORITY_UPDATE.
    NotAllowedByPeer,
    /// A setting, priority or payload is outside its range.
    OutOfRange,
    /// Too many SETTINGS or PINGs are not acknowledged yet, or the client's limit of concurrent
    /// streams allows no further pushed response; `Event::StreamAvailable` reports when it does.
    TooManyPending,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StreamClosed => f.write_str("the stream has ended"),
            Self::Connection(_) => f.write_str("the connection is over"),
            Self::AlreadyEnded => f.write_str("this side of the stream has ended"),
            Self::HeadersSent => f.write_str("the final headers were already sent"),
            Self::HeadersNotSent => f.write_str("send the headers first"),
            Self::Malformed(_) => f.write_str("the message is malformed"),
            Self::ContentLength { left, given } => {
                write!(f, "content-length leaves {left} bytes to send, this call ends with {given}")
            }
            Self::HeaderListTooLarge { bytes, limit } => {
                write!(f, "header list of {bytes} bytes, the peer accepts {limit}")
            }
            Self::NotAllowedByPeer => f.write_str("the peer's settings do not allow this"),
            Self::OutOfRange => f.write_str("a value is outside its range"),
            Self::TooManyPending => f.write_str("wait for earlier ones to be acknowledged or to end"),
        }
    }
}

impl Error for SendError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Connection(error) => Some(error),
            Self::Malformed(violation) => Some(violation),
            _ => None,
        }
    }
}

/// Why a stream could not be opened. A rejected call changes and sends nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpenError {
    /// The peer's limit of concurrent streams is reached; `Event::StreamAvailable` reports when a
    /// stream may be opened.
    TooManyStreams {
        /// The peer's SETTINGS_MAX_CONCURRENT_STREAMS.
        limit: u32,
    },
    /// GOAWAY was sent or received: open a new connection.
    GoingAway,
    /// All 2^30 stream identifiers are used: open a new connection.
    IdsExhausted,
    /// The request itself was rejected.
    Send(SendError),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooManyStreams { limit } => {
                write!(f, "the peer allows {limit} streams at once: wait for StreamAvailable")
            }
            Self::GoingAway => f.write_str("the connection is going away: open a new one"),
            Self::IdsExhausted => f.write_str("all stream identifiers are used: open a new connection"),
            Self::Send(_) => f.write_str("the request was not sent"),
        }
    }
}

impl Error for OpenError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Send(error) => Some(error),
            Self::TooManyStreams { .. } | Self::GoingAway | Self::IdsExhausted => None,
        }
    }
}

impl From<SendError> for OpenError {
    fn from(error: SendError) -> Self {
        Self::Send(error)
    }
}

/// Why a connection could not take over from an HTTP/1.1 Upgrade (RFC 7540 §3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UpgradeError {
    /// The configuration is invalid.
    Config(ConfigError),
    /// The settings in the field `HTTP2-Settings` are invalid: respond over HTTP/1.1 instead.
    Settings(Violation),
}

impl fmt::Display for UpgradeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(_) => f.write_str("the configuration is invalid"),
            Self::Settings(_) => f.write_str("the field http2-settings is invalid"),
        }
    }
}

impl Error for UpgradeError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(match self {
            Self::Config(error) => error,
            Self::Settings(violation) => violation,
        })
    }
}

impl From<ConfigError> for UpgradeError {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}
