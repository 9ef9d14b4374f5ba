//! What the example programs share. None of it knows a runtime or a protocol.

pub mod arguments;
pub mod content_type;
pub mod pattern;
pub mod site;
