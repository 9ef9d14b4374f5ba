//! RFC 9110 and RFC 8297: what the core does with the semantics of a message. What the semantics
//! layer and the adapters keep is tested there.
//!
//! Each test names the requirements of `requirements.toml` that it keeps.
#![expect(clippy::unwrap_used, reason = "these are tests, their own functions included")]

mod content;
mod exchanges;
mod fields;
mod targets;
