//! Routes between the owners of a connection's state. Both roles share this one concrete type; the
//! public `Connection` is a thin shell over it.
//!
//! Invariants: after a connection error there is exactly one GOAWAY with its code, every later call
//! returns the same error, and the output only drains.

use crate::config::{Config, Limits, Timeouts};
use crate::early_priorities::EarlyPriorities;
use crate::endpoint_settings::EndpointSettings;
use crate::error::{CloseCause, ConnectionError, ErrorCode, Limit, StreamError, Timeout};
use crate::event::ResetCause;
use crate::field_codec::FieldCodec;
use crate::frame::SettingId;
use crate::headers::Headers;
use crate::inbound::Inbound;
use crate::lifecycle::Lifecycle;
use crate::outbound::Outbound;
use crate::pending_events::{PendingEvents, PendingReset};
use crate::pings::Pings;
use crate::rate_limit::{Cost, Exhausted, RateLimiter};
use crate::settings::Settings;
use crate::shutdown::ShutdownPhase;
use crate::silly_window::Avoidance;
use crate::snapshot::SendCapacity;
use crate::stats::{CloseReport, Counters};
use crate::stream_id::{StreamId, StreamKey};
use crate::streams::id_table::{CloseReason, StreamStatus};
use crate::streams::state::HalfState;
use crate::streams::{Side, Streams};
use crate::timers::Timers;
use crate::violation::{Scope, Violation};
use crate::windows::ConnectionWindows;

/// The owners of a connection's state. Each has its rules in its own module.
#[derive(Debug)]
pub(super) struct Inner {
    pub(super) limits: Limits,
    pub(super) lifecycle: Lifecycle,
    pub(super) settings: EndpointSettings,
    pub(super) inbound: Inbound,
    pub(super) outbound: Outbound,
    pub(super) codec: FieldCodec,
    pub(super) streams: Streams,
    pub(super) early_priorities: EarlyPriorities,
    pub(super) windows: ConnectionWindows,
    pub(super) avoidance: Avoidance,
    pub(super) pings: Pings,
    pub(super) timers: Timers,
    pub(super) rate_limiter: RateLimiter,
    pub(super) pending: PendingEvents,
    pub(super) counters: Counters,
}

/// The connection has failed; `Inner::lifecycle` has the error. Inside the core an error is one
/// bit, so that results stay small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ConnectionFailed;

impl Inner {
    /// Starts a connection; the first bytes are in the output.
    pub(super) fn new(config: &Config, is_client: bool) -> Self {
        let settings = Settings::from_config(config, is_client);
        let mut timeouts = config.timeouts;
        if is_client {
            timeouts.idle = timeouts.client_idle;
        }
        let mut inner = Self {
            limits: Limits::from(config),
            lifecycle: Lifecycle::default(),
            settings: EndpointSettings::new(settings),
            inbound: Inbound::new(!is_client),
            outbound: Outbound::with_capacity(OUTPUT_BYTES_INITIAL),
            codec: FieldCodec::new(config.encoder_table_bytes_max, config.hash_seed),
            streams: Streams::new(is_client, config.closed_streams_max),
            early_priorities: EarlyPriorities::new(),
            windows: ConnectionWindows::new(),
            avoidance: Avoidance::new(config.timeouts != Timeouts::OFF, config.timeouts.stall),
            pings: Pings::default(),
            timers: Timers::new(&timeouts),
            rate_limiter: RateLimiter::new(&config.rate_limits),
            pending: PendingEvents::default(),
            counters: Counters::default(),
        };
        inner.send_preface(&settings, config.connection_window_bytes);
        inner.update_full_frame();
        if is_client {
            // A server may wait for the client's preface before it sends its own.
            inner.expect_preface_after_transmit();
        }
        inner
    }

    /// Starts the time for the peer's preface when the output is handed out: the peer may wait for
    /// that.
    pub(super) fn expect_preface_after_transmit(&mut self) {
        self.timers.disarm(Timeout::Preface);
        self.timers.arm_after_transmit(Timeout::Preface);
    }

    /// RFC 9113 §3.4: the preface, then SETTINGS. The connection's window has no setting, so
    /// WINDOW_UPDATE widens it.
    pub(super) fn send_preface(&mut self, settings: &Settings, connection_window_bytes: u32) {
        if self.is_client() {
            self.outbound.preface();
        }
        let changes = settings.changes_from(&Settings::default());
        // RFC 9113 §6.5.2: a server must not send SETTINGS_ENABLE_PUSH as 1; that is the initial
        // value.
        debug_assert!(self.is_client() || !changes.iter().any(|(id, _)| *id == SettingId::ENABLE_PUSH));
        self.outbound.settings(changes.into_iter());
        if let Some(increment) = self.windows.widen_receive(connection_window_bytes) {
            self.outbound.window_update(StreamId::CONNECTION, increment);
        }
    }

    /// Whether our side is the client.
    #[inline]
    pub(super) const fn is_client(&self) -> bool {
        self.streams.local_is_client()
    }

    /// Returns the connection's error as one, if it has one.
    #[inline]
    pub(super) fn ensure_open(&self) -> Result<(), ConnectionError> {
        self.lifecycle.ensure_open()
    }

    /// Returns the error behind [`ConnectionFailed`].
    #[cold]
    pub(super) fn connection_error(&self) -> ConnectionError {
        let unknown = ConnectionError::new(CloseCause::Closed, ErrorCode::INTERNAL_ERROR);
        self.lifecycle.error().unwrap_or(unknown)
    }

    /// Ends the connection for an error: sends the GOAWAY that reports it. Called once.
    #[cold]
    pub(super) fn fail(&mut self, error: ConnectionError) -> ConnectionFailed {
        let debug = match error.cause() {
            CloseCause::Violation(_) | CloseCause::Limit(_) | CloseCause::Timeout(_) => {
                alloc::format!("{error}")
            }
            CloseCause::Closed | CloseCause::Eof | CloseCause::GoAway => alloc::string::String::new(),
        };
        self.terminate(error, debug.as_bytes());
        ConnectionFailed
    }

    /// Ends the connection for an error, with debug data of the caller's.
    pub(super) fn terminate(&mut self, error: ConnectionError, debug: &[u8]) {
        let (last, live_streams) = (self.streams.last(Side::Remote), self.streams.live());
        let (last, code) = self.lifecycle.terminate(error, last, live_streams);
        self.outbound.goaway(last, code, debug);
        self.streams.close_all();
        self.inbound.stop();
        self.pending.clear_resets();
        self.timers.disarm_all();
    }

    /// Ends the connection for a rule that the peer broke.
    #[cold]
    pub(super) fn fail_violation(&mut self, violation: Violation, stream: StreamId) -> ConnectionFailed {
        self.fail(ConnectionError::violation(violation, stream))
    }

    /// Ends the connection for a limit that the peer exceeded.
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

    /// Charges work to the peer. An exhausted rate limit ends the connection.
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

    /// Handles a rule that the peer broke on a stream, live or not.
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

    /// Resets a stream for an error of the peer, and charges the reset.
    #[cold]
    pub(super) fn handle_stream_error(
        &mut self,
        id: StreamId,
        error: StreamError,
    ) -> Result<(), ConnectionFailed> {
        let code = error.code();
        match self.streams.stream_key(id) {
            Some(stream) => self.reset_stream(stream, code, ResetCause::Local(error)),
            // RFC 9113 §5.4, §5.4.2: only the first error of a stream counts, and it has one
            // RST_STREAM.
            None if self.streams.status(id) == StreamStatus::Closed(CloseReason::ResetLocal) => {}
            None => {
                self.streams.mark_reset(id);
                self.counters.resets_sent += 1;
                self.outbound.reset(id, code);
            }
        }
        self.charge(Cost::Reset, id)
    }

    /// Resets a live stream. An event reports it later, if the caller knows the stream.
    pub(super) fn reset_stream(&mut self, stream: StreamKey, code: ErrorCode, by: ResetCause) {
        let reported = self.streams.find(stream).is_some_and(|slot| slot.reported);
        self.outbound.reset(stream.id(), code);
        self.counters.resets_sent += 1;
        self.abort_stream(stream, CloseReason::ResetLocal);
        if reported {
            self.pending.push_reset(PendingReset { stream, code, by });
        }
    }

    /// Removes a stream that was reset, and credits the content that the caller holds of it to the
    /// peer.
    pub(super) fn abort_stream(&mut self, stream: StreamKey, reason: CloseReason) {
        let Some(closed) = self.streams.close(stream, reason) else { return };
        if reason == CloseReason::ResetLocal && closed.remote != HalfState::Closed {
            self.rate_limiter.credit_late_blocks();
        }
        if closed.unreleased > 0 {
            self.release_connection_window(closed.unreleased);
        }
        self.after_stream_close();
    }

    /// Removes a stream whose halves are both closed. The content that the caller holds of it stays
    /// in the window.
    pub(super) fn complete_stream(&mut self, stream: StreamKey) {
        let Some(closed) = self.streams.close(stream, CloseReason::Completed) else { return };
        self.windows.keep_after_close(closed.unreleased);
        self.counters.streams_completed += 1;
        self.rate_limiter.credit(Cost::Reset, RESETS_PER_COMPLETED_STREAM);
        self.after_stream_close();
    }

    /// Acts on what the end of a stream makes possible.
    #[inline]
    pub(super) fn after_stream_close(&mut self) {
        self.offer_stream();
        if self.streams.live() == 0 {
            if self.lifecycle.shutdown().remote_last().is_some() {
                self.send_final_goaway();
            }
            self.timers.arm(Timeout::Idle);
        }
    }

    /// Adds the event that reports that a stream may be opened, if the caller waits for it.
    #[inline]
    pub(super) fn offer_stream(&mut self) {
        if self.pending.is_stream_requested() && self.can_open_stream() {
            self.pending.push_stream_available();
        }
    }

    /// Whether the peer's limit allows one more stream of ours.
    pub(super) fn can_open_stream(&self) -> bool {
        self.streams.active(Side::Local) < self.settings.remote().max_concurrent_streams
    }

    /// Sends the final GOAWAY of a shutdown, once.
    pub(super) fn send_final_goaway(&mut self) {
        let last = self.streams.last(Side::Remote);
        if self.lifecycle.shutdown_mut().finish(last) {
            self.outbound.goaway(last, ErrorCode::NO_ERROR, &[]);
            // The connection has ended in order: no acknowledgement is awaited.
            if self.streams.live() == 0 {
                self.timers.disarm(Timeout::Ping);
            }
        }
    }

    /// Credits bytes to the connection's receive window.
    #[inline]
    pub(super) fn release_connection_window(&mut self, bytes: u32) {
        // The application no longer holds these bytes, nor the small frames that carried them.
        self.rate_limiter.credit(Cost::SmallData, bytes);
        if let Some(increment) = self.windows.release(bytes) {
            self.outbound.window_update(StreamId::CONNECTION, increment);
        }
    }

    /// Releases bytes of a stream that the application has consumed.
    pub(super) fn release(&mut self, stream: StreamKey, bytes: usize) {
        if self.lifecycle.has_error() {
            return;
        }
        self.credit(stream, u32::try_from(bytes).unwrap_or(u32::MAX));
    }

    /// Credits received bytes of a stream to the connection's window alone.
    pub(super) fn discard(&mut self, stream: StreamKey, bytes: usize) {
        if self.lifecycle.has_error() {
            return;
        }
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let discarded = match self.streams.find_mut(stream) {
            Some(slot) => slot.receive.window.discard(bytes),
            None => self.windows.take_after_close(bytes),
        };
        self.release_connection_window(discarded);
    }

    /// Credits received bytes of a stream, on a connection without error.
    pub(super) fn credit(&mut self, stream: StreamKey, bytes: u32) {
        let Some(slot) = self.streams.find_mut(stream) else {
            let released = self.windows.take_after_close(bytes);
            return self.release_connection_window(released);
        };
        let released = slot.receive.window.release(bytes);
        // Most calls leave too little for an update, which is seen before the state is looked at.
        if slot.receive.window.wants_update()
            && slot.state.remote() != HalfState::Closed
            && let Some(increment) = slot.receive.window.take_update()
        {
            slot.receive.content_timer.restart();
            self.outbound.window_update(stream.id(), increment);
        }
        self.release_connection_window(released);
    }

    /// Whether no more output will follow.
    pub(super) fn is_finished(&self) -> bool {
        self.outbound.is_empty() && (self.lifecycle.has_error() || self.is_drained())
    }

    /// Whether the connection has ended in order: the final GOAWAY was sent and every stream has
    /// ended.
    pub(super) fn is_drained(&self) -> bool {
        let has_sent_final_goaway = matches!(self.lifecycle.shutdown().phase(), ShutdownPhase::Final(_));
        has_sent_final_goaway && self.streams.live() == 0 && !self.pending.has_resets()
    }

    /// Whether the caller should read from the transport.
    pub(super) fn wants_read(&self) -> bool {
        let output_bytes_max = self.limits.output_bytes_max as usize;
        // Spliced payloads do not count: otherwise two peers that write to each other would both
        // wait to be read.
        !self.lifecycle.has_error() && !self.lifecycle.is_eof() && self.outbound.own_len() <= output_bytes_max
    }

    /// Returns the state of the connection, or how it ended.
    pub(super) fn report(&self) -> CloseReport {
        let lifecycle = &self.lifecycle;
        let live_streams = match lifecycle.error() {
            Some(_) => lifecycle.live_streams_at_error(),
            None => self.streams.live(),
        };
        let counters = Counters { bytes_sent: self.outbound.total(), ..self.counters };
        CloseReport {
            error: lifecycle.error(),
            remote_code: lifecycle.remote_code(),
            ended_without_goaway: lifecycle.ended_without_goaway(),
            last_frame: self.inbound.last_frame(),
            live_streams,
            retry_above: lifecycle.shutdown().remote_last(),
            counters,
        }
    }

    /// Returns the number of live streams, reserved ones included.
    pub(super) fn live_streams(&self) -> u32 {
        self.streams.live()
    }

    /// Returns the peer's settings.
    pub(super) fn remote_settings(&self) -> &Settings {
        self.settings.remote()
    }

    /// Returns our settings, as far as they bind the peer.
    pub(super) fn local_settings(&self) -> &Settings {
        self.settings.local.in_force()
    }

    /// Returns what flow control allows a stream to send now.
    pub(super) fn send_capacity(&self, stream: StreamKey) -> Option<SendCapacity> {
        let stream = self.streams.find(stream)?.send.window.available();
        Some(SendCapacity { stream, connection: self.windows.send_window().available() })
    }

    /// Returns the fields of the last field block.
    #[inline]
    pub(super) fn headers(&self) -> Headers<'_> {
        self.codec.headers()
    }

    /// Returns the payload of the control frame that the last event shows.
    pub(super) fn control_payload(&self) -> &[u8] {
        self.pending.payload()
    }

    /// Returns the heap that is held, bytes.
    pub(super) fn heap_bytes(&self) -> usize {
        self.streams.capacity_bytes()
            + self.codec.capacity_bytes()
            + self.inbound.capacity_bytes()
            + self.outbound.capacity_bytes()
            + self.settings.capacity_bytes()
            + self.early_priorities.capacity_bytes()
            + self.pending.capacity_bytes()
    }

    /// Asserts the invariants of all owners.
    pub(super) fn check(&self) {
        if !cfg!(debug_assertions) {
            return;
        }
        self.streams.check();
        self.settings.check();
        self.timers.check();
        self.rate_limiter.check();
        self.outbound.check();
        self.early_priorities.check();
        self.pings.check();
        if self.lifecycle.has_error() {
            debug_assert_eq!(self.streams.live(), 0);
        } else {
            self.windows.check(self.streams.iter().map(|(_, slot)| slot.receive.window.held()).sum());
        }
    }
}

/// A client that cancels four of five requests still uses the service.
const RESETS_PER_COMPLETED_STREAM: u32 = 4;
/// Initial capacity of the output, bytes: the preface, SETTINGS, WINDOW_UPDATE and the
/// acknowledgement of SETTINGS fit.
const OUTPUT_BYTES_INITIAL: usize = 128;
