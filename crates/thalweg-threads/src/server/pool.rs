//! The threads that run handlers.
//!
//! Each connection has a queue of waiting requests, never more than the streams that the peer may
//! have open. The pool serves the queues round-robin, so that a connection with many requests does
//! not delay the others. A request is taken when a thread is free to run it, so no request waits
//! behind a handler that blocks.
//!
//! One thread is woken at a time, by the thread that was woken before it, and the thread that
//! parked last is woken first. So a few short requests cost one wake-up, and many use as many
//! threads as there are processors:
//!
//! ```text
//! driver           submits 3 requests, wakes A
//! thread A         takes request 1, wakes B, runs it, finds none left, parks
//! thread B         takes request 2, wakes C, runs it, takes request 3, runs it, parks
//! thread C         finds none left, parks
//! ```
//!
//! A thread that waits in a `Body` or a `BodyWriter` does not count as busy, so another may be
//! woken for it. Handlers may also block where the pool cannot see it: if no request was taken for
//! [`STARVATION_TIMEOUT`] although some wait, the driver of a waiting connection wakes another
//! thread.
//!
//! The responses go back through the driver's mailbox. The number of requests that still wait in
//! the queue tells the mailbox whether a response may be batched with others (see
//! [`mailbox`](crate::mailbox)).
//!
//! Invariants: there are at most `threads_max` threads; a queue is in the ready list if and only if
//! it has requests; at most one thread is being woken; `waiting` of a queue is its length.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use thalweg::StreamKey;

use crate::blocked::{self, WorkerPool};
use crate::body::Body;
use crate::mailbox::WaitingRequests;
use crate::message::Request;
use crate::server::responder::Responder;

/// Handles requests, on many threads at once.
///
/// An error is logged (feature `tracing`). If the handler panics, or returns an error without
/// having responded, its stream is reset with INTERNAL_ERROR, and the connection continues.
pub trait Handler: Send + Sync + 'static {
    /// Handles one request.
    ///
    /// # Errors
    /// Any error; typically one of `request.body` or of the writer of the response.
    fn handle(&self, request: Request<Body>, responder: Responder) -> io::Result<()>;
}

impl<F> Handler for F
where
    F: Fn(Request<Body>, Responder) -> io::Result<()> + Send + Sync + 'static,
{
    fn handle(&self, request: Request<Body>, responder: Responder) -> io::Result<()> {
        self(request, responder)
    }
}

/// A bounded number of threads that run one handler, for any number of connections.
#[derive(Clone)]
pub struct Pool {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    ended: Condvar,
    handler: Box<dyn Handler>,
    threads_max: usize,
    /// More threads than these are woken only when no request was taken for a while.
    processors: usize,
}

struct State {
    queues: Vec<Option<JobQueue>>,
    free_queues: Vec<usize>,
    /// Queues with requests, in round-robin order.
    ready: VecDeque<usize>,
    idle: Vec<Arc<Parker>>,
    /// Threads that run a handler and do not wait in a `Body` or a `BodyWriter`.
    busy: usize,
    threads: usize,
    is_waking: bool,
    /// The number of requests taken so far, to detect starvation.
    taken: u64,
    is_closed: bool,
}

/// Where an idle thread parks.
#[derive(Default)]
struct Parker {
    condvar: Condvar,
    is_unparked: Mutex<bool>,
}

/// The waiting requests of a connection.
#[derive(Default)]
struct JobQueue {
    jobs: VecDeque<Job>,
    /// Their number, readable without the lock.
    waiting: Arc<WaitingRequests>,
}

impl JobQueue {
    /// Publishes the number of requests after each change of `jobs`.
    fn publish(&self) {
        self.waiting.store(self.jobs.len(), Ordering::Relaxed);
    }

    fn append(&mut self, jobs: &mut Vec<Job>) {
        self.jobs.extend(jobs.drain(..));
        self.publish();
    }

    fn pop(&mut self) -> Option<Job> {
        let job = self.jobs.pop_front();
        self.publish();
        job
    }

    fn remove(&mut self, stream: StreamKey) -> Option<Job> {
        // Stream identifiers ascend.
        let position = self.jobs.binary_search_by_key(&stream.id(), |job| job.stream.id()).ok()?;
        let job = self.jobs.remove(position);
        self.publish();
        job
    }

    fn clear(&mut self) -> VecDeque<Job> {
        let jobs = mem::take(&mut self.jobs);
        self.publish();
        jobs
    }
}

/// A request for a thread.
pub(crate) struct Job {
    pub stream: StreamKey,
    pub request: Request<Body>,
    pub responder: Responder,
}

/// A connection's queue in the pool.
pub(crate) struct ConnectionQueue {
    shared: Arc<Shared>,
    index: usize,
    waiting: Arc<WaitingRequests>,
    /// The last check for starvation, while requests wait.
    last_check: Option<StarvationCheck>,
}

/// A check for starvation: requests are starved if the next check finds that none was taken.
struct StarvationCheck {
    at: Instant,
    /// The number of requests that the pool had taken.
    taken: u64,
}

/// An action to execute after the lock is released.
enum WakeAction {
    None,
    Unpark(Arc<Parker>),
    SpawnThread,
}

impl Pool {
    /// Creates a pool of at most `threads_max` threads, at least one. They are started on demand.
    pub fn new(threads_max: usize, handler: impl Handler) -> Self {
        let state = State {
            queues: Vec::new(),
            free_queues: Vec::new(),
            ready: VecDeque::new(),
            idle: Vec::new(),
            busy: 0,
            threads: 0,
            is_waking: false,
            taken: 0,
            is_closed: false,
        };
        let processors = thread::available_parallelism().map_or(1, usize::from);
        let shared = Shared {
            state: Mutex::new(state),
            ended: Condvar::new(),
            handler: Box::new(handler),
            threads_max: threads_max.max(1),
            processors,
        };
        Self { shared: Arc::new(shared) }
    }

    /// Adds a queue for a connection.
    pub(crate) fn connection_queue(&self) -> ConnectionQueue {
        let queue = JobQueue::default();
        let waiting = Arc::clone(&queue.waiting);
        let mut state = self.shared.lock();
        let index = match state.free_queues.pop() {
            Some(index) => {
                state.queues[index] = Some(queue);
                index
            }
            None => {
                state.queues.push(Some(queue));
                state.queues.len() - 1
            }
        };
        ConnectionQueue { shared: Arc::clone(&self.shared), index, waiting, last_check: None }
    }

    /// Ends the threads once their handlers return, and waits for that until `deadline`. Returns
    /// whether all have ended.
    pub fn close(&self, deadline: Instant) -> bool {
        let mut state = self.shared.lock();
        state.is_closed = true;
        for parker in mem::take(&mut state.idle) {
            parker.unpark();
        }
        while state.threads > 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.shared.ended.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

impl ConnectionQueue {
    /// Returns the number of waiting requests, as it changes.
    pub(crate) fn waiting(&self) -> Arc<WaitingRequests> {
        Arc::clone(&self.waiting)
    }

    /// Queues requests, and empties `jobs`.
    pub(crate) fn submit(&mut self, jobs: &mut Vec<Job>) {
        if jobs.is_empty() {
            return;
        }
        let mut state = self.shared.lock();
        let index = self.index;
        let Some(queue) = state.queues.get_mut(index).and_then(Option::as_mut) else { return };
        let was_empty = queue.jobs.is_empty();
        queue.append(jobs);
        if was_empty {
            state.ready.push_back(index);
        }
        let action = state.next_wake(&self.shared, false);
        drop(state);
        self.shared.wake(action);
    }

    /// Removes a waiting request whose stream has ended.
    pub(crate) fn cancel(&self, stream: StreamKey) -> Option<Job> {
        let mut state = self.shared.lock();
        let queue = state.queues.get_mut(self.index)?.as_mut()?;
        let job = queue.remove(stream)?;
        if queue.jobs.is_empty() {
            state.ready.retain(|index| *index != self.index);
        }
        Some(job)
    }

    /// Removes all waiting requests of a connection that has ended.
    pub(crate) fn clear(&self) -> VecDeque<Job> {
        let mut state = self.shared.lock();
        state.ready.retain(|index| *index != self.index);
        let queue = state.queues.get_mut(self.index).and_then(Option::as_mut);
        queue.map(JobQueue::clear).unwrap_or_default()
    }

    /// Wakes another thread if the waiting requests are starved. Returns when to check again, if
    /// any wait.
    pub(crate) fn check_starvation(&mut self, now: Instant) -> Option<Duration> {
        let mut state = self.shared.lock();
        if state.queues.get(self.index)?.as_ref()?.jobs.is_empty() {
            self.last_check = None;
            return None;
        }
        let taken = state.taken;
        let mut action = WakeAction::None;
        if let Some(last) = self.last_check.as_ref().filter(|last| last.taken == taken) {
            if now.duration_since(last.at) < STARVATION_TIMEOUT {
                return Some(STARVATION_TIMEOUT);
            }
            action = state.next_wake(&self.shared, true);
        }
        self.last_check = Some(StarvationCheck { at: now, taken });
        drop(state);
        self.shared.wake(action);
        Some(STARVATION_TIMEOUT)
    }
}

impl Drop for ConnectionQueue {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.ready.retain(|index| *index != self.index);
        let jobs = state.queues.get_mut(self.index).and_then(Option::take);
        state.free_queues.push(self.index);
        drop(state);
        // The destructors of requests may take other locks.
        drop(jobs);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Handlers do not run under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(self: &Arc<Self>, action: WakeAction) {
        match action {
            WakeAction::None => {}
            WakeAction::Unpark(parker) => parker.unpark(),
            WakeAction::SpawnThread => self.start_thread(),
        }
    }

    /// Starts a thread. The caller of `next_wake` has already counted it.
    fn start_thread(self: &Arc<Self>) {
        let shared = Arc::clone(self);
        let started =
            thread::Builder::new().name("thalweg handler".to_owned()).spawn(move || shared.run_thread());
        if started.is_err() {
            // The system is out of threads now. Running threads will take the requests, or
            // `check_starvation` tries again.
            let mut state = self.lock();
            state.threads -= 1;
            state.is_waking = false;
        }
    }

    /// Runs a thread of the pool to its end.
    fn run_thread(self: Arc<Self>) {
        blocked::set_pool(Arc::clone(&self) as _);
        let parker = Arc::new(Parker::default());
        let mut state = self.lock();
        state.is_waking = false;
        loop {
            if let Some(job) = state.take() {
                state.busy += 1;
                let action = state.next_wake(&self, false);
                drop(state);
                self.wake(action);
                self.run(job);
                state = self.lock();
                state.busy -= 1;
                continue;
            }
            if state.is_closed {
                break;
            }
            state.idle.push(Arc::clone(&parker));
            drop(state);
            parker.park();
            state = self.lock();
            state.is_waking = false;
        }
        state.threads -= 1;
        drop(state);
        self.ended.notify_all();
    }

    fn run(&self, job: Job) {
        let Job { request, responder, .. } = job;
        // The handler is responsible for state that it shares; the request and the responder are
        // not used again.
        let outcome = catch_unwind(AssertUnwindSafe(|| self.handler.handle(request, responder)));
        if let Ok(Err(error)) = outcome {
            crate::trace::handler_failed(&error);
        }
    }
}

impl State {
    fn take(&mut self) -> Option<Job> {
        let index = self.ready.pop_front()?;
        let queue = self.queues.get_mut(index)?.as_mut()?;
        let job = queue.pop();
        if !queue.jobs.is_empty() {
            self.ready.push_back(index);
        }
        self.taken += 1;
        job
    }

    /// Decides whether to wake another thread. `is_starved`: no request was taken for a while.
    fn next_wake(&mut self, shared: &Shared, is_starved: bool) -> WakeAction {
        if self.ready.is_empty() || self.is_waking || (self.busy >= shared.processors && !is_starved) {
            return WakeAction::None;
        }
        if let Some(parker) = self.idle.pop() {
            self.is_waking = true;
            return WakeAction::Unpark(parker);
        }
        if self.threads < shared.threads_max {
            self.is_waking = true;
            self.threads += 1;
            return WakeAction::SpawnThread;
        }
        WakeAction::None
    }
}

impl Parker {
    fn unpark(&self) {
        *self.is_unparked.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.condvar.notify_one();
    }

    fn park(&self) {
        let mut is_unparked = self.is_unparked.lock().unwrap_or_else(PoisonError::into_inner);
        while !mem::take(&mut *is_unparked) {
            is_unparked = self.condvar.wait(is_unparked).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl WorkerPool for Shared {
    fn begin_wait(self: Arc<Self>) {
        let mut state = self.lock();
        state.busy -= 1;
        let action = state.next_wake(&self, false);
        drop(state);
        self.wake(action);
    }

    fn end_wait(&self) {
        self.lock().busy += 1;
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("threads_max", &self.shared.threads_max).finish_non_exhaustive()
    }
}

/// Time that requests wait for a busy processor before another thread is woken.
const STARVATION_TIMEOUT: Duration = Duration::from_millis(1);
