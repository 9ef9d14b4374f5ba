//! The server: connections on any transport, and a listener.

mod accept;
mod builder;
mod connection;
mod date;
mod negotiate;
mod poll_timer;
mod recent_values;
mod stream;
mod stream_handle;
mod streams;

pub use accept::Server;
pub use builder::Builder;
pub use connection::Connection;
pub use stream_handle::StreamHandle;
pub use thalweg_io::ServeStats;
