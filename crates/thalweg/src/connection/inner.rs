//! The routes between the owners. Both roles share this one concrete type; the public `Connection` is a thin shell over it.
//!
//! Keeps true: after a connection error there is exactly one GOAWAY with its code, every later call gives the same error, and
//! the output only drains; what is unreleased on the connection is the sum over its streams and orphans.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use thalweg_hpack::{Decoder, Encoder};

use crate::config::{Config, Limits, Timeouts};
use crate::error::{CloseCause, ConnectionError, ErrorCode, Limit, StreamError, Timeout};
use crate::event::ResetCause;
use crate::flow::{ReceiveWindow, SendWindow};
use crate::frame::{FrameType, SettingId};
use crate::headers::{HeaderBlock, Headers};
use crate::inbound::Inbound;
use crate::outbound::Outbound;
use crate::priority::Priority;
use crate::rate_limit::{Cost, Exhausted, RateLimiter};
use crate::settings::{LocalSettings, Settings};
use crate::shutdown::{Shutdown, ShutdownPhase};
use crate::silly_window::Avoidance;
use crate::stats::{CloseReport, Counters};
use crate::stream_id::{StreamId, StreamKey};
use crate::streams::id_table::{CloseReason, StreamStatus};
use crate::streams::state::HalfState;
use crate::streams::{Side, Streams};
use crate::time::Instant;
use crate::timers::Timers;
use crate::violation::{Scope, Violation};

/// The whole of a connection.
#[derive(Debug)]
pub struct Inner {
    pub(super) limits: Limits,
    pub(super) is_client: bool,
    pub outbound: Outbound,
    pub(super) headers: HeaderBlock,
    /// Payload of the control frame that the last event shows.
    pub control_payload: Vec<u8>,
    pub(super) inbound: Inbound,
    pub(super) streams: Streams,
    pub(super) receive_window: ReceiveWindow,
    /// Unreleased bytes of streams that have ended.
    pub(super) unreleased_after_close: u32,
    pub(super) send_window: SendWindow,
    pub(super) avoidance: Avoidance,
    /// When the peer last opened the connection's send window, which had been empty.
    pub(super) window_opened_at: Instant,
    pub(super) local: LocalSettings,
    pub(super) remote: Settings,
    pub(super) remote_settings_seen: bool,
    pub(super) decoder: Decoder,
    pub(super) encoder: Encoder,
    pub(super) rate_limiter: RateLimiter,
    pub(super) timers: Timers,
    pub(super) shutdown: Shutdown,
    pub(super) pings_in_flight: u32,
    /// Priorities for streams that were not opened yet (RFC 9218 §7.1).
    pub(super) early_priorities: VecDeque<(StreamId, Priority)>,
    /// Ends that no event has told yet.
    pub(super) pending_resets: VecDeque<PendingReset>,
    /// The slot at which the search for streams beyond the peer's GOAWAY goes on.
    pub(super) goaway_scan_from: Option<usize>,
    pub(super) stream_available: StreamAvailability,
    /// When content was last received. `None`: the peer got new window, and time counts from the next
    /// look.
    pub(super) content_received: Option<Instant>,
    pub(super) error: Option<ConnectionError>,
    pub(super) eof: bool,
    /// Whether the byte stream ended though neither side had sent GOAWAY.
    pub(super) ended_without_goaway: bool,
    pub(super) remote_code: Option<ErrorCode>,
    pub(super) live_streams: u32,
    pub(super) last_frame: Option<(FrameType, StreamId)>,
    pub(super) counters: Counters,
}

/// A stream's end that an event will tell.
#[derive(Clone, Copy, Debug)]
pub struct PendingReset {
    pub stream: StreamKey,
    pub code: ErrorCode,
    pub by: ResetCause,
}

/// The connection has failed: `Inner::error` says how. Inside the core an error is one bit, so that results stay small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionFailed;

/// Whether the caller waits for room for a new stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StreamAvailability {
    NotRequested,
    /// A request was refused for lack of room.
    Requested,
    /// There is room, and no event has told it yet.
    Due,
}

impl Inner {
    /// Starts a connection; the first bytes are in the output.
    pub fn new(config: &Config, is_client: bool) -> Self {
        let settings = Settings::from_config(config, is_client);
        let mut timeouts = config.timeouts;
        if is_client {
            timeouts.idle = timeouts.client_idle;
        }
        let mut inner = Self {
            limits: Limits::from(config),
            is_client,
            outbound: Outbound::with_capacity(OUTPUT_BYTES_INITIAL),
            headers: HeaderBlock::default(),
            control_payload: Vec::new(),
            inbound: Inbound::new(!is_client),
            streams: Streams::new(is_client, config.closed_streams_max),
            receive_window: ReceiveWindow::new(CONNECTION_WINDOW_INITIAL),
            unreleased_after_close: 0,
            send_window: SendWindow::new(CONNECTION_WINDOW_INITIAL),
            avoidance: Avoidance::new(config.timeouts != Timeouts::OFF, config.timeouts.stall),
            window_opened_at: Instant::ZERO,
            local: LocalSettings::new(settings),
            remote: Settings::default(),
            remote_settings_seen: false,
            decoder: Decoder::new(TABLE_BYTES_INITIAL),
            encoder: Encoder::new(config.encoder_table_bytes_max, config.hash_seed),
            rate_limiter: RateLimiter::new(&config.rate_limits),
            timers: Timers::new(&timeouts),
            shutdown: Shutdown::default(),
            pings_in_flight: 0,
            early_priorities: VecDeque::new(),
            pending_resets: VecDeque::new(),
            goaway_scan_from: None,
            stream_available: StreamAvailability::NotRequested,
            content_received: Some(Instant::ZERO),
            error: None,
            eof: false,
            ended_without_goaway: false,
            remote_code: None,
            live_streams: 0,
            last_frame: None,
            counters: Counters::default(),
        };
        inner.send_preface(&settings, config.connection_window_bytes);
        inner.judge_full_frame();
        inner
    }

    /// RFC 9113 §3.4: preface, then SETTINGS. The connection window has no setting: WINDOW_UPDATE widens it.
    pub(super) fn send_preface(&mut self, settings: &Settings, connection_window_bytes: u32) {
        if self.is_client {
            self.outbound.preface();
        }
        let changes = settings.changes_from(&Settings::default());
        // RFC 9113 §6.5.2: a server must not send SETTINGS_ENABLE_PUSH as 1; it is 1 without being sent.
        debug_assert!(self.is_client || !changes.iter().any(|(id, _)| *id == SettingId::ENABLE_PUSH));
        self.outbound.settings(changes.into_iter());
        let widening = connection_window_bytes - CONNECTION_WINDOW_INITIAL;
        if widening > 0 {
            self.receive_window.widen(widening);
            self.outbound.window_update(StreamId::CONNECTION, widening);
        }
    }

    /// The connection's error, if it is over.
    #[inline]
    pub fn ensure_open(&self) -> Result<(), ConnectionError> {
        match self.error {
            None => Ok(()),
            Some(error) => Err(error),
        }
    }

    /// What a caller is told after [`ConnectionFailed`].
    #[cold]
    pub fn connection_error(&self) -> ConnectionError {
        self.error.unwrap_or(ConnectionError::new(CloseCause::Closed, ErrorCode::INTERNAL_ERROR))
    }

    /// Ends the connection: a GOAWAY that says why, and nothing after it. Called once.
    #[cold]
    pub fn fail(&mut self, error: ConnectionError) -> ConnectionFailed {
        debug_assert!(self.error.is_none());
        let debug = match error.cause() {
            CloseCause::Violation(_) | CloseCause::Limit(_) | CloseCause::Timeout(_) => {
                alloc::format!("{error}")
            }
            CloseCause::Closed | CloseCause::Eof | CloseCause::GoAway => alloc::string::String::new(),
        };
        self.terminate(error, debug.as_bytes());
        ConnectionFailed
    }

    /// Ends the connection with debug data of the caller's.
    pub fn terminate(&mut self, error: ConnectionError, debug: &[u8]) {
        let last = match self.shutdown.phase() {
            ShutdownPhase::Final(last) => last,
            ShutdownPhase::Open | ShutdownPhase::Announced => self.streams.last(Side::Remote),
        };
        // An error that the peer found is not ours to say.
        let code = if error.cause() == CloseCause::GoAway { ErrorCode::NO_ERROR } else { error.code() };
        self.outbound.goaway(last, code, debug);
        self.error = Some(error);
        self.live_streams = self.streams.live();
        self.streams.close_all();
        self.inbound.stop();
        self.pending_resets.clear();
        self.timers.disarm_all();
    }

    /// Ends the connection for a rule that the peer broke.
    #[cold]
    pub(super) fn fail_violation(&mut self, violation: Violation, stream: StreamId) -> ConnectionFailed {
        self.fail(ConnectionError::violation(violation, stream))
    }

    /// Ends the connection for a limit that the peer ran into.
    #[cold]
    pub(super) fn fail_limit(
        &mut self,
        limit: Limit,
        stream: StreamId,
        seen: u64,
        bound: u64,
    ) -> ConnectionFailed {
        self.fail(ConnectionError::limit(limit, stream, seen, bound))
    }

    /// Charges work to the peer; an empty bucket ends the connection.
    #[inline]
    pub(super) fn charge(&mut self, cost: Cost, stream: StreamId) -> Result<(), ConnectionFailed> {
        match self.rate_limiter.charge(cost, self.timers.now()) {
            Ok(()) => Ok(()),
            Err(exhausted) => Err(self.fail_exhausted(exhausted, stream)),
        }
    }

    /// Charges a field block on a stream that we reset, which is decoded and not shown.
    #[cold]
    pub(super) fn charge_late_block(&mut self, stream: StreamId) -> Result<(), ConnectionFailed> {
        let charged = self.rate_limiter.charge_late_block(self.timers.now());
        charged.map_err(|exhausted| self.fail_exhausted(exhausted, stream))
    }

    #[cold]
    fn fail_exhausted(
        &mut self,
        Exhausted { limit, burst }: Exhausted,
        stream: StreamId,
    ) -> ConnectionFailed {
        self.fail_limit(limit, stream, u64::from(burst) + 1, u64::from(burst))
    }

    /// Answers a rule broken on a stream, whatever has become of that stream.
    #[cold]
    pub(super) fn handle_stream_violation(
        &mut self,
        id: StreamId,
        violation: Violation,
    ) -> Result<(), ConnectionFailed> {
        if violation.scope() == Scope::Connection {
            return Err(self.fail_violation(violation, id));
        }
        self.handle_stream_error(id, StreamError::Violation(violation))
    }

    /// Resets a stream for an error that the peer made, and charges it.
    #[cold]
    pub(super) fn handle_stream_error(
        &mut self,
        id: StreamId,
        error: StreamError,
    ) -> Result<(), ConnectionFailed> {
        let code = error.code();
        match self.streams.stream_key(id) {
            Some(stream) => self.reset_stream(stream, code, ResetCause::Local(error)),
            // RFC 9113 §5.4, §5.4.2: the first error of a stream is the only one, and has one RST_STREAM.
            None if self.streams.status(id) == StreamStatus::Closed(CloseReason::ResetLocal) => {}
            None => {
                self.streams.mark_reset(id);
                self.counters.resets_sent += 1;
                self.outbound.reset(id, code);
            }
        }
        self.charge(Cost::Reset, id)
    }

    /// Resets a live stream; the event comes later if the caller knows the stream.
    pub(super) fn reset_stream(&mut self, stream: StreamKey, code: ErrorCode, by: ResetCause) {
        let reported = self.streams.find(stream).is_some_and(|slot| slot.reported);
        self.outbound.reset(stream.id(), code);
        self.counters.resets_sent += 1;
        self.abort_stream(stream, CloseReason::ResetLocal);
        if reported {
            self.pending_resets.push_back(PendingReset { stream, code, by });
        }
    }

    /// Ends a stream early: what the caller holds of it is credited to the peer.
    pub(super) fn abort_stream(&mut self, stream: StreamKey, reason: CloseReason) {
        let Some(slot) = self.streams.close(stream, reason) else { return };
        if reason == CloseReason::ResetLocal && slot.state.remote() != HalfState::Closed {
            self.rate_limiter.credit_late_blocks();
        }
        let held = slot.receive_window.held();
        self.release_connection_window(held);
        self.after_stream_close();
    }

    /// Ends a stream whose halves have both ended: what the caller holds of it stays accounted for.
    pub(super) fn complete_stream(&mut self, stream: StreamKey) {
        let Some(slot) = self.streams.close(stream, CloseReason::Completed) else { return };
        self.unreleased_after_close += slot.receive_window.held();
        self.counters.streams_completed += 1;
        self.rate_limiter.credit(Cost::Reset, RESETS_PER_COMPLETED_STREAM);
        self.after_stream_close();
    }

    pub(super) fn after_stream_close(&mut self) {
        if self.stream_available == StreamAvailability::Requested && self.can_open_stream() {
            self.stream_available = StreamAvailability::Due;
        }
        if self.streams.live() == 0 {
            if self.shutdown.remote_last().is_some() {
                self.send_final_goaway();
            }
            self.timers.arm(Timeout::Idle);
        }
    }

    /// Whether the peer's limit leaves room for a stream of ours.
    pub(super) fn can_open_stream(&self) -> bool {
        self.streams.active(Side::Local) < self.remote.max_concurrent_streams
    }

    /// Says the last GOAWAY of a shutdown, once.
    pub(super) fn send_final_goaway(&mut self) {
        let last = self.streams.last(Side::Remote);
        if self.shutdown.finish(last) {
            self.outbound.goaway(last, ErrorCode::NO_ERROR, &[]);
            // The connection has ended in order: no answer is waited for.
            if self.streams.live() == 0 {
                self.timers.disarm(Timeout::Ping);
            }
        }
    }

    /// Credits bytes to the connection window.
    #[inline]
    pub(super) fn release_connection_window(&mut self, bytes: u32) {
        self.receive_window.release(bytes);
        // Nobody holds these bytes any more, nor the small frames that they came in.
        self.rate_limiter.credit(Cost::SmallData, bytes);
        if let Some(increment) = self.receive_window.take_update() {
            self.content_received = None;
            self.outbound.window_update(StreamId::CONNECTION, increment);
        }
    }

    /// The application has consumed bytes of a stream.
    pub fn release(&mut self, stream: StreamKey, bytes: usize) {
        if self.error.is_some() {
            return;
        }
        self.credit(stream, u32::try_from(bytes).unwrap_or(u32::MAX));
    }

    /// Gives back what was received on a stream, on a connection that lives.
    pub(super) fn credit(&mut self, stream: StreamKey, bytes: u32) {
        let Some(slot) = self.streams.find_mut(stream) else {
            let released = bytes.min(self.unreleased_after_close);
            self.unreleased_after_close -= released;
            return self.release_connection_window(released);
        };
        let released = slot.receive_window.release(bytes);
        if slot.state.remote() != HalfState::Closed
            && let Some(increment) = slot.receive_window.take_update()
        {
            slot.content_timer.restart();
            self.outbound.window_update(stream.id(), increment);
        }
        self.release_connection_window(released);
    }

    /// Whether nothing more will come out.
    pub fn is_finished(&self) -> bool {
        self.outbound.is_empty() && (self.error.is_some() || self.is_drained())
    }

    /// Whether the connection has ended in order: both sides have nothing more to say.
    pub(super) fn is_drained(&self) -> bool {
        let has_sent_final_goaway = matches!(self.shutdown.phase(), ShutdownPhase::Final(_));
        has_sent_final_goaway && self.streams.live() == 0 && self.pending_resets.is_empty()
    }

    /// Whether the caller should read from the transport.
    pub fn wants_read(&self) -> bool {
        let output_bytes_max = self.limits.output_bytes_max as usize;
        // Spliced payloads do not count: two peers that write to each other would both wait to be read.
        self.error.is_none() && !self.eof && self.outbound.own_len() <= output_bytes_max
    }

    /// How the connection stands, or how it ended.
    pub fn report(&self) -> CloseReport {
        let retry_above = match (self.shutdown.remote_last(), self.error) {
            (Some(last), _) => Some(last),
            (None, _) => None,
        };
        let mut counters = self.counters;
        counters.bytes_sent = self.outbound.total();
        CloseReport {
            error: self.error,
            remote_code: self.remote_code,
            ended_without_goaway: self.ended_without_goaway,
            last_frame: self.last_frame,
            live_streams: if self.error.is_some() { self.live_streams } else { self.streams.live() },
            retry_above,
            counters,
        }
    }

    /// The live streams, reserved ones included.
    pub fn live_streams(&self) -> u32 {
        self.streams.live()
    }

    /// The peer's settings.
    pub fn remote_settings(&self) -> &Settings {
        &self.remote
    }

    /// Our settings as far as they bind the peer.
    pub fn local_settings(&self) -> &Settings {
        self.local.in_force()
    }

    /// Bytes that may be sent on a stream now, and on the connection.
    pub fn send_capacity(&self, stream: StreamKey) -> Option<(u32, u32)> {
        let slot = self.streams.find(stream)?;
        Some((slot.send_window.available(), self.send_window.available()))
    }

    /// The fields of the last header block.
    #[inline]
    pub fn headers(&self) -> Headers<'_> {
        self.headers.view(&self.decoder)
    }

    /// Heap that is held, bytes.
    pub fn heap_bytes(&self) -> usize {
        self.streams.capacity_bytes()
            + self.headers.capacity_bytes()
            + self.decoder.table_bytes()
            + self.encoder.table_bytes()
            + self.inbound.capacity_bytes()
            + self.outbound.capacity_bytes()
            + self.local.capacity_bytes()
            + self.control_payload.capacity()
            + self.early_priorities.capacity() * size_of::<(StreamId, Priority)>()
            + self.pending_resets.capacity() * size_of::<PendingReset>()
    }

    /// Asserts what all owners keep true.
    pub fn check(&self) {
        if !cfg!(debug_assertions) {
            return;
        }
        self.streams.check();
        self.local.check();
        self.timers.check();
        self.rate_limiter.check();
        self.outbound.check();
        self.receive_window.check();
        if self.error.is_none() {
            let held: u32 = self.streams.iter().map(|(_, slot)| slot.receive_window.held()).sum();
            debug_assert_eq!(
                held + self.unreleased_after_close,
                self.receive_window.held(),
                "unreleased bytes do not add up"
            );
        } else {
            debug_assert_eq!(self.streams.live(), 0);
        }
    }
}

/// A client that cancels four of five calls is still one that uses the service.
const RESETS_PER_COMPLETED_STREAM: u32 = 4;
/// RFC 9113 §6.9.2
const CONNECTION_WINDOW_INITIAL: u32 = 65_535;
/// Preface, SETTINGS, WINDOW_UPDATE and the acknowledgement of SETTINGS fit into so many bytes.
const OUTPUT_BYTES_INITIAL: usize = 128;
/// RFC 9113 §6.5.2
const TABLE_BYTES_INITIAL: u32 = 4096;
