//! Messages to a driver from other threads, and the one wake-up that a batch of them costs.
//!
//! Keeps true: a message is taken once, in the order in which it was posted; the driver is woken at most once for all that is
//! posted while it sleeps, and never while it is awake; after the driver's end, messages are refused.

use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A driver's mailbox. What is posted owns its data.
pub struct Mailbox<M> {
    inner: Mutex<Inner<M>>,
    wake: Box<dyn Fn() + Send + Sync>,
}

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
    /// It looks no more.
    Gone,
}

impl<M> Mailbox<M> {
    /// An empty mailbox; `wake` must make a driver that waits for its transport stop waiting, from any thread.
    pub fn new(wake: Box<dyn Fn() + Send + Sync>) -> Self {
        let inner = Inner { messages: Vec::new(), driver: State::Awake };
        Self { inner: Mutex::new(inner), wake }
    }

    /// Posts a message. Returns whether the driver will see it.
    pub fn post(&self, message: M) -> bool {
        let mut inner = self.lock();
        match inner.driver {
            State::Gone => return false,
            State::Awake => inner.messages.push(message),
            State::Asleep => {
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

    /// The driver wants to wait. Returns whether it may: not while there are messages.
    pub fn sleep(&self) -> bool {
        let mut inner = self.lock();
        if inner.messages.is_empty() {
            inner.driver = State::Asleep;
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
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn a_sleeping_driver_is_woken_once_and_one_that_is_awake_never() {
        let wakes = Arc::new(AtomicU32::new(0));
        let counter = Arc::clone(&wakes);
        let mailbox = Mailbox::new(Box::new(move || {
            counter.fetch_add(1, Ordering::Relaxed);
        }));
        assert!(mailbox.post(1));
        assert!(!mailbox.sleep(), "a message waits");
        let mut taken = Vec::new();
        mailbox.take(&mut taken);
        assert!(mailbox.sleep());
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
}
