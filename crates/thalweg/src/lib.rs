//! An HTTP/2 protocol core without I/O.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod budget;
mod config;
mod connection;
mod core;
mod error;
mod event;
mod flow;
pub mod frame;
mod headers;
mod inbound;
mod liveness;
mod message;
mod outbound;
mod priority;
mod report;
mod settings;
mod shutdown;
mod stream_id;
mod streams;
mod time;
mod violation;

pub use config::{Budget, Budgets, Config, Deadlines, Release};
pub use connection::{Client, Connection, Role, Server};
pub use error::{
    Cause, ConfigError, ConnectionError, Deadline, ErrorCode, Limit, OpenError, SendError, StreamError,
};
pub use event::{Event, HeadersKind, Initiator};
pub use headers::Headers;
#[cfg(feature = "http")]
pub use headers::http::map_fields;
pub use message::{Request, Status};
pub use outbound::Splice;
pub use priority::Priority;
pub use report::{CloseReport, Counters};
pub use settings::Settings;
pub use stream_id::{Stream, StreamId};
pub use thalweg_hpack::{Field, Indexing, Prepared, Token};
pub use time::Instant;
pub use violation::{Scope, Violation};
