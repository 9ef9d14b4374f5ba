//! Arbitrary bytes, splits, times and reactions at a server: all properties of a connection hold.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| thalweg_testkit::targets::server_bytes(input));
