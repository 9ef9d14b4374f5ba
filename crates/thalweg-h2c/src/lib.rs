//! The first bytes of a cleartext connection.
#![forbid(unsafe_code)]
