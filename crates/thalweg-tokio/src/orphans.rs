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
pub struct Orphans {
    inboxes: Vec<(StreamKey, Arc<Inbox>)>,
    /// How many of them, from the first, ring the bell for orphans.
    belled: usize,
}

impl Orphans {
    /// Starts without any.
    pub const fn new() -> Self {
        Self { inboxes: Vec::new(), belled: 0 }
    }

    /// Takes an inbox over. Its reader is heard from the next `claim` on.
    pub fn adopt(&mut self, stream: StreamKey, inbox: Arc<Inbox>) {
        self.inboxes.push((stream, inbox));
    }

    /// Whether nothing is unread.
    pub fn is_empty(&self) -> bool {
        self.inboxes.is_empty()
    }

    /// Credits what was consumed, and forgets what was consumed whole. `bell` is theirs.
    pub fn claim<R: Role>(&mut self, connection: &mut Connection<R>, bell: &Waker) {
        for (_, inbox) in &self.inboxes[self.belled..] {
            inbox.set_bell(Some(bell.clone()));
        }
        self.inboxes.retain(|(stream, inbox)| {
            let claim = inbox.claim();
            connection.release(*stream, claim.bytes);
            claim.held
        });
        self.belled = self.inboxes.len();
    }

    /// Their bell is dead; the next `claim` gives them another.
    pub fn forget_bell(&mut self) {
        self.belled = 0;
    }

    /// The connection is over: there is nobody to credit.
    pub fn clear(&mut self) {
        self.inboxes = Vec::new();
        self.belled = 0;
    }
}
