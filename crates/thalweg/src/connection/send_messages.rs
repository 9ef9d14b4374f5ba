//! Sends messages: field blocks and resets. DATA is in `send_data`.
//!
//! A call checks everything before it writes the first byte: an error changes nothing.

use thalweg_hpack::{Field, TableMatch};

use crate::error::{ErrorCode, OpenError, SendError, Timeout};
use crate::frame::{Flags, FrameType};
use crate::headers::outbound_fields::{self, FieldList, PeerLimits};
use crate::headers::validate::{BlockInfo, Method, method_of};
use crate::message::{Request, Status};
use crate::stream_id::{StreamId, StreamKey};
use crate::streams::Side;
use crate::streams::id_table::CloseReason;
use crate::streams::slot::{RemainingLength, Slot};
use crate::streams::state::{HalfState, Input, InvalidTransition, State, Transition};
use crate::violation::Violation;

use super::field_blocks::{ends_with_headers, response_content};
use super::inner::Inner;

impl From<InvalidTransition> for SendError {
    fn from(invalid: InvalidTransition) -> Self {
        match invalid {
            InvalidTransition::Ended => Self::AlreadyEnded,
            InvalidTransition::HeadersSent => Self::HeadersSent,
            InvalidTransition::HeadersNotSent => Self::HeadersNotSent,
            InvalidTransition::Violation(violation) => Self::Malformed(violation),
        }
    }
}

impl Inner {
    /// Returns the slot for a call that sends.
    pub(super) fn slot_for_send(&self, stream: StreamKey) -> Result<&Slot, SendError> {
        self.ensure_open().map_err(SendError::Connection)?;
        self.streams.find(stream).ok_or(SendError::StreamClosed)
    }

    fn peer_limits(&self) -> PeerLimits {
        PeerLimits {
            header_list_bytes: self.settings.remote().max_header_list_size,
            connect_protocol: self.settings.remote().enable_connect_protocol,
        }
    }

    /// Opens a stream with a request.
    pub(super) fn send_request<'a>(
        &mut self,
        request: &Request<'a>,
        fields: impl IntoIterator<Item = Field<'a>>,
        end: bool,
    ) -> Result<StreamKey, OpenError> {
        self.ensure_open().map_err(SendError::Connection)?;
        if self.lifecycle.is_closing() {
            return Err(OpenError::GoingAway);
        }
        let id = self.next_id()?;
        if !self.can_open_stream() {
            self.pending.request_stream();
            return Err(OpenError::TooManyStreams { limit: self.settings.remote().max_concurrent_streams });
        }
        let mut list = FieldList::new();
        let content = RemainingLength::new(outbound_fields::request(
            &mut list,
            self.codec.encoder(),
            request,
            fields,
            self.peer_limits(),
        )?);
        if end && !content.allows(0, true) {
            let left = content.bytes().unwrap_or(0);
            return Err(SendError::ContentLength { left, given: 0 }.into());
        }
        let mut slot = self.new_slot(State::opened(true, end), method_of(request.method));
        slot.send.left = content;
        slot.reported = true;
        let stream = self.streams.open(id, slot);
        self.counters.streams_opened += 1;
        self.rate_limiter.credit_stream();
        self.timers.disarm(Timeout::Idle);
        self.write_field_block(FrameType::HEADERS, id, end, None, &list);
        Ok(stream)
    }

    /// Returns the next identifier of our side (RFC 9113 §5.1.1).
    fn next_id(&self) -> Result<StreamId, OpenError> {
        let last = self.streams.last(Side::Local).as_u32();
        let first = if self.is_client() { 1 } else { 2 };
        let next = if last == 0 { first } else { last + 2 };
        if next > StreamId::MAX.as_u32() { Err(OpenError::IdsExhausted) } else { Ok(StreamId::new(next)) }
    }

    /// Sends a final response.
    pub(super) fn send_response<'a>(
        &mut self,
        stream: StreamKey,
        status: &Status,
        fields: impl IntoIterator<Item = Field<'a>>,
        end: bool,
    ) -> Result<(), SendError> {
        let slot = self.slot_for_send(stream)?;
        let (state, method) = (slot.state, slot.method);
        let next = state.next(Input::SendHeaders { end })?;
        if status.is_informational() {
            return Err(SendError::Malformed(Violation::StatusInvalid));
        }
        self.check_push_limit(state)?;
        let mut list = FieldList::new();
        let content_length =
            outbound_fields::response(&mut list, self.codec.encoder(), status, fields, self.peer_limits())?;
        let status = status.as_u16();
        let info = BlockInfo { content_length, status, ..BlockInfo::default() };
        let mut content = response_content(method, &info);
        // RFC 9110 §15.3.6: a 205 is sent without content, and its trailers are allowed.
        if status == 205 {
            if let Some(left) = content.bytes().filter(|left| *left > 0) {
                return Err(SendError::ContentLength { left, given: 0 });
            }
            content = RemainingLength::new(Some(0));
        }
        if end && !content.allows(0, true) {
            return Err(SendError::ContentLength { left: content.bytes().unwrap_or(0), given: 0 });
        }
        if let Some(slot) = self.streams.find_mut(stream) {
            slot.send.left = content;
            slot.receive.content_timer.restart();
            slot.send.tunnel = method == Method::Connect && (200..300).contains(&status);
            if ends_with_headers(method, status) {
                slot.method = Method::Head;
            }
        }
        self.write_field_block(FrameType::HEADERS, stream.id(), end, None, &list);
        self.apply_transition(stream, next);
        Ok(())
    }

    /// RFC 9113 §5.1.2: the first header block of a pushed response makes it count towards the
    /// client's limit.
    fn check_push_limit(&mut self, state: State) -> Result<(), SendError> {
        if state != State::ReservedLocal || self.can_open_stream() {
            return Ok(());
        }
        self.pending.request_stream();
        Err(SendError::TooManyPending)
    }

    /// Sends an informational response.
    pub(super) fn send_informational<'a>(
        &mut self,
        stream: StreamKey,
        status: &Status,
        fields: impl IntoIterator<Item = Field<'a>>,
    ) -> Result<(), SendError> {
        let slot = self.slot_for_send(stream)?;
        // RFC 9113 §8.4.2 has no informational responses before a reserved stream is open.
        let (state, next) = (slot.state, slot.state.next(Input::SendInformational)?);
        if !status.is_informational() {
            return Err(SendError::Malformed(Violation::StatusInvalid));
        }
        self.check_push_limit(state)?;
        let mut list = FieldList::new();
        outbound_fields::response(&mut list, self.codec.encoder(), status, fields, self.peer_limits())?;
        self.write_field_block(FrameType::HEADERS, stream.id(), false, None, &list);
        // RFC 9110 §10.1.1: the peer may have waited for 100 before it sends content.
        if let Some(slot) = self.streams.find_mut(stream) {
            slot.receive.content_timer.restart();
        }
        self.apply_transition(stream, next);
        Ok(())
    }

    /// Sends trailers, which end our half.
    pub(super) fn send_trailers<'a>(
        &mut self,
        stream: StreamKey,
        fields: impl IntoIterator<Item = Field<'a>>,
    ) -> Result<(), SendError> {
        let slot = self.slot_for_send(stream)?;
        let next = slot.state.next(Input::SendTrailers)?;
        if slot.send.tunnel {
            return Err(SendError::Malformed(Violation::FrameInTunnel));
        }
        // On the client, these are the trailers of a request.
        if slot.method == Method::Head && !self.is_client() {
            return Err(SendError::Malformed(Violation::TrailersWithoutContent));
        }
        let left = slot.send.left;
        if !left.allows(0, true) {
            return Err(SendError::ContentLength { left: left.bytes().unwrap_or(0), given: 0 });
        }
        let mut list = FieldList::new();
        let peer = self.peer_limits();
        // RFC 9110 §6.5.1: a field that frames the content cannot follow it.
        if outbound_fields::collect(&mut list, self.codec.encoder(), fields, peer)?.is_some() {
            return Err(SendError::Malformed(Violation::ContentLengthInTrailers));
        }
        self.write_field_block(FrameType::HEADERS, stream.id(), true, None, &list);
        self.clear_blocked(stream);
        self.apply_transition(stream, next);
        Ok(())
    }

    /// Promises a response to a request that the client has not made (RFC 9113 §8.4.1).
    pub(super) fn send_push<'a>(
        &mut self,
        parent: StreamKey,
        request: &Request<'a>,
        fields: impl IntoIterator<Item = Field<'a>>,
    ) -> Result<StreamKey, OpenError> {
        let slot = self.slot_for_send(parent)?;
        // RFC 9113 §6.6: on a stream of the client's, while we may still send on it.
        if self.streams.side(parent.id()) == Side::Local || slot.state.local() == HalfState::Closed {
            return Err(SendError::AlreadyEnded.into());
        }
        if slot.send.tunnel {
            return Err(SendError::Malformed(Violation::FrameInTunnel).into());
        }
        if !self.settings.remote().enable_push {
            return Err(SendError::NotAllowedByPeer.into());
        }
        if self.lifecycle.shutdown().is_going_away() {
            return Err(OpenError::GoingAway);
        }
        let id = self.next_id()?;
        if self.streams.reserved_local() >= self.limits.concurrent_streams_max || !self.can_open_stream() {
            return Err(OpenError::TooManyStreams { limit: self.settings.remote().max_concurrent_streams });
        }
        if !matches!(request.method, b"GET" | b"HEAD") || request.authority.is_none() {
            return Err(SendError::Malformed(Violation::PushRequestInvalid).into());
        }
        let mut list = FieldList::new();
        let content_length =
            outbound_fields::request(&mut list, self.codec.encoder(), request, fields, self.peer_limits())?;
        if content_length.is_some_and(|length| length > 0) {
            return Err(SendError::Malformed(Violation::PushRequestInvalid).into());
        }
        let mut slot = self.new_slot(State::ReservedLocal, method_of(request.method));
        slot.reported = true;
        let stream = self.streams.open(id, slot);
        self.counters.streams_opened += 1;
        self.rate_limiter.credit_stream();
        self.write_field_block(FrameType::PUSH_PROMISE, parent.id(), false, Some(id), &list);
        Ok(stream)
    }

    /// Encodes a block into the output. HPACK state follows the order of the wire, so it changes
    /// here.
    #[inline]
    pub(super) fn write_field_block(
        &mut self,
        kind: FrameType,
        id: StreamId,
        end: bool,
        promised: Option<StreamId>,
        fields: &[(Field<'_>, TableMatch)],
    ) {
        let flags = Flags::default().with(Flags::END_STREAM, end);
        let frame_bytes_max = self.settings.remote().max_frame_size as usize;
        let codec = &mut self.codec;
        self.outbound.header_block(kind, flags, id, frame_bytes_max, |out| {
            codec.encode(promised, fields, out);
        });
    }

    /// Applies the transition after something was sent.
    #[inline]
    pub(super) fn apply_transition(&mut self, stream: StreamKey, transition: Transition) {
        match transition {
            Transition::State(state) => self.streams.advance(stream, state),
            Transition::Closed => self.complete_stream(stream),
        }
    }

    /// Resets a stream for the caller. No event reports it.
    pub(super) fn send_reset(&mut self, stream: StreamKey, code: ErrorCode) {
        if self.lifecycle.has_error() || self.streams.find(stream).is_none() {
            return;
        }
        self.outbound.reset(stream.id(), code);
        self.counters.resets_sent += 1;
        self.abort_stream(stream, CloseReason::ResetLocal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn when_all_identifiers_are_used_opening_fails_and_the_connection_goes_on() {
        // 9113-5.1.1-11
        let mut inner = Inner::new(&Config::default(), true);
        inner.streams.mark_refused(StreamId::new(StreamId::MAX.as_u32() - 2));
        let request = Request::get("https", "example.org", "/");
        let last = inner.send_request(&request, [], true).map(StreamKey::id);
        assert_eq!(last, Ok(StreamId::MAX));
        assert_eq!(inner.send_request(&request, [], true), Err(OpenError::IdsExhausted));
        assert_eq!(inner.ensure_open(), Ok(()));
    }
}
