//! Requirement and property tests over the public API of all crates: see the folder `tests/`.

pub mod abuse;
pub mod relay;

/// The guide's code runs.
#[cfg(doctest)]
#[doc = include_str!("../docs/io-layer.md")]
pub struct Guide;

/// That of the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
