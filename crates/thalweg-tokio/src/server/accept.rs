//! The listener: accepts connections, serves them, and ends them gracefully.

use std::collections::HashMap;
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

/// A TCP listener that serves HTTP/2: with prior knowledge (RFC 9113 §3.3), and by Upgrade from HTTP/1.1.
///
/// What does not speak HTTP/2 is told so in the words of HTTP/1.1 where it may understand them.
pub struct Server {
    listener: TcpListener,
    connections_max: usize,
    options: Options,
}

/// What all connections share.
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

/// What a server did, told when it has ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServeStats {
    /// Connections that were accepted.
    pub accepted: u64,
    /// Connections that outlived the graceful shutdown: their streams were cut off when its time was over.
    pub dropped: u64,
}

impl Server {
    /// Listens on an address.
    ///
    /// # Errors
    /// What the operating system says, for example that the port is in use.
    pub async fn bind(addr: impl ToSocketAddrs) -> io::Result<Self> {
        TcpListener::bind(addr).await.map(Self::from_listener)
    }

    /// Uses a listener that exists.
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

    /// The address that it listens on.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The configuration of each connection.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.options.setup.config = config;
        self
    }

    /// What the first bytes of a cleartext connection may cost, and whether Upgrade is honoured: by default it is.
    #[must_use]
    pub fn h2c(mut self, h2c: thalweg_h2c::Config) -> Self {
        self.options.h2c = h2c;
        self
    }

    /// Gives each request a [`StreamHandle`](super::StreamHandle) as an extension. Costs three allocations per request.
    #[must_use]
    pub fn stream_handles(mut self) -> Self {
        self.options.stream_handles = true;
        self
    }

    /// What all its connections do, counted: keep a clone and read it at any time.
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.options.counters)
    }

    /// Speaks TLS on every connection, and HTTP/2 with those that negotiate `h2` by ALPN (RFC 9113 §3.2). A configuration
    /// without ALPN protocols gets `h2`. Others are refused, in HTTP/1.1 if that is what they speak.
    #[cfg(feature = "rustls")]
    #[must_use]
    pub fn tls(mut self, config: impl Into<Arc<crate::rustls::ServerConfig>>) -> Self {
        self.options.tls = Some(crate::tls::acceptor(config.into()));
        self
    }

    /// Records each connection. See [`RecordingStore`](thalweg_record::RecordingStore) for where to, how much, and which are kept.
    #[cfg(feature = "record")]
    #[must_use]
    pub fn record(mut self, recordings: &thalweg_record::RecordingStore) -> Self {
        self.options.setup.recordings = Some(recordings.clone());
        self
    }

    /// Shows each connection to a [`Watch`](crate::inspect::ConnectionMonitor). See there for what it costs.
    #[cfg(feature = "inspect")]
    #[must_use]
    pub fn inspect(mut self, monitor: &crate::inspect::ConnectionMonitor) -> Self {
        self.options.monitor = Some(monitor.clone());
        self
    }

    /// The most connections at once. Default 10,000. When there are so many and another client connects,
    /// those that have had no streams for longest are ended for it with GOAWAY: one, or an eighth of
    /// the idle ones, 32 at most. While none is idle, it waits.
    #[must_use]
    pub fn connections_max(mut self, connections_max: usize) -> Self {
        self.connections_max = connections_max;
        self
    }

    /// Is called once for each connection, before anything is read from it, with its handle and the peer's address. What is said
    /// through the handle then, for example its origins, comes right behind the server's SETTINGS.
    #[must_use]
    pub fn on_open(
        mut self,
        on_open: impl Fn(&Handle<thalweg::Server>, SocketAddr) + Send + Sync + 'static,
    ) -> Self {
        self.options.on_open = Some(Box::new(on_open));
        self
    }

    /// Is called with what clients say about their connections: settings, priorities, extension frames. It runs in the connection's task
    /// and should only pass on what it gets.
    #[must_use]
    pub fn on_notice(
        mut self,
        on_notice: impl Fn(&Handle<thalweg::Server>, OwnedEvent) + Send + Sync + 'static,
    ) -> Self {
        self.options.on_notice = Some(Arc::new(on_notice));
        self
    }

    /// Is called once for each connection, when it has ended, with the peer's address and how it ended.
    #[must_use]
    pub fn on_end(mut self, on_end: impl Fn(SocketAddr, &ConnectionOutcome) + Send + Sync + 'static) -> Self {
        self.options.on_end = Some(Box::new(on_end));
        self
    }

    /// Serves until `signal` completes; then accepts nothing more and ends all connections gracefully, for at most
    /// `Config::timeouts.shutdown`. Each connection gets its own clone of the service and its own
    /// task, which its handlers share (see [`serve`](Self::serve)).
    ///
    /// # Errors
    /// A configuration outside its ranges, before anything is accepted. Failures to accept are logged and tried again.
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
        // A connection for which there is no room yet.
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
                    // Without file descriptors or memory, to try again at once would only burn the processor.
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

    /// Serves indefinitely. Handlers of one connection share its task: wrap a service that blocks
    /// or computes for long in [`SpawnHandlers`](crate::SpawnHandlers), or, if it does so only at
    /// times, in [`SpawnHandlers::when_slow`](crate::SpawnHandlers::when_slow).
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
    /// A connection has ended, or it is time to look for an idle one again.
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

    /// Makes the connection, on the heap by itself: the task keeps room for the largest thing that it ever held.
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

    /// The time for a connection to come to the point.
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

/// The tasks of all connections, and how to reach them.
#[derive(Default)]
struct Connections {
    /// Each returns whether its connection was cut off by the time limit of a shutdown.
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
        // A turn is written at once; to wait for more would only delay it.
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

    /// Forgets connections that have ended. Returns whether there were any.
    fn poll_ended(&mut self, cx: &mut std::task::Context<'_>) -> bool {
        let mut any = false;
        while let Poll::Ready(Some(ended)) = self.tasks.poll_join_next_with_id(cx) {
            any = true;
            let id = ended.map_or_else(|error| error.id(), |(id, _)| id);
            self.handles.remove(&id);
        }
        any
    }

    /// Ends connections that have been idle for longest, unless some are being ended already.
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

    /// Ends all gracefully; returns how many had to be dropped.
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
            // The core ends each connection at its deadline; the rest is for its last word.
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

/// Whether accepting failed for the connection that was to be accepted, not for want of resources.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}

const CONNECTIONS_MAX: usize = 10_000;
/// How long accepting rests when the process has run out of file descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How many idle connections are ended at once, at most.
const EVICTED_MAX: usize = 32;
/// How often idle connections are looked for while another connection waits.
const EVICTION_INTERVAL: Duration = Duration::from_millis(50);
const GOAWAY_TIME_MAX: Duration = Duration::from_secs(8);
