//! The codec from outside: RFC 7541 by section, its examples, bad input, bounds, and other codecs as
//! judges.

#![allow(clippy::unwrap_used)] // The lint's exception for tests does not reach the helpers beside them.

mod bad_input;
mod block_skipper;
mod corpus;
mod differential;
mod encoder;
mod field_ref;
mod limits;
mod memory;
mod oracle;
mod rfc7541;
mod script;
mod support;
