//! testkit for Thalweg.
#![forbid(unsafe_code)]
