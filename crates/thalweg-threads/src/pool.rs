//! The threads on which handlers run.
//!
//! Each connection has a lane: the requests that wait, never more than the streams that the peer may have open. Lanes take
//! turns, so a connection with many requests does not hold the others up. A request is taken when a thread is free to run it,
//! so none waits behind one that blocks.
//!
//! Threads are woken one at a time, by the one that was woken last, and the one that slept last is woken first; so a handful of small requests costs
//! one wake-up, and many cost as many threads as there are processors. A thread that waits in a `Body` or a `BodyWriter` does not count
//! as busy. Requests that nobody takes for a millisecond, because handlers block elsewhere, get another thread.
//!
//! Keeps true: at most `threads_max` threads; a lane is listed if and only if it has requests; at most one thread is
//! being woken.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use thalweg::StreamKey;

use crate::body::Body;
use crate::mailbox::Coming;
use crate::message::Request;
use crate::responder::Responder;

/// Answers requests, on many threads at once.
///
/// An error is traced (feature `tracing`); a request that was not answered then, or whose handler panics, is reset with
/// INTERNAL_ERROR, and its connection goes on.
pub trait Handler: Send + Sync + 'static {
    /// Answers one request.
    ///
    /// # Errors
    /// Whatever went wrong; most often an error of `request.body` or of the writer of the response.
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
    lanes: Vec<Option<Queue>>,
    free_lanes: Vec<usize>,
    /// Lanes with requests, in the order of their turns.
    listed: VecDeque<usize>,
    idle: Vec<Arc<Seat>>,
    /// Threads that run a handler which does not wait in one of our readers or writers.
    busy: usize,
    threads: usize,
    is_waking: bool,
    /// Requests taken since the beginning, to see whether any is.
    taken: u64,
    is_closed: bool,
}

/// Where an idle thread sits.
#[derive(Default)]
struct Seat {
    called: Condvar,
    is_called: Mutex<bool>,
}

/// The requests of a lane.
#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    /// How many there are, for those who do not hold the lock.
    waiting: Arc<Coming>,
}

impl Queue {
    fn change<T>(&mut self, change: impl FnOnce(&mut VecDeque<Job>) -> T) -> T {
        let changed = change(&mut self.jobs);
        self.waiting.store(self.jobs.len(), Ordering::Relaxed);
        changed
    }
}

/// A request on its way to a thread.
pub struct Job {
    pub stream: StreamKey,
    pub request: Request<Body>,
    pub responder: Responder,
}

/// A connection's place in the pool.
pub struct Lane {
    shared: Arc<Shared>,
    index: usize,
    count: Arc<Coming>,
    /// When requests began to wait, and how many the pool had taken then.
    waiting: Option<(Instant, u64)>,
}

/// What is to be done once the lock is released.
enum Call {
    Nobody,
    Seat(Arc<Seat>),
    NewThread,
}

impl Pool {
    /// A pool of at most `threads_max` threads, at least one; they are started when they are needed.
    pub fn new(threads_max: usize, handler: impl Handler) -> Self {
        let state = State {
            lanes: Vec::new(),
            free_lanes: Vec::new(),
            listed: VecDeque::new(),
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

    /// Makes a place for a connection.
    pub(crate) fn lane(&self) -> Lane {
        let queue = Queue::default();
        let count = Arc::clone(&queue.waiting);
        let mut state = self.shared.lock();
        let index = match state.free_lanes.pop() {
            Some(index) => {
                state.lanes[index] = Some(queue);
                index
            }
            None => {
                state.lanes.push(Some(queue));
                state.lanes.len() - 1
            }
        };
        Lane { shared: Arc::clone(&self.shared), index, count, waiting: None }
    }

    /// Ends the threads once their handlers return, and waits for that until `deadline`. Returns whether all have ended.
    pub fn close(&self, deadline: Instant) -> bool {
        let mut state = self.shared.lock();
        state.is_closed = true;
        for seat in mem::take(&mut state.idle) {
            seat.call();
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

impl Lane {
    /// How many requests wait.
    pub fn waiting(&self) -> Arc<Coming> {
        Arc::clone(&self.count)
    }

    /// Queues requests; `jobs` is emptied.
    pub fn submit(&mut self, jobs: &mut Vec<Job>) {
        if jobs.is_empty() {
            return;
        }
        let mut state = self.shared.lock();
        let index = self.index;
        let Some(lane) = state.lanes.get_mut(index).and_then(Option::as_mut) else { return };
        let was_empty = lane.jobs.is_empty();
        lane.change(|waiting| waiting.extend(jobs.drain(..)));
        if was_empty {
            state.listed.push_back(index);
        }
        let call = state.call(&self.shared, false);
        drop(state);
        self.shared.perform(call);
    }

    /// Takes back a request that waits: its stream has ended.
    pub fn cancel(&self, stream: StreamKey) -> Option<Job> {
        let mut state = self.shared.lock();
        let lane = state.lanes.get_mut(self.index)?.as_mut()?;
        // Streams are opened in rising order.
        let place = lane.jobs.binary_search_by_key(&stream.id(), |job| job.stream.id()).ok()?;
        let job = lane.change(|jobs| jobs.remove(place));
        if lane.jobs.is_empty() {
            state.listed.retain(|index| *index != self.index);
        }
        job
    }

    /// Takes back all requests that wait: the connection has ended.
    pub fn clear(&self) -> VecDeque<Job> {
        let mut state = self.shared.lock();
        state.listed.retain(|index| *index != self.index);
        let lane = state.lanes.get_mut(self.index).and_then(Option::as_mut);
        lane.map(|lane| lane.change(mem::take)).unwrap_or_default()
    }

    /// Looks after requests that wait. Returns when to look again, if any do.
    pub fn tend(&mut self, now: Instant) -> Option<Duration> {
        let mut state = self.shared.lock();
        if state.lanes.get(self.index)?.as_ref()?.jobs.is_empty() {
            self.waiting = None;
            return None;
        }
        let call = match self.waiting {
            Some((since, taken)) if taken == state.taken && now.duration_since(since) < PATIENCE => {
                return Some(PATIENCE);
            }
            Some((_, taken)) if taken == state.taken => state.call(&self.shared, true),
            _ => Call::Nobody,
        };
        self.waiting = Some((now, state.taken));
        drop(state);
        self.shared.perform(call);
        Some(PATIENCE)
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.listed.retain(|index| *index != self.index);
        let jobs = state.lanes.get_mut(self.index).and_then(Option::take);
        state.free_lanes.push(self.index);
        drop(state);
        // What they hold may take locks of its own.
        drop(jobs);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Handlers do not run under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn perform(self: &Arc<Self>, call: Call) {
        match call {
            Call::Nobody => {}
            Call::Seat(seat) => seat.call(),
            Call::NewThread => self.start_thread(),
        }
    }

    /// The thread was counted when it was decided on.
    fn start_thread(self: &Arc<Self>) {
        let shared = Arc::clone(self);
        let started = thread::Builder::new().name("thalweg handler".to_owned()).spawn(move || shared.work());
        if started.is_err() {
            // The system has no more threads now; those that run will take the requests, or `tend` tries again.
            let mut state = self.lock();
            state.threads -= 1;
            state.is_waking = false;
        }
    }

    /// The life of a thread.
    fn work(self: Arc<Self>) {
        CURRENT.set(Some(Arc::clone(&self)));
        let seat = Arc::new(Seat::default());
        let mut state = self.lock();
        state.is_waking = false;
        loop {
            if let Some(job) = state.take() {
                state.busy += 1;
                let call = state.call(&self, false);
                drop(state);
                self.perform(call);
                self.run(job);
                state = self.lock();
                state.busy -= 1;
                continue;
            }
            if state.is_closed {
                break;
            }
            state.idle.push(Arc::clone(&seat));
            drop(state);
            seat.wait();
            state = self.lock();
            state.is_waking = false;
        }
        state.threads -= 1;
        drop(state);
        self.ended.notify_all();
    }

    fn run(&self, job: Job) {
        let Job { request, responder, .. } = job;
        // What the handler shares with others is its own affair; the request and the responder are not used again.
        let outcome = catch_unwind(AssertUnwindSafe(|| self.handler.handle(request, responder)));
        if let Ok(Err(error)) = outcome {
            crate::trace::handler_failed(&error);
        }
    }
}

impl State {
    fn take(&mut self) -> Option<Job> {
        let index = self.listed.pop_front()?;
        let lane = self.lanes.get_mut(index)?.as_mut()?;
        let job = lane.change(VecDeque::pop_front);
        if !lane.jobs.is_empty() {
            self.listed.push_back(index);
        }
        self.taken += 1;
        job
    }

    /// Decides whether another thread is needed. `stuck`: no request was taken for a while.
    fn call(&mut self, shared: &Shared, stuck: bool) -> Call {
        if self.listed.is_empty() || self.is_waking || (self.busy >= shared.processors && !stuck) {
            return Call::Nobody;
        }
        if let Some(seat) = self.idle.pop() {
            self.is_waking = true;
            return Call::Seat(seat);
        }
        if self.threads < shared.threads_max {
            self.is_waking = true;
            self.threads += 1;
            return Call::NewThread;
        }
        Call::Nobody
    }
}

impl Seat {
    fn call(&self) {
        *self.is_called.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.called.notify_one();
    }

    fn wait(&self) {
        let mut is_called = self.is_called.lock().unwrap_or_else(PoisonError::into_inner);
        while !mem::take(&mut *is_called) {
            is_called = self.called.wait(is_called).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// While it lives, the current thread, if it is one of a pool, waits for a peer and leaves its processor to others.
pub struct Blocked {
    shared: Option<Arc<Shared>>,
}

impl Blocked {
    pub fn enter() -> Self {
        let shared = CURRENT.with_borrow(Clone::clone);
        if let Some(shared) = &shared {
            let mut state = shared.lock();
            state.busy -= 1;
            let call = state.call(shared, false);
            drop(state);
            shared.perform(call);
        }
        Self { shared }
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        if let Some(shared) = &self.shared {
            shared.lock().busy += 1;
        }
    }
}

thread_local! {
    static CURRENT: RefCell<Option<Arc<Shared>>> = const { RefCell::new(None) };
}

/// How long requests wait for a busy processor before another thread is called.
const PATIENCE: Duration = Duration::from_millis(1);
