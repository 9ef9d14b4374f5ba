//! The channel from a client's driver to the receiver of pushed responses.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::pending_response::Pushed;

/// The sender of pushes, while there is a receiver.
#[derive(Default)]
pub(crate) struct PushSender {
    sender: Mutex<Option<Sender<Pushed>>>,
}

impl PushSender {
    /// Creates a receiver that replaces any earlier one.
    pub(crate) fn subscribe(&self) -> Receiver<Pushed> {
        let (sender, promises) = channel();
        *self.lock() = Some(sender);
        promises
    }

    /// Closes the channel.
    pub(crate) fn close(&self) {
        *self.lock() = None;
    }

    /// Sends a push. Returns whether there is a receiver.
    pub(crate) fn send(&self, pushed: Pushed) -> bool {
        self.lock().as_ref().is_some_and(|sender| sender.send(pushed).is_ok())
    }

    fn lock(&self) -> MutexGuard<'_, Option<Sender<Pushed>>> {
        // No code panics under this lock.
        self.sender.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
