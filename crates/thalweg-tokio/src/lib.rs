//! HTTP/2 server and client on tokio, driven by the Thalweg core.
//!
//! A connection is a future on any transport: a socket, a TLS stream, or a pipe in memory. Services
//! and bodies are those of `tower`, `http` and `http-body`:
//!
//! ```
//! use bytes::Bytes;
//! use http::{Request, Response};
//! use http_body_util::{BodyExt, Empty, Full};
//! use thalweg_tokio::thalweg::Config;
//! use thalweg_tokio::{BoxError, client, server, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), BoxError> {
//! let service = service_fn(|request: Request<_>| async move {
//!     let text = format!("you asked for {}", request.uri().path());
//!     Ok::<_, BoxError>(Response::new(Full::new(Bytes::from(text))))
//! });
//! let (near, far) = tokio::io::duplex(64 << 10);
//! let serving = tokio::spawn(server::Connection::new(far, service, Config::default())?);
//!
//! let (mut client, connection) = client::handshake(near, Config::default())?;
//! let connected = tokio::spawn(connection);
//! client.ready().await?;
//! let request = Request::get("http://example.org/thalweg").body(Empty::<Bytes>::new())?;
//! let content = client.send(request).await?.into_body().collect().await?.to_bytes();
//! assert_eq!(content, "you asked for /thalweg");
//!
//! // The connection shuts down gracefully when the last handle is dropped.
//! drop(client);
//! assert_eq!(connected.await?.report.error, None);
//! assert_eq!(serving.await?.report.error, None);
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//!
//! * `rustls`: TLS ([`server::Builder::tls`], [`client::connect_tls`]). It brings no provider of
//!   cryptography: that is the program's choice, by its own dependency on rustls or by one of the
//!   next two.
//! * `ring`, `aws-lc-rs`: `rustls` with this provider. With exactly one in a program,
//!   `ServerConfig::builder` of rustls finds it; with both, it panics unless the process has
//!   installed a default, and `builder_with_provider` names one.
//! * `tonic`: errors carry the corresponding gRPC status, and a [`Client`] whose connection is
//!   closed reports ready and fails calls with `Unavailable`.
//! * `tracing` (default): logs the ends of connections and the errors of handlers, and opens a span
//!   for each exchange.
//! * `record`: records connections, for `thalweg_record` to replay.
//! * `inspect`: snapshots of running connections.
//!
//! # When to spawn
//!
//! All handlers of a connection run in its one task, which is fastest for handlers that finish
//! quickly. A handler that blocks or computes for more than about a millisecond delays every other
//! stream of its connection: eight requests that block for 100 ms each take 800 ms. There are three
//! remedies:
//!
//! * [`SpawnHandlers`] runs each request in a separate task.
//! * [`SpawnHandlers::when_slow`] does so only after a handler has blocked.
//! * `tokio::task::spawn_blocking` moves only the work that blocks.
//!
//! A server warns once when a poll of a handler takes 20 ms or more.
//! [`CounterSnapshot::slow_polls`] counts such polls; [`CounterSnapshot::longest_poll`] is the
//! length of the longest.
#![forbid(unsafe_code)]
#![warn(unreachable_pub, missing_debug_implementations)]

mod body;
pub mod client;
mod driver;
mod error;
mod fields;
#[cfg(feature = "inspect")]
pub mod inspect;
mod protocol;
pub mod server;
mod service;
mod spawn;
#[cfg(feature = "rustls")]
mod tls;
mod trace;
mod transport;
pub mod tunnel;

pub use body::Body;
pub use client::Client;
pub use error::{BoxError, Error};
pub use protocol::Protocol;
pub use server::Server;
pub use service::{ServiceFn, service_fn};
pub use spawn::{MaybeSpawnedHandler, SpawnHandlers, SpawnWhenSlow, SpawnedHandler};
pub use thalweg;
pub use thalweg_h2c;
pub use thalweg_http;
pub use thalweg_http::exchange::Timeouts as ExchangeTimeouts;
pub use thalweg_io;
pub use thalweg_io::{
    CloseLimits, ConnectionEnd, CounterSnapshot, Counters, Handle, LogLevel, NegotiationError, WithCauses,
};
#[cfg(feature = "record")]
pub use thalweg_record;
#[cfg(feature = "rustls")]
pub use tokio_rustls::rustls;
pub use tunnel::Tunnel;
