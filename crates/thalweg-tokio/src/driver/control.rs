//! Control of a connection from other tasks, and callbacks for its events.
//!
//! Invariant: each command is executed once and in order; a closed connection accepts none.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;

use thalweg::{OwnedEvent, Role};
use thalweg_io::{Command, CommandSink, Connection, Handle, IdleState, NegotiationError};

use super::command_queue::CommandQueue;
use crate::trace;

/// The commands for a connection, and the waker of its driver.
pub(crate) struct ConnectionControl<R: Role> {
    wants_shutdown: AtomicBool,
    /// Whether there are commands to execute.
    has_commands: AtomicBool,
    idle: Arc<IdleState>,
    commands: CommandQueue<Command<R>>,
}

impl<R: Role> Default for ConnectionControl<R> {
    fn default() -> Self {
        Self {
            wants_shutdown: AtomicBool::new(false),
            has_commands: AtomicBool::new(false),
            idle: Arc::default(),
            commands: CommandQueue::default(),
        }
    }
}

impl<R: Role> ConnectionControl<R> {
    /// Returns whether a graceful shutdown was requested.
    pub(crate) fn wants_shutdown(&self) -> bool {
        self.wants_shutdown.load(Ordering::SeqCst)
    }

    /// Returns why a negotiation must end, and registers the waker of its task.
    pub(crate) fn poll_negotiation_end(&self, waker: &Waker) -> Option<NegotiationError> {
        self.register(waker);
        if self.wants_shutdown() {
            Some(NegotiationError::ShuttingDown)
        } else {
            self.idle.is_evicted().then_some(NegotiationError::Evicted)
        }
    }

    /// Registers the waker that a command wakes.
    pub(crate) fn register(&self, driver: &Waker) {
        self.commands.set_waker(driver.clone());
    }

    /// Executes the commands. One that the core refuses is logged and dropped.
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

    /// Returns since when the connection has had no streams.
    pub(crate) const fn idle(&self) -> &Arc<IdleState> {
        &self.idle
    }

    /// Closes the queue at the end of the connection.
    pub(crate) fn close(&self) {
        self.commands.close();
    }
}

impl<R: Role> CommandSink<R> for ConnectionControl<R> {
    fn submit(&self, command: Command<R>) -> bool {
        self.commands.push_with(command, || self.has_commands.store(true, Ordering::SeqCst))
    }

    fn shutdown(&self) -> bool {
        self.wants_shutdown.store(true, Ordering::SeqCst);
        self.submit(Box::new(|_| Ok(())))
    }
}

/// A callback for connection-level events of the peer.
pub(crate) type OnNotice<R> = Arc<dyn Fn(&Handle<R>, OwnedEvent) + Send + Sync>;

/// The application's callback, and the handle that it gets.
pub(crate) struct Notifier<R: Role> {
    callback: OnNotice<R>,
    handle: Handle<R>,
}

impl<R: Role> Notifier<R> {
    pub(crate) const fn new(callback: OnNotice<R>, handle: Handle<R>) -> Self {
        Self { callback, handle }
    }

    /// Calls the callback. Catches and logs its panic.
    pub(crate) fn notify(&self, notice: OwnedEvent) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| (self.callback)(&self.handle, notice))) {
            trace::callback_panicked(panic.as_ref());
        }
    }
}

impl<R: Role> fmt::Debug for ConnectionControl<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionControl")
            .field("wants_shutdown", &self.wants_shutdown())
            .finish_non_exhaustive()
    }
}
