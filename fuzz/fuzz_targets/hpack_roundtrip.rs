//! Lists of header fields: our decoder and fluke-hpack must return the fields that we encode.

#![no_main]

#[path = "../../crates/thalweg-hpack/tests/codec/oracle.rs"]
mod oracle;
#[path = "../../crates/thalweg-hpack/tests/codec/script.rs"]
#[allow(dead_code)] // Each target runs one half of it.
mod script;

libfuzzer_sys::fuzz_target!(|input: &[u8]| script::round_trip(input));
