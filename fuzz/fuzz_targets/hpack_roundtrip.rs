//! Lists of header fields: what we encode, our decoder and fluke-hpack must give back.

#![no_main]

#[path = "../../crates/thalweg-hpack/tests/codec/oracle.rs"]
mod oracle;
#[path = "../../crates/thalweg-hpack/tests/codec/script.rs"]
#[allow(dead_code)] // Each target runs one half of it.
mod script;

libfuzzer_sys::fuzz_target!(|input: &[u8]| script::round_trip(input));
