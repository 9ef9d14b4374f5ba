//! Accepts connections, and starts a driver thread for each.
//!
//! Invariants: scarce system resources are allocated before a connection is accepted, so that no
//! connection is lost; one connection beyond the maximum is accepted and waits for room.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::thread;
use std::time::Duration;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Poll, Token};

use super::{Builder, LiveConnection, Pool, Shared};
use thalweg_io::{has_room, is_of_one_connection};

use crate::commands::ServerMailbox;
use crate::driver::poller::{Poller, Socket};
use crate::trace;
use crate::transport::Transport;

/// Everything that a new connection needs.
pub(super) struct Acceptor {
    builder: Builder,
    pool: Pool,
    shared: Arc<Shared>,
}

/// Where the acceptor stands between two waits.
struct Backlog {
    /// Whether the listener may have more connections.
    is_ready: bool,
    /// A connection beyond `connections_max`.
    waiting: Option<Accepted>,
    /// A poller for the next connection.
    poller: Option<Poller>,
    /// The pause after a failure to accept for lack of resources.
    pause: Option<Duration>,
}

impl Acceptor {
    pub(super) fn new(builder: Builder, pool: Pool, shared: Arc<Shared>) -> Self {
        Self { builder, pool, shared }
    }

    /// Accepts connections until the server is shut down.
    pub(super) fn run(&self, poll: &mut Poll, listener: &TcpListener) -> io::Result<()> {
        let mut events = Events::with_capacity(8);
        let mut backlog = Backlog { is_ready: true, waiting: None, poller: None, pause: None };
        loop {
            let (is_ending, has_room) = {
                let state = self.shared.lock();
                let states = state.connections.values().map(|live| &*live.idle);
                (state.shutdown.is_some(), has_room(states, self.builder.connections_max))
            };
            if is_ending {
                return Ok(());
            }
            if self.accept(listener, &mut backlog, has_room) {
                continue;
            }
            let mut timeout = backlog.pause.filter(|_| backlog.is_ready);
            if backlog.waiting.is_some() {
                self.shared.evict_idle();
                timeout = Some(EVICTION_INTERVAL);
            }
            if let Err(error) = poll.poll(&mut events, timeout)
                && error.kind() != io::ErrorKind::Interrupted
            {
                return Err(error);
            }
            backlog.is_ready |= events.iter().any(|event| event.token() == LISTENER);
        }
    }

    /// Accepts or starts one connection. Returns whether to call it again without a wait.
    fn accept(&self, listener: &TcpListener, backlog: &mut Backlog, has_room: bool) -> bool {
        let outcome = match backlog.waiting.take() {
            Some(waiting) if has_room => self.start(waiting),
            Some(waiting) => {
                backlog.waiting = Some(waiting);
                return false;
            }
            None if !backlog.is_ready => return false,
            None => accept_one(listener, &mut backlog.poller).and_then(|accepted| {
                if has_room {
                    return self.start(accepted);
                }
                backlog.waiting = Some(accepted);
                Ok(())
            }),
        };
        let Err(error) = outcome else {
            backlog.pause = None;
            return true;
        };
        match error.kind() {
            io::ErrorKind::WouldBlock => backlog.is_ready = false,
            // Others may be waiting.
            _ if is_of_one_connection(&error) => return true,
            _ => {
                trace::accept_failed(&error);
                backlog.pause = Some(backlog.pause.map_or(PAUSE_MIN, |pause| PAUSE_MAX.min(pause * 2)));
            }
        }
        false
    }

    /// Starts the thread of a connection.
    fn start(&self, accepted: Accepted) -> io::Result<()> {
        let Accepted { mut stream, remote, mut poller } = accepted;
        let prepared = stream.set_nodelay(true).and_then(|()| poller.watch(&mut stream));
        let transport = match prepared.and_then(|()| self.transport(Socket::new(stream, Some(remote)))) {
            Ok(transport) => transport,
            // The peer has closed the connection.
            Err(error) => return Err(io::Error::new(io::ErrorKind::ConnectionAborted, error)),
        };
        let mut driver = self
            .builder
            .driver(transport, &self.pool, poller.waker())
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let registration = Registration::take(&self.shared, driver.mailbox());
        if let Some(on_open) = &self.builder.on_open {
            on_open(&driver.handle(), remote);
        }
        let on_end = self.builder.on_end.clone();
        thread::Builder::new().name("thalweg connection".to_owned()).spawn(move || {
            let mut opened = 0;
            let end = poller.drive(&mut driver, |driver, ready| {
                let before = std::mem::replace(&mut opened, driver.streams_opened());
                registration.live.update(driver, ready, opened != before);
            });
            drop(driver);
            registration.shared.count_end(&end);
            if let Some(on_end) = on_end {
                on_end(&end);
            }
            drop(registration);
        })?;
        Ok(())
    }

    /// Returns the transport on an accepted socket, with TLS if it is required.
    fn transport(&self, socket: Socket) -> io::Result<Box<dyn Transport>> {
        #[cfg(feature = "rustls")]
        if let Some(config) = &self.builder.tls {
            return Ok(Box::new(crate::Tls::server(socket, Arc::clone(config))?));
        }
        Ok(Box::new(socket))
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
        let live = Arc::new(LiveConnection { mailbox, streams: AtomicU32::new(0), idle: Arc::default() });
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

pub(super) const LISTENER: Token = Token(0);
pub(super) const WAKER: Token = Token(1);
/// Interval of looking for idle connections while another connection waits.
const EVICTION_INTERVAL: Duration = Duration::from_millis(50);
const PAUSE_MIN: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_secs(1);
