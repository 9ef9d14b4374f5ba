//! What a server did until its end.

/// Statistics of a server that has ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServeStats {
    /// Connections accepted.
    pub accepted: u64,
    /// Connections closed at the time limit of the graceful shutdown, with streams still open.
    pub dropped: u64,
}

impl ServeStats {
    /// Creates the statistics.
    #[must_use]
    pub const fn new(accepted: u64, dropped: u64) -> Self {
        Self { accepted, dropped }
    }
}
