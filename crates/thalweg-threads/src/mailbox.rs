//! Messages to a driver from other threads, and the one wake-up that a batch of them costs.
//!
//! Keeps true: a message is taken once, in the order in which it was posted; the driver is woken at most once for all that is
//! posted while it sleeps, and never while it is awake; what is not urgent waits for a driver that naps, until nothing more is on its
//! way, and no longer than the nap; after the driver's end, messages are refused.

use std::mem;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A driver's mailbox. What is posted owns its data.
pub struct Mailbox<M> {
    inner: Mutex<Inner<M>>,
    wake: Box<dyn Fn() + Send + Sync>,
    pending_responses: Arc<PendingResponses>,
}

/// How many requests wait whose answers are still to come: the pool keeps it, without a promise about when it is seen.
pub type PendingResponses = AtomicUsize;

struct Inner<M> {
    messages: Vec<M>,
    driver: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// It will look before it sleeps.
    Awake,
    /// It waits to be woken.
    Asleep,
    /// It waits to be woken, and will look after a moment by itself.
    Batching,
    /// It looks no more.
    Gone,
}

impl<M> Mailbox<M> {
    /// An empty mailbox; `wake` must make a driver that waits for its transport stop waiting, from any thread.
    pub fn new(wake: Box<dyn Fn() + Send + Sync>) -> Self {
        Self::with_pending_responses(wake, Arc::default())
    }

    /// The same for a driver that naps while answers are on their way.
    pub fn with_pending_responses(
        wake: Box<dyn Fn() + Send + Sync>,
        pending_responses: Arc<PendingResponses>,
    ) -> Self {
        let inner = Inner { messages: Vec::new(), driver: State::Awake };
        Self { inner: Mutex::new(inner), wake, pending_responses }
    }

    /// Posts a message. Returns whether the driver will see it.
    pub fn post(&self, message: M) -> bool {
        self.enqueue(message, true)
    }

    /// Posts a message that may wait for those that come at once behind it, so that one wake-up and one write serve them all.
    pub fn post_batched(&self, message: M) -> bool {
        self.enqueue(message, self.pending_responses.load(Ordering::Relaxed) == 0)
    }

    fn enqueue(&self, message: M, is_urgent: bool) -> bool {
        let mut inner = self.lock();
        match inner.driver {
            State::Gone => return false,
            State::Awake => inner.messages.push(message),
            State::Batching if !is_urgent => inner.messages.push(message),
            State::Asleep | State::Batching => {
                inner.messages.push(message);
                inner.driver = State::Awake;
                drop(inner);
                (self.wake)();
            }
        }
        true
    }

    /// The driver takes all messages; `taken` is empty, and its memory is used for the next ones.
    pub fn take(&self, taken: &mut Vec<M>) {
        let mut inner = self.lock();
        inner.driver = State::Awake;
        mem::swap(&mut inner.messages, taken);
    }

    /// The driver wants to wait, and `batches` if that is for a moment. Returns whether it may: not while there are messages.
    pub fn sleep(&self, batches: bool) -> bool {
        let mut inner = self.lock();
        if inner.messages.is_empty() {
            inner.driver = if batches { State::Batching } else { State::Asleep };
        }
        inner.messages.is_empty()
    }

    /// The driver ends; what was posted too late is given back to be dropped without the lock.
    pub fn close(&self) -> Vec<M> {
        let mut inner = self.lock();
        inner.driver = State::Gone;
        mem::take(&mut inner.messages)
    }

    fn lock(&self) -> MutexGuard<'_, Inner<M>> {
        // Nothing panics under this lock.
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
    fn batched_messages_wait_only_while_more_responses_are_pending() {
        let wakes = Arc::new(AtomicU32::new(0));
        let (counter, pending_responses) = (Arc::clone(&wakes), Arc::new(PendingResponses::new(1)));
        let wake = move || {
            counter.fetch_add(1, Ordering::Relaxed);
        };
        let mailbox = Mailbox::with_pending_responses(Box::new(wake), Arc::clone(&pending_responses));
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
        assert_eq!(woken(), 1, "it is urgent");
        batch(true);
        assert!(mailbox.post_batched(4));
        pending_responses.store(0, Ordering::Relaxed);
        assert!(mailbox.post_batched(5));
        assert_eq!(woken(), 1, "it is the last");
        pending_responses.store(1, Ordering::Relaxed);
        batch(false);
        assert!(mailbox.post_batched(6));
        assert_eq!(woken(), 1, "nobody would look by himself");
    }
}
