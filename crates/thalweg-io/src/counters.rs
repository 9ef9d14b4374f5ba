//! Counters of all connections of a server or a client, for a metrics crate to read at run time.
//!
//! Invariant: counters only grow. A connection adds to them when its driver waits and when it ends,
//! so that requests do not contend for a shared counter.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use thalweg::CloseReport;

use crate::end::ConnectionEnd;

/// Counters that connections share. Reading costs one load per counter and blocks no connection.
#[derive(Debug, Default)]
pub struct Counters {
    connections_opened: AtomicU64,
    connections_ended: AtomicU64,
    connections_refused: AtomicU64,
    connections_warned: AtomicU64,
    bytes_received: AtomicU64,
    bytes_sent: AtomicU64,
    streams_opened: AtomicU64,
    streams_completed: AtomicU64,
    resets_received: AtomicU64,
    resets_sent: AtomicU64,
    slow_polls: AtomicU64,
    longest_poll_nanos: AtomicU64,
}

/// The values of the counters at one time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CounterSnapshot {
    /// Connections accepted or opened.
    pub connections_opened: u64,
    /// Connections ended, including refused ones.
    pub connections_ended: u64,
    /// Connections that never spoke HTTP/2.
    pub connections_refused: u64,
    /// Connections whose end is logged as a warning.
    pub connections_warned: u64,
    /// Bytes received.
    pub bytes_received: u64,
    /// Bytes handed to the transports.
    pub bytes_sent: u64,
    /// Streams opened by either side.
    pub streams_opened: u64,
    /// Streams whose halves both ended with END_STREAM.
    pub streams_completed: u64,
    /// Streams reset by peers.
    pub resets_received: u64,
    /// Streams reset or refused locally.
    pub resets_sent: u64,
    /// Polls of a server's handlers that took 20 ms or more, where handlers run inside the driver
    /// (`thalweg-tokio` unless `SpawnHandlers` wraps the service): they delay the other streams of
    /// their connection.
    pub slow_polls: u64,
    /// The duration of the longest slow poll.
    pub longest_poll: Duration,
}

impl Counters {
    /// Reads the counters one by one; concurrent changes may be included in some of them only.
    pub fn snapshot(&self) -> CounterSnapshot {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        CounterSnapshot {
            connections_opened: read(&self.connections_opened),
            connections_ended: read(&self.connections_ended),
            connections_refused: read(&self.connections_refused),
            connections_warned: read(&self.connections_warned),
            bytes_received: read(&self.bytes_received),
            bytes_sent: read(&self.bytes_sent),
            streams_opened: read(&self.streams_opened),
            streams_completed: read(&self.streams_completed),
            resets_received: read(&self.resets_received),
            resets_sent: read(&self.resets_sent),
            slow_polls: read(&self.slow_polls),
            longest_poll: Duration::from_nanos(read(&self.longest_poll_nanos)),
        }
    }
}

/// The part of one connection in shared [`Counters`], for the driver of the connection.
#[derive(Debug)]
pub struct ConnectionCounters {
    counters: Arc<Counters>,
    /// Values that were already added.
    added: thalweg::Counters,
}

impl ConnectionCounters {
    /// Creates a part that has added nothing.
    pub fn new(counters: Arc<Counters>) -> Self {
        Self { counters, added: thalweg::Counters::default() }
    }

    /// Counts the start of the connection.
    pub fn connection_opened(&self) {
        add(&self.counters.connections_opened, 1);
    }

    /// Counts the end of the connection.
    pub fn connection_ended(&self, end: &ConnectionEnd) {
        add(&self.counters.connections_ended, 1);
        add(&self.counters.connections_refused, end.negotiation_error.is_some().into());
        add(&self.counters.connections_warned, end.is_warning().into());
    }

    /// Adds what the connection has done since the last call. `report` is that of the connection.
    pub fn add(&mut self, report: &CloseReport) {
        let (now, before, all) = (&report.counters, &self.added, &self.counters);
        add(&all.bytes_received, now.bytes_received - before.bytes_received);
        add(&all.bytes_sent, now.bytes_sent - before.bytes_sent);
        add(&all.streams_opened, now.streams_opened - before.streams_opened);
        add(&all.streams_completed, now.streams_completed - before.streams_completed);
        add(&all.resets_received, now.resets_received - before.resets_received);
        add(&all.resets_sent, now.resets_sent - before.resets_sent);
        self.added = *now;
    }

    /// Adds slow polls of handlers. Returns whether they are the first of all connections.
    pub fn add_slow_polls(&self, count: u64, longest: Duration) -> bool {
        let nanos = u64::try_from(longest.as_nanos()).unwrap_or(u64::MAX);
        self.counters.longest_poll_nanos.fetch_max(nanos, Ordering::Relaxed);
        self.counters.slow_polls.fetch_add(count, Ordering::Relaxed) == 0
    }
}

fn add(counter: &AtomicU64, more: u64) {
    // A store to a shared cache line costs more than this check.
    if more > 0 {
        counter.fetch_add(more, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::negotiate::NegotiationError;

    #[test]
    fn a_connection_adds_its_growth_once() {
        let counters = Arc::new(Counters::default());
        let mut part = ConnectionCounters::new(Arc::clone(&counters));
        let mut other = ConnectionCounters::new(Arc::clone(&counters));
        let mut report = CloseReport::default();
        (report.counters.bytes_sent, report.counters.streams_opened) = (10, 1);
        part.add(&report);
        part.add(&report);
        other.add(&report);
        (report.counters.bytes_sent, report.counters.resets_sent) = (15, 2);
        part.add(&report);
        let expected =
            CounterSnapshot { bytes_sent: 25, streams_opened: 2, resets_sent: 2, ..Default::default() };
        assert_eq!(counters.snapshot(), expected);
    }

    #[test]
    fn an_end_counts_as_refused_or_as_a_warning() {
        let counters = Arc::new(Counters::default());
        let part = ConnectionCounters::new(Arc::clone(&counters));
        part.connection_opened();
        part.connection_ended(&ConnectionEnd::refused(NegotiationError::Http1));
        part.connection_ended(&ConnectionEnd::refused(NegotiationError::NoAlpn));
        part.connection_ended(&ConnectionEnd::new(crate::end::tests::fault_of_the_peer()));
        let expected = CounterSnapshot {
            connections_opened: 1,
            connections_ended: 3,
            connections_refused: 2,
            connections_warned: 1,
            ..Default::default()
        };
        assert_eq!(counters.snapshot(), expected);
    }

    #[test]
    fn only_the_first_slow_poll_is_the_first() {
        let counters = Arc::new(Counters::default());
        let part = ConnectionCounters::new(Arc::clone(&counters));
        assert!(part.add_slow_polls(2, Duration::from_millis(30)));
        assert!(!ConnectionCounters::new(Arc::clone(&counters)).add_slow_polls(1, Duration::from_millis(20)));
        let snapshot = counters.snapshot();
        assert_eq!((snapshot.slow_polls, snapshot.longest_poll), (3, Duration::from_millis(30)));
    }
}
