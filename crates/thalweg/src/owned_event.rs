//! Events about the connection, as values that can be stored and sent to other threads.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::error::ErrorCode;
use crate::event::Event;
use crate::frame::{Flags, FrameType, SettingId};
use crate::priority::Priority;
use crate::stream_id::StreamId;

/// An event that belongs to no message and owns its data, for I/O layers that forward it. Returned
/// by [`Event::to_owned_event`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OwnedEvent {
    /// The peer's SETTINGS were received and are in force.
    Settings {
        /// The entries in the order of the wire, unknown ones included.
        entries: Vec<(SettingId, u32)>,
    },
    /// The peer acknowledged our oldest unacknowledged SETTINGS.
    SettingsAcknowledged,
    /// The peer changed the priority of a stream (RFC 9218 §7.1); it is already in force.
    Priority {
        /// The stream.
        stream: StreamId,
        /// Its new priority.
        priority: Priority,
    },
    /// The server named its origins (RFC 8336). Clients only, and only with `Config::over_tls`.
    Origin {
        /// Origins such as `https://example.org`.
        origins: Vec<Box<[u8]>>,
    },
    /// The server named an alternative service (RFC 7838). Clients only.
    AltSvc {
        /// The stream whose origin the service is for, or the connection.
        stream: StreamId,
        /// The origin; empty on a stream.
        origin: Box<[u8]>,
        /// An Alt-Svc field value.
        value: Box<[u8]>,
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
        payload: Box<[u8]>,
    },
    /// The peer will accept no new streams (RFC 9113 §6.8).
    GoAway {
        /// The last stream that the peer may have acted on.
        last_stream: StreamId,
        /// The error code.
        code: ErrorCode,
        /// Debug data of the peer, which is not trustworthy.
        debug: Box<[u8]>,
    },
}

impl Event<'_, '_> {
    /// Returns the event with a copy of its data, if it belongs to no message. Returns `None` for
    /// headers, content, resets, and the events that concern only the I/O layer: `StreamAvailable`
    /// and `Pong`.
    pub fn to_owned_event(&self) -> Option<OwnedEvent> {
        Some(match *self {
            Self::Settings { entries } => OwnedEvent::Settings { entries: entries.collect() },
            Self::SettingsAcknowledged => OwnedEvent::SettingsAcknowledged,
            Self::Priority { stream, priority } => OwnedEvent::Priority { stream: stream.id(), priority },
            Self::Origin { origins } => OwnedEvent::Origin { origins: origins.map(Box::from).collect() },
            Self::AltSvc { stream, origin, value } => {
                OwnedEvent::AltSvc { stream, origin: origin.into(), value: value.into() }
            }
            Self::Extension { kind, flags, stream, payload } => {
                OwnedEvent::Extension { kind, flags, stream, payload: payload.into() }
            }
            Self::GoAway { last_stream, code, debug } => {
                OwnedEvent::GoAway { last_stream, code, debug: debug.into() }
            }
            Self::Headers { .. }
            | Self::Data { .. }
            | Self::Reset { .. }
            | Self::StreamAvailable
            | Self::Pong { .. } => return None,
        })
    }
}
