//! A server: accepts connections, starts a driver thread for each, and passes requests to a pool.

mod accept;
mod builder;
mod pool;
mod responder;
mod streams;

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mio::net::TcpListener;
use mio::{Interest, Poll, Waker};
use thalweg::ErrorCode;
use thalweg_io::{ConnectionEnd, Counters, IdleState, evict, least_recently_used};

use crate::commands::{DriverMessage, ServerCommand, ServerMailbox};
use crate::driver::Readiness;
use crate::transport::Transport;

pub use builder::Builder;
pub use pool::{Handler, Pool};
pub use responder::{Cancellation, Responder};
pub use streams::ServerDriver;
pub use thalweg_io::ServeStats;

use accept::Acceptor;

/// A server that is bound to an address and not yet serving: HTTP/2 with prior knowledge (RFC 9113
/// §3.3), and by Upgrade from HTTP/1.1. A client that speaks HTTP/1.1 without an Upgrade receives
/// an HTTP/1.1 error response.
pub struct Server {
    listener: TcpListener,
    poll: Poll,
    builder: Builder,
    counters: Arc<Counters>,
    shared: Arc<Shared>,
}

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
    idle: Arc<IdleState>,
}

impl LiveConnection {
    /// Stores the state after a turn. `was_used`: it had streams since the last turn.
    fn update<T: Transport>(&self, driver: &ServerDriver<T>, ready: Readiness, was_used: bool) {
        if !driver.is_negotiating() {
            self.idle.update(driver.is_idle(), was_used);
        } else if ready.read {
            self.idle.negotiation_progressed();
        }
        // Stored last: a connection that is counted without streams is known to be idle.
        self.streams.store(driver.live_streams(), Ordering::Release);
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

impl Server {
    /// Binds to an address, with the default options; port 0 selects a free port.
    ///
    /// # Errors
    /// The error of the operating system.
    pub fn bind(address: impl ToSocketAddrs) -> io::Result<Self> {
        Self::builder().bind(address)
    }

    /// Uses an existing listener, with the default options.
    ///
    /// # Errors
    /// The error of the operating system.
    pub fn from_listener(listener: std::net::TcpListener) -> io::Result<Self> {
        Self::builder().from_listener(listener)
    }

    /// Returns a builder, which sets other options.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::new()
    }

    fn new(builder: Builder, listener: std::net::TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let mut listener = TcpListener::from_std(listener);
        let poll = Poll::new()?;
        poll.registry().register(&mut listener, accept::LISTENER, Interest::READABLE)?;
        let waker = Waker::new(poll.registry(), accept::WAKER)?;
        let shared = Arc::new(Shared { state: Mutex::default(), changed: Condvar::new(), waker });
        let counters = builder.driver.counters.clone().unwrap_or_default();
        Ok(Self { listener, poll, builder, counters, shared })
    }

    /// Returns the counters of all its connections, to be read at any time.
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    /// Returns the address on which the server listens, with the actual port.
    ///
    /// # Errors
    /// The error of the operating system.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
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
        let Self { mut listener, mut poll, mut builder, counters, shared, .. } = self;
        let config = &builder.driver.setup.config;
        config.validate().map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        builder.driver.counters = Some(counters);
        let pool = Pool::new(builder.threads_max, handler);
        let acceptor = Acceptor::new(builder, pool.clone(), Arc::clone(&shared));
        let outcome = acceptor.run(&mut poll, &listener);
        drop(poll.registry().deregister(&mut listener));
        drop(listener);
        let deadline = shared.end_connections();
        pool.close(deadline);
        outcome.map(|()| shared.serve_stats())
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("local_addr", &self.listener.local_addr().ok()).finish_non_exhaustive()
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

    /// Shuts down the connections that have been idle for longest, unless an earlier eviction has
    /// not made room yet.
    fn evict_idle(&self) {
        let connections: Vec<_> = self.lock().connections.values().cloned().collect();
        for live in least_recently_used(connections.iter().map(|live| (&*live.idle, live))) {
            let command = evict(Arc::clone(&live.idle));
            if !live.mailbox.post(DriverMessage::Evict(Arc::clone(&live.idle), command)) {
                // The connection has ended, and only lingers.
                live.idle.set_closed();
            }
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
        // The connection closes its streams at its own time limit, or the server does.
        let by_server = state.is_closing && end.is_closed_with_streams();
        state.dropped += u64::from(by_server || end.is_cut_off());
    }

    /// Returns the statistics. Connections that are still open did not end although they were
    /// closed.
    fn serve_stats(&self) -> ServeStats {
        let state = self.lock();
        let dropped = state.dropped + state.connections.len() as u64;
        ServeStats::new(state.next, dropped)
    }
}

/// Time for closed connections to end, including the linger time.
const CLOSE_LIMIT: Duration = Duration::from_secs(10);
/// Time for handlers to return after their connections have ended.
const HANDLERS_LIMIT: Duration = Duration::from_secs(1);
