//! The extensions of HTTP/2 that the core implements: RFC 9218 priorities, RFC 8441 extended
//! CONNECT, RFC 8336 ORIGIN, RFC 7838 ALTSVC. Unknown frames and settings are in the tests of
//! RFC 9113 §5.5.
#![expect(clippy::unwrap_used, reason = "these are tests, their own functions included")]

mod rfc7838_alt_svc;
mod rfc8336_origin;
mod rfc8441_extended_connect;
mod rfc9218_priority;
mod rfc9218_scheduling;
