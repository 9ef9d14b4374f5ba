//! Tools for testing HTTP/2 without sockets: for the core itself, and for I/O layers and
//! applications on top of it.
//!
//! # A first test
//!
//! A scenario is what a peer sends and what must be seen of it, in the words of the RFC. It is
//! played with the input whole, byte by byte, and cut at random places, and fails with a transcript
//! if anything is seen that it does not name.
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
//!     // The peer is impolite: an increment of 0 is an error of the connection (RFC 9113 §6.9).
//!     s.peer(window_update(0, 0));
//!     s.connection_error(ErrorCode::PROTOCOL_ERROR, Violation::WindowUpdateZeroOnConnection, 1);
//! });
//! ```
//!
//! # A thousand conversations
//!
//! The simulator makes two ends talk over a hostile wire, with random applications, and knows what
//! must arrive. A failure is the seed, a script that can be shrunk and pasted into a test, and a
//! transcript.
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
//! # What there is
//!
//! * [`frames`] writes frames in the words of the RFC, lies included, and reads them back without
//!   mercy.
//! * [`hpack`] writes and reads header blocks with a codec that shares no code with ours.
//! * [`scenario`] plays a script of an impolite peer against one connection, at every cut of the
//!   input.
//! * [`monitor`] checks all frames that an end sends.
//! * [`properties`] are what every connection must obey, as functions over any script.
//! * [`sim`] runs two ends with random applications over a hostile wire, beside a model.
//! * [`targets`] are what the fuzzers run; its documentation shows a target for an I/O layer of
//!   one's own.
//! * [`endpoint`] is a connection of either role that checks itself after every call; [`fault`]
//!   breaks it on purpose.
//! * [`cuts`] cut input, and [`random`] makes choices from a seed or from a fuzzer's input.
//!
//! Nothing here reads a clock, a socket, or an unseeded source of randomness: what fails once fails
//! again.
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
