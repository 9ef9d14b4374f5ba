//! What a handler may say on its stream besides the response.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;

use http::header::HeaderMap;
use http::{Request, Response, StatusCode};
use thalweg::frame::{Flags, FrameType};
use thalweg::{Priority, SendError};

use crate::command_queue::CommandQueue;
use crate::error::Error;

/// A handle to the stream of a request: interim responses, pushes, its priority, and what
/// extensions of HTTP/2 put on it. An extension of each request, with
/// [`Server::stream_handles`](crate::Server::stream_handles). Clones are of the same stream.
#[derive(Clone)]
pub struct StreamHandle(Arc<Shared>);

#[derive(Default)]
struct Shared {
    commands: CommandQueue<StreamCommand>,
    priority: Mutex<Priority>,
}

/// What a handler wants of its stream.
#[derive(Debug)]
pub enum StreamCommand {
    /// An interim response.
    SendInformational(Box<Response<()>>),
    /// A promised request.
    Push(Box<Request<()>>),
    /// Another priority.
    SetPriority(Priority),
    /// Another length of padding.
    SetPadding(Option<u8>),
    /// A frame of an unknown type.
    SendExtension(FrameType, Flags, Vec<u8>),
    /// An alternative service.
    SendAltSvc(Vec<u8>),
}

impl StreamHandle {
    pub(super) fn new(priority: Priority) -> Self {
        Self(Arc::new(Shared { commands: CommandQueue::default(), priority: Mutex::new(priority) }))
    }

    /// Sends an interim response (RFC 9110 §15.2), before the final one. One that the core refuses is logged and left out.
    ///
    /// # Errors
    /// `Send` with `OutOfRange` if the status is not 1xx or is 101, which HTTP/2 does not have; with `StreamClosed` after the end
    /// of the stream.
    pub fn send_informational(&self, response: Response<()>) -> Result<(), Error> {
        let status = response.status();
        if !status.is_informational() || status == StatusCode::SWITCHING_PROTOCOLS {
            return Err(Error::Send(SendError::OutOfRange));
        }
        self.submit(StreamCommand::SendInformational(Box::new(response)))
    }

    /// Sends 103 Early Hints (RFC 8297).
    ///
    /// # Errors
    /// `Send` with `StreamClosed` after the end of the stream.
    pub fn send_early_hints(&self, hints: HeaderMap) -> Result<(), Error> {
        let mut response = Response::new(());
        *response.status_mut() = StatusCode::EARLY_HINTS;
        *response.headers_mut() = hints;
        self.send_informational(response)
    }

    /// Promises the response to a request that the client would have made (RFC 9113 §8.4): the service gets it as any other. Before
    /// the end of the response, and best before what refers to it. Left out if the client does not accept pushes, as
    /// most do not.
    ///
    /// # Errors
    /// `Send` with `StreamClosed` after the end of the stream.
    pub fn push(&self, request: Request<()>) -> Result<(), Error> {
        self.submit(StreamCommand::Push(Box::new(request)))
    }

    /// The priority that the client asked for last, by field or by PRIORITY_UPDATE (RFC 9218), or that was set since.
    pub fn priority(&self) -> Priority {
        *self.0.priority.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the order in which responses are sent.
    ///
    /// # Errors
    /// `Send` with `StreamClosed` after the end of the stream.
    pub fn set_priority(&self, priority: Priority) -> Result<(), Error> {
        self.update_priority(priority);
        self.submit(StreamCommand::SetPriority(priority))
    }

    /// Adds `pad_len` bytes of padding to each DATA frame of the response from now on, to blur its length (RFC 9113 §10.7); with
    /// `None` no more. Set it before the response is given, or the beginning goes without.
    ///
    /// # Errors
    /// `Send` with `StreamClosed` after the end of the stream.
    pub fn set_padding(&self, pad_len: Option<u8>) -> Result<(), Error> {
        self.submit(StreamCommand::SetPadding(pad_len))
    }

    /// Sends a frame of a type that HTTP/2 does not know (RFC 9113 §5.5), on this stream. One that the core refuses is logged and
    /// left out.
    ///
    /// # Errors
    /// `Send` with `StreamClosed` after the end of the stream.
    pub fn send_extension(
        &self,
        kind: FrameType,
        flags: Flags,
        payload: impl Into<Vec<u8>>,
    ) -> Result<(), Error> {
        self.submit(StreamCommand::SendExtension(kind, flags, payload.into()))
    }

    /// Names an alternative service for the origin of this request, for example `h3=":443"` (RFC 7838 §4). Left out where the core
    /// refuses it.
    ///
    /// # Errors
    /// `Send` with `StreamClosed` after the end of the stream.
    pub fn send_alt_svc(&self, value: impl Into<Vec<u8>>) -> Result<(), Error> {
        self.submit(StreamCommand::SendAltSvc(value.into()))
    }

    fn submit(&self, command: StreamCommand) -> Result<(), Error> {
        if self.0.commands.push(command) { Ok(()) } else { Err(Error::Send(SendError::StreamClosed)) }
    }

    pub(super) fn update_priority(&self, priority: Priority) {
        *self.0.priority.lock().unwrap_or_else(PoisonError::into_inner) = priority;
    }

    pub(super) fn take(&self) -> Vec<StreamCommand> {
        self.0.commands.take()
    }

    pub(super) fn set_waker(&self, waker: Waker) {
        self.0.commands.set_waker(waker);
    }

    pub(super) fn end(&self) {
        self.0.commands.close();
    }
}

impl fmt::Debug for StreamHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamHandle").field("priority", &self.priority()).finish()
    }
}
