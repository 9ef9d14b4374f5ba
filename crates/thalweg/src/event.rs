//! The events that `receive` returns: what the peer sent, and streams that were reset.

use crate::error::{ErrorCode, StreamError};
use crate::frame::{Flags, FrameType, OriginEntries, SettingEntries};
use crate::headers::Headers;
use crate::priority::Priority;
use crate::stream_id::{StreamId, StreamKey};

/// An event of the connection, returned by [`receive`](crate::Connection::receive). `Copy`, without
/// a destructor.
///
/// `'b` is the lifetime of the caller's read buffer, `'c` the borrow of the connection: `data`
/// stays valid across calls on the connection; `headers` and control payloads must be read before
/// the next call.
///
/// # What does not compile
///
/// Refilling a read buffer while an event borrows it:
///
/// ```compile_fail,E0502
/// # use thalweg::*;
/// # type Done = Result<(), ConnectionError>;
/// # fn turn(connection: &mut Connection<Server>, buffer: &mut Vec<u8>) -> Done {
/// let mut input = &buffer[..];
/// let event = connection.receive(&mut input, Instant::ZERO)?;
/// buffer.fill(0);
/// if let Some(Event::Data { data, .. }) = event { println!("{data:?}") }
/// # Ok(())
/// # }
/// ```
///
/// Moving borrowed data to a thread that may outlive the buffer:
///
/// ```compile_fail,E0597
/// # use thalweg::*;
/// # fn turn(connection: &mut Connection<Server>, buffer: Vec<u8>) -> Result<(), ConnectionError> {
/// let mut input = &buffer[..];
/// if let Some(Event::Data { data, .. }) = connection.receive(&mut input, Instant::ZERO)? {
///     std::thread::spawn(move || println!("{data:?}"));
/// }
/// # Ok(())
/// # }
/// ```
///
/// Keeping headers across a call on the connection:
///
/// ```compile_fail,E0499
/// # use thalweg::*;
/// # type Done = Result<(), ConnectionError>;
/// # fn turn(connection: &mut Connection<Server>, mut input: &[u8]) -> Done {
/// let event = connection.receive(&mut input, Instant::ZERO)?;
/// if let Some(Event::Headers { stream, headers, .. }) = event {
///     let _ = connection.send_response(stream, Status::OK, [], true);
///     println!("{headers:?}");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'c, 'b> {
    /// A field block was received and decoded. It follows the rules for its kind (RFC 9113 §8).
    Headers {
        /// The stream.
        stream: StreamKey,
        /// The kind of the block.
        kind: HeadersKind,
        /// The fields.
        headers: Headers<'c>,
        /// Whether the peer's half of the stream ends with it.
        end: bool,
    },
    /// Bytes of a message's content. Empty only if `end` is set.
    Data {
        /// The stream.
        stream: StreamKey,
        /// The bytes, in the caller's read buffer.
        data: &'b [u8],
        /// Whether the peer's half of the stream ends with it.
        end: bool,
    },
    /// The stream was closed before both halves ended. No event of it follows, and its key is
    /// stale. Content of it that the caller still holds is already credited to the peer.
    Reset {
        /// The stream.
        stream: StreamKey,
        /// The code that was received or sent.
        code: ErrorCode,
        /// Which side reset it, and why.
        by: ResetCause,
    },
    /// The peer will accept no new streams (RFC 9113 §6.8). Streams above `last_stream` follow as
    /// [`Event::Reset`].
    GoAway {
        /// The last stream that the peer may have acted on.
        last_stream: StreamId,
        /// The error code.
        code: ErrorCode,
        /// Debug data of the peer, which is not trustworthy.
        debug: &'c [u8],
    },
    /// The peer's SETTINGS were received and are in force; the acknowledgement is in the output.
    Settings {
        /// The entries, unknown ones included.
        entries: SettingEntries<'c>,
    },
    /// The peer acknowledged our oldest unacknowledged SETTINGS: they bind it now.
    SettingsAcknowledged,
    /// A request that failed with `TooManyStreams`, or a pushed response that failed with
    /// `TooManyPending`, can be tried again.
    StreamAvailable,
    /// The peer acknowledged a PING of the caller.
    Pong {
        /// The payload that the caller passed to `send_ping`.
        payload: [u8; 8],
    },
    /// The peer changed the priority of a stream (RFC 9218 §7.1); it is already in force.
    Priority {
        /// The stream.
        stream: StreamKey,
        /// Its new priority.
        priority: Priority,
    },
    /// The server named its origins (RFC 8336). Clients only, and only with `Config::over_tls`.
    Origin {
        /// The origins.
        origins: OriginEntries<'c>,
    },
    /// The server named an alternative service (RFC 7838). Clients only.
    AltSvc {
        /// The stream whose origin the service is for, or the connection.
        stream: StreamId,
        /// The origin; empty on a stream.
        origin: &'c [u8],
        /// An Alt-Svc field value.
        value: &'c [u8],
    },
    /// A frame of an unknown type (RFC 9113 §5.5). Only with `Config::extension_frames`.
    Extension {
        /// The frame type.
        kind: FrameType,
        /// The flags.
        flags: Flags,
        /// The stream, or the connection.
        stream: StreamId,
        /// The payload.
        payload: &'c [u8],
    },
}

/// The kind of a field block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeadersKind {
    /// A request, which opens its stream.
    Request,
    /// A final response.
    Response,
    /// An informational response, status 1xx; the final response follows.
    Informational,
    /// Trailers, which end the peer's half.
    Trailers,
    /// A promised request (RFC 9113 §8.4), which reserves its stream; the response follows.
    Push {
        /// The stream on which PUSH_PROMISE was received.
        parent: StreamKey,
    },
}

/// Which side reset a stream, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResetCause {
    /// The peer, by RST_STREAM.
    Remote,
    /// The core reset the stream because of an error; RST_STREAM is in the output.
    Local(StreamError),
    /// The local application, or the layer between it and the core, reset the stream. The core
    /// returns no event for that: the variant is for layers above the core that report a reset to
    /// several readers.
    Application,
    /// The peer's GOAWAY excludes the stream: it was not processed, and may be retried on another
    /// connection.
    GoAway,
}

impl Event<'_, '_> {
    /// Whether this event guarantees that the peer has not processed the stream, so that any
    /// request may be retried (RFC 9113 §8.7).
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Reset { by: ResetCause::GoAway, .. } => true,
            Self::Reset { by: ResetCause::Remote, code, .. } => code.0 == ErrorCode::REFUSED_STREAM.0,
            _ => false,
        }
    }
}
