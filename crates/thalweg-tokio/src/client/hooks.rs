//! What a caller may attach to a request as extensions: who hears of interim responses and of pushes, and a handle to the stream.

use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use http::{Extensions, Request, Response};
use thalweg::frame::{Flags, FrameType};
use thalweg::{Client, Priority, SendError, StreamKey};

use crate::body::Body;
use crate::command_queue::CommandQueue;
use crate::error::Error;
use crate::inbox::Inbox;
use crate::record::Connection;
use crate::trace;

use super::response::PendingResponse;

/// Is called with each interim response (RFC 9110 §15.2), for example 103 Early Hints, as it comes: an extension of the request.
///
/// It runs in the connection's task and should only pass on what it gets.
#[derive(Clone)]
pub struct OnInformational(Arc<dyn Fn(Response<()>) + Send + Sync>);

impl OnInformational {
    /// Takes the function.
    pub fn new(function: impl Fn(Response<()>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(function))
    }
}

/// Is called with each promise that the server makes with the response (RFC 9113 §8.4): an extension of the request. Without it, or without
/// `Config::enable_push`, nothing is pushed.
///
/// It runs in the connection's task and should only pass on what it gets.
#[derive(Clone)]
pub struct OnPush(Arc<dyn Fn(Pushed) + Send + Sync>);

impl OnPush {
    /// Takes the function.
    pub fn new(function: impl Fn(Pushed) + Send + Sync + 'static) -> Self {
        Self(Arc::new(function))
    }
}

/// A promised request and its response, as a future. To drop it cancels the push.
#[must_use = "a pushed response that nobody waits for is cancelled"]
pub struct Pushed {
    request: Request<()>,
    response: PendingResponse,
}

impl Pushed {
    /// The request that the server answers.
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

/// A handle to the stream of a request: insert a clone as an extension of the request.
#[derive(Clone, Default)]
pub struct StreamHandle(Arc<CommandQueue<StreamCommand>>);

/// What a caller wants of its stream.
pub enum StreamCommand {
    /// Another priority.
    SetPriority(Priority),
    /// Another length of padding.
    SetPadding(Option<u8>),
    /// A frame of an unknown type.
    SendExtension(FrameType, Flags, Vec<u8>),
}

impl StreamHandle {
    /// Makes a handle that is of no stream yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks the server for another priority of the response (PRIORITY_UPDATE, RFC 9218 §7.1); the first one is said by the field `priority` of
    /// the request. Left out if the server does not go by it.
    ///
    /// # Errors
    /// `Send` with `StreamClosed` after the end of the stream.
    pub fn set_priority(&self, priority: Priority) -> Result<(), Error> {
        self.submit(StreamCommand::SetPriority(priority))
    }

    /// Adds `pad_len` bytes of padding to each DATA frame of the request from now on, to blur its length (RFC 9113 §10.7); with
    /// `None` no more.
    ///
    /// # Errors
    /// `Send` with `StreamClosed` after the end of the stream.
    pub fn set_padding(&self, pad_len: Option<u8>) -> Result<(), Error> {
        self.submit(StreamCommand::SetPadding(pad_len))
    }

    /// Sends a frame of a type that HTTP/2 does not know (RFC 9113 §5.5), on this stream. One that the core refuses, as it does after
    /// the end of the request, is logged and left out.
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

/// What was attached to one request.
pub struct RequestHooks {
    on_informational: Option<OnInformational>,
    on_push: Option<OnPush>,
    handle: Option<StreamHandle>,
}

impl RequestHooks {
    /// Takes them out of a request's extensions. Costs nothing where there are none.
    pub fn from_extensions(extensions: &mut Extensions) -> Option<Box<Self>> {
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

    /// An interim response has come.
    pub fn call_on_informational(&self, stream: StreamKey, response: Response<()>) {
        if let Some(OnInformational(function)) = &self.on_informational {
            catch_panic(stream, || function(response));
        }
    }

    /// Whether pushes are wanted.
    pub const fn wants_push(&self) -> bool {
        self.on_push.is_some()
    }

    /// A promise has come.
    pub fn call_on_push(&self, stream: StreamKey, request: Request<()>, inbox: Arc<Inbox>) {
        let pushed = Pushed { request, response: PendingResponse::new(inbox) };
        if let Some(OnPush(function)) = &self.on_push {
            catch_panic(stream, || function(pushed));
        }
    }

    /// Does what was wished of the stream since the last look. What cannot be is left out. Returns the padding, if it changes.
    pub fn apply_commands(
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

    /// How the driver is rung.
    pub fn set_waker(&self, waker: &Waker) {
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

/// A panic of a caller's function goes no further.
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
