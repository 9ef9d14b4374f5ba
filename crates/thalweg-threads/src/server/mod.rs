//! A server: accepts connections, starts a driver thread for each, and passes requests to a pool.

mod pool;
mod responder;
mod streams;

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};
use thalweg::{CloseCause, Config, ErrorCode, OwnedEvent, Timeout};

use crate::commands::{DriverMessage, ServerCommand, ServerMailbox};
use crate::counters::Counters;
use crate::driver::options::Options;
use crate::driver::poller::{Poller, Socket};
use crate::error::ConnectionEnd;
use crate::handle::{Handle, OnNotice};
use crate::trace;
use crate::transport::Transport;

pub use pool::{Handler, Pool};
pub use responder::{Cancellation, Responder};
pub use streams::ServerDriver;

/// A server that is bound to an address and not yet serving: HTTP/2 with prior knowledge (RFC 9113
/// §3.3), and by Upgrade from HTTP/1.1. A client that speaks HTTP/1.1 without an Upgrade receives
/// an HTTP/1.1 error response.
pub struct Server {
    listener: TcpListener,
    local: SocketAddr,
    poll: Poll,
    options: Options,
    threads_max: usize,
    connections_max: usize,
    counters: Arc<Counters>,
    hooks: Hooks,
    wrap: Arc<Wrap>,
    shared: Arc<Shared>,
}

/// The callbacks of a server.
struct Hooks {
    on_open: Box<OnOpen>,
    on_notice: Option<Arc<OnServerNotice>>,
    on_end: Box<OnEnd>,
}

type OnOpen = dyn Fn(&Handle<thalweg::Server>, SocketAddr) + Send + Sync;
type OnServerNotice = dyn Fn(&Handle<thalweg::Server>, OwnedEvent) + Send + Sync;
type OnEnd = dyn Fn(&ConnectionEnd) + Send + Sync;
/// Wraps an accepted socket, for example in TLS.
type Wrap = dyn Fn(Socket) -> io::Result<Box<dyn Transport>> + Send + Sync;

/// State shared by the accepting thread, the connections, and the handles.
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    waker: Waker,
}

#[derive(Default)]
struct State {
    connections: HashMap<u64, Arc<LiveConnection>>,
    /// The number of the next connection, and thereby of those accepted so far.
    next: u64,
    /// The deadline of the shutdown, once it has begun: open connections are closed then.
    shutdown: Option<Instant>,
    /// Whether that deadline has passed.
    is_closing: bool,
    /// Connections with open streams at the end of a graceful shutdown.
    dropped: u64,
}

/// The server's view of an open connection.
struct LiveConnection {
    mailbox: Arc<ServerMailbox>,
    streams: AtomicU32,
    /// Since when the connection has no stream, in nanoseconds after `ORIGIN`; or `BUSY`.
    idle_since: AtomicU64,
    /// Whether the connection is shutting down because it was idle.
    is_evicted: AtomicBool,
}

impl LiveConnection {
    /// Stores the state after a turn. `was_used`: it had streams since the last turn.
    fn update(&self, streams: u32, is_idle: bool, was_used: bool) {
        let was_idle = self.idle_since.load(Ordering::Relaxed) != BUSY;
        if is_idle && (was_used || !was_idle) {
            let nanos = u64::try_from(ORIGIN.elapsed().as_nanos()).unwrap_or(BUSY - 1);
            self.idle_since.store(nanos, Ordering::Relaxed);
        } else if !is_idle && was_idle {
            self.idle_since.store(BUSY, Ordering::Relaxed);
        }
        // Stored last: a connection that is counted without streams is known to be idle.
        self.streams.store(streams, Ordering::Release);
    }

    /// Shuts down the connection, if it still has no streams, to make room for another. GOAWAY
    /// carries the last processed stream: the client may retry a request that crosses it on another
    /// connection (RFC 9113 §6.8).
    fn evict(self: &Arc<Self>) {
        self.is_evicted.store(true, Ordering::SeqCst);
        let live = Arc::clone(self);
        self.mailbox.post(DriverMessage::Connection(Box::new(move |connection| {
            if connection.live_streams() == 0 {
                connection.close(ErrorCode::NO_ERROR, EVICTION_TEXT);
            } else {
                live.is_evicted.store(false, Ordering::SeqCst);
            }
            Ok(())
        })));
    }
}

/// The current state of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerStats {
    /// Open connections, including those that are shutting down.
    pub connections: usize,
    /// Their open streams, as of each connection's last turn.
    pub streams: u32,
}

/// Statistics of a server that has ended, returned by [`Server::serve`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServeStats {
    /// Connections accepted.
    pub accepted: u64,
    /// Connections closed at the time limit of the graceful shutdown, with streams still open.
    pub dropped: u64,
}

impl Server {
    /// Binds to an address; port 0 selects a free port.
    ///
    /// # Errors
    /// The error of the operating system.
    pub fn bind(address: impl ToSocketAddrs) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let local = listener.local_addr()?;
        let mut listener = TcpListener::from_std(listener);
        let poll = Poll::new()?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        let shared = Shared { state: Mutex::default(), changed: Condvar::new(), waker };
        Ok(Self {
            listener,
            local,
            poll,
            options: Options::default(),
            threads_max: THREADS_MAX,
            connections_max: CONNECTIONS_MAX,
            counters: Arc::default(),
            hooks: Hooks { on_open: Box::new(|_, _| {}), on_notice: None, on_end: Box::new(|_| {}) },
            wrap: Arc::new(|socket| Ok(Box::new(socket))),
            shared: Arc::new(shared),
        })
    }

    /// Sets the core's configuration.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.options.config = config;
        self
    }

    /// Sets the limits on the first bytes of a cleartext connection (see [`Options::h2c`]).
    #[must_use]
    pub fn h2c(mut self, h2c: Option<thalweg_h2c::Config>) -> Self {
        self.options.h2c = h2c;
        self
    }

    /// Requires TLS on every connection, and serves those that negotiate `h2` by ALPN (RFC 9113
    /// §3.2). Adds `h2` to a configuration without ALPN protocols. Rejects other clients, with an
    /// HTTP/1.1 response if they speak HTTP/1.1.
    #[cfg(feature = "rustls")]
    #[must_use]
    pub fn tls(mut self, config: impl Into<Arc<rustls::ServerConfig>>) -> Self {
        let config = crate::tls::server_config(config.into());
        self.wrap = Arc::new(move |socket| Ok(Box::new(crate::Tls::server(socket, Arc::clone(&config))?)));
        self
    }

    /// Records each connection. [`RecordingStore`](thalweg_record::RecordingStore) describes the
    /// destination, the limits, and the retention.
    #[cfg(feature = "record")]
    #[must_use]
    pub fn record(mut self, recordings: &thalweg_record::RecordingStore) -> Self {
        self.options.recordings = Some(recordings.clone());
        self
    }

    /// Replaces all options of the drivers. The server sets `remote` and `counters` itself.
    #[must_use]
    pub fn options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// Limits the threads that run handlers. Default 64; at least 1. Requests wait when all are
    /// busy.
    #[must_use]
    pub fn threads_max(mut self, threads: usize) -> Self {
        self.threads_max = threads;
        self
    }

    /// Sets the maximum of concurrent connections, each of which has a thread. Default 1,024; at
    /// least 1. When another client connects at the limit, the server shuts down the connections
    /// that have been idle for longest, with GOAWAY: an eighth of the idle ones, at least 1 and at
    /// most 32. The new client waits while no connection is idle.
    #[must_use]
    pub fn connections_max(mut self, connections: usize) -> Self {
        self.connections_max = connections.max(1);
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
        self.hooks.on_open = Box::new(on_open);
        self
    }

    /// Sets a callback for connection-level events of clients: settings, priorities, extension
    /// frames. It runs in the connection's thread and should only forward its arguments.
    #[must_use]
    pub fn on_notice(
        mut self,
        on_notice: impl Fn(&Handle<thalweg::Server>, OwnedEvent) + Send + Sync + 'static,
    ) -> Self {
        self.hooks.on_notice = Some(Arc::new(on_notice));
        self
    }

    /// Sets a callback for the end of each connection. It runs in the connection's thread, after
    /// the transport is closed.
    #[must_use]
    pub fn on_end(mut self, on_end: impl Fn(&ConnectionEnd) + Send + Sync + 'static) -> Self {
        self.hooks.on_end = Box::new(on_end);
        self
    }

    /// Returns the counters of all its connections, to be read at any time.
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    /// Returns the address, with the actual port.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Returns a handle with which other threads can observe the server and shut it down.
    pub fn handle(&self) -> ServerHandle {
        ServerHandle { shared: Arc::clone(&self.shared) }
    }

    /// Serves until a handle shuts it down, and returns when all connections and threads have
    /// ended, or the time limit of the shutdown has expired. Returns the number of connections, and
    /// the number of those that the shutdown cut off.
    ///
    /// Failures to accept, for lack of file descriptors for example, are logged and retried after a
    /// pause.
    ///
    /// # Errors
    /// The configuration is out of range (`InvalidInput`), or the system cannot wait for
    /// connections.
    pub fn serve(self, handler: impl Handler) -> io::Result<ServeStats> {
        let Self {
            mut listener,
            mut poll,
            mut options,
            threads_max,
            connections_max,
            counters,
            hooks,
            wrap,
            shared,
            ..
        } = self;
        options.counters = Some(counters);
        options.config.validate().map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let pool = Pool::new(threads_max, handler);
        let hooks = Arc::new(hooks);
        let acceptor = Acceptor { options, pool: pool.clone(), hooks, wrap, shared: Arc::clone(&shared) };
        let outcome = acceptor.accept(&mut poll, &listener, connections_max);
        drop(poll.registry().deregister(&mut listener));
        drop(listener);
        let deadline = shared.end_connections();
        pool.close(deadline);
        outcome.map(|()| shared.serve_stats())
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("local", &self.local).finish_non_exhaustive()
    }
}

/// Observes a server, and shuts it down.
#[derive(Clone)]
pub struct ServerHandle {
    shared: Arc<Shared>,
}

impl ServerHandle {
    /// Shuts the server down gracefully: it stops accepting, and each connection ends when its
    /// streams have ended (RFC 9113 §6.8). Connections still open after `limit`, or after the
    /// configuration's own shutdown timeout, are closed.
    pub fn shutdown(&self, limit: Duration) {
        self.shared.lock().shutdown.get_or_insert(Instant::now() + limit);
        // It fails only when the system is out of memory.
        drop(self.shared.waker.wake());
    }

    /// Returns the number of connections and streams.
    pub fn stats(&self) -> ServerStats {
        let state = self.shared.lock();
        let streams = state.connections.values().map(|live| live.streams.load(Ordering::Acquire)).sum();
        ServerStats { connections: state.connections.len(), streams }
    }

    /// Waits until there are no connections, or until the time limit expires. Returns whether there
    /// are none.
    pub fn wait_idle(&self, limit: Duration) -> bool {
        self.shared.wait_idle(Instant::now() + limit)
    }
}

impl fmt::Debug for ServerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ServerHandle").field(&self.stats()).finish()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No code panics under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_idle(&self, deadline: Instant) -> bool {
        let mut state = self.lock();
        while !state.connections.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// Shuts down the connections that have been idle for longest, unless an earlier eviction is
    /// still running.
    fn evict_idle(&self) {
        let connections: Vec<_> = self.lock().connections.values().cloned().collect();
        if connections.iter().any(|live| live.is_evicted.load(Ordering::SeqCst)) {
            return;
        }
        let since = |live: &Arc<LiveConnection>| live.idle_since.load(Ordering::Relaxed);
        let mut idle: Vec<_> = connections.iter().filter(|live| since(live) != BUSY).collect();
        idle.sort_by_key(|live| since(live));
        let count = (idle.len() / 8).clamp(1, EVICTED_MAX);
        for live in idle.into_iter().take(count) {
            live.evict();
        }
    }

    /// Posts a message to every connection.
    fn post_all(&self, message: impl Fn() -> DriverMessage<ServerCommand, thalweg::Server>) {
        let connections: Vec<_> = self.lock().connections.values().cloned().collect();
        for live in connections {
            live.mailbox.post(message());
        }
    }

    /// Ends all connections, gracefully while there is time. Returns the deadline.
    fn end_connections(&self) -> Instant {
        let deadline = *self.lock().shutdown.get_or_insert_with(Instant::now);
        self.post_all(|| DriverMessage::Shutdown);
        if !self.wait_idle(deadline) {
            self.lock().is_closing = true;
            self.post_all(|| DriverMessage::Close(ErrorCode::NO_ERROR));
            self.wait_idle(Instant::now() + CLOSE_LIMIT);
        }
        deadline.max(Instant::now() + HANDLERS_LIMIT)
    }

    /// Counts a connection that was cut off.
    fn count_end(&self, end: &ConnectionEnd) {
        let mut state = self.lock();
        let cause = end.report.error.map(|error| error.cause());
        // The connection closes its streams at its own time limit, or the server does.
        let is_late = match cause {
            Some(CloseCause::Timeout(Timeout::Shutdown)) => true,
            Some(CloseCause::Closed) => state.is_closing,
            _ => false,
        };
        state.dropped += u64::from(is_late && end.report.live_streams > 0);
    }

    /// Returns the statistics. Connections that are still open did not end although they were
    /// closed.
    fn serve_stats(&self) -> ServeStats {
        let state = self.lock();
        let dropped = state.dropped + state.connections.len() as u64;
        ServeStats { accepted: state.next, dropped }
    }
}

/// Everything that a new connection needs.
struct Acceptor {
    options: Options,
    pool: Pool,
    hooks: Arc<Hooks>,
    wrap: Arc<Wrap>,
    shared: Arc<Shared>,
}

impl Acceptor {
    /// Accepts connections until the server is shut down.
    fn accept(&self, poll: &mut Poll, listener: &TcpListener, connections_max: usize) -> io::Result<()> {
        let mut events = Events::with_capacity(8);
        // Scarce system resources are allocated before a connection is accepted, so that no
        // connection is lost.
        let mut poller = None;
        let mut pause = None;
        let mut is_ready = true;
        // A connection beyond `connections_max`.
        let mut waiting: Option<Accepted> = None;
        loop {
            let (is_ending, has_room) = {
                let state = self.shared.lock();
                (state.shutdown.is_some(), state.connections.len() < connections_max)
            };
            if is_ending {
                return Ok(());
            }
            if is_ready && waiting.is_none() || waiting.is_some() && has_room {
                let started = match waiting.take() {
                    Some(accepted) => self.start(accepted),
                    None => accept_one(listener, &mut poller).and_then(|accepted| {
                        if has_room {
                            return self.start(accepted);
                        }
                        waiting = Some(accepted);
                        Ok(())
                    }),
                };
                match started {
                    Ok(()) => {
                        pause = None;
                        continue;
                    }
                    Err(error) => match error.kind() {
                        io::ErrorKind::WouldBlock => is_ready = false,
                        // This peer has closed its connection; others may be waiting.
                        io::ErrorKind::Interrupted
                        | io::ErrorKind::ConnectionAborted
                        | io::ErrorKind::ConnectionReset => continue,
                        _ => {
                            trace::accept_failed(&error);
                            pause = Some(pause.map_or(PAUSE_MIN, |pause| PAUSE_MAX.min(pause * 2)));
                        }
                    },
                }
            }
            let mut timeout = pause.filter(|_| is_ready);
            if waiting.is_some() {
                self.shared.evict_idle();
                timeout = Some(EVICTION_INTERVAL);
            }
            if let Err(error) = poll.poll(&mut events, timeout)
                && error.kind() != io::ErrorKind::Interrupted
            {
                return Err(error);
            }
            is_ready |= events.iter().any(|event| event.token() == LISTENER);
        }
    }

    /// Starts the thread of a connection.
    fn start(&self, accepted: Accepted) -> io::Result<()> {
        let Accepted { mut stream, remote, mut poller } = accepted;
        let prepared = stream.set_nodelay(true).and_then(|()| poller.watch(&mut stream));
        let transport = match prepared.and_then(|()| (self.wrap)(Socket(stream))) {
            Ok(transport) => transport,
            // The peer has closed the connection.
            Err(error) => return Err(io::Error::new(io::ErrorKind::ConnectionAborted, error)),
        };
        let options = Options { remote: Some(remote), ..self.options.clone() };
        let mut driver = ServerDriver::new(transport, &self.pool, &options, poller.waker())
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let registration = Registration::take(&self.shared, driver.mailbox());
        let hooks = Arc::clone(&self.hooks);
        let handle = driver.handle();
        if let Some(on_notice) = hooks.on_notice.clone() {
            let handle = handle.clone();
            driver.set_on_notice(OnNotice::new(move |notice| on_notice(&handle, notice)));
        }
        (hooks.on_open)(&handle, remote);
        thread::Builder::new().name("thalweg connection".to_owned()).spawn(move || {
            let mut opened = 0;
            let end = poller.drive(&mut driver, |driver| {
                let before = std::mem::replace(&mut opened, driver.streams_opened());
                registration.live.update(driver.live_streams(), driver.is_idle(), opened != before);
            });
            drop(driver);
            registration.shared.count_end(&end);
            (hooks.on_end)(&end);
            drop(registration);
        })?;
        Ok(())
    }
}

/// An accepted connection, and its poller.
struct Accepted {
    stream: TcpStream,
    remote: SocketAddr,
    poller: Poller,
}

fn accept_one(listener: &TcpListener, spare: &mut Option<Poller>) -> io::Result<Accepted> {
    let poller = match spare.take() {
        Some(poller) => poller,
        None => Poller::new()?,
    };
    match listener.accept() {
        Ok((stream, remote)) => Ok(Accepted { stream, remote, poller }),
        Err(error) => {
            *spare = Some(poller);
            Err(error)
        }
    }
}

/// The registration of an open connection, for as long as its thread runs.
struct Registration {
    shared: Arc<Shared>,
    number: u64,
    live: Arc<LiveConnection>,
}

impl Registration {
    fn take(shared: &Arc<Shared>, mailbox: Arc<ServerMailbox>) -> Self {
        let live = Arc::new(LiveConnection {
            mailbox,
            streams: AtomicU32::new(0),
            idle_since: AtomicU64::new(BUSY),
            is_evicted: AtomicBool::new(false),
        });
        let mut state = shared.lock();
        let number = state.next;
        state.next += 1;
        state.connections.insert(number, Arc::clone(&live));
        drop(state);
        Self { shared: Arc::clone(shared), number, live }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.shared.lock().connections.remove(&self.number);
        self.shared.changed.notify_all();
        // There may be room for another connection.
        drop(self.shared.waker.wake());
    }
}

/// The origin of idle times.
static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
const BUSY: u64 = u64::MAX;
/// The debug data of the GOAWAY.
const EVICTION_TEXT: &[u8] = b"idle, and the server has reached its limit of connections";
/// Maximum of idle connections that are evicted at a time.
const EVICTED_MAX: usize = 32;
/// Interval of looking for idle connections while another connection waits.
const EVICTION_INTERVAL: Duration = Duration::from_millis(50);
const LISTENER: Token = Token(0);
const WAKER: Token = Token(1);
const THREADS_MAX: usize = 64;
const CONNECTIONS_MAX: usize = 1024;
const PAUSE_MIN: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// Time for closed connections to end, including the linger time.
const CLOSE_LIMIT: Duration = Duration::from_secs(10);
/// Time for handlers to return after their connections have ended.
const HANDLERS_LIMIT: Duration = Duration::from_secs(1);
