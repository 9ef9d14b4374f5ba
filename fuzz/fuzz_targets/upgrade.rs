//! Arbitrary bytes before HTTP/2: the sniffer and the upgrader lose none, and give the same result
//! at every split.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| thalweg_testkit::targets::upgrade(input));
