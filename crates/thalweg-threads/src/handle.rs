//! Handles for other threads: commands for a connection or one of its streams besides messages, and
//! callbacks for its events.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use thalweg::frame::{Flags, FrameType, SettingId};
use thalweg::{OwnedEvent, Priority, Role, Server};

use crate::commands::{ConnectionCommand, DriverMessage};
use crate::exchange::{Exchange, StreamCommand};
use crate::mailbox::Mailbox;
use crate::trace;

/// The command queue of a connection's driver, for any message type.
trait ConnectionCommandSink<R: Role>: Send + Sync {
    fn submit(&self, command: ConnectionCommand<R>) -> bool;
    fn shutdown(&self) -> bool;
}

impl<M: Send, R: Role> ConnectionCommandSink<R> for Mailbox<DriverMessage<M, R>> {
    fn submit(&self, command: ConnectionCommand<R>) -> bool {
        self.post(DriverMessage::Connection(command))
    }

    fn shutdown(&self) -> bool {
        self.post(DriverMessage::Shutdown)
    }
}

/// A handle to one connection, for whatever is sent besides requests and responses. Clones belong
/// to the same connection, and compare equal.
///
/// Each method that sends returns whether the connection still accepts commands. A command that the
/// core refuses, under the conditions of its method of the same name, is logged and dropped.
pub struct Handle<R: Role>(Arc<dyn ConnectionCommandSink<R>>);

impl<R: Role> Handle<R> {
    pub(crate) fn new<M: Send + 'static>(mailbox: Arc<Mailbox<DriverMessage<M, R>>>) -> Self
    where
        R: 'static,
    {
        Self(mailbox)
    }

    /// Starts a graceful shutdown: sends GOAWAY, and completes the open streams within
    /// `Config::timeouts.shutdown`.
    pub fn shutdown(&self) {
        self.0.shutdown();
    }

    /// Sends a frame of an extension type (RFC 9113 §5.5) on the connection.
    pub fn send_extension(&self, kind: FrameType, flags: Flags, payload: impl Into<Vec<u8>>) -> bool {
        let payload = payload.into();
        self.0.submit(Box::new(move |connection| connection.send_extension(kind, flags, None, &payload)))
    }

    /// Sends extension settings (RFC 9113 §5.5).
    pub fn send_extension_settings(&self, entries: impl Into<Vec<(SettingId, u32)>>) -> bool {
        let entries = entries.into();
        self.0.submit(Box::new(move |connection| connection.send_extension_settings(&entries)))
    }
}

impl Handle<Server> {
    /// Sends ORIGIN: the origins for which the server is authoritative, for example
    /// `https://example.org` (RFC 8336).
    pub fn send_origins<T: Into<Vec<u8>>>(&self, origins: impl IntoIterator<Item = T>) -> bool {
        let origins: Vec<Vec<u8>> = origins.into_iter().map(Into::into).collect();
        self.0.submit(Box::new(move |connection| {
            let origins: Vec<&[u8]> = origins.iter().map(Vec::as_slice).collect();
            connection.send_origins(&origins)
        }))
    }

    /// Sends ALTSVC: an alternative service for an origin, for example `h3=":443"` (RFC 7838 §4).
    pub fn send_alt_svc(&self, origin: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> bool {
        let (origin, value) = (origin.into(), value.into());
        self.0.submit(Box::new(move |connection| connection.send_alt_svc(None, &origin, &value)))
    }
}

impl<R: Role> Clone for Handle<R> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<R: Role> PartialEq for Handle<R> {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::addr_eq(Arc::as_ptr(&self.0), Arc::as_ptr(&other.0))
    }
}

impl<R: Role> Eq for Handle<R> {}

impl<R: Role> fmt::Debug for Handle<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").finish_non_exhaustive()
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
