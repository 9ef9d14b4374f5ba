//! The identifiers of one side: from an identifier to its slot, or to how its stream ended.
//!
//! Identifiers of one side rise by two, so the newest ones index a ring directly; no hash is
//! needed:
//!
//! ```text
//! id:     91   93   95   97   99  101  103  105      ring of 8 entries: entry = (id / 2) mod 8
//! entry:  [ 5 | 6  | 7  | 0  | 1  | 2  | 3  | 4  ]
//! status:  slot 2, ended, slot 0, reset, slot 1, ...   107 would take the entry of 91
//! ```
//!
//! A stream that is still live when its entry is taken moves to `overflow`, a short sorted list.
//!
//! Invariants: identifiers strictly rise; each live stream is found; memory is bounded by the
//! ring's largest size and by the number of live streams; an entry that was overwritten means
//! "forgotten", never another stream.

use alloc::vec::Vec;

/// What is known of an identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StreamStatus {
    /// Never used, above all that were.
    Idle,
    /// Open or reserved, in this slot.
    Live(u32),
    /// Closed, for this reason.
    Closed(CloseReason),
    /// Below a later one without ever having been used (RFC 9113 §5.1.1).
    Skipped,
    /// Closed so long ago that the reason is no longer known.
    Forgotten,
}

/// Why a stream is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CloseReason {
    /// Both halves ended with END_STREAM.
    Completed,
    /// We sent RST_STREAM: late frames of the peer are expected.
    ResetLocal,
    /// The peer sent RST_STREAM.
    ResetRemote,
}

/// The identifiers of one side.
#[derive(Debug)]
pub(crate) struct IdTable {
    ring: Vec<RingEntry>,
    overflow: Vec<OverflowEntry>,
    /// The highest identifier that was used; 0 before the first.
    last: u32,
    ring_len_max: u32,
}

#[derive(Clone, Copy, Debug, Default)]
struct RingEntry {
    /// 0: never used.
    id: u32,
    /// A slot, or one of the marks below.
    status: u32,
}

#[derive(Clone, Copy, Debug)]
struct OverflowEntry {
    id: u32,
    slot: u32,
}

impl IdTable {
    /// Creates an empty table, without memory. It remembers up to `closed_streams_max` identifiers.
    pub(crate) const fn new(closed_streams_max: u32) -> Self {
        let ring_len_max = closed_streams_max.next_power_of_two();
        Self { ring: Vec::new(), overflow: Vec::new(), last: 0, ring_len_max }
    }

    /// Returns the highest identifier that was used; 0 before the first.
    pub(crate) const fn last(&self) -> u32 {
        self.last
    }

    /// Returns what is known of `id`, which belongs to this side.
    #[inline]
    pub(crate) fn status(&self, id: u32) -> StreamStatus {
        if id > self.last {
            return StreamStatus::Idle;
        }
        let Some(entry) = self.ring.get(self.ring_index(id)) else { return StreamStatus::Skipped };
        if entry.id == id {
            return match entry.status {
                COMPLETED => StreamStatus::Closed(CloseReason::Completed),
                RESET_LOCAL => StreamStatus::Closed(CloseReason::ResetLocal),
                RESET_REMOTE => StreamStatus::Closed(CloseReason::ResetRemote),
                slot => StreamStatus::Live(slot),
            };
        }
        if let Ok(index) = self.overflow.binary_search_by_key(&id, |entry| entry.id) {
            return StreamStatus::Live(self.overflow[index].slot);
        }
        // An entry with a later identifier hides what was there; any other shows that `id` was
        // never opened.
        if entry.id > id { StreamStatus::Forgotten } else { StreamStatus::Skipped }
    }

    /// Opens a new identifier.
    #[inline]
    pub(crate) fn open(&mut self, id: u32, slot: u32) {
        debug_assert!(id > self.last && slot < RESET_REMOTE);
        self.last = id;
        let mut index = self.ring_index(id);
        // A ring of the largest size is not asked to grow for each stream.
        if self.ring.len() < self.ring_len_max as usize
            && self.ring.get(index).is_none_or(|entry| entry.id != 0)
            && self.grow()
        {
            index = self.ring_index(id);
        }
        let entry = core::mem::replace(&mut self.ring[index], RingEntry { id, status: slot });
        if entry.id != 0 && entry.status < RESET_REMOTE {
            self.move_to_overflow(entry);
        }
    }

    /// Keeps a live stream whose entry in the ring was taken.
    #[cold]
    fn move_to_overflow(&mut self, entry: RingEntry) {
        let entry = OverflowEntry { id: entry.id, slot: entry.status };
        let at = self.overflow.partition_point(|other| other.id < entry.id);
        self.overflow.insert(at, entry);
    }

    /// Remembers an identifier that was refused and never had a slot.
    pub(crate) fn mark_refused(&mut self, id: u32) {
        self.open(id, 0);
        self.close(id, CloseReason::ResetLocal);
    }

    /// Records why a live stream was closed.
    #[inline]
    pub(crate) fn close(&mut self, id: u32, reason: CloseReason) {
        let index = self.ring_index(id);
        if let Some(entry) = self.ring.get_mut(index)
            && entry.id == id
        {
            entry.status = match reason {
                CloseReason::Completed => COMPLETED,
                CloseReason::ResetLocal => RESET_LOCAL,
                CloseReason::ResetRemote => RESET_REMOTE,
            };
            return;
        }
        self.remove_from_overflow(id);
    }

    #[cold]
    fn remove_from_overflow(&mut self, id: u32) {
        if let Ok(index) = self.overflow.binary_search_by_key(&id, |entry| entry.id) {
            self.overflow.remove(index);
        }
    }

    /// Removes every stream, live ones too, and frees the memory; only the highest identifier
    /// remains.
    pub(crate) fn clear(&mut self) {
        self.ring = Vec::new();
        self.overflow = Vec::new();
    }

    /// Returns the heap that is held, bytes.
    pub(crate) fn capacity_bytes(&self) -> usize {
        self.ring.capacity() * size_of::<RingEntry>() + self.overflow.capacity() * size_of::<OverflowEntry>()
    }

    #[inline]
    fn ring_index(&self, id: u32) -> usize {
        (id >> 1) as usize & self.ring.len().wrapping_sub(1)
    }

    /// Doubles the ring, up to its largest size. Returns whether it grew.
    #[cold]
    fn grow(&mut self) -> bool {
        let len = (self.ring.len() * 2).max(RING_LEN_MIN);
        if len > self.ring_len_max as usize {
            return false;
        }
        let old = core::mem::replace(&mut self.ring, alloc::vec![RingEntry::default(); len]);
        for entry in old.into_iter().filter(|entry| entry.id != 0) {
            // Identifiers that shared no entry in the smaller ring share none in the larger.
            let index = self.ring_index(entry.id);
            self.ring[index] = entry;
        }
        true
    }

    /// Asserts the invariants. `is_live` returns whether a slot holds an identifier.
    pub(crate) fn check(&self, is_live: impl Fn(u32, u32) -> bool) {
        debug_assert!(self.ring.len() <= self.ring_len_max as usize);
        debug_assert!(self.overflow.windows(2).all(|pair| pair[0].id < pair[1].id));
        for entry in &self.overflow {
            debug_assert!(is_live(entry.id, entry.slot));
        }
        for entry in self.ring.iter().filter(|entry| entry.id != 0 && entry.status < RESET_REMOTE) {
            debug_assert!(is_live(entry.id, entry.status));
        }
    }
}

const RING_LEN_MIN: usize = 8;
const COMPLETED: u32 = u32::MAX;
const RESET_LOCAL: u32 = u32::MAX - 1;
/// The lowest mark: smaller values are slots.
const RESET_REMOTE: u32 = u32::MAX - 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_is_reported() {
        let mut ids = IdTable::new(8);
        assert_eq!(ids.status(1), StreamStatus::Idle);
        ids.open(3, 0);
        ids.open(5, 1);
        ids.close(5, CloseReason::ResetRemote);
        assert_eq!(ids.status(1), StreamStatus::Skipped);
        assert_eq!(ids.status(3), StreamStatus::Live(0));
        assert_eq!(ids.status(5), StreamStatus::Closed(CloseReason::ResetRemote));
        assert_eq!(ids.status(7), StreamStatus::Idle);
        ids.mark_refused(21);
        assert_eq!(ids.status(21), StreamStatus::Closed(CloseReason::ResetLocal));
        assert_eq!(ids.status(5), StreamStatus::Forgotten, "21 took the entry of 5");
        assert_eq!(ids.status(19), StreamStatus::Skipped, "the entry of 19 still holds 3");
    }

    /// Compares the table with a map that keeps all streams: live streams are always found, others
    /// never taken for live.
    #[test]
    fn long_lived_streams_are_found_among_many_short_ones() {
        let mut ids = IdTable::new(16);
        let mut live = alloc::collections::BTreeMap::new();
        let mut random = 7u64;
        let mut id = 1;
        for step in 0..20_000u32 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            if random >> 62 != 0 && live.len() < 50 {
                id += 2 * (1 + (random >> 40) as u32 % 3);
                ids.open(id, step);
                live.insert(id, step);
            } else if let Some((&victim, _)) = live.iter().nth((random >> 33) as usize % live.len().max(1)) {
                ids.close(victim, CloseReason::Completed);
                live.remove(&victim);
                assert!(!matches!(ids.status(victim), StreamStatus::Live(_)));
            }
            for (&id, &slot) in &live {
                assert_eq!(ids.status(id), StreamStatus::Live(slot));
            }
        }
        let (ring_len, overflow) = (ids.ring.capacity(), ids.overflow.capacity());
        assert!(
            ring_len == 16 && (1..=64).contains(&overflow),
            "{ring_len} ring entries, {overflow} overflow entries"
        );
        assert_eq!(ids.capacity_bytes(), 8 * ring_len + 8 * overflow);
    }
}
