//! The live streams: slots, the way from identifier to slot, and the list of those that may go on sending.
//!
//! Keeps true: a handle is valid while `slots[slot].id == id`; the counts per side equal the live slots of that side; a slot
//! is listed as ready if and only if its stream was cut short and its own window is open.

pub mod ids;
pub mod ready;
pub mod state;

use alloc::vec::Vec;

use self::ids::{Closed, Fate, Ids};
use self::ready::{Key, Line, Ready};
use self::state::State;
use crate::flow::{ReceiveWindow, SendWindow};
use crate::headers::rules::Method;
use crate::priority::Priority;
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
    /// RFC 9218.
    pub priority: Priority,
    /// Whether `send_data` was cut short, and since when too little could be sent.
    pub waiting: Waiting,
    /// Bytes sent since then.
    pub progress_bytes: u32,
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
    /// What content-length leaves to send.
    pub send_left: ContentLeft,
    /// Where it stands in the list of ready streams, if it does.
    listed: Key,
    /// The place that it held when it was named; it is good for one frame.
    claim: Key,
    next_free: u32,
}

/// Whether `send_data` was cut short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// All that was given was taken.
    No,
    /// Something was left, and since this time not much of it could be sent.
    Since(Instant),
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
    /// Identifiers of our side, and of the peer's.
    ids: [Ids; 2],
    /// Streams that count towards the limits of our side, and of the peer's.
    counted: [u32; 2],
    live: [u32; 2],
    local_is_client: bool,
    ready: Ready,
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
            ids: [Ids::new(remembered), Ids::new(remembered)],
            counted: [0; 2],
            live: [0; 2],
            local_is_client,
            ready: Ready::new(),
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
        self.ids[opener as usize].close(stream.id().as_u32(), how);
        Some(ended)
    }

    /// Ends all streams at once, with the connection.
    pub fn close_all(&mut self) {
        self.slots = Vec::new();
        self.first_free = NO_SLOT;
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

    /// Puts every stream on the list or takes it off, after all windows have moved.
    pub fn relist(&mut self) {
        for index in 0..self.slots.len() {
            let stream = Stream::from_parts(StreamId::new(self.slots[index].id), index as u32);
            if self.slots[index].send_window.available() == 0 {
                self.unlist(stream);
            }
            self.list_if_sendable(stream);
        }
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
        let sendable = slot.waiting != Waiting::No && slot.send_window.available() > 0;
        if sendable && slot.listed == Key::NONE {
            slot.listed = self.ready.list(stream, slot.priority, slot.line());
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

    /// Takes the first ready stream off the list; its place is good for one more frame.
    pub fn take_first_ready(&mut self) -> Option<Stream> {
        let (key, stream) = self.first_ready()?;
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
            Some(slot) => self.ready.key(stream, slot.priority, slot.line()),
            None => Key::NONE,
        }
    }

    /// Changes a priority; a listed stream finds its new place.
    pub fn set_priority(&mut self, stream: Stream, priority: Priority) {
        self.unlist(stream);
        if let Some(slot) = self.find_mut(stream) {
            slot.priority = priority;
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
                debug_assert!(slot.waiting != Waiting::No && slot.send_window.available() > 0);
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
            priority: Priority::default(),
            waiting: Waiting::No,
            progress_bytes: 0,
            opened_at_ticks: 0,
            shown: false,
            tunnel: false,
            send_window: SendWindow::new(send_window),
            receive_window: ReceiveWindow::new(receive_window),
            receive_left: ContentLeft::ANY,
            send_left: ContentLeft::ANY,
            listed: Key::NONE,
            claim: Key::NONE,
            next_free: NO_SLOT,
        }
    }
}

impl Slot {
    /// In which line the stream waits when it is cut short.
    #[inline]
    fn line(&self) -> Line {
        Line::of(self.priority, self.tunnel)
    }
}

fn key_of(slots: &[Slot], stream: Stream) -> Key {
    match slots.get(stream.index()) {
        Some(slot) if slot.id == stream.id().as_u32() => slot.listed,
        _ => Key::NONE,
    }
}

const NO_SLOT: u32 = u32::MAX;
