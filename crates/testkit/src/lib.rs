//! Tools for testing HTTP/2 without sockets.
//!
//! * [`frames`] writes frames in the words of the RFC, lies included, and reads them back without mercy.
//! * [`hpack`] writes and reads header blocks with a codec that shares no code with ours.
//! * [`scenario`] plays a script of an impolite peer against one connection, at every cut of the input.
//! * [`monitor`] is a second opinion on all that an end says.
//! * [`laws`] are what every connection must obey, as functions over any script.
//! * [`sim`] runs two ends with random applications over a hostile wire.
//! * [`targets`] are what the fuzzers run.
#![forbid(unsafe_code)]

pub mod cuts;
pub mod endpoint;
pub mod fault;
pub mod frames;
pub mod hpack;
pub mod laws;
pub mod monitor;
pub mod random;
pub mod scenario;
pub mod sim;
pub mod targets;
