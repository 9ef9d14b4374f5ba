//! Snapshots of running connections: their streams, windows, rate limits, and last frames.
//!
//! Servers and clients get a [`ConnectionMonitor`]; a [`Subscription`] requests a
//! [`MonitorSnapshot`] from it. Each connection responds from its own task, so streams share no
//! lock, and no other thread touches a connection.
//!
//! Cost of a monitored connection: one allocation, and two loads whenever its task runs. While
//! there is a subscription, each frame is parsed once more, and the last [`FRAMES_MAX`] frames and
//! [`STREAMS_MAX`] streams are stored; a snapshot copies them. A connection without a monitor pays
//! one branch per read, write and sleep.
//!
//! A snapshot contains field names, and the values that recordings keep as well (`:method`,
//! `:scheme`, `:status`, `:protocol`, `content-length`, `te`, `priority`). It replaces other
//! values, content, and debug data of GOAWAY with their lengths. [`ConnectionMonitor::with_paths`]
//! adds paths without their queries.

mod tap;
mod traffic_log;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use thalweg::{CloseReport, RateLimitsSnapshot, Settings, StreamSnapshot, WindowSnapshot};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

pub use tap::Tap;
pub use traffic_log::{FRAMES_MAX, FrameRecord, STREAMS_MAX, StreamRecord};

/// Monitors the servers and clients that it is given to. Clones share the set of connections.
#[derive(Clone, Default)]
pub struct ConnectionMonitor(Arc<Shared>);

/// A subscription to a monitor. While it lives, the frames of the monitored connections are
/// captured.
#[derive(Debug)]
pub struct Subscription(ConnectionMonitor);

/// The state of the monitored connections at one time.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct MonitorSnapshot {
    /// The connections that responded, the newest first.
    pub connections: Vec<ConnectionSnapshot>,
    /// The connections that did not respond in time: their tasks have not run, for example because
    /// a handler blocks.
    pub unresponsive: Vec<ConnectionInfo>,
    /// The connections that ended last, the newest first.
    pub ended: Vec<EndedConnection>,
    /// The number of all connections, including those that were not asked.
    pub connections_total: usize,
}

/// The identity of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionInfo {
    /// A unique number, ascending from 1.
    pub id: u64,
    /// The peer's address, if known.
    pub peer: Option<SocketAddr>,
    /// Whether we are the client.
    pub is_client: bool,
    /// When the connection was opened.
    pub opened_at: Instant,
}

/// The state of one connection.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConnectionSnapshot {
    /// The identity of the connection.
    pub info: ConnectionInfo,
    /// Time since the connection was opened. Times of frames and streams have the same origin.
    pub age: Duration,
    /// The report so far.
    pub report: CloseReport,
    /// The peer's settings.
    pub remote_settings: Settings,
    /// Our settings, as far as the peer has acknowledged them.
    pub local_settings: Settings,
    /// The flow-control windows of the connection.
    pub window: WindowSnapshot,
    /// The rest of each rate limit.
    pub rate_limits: RateLimitsSnapshot,
    /// The open streams.
    pub streams: Vec<StreamSnapshot>,
    /// Heap memory that the core holds, bytes.
    pub heap_bytes: usize,
    /// Output that the transport has not accepted yet, bytes.
    pub unwritten_bytes: usize,
    /// Whether the core accepts more input: `false` while the peer leaves too much output unread.
    pub wants_read: bool,
    /// Records of streams, including closed ones, since the capture started; by identifier.
    pub stream_records: Vec<StreamRecord>,
    /// The last frames, the oldest first.
    pub frames: Vec<FrameRecord>,
    /// Whether the frames carry fields: only if they were captured from the first.
    pub shows_fields: bool,
}

/// How a connection ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EndedConnection {
    /// The identity of the connection.
    pub info: ConnectionInfo,
    /// Time from its opening to its end.
    pub age: Duration,
    /// The reason, as text.
    pub reason: String,
    /// Whether the end is logged as a warning.
    pub is_warning: bool,
}

#[derive(Default)]
struct Shared {
    /// The number of subscriptions.
    subscribers: AtomicUsize,
    shows_paths: AtomicBool,
    last_id: AtomicU64,
    registry: Mutex<Registry>,
}

/// Locked at a connection's beginning and end, and by a snapshot.
#[derive(Default)]
struct Registry {
    live: BTreeMap<u64, Arc<Registration>>,
    ended: VecDeque<EndedConnection>,
}

/// The slot for snapshot requests of one connection, with a lock of its own.
struct Registration {
    info: ConnectionInfo,
    is_requested: AtomicBool,
    requests: Mutex<SnapshotRequests>,
}

#[derive(Default)]
struct SnapshotRequests {
    senders: Vec<oneshot::Sender<ConnectionSnapshot>>,
    task: Option<Waker>,
}

impl ConnectionMonitor {
    /// Creates a monitor without connections.
    pub fn new() -> Self {
        Self::default()
    }

    /// Captures the frames of each connection from its beginning, with or without a subscription,
    /// so that later snapshots contain earlier frames, with fields.
    #[must_use]
    pub fn keep_recording(self) -> Self {
        self.0.subscribers.fetch_add(1, Ordering::SeqCst);
        self
    }

    /// Includes paths up to the query. They may be confidential.
    #[must_use]
    pub fn with_paths(self) -> Self {
        self.0.shows_paths.store(true, Ordering::SeqCst);
        self
    }

    /// Subscribes to snapshots.
    pub fn subscribe(&self) -> Subscription {
        self.0.subscribers.fetch_add(1, Ordering::SeqCst);
        Subscription(self.clone())
    }

    fn is_recording(&self) -> bool {
        self.0.subscribers.load(Ordering::SeqCst) > 0
    }

    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.0.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers a new connection.
    fn begin(&self, peer: Option<SocketAddr>, is_client: bool) -> Arc<Registration> {
        let id = self.0.last_id.fetch_add(1, Ordering::Relaxed) + 1;
        let info = ConnectionInfo { id, peer, is_client, opened_at: Instant::now() };
        let registration =
            Arc::new(Registration { info, is_requested: AtomicBool::new(false), requests: Mutex::default() });
        self.registry().live.insert(id, Arc::clone(&registration));
        registration
    }

    /// Moves a connection to the ended ones.
    fn end(&self, registration: &Registration, reason: String, is_warning: bool) {
        let ended = EndedConnection {
            info: registration.info,
            age: registration.info.opened_at.elapsed(),
            reason,
            is_warning,
        };
        let mut registry = self.registry();
        registry.live.remove(&registration.info.id);
        registry.ended.truncate(ENDED_MAX - 1);
        registry.ended.push_front(ended);
    }
}

impl Subscription {
    /// Requests the state of the newest `connections_max` connections, and waits at most 100 ms for
    /// their responses. Wakes each of them once.
    pub async fn snapshot(&self, connections_max: usize) -> MonitorSnapshot {
        let mut snapshot = MonitorSnapshot::default();
        let requests: Vec<_> = {
            let registry = self.0.registry();
            snapshot.connections_total = registry.live.len();
            snapshot.ended = registry.ended.iter().cloned().collect();
            let newest = registry.live.values().rev().take(connections_max);
            newest.map(|registration| (registration.info, Arc::clone(registration))).collect()
        };
        let requests: Vec<_> =
            requests.into_iter().map(|(info, registration)| (info, registration.request())).collect();
        let deadline = Instant::now() + RESPONSE_TIME_MAX;
        for (info, respond) in requests {
            match timeout_at(deadline, respond).await {
                Ok(Ok(view)) => snapshot.connections.push(view),
                // The connection ended meanwhile.
                Ok(Err(_)) => {}
                Err(_) => snapshot.unresponsive.push(info),
            }
        }
        snapshot
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.0.0.subscribers.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Registration {
    fn lock(&self) -> MutexGuard<'_, SnapshotRequests> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Requests a snapshot and wakes the connection's task.
    fn request(&self) -> oneshot::Receiver<ConnectionSnapshot> {
        let (sender, respond) = oneshot::channel();
        let mut requests = self.lock();
        // Removes requests that timed out.
        requests.senders.retain(|sender| !sender.is_closed());
        requests.senders.push(sender);
        self.is_requested.store(true, Ordering::SeqCst);
        let task = requests.task.clone();
        drop(requests);
        if let Some(task) = task {
            task.wake();
        }
        respond
    }
}

impl fmt::Debug for ConnectionMonitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionMonitor")
            .field("connections", &self.registry().live.len())
            .finish_non_exhaustive()
    }
}

/// The number of ended connections that are kept.
const ENDED_MAX: usize = 16;
/// Time limit for the responses to a snapshot request.
const RESPONSE_TIME_MAX: Duration = Duration::from_millis(100);
