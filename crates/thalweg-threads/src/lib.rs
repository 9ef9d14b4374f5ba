//! HTTP/2 on plain threads: a server and a client for programs without an async runtime, driven by
//! the [`thalweg`] core.
//!
//! Each connection has one thread, its driver, which alone owns the socket, the core, and their
//! buffers. Handlers run on a bounded [`Pool`]; callers of a [`Client`] block in their own threads.
//! Threads exchange messages that own their data, so no two threads share a buffer.
//!
//! ```
//! use std::io::Read;
//! use thalweg_threads::{Body, Client, Request, Responder, Response, Server};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = Server::bind("127.0.0.1:0")?;
//! let (address, handle) = (server.local_addr()?, server.handle());
//! let serving = std::thread::spawn(move || {
//!     server.serve(|mut request: Request<Body>, responder: Responder| {
//!         let mut content = String::new();
//!         request.body.read_to_string(&mut content)?;
//!         responder.send(Response::ok().body(format!("{} got {content:?}", request.path())))
//!     })
//! });
//!
//! let client = Client::connect(&address.to_string())?;
//! let mut text = String::new();
//! client.send(Request::get("/thalweg"))?.body.read_to_string(&mut text)?;
//! assert_eq!(text, "/thalweg got \"\"");
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
//! * **Messages as RFC 9110 defines them.** [`thalweg_http`] owns the rules: content and its
//!   length, `date`, 100 (Continue), repairs of fields, and the life of each exchange.
//! * **Peers that are gone.** When the transport shows that the client can receive no response, its
//!   handlers see it ([`Cancellation`]). A client that only half-closes gets its answer.
//! * **Graceful close.** A connection ends with GOAWAY, flushed, then a half-close, and the peer's
//!   input is drained for a bounded time. Its [`ConnectionEnd`] is reported once.
//! * **Limits.** Threads, connections, waiting requests, and buffered bytes are limited. Work
//!   beyond a limit waits, and flow control extends the wait to the peer.
//!
//! [`server::Builder`] and [`client::Builder`] set the options of a server, of a client, and of the
//! drivers. Programs with an event loop of their own use a [`ServerDriver`] or a [`ClientDriver`],
//! and call its `turn`.
//!
//! # Beside `thalweg-tokio`
//!
//! Both adapters are built from [`thalweg_io`] and [`thalweg_http`], and use the same names:
//! builders, `Body`, `Handle`, `StreamHandle`, `Tunnel`, `Counters`, `ConnectionEnd`, `Error`,
//! `ServeStats`. These differ:
//!
//! | `thalweg-tokio` | here | Why |
//! |---|---|---|
//! | requests and responses of the `http` crate | [`Request`], [`Response`], [`Fields`], [`Payload`] | no dependency on `http`; two allocations hold a list of fields |
//! | `server::Connection` and `client::Connection`, which are futures | [`ServerDriver`] and [`ClientDriver`], with `turn` | a task polls a future, a loop calls a driver |
//! | a `tower` service, `SpawnHandlers` | [`Handler`], [`Pool`], [`Responder`] | a handler that may block needs a thread, and says itself when it responds |
//! | `Server::serve_until`, whose argument is a future | [`Server::handle`] | nothing here waits for a future |
//! | `Server::from_listener` cannot fail | it can | the listener is registered with the server's poller |
//! | `client::connect`, `client::connect_tls` and `client::handshake`, functions that return a client and its connection | [`Client::connect`], [`Client::connect_tls`], [`client::Builder::handshake`] | a thread drives the connection, so there is one value |
//! | `client::Builder::remote` | [`Transport::remote_addr`] | the transport knows its peer |
//! | `server::Builder::stream_handles` | [`Responder::handle`] | a responder makes a handle when it is asked; a request of `http` carries it from the start |
//! | no limit on the content that a body has ready | `unsent_bytes_max` of both builders | a body is polled when it can be sent; a writer runs ahead of its connection |
//! | `ResponseFuture` | [`PendingResponse`](client::PendingResponse) | |
//! | `OnPush`, `OnInformational`: callbacks in the connection's task | [`Client::accept_pushes`], [`PendingResponse::informational`](client::PendingResponse::informational) | the caller has a thread that can wait for them |
//! | informational responses, pushes and ALTSVC by `server::StreamHandle` | by [`Responder`] | here the responder is at hand where they are sent; one [`StreamHandle`] serves both roles |
//! | `StreamHandle` returns a `Result` | nothing | the next read or write of the handler reports the end |
//! | `Error::GoingAway`, `Error::Message` | `Error::Open`, `Error::TimedOut` | a thread that waits has a time limit; only the types of `http` refuse a message |
//! | `tunnel::Writer` | [`BodyWriter`] | content is a `Write` for tunnels and other messages alike |
//! | tokio's `AsyncRead` and `AsyncWrite` | [`Transport`] | `Read` and `Write` have no half-close |
//! | with the feature `tonic`, `Display` of an `Error` includes its cause | it never does; [`WithCauses`] prints both | `source` is the gRPC status there |
//! | `connections_max` is 10,000 | 1,024 | each connection has a thread |
//!
//! # Features
//!
//! * `rustls`: TLS for servers, clients and drivers ([`server::Builder::tls`],
//!   [`Client::connect_tls`], [`Tls`]). It brings no provider of cryptography: that is the
//!   program's choice, by its own dependency on rustls or by one of the next two.
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
mod driver;
mod error;
mod fields;
mod handle;
mod mailbox;
mod message;
mod outbound;
pub mod server;
#[cfg(feature = "rustls")]
mod tls;
mod trace;
mod transport;
mod tunnel;

pub use body::{Body, BodyWriter};
pub use client::{Client, ClientDriver};
pub use driver::{Driver, Readiness, Turn, Wait};
pub use error::Error;
pub use fields::Fields;
pub use handle::StreamHandle;
pub use message::{Payload, Request, Response};
#[cfg(feature = "rustls")]
pub use rustls;
pub use server::{Cancellation, Handler, Pool, Responder, Server, ServerDriver};
pub use thalweg;
pub use thalweg::{Config, ErrorCode, OwnedEvent, Priority, Status};
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
pub use tls::Tls;
pub use transport::{NegotiatedProtocol, Transport};
pub use tunnel::Tunnel;
