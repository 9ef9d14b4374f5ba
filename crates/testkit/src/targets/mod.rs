//! What the fuzzers run, and what ordinary tests run again on everything that the fuzzers have found.
//!
//! Each target is a function from bytes to nothing that panics on a finding. `fuzz/` holds a program for each; its README says how
//! to fuzz an I/O layer of one's own with them.

mod bytes;
mod frames;
mod upgrade;

pub use bytes::{client_bytes, input_of_bytes, play, server_bytes};
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
