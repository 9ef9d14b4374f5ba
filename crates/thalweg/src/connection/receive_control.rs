//! Receives control frames: SETTINGS, PING, GOAWAY, WINDOW_UPDATE, and the extensions; and the end
//! of input.

use crate::early_priorities::EarlyBounds;
use crate::endpoint_settings::{InvalidSetting, RemoteChange, table_sizes};
use crate::error::{CloseCause, ConnectionError, ErrorCode, StreamError, Timeout};
use crate::event::ResetCause;
use crate::flow::WINDOW_MAX;
use crate::frame::{Flags, FrameHeader, OriginEntries, SettingEntries, parse};
use crate::pings::PingAck;
use crate::priority::Priority;
use crate::rate_limit::Cost;
use crate::shutdown::ShutdownPhase;
use crate::silly_window;
use crate::stream_id::{StreamId, StreamKey};
use crate::streams::Side;
use crate::streams::id_table::StreamStatus;
use crate::streams::slot::{Blocked, Slot};
use crate::streams::state::{HalfState, State};
use crate::violation::Violation;

use super::inner::{ConnectionFailed, Inner};
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
        let change = match self.settings.receive(entries, self.is_client()) {
            Ok(change) => change,
            Err(InvalidSetting { violation, value }) => {
                let error = ConnectionError::violation(violation, StreamId::CONNECTION);
                let error = value.map_or(error, |value| error.with_values(u64::from(value), 0));
                return Err(self.fail(error));
            }
        };
        table_sizes(entries).for_each(|bytes| self.codec.set_encoder_table_bytes_max(bytes));
        self.adjust_send_windows(&change)?;
        if change.is_first {
            self.timers.disarm(Timeout::Preface);
        }
        self.offer_stream();
        self.outbound.settings_ack();
        self.pending.store_payload(payload);
        Ok(Some(RawEvent::Control(ControlPayload::Settings)))
    }

    /// RFC 9113 §6.9.2: a new initial window changes the window of every stream, below zero if need
    /// be.
    fn adjust_send_windows(&mut self, change: &RemoteChange) -> Result<(), ConnectionFailed> {
        let RemoteChange { before, after, .. } = change;
        let change = i64::from(after.initial_window_size) - i64::from(before.initial_window_size);
        if change == 0 && before.max_frame_size == after.max_frame_size {
            return Ok(());
        }
        let (now, connection) = (self.timers.now(), self.connection_credit());
        let overflowed_window = self.streams.iter_mut().find_map(|(stream, slot)| {
            slot.send.shift_window(change, connection, now).is_none().then_some(stream.id())
        });
        if let Some(id) = overflowed_window {
            return Err(self.fail_violation(Violation::SettingsWindowOverflow, id));
        }
        if !self.update_full_frame() {
            self.streams.requeue_all();
            self.watch_streams();
        }
        Ok(())
    }

    /// Starts the timer of short frames if a stream waits because its own window makes its next
    /// frame short.
    fn watch_streams(&mut self) {
        if self.streams.any_waits_short() {
            self.avoidance.watch();
        }
    }

    /// Updates how short a frame the connection's window may make, after the peer's frame size, the
    /// connection's window, or the chance of more window has changed. Returns whether that has
    /// changed the send queue.
    pub(super) fn update_full_frame(&mut self) -> bool {
        let changed = self.streams.set_full_frame(self.full_frame_now());
        if changed {
            self.streams.requeue_all();
            self.watch_streams();
        }
        changed
    }

    /// Returns the length of the longest DATA frame that both the peer and the output take, bytes.
    fn frame_bytes_max(&self) -> u32 {
        self.settings.remote().max_frame_size.min(self.limits.output_bytes_max)
    }

    /// Returns how short a frame the connection's window may make.
    fn full_frame_now(&self) -> u32 {
        match self.avoidance.is_on() {
            true => silly_window::full_frame(self.frame_bytes_max(), self.windows.send_window().reachable()),
            false => 1,
        }
    }

    /// Updates the same after credit, while the peer seems to hold some of the connection's window.
    /// The queue is ordered anew each time that the frame doubles, and not for each credit.
    #[cold]
    fn raise_full_frame(&mut self) {
        let holds_none = self.windows.send_window().in_flight() == self.windows.send_window().uncredited();
        if holds_none || self.full_frame_now() / 2 >= self.streams.full_frame() {
            self.update_full_frame();
        }
    }

    fn receive_settings_ack<'b>(&mut self) -> EventResult<'b> {
        let (before, after) = match self.settings.local.acknowledge() {
            Ok(settings) => settings,
            Err(violation) => return Err(self.fail_violation(violation, StreamId::CONNECTION)),
        };
        self.codec.set_decoder_table_bytes_max(after.header_table_size);
        let change = i64::from(after.initial_window_size) - i64::from(before.initial_window_size);
        if change != 0 {
            for (stream, slot) in self.streams.iter_mut() {
                slot.receive.window.shift(change);
                // Credit that was too small to announce may be all that a smaller window has left.
                if slot.state.remote() != HalfState::Closed
                    && let Some(increment) = slot.receive.window.take_update()
                {
                    self.outbound.window_update(stream.id(), increment);
                }
            }
        }
        if self.settings.local.has_unacknowledged() {
            self.timers.restart_for_next(Timeout::SettingsAck);
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
        let answered = self.pings.receive_ack(payload);
        // The acknowledgement of a PING of the caller is free; any other costs as much as a PING.
        if answered != PingAck::Caller {
            self.charge(Cost::Ping, StreamId::CONNECTION)?;
        }
        match answered {
            PingAck::KeepAlive => self.timers.disarm(Timeout::Ping),
            PingAck::Shutdown => {
                self.timers.disarm(Timeout::Ping);
                if self.lifecycle.shutdown().phase() == ShutdownPhase::Announced {
                    self.send_final_goaway();
                }
            }
            PingAck::Unknown => {}
            PingAck::Caller => return Ok(Some(RawEvent::Pong { payload })),
        }
        Ok(None)
    }

    /// RFC 9113 §6.8
    pub(super) fn receive_goaway<'b>(&mut self, payload: &[u8]) -> EventResult<'b> {
        let (last, code, debug) = match parse::goaway(payload) {
            Ok(parts) => parts,
            Err(violation) => return Err(self.fail_violation(violation, StreamId::CONNECTION)),
        };
        let earlier = self.lifecycle.shutdown().remote_last();
        if let Err(violation) = self.lifecycle.receive_goaway(last, code) {
            return Err(self.fail_violation(violation, last));
        }
        // None of our streams was opened since the peer's first GOAWAY.
        if earlier != Some(last) {
            self.pending.start_goaway_scan();
        }
        self.timers.arm_if_unarmed(Timeout::Shutdown);
        if self.streams.live() == 0 {
            self.send_final_goaway();
        }
        self.pending.store_payload(debug);
        Ok(Some(RawEvent::Control(ControlPayload::GoAway { last_stream: last, code })))
    }

    /// RFC 9113 §6.9
    pub(super) fn receive_window_update<'b>(&mut self, id: StreamId, payload: &[u8]) -> EventResult<'b> {
        let increment = match parse::window_increment(payload) {
            Ok(increment) => increment,
            Err(violation) => return Err(self.fail_violation(violation, id)),
        };
        let excess = if id.is_connection() {
            Some(self.credit_connection(increment)?)
        } else {
            self.credit_stream(id, increment)?
        };
        match excess {
            Some(excess) => self.charge_increment(id, increment, excess).map(|()| None),
            None => Ok(None),
        }
    }

    /// Adds a WINDOW_UPDATE to the connection's window. Returns by how much it exceeds what was
    /// sent.
    #[inline]
    fn credit_connection(&mut self, increment: u32) -> Result<u32, ConnectionFailed> {
        if increment == 0 {
            let violation = Violation::WindowUpdateZeroOnConnection;
            return Err(self.fail_violation(violation, StreamId::CONNECTION));
        }
        let (full_frame, now) = (self.streams.full_frame(), self.timers.now());
        let frame_bytes_max = self.frame_bytes_max();
        let held_some = self.windows.send_window().has_waited_in_vain();
        let excess = match self.windows.credit_send(increment, full_frame, frame_bytes_max, now) {
            Ok(excess) => excess,
            Err(size) => {
                let violation = Violation::WindowOverflowOnConnection;
                let error = ConnectionError::violation(violation, StreamId::CONNECTION);
                return Err(self.fail(error.with_values(size, u64::from(WINDOW_MAX))));
            }
        };
        if excess > 0 {
            self.update_full_frame();
        } else if held_some {
            self.raise_full_frame();
        }
        self.avoidance.credited();
        self.watch_connection_window();
        Ok(excess)
    }

    /// Adds a WINDOW_UPDATE to a stream's window. Returns by how much it exceeds what was sent;
    /// `None` after a stream error.
    #[inline]
    fn credit_stream(&mut self, id: StreamId, increment: u32) -> Result<Option<u32>, ConnectionFailed> {
        let stream = match self.streams.status(id) {
            StreamStatus::Live(slot) => StreamKey::from_parts(id, slot),
            StreamStatus::Idle => return Err(self.fail_violation(Violation::StreamIdle, id)),
            // RFC 9113 §6.9: the peer may send it after the stream has ended.
            _ => return Ok(Some(self.streams.take_credit_after_close(increment))),
        };
        if increment == 0 {
            self.charge(Cost::WindowUpdate, id)?;
            return self.handle_stream_violation(id, Violation::WindowUpdateZero).map(|()| None);
        }
        let full_frame = self.streams.full_frame();
        let frame_bytes_max = self.frame_bytes_max();
        let Some(slot) = self.streams.find_mut(stream) else { return Ok(None) };
        // RFC 9113 §5.1: a server receives nothing on a stream that it promised.
        if slot.state == State::ReservedRemote {
            return Err(self.fail_violation(Violation::StreamReserved, id));
        }
        let now = self.timers.now();
        let Some(excess) = slot.send.credit(increment, full_frame, frame_bytes_max, now) else {
            return self.handle_stream_violation(id, Violation::WindowOverflow).map(|()| None);
        };
        self.streams.enqueue_if_sendable(stream);
        self.avoidance.credited();
        if self.streams.waits_short(stream) {
            self.avoidance.watch();
        }
        Ok(Some(excess))
    }

    /// Charges a small WINDOW_UPDATE, unless it credits bytes that were sent.
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

    /// RFC 9218 §7.1
    pub(super) fn receive_priority_update<'b>(&mut self, payload: &[u8]) -> EventResult<'b> {
        let (id, value) = match parse::priority_update(payload) {
            Ok(parts) => parts,
            Err(violation) => return Err(self.fail_violation(violation, StreamId::CONNECTION)),
        };
        if self.is_client() {
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

    /// RFC 9218 §7.1: priorities may precede their requests, for as many streams as may still be
    /// opened.
    fn store_early_priority(&mut self, id: StreamId, priority: Priority) -> Result<(), ConnectionFailed> {
        let acknowledged_max = self.settings.local.in_force().max_concurrent_streams;
        let bounds = EarlyBounds {
            active: self.streams.active(Side::Remote),
            acknowledged_max,
            announced_max: self.limits.concurrent_streams_max,
        };
        self.early_priorities.drop_up_to(self.streams.last(Side::Remote));
        match self.early_priorities.store(id, priority, bounds) {
            Ok(()) => Ok(()),
            Err(streams) => {
                let error = ConnectionError::violation(Violation::PriorityUpdateTooMany, id);
                Err(self.fail(error.with_values(streams, acknowledged_max.into())))
            }
        }
    }

    /// RFC 8336 §2.1, §2.2: accepted on the connection, over TLS, from a server, without critical
    /// flags; ignored otherwise.
    pub(super) fn receive_origin<'b>(&mut self, header: FrameHeader, payload: &[u8]) -> Option<RawEvent<'b>> {
        let FrameHeader { flags: Flags(flags), stream, .. } = header;
        if !self.is_client()
            || !self.limits.over_tls
            || !stream.is_connection()
            || flags & ORIGIN_FLAGS_CRITICAL != 0
        {
            return None;
        }
        self.pending.store_payload(OriginEntries::new(payload).as_bytes());
        Some(RawEvent::Control(ControlPayload::Origin))
    }

    /// RFC 7838 §4: accepted with an origin on the connection, or without one on a stream; ignored
    /// otherwise.
    pub(super) fn receive_alt_svc<'b>(&mut self, id: StreamId, payload: &[u8]) -> Option<RawEvent<'b>> {
        let (origin, value) = parse::alt_svc(payload)?;
        let live = id.is_connection() || self.streams.stream_key(id).is_some();
        if !self.is_client() || !live || origin.is_empty() == id.is_connection() {
            return None;
        }
        let origin_len = origin.len();
        self.pending.store_payload_parts(origin, value);
        Some(RawEvent::Control(ControlPayload::AltSvc { stream: id, origin_len }))
    }

    /// Handles the end of the byte stream: sends the final GOAWAY, and returns an error if input
    /// was incomplete.
    pub(super) fn handle_eof(&mut self) -> Result<(), ConnectionFailed> {
        if self.lifecycle.has_error() {
            return Err(ConnectionFailed);
        }
        if self.lifecycle.is_eof() {
            return Ok(());
        }
        // RFC 9113 §5.4.1: a peer that found an error reports it and closes. Its streams get no
        // more window, and it reads no more of them.
        if let Some(error) = self.lifecycle.remote_error() {
            return Err(self.fail(error));
        }
        self.check_unfinished_preface()?;
        if self.is_client() && self.counters.bytes_received == 0 {
            return Err(self.fail(ConnectionError::without_preface()));
        }
        let silent = self.counters.bytes_received == 0;
        let owes_nothing = self.settings.is_remote_received() && self.inbound.is_between_frames();
        let unfinished = self.streams.iter().any(|(_, slot)| {
            !matches!(slot.state, State::ReservedLocal) && slot.state.remote() != HalfState::Closed
        });
        // A peer that only waits for responses may close its side while we still answer; its
        // streams continue.
        if !owes_nothing || unfinished || self.is_client() && self.streams.live() > 0 {
            let code = if owes_nothing || silent { ErrorCode::NO_ERROR } else { ErrorCode::PROTOCOL_ERROR };
            return Err(self.fail(ConnectionError::new(CloseCause::Eof, code)));
        }
        self.lifecycle.receive_eof();
        self.timers.disarm(Timeout::KeepAlive);
        self.timers.disarm(Timeout::Ping);
        self.timers.arm_if_unarmed(Timeout::Shutdown);
        self.send_final_goaway();
        self.avoidance.turn_off();
        self.update_full_frame();
        self.reset_blocked();
        Ok(())
    }

    /// Resets the streams that wait for window after the end of input: no WINDOW_UPDATE can arrive.
    #[cold]
    pub(super) fn reset_blocked(&mut self) {
        let connection_blocked = self.windows.send_window().available() == 0;
        let is_blocked = |_: StreamId, slot: &Slot| {
            slot.send.blocked != Blocked::NO && (connection_blocked || slot.send.window.available() == 0)
        };
        let mut from = 0;
        while let Some(stream) = self.streams.find_from(from, is_blocked) {
            from = stream.index() + 1;
            self.reset_stream(stream, ErrorCode::CANCEL, ResetCause::Local(StreamError::Eof));
        }
    }
}

/// A WINDOW_UPDATE below this many bytes is charged if it exceeds what was sent.
const SMALL_INCREMENT_BYTES: u32 = 256;
/// RFC 8336 §2.1: flags that a later meaning could make essential.
const ORIGIN_FLAGS_CRITICAL: u8 = 0x0f;
