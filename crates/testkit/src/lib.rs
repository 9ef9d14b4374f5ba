//! Tools for testing HTTP/2 without sockets.
//!
//! * [`frames`] writes frames in the words of the RFC, lies included, and reads them back without mercy.
//! * [`hpack`] writes and reads header blocks with a codec that shares no code with ours.
//! * [`scenario`] plays a script of an impolite peer against one connection, at every cut of the input.
#![forbid(unsafe_code)]

pub mod frames;
pub mod hpack;
pub mod scenario;
