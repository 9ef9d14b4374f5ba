//! Receives input: cuts it into frames, checks their headers, and passes payloads to their
//! handlers.

use crate::error::{ConnectionError, ErrorCode, Limit};
use crate::event::{HeadersKind, ResetCause};
use crate::frame::{Flags, FrameHeader, FrameType, parse};
use crate::inbound::{Payload, Phase};
use crate::pending_events::PendingReset;
use crate::priority::Priority;
use crate::rate_limit::Cost;
use crate::stream_id::{StreamId, StreamKey};
use crate::streams::Side;
use crate::streams::id_table::{CloseReason, StreamStatus};
use crate::streams::state::HalfState;
use crate::time::Instant;
use crate::violation::{Scope, Violation};

use super::inner::{ConnectionFailed, Inner};

/// What `receive` returns; the public shell adds what borrows from the connection.
#[derive(Clone, Copy, Debug)]
pub(super) enum RawEvent<'b> {
    Headers { stream: StreamKey, kind: HeadersKind, end: bool },
    Data { stream: StreamKey, data: &'b [u8], end: bool },
    Reset { stream: StreamKey, code: ErrorCode, by: ResetCause },
    Control(ControlPayload),
    SettingsAcknowledged,
    StreamAvailable,
    Pong { payload: [u8; 8] },
    Priority { stream: StreamKey, priority: Priority },
}

/// The kind of the control payload that `Inner::pending` holds.
#[derive(Clone, Copy, Debug)]
pub(super) enum ControlPayload {
    GoAway { last_stream: StreamId, code: ErrorCode },
    Settings,
    Origin,
    AltSvc { stream: StreamId, origin_len: usize },
    Extension { kind: FrameType, flags: Flags, stream: StreamId },
}

type EventResult<'b> = Result<Option<RawEvent<'b>>, ConnectionFailed>;

impl Inner {
    /// Consumes input until an event is due or the input is empty.
    pub(super) fn receive<'b>(&mut self, input: &mut &'b [u8], now: Instant) -> EventResult<'b> {
        if self.lifecycle.has_error() {
            return Err(ConnectionFailed);
        }
        // One read holds many frames: what depends on the time alone is done for the first.
        if !self.timers.is_input_time(now) && self.timers.receive_time(now, !input.is_empty()) {
            self.streams.start_waits(now);
            self.avoidance.observe_time(now);
        }
        let before = input.len();
        self.timers.enter();
        let outcome = self.process_input(input);
        self.timers.leave();
        self.counters.bytes_received += (before - input.len()) as u64;
        outcome
    }

    /// Returns pending events before the next frame; with an empty input, at any place.
    fn process_input<'b>(&mut self, input: &mut &'b [u8]) -> EventResult<'b> {
        loop {
            // The most frequent phase has a test of its own, which costs less than the jump table.
            if self.inbound.phase == Phase::FrameHeader {
                if let Some(event) = self.next_pending() {
                    return Ok(Some(event));
                }
                let Some(header) = self.inbound.take_header(input) else { return Ok(None) };
                if let Some(event) = self.receive_frame_header(header, input)? {
                    return Ok(Some(event));
                }
                continue;
            }
            match self.inbound.phase {
                Phase::Payload(header) => {
                    let Some(payload) = self.inbound.take_payload(header.len as usize, input) else {
                        return Ok(self.next_pending());
                    };
                    if let Some(event) = self.receive_whole_payload(header, payload)? {
                        return Ok(Some(event));
                    }
                }
                Phase::Data(data) => {
                    if input.is_empty() && data.needs_input() {
                        return Ok(self.next_pending());
                    }
                    if let Some(event) = self.receive_data(data, input)? {
                        return Ok(Some(event));
                    }
                }
                Phase::Skip { left } => {
                    if self.inbound.skip_payload(left, input) {
                        return Ok(self.next_pending());
                    }
                }
                Phase::SkipPadded { stream, left } => {
                    // The header may have reset the stream, and Pad Length may end the connection:
                    // in this order, however the input is divided.
                    if let Some(event) = self.next_pending() {
                        return Ok(Some(event));
                    }
                    if input.is_empty() {
                        return Ok(None);
                    }
                    self.skip_pad_len(stream, left, input)?;
                }
                Phase::Preface { matched } => {
                    if input.is_empty() {
                        return Ok(self.next_pending());
                    }
                    if let Err(violation) = self.inbound.take_preface(matched, input) {
                        return Err(self.fail_violation(violation, StreamId::CONNECTION));
                    }
                }
                Phase::FrameHeader | Phase::Stopped => return Ok(self.next_pending()),
            }
        }
    }

    /// Returns the next event that calls, time, or earlier frames have caused.
    #[inline(always)]
    fn next_pending<'b>(&mut self) -> Option<RawEvent<'b>> {
        if self.pending.is_empty() { None } else { self.pop_pending() }
    }

    #[cold]
    fn pop_pending<'b>(&mut self) -> Option<RawEvent<'b>> {
        if let Some(PendingReset { stream, code, by }) = self.pending.pop_reset() {
            return Some(RawEvent::Reset { stream, code, by });
        }
        if let Some(event) = self.next_goaway_reset() {
            return Some(event);
        }
        self.pending.pop_stream_available().then_some(RawEvent::StreamAvailable)
    }

    /// RFC 9113 §6.8: the peer did not process streams above the last one of its GOAWAY.
    fn next_goaway_reset<'b>(&mut self) -> Option<RawEvent<'b>> {
        let from = self.pending.goaway_scan_from()?;
        let last = self.lifecycle.shutdown().remote_last()?;
        let ours = |id| self.streams.side(id) == Side::Local;
        let Some(stream) = self.streams.find_from(from, |id, _| ours(id) && id > last) else {
            self.pending.set_goaway_scan(None);
            return None;
        };
        self.pending.set_goaway_scan(Some(stream.index()));
        self.abort_stream(stream, CloseReason::ResetRemote);
        Some(RawEvent::Reset { stream, code: ErrorCode::REFUSED_STREAM, by: ResetCause::GoAway })
    }

    /// Checks a frame header and decides how to read the payload. DATA in `input` becomes an event
    /// at once.
    #[inline]
    fn receive_frame_header<'b>(&mut self, header: FrameHeader, input: &mut &'b [u8]) -> EventResult<'b> {
        self.counters.count_frame(header.kind);
        let bound = self.settings.local.in_force().max_frame_size;
        if !self.settings.is_remote_received()
            && (header.kind != FrameType::SETTINGS || header.flags.contains(Flags::ACK))
        {
            return Err(self.reject_missing_settings(header));
        }
        if header.len > bound && header.kind != FrameType::DATA {
            let error = ConnectionError::violation(Violation::FrameTooLarge, header.stream);
            return Err(self.fail(error.with_values(u64::from(header.len), u64::from(bound))));
        }
        if let Some(block) = &self.inbound.open_block {
            if header.kind != FrameType::CONTINUATION || header.stream != block.stream {
                return Err(self.fail_violation(Violation::ContinuationExpected, header.stream));
            }
        } else if header.kind == FrameType::CONTINUATION && !header.stream.is_connection() {
            return Err(self.fail_violation(Violation::ContinuationUnexpected, header.stream));
        }
        if let Err(violation) = header.check() {
            return self.reject_invalid_header(header, violation).map(|()| None);
        }
        match header.kind {
            FrameType::DATA => return self.receive_data_frame(header, header.len > bound, input),
            FrameType::HEADERS | FrameType::PUSH_PROMISE | FrameType::CONTINUATION => {
                self.receive_fragment_header(header)?;
            }
            _ => self.receive_control_header(header)?,
        }
        Ok(None)
    }

    /// RFC 9113 §3.4: the first frame is not SETTINGS. A server that does not speak HTTP/2 answers
    /// the preface with a status line.
    #[cold]
    fn reject_missing_settings(&mut self, header: FrameHeader) -> ConnectionFailed {
        match foreign_protocol(&header.to_bytes()) {
            Some(violation) => self.reject_protocol(violation, &header.to_bytes()),
            None => self.fail_violation(Violation::PrefaceWithoutSettings, header.stream),
        }
    }

    /// Ends a connection whose peer speaks another protocol, with its first bytes for the log.
    #[cold]
    fn reject_protocol(&mut self, violation: Violation, bytes: &[u8]) -> ConnectionFailed {
        let error = ConnectionError::violation(violation, StreamId::CONNECTION);
        self.fail(error.with_excerpt(bytes))
    }

    /// Recognizes another protocol in fewer bytes than a frame header has, at the end of input: an
    /// alert of TLS is 7 bytes long.
    #[cold]
    pub(super) fn check_unfinished_preface(&mut self) -> Result<(), ConnectionFailed> {
        let bytes = self.inbound.unfinished_header();
        if self.settings.is_remote_received() || !self.is_client() || bytes.is_empty() {
            return Ok(());
        }
        match foreign_protocol(&bytes) {
            Some(violation) => Err(self.reject_protocol(violation, &bytes)),
            None => Ok(()),
        }
    }

    /// Rejects a frame whose header alone breaks a rule.
    #[cold]
    fn reject_invalid_header(
        &mut self,
        header: FrameHeader,
        violation: Violation,
    ) -> Result<(), ConnectionFailed> {
        // If the connection fails, it reads no more.
        self.inbound.phase = Phase::Skip { left: header.len };
        self.reject_frame(header.stream, violation)
    }

    /// Checks the limits of a control frame before its payload is collected.
    fn receive_control_header(&mut self, header: FrameHeader) -> Result<(), ConnectionFailed> {
        self.inbound.phase = Phase::Payload(header);
        match header.kind {
            FrameType::SETTINGS => {
                let entries = header.len / 6;
                if entries > self.limits.settings_entries_max {
                    let bound = u64::from(self.limits.settings_entries_max);
                    return Err(self.fail_limit(
                        Limit::SettingsEntries,
                        StreamId::CONNECTION,
                        u64::from(entries),
                        bound,
                    ));
                }
            }
            FrameType::PRIORITY | FrameType::RST_STREAM | FrameType::PING | FrameType::WINDOW_UPDATE => {}
            FrameType::GOAWAY | FrameType::PRIORITY_UPDATE | FrameType::ORIGIN | FrameType::ALTSVC => {
                if header.kind != FrameType::PRIORITY_UPDATE {
                    self.charge(Cost::Extension, header.stream)?;
                }
                if header.len > self.limits.control_payload_bytes_max {
                    return self.reject_oversized_control(header);
                }
            }
            _ => {
                self.charge(Cost::Extension, header.stream)?;
                let is_reported =
                    self.limits.extension_frames && header.len <= self.limits.control_payload_bytes_max;
                if !is_reported {
                    self.inbound.phase = Phase::Skip { left: header.len };
                }
            }
        }
        Ok(())
    }

    /// Ignores advisory frames beyond the limit. A GOAWAY must not be lost, so it ends the
    /// connection.
    #[cold]
    fn reject_oversized_control(&mut self, header: FrameHeader) -> Result<(), ConnectionFailed> {
        if header.kind == FrameType::GOAWAY {
            let bound = u64::from(self.limits.control_payload_bytes_max);
            return Err(self.fail_limit(
                Limit::ControlPayloadBytes,
                header.stream,
                u64::from(header.len),
                bound,
            ));
        }
        self.inbound.phase = Phase::Skip { left: header.len };
        if header.kind == FrameType::PRIORITY_UPDATE {
            return self.charge(Cost::Priority, header.stream);
        }
        Ok(())
    }

    /// Handles a whole payload, and limits the replies to it.
    #[inline(always)]
    fn receive_whole_payload<'b>(&mut self, header: FrameHeader, payload: Payload<'b>) -> EventResult<'b> {
        self.inbound.phase = Phase::FrameHeader;
        let output_before = self.outbound.len();
        let event = match payload {
            // The most frequent payload needs no table of frame types.
            Payload::Borrowed(payload) if header.kind == FrameType::HEADERS => {
                self.receive_headers(header, payload)?
            }
            Payload::Borrowed(payload) => self.receive_payload(header, payload)?,
            Payload::Buffered(payload) => {
                let event = self.receive_payload(header, &payload)?;
                self.inbound.recycle(payload);
                event
            }
        };
        self.check_replies(output_before)?;
        Ok(event)
    }

    /// Passes a whole payload to the handler of its frame type.
    #[inline]
    fn receive_payload<'b>(&mut self, header: FrameHeader, payload: &[u8]) -> EventResult<'b> {
        match header.kind {
            FrameType::HEADERS => self.receive_headers(header, payload),
            FrameType::RST_STREAM => self.receive_reset(header.stream, payload),
            FrameType::WINDOW_UPDATE => self.receive_window_update(header.stream, payload),
            FrameType::CONTINUATION => self.receive_continuation(header, payload),
            FrameType::SETTINGS => self.receive_settings(header.flags, payload),
            FrameType::PING => self.receive_ping(header.flags, payload),
            FrameType::GOAWAY => self.receive_goaway(payload),
            FrameType::PUSH_PROMISE => self.receive_push_promise(header, payload),
            FrameType::PRIORITY => self.receive_priority(header, payload).map(|()| None),
            FrameType::PRIORITY_UPDATE => self.receive_priority_update(payload),
            FrameType::ORIGIN => Ok(self.receive_origin(header, payload)),
            FrameType::ALTSVC => Ok(self.receive_alt_svc(header.stream, payload)),
            kind => {
                self.pending.store_payload(payload);
                let (flags, stream) = (header.flags, header.stream);
                Ok(Some(RawEvent::Control(ControlPayload::Extension { kind, flags, stream })))
            }
        }
    }

    /// RFC 9113 §5.3.2: the deprecated priority signals have no effect, but for their errors.
    fn receive_priority(&mut self, header: FrameHeader, payload: &[u8]) -> Result<(), ConnectionFailed> {
        self.charge(Cost::Priority, header.stream)?;
        match parse::priority(payload) {
            // RFC 7540 §5.3.1: a stream error, which an idle stream cannot have.
            Some(dependency) if dependency.stream == header.stream => {
                self.reject_frame(header.stream, Violation::DependencyOnItself)
            }
            _ => Ok(()),
        }
    }

    /// Rejects a frame that breaks a rule. RFC 9113 §5.1: RST_STREAM on an idle stream would be an
    /// error of ours, so the connection ends there.
    #[cold]
    fn reject_frame(&mut self, id: StreamId, violation: Violation) -> Result<(), ConnectionFailed> {
        if violation.scope() == Scope::Connection || self.streams.status(id) == StreamStatus::Idle {
            return Err(self.fail_violation(violation, id));
        }
        self.handle_stream_violation(id, violation)
    }

    /// RFC 9113 §6.4
    fn receive_reset<'b>(&mut self, id: StreamId, payload: &[u8]) -> EventResult<'b> {
        let code = match parse::word(payload, Violation::ResetLength) {
            Ok(code) => ErrorCode(code),
            Err(violation) => return Err(self.fail_violation(violation, id)),
        };
        let stream = match self.streams.status(id) {
            StreamStatus::Idle => return Err(self.fail_violation(Violation::StreamIdle, id)),
            StreamStatus::Live(slot) => StreamKey::from_parts(id, slot),
            // RFC 9113 §5.1: the peer may have sent it before it received our end of the stream.
            StreamStatus::Closed(_) | StreamStatus::Skipped | StreamStatus::Forgotten => return Ok(None),
        };
        let Some(slot) = self.streams.find(stream) else { return Ok(None) };
        self.counters.resets_received += 1;
        let reported = slot.reported;
        // A reset costs only before the response has begun, when it costs the peer little.
        let costs = self.streams.side(id) == Side::Remote && slot.state.local() == HalfState::Headers;
        let age_ticks = self.clock_ticks().wrapping_sub(slot.receive.opened_at_ticks);
        self.abort_stream(stream, CloseReason::ResetRemote);
        if costs && (age_ticks < EARLY_RESET_TICKS || self.rate_limiter.count_late_reset()) {
            self.charge(Cost::Reset, id)?;
        }
        Ok(reported.then_some(RawEvent::Reset { stream, code, by: ResetCause::Remote }))
    }

    /// Returns the time in ticks of 2^20 ns, about a millisecond; it wraps after 52 days.
    #[inline]
    pub(super) fn clock_ticks(&self) -> u32 {
        (self.timers.now().as_nanos() >> 20) as u32
    }

    /// Limits the output that the peer causes and does not read. What the caller sends does not
    /// count, however much it is.
    #[inline]
    fn check_replies(&mut self, output_before: usize) -> Result<(), ConnectionFailed> {
        let bound = self.limits.output_bytes_max as usize * OUTPUT_OVERRUN;
        let waiting = self.outbound.count_replies(output_before);
        if waiting <= bound {
            return Ok(());
        }
        Err(self.fail_limit(Limit::OutputBytes, StreamId::CONNECTION, waiting as u64, bound as u64))
    }
}

/// Recognizes the protocol of a server whose first bytes are no HTTP/2 frame.
fn foreign_protocol(bytes: &[u8]) -> Option<Violation> {
    // RFC 8446 §5.1: a record of any kind, then the major version of every TLS and of SSL 3.
    if let [0x14..=0x17, 0x03, ..] = bytes {
        return Some(Violation::PrefaceOfTls);
    }
    if bytes.starts_with(b"HTTP/1.1 ") || bytes.starts_with(b"HTTP/1.0 ") {
        return Some(Violation::PrefaceOfHttp1);
    }
    // The header of a frame begins with a zero byte, unless the frame has 65,536 bytes or more.
    let is_text =
        bytes.len() >= 3 && bytes.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\t' | b'\r' | b'\n'));
    is_text.then_some(Violation::PrefaceOfText)
}

/// A reset before this age of the stream, about 100 ms, costs a token each. Later ones cost a
/// fraction: the time limit of a well-behaved caller may have passed, and `concurrent_streams_max`
/// bounds their rate to ten a second for each stream.
const EARLY_RESET_TICKS: u32 = 96;
/// How many times the output limit the replies may take.
const OUTPUT_OVERRUN: usize = 4;
