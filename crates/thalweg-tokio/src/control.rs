//! What the rest of the program may tell a connection that a driver owns.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::Waker;

/// A wish and the way to the driver. Taken by the driver once, and by who wishes once.
#[derive(Debug, Default)]
pub struct Control {
    shutdown: AtomicBool,
    driver: Mutex<Option<Waker>>,
}

impl Control {
    /// Asks for a graceful end.
    pub fn shut_down(&self) {
        self.shutdown.store(true, Ordering::SeqCst);
        let driver = self.driver.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(driver) = driver {
            driver.wake();
        }
    }

    /// For the driver: whether a graceful end was asked for.
    pub fn wants_shutdown(&self) -> bool {
        self.shutdown.load(Ordering::SeqCst)
    }

    /// For the driver: how to wake it. It looks at the wish afterwards.
    pub fn register(&self, driver: &Waker) {
        *self.driver.lock().unwrap_or_else(PoisonError::into_inner) = Some(driver.clone());
    }
}
