//! Requirement and law tests: see the folder `tests/`.
