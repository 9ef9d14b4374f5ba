//! Control of a connection from other tasks, and callbacks for its events.
//!
//! Invariant: each command is executed once and in order; a closed connection accepts none.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::task::Waker;
use std::time::Instant;

use thalweg::frame::{Flags, FrameType, SettingId};
use thalweg::{ErrorCode, OwnedEvent, Role, SendError, Server};

use crate::command_queue::CommandQueue;
use crate::record::Connection;
use crate::trace;

/// A command for the connection.
type ConnectionCommand<R> = Box<dyn FnOnce(&mut Connection<R>) -> Result<(), SendError> + Send>;

/// The commands, and the waker of the driver.
pub(crate) struct ConnectionControl<R: Role> {
    wants_shutdown: AtomicBool,
    /// Whether there are commands to execute.
    has_commands: AtomicBool,
    /// Since when the connection has no stream, in nanoseconds after `ORIGIN`; or `BUSY`.
    idle_since: AtomicU64,
    /// Whether the connection is shutting down because it was idle.
    is_evicted: AtomicBool,
    commands: CommandQueue<ConnectionCommand<R>>,
}

impl<R: Role> Default for ConnectionControl<R> {
    fn default() -> Self {
        let no = || AtomicBool::new(false);
        let idle_since = AtomicU64::new(BUSY);
        let commands = CommandQueue::default();
        Self { wants_shutdown: no(), has_commands: no(), idle_since, is_evicted: no(), commands }
    }
}

impl<R: Role> ConnectionControl<R> {
    /// For the driver: returns whether a graceful shutdown was requested.
    pub(crate) fn wants_shutdown(&self) -> bool {
        self.wants_shutdown.load(Ordering::SeqCst)
    }

    /// For the driver: registers the waker that `push` wakes.
    pub(crate) fn register(&self, driver: &Waker) {
        self.commands.set_waker(driver.clone());
    }

    /// For the driver: executes the commands. One that the core refuses is logged and dropped.
    /// Costs one load if there are none.
    pub(crate) fn apply(&self, connection: &mut Connection<R>) {
        if !self.has_commands.load(Ordering::SeqCst) {
            return;
        }
        self.has_commands.store(false, Ordering::SeqCst);
        for command in self.commands.take() {
            if let Err(error) = command(connection) {
                trace::command_failed(&error);
            }
        }
        if self.wants_shutdown() {
            connection.shutdown();
        }
    }

    /// For the driver: stores whether the connection has streams, before the task sleeps.
    /// `was_used`: it had some since the last call.
    pub(crate) fn set_idle(&self, is_idle: bool, was_used: bool) {
        let was_idle = self.idle_since.load(Ordering::Relaxed) != BUSY;
        if is_idle && (was_used || !was_idle) {
            let nanos = u64::try_from(ORIGIN.elapsed().as_nanos()).unwrap_or(BUSY - 1);
            self.idle_since.store(nanos, Ordering::Relaxed);
        } else if !is_idle && was_idle {
            self.idle_since.store(BUSY, Ordering::Relaxed);
        }
    }

    /// Returns since when the connection has had no streams; `None` while it has some, or before
    /// its first turn.
    pub(crate) fn idle_since(&self) -> Option<u64> {
        Some(self.idle_since.load(Ordering::Relaxed)).filter(|since| *since != BUSY)
    }

    /// Returns whether the connection is shutting down because it was idle.
    pub(crate) fn is_evicted(&self) -> bool {
        self.is_evicted.load(Ordering::SeqCst)
    }

    /// For the driver: closes the queue at the end of the connection.
    pub(crate) fn close(&self) {
        self.commands.close();
    }
}

/// A handle to one connection, for whatever is sent besides requests and responses. Clones belong
/// to the same connection, and compare equal.
///
/// Each method that sends returns whether the connection still accepts commands. A command that the
/// core refuses, under the conditions of its method of the same name, is logged and dropped.
pub struct Handle<R: Role>(Arc<ConnectionControl<R>>);

impl<R: Role> Handle<R> {
    pub(crate) const fn new(control: Arc<ConnectionControl<R>>) -> Self {
        Self(control)
    }

    pub(crate) const fn control(&self) -> &Arc<ConnectionControl<R>> {
        &self.0
    }

    /// Starts a graceful shutdown: sends GOAWAY, and completes the open streams within
    /// `Config::timeouts.shutdown`.
    pub fn shutdown(&self) {
        self.0.wants_shutdown.store(true, Ordering::SeqCst);
        self.submit(|_| Ok(()));
    }

    /// Sends a frame of an extension type (RFC 9113 §5.5) on the connection.
    pub fn send_extension(&self, kind: FrameType, flags: Flags, payload: impl Into<Vec<u8>>) -> bool {
        let payload = payload.into();
        self.submit(move |connection| connection.send_extension(kind, flags, None, &payload))
    }

    /// Sends extension settings (RFC 9113 §5.5).
    pub fn send_extension_settings(&self, entries: impl Into<Vec<(SettingId, u32)>>) -> bool {
        let entries = entries.into();
        self.submit(move |connection| connection.send_extension_settings(&entries))
    }

    fn submit(
        &self,
        command: impl FnOnce(&mut Connection<R>) -> Result<(), SendError> + Send + 'static,
    ) -> bool {
        let control = &self.0;
        control.commands.push_with(Box::new(command), || control.has_commands.store(true, Ordering::SeqCst))
    }
}

impl Handle<Server> {
    /// Shuts down the connection, if it still has no streams, to make room for another. GOAWAY
    /// carries the last processed stream: the client may retry a request that crosses it on another
    /// connection (RFC 9113 §6.8).
    pub(crate) fn evict(&self) {
        self.0.is_evicted.store(true, Ordering::SeqCst);
        let control = Arc::clone(&self.0);
        self.submit(move |connection| {
            if connection.live_streams() == 0 {
                connection.close(ErrorCode::NO_ERROR, EVICTION_TEXT);
            } else {
                control.is_evicted.store(false, Ordering::SeqCst);
            }
            Ok(())
        });
    }

    /// Sends ORIGIN: the origins for which the server is authoritative, for example
    /// `https://example.org` (RFC 8336).
    pub fn send_origins<T: Into<Vec<u8>>>(&self, origins: impl IntoIterator<Item = T>) -> bool {
        let origins: Vec<Vec<u8>> = origins.into_iter().map(Into::into).collect();
        self.submit(move |connection| {
            let origins: Vec<&[u8]> = origins.iter().map(Vec::as_slice).collect();
            connection.send_origins(&origins)
        })
    }

    /// Sends ALTSVC: an alternative service for an origin, for example `h3=":443"` (RFC 7838 §4).
    pub fn send_alt_svc(&self, origin: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> bool {
        let (origin, value) = (origin.into(), value.into());
        self.submit(move |connection| connection.send_alt_svc(None, &origin, &value))
    }
}

impl<R: Role> Clone for Handle<R> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<R: Role> PartialEq for Handle<R> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl<R: Role> Eq for Handle<R> {}

impl<R: Role> fmt::Debug for Handle<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("wants_shutdown", &self.0.wants_shutdown()).finish_non_exhaustive()
    }
}

/// The origin of idle times.
static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
const BUSY: u64 = u64::MAX;
/// The debug data of the GOAWAY.
const EVICTION_TEXT: &[u8] = b"idle, and the server has reached its limit of connections";

/// A callback for connection-level events of the peer.
pub(crate) type OnNotice<R> = Arc<dyn Fn(&Handle<R>, OwnedEvent) + Send + Sync>;

/// Calls the application's callback. Catches and logs its panic.
pub(crate) fn notify<R: Role>(callback: &OnNotice<R>, handle: &Handle<R>, notice: OwnedEvent) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| callback(handle, notice))) {
        trace::callback_panicked(panic.as_ref());
    }
}
