//! HPACK, RFC 7541.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(any(test, feature = "fluke"))]
extern crate std;

mod decoder;
mod dynamic_table;
mod encoder;
mod error;
mod field;
#[cfg(feature = "fluke")]
pub mod fluke;
mod hash;
mod huffman;
mod integer;
mod static_table;
mod token;
mod valid;
mod words;

pub use decoder::{Decoded, Decoder, Limit, Limits, Totals, Verdict};
pub use encoder::{Encoder, Prepared};
pub use error::DecodeError;
pub use field::{Field, Indexing};
pub use token::Token;
pub use valid::{Checked, name_is_valid, value_is_valid};
