//! The listener: accepts connections, serves them, and shuts them down gracefully.

use std::collections::HashMap;
use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use http::{Request, Response};
use thalweg::{Config, OwnedEvent};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, ToSocketAddrs};
use tokio::task::{Id, JoinSet};
use tokio::time;
use tower_service::Service;

use crate::body::Body;
use crate::control::{ConnectionControl, Handle, OnNotice};
use crate::counters::Counters;
use crate::error::{BoxError, ConnectionEnd};
use crate::trace;

use super::Connection;
use crate::negotiate::{
    ConnectionOutcome, Negotiated, NegotiationError, UNUSABLE_UPGRADE, negotiate_cleartext, reject,
};
use crate::record::Setup;
use crate::tap::Tap;

/// A TCP listener that serves HTTP/2: with prior knowledge (RFC 9113 §3.3), and by Upgrade from
/// HTTP/1.1.
///
/// A client that speaks HTTP/1.1 without an Upgrade receives an HTTP/1.1 error response.
pub struct Server {
    listener: TcpListener,
    connections_max: usize,
    options: Options,
}

/// The options shared by all connections.
struct Options {
    setup: Setup,
    h2c: thalweg_h2c::Config,
    stream_handles: bool,
    counters: Arc<Counters>,
    #[cfg(feature = "inspect")]
    monitor: Option<crate::inspect::ConnectionMonitor>,
    #[cfg(feature = "rustls")]
    tls: Option<tokio_rustls::TlsAcceptor>,
    on_open: Option<Box<OnOpen>>,
    on_notice: Option<OnNotice<thalweg::Server>>,
    on_end: Option<Box<OnEnd>>,
}

type OnOpen = dyn Fn(&Handle<thalweg::Server>, SocketAddr) + Send + Sync;
type OnEnd = dyn Fn(SocketAddr, &ConnectionOutcome) + Send + Sync;

/// Statistics of a server that has ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServeStats {
    /// Connections accepted.
    pub accepted: u64,
    /// Connections closed at the time limit of the graceful shutdown, with streams still open.
    pub dropped: u64,
}

impl Server {
    /// Listens on an address.
    ///
    /// # Errors
    /// The error of the operating system, for example that the port is in use.
    pub async fn bind(addr: impl ToSocketAddrs) -> io::Result<Self> {
        TcpListener::bind(addr).await.map(Self::from_listener)
    }

    /// Uses an existing listener.
    pub fn from_listener(listener: TcpListener) -> Self {
        let options = Options {
            setup: Setup::default(),
            h2c: thalweg_h2c::Config::default(),
            stream_handles: false,
            counters: Arc::default(),
            #[cfg(feature = "inspect")]
            monitor: None,
            #[cfg(feature = "rustls")]
            tls: None,
            on_open: None,
            on_notice: None,
            on_end: None,
        };
        Self { listener, connections_max: CONNECTIONS_MAX, options }
    }

    /// Returns the address on which the server listens.
    ///
    /// # Errors
    /// The error of the operating system.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Sets the configuration of each connection.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.options.setup.config = config;
        self
    }

    /// Sets the limits on the first bytes of a cleartext connection, and whether Upgrade is
    /// accepted (default).
    #[must_use]
    pub fn h2c(mut self, h2c: thalweg_h2c::Config) -> Self {
        self.options.h2c = h2c;
        self
    }

    /// Adds a [`StreamHandle`](super::StreamHandle) to each request as an extension. Costs three
    /// allocations per request.
    #[must_use]
    pub fn stream_handles(mut self) -> Self {
        self.options.stream_handles = true;
        self
    }

    /// Returns the counters of all its connections, to be read at any time.
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.options.counters)
    }

    /// Requires TLS on every connection, and serves those that negotiate `h2` by ALPN (RFC 9113
    /// §3.2). Adds `h2` to a configuration without ALPN protocols. Rejects other clients, with an
    /// HTTP/1.1 response if they speak HTTP/1.1.
    #[cfg(feature = "rustls")]
    #[must_use]
    pub fn tls(mut self, config: impl Into<Arc<crate::rustls::ServerConfig>>) -> Self {
        self.options.tls = Some(crate::tls::acceptor(config.into()));
        self
    }

    /// Records each connection. [`RecordingStore`](thalweg_record::RecordingStore) describes the
    /// destination, the limits, and the retention.
    #[cfg(feature = "record")]
    #[must_use]
    pub fn record(mut self, recordings: &thalweg_record::RecordingStore) -> Self {
        self.options.setup.recordings = Some(recordings.clone());
        self
    }

    /// Registers each connection with a [`ConnectionMonitor`](crate::inspect::ConnectionMonitor),
    /// which documents the cost.
    #[cfg(feature = "inspect")]
    #[must_use]
    pub fn inspect(mut self, monitor: &crate::inspect::ConnectionMonitor) -> Self {
        self.options.monitor = Some(monitor.clone());
        self
    }

    /// Sets the maximum of concurrent connections. Default 10,000. When another client connects at
    /// the limit, the server shuts down the connections that have been idle for longest, with
    /// GOAWAY: an eighth of the idle ones, at least 1 and at most 32. The new client waits while no
    /// connection is idle.
    #[must_use]
    pub fn connections_max(mut self, connections_max: usize) -> Self {
        self.connections_max = connections_max;
        self
    }

    /// Sets a callback for each new connection, before anything is read from it, with its handle
    /// and the peer's address. Frames sent through the handle in the callback, for example ORIGIN,
    /// directly follow the server's SETTINGS.
    #[must_use]
    pub fn on_open(
        mut self,
        on_open: impl Fn(&Handle<thalweg::Server>, SocketAddr) + Send + Sync + 'static,
    ) -> Self {
        self.options.on_open = Some(Box::new(on_open));
        self
    }

    /// Sets a callback for connection-level events of clients: settings, priorities, extension
    /// frames. It runs in the connection's task and should only forward its arguments.
    #[must_use]
    pub fn on_notice(
        mut self,
        on_notice: impl Fn(&Handle<thalweg::Server>, OwnedEvent) + Send + Sync + 'static,
    ) -> Self {
        self.options.on_notice = Some(Arc::new(on_notice));
        self
    }

    /// Sets a callback for the end of each connection, with the peer's address and the outcome.
    #[must_use]
    pub fn on_end(mut self, on_end: impl Fn(SocketAddr, &ConnectionOutcome) + Send + Sync + 'static) -> Self {
        self.options.on_end = Some(Box::new(on_end));
        self
    }

    /// Serves until `signal` completes; then stops accepting and shuts down all connections
    /// gracefully, for at most `Config::timeouts.shutdown`. Each connection gets its own clone of
    /// the service and its own task, which its handlers share (see [`serve`](Self::serve)).
    ///
    /// # Errors
    /// A configuration outside its ranges, before anything is accepted. Failures to accept are
    /// logged and retried.
    pub async fn serve_until<S, B, F>(self, service: S, signal: F) -> io::Result<ServeStats>
    where
        S: Service<Request<Body>, Response = Response<B>> + Clone + Send + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send,
        B: http_body::Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<BoxError>,
        F: Future<Output = ()>,
    {
        self.options
            .setup
            .config
            .validate()
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let options = Arc::new(self.options);
        let mut signal = pin!(signal);
        let mut connections = Connections::default();
        let mut stats = ServeStats::default();
        // A connection beyond `connections_max`.
        let mut waiting = None;
        loop {
            let room = connections.tasks.len() < self.connections_max;
            if room && let Some((socket, peer)) = waiting.take() {
                stats.accepted += 1;
                connections.serve(socket, peer, service.clone(), Arc::clone(&options));
                continue;
            }
            let mut recheck = None;
            if waiting.is_some() {
                connections.evict_idle();
                recheck = Some(Box::pin(time::sleep(EVICTION_INTERVAL)));
            }
            let next = poll_fn(|cx| {
                if signal.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(Next::Stop);
                }
                if connections.poll_ended(cx) && !room {
                    return Poll::Ready(Next::Ended);
                }
                if let Some(recheck) = &mut recheck {
                    return recheck.as_mut().poll(cx).map(|()| Next::Ended);
                }
                self.listener.poll_accept(cx).map(Next::Accepted)
            });
            match next.await {
                Next::Stop => break,
                Next::Ended => {}
                Next::Accepted(Ok(accepted)) => waiting = Some(accepted),
                Next::Accepted(Err(error)) => {
                    trace::accept_failed(&error);
                    // Without file descriptors or memory, an immediate retry would only use CPU
                    // time.
                    if !is_of_one_connection(&error) {
                        time::sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        }
        drop((waiting, self.listener));
        stats.dropped = connections.shutdown(options.setup.config.timeouts.shutdown).await;
        Ok(stats)
    }

    /// Serves indefinitely. All handlers of one connection run in its task: wrap a service that
    /// blocks or computes for long in [`SpawnHandlers`](crate::SpawnHandlers), or, if it does so
    /// only at times, in [`SpawnHandlers::when_slow`](crate::SpawnHandlers::when_slow).
    ///
    /// # Errors
    /// As for [`serve_until`](Self::serve_until).
    pub async fn serve<S, B>(self, service: S) -> io::Result<ServeStats>
    where
        S: Service<Request<Body>, Response = Response<B>> + Clone + Send + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send,
        B: http_body::Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        self.serve_until(service, std::future::pending()).await
    }
}

type Boxed<IO, S, B> = Pin<Box<Connection<IO, S, B>>>;

enum Next {
    Stop,
    /// A connection ended, or the eviction timer fired.
    Ended,
    Accepted(io::Result<(TcpStream, SocketAddr)>),
}

impl Options {
    /// Serves one connection to its end.
    async fn serve<S, B>(
        &self,
        mut socket: TcpStream,
        service: S,
        control: Arc<ConnectionControl<thalweg::Server>>,
    ) -> Result<Arc<ConnectionEnd>, NegotiationError>
    where
        S: Service<Request<Body>, Response = Response<B>>,
        S::Error: Into<BoxError>,
        B: http_body::Body,
        B::Error: Into<BoxError>,
    {
        let peer = socket.peer_addr().ok();
        #[cfg(feature = "rustls")]
        if let Some(acceptor) = &self.tls {
            let stream = self.in_time(crate::tls::accept(acceptor, socket, &control)).await?;
            return self.run(stream, Negotiated::default(), service, control, peer).await;
        }
        let negotiated = self.in_time(negotiate_cleartext(&mut socket, self.h2c, &control)).await;
        if let Err(NegotiationError::TimedOut) = negotiated {
            reject(&mut socket, &[]).await;
        }
        self.run(socket, negotiated?, service, control, peer).await
    }

    async fn run<IO, S, B>(
        &self,
        io: IO,
        negotiated: Negotiated,
        service: S,
        control: Arc<ConnectionControl<thalweg::Server>>,
        peer: Option<SocketAddr>,
    ) -> Result<Arc<ConnectionEnd>, NegotiationError>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
        S: Service<Request<Body>, Response = Response<B>>,
        S::Error: Into<BoxError>,
        B: http_body::Body,
        B::Error: Into<BoxError>,
    {
        match self.begin(io, negotiated, service, control, peer) {
            Ok(connection) => Ok(connection.await),
            Err(mut io) => {
                reject(&mut io, UNUSABLE_UPGRADE).await;
                Err(NegotiationError::Upgrade)
            }
        }
    }

    /// Creates the connection in a box: otherwise the task would reserve space for the largest of
    /// its states.
    fn begin<IO, S, B>(
        &self,
        io: IO,
        negotiated: Negotiated,
        service: S,
        control: Arc<ConnectionControl<thalweg::Server>>,
        peer: Option<SocketAddr>,
    ) -> Result<Boxed<IO, S, B>, IO>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
        S: Service<Request<Body>, Response = Response<B>>,
        S::Error: Into<BoxError>,
        B: http_body::Body,
        B::Error: Into<BoxError>,
    {
        let mut connection = Connection::negotiated(io, negotiated, service, &self.setup, control)?;
        connection.driver.set_counters(Arc::clone(&self.counters));
        connection.driver.io().set_tap(self.tap(peer));
        if let Some(on_notice) = &self.on_notice {
            connection.driver.set_on_notice(Arc::clone(on_notice));
        }
        if self.stream_handles {
            connection.driver.host().attach_handles();
        }
        Ok(Box::pin(connection))
    }

    #[cfg(feature = "inspect")]
    fn tap(&self, peer: Option<SocketAddr>) -> Tap {
        self.monitor.as_ref().map(|monitor| Tap::new(monitor, peer, false)).unwrap_or_default()
    }

    #[cfg(not(feature = "inspect"))]
    fn tap(&self, _: Option<SocketAddr>) -> Tap {
        Tap::default()
    }

    /// Applies the time limit of the negotiation.
    async fn in_time<T>(
        &self,
        opening: impl Future<Output = Result<T, NegotiationError>>,
    ) -> Result<T, NegotiationError> {
        match self.setup.config.timeouts.preface {
            Some(limit) => time::timeout(limit, opening).await.unwrap_or(Err(NegotiationError::TimedOut)),
            None => opening.await,
        }
    }
}

/// The tasks of all connections, and their handles.
#[derive(Default)]
struct Connections {
    /// Each task returns whether the time limit of a shutdown cut its connection off.
    tasks: JoinSet<bool>,
    handles: HashMap<Id, Handle<thalweg::Server>>,
}

impl Connections {
    fn serve<S, B>(&mut self, socket: TcpStream, peer: SocketAddr, service: S, options: Arc<Options>)
    where
        S: Service<Request<Body>, Response = Response<B>> + Send + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send,
        B: http_body::Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        // Each turn is written with one call, so waiting for more data would only delay it.
        let _ = socket.set_nodelay(true);
        let control = Arc::<ConnectionControl<thalweg::Server>>::default();
        let handle = Handle::new(Arc::clone(&control));
        options.counters.count_opened();
        if let Some(on_open) = &options.on_open {
            on_open(&handle, peer);
        }
        let commands = handle.clone();
        let task = self.tasks.spawn(async move {
            let closed = match options.serve(socket, service, control).await {
                Ok(end) => ConnectionOutcome::Ended(end),
                Err(error) => ConnectionOutcome::Refused(error),
            };
            commands.control().close();
            trace::connection_closed(&closed, peer);
            let is_refused = matches!(closed, ConnectionOutcome::Refused(_));
            options.counters.count_ended(is_refused, closed.is_warning());
            if let Some(on_end) = &options.on_end {
                on_end(peer, &closed);
            }
            closed.is_cut_off()
        });
        self.handles.insert(task.id(), handle);
    }

    /// Removes connections that have ended. Returns whether there were any.
    fn poll_ended(&mut self, cx: &mut std::task::Context<'_>) -> bool {
        let mut any = false;
        while let Poll::Ready(Some(ended)) = self.tasks.poll_join_next_with_id(cx) {
            any = true;
            let id = ended.map_or_else(|error| error.id(), |(id, _)| id);
            self.handles.remove(&id);
        }
        any
    }

    /// Shuts down the connections that have been idle for longest, unless an earlier eviction is
    /// still running.
    fn evict_idle(&self) {
        let controls = || self.handles.values().map(Handle::control);
        if controls().any(|control| control.is_evicted()) {
            return;
        }
        let idle = self.handles.values().filter_map(|handle| Some((handle.control().idle_since()?, handle)));
        let mut idle: Vec<_> = idle.collect();
        idle.sort_unstable_by_key(|(since, _)| *since);
        let count = (idle.len() / 8).clamp(1, EVICTED_MAX);
        for (_, handle) in idle.into_iter().take(count) {
            handle.evict();
        }
    }

    /// Shuts all connections down; returns how many were cut off.
    async fn shutdown(&mut self, limit: Option<Duration>) -> u64 {
        for handle in self.handles.values() {
            handle.shutdown();
        }
        let mut dropped = 0;
        let all = async {
            while let Some(ended) = self.tasks.join_next().await {
                dropped += u64::from(ended.is_ok_and(|is_cut_off| is_cut_off));
            }
        };
        match limit {
            // The core ends each connection at its deadline; the extra time is for writing the
            // final GOAWAY.
            Some(limit) => {
                let _ = time::timeout(limit + GOAWAY_TIME_MAX, all).await;
            }
            None => all.await,
        }
        dropped += self.tasks.len() as u64;
        self.tasks.shutdown().await;
        dropped
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("local_addr", &self.listener.local_addr().ok())
            .field("connections_max", &self.connections_max)
            .finish_non_exhaustive()
    }
}

/// Returns whether accepting failed because of the one connection, not for lack of resources.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}

const CONNECTIONS_MAX: usize = 10_000;
/// Pause of accepting when the process has run out of file descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Maximum of idle connections that are evicted at a time.
const EVICTED_MAX: usize = 32;
/// Interval of looking for idle connections while another connection waits.
const EVICTION_INTERVAL: Duration = Duration::from_millis(50);
const GOAWAY_TIME_MAX: Duration = Duration::from_secs(8);
