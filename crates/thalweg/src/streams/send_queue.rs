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
use crate::stream_id::StreamKey;

/// Where a stream stands in its line: urgency, line, and its order there; smaller goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct QueueKey(u64);

impl QueueKey {
    /// The key of a slot that is not listed.
    pub const NONE: Self = Self(0);

    const fn new(urgency: u8, class: Class, order: u64) -> Self {
        Self((urgency as u64) << URGENCY_SHIFT | (class as u64) << CLASS_SHIFT | order)
    }

    const fn class(self) -> u8 {
        (self.0 >> CLASS_SHIFT) as u8 & 3
    }
}

/// In which line a stream waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Class {
    /// Signalled and not incremental: one after the other.
    Sequential,
    /// Signalled as incremental: in turns of one frame.
    RoundRobin,
    /// Without a signal: in turns of one frame.
    Unsignalled,
    /// A tunnel: in turns of one frame.
    Tunnel,
}

impl Class {
    /// The line of a stream.
    #[inline]
    pub const fn of(signalled: Option<Priority>, tunnel: bool) -> Self {
        match signalled {
            _ if tunnel => Self::Tunnel,
            None => Self::Unsignalled,
            Some(priority) if priority.incremental() => Self::RoundRobin,
            Some(_) => Self::Sequential,
        }
    }
}

/// The list.
#[derive(Debug)]
pub struct SendQueue {
    classes: [BinaryHeap<Reverse<(QueueKey, StreamKey)>>; CLASSES],
    queued: u32,
    sequence: u64,
    /// Frames that were sent.
    frames: u32,
    /// How many had been sent with the last one of each line.
    frames_at_last: [u32; CLASSES],
}

impl SendQueue {
    /// Starts empty, without memory.
    pub const fn new() -> Self {
        let classes = [const { BinaryHeap::new() }; CLASSES];
        Self { classes, queued: 0, sequence: 0, frames: 0, frames_at_last: [0; CLASSES] }
    }

    /// The key that a stream gets if it is listed now. It never had that key before, so what is left of earlier times
    /// stays stale.
    pub fn key(&self, stream: StreamKey, priority: Priority, class: Class) -> QueueKey {
        let sequence = self.sequence + 1;
        let order = match class {
            Class::Sequential => {
                u64::from(stream.id().as_u32()) << SEQUENCE_BITS | sequence & ((1 << SEQUENCE_BITS) - 1)
            }
            Class::RoundRobin | Class::Unsignalled | Class::Tunnel => sequence,
        };
        QueueKey::new(priority.urgency(), class, order)
    }

    /// Lists a stream; the caller keeps the key in its slot.
    pub fn enqueue(&mut self, stream: StreamKey, priority: Priority, class: Class) -> QueueKey {
        let key = self.key(stream, priority, class);
        self.sequence += 1;
        self.queued += 1;
        self.classes[class as usize].push(Reverse((key, stream)));
        key
    }

    /// Notes that one listed stream has left: its slot no longer carries its key.
    pub fn mark_removed(&mut self, key_of: impl Fn(StreamKey) -> QueueKey) {
        self.queued -= 1;
        if self.entries() > 2 * self.queued as usize + STALE_MAX {
            for class in &mut self.classes {
                class.retain(|Reverse((key, stream))| key_of(*stream) == *key);
            }
        }
    }

    /// The first in the list. `key_of` tells the key that a stream's slot carries, [`QueueKey::NONE`] for stale handles.
    #[inline]
    pub fn first(&mut self, key_of: impl Fn(StreamKey) -> QueueKey) -> Option<(QueueKey, StreamKey)> {
        if self.queued == 0 {
            return None;
        }
        let mut first: Option<(QueueKey, StreamKey)> = None;
        for class in 0..CLASSES {
            while let Some(&Reverse((key, stream))) = self.classes[class].peek() {
                if key_of(stream) == key {
                    if first.is_none_or(|(earlier, _)| self.precedes(key, earlier)) {
                        first = Some((key, stream));
                    }
                    break;
                }
                self.classes[class].pop();
            }
        }
        first
    }

    /// Whether the stream with the key `one` goes before the one with the key `other`.
    #[inline]
    pub fn precedes(&self, one: QueueKey, other: QueueKey) -> bool {
        self.rank(one) < self.rank(other)
    }

    /// What decides between lines: those that have waited too long, then urgency, then whose turn it is.
    #[inline]
    fn rank(&self, key: QueueKey) -> (bool, u64, u8, u64) {
        let urgency = key.0 >> URGENCY_SHIFT;
        let order = key.0 & ((1 << CLASS_SHIFT) - 1);
        let [sequential, in_turns, unsignalled, tunnel] =
            self.frames_at_last.map(|at| self.frames.wrapping_sub(at));
        let waited = match key.class() {
            UNSIGNALLED => unsignalled,
            TUNNEL => tunnel,
            _ => sequential.min(in_turns),
        };
        let due = waited >= STARVATION_FRAMES_MAX;
        let sequential_run = in_turns.min(unsignalled).min(tunnel);
        let after = match key.class() == IN_ORDER {
            true if sequential_run >= SEQUENTIAL_RUN_MAX => 2,
            true => 0,
            false => 1,
        };
        (!due, urgency, after, order)
    }

    /// Notes that a frame of a stream of this line was written.
    #[inline]
    pub fn count_frame(&mut self, class: Class) {
        self.frames = self.frames.wrapping_add(1);
        self.frames_at_last[class as usize] = self.frames;
    }

    /// Whether no stream is listed.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.queued == 0
    }

    /// Forgets everybody.
    pub fn clear(&mut self) {
        self.classes = Default::default();
        self.queued = 0;
    }

    /// Returns the memory that is held, bytes.
    pub fn capacity_bytes(&self) -> usize {
        let entries: usize = self.classes.iter().map(BinaryHeap::capacity).sum();
        entries * size_of::<(QueueKey, StreamKey)>()
    }

    fn entries(&self) -> usize {
        self.classes.iter().map(BinaryHeap::len).sum()
    }

    /// Asserts what this owner keeps true; `listed` counts the slots that carry a key.
    pub fn check(&self, queued: usize, key_of: impl Fn(StreamKey) -> QueueKey) {
        debug_assert_eq!(self.queued as usize, queued);
        debug_assert!(self.entries() <= 2 * queued + STALE_MAX + 1);
        let entries = self.classes.iter().flatten();
        let current = entries.filter(|Reverse((key, stream))| key_of(*stream) == *key).count();
        debug_assert_eq!(current, queued);
    }
}

const CLASSES: usize = 4;
const IN_ORDER: u8 = Class::Sequential as u8;
const UNSIGNALLED: u8 = Class::Unsignalled as u8;
const TUNNEL: u8 = Class::Tunnel as u8;
const URGENCY_SHIFT: u32 = 61;
const CLASS_SHIFT: u32 = 59;
/// What an identifier of 31 bits leaves of the 59 below.
const SEQUENCE_BITS: u32 = 28;
const STALE_MAX: usize = 16;
/// After so many frames of streams that are not incremental, one that takes turns goes at the same urgency.
const SEQUENTIAL_RUN_MAX: u32 = 3;
/// After so many frames of others, a tunnel, a stream with a signal, or one without goes first.
const STARVATION_FRAMES_MAX: u32 = 7;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream_id::StreamId;

    #[test]
    fn a_stream_that_returns_is_queued_once() {
        let (first, second) = (stream(1), stream(3));
        let mut queue = SendQueue::new();
        let other = queue.enqueue(second, Priority::default(), Class::Sequential);
        let mut keys = [QueueKey::NONE, other];
        for _ in 0..3 {
            keys[0] = QueueKey::NONE;
            if queue.queued > 1 {
                queue.mark_removed(|stream| keys[stream.index()]);
            }
            keys[0] = queue.enqueue(first, Priority::default(), Class::Sequential);
        }
        queue.check(2, |stream| keys[stream.index()]);
        assert_eq!(queue.first(|stream| keys[stream.index()]), Some((keys[0], first)));
        assert!(keys[0] < keys[1], "streams that are not incremental go by identifier");
    }

    #[test]
    fn entries_of_removed_streams_do_not_accumulate() {
        let (first, second) = (stream(1), stream(3));
        let mut queue = SendQueue::new();
        let other = queue.enqueue(second, Priority::default(), Class::Sequential);
        for _ in 0..100 {
            queue.enqueue(first, Priority::default(), Class::RoundRobin);
            let keys = [QueueKey::NONE, other];
            queue.mark_removed(|stream| keys[stream.index()]);
            queue.check(1, |stream| keys[stream.index()]);
            let entries: usize = queue.classes.iter().map(BinaryHeap::len).sum();
            assert!((1..=2 + STALE_MAX + 1).contains(&entries), "{entries} entries");
        }
        assert_eq!(queue.first(|stream| [QueueKey::NONE, other][stream.index()]), Some((other, second)));
    }

    fn stream(id: u32) -> StreamKey {
        StreamKey::from_parts(StreamId::new(id), id / 2)
    }
}
