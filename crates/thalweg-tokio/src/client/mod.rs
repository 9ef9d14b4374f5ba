//! The client: a cloneable handle, and the connection behind it.

mod builder;
mod hooks;
mod response;
mod stream_permits;
mod streams;

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use http_body::Body as HttpBody;
use thalweg::{Config, ConfigError};
use thalweg_http::exchange::Timeouts;
use thalweg_io::{Connection as Core, ConnectionEnd, Handle};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, ToSocketAddrs};
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore, mpsc};
use tower_service::Service;

use crate::body::Body;
use crate::driver::{Driver, DriverOptions};
use crate::error::{BoxError, Error};
use crate::trace;

pub use builder::Builder;
pub use hooks::{OnInformational, OnPush, Pushed, StreamHandle};
pub use response::ResponseFuture;

use stream_permits::StreamPermits;
use streams::{ClientStreams, PendingRequest};

/// A handle to a client's connection. Clones share the connection. It shuts down gracefully when
/// the last handle is dropped and the last response is read.
///
/// As a tower service, `poll_ready` waits while the number of open streams is at the peer's limit.
/// Dropping a response's future or body early cancels the request with RST_STREAM.
///
/// `poll_ready` fails when the connection accepts no further requests. With the feature `tonic` it
/// reports ready instead, and `call` returns the error: a client that tonic generates maps an error
/// of `poll_ready` to the status `Unknown`, and an error of `call` to `Unavailable`.
pub struct Client<B> {
    shared: Arc<Shared<B>>,
    permit: Option<OwnedSemaphorePermit>,
    acquire: Option<Acquire>,
}

pub(crate) struct Shared<B> {
    submitted: mpsc::UnboundedSender<PendingRequest<B>>,
    permits: Arc<Semaphore>,
    end: Arc<OnceLock<Arc<ConnectionEnd>>>,
}

type Acquire = Pin<Box<dyn Future<Output = Result<OwnedSemaphorePermit, AcquireError>> + Send + Sync>>;

/// The connection behind the handles, as a future that drives it to its end. Spawn it.
#[must_use = "a connection does nothing unless it is polled"]
pub struct Connection<IO, B>
where
    B: HttpBody,
{
    driver: Driver<IO, ClientStreams<B>>,
}

/// Connects over TCP and speaks HTTP/2 with prior knowledge (RFC 9113 §3.3). Does not wait for the
/// server preface: the first request fails if the peer does not speak HTTP/2.
/// Other options: [`Builder::connect`].
///
/// # Errors
/// The error of the operating system.
pub async fn connect<B>(addr: impl ToSocketAddrs) -> io::Result<(Client<B>, Connection<TcpStream, B>)>
where
    B: HttpBody,
    B::Error: Into<BoxError>,
{
    Builder::new().connect(addr).await
}

/// Connects over TCP and TLS, and speaks HTTP/2 if the server negotiates it by ALPN (RFC 9113
/// §3.2). Adds `h2` to a configuration without ALPN protocols.
///
/// # Errors
/// Those of [`Builder::connect_tls`].
#[cfg(feature = "rustls")]
pub async fn connect_tls<B>(
    addr: impl ToSocketAddrs,
    name: crate::rustls::pki_types::ServerName<'static>,
    tls: impl Into<Arc<crate::rustls::ClientConfig>>,
) -> io::Result<(Client<B>, Connection<tokio_rustls::client::TlsStream<TcpStream>, B>)>
where
    B: HttpBody,
    B::Error: Into<BoxError>,
{
    Builder::new().connect_tls(addr, name, tls).await
}

/// Speaks HTTP/2 on a connected transport. The requests' bodies have the type `B`. Other options:
/// [`Builder::handshake`].
///
/// # Errors
/// The first field of `config` that is outside its range.
pub fn handshake<IO, B>(io: IO, config: Config) -> Result<(Client<B>, Connection<IO, B>), ConfigError>
where
    IO: AsyncRead + AsyncWrite + Unpin,
    B: HttpBody,
    B::Error: Into<BoxError>,
{
    Builder::new().config(config).handshake(io)
}

fn start<IO, B>(
    io: IO,
    core: Core<thalweg::Client>,
    options: DriverOptions<thalweg::Client>,
    timeouts: Timeouts,
) -> (Client<B>, Connection<IO, B>)
where
    IO: AsyncRead + AsyncWrite + Unpin,
    B: HttpBody,
    B::Error: Into<BoxError>,
{
    let (submitted, receiver) = mpsc::unbounded_channel();
    let permits = StreamPermits::new();
    let end = Arc::new(OnceLock::new());
    let shared = Arc::new(Shared { submitted, permits: permits.semaphore(), end: Arc::clone(&end) });
    let driver =
        Driver::new(io, core, ClientStreams::new(receiver, permits, end, timeouts, Into::into), options);
    if let Some(counters) = driver.counters() {
        counters.connection_opened();
    }
    (Client { shared, permit: None, acquire: None }, Connection { driver })
}

impl<IO, B> Connection<IO, B>
where
    IO: AsyncRead + AsyncWrite + Unpin,
    B: HttpBody,
{
    /// Returns the handle that shuts the connection down and sends connection-level frames.
    pub fn handle(&self) -> Handle<thalweg::Client> {
        self.driver.handle()
    }
}

impl<IO, B> Future for Connection<IO, B>
where
    IO: AsyncRead + AsyncWrite + Unpin,
    B: HttpBody,
{
    type Output = Arc<ConnectionEnd>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let driver = &mut self.get_mut().driver;
        let end = ready!(Pin::new(&mut *driver).poll(cx));
        trace::connection_ended(&end);
        if let Some(counters) = driver.counters() {
            counters.connection_ended(&end);
        }
        Poll::Ready(end)
    }
}

impl Client<()> {
    /// Returns a builder, which sets other options, for clients with bodies of any type.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::new()
    }
}

impl<B> Client<B> {
    /// Waits until the peer allows another stream.
    ///
    /// # Errors
    /// `Connection` and `GoingAway`: the caller needs a new connection.
    pub async fn ready(&mut self) -> Result<(), Error> {
        poll_fn(|cx| self.poll_permit(cx)).await
    }

    /// Sends a request. Waits first if the number of open streams is at the peer's limit.
    ///
    /// The URI must name scheme and authority; otherwise the request carries none (RFC 9113
    /// §8.3.1). The client adds content-length if the body knows its length.
    pub fn send(&mut self, request: Request<B>) -> ResponseFuture<B> {
        match self.permit.take() {
            Some(permit) => ResponseFuture::submitted(&self.shared, request, permit),
            None => match Arc::clone(&self.shared.permits).try_acquire_owned() {
                Ok(permit) => ResponseFuture::submitted(&self.shared, request, permit),
                Err(_) => ResponseFuture::waiting(Arc::clone(&self.shared), request),
            },
        }
    }

    /// Returns whether the connection accepts no further requests.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.permits.is_closed()
    }

    /// Returns how the connection ended, if it has ended.
    pub fn end(&self) -> Option<Arc<ConnectionEnd>> {
        self.shared.end.get().cloned()
    }

    fn poll_permit(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if self.permit.is_none() {
            let permits = &self.shared.permits;
            let acquire = self.acquire.get_or_insert_with(|| Box::pin(Arc::clone(permits).acquire_owned()));
            let acquired = ready!(acquire.as_mut().poll(cx));
            self.acquire = None;
            self.permit = Some(acquired.map_err(|_| self.shared.closed())?);
        }
        Poll::Ready(Ok(()))
    }
}

impl<B> Shared<B> {
    /// Returns the reason why no request can be sent any more.
    fn closed(&self) -> Error {
        match self.end.get() {
            Some(end) => Error::Connection { end: Arc::clone(end), processed: false },
            None => Error::GoingAway,
        }
    }
}

impl<B> Clone for Client<B> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), permit: None, acquire: None }
    }
}

impl<B> Service<Request<B>> for Client<B> {
    type Response = Response<Body>;
    type Error = Error;
    type Future = ResponseFuture<B>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let permits = self.poll_permit(cx);
        // A client that tonic generates maps an error from here to `Unknown`, but looks for a
        // status in an error of `call`, which fails immediately and for the same reason.
        #[cfg(feature = "tonic")]
        let permits = permits.map(|_| Ok(()));
        permits
    }

    fn call(&mut self, request: Request<B>) -> ResponseFuture<B> {
        self.send(request)
    }
}

impl<B> fmt::Debug for Client<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("closed", &self.is_closed()).finish_non_exhaustive()
    }
}

impl<IO, B> fmt::Debug for Connection<IO, B>
where
    B: HttpBody,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}
