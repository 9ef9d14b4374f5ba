//! The messages that a driver receives from other threads.

use std::sync::Arc;

use thalweg::{Client, ErrorCode, Role, Server, StreamKey};
use thalweg_io::{Command, IdleState};

use crate::body::exchange::{Chunk, Exchange, Finish, StreamCommand, StreamCommandSink};
use crate::mailbox::Mailbox;
use crate::message::{Request, Response};

/// A message to a driver.
pub(crate) enum DriverMessage<M, R: Role> {
    /// A command of an application for its stream.
    Stream(StreamKey, StreamCommand),
    /// A message for the driver's role.
    Host(M),
    /// A command for the connection, executed once it speaks HTTP/2.
    Connection(Command<R>),
    /// Make room for another connection: this command, or the end of a negotiation. The state says
    /// which has happened.
    Evict(Arc<IdleState>, Command<R>),
    /// Shut down gracefully.
    Shutdown,
    /// Close now.
    Close(ErrorCode),
}

/// The mailbox of a server's driver.
pub(crate) type ServerMailbox = Mailbox<DriverMessage<ServerCommand, Server>>;

/// A message of a handler to its driver.
#[derive(Debug)]
pub enum ServerCommand {
    Respond(ResponseCommand),
    Push(Box<PushCommand>),
    /// Sends ALTSVC for the origin of a request (RFC 7838 §4).
    AltSvc(StreamKey, Vec<u8>),
}

/// A response from a handler: the headers, and the content that is available.
#[derive(Debug)]
pub struct ResponseCommand {
    pub stream: StreamKey,
    pub head: Response<()>,
    pub chunk: Chunk,
    pub finish: Option<Finish>,
}

/// A push of a handler (RFC 9113 §8.4).
#[derive(Debug)]
pub struct PushCommand {
    pub parent: StreamKey,
    pub head: Request<()>,
    pub exchange: Arc<Exchange>,
}

/// The mailbox of a client's driver.
pub(crate) type ClientMailbox = Mailbox<DriverMessage<Box<OpenRequest>, Client>>;

/// A request that a caller wants to send: its headers, and the content that is available.
#[derive(Debug)]
pub struct OpenRequest {
    pub head: Request<()>,
    pub chunk: Chunk,
    pub finish: Option<Finish>,
    pub exchange: Arc<Exchange>,
}

impl<M: Send, R: Role> StreamCommandSink for Mailbox<DriverMessage<M, R>> {
    fn submit(&self, stream: StreamKey, command: StreamCommand) {
        self.post(DriverMessage::Stream(stream, command));
    }
}
