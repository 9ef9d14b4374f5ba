//! HTTP/2 server and client on tokio, driven by the Thalweg core.
//!
//! # Features
//!
//! * `rustls`: TLS ([`Server::tls`], [`client::connect_tls`]). It brings no provider of
//!   cryptography: that is the program's choice, by its own dependency on rustls or by one of the
//!   next two.
//! * `ring`, `aws-lc-rs`: `rustls` with this provider. With exactly one in a program,
//!   `ServerConfig::builder` of rustls finds it; with both, it panics unless the process has
//!   installed a default, and `builder_with_provider` names one.
//! * `tonic`: errors carry the gRPC status that belongs to them, and a [`Client`] whose connection
//!   is over is ready and fails calls with `Unavailable`.
//! * `tracing` (by default): connections' ends, handlers' errors and a span for each exchange, as
//!   events.
//! * `record`: connections that write down what happens to them, for `thalweg_record` to replay.
//! * `inspect`: a view of the connections that live.
//!
//! # When to spawn
//!
//! All handlers of a connection run inside its one task, which is the fastest for handlers that do not take long. A
//! handler that blocks or computes for more than a millisecond or so holds up every other stream of its connection:
//! wrap the service in [`SpawnHandlers`], which gives each request a task of its own, or move that work to
//! `tokio::task::spawn_blocking`. A server warns once when a poll takes 20 ms or more;
//! [`CounterSnapshot::slow_polls`] and [`CounterSnapshot::longest_poll`] show how many did, and how long the longest was.
#![forbid(unsafe_code)]

mod body;
mod body_sender;
mod buffer;
pub mod client;
mod command_queue;
mod connection_io;
mod control;
mod counters;
mod detached_inboxes;
mod driver;
mod error;
mod fields;
mod hash_seed;
mod inbox;
#[cfg(feature = "inspect")]
pub mod inspect;
mod lingering_close;
mod negotiate;
mod protocol;
mod record;
pub mod server;
mod service;
mod spawn;
mod splicing;
#[cfg(feature = "tonic")]
mod status;
mod tap;
#[cfg(feature = "rustls")]
mod tls;
mod trace;
pub mod tunnel;
mod waker_set;

pub use body::Body;
pub use client::Client;
pub use control::Handle;
pub use counters::{CounterSnapshot, Counters};
pub use error::{BoxError, ConnectionEnd, Error};
pub use protocol::Protocol;
pub use server::Server;
pub use service::{ServiceFn, service_fn};
pub use spawn::{SpawnHandlers, SpawnedHandler};
pub use thalweg;
pub use thalweg_h2c;
#[cfg(feature = "record")]
pub use thalweg_record;
#[cfg(feature = "rustls")]
pub use tokio_rustls::rustls;
pub use tunnel::Tunnel;
