//! A queue of messages to a driver from other threads, with one wake-up for a batch of messages.
//!
//! A server's driver that submits several requests to the pool would otherwise be woken by the
//! first response, write it, sleep, and be woken by the second. Instead it sleeps for a moment in
//! the state `Batching`, and a whole response wakes it only if no further request waits in its
//! queue:
//!
//! ```text
//! driver                         queue          threads of the pool
//! submits requests 1, 2, 3  -->  1 2 3
//! sleeps, Batching               2 3            take 1, run it, post_batched: 2 wait, no wake-up
//!                                3              take 2, run it, post_batched: 1 waits, no wake-up
//! Awake: takes 3 messages,  <--  empty          take 3, run it, post_batched: none wait, wake
//! writes once
//! ```
//!
//! What a post does, by the driver's state:
//!
//! | State | `post` | `post_batched`, requests wait | `post_batched`, none wait |
//! |---|---|---|---|
//! | `Awake` | queue | queue | queue |
//! | `Asleep` | queue, wake | queue, wake | queue, wake |
//! | `Batching` | queue, wake | queue | queue, wake |
//! | `Gone` | refuse | refuse | refuse |
//!
//! Invariants: each message is taken once, in the order of posting; the driver is woken at most
//! once for all messages posted while it sleeps, and never while it is awake; a batched message
//! waits for a batching driver until no request waits, and no longer than the driver's timeout;
//! after the driver's end, messages are refused.

use std::mem;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A driver's mailbox. Messages own their data.
pub(crate) struct Mailbox<M> {
    inner: Mutex<Inner<M>>,
    wake: Box<dyn Fn() + Send + Sync>,
    waiting: Arc<WaitingRequests>,
}

/// The number of a connection's requests that wait in the pool. The pool updates it without
/// ordering guarantees.
pub(crate) type WaitingRequests = AtomicUsize;

struct Inner<M> {
    messages: Vec<M>,
    driver: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// The driver will check the mailbox before it sleeps.
    Awake,
    /// The driver waits for a wake-up.
    Asleep,
    /// The driver waits for a wake-up, and will check the mailbox after a timeout.
    Batching,
    /// The driver has ended.
    Gone,
}

impl<M> Mailbox<M> {
    /// Creates an empty mailbox. `wake` must make a driver that waits for its transport return,
    /// from any thread.
    pub(crate) fn new(wake: Box<dyn Fn() + Send + Sync>) -> Self {
        Self::batching(wake, Arc::default())
    }

    /// Creates a mailbox for a driver that batches responses while requests wait.
    pub(crate) fn batching(wake: Box<dyn Fn() + Send + Sync>, waiting: Arc<WaitingRequests>) -> Self {
        let inner = Inner { messages: Vec::new(), driver: State::Awake };
        Self { inner: Mutex::new(inner), wake, waiting }
    }

    /// Posts a message. Returns whether the driver will receive it.
    pub(crate) fn post(&self, message: M) -> bool {
        self.enqueue(message, true)
    }

    /// Posts a message that may wait for others that follow immediately, so that they share one
    /// wake-up and one write.
    pub(crate) fn post_batched(&self, message: M) -> bool {
        self.enqueue(message, self.waiting.load(Ordering::Relaxed) == 0)
    }

    fn enqueue(&self, message: M, is_urgent: bool) -> bool {
        let mut inner = self.lock();
        let wakes = match inner.driver {
            State::Gone => return false,
            State::Awake => false,
            State::Asleep => true,
            State::Batching => is_urgent,
        };
        inner.messages.push(message);
        if wakes {
            inner.driver = State::Awake;
            drop(inner);
            (self.wake)();
        }
        true
    }

    /// Takes all messages. `taken` is empty, and its memory is reused for the next ones.
    pub(crate) fn take(&self, taken: &mut Vec<M>) {
        let mut inner = self.lock();
        inner.driver = State::Awake;
        mem::swap(&mut inner.messages, taken);
    }

    /// Prepares the driver to wait; `batches`: for a moment only. Returns `false` if there are
    /// messages.
    pub(crate) fn sleep(&self, batches: bool) -> bool {
        let mut inner = self.lock();
        if inner.messages.is_empty() {
            inner.driver = if batches { State::Batching } else { State::Asleep };
        }
        inner.messages.is_empty()
    }

    /// Closes the mailbox; returns the remaining messages, so that they are dropped without the
    /// lock.
    pub(crate) fn close(&self) -> Vec<M> {
        let mut inner = self.lock();
        inner.driver = State::Gone;
        mem::take(&mut inner.messages)
    }

    fn lock(&self) -> MutexGuard<'_, Inner<M>> {
        // No code panics under this lock.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::*;

    #[test]
    fn a_sleeping_driver_is_woken_once_and_one_that_is_awake_never() {
        let wakes = Arc::new(AtomicU32::new(0));
        let counter = Arc::clone(&wakes);
        let mailbox = Mailbox::new(Box::new(move || {
            counter.fetch_add(1, Ordering::Relaxed);
        }));
        assert!(mailbox.post(1));
        assert!(!mailbox.sleep(false), "a message waits");
        let mut taken = Vec::new();
        mailbox.take(&mut taken);
        assert!(mailbox.sleep(false));
        assert_eq!(wakes.load(Ordering::Relaxed), 0);
        assert!(mailbox.post(2) && mailbox.post(3));
        assert_eq!(wakes.load(Ordering::Relaxed), 1);
        taken.clear();
        mailbox.take(&mut taken);
        assert_eq!(taken, [2, 3]);
        assert!(mailbox.post(4));
        assert_eq!(mailbox.close(), [4]);
        assert!(!mailbox.post(5));
        assert_eq!(wakes.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn batched_messages_wait_only_while_more_requests_wait() {
        let wakes = Arc::new(AtomicU32::new(0));
        let (counter, waiting) = (Arc::clone(&wakes), Arc::new(WaitingRequests::new(1)));
        let wake = move || {
            counter.fetch_add(1, Ordering::Relaxed);
        };
        let mailbox = Mailbox::batching(Box::new(wake), Arc::clone(&waiting));
        let woken = || wakes.swap(0, Ordering::Relaxed);
        let mut taken = Vec::new();
        let mut batch = |batches| {
            mailbox.take(&mut taken);
            taken.clear();
            assert!(mailbox.sleep(batches));
        };
        batch(true);
        assert!(mailbox.post_batched(1) && mailbox.post_batched(2));
        assert_eq!(woken(), 0);
        assert!(mailbox.post(3));
        assert_eq!(woken(), 1, "the message is urgent");
        batch(true);
        assert!(mailbox.post_batched(4));
        waiting.store(0, Ordering::Relaxed);
        assert!(mailbox.post_batched(5));
        assert_eq!(woken(), 1, "the last response is due");
        waiting.store(1, Ordering::Relaxed);
        batch(false);
        assert!(mailbox.post_batched(6));
        assert_eq!(woken(), 1, "the driver would not check by itself");
    }
}
