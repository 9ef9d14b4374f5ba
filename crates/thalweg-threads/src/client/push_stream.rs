//! Pushed responses, and the channel that brings them from the driver.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::client::pending_response::Pushed;

/// Pushed responses in the order of their promises: a blocking iterator that ends with the
/// connection. Dropping it cancels later pushes.
#[derive(Debug)]
pub struct PushStream {
    promises: Receiver<Pushed>,
    time_limit: Option<Duration>,
}

impl PushStream {
    pub(crate) fn new(promises: Receiver<Pushed>, time_limit: Option<Duration>) -> Self {
        Self { promises, time_limit }
    }
}

impl Iterator for PushStream {
    type Item = Pushed;

    fn next(&mut self) -> Option<Pushed> {
        let mut pushed = self.promises.recv().ok()?;
        pushed.response.time_limit = self.time_limit;
        Some(pushed)
    }
}

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
