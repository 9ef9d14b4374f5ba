//! The blocked streams that can send again, in the order in which they send (RFC 9218 §10).
//!
//! Each stream belongs to one of four classes; each class is a heap of keys, the smallest first:
//!
//! | Class | Streams | Order within an urgency |
//! |---|---|---|
//! | `Sequential` | a signalled, non-incremental priority | by identifier, one after the other |
//! | `RoundRobin` | a signalled incremental priority | by turns of one frame |
//! | `Unsignalled` | no priority signal | by turns of one frame |
//! | `Tunnel` | CONNECT with a signalled priority | by turns of one frame |
//!
//! Within a class the smaller urgency always goes first. All unsignalled streams have urgency 3, so
//! none of them waits for long, whatever the others have signalled; that is why a tunnel without a
//! signal is not in the class of the tunnels.
//!
//! Between the heads of the four classes, `rank` decides:
//!
//! 1. A class that has waited for [`STARVATION_FRAMES_MAX`] frames of others goes first, whatever
//!    its urgency (RFC 9218 §10, §10.1). The two signalled classes count as one here.
//! 2. The smaller urgency goes first.
//! 3. At one urgency `Sequential` goes first. After [`SEQUENTIAL_RUN_MAX`] of its frames another
//!    class has a turn, so that a long response does not starve them.
//! 4. The smaller order goes first.
//!
//! To leave the queue, a stream clears the key in its slot. The entry that remains in the heap is
//! stale: it is dropped when it becomes the head of its class, or when most entries are stale.
//!
//! Invariants: each stream is queued at most once; the heaps hold at most twice as many entries as
//! streams are queued, plus [`STALE_MAX`]; a class that waits sends at least one of
//! [`STARVATION_FRAMES_MAX`] frames and one for each other class.

use alloc::boxed::Box;
use alloc::collections::BinaryHeap;
use core::cmp::Reverse;

use crate::priority::Priority;
use crate::stream_id::StreamKey;

/// The place of a stream in the queue, packed so that within a class the smaller key goes first:
///
/// ```text
/// bit  63     61 60   59 58                       28 27            0
///      | urgency | class | stream identifier, 31 bits | sequence     |  Sequential
///      | urgency | class | sequence, 59 bits                         |  the other classes
/// ```
///
/// The sequence number counts calls of `enqueue`, so no two keys of a stream are equal and stale
/// entries stay stale. It is at least 1: no key equals [`NONE`](Self::NONE).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct QueueKey(u64);

impl QueueKey {
    /// The key of a stream that is not queued.
    pub(crate) const NONE: Self = Self(0);

    fn new(stream: StreamKey, urgency: u8, class: Class, sequence: u64) -> Self {
        let order = match class {
            Class::Sequential => {
                u64::from(stream.id().as_u32()) << SEQUENCE_BITS | sequence & ((1 << SEQUENCE_BITS) - 1)
            }
            Class::RoundRobin | Class::Unsignalled | Class::Tunnel => sequence,
        };
        Self(u64::from(urgency) << URGENCY_SHIFT | (class as u64) << CLASS_SHIFT | order)
    }

    pub(super) const fn urgency(self) -> u8 {
        (self.0 >> URGENCY_SHIFT) as u8
    }

    const fn class(self) -> Class {
        match self.0 >> CLASS_SHIFT & 3 {
            0 => Class::Sequential,
            1 => Class::RoundRobin,
            2 => Class::Unsignalled,
            _ => Class::Tunnel,
        }
    }

    const fn order(self) -> u64 {
        self.0 & ((1 << CLASS_SHIFT) - 1)
    }
}

/// The class of a stream: see the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Class {
    Sequential,
    RoundRobin,
    Unsignalled,
    Tunnel,
}

impl Class {
    /// Returns the class of a stream.
    #[inline]
    pub(crate) const fn of(signalled: Option<Priority>, tunnel: bool) -> Self {
        match signalled {
            None => Self::Unsignalled,
            Some(_) if tunnel => Self::Tunnel,
            Some(priority) if priority.incremental() => Self::RoundRobin,
            Some(_) => Self::Sequential,
        }
    }
}

/// What decides between the heads of two classes; the smaller goes first.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    /// Whether its class has not waited too long.
    is_in_time: bool,
    urgency: u8,
    turn: Turn,
    order: u64,
}

/// Whose turn it is at one urgency.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    /// `Sequential`.
    First,
    /// The other classes.
    Second,
    /// `Sequential` after a run of its frames.
    AfterRun,
}

/// The queue.
#[derive(Debug)]
pub(crate) struct SendQueue {
    /// The heaps of the classes. `None` until the first stream is queued: a connection whose
    /// streams are never blocked holds none.
    classes: Option<Box<Classes>>,
    /// Streams that are queued.
    queued: u32,
    /// Calls of `enqueue`.
    sequence: u64,
    turns: Turns,
}

type Classes = [BinaryHeap<Reverse<(QueueKey, StreamKey)>>; CLASSES];

/// The frames by which the classes take turns.
#[derive(Debug)]
struct Turns {
    /// Frames that were sent; the number wraps.
    frames: u32,
    /// The value of `frames` after the last frame of each class.
    frames_at_last: [u32; CLASSES],
}

impl SendQueue {
    /// Creates an empty queue, without memory.
    pub(crate) const fn new() -> Self {
        let turns = Turns { frames: 0, frames_at_last: [0; CLASSES] };
        Self { classes: None, queued: 0, sequence: 0, turns }
    }

    /// Returns the key that a stream would get from `enqueue` now.
    pub(crate) fn key(&self, stream: StreamKey, priority: Priority, class: Class) -> QueueKey {
        QueueKey::new(stream, priority.urgency(), class, self.sequence + 1)
    }

    /// Adds a stream. The caller keeps the key in the stream's slot.
    pub(crate) fn enqueue(&mut self, stream: StreamKey, priority: Priority, class: Class) -> QueueKey {
        let key = self.key(stream, priority, class);
        self.sequence += 1;
        self.queued += 1;
        let classes = self.classes.get_or_insert_default();
        classes[class as usize].push(Reverse((key, stream)));
        key
    }

    /// Records that one stream has left: its slot no longer holds its key.
    pub(crate) fn note_removed(&mut self, key_of: impl Fn(StreamKey) -> QueueKey) {
        self.queued -= 1;
        if self.entries() > 2 * self.queued as usize + STALE_MAX {
            for class in self.classes.iter_mut().flat_map(|classes| classes.iter_mut()) {
                class.retain(|Reverse((key, stream))| key_of(*stream) == *key);
            }
        }
    }

    /// Returns the first stream. `key_of` returns the key in a stream's slot, [`QueueKey::NONE`]
    /// for closed streams.
    #[inline]
    pub(crate) fn first(&mut self, key_of: impl Fn(StreamKey) -> QueueKey) -> Option<(QueueKey, StreamKey)> {
        if self.queued == 0 {
            return None;
        }
        let (classes, turns) = (self.classes.as_deref_mut()?, &self.turns);
        let mut first: Option<(QueueKey, StreamKey)> = None;
        for class in classes {
            while let Some(&Reverse((key, stream))) = class.peek() {
                if key_of(stream) == key {
                    if first.is_none_or(|(earlier, _)| turns.precedes(key, earlier)) {
                        first = Some((key, stream));
                    }
                    break;
                }
                class.pop();
            }
        }
        first
    }

    /// Returns the first stream that is wanted, among those that are close to the head of their
    /// class: at most [`NEAR_HEAD`] of each.
    pub(crate) fn find_near_heads(
        &self,
        wanted: impl Fn(QueueKey, StreamKey) -> bool,
    ) -> Option<(QueueKey, StreamKey)> {
        let classes = self.classes.as_deref()?;
        // The first elements of a heap's memory are its upper levels.
        let near = classes.iter().flat_map(|class| class.iter().take(NEAR_HEAD));
        let near = near.map(|Reverse(entry)| *entry).filter(|(key, stream)| wanted(*key, *stream));
        near.reduce(|first, other| if self.turns.precedes(other.0, first.0) { other } else { first })
    }

    /// Whether the stream with the key `one` precedes the one with the key `other`.
    #[inline]
    pub(crate) fn precedes(&self, one: QueueKey, other: QueueKey) -> bool {
        self.turns.precedes(one, other)
    }

    /// Counts a frame of a stream of this class.
    #[inline]
    pub(crate) fn count_frame(&mut self, class: Class) {
        self.turns.count_frame(class);
    }

    /// Whether no stream is queued.
    #[inline]
    pub(crate) const fn is_empty(&self) -> bool {
        self.queued == 0
    }

    /// Removes all streams.
    pub(crate) fn clear(&mut self) {
        self.classes = None;
        self.queued = 0;
    }

    /// Returns the heap that is held, bytes.
    pub(crate) fn capacity_bytes(&self) -> usize {
        let Some(classes) = &self.classes else { return 0 };
        let entries: usize = classes.iter().map(BinaryHeap::capacity).sum();
        size_of::<Classes>() + entries * size_of::<(QueueKey, StreamKey)>()
    }

    fn entries(&self) -> usize {
        self.classes.iter().flat_map(|classes| classes.iter()).map(BinaryHeap::len).sum()
    }

    /// Asserts the invariants. `queued` counts the slots that hold a key.
    pub(crate) fn check(&self, queued: usize, key_of: impl Fn(StreamKey) -> QueueKey) {
        debug_assert_eq!(self.queued as usize, queued);
        debug_assert!(self.entries() <= 2 * queued + STALE_MAX + 1);
        let entries = self.classes.iter().flat_map(|classes| classes.iter()).flatten();
        let current = entries.filter(|Reverse((key, stream))| key_of(*stream) == *key).count();
        debug_assert_eq!(current, queued);
    }
}

impl Turns {
    /// Whether the stream with the key `one` precedes the one with the key `other`.
    #[inline]
    fn precedes(&self, one: QueueKey, other: QueueKey) -> bool {
        self.rank(one) < self.rank(other)
    }

    /// Ranks the head of a class: see the module.
    #[inline]
    fn rank(&self, key: QueueKey) -> Rank {
        let [sequential, round_robin, unsignalled, tunnel] =
            self.frames_at_last.map(|at_last| self.frames.wrapping_sub(at_last));
        let class = key.class();
        let frames_waited = match class {
            Class::Sequential | Class::RoundRobin => sequential.min(round_robin),
            Class::Unsignalled => unsignalled,
            Class::Tunnel => tunnel,
        };
        let sequential_run = round_robin.min(unsignalled).min(tunnel);
        let turn = match class {
            Class::Sequential if sequential_run >= SEQUENTIAL_RUN_MAX => Turn::AfterRun,
            Class::Sequential => Turn::First,
            Class::RoundRobin | Class::Unsignalled | Class::Tunnel => Turn::Second,
        };
        let is_in_time = frames_waited < STARVATION_FRAMES_MAX;
        Rank { is_in_time, urgency: key.urgency(), turn, order: key.order() }
    }

    /// Counts a frame of a stream of this class.
    #[inline]
    fn count_frame(&mut self, class: Class) {
        self.frames = self.frames.wrapping_add(1);
        self.frames_at_last[class as usize] = self.frames;
    }
}

const CLASSES: usize = 4;
const URGENCY_SHIFT: u32 = 61;
const CLASS_SHIFT: u32 = 59;
/// What an identifier of 31 bits leaves of the 59 bits below the class.
const SEQUENCE_BITS: u32 = 28;
/// How many entries of a class `find_near_heads` looks at: all of them, stale ones included, while
/// at most 8 streams are queued.
const NEAR_HEAD: usize = 16 + STALE_MAX;
/// How many stale entries remain in any case.
const STALE_MAX: usize = 16;
/// Frames of sequential streams after which another class of the same urgency sends one.
const SEQUENTIAL_RUN_MAX: u32 = 3;
/// Frames of other classes after which a waiting class sends first.
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
                queue.note_removed(|stream| keys[stream.index()]);
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
            queue.note_removed(|stream| keys[stream.index()]);
            queue.check(1, |stream| keys[stream.index()]);
            let entries = queue.entries();
            assert!((1..=2 + STALE_MAX + 1).contains(&entries), "{entries} entries");
        }
        assert_eq!(queue.first(|stream| [QueueKey::NONE, other][stream.index()]), Some((other, second)));
    }

    #[test]
    fn a_stream_near_the_head_is_found_in_the_order_of_the_queue() {
        let mut queue = SendQueue::new();
        for id in (1..=65).step_by(2) {
            queue.enqueue(stream(id), Priority::default(), Class::RoundRobin);
        }
        queue.enqueue(stream(67), Priority::new(4, false), Class::Sequential);
        let find = |wanted: &[u32]| {
            let found = queue.find_near_heads(|_, stream| wanted.contains(&stream.id().as_u32()));
            found.map(|(_, stream)| stream.id().as_u32())
        };
        assert_eq!(find(&[67, 15, 5, 7]), Some(5));
        assert_eq!(find(&[67]), Some(67));
        assert_eq!(find(&[63, 65]), Some(63));
        assert_eq!(find(&[65]), None, "it is the 33rd of its class");
    }

    #[test]
    fn a_key_holds_what_is_packed_into_it() {
        let classes = [Class::Sequential, Class::RoundRobin, Class::Unsignalled, Class::Tunnel];
        for class in classes {
            let key = QueueKey::new(stream(0x7fff_ffff), 7, class, u64::from(u32::MAX));
            assert_eq!((key.urgency(), key.class()), (7, class));
            let sequence = u64::from(u32::MAX);
            let sequential = 0x7fff_ffff << 28 | sequence & 0x0fff_ffff;
            let order = if class == Class::Sequential { sequential } else { sequence };
            assert_eq!(key.order(), order, "{class:?}");
        }
    }

    #[test]
    fn other_classes_have_one_turn_after_three_sequential_frames() {
        let mut queue = SendQueue::new();
        let sequential = queue.enqueue(stream(1), Priority::default(), Class::Sequential);
        let incremental = queue.enqueue(stream(3), Priority::default(), Class::RoundRobin);
        queue.count_frame(Class::RoundRobin);
        for frames in 0..3 {
            assert!(queue.precedes(sequential, incremental), "after {frames} frames");
            queue.count_frame(Class::Sequential);
        }
        assert!(queue.precedes(incremental, sequential));
        queue.count_frame(Class::RoundRobin);
        assert!(queue.precedes(sequential, incremental));
    }

    #[test]
    fn a_class_that_waited_for_seven_frames_precedes_a_more_urgent_one() {
        let mut queue = SendQueue::new();
        let urgent = queue.enqueue(stream(1), Priority::new(0, false), Class::Sequential);
        let tunnel = queue.enqueue(stream(3), Priority::new(7, false), Class::Tunnel);
        for frames in 0..7 {
            assert!(queue.precedes(urgent, tunnel), "after {frames} frames");
            queue.count_frame(Class::Sequential);
        }
        assert!(queue.precedes(tunnel, urgent));
    }

    fn stream(id: u32) -> StreamKey {
        StreamKey::from_parts(StreamId::new(id), id / 2)
    }
}
