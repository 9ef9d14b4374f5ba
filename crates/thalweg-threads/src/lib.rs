//! threads for Thalweg.
#![forbid(unsafe_code)]
