//! From stream identifier to slot, and what became of streams that ended: for the identifiers of one side.
//!
//! Identifiers of one side rise by two, so the newest ones index a ring directly; no hash is needed:
//!
//! ```text
//! id:     91   93   95   97   99  101  103  105      ring of 8 cells: cell = (id / 2) mod 8
//! cell:  [ 5 | 6  | 7  | 0  | 1  | 2  | 3  | 4  ]
//! fate:  slot 2, ended, slot 0, reset, slot 1, ...   107 would take the cell of 91
//! ```
//!
//! A stream that still lives when its cell is taken moves to `elders`, a short sorted list.
//!
//! Keeps true: identifiers strictly rise; each live stream is found; memory is bounded by the ring's largest size and by the number
//! of live streams; a cell that was overwritten means "forgotten", never another stream.

use alloc::vec::Vec;

/// What is known of an identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Never used, above all that were.
    Idle,
    /// Open or reserved, in this slot.
    Live(u32),
    /// Ended, in this way.
    Closed(Closed),
    /// Below a later one without ever having been used (RFC 9113 §5.1.1).
    Skipped,
    /// Ended so long ago that nothing is known of how.
    Forgotten,
}

/// How a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// Both halves by END_STREAM.
    Ended,
    /// We sent RST_STREAM: late frames are to be expected.
    ResetLocal,
    /// The peer sent RST_STREAM.
    ResetRemote,
}

/// The identifiers of one side.
#[derive(Debug)]
pub struct Ids {
    ring: Vec<Cell>,
    elders: Vec<Elder>,
    /// The highest identifier that was used, 0 before the first.
    last: u32,
    ring_len_max: u32,
}

#[derive(Clone, Copy, Debug, Default)]
struct Cell {
    /// 0: never used.
    id: u32,
    /// A slot, or one of the marks below.
    fate: u32,
}

#[derive(Clone, Copy, Debug)]
struct Elder {
    id: u32,
    slot: u32,
}

impl Ids {
    /// Starts without memory. `remembered` identifiers will be kept track of at most.
    pub const fn new(remembered: u32) -> Self {
        let ring_len_max = remembered.next_power_of_two();
        Self { ring: Vec::new(), elders: Vec::new(), last: 0, ring_len_max }
    }

    /// The highest identifier that was used, 0 before the first.
    pub const fn last(&self) -> u32 {
        self.last
    }

    /// Says what is known of `id`, which belongs to this side.
    #[inline]
    pub fn fate(&self, id: u32) -> Fate {
        if id > self.last {
            return Fate::Idle;
        }
        let Some(cell) = self.ring.get(self.cell_of(id)) else { return Fate::Skipped };
        if cell.id == id {
            return match cell.fate {
                ENDED => Fate::Closed(Closed::Ended),
                RESET_LOCAL => Fate::Closed(Closed::ResetLocal),
                RESET_REMOTE => Fate::Closed(Closed::ResetRemote),
                slot => Fate::Live(slot),
            };
        }
        if let Ok(index) = self.elders.binary_search_by_key(&id, |elder| elder.id) {
            return Fate::Live(self.elders[index].slot);
        }
        // A cell with a later identifier hides what was there; any other shows that `id` was never put in.
        if cell.id > id { Fate::Forgotten } else { Fate::Skipped }
    }

    /// Takes a new identifier into use.
    #[inline]
    pub fn open(&mut self, id: u32, slot: u32) {
        debug_assert!(id > self.last && slot < RESET_REMOTE);
        self.last = id;
        let mut index = self.cell_of(id);
        if self.ring.get(index).is_none_or(|cell| cell.id != 0) && self.grow() {
            index = self.cell_of(id);
        }
        let cell = &mut self.ring[index];
        if cell.id != 0 && cell.fate < RESET_REMOTE {
            let elder = Elder { id: cell.id, slot: cell.fate };
            let at = self.elders.partition_point(|other| other.id < elder.id);
            self.elders.insert(at, elder);
        }
        *cell = Cell { id, fate: slot };
    }

    /// Remembers an identifier that was refused: it never had a slot.
    pub fn refuse(&mut self, id: u32) {
        self.open(id, 0);
        self.close(id, Closed::ResetLocal);
    }

    /// Records how a live stream ended.
    #[inline]
    pub fn close(&mut self, id: u32, how: Closed) {
        let index = self.cell_of(id);
        if let Some(cell) = self.ring.get_mut(index)
            && cell.id == id
        {
            cell.fate = match how {
                Closed::Ended => ENDED,
                Closed::ResetLocal => RESET_LOCAL,
                Closed::ResetRemote => RESET_REMOTE,
            };
            return;
        }
        if let Ok(index) = self.elders.binary_search_by_key(&id, |elder| elder.id) {
            self.elders.remove(index);
        }
    }

    /// Forgets every stream, live ones too, and gives the memory back; only the highest identifier stays.
    pub fn forget_all(&mut self) {
        self.ring = Vec::new();
        self.elders = Vec::new();
    }

    /// Returns the memory that is held, bytes.
    pub fn capacity_bytes(&self) -> usize {
        self.ring.capacity() * size_of::<Cell>() + self.elders.capacity() * size_of::<Elder>()
    }

    #[inline]
    fn cell_of(&self, id: u32) -> usize {
        (id >> 1) as usize & self.ring.len().wrapping_sub(1)
    }

    /// Doubles the ring, up to its largest size. Returns whether it grew.
    #[cold]
    fn grow(&mut self) -> bool {
        let len = (self.ring.len() * 2).max(RING_LEN_MIN);
        if len > self.ring_len_max as usize {
            return false;
        }
        let old = core::mem::replace(&mut self.ring, alloc::vec![Cell::default(); len]);
        for cell in old.into_iter().filter(|cell| cell.id != 0) {
            // Identifiers that shared no cell in the smaller ring share none in the larger.
            let index = self.cell_of(cell.id);
            self.ring[index] = cell;
        }
        true
    }

    /// Asserts what this owner keeps true; `is_live` says whether a slot holds an identifier.
    pub fn check(&self, is_live: impl Fn(u32, u32) -> bool) {
        debug_assert!(self.ring.len() <= self.ring_len_max as usize);
        debug_assert!(self.elders.windows(2).all(|pair| pair[0].id < pair[1].id));
        for elder in &self.elders {
            debug_assert!(is_live(elder.id, elder.slot));
        }
        for cell in self.ring.iter().filter(|cell| cell.id != 0 && cell.fate < RESET_REMOTE) {
            debug_assert!(is_live(cell.id, cell.fate));
        }
    }
}

const RING_LEN_MIN: usize = 8;
const ENDED: u32 = u32::MAX;
const RESET_LOCAL: u32 = u32::MAX - 1;
/// The lowest mark: what is below is a slot.
const RESET_REMOTE: u32 = u32::MAX - 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fate_is_told_apart() {
        let mut ids = Ids::new(8);
        assert_eq!(ids.fate(1), Fate::Idle);
        ids.open(3, 0);
        ids.open(5, 1);
        ids.close(5, Closed::ResetRemote);
        assert_eq!(ids.fate(1), Fate::Skipped);
        assert_eq!(ids.fate(3), Fate::Live(0));
        assert_eq!(ids.fate(5), Fate::Closed(Closed::ResetRemote));
        assert_eq!(ids.fate(7), Fate::Idle);
        ids.refuse(21);
        assert_eq!(ids.fate(21), Fate::Closed(Closed::ResetLocal));
        assert_eq!(ids.fate(5), Fate::Forgotten, "21 took the cell of 5");
        assert_eq!(ids.fate(19), Fate::Skipped, "the cell of 19 still holds 3");
    }

    /// Against a map that forgets nothing: live streams are always found, others never taken for live.
    #[test]
    fn long_lived_streams_are_found_among_many_short_ones() {
        let mut ids = Ids::new(16);
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
                ids.close(victim, Closed::Ended);
                live.remove(&victim);
                assert!(!matches!(ids.fate(victim), Fate::Live(_)));
            }
            for (&id, &slot) in &live {
                assert_eq!(ids.fate(id), Fate::Live(slot));
            }
        }
        let (cells, elders) = (ids.ring.capacity(), ids.elders.capacity());
        assert!(cells == 16 && (1..=64).contains(&elders), "{cells} cells, {elders} elders");
        assert_eq!(ids.capacity_bytes(), 8 * cells + 8 * elders);
    }
}
