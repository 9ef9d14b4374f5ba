//! HPACK, RFC 7541.
#![no_std]
#![forbid(unsafe_code)]
