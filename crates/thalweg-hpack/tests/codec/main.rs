//! The codec through its public API: RFC 7541 by section, its examples, invalid input, limits, and
//! a comparison with another codec.

// The lint's exception for tests does not reach the helpers beside them.
#![allow(clippy::unwrap_used)]

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
