//! Arbitrary operations at both ends over a hostile wire: the model agrees.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| thalweg_testkit::targets::pair_ops(input));
