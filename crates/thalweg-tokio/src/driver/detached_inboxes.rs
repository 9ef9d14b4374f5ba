//! Inboxes of closed streams whose content the application has not read yet.
//!
//! Invariant: unread content occupies the connection's window until it is consumed, so that a peer
//! which closes its streams quickly cannot make us buffer more than that window.

use std::sync::Arc;
use std::task::Waker;

use thalweg::{Role, StreamKey};
use thalweg_io::Connection;

use crate::body::inbox::Inbox;

/// The inboxes whose exchanges are removed.
#[derive(Debug, Default)]
pub(crate) struct DetachedInboxes {
    inboxes: Vec<(StreamKey, Arc<Inbox>)>,
    /// The number of inboxes, from the first, that have the current waker.
    bound: usize,
}

impl DetachedInboxes {
    /// Creates an empty set.
    pub(crate) const fn new() -> Self {
        Self { inboxes: Vec::new(), bound: 0 }
    }

    /// Adds an inbox. The next `release_consumed` sets its waker.
    pub(crate) fn push(&mut self, stream: StreamKey, inbox: Arc<Inbox>) {
        self.inboxes.push((stream, inbox));
    }

    /// Returns whether there is no unread content.
    pub(crate) fn is_empty(&self) -> bool {
        self.inboxes.is_empty()
    }

    /// Releases window for consumed content, and removes inboxes without unread content. `waker` is
    /// the waker of all detached inboxes.
    pub(crate) fn release_consumed<R: Role>(&mut self, connection: &mut Connection<R>, waker: &Waker) {
        for (_, inbox) in &self.inboxes[self.bound..] {
            inbox.set_waker(Some(waker.clone()));
        }
        self.inboxes.retain(|(stream, inbox)| {
            let consumed = inbox.take_consumed();
            connection.release(*stream, consumed.bytes);
            consumed.has_unread
        });
        self.bound = self.inboxes.len();
    }

    /// Invalidates the wakers; the next `release_consumed` sets new ones.
    pub(crate) fn clear_waker(&mut self) {
        self.bound = 0;
    }

    /// Removes all inboxes at the end of the connection, when there is no window to release.
    pub(crate) fn clear(&mut self) {
        self.inboxes = Vec::new();
        self.bound = 0;
    }
}
