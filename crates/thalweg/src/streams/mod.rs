//! The live streams: their slots, the way from an identifier to its slot, and the queue of those
//! that can send.
//!
//! Invariants: a key is valid while `slots[slot].id == id`; the counts per side equal the live
//! slots of that side; a slot is queued if and only if its stream is blocked and its own window is
//! large enough for its next frame.

pub(crate) mod id_table;
pub(crate) mod send_queue;
pub(crate) mod slot;
pub(crate) mod state;

use alloc::vec::Vec;
use core::time::Duration;

use self::id_table::{CloseReason, IdTable, StreamStatus};
use self::send_queue::{Class, QueueKey, SendQueue};
use self::slot::{Blocked, BlockedSince, NO_SLOT, QueuePlace, Slot};
use self::state::{HalfState, State};
use crate::flow::take_credit;
use crate::priority::Priority;
use crate::stream_id::{StreamId, StreamKey};
use crate::time::Instant;

/// All streams of a connection.
#[derive(Debug)]
pub(crate) struct Streams {
    slots: Vec<Slot>,
    first_free: u32,
    /// The first slot whose wait may start at the next time.
    first_wait: u32,
    /// The identifiers of our side, and of the peer's.
    ids: [IdTable; 2],
    /// Streams that count towards the limits of our side, and of the peer's.
    active: [u32; 2],
    live: [u32; 2],
    local_is_client: bool,
    send_queue: SendQueue,
    /// The shortest frame that the connection's window may make of a longer one, bytes: see
    /// `silly_window`.
    full_frame: u32,
    /// DATA bytes of closed streams for which no WINDOW_UPDATE was received.
    uncredited_after_close: u32,
}

/// What remains of a stream that was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ClosedStream {
    /// Content that the caller has not released, bytes.
    pub unreleased: u32,
    /// The state in which the peer's half was.
    pub remote: HalfState,
}

/// The side that opened a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// We did.
    Local = 0,
    /// The peer did.
    Remote = 1,
}

impl Streams {
    /// Creates an empty table, without memory.
    pub(crate) const fn new(local_is_client: bool, closed_streams_max: u32) -> Self {
        Self {
            slots: Vec::new(),
            first_free: NO_SLOT,
            first_wait: NO_SLOT,
            ids: [IdTable::new(closed_streams_max), IdTable::new(closed_streams_max)],
            active: [0; 2],
            live: [0; 2],
            local_is_client,
            send_queue: SendQueue::new(),
            full_frame: 1,
            uncredited_after_close: 0,
        }
    }

    /// Whether our side is the client.
    #[inline]
    pub(crate) const fn local_is_client(&self) -> bool {
        self.local_is_client
    }

    /// Returns the side that an identifier belongs to (RFC 9113 §5.1.1).
    #[inline]
    pub(crate) const fn side(&self, id: StreamId) -> Side {
        if id.is_client_initiated() == self.local_is_client { Side::Local } else { Side::Remote }
    }

    /// Returns the highest identifier that a side has used.
    pub(crate) const fn last(&self, side: Side) -> StreamId {
        StreamId::new(self.ids[side as usize].last())
    }

    /// Returns the number of streams of a side that count towards its limit.
    pub(crate) const fn active(&self, side: Side) -> u32 {
        self.active[side as usize]
    }

    /// Returns the number of live streams, reserved ones included.
    pub(crate) const fn live(&self) -> u32 {
        self.live[0] + self.live[1]
    }

    /// Returns the number of live streams of a side, reserved ones included.
    pub(crate) const fn live_on(&self, side: Side) -> u32 {
        self.live[side as usize]
    }

    /// Returns what is known of an identifier other than 0.
    #[inline]
    pub(crate) fn status(&self, id: StreamId) -> StreamStatus {
        self.ids[self.side(id) as usize].status(id.as_u32())
    }

    /// Returns the slot of a key, unless its stream is closed.
    #[inline]
    pub(crate) fn find(&self, stream: StreamKey) -> Option<&Slot> {
        self.slots.get(stream.index()).filter(|slot| slot.id == stream.id().as_u32())
    }

    /// Returns the slot of a key, unless its stream is closed.
    #[inline]
    pub(crate) fn find_mut(&mut self, stream: StreamKey) -> Option<&mut Slot> {
        self.slots.get_mut(stream.index()).filter(|slot| slot.id == stream.id().as_u32())
    }

    /// Returns the key of a live identifier.
    #[inline]
    pub(crate) fn stream_key(&self, id: StreamId) -> Option<StreamKey> {
        match self.status(id) {
            StreamStatus::Live(slot) => Some(StreamKey::from_parts(id, slot)),
            _ => None,
        }
    }

    /// Opens or reserves a stream.
    #[inline(always)]
    pub(crate) fn open(&mut self, id: StreamId, mut slot: Slot) -> StreamKey {
        let side = self.side(id);
        slot.id = id.as_u32();
        self.active[side as usize] += u32::from(slot.state.is_active());
        self.live[side as usize] += 1;
        let index = match self.first_free {
            NO_SLOT => {
                self.slots.push(slot);
                self.slots.len() as u32 - 1
            }
            index => {
                let free = &mut self.slots[index as usize];
                self.first_free = free.next_free;
                slot.next_wait = free.next_wait;
                *free = slot;
                index
            }
        };
        self.ids[side as usize].open(id.as_u32(), index);
        StreamKey::from_parts(id, index)
    }

    /// Records that we have reset a closed stream, too, if it is still remembered.
    pub(crate) fn mark_reset(&mut self, id: StreamId) {
        self.ids[self.side(id) as usize].close(id.as_u32(), CloseReason::ResetLocal);
    }

    /// Records that an identifier was refused.
    pub(crate) fn mark_refused(&mut self, id: StreamId) {
        self.ids[self.side(id) as usize].mark_refused(id.as_u32());
    }

    /// Moves a stream to its next state.
    #[inline]
    pub(crate) fn advance(&mut self, stream: StreamKey, state: State) {
        let side = self.side(stream.id());
        let Some(slot) = self.find_mut(stream) else { return };
        let newly_active = !slot.state.is_active() && state.is_active();
        slot.state = state;
        self.active[side as usize] += u32::from(newly_active);
    }

    /// Closes a stream, and returns what remains of it.
    #[inline]
    pub(crate) fn close(&mut self, stream: StreamKey, reason: CloseReason) -> Option<ClosedStream> {
        let side = self.side(stream.id());
        let first_free = self.first_free;
        let slot = self.find_mut(stream)?;
        if slot.send.is_queued() {
            return self.close_queued(stream, reason);
        }
        slot.id = 0;
        slot.next_free = first_free;
        let closed = ClosedStream { unreleased: slot.receive.window.held(), remote: slot.state.remote() };
        let (is_active, uncredited) = (slot.state.is_active(), slot.send.window.uncredited());
        self.first_free = stream.index() as u32;
        self.active[side as usize] -= u32::from(is_active);
        self.live[side as usize] -= 1;
        self.uncredited_after_close = self.uncredited_after_close.saturating_add(uncredited);
        self.ids[side as usize].close(stream.id().as_u32(), reason);
        Some(closed)
    }

    /// Closes a stream that is queued.
    #[cold]
    fn close_queued(&mut self, stream: StreamKey, reason: CloseReason) -> Option<ClosedStream> {
        self.dequeue(stream);
        self.close(stream, reason)
    }

    /// Closes all streams, at the end of the connection.
    pub(crate) fn close_all(&mut self) {
        self.slots = Vec::new();
        self.first_free = NO_SLOT;
        self.first_wait = NO_SLOT;
        self.active = [0; 2];
        self.live = [0; 2];
        self.send_queue.clear();
        for ids in &mut self.ids {
            ids.clear();
        }
    }

    /// Returns every live stream, in the order of the slots.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (StreamKey, &mut Slot)> {
        let live = self.slots.iter_mut().enumerate().filter(|(_, slot)| slot.id != 0);
        live.map(|(index, slot)| (StreamKey::from_parts(StreamId::new(slot.id), index as u32), slot))
    }

    /// Returns every live stream, in the order of the slots.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (StreamKey, &Slot)> {
        let live = self.slots.iter().enumerate().filter(|(_, slot)| slot.id != 0);
        live.map(|(index, slot)| (StreamKey::from_parts(StreamId::new(slot.id), index as u32), slot))
    }

    /// Marks a stream as blocked, with a wait for window that starts at the next time; `waited`
    /// counts as part of it.
    #[inline]
    pub(crate) fn wait_from_next_time(&mut self, stream: StreamKey, waited: Duration) {
        let index = stream.index() as u32;
        let first = self.first_wait;
        let Some(slot) = self.find_mut(stream) else { return };
        slot.send.blocked = Blocked::from(BlockedSince::NextTime { waited });
        // A slot is in the list once at most, whatever streams it holds meanwhile: the list cannot
        // outgrow the slots.
        if slot.next_wait == NO_SLOT {
            slot.next_wait = if first == NO_SLOT { index } else { first };
            self.first_wait = index;
        }
    }

    /// Starts the waits of the streams that calls have blocked since the last time. Costs at most a
    /// step for each such call.
    #[inline]
    pub(crate) fn start_waits(&mut self, now: Instant) {
        while let Some(slot) = self.slots.get_mut(self.first_wait as usize) {
            let next = core::mem::replace(&mut slot.next_wait, NO_SLOT);
            if let Some(BlockedSince::NextTime { waited }) = slot.send.blocked.since() {
                slot.send.blocked = Blocked::from(BlockedSince::Time(now.saturating_sub(waited)));
            }
            self.first_wait = if next == self.first_wait { NO_SLOT } else { next };
        }
    }

    /// Queues or dequeues every stream, after all windows have changed.
    pub(crate) fn requeue_all(&mut self) {
        for index in 0..self.slots.len() {
            if self.slots[index].id != 0 {
                self.requeue(StreamKey::from_parts(StreamId::new(self.slots[index].id), index as u32));
            }
        }
    }

    /// Returns the shortest frame that the connection's window may make of a longer one, bytes.
    #[inline]
    pub(crate) const fn full_frame(&self) -> u32 {
        self.full_frame
    }

    /// Sets the shortest frame that the connection's window may make. Returns whether it has
    /// changed; the caller then calls `requeue_all`.
    pub(crate) fn set_full_frame(&mut self, bytes: u32) -> bool {
        core::mem::replace(&mut self.full_frame, bytes) != bytes
    }

    /// Takes the credit for DATA of closed streams, and returns by how much the increment exceeds
    /// it.
    pub(crate) fn take_credit_after_close(&mut self, increment: u32) -> u32 {
        take_credit(&mut self.uncredited_after_close, increment)
    }

    /// Queues or dequeues a stream, after its window or what it needs has changed.
    #[inline]
    pub(crate) fn requeue(&mut self, stream: StreamKey) {
        let full_frame = self.full_frame;
        let Some(slot) = self.find(stream) else { return };
        if slot.send.is_queued() && !slot.send.has_window(full_frame) {
            self.dequeue(stream);
        }
        self.enqueue_if_sendable(stream);
    }

    /// Whether a stream waits because its own window would make its next frame too short.
    #[inline]
    pub(crate) fn waits_short(&self, stream: StreamKey) -> bool {
        self.find(stream).is_some_and(|slot| slot.send.waits_short(self.full_frame))
    }

    /// Whether any stream waits because its own window would make its next frame too short.
    pub(crate) fn any_waits_short(&self) -> bool {
        self.iter().any(|(_, slot)| slot.send.waits_short(self.full_frame))
    }

    /// Releases the short frames of streams that have waited long enough. Returns whether others
    /// still wait.
    pub(crate) fn release_short_frames(&mut self, now: Instant) -> bool {
        let (full_frame, mut blocked, mut from) = (self.full_frame, false, 0);
        while let Some(stream) = self.find_from(from, |_, slot| slot.send.waits_short(full_frame)) {
            from = stream.index() + 1;
            let Some(slot) = self.find_mut(stream) else { continue };
            blocked |= slot.send.wait_longer(now);
            self.enqueue_if_sendable(stream);
        }
        blocked
    }

    /// Whether any stream is queued.
    #[inline]
    pub(crate) const fn any_ready(&self) -> bool {
        !self.send_queue.is_empty()
    }

    /// Returns the first live stream whose slot is `from` or later and for which `wanted` returns
    /// true.
    pub(crate) fn find_from(
        &self,
        from: usize,
        wanted: impl Fn(StreamId, &Slot) -> bool,
    ) -> Option<StreamKey> {
        let slots = self.slots.get(from..)?;
        let is_wanted = |slot: &Slot| slot.id != 0 && wanted(StreamId::new(slot.id), slot);
        let index = from + slots.iter().position(is_wanted)?;
        Some(StreamKey::from_parts(StreamId::new(self.slots[index].id), index as u32))
    }

    /// Queues a stream if it is blocked, its window is large enough, and it is not queued yet.
    pub(crate) fn enqueue_if_sendable(&mut self, stream: StreamKey) {
        let id = stream.id().as_u32();
        let Some(slot) = self.slots.get_mut(stream.index()).filter(|slot| slot.id == id && id != 0) else {
            return;
        };
        let sendable = slot.send.blocked != Blocked::NO && !slot.send.is_queued();
        if sendable && slot.send.has_window(self.full_frame) {
            slot.send.queue_key = self.send_queue.enqueue(stream, slot.send.priority(), slot.send.class());
            slot.send.queue_place = QueuePlace::Queued;
        }
    }

    /// Takes a stream off the queue.
    pub(crate) fn dequeue(&mut self, stream: StreamKey) {
        let Some(slot) = self.find_mut(stream) else { return };
        if slot.send.is_queued() {
            slot.send.queue_place = QueuePlace::None;
            let slots = &self.slots;
            self.send_queue.note_removed(|stream| queued_key_of(slots, stream));
        }
    }

    /// Moves a queued stream that takes turns to the end of its class, after a frame (RFC 9218
    /// §10). `requeue` decides once, after the last frame of a call, whether it can still send.
    #[inline]
    pub(crate) fn rotate(&mut self, stream: StreamKey) {
        let Some(slot) = self.find_mut(stream) else { return };
        let is_queued = slot.send.is_queued();
        if !is_queued {
            slot.send.queue_place = QueuePlace::None;
        }
        let class = slot.send.class();
        let moves = is_queued && class != Class::Sequential;
        self.send_queue.count_frame(class);
        if moves {
            self.dequeue(stream);
            self.enqueue_if_sendable(stream);
        }
    }

    /// Returns the number of streams that we have promised and whose response has not begun.
    pub(crate) fn reserved_local(&self) -> u32 {
        self.iter().filter(|(_, slot)| slot.state == State::ReservedLocal).count() as u32
    }

    /// Returns the first stream of the queue.
    #[inline]
    fn first(&mut self) -> Option<(QueueKey, StreamKey)> {
        let slots = &self.slots;
        self.send_queue.first(|stream| queued_key_of(slots, stream))
    }

    /// Returns what the first stream of the queue needs of the connection's window, bytes.
    pub(crate) fn first_ready_needs(&mut self) -> Option<u32> {
        let (_, stream) = self.first()?;
        self.find(stream).map(|slot| slot.send.needed_window(self.full_frame))
    }

    /// Takes the first stream off the queue. If the connection's window is too small for it, takes
    /// another one instead of which one frame of up to `passing_bytes_max` bytes carries all. Its
    /// key is good for one more frame.
    pub(crate) fn pop_first(&mut self, connection_window: u32, passing_bytes_max: u32) -> Option<StreamKey> {
        let (mut key, mut stream) = self.first()?;
        if self.find(stream)?.send.needed_window(self.full_frame) > connection_window {
            let bytes_max = passing_bytes_max.min(connection_window);
            (key, stream) = self.find_complete(key, bytes_max)?;
        }
        self.dequeue(stream);
        if let Some(slot) = self.find_mut(stream) {
            slot.send.queue_place = QueuePlace::Granted;
            slot.send.queue_key = key;
        }
        Some(stream)
    }

    /// Returns a queued stream, near the head of its class and no less urgent than `first`, of
    /// which one frame of up to `bytes_max` bytes carries all.
    #[cold]
    fn find_complete(&self, first: QueueKey, bytes_max: u32) -> Option<(QueueKey, StreamKey)> {
        self.send_queue.find_near_heads(|key, stream| {
            queued_key_of(&self.slots, stream) == key
                && key.urgency() <= first.urgency()
                && self.find(stream).is_some_and(|slot| slot.send.is_complete_in(bytes_max))
        })
    }

    /// Whether a stream may pass the first one of the queue with a frame of up to `bytes_max` bytes
    /// that carries all: it is no less urgent, and precedes those for which `find_complete` finds
    /// the same.
    #[cold]
    pub(crate) fn may_pass_first(&mut self, stream: StreamKey, bytes_max: u32) -> bool {
        let Some((first, _)) = self.first() else { return true };
        let key = self.queue_key(stream);
        key.urgency() <= first.urgency()
            && self
                .find_complete(first, bytes_max)
                .is_none_or(|(other_key, other)| other == stream || self.send_queue.precedes(key, other_key))
    }

    /// Whether `pop_first` has returned the stream, and it has not sent or been queued since.
    pub(crate) fn is_granted(&self, stream: StreamKey) -> bool {
        self.find(stream).is_some_and(|slot| slot.send.queue_place == QueuePlace::Granted)
    }

    /// Whether a stream may send the next frame: no queued stream precedes it.
    #[inline]
    pub(crate) fn is_next(&mut self, stream: StreamKey) -> bool {
        !self.any_ready() || self.precedes_queue(stream)
    }

    fn precedes_queue(&mut self, stream: StreamKey) -> bool {
        let Some((first_key, first)) = self.first() else { return true };
        first == stream || self.send_queue.precedes(self.queue_key(stream), first_key)
    }

    /// Returns the key by which a stream is ordered: the one that it has, or the one that it would
    /// get now.
    fn queue_key(&self, stream: StreamKey) -> QueueKey {
        match self.find(stream) {
            Some(slot) if slot.send.queue_place != QueuePlace::None => slot.send.queue_key,
            Some(slot) => self.send_queue.key(stream, slot.send.priority(), slot.send.class()),
            None => QueueKey::NONE,
        }
    }

    /// Changes a priority. A queued stream moves to its new place.
    pub(crate) fn set_priority(&mut self, stream: StreamKey, priority: Priority) {
        self.dequeue(stream);
        if let Some(slot) = self.find_mut(stream) {
            slot.send.signalled = Some(priority);
            slot.send.queue_place = QueuePlace::None;
        }
        self.enqueue_if_sendable(stream);
    }

    /// Returns the heap that is held, bytes.
    pub(crate) fn capacity_bytes(&self) -> usize {
        let ids: usize = self.ids.iter().map(IdTable::capacity_bytes).sum();
        ids + self.slots.capacity() * size_of::<Slot>() + self.send_queue.capacity_bytes()
    }

    /// Asserts the invariants.
    pub(crate) fn check(&self) {
        let live = self.slots.iter().filter(|slot| slot.id != 0);
        for side in [Side::Local, Side::Remote] {
            let of_side = live.clone().filter(|slot| self.side(StreamId::new(slot.id)) == side);
            debug_assert_eq!(of_side.clone().count(), self.live_on(side) as usize);
            let active = of_side.filter(|slot| slot.state.is_active());
            debug_assert_eq!(active.count(), self.active(side) as usize);
            self.ids[side as usize].check(|id, slot| self.slots[slot as usize].id == id);
        }
        let mut queued = 0;
        for slot in live {
            slot.receive.window.check();
            if slot.send.is_queued() {
                queued += 1;
                debug_assert!(slot.send.blocked != Blocked::NO && slot.send.has_window(self.full_frame));
            }
        }
        self.send_queue.check(queued, |stream| queued_key_of(&self.slots, stream));
    }
}

/// Returns the queue key in the slot of a stream, or `NONE` if the stream is closed.
fn queued_key_of(slots: &[Slot], stream: StreamKey) -> QueueKey {
    match slots.get(stream.index()) {
        Some(slot) if slot.id == stream.id().as_u32() => slot.send.queued_key(),
        _ => QueueKey::NONE,
    }
}
