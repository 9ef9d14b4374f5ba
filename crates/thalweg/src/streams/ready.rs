//! Who was cut short and may go on, in the order of RFC 9218 §10.
//!
//! A heap of keys: urgency first, then streams that are not incremental by identifier, then incremental ones by turn. An entry
//! counts only while its slot still carries the same key, so leaving the list costs nothing and stale entries are
//! dropped when they come up, or all at once when they are the majority.
//!
//! Keeps true: a slot is listed at most once; the heap holds at most twice as many entries as slots are listed, and a few.

use alloc::collections::BinaryHeap;
use core::cmp::Reverse;

use crate::priority::Priority;
use crate::stream_id::Stream;

/// Where a stream stands in the list; smaller goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key(u64);

impl Key {
    /// The key of a slot that is not listed.
    pub const NONE: Self = Self(0);
}

/// The list.
#[derive(Debug)]
pub struct Ready {
    heap: BinaryHeap<Reverse<(Key, Stream)>>,
    listed: u32,
    turn: u64,
}

impl Ready {
    /// Starts empty, without memory.
    pub const fn new() -> Self {
        Self { heap: BinaryHeap::new(), listed: 0, turn: 0 }
    }

    /// The key that a stream gets if it is listed now. It never had that key before, so what is left of earlier times
    /// stays stale.
    pub fn key(&self, stream: Stream, priority: Priority) -> Key {
        let turn = self.turn + 1;
        let order = match priority.incremental() {
            true => turn,
            false => u64::from(stream.id().as_u32()) << TURN_BITS | turn & ((1 << TURN_BITS) - 1),
        };
        let incremental = u64::from(priority.incremental());
        Key(u64::from(priority.urgency()) << URGENCY_SHIFT | incremental << INCREMENTAL_SHIFT | order)
    }

    /// Lists a stream; the caller keeps the key in its slot.
    pub fn list(&mut self, stream: Stream, priority: Priority) -> Key {
        let key = self.key(stream, priority);
        self.turn += 1;
        self.listed += 1;
        self.heap.push(Reverse((key, stream)));
        key
    }

    /// Notes that one listed stream has left: its slot no longer carries its key.
    pub fn left(&mut self, key_of: impl Fn(Stream) -> Key) {
        self.listed -= 1;
        if self.heap.len() > 2 * self.listed as usize + STALE_MAX {
            self.heap.retain(|Reverse((key, stream))| key_of(*stream) == *key);
        }
    }

    /// The first in the list. `key_of` tells the key that a stream's slot carries, [`Key::NONE`] for stale handles.
    #[inline]
    pub fn first(&mut self, key_of: impl Fn(Stream) -> Key) -> Option<(Key, Stream)> {
        if self.listed == 0 {
            return None;
        }
        while let Some(Reverse((key, stream))) = self.heap.peek() {
            if key_of(*stream) == *key {
                return Some((*key, *stream));
            }
            self.heap.pop();
        }
        None
    }

    /// Forgets everybody.
    pub fn clear(&mut self) {
        self.heap = BinaryHeap::new();
        self.listed = 0;
    }

    /// Asserts what this owner keeps true; `listed` counts the slots that carry a key.
    pub fn check(&self, listed: usize, key_of: impl Fn(Stream) -> Key) {
        debug_assert_eq!(self.listed as usize, listed);
        debug_assert!(self.heap.len() <= 2 * listed + STALE_MAX + 1);
        let current = self.heap.iter().filter(|Reverse((key, stream))| key_of(*stream) == *key).count();
        debug_assert_eq!(current, listed);
    }
}

const URGENCY_SHIFT: u32 = 61;
const INCREMENTAL_SHIFT: u32 = 60;
/// What an identifier of 31 bits leaves of the 60 below.
const TURN_BITS: u32 = 28;
const STALE_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream_id::StreamId;

    #[test]
    fn a_stream_that_comes_back_is_listed_once() {
        let (first, second) = (stream(1), stream(3));
        let mut ready = Ready::new();
        let other = ready.list(second, Priority::default());
        let mut keys = [Key::NONE, other];
        for _ in 0..3 {
            keys[0] = Key::NONE;
            if ready.listed > 1 {
                ready.left(|stream| keys[stream.index()]);
            }
            keys[0] = ready.list(first, Priority::default());
        }
        ready.check(2, |stream| keys[stream.index()]);
        assert_eq!(ready.first(|stream| keys[stream.index()]), Some((keys[0], first)));
        assert!(keys[0] < keys[1], "streams that are not incremental go by identifier");
    }

    fn stream(id: u32) -> Stream {
        Stream::from_parts(StreamId::new(id), id / 2)
    }
}
