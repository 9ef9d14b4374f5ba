//! A look at connections while they run: their streams, windows, budgets, and what went over the wire last.
//!
//! A [`Watch`] is given to servers and clients; whoever holds a [`Look`] asks it for a [`Sight`]. Each connection answers from
//! its own task, so there is no lock that streams share, and nothing of a connection is touched from outside.
//!
//! What it costs a connection that is watched: one allocation, and two loads whenever its task runs. While somebody looks,
//! each frame is read once more, and the last [`FRAMES_MAX`] and [`STREAMS_MAX`] are remembered; an answer copies them.
//! A connection without a watch pays a branch where it reads, writes and sleeps.
//!
//! What it shows: names of fields, and the values that recordings keep as well (`:method`, `:scheme`, `:status`,
//! `:protocol`, `content-length`, `te`, `priority`). Other values, content, and debug data of GOAWAY are shown by their
//! lengths. [`Watch::with_paths`] adds paths without their queries.

mod follow;
mod tap;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use thalweg::{RateLimitSnapshot, CloseReport, Settings, StreamSnapshot, WindowSnapshot};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

pub use follow::{FRAMES_MAX, FrameNote, STREAMS_MAX, StreamNote};
pub use tap::Tap;

/// Sees connections, if they are given to it. Clones see the same ones.
#[derive(Clone, Default)]
pub struct Watch(Arc<Shared>);

/// Somebody looks. While it lives, the frames of the watched connections are followed.
#[derive(Debug)]
pub struct Look(Watch);

/// What was seen at one time.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Sight {
    /// The connections that answered, the newest first.
    pub connections: Vec<ConnectionView>,
    /// Those that did not: their tasks have not run for as long as was waited. A handler that blocks does that.
    pub silent: Vec<Label>,
    /// The last connections that ended, the newest first.
    pub ended: Vec<Ended>,
    /// How many connections there are, those included that were not asked.
    pub connections_total: usize,
}

/// Which connection it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Label {
    /// A number of its own, rising from 1.
    pub id: u64,
    /// Who is at the other end, if it is known.
    pub peer: Option<SocketAddr>,
    /// Whether we are the client.
    pub is_client: bool,
    /// When it began.
    pub began: Instant,
}

/// How a connection stands.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConnectionView {
    /// Which it is.
    pub label: Label,
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
    pub rate_limits: [RateLimitSnapshot; 8],
    /// The live streams.
    pub streams: Vec<StreamSnapshot>,
    /// The heap that the core holds, bytes.
    pub heap_bytes: usize,
    /// Bytes that the transport has not taken yet.
    pub unwritten_bytes: usize,
    /// Whether the core wants more input: not while the peer leaves too much unread.
    pub wants_read: bool,
    /// What was noticed of streams since the frames are followed, those that have ended included, by identifier.
    pub notes: Vec<StreamNote>,
    /// The last frames, the oldest first.
    pub frames: Vec<FrameNote>,
    /// Whether fields are known: only if the frames were followed from the first.
    pub shows_fields: bool,
}

/// How a connection ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Ended {
    /// Which it was.
    pub label: Label,
    /// How long it was there.
    pub age: Duration,
    /// How it ended, in words.
    pub how: String,
    /// Whether the end deserves a warning.
    pub is_warning: bool,
}

#[derive(Default)]
struct Shared {
    /// How many follow the frames.
    lookers: AtomicUsize,
    shows_paths: AtomicBool,
    last_id: AtomicU64,
    posts: Mutex<Posts>,
}

/// Taken at a connection's beginning and end, and by a look.
#[derive(Default)]
struct Posts {
    live: BTreeMap<u64, Arc<Post>>,
    ended: VecDeque<Ended>,
}

/// Where a connection is asked. The lock is of this connection alone.
struct Post {
    label: Label,
    is_asked: AtomicBool,
    asked: Mutex<Asked>,
}

#[derive(Default)]
struct Asked {
    askers: Vec<oneshot::Sender<ConnectionView>>,
    task: Option<Waker>,
}

impl Watch {
    /// Sees nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Follows the frames of each connection from its beginning, whether somebody looks or not: so that who looks later sees what
    /// went before, with fields.
    #[must_use]
    pub fn always(self) -> Self {
        self.0.lookers.fetch_add(1, Ordering::SeqCst);
        self
    }

    /// Shows paths up to the query. They may tell what a client wants to keep to itself.
    #[must_use]
    pub fn with_paths(self) -> Self {
        self.0.shows_paths.store(true, Ordering::SeqCst);
        self
    }

    /// Begins to look.
    pub fn look(&self) -> Look {
        self.0.lookers.fetch_add(1, Ordering::SeqCst);
        Look(self.clone())
    }

    fn is_followed(&self) -> bool {
        self.0.lookers.load(Ordering::SeqCst) > 0
    }

    fn posts(&self) -> MutexGuard<'_, Posts> {
        self.0.posts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection begins.
    fn begin(&self, peer: Option<SocketAddr>, is_client: bool) -> Arc<Post> {
        let id = self.0.last_id.fetch_add(1, Ordering::Relaxed) + 1;
        let label = Label { id, peer, is_client, began: Instant::now() };
        let post = Arc::new(Post { label, is_asked: AtomicBool::new(false), asked: Mutex::default() });
        self.posts().live.insert(id, Arc::clone(&post));
        post
    }

    /// A connection has ended.
    fn end(&self, post: &Post, how: String, is_warning: bool) {
        let ended = Ended { label: post.label, age: post.label.began.elapsed(), how, is_warning };
        let mut posts = self.posts();
        posts.live.remove(&post.label.id);
        posts.ended.truncate(ENDED_MAX - 1);
        posts.ended.push_front(ended);
    }
}

impl Look {
    /// Asks the newest `connections_max` connections how they stand, and waits for their answers, for 100 ms at most. Wakes each
    /// of them once.
    pub async fn take(&self, connections_max: usize) -> Sight {
        let mut sight = Sight::default();
        let asked: Vec<_> = {
            let posts = self.0.posts();
            sight.connections_total = posts.live.len();
            sight.ended = posts.ended.iter().cloned().collect();
            let newest = posts.live.values().rev().take(connections_max);
            newest.map(|post| (post.label, Arc::clone(post))).collect()
        };
        let asked: Vec<_> = asked.into_iter().map(|(label, post)| (label, post.ask())).collect();
        let deadline = Instant::now() + ANSWER_TIME_MAX;
        for (label, answer) in asked {
            match timeout_at(deadline, answer).await {
                Ok(Ok(view)) => sight.connections.push(view),
                // It has ended meanwhile.
                Ok(Err(_)) => {}
                Err(_) => sight.silent.push(label),
            }
        }
        sight
    }
}

impl Drop for Look {
    fn drop(&mut self) {
        self.0.0.lookers.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Post {
    fn lock(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the connection to answer, and wakes it.
    fn ask(&self) -> oneshot::Receiver<ConnectionView> {
        let (asker, answer) = oneshot::channel();
        let mut asked = self.lock();
        // Who did not wait for an answer does not want it any more.
        asked.askers.retain(|asker| !asker.is_closed());
        asked.askers.push(asker);
        self.is_asked.store(true, Ordering::SeqCst);
        let task = asked.task.clone();
        drop(asked);
        if let Some(task) = task {
            task.wake();
        }
        answer
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("connections", &self.posts().live.len()).finish_non_exhaustive()
    }
}

/// How many ended connections are remembered.
const ENDED_MAX: usize = 16;
/// How long a look waits for answers.
const ANSWER_TIME_MAX: Duration = Duration::from_millis(100);
