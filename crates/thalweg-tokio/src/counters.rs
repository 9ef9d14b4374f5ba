//! Counters of all connections of a server or a client, for a metrics crate to read at run time.
//!
//! Invariant: counters only grow. A connection adds to them when its task sleeps and when it ends,
//! so that requests do not contend for a shared counter.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use thalweg::CloseReport;

use crate::driver::SlowPolls;

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
    /// Polls of a server's handlers that took 20 ms or more. A handler that blocks or computes for
    /// long delays the other streams of its connection unless
    /// [`SpawnHandlers`](crate::SpawnHandlers) wraps the service.
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

    /// Counts slow polls. Returns whether they are the first.
    pub(crate) fn count_slow_polls(&self, slow: SlowPolls) -> bool {
        let nanos = u64::try_from(slow.longest.as_nanos()).unwrap_or(u64::MAX);
        self.longest_poll_nanos.fetch_max(nanos, Ordering::Relaxed);
        self.slow_polls.fetch_add(slow.count, Ordering::Relaxed) == 0
    }

    pub(crate) fn count_opened(&self) {
        add(&self.connections_opened, 1);
    }

    pub(crate) fn count_ended(&self, is_refused: bool, is_warning: bool) {
        add(&self.connections_ended, 1);
        add(&self.connections_refused, is_refused.into());
        add(&self.connections_warned, is_warning.into());
    }
}

/// The part of one connection in the counters.
#[derive(Debug)]
pub(crate) struct Share {
    counters: Arc<Counters>,
    /// Values that were already added.
    added: thalweg::Counters,
}

impl Share {
    /// Creates a share that has added nothing.
    pub(crate) fn new(counters: Arc<Counters>) -> Self {
        Self { counters, added: thalweg::Counters::default() }
    }

    /// Adds the growth since the last call.
    pub(crate) fn add(&mut self, report: &CloseReport) {
        let (now, before, all) = (&report.counters, &self.added, &self.counters);
        add(&all.bytes_received, now.bytes_received - before.bytes_received);
        add(&all.bytes_sent, now.bytes_sent - before.bytes_sent);
        add(&all.streams_opened, now.streams_opened - before.streams_opened);
        add(&all.streams_completed, now.streams_completed - before.streams_completed);
        add(&all.resets_received, now.resets_received - before.resets_received);
        add(&all.resets_sent, now.resets_sent - before.resets_sent);
        self.added = *now;
    }

    /// Returns the shared counters.
    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }
}

fn add(counter: &AtomicU64, more: u64) {
    // A store to a shared cache line costs more than this check.
    if more > 0 {
        counter.fetch_add(more, Ordering::Relaxed);
    }
}
