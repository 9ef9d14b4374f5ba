//! Requirement and law tests over the public API of all crates: see the folder `tests/`.

pub mod abuse;
