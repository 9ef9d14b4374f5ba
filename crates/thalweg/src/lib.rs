//! HTTP/2 protocol core without I/O.
#![no_std]
#![forbid(unsafe_code)]
