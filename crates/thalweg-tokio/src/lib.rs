//! HTTP/2 server and client on tokio, driven by the Thalweg core.
#![forbid(unsafe_code)]

mod body;
pub mod client;
mod content;
mod doorbell;
mod driver;
mod error;
mod fields;
mod inbox;
mod log;
mod orphans;
pub mod server;
mod service;
mod spawn;
mod wire;

pub use body::Body;
pub use client::Client;
pub use error::{BoxError, End, Error};
pub use server::Server;
pub use service::{ServiceFn, service_fn};
pub use spawn::{Spawn, Spawned};
pub use thalweg;
