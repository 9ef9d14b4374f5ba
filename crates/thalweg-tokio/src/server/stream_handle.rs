//! A handler's commands for its stream besides the response.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;

use http::header::HeaderMap;
use http::{Request, Response, StatusCode};
use thalweg::frame::{Flags, FrameType};
use thalweg::{Priority, SendError};

use crate::driver::command_queue::CommandQueue;
use crate::error::Error;

/// A handle to the stream of a request: interim responses, pushes, priority, padding, and extension
/// frames. An extension of each request, with
/// [`Builder::stream_handles`](super::Builder::stream_handles). Clones belong to the same stream.
#[derive(Clone)]
pub struct StreamHandle(Arc<Shared>);

#[derive(Default)]
struct Shared {
    commands: CommandQueue<StreamCommand>,
    priority: Mutex<Priority>,
}

/// A command of a handler for its stream.
#[derive(Debug)]
pub(crate) enum StreamCommand {
    /// Sends an interim response.
    SendInformational(Box<Response<()>>),
    /// Promises a request.
    Push(Box<Request<()>>),
    /// Changes the priority.
    SetPriority(Priority),
    /// Changes the length of padding.
    SetPadding(Option<u8>),
    /// Sends a frame of an unknown type.
    SendExtension(FrameType, Flags, Vec<u8>),
    /// Sends ALTSVC.
    SendAltSvc(Vec<u8>),
}

impl StreamHandle {
    pub(crate) fn new(priority: Priority) -> Self {
        Self(Arc::new(Shared { commands: CommandQueue::default(), priority: Mutex::new(priority) }))
    }

    /// Sends an interim response (RFC 9110 §15.2), before the final one. A response that the core
    /// refuses is logged and dropped.
    ///
    /// # Errors
    /// `Send` with `OutOfRange` if the status is not 1xx, or is 101, which HTTP/2 does not have;
    /// with `StreamClosed` after the end of the stream.
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

    /// Promises the response to a request that the client would have made (RFC 9113 §8.4). The
    /// service handles the request like any other. Call it before the end of the response,
    /// preferably before sending content that refers to the promised one. The push is dropped if
    /// the client does not accept pushes; most clients do not.
    ///
    /// # Errors
    /// `Send` with `StreamClosed` after the end of the stream.
    pub fn push(&self, request: Request<()>) -> Result<(), Error> {
        self.submit(StreamCommand::Push(Box::new(request)))
    }

    /// Returns the priority that the client requested last, by field or by PRIORITY_UPDATE (RFC
    /// 9218), or that was set since.
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

    /// Adds `pad_len` bytes of padding to each further DATA frame of the response, to hide its
    /// length (RFC 9113 §10.7). `None` stops padding. Frames sent before the call have no padding.
    ///
    /// # Errors
    /// `Send` with `StreamClosed` after the end of the stream.
    pub fn set_padding(&self, pad_len: Option<u8>) -> Result<(), Error> {
        self.submit(StreamCommand::SetPadding(pad_len))
    }

    /// Sends a frame of an extension type (RFC 9113 §5.5) on this stream. A frame that the core
    /// refuses is logged and dropped.
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

    /// Sends ALTSVC: an alternative service for the origin of this request, for example `h3=":443"`
    /// (RFC 7838 §4). A frame that the core refuses is logged and dropped.
    ///
    /// # Errors
    /// `Send` with `StreamClosed` after the end of the stream.
    pub fn send_alt_svc(&self, value: impl Into<Vec<u8>>) -> Result<(), Error> {
        self.submit(StreamCommand::SendAltSvc(value.into()))
    }

    fn submit(&self, command: StreamCommand) -> Result<(), Error> {
        if self.0.commands.push(command) { Ok(()) } else { Err(Error::Send(SendError::StreamClosed)) }
    }

    pub(crate) fn update_priority(&self, priority: Priority) {
        *self.0.priority.lock().unwrap_or_else(PoisonError::into_inner) = priority;
    }

    pub(crate) fn take(&self) -> Vec<StreamCommand> {
        self.0.commands.take()
    }

    pub(crate) fn set_waker(&self, waker: Waker) {
        self.0.commands.set_waker(waker);
    }

    pub(crate) fn end(&self) {
        self.0.commands.close();
    }
}

impl fmt::Debug for StreamHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamHandle").field("priority", &self.priority()).finish()
    }
}
