//! Input: from bytes to steps. Cuts frames, judges heads, and passes payloads to those who know them.

use crate::error::{ConnectionError, ErrorCode, Limit};
use crate::event::{HeadersKind, ResetCause};
use crate::frame::{Flags, FrameHeader, FrameType, parse};
use crate::inbound::{Payload, Phase};
use crate::priority::Priority;
use crate::rate_limit::Cost;
use crate::stream_id::{StreamId, StreamKey};
use crate::streams::Side;
use crate::streams::id_table::{CloseReason, StreamStatus};
use crate::time::Instant;
use crate::violation::{Scope, Violation};

use super::inner::{ConnectionFailed, Inner, StreamAvailability};

/// What `receive` will show; what borrows from the connection is filled in by the shell.
#[derive(Clone, Copy, Debug)]
pub enum RawEvent<'b> {
    Headers { stream: StreamKey, kind: HeadersKind, end: bool },
    Data { stream: StreamKey, data: &'b [u8], end: bool },
    Reset { stream: StreamKey, code: ErrorCode, by: ResetCause },
    Control(ControlPayload),
    SettingsAcknowledged,
    StreamAvailable,
    Pong { payload: [u8; 8] },
    Priority { stream: StreamKey, priority: Priority },
}

/// What the payload in `Inner::control_payload` is.
#[derive(Clone, Copy, Debug)]
pub enum ControlPayload {
    GoAway { last_stream: StreamId, code: ErrorCode },
    Settings,
    Origin,
    AltSvc { stream: StreamId, origin_len: usize },
    Extension { kind: FrameType, flags: Flags, stream: StreamId },
}

type EventResult<'b> = Result<Option<RawEvent<'b>>, ConnectionFailed>;

impl Inner {
    /// Takes input until something is to be shown, or the input is empty.
    pub fn receive<'b>(&mut self, input: &mut &'b [u8], now: Instant) -> EventResult<'b> {
        if self.error.is_some() {
            return Err(ConnectionFailed);
        }
        // Many frames come in one read: what depends on the time alone is done for the first.
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

    /// What waits to be told goes between two frames, or when the input is empty.
    fn process_input<'b>(&mut self, input: &mut &'b [u8]) -> EventResult<'b> {
        loop {
            // By far the most frequent: not by the jump table.
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
                // Was taken above.
                Phase::FrameHeader => {}
                Phase::Payload(header) => {
                    let Some(payload) = self.inbound.take_payload(header.len as usize, input) else {
                        return Ok(self.next_pending());
                    };
                    self.inbound.phase = Phase::FrameHeader;
                    let output_before = self.outbound.len();
                    let event = match payload {
                        Payload::Borrowed(payload) => self.receive_payload(header, payload)?,
                        Payload::Buffered(payload) => {
                            let event = self.receive_payload(header, &payload)?;
                            self.inbound.recycle(payload);
                            event
                        }
                    };
                    self.check_replies(output_before)?;
                    if event.is_some() {
                        return Ok(event);
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
                    let len = input.len().min(left as usize);
                    *input = &input[len..];
                    let left = left - len as u32;
                    if left > 0 {
                        self.inbound.phase = Phase::Skip { left };
                        return Ok(self.next_pending());
                    }
                    self.inbound.phase = Phase::FrameHeader;
                }
                Phase::SkipPadded { stream, left } => {
                    // The head may have reset the stream, and Pad Length may end the connection: in this order at every cut.
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
                Phase::Stopped => return Ok(self.next_pending()),
            }
        }
    }

    /// What calls, time, and earlier frames have left to tell.
    #[inline(always)]
    fn next_pending<'b>(&mut self) -> Option<RawEvent<'b>> {
        if self.pending_resets.is_empty()
            && self.goaway_scan_from.is_none()
            && self.stream_available != StreamAvailability::Due
        {
            return None;
        }
        self.pop_pending()
    }

    #[cold]
    fn pop_pending<'b>(&mut self) -> Option<RawEvent<'b>> {
        if let Some(pending_resets) = self.pending_resets.pop_front() {
            return Some(RawEvent::Reset {
                stream: pending_resets.stream,
                code: pending_resets.code,
                by: pending_resets.by,
            });
        }
        if let Some(event) = self.next_goaway_reset() {
            return Some(event);
        }
        if self.stream_available == StreamAvailability::Due {
            self.stream_available = StreamAvailability::NotRequested;
            return Some(RawEvent::StreamAvailable);
        }
        None
    }

    /// RFC 9113 §6.8: streams above the last one of the peer's GOAWAY were not processed.
    fn next_goaway_reset<'b>(&mut self) -> Option<RawEvent<'b>> {
        let from = self.goaway_scan_from?;
        let last = self.shutdown.remote_last()?;
        let ours = |id| self.streams.side(id) == Side::Local;
        let Some(stream) = self.streams.find_from(from, |id, _| ours(id) && id > last) else {
            self.goaway_scan_from = None;
            return None;
        };
        self.goaway_scan_from = Some(stream.index());
        self.abort_stream(stream, CloseReason::ResetRemote);
        Some(RawEvent::Reset { stream, code: ErrorCode::REFUSED_STREAM, by: ResetCause::GoAway })
    }

    /// Judges a head and decides what becomes of the payload. What is there of DATA is a step at once.
    #[inline]
    fn receive_frame_header<'b>(&mut self, header: FrameHeader, input: &mut &'b [u8]) -> EventResult<'b> {
        self.counters.count_frame(header.kind);
        self.last_frame = Some((header.kind, header.stream));
        let bound = self.local.in_force().max_frame_size;
        if !self.remote_settings_seen
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

    /// RFC 9113 §3.4: a first frame that is not SETTINGS. A server that does not speak HTTP/2 answers the preface with a status line.
    #[cold]
    fn reject_missing_settings(&mut self, header: FrameHeader) -> ConnectionFailed {
        match foreign_protocol(&header.to_bytes()) {
            Some(violation) => self.reject_protocol(violation, &header.to_bytes()),
            None => self.fail_violation(Violation::PrefaceWithoutSettings, header.stream),
        }
    }

    /// Ends a connection whose peer speaks something else, with the first bytes for the log.
    #[cold]
    fn reject_protocol(&mut self, violation: Violation, bytes: &[u8]) -> ConnectionFailed {
        let error = ConnectionError::violation(violation, StreamId::CONNECTION);
        self.fail(error.with_excerpt(bytes))
    }

    /// Recognizes another protocol in fewer bytes than a frame head has, after which nothing comes: an alert of
    /// TLS is 7 bytes long.
    #[cold]
    pub(super) fn check_unfinished_preface(&mut self) -> Result<(), ConnectionFailed> {
        let bytes = self.inbound.unfinished_head();
        if self.remote_settings_seen || !self.is_client || bytes.is_empty() {
            return Ok(());
        }
        match foreign_protocol(&bytes) {
            Some(violation) => Err(self.reject_protocol(violation, &bytes)),
            None => Ok(()),
        }
    }

    /// A frame that is wrong by its head alone.
    #[cold]
    fn reject_invalid_header(
        &mut self,
        header: FrameHeader,
        violation: Violation,
    ) -> Result<(), ConnectionFailed> {
        if violation.scope() == Scope::Connection || self.streams.status(header.stream) == StreamStatus::Idle
        {
            let error = ConnectionError::violation(violation, header.stream);
            return Err(self.fail(error));
        }
        self.inbound.phase = Phase::Skip { left: header.len };
        self.handle_stream_violation(header.stream, violation)
    }

    /// Bounds what is collected of a control frame before its payload is.
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

    /// Advisory frames beyond the bound are ignored; a GOAWAY is too important for that.
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

    /// Passes a whole payload to those who know it.
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
            // RFC 9113 §5.3.2: the deprecated priority signals have no effect.
            FrameType::PRIORITY => self.charge(Cost::Priority, header.stream).map(|()| None),
            FrameType::PRIORITY_UPDATE => self.receive_priority_update(payload),
            FrameType::ORIGIN => Ok(self.receive_origin(header, payload)),
            FrameType::ALTSVC => Ok(self.receive_alt_svc(header.stream, payload)),
            kind => {
                self.store_control_payload(payload);
                let (flags, stream) = (header.flags, header.stream);
                Ok(Some(RawEvent::Control(ControlPayload::Extension { kind, flags, stream })))
            }
        }
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
            // RFC 9113 §5.1: it may have crossed our own end of the stream.
            StreamStatus::Closed(_) | StreamStatus::Skipped | StreamStatus::Forgotten => return Ok(None),
        };
        self.counters.resets_received += 1;
        let Some(slot) = self.streams.find(stream) else { return Ok(None) };
        let reported = slot.reported;
        // A response that is under way was worth its request: only resets before it cost the peer. Those of streams
        // that have lived for a while are bounded by the number of streams.
        let costs = self.streams.side(id) == Side::Remote
            && slot.state.local() == crate::streams::state::HalfState::Headers
            && self.clock_ticks().wrapping_sub(slot.opened_at_ticks) < RESET_COSTS_TICKS;
        self.abort_stream(stream, CloseReason::ResetRemote);
        if costs {
            self.charge(Cost::Reset, id)?;
        }
        Ok(reported.then_some(RawEvent::Reset { stream, code, by: ResetCause::Remote }))
    }

    /// Copies the payload that an event will show.
    pub(super) fn store_control_payload(&mut self, payload: &[u8]) {
        self.control_payload.clear();
        self.control_payload.extend_from_slice(payload);
    }

    /// The time in ticks of 2^20 ns, about a millisecond; it wraps after 52 days.
    #[inline]
    pub(super) fn clock_ticks(&self) -> u32 {
        (self.timers.now().as_nanos() >> 20) as u32
    }

    /// What the peer provokes must be read by it: far beyond the output's limit, it is not. What the caller sends does
    /// not count, however much it is.
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

/// What a server speaks whose first bytes are no frame of HTTP/2.
fn foreign_protocol(bytes: &[u8]) -> Option<Violation> {
    // RFC 8446 §5.1: a record of any kind, then the major version of every TLS and of SSL 3.
    if let [0x14..=0x17, 0x03, ..] = bytes {
        return Some(Violation::PrefaceOfTls);
    }
    if bytes.starts_with(b"HTTP/1.1 ") || bytes.starts_with(b"HTTP/1.0 ") {
        return Some(Violation::PrefaceOfHttp1);
    }
    // A frame head begins with a zero byte, unless the frame has 65,536 bytes or more.
    let is_text =
        bytes.len() >= 3 && bytes.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\t' | b'\r' | b'\n'));
    is_text.then_some(Violation::PrefaceOfText)
}

/// Resets of streams that have lived for about 100 ms cost nothing: an honest caller's time limit has passed, and with
/// 256 streams at once there are 2,560 of them a second at most.
const RESET_COSTS_TICKS: u32 = 96;
/// How often the output's limit may be exceeded by answers.
const OUTPUT_OVERRUN: usize = 4;
