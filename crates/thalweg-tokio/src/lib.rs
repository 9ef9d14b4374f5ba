//! tokio for Thalweg.
#![forbid(unsafe_code)]
