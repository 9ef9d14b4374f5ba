//! A client: one connection, shared by any number of threads.

mod builder;
mod end_signal;
mod pending_response;
mod push_stream;
mod streams;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use thalweg::{ErrorCode, StreamKey};
use thalweg_http::content as http;
use thalweg_http::repair::Section;
use thalweg_io::{ConnectionEnd, Handle};

use crate::body::Body;
use crate::body::exchange::{BufferLimits, Chunk, Exchange, Finish, StreamCommand, StreamCommandSink};
use crate::body::writer::{BodyWriter, Upload};
use crate::commands::{ClientMailbox, DriverMessage, OpenRequest};
use crate::error::Error;
use crate::message::{Payload, Request, Response, Source};
use crate::outbound::{plan_request, repair};

pub use builder::Builder;
pub use pending_response::{PendingResponse, Pushed};
pub use push_stream::PushStream;
pub use streams::ClientDriver;

use end_signal::EndSignal;
use push_stream::PushSender;

/// A client of one server, over one connection that a dedicated thread drives. Clones share the
/// connection.
///
/// The client opens streams in the order of the calls. At the server's limit of streams, the caller
/// waits. When the last clone and all bodies of its responses are dropped, the connection shuts
/// down gracefully.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
    time_limit: Option<Duration>,
}

/// State that lives until no clone is left that may send.
struct Inner {
    mailbox: Arc<ClientMailbox>,
    end_signal: Arc<EndSignal>,
    pushes: Arc<PushSender>,
    limits: BufferLimits,
}

impl Client {
    fn new(
        mailbox: Arc<ClientMailbox>,
        end_signal: Arc<EndSignal>,
        pushes: Arc<PushSender>,
        limits: BufferLimits,
    ) -> Self {
        Self { inner: Arc::new(Inner { mailbox, end_signal, pushes, limits }), time_limit: None }
    }

    /// Connects to a server over cleartext TCP, with prior knowledge (RFC 9113 §3.3) and the
    /// default options.
    ///
    /// # Errors
    /// Those of [`Builder::connect`].
    pub fn connect(authority: &str) -> io::Result<Self> {
        Self::builder().connect(authority)
    }

    /// Connects to a server over TLS, with the default options.
    ///
    /// # Errors
    /// Those of [`Builder::connect_tls`].
    #[cfg(feature = "rustls")]
    pub fn connect_tls(authority: &str, tls: impl Into<Arc<rustls::ClientConfig>>) -> io::Result<Self> {
        Self::builder().connect_tls(authority, tls)
    }

    /// Returns a builder, which sets other options and has other ways to connect.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// Accepts pushed responses (RFC 9113 §8.4) from now on, in place of any earlier
    /// [`PushStream`]. The configuration must set `enable_push`. Pushes are cancelled while there
    /// is no `PushStream`.
    pub fn accept_pushes(&self) -> PushStream {
        PushStream::new(self.inner.pushes.subscribe(), self.time_limit)
    }

    /// Limits each wait for the server: for a stream, for the response, for content, and for
    /// window. Default: no limit.
    #[must_use]
    pub fn time_limit(mut self, limit: Option<Duration>) -> Self {
        self.time_limit = limit;
        self
    }

    /// Sends a request and waits for the headers of its response. Content from a reader is read and
    /// sent by a thread of its own, so that the server may respond before the request has ended,
    /// whatever the reader waits for. When the whole response was read, or was dropped, the rest of
    /// the request is not sent.
    ///
    /// # Errors
    /// The stream ended early; see [`Error::is_retryable`].
    pub fn send(&self, request: Request<impl Into<Payload>>) -> Result<Response<Body>, Error> {
        let (mut head, payload) = request.replace_body(());
        let payload = payload.into();
        let len = payload.content_length();
        let Payload { source, trailers } = payload;
        let check = plan(&mut head, http::Body { len, has_trailers: trailers.is_some() })?;
        let finish = Finish::with(trailers);
        let (chunk, finish, upload) = match source {
            Source::Nothing => (Chunk::EMPTY, Some(finish), None),
            Source::Whole(bytes) => (Chunk::Bytes(bytes), Some(finish), None),
            Source::Reader(reader, _) => (Chunk::EMPTY, None, Some((reader, finish))),
        };
        let response = self.open(head, chunk, finish)?;
        if let Some((reader, finish)) = upload {
            response.exchange().wait_open(self.deadline())?;
            let upload = Upload::new(self.writer(&response, check), reader, finish);
            upload.spawn().map_err(|error| Error::Body(Arc::new(error)))?;
        }
        response.wait()
    }

    /// Opens a stream with a request whose content the caller writes. A different thread may wait
    /// for the response.
    ///
    /// # Errors
    /// The stream could not be opened, or not within the time limit.
    pub fn start_request(&self, mut request: Request<()>) -> Result<(BodyWriter, PendingResponse), Error> {
        let check = plan(&mut request, http::Body::UNKNOWN)?;
        let response = self.open(request, Chunk::EMPTY, None)?;
        response.exchange().wait_open(self.deadline())?;
        Ok((self.writer(&response, check), response))
    }

    fn writer(&self, response: &PendingResponse, check: http::LengthCheck) -> BodyWriter {
        BodyWriter::new(Arc::clone(response.exchange()), check, self.time_limit)
    }

    /// Returns the handle that shuts the connection down and sends connection-level frames. It does
    /// not keep the connection open.
    pub fn handle(&self) -> Handle<thalweg::Client> {
        Handle::new(Arc::clone(&self.inner.mailbox) as _)
    }

    /// Shuts down gracefully: open streams complete, and no new ones are opened.
    pub fn shutdown(&self) {
        self.inner.mailbox.post(DriverMessage::Shutdown);
    }

    /// Closes the connection now: all open streams fail.
    pub fn close(&self) {
        self.inner.mailbox.post(DriverMessage::Close(ErrorCode::NO_ERROR));
    }

    /// Returns how the connection ended, if it has ended.
    pub fn end(&self) -> Option<Arc<ConnectionEnd>> {
        self.inner.end_signal.end()
    }

    /// Waits until the connection has ended and its final output is written. Does not close it.
    pub fn wait_end(&self) -> Arc<ConnectionEnd> {
        self.inner.end_signal.wait()
    }

    fn deadline(&self) -> Option<Instant> {
        self.time_limit.map(|limit| Instant::now() + limit)
    }

    fn open(
        &self,
        head: Request<()>,
        chunk: Chunk,
        finish: Option<Finish>,
    ) -> Result<PendingResponse, Error> {
        let exchange = Exchange::new(Arc::clone(&self.inner) as _, self.inner.limits, None);
        let request = OpenRequest { head, chunk, finish, exchange: Arc::clone(&exchange) };
        if !self.inner.mailbox.post(DriverMessage::Host(Box::new(request)))
            && let Some(end) = self.end()
        {
            return Err(Error::Connection { end, processed: false });
        }
        Ok(PendingResponse::new(exchange, self.time_limit))
    }
}

impl StreamCommandSink for Inner {
    fn submit(&self, stream: StreamKey, command: StreamCommand) {
        self.mailbox.post(DriverMessage::Stream(stream, command));
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.mailbox.post(DriverMessage::Shutdown);
    }
}

/// Repairs the headers of a request. Returns the check of its content. The core validates them.
fn plan(head: &mut Request<()>, body: http::Body) -> Result<http::LengthCheck, Error> {
    repair(Section::Headers, &mut head.fields);
    let method = head.method().to_owned();
    let plan = plan_request(&method, body, &mut head.fields);
    plan.map(|plan| plan.check()).map_err(|error| Error::Body(Arc::new(error)))
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("end", &self.end()).finish()
    }
}
