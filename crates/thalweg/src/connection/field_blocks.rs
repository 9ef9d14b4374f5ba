//! Receives field blocks: HEADERS, PUSH_PROMISE, CONTINUATION (RFC 9113 §4.3, §6.2, §6.6, §6.10,
//! §8).

use alloc::boxed::Box;

use thalweg_hpack::{BlockSkipper, ListLimits, TableMatch};

use crate::error::{ErrorCode, Limit, StreamError, Timeout};
use crate::event::HeadersKind;
use crate::field_codec::{BlockOutcome, FieldBlock};
use crate::frame::{Flags, FrameHeader, FrameType, parse};
use crate::headers::validate::{BlockInfo, BlockKind, Method};
use crate::inbound::{OpenBlock, Phase};
use crate::message::Status;
use crate::priority::Priority;
use crate::rate_limit::Cost;
use crate::settings::Settings;
use crate::shutdown::ShutdownPhase;
use crate::stream_id::{StreamId, StreamKey};
use crate::streams::Side;
use crate::streams::id_table::{CloseReason, StreamStatus};
use crate::streams::slot::{RemainingLength, Slot};
use crate::streams::state::{HalfState, Input, InvalidTransition, State, Transition};
use crate::violation::Violation;

use super::inner::{ConnectionFailed, Inner};
use super::receive::RawEvent;

type EventResult<'b> = Result<Option<RawEvent<'b>>, ConnectionFailed>;

impl Inner {
    /// Checks the limits of a field block before its next fragment is collected.
    #[inline]
    pub(super) fn receive_fragment_header(&mut self, header: FrameHeader) -> Result<(), ConnectionFailed> {
        self.inbound.phase = Phase::Payload(header);
        if header.kind == FrameType::PUSH_PROMISE && !self.is_client() {
            // RFC 9113 §8.4: a client cannot push.
            return Err(self.fail_violation(Violation::PushFromClient, header.stream));
        }
        let before = self.inbound.open_block.as_ref().map_or(0, |block| block.bytes);
        let bytes = u64::from(before) + u64::from(header.len);
        let bound = u64::from(self.limits.oversized_block_bytes_max);
        // Pad Length, padding and priority fields are not part of the block.
        if bytes > bound + 261 {
            return Err(self.fail_limit(Limit::OversizedBlockBytes, header.stream, bytes, bound));
        }
        if let Some(block) = &mut self.inbound.open_block {
            block.continuations += 1;
            let (seen, bound) = (u64::from(block.continuations), u64::from(self.limits.continuations_max));
            if seen > bound {
                return Err(self.fail_limit(Limit::Continuations, header.stream, seen, bound));
            }
        }
        Ok(())
    }

    #[inline(always)]
    pub(super) fn receive_headers<'b>(&mut self, header: FrameHeader, payload: &[u8]) -> EventResult<'b> {
        let (fragment, dependency, _) = match parse::headers(header.flags, payload) {
            Ok(parts) => parts,
            Err(violation) => return Err(self.fail_violation(violation, header.stream)),
        };
        let block = OpenBlock {
            stream: header.stream,
            promised: None,
            end: header.flags.contains(Flags::END_STREAM),
            depends_on_itself: dependency.is_some_and(|dependency| dependency.stream == header.stream),
            continuations: 0,
            bytes: 0,
        };
        self.start_block(block, fragment, header.flags)
    }

    pub(super) fn receive_push_promise<'b>(
        &mut self,
        header: FrameHeader,
        payload: &[u8],
    ) -> EventResult<'b> {
        let (promised, fragment, _) = match parse::push_promise(header.flags, payload) {
            Ok(parts) => parts,
            Err(violation) => return Err(self.fail_violation(violation, header.stream)),
        };
        // RFC 9113 §6.5.2: an error once our 0 was acknowledged; until then the push is refused.
        if !self.settings.local.in_force().enable_push {
            return Err(self.fail_violation(Violation::PushDisabled, header.stream));
        }
        let block = OpenBlock {
            stream: header.stream,
            promised: Some(promised),
            end: false,
            depends_on_itself: false,
            continuations: 0,
            bytes: 0,
        };
        self.start_block(block, fragment, header.flags)
    }

    #[inline(always)]
    fn start_block<'b>(&mut self, block: OpenBlock, fragment: &[u8], flags: Flags) -> EventResult<'b> {
        if flags.contains(Flags::END_HEADERS) && fragment.len() <= self.limits.header_block_bytes_max as usize
        {
            return self.finish_block(block, FieldBlock::Kept(fragment));
        }
        self.begin_open_block(block, fragment, flags.contains(Flags::END_HEADERS))
    }

    /// Starts a block of several frames, or one that is too large to be kept.
    fn begin_open_block<'b>(
        &mut self,
        mut block: OpenBlock,
        fragment: &[u8],
        is_last: bool,
    ) -> EventResult<'b> {
        if fragment.is_empty() {
            self.charge(Cost::EmptyFrame, block.stream)?;
        }
        self.collect_fragment(&mut block, fragment)?;
        if is_last {
            return self.finish_open_block(block);
        }
        self.timers.arm(Timeout::HeaderBlock);
        Ok(None)
    }

    pub(super) fn receive_continuation<'b>(
        &mut self,
        header: FrameHeader,
        fragment: &[u8],
    ) -> EventResult<'b> {
        if fragment.is_empty() {
            self.charge(Cost::EmptyFrame, header.stream)?;
        }
        let Some(mut block) = self.inbound.open_block else { return Ok(None) };
        self.collect_fragment(&mut block, fragment)?;
        if !header.flags.contains(Flags::END_HEADERS) {
            return Ok(None);
        }
        self.timers.disarm(Timeout::HeaderBlock);
        self.finish_open_block(block)
    }

    /// Keeps a fragment of the open block. A block that outgrows `header_block_bytes_max` is
    /// decoded without being kept, from its first fragment on.
    fn collect_fragment(&mut self, block: &mut OpenBlock, fragment: &[u8]) -> Result<(), ConnectionFailed> {
        block.bytes = block.bytes.saturating_add(fragment.len() as u32);
        self.inbound.open_block = Some(*block);
        if block.bytes <= self.limits.header_block_bytes_max {
            self.inbound.fragments.extend_from_slice(fragment);
            return Ok(());
        }
        self.skip_fragment(*block, fragment)
    }

    /// Decodes a fragment of a block that is not kept, and before it those that were kept.
    #[cold]
    fn skip_fragment(&mut self, block: OpenBlock, fragment: &[u8]) -> Result<(), ConnectionFailed> {
        let (bytes, bound) = (block.bytes, self.limits.oversized_block_bytes_max);
        if bytes > bound {
            return Err(self.fail_limit(
                Limit::OversizedBlockBytes,
                block.stream,
                bytes.into(),
                bound.into(),
            ));
        }
        let kept = core::mem::take(&mut self.inbound.fragments);
        let skipper = self.inbound.skipper.get_or_insert_with(|| Box::new(BlockSkipper::new()));
        let skipped = self.codec.skip(skipper, &kept).and_then(|()| self.codec.skip(skipper, fragment));
        skipped.map_err(|violation| self.fail_violation(violation, StreamId::CONNECTION))
    }

    /// Finishes a block whose fragments were collected or skipped.
    fn finish_open_block<'b>(&mut self, block: OpenBlock) -> EventResult<'b> {
        if let Some(skipper) = self.inbound.skipper.take() {
            self.inbound.open_block = None;
            self.finish_skipped(*skipper, block)?;
            return self.finish_block(block, FieldBlock::Skipped);
        }
        let fragments = core::mem::take(&mut self.inbound.fragments);
        let outcome = self.finish_block(block, FieldBlock::Kept(&fragments));
        if outcome.is_ok() {
            self.inbound.close_block(fragments);
        }
        outcome
    }

    /// Ends the decoding of a block that was not kept, and charges it by its length: it cost work,
    /// and no event shows it.
    #[cold]
    fn finish_skipped(&mut self, skipper: BlockSkipper, block: OpenBlock) -> Result<(), ConnectionFailed> {
        if let Err(violation) = self.codec.finish_skip(skipper) {
            return Err(self.fail_violation(violation, StreamId::CONNECTION));
        }
        for _ in 0..(block.bytes - self.limits.header_block_bytes_max).div_ceil(SKIPPED_BYTES_PER_TOKEN) {
            self.charge(Cost::Reset, block.stream)?;
        }
        Ok(())
    }

    /// Handles a whole block. RFC 9113 §4.3: it is decoded, whatever the state of its stream.
    #[inline]
    fn finish_block<'b>(&mut self, block: OpenBlock, bytes: FieldBlock<'_>) -> EventResult<'b> {
        let id = block.stream;
        if let Some(promised) = block.promised {
            return self.accept_push(id, promised, bytes);
        }
        if block.depends_on_itself && self.may_reject_block(id) {
            return self.reject_self_dependency(id, bytes);
        }
        match self.streams.status(id) {
            StreamStatus::Idle if self.streams.side(id) == Side::Local => Err(self.fail_violation(
                if self.is_client() { Violation::StreamIdle } else { Violation::StreamIdParity },
                id,
            )),
            // RFC 9113 §8.4: servers open streams by PUSH_PROMISE only.
            StreamStatus::Idle if self.is_client() => Err(self.fail_violation(Violation::StreamIdle, id)),
            StreamStatus::Idle => self.finish_request(id, block.end, bytes),
            StreamStatus::Live(slot) => {
                self.finish_message(StreamKey::from_parts(id, slot), block.end, bytes)
            }
            // RFC 9113 §5.1: the peer may have sent it before it received our reset, and the reset
            // may be forgotten since.
            StreamStatus::Closed(CloseReason::ResetLocal) | StreamStatus::Forgotten => {
                self.discard_block(bytes)?;
                self.charge_late_block(id).map(|()| None)
            }
            StreamStatus::Closed(CloseReason::Completed) => {
                Err(self.fail_violation(Violation::HeadersOnClosedStream, id))
            }
            StreamStatus::Closed(CloseReason::ResetRemote) => {
                self.discard_and_reject(bytes, id, Violation::HeadersAfterEnd)
            }
            StreamStatus::Skipped => Err(self.fail_violation(Violation::StreamIdNotRising, id)),
        }
    }

    /// Whether a block on this stream may be rejected by a stream error: it would open the stream,
    /// or continue it.
    #[cold]
    fn may_reject_block(&self, id: StreamId) -> bool {
        let is_final = matches!(self.lifecycle.shutdown().phase(), ShutdownPhase::Final(_));
        match self.streams.status(id) {
            // RFC 9113 §6.8: beyond the last stream of our GOAWAY nothing is processed.
            StreamStatus::Idle => !self.is_client() && self.streams.side(id) == Side::Remote && !is_final,
            StreamStatus::Live(_) => true,
            _ => false,
        }
    }

    /// RFC 7540 §5.3.1: a stream that depends on itself is a stream error. The block is decoded all
    /// the same (RFC 9113 §4.3).
    #[cold]
    fn reject_self_dependency<'b>(&mut self, id: StreamId, bytes: FieldBlock<'_>) -> EventResult<'b> {
        let violation = Violation::DependencyOnItself;
        if self.streams.stream_key(id).is_some() {
            return self.discard_and_reject(bytes, id, violation);
        }
        self.discard_block(bytes)?;
        self.refuse_stream(id, violation.code())
    }

    /// Decodes and validates a block.
    #[inline]
    fn decode(&mut self, kind: BlockKind, bytes: FieldBlock<'_>) -> Result<BlockOutcome, ConnectionFailed> {
        let limits = ListLimits {
            list_bytes_max: self.limits.header_list_bytes_max,
            fields_max: self.limits.header_fields_max,
        };
        let outcome = self.codec.decode(kind, bytes, limits);
        outcome.map_err(|violation| self.fail_violation(violation, StreamId::CONNECTION))
    }

    /// Decodes a block whose fields no event shows.
    fn discard_block(&mut self, bytes: FieldBlock<'_>) -> Result<(), ConnectionFailed> {
        let outcome = self.codec.discard(bytes);
        outcome.map_err(|violation| self.fail_violation(violation, StreamId::CONNECTION))
    }

    /// Decodes a block where none is allowed, and rejects it. A block that cannot be decoded is the
    /// graver error.
    #[cold]
    fn discard_and_reject<'b>(
        &mut self,
        bytes: FieldBlock<'_>,
        id: StreamId,
        violation: Violation,
    ) -> EventResult<'b> {
        self.discard_block(bytes)?;
        self.handle_stream_violation(id, violation).map(|()| None)
    }

    /// Opens a stream with a request of the client.
    #[inline]
    fn finish_request<'b>(&mut self, id: StreamId, end: bool, bytes: FieldBlock<'_>) -> EventResult<'b> {
        if let ShutdownPhase::Final(_) = self.lifecycle.shutdown().phase() {
            // RFC 9113 §6.8: streams beyond the last one of our GOAWAY are not processed.
            self.mark_refused(id);
            self.discard_block(bytes)?;
            return self.charge(Cost::Reset, id).map(|()| None);
        }
        if self.at_stream_limit() {
            self.discard_block(bytes)?;
            return self.refuse_stream(id, ErrorCode::REFUSED_STREAM);
        }
        let connect_protocol = self.settings.local.announced().enable_connect_protocol;
        let info = match self.decode(BlockKind::Request { connect_protocol }, bytes)? {
            BlockOutcome::Valid(info) => info,
            BlockOutcome::Malformed(violation) => return self.reject_malformed(id, violation),
            BlockOutcome::TooLarge(_) => return self.reject_too_large(id, end),
        };
        let content = request_content(&info);
        if end && !content.allows(0, true) {
            return self.refuse_stream(id, Violation::ContentLengthMismatch.code());
        }
        let state = State::opened(false, end);
        let mut slot = self.new_slot(state, info.method);
        slot.receive.left = content;
        if !end {
            slot.receive.content_timer = self.start_content_timer(info.method);
        }
        slot.send.signalled = self.initial_priority(id, info.has_priority);
        slot.reported = true;
        let stream = self.streams.open(id, slot);
        self.counters.streams_opened += 1;
        self.rate_limiter.credit_stream();
        self.timers.disarm(Timeout::Idle);
        Ok(Some(RawEvent::Headers { stream, kind: HeadersKind::Request, end }))
    }

    /// Records that a stream was refused: its trailers may still arrive.
    fn mark_refused(&mut self, id: StreamId) {
        self.streams.mark_refused(id);
        self.rate_limiter.credit_late_blocks();
    }

    /// Refuses a stream that never had a slot, and charges the reset.
    #[cold]
    fn refuse_stream<'b>(&mut self, id: StreamId, code: ErrorCode) -> EventResult<'b> {
        self.mark_refused(id);
        self.outbound.reset(id, code);
        self.counters.resets_sent += 1;
        self.charge(Cost::Reset, id).map(|()| None)
    }

    /// RFC 9113 §8.2.1: the response to a field with invalid bytes is 400; the rest of §8 by the
    /// reset alone (§8.1.1).
    #[cold]
    fn reject_malformed<'b>(&mut self, id: StreamId, violation: Violation) -> EventResult<'b> {
        if matches!(violation, Violation::FieldNameInvalid | Violation::FieldValueInvalid) {
            // Without END_STREAM: no frame may follow that, and the reset carries the reason.
            self.send_status(id, Status::BAD_REQUEST, false);
        }
        self.refuse_stream(id, violation.code())
    }

    pub(super) fn send_status(&mut self, id: StreamId, status: Status, end: bool) {
        let field =
            thalweg_hpack::Field::with_known_name(thalweg_hpack::KnownName::STATUS, status.as_bytes());
        self.write_field_block(FrameType::HEADERS, id, end, None, &[(field, TableMatch::NOT_SEARCHED)]);
    }

    /// RFC 9113 §10.5.1, RFC 6585 §5: the response to a header list beyond our limit is 431.
    #[cold]
    fn reject_too_large<'b>(&mut self, id: StreamId, end: bool) -> EventResult<'b> {
        self.send_status(id, Status::REQUEST_HEADER_FIELDS_TOO_LARGE, true);
        self.mark_refused(id);
        if !end {
            self.outbound.reset(id, ErrorCode::NO_ERROR);
            self.counters.resets_sent += 1;
        }
        self.charge(Cost::Reset, id).map(|()| None)
    }

    /// Handles a field block on a live stream: a response, or trailers.
    fn finish_message<'b>(&mut self, stream: StreamKey, end: bool, bytes: FieldBlock<'_>) -> EventResult<'b> {
        let Some(slot) = self.streams.find(stream) else { return self.discard_block(bytes).map(|()| None) };
        match slot.state.remote() {
            HalfState::Headers if slot.state == State::ReservedRemote && self.at_stream_limit() => {
                self.discard_and_reject(bytes, stream.id(), Violation::StreamsExceeded)
            }
            HalfState::Headers => self.finish_response(stream, end, bytes),
            HalfState::Data if slot.send.tunnel => {
                self.discard_and_reject(bytes, stream.id(), Violation::FrameInTunnel)
            }
            HalfState::Data => self.finish_trailers(stream, end, bytes),
            HalfState::Closed if slot.state == State::ReservedLocal => {
                self.discard_and_reject(bytes, stream.id(), Violation::StreamReserved)
            }
            HalfState::Closed => self.discard_and_reject(bytes, stream.id(), Violation::HeadersAfterEnd),
        }
    }

    /// Whether the peer has as many streams open as we allow (RFC 9113 §5.1.2).
    fn at_stream_limit(&self) -> bool {
        self.streams.active(Side::Remote) >= self.limits.concurrent_streams_max
    }

    fn finish_response<'b>(
        &mut self,
        stream: StreamKey,
        end: bool,
        bytes: FieldBlock<'_>,
    ) -> EventResult<'b> {
        let info = match self.decode(BlockKind::Response, bytes)? {
            BlockOutcome::Valid(info) => info,
            BlockOutcome::Malformed(violation) => {
                return self.handle_stream_violation(stream.id(), violation).map(|()| None);
            }
            BlockOutcome::TooLarge(limit) => {
                return self.handle_stream_error(stream.id(), StreamError::Limit(limit)).map(|()| None);
            }
        };
        let informational = info.status < 200;
        let (input, kind) = if informational {
            (Input::ReceiveInformational { end }, HeadersKind::Informational)
        } else {
            (Input::ReceiveHeaders { end }, HeadersKind::Response)
        };
        if !informational {
            let Some(slot) = self.streams.find_mut(stream) else { return Ok(None) };
            let content = response_content(slot.method, &info);
            slot.receive.left = content;
            slot.send.tunnel = slot.method == Method::Connect && (200..300).contains(&info.status);
            if ends_with_headers(slot.method, info.status) {
                slot.method = Method::Head;
            }
            if end && !content.allows(0, true) {
                let violation = Violation::ContentLengthMismatch;
                return self.handle_stream_violation(stream.id(), violation).map(|()| None);
            }
        }
        self.accept_headers(stream, input, kind, end)
    }

    fn finish_trailers<'b>(
        &mut self,
        stream: StreamKey,
        end: bool,
        bytes: FieldBlock<'_>,
    ) -> EventResult<'b> {
        let violation = match self.decode(BlockKind::Trailers, bytes)? {
            BlockOutcome::Valid(_) => None,
            BlockOutcome::Malformed(violation) => Some(violation),
            BlockOutcome::TooLarge(limit) => {
                return self.handle_stream_error(stream.id(), StreamError::Limit(limit)).map(|()| None);
            }
        };
        let Some(slot) = self.streams.find(stream) else { return Ok(None) };
        let violation = violation.or(match slot.receive.left {
            // RFC 9110 §15.3.5, §15.4.5: such a response cannot contain trailers. A recipient that
            // took them would see another message than one that reads HTTP/1.1 does.
            _ if slot.method == Method::Head && self.is_client() => Some(Violation::TrailersWithoutContent),
            left if end && !left.allows(0, true) => Some(Violation::ContentLengthMismatch),
            _ => None,
        });
        match violation {
            Some(violation) => self.handle_stream_violation(stream.id(), violation).map(|()| None),
            None => self.accept_headers(stream, Input::ReceiveTrailers { end }, HeadersKind::Trailers, end),
        }
    }

    /// Advances a stream by a field block of the peer.
    fn accept_headers<'b>(
        &mut self,
        stream: StreamKey,
        input: Input,
        kind: HeadersKind,
        end: bool,
    ) -> EventResult<'b> {
        let Some(slot) = self.streams.find(stream) else { return Ok(None) };
        match slot.state.next(input) {
            Ok(Transition::State(state)) => self.streams.advance(stream, state),
            Ok(Transition::Closed) => self.complete_stream(stream),
            Err(InvalidTransition::Violation(violation)) => {
                return self.handle_stream_violation(stream.id(), violation).map(|()| None);
            }
            Err(_) => return Ok(None),
        }
        Ok(Some(RawEvent::Headers { stream, kind, end }))
    }

    /// RFC 9113 §6.6, §8.4.1: a server promises a response.
    fn accept_push<'b>(
        &mut self,
        id: StreamId,
        promised: StreamId,
        bytes: FieldBlock<'_>,
    ) -> EventResult<'b> {
        let parent = match self.streams.status(id) {
            _ if self.streams.side(id) == Side::Remote => None,
            StreamStatus::Live(slot) => Some(StreamKey::from_parts(id, slot)),
            // RFC 9113 §5.1: our reset may not have reached the server; the stream that it promises
            // is reserved nevertheless.
            StreamStatus::Closed(CloseReason::ResetLocal) | StreamStatus::Forgotten => {
                return self.refuse_push(id, promised, ErrorCode::CANCEL, bytes);
            }
            _ => None,
        };
        let slot = parent.and_then(|parent| self.streams.find(parent));
        let Some((parent, slot)) =
            parent.zip(slot).filter(|(_, slot)| slot.state.remote() != HalfState::Closed)
        else {
            return Err(self.fail_violation(Violation::PushOnWrongStream, id));
        };
        if slot.send.tunnel {
            self.refuse_push(id, promised, ErrorCode::CANCEL, bytes)?;
            return self.handle_stream_violation(id, Violation::FrameInTunnel).map(|()| None);
        }
        if !self.settings.local.announced().enable_push || self.lifecycle.shutdown().is_going_away() {
            return self.refuse_push(id, promised, ErrorCode::CANCEL, bytes);
        }
        // RFC 9113 §10.5: promises cost memory before they count as streams.
        if self.streams.live_on(Side::Remote) >= self.limits.concurrent_streams_max.saturating_mul(2) {
            return self.refuse_push(id, promised, ErrorCode::REFUSED_STREAM, bytes);
        }
        self.check_promised_id(id, promised)?;
        let info = match self.decode(BlockKind::Push, bytes)? {
            BlockOutcome::Valid(info) => info,
            BlockOutcome::Malformed(violation) => return self.refuse_stream(promised, violation.code()),
            BlockOutcome::TooLarge(_) => return self.refuse_stream(promised, ErrorCode::ENHANCE_YOUR_CALM),
        };
        let mut slot = self.new_slot(State::ReservedRemote, info.method);
        slot.reported = true;
        let stream = self.streams.open(promised, slot);
        self.counters.streams_opened += 1;
        self.rate_limiter.credit_stream();
        Ok(Some(RawEvent::Headers { stream, kind: HeadersKind::Push { parent }, end: false }))
    }

    /// RFC 9113 §5.1.1, §6.6: a promise names a new stream of the server.
    fn check_promised_id(&mut self, id: StreamId, promised: StreamId) -> Result<(), ConnectionFailed> {
        let is_new = self.streams.status(promised) == StreamStatus::Idle;
        if promised.is_connection() || promised.is_client_initiated() || !is_new {
            return Err(self.fail_violation(Violation::PushIdInvalid, id));
        }
        Ok(())
    }

    /// Refuses a promise: decodes its block and resets its stream.
    #[cold]
    fn refuse_push<'b>(
        &mut self,
        id: StreamId,
        promised: StreamId,
        code: ErrorCode,
        bytes: FieldBlock<'_>,
    ) -> EventResult<'b> {
        self.check_promised_id(id, promised)?;
        self.discard_block(bytes)?;
        self.refuse_stream(promised, code)
    }

    /// Creates a slot with the initial windows that apply now.
    #[inline]
    pub(super) fn new_slot(&self, state: State, method: Method) -> Slot {
        let Settings { initial_window_size, .. } = *self.settings.local.in_force();
        let mut slot =
            Slot::new(state, method, self.settings.remote().initial_window_size, initial_window_size);
        slot.receive.opened_at_ticks = self.clock_ticks();
        slot
    }

    /// Returns the priority that was signalled for a new request, if any: PRIORITY_UPDATE precedes
    /// the field (RFC 9218 §7.1).
    #[inline]
    fn initial_priority(&mut self, id: StreamId, has_field: bool) -> Option<Priority> {
        if let Some(priority) = self.early_priorities.take(id) {
            return Some(priority);
        }
        if !has_field {
            return None;
        }
        self.headers().get(b"priority").map(Priority::parse)
    }
}

/// Returns what a request's content-length leaves to receive. RFC 9113 §8.5: it has no meaning in a
/// tunnel.
fn request_content(info: &BlockInfo) -> RemainingLength {
    if info.method == Method::Connect {
        RemainingLength::ANY
    } else {
        RemainingLength::new(info.content_length)
    }
}

/// Returns what a response may carry (RFC 9110 §6.4.1).
pub(super) fn response_content(method: Method, info: &BlockInfo) -> RemainingLength {
    if ends_with_headers(method, info.status) {
        return RemainingLength::new(Some(0));
    }
    if method == Method::Connect && (200..300).contains(&info.status) {
        return RemainingLength::ANY;
    }
    RemainingLength::new(info.content_length)
}

/// RFC 9110 §6.4.1, §15.3.5, §15.4.5: responses to HEAD, 204 and 304 end with their header section,
/// whatever their content-length is.
pub(super) fn ends_with_headers(method: Method, status: u16) -> bool {
    method == Method::Head || status == 204 || status == 304
}

/// How many bytes of a block that is not kept draw one token of `Config::rate_limits.resets`: the
/// payload of one frame of the default size.
const SKIPPED_BYTES_PER_TOKEN: u32 = 16 << 10;
