//! Which connections are idle, and which of them make room at a server's limit of connections.
//!
//! Invariants: a connection with streams is not evicted; one that does not speak HTTP/2 yet is
//! evicted only after it made no progress for a second, so that clients which are connecting do not
//! displace each other; an eviction begins only when the one before has made room, so that a server
//! does not close more connections than it needs to; connections that have made room and are not
//! gone yet are bounded.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use thalweg::{ErrorCode, Server};

use crate::command::Command;
use crate::lingering_close::CloseLimits;

/// Since when a connection has had no streams. Its driver and the server share it.
///
/// A new connection counts as idle, too, from one second after its last progress: a client that
/// connects and sends nothing must not keep others out.
#[derive(Debug)]
pub struct IdleState {
    /// The time from which the connection is idle, in nanoseconds after `ORIGIN`; or `BUSY`.
    since: AtomicU64,
    /// `KEPT`, `CHOSEN` to make room, or `CLOSED` for that.
    eviction: AtomicU8,
    /// Whether an evicted connection closes at once, because enough others linger.
    is_abrupt: AtomicBool,
}

impl Default for IdleState {
    fn default() -> Self {
        Self::accepted_at(ORIGIN.elapsed())
    }
}

impl IdleState {
    fn accepted_at(elapsed: Duration) -> Self {
        let since = AtomicU64::new(nanos(elapsed.saturating_add(PROGRESS_TIME)));
        Self { since, eviction: AtomicU8::new(KEPT), is_abrupt: AtomicBool::new(false) }
    }

    /// Records that the peer sent something before the connection speaks HTTP/2. The I/O layer
    /// calls it during the negotiation.
    pub fn negotiation_progressed(&self) {
        self.since.store(nanos(ORIGIN.elapsed().saturating_add(PROGRESS_TIME)), Ordering::Relaxed);
    }

    /// Records whether the connection has no streams; `was_used` tells whether it had some since
    /// the last call. The driver calls it before it waits. Reads the clock only if the state
    /// changes.
    pub fn update(&self, is_idle: bool, was_used: bool) {
        self.update_at(is_idle, was_used, || ORIGIN.elapsed());
    }

    fn update_at(&self, is_idle: bool, was_used: bool, elapsed: impl FnOnce() -> Duration) {
        let was_idle = self.since.load(Ordering::Relaxed) != BUSY;
        if is_idle && (was_used || !was_idle) {
            self.since.store(nanos(elapsed()), Ordering::Relaxed);
        } else if !is_idle && was_idle {
            self.since.store(BUSY, Ordering::Relaxed);
        }
    }

    /// Returns since when the connection is idle, after an origin that all connections of the
    /// process share; `None` if it is not.
    fn idle_since(&self, elapsed: Duration) -> Option<Duration> {
        let since = Duration::from_nanos(self.since.load(Ordering::Relaxed));
        (since <= elapsed).then_some(since)
    }

    /// Returns whether the connection is shutting down to make room.
    #[must_use]
    pub fn is_evicted(&self) -> bool {
        self.eviction.load(Ordering::SeqCst) != KEPT
    }

    /// Notes that the connection has ended to make room. Only its lingering close is left.
    pub fn set_closed(&self) {
        self.eviction.store(CLOSED, Ordering::SeqCst);
    }

    /// Returns whether the connection has ended to make room.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.eviction.load(Ordering::SeqCst) == CLOSED
    }

    /// Returns the limits of the connection's close: those given, unless it ends to make room and
    /// enough others linger for that reason. Then it closes when its GOAWAY is written.
    #[must_use]
    pub fn close_limits(&self, limits: CloseLimits) -> CloseLimits {
        if self.is_closed() && self.is_abrupt.load(Ordering::SeqCst) {
            limits.flush(limits.flush.min(ABRUPT_FLUSH)).drain(Duration::ZERO)
        } else {
            limits
        }
    }
}

/// Returns whether a server with these connections can serve another one. A connection that has
/// ended to make room gives its place at once and lingers beside: at most 64 do so.
pub fn has_room<'a>(
    connections: impl ExactSizeIterator<Item = &'a IdleState>,
    connections_max: usize,
) -> bool {
    let len = connections.len();
    len < connections_max || {
        let closed = connections.filter(|state| state.is_closed()).count();
        len - closed.min(CLOSED_MAX) < connections_max
    }
}

/// Returns the connections to evict so that another finds room: an eighth of the idle ones, at
/// least 1 and at most 32, those that have been idle for longest. None while an earlier eviction
/// has not made room yet. The first 32 that end at a time linger until the peer closes or
/// [`CloseLimits`] are over; others close when their GOAWAY is written.
pub fn least_recently_used<'a, T>(connections: impl Iterator<Item = (&'a IdleState, T)>) -> Vec<T> {
    least_recently_used_at(ORIGIN.elapsed(), connections)
}

fn least_recently_used_at<'a, T>(
    elapsed: Duration,
    connections: impl Iterator<Item = (&'a IdleState, T)>,
) -> Vec<T> {
    let (mut idle, mut closed) = (Vec::new(), 0);
    for (state, connection) in connections {
        if state.is_closed() {
            closed += 1;
        } else if let Some(since) = state.idle_since(elapsed) {
            if state.is_evicted() {
                return Vec::new();
            }
            idle.push((since, state, connection));
        }
    }
    idle.sort_by_key(|(since, ..)| *since);
    let count = (idle.len() / 8).clamp(1, EVICTED_MAX);
    let chosen = idle.into_iter().take(count).enumerate().map(|(index, (_, state, connection))| {
        state.is_abrupt.store(closed + index >= LINGERING_MAX, Ordering::SeqCst);
        connection
    });
    chosen.collect()
}

/// Marks a connection as evicted. Returns the command that shuts it down, if it still has no
/// streams then. GOAWAY carries the last processed stream: the client may retry a request that
/// crosses it on another connection (RFC 9113 §6.8).
///
/// The I/O layer itself closes a connection that does not speak HTTP/2 yet, with
/// [`NegotiationError::Evicted`](crate::NegotiationError::Evicted): at this command, or when
/// [`is_evicted`](IdleState::is_evicted) says so.
pub fn evict(state: Arc<IdleState>) -> Command<Server> {
    state.eviction.store(CHOSEN, Ordering::SeqCst);
    Box::new(move |connection| {
        if connection.live_streams() == 0 {
            connection.close(ErrorCode::NO_ERROR, EVICTION_TEXT);
            state.set_closed();
        } else {
            state.eviction.store(KEPT, Ordering::SeqCst);
        }
        Ok(())
    })
}

/// Converts a time to nanoseconds. The last time does not mean busy.
fn nanos(elapsed: Duration) -> u64 {
    u64::try_from(elapsed.as_nanos()).unwrap_or(BUSY).min(BUSY - 1)
}

/// The origin of idle times.
static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
const BUSY: u64 = u64::MAX;
/// Time for a client to send its first bytes, and the next ones of a handshake.
const PROGRESS_TIME: Duration = Duration::from_secs(1);
/// The debug data of the GOAWAY.
const EVICTION_TEXT: &[u8] = b"idle, and the server has reached its limit of connections";
/// Connections that are evicted at a time, at most.
const EVICTED_MAX: usize = 32;
/// Evicted connections that linger at a time, at most.
const LINGERING_MAX: usize = 32;
/// Evicted connections that do not count in the limit, at most: those that linger, and those that
/// still write GOAWAY.
const CLOSED_MAX: usize = 2 * LINGERING_MAX;
/// Time to write GOAWAY for one that does not linger.
const ABRUPT_FLUSH: Duration = Duration::from_millis(100);
const KEPT: u8 = 0;
const CHOSEN: u8 = 1;
const CLOSED: u8 = 2;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setup::Setup;

    fn idle_since(seconds: u64) -> IdleState {
        let state = IdleState::default();
        state.update_at(true, true, || Duration::from_secs(seconds));
        state
    }

    fn busy() -> IdleState {
        let state = IdleState::default();
        state.update(false, true);
        state
    }

    const LATE: Duration = Duration::from_secs(5000);

    #[test]
    fn the_time_of_becoming_idle_is_kept_until_the_next_use() {
        let at = |seconds| move || Duration::from_secs(seconds);
        let since = |state: &IdleState| state.idle_since(LATE).map(|since| since.as_secs());
        let state = IdleState::accepted_at(Duration::from_secs(1));
        assert_eq!(since(&state), Some(2), "silent since it was accepted");
        state.update_at(true, false, || panic!("the clock is not read without a change"));
        assert_eq!(since(&state), Some(2));
        state.update_at(true, true, at(3));
        assert_eq!(since(&state), Some(3), "used between two calls");
        state.update_at(false, true, || panic!("the clock is not read for a busy connection"));
        assert_eq!(since(&state), None);
        state.update_at(true, false, at(5));
        assert_eq!(since(&state), Some(5));
        state.update_at(true, true, || Duration::MAX);
        assert_eq!(state.since.load(Ordering::Relaxed), BUSY - 1, "the last time does not mean busy");
    }

    #[test]
    fn a_new_connection_has_a_second_for_each_step_of_its_negotiation() {
        let state = IdleState::default();
        let before = Duration::from_nanos(state.since.load(Ordering::Relaxed));
        assert_eq!(state.idle_since(before - Duration::from_nanos(1)), None);
        assert_eq!(state.idle_since(before), Some(before));
        state.since.store(0, Ordering::Relaxed);
        state.negotiation_progressed();
        assert!(state.idle_since(before - Duration::from_nanos(1)).is_none());
    }

    #[test]
    fn those_idle_for_longest_make_room() {
        let chosen = |states: &[IdleState]| {
            let states = states.iter().enumerate().map(|(index, state)| (state, index));
            least_recently_used_at(LATE, states)
        };
        assert_eq!(chosen(&[]), [0; 0]);
        assert_eq!(chosen(&[busy()]), [0; 0]);
        assert_eq!(chosen(&[idle_since(9), busy(), idle_since(4), idle_since(5)]), [2]);
        let many: Vec<_> = (0..24).rev().map(idle_since).collect();
        assert_eq!(chosen(&many), [23, 22, 21]);
        let many: Vec<_> = (0..1000).map(idle_since).collect();
        assert_eq!(chosen(&many), (0..32).collect::<Vec<_>>());
        choose(&many[999]);
        assert_eq!(chosen(&many), [0; 0], "an eviction is running");
        many[999].update(false, true);
        assert_eq!(chosen(&many).len(), 32, "it has a stream now, and will be spared");
        many[999].set_closed();
        assert_eq!(chosen(&many).len(), 32, "it has made room");
    }

    /// Marks a connection as chosen, as `evict` does.
    fn choose(state: &IdleState) {
        state.eviction.store(CHOSEN, Ordering::SeqCst);
    }

    #[test]
    fn a_connection_that_made_room_lingers_beside_the_limit() {
        let states: Vec<_> = (0..100).map(idle_since).collect();
        let fits = |len: usize, max| has_room(states[..len].iter(), max);
        assert!(fits(9, 10) && !fits(10, 10));
        choose(&states[3]);
        assert!(!fits(10, 10), "it has not closed yet");
        states[3].set_closed();
        assert!(fits(10, 10) && !fits(11, 10));
        states.iter().for_each(IdleState::set_closed);
        assert!(fits(73, 10) && !fits(74, 10), "64 of them at most");
    }

    #[test]
    fn only_so_many_evicted_connections_linger() {
        let states: Vec<_> = (0..300).map(idle_since).collect();
        let limits = CloseLimits::default();
        let abrupt = limits.flush(Duration::from_millis(100)).drain(Duration::ZERO);
        for (round, expected) in [limits, abrupt].into_iter().enumerate() {
            let indexed = states.iter().enumerate().map(|(index, state)| (state, index));
            let chosen = least_recently_used_at(LATE, indexed);
            assert_eq!(chosen, (32 * round..32 * (round + 1)).collect::<Vec<_>>());
            for index in chosen {
                assert_eq!(states[index].close_limits(limits), limits, "it has not ended");
                states[index].set_closed();
                assert_eq!(states[index].close_limits(limits), expected, "round {round}");
            }
        }
    }

    #[test]
    fn an_eviction_closes_a_connection_without_streams() {
        let state = Arc::new(IdleState::default());
        let mut connection = Setup::default().start::<Server>().unwrap();
        let command = evict(Arc::clone(&state));
        assert!(state.is_evicted());
        command(&mut connection).unwrap();
        assert!(state.is_evicted());
        assert!(!connection.wants_read());
        let mut output = Vec::new();
        while connection.poll_transmit(&mut output) {}
        assert!(output.ends_with(EVICTION_TEXT));
    }

    #[test]
    fn an_eviction_spares_a_connection_that_is_used_again() {
        let state = Arc::new(IdleState::default());
        let command = evict(Arc::clone(&state));
        let (mut connection, _) = Setup::default().start_upgraded(&[], b"GET").unwrap();
        command(&mut connection).unwrap();
        assert!(!state.is_evicted());
        assert!(connection.wants_read());
    }
}
