//! Messages on their way out: header blocks, DATA, trailers, resets.
//!
//! Everything is judged before the first byte is written: a refusal changes nothing.

use core::time::Duration;

use thalweg_hpack::{Field, TableMatch};

use crate::error::{ErrorCode, OpenError, SendError, Timeout};
use crate::frame::{Flags, FrameType};
use crate::headers::outbound_fields::{self, FieldList, PeerLimits};
use crate::headers::validate::{BlockInfo, method_of};
use crate::message::{Request, Status};
use crate::rate_limit::Cost;
use crate::silly_window::Wait;
use crate::stream_id::{StreamId, StreamKey};
use crate::streams::id_table::CloseReason;
use crate::streams::state::{HalfState, Input, InvalidTransition, State, Transition};
use crate::streams::{Blocked, RemainingLength, Side, Slot};
use crate::violation::Violation;

use super::field_blocks::response_content;
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
    /// The slot for a call that sends.
    fn slot_for_send(&self, stream: StreamKey) -> Result<&Slot, SendError> {
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
    pub fn send_request<'a>(
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
        slot.send_left = content;
        slot.reported = true;
        let stream = self.streams.open(id, slot);
        self.counters.streams_opened += 1;
        self.rate_limiter.credit_stream();
        self.timers.disarm(Timeout::Idle);
        self.write_field_block(FrameType::HEADERS, id, end, None, &list);
        Ok(stream)
    }

    /// The next identifier of our side (RFC 9113 §5.1.1).
    fn next_id(&self) -> Result<StreamId, OpenError> {
        let last = self.streams.last(Side::Local).as_u32();
        let first = if self.is_client() { 1 } else { 2 };
        let next = if last == 0 { first } else { last + 2 };
        if next > StreamId::MAX.as_u32() { Err(OpenError::IdsExhausted) } else { Ok(StreamId::new(next)) }
    }

    /// Sends a final response.
    pub fn send_response<'a>(
        &mut self,
        stream: StreamKey,
        status: &Status,
        fields: impl IntoIterator<Item = Field<'a>>,
        end: bool,
    ) -> Result<(), SendError> {
        let slot = self.slot_for_send(stream)?;
        let (state, next) = (slot.state, slot.state.next(Input::SendHeaders { end })?);
        if status.is_informational() {
            return Err(SendError::Malformed(Violation::StatusInvalid));
        }
        self.check_push_limit(state)?;
        let slot = self.slot_for_send(stream)?;
        let method = slot.method;
        let mut list = FieldList::new();
        let content_length =
            outbound_fields::response(&mut list, self.codec.encoder(), status, fields, self.peer_limits())?;
        let status = status.as_u16();
        let info = BlockInfo { content_length, status, ..BlockInfo::default() };
        let content = response_content(method, &info);
        if end && !content.allows(0, true) {
            return Err(SendError::ContentLength { left: content.bytes().unwrap_or(0), given: 0 });
        }
        if let Some(slot) = self.streams.find_mut(stream) {
            slot.send_left = content;
            slot.tunnel = method == crate::headers::validate::Method::Connect && (200..300).contains(&status);
        }
        self.write_field_block(FrameType::HEADERS, stream.id(), end, None, &list);
        self.apply_transition(stream, next);
        Ok(())
    }

    /// RFC 9113 §5.1.2: the first header block of a pushed response makes it count towards the client's limit.
    fn check_push_limit(&mut self, state: State) -> Result<(), SendError> {
        if state != State::ReservedLocal || self.can_open_stream() {
            return Ok(());
        }
        self.pending.request_stream();
        Err(SendError::TooManyPending)
    }

    /// Sends an informational response.
    pub fn send_informational<'a>(
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
            slot.content_timer.restart();
        }
        self.apply_transition(stream, next);
        Ok(())
    }

    /// Sends trailers, which end our half.
    pub fn send_trailers<'a>(
        &mut self,
        stream: StreamKey,
        fields: impl IntoIterator<Item = Field<'a>>,
    ) -> Result<(), SendError> {
        let slot = self.slot_for_send(stream)?;
        let next = slot.state.next(Input::SendTrailers)?;
        if slot.tunnel {
            return Err(SendError::Malformed(Violation::FrameInTunnel));
        }
        let left = slot.send_left;
        if !left.allows(0, true) {
            return Err(SendError::ContentLength { left: left.bytes().unwrap_or(0), given: 0 });
        }
        let mut list = FieldList::new();
        outbound_fields::collect(&mut list, self.codec.encoder(), fields, self.peer_limits())?;
        self.write_field_block(FrameType::HEADERS, stream.id(), true, None, &list);
        self.clear_blocked(stream);
        self.apply_transition(stream, next);
        Ok(())
    }

    /// Promises a response to a request that the client has not made (RFC 9113 §8.4.1).
    pub fn send_push<'a>(
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
        if slot.tunnel {
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

    /// Encodes a block into the output. HPACK state follows the order of the wire, so this is where it changes.
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

    /// Frames as much of `data` as windows, order and room allow, and says how much it took.
    pub fn send_data(
        &mut self,
        stream: StreamKey,
        data: &[u8],
        end: bool,
        pad_len: Option<u8>,
    ) -> Result<usize, SendError> {
        self.check_data(stream, data.len(), end)?;
        let overhead = pad_len.map_or(0, |pad_len| 1 + usize::from(pad_len));
        let mut taken = 0;
        loop {
            let rest = &data[taken..];
            if rest.is_empty() && !(end && taken == data.len()) {
                break;
            }
            let room = self.output_room(1);
            let Some((len, overhead)) = self.next_frame(stream, rest.len(), overhead, room) else { break };
            let last = end && len == rest.len();
            match overhead.checked_sub(1) {
                None => self.outbound.data(stream.id(), &rest[..len], last),
                Some(pad_len) => self.outbound.data_padded(stream.id(), &rest[..len], last, pad_len as u8),
            }
            self.debit(stream, len, overhead);
            taken += len;
            if last {
                self.close_local_half(stream);
                return Ok(taken);
            }
        }
        let left = (taken < data.len() || end).then_some(data.len() - taken);
        self.mark_blocked(stream, left, taken > 0);
        Ok(taken)
    }

    /// Reserves window for `len` bytes and writes the head of one DATA frame; the payload is the caller's to place.
    pub fn splice_data(&mut self, stream: StreamKey, len: usize, end: bool) -> Result<usize, SendError> {
        self.check_data(stream, len, end)?;
        let room = self.output_room(SPLICED_OVERRUN);
        let Some((taken, _)) = self.next_frame(stream, len, 0, room) else {
            self.mark_blocked(stream, Some(len), false);
            return Ok(0);
        };
        let last = end && taken == len;
        if taken > 0 || last {
            self.outbound.splice(stream, taken, last);
            self.debit(stream, taken, 0);
        }
        if last {
            self.close_local_half(stream);
        } else {
            self.mark_blocked(stream, (taken < len || end).then_some(len - taken), taken > 0);
        }
        Ok(taken)
    }

    /// Whether DATA may be sent at all, and fits what content-length announced.
    #[inline]
    fn check_data(&self, stream: StreamKey, len: usize, end: bool) -> Result<(), SendError> {
        let slot = self.slot_for_send(stream)?;
        slot.state.next(Input::SendData { end })?;
        if slot.send_left.allows(len as u64, end) {
            return Ok(());
        }
        Err(SendError::ContentLength { left: slot.send_left.bytes().unwrap_or(0), given: len as u64 })
    }

    /// What `times` the room for DATA still takes.
    #[inline]
    fn output_room(&self, times: usize) -> usize {
        (times * self.limits.output_bytes_max as usize).saturating_sub(self.outbound.len())
    }

    /// The next DATA frame of a stream that has `len` bytes, in so much room: its content, and Pad Length with padding; `None` if it must
    /// wait.
    ///
    /// Flow control counts padding too, and an empty frame needs no window (RFC 9113 §6.9.1). Where the window is short, padding
    /// gives way to content, or a stream whose window stays below its padding would be named for ever. Where the window makes
    /// content short, `silly_window` says whether it waits.
    #[inline]
    fn next_frame(
        &mut self,
        stream: StreamKey,
        len: usize,
        overhead: usize,
        room: usize,
    ) -> Option<(usize, usize)> {
        const END_STREAM_ALONE: Option<(usize, usize)> = Some((0, 0));
        if len == 0 && overhead == 0 {
            return END_STREAM_ALONE;
        }
        let slot = self.streams.find(stream)?;
        let window = slot.send_window.available().min(self.windows.send_window().available()) as usize;
        let frame = room.min(self.settings.remote().max_frame_size as usize);
        let mut content = len.min(frame.saturating_sub(overhead));
        let (mut overhead, mut is_short) = (overhead, false);
        if content + overhead > window {
            content = len.min(frame).min(window);
            overhead = overhead.min(window - content);
            if content < len.min(frame) && self.is_short(stream, content) {
                if !self.may_send_short(stream) {
                    return None;
                }
                is_short = true;
            }
        }
        let goes = content + overhead <= frame && (content > 0 || len == 0) && self.streams.is_next(stream);
        if goes && is_short {
            self.short_frame_goes(stream);
        }
        match (goes, len) {
            (true, _) => Some((content, overhead)),
            (false, 0) => END_STREAM_ALONE,
            (false, _) => None,
        }
    }

    /// Notes that the next frame of a stream is shorter than half of its windows allow.
    #[cold]
    fn short_frame_goes(&mut self, stream: StreamKey) {
        let (now, connection_wait) = (self.timers.now(), self.avoidance.connection_wait);
        self.avoidance.short_frame_sent();
        self.avoidance.connection_wait = Wait::No;
        // Until the timer let it go, it waited for the peer, however early some window came.
        if let Some(slot) = self.streams.find_mut(stream)
            && (slot.short_wait == Wait::Over || connection_wait == Wait::Over)
        {
            slot.opened_at = now;
        }
    }

    /// Whether a frame that the window makes short would be shorter than half of the windows allow.
    fn is_short(&self, stream: StreamKey, content: usize) -> bool {
        let shortest = |slot: &Slot| slot.shortest_frame(self.streams.full_frame());
        self.streams.find(stream).is_some_and(|slot| content < shortest(slot) as usize)
    }

    /// Whether the next frame of a stream may be shorter than half of its windows allow.
    #[cold]
    fn may_send_short(&self, stream: StreamKey) -> bool {
        let Some(slot) = self.streams.find(stream) else { return false };
        if slot.short_wait == Wait::Over {
            return true;
        }
        if slot.send_window.available() < self.windows.send_window().available() {
            self.avoidance.allows_short(slot.send_window.size())
        } else {
            self.may_exhaust_connection()
        }
    }

    /// Whether the connection's window may make the next frame of whatever stream short.
    fn may_exhaust_connection(&self) -> bool {
        self.avoidance.connection_wait == Wait::Over
            || self.avoidance.allows_short(self.windows.send_window().size())
    }

    /// Starts the timer of short frames if the connection's window makes the stream whose turn it is wait.
    #[inline]
    pub(super) fn watch_connection_window(&mut self) {
        if self.streams.any_ready() && self.windows.send_window().available() < self.streams.full_frame() {
            self.avoidance.watch();
        }
    }

    /// Counts a frame that was written.
    #[inline]
    fn debit(&mut self, stream: StreamKey, len: usize, overhead: usize) {
        let bytes = (len + overhead) as u32;
        self.windows.debit_send(bytes);
        if let Some(slot) = self.streams.find_mut(stream) {
            slot.send_window.take(bytes);
            slot.send_left.take(len as u64);
            slot.progress_bytes = slot.progress_bytes.saturating_add(bytes);
            slot.short_wait = Wait::No;
        }
        self.avoidance.count_frame(bytes);
        self.streams.rotate(stream);
        self.watch_connection_window();
        // The peer may answer content by a PING, to measure the bandwidth.
        self.rate_limiter.credit(Cost::Ping, 1);
    }

    /// END_STREAM was written.
    #[inline]
    fn close_local_half(&mut self, stream: StreamKey) {
        self.clear_blocked(stream);
        let Some(slot) = self.streams.find(stream) else { return };
        match slot.state.next(Input::SendData { end: true }) {
            Ok(next) => self.apply_transition(stream, next),
            Err(_) => debug_assert!(false, "the state was judged before"),
        }
    }

    /// Notes how much was left, if anything was, so that `poll_writable` names the stream when it can go on.
    #[inline]
    fn mark_blocked(&mut self, stream: StreamKey, left: Option<usize>, sent: bool) {
        let Some(left) = left else { return self.clear_blocked(stream) };
        let Some(slot) = self.streams.find_mut(stream) else { return };
        slot.blocked_bytes = u32::try_from(left).unwrap_or(u32::MAX);
        let size = slot.send_window.size();
        self.wait_for_window(stream, sent);
        if self.streams.waits_short(stream) {
            self.wait_short(stream, size);
        }
        self.streams.judge(stream);
        self.watch_connection_window();
        if self.lifecycle.is_eof() {
            self.reset_blocked();
        }
    }

    /// A stream has less window than its next frame should have: it waits for more, or has one short frame.
    #[cold]
    fn wait_short(&mut self, stream: StreamKey, window_size: u32) {
        if !self.avoidance.allows_short(window_size) {
            return self.avoidance.watch();
        }
        self.avoidance.short_frame_sent();
        if let Some(slot) = self.streams.find_mut(stream) {
            slot.short_wait = Wait::Over;
        }
    }

    /// Starts the wait for window anew, if this call has begun it. While the window was open
    /// between two waits, the stream did not wait for the peer.
    #[inline]
    fn wait_for_window(&mut self, stream: StreamKey, sent: bool) {
        let (connection_window, full_frame) =
            (self.windows.send_window().available(), self.streams.full_frame());
        let Some(slot) = self.streams.find_mut(stream) else { return };
        let is_blocked = slot.send_window.available().min(connection_window) < slot.needed_window(full_frame);
        let waited = match slot.blocked {
            Blocked::Since(since) if slot.progress_bytes < self.limits.stall_bytes_min => {
                if !sent || !is_blocked {
                    return;
                }
                slot.opened_at.max(self.windows.send_opened_at()).saturating_duration_since(since)
            }
            Blocked::FromNextTime { .. } => return,
            Blocked::No | Blocked::Since(_) => {
                slot.progress_bytes = 0;
                Duration::ZERO
            }
        };
        self.streams.wait_from_next_time(stream, waited);
        self.timers.arm_for_one_more(Timeout::Stall);
    }

    #[inline]
    fn clear_blocked(&mut self, stream: StreamKey) {
        let Some(slot) = self.streams.find_mut(stream) else { return };
        if slot.blocked != Blocked::No {
            slot.blocked = Blocked::No;
            slot.short_wait = Wait::No;
            self.streams.dequeue(stream);
        }
    }

    /// Takes a stream to the state after something was sent.
    #[inline]
    fn apply_transition(&mut self, stream: StreamKey, transition: Transition) {
        match transition {
            Transition::State(state) => self.streams.advance(stream, state),
            Transition::Closed => self.complete_stream(stream),
        }
    }

    /// Who was cut short and may go on now, the most urgent first; naming it takes it off the list.
    pub fn poll_writable(&mut self) -> Option<StreamKey> {
        if !self.streams.any_ready()
            || self.lifecycle.has_error()
            || self.windows.send_window().available() == 0
        {
            return None;
        }
        let room_needed = self.limits.output_bytes_max as usize / 2;
        if self.outbound.len() > room_needed {
            return None;
        }
        let may_exhaust = self.may_exhaust_connection();
        self.streams.pop_first(if may_exhaust { u32::MAX } else { self.windows.send_window().available() })
    }

    /// Ends a stream for the caller. Nothing more will be told of it.
    pub fn send_reset(&mut self, stream: StreamKey, code: ErrorCode) {
        if self.lifecycle.has_error() || self.streams.find(stream).is_none() {
            return;
        }
        self.outbound.reset(stream.id(), code);
        self.counters.resets_sent += 1;
        self.abort_stream(stream, CloseReason::ResetLocal);
    }
}

/// How often the output's limit may be exceeded by payloads that stay with the caller: they cost no memory here, and a transport that
/// takes long writes wakes its reader less often.
const SPLICED_OVERRUN: usize = 4;

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
