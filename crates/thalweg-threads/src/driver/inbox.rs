//! The messages of a driver, between its mailbox and their execution.
//!
//! Invariant: commands for the connection wait until the protocol is known, since an Upgrade
//! replaces the connection; all other messages are executed in the turn that takes them.

use std::mem;
use std::sync::Arc;

use thalweg::Role;
use thalweg_io::{Command, Handle, SplicingConnection};

use crate::commands::DriverMessage;
use crate::mailbox::Mailbox;
use crate::trace;

/// The messages of a driver.
pub(crate) struct Inbox<M, R: Role> {
    pub mailbox: Arc<Mailbox<DriverMessage<M, R>>>,
    /// The messages of this turn. Empty between turns; its memory is reused.
    pub taken: Vec<DriverMessage<M, R>>,
    deferred: Vec<Command<R>>,
}

impl<M: Send + 'static, R: Role + 'static> Inbox<M, R> {
    pub(crate) fn new(mailbox: Arc<Mailbox<DriverMessage<M, R>>>) -> Self {
        Self { mailbox, taken: Vec::new(), deferred: Vec::new() }
    }

    /// Returns the handle to the connection.
    pub(crate) fn handle(&self) -> Handle<R> {
        Handle::new(Arc::clone(&self.mailbox) as _)
    }

    /// Keeps a command until the protocol is known.
    pub(crate) fn defer(&mut self, command: Command<R>) {
        self.deferred.push(command);
    }

    /// Executes the commands that waited for the protocol.
    pub(crate) fn apply_deferred(&mut self, connection: &mut SplicingConnection<R>) {
        for command in mem::take(&mut self.deferred) {
            apply(connection, command);
        }
    }

    /// Closes the mailbox. Returns the messages that were not executed.
    pub(crate) fn close(&mut self) -> impl Iterator<Item = DriverMessage<M, R>> {
        self.deferred = Vec::new();
        mem::take(&mut self.taken).into_iter().chain(self.mailbox.close())
    }
}

/// Executes a command. One that the core refuses is logged and dropped.
pub(crate) fn apply<R: Role>(connection: &mut SplicingConnection<R>, command: Command<R>) {
    if let Err(error) = command(connection) {
        trace::command_failed(&error);
    }
}
