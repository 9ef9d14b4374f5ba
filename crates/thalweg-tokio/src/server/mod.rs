//! The server: connections on any transport, and a listener that serves them all.

mod accept;
mod control;
mod date;
mod exchange;
mod exchanges;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use thalweg::{Config, ConfigError, Connection as Core};
use tokio::io::{AsyncRead, AsyncWrite};
use tower_service::Service;

use crate::body::Body;
use crate::driver::Driver;
use crate::error::{BoxError, End};

pub use accept::{Served, Server};

use control::Control;
use exchanges::Exchanges;

/// One connection of a server, as a future that drives it to its end.
///
/// It owns the transport. Handlers and response bodies are polled inside it, so they run on its task; see
/// [`Spawn`](crate::Spawn) for handlers that compute for long. Dropping it drops everything at once and says nothing to the peer.
#[must_use = "a connection does nothing unless it is polled"]
pub struct Connection<IO, S, B>
where
    S: Service<Request<Body>>,
    B: http_body::Body,
    Exchanges<S, B>: crate::driver::Application,
{
    driver: Driver<IO, Exchanges<S, B>>,
    control: Arc<Control>,
}

impl<IO, S, B> Connection<IO, S, B>
where
    IO: AsyncRead + AsyncWrite + Unpin,
    S: Service<Request<Body>, Response = Response<B>>,
    S::Error: Into<BoxError>,
    B: http_body::Body,
    B::Error: Into<BoxError>,
{
    /// Serves `service` on a transport from which nothing was read yet.
    ///
    /// # Errors
    /// The first field of `config` that is outside its range.
    pub fn new(io: IO, service: S, config: Config) -> Result<Self, ConfigError> {
        let core = Core::new(config)?;
        let control = Arc::new(Control::default());
        let exchanges = Exchanges::new(service, Arc::clone(&control));
        Ok(Self { driver: Driver::new(io, core, exchanges), control })
    }

    /// The handle that ends it gracefully from elsewhere.
    pub fn handle(&self) -> Handle {
        Handle { control: Arc::clone(&self.control) }
    }
}

impl<IO, S, B> Future for Connection<IO, S, B>
where
    IO: AsyncRead + AsyncWrite + Unpin,
    S: Service<Request<Body>, Response = Response<B>>,
    S::Error: Into<BoxError>,
    B: http_body::Body,
    B::Error: Into<BoxError>,
{
    type Output = Arc<End>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.get_mut().driver).poll(cx)
    }
}

/// Asks one connection to end gracefully.
#[derive(Clone)]
pub struct Handle {
    control: Arc<Control>,
}

impl Handle {
    /// Says GOAWAY; what is open or under way is served to its end, for at most `Config::deadlines.shutdown`.
    pub fn shut_down(&self) {
        self.control.shut_down();
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").finish_non_exhaustive()
    }
}
