//! An HTTP/2 protocol core without I/O: bytes go in, events come out; calls go in, bytes come out;
//! time is an argument.
//!
//! The core owns no socket, clock, thread, lock or waker, so the same code runs under tokio, on
//! plain threads, in an epoll or io_uring loop, on a device without an operating system, in a
//! simulator and in a unit test. It is `no_std` with `alloc`, and free of unsafe code.
//!
//! # The tour
//!
//! A [`Connection`] is one end. Its role is a type: [`Connection<Server>`](Server) answers,
//! [`Connection<Client>`](Client) asks.
//!
//! ```text
//!              bytes                                events
//!  transport ─────────▶ receive(&mut input, now) ─────────────▶ application
//!                          │ inbound: heads, payloads, blocks       │
//!                          ▼                                        │
//!                       streams · flow · settings · rate_limit          │
//!                          ▲                                        │
//!                          │ outbound: whole frames                 ▼
//!  transport ◀───────── poll_transmit(&mut out) ◀──── send_response, send_data, release, ...
//!              bytes                                 calls
//! ```
//!
//! **In.** [`receive`](Connection::receive) eats the input and returns one [`Event`] at a time.
//! [`Event::Data`] borrows your read buffer, [`Event::Headers`] borrows the connection's header
//! decoder; so you can answer while you hold data, decoding copies no content, and a buffer that is
//! still in use cannot be refilled: the compiler refuses it.
//!
//! **Out.** Every `send_*` call writes whole frames to the output at once, and
//! [`poll_transmit`](Connection::poll_transmit) hands the output over by swapping two vectors. What
//! has been written is never taken back: a reset adds a frame, it touches none.
//!
//! **Nothing is queued.** [`send_data`](Connection::send_data) takes what windows, priorities and
//! `Config::output_bytes_max` allow, and says how much. Keep the rest, and go on when
//! [`poll_writable`](Connection::poll_writable) names the stream. Memory is bounded by [`Config`]
//! alone.
//!
//! **Credit.** The peer may send as much as its windows allow. When you have consumed content, say
//! so with [`release`](Connection::release), and the core sends WINDOW_UPDATE when it is worth a
//! frame. Backpressure is not releasing.
//!
//! **Time.** `receive` and [`handle_timeout`](Connection::handle_timeout) take an [`Instant`] of
//! your own counting; [`poll_timeout`](Connection::poll_timeout) says when the next deadline is
//! due.
//!
//! **Ends.** A stream ends once: by `end` on both sides, by [`Event::Reset`], or with the
//! connection. A fault of the peer on one stream resets that stream and no other. A connection
//! error is an `Err` of `receive`: GOAWAY is in the output already, every later call gives the same
//! error, and [`report`](Connection::report) says who ended it and which rule or limit tripped.
//!
//! # An exchange in memory
//!
//! ```
//! use thalweg::{Client, Config, Connection, Event, Field, Instant, Request, Server, Status};
//!
//! let mut client = Connection::<Client>::new(Config::default())?;
//! let mut server = Connection::<Server>::new(Config::default())?;
//! let request = Request::get("https", "example.org", "/");
//! client.send_request(&request, [Field::new(b"accept", b"*/*")], true)?;
//!
//! // What a network would carry.
//! let (mut wire, mut body) = (Vec::new(), Vec::new());
//! client.poll_transmit(&mut wire);
//! let mut input = &wire[..];
//! while let Some(event) = server.receive(&mut input, Instant::ZERO)? {
//!     if let Event::Headers { stream, headers, .. } = event {
//!         assert_eq!(headers.path(), Some(&b"/"[..]));
//!         server.send_response(stream, Status::OK, [], false)?;
//!         // A longer body may be taken in part; `poll_writable` says when to send the rest.
//!         assert_eq!(server.send_data(stream, b"hello", true)?, 5);
//!     }
//! }
//! let mut back = Vec::new();
//! server.poll_transmit(&mut back);
//! let mut input = &back[..];
//! while let Some(event) = client.receive(&mut input, Instant::ZERO)? {
//!     if let Event::Data { data, .. } = event {
//!         body.extend_from_slice(data);
//!     }
//! }
//! assert_eq!(body, b"hello");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Where to go next
//!
//! [`Connection`] lists the four kinds of methods and the turn of an I/O loop; [`Config`] lists
//! every limit with its default; [`Violation`] lists every rule that a peer can break; [`frame`] is
//! the frame layer as a tool of its own, and [`inspect`] reads a connection that goes by.
//!
//! # Features
//!
//! None by default. `http` converts header blocks to and from the types of that crate; `bytes`
//! sends from any `Buf`; `arbitrary` makes inputs for fuzzing.
#![no_std]
#![forbid(unsafe_code)]
#![warn(unreachable_pub)]

extern crate alloc;

#[cfg(feature = "arbitrary")]
mod arbitrary;
mod config;
mod connection;
mod data_frame;
mod early_priorities;
mod endpoint_settings;
mod error;
mod event;
mod field_codec;
mod flow;
pub mod frame;
mod headers;
mod inbound;
pub mod inspect;
mod lifecycle;
mod message;
mod outbound;
mod owned_event;
mod pending_events;
mod pings;
mod priority;
mod rate_limit;
mod settings;
mod shutdown;
mod silly_window;
mod snapshot;
mod stats;
mod stream_id;
mod streams;
mod time;
mod timers;
mod violation;
mod windows;

pub use config::{Config, ConfigValue, RateLimit, RateLimits, Timeouts, WindowRelease};
pub use connection::{Client, Connection, Role, Server};
pub use error::{
    CloseCause, ConfigError, ConnectionError, ErrorCode, Excess, Limit, OpenError, SendError, StreamError,
    Timeout, UpgradeError,
};
pub use event::{Event, HeadersKind, ResetCause};
pub use headers::Headers;
#[cfg(feature = "http")]
pub use headers::http::{RequestTarget, header_name, map_fields};
pub use headers::outbound_fields::check_field;
pub use message::{Request, Status};
pub use outbound::Splice;
pub use owned_event::OwnedEvent;
pub use priority::Priority;
pub use settings::Settings;
pub use snapshot::{
    HalfState, RateLimitSnapshot, RateLimitsSnapshot, SendCapacity, StreamSnapshot, WindowSnapshot,
};
pub use stats::{CloseReport, Counters, FrameCounts};
pub use stream_id::{StreamId, StreamKey};
pub use thalweg_hpack::{Field, Indexing, KnownName, PreparedField};
pub use time::Instant;
pub use violation::{Scope, Violation};
