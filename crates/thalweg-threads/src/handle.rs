//! Handles for other threads: commands for a connection or one of its streams besides messages, and
//! callbacks for its events.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use thalweg::frame::{Flags, FrameType};
use thalweg::{OwnedEvent, Priority, Role};
use thalweg_io::{Command, CommandSink, Handle};

use crate::body::exchange::{Exchange, StreamCommand};
use crate::commands::DriverMessage;
use crate::mailbox::Mailbox;
use crate::trace;

impl<M: Send, R: Role> CommandSink<R> for Mailbox<DriverMessage<M, R>> {
    fn submit(&self, command: Command<R>) -> bool {
        self.post(DriverMessage::Connection(command))
    }

    fn shutdown(&self) -> bool {
        self.post(DriverMessage::Shutdown)
    }
}

/// A handle to the stream of one request. After the end of the stream its methods do nothing.
/// Clones belong to the same stream.
#[derive(Clone)]
pub struct StreamHandle(Arc<Exchange>);

impl StreamHandle {
    pub(crate) const fn new(exchange: Arc<Exchange>) -> Self {
        Self(exchange)
    }

    /// Returns the priority. On a server: the one that the client requested last, by field or by
    /// PRIORITY_UPDATE (RFC 9218), or that was set since. On a client: the one that was set, or the
    /// default.
    pub fn priority(&self) -> Priority {
        self.0.priority()
    }

    /// Sets the priority. On a server: changes the order in which responses are sent (RFC 9218),
    /// whatever the client requested. On a client: asks the server for another priority of the
    /// response (PRIORITY_UPDATE, RFC 9218 §7.1), which a server without RFC 9218 support ignores.
    pub fn set_priority(&self, priority: Priority) {
        self.0.deliver_priority(priority);
        self.0.submit(StreamCommand::SetPriority(priority));
    }

    /// Adds `pad_len` bytes of padding to each further DATA frame, to hide lengths (RFC 9113
    /// §10.7). `None` stops padding.
    pub fn set_padding(&self, pad_len: Option<u8>) {
        self.0.submit(StreamCommand::SetPadding(pad_len));
    }

    /// Sends a frame of an extension type (RFC 9113 §5.5) on this stream. A frame that the core
    /// refuses, as it does after our half has ended, is logged and dropped.
    pub fn send_extension(&self, kind: FrameType, flags: Flags, payload: impl Into<Vec<u8>>) {
        self.0.submit(StreamCommand::SendExtension { kind, flags, payload: payload.into() });
    }
}

impl fmt::Debug for StreamHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamHandle").field("stream", &self.0.stream()).finish()
    }
}

/// A callback for connection-level events of the peer.
pub(crate) type OnNotice<R> = Arc<dyn Fn(&Handle<R>, OwnedEvent) + Send + Sync>;

/// Calls the application's callback. Catches and logs its panic.
pub(crate) fn notify<R: Role>(callback: &OnNotice<R>, handle: &Handle<R>, notice: OwnedEvent) {
    if catch_unwind(AssertUnwindSafe(|| callback(handle, notice))).is_err() {
        trace::callback_panicked();
    }
}
