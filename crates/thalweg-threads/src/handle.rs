//! What other threads may say on a connection, or on one stream of it, besides messages; and what they may hear.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use thalweg::frame::{Flags, FrameType, SettingId};
use thalweg::{OwnedEvent, Priority, Role, SendError, Server};

use crate::driver::DriverMessage;
use crate::exchange::{Exchange, StreamCommand};
use crate::mailbox::Mailbox;
use crate::record::Connection;
use crate::trace;

/// What is wished of a connection.
pub type ConnectionCommand<R> = Box<dyn FnOnce(&mut Connection<R>) -> Result<(), SendError> + Send>;

/// The way to a connection's driver, whatever else it is sent.
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

/// A handle to one connection: what may be said on it besides requests and responses. Clones are of the same connection, and equal.
///
/// Each method that sends returns whether the connection is still there to do it. What the core refuses then, as its own methods
/// of these names say, is traced and left out.
pub struct Handle<R: Role>(Arc<dyn ConnectionCommandSink<R>>);

impl<R: Role> Handle<R> {
    pub(crate) fn new<M: Send + 'static>(mailbox: Arc<Mailbox<DriverMessage<M, R>>>) -> Self
    where
        R: 'static,
    {
        Self(mailbox)
    }

    /// Says GOAWAY; what is open or under way is served to its end, for at most `Config::timeouts.shutdown`.
    pub fn shutdown(&self) {
        self.0.shutdown();
    }

    /// Sends a frame of a type that HTTP/2 does not know (RFC 9113 §5.5), on the connection.
    pub fn send_extension(&self, kind: FrameType, flags: Flags, payload: impl Into<Vec<u8>>) -> bool {
        let payload = payload.into();
        self.0.submit(Box::new(move |connection| connection.send_extension(kind, flags, None, &payload)))
    }

    /// Announces settings that HTTP/2 does not know (RFC 9113 §5.5).
    pub fn send_extension_settings(&self, entries: impl Into<Vec<(SettingId, u32)>>) -> bool {
        let entries = entries.into();
        self.0.submit(Box::new(move |connection| connection.send_extension_settings(&entries)))
    }
}

impl Handle<Server> {
    /// Names the origins that the server speaks for, for example `https://example.org` (RFC 8336).
    pub fn send_origins<T: Into<Vec<u8>>>(&self, origins: impl IntoIterator<Item = T>) -> bool {
        let origins: Vec<Vec<u8>> = origins.into_iter().map(Into::into).collect();
        self.0.submit(Box::new(move |connection| {
            let origins: Vec<&[u8]> = origins.iter().map(Vec::as_slice).collect();
            connection.send_origins(&origins)
        }))
    }

    /// Names an alternative service for an origin, for example `h3=":443"` (RFC 7838 §4).
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

/// A handle to the stream of one request, for as long as it lives: too late, what is said is nothing. Clones are of the same stream.
#[derive(Clone)]
pub struct StreamHandle(Arc<Exchange>);

impl StreamHandle {
    pub(crate) const fn new(exchange: Arc<Exchange>) -> Self {
        Self(exchange)
    }

    /// On a server, the priority that the client asked for last, by field or by PRIORITY_UPDATE (RFC 9218), or that was set since; on a
    /// client, the one that was set, or the default.
    pub fn priority(&self) -> Priority {
        self.0.priority()
    }

    /// On a server, changes the order in which responses are sent (RFC 9218), whatever the client asked for; on a client, asks the server for
    /// another priority of the response (PRIORITY_UPDATE, RFC 9218 §7.1), if it goes by such.
    pub fn set_priority(&self, priority: Priority) {
        self.0.deliver_priority(priority);
        self.0.submit(StreamCommand::SetPriority(priority));
    }

    /// Adds `pad_len` bytes of padding to each DATA frame that is sent from now on, to blur lengths (RFC 9113 §10.7); with `None` no
    /// more.
    pub fn set_padding(&self, pad_len: Option<u8>) {
        self.0.submit(StreamCommand::SetPadding(pad_len));
    }

    /// Sends a frame of a type that HTTP/2 does not know (RFC 9113 §5.5), on this stream. What the core refuses, as it does when our
    /// half has ended, is traced and left out.
    pub fn send_extension(&self, kind: FrameType, flags: Flags, payload: impl Into<Vec<u8>>) {
        self.0.submit(StreamCommand::SendExtension { kind, flags, payload: payload.into() });
    }
}

impl fmt::Debug for StreamHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamHandle").field("stream", &self.0.stream()).finish()
    }
}

/// Who hears what the peer says about a connection: its settings, priorities, origins, alternative services, extension frames.
///
/// It runs in the connection's thread and should only pass on what it gets. A panic of it goes no further.
#[derive(Clone)]
pub struct OnNotice(Arc<dyn Fn(OwnedEvent) + Send + Sync>);

impl OnNotice {
    /// Takes the function.
    pub fn new(function: impl Fn(OwnedEvent) + Send + Sync + 'static) -> Self {
        Self(Arc::new(function))
    }

    pub(crate) fn notify(&self, notice: OwnedEvent) {
        if catch_unwind(AssertUnwindSafe(|| (self.0)(notice))).is_err() {
            trace::callback_panicked();
        }
    }
}

impl fmt::Debug for OnNotice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnNotice")
    }
}
