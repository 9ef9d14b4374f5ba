//! The live streams: slots, the way from identifier to slot, and the list of those that may go on sending.
//!
//! Keeps true: a handle is valid while `slots[slot].id == id`; the counts per side equal the live slots of that side; a slot
//! is listed as ready if and only if its stream was cut short and its own window is enough for its next frame.

pub mod ids;
pub mod ready;
pub mod state;

use alloc::vec::Vec;
use core::time::Duration;

use self::ids::{Closed, Fate, Ids};
use self::ready::{Key, Line, Ready};
use self::state::State;
use crate::flow::{ReceiveWindow, SendWindow, take_credit};
use crate::headers::rules::Method;
use crate::priority::Priority;
use crate::silly_window::Wait;
use crate::stream_id::{Stream, StreamId};
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
    pub waiting: Waiting,
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
    pub shown: bool,
    /// Whether CONNECT made it a tunnel: then only DATA may follow (RFC 9113 §8.5).
    pub tunnel: bool,
    /// What we may send.
    pub send_window: SendWindow,
    /// What the peer may send.
    pub receive_window: ReceiveWindow,
    /// What content-length leaves to receive.
    pub receive_left: ContentLeft,
    /// Since when the rest of the peer's content is awaited.
    pub content_timer: ContentTimer,
    /// What content-length leaves to send.
    pub send_left: ContentLeft,
    /// Where it stands in the list of ready streams, if it does.
    listed: Key,
    /// The place that it held when it was named; it is good for one frame.
    claim: Key,
    next_free: u32,
    /// The next slot of the list of waits that start at the next time: `NO_SLOT` off the list, the
    /// slot itself at its end.
    next_wait: u32,
}

/// Whether `send_data` was cut short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
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
pub struct ContentLeft(u64);

impl ContentLeft {
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
    ids: [Ids; 2],
    /// Streams that count towards the limits of our side, and of the peer's.
    counted: [u32; 2],
    live: [u32; 2],
    local_is_client: bool,
    ready: Ready,
    /// What a stream must be able to send, bytes, unless it has less: see `silly_window`.
    full_frame: u32,
    /// DATA bytes of streams that have ended, for which no WINDOW_UPDATE has come.
    uncredited_after_close: u32,
}

/// Which side opened a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opener {
    /// We did.
    Local = 0,
    /// The peer did.
    Remote = 1,
}

impl Streams {
    /// Starts without memory.
    pub const fn new(local_is_client: bool, remembered: u32) -> Self {
        Self {
            slots: Vec::new(),
            first_free: NO_SLOT,
            first_wait: NO_SLOT,
            ids: [Ids::new(remembered), Ids::new(remembered)],
            counted: [0; 2],
            live: [0; 2],
            local_is_client,
            ready: Ready::new(),
            full_frame: 1,
            uncredited_after_close: 0,
        }
    }

    /// Which side an identifier belongs to (RFC 9113 §5.1.1).
    #[inline]
    pub const fn opener(&self, id: StreamId) -> Opener {
        if id.is_client_initiated() == self.local_is_client { Opener::Local } else { Opener::Remote }
    }

    /// The highest identifier that a side used.
    pub const fn last(&self, opener: Opener) -> StreamId {
        StreamId::new(self.ids[opener as usize].last())
    }

    /// The streams of a side that count towards its limit.
    pub const fn counted(&self, opener: Opener) -> u32 {
        self.counted[opener as usize]
    }

    /// The live streams, reserved ones included.
    pub const fn live(&self) -> u32 {
        self.live[0] + self.live[1]
    }

    /// The live streams of a side, reserved ones included.
    pub const fn live_of(&self, opener: Opener) -> u32 {
        self.live[opener as usize]
    }

    /// What is known of an identifier other than 0.
    #[inline]
    pub fn fate(&self, id: StreamId) -> Fate {
        self.ids[self.opener(id) as usize].fate(id.as_u32())
    }

    /// The slot behind a handle, unless the handle is stale.
    #[inline]
    pub fn find(&self, stream: Stream) -> Option<&Slot> {
        self.slots.get(stream.index()).filter(|slot| slot.id == stream.id().as_u32())
    }

    /// The slot behind a handle, unless the handle is stale.
    #[inline]
    pub fn find_mut(&mut self, stream: Stream) -> Option<&mut Slot> {
        self.slots.get_mut(stream.index()).filter(|slot| slot.id == stream.id().as_u32())
    }

    /// The handle of a live identifier.
    #[inline]
    pub fn handle(&self, id: StreamId) -> Option<Stream> {
        match self.fate(id) {
            Fate::Live(slot) => Some(Stream::from_parts(id, slot)),
            _ => None,
        }
    }

    /// Opens or reserves a stream.
    #[inline]
    pub fn open(&mut self, id: StreamId, mut slot: Slot) -> Stream {
        let opener = self.opener(id);
        slot.id = id.as_u32();
        self.counted[opener as usize] += u32::from(slot.state.is_counted());
        self.live[opener as usize] += 1;
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
        self.ids[opener as usize].open(id.as_u32(), index);
        Stream::from_parts(id, index)
    }

    /// Remembers that an ended stream was reset by us, too, as far as it is remembered at all.
    pub fn note_reset(&mut self, id: StreamId) {
        self.ids[self.opener(id) as usize].close(id.as_u32(), Closed::ResetLocal);
    }

    /// Remembers that an identifier was refused.
    pub fn refuse(&mut self, id: StreamId) {
        self.ids[self.opener(id) as usize].refuse(id.as_u32());
    }

    /// Moves a stream to its next state.
    #[inline]
    pub fn advance(&mut self, stream: Stream, state: State) {
        let opener = self.opener(stream.id());
        let Some(slot) = self.find_mut(stream) else { return };
        let newly_counted = !slot.state.is_counted() && state.is_counted();
        slot.state = state;
        self.counted[opener as usize] += u32::from(newly_counted);
    }

    /// Ends a stream, and returns what its slot held.
    #[inline]
    pub fn close(&mut self, stream: Stream, how: Closed) -> Option<Slot> {
        self.unlist(stream);
        let opener = self.opener(stream.id());
        let first_free = self.first_free;
        let slot = self.find_mut(stream)?;
        let ended = slot.clone();
        slot.id = 0;
        slot.next_free = first_free;
        self.first_free = stream.index() as u32;
        self.counted[opener as usize] -= u32::from(ended.state.is_counted());
        self.live[opener as usize] -= 1;
        let uncredited = ended.send_window.uncredited();
        self.uncredited_after_close = self.uncredited_after_close.saturating_add(uncredited);
        self.ids[opener as usize].close(stream.id().as_u32(), how);
        Some(ended)
    }

    /// Ends all streams at once, with the connection.
    pub fn close_all(&mut self) {
        self.slots = Vec::new();
        self.first_free = NO_SLOT;
        self.first_wait = NO_SLOT;
        self.counted = [0; 2];
        self.live = [0; 2];
        self.ready.clear();
        for ids in &mut self.ids {
            ids.forget_all();
        }
    }

    /// Every live stream, in the order of the slots.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (Stream, &mut Slot)> {
        let live = self.slots.iter_mut().enumerate().filter(|(_, slot)| slot.id != 0);
        live.map(|(index, slot)| (Stream::from_parts(StreamId::new(slot.id), index as u32), slot))
    }

    /// Every live stream, in the order of the slots.
    pub fn iter(&self) -> impl Iterator<Item = (Stream, &Slot)> {
        let live = self.slots.iter().enumerate().filter(|(_, slot)| slot.id != 0);
        live.map(|(index, slot)| (Stream::from_parts(StreamId::new(slot.id), index as u32), slot))
    }

    /// Notes that a stream was cut short, and that its wait for window starts at the next time;
    /// `waited` counts as part of it.
    #[inline]
    pub fn wait_from_next_time(&mut self, stream: Stream, waited: Duration) {
        let index = stream.index() as u32;
        let first = self.first_wait;
        let Some(slot) = self.find_mut(stream) else { return };
        slot.waiting = Waiting::FromNextTime { waited };
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
            if let Waiting::FromNextTime { waited } = slot.waiting {
                slot.waiting = Waiting::Since(now.saturating_sub(waited));
            }
            self.first_wait = if next == self.first_wait { NO_SLOT } else { next };
        }
    }

    /// Puts every stream on the list or takes it off, after all windows have moved.
    pub fn relist(&mut self) {
        for index in 0..self.slots.len() {
            if self.slots[index].id != 0 {
                self.judge(Stream::from_parts(StreamId::new(self.slots[index].id), index as u32));
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
    pub fn judge(&mut self, stream: Stream) {
        let full_frame = self.full_frame;
        let Some(slot) = self.find(stream) else { return };
        if slot.listed != Key::NONE && !slot.has_window(full_frame) {
            self.unlist(stream);
        }
        self.list_if_sendable(stream);
    }

    /// Whether a stream waits because its own window would make its next frame too short.
    #[inline]
    pub fn waits_short(&self, stream: Stream) -> bool {
        self.find(stream).is_some_and(|slot| slot.waits_short(self.full_frame))
    }

    /// Whether any stream does.
    pub fn any_waits_short(&self) -> bool {
        self.iter().any(|(_, slot)| slot.waits_short(self.full_frame))
    }

    /// Lets the short frames of streams go that have waited long enough. Returns whether others wait on.
    pub fn release_short_frames(&mut self) -> bool {
        let (full_frame, mut waiting, mut from) = (self.full_frame, false, 0);
        while let Some(stream) = self.find_from(from, |_, slot| slot.waits_short(full_frame)) {
            from = stream.index() + 1;
            let Some(slot) = self.find_mut(stream) else { continue };
            slot.short_wait.advance();
            waiting |= slot.short_wait != Wait::Over;
            self.list_if_sendable(stream);
        }
        waiting
    }

    /// Whether any stream was cut short and could go on.
    #[inline]
    pub const fn any_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// The first live stream whose slot is `from` or later and that `wanted` picks.
    pub fn find_from(&self, from: usize, wanted: impl Fn(StreamId, &Slot) -> bool) -> Option<Stream> {
        let slots = self.slots.get(from..)?;
        let is_wanted = |slot: &Slot| slot.id != 0 && wanted(StreamId::new(slot.id), slot);
        let index = from + slots.iter().position(is_wanted)?;
        Some(Stream::from_parts(StreamId::new(self.slots[index].id), index as u32))
    }

    /// Lists a stream as ready if it was cut short, its window is open, and it is not listed yet.
    pub fn list_if_sendable(&mut self, stream: Stream) {
        let id = stream.id().as_u32();
        let Some(slot) = self.slots.get_mut(stream.index()).filter(|slot| slot.id == id && id != 0) else {
            return;
        };
        let sendable = slot.waiting != Waiting::No && slot.listed == Key::NONE;
        if sendable && slot.has_window(self.full_frame) {
            slot.listed = self.ready.list(stream, slot.priority(), slot.line());
        }
    }

    /// Takes a stream off the list of ready ones.
    #[inline]
    pub fn unlist(&mut self, stream: Stream) {
        let Some(slot) = self.find_mut(stream) else { return };
        if slot.listed != Key::NONE {
            slot.listed = Key::NONE;
            let slots = &self.slots;
            self.ready.left(|stream| key_of(slots, stream));
        }
    }

    /// After a frame, a stream in turns that is listed goes to the end of its line (RFC 9218 §10). Whether it is still sendable is
    /// judged once, after the last frame of a call.
    #[inline]
    pub fn take_turn(&mut self, stream: Stream) {
        let Some(slot) = self.find_mut(stream) else { return };
        slot.claim = Key::NONE;
        let line = slot.line();
        let moves = slot.listed != Key::NONE && line != Line::InOrder;
        self.ready.frame_sent(line);
        if moves {
            self.unlist(stream);
            self.list_if_sendable(stream);
        }
    }

    /// The streams that we have promised and not begun.
    pub fn reserved_local(&self) -> u32 {
        self.iter().filter(|(_, slot)| slot.state == State::ReservedLocal).count() as u32
    }

    /// The first ready stream.
    #[inline]
    fn first_ready(&mut self) -> Option<(Key, Stream)> {
        let slots = &self.slots;
        self.ready.first(|stream| key_of(slots, stream))
    }

    /// Returns what the first ready stream needs of the connection's window, bytes.
    pub fn first_ready_needs(&mut self) -> Option<u32> {
        let (_, stream) = self.first_ready()?;
        self.find(stream).map(|slot| slot.needed_window(self.full_frame))
    }

    /// Takes the first ready stream off the list, unless the connection's window is too small for it; its place is good for
    /// one more frame.
    pub fn take_first_ready(&mut self, connection_window: u32) -> Option<Stream> {
        let (key, stream) = self.first_ready()?;
        if self.find(stream)?.needed_window(self.full_frame) > connection_window {
            return None;
        }
        self.unlist(stream);
        if let Some(slot) = self.find_mut(stream) {
            slot.claim = key;
        }
        Some(stream)
    }

    /// Whether a stream may send the next frame: nobody who is ready goes before it.
    #[inline]
    pub fn is_next(&mut self, stream: Stream) -> bool {
        let Some((first, ready)) = self.first_ready() else { return true };
        ready == stream || self.ready.precedes(self.key(stream), first)
    }

    /// The key by which a stream takes part: the one that it has, or the one that it would get now.
    fn key(&self, stream: Stream) -> Key {
        match self.find(stream) {
            Some(slot) if slot.listed != Key::NONE => slot.listed,
            Some(slot) if slot.claim != Key::NONE => slot.claim,
            Some(slot) => self.ready.key(stream, slot.priority(), slot.line()),
            None => Key::NONE,
        }
    }

    /// Changes a priority; a listed stream finds its new place.
    pub fn set_priority(&mut self, stream: Stream, priority: Priority) {
        self.unlist(stream);
        if let Some(slot) = self.find_mut(stream) {
            slot.signalled = Some(priority);
            slot.claim = Key::NONE;
        }
        self.list_if_sendable(stream);
    }

    /// Returns the memory that is held, bytes.
    pub fn capacity_bytes(&self) -> usize {
        let ids: usize = self.ids.iter().map(Ids::capacity_bytes).sum();
        ids + self.slots.capacity() * size_of::<Slot>() + self.ready.capacity_bytes()
    }

    /// Asserts what this owner keeps true.
    pub fn check(&self) {
        let live = self.slots.iter().filter(|slot| slot.id != 0);
        for opener in [Opener::Local, Opener::Remote] {
            let of_side = live.clone().filter(|slot| self.opener(StreamId::new(slot.id)) == opener);
            debug_assert_eq!(of_side.clone().count(), self.live_of(opener) as usize);
            let counted = of_side.filter(|slot| slot.state.is_counted());
            debug_assert_eq!(counted.count(), self.counted(opener) as usize);
            self.ids[opener as usize].check(|id, slot| self.slots[slot as usize].id == id);
        }
        let mut listed = 0;
        for slot in live {
            slot.receive_window.check();
            if slot.listed != Key::NONE {
                listed += 1;
                debug_assert!(slot.waiting != Waiting::No && slot.has_window(self.full_frame));
            }
        }
        self.ready.check(listed, |stream| key_of(&self.slots, stream));
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
            waiting: Waiting::No,
            opened_at: Instant::ZERO,
            progress_bytes: 0,
            blocked_bytes: 0,
            short_wait: Wait::No,
            opened_at_ticks: 0,
            shown: false,
            tunnel: false,
            send_window: SendWindow::new(send_window),
            receive_window: ReceiveWindow::new(receive_window),
            receive_left: ContentLeft::ANY,
            content_timer: ContentTimer::Off,
            send_left: ContentLeft::ANY,
            listed: Key::NONE,
            claim: Key::NONE,
            next_free: NO_SLOT,
            next_wait: NO_SLOT,
        }
    }
}

impl Slot {
    /// In which line the stream waits when it is cut short.
    #[inline]
    fn line(&self) -> Line {
        Line::of(self.signalled, self.tunnel)
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
        self.waiting != Waiting::No && self.send_window.available() > 0 && !self.has_window(full_frame)
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

fn key_of(slots: &[Slot], stream: Stream) -> Key {
    match slots.get(stream.index()) {
        Some(slot) if slot.id == stream.id().as_u32() => slot.listed,
        _ => Key::NONE,
    }
}

const NO_SLOT: u32 = u32::MAX;
