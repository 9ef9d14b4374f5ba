//! The client: a cloneable handle, and the connection behind it.

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
use thalweg::{Config, ConfigError, OwnedEvent};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, ToSocketAddrs};
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore, mpsc};
use tower_service::Service;

use crate::body::Body;
use crate::control::{ConnectionControl, Handle};
use crate::counters::Counters;
use crate::driver::Driver;
use crate::error::{BoxError, ConnectionEnd, Error};
use crate::record::Setup;
use crate::trace;

#[cfg(feature = "rustls")]
pub use crate::tls::connect as connect_tls;
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
    B::Error: Into<BoxError>,
{
    driver: Driver<IO, ClientStreams<B>>,
}

/// Connects over TCP and speaks HTTP/2 with prior knowledge (RFC 9113 §3.3). Does not wait for the
/// server preface: the first request fails if the peer does not speak HTTP/2.
///
/// # Errors
/// The error of the operating system.
pub async fn connect<B>(addr: impl ToSocketAddrs) -> io::Result<(Client<B>, Connection<TcpStream, B>)>
where
    B: HttpBody,
    B::Error: Into<BoxError>,
{
    let socket = TcpStream::connect(addr).await?;
    socket.set_nodelay(true)?;
    let connected = handshake(socket, Config::default());
    Ok(connected.expect("the default configuration is valid"))
}

/// Speaks HTTP/2 on a connected transport. The requests' bodies have the type `B`.
///
/// # Errors
/// The first field of `config` that is outside its range.
pub fn handshake<IO, B>(io: IO, config: Config) -> Result<(Client<B>, Connection<IO, B>), ConfigError>
where
    IO: AsyncRead + AsyncWrite + Unpin,
    B: HttpBody,
    B::Error: Into<BoxError>,
{
    start(io, &Setup::from(config))
}

/// Speaks HTTP/2 on a connected transport, and records the connection.
///
/// # Errors
/// The first field of `config` that is outside its range.
#[cfg(feature = "record")]
pub fn handshake_recorded<IO, B>(
    io: IO,
    config: Config,
    recordings: &thalweg_record::RecordingStore,
) -> Result<(Client<B>, Connection<IO, B>), ConfigError>
where
    IO: AsyncRead + AsyncWrite + Unpin,
    B: HttpBody,
    B::Error: Into<BoxError>,
{
    start(io, &Setup { config, recordings: Some(recordings.clone()) })
}

fn start<IO, B>(io: IO, setup: &Setup) -> Result<(Client<B>, Connection<IO, B>), ConfigError>
where
    IO: AsyncRead + AsyncWrite + Unpin,
    B: HttpBody,
    B::Error: Into<BoxError>,
{
    let core = setup.start()?;
    let (submitted, receiver) = mpsc::unbounded_channel();
    let permits = StreamPermits::new();
    let end = Arc::new(OnceLock::new());
    let shared = Arc::new(Shared { submitted, permits: permits.semaphore(), end: Arc::clone(&end) });
    let requests = ClientStreams::new(receiver, permits, end);
    let driver = Driver::new(io, core, requests, Arc::<ConnectionControl<thalweg::Client>>::default());
    Ok((Client { shared, permit: None, acquire: None }, Connection { driver }))
}

impl<IO, B> Connection<IO, B>
where
    IO: AsyncRead + AsyncWrite + Unpin,
    B: HttpBody,
    B::Error: Into<BoxError>,
{
    /// Registers the connection with a [`ConnectionMonitor`](crate::inspect::ConnectionMonitor);
    /// `peer` is only displayed.
    #[cfg(feature = "inspect")]
    pub fn inspect(
        mut self,
        monitor: &crate::inspect::ConnectionMonitor,
        peer: Option<std::net::SocketAddr>,
    ) -> Self {
        self.driver.io().set_tap(crate::tap::Tap::new(monitor, peer, true));
        self
    }

    /// Returns the handle that shuts the connection down and sends connection-level frames.
    pub fn handle(&self) -> Handle<thalweg::Client> {
        self.driver.handle().clone()
    }

    /// Sets a callback for connection-level events of the server: settings, origins, alternative
    /// services, extension frames. It runs in the connection's task and should only forward its
    /// argument.
    pub fn on_notice(
        mut self,
        on_notice: impl Fn(&Handle<thalweg::Client>, OwnedEvent) + Send + Sync + 'static,
    ) -> Self {
        self.driver.set_on_notice(Arc::new(on_notice));
        self
    }

    /// Adds what the connection does to `counters`, which other connections may share.
    pub fn counters(mut self, counters: Arc<Counters>) -> Self {
        counters.count_opened();
        self.driver.set_counters(counters);
        self
    }
}

impl<IO, B> Future for Connection<IO, B>
where
    IO: AsyncRead + AsyncWrite + Unpin,
    B: HttpBody,
    B::Error: Into<BoxError>,
{
    type Output = Arc<ConnectionEnd>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let driver = &mut self.get_mut().driver;
        let end = ready!(Pin::new(&mut *driver).poll(cx));
        trace::connection_ended(&end);
        if let Some(counters) = driver.counters() {
            counters.count_ended(false, end.is_warning());
        }
        Poll::Ready(end)
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
    B::Error: Into<BoxError>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}
