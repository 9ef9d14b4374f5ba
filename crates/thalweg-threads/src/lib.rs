//! HTTP/2 on plain threads: a server and a client for programs without an async runtime, driven by
//! the [`thalweg`] core.
//!
//! Each connection has one thread, its driver, which alone owns the socket, the core, and their
//! buffers. Handlers run on a bounded [`Pool`]; callers of a [`Client`] block in their own threads.
//! Threads exchange messages that own their data, so no two threads share a buffer.
//!
//! ```
//! use std::io::Read;
//! use thalweg_threads::{Client, Request, Responder, Response, Server};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = Server::bind("127.0.0.1:0")?;
//! let (address, handle) = (server.local_addr(), server.handle());
//! let serving = std::thread::spawn(move || {
//!     server.serve(|request: Request<_>, responder: Responder| {
//!         responder.send(Response::ok().body(format!("you asked for {}", request.path())))
//!     })
//! });
//!
//! let client = Client::connect(&address.to_string())?;
//! let mut text = String::new();
//! client.send(Request::get("/thalweg"))?.body.read_to_string(&mut text)?;
//! assert_eq!(text, "you asked for /thalweg");
//!
//! handle.shutdown(std::time::Duration::from_secs(5));
//! serving.join().expect("the server does not panic")?;
//! # Ok(())
//! # }
//! ```
//!
//! # Guarantees
//!
//! * **Streaming content.** A [`Body`] is a reader and a [`BodyWriter`] a writer. Reading extends
//!   the peer's window; writing waits while the peer's windows are closed. Each stream uses a
//!   bounded number of buffers.
//! * **No silent truncation.** A handler that panics, fails, or drops its [`Responder`] or writer
//!   resets its stream with INTERNAL_ERROR. A client that drops a response cancels its stream.
//!   Other streams are not affected.
//! * **Visible cancellation.** Reading and writing return an error with the reason ([`Error`]); a
//!   handler that computes can poll its [`Cancellation`].
//! * **Graceful close.** A connection ends with GOAWAY, flushed, then a half-close, and the peer's
//!   input is drained for a bounded time. Its [`ConnectionEnd`] is reported once.
//! * **Limits.** Threads, connections, waiting requests, and buffered bytes are limited. Work
//!   beyond a limit waits, and flow control extends the wait to the peer.
//!
//! Programs with an event loop of their own use a [`ServerDriver`] or a [`ClientDriver`], and call
//! its `turn`.
//!
//! # Features
//!
//! * `rustls`: TLS for servers, clients and drivers ([`Server::tls`], [`Client::connect_tls`],
//!   [`Tls`]). It brings no provider of cryptography: that is the program's choice, by its own
//!   dependency on rustls or by one of the next two.
//! * `ring`, `aws-lc-rs`: `rustls` with this provider. With exactly one in a program,
//!   `ServerConfig::builder` of rustls finds it; with both, it panics unless the process has
//!   installed a default, and `builder_with_provider` names one.
//! * `record`: records connections, for `thalweg_record` to replay.
//! * `tracing`: logs the ends of connections, the errors of handlers, and failures to send.
#![forbid(unsafe_code)]
#![warn(unreachable_pub, missing_debug_implementations)]

mod blocked;
mod body;
pub mod client;
mod commands;
mod counters;
mod driver;
mod error;
mod exchange;
mod fields;
mod handle;
mod hash_seed;
mod mailbox;
mod message;
mod negotiate;
mod record;
pub mod server;
#[cfg(feature = "rustls")]
mod tls;
mod trace;
mod transport;
mod tunnel;
mod writer;

pub use body::Body;
pub use client::{Client, ClientDriver};
pub use counters::{CounterSnapshot, Counters};
pub use driver::options::Options;
pub use driver::{Driver, Readiness, Turn, Wait};
pub use error::{ConnectionEnd, Error};
pub use fields::Fields;
pub use handle::{Handle, OnNotice, StreamHandle};
pub use message::{Payload, Request, Response};
pub use negotiate::NegotiationError;
#[cfg(feature = "rustls")]
pub use rustls;
pub use server::{Cancellation, Handler, Pool, Responder, Server, ServerDriver};
pub use thalweg;
pub use thalweg::{Config, ErrorCode, OwnedEvent, Priority, Status};
pub use thalweg_h2c;
#[cfg(feature = "record")]
pub use thalweg_record;
#[cfg(feature = "rustls")]
pub use tls::Tls;
pub use transport::{NegotiatedProtocol, Transport};
pub use tunnel::Tunnel;
pub use writer::BodyWriter;
