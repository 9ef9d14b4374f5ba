//! What the application wants of one stream, or of one connection, besides messages: a channel of that alone.
//!
//! Keeps true: a wish is taken once and in order; after the end none is accepted.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;

/// The channel. The driver and the application hold it in an `Arc`; the lock is of this channel alone and never held over a call
/// to either.
pub struct CommandQueue<T>(Mutex<State<T>>);

struct State<T> {
    pending: Vec<T>,
    /// Rings the driver.
    waker: Option<Waker>,
    is_closed: bool,
}

impl<T> Default for CommandQueue<T> {
    fn default() -> Self {
        Self(Mutex::new(State { pending: Vec::new(), waker: None, is_closed: false }))
    }
}

impl<T> CommandQueue<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For the application. Returns whether the driver is still there to hear it.
    pub fn push(&self, command: T) -> bool {
        self.push_with(command, || {})
    }

    /// The same; `before_wake` is called between the wish and the ring.
    pub fn push_with(&self, command: T, before_wake: impl FnOnce()) -> bool {
        let mut state = self.lock();
        if state.is_closed {
            return false;
        }
        state.pending.push(command);
        before_wake();
        if let Some(waker) = &state.waker {
            waker.wake_by_ref();
        }
        true
    }

    /// For the driver: what was wished since the last look.
    pub fn take(&self) -> Vec<T> {
        std::mem::take(&mut self.lock().pending)
    }

    /// For the driver: how it is rung.
    pub fn set_waker(&self, waker: Waker) {
        self.lock().waker = Some(waker);
    }

    /// For the driver: it listens no more.
    pub fn close(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        state.waker = None;
        state.pending = Vec::new();
    }
}
