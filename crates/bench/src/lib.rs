//! What a request costs: Thalweg beside its peers, on the same bytes.
//!
//! A [`Scene`](workload::Scene) is a kind of traffic seen from one end of the connection. A
//! [`Script`](script::Script) stands in for the other end: bytes made before the measurement. An
//! [`Endpoint`](endpoint::Endpoint) is a library with the least application on top, and a
//! [`Plan`](run::Plan) runs one on the other. There is no socket, no clock but the one that
//! measures, and no thread.
//!
//! The program `measure` runs one plan and prints figures; `measure_allocations` is the same with
//! every allocation counted. `cargo xtask bench` builds and runs them, under valgrind where
//! instructions are counted, and compares.
//!
//! Peers that need more than this workspace are behind features: `nghttp2` (the C library, by FFI)
//! and `peers` (h2 and hyper). The servers of the end-to-end runs are behind `servers`.

pub mod allocator;
pub mod codec;
pub mod endpoint;
mod hpack;
#[cfg(feature = "servers")]
pub mod payload;
pub mod peers;
pub mod program;
pub mod run;
pub mod script;
pub mod traffic;
pub mod wire;
pub mod work;
pub mod workload;
