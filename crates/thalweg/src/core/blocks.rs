//! Header blocks on their way in: HEADERS, PUSH_PROMISE, CONTINUATION (RFC 9113 §4.3, §6.2, §6.6, §6.10, §8).

use alloc::boxed::Box;

use thalweg_hpack::{BlockSkipper, TableMatch, ListLimits, SinkAction};

use crate::budget::Work;
use crate::error::{Deadline, ErrorCode, Limit, StreamError};
use crate::event::HeadersKind;
use crate::frame::{Flags, Head, Kind, parse};
use crate::headers::rules::{Checker, Learned, Message, Method};
use crate::inbound::{OpenBlock, Phase};
use crate::message::Status;
use crate::priority::Priority;
use crate::settings::Settings;
use crate::shutdown::Stage;
use crate::stream_id::{Stream, StreamId};
use crate::streams::ids::{Closed, Fate};
use crate::streams::state::{Half, Input, Next, Refusal, State};
use crate::streams::{ContentLeft, Opener, Slot};
use crate::violation::Violation;

use super::receive::Step;
use super::{Core, Failed};

type Outcome<'b> = Result<Option<Step<'b>>, Failed>;

/// A whole field block.
#[derive(Clone, Copy, Debug)]
enum FieldBlock<'a> {
    /// Still to be decoded.
    Kept(&'a [u8]),
    /// Larger than `Config::header_block_bytes_max`: decoded as it arrived, and not kept.
    Skipped,
}

/// A block that was decoded whole: its verdict.
enum Judged {
    Good(Learned),
    Malformed(Violation),
    TooLarge(Limit),
}

impl Core {
    /// Bounds a header block before its next fragment is collected.
    #[inline]
    pub(super) fn receive_fragment_head(&mut self, head: Head) -> Result<(), Failed> {
        self.inbound.phase = Phase::Payload(head);
        if head.kind == Kind::PUSH_PROMISE && !self.is_client {
            // RFC 9113 §8.4: a client cannot push.
            return Err(self.violated(Violation::PushFromClient, head.stream));
        }
        let before = self.inbound.open_block.as_ref().map_or(0, |block| block.bytes);
        let bytes = u64::from(before) + u64::from(head.len);
        let bound = u64::from(self.bounds.oversized_block_bytes_max);
        // Pad Length, padding and priority fields are no part of the block.
        if bytes > bound + 261 {
            return Err(self.limited(Limit::OversizedBlockBytes, head.stream, bytes, bound));
        }
        if let Some(block) = &mut self.inbound.open_block {
            block.continuations += 1;
            let (seen, bound) = (u64::from(block.continuations), u64::from(self.bounds.continuations_max));
            if seen > bound {
                return Err(self.limited(Limit::Continuations, head.stream, seen, bound));
            }
        }
        Ok(())
    }

    #[inline]
    pub(super) fn receive_headers<'b>(&mut self, head: Head, payload: &[u8]) -> Outcome<'b> {
        let (fragment, _, _) = match parse::headers(head.flags, payload) {
            Ok(parts) => parts,
            Err(violation) => return Err(self.violated(violation, head.stream)),
        };
        let end = head.flags.contains(Flags::END_STREAM);
        let block = OpenBlock { stream: head.stream, promised: None, end, continuations: 0, bytes: 0 };
        self.begin_block(block, fragment, head.flags)
    }

    pub(super) fn receive_push_promise<'b>(&mut self, head: Head, payload: &[u8]) -> Outcome<'b> {
        let (promised, fragment, _) = match parse::push_promise(head.flags, payload) {
            Ok(parts) => parts,
            Err(violation) => return Err(self.violated(violation, head.stream)),
        };
        // RFC 9113 §6.5.2: an error once our 0 was acknowledged; until then the push is merely refused.
        if !self.local.in_force().enable_push {
            return Err(self.violated(Violation::PushDisabled, head.stream));
        }
        let block = OpenBlock {
            stream: head.stream,
            promised: Some(promised),
            end: false,
            continuations: 0,
            bytes: 0,
        };
        self.begin_block(block, fragment, head.flags)
    }

    #[inline]
    fn begin_block<'b>(&mut self, block: OpenBlock, fragment: &[u8], flags: Flags) -> Outcome<'b> {
        if flags.contains(Flags::END_HEADERS) && fragment.len() <= self.bounds.header_block_bytes_max as usize
        {
            return self.finish_block(block, FieldBlock::Kept(fragment));
        }
        self.begin_open_block(block, fragment, flags.contains(Flags::END_HEADERS))
    }

    /// Begins a block of several frames, or one that is too large to be kept.
    fn begin_open_block<'b>(&mut self, mut block: OpenBlock, fragment: &[u8], is_last: bool) -> Outcome<'b> {
        if fragment.is_empty() {
            self.charge(Work::EmptyFrame, block.stream)?;
        }
        self.collect_fragment(&mut block, fragment)?;
        if is_last {
            return self.finish_open_block(block);
        }
        self.liveness.arm(Deadline::HeaderBlock);
        Ok(None)
    }

    pub(super) fn receive_continuation<'b>(&mut self, head: Head, fragment: &[u8]) -> Outcome<'b> {
        if fragment.is_empty() {
            self.charge(Work::EmptyFrame, head.stream)?;
        }
        let Some(mut block) = self.inbound.open_block else { return Ok(None) };
        self.collect_fragment(&mut block, fragment)?;
        if !head.flags.contains(Flags::END_HEADERS) {
            return Ok(None);
        }
        self.liveness.disarm(Deadline::HeaderBlock);
        self.finish_open_block(block)
    }

    /// Keeps a fragment of the block under way. A block that outgrows `header_block_bytes_max` is decoded
    /// without being kept, from its first fragment on.
    fn collect_fragment(&mut self, block: &mut OpenBlock, fragment: &[u8]) -> Result<(), Failed> {
        block.bytes = block.bytes.saturating_add(fragment.len() as u32);
        self.inbound.open_block = Some(*block);
        if block.bytes <= self.bounds.header_block_bytes_max {
            self.inbound.fragments.extend_from_slice(fragment);
            return Ok(());
        }
        self.skip_fragment(*block, fragment)
    }

    /// Decodes a fragment of a block that is not kept, and before it those that were.
    #[cold]
    fn skip_fragment(&mut self, block: OpenBlock, fragment: &[u8]) -> Result<(), Failed> {
        let (bytes, bound) = (block.bytes, self.bounds.oversized_block_bytes_max);
        if bytes > bound {
            return Err(self.limited(Limit::OversizedBlockBytes, block.stream, bytes.into(), bound.into()));
        }
        let kept = core::mem::take(&mut self.inbound.fragments);
        let skipper = self.inbound.skipper.get_or_insert_with(|| Box::new(BlockSkipper::new()));
        let decoder = &mut self.decoder;
        if skipper.push(decoder, &kept).and_then(|()| skipper.push(decoder, fragment)).is_err() {
            return Err(self.violated(Violation::HeaderBlockInvalid, StreamId::CONNECTION));
        }
        Ok(())
    }

    /// Finishes a block whose fragments were collected, or skipped.
    fn finish_open_block<'b>(&mut self, block: OpenBlock) -> Outcome<'b> {
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

    /// Ends the decoding of a block that was not kept, and charges it by its length: it cost work and is
    /// worth nothing.
    #[cold]
    fn finish_skipped(&mut self, skipper: BlockSkipper, block: OpenBlock) -> Result<(), Failed> {
        if skipper.finish(&mut self.decoder).is_err() {
            return Err(self.violated(Violation::HeaderBlockInvalid, StreamId::CONNECTION));
        }
        for _ in 0..(block.bytes - self.bounds.header_block_bytes_max).div_ceil(SKIPPED_BYTES_PER_TOKEN) {
            self.charge(Work::Reset, block.stream)?;
        }
        Ok(())
    }

    /// A block is whole. RFC 9113 §4.3: it is decoded, whatever has become of its stream.
    #[inline]
    fn finish_block<'b>(&mut self, block: OpenBlock, bytes: FieldBlock<'_>) -> Outcome<'b> {
        let id = block.stream;
        if let Some(promised) = block.promised {
            return self.finish_promise(id, promised, bytes);
        }
        match self.streams.fate(id) {
            Fate::Idle if self.streams.opener(id) == Opener::Local => Err(self.violated(
                if self.is_client { Violation::StreamIdle } else { Violation::StreamIdParity },
                id,
            )),
            // RFC 9113 §8.4: servers open streams by PUSH_PROMISE only.
            Fate::Idle if self.is_client => Err(self.violated(Violation::StreamIdle, id)),
            Fate::Idle => self.finish_request(id, block.end, bytes),
            Fate::Live(slot) => self.finish_message(Stream::from_parts(id, slot), block.end, bytes),
            // RFC 9113 §5.1: our reset may have crossed it, and streams since then may have pushed it out of memory.
            Fate::Closed(Closed::ResetLocal) | Fate::Forgotten => self.discard_block(bytes).map(|()| None),
            Fate::Closed(Closed::Ended) => Err(self.violated(Violation::HeadersOnClosedStream, id)),
            Fate::Closed(Closed::ResetRemote) => {
                self.discard_violating(bytes, id, Violation::HeadersAfterEnd)
            }
            Fate::Skipped => Err(self.violated(Violation::StreamIdNotRising, id)),
        }
    }

    /// Decodes a block and judges it.
    #[inline]
    fn decode(&mut self, message: Message, bytes: FieldBlock<'_>) -> Result<Judged, Failed> {
        let FieldBlock::Kept(bytes) = bytes else { return Ok(Judged::TooLarge(Limit::HeaderBlockBytes)) };
        let limits = ListLimits {
            list_bytes_max: self.bounds.header_list_bytes_max,
            fields_max: self.bounds.header_fields_max,
        };
        let headers = &mut self.headers;
        headers.clear();
        let mut checker = Checker::new(message);
        let totals = self.decoder.decode(bytes, limits, |decoded| {
            if !checker.field(&decoded) {
                return SinkAction::Stop;
            }
            headers.push(&decoded);
            SinkAction::Valid
        });
        match totals {
            Err(_) => Err(self.violated(Violation::HeaderBlockInvalid, StreamId::CONNECTION)),
            Ok(totals) => Ok(match (checker.finish(&self.headers()), totals.over_limit) {
                (_, Some(thalweg_hpack::ListLimit::ListBytes)) => Judged::TooLarge(Limit::HeaderListBytes),
                (_, Some(thalweg_hpack::ListLimit::Fields)) => Judged::TooLarge(Limit::HeaderFields),
                (Ok(learned), None) => Judged::Good(learned),
                (Err(violation), None) => Judged::Malformed(violation),
            }),
        }
    }

    /// Decodes a block that nobody will see.
    fn discard_block(&mut self, bytes: FieldBlock<'_>) -> Result<(), Failed> {
        let FieldBlock::Kept(bytes) = bytes else { return Ok(()) };
        match self.decoder.decode(bytes, ListLimits::NONE, |_| SinkAction::Stop) {
            Ok(_) => Ok(()),
            Err(_) => Err(self.violated(Violation::HeaderBlockInvalid, StreamId::CONNECTION)),
        }
    }

    /// Decodes a block that came where none may come, and answers that. What cannot be decoded goes first.
    #[cold]
    fn discard_violating<'b>(
        &mut self,
        bytes: FieldBlock<'_>,
        id: StreamId,
        violation: Violation,
    ) -> Outcome<'b> {
        self.discard_block(bytes)?;
        self.stream_violated(id, violation).map(|()| None)
    }

    /// A client opens a stream.
    #[inline]
    fn finish_request<'b>(&mut self, id: StreamId, end: bool, bytes: FieldBlock<'_>) -> Outcome<'b> {
        if let Stage::Final(_) = self.shutdown.stage() {
            // RFC 9113 §6.8: beyond the last stream of our GOAWAY nothing is processed.
            self.streams.refuse(id);
            return self.discard_block(bytes).map(|()| None);
        }
        if self.is_full() {
            self.discard_block(bytes)?;
            return self.refuse(id, ErrorCode::REFUSED_STREAM);
        }
        let connect_protocol = self.local.announced().enable_connect_protocol;
        let learned = match self.decode(Message::Request { connect_protocol }, bytes)? {
            Judged::Good(learned) => learned,
            Judged::Malformed(violation) => return self.refuse_malformed(id, violation),
            Judged::TooLarge(_) => return self.answer_too_large(id, end),
        };
        let content = request_content(&learned);
        if end && !content.allows(0, true) {
            return self.refuse(id, Violation::ContentLengthMismatch.code());
        }
        let state = State::opened(false, end);
        let mut slot = self.new_slot(state, learned.method);
        slot.receive_left = content;
        if !end {
            slot.content_timer = self.start_content_timer(learned.method);
        }
        slot.signalled = self.first_priority(id, learned.has_priority);
        slot.shown = true;
        let stream = self.streams.open(id, slot);
        self.counters.streams_opened += 1;
        self.accounts.credit_stream();
        self.liveness.disarm(Deadline::Idle);
        Ok(Some(Step::Headers { stream, kind: HeadersKind::Request, end }))
    }

    /// Refuses a stream that never got a slot, and charges it.
    #[cold]
    fn refuse<'b>(&mut self, id: StreamId, code: ErrorCode) -> Outcome<'b> {
        self.streams.refuse(id);
        self.outbound.reset(id, code);
        self.counters.resets_sent += 1;
        self.charge(Work::Reset, id).map(|()| None)
    }

    /// RFC 9113 §8.2.1: a field that is no field is answered 400; the rest of §8 by the reset alone (§8.1.1).
    #[cold]
    fn refuse_malformed<'b>(&mut self, id: StreamId, violation: Violation) -> Outcome<'b> {
        if matches!(violation, Violation::FieldNameInvalid | Violation::FieldValueInvalid) {
            // Without END_STREAM: nothing may follow that, and the reset says why.
            self.write_status(id, Status::BAD_REQUEST, false);
        }
        self.refuse(id, violation.code())
    }

    pub(super) fn write_status(&mut self, id: StreamId, status: Status, end: bool) {
        let field = thalweg_hpack::Field::with_known_name(thalweg_hpack::KnownName::STATUS, status.as_bytes());
        self.write_block(Kind::HEADERS, id, end, None, &[(field, TableMatch::NOT_SEARCHED)]);
    }

    /// RFC 9113 §10.5.1, RFC 6585 §5: a header list beyond our limit is answered 431.
    #[cold]
    fn answer_too_large<'b>(&mut self, id: StreamId, end: bool) -> Outcome<'b> {
        self.write_status(id, Status::REQUEST_HEADER_FIELDS_TOO_LARGE, true);
        self.streams.refuse(id);
        if !end {
            self.outbound.reset(id, ErrorCode::NO_ERROR);
            self.counters.resets_sent += 1;
        }
        self.charge(Work::Reset, id).map(|()| None)
    }

    /// A header block on a live stream: a response, or trailers.
    fn finish_message<'b>(&mut self, stream: Stream, end: bool, bytes: FieldBlock<'_>) -> Outcome<'b> {
        let Some(slot) = self.streams.find(stream) else { return self.discard_block(bytes).map(|()| None) };
        match slot.state.remote() {
            Half::Head if slot.state == State::ReservedRemote && self.is_full() => {
                self.discard_violating(bytes, stream.id(), Violation::StreamsExceeded)
            }
            Half::Head => self.finish_response(stream, end, bytes),
            Half::Body if slot.tunnel => self.discard_violating(bytes, stream.id(), Violation::FrameInTunnel),
            Half::Body => self.finish_trailers(stream, end, bytes),
            Half::Ended if slot.state == State::ReservedLocal => {
                self.discard_violating(bytes, stream.id(), Violation::StreamReserved)
            }
            Half::Ended => self.discard_violating(bytes, stream.id(), Violation::HeadersAfterEnd),
        }
    }

    /// Whether the peer has as many streams open as we allow (RFC 9113 §5.1.2).
    fn is_full(&self) -> bool {
        self.streams.counted(Opener::Remote) >= self.bounds.concurrent_streams_max
    }

    fn finish_response<'b>(&mut self, stream: Stream, end: bool, bytes: FieldBlock<'_>) -> Outcome<'b> {
        let learned = match self.decode(Message::Response, bytes)? {
            Judged::Good(learned) => learned,
            Judged::Malformed(violation) => {
                return self.stream_violated(stream.id(), violation).map(|()| None);
            }
            Judged::TooLarge(limit) => {
                return self.stream_failed(stream.id(), StreamError::Limit(limit)).map(|()| None);
            }
        };
        let informational = learned.status < 200;
        let (input, kind) = if informational {
            (Input::ReceiveInformational { end }, HeadersKind::Informational)
        } else {
            (Input::ReceiveHeaders { end }, HeadersKind::Response)
        };
        if !informational {
            let Some(slot) = self.streams.find_mut(stream) else { return Ok(None) };
            let content = response_content(slot.method, &learned);
            slot.receive_left = content;
            slot.tunnel = slot.method == Method::Connect && (200..300).contains(&learned.status);
            if end && !content.allows(0, true) {
                let violation = Violation::ContentLengthMismatch;
                return self.stream_violated(stream.id(), violation).map(|()| None);
            }
        }
        self.receive_on(stream, input, kind, end)
    }

    fn finish_trailers<'b>(&mut self, stream: Stream, end: bool, bytes: FieldBlock<'_>) -> Outcome<'b> {
        let violation = match self.decode(Message::Trailers, bytes)? {
            Judged::Good(_) => None,
            Judged::Malformed(violation) => Some(violation),
            Judged::TooLarge(limit) => {
                return self.stream_failed(stream.id(), StreamError::Limit(limit)).map(|()| None);
            }
        };
        let left = self.streams.find(stream).map_or(ContentLeft::ANY, |slot| slot.receive_left);
        let violation =
            violation.or((end && !left.allows(0, true)).then_some(Violation::ContentLengthMismatch));
        match violation {
            Some(violation) => self.stream_violated(stream.id(), violation).map(|()| None),
            None => self.receive_on(stream, Input::ReceiveTrailers { end }, HeadersKind::Trailers, end),
        }
    }

    /// Moves a stream on by a header block of the peer's.
    fn receive_on<'b>(&mut self, stream: Stream, input: Input, kind: HeadersKind, end: bool) -> Outcome<'b> {
        let Some(slot) = self.streams.find(stream) else { return Ok(None) };
        match slot.state.next(input) {
            Ok(Next::State(state)) => self.streams.advance(stream, state),
            Ok(Next::Closed) => self.complete_stream(stream),
            Err(Refusal::Violation(violation)) => {
                return self.stream_violated(stream.id(), violation).map(|()| None);
            }
            Err(_) => return Ok(None),
        }
        Ok(Some(Step::Headers { stream, kind, end }))
    }

    /// RFC 9113 §6.6, §8.4.1: a server promises a response.
    fn finish_promise<'b>(&mut self, id: StreamId, promised: StreamId, bytes: FieldBlock<'_>) -> Outcome<'b> {
        let parent = match self.streams.fate(id) {
            _ if self.streams.opener(id) == Opener::Remote => None,
            Fate::Live(slot) => Some(Stream::from_parts(id, slot)),
            // RFC 9113 §5.1: our reset may not have reached the server; what it promises is reserved all the same.
            Fate::Closed(Closed::ResetLocal) | Fate::Forgotten => {
                return self.refuse_promise(id, promised, ErrorCode::CANCEL, bytes);
            }
            _ => None,
        };
        let slot = parent.and_then(|parent| self.streams.find(parent));
        let Some((parent, slot)) = parent.zip(slot).filter(|(_, slot)| slot.state.remote() != Half::Ended)
        else {
            return Err(self.violated(Violation::PushOnWrongStream, id));
        };
        if slot.tunnel {
            self.refuse_promise(id, promised, ErrorCode::CANCEL, bytes)?;
            return self.stream_violated(id, Violation::FrameInTunnel).map(|()| None);
        }
        if !self.local.announced().enable_push || self.shutdown.is_going_away() {
            return self.refuse_promise(id, promised, ErrorCode::CANCEL, bytes);
        }
        // RFC 9113 §10.5: promises cost memory before they count as streams.
        if self.streams.live_of(Opener::Remote) >= self.bounds.concurrent_streams_max.saturating_mul(2) {
            return self.refuse_promise(id, promised, ErrorCode::REFUSED_STREAM, bytes);
        }
        self.check_promised(id, promised)?;
        let learned = match self.decode(Message::Push, bytes)? {
            Judged::Good(learned) => learned,
            Judged::Malformed(violation) => return self.refuse(promised, violation.code()),
            Judged::TooLarge(_) => return self.refuse(promised, ErrorCode::ENHANCE_YOUR_CALM),
        };
        let mut slot = self.new_slot(State::ReservedRemote, learned.method);
        slot.shown = true;
        let stream = self.streams.open(promised, slot);
        self.counters.streams_opened += 1;
        self.accounts.credit_stream();
        Ok(Some(Step::Headers { stream, kind: HeadersKind::Push { parent }, end: false }))
    }

    /// RFC 9113 §5.1.1, §6.6: a promise names a new stream of the server's.
    fn check_promised(&mut self, id: StreamId, promised: StreamId) -> Result<(), Failed> {
        let is_new = self.streams.fate(promised) == Fate::Idle;
        if promised.is_connection() || promised.is_client_initiated() || !is_new {
            return Err(self.violated(Violation::PushIdInvalid, id));
        }
        Ok(())
    }

    /// Takes a promise that is not wanted, or not any more: its block is decoded and its stream reset.
    #[cold]
    fn refuse_promise<'b>(
        &mut self,
        id: StreamId,
        promised: StreamId,
        code: ErrorCode,
        bytes: FieldBlock<'_>,
    ) -> Outcome<'b> {
        self.check_promised(id, promised)?;
        self.discard_block(bytes)?;
        self.refuse(promised, code)
    }

    /// A slot with the windows that hold now.
    #[inline]
    pub(super) fn new_slot(&self, state: State, method: Method) -> Slot {
        let Settings { initial_window_size, .. } = *self.local.in_force();
        let mut slot = Slot::new(state, method, self.remote.initial_window_size, initial_window_size);
        slot.opened_at_ticks = self.clock_ticks();
        slot
    }

    /// The priority that was signalled for a new request, if any was: PRIORITY_UPDATE goes before the field (RFC 9218 §7.1).
    #[inline]
    fn first_priority(&mut self, id: StreamId, has_field: bool) -> Option<Priority> {
        if !self.early_priorities.is_empty() {
            // Streams below this one can no longer be opened.
            self.forget_early_priorities(StreamId::new(id.as_u32() - 1));
            if let Some((early, priority)) = self.early_priorities.front().copied()
                && early == id
            {
                self.early_priorities.pop_front();
                return Some(priority);
            }
        }
        if !has_field {
            return None;
        }
        self.headers().get(b"priority").map(Priority::parse)
    }
}

/// What a request's content-length leaves to receive. RFC 9113 §8.5: in a tunnel it means nothing.
fn request_content(learned: &Learned) -> ContentLeft {
    if learned.method == Method::Connect {
        ContentLeft::ANY
    } else {
        ContentLeft::new(learned.content_length)
    }
}

/// What a response may carry (RFC 9110 §6.4.1).
pub fn response_content(method: Method, learned: &Learned) -> ContentLeft {
    if has_no_content(method, learned.status) {
        return ContentLeft::new(Some(0));
    }
    if method == Method::Connect && (200..300).contains(&learned.status) {
        return ContentLeft::ANY;
    }
    ContentLeft::new(learned.content_length)
}

/// RFC 9110 §6.4.1: responses to HEAD, 204 and 304 have no content, whatever their content-length says.
fn has_no_content(method: Method, status: u16) -> bool {
    method == Method::Head || status == 204 || status == 304
}

/// So many bytes of a block that is not kept draw one token of `Config::budgets.resets`: what one frame of
/// the default size carries.
const SKIPPED_BYTES_PER_TOKEN: u32 = 16 << 10;
