//! A queue of the application's commands for one stream, besides its messages.
//!
//! Invariant: the driver takes each command once and in order; a closed queue accepts none.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;

/// The queue. The driver and the application share it in an `Arc`. The lock belongs to this queue
/// alone, and is never held over a call to either side.
pub(crate) struct CommandQueue<T>(Mutex<State<T>>);

struct State<T> {
    pending: Vec<T>,
    /// Wakes the driver.
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

    /// Adds a command. Returns whether the driver still accepts commands.
    pub(crate) fn push(&self, command: T) -> bool {
        self.push_with(command, || {})
    }

    /// Adds a command, and calls `before_wake` before it wakes the driver.
    pub(crate) fn push_with(&self, command: T, before_wake: impl FnOnce()) -> bool {
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

    /// Takes the commands that arrived since the last call.
    pub(crate) fn take(&self) -> Vec<T> {
        std::mem::take(&mut self.lock().pending)
    }

    /// Sets the waker of its task.
    pub(crate) fn set_waker(&self, waker: Waker) {
        self.lock().waker = Some(waker);
    }

    /// Closes the queue.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        state.waker = None;
        state.pending = Vec::new();
    }
}
