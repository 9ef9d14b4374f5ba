//! bench for Thalweg.
#![forbid(unsafe_code)]
