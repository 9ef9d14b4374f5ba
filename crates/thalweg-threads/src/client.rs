//! A client: one connection, shared by any number of threads.

use std::fmt;
use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::thread;
use std::time::{Duration, Instant};

use thalweg::{ErrorCode, StreamKey};

use crate::body::Body;
use crate::driver::client::{ClientDriver, ClientMailbox, EndSignal, OpenRequest};
use crate::driver::pushes::PushSender;
use crate::driver::{DriverMessage, Options};
use crate::error::{ConnectionEnd, Error};
use crate::exchange::{
    BufferLimits, Chunk, Exchange, Finish, Interest, StreamCommand, StreamCommandSink, WaitResult,
};
use crate::handle::{Handle, StreamHandle};
use crate::message::{Payload, Request, Response, Source};
use crate::poller::{Poller, Socket};
use crate::writer::{BodyWriter, Upload};

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
    /// Connects to a server over cleartext TCP, with prior knowledge (RFC 9113 §3.3) and the
    /// default configuration.
    ///
    /// `authority` is host and port, for example `example.org:8080`; the default port is 80.
    ///
    /// # Errors
    /// The name cannot be resolved, the connection is refused, or no thread can be started.
    pub fn connect(authority: &str) -> io::Result<Self> {
        Self::connect_with(authority, &Options::default())
    }

    /// Connects with options.
    ///
    /// # Errors
    /// As [`connect`](Self::connect); `InvalidInput` for a configuration out of range.
    pub fn connect_with(authority: &str, options: &Options) -> io::Result<Self> {
        let stream = connect_tcp(authority, 80)?;
        Self::over(stream, "http", authority, options)
    }

    /// Connects to a server over TLS; the default port of `authority` is 443. The server must
    /// negotiate `h2` by ALPN (RFC 9113 §3.2). Adds `h2` to a configuration without ALPN protocols.
    /// The time limit of the handshake is `options.config.timeouts.preface`.
    ///
    /// # Errors
    /// Those of [`connect_with`](Self::connect_with). `InvalidData` with a [`rustls::Error`]
    /// inside: the handshake failed, for example because the certificate is not valid for the name;
    /// with [`NegotiationError::NotTls`](crate::NegotiationError::NotTls) inside: the server does
    /// not speak TLS. `Unsupported` with
    /// [`NegotiationError::NoAlpn`](crate::NegotiationError::NoAlpn) inside: the server did not
    /// negotiate `h2`. `UnexpectedEof`: the server closed the connection during the handshake.
    #[cfg(feature = "rustls")]
    pub fn connect_tls(
        authority: &str,
        tls: Arc<rustls::ClientConfig>,
        options: &Options,
    ) -> io::Result<Self> {
        let host = split_port(authority).map_or(authority, |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = rustls::pki_types::ServerName::try_from(host)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let mut stream = connect_tcp(authority, 443)?;
        stream.set_nodelay(true)?;
        // RFC 8336 §2.2: ORIGIN is valid over TLS only.
        let mut options = options.clone();
        options.config.over_tls = true;
        let options = &options;
        let session = crate::tls::handshake(&mut stream, name, tls, options.config.timeouts.preface)?;
        Self::start(stream, "https", authority, options, |socket| Ok(crate::Tls::new(session, socket)))
    }

    /// Uses a connected socket.
    ///
    /// # Errors
    /// Those of [`connect_with`](Self::connect_with).
    pub fn over(
        stream: TcpStream,
        scheme: &'static str,
        authority: &str,
        options: &Options,
    ) -> io::Result<Self> {
        Self::start(stream, scheme, authority, options, Ok)
    }

    /// Starts the driver's thread. `wrap` may wrap the socket, for example in TLS.
    pub(crate) fn start<T: crate::Transport + 'static>(
        stream: TcpStream,
        scheme: &'static str,
        authority: &str,
        options: &Options,
        wrap: impl FnOnce(Socket) -> io::Result<T>,
    ) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let options = Options { remote: stream.peer_addr().ok(), ..options.clone() };
        let mut socket = mio::net::TcpStream::from_std(stream);
        let mut poller = Poller::new()?;
        poller.watch(&mut socket)?;
        let transport = wrap(Socket(socket))?;
        let (mut driver, client) = ClientDriver::new(transport, scheme, authority, &options, poller.waker())
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        thread::Builder::new().name("thalweg client".to_owned()).spawn(move || {
            poller.drive(&mut driver, |_| {});
        })?;
        Ok(client)
    }

    pub(crate) fn new(
        mailbox: Arc<ClientMailbox>,
        end_signal: Arc<EndSignal>,
        pushes: Arc<PushSender>,
        limits: BufferLimits,
    ) -> Self {
        Self { inner: Arc::new(Inner { mailbox, end_signal, pushes, limits }), time_limit: None }
    }

    /// Accepts pushed responses (RFC 9113 §8.4) from now on, in place of any earlier
    /// [`PushStream`]. The configuration must set `enable_push`. Pushes are cancelled while there
    /// is no `PushStream`.
    pub fn accept_pushes(&self) -> PushStream {
        PushStream { promises: self.inner.pushes.subscribe(), time_limit: self.time_limit }
    }

    /// Limits each wait for the server: for a stream, for the response, for content, and for
    /// window. Default: no limit.
    #[must_use]
    pub fn time_limit(mut self, limit: Option<Duration>) -> Self {
        self.time_limit = limit;
        self
    }

    /// Sends a request and waits for the headers of its response. The request's content is sent
    /// during this wait, and later while the response's content is read, so that the server may
    /// respond before the request has ended.
    ///
    /// # Errors
    /// The stream ended early; see [`Error::is_retryable`].
    pub fn send(&self, request: Request<impl Into<Payload>>) -> Result<Response<Body>, Error> {
        let (head, payload) = request.replace_body(());
        let Payload { source, trailers } = payload.into();
        let finish = trailers.map_or(Finish::End, Finish::Trailers);
        let (chunk, finish, upload) = match source {
            Source::Nothing => (Chunk::EMPTY, Some(finish), None),
            Source::Whole(bytes) => (Chunk::Bytes(bytes), Some(finish), None),
            Source::Reader(reader, _) => (Chunk::EMPTY, None, Some((reader, finish))),
        };
        let mut response = self.open(head, chunk, finish)?;
        if let Some((reader, finish)) = upload {
            response.exchange().wait_open(self.deadline())?;
            let writer = BodyWriter::new(Arc::clone(response.exchange()), ErrorCode::CANCEL, self.time_limit);
            let trailers = match finish {
                Finish::End => None,
                Finish::Trailers(trailers) => Some(trailers),
            };
            response.upload = Some(Upload::new(writer, reader, trailers));
        }
        response.wait()
    }

    /// Opens a stream with a request whose content the caller writes. A different thread may wait
    /// for the response.
    ///
    /// # Errors
    /// The stream could not be opened, or not within the time limit.
    pub fn start_request(&self, request: Request<()>) -> Result<(BodyWriter, PendingResponse), Error> {
        let response = self.open(request, Chunk::EMPTY, None)?;
        response.exchange().wait_open(self.deadline())?;
        let writer = BodyWriter::new(Arc::clone(response.exchange()), ErrorCode::CANCEL, self.time_limit);
        Ok((writer, response))
    }

    /// Returns the handle that shuts the connection down and sends connection-level frames. It does
    /// not keep the connection open.
    pub fn handle(&self) -> Handle<thalweg::Client> {
        Handle::new(Arc::clone(&self.inner.mailbox))
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
            return Err(Error::Connection { end, unprocessed: true });
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

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("end", &self.end()).finish()
    }
}

/// The response to a request that was started. Dropping it cancels the request (RST_STREAM with
/// CANCEL).
pub struct PendingResponse {
    exchange: Option<Arc<Exchange>>,
    upload: Option<Upload>,
    time_limit: Option<Duration>,
}

impl PendingResponse {
    pub(crate) fn new(exchange: Arc<Exchange>, time_limit: Option<Duration>) -> Self {
        Self { exchange: Some(exchange), upload: None, time_limit }
    }

    /// Waits for an informational response, for example 103 (RFC 8297). Returns `None` when the
    /// final response has arrived, which [`wait`](Self::wait) returns. Keeps the last 16 that were
    /// not read.
    ///
    /// # Errors
    /// Those of [`wait`](Self::wait).
    pub fn informational(&mut self) -> Result<Option<Response<()>>, Error> {
        let deadline = self.time_limit.map(|limit| Instant::now() + limit);
        self.exchange().wait_informational(deadline)
    }

    /// Returns the handle to the stream: its priority, its padding, and its extension frames.
    pub fn handle(&self) -> StreamHandle {
        StreamHandle::new(Arc::clone(self.exchange()))
    }

    /// Waits for the headers of the response.
    ///
    /// # Errors
    /// The stream ended early, or the time limit expired.
    pub fn wait(mut self) -> Result<Response<Body>, Error> {
        let deadline = self.time_limit.map(|limit| Instant::now() + limit);
        loop {
            let interest = Interest { head: true, content: false, capacity: self.upload.is_some() };
            match self.exchange().wait_for(interest, &mut Vec::new(), deadline) {
                WaitResult::Head(head) => return Ok(self.into_response(head)),
                WaitResult::Capacity(buffer) => {
                    if let Some(upload) = self.upload.take() {
                        self.upload = upload.resume(buffer)?;
                    }
                }
                WaitResult::Failed(error) => return Err(error),
                WaitResult::TimedOut => return Err(Error::TimedOut),
                WaitResult::Content | WaitResult::Ended(_) => {}
            }
        }
    }

    fn into_response(mut self, head: Response<()>) -> Response<Body> {
        let exchange = Arc::clone(self.exchange());
        let body = Body::of_response(exchange, self.upload.take(), self.time_limit);
        // From here on, dropping the body cancels the stream.
        self.exchange = None;
        head.replace_body(body).0
    }

    fn exchange(&self) -> &Arc<Exchange> {
        self.exchange.as_ref().expect("it is taken with `self`")
    }
}

impl Drop for PendingResponse {
    fn drop(&mut self) {
        if let Some(exchange) = &self.exchange {
            exchange.submit(StreamCommand::Reset { code: ErrorCode::CANCEL });
        }
    }
}

impl fmt::Debug for PendingResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingResponse").finish_non_exhaustive()
    }
}

/// Splits host and port, if there is a port.
fn split_port(authority: &str) -> Option<(&str, &str)> {
    authority.rsplit_once(':').filter(|(host, port)| {
        port.bytes().all(|byte| byte.is_ascii_digit())
            && !port.is_empty()
            && (!host.contains(':') || host.ends_with(']'))
    })
}

/// Pushed responses in the order of their promises: a blocking iterator that ends with the
/// connection. Dropping it cancels later pushes.
#[derive(Debug)]
pub struct PushStream {
    promises: Receiver<Pushed>,
    time_limit: Option<Duration>,
}

impl Iterator for PushStream {
    type Item = Pushed;

    fn next(&mut self) -> Option<Pushed> {
        let mut pushed = self.promises.recv().ok()?;
        pushed.response.time_limit = self.time_limit;
        Some(pushed)
    }
}

/// A response that the server pushes. Dropping `response` cancels it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Pushed {
    /// The request that the server is answering.
    pub request: Request<()>,
    /// The response.
    pub response: PendingResponse,
}

/// Connects to the first address of a name that accepts a connection.
fn connect_tcp(authority: &str, default_port: u16) -> io::Result<TcpStream> {
    if split_port(authority).is_some() {
        return TcpStream::connect(authority);
    }
    let host = authority.trim_start_matches('[').trim_end_matches(']');
    TcpStream::connect((host, default_port).to_socket_addrs()?.collect::<Vec<_>>().as_slice())
}
