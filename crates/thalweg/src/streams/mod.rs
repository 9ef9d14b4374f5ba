//! The live streams: slots, the way from identifier to slot, and the list of those that may go on sending.
//!
//! Keeps true: a handle is valid while `slots[slot].id == id`; the counts per side equal the live slots of that side; a slot
//! is queued_key as ready if and only if its stream was cut short and its own window is enough for its next frame.

pub mod id_table;
pub mod send_queue;
pub mod state;

use alloc::vec::Vec;
use core::time::Duration;

use self::id_table::{CloseReason, IdTable, StreamStatus};
use self::send_queue::{Class, QueueKey, SendQueue};
use self::state::State;
use crate::flow::{ReceiveWindow, SendWindow, take_credit};
use crate::headers::validate::Method;
use crate::priority::Priority;
use crate::silly_window::Wait;
use crate::stream_id::{StreamId, StreamKey};
use crate::time::Instant;

/// One live stream.
#[derive(Clone, Debug)]
pub struct Slot {
    /// 0: the slot is free.
    id: u32,
    /// Where the stream is in its life.
    pub state: State,
    /// What the request's method means for the messages.
    pub method: Method,
    /// RFC 9218: what was signalled, by the peer or by our own caller. Without a signal, streams take turns.
    pub signalled: Option<Priority>,
    /// Whether `send_data` was cut short, and since when too little could be sent.
    pub blocked: Blocked,
    /// Bytes sent since then.
    pub progress_bytes: u32,
    /// What `send_data` could not take, bytes.
    pub blocked_bytes: u32,
    /// How long a frame that the window makes short has waited.
    pub short_wait: Wait,
    /// When the peer last opened the stream's window, which had been empty.
    pub opened_at: Instant,
    /// When it was opened, in ticks of the core.
    pub opened_at_ticks: u32,
    /// Whether the caller was told of the stream: only then is it told of its end.
    pub reported: bool,
    /// Whether CONNECT made it a tunnel: then only DATA may follow (RFC 9113 §8.5).
    pub tunnel: bool,
    /// What we may send.
    pub send_window: SendWindow,
    /// What the peer may send.
    pub receive_window: ReceiveWindow,
    /// What content-length leaves to receive.
    pub receive_left: RemainingLength,
    /// Since when the rest of the peer's content is awaited.
    pub content_timer: ContentTimer,
    /// What content-length leaves to send.
    pub send_left: RemainingLength,
    /// Where it stands in the list of ready streams, if it does.
    queued_key: QueueKey,
    /// The place that it held when it was named; it is good for one frame.
    granted_key: QueueKey,
    next_free: u32,
    /// The next slot of the list of waits that start at the next time: `NO_SLOT` off the list, the
    /// slot itself at its end.
    next_wait: u32,
}

/// Whether `send_data` was cut short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blocked {
    /// All that was given was taken.
    No,
    /// Something was left by a call after which no time has been passed yet. The wait goes on at
    /// the next time; before the window was open in between, it had lasted so long.
    FromNextTime { waited: Duration },
    /// Something was left, and since this time not much of it could be sent.
    Since(Instant),
}

/// Since when the rest of a request's content is awaited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentTimer {
    /// The content may take any time.
    Off,
    /// Time counts from the next look: the peer got window, or was told to go on.
    Pending,
    /// Time counts from here, or from later content on the connection.
    Since(Instant),
}

impl ContentTimer {
    /// Lets the time count anew, if it counts.
    #[inline]
    pub fn restart(&mut self) {
        if *self != Self::Off {
            *self = Self::Pending;
        }
    }
}

/// Bytes of content that an announced content-length still leaves; or any number, if none was announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RemainingLength(u64);

impl RemainingLength {
    /// No content-length.
    pub const ANY: Self = Self(u64::MAX);

    /// So many bytes, or any.
    pub const fn new(bytes: Option<u64>) -> Self {
        match bytes {
            Some(bytes) => Self(bytes),
            None => Self::ANY,
        }
    }

    /// Whether `bytes` more may come, and, if they are the `last`, whether they fit exactly.
    #[inline]
    pub const fn allows(self, bytes: u64, last: bool) -> bool {
        self.0 == u64::MAX || if last { bytes == self.0 } else { bytes <= self.0 }
    }

    /// Counts bytes that were allowed.
    #[inline]
    pub fn take(&mut self, bytes: u64) {
        if self.0 != u64::MAX {
            self.0 -= bytes;
        }
    }

    /// The bytes, if a content-length was announced.
    pub const fn bytes(self) -> Option<u64> {
        if self.0 == u64::MAX { None } else { Some(self.0) }
    }
}

/// All streams of a connection.
#[derive(Debug)]
pub struct Streams {
    slots: Vec<Slot>,
    first_free: u32,
    /// The first slot whose wait may start at the next time.
    first_wait: u32,
    /// Identifiers of our side, and of the peer's.
    ids: [IdTable; 2],
    /// Streams that count towards the limits of our side, and of the peer's.
    active: [u32; 2],
    live: [u32; 2],
    local_is_client: bool,
    send_queue: SendQueue,
    /// What a stream must be able to send, bytes, unless it has less: see `silly_window`.
    full_frame: u32,
    /// DATA bytes of streams that have ended, for which no WINDOW_UPDATE has come.
    uncredited_after_close: u32,
}

/// Which side opened a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// We did.
    Local = 0,
    /// The peer did.
    Remote = 1,
}

impl Streams {
    /// Starts without memory.
    pub const fn new(local_is_client: bool, closed_streams_max: u32) -> Self {
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
    pub const fn local_is_client(&self) -> bool {
        self.local_is_client
    }

    /// Which side an identifier belongs to (RFC 9113 §5.1.1).
    #[inline]
    pub const fn side(&self, id: StreamId) -> Side {
        if id.is_client_initiated() == self.local_is_client { Side::Local } else { Side::Remote }
    }

    /// The highest identifier that a side used.
    pub const fn last(&self, side: Side) -> StreamId {
        StreamId::new(self.ids[side as usize].last())
    }

    /// The streams of a side that count towards its limit.
    pub const fn active(&self, side: Side) -> u32 {
        self.active[side as usize]
    }

    /// The live streams, reserved ones included.
    pub const fn live(&self) -> u32 {
        self.live[0] + self.live[1]
    }

    /// The live streams of a side, reserved ones included.
    pub const fn live_on(&self, side: Side) -> u32 {
        self.live[side as usize]
    }

    /// What is known of an identifier other than 0.
    #[inline]
    pub fn status(&self, id: StreamId) -> StreamStatus {
        self.ids[self.side(id) as usize].status(id.as_u32())
    }

    /// The slot behind a handle, unless the handle is stale.
    #[inline]
    pub fn find(&self, stream: StreamKey) -> Option<&Slot> {
        self.slots.get(stream.index()).filter(|slot| slot.id == stream.id().as_u32())
    }

    /// The slot behind a handle, unless the handle is stale.
    #[inline]
    pub fn find_mut(&mut self, stream: StreamKey) -> Option<&mut Slot> {
        self.slots.get_mut(stream.index()).filter(|slot| slot.id == stream.id().as_u32())
    }

    /// The handle of a live identifier.
    #[inline]
    pub fn stream_key(&self, id: StreamId) -> Option<StreamKey> {
        match self.status(id) {
            StreamStatus::Live(slot) => Some(StreamKey::from_parts(id, slot)),
            _ => None,
        }
    }

    /// Opens or reserves a stream.
    #[inline]
    pub fn open(&mut self, id: StreamId, mut slot: Slot) -> StreamKey {
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

    /// Remembers that an ended stream was reset by us, too, as far as it is remembered at all.
    pub fn mark_reset(&mut self, id: StreamId) {
        self.ids[self.side(id) as usize].close(id.as_u32(), CloseReason::ResetLocal);
    }

    /// Remembers that an identifier was refused.
    pub fn mark_refused(&mut self, id: StreamId) {
        self.ids[self.side(id) as usize].mark_refused(id.as_u32());
    }

    /// Moves a stream to its next state.
    #[inline]
    pub fn advance(&mut self, stream: StreamKey, state: State) {
        let side = self.side(stream.id());
        let Some(slot) = self.find_mut(stream) else { return };
        let newly_active = !slot.state.is_active() && state.is_active();
        slot.state = state;
        self.active[side as usize] += u32::from(newly_active);
    }

    /// Ends a stream, and returns what its slot held.
    #[inline]
    pub fn close(&mut self, stream: StreamKey, reason: CloseReason) -> Option<Slot> {
        self.dequeue(stream);
        let side = self.side(stream.id());
        let first_free = self.first_free;
        let slot = self.find_mut(stream)?;
        let ended = slot.clone();
        slot.id = 0;
        slot.next_free = first_free;
        self.first_free = stream.index() as u32;
        self.active[side as usize] -= u32::from(ended.state.is_active());
        self.live[side as usize] -= 1;
        let uncredited = ended.send_window.uncredited();
        self.uncredited_after_close = self.uncredited_after_close.saturating_add(uncredited);
        self.ids[side as usize].close(stream.id().as_u32(), reason);
        Some(ended)
    }

    /// Ends all streams at once, with the connection.
    pub fn close_all(&mut self) {
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

    /// Every live stream, in the order of the slots.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (StreamKey, &mut Slot)> {
        let live = self.slots.iter_mut().enumerate().filter(|(_, slot)| slot.id != 0);
        live.map(|(index, slot)| (StreamKey::from_parts(StreamId::new(slot.id), index as u32), slot))
    }

    /// Every live stream, in the order of the slots.
    pub fn iter(&self) -> impl Iterator<Item = (StreamKey, &Slot)> {
        let live = self.slots.iter().enumerate().filter(|(_, slot)| slot.id != 0);
        live.map(|(index, slot)| (StreamKey::from_parts(StreamId::new(slot.id), index as u32), slot))
    }

    /// Notes that a stream was cut short, and that its wait for window starts at the next time;
    /// `waited` counts as part of it.
    #[inline]
    pub fn wait_from_next_time(&mut self, stream: StreamKey, waited: Duration) {
        let index = stream.index() as u32;
        let first = self.first_wait;
        let Some(slot) = self.find_mut(stream) else { return };
        slot.blocked = Blocked::FromNextTime { waited };
        // Once a slot at most, whatever streams live in it meanwhile: the list cannot outgrow the
        // slots.
        if slot.next_wait == NO_SLOT {
            slot.next_wait = if first == NO_SLOT { index } else { first };
            self.first_wait = index;
        }
    }

    /// Starts the waits of the streams that calls cut short since the last time. Costs a step for
    /// each such call at most.
    #[inline]
    pub fn start_waits(&mut self, now: Instant) {
        while let Some(slot) = self.slots.get_mut(self.first_wait as usize) {
            let next = core::mem::replace(&mut slot.next_wait, NO_SLOT);
            if let Blocked::FromNextTime { waited } = slot.blocked {
                slot.blocked = Blocked::Since(now.saturating_sub(waited));
            }
            self.first_wait = if next == self.first_wait { NO_SLOT } else { next };
        }
    }

    /// Puts every stream on the list or takes it off, after all windows have moved.
    pub fn requeue(&mut self) {
        for index in 0..self.slots.len() {
            if self.slots[index].id != 0 {
                self.judge(StreamKey::from_parts(StreamId::new(self.slots[index].id), index as u32));
            }
        }
    }

    /// The shortest frame that the connection's window may make of a longer one, bytes.
    #[inline]
    pub const fn full_frame(&self) -> u32 {
        self.full_frame
    }

    /// Changes the shortest frame that the connection's window may make. Returns whether it has changed; the list is
    /// then to be judged anew.
    pub fn set_full_frame(&mut self, bytes: u32) -> bool {
        core::mem::replace(&mut self.full_frame, bytes) != bytes
    }

    /// Takes the credit for DATA of streams that have ended, and returns by how much the increment goes beyond it.
    pub fn take_credit_after_close(&mut self, increment: u32) -> u32 {
        take_credit(&mut self.uncredited_after_close, increment)
    }

    /// Puts a stream on the list or takes it off, after its window or what it needs has changed.
    #[inline]
    pub fn judge(&mut self, stream: StreamKey) {
        let full_frame = self.full_frame;
        let Some(slot) = self.find(stream) else { return };
        if slot.queued_key != QueueKey::NONE && !slot.has_window(full_frame) {
            self.dequeue(stream);
        }
        self.enqueue_if_sendable(stream);
    }

    /// Whether a stream waits because its own window would make its next frame too short.
    #[inline]
    pub fn waits_short(&self, stream: StreamKey) -> bool {
        self.find(stream).is_some_and(|slot| slot.waits_short(self.full_frame))
    }

    /// Whether any stream does.
    pub fn any_waits_short(&self) -> bool {
        self.iter().any(|(_, slot)| slot.waits_short(self.full_frame))
    }

    /// Lets the short frames of streams go that have waited long enough. Returns whether others wait on.
    pub fn release_short_frames(&mut self) -> bool {
        let (full_frame, mut blocked, mut from) = (self.full_frame, false, 0);
        while let Some(stream) = self.find_from(from, |_, slot| slot.waits_short(full_frame)) {
            from = stream.index() + 1;
            let Some(slot) = self.find_mut(stream) else { continue };
            slot.short_wait.advance();
            blocked |= slot.short_wait != Wait::Over;
            self.enqueue_if_sendable(stream);
        }
        blocked
    }

    /// Whether any stream was cut short and could go on.
    #[inline]
    pub const fn any_ready(&self) -> bool {
        !self.send_queue.is_empty()
    }

    /// The first live stream whose slot is `from` or later and that `wanted` picks.
    pub fn find_from(&self, from: usize, wanted: impl Fn(StreamId, &Slot) -> bool) -> Option<StreamKey> {
        let slots = self.slots.get(from..)?;
        let is_wanted = |slot: &Slot| slot.id != 0 && wanted(StreamId::new(slot.id), slot);
        let index = from + slots.iter().position(is_wanted)?;
        Some(StreamKey::from_parts(StreamId::new(self.slots[index].id), index as u32))
    }

    /// Lists a stream as ready if it was cut short, its window is open, and it is not queued_key yet.
    pub fn enqueue_if_sendable(&mut self, stream: StreamKey) {
        let id = stream.id().as_u32();
        let Some(slot) = self.slots.get_mut(stream.index()).filter(|slot| slot.id == id && id != 0) else {
            return;
        };
        let sendable = slot.blocked != Blocked::No && slot.queued_key == QueueKey::NONE;
        if sendable && slot.has_window(self.full_frame) {
            slot.queued_key = self.send_queue.enqueue(stream, slot.priority(), slot.class());
        }
    }

    /// Takes a stream off the list of ready ones.
    #[inline]
    pub fn dequeue(&mut self, stream: StreamKey) {
        let Some(slot) = self.find_mut(stream) else { return };
        if slot.queued_key != QueueKey::NONE {
            slot.queued_key = QueueKey::NONE;
            let slots = &self.slots;
            self.send_queue.mark_removed(|stream| queued_key_of(slots, stream));
        }
    }

    /// After a frame, a stream in turns that is queued_key goes to the end of its line (RFC 9218 §10). Whether it is still sendable is
    /// judged once, after the last frame of a call.
    #[inline]
    pub fn rotate(&mut self, stream: StreamKey) {
        let Some(slot) = self.find_mut(stream) else { return };
        slot.granted_key = QueueKey::NONE;
        let class = slot.class();
        let moves = slot.queued_key != QueueKey::NONE && class != Class::Sequential;
        self.send_queue.count_frame(class);
        if moves {
            self.dequeue(stream);
            self.enqueue_if_sendable(stream);
        }
    }

    /// The streams that we have promised and not begun.
    pub fn reserved_local(&self) -> u32 {
        self.iter().filter(|(_, slot)| slot.state == State::ReservedLocal).count() as u32
    }

    /// The first ready stream.
    #[inline]
    fn first(&mut self) -> Option<(QueueKey, StreamKey)> {
        let slots = &self.slots;
        self.send_queue.first(|stream| queued_key_of(slots, stream))
    }

    /// Returns what the first ready stream needs of the connection's window, bytes.
    pub fn first_ready_needs(&mut self) -> Option<u32> {
        let (_, stream) = self.first()?;
        self.find(stream).map(|slot| slot.needed_window(self.full_frame))
    }

    /// Takes the first ready stream off the list, unless the connection's window is too small for it; its place is good for
    /// one more frame.
    pub fn pop_first(&mut self, connection_window: u32) -> Option<StreamKey> {
        let (key, stream) = self.first()?;
        if self.find(stream)?.needed_window(self.full_frame) > connection_window {
            return None;
        }
        self.dequeue(stream);
        if let Some(slot) = self.find_mut(stream) {
            slot.granted_key = key;
        }
        Some(stream)
    }

    /// Whether a stream may send the next frame: nobody who is ready goes before it.
    #[inline]
    pub fn is_next(&mut self, stream: StreamKey) -> bool {
        let Some((first_key, first)) = self.first() else { return true };
        first == stream || self.send_queue.precedes(self.queue_key(stream), first_key)
    }

    /// The key by which a stream takes part: the one that it has, or the one that it would get now.
    fn queue_key(&self, stream: StreamKey) -> QueueKey {
        match self.find(stream) {
            Some(slot) if slot.queued_key != QueueKey::NONE => slot.queued_key,
            Some(slot) if slot.granted_key != QueueKey::NONE => slot.granted_key,
            Some(slot) => self.send_queue.key(stream, slot.priority(), slot.class()),
            None => QueueKey::NONE,
        }
    }

    /// Changes a priority; a queued_key stream finds its new place.
    pub fn set_priority(&mut self, stream: StreamKey, priority: Priority) {
        self.dequeue(stream);
        if let Some(slot) = self.find_mut(stream) {
            slot.signalled = Some(priority);
            slot.granted_key = QueueKey::NONE;
        }
        self.enqueue_if_sendable(stream);
    }

    /// Returns the memory that is held, bytes.
    pub fn capacity_bytes(&self) -> usize {
        let ids: usize = self.ids.iter().map(IdTable::capacity_bytes).sum();
        ids + self.slots.capacity() * size_of::<Slot>() + self.send_queue.capacity_bytes()
    }

    /// Asserts what this owner keeps true.
    pub fn check(&self) {
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
            slot.receive_window.check();
            if slot.queued_key != QueueKey::NONE {
                queued += 1;
                debug_assert!(slot.blocked != Blocked::No && slot.has_window(self.full_frame));
            }
        }
        self.send_queue.check(queued, |stream| queued_key_of(&self.slots, stream));
    }
}

impl Slot {
    /// A slot for a stream that is about to be opened.
    pub fn new(state: State, method: Method, send_window: u32, receive_window: u32) -> Self {
        Self {
            id: 0,
            state,
            method,
            signalled: None,
            blocked: Blocked::No,
            opened_at: Instant::ZERO,
            progress_bytes: 0,
            blocked_bytes: 0,
            short_wait: Wait::No,
            opened_at_ticks: 0,
            reported: false,
            tunnel: false,
            send_window: SendWindow::new(send_window),
            receive_window: ReceiveWindow::new(receive_window),
            receive_left: RemainingLength::ANY,
            content_timer: ContentTimer::Off,
            send_left: RemainingLength::ANY,
            queued_key: QueueKey::NONE,
            granted_key: QueueKey::NONE,
            next_free: NO_SLOT,
            next_wait: NO_SLOT,
        }
    }
}

impl Slot {
    /// In which line the stream waits when it is cut short.
    #[inline]
    fn class(&self) -> Class {
        Class::of(self.signalled, self.tunnel)
    }

    /// The window that the next frame of a stream that was cut short needs, bytes: see `silly_window`.
    #[inline]
    pub fn needed_window(&self, full_frame: u32) -> u32 {
        match self.short_wait {
            Wait::Over => 1,
            Wait::No | Wait::Found => self.shortest_frame(full_frame).min(self.blocked_bytes).max(1),
        }
    }

    /// The shortest frame that the windows may make of a longer one, bytes: see `silly_window`.
    #[inline]
    pub fn shortest_frame(&self, full_frame: u32) -> u32 {
        full_frame.min((self.send_window.size() / 2).max(1))
    }

    /// Whether the stream waits because its own window would make its next frame too short.
    #[inline]
    fn waits_short(&self, full_frame: u32) -> bool {
        self.blocked != Blocked::No && self.send_window.available() > 0 && !self.has_window(full_frame)
    }

    /// Whether the stream's own window is enough for its next frame.
    #[inline]
    fn has_window(&self, full_frame: u32) -> bool {
        self.send_window.available() >= self.needed_window(full_frame)
    }

    /// The priority that holds: the defaults without a signal.
    #[inline]
    pub fn priority(&self) -> Priority {
        self.signalled.unwrap_or_default()
    }
}

fn queued_key_of(slots: &[Slot], stream: StreamKey) -> QueueKey {
    match slots.get(stream.index()) {
        Some(slot) if slot.id == stream.id().as_u32() => slot.queued_key,
        _ => QueueKey::NONE,
    }
}

const NO_SLOT: u32 = u32::MAX;
