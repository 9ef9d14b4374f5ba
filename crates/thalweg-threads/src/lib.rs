//! HTTP/2 on plain threads: a server and a client for programs without an async runtime, driven by the
//! [`thalweg`] core.
//!
//! Each connection has one thread, its driver, which alone owns the socket, the core, and their buffers. Handlers run on a bounded [`Pool`]; callers of a
//! [`Client`] wait where they are. Between them go messages that own their data, so no buffer is in use on both sides of a thread.
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
//! # What holds
//!
//! * **Content is a stream.** A [`Body`] is a reader and a [`BodyWriter`] a writer. The peer gets credit for what was read; writing waits while
//!   the peer's windows are closed. A few buffers per stream bound the memory.
//! * **Nothing is short in silence.** A handler that panics, fails, or drops its [`Responder`] or writer resets its stream with
//!   INTERNAL_ERROR. A client that drops an answer cancels its stream. Other streams go on.
//! * **A cancelled stream is seen.** Reading and writing give an error with the reason ([`Error`]); a handler that computes asks
//!   its [`Cancellation`].
//! * **A last word.** A connection ends with GOAWAY, flushed; then its sending side is ended, and what the peer still sends is drained for a bounded
//!   time. Its [`ConnectionEnd`] is told once.
//! * **Bounds.** Threads, connections, requests that wait, and bytes on their way are bounded; what has no room waits, down to the peer.
//!
//! Programs with an event loop of their own take a [`ServerDriver`] or a [`ClientDriver`], and call its `turn`.
//!
//! # Features
//!
//! * `rustls`: TLS for servers, clients and drivers ([`Server::tls`], [`Client::connect_tls`],
//!   [`Tls`]). It brings no provider of cryptography: that is the program's choice, by its own
//!   dependency on rustls or by one of the next two.
//! * `ring`, `aws-lc-rs`: `rustls` with this provider. With exactly one in a program,
//!   `ServerConfig::builder` of rustls finds it; with both, it panics unless the process has
//!   installed a default, and `builder_with_provider` names one.
//! * `record`: connections that write down what happens to them, for `thalweg_record` to replay.
//! * `tracing`: connections' ends, handlers' errors, and what could not be sent, as events.
#![forbid(unsafe_code)]

mod body;
mod client;
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
mod poller;
mod pool;
mod record;
mod responder;
mod server;
#[cfg(feature = "rustls")]
mod tls;
mod trace;
mod transport;
mod tunnel;
mod writer;

pub use body::Body;
pub use client::{Client, PendingResponse, PushStream, Pushed};
pub use counters::{CounterSnapshot, Counters};
pub use driver::client::ClientDriver;
pub use driver::server::ServerDriver;
pub use driver::{Driver, Options, Readiness, Turn, Wait};
pub use error::{ConnectionEnd, Error};
pub use fields::Fields;
pub use handle::{Handle, OnNotice, StreamHandle};
pub use message::{Payload, Request, Response};
pub use negotiate::NegotiationError;
pub use pool::{Handler, Pool};
pub use responder::{Cancellation, Responder};
#[cfg(feature = "rustls")]
pub use rustls;
pub use server::{Server, ServerHandle, ServerStats};
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
