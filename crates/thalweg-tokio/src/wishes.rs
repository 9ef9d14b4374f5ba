//! What the application wants of one stream, or of one connection, besides messages: a channel of that alone.
//!
//! Keeps true: a wish is taken once and in order; after the end none is accepted.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;

/// The channel. The driver and the application hold it in an `Arc`; the lock is of this channel alone and never held over a call
/// to either.
pub struct Wishes<T>(Mutex<State<T>>);

struct State<T> {
    waiting: Vec<T>,
    /// Rings the driver.
    bell: Option<Waker>,
    is_over: bool,
}

impl<T> Default for Wishes<T> {
    fn default() -> Self {
        Self(Mutex::new(State { waiting: Vec::new(), bell: None, is_over: false }))
    }
}

impl<T> Wishes<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For the application. Returns whether the driver is still there to hear it.
    pub fn push(&self, wish: T) -> bool {
        self.push_with(wish, || {})
    }

    /// The same; `note` is called between the wish and the ring.
    pub fn push_with(&self, wish: T, note: impl FnOnce()) -> bool {
        let mut state = self.lock();
        if state.is_over {
            return false;
        }
        state.waiting.push(wish);
        note();
        if let Some(bell) = &state.bell {
            bell.wake_by_ref();
        }
        true
    }

    /// For the driver: what was wished since the last look.
    pub fn take(&self) -> Vec<T> {
        std::mem::take(&mut self.lock().waiting)
    }

    /// For the driver: how it is rung.
    pub fn set_bell(&self, bell: Waker) {
        self.lock().bell = Some(bell);
    }

    /// For the driver: it listens no more.
    pub fn end(&self) {
        let mut state = self.lock();
        state.is_over = true;
        state.bell = None;
        state.waiting = Vec::new();
    }
}
