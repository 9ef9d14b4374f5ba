//! Requirement and property tests over the public API of all crates: see the folder `tests/`.

pub mod abuse;
pub mod relay;

/// Runs the guide's program.
#[cfg(doctest)]
#[doc = include_str!("../docs/io-layer.md")]
pub struct Guide;

/// Compiles the README's program.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;

/// Compiles the examples of the page on recordings.
#[cfg(doctest)]
#[doc = include_str!("../docs/recording.md")]
pub struct Recordings;
