//! The fuzz targets. Ordinary tests run them again on everything that the fuzzers have found.
//!
//! Each target is a function of bytes that panics on a finding. `fuzz/` holds a program for each,
//! with dictionaries and initial corpora.
//!
//! # A target for another I/O layer
//!
//! [`input_script`] turns an input into the steps of an I/O loop: bytes, time, the end of input.
//! Pass them to the I/O layer in place of a socket, split by
//! [`Chunking`](crate::chunking::Chunking), and check its output with a
//! [`Monitor`](crate::monitor::Monitor). Two runs that differ only in the splits must write the
//! same bytes.
//!
//! ```
//! use thalweg::{Config, Connection, Event, Instant, Server, Status};
//! use thalweg_testkit::chunking::Chunking;
//! use thalweg_testkit::properties::{InputScript, Step};
//! use thalweg_testkit::monitor::Monitor;
//! use thalweg_testkit::random::Random;
//! use thalweg_testkit::targets;
//!
//! /// The layer under test.
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
//! /// Runs the script against the layer, and returns its output.
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
//!             // Other steps, if the layer supports them: opening and resetting streams, shutdown.
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

/// Runs arbitrary operations at both endpoints over a hostile wire, against the model.
///
/// # Panics
/// On a finding.
pub fn pair_ops(input: &[u8]) {
    let script = Script::generate(&mut FromBytes::new(input));
    if let Err(failure) = sim::run(&script) {
        panic!("{failure}\n\n{script}");
    }
}
