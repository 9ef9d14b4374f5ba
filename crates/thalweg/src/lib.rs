//! An HTTP/2 protocol core without I/O. It turns received bytes into events, and calls into bytes
//! to send; time is an argument.
//!
//! The core owns no socket, clock, thread, lock or waker, so the same code runs under tokio, on
//! plain threads, in an epoll or io_uring loop, on a device without an operating system, in a
//! simulator and in a unit test. It is `no_std` with `alloc`, and free of unsafe code.
//!
//! # Overview
//!
//! A [`Connection`] is one endpoint. Its role is a type: [`Connection<Server>`](Server) or
//! [`Connection<Client>`](Client).
//!
//! ```text
//!              bytes                                events
//!  transport ─────────▶ receive(&mut input, now) ─────────────▶ application
//!                          │ inbound: headers, payloads, blocks     │
//!                          ▼                                        │
//!                       streams · flow · settings · rate_limit      │
//!                          ▲                                        │
//!                          │ outbound: whole frames                 ▼
//!  transport ◀───────── poll_transmit(&mut out) ◀──── send_response, send_data, release, ...
//!              bytes                                 calls
//! ```
//!
//! **Receiving.** [`receive`](Connection::receive) consumes the input and returns one [`Event`] at
//! a time. [`Event::Data`] borrows the caller's read buffer, and [`Event::Headers`] borrows the
//! connection's header decoder; so the caller can respond while it holds data, and decoding copies
//! no content. The compiler rejects a program that refills a buffer which is still in use.
//!
//! **Sending.** Every `send_*` call appends whole frames to the output, and
//! [`poll_transmit`](Connection::poll_transmit) returns the output by swapping two vectors. Output
//! is never removed: a reset appends a frame and changes none.
//!
//! **Nothing is queued.** [`send_data`](Connection::send_data) takes what windows, priorities and
//! `Config::output_bytes_max` allow, and returns how much that is. The caller keeps the rest and
//! sends it when [`poll_writable`](Connection::poll_writable) returns the stream. [`Config`] alone
//! bounds the memory.
//!
//! **Flow control.** The peer may send as much as its windows allow. The caller reports consumed
//! content by [`release`](Connection::release), and the core sends WINDOW_UPDATE once enough has
//! been released. A caller that does not release applies backpressure.
//!
//! **Time.** `receive` and [`handle_timeout`](Connection::handle_timeout) take an [`Instant`],
//! which the caller counts from an origin of its choice; [`poll_timeout`](Connection::poll_timeout)
//! returns when the next timeout expires.
//!
//! **Closing.** A stream closes once: by `end` on both sides, by [`Event::Reset`], or with the
//! connection. A stream error resets that stream and no other. A connection error is an `Err` of
//! `receive`: GOAWAY is in the output already, every later call returns the same error, and
//! [`report`](Connection::report) tells which endpoint ended the connection, and which rule was
//! broken or which limit was exceeded.
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
//! // The bytes that a network would carry.
//! let (mut wire, mut body) = (Vec::new(), Vec::new());
//! client.poll_transmit(&mut wire);
//! let mut input = &wire[..];
//! while let Some(event) = server.receive(&mut input, Instant::ZERO)? {
//!     if let Event::Headers { stream, headers, .. } = event {
//!         assert_eq!(headers.path(), Some(&b"/"[..]));
//!         server.send_response(stream, Status::OK, [], false)?;
//!         // `send_data` may take a part of a longer body; `poll_writable` returns the stream
//!         // when it takes more.
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
//! [`Connection`] lists the four kinds of methods and the steps of an I/O loop; [`Config`] lists
//! every limit with its default; [`Violation`] lists every rule that a peer can break; [`frame`]
//! parses and emits single frames, and [`inspect`] decodes the bytes of a connection without taking
//! part in it.
//!
//! # Features
//!
//! None by default. `http` converts field blocks to and from the types of that crate; `bytes` sends
//! from any `Buf`; `arbitrary` generates values for fuzzing.
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
mod error_code;
mod event;
mod field_codec;
mod flow;
pub mod frame;
mod frame_size;
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
