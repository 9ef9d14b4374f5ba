//! Pushed responses on their way to whoever asked for them.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::client::Pushed;

/// Where a client's driver hands promises on, while somebody takes them.
#[derive(Default)]
pub struct PushSender {
    sender: Mutex<Option<Sender<Pushed>>>,
}

impl PushSender {
    /// From now on promises go to the receiver that is returned.
    pub fn subscribe(&self) -> Receiver<Pushed> {
        let (sender, promises) = channel();
        *self.lock() = Some(sender);
        promises
    }

    /// Nothing more will be promised.
    pub fn close(&self) {
        *self.lock() = None;
    }

    /// Hands a promise on. Returns whether anybody takes it.
    pub fn send(&self, pushed: Pushed) -> bool {
        self.lock().as_ref().is_some_and(|sender| sender.send(pushed).is_ok())
    }

    fn lock(&self) -> MutexGuard<'_, Option<Sender<Pushed>>> {
        // Nothing panics under this lock.
        self.sender.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
