//! The deadlines of many exchanges, for an I/O layer that must know the next one.
//!
//! Invariant: each exchange has at most one deadline here, the last that was set.
//!
//! Most exchanges never have a deadline, so an empty set costs nothing, and setting no deadline for
//! an exchange that has none is a comparison of two `None`.
//!
//! # Example
//!
//! ```
//! use core::time::Duration;
//! use thalweg::Instant;
//! use thalweg_http::deadlines::Deadlines;
//!
//! let soon = Instant::ZERO + Duration::from_secs(1);
//! let later = Instant::ZERO + Duration::from_secs(5);
//! let mut deadlines = Deadlines::default();
//! deadlines.set("a", None, Some(later)); // after each call to the exchange: before, after
//! deadlines.set("b", None, Some(soon));
//! assert_eq!(deadlines.next(), Some(soon));
//! assert_eq!(deadlines.pop_expired(soon), Some("b"));
//! assert_eq!(deadlines.pop_expired(soon), None);
//! deadlines.set("a", Some(later), None); // it has ended
//! assert_eq!(deadlines.next(), None);
//! ```

use alloc::collections::BTreeSet;

use thalweg::Instant;

/// The deadlines of exchanges, which a key such as `StreamKey` names.
#[derive(Clone, Debug)]
pub struct Deadlines<K> {
    set: BTreeSet<(Instant, K)>,
}

impl<K> Default for Deadlines<K> {
    fn default() -> Self {
        Self { set: BTreeSet::new() }
    }
}

impl<K: Ord + Copy> Deadlines<K> {
    /// Replaces the deadline of an exchange. `before` is the one that was set last.
    #[inline]
    pub fn set(&mut self, key: K, before: Option<Instant>, after: Option<Instant>) {
        if before == after {
            return;
        }
        if let Some(before) = before {
            self.set.remove(&(before, key));
        }
        if let Some(after) = after {
            self.set.insert((after, key));
        }
    }

    /// Returns the next deadline.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        self.set.first().map(|(at, _)| *at)
    }

    /// Removes and returns an exchange whose deadline has come. The caller passes
    /// [`Input::Timeout`](crate::exchange::Input::Timeout) to it.
    pub fn pop_expired(&mut self, now: Instant) -> Option<K> {
        let (at, key) = *self.set.first()?;
        if at > now {
            return None;
        }
        self.set.remove(&(at, key));
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_deadline_of_each_exchange_is_kept_in_order() {
        let at = Instant::from_nanos;
        let mut deadlines = Deadlines::default();
        deadlines.set(1, None, Some(at(10)));
        deadlines.set(2, None, Some(at(5)));
        deadlines.set(3, None, None);
        deadlines.set(2, Some(at(5)), Some(at(20)));
        assert_eq!(deadlines.next(), Some(at(10)));
        assert_eq!(deadlines.pop_expired(at(9)), None);
        assert_eq!(deadlines.pop_expired(at(30)), Some(1));
        assert_eq!(deadlines.pop_expired(at(30)), Some(2));
        assert_eq!(deadlines.pop_expired(at(30)), None);
        deadlines.set(1, None, Some(at(10)));
        deadlines.set(4, None, Some(at(10)));
        deadlines.set(1, Some(at(10)), None);
        assert_eq!(deadlines.pop_expired(at(10)), Some(4));
        assert_eq!(deadlines.next(), None);
    }
}
