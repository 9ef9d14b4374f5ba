//! The end of a connection, as its client waits for it.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use thalweg_io::ConnectionEnd;

/// Signals the end of a connection to its client.
#[derive(Default)]
pub(crate) struct EndSignal {
    state: Mutex<(Option<Arc<ConnectionEnd>>, bool)>,
    changed: Condvar,
}

impl EndSignal {
    /// Returns how the connection ended, if it has ended.
    pub(crate) fn end(&self) -> Option<Arc<ConnectionEnd>> {
        self.lock().0.clone()
    }

    /// Waits until the transport is closed, too.
    pub(crate) fn wait(&self) -> Arc<ConnectionEnd> {
        let mut state = self.lock();
        loop {
            if let (Some(end), true) = &*state {
                return Arc::clone(end);
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Stores the end, and wakes all threads that wait for it.
    pub(crate) fn set(&self, end: &Arc<ConnectionEnd>, is_closed: bool) {
        *self.lock() = (Some(Arc::clone(end)), is_closed);
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, (Option<Arc<ConnectionEnd>>, bool)> {
        // No code panics under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
