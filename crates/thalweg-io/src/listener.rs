//! Errors of accepting connections.

use std::io;

/// Returns whether accepting failed because of the one connection, so that the next attempt may
/// succeed at once. Other errors, such as those for lack of file descriptors or memory, last: a
/// server pauses before it tries again.
#[must_use]
pub fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lack_of_resources_is_not_of_one_connection() {
        assert!(is_of_one_connection(&io::ErrorKind::ConnectionAborted.into()));
        assert!(!is_of_one_connection(&io::ErrorKind::OutOfMemory.into()));
        assert!(!is_of_one_connection(&io::Error::from_raw_os_error(24)));
    }
}
