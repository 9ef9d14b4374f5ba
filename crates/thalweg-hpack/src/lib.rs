//! HPACK (RFC 7541) without I/O, unsafe code, or allocation per field.
//!
//! A [`Decoder`] and an [`Encoder`] each own one direction of a connection. The decoder takes a
//! whole block and delivers its fields one by one:
//!
//! ```
//! use thalweg_hpack::{Decoder, Encoder, Field, ListLimits, SinkAction};
//!
//! let mut block = Vec::new();
//! let mut encoder = Encoder::new(4096, 0x5eed); // a number that the peer cannot guess
//! encoder.start_block(&mut block);
//! encoder.encode(Field::new(b":method", b"GET"), &mut block);
//! encoder.encode(Field::new(b"accept", b"*/*"), &mut block);
//!
//! let mut decoder = Decoder::new(4096);
//! let limits = ListLimits { list_bytes_max: 16 << 10, fields_max: 128 };
//! let mut names = Vec::new();
//! let totals = decoder.decode(&block, limits, |decoded| {
//!     names.push(decoded.field().name().to_vec());
//!     if decoded.is_valid() { SinkAction::Valid } else { SinkAction::Stop }
//! });
//! assert_eq!(totals.unwrap().fields, 2);
//! assert_eq!(names, [&b":method"[..], b"accept"]);
//! ```
//!
//! Each section of the RFC is in one file, whose documentation begins with what makes it fast:
//!
//! | RFC 7541 | file | method |
//! |---|---|---|
//! | §2.3.1, A | `static_table`, `known_name` | a perfect hash maps each common name to a number |
//! | §2.3.2, §4 | `dynamic_table` | a ring of entries over one text; insertion and eviction only move counters |
//! | §3, §6 | `decoder` | fields are borrowed, and each entry is validated once |
//! | §5.1 | `integer` | one comparison if the prefix suffices |
//! | §5.2, B | `huffman` | two symbols a lookup, four octets a push |
//! | §6, §7.1 | `encoder` | chains that end where the table ends, so that an eviction unlinks nothing |
#![no_std]
#![forbid(unsafe_code)]
#![warn(unreachable_pub)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod decoder;
mod dynamic_table;
mod encoder;
mod error;
mod field;
mod hash;
mod huffman;
mod integer;
mod known_name;
mod static_table;
mod swar;
mod validate;

pub use decoder::{BlockSkipper, Decoded, Decoder, FieldRef, ListLimit, ListLimits, SinkAction, Totals};
pub use encoder::{Encoder, PreparedField, TableMatch};
pub use error::DecodeError;
pub use field::{Field, Indexing};
pub use huffman::HUFFMAN_LENGTHS;
pub use known_name::KnownName;
pub use validate::{Checked, name_is_valid, value_is_valid};
