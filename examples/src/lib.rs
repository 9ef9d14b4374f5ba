//! Code shared by the examples. `files` and `inspect` use tokio, `blocking_files` the threads,
//! `application` only the core, `tls` rustls, and `plain` tonic. `harness` is for tests.

pub mod application;
pub mod arguments;
pub mod blocking_files;
pub mod content_type;
pub mod files;
pub mod grpc;
pub mod harness;
pub mod hash_seed;
pub mod inspect;
pub mod pattern;
pub mod plain;
pub mod signals;
pub mod site;
pub mod slow;
pub mod tls;
