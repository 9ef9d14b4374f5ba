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
use thalweg_io::{
    CommandSink as _, ConnectionCounters, ConnectionEnd, Counters, NegotiationError, Rejection, ServeStats,
    evict, has_room, is_of_one_connection, least_recently_used,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, ToSocketAddrs};
use tokio::task::{self, Id, JoinSet};
use tokio::time;
use tower_service::Service;

use super::builder::{Builder, Options};
use super::connection::Connection;
use super::negotiate::{Negotiated, negotiate_cleartext};
use crate::body::Body;
use crate::driver::control::ConnectionControl;
use crate::driver::handle_of;
use crate::error::BoxError;
use crate::trace;
use crate::transport::{Refused, reject};

/// A TCP listener that serves HTTP/2: with prior knowledge (RFC 9113 §3.3), and by Upgrade from
/// HTTP/1.1.
///
/// A client that speaks HTTP/1.1 without an Upgrade receives an HTTP/1.1 error response.
pub struct Server {
    listener: TcpListener,
    connections_max: usize,
    options: Options,
}

impl Server {
    /// Listens on an address, with the default options.
    ///
    /// # Errors
    /// The error of the operating system, for example that the port is in use.
    pub async fn bind(addr: impl ToSocketAddrs) -> io::Result<Self> {
        Self::builder().bind(addr).await
    }

    /// Uses an existing listener, with the default options.
    pub fn from_listener(listener: TcpListener) -> Self {
        Self::builder().from_listener(listener)
    }

    /// Returns the default options, to be changed before the server listens.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::new()
    }

    pub(super) fn new(listener: TcpListener, options: Builder) -> Self {
        let Builder { options, connections_max } = options;
        Self { listener, connections_max, options }
    }

    /// Returns the address on which the server listens.
    ///
    /// # Errors
    /// The error of the operating system.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Returns the counters of all its connections, to be read at any time.
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.options.counters)
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
            let room = connections.has_room(self.connections_max);
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
        remote: SocketAddr,
    ) -> Result<Arc<ConnectionEnd>, Refused>
    where
        S: Service<Request<Body>, Response = Response<B>>,
        S::Error: Into<BoxError>,
        B: http_body::Body,
        B::Error: Into<BoxError>,
    {
        #[cfg(feature = "rustls")]
        if let Some(acceptor) = &self.tls {
            let stream = self.in_time(crate::tls::accept(acceptor, socket, &control)).await?;
            return self.run(stream, Negotiated::default(), service, control, remote).await;
        }
        let Some(h2c) = self.h2c else {
            return self.run(socket, Negotiated::default(), service, control, remote).await;
        };
        let negotiated = self.in_time(negotiate_cleartext(&mut socket, h2c, &control)).await;
        if let Err(Refused { error: NegotiationError::TimedOut, .. }) = negotiated {
            reject(&mut socket, &[]).await;
        }
        self.run(socket, negotiated?, service, control, remote).await
    }

    async fn run<IO, S, B>(
        &self,
        io: IO,
        negotiated: Negotiated,
        service: S,
        control: Arc<ConnectionControl<thalweg::Server>>,
        remote: SocketAddr,
    ) -> Result<Arc<ConnectionEnd>, Refused>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
        S: Service<Request<Body>, Response = Response<B>>,
        S::Error: Into<BoxError>,
        B: http_body::Body,
        B::Error: Into<BoxError>,
    {
        match self.begin(io, negotiated, service, control, remote) {
            Ok(connection) => Ok(connection.await),
            Err(mut io) => {
                reject(&mut io, Rejection::UPGRADE.response).await;
                Err(Rejection::UPGRADE.error.into())
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
        remote: SocketAddr,
    ) -> Result<Boxed<IO, S, B>, IO>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
        S: Service<Request<Body>, Response = Response<B>>,
        S::Error: Into<BoxError>,
        B: http_body::Body,
        B::Error: Into<BoxError>,
    {
        let connection = Connection::negotiated(io, negotiated, service, self, control, remote)?;
        Ok(Box::pin(connection))
    }

    /// Applies the time limit of the negotiation.
    async fn in_time<T>(&self, negotiation: impl Future<Output = Result<T, Refused>>) -> Result<T, Refused> {
        match self.setup.config.timeouts.preface {
            Some(limit) => {
                let mut negotiation = pin!(negotiation);
                if let Ok(negotiated) = time::timeout(limit, negotiation.as_mut()).await {
                    return negotiated;
                }
                // Input that has arrived comes first. After a blocked thread or a suspended process
                // the runtime has to look for it.
                task::yield_now().await;
                match poll_fn(|cx| Poll::Ready(negotiation.as_mut().poll(cx))).await {
                    Poll::Ready(negotiated) => negotiated,
                    Poll::Pending => Err(NegotiationError::TimedOut.into()),
                }
            }
            None => negotiation.await,
        }
    }
}

/// The tasks of all connections, and their controls.
#[derive(Default)]
struct Connections {
    /// Each task returns whether the time limit of a shutdown cut its connection off.
    tasks: JoinSet<bool>,
    controls: HashMap<Id, Arc<ConnectionControl<thalweg::Server>>>,
}

impl Connections {
    fn serve<S, B>(&mut self, socket: TcpStream, remote: SocketAddr, service: S, options: Arc<Options>)
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
        let counted = ConnectionCounters::new(Arc::clone(&options.counters));
        counted.connection_opened();
        if let Some(on_open) = &options.hooks.on_open {
            on_open(&handle_of(&control), remote);
        }
        let commands = Arc::clone(&control);
        let task = self.tasks.spawn(async move {
            let served = options.serve(socket, service, Arc::clone(&commands), remote).await;
            let end = served.unwrap_or_else(|refused| {
                let mut end = refused.into_end();
                end.remote = Some(remote);
                Arc::new(end)
            });
            commands.close();
            trace::connection_ended(&end);
            counted.connection_ended(&end);
            if let Some(on_end) = &options.hooks.on_end {
                on_end(&end);
            }
            end.is_cut_off()
        });
        self.controls.insert(task.id(), control);
    }

    /// Removes connections that have ended. Returns whether there were any.
    fn poll_ended(&mut self, cx: &mut std::task::Context<'_>) -> bool {
        let mut any = false;
        while let Poll::Ready(Some(ended)) = self.tasks.poll_join_next_with_id(cx) {
            any = true;
            let id = ended.map_or_else(|error| error.id(), |(id, _)| id);
            self.controls.remove(&id);
        }
        any
    }

    /// Returns whether another connection can be served.
    fn has_room(&self, connections_max: usize) -> bool {
        has_room(self.controls.values().map(|control| control.idle().as_ref()), connections_max)
    }

    /// Shuts down the connections that have been idle for longest, unless an earlier eviction has
    /// not made room yet.
    fn evict_idle(&self) {
        let connections = self.controls.values().map(|control| (control.idle().as_ref(), control));
        for control in least_recently_used(connections) {
            if !control.submit(evict(Arc::clone(control.idle()))) {
                // The connection has ended, and only lingers.
                control.idle().set_closed();
            }
        }
    }

    /// Shuts all connections down; returns how many were cut off.
    async fn shutdown(&mut self, limit: Option<Duration>) -> u64 {
        for control in self.controls.values() {
            control.shutdown();
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

/// Pause of accepting when the process has run out of file descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Interval of looking for idle connections while another connection waits.
const EVICTION_INTERVAL: Duration = Duration::from_millis(50);
const GOAWAY_TIME_MAX: Duration = Duration::from_secs(8);
