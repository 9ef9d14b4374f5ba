//! Sends control frames: SETTINGS, PING, and the extensions.

use crate::error::SendError;
use crate::frame::{Flags, Frame, FrameType, OriginEntries, SettingId};
use crate::priority::Priority;
use crate::settings::Settings;
use crate::stream_id::{StreamId, StreamKey};
use crate::streams::state::{HalfState, State};
use crate::violation::Violation;

use super::inner::Inner;
use crate::error::Timeout;

impl Inner {
    fn ensure_open_for_send(&self) -> Result<(), SendError> {
        self.ensure_open().map_err(SendError::Connection)
    }

    /// Announces changed settings; they bind the peer when it has acknowledged them.
    pub(super) fn send_settings(&mut self, change: impl FnOnce(&mut Settings)) -> Result<(), SendError> {
        self.ensure_open_for_send()?;
        if !self.settings.local.can_announce() {
            return Err(SendError::TooManyPending);
        }
        let before = *self.settings.local.announced();
        let mut after = before;
        change(&mut after);
        // A client that did not accept pushes had no reason to name a limit for them.
        if after.enable_push && !before.enable_push && after.max_concurrent_streams == u32::MAX {
            after.max_concurrent_streams = self.limits.concurrent_streams_max;
        }
        let in_range = after.validate().is_ok()
            // RFC 8441 §3, RFC 9218 §2.1, RFC 9113 §6.5.2: what this side may not withdraw, change,
            // or send.
            && (after.enable_connect_protocol || !before.enable_connect_protocol)
            && after.no_rfc7540_priorities == before.no_rfc7540_priorities
            && (self.is_client() || after.enable_push == before.enable_push);
        if !in_range {
            return Err(SendError::OutOfRange);
        }
        if after.max_concurrent_streams != before.max_concurrent_streams {
            self.limits.concurrent_streams_max = after.max_concurrent_streams;
        }
        self.limits.header_list_bytes_max = after.max_header_list_size;
        self.outbound.settings(after.changes_from(&before).into_iter());
        self.settings.local.announce(after);
        self.timers.arm_after_transmit(Timeout::SettingsAck);
        Ok(())
    }

    /// Announces settings that the core does not know (RFC 9113 §5.5).
    pub(super) fn send_extension_settings(&mut self, entries: &[(SettingId, u32)]) -> Result<(), SendError> {
        self.ensure_open_for_send()?;
        if !self.settings.local.can_announce() {
            return Err(SendError::TooManyPending);
        }
        if entries.iter().any(|(id, _)| id.name().is_some()) {
            return Err(SendError::OutOfRange);
        }
        self.check_frame_len(SETTING_LEN * entries.len())?;
        self.outbound.settings(entries.iter().copied());
        self.settings.local.announce(*self.settings.local.announced());
        self.timers.arm_after_transmit(Timeout::SettingsAck);
        Ok(())
    }

    /// Sends a PING; an event reports its acknowledgement.
    pub(super) fn send_ping(&mut self, payload: [u8; 8]) -> Result<(), SendError> {
        self.ensure_open_for_send()?;
        self.pings.send(payload)?;
        self.outbound.ping(false, payload);
        Ok(())
    }

    /// Changes the priority of a stream: a client sends it to the server (RFC 9218 §7.1), a server
    /// orders its own sending.
    pub(super) fn set_priority(&mut self, stream: StreamKey, priority: Priority) -> Result<(), SendError> {
        self.ensure_open_for_send()?;
        let slot = self.streams.find(stream).ok_or(SendError::StreamClosed)?;
        let receives = slot.state.remote() != HalfState::Closed;
        // RFC 9218 §2.1.1: a server that has not announced its support would ignore it.
        if self.is_client()
            && self.settings.is_remote_received()
            && !self.settings.remote().no_rfc7540_priorities
        {
            return Err(SendError::NotAllowedByPeer);
        }
        self.streams.set_priority(stream, priority);
        if self.is_client() && receives {
            let value = alloc::format!("{priority}");
            self.outbound.frame(&Frame::PriorityUpdate { prioritized: stream.id(), value: value.as_bytes() });
        }
        Ok(())
    }

    /// Sends the origins for which the server is authoritative (RFC 8336).
    pub(super) fn send_origins(&mut self, origins: &[&[u8]]) -> Result<(), SendError> {
        self.ensure_open_for_send()?;
        let mut payload = alloc::vec::Vec::new();
        for origin in origins {
            let len = u16::try_from(origin.len()).map_err(|_| SendError::OutOfRange)?;
            payload.extend_from_slice(&len.to_be_bytes());
            payload.extend_from_slice(origin);
        }
        self.check_frame_len(payload.len())?;
        self.outbound.frame(&Frame::Origin { origins: OriginEntries::new(&payload) });
        Ok(())
    }

    /// Announces an alternative service (RFC 7838 §4): for an origin, or for the origin of a
    /// stream's request.
    pub(super) fn send_alt_svc(
        &mut self,
        on: Option<StreamKey>,
        origin: &[u8],
        value: &[u8],
    ) -> Result<(), SendError> {
        self.ensure_open_for_send()?;
        let stream = self.extension_stream(on)?;
        if origin.is_empty() == on.is_none() || origin.len() > usize::from(u16::MAX) {
            return Err(SendError::OutOfRange);
        }
        self.check_frame_len(2 + origin.len() + value.len())?;
        self.outbound.frame(&Frame::AltSvc { stream, origin, value });
        Ok(())
    }

    /// Sends a frame of a type that the core does not know (RFC 9113 §5.5).
    pub(super) fn send_extension(
        &mut self,
        kind: FrameType,
        flags: Flags,
        on: Option<StreamKey>,
        payload: &[u8],
    ) -> Result<(), SendError> {
        self.ensure_open_for_send()?;
        if kind.name().is_some() {
            return Err(SendError::OutOfRange);
        }
        let stream = self.extension_stream(on)?;
        self.check_frame_len(payload.len())?;
        self.outbound.frame(&Frame::Unknown { kind, flags, stream, payload });
        Ok(())
    }

    /// Returns the stream of an extension frame. RFC 9113 §5.1, §8.5: not one that is reserved,
    /// closed by us, or a tunnel.
    fn extension_stream(&self, on: Option<StreamKey>) -> Result<StreamId, SendError> {
        let Some(stream) = on else { return Ok(StreamId::CONNECTION) };
        let slot = self.streams.find(stream).ok_or(SendError::StreamClosed)?;
        match slot.state {
            State::ReservedLocal => Err(SendError::HeadersNotSent),
            state if state.local() == HalfState::Closed => Err(SendError::AlreadyEnded),
            _ if slot.send.tunnel => Err(SendError::Malformed(Violation::FrameInTunnel)),
            _ => Ok(stream.id()),
        }
    }

    fn check_frame_len(&self, len: usize) -> Result<(), SendError> {
        if len <= self.settings.remote().max_frame_size as usize {
            Ok(())
        } else {
            Err(SendError::OutOfRange)
        }
    }
}

/// Bytes of one entry of SETTINGS (RFC 9113 §6.5.1).
const SETTING_LEN: usize = 6;
