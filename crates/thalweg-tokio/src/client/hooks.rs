//! What a caller can attach to a request as extensions: callbacks for interim responses and for
//! pushes, and a handle to the stream.

use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use http::{Extensions, Request, Response};
use thalweg::frame::{Flags, FrameType};
use thalweg::{Client, Priority, SendError, StreamKey};
use thalweg_io::Connection;

use crate::body::Body;
use crate::body::inbox::Inbox;
use crate::driver::command_queue::CommandQueue;
use crate::error::Error;
use crate::trace;

use super::response::PendingResponse;

/// Callback for each interim response (RFC 9110 §15.2), for example 103 Early Hints. Insert it as
/// an extension of the request.
///
/// It runs in the connection's task and should only forward its argument.
#[derive(Clone)]
pub struct OnInformational(Arc<dyn Fn(Response<()>) + Send + Sync>);

impl OnInformational {
    /// Creates the callback from a function.
    pub fn new(function: impl Fn(Response<()>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(function))
    }
}

/// Callback for each push that the server promises with the response (RFC 9113 §8.4). Insert it as
/// an extension of the request. Without it, or without `Config::enable_push`, the client refuses
/// all pushes.
///
/// It runs in the connection's task and should only forward its argument.
#[derive(Clone)]
pub struct OnPush(Arc<dyn Fn(Pushed) + Send + Sync>);

impl OnPush {
    /// Creates the callback from a function.
    pub fn new(function: impl Fn(Pushed) + Send + Sync + 'static) -> Self {
        Self(Arc::new(function))
    }
}

/// A promised request and its response, as a future. Dropping it cancels the push.
#[must_use = "dropping a pushed response cancels it"]
pub struct Pushed {
    request: Request<()>,
    response: PendingResponse,
}

impl Pushed {
    /// Returns the request that the server is answering.
    pub const fn request(&self) -> &Request<()> {
        &self.request
    }
}

impl Future for Pushed {
    type Output = Result<Response<Body>, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.response.poll(cx)
    }
}

/// A handle to the stream of a request. Insert a clone as an extension of the request.
#[derive(Clone, Default)]
pub struct StreamHandle(Arc<CommandQueue<StreamCommand>>);

/// A command of the caller for its stream.
pub(crate) enum StreamCommand {
    /// Changes the priority.
    SetPriority(Priority),
    /// Changes the length of padding.
    SetPadding(Option<u8>),
    /// Sends a frame of an unknown type.
    SendExtension(FrameType, Flags, Vec<u8>),
}

impl StreamHandle {
    /// Creates a handle that belongs to no stream yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks the server for another priority of the response (PRIORITY_UPDATE, RFC 9218 §7.1). The
    /// request's `priority` field carries the initial one. A server without RFC 9218
    /// support ignores the update.
    ///
    /// # Errors
    /// `Send` with `StreamClosed` after the end of the stream.
    pub fn set_priority(&self, priority: Priority) -> Result<(), Error> {
        self.submit(StreamCommand::SetPriority(priority))
    }

    /// Adds `pad_len` bytes of padding to each further DATA frame of the request, to hide its
    /// length (RFC 9113 §10.7). `None` stops padding.
    ///
    /// # Errors
    /// `Send` with `StreamClosed` after the end of the stream.
    pub fn set_padding(&self, pad_len: Option<u8>) -> Result<(), Error> {
        self.submit(StreamCommand::SetPadding(pad_len))
    }

    /// Sends a frame of an extension type (RFC 9113 §5.5) on this stream. A frame that the core
    /// refuses, as it does after the end of the request, is logged and dropped.
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

    fn submit(&self, command: StreamCommand) -> Result<(), Error> {
        if self.0.push(command) { Ok(()) } else { Err(Error::Send(SendError::StreamClosed)) }
    }
}

/// The extensions of one request.
pub(crate) struct RequestHooks {
    on_informational: Option<OnInformational>,
    on_push: Option<OnPush>,
    handle: Option<StreamHandle>,
}

impl RequestHooks {
    /// Removes the hooks from a request's extensions. Costs nothing if there are none.
    pub(crate) fn from_extensions(extensions: &mut Extensions) -> Option<Box<Self>> {
        if extensions.is_empty() {
            return None;
        }
        let hooks = Self {
            on_informational: extensions.remove(),
            on_push: extensions.remove(),
            handle: extensions.remove(),
        };
        let is_empty = hooks.on_informational.is_none() && hooks.on_push.is_none() && hooks.handle.is_none();
        (!is_empty).then(|| Box::new(hooks))
    }

    /// Passes an interim response to the caller.
    pub(crate) fn call_on_informational(&self, stream: StreamKey, response: Response<()>) {
        if let Some(OnInformational(function)) = &self.on_informational {
            catch_panic(stream, || function(response));
        }
    }

    /// Returns whether the caller accepts pushes.
    pub(crate) const fn wants_push(&self) -> bool {
        self.on_push.is_some()
    }

    /// Passes a push to the caller.
    pub(crate) fn call_on_push(&self, stream: StreamKey, request: Request<()>, inbox: Arc<Inbox>) {
        let pushed = Pushed { request, response: PendingResponse::new(inbox) };
        if let Some(OnPush(function)) = &self.on_push {
            catch_panic(stream, || function(pushed));
        }
    }

    /// Executes the commands for the stream that arrived since the last call. A command that the
    /// core refuses is dropped. Returns the padding, if it changes.
    pub(crate) fn apply_commands(
        &self,
        connection: &mut Connection<Client>,
        stream: StreamKey,
    ) -> Option<Option<u8>> {
        let mut padding = None;
        for command in self.handle.as_ref()?.0.take() {
            let applied = match command {
                StreamCommand::SetPriority(priority) => connection.set_priority(stream, priority),
                StreamCommand::SetPadding(pad_len) => {
                    padding = Some(pad_len);
                    Ok(())
                }
                StreamCommand::SendExtension(kind, flags, payload) => {
                    connection.send_extension(kind, flags, Some(stream), &payload)
                }
            };
            if let Err(error) = applied {
                trace::stream_command_failed(stream, &error.into());
            }
        }
        padding
    }

    /// Sets the waker of the driver.
    pub(crate) fn set_waker(&self, waker: &Waker) {
        if let Some(handle) = &self.handle {
            handle.0.set_waker(waker.clone());
        }
    }
}

impl Drop for RequestHooks {
    fn drop(&mut self) {
        if let Some(handle) = &self.handle {
            handle.0.close();
        }
    }
}

/// Catches and logs a panic of a caller's function.
fn catch_panic(stream: StreamKey, function: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(function)) {
        trace::handler_panicked(stream, panic.as_ref());
    }
}

impl fmt::Debug for OnInformational {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnInformational")
    }
}

impl fmt::Debug for OnPush {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnPush")
    }
}

impl fmt::Debug for Pushed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pushed").field("request", &self.request).finish_non_exhaustive()
    }
}

impl fmt::Debug for StreamHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StreamHandle")
    }
}
