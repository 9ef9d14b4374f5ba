//! Priorities that PRIORITY_UPDATE signals for streams before they are opened (RFC 9218 §7.1).
//!
//! Invariants: identifiers rise; there are at most as many as the bounds of `store` allow.

use alloc::collections::VecDeque;

use crate::priority::Priority;
use crate::stream_id::StreamId;

/// The priorities of idle streams.
#[derive(Debug)]
pub(crate) struct EarlyPriorities {
    entries: VecDeque<(StreamId, Priority)>,
}

/// What bounds the number of idle streams with a priority.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EarlyBounds {
    /// The streams of the peer that are active.
    pub active: u32,
    /// The limit of active streams that the peer has acknowledged.
    pub acknowledged_max: u32,
    /// The limit that was announced last. Until it is acknowledged, it bounds our memory and not
    /// the peer.
    pub announced_max: u32,
}

impl EarlyPriorities {
    /// Creates an empty list, without memory.
    pub(crate) const fn new() -> Self {
        Self { entries: VecDeque::new() }
    }

    /// Stores the priority of an idle stream, in place of an earlier one.
    ///
    /// # Errors
    /// The number of streams that the peer could then open, if it exceeds the acknowledged limit.
    pub(crate) fn store(&mut self, id: StreamId, priority: Priority, bounds: EarlyBounds) -> Result<(), u64> {
        let index = match self.entries.binary_search_by_key(&id, |(id, _)| *id) {
            Ok(index) => {
                self.entries[index].1 = priority;
                return Ok(());
            }
            Err(index) => index,
        };
        let streams = u64::from(bounds.active) + self.entries.len() as u64 + 1;
        if streams > u64::from(bounds.acknowledged_max) {
            return Err(streams);
        }
        if self.entries.len() < bounds.announced_max as usize {
            self.entries.insert(index, (id, priority));
        }
        Ok(())
    }

    /// Removes and returns the priority of a stream that is opened now. Streams below it can no
    /// longer be opened; their priorities are dropped.
    #[inline]
    pub(crate) fn take(&mut self, id: StreamId) -> Option<Priority> {
        if self.entries.is_empty() {
            return None;
        }
        self.drop_up_to(StreamId::new(id.as_u32() - 1));
        match self.entries.front() {
            Some(&(first, priority)) if first == id => {
                self.entries.pop_front();
                Some(priority)
            }
            _ => None,
        }
    }

    /// Drops the priorities of streams up to `last`, which are no longer idle.
    pub(crate) fn drop_up_to(&mut self, last: StreamId) {
        while self.entries.front().is_some_and(|(id, _)| *id <= last) {
            self.entries.pop_front();
        }
    }

    /// Returns the heap that is held, bytes.
    pub(crate) fn capacity_bytes(&self) -> usize {
        self.entries.capacity() * size_of::<(StreamId, Priority)>()
    }

    /// Asserts the invariants.
    pub(crate) fn check(&self) {
        debug_assert!(self.entries.iter().zip(self.entries.iter().skip(1)).all(|(a, b)| a.0 < b.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: EarlyBounds = EarlyBounds { active: 1, acknowledged_max: 4, announced_max: 2 };

    fn urgency(urgency: u8) -> Priority {
        Priority::new(urgency, false)
    }

    #[test]
    fn the_last_priority_of_a_stream_counts_and_lower_ones_are_dropped() {
        let mut early = EarlyPriorities::new();
        assert_eq!(early.store(StreamId::new(5), urgency(1), BOUNDS), Ok(()));
        assert_eq!(early.store(StreamId::new(3), urgency(2), BOUNDS), Ok(()));
        assert_eq!(early.store(StreamId::new(5), urgency(4), BOUNDS), Ok(()));
        early.check();
        assert_eq!(early.take(StreamId::new(5)), Some(urgency(4)));
        assert_eq!(early.take(StreamId::new(3)), None, "5 was opened, so 3 cannot be any more");
    }

    #[test]
    fn an_acknowledged_limit_is_an_error_and_an_announced_one_bounds_memory() {
        let mut early = EarlyPriorities::new();
        for id in [3, 5, 7] {
            assert_eq!(early.store(StreamId::new(id), urgency(1), BOUNDS), Ok(()), "{id}");
        }
        assert_eq!(early.take(StreamId::new(7)), None, "two fit");
        for id in [9, 11] {
            assert_eq!(early.store(StreamId::new(id), urgency(1), BOUNDS), Ok(()), "{id}");
        }
        let bounds = EarlyBounds { active: 2, ..BOUNDS };
        assert_eq!(early.store(StreamId::new(13), urgency(1), bounds), Err(5));
        assert_eq!(early.store(StreamId::new(9), urgency(0), bounds), Ok(()), "it has a place already");
    }
}
