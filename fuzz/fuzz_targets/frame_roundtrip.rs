//! Arbitrary bytes as frames: the frame layer, its inspector, and the strict reader agree.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| thalweg_testkit::targets::frame_roundtrip(input));
