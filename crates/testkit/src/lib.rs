//! Tools for testing HTTP/2 without sockets: for the core itself, and for I/O layers and
//! applications on top of it.
//!
//! # A first test
//!
//! A scenario is a list of what a peer sends and of the expected events and frames, in the terms of
//! the RFC. It runs with the input whole, byte by byte, and split at random positions. It fails
//! with a transcript if anything happens that it does not expect.
//!
//! ```
//! use thalweg::{ErrorCode, Status, Violation};
//! use thalweg_testkit::frames::{data, ping, window_update};
//! use thalweg_testkit::scenario;
//!
//! scenario::server(|s| {
//!     let stream = s.post(1);
//!     s.peer(data(1, "hello").end_stream());
//!     s.events(["DATA stream=1 \"hello\" end"]);
//!     s.call(|core| core.send_response(stream, Status::OK, [], true)).unwrap();
//!     s.output(["HEADERS stream=1 end [:status: 200]"]);
//!
//!     // The peer breaks a rule: an increment of 0 is a connection error (RFC 9113 §6.9).
//!     s.peer(window_update(0, 0));
//!     s.connection_error(ErrorCode::PROTOCOL_ERROR, Violation::WindowUpdateZeroOnConnection, 1);
//! });
//! ```
//!
//! # A thousand conversations
//!
//! The simulator connects two endpoints with random applications by a hostile wire, and a model
//! predicts what must arrive. A failure consists of the seed, a script that can be shrunk and
//! pasted into a test, and a transcript.
//!
//! ```
//! use thalweg_testkit::sim;
//!
//! for seed in 0..100 {
//!     let script = sim::script(seed);
//!     if let Err(failure) = sim::run(&script) {
//!         let short = sim::shrink(&script, |script| sim::run(script).is_err());
//!         panic!("seed {seed}: {failure}\n{short}");
//!     }
//! }
//! ```
//!
//! # Modules
//!
//! * [`frames`] builds frames in the terms of the RFC, invalid ones included, and reads them
//!   strictly.
//! * [`hpack`] encodes and decodes field blocks with a codec that shares no code with
//!   `thalweg-hpack`.
//! * [`scenario`] runs a script of a peer against one connection, with the input split in several
//!   ways.
//! * [`monitor`] checks all frames that an endpoint sends.
//! * [`properties`] holds the properties of every connection, as functions over any script.
//! * [`sim`] runs two endpoints with random applications over a hostile wire, and compares them
//!   with a model.
//! * [`targets`] holds the fuzz targets; its documentation shows a target for another I/O layer.
//! * [`endpoint`] is a connection of either role that checks itself after every call; [`broken`]
//!   injects faults into it.
//! * [`chunking`] splits input, and [`random`] makes choices from a seed or from a fuzzer's input.
//!
//! Nothing here reads a clock, a socket, or an unseeded source of randomness: a failure is
//! reproducible.
#![forbid(unsafe_code)]

pub mod broken;
pub mod chunking;
pub mod endpoint;
pub mod frames;
pub mod hpack;
pub mod monitor;
pub mod properties;
pub mod random;
pub mod scenario;
pub mod sim;
pub mod targets;
