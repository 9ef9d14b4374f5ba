//! A look at connections while they run: their streams, windows, budgets, and what went over the wire last.
//!
//! A [`ConnectionMonitor`] is given to servers and clients; whoever holds a [`Subscription`] asks it for a [`MonitorSnapshot`]. Each connection answers from
//! its own task, so there is no lock that streams share, and nothing of a connection is touched from outside.
//!
//! What it costs a connection that is watched: one allocation, and two loads whenever its task runs. While somebody looks,
//! each frame is read once more, and the last [`FRAMES_MAX`] and [`STREAMS_MAX`] are remembered; an answer copies them.
//! A connection without a watch pays a branch where it reads, writes and sleeps.
//!
//! What it shows: names of fields, and the values that recordings keep as well (`:method`, `:scheme`, `:status`,
//! `:protocol`, `content-length`, `te`, `priority`). Other values, content, and debug data of GOAWAY are shown by their
//! lengths. [`ConnectionMonitor::with_paths`] adds paths without their queries.

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

/// Sees connections, if they are given to it. Clones see the same ones.
#[derive(Clone, Default)]
pub struct ConnectionMonitor(Arc<Shared>);

/// Somebody looks. While it lives, the frames of the watched connections are followed.
#[derive(Debug)]
pub struct Subscription(ConnectionMonitor);

/// What was seen at one time.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct MonitorSnapshot {
    /// The connections that answered, the newest first.
    pub connections: Vec<ConnectionSnapshot>,
    /// Those that did not: their tasks have not run for as long as was waited. A handler that blocks does that.
    pub unresponsive: Vec<ConnectionInfo>,
    /// The last connections that ended, the newest first.
    pub ended: Vec<EndedConnection>,
    /// How many connections there are, those included that were not asked.
    pub connections_total: usize,
}

/// Which connection it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionInfo {
    /// A number of its own, rising from 1.
    pub id: u64,
    /// Who is at the other end, if it is known.
    pub peer: Option<SocketAddr>,
    /// Whether we are the client.
    pub is_client: bool,
    /// When it began.
    pub opened_at: Instant,
}

/// How a connection stands.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConnectionSnapshot {
    /// Which it is.
    pub info: ConnectionInfo,
    /// How long it has been there. The times of frames and streams count from its beginning, too.
    pub age: Duration,
    /// What it did so far.
    pub report: CloseReport,
    /// The peer's settings.
    pub remote_settings: Settings,
    /// Our settings, as far as the peer has acknowledged them.
    pub local_settings: Settings,
    /// The windows of the connection as a whole.
    pub window: WindowSnapshot,
    /// What is left of each budget.
    pub rate_limits: RateLimitsSnapshot,
    /// The live streams.
    pub streams: Vec<StreamSnapshot>,
    /// The heap that the core holds, bytes.
    pub heap_bytes: usize,
    /// Bytes that the transport has not taken yet.
    pub unwritten_bytes: usize,
    /// Whether the core wants more input: not while the peer leaves too much unread.
    pub wants_read: bool,
    /// What was noticed of streams since the frames are followed, those that have ended included, by identifier.
    pub stream_records: Vec<StreamRecord>,
    /// The last frames, the oldest first.
    pub frames: Vec<FrameRecord>,
    /// Whether fields are known: only if the frames were followed from the first.
    pub shows_fields: bool,
}

/// How a connection ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EndedConnection {
    /// Which it was.
    pub info: ConnectionInfo,
    /// How long it was there.
    pub age: Duration,
    /// How it ended, in words.
    pub reason: String,
    /// Whether the end deserves a warning.
    pub is_warning: bool,
}

#[derive(Default)]
struct Shared {
    /// How many follow the frames.
    subscribers: AtomicUsize,
    shows_paths: AtomicBool,
    last_id: AtomicU64,
    registry: Mutex<Registry>,
}

/// Taken at a connection's beginning and end, and by a look.
#[derive(Default)]
struct Registry {
    live: BTreeMap<u64, Arc<Registration>>,
    ended: VecDeque<EndedConnection>,
}

/// Where a connection is asked. The lock is of this connection alone.
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
    /// Sees nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Follows the frames of each connection from its beginning, whether somebody looks or not: so that who looks later sees what
    /// went before, with fields.
    #[must_use]
    pub fn keep_recording(self) -> Self {
        self.0.subscribers.fetch_add(1, Ordering::SeqCst);
        self
    }

    /// Shows paths up to the query. They may tell what a client wants to keep to itself.
    #[must_use]
    pub fn with_paths(self) -> Self {
        self.0.shows_paths.store(true, Ordering::SeqCst);
        self
    }

    /// Begins to look.
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

    /// A connection begins.
    fn begin(&self, peer: Option<SocketAddr>, is_client: bool) -> Arc<Registration> {
        let id = self.0.last_id.fetch_add(1, Ordering::Relaxed) + 1;
        let info = ConnectionInfo { id, peer, is_client, opened_at: Instant::now() };
        let registration =
            Arc::new(Registration { info, is_requested: AtomicBool::new(false), requests: Mutex::default() });
        self.registry().live.insert(id, Arc::clone(&registration));
        registration
    }

    /// A connection has ended.
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
    /// Asks the newest `connections_max` connections how they stand, and waits for their answers, for 100 ms at most. Wakes each
    /// of them once.
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
                // It has ended meanwhile.
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

    /// Asks the connection to answer, and wakes it.
    fn request(&self) -> oneshot::Receiver<ConnectionSnapshot> {
        let (sender, respond) = oneshot::channel();
        let mut requests = self.lock();
        // Who did not wait for an answer does not want it any more.
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
        f.debug_struct("Watch").field("connections", &self.registry().live.len()).finish_non_exhaustive()
    }
}

/// How many ended connections are remembered.
const ENDED_MAX: usize = 16;
/// How long a look waits for answers.
const RESPONSE_TIME_MAX: Duration = Duration::from_millis(100);
