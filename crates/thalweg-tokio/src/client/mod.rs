//! The client: a handle that is cloned as often as there are callers, and the connection behind it.

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

/// A handle to a connection of a client. Clones share the connection; it ends gracefully when the last one is dropped and the last
/// response is read.
///
/// As a tower service, `poll_ready` waits while as many streams are open as the peer allows. A response whose future or
/// body is dropped early is cancelled with RST_STREAM.
///
/// `poll_ready` fails when the connection takes no further requests. With the feature `tonic` it
/// reports ready then, and `call` returns the same error: clients that tonic generates make a
/// status `Unknown` of what `poll_ready` says, and find `Unavailable` in what `call` says.
pub struct Client<B> {
    shared: Arc<Shared<B>>,
    permit: Option<OwnedSemaphorePermit>,
    acquire: Option<Acquire>,
}

struct Shared<B> {
    submitted: mpsc::UnboundedSender<PendingRequest<B>>,
    permits: Arc<Semaphore>,
    end: Arc<OnceLock<Arc<ConnectionEnd>>>,
}

type Acquire = Pin<Box<dyn Future<Output = Result<OwnedSemaphorePermit, AcquireError>> + Send + Sync>>;

/// The connection behind the handles, as a future that drives it to its end: spawn it.
#[must_use = "a connection does nothing unless it is polled"]
pub struct Connection<IO, B>
where
    B: HttpBody,
    B::Error: Into<BoxError>,
{
    driver: Driver<IO, ClientStreams<B>>,
}

/// Connects over TCP and speaks HTTP/2 with prior knowledge (RFC 9113 §3.3). Does not wait for the peer's first word:
/// whether it speaks HTTP/2 at all shows with the first request.
///
/// # Errors
/// What the operating system says.
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

/// Speaks HTTP/2 on a transport that is connected. The requests' bodies are of type `B`.
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

/// The same, recorded.
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
    /// Shows it to a [`Watch`](crate::inspect::ConnectionMonitor); `peer` is for the eyes of who looks.
    #[cfg(feature = "inspect")]
    pub fn inspect(
        mut self,
        monitor: &crate::inspect::ConnectionMonitor,
        peer: Option<std::net::SocketAddr>,
    ) -> Self {
        self.driver.io().set_tap(crate::tap::Tap::new(monitor, peer, true));
        self
    }

    /// The handle through which others end it gracefully, and say what belongs to no request.
    pub fn handle(&self) -> Handle<thalweg::Client> {
        self.driver.handle().clone()
    }

    /// Is called with what the server says about the connection: its settings, origins, alternative services, extension frames. It
    /// runs in the connection's task and should only pass on what it gets.
    pub fn on_notice(
        mut self,
        on_notice: impl Fn(&Handle<thalweg::Client>, OwnedEvent) + Send + Sync + 'static,
    ) -> Self {
        self.driver.set_on_notice(Arc::new(on_notice));
        self
    }

    /// Counts what it does in `counters`, with other connections or alone.
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
    /// `Connection` and `GoingAway`: a new connection is needed.
    pub async fn ready(&mut self) -> Result<(), Error> {
        poll_fn(|cx| self.poll_permit(cx)).await
    }

    /// Sends a request, which waits first if the peer allows no further stream now.
    ///
    /// The URI must name scheme and authority, or the request goes without (RFC 9113 §8.3.1). A content-length is added if the
    /// body knows its length.
    pub fn send(&mut self, request: Request<B>) -> ResponseFuture<B> {
        match self.permit.take() {
            Some(permit) => ResponseFuture::submitted(&self.shared, request, permit),
            None => match Arc::clone(&self.shared.permits).try_acquire_owned() {
                Ok(permit) => ResponseFuture::submitted(&self.shared, request, permit),
                Err(_) => ResponseFuture::waiting(Arc::clone(&self.shared), request),
            },
        }
    }

    /// Whether the connection takes no further requests.
    pub fn is_closed(&self) -> bool {
        self.shared.permits.is_closed()
    }

    /// How the connection ended, once it has.
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
    /// Why nothing can be sent any more.
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
        // What tonic generates makes `Unknown` of an error from here, and looks for a status in an
        // error of `call`, which fails at once and for the same reason.
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
