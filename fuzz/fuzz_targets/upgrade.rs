//! Arbitrary bytes before HTTP/2 begins: the sniffer and the upgrader lose none, and no cut makes a difference.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| thalweg_testkit::targets::upgrade(input));
