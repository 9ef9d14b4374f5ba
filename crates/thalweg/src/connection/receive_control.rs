//! Control frames on their way in: SETTINGS, PING, GOAWAY, WINDOW_UPDATE, and the extensions.

use crate::error::{CloseCause, ConnectionError, ErrorCode, StreamError, Timeout};
use crate::event::ResetCause;
use crate::frame::{Flags, FrameHeader, OriginEntries, SettingEntries, SettingId, parse};
use crate::priority::Priority;
use crate::rate_limit::Cost;
use crate::settings::Settings;
use crate::shutdown::ShutdownPhase;
use crate::silly_window;
use crate::stream_id::{StreamId, StreamKey};
use crate::streams::id_table::StreamStatus;
use crate::streams::state::{HalfState, State};
use crate::streams::{Blocked, Side, Slot};
use crate::violation::Violation;

use super::inner::{ConnectionFailed, Inner, StreamAvailability};
use super::receive::{ControlPayload, RawEvent};

type EventResult<'b> = Result<Option<RawEvent<'b>>, ConnectionFailed>;

impl Inner {
    /// RFC 9113 §6.5
    pub(super) fn receive_settings<'b>(&mut self, flags: Flags, payload: &[u8]) -> EventResult<'b> {
        if flags.contains(Flags::ACK) {
            return self.receive_settings_ack();
        }
        self.charge(Cost::Settings, StreamId::CONNECTION)?;
        let entries = SettingEntries::new(payload);
        let before = self.remote;
        let mut settings = before;
        for (id, value) in entries {
            if let Err(violation) = settings.apply(id, value, self.is_client) {
                let error = ConnectionError::violation(violation, StreamId::CONNECTION);
                return Err(self.fail(error.with_values(u64::from(value), 0)));
            }
            if id == SettingId::HEADER_TABLE_SIZE {
                // Each value counts, since the smallest must be announced (RFC 7541 §4.2).
                self.encoder.set_peer_table_bytes_max(value);
            }
        }
        let changed_priorities = settings.no_rfc7540_priorities != before.no_rfc7540_priorities;
        if self.remote_settings_seen && changed_priorities {
            return Err(self.fail_violation(Violation::SettingsNoRfc7540Priorities, StreamId::CONNECTION));
        }
        self.remote = settings;
        self.adjust_send_windows(&before, &settings)?;
        if !self.remote_settings_seen {
            self.remote_settings_seen = true;
            self.timers.disarm(Timeout::Preface);
        }
        if self.stream_available == StreamAvailability::Requested && self.can_open_stream() {
            self.stream_available = StreamAvailability::Due;
        }
        self.outbound.settings_ack();
        self.store_control_payload(payload);
        Ok(Some(RawEvent::Control(ControlPayload::Settings)))
    }

    /// RFC 9113 §6.9.2: a new initial window moves the window of every stream, below zero if need be.
    fn adjust_send_windows(&mut self, before: &Settings, after: &Settings) -> Result<(), ConnectionFailed> {
        let change = i64::from(after.initial_window_size) - i64::from(before.initial_window_size);
        if change == 0 && before.max_frame_size == after.max_frame_size {
            return Ok(());
        }
        let now = self.timers.now();
        let overflowed_window = self.streams.iter_mut().find_map(|(stream, slot)| {
            let was_open = slot.send_window.available() > 0;
            if slot.send_window.shift(change).is_none() {
                return Some(stream.id());
            }
            if !was_open {
                slot.opened_at = now;
            }
            None
        });
        if let Some(id) = overflowed_window {
            return Err(self.fail_violation(Violation::SettingsWindowOverflow, id));
        }
        if !self.judge_full_frame() {
            self.streams.requeue();
        }
        if self.streams.any_waits_short() {
            self.avoidance.watch();
        }
        Ok(())
    }

    /// Finds out anew how short a frame the connection's window may make, after the peer's frame size, the connection's window or
    /// the hope for more window has changed. Returns whether that moved the list of ready streams.
    pub(super) fn judge_full_frame(&mut self) -> bool {
        let full_frame = match self.avoidance.is_on() {
            true => silly_window::full_frame(self.remote.max_frame_size, self.send_window.size()),
            false => 1,
        };
        let changed = self.streams.set_full_frame(full_frame);
        if changed {
            self.streams.requeue();
        }
        changed
    }

    fn receive_settings_ack<'b>(&mut self) -> EventResult<'b> {
        let (before, after) = match self.local.acknowledge() {
            Ok(settings) => settings,
            Err(violation) => return Err(self.fail_violation(violation, StreamId::CONNECTION)),
        };
        self.decoder.set_table_bytes_max(after.header_table_size);
        let change = i64::from(after.initial_window_size) - i64::from(before.initial_window_size);
        if change != 0 {
            for (stream, slot) in self.streams.iter_mut() {
                slot.receive_window.shift(change);
                // Credit that was too little to announce may be all that a smaller window leaves.
                if slot.state.remote() != HalfState::Closed
                    && let Some(increment) = slot.receive_window.take_update()
                {
                    self.outbound.window_update(stream.id(), increment);
                }
            }
        }
        if self.local.has_unacknowledged() {
            self.timers.arm(Timeout::SettingsAck);
        } else {
            self.timers.disarm(Timeout::SettingsAck);
        }
        Ok(Some(RawEvent::SettingsAcknowledged))
    }

    /// RFC 9113 §6.7
    pub(super) fn receive_ping<'b>(&mut self, flags: Flags, payload: &[u8]) -> EventResult<'b> {
        let Some(&payload) = payload.first_chunk::<8>() else {
            return Err(self.fail_violation(Violation::PingLength, StreamId::CONNECTION));
        };
        if !flags.contains(Flags::ACK) {
            self.charge(Cost::Ping, StreamId::CONNECTION)?;
            self.outbound.ping(true, payload);
            return Ok(None);
        }
        // Each PING of the caller pays for its answer; any other answer costs as much as a PING.
        let is_callers = payload != KEEP_ALIVE_PING && payload != SHUTDOWN_PING;
        if !is_callers || self.pings_in_flight == 0 {
            self.charge(Cost::Ping, StreamId::CONNECTION)?;
        }
        match payload {
            KEEP_ALIVE_PING => self.timers.disarm(Timeout::Ping),
            SHUTDOWN_PING => {
                self.timers.disarm(Timeout::Ping);
                if self.shutdown.phase() == ShutdownPhase::Announced {
                    self.send_final_goaway();
                }
            }
            // An answer to no PING of ours means nothing.
            _ if self.pings_in_flight == 0 => {}
            _ => {
                self.pings_in_flight -= 1;
                return Ok(Some(RawEvent::Pong { payload }));
            }
        }
        Ok(None)
    }

    /// RFC 9113 §6.8
    pub(super) fn receive_goaway<'b>(&mut self, payload: &[u8]) -> EventResult<'b> {
        let (last, code, debug) = match parse::goaway(payload) {
            Ok(parts) => parts,
            Err(violation) => return Err(self.fail_violation(violation, StreamId::CONNECTION)),
        };
        let earlier = self.shutdown.remote_last();
        if let Err(violation) = self.shutdown.receive(last) {
            return Err(self.fail_violation(violation, last));
        }
        self.remote_code = Some(code);
        // None of our streams was opened since the peer's first GOAWAY.
        if earlier != Some(last) {
            self.goaway_scan_from = Some(0);
        }
        self.timers.arm_if_unarmed(Timeout::Shutdown);
        if self.streams.live() == 0 {
            self.send_final_goaway();
        }
        self.store_control_payload(debug);
        Ok(Some(RawEvent::Control(ControlPayload::GoAway { last_stream: last, code })))
    }

    /// RFC 9113 §6.9
    pub(super) fn receive_window_update<'b>(&mut self, id: StreamId, payload: &[u8]) -> EventResult<'b> {
        let increment = match parse::window_increment(payload) {
            Ok(increment) => increment,
            Err(violation) => return Err(self.fail_violation(violation, id)),
        };
        if id.is_connection() {
            if increment == 0 {
                return Err(self.fail_violation(Violation::WindowUpdateZeroOnConnection, id));
            }
            if self.send_window.available() == 0 {
                self.window_opened_at = self.timers.now();
            }
            let Some(excess) = self.send_window.add(increment) else {
                let error = ConnectionError::violation(Violation::WindowOverflowOnConnection, id);
                return Err(self.fail(error.with_values(self.overflowed_window(None, increment), WINDOW_MAX)));
            };
            if excess > 0 {
                self.judge_full_frame();
            }
            self.avoidance.credited();
            self.watch_connection_window();
            return self.charge_increment(id, increment, excess).map(|()| None);
        }
        let stream = match self.streams.status(id) {
            StreamStatus::Live(slot) => StreamKey::from_parts(id, slot),
            StreamStatus::Idle => return Err(self.fail_violation(Violation::StreamIdle, id)),
            // RFC 9113 §6.9: it may come after the stream has ended.
            _ => {
                let excess = self.streams.take_credit_after_close(increment);
                return self.charge_increment(id, increment, excess).map(|()| None);
            }
        };
        if increment == 0 {
            self.charge(Cost::WindowUpdate, id)?;
            return self.handle_stream_violation(id, Violation::WindowUpdateZero).map(|()| None);
        }
        let Some(slot) = self.streams.find_mut(stream) else { return Ok(None) };
        // RFC 9113 §5.1: the server has nothing to receive on a stream that it promised.
        if slot.state == State::ReservedRemote {
            return Err(self.fail_violation(Violation::StreamReserved, id));
        }
        if slot.send_window.available() == 0 {
            slot.opened_at = self.timers.now();
        }
        let Some(excess) = slot.send_window.add(increment) else {
            return self.handle_stream_violation(id, Violation::WindowOverflow).map(|()| None);
        };
        self.streams.enqueue_if_sendable(stream);
        self.avoidance.credited();
        if self.streams.waits_short(stream) {
            self.avoidance.watch();
        }
        self.charge_increment(id, increment, excess).map(|()| None)
    }

    /// Charges a small WINDOW_UPDATE, unless it credits bytes that were sent: those bytes have paid for it.
    #[inline]
    fn charge_increment(
        &mut self,
        id: StreamId,
        increment: u32,
        excess: u32,
    ) -> Result<(), ConnectionFailed> {
        if increment < SMALL_INCREMENT_BYTES && (excess > 0 || increment == 0) {
            return self.charge(Cost::WindowUpdate, id);
        }
        Ok(())
    }

    fn overflowed_window(&self, stream: Option<StreamKey>, increment: u32) -> u64 {
        let window =
            stream.and_then(|stream| self.streams.find(stream)).map_or(self.send_window, |s| s.send_window);
        (window.as_i64() + i64::from(increment)).max(0) as u64
    }

    /// RFC 9218 §7.1
    pub(super) fn receive_priority_update<'b>(&mut self, payload: &[u8]) -> EventResult<'b> {
        let (id, value) = match parse::priority_update(payload) {
            Ok(parts) => parts,
            Err(violation) => return Err(self.fail_violation(violation, StreamId::CONNECTION)),
        };
        if self.is_client {
            return Err(self.fail_violation(Violation::PriorityUpdateFromServer, id));
        }
        self.charge(Cost::Priority, id)?;
        let idle = !id.is_connection() && self.streams.status(id) == StreamStatus::Idle;
        if id.is_connection() || (idle && self.streams.side(id) == Side::Local) {
            return Err(self.fail_violation(Violation::PriorityUpdateIdInvalid, id));
        }
        let priority = Priority::parse(value);
        if idle {
            return self.store_early_priority(id, priority).map(|()| None);
        }
        let Some(stream) = self.streams.stream_key(id) else { return Ok(None) };
        self.streams.set_priority(stream, priority);
        Ok(Some(RawEvent::Priority { stream, priority }))
    }

    /// RFC 9218 §7.1: priorities may come before their requests, for as many streams as may still be opened.
    fn store_early_priority(&mut self, id: StreamId, priority: Priority) -> Result<(), ConnectionFailed> {
        self.drop_early_priorities(self.streams.last(Side::Remote));
        let early = &mut self.early_priorities;
        let index = match early.binary_search_by_key(&id, |(id, _)| *id) {
            Ok(index) => {
                early[index].1 = priority;
                return Ok(());
            }
            Err(index) => index,
        };
        let streams = self.streams.active(Side::Remote) as usize + early.len() + 1;
        let limit = self.local.in_force().max_concurrent_streams;
        if streams > limit as usize {
            let error = ConnectionError::violation(Violation::PriorityUpdateTooMany, id);
            return Err(self.fail(error.with_values(streams as u64, limit.into())));
        }
        // Until the limit is acknowledged it binds our memory and not the peer.
        if early.len() < self.limits.concurrent_streams_max as usize {
            early.insert(index, (id, priority));
        }
        Ok(())
    }

    /// Drops the early priorities of streams up to `last`, which are idle no more.
    pub(super) fn drop_early_priorities(&mut self, last: StreamId) {
        while self.early_priorities.front().is_some_and(|(early, _)| *early <= last) {
            self.early_priorities.pop_front();
        }
    }

    /// RFC 8336 §2.1, §2.2: on the connection, over TLS, from a server, without a flag that could mean something; anything else
    /// is ignored.
    pub(super) fn receive_origin<'b>(&mut self, header: FrameHeader, payload: &[u8]) -> Option<RawEvent<'b>> {
        let FrameHeader { flags: Flags(flags), stream, .. } = header;
        if !self.is_client
            || !self.limits.over_tls
            || !stream.is_connection()
            || flags & ORIGIN_FLAGS_CRITICAL != 0
        {
            return None;
        }
        self.store_control_payload(OriginEntries::new(payload).as_bytes());
        Some(RawEvent::Control(ControlPayload::Origin))
    }

    /// RFC 7838 §4: with an origin on the connection, without on a stream; anything else is ignored.
    pub(super) fn receive_alt_svc<'b>(&mut self, id: StreamId, payload: &[u8]) -> Option<RawEvent<'b>> {
        let (origin, value) = parse::alt_svc(payload)?;
        let live = id.is_connection() || self.streams.stream_key(id).is_some();
        if !self.is_client || !live || origin.is_empty() == id.is_connection() {
            return None;
        }
        let origin_len = origin.len();
        self.control_payload.clear();
        self.control_payload.extend_from_slice(origin);
        self.control_payload.extend_from_slice(value);
        Some(RawEvent::Control(ControlPayload::AltSvc { stream: id, origin_len }))
    }

    /// The byte stream has ended. Says the last word, and whether the end was in order.
    pub fn handle_eof(&mut self) -> Result<(), ConnectionFailed> {
        if self.error.is_some() {
            return Err(ConnectionFailed);
        }
        if self.eof {
            return Ok(());
        }
        // RFC 9113 §5.4.1: a peer that found an error says so and ends; its streams get neither window nor an ear any more.
        if let Some(code) = self.remote_code.filter(|code| *code != ErrorCode::NO_ERROR) {
            return Err(self.fail(ConnectionError::new(CloseCause::GoAway, code)));
        }
        self.check_unfinished_preface()?;
        let silent = self.counters.bytes_received == 0;
        let owes_nothing = self.remote_settings_seen && self.inbound.is_between_frames();
        let unfinished = self.streams.iter().any(|(_, slot)| {
            !matches!(slot.state, State::ReservedLocal) && slot.state.remote() != HalfState::Closed
        });
        // A peer that only wanted to hear may end its side while we still answer; then the streams go on.
        if !owes_nothing || unfinished || self.is_client && self.streams.live() > 0 {
            let code = if owes_nothing || silent { ErrorCode::NO_ERROR } else { ErrorCode::PROTOCOL_ERROR };
            return Err(self.fail(ConnectionError::new(CloseCause::Eof, code)));
        }
        self.eof = true;
        self.ended_without_goaway =
            self.remote_code.is_none() && self.shutdown.phase() == ShutdownPhase::Open;
        self.timers.disarm(Timeout::KeepAlive);
        self.timers.disarm(Timeout::Ping);
        self.timers.arm_if_unarmed(Timeout::Shutdown);
        self.send_final_goaway();
        self.avoidance.turn_off();
        self.judge_full_frame();
        self.reset_blocked();
        Ok(())
    }

    /// After the end of the peer's byte stream no window comes any more: what waits for it would wait for ever.
    #[cold]
    pub(super) fn reset_blocked(&mut self) {
        let connection_blocked = self.send_window.available() == 0;
        let is_blocked = |_: StreamId, slot: &Slot| {
            slot.blocked != Blocked::No && (connection_blocked || slot.send_window.available() == 0)
        };
        let mut from = 0;
        while let Some(stream) = self.streams.find_from(from, is_blocked) {
            from = stream.index() + 1;
            self.reset_stream(stream, ErrorCode::CANCEL, ResetCause::Local(StreamError::Eof));
        }
    }
}

/// Payloads of our own PINGs, told apart from the caller's by values that `send_ping` refuses.
pub const KEEP_ALIVE_PING: [u8; 8] = *b"\0thalive";
/// Sent with the first GOAWAY of a shutdown: its answer tells that the peer has seen it.
pub const SHUTDOWN_PING: [u8; 8] = *b"\0thaldwn";
/// WINDOW_UPDATE below this many bytes is charged if it goes beyond what was sent.
const SMALL_INCREMENT_BYTES: u32 = 256;
/// RFC 8336 §2.1: flags that a later meaning could make essential.
const ORIGIN_FLAGS_CRITICAL: u8 = 0x0f;
const WINDOW_MAX: u64 = (1 << 31) - 1;
