//! What the fuzzers run, and what ordinary tests run again on everything that the fuzzers have
//! found.
//!
//! Each target is a function from bytes to nothing that panics on a finding. `fuzz/` holds a
//! program for each, with dictionaries and with corpora to start from.
//!
//! # A target for an I/O layer of your own
//!
//! [`input_script`] turns an input into what a loop around a connection has to bear: bytes, time,
//! the end. Feed it to your layer in place of a socket, cut by
//! [`Chunking`](crate::chunking::Chunking), and have what it writes judged by a
//! [`Monitor`](crate::monitor::Monitor). Two runs that differ in nothing but the cuts must write
//! the same.
//!
//! ```
//! use thalweg::{Config, Connection, Event, Instant, Server, Status};
//! use thalweg_testkit::chunking::Chunking;
//! use thalweg_testkit::properties::{InputScript, Step};
//! use thalweg_testkit::monitor::Monitor;
//! use thalweg_testkit::random::Random;
//! use thalweg_testkit::targets;
//!
//! /// The layer under test: yours.
//! struct Layer {
//!     connection: Connection<Server>,
//!     outbox: Vec<u8>,
//! }
//!
//! impl Layer {
//!     fn new(config: Config) -> Self {
//!         Self { connection: Connection::new(config).unwrap(), outbox: Vec::new() }
//!     }
//!
//!     fn readable(&mut self, mut input: &[u8], now: Instant) {
//!         while let Ok(Some(event)) = self.connection.receive(&mut input, now) {
//!             if let Event::Headers { stream, end: true, .. } = event {
//!                 let _ = self.connection.send_response(stream, Status::OK, [], true);
//!             }
//!         }
//!     }
//!
//!     fn written(&mut self) -> Vec<u8> {
//!         while self.connection.poll_transmit(&mut self.outbox) {}
//!         std::mem::take(&mut self.outbox)
//!     }
//! }
//!
//! /// Plays against the layer, and returns all that it wrote.
//! fn run(input_script: &InputScript, mut chunking: Chunking) -> Vec<u8> {
//!     let mut layer = Layer::new(input_script.config);
//!     let mut monitor = Monitor::new(input_script.is_client, &input_script.config);
//!     let mut now = Instant::ZERO;
//!     let mut output = Vec::new();
//!     for step in &input_script.steps {
//!         match step {
//!             Step::Input(bytes) => {
//!                 let mut rest = bytes.as_slice();
//!                 while !rest.is_empty() {
//!                     let piece = chunking.take(&mut rest);
//!                     layer.readable(piece, now);
//!                     monitor.track_inbound(piece);
//!                 }
//!             }
//!             Step::Wait(ms) => now = now + std::time::Duration::from_millis((*ms).into()),
//!             // What your layer offers beside: opening streams, resetting them, ending.
//!             _ => {}
//!         }
//!         let written = layer.written();
//!         let checked = monitor.check_outbound(&written, |_| {});
//!         checked.unwrap_or_else(|complaint| panic!("{complaint}"));
//!         output.extend(written);
//!     }
//!     output
//! }
//!
//! fn my_layer_obeys(input: &[u8]) {
//!     let input_script = targets::input_script(false, input);
//!     let random = Chunking::Random(Random::new(1));
//!     assert_eq!(run(&input_script, Chunking::Whole), run(&input_script, random));
//! }
//!
//! // In the fuzzer: `fuzz_target!(|input: &[u8]| my_layer_obeys(input));`
//! my_layer_obeys(b"\0\0\0\0\0\0\0\0\0\0\x06\x01\x05\0\0\0\x01\x82\x87\x84\x41\x01a");
//! ```

mod bytes;
mod frames;
mod upgrade;

pub use bytes::{client_bytes, input_of_bytes, input_script, server_bytes};
pub use frames::frame_roundtrip;
pub use upgrade::upgrade;

use crate::random::FromBytes;
use crate::sim::{self, Script};

/// Arbitrary operations at both ends over a hostile wire, against the model.
///
/// # Panics
/// On a finding.
pub fn pair_ops(input: &[u8]) {
    let script = Script::generate(&mut FromBytes::new(input));
    if let Err(failure) = sim::run(&script) {
        panic!("{failure}\n\n{script}");
    }
}
