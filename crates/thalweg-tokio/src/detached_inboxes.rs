//! Content that the application has yet to read, of streams that have ended.
//!
//! Keeps true: such content keeps its place in the connection's window until it is consumed, so that a peer which ends its
//! streams quickly cannot make us hold more than that window.

use std::sync::Arc;
use std::task::Waker;

use thalweg::{Role, StreamKey};

use crate::inbox::Inbox;
use crate::record::Connection;

/// The inboxes whose exchanges have left.
#[derive(Debug, Default)]
pub struct DetachedInboxes {
    inboxes: Vec<(StreamKey, Arc<Inbox>)>,
    /// How many of them, from the first, ring the bell for orphans.
    bound: usize,
}

impl DetachedInboxes {
    /// Starts without any.
    pub const fn new() -> Self {
        Self { inboxes: Vec::new(), bound: 0 }
    }

    /// Takes an inbox over. Its reader is heard from the next `release_consumed` on.
    pub fn push(&mut self, stream: StreamKey, inbox: Arc<Inbox>) {
        self.inboxes.push((stream, inbox));
    }

    /// Whether nothing is unread.
    pub fn is_empty(&self) -> bool {
        self.inboxes.is_empty()
    }

    /// Credits what was consumed, and forgets what was consumed whole. `waker` is theirs.
    pub fn release_consumed<R: Role>(&mut self, connection: &mut Connection<R>, waker: &Waker) {
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

    /// Their bell is dead; the next `release_consumed` gives them another.
    pub fn clear_waker(&mut self) {
        self.bound = 0;
    }

    /// The connection is over: there is nobody to credit.
    pub fn clear(&mut self) {
        self.inboxes = Vec::new();
        self.bound = 0;
    }
}
