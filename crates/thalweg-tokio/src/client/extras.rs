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
use crate::error::Error;
use crate::inbox::Inbox;
use crate::log;
use crate::record::Connection;
use crate::wishes::Wishes;

use super::response::Unanswered;

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
    response: Unanswered,
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
pub struct StreamHandle(Arc<Wishes<Wish>>);

/// What a caller wants of its stream.
pub enum Wish {
    /// Another priority.
    Prioritise(Priority),
    /// Another length of padding.
    Pad(Option<u8>),
    /// A frame of an unknown type.
    Extend(FrameType, Flags, Vec<u8>),
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
        self.wish(Wish::Prioritise(priority))
    }

    /// Adds `pad_len` bytes of padding to each DATA frame of the request from now on, to blur its length (RFC 9113 §10.7); with
    /// `None` no more.
    ///
    /// # Errors
    /// `Send` with `StreamClosed` after the end of the stream.
    pub fn set_padding(&self, pad_len: Option<u8>) -> Result<(), Error> {
        self.wish(Wish::Pad(pad_len))
    }

    /// Sends a frame of a type that HTTP/2 does not know (RFC 9113 §5.5), on this stream. One that the core refuses, as it does after
    /// the end of the request, is logged and left out.
    ///
    /// # Errors
    /// `Send` with `StreamClosed` after the end of the stream.
    pub fn send_extension(&self, kind: FrameType, flags: Flags, payload: impl Into<Vec<u8>>) -> Result<(), Error> {
        self.wish(Wish::Extend(kind, flags, payload.into()))
    }

    fn wish(&self, wish: Wish) -> Result<(), Error> {
        if self.0.push(wish) { Ok(()) } else { Err(Error::Send(SendError::StreamClosed)) }
    }
}

/// What was attached to one request.
pub struct Extras {
    on_informational: Option<OnInformational>,
    on_push: Option<OnPush>,
    handle: Option<StreamHandle>,
}

impl Extras {
    /// Takes them out of a request's extensions. Costs nothing where there are none.
    pub fn take(extensions: &mut Extensions) -> Option<Box<Self>> {
        if extensions.is_empty() {
            return None;
        }
        let extras = Self {
            on_informational: extensions.remove(),
            on_push: extensions.remove(),
            handle: extensions.remove(),
        };
        let is_empty =
            extras.on_informational.is_none() && extras.on_push.is_none() && extras.handle.is_none();
        (!is_empty).then(|| Box::new(extras))
    }

    /// An interim response has come.
    pub fn inform(&self, stream: StreamKey, response: Response<()>) {
        if let Some(OnInformational(function)) = &self.on_informational {
            guard(stream, || function(response));
        }
    }

    /// Whether pushes are wanted.
    pub const fn wants_push(&self) -> bool {
        self.on_push.is_some()
    }

    /// A promise has come.
    pub fn promise(&self, stream: StreamKey, request: Request<()>, inbox: Arc<Inbox>) {
        let pushed = Pushed { request, response: Unanswered::new(inbox) };
        if let Some(OnPush(function)) = &self.on_push {
            guard(stream, || function(pushed));
        }
    }

    /// Does what was wished of the stream since the last look. What cannot be is left out. Returns the padding, if it changes.
    pub fn grant(&self, connection: &mut Connection<Client>, stream: StreamKey) -> Option<Option<u8>> {
        let mut padding = None;
        for wish in self.handle.as_ref()?.0.take() {
            let granted = match wish {
                Wish::Prioritise(priority) => connection.set_priority(stream, priority),
                Wish::Pad(pad_len) => {
                    padding = Some(pad_len);
                    Ok(())
                }
                Wish::Extend(kind, flags, payload) => {
                    connection.send_extension(kind, flags, Some(stream), &payload)
                }
            };
            if let Err(error) = granted {
                log::left_out(stream, &error.into());
            }
        }
        padding
    }

    /// How the driver is rung.
    pub fn set_bell(&self, bell: &Waker) {
        if let Some(handle) = &self.handle {
            handle.0.set_bell(bell.clone());
        }
    }
}

impl Drop for Extras {
    fn drop(&mut self) {
        if let Some(handle) = &self.handle {
            handle.0.end();
        }
    }
}

/// A panic of a caller's function goes no further.
fn guard(stream: StreamKey, function: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(function)) {
        log::panicked(stream, panic.as_ref());
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
