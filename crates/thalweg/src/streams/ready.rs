//! The streams that were cut short and can go on, in the order in which they send (RFC 9218 §10).
//!
//! Four classes, each a heap of keys: streams that are not incremental, by urgency and identifier; incremental ones;
//! streams without any priority signal; tunnels. The last three take turns of one frame: their keys count turns. The most
//! urgent head goes first. At the same urgency the first class does, but after some of its frames one of the others goes in
//! between, so that a long response does not starve them.
//!
//! RFC 9218 orders what a client has signalled. A stream without a signal has the default urgency and takes turns, and where
//! both kinds share a connection, neither waits for ever for the other, whatever the urgency: after some frames of others, a
//! stream without a signal, one with a signal, or a tunnel (RFC 9218 §10.1) goes first.
//!
//! An entry counts only while its slot still carries the same key, so leaving the list costs nothing and stale entries are
//! dropped when they come up, or all at once when they are the majority.
//!
//! Keeps true: a slot is listed at most once; the heaps hold at most twice as many entries as slots are listed, and a few;
//! a class that waits sends at least one of [`STARVATION_FRAMES_MAX`] frames and one for each other class.

use alloc::collections::BinaryHeap;
use core::cmp::Reverse;

use crate::priority::Priority;
use crate::stream_id::Stream;

/// Where a stream stands in its line: urgency, line, and its order there; smaller goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key(u64);

impl Key {
    /// The key of a slot that is not listed.
    pub const NONE: Self = Self(0);

    const fn new(urgency: u8, line: Line, order: u64) -> Self {
        Self((urgency as u64) << URGENCY_SHIFT | (line as u64) << LINE_SHIFT | order)
    }

    const fn line(self) -> u8 {
        (self.0 >> LINE_SHIFT) as u8 & 3
    }
}

/// In which line a stream waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Line {
    /// Signalled and not incremental: one after the other.
    InOrder,
    /// Signalled as incremental: in turns of one frame.
    InTurns,
    /// Without a signal: in turns of one frame.
    Unsignalled,
    /// A tunnel: in turns of one frame.
    Tunnel,
}

impl Line {
    /// The line of a stream.
    #[inline]
    pub const fn of(signalled: Option<Priority>, tunnel: bool) -> Self {
        match signalled {
            _ if tunnel => Self::Tunnel,
            None => Self::Unsignalled,
            Some(priority) if priority.incremental() => Self::InTurns,
            Some(_) => Self::InOrder,
        }
    }
}

/// The list.
#[derive(Debug)]
pub struct Ready {
    lines: [BinaryHeap<Reverse<(Key, Stream)>>; LINES],
    listed: u32,
    turn: u64,
    /// Frames that were sent.
    frames: u32,
    /// How many had been sent with the last one of each line.
    frames_at_last: [u32; LINES],
}

impl Ready {
    /// Starts empty, without memory.
    pub const fn new() -> Self {
        let lines = [const { BinaryHeap::new() }; LINES];
        Self { lines, listed: 0, turn: 0, frames: 0, frames_at_last: [0; LINES] }
    }

    /// The key that a stream gets if it is listed now. It never had that key before, so what is left of earlier times
    /// stays stale.
    pub fn key(&self, stream: Stream, priority: Priority, line: Line) -> Key {
        let turn = self.turn + 1;
        let order = match line {
            Line::InOrder => u64::from(stream.id().as_u32()) << TURN_BITS | turn & ((1 << TURN_BITS) - 1),
            Line::InTurns | Line::Unsignalled | Line::Tunnel => turn,
        };
        Key::new(priority.urgency(), line, order)
    }

    /// Lists a stream; the caller keeps the key in its slot.
    pub fn list(&mut self, stream: Stream, priority: Priority, line: Line) -> Key {
        let key = self.key(stream, priority, line);
        self.turn += 1;
        self.listed += 1;
        self.lines[line as usize].push(Reverse((key, stream)));
        key
    }

    /// Notes that one listed stream has left: its slot no longer carries its key.
    pub fn left(&mut self, key_of: impl Fn(Stream) -> Key) {
        self.listed -= 1;
        if self.entries() > 2 * self.listed as usize + STALE_MAX {
            for line in &mut self.lines {
                line.retain(|Reverse((key, stream))| key_of(*stream) == *key);
            }
        }
    }

    /// The first in the list. `key_of` tells the key that a stream's slot carries, [`Key::NONE`] for stale handles.
    #[inline]
    pub fn first(&mut self, key_of: impl Fn(Stream) -> Key) -> Option<(Key, Stream)> {
        if self.listed == 0 {
            return None;
        }
        let mut first: Option<(Key, Stream)> = None;
        for line in 0..LINES {
            while let Some(&Reverse((key, stream))) = self.lines[line].peek() {
                if key_of(stream) == key {
                    if first.is_none_or(|(earlier, _)| self.precedes(key, earlier)) {
                        first = Some((key, stream));
                    }
                    break;
                }
                self.lines[line].pop();
            }
        }
        first
    }

    /// Whether the stream with the key `one` goes before the one with the key `other`.
    #[inline]
    pub fn precedes(&self, one: Key, other: Key) -> bool {
        self.rank(one) < self.rank(other)
    }

    /// What decides between lines: those that have waited too long, then urgency, then whose turn it is.
    #[inline]
    fn rank(&self, key: Key) -> (bool, u64, u8, u64) {
        let urgency = key.0 >> URGENCY_SHIFT;
        let order = key.0 & ((1 << LINE_SHIFT) - 1);
        let [in_order, in_turns, unsignalled, tunnel] =
            self.frames_at_last.map(|at| self.frames.wrapping_sub(at));
        let waited = match key.line() {
            UNSIGNALLED => unsignalled,
            TUNNEL => tunnel,
            _ => in_order.min(in_turns),
        };
        let due = waited >= STARVATION_FRAMES_MAX;
        let in_order_run = in_turns.min(unsignalled).min(tunnel);
        let after = match key.line() == IN_ORDER {
            true if in_order_run >= IN_ORDER_RUN_MAX => 2,
            true => 0,
            false => 1,
        };
        (!due, urgency, after, order)
    }

    /// Notes that a frame of a stream of this line was written.
    #[inline]
    pub fn frame_sent(&mut self, line: Line) {
        self.frames = self.frames.wrapping_add(1);
        self.frames_at_last[line as usize] = self.frames;
    }

    /// Whether no stream is listed.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.listed == 0
    }

    /// Forgets everybody.
    pub fn clear(&mut self) {
        self.lines = Default::default();
        self.listed = 0;
    }

    /// Returns the memory that is held, bytes.
    pub fn capacity_bytes(&self) -> usize {
        let entries: usize = self.lines.iter().map(BinaryHeap::capacity).sum();
        entries * size_of::<(Key, Stream)>()
    }

    fn entries(&self) -> usize {
        self.lines.iter().map(BinaryHeap::len).sum()
    }

    /// Asserts what this owner keeps true; `listed` counts the slots that carry a key.
    pub fn check(&self, listed: usize, key_of: impl Fn(Stream) -> Key) {
        debug_assert_eq!(self.listed as usize, listed);
        debug_assert!(self.entries() <= 2 * listed + STALE_MAX + 1);
        let entries = self.lines.iter().flatten();
        let current = entries.filter(|Reverse((key, stream))| key_of(*stream) == *key).count();
        debug_assert_eq!(current, listed);
    }
}

const LINES: usize = 4;
const IN_ORDER: u8 = Line::InOrder as u8;
const UNSIGNALLED: u8 = Line::Unsignalled as u8;
const TUNNEL: u8 = Line::Tunnel as u8;
const URGENCY_SHIFT: u32 = 61;
const LINE_SHIFT: u32 = 59;
/// What an identifier of 31 bits leaves of the 59 below.
const TURN_BITS: u32 = 28;
const STALE_MAX: usize = 16;
/// After so many frames of streams that are not incremental, one that takes turns goes at the same urgency.
const IN_ORDER_RUN_MAX: u32 = 3;
/// After so many frames of others, a tunnel, a stream with a signal, or one without goes first.
const STARVATION_FRAMES_MAX: u32 = 7;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream_id::StreamId;

    #[test]
    fn a_stream_that_comes_back_is_listed_once() {
        let (first, second) = (stream(1), stream(3));
        let mut ready = Ready::new();
        let other = ready.list(second, Priority::default(), Line::InOrder);
        let mut keys = [Key::NONE, other];
        for _ in 0..3 {
            keys[0] = Key::NONE;
            if ready.listed > 1 {
                ready.left(|stream| keys[stream.index()]);
            }
            keys[0] = ready.list(first, Priority::default(), Line::InOrder);
        }
        ready.check(2, |stream| keys[stream.index()]);
        assert_eq!(ready.first(|stream| keys[stream.index()]), Some((keys[0], first)));
        assert!(keys[0] < keys[1], "streams that are not incremental go by identifier");
    }

    #[test]
    fn what_has_left_does_not_pile_up() {
        let (first, second) = (stream(1), stream(3));
        let mut ready = Ready::new();
        let other = ready.list(second, Priority::default(), Line::InOrder);
        for _ in 0..100 {
            ready.list(first, Priority::default(), Line::InTurns);
            let keys = [Key::NONE, other];
            ready.left(|stream| keys[stream.index()]);
            ready.check(1, |stream| keys[stream.index()]);
            let entries: usize = ready.lines.iter().map(BinaryHeap::len).sum();
            assert!((1..=2 + STALE_MAX + 1).contains(&entries), "{entries} entries");
        }
        assert_eq!(ready.first(|stream| [Key::NONE, other][stream.index()]), Some((other, second)));
    }

    fn stream(id: u32) -> Stream {
        Stream::from_parts(StreamId::new(id), id / 2)
    }
}
