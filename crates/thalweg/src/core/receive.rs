//! Input: from bytes to steps. Cuts frames, judges heads, and passes payloads to those who know them.

use crate::budget::Work;
use crate::error::{ConnectionError, ErrorCode, Limit};
use crate::event::{HeadersKind, Initiator};
use crate::frame::{Flags, Head, Kind, parse};
use crate::inbound::{Payload, Phase};
use crate::priority::Priority;
use crate::stream_id::{Stream, StreamId};
use crate::streams::Opener;
use crate::streams::ids::{Closed, Fate};
use crate::time::Instant;
use crate::violation::{Scope, Violation};

use super::{Core, Failed, Openable};

/// What `receive` will show; what borrows from the connection is filled in by the shell.
#[derive(Clone, Copy, Debug)]
pub enum Step<'b> {
    Headers { stream: Stream, kind: HeadersKind, end: bool },
    Data { stream: Stream, data: &'b [u8], end: bool },
    Reset { stream: Stream, code: ErrorCode, by: Initiator },
    Shown(Shown),
    SettingsAcknowledged,
    Openable,
    Pong { payload: [u8; 8] },
    Priority { stream: Stream, priority: Priority },
}

/// What the payload in `Core::shown` is.
#[derive(Clone, Copy, Debug)]
pub enum Shown {
    GoAway { last_stream: StreamId, code: ErrorCode },
    Settings,
    Origin,
    AltSvc { stream: StreamId, origin_len: usize },
    Extension { kind: Kind, flags: Flags, stream: StreamId },
}

type Outcome<'b> = Result<Option<Step<'b>>, Failed>;

impl Core {
    /// Takes input until something is to be shown, or the input is empty.
    pub fn receive<'b>(&mut self, input: &mut &'b [u8], now: Instant) -> Outcome<'b> {
        if self.error.is_some() {
            return Err(Failed);
        }
        // Many frames come in one read: what depends on the time alone is done for the first.
        if !self.liveness.is_input_time(now) && self.liveness.receive_time(now, !input.is_empty()) {
            self.streams.start_waits(now);
            self.avoidance.observe_time(now);
        }
        let before = input.len();
        self.liveness.enter();
        let outcome = self.advance(input);
        self.liveness.leave();
        self.counters.bytes_received += (before - input.len()) as u64;
        outcome
    }

    /// What waits to be told goes between two frames, or when the input is empty.
    fn advance<'b>(&mut self, input: &mut &'b [u8]) -> Outcome<'b> {
        loop {
            // By far the most frequent: not by the jump table.
            if self.inbound.phase == Phase::Head {
                if let Some(step) = self.take_pending() {
                    return Ok(Some(step));
                }
                let Some(head) = self.inbound.take_head(input) else { return Ok(None) };
                if let Some(step) = self.receive_head(head, input)? {
                    return Ok(Some(step));
                }
                continue;
            }
            match self.inbound.phase {
                // Was taken above.
                Phase::Head => {}
                Phase::Payload(head) => {
                    let Some(payload) = self.inbound.take_payload(head.len as usize, input) else {
                        return Ok(self.take_pending());
                    };
                    self.inbound.phase = Phase::Head;
                    let output_before = self.outbound.len();
                    let step = match payload {
                        Payload::Borrowed(payload) => self.receive_payload(head, payload)?,
                        Payload::Carried(payload) => {
                            let step = self.receive_payload(head, &payload)?;
                            self.inbound.put_back(payload);
                            step
                        }
                    };
                    self.check_answers(output_before)?;
                    if step.is_some() {
                        return Ok(step);
                    }
                }
                Phase::Data(data) => {
                    if input.is_empty() && data.awaits_input() {
                        return Ok(self.take_pending());
                    }
                    if let Some(step) = self.receive_data(data, input)? {
                        return Ok(Some(step));
                    }
                }
                Phase::Skip { left } => {
                    let len = input.len().min(left as usize);
                    *input = &input[len..];
                    let left = left - len as u32;
                    if left > 0 {
                        self.inbound.phase = Phase::Skip { left };
                        return Ok(self.take_pending());
                    }
                    self.inbound.phase = Phase::Head;
                }
                Phase::SkipPadded { stream, left } => {
                    // The head may have reset the stream, and Pad Length may end the connection: in this order at every cut.
                    if let Some(step) = self.take_pending() {
                        return Ok(Some(step));
                    }
                    if input.is_empty() {
                        return Ok(None);
                    }
                    self.skip_pad_len(stream, left, input)?;
                }
                Phase::Preface { matched } => {
                    if input.is_empty() {
                        return Ok(self.take_pending());
                    }
                    if let Err(violation) = self.inbound.take_preface(matched, input) {
                        return Err(self.violated(violation, StreamId::CONNECTION));
                    }
                }
                Phase::Dead => return Ok(self.take_pending()),
            }
        }
    }

    /// What calls, time, and earlier frames have left to tell.
    #[inline(always)]
    fn take_pending<'b>(&mut self) -> Option<Step<'b>> {
        if self.ended.is_empty() && self.excluded_from.is_none() && self.openable != Openable::Due {
            return None;
        }
        self.take_next_pending()
    }

    #[cold]
    fn take_next_pending<'b>(&mut self) -> Option<Step<'b>> {
        if let Some(ended) = self.ended.pop_front() {
            return Some(Step::Reset { stream: ended.stream, code: ended.code, by: ended.by });
        }
        if let Some(step) = self.take_excluded() {
            return Some(step);
        }
        if self.openable == Openable::Due {
            self.openable = Openable::NotAsked;
            return Some(Step::Openable);
        }
        None
    }

    /// RFC 9113 §6.8: streams above the last one of the peer's GOAWAY were not processed.
    fn take_excluded<'b>(&mut self) -> Option<Step<'b>> {
        let from = self.excluded_from?;
        let last = self.shutdown.remote_last()?;
        let ours = |id| self.streams.opener(id) == Opener::Local;
        let Some(stream) = self.streams.find_from(from, |id, _| ours(id) && id > last) else {
            self.excluded_from = None;
            return None;
        };
        self.excluded_from = Some(stream.index());
        self.drop_stream(stream, Closed::ResetRemote);
        Some(Step::Reset { stream, code: ErrorCode::REFUSED_STREAM, by: Initiator::GoAway })
    }

    /// Judges a head and decides what becomes of the payload. What is there of DATA is a step at once.
    #[inline]
    fn receive_head<'b>(&mut self, head: Head, input: &mut &'b [u8]) -> Outcome<'b> {
        self.counters.count_frame(head.kind);
        self.last_frame = Some((head.kind, head.stream));
        let bound = self.local.in_force().max_frame_size;
        if !self.remote_settings_seen && (head.kind != Kind::SETTINGS || head.flags.contains(Flags::ACK)) {
            return Err(self.receive_no_settings(head));
        }
        if head.len > bound && head.kind != Kind::DATA {
            let error = ConnectionError::violation(Violation::FrameTooLarge, head.stream);
            return Err(self.fail(error.with_values(u64::from(head.len), u64::from(bound))));
        }
        if let Some(block) = &self.inbound.open_block {
            if head.kind != Kind::CONTINUATION || head.stream != block.stream {
                return Err(self.violated(Violation::ContinuationExpected, head.stream));
            }
        } else if head.kind == Kind::CONTINUATION && !head.stream.is_connection() {
            return Err(self.violated(Violation::ContinuationUnexpected, head.stream));
        }
        if let Err(violation) = head.check() {
            return self.receive_impossible(head, violation).map(|()| None);
        }
        match head.kind {
            Kind::DATA => return self.receive_data_frame(head, head.len > bound, input),
            Kind::HEADERS | Kind::PUSH_PROMISE | Kind::CONTINUATION => self.receive_fragment_head(head)?,
            _ => self.receive_control_head(head)?,
        }
        Ok(None)
    }

    /// RFC 9113 §3.4: a first frame that is not SETTINGS. A server that does not speak HTTP/2 answers the preface with a status line.
    #[cold]
    fn receive_no_settings(&mut self, head: Head) -> Failed {
        match foreign_protocol(&head.to_bytes()) {
            Some(violation) => self.reject_protocol(violation, &head.to_bytes()),
            None => self.violated(Violation::PrefaceWithoutSettings, head.stream),
        }
    }

    /// Ends a connection whose peer speaks something else, with the first bytes for the log.
    #[cold]
    fn reject_protocol(&mut self, violation: Violation, bytes: &[u8]) -> Failed {
        let error = ConnectionError::violation(violation, StreamId::CONNECTION);
        self.fail(error.with_excerpt(bytes))
    }

    /// Recognizes another protocol in fewer bytes than a frame head has, after which nothing comes: an alert of
    /// TLS is 7 bytes long.
    #[cold]
    pub(super) fn check_unfinished_preface(&mut self) -> Result<(), Failed> {
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
    fn receive_impossible(&mut self, head: Head, violation: Violation) -> Result<(), Failed> {
        if violation.scope() == Scope::Connection || self.streams.fate(head.stream) == Fate::Idle {
            let error = ConnectionError::violation(violation, head.stream);
            return Err(self.fail(error));
        }
        self.inbound.phase = Phase::Skip { left: head.len };
        self.stream_violated(head.stream, violation)
    }

    /// Bounds what is collected of a control frame before its payload is.
    fn receive_control_head(&mut self, head: Head) -> Result<(), Failed> {
        self.inbound.phase = Phase::Payload(head);
        match head.kind {
            Kind::SETTINGS => {
                let entries = head.len / 6;
                if entries > self.bounds.settings_entries_max {
                    let bound = u64::from(self.bounds.settings_entries_max);
                    return Err(self.limited(
                        Limit::SettingsEntries,
                        StreamId::CONNECTION,
                        u64::from(entries),
                        bound,
                    ));
                }
            }
            Kind::PRIORITY | Kind::RST_STREAM | Kind::PING | Kind::WINDOW_UPDATE => {}
            Kind::GOAWAY | Kind::PRIORITY_UPDATE | Kind::ORIGIN | Kind::ALTSVC => {
                if matches!(head.kind, Kind::ORIGIN | Kind::ALTSVC) {
                    self.charge(Work::Extension, head.stream)?;
                }
                if head.len > self.bounds.control_payload_bytes_max {
                    return self.receive_oversized_control(head);
                }
            }
            _ => {
                self.charge(Work::Extension, head.stream)?;
                let shown = self.bounds.extension_frames && head.len <= self.bounds.control_payload_bytes_max;
                if !shown {
                    self.inbound.phase = Phase::Skip { left: head.len };
                }
            }
        }
        Ok(())
    }

    /// Advisory frames beyond the bound are ignored; a GOAWAY is too important for that.
    #[cold]
    fn receive_oversized_control(&mut self, head: Head) -> Result<(), Failed> {
        if head.kind == Kind::GOAWAY {
            let bound = u64::from(self.bounds.control_payload_bytes_max);
            return Err(self.limited(Limit::ControlPayloadBytes, head.stream, u64::from(head.len), bound));
        }
        self.inbound.phase = Phase::Skip { left: head.len };
        if head.kind == Kind::PRIORITY_UPDATE {
            return self.charge(Work::Priority, head.stream);
        }
        Ok(())
    }

    /// Passes a whole payload to those who know it.
    #[inline]
    fn receive_payload<'b>(&mut self, head: Head, payload: &[u8]) -> Outcome<'b> {
        match head.kind {
            Kind::HEADERS => self.receive_headers(head, payload),
            Kind::RST_STREAM => self.receive_reset(head.stream, payload),
            Kind::WINDOW_UPDATE => self.receive_window_update(head.stream, payload),
            Kind::CONTINUATION => self.receive_continuation(head, payload),
            Kind::SETTINGS => self.receive_settings(head.flags, payload),
            Kind::PING => self.receive_ping(head.flags, payload),
            Kind::GOAWAY => self.receive_go_away(payload),
            Kind::PUSH_PROMISE => self.receive_push_promise(head, payload),
            // RFC 9113 §5.3.2: the deprecated priority signals have no effect.
            Kind::PRIORITY => self.charge(Work::Priority, head.stream).map(|()| None),
            Kind::PRIORITY_UPDATE => self.receive_priority_update(payload),
            Kind::ORIGIN => Ok(self.receive_origin(head, payload)),
            Kind::ALTSVC => Ok(self.receive_alt_svc(head.stream, payload)),
            kind => {
                self.show(payload);
                let (flags, stream) = (head.flags, head.stream);
                Ok(Some(Step::Shown(Shown::Extension { kind, flags, stream })))
            }
        }
    }

    /// RFC 9113 §6.4
    fn receive_reset<'b>(&mut self, id: StreamId, payload: &[u8]) -> Outcome<'b> {
        let code = match parse::word(payload, Violation::ResetLength) {
            Ok(code) => ErrorCode(code),
            Err(violation) => return Err(self.violated(violation, id)),
        };
        let stream = match self.streams.fate(id) {
            Fate::Idle => return Err(self.violated(Violation::StreamIdle, id)),
            Fate::Live(slot) => Stream::from_parts(id, slot),
            // RFC 9113 §5.1: it may have crossed our own end of the stream.
            Fate::Closed(_) | Fate::Skipped | Fate::Forgotten => return Ok(None),
        };
        self.counters.resets_received += 1;
        let Some(slot) = self.streams.find(stream) else { return Ok(None) };
        let shown = slot.shown;
        // A response that is under way was worth its request: only resets before it cost the peer. Those of streams
        // that have lived for a while are bounded by the number of streams.
        let costs = self.streams.opener(id) == Opener::Remote
            && slot.state.local() == crate::streams::state::Half::Head
            && self.clock_ticks().wrapping_sub(slot.opened_at_ticks) < RESET_COSTS_TICKS;
        self.drop_stream(stream, Closed::ResetRemote);
        if costs {
            self.charge(Work::Reset, id)?;
        }
        Ok(shown.then_some(Step::Reset { stream, code, by: Initiator::Remote }))
    }

    /// Copies the payload that an event will show.
    pub(super) fn show(&mut self, payload: &[u8]) {
        self.shown.clear();
        self.shown.extend_from_slice(payload);
    }

    /// The time in ticks of 2^20 ns, about a millisecond; it wraps after 52 days.
    #[inline]
    pub(super) fn clock_ticks(&self) -> u32 {
        (self.liveness.now().as_nanos() >> 20) as u32
    }

    /// What the peer provokes must be read by it: far beyond the output's limit, it is not. What the caller sends does
    /// not count, however much it is.
    #[inline]
    fn check_answers(&mut self, output_before: usize) -> Result<(), Failed> {
        let bound = self.bounds.output_bytes_max as usize * OUTPUT_OVERRUN;
        let waiting = self.outbound.count_answers(output_before);
        if waiting <= bound {
            return Ok(());
        }
        Err(self.limited(Limit::OutputBytes, StreamId::CONNECTION, waiting as u64, bound as u64))
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
