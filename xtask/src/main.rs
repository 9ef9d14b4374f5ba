//! The only automation of the project.
fn main() {}
