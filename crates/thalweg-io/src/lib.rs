//! Parts of an I/O layer for the [`thalweg`] core that do not depend on how the layer waits.
//!
//! `thalweg-tokio` and `thalweg-threads` are built from these parts, and an epoll loop or an
//! io_uring loop can be. Nothing here waits, reads a socket, starts a thread or wakes a task: the
//! I/O layer tells a value what happened, and asks it what to do next.
//!
//! | Task of an I/O layer | Part |
//! |---|---|
//! | create connections, perhaps recorded, with a random hash seed | [`Setup`] |
//! | identify the first bytes of a cleartext connection | [`Negotiation`] |
//! | check the result of a TLS handshake (feature `rustls`) | `tls` |
//! | convert between the clock and the core's time | [`Clock`] |
//! | write output without copying long content | [`SplicingConnection`], [`SplicedOutput`] |
//! | let other threads or tasks send commands | [`Handle`], [`CommandSink`] |
//! | close the transport so that GOAWAY arrives | [`LingeringClose`] |
//! | report how a connection or a stream ended | [`ConnectionEnd`], [`StreamReset`] |
//! | count what connections do | [`Counters`], [`ConnectionCounters`], [`ServeStats`] |
//! | make room at the limit of connections | [`IdleState`] |
//!
//! # Features
//!
//! * `record`: [`Setup`] can record connections, for `thalweg_record` to replay.
//! * `rustls`: ALPN and the errors of handshakes.
#![forbid(unsafe_code)]
#![warn(unreachable_pub, missing_debug_implementations)]

mod clock;
mod command;
mod counters;
mod end;
mod hash_seed;
mod idle;
mod lingering_close;
mod listener;
mod negotiate;
mod reset;
mod serve_stats;
mod setup;
mod splicing;
#[cfg(feature = "rustls")]
pub mod tls;

pub use clock::Clock;
pub use command::{Command, CommandSink, Handle};
pub use counters::{ConnectionCounters, CounterSnapshot, Counters};
pub use end::{ConnectionEnd, LogLevel, WithCauses};
pub use hash_seed::seeded;
pub use idle::{IdleState, evict, has_room, least_recently_used};
pub use lingering_close::{CloseEvent, CloseLimits, CloseStep, LingeringClose};
pub use listener::is_of_one_connection;
pub use negotiate::{DetectedProtocol, Negotiation, NegotiationError, Rejection};
pub use reset::StreamReset;
pub use serve_stats::ServeStats;
pub use setup::{Connection, Setup, is_recorded};
pub use splicing::{SplicedOutput, SplicingConnection};
