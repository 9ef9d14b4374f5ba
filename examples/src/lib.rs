//! What the example programs share. None of it knows a runtime; `application` alone knows the core.

pub mod application;
pub mod arguments;
pub mod content_type;
pub mod pattern;
pub mod site;
