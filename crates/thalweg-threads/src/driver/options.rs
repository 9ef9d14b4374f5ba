//! The options of a driver, which the builders set.

use std::sync::Arc;

use thalweg::Role;
use thalweg_http::exchange::Timeouts;
use thalweg_io::{CloseLimits, Counters, Setup};

use crate::body::exchange::BufferLimits;
use crate::handle::OnNotice;

/// The options of a driver.
pub(crate) struct DriverOptions<R: Role> {
    /// The core's configuration, and the store for the connection's recording.
    pub setup: Setup,
    /// Limits on the end of a connection.
    pub close_limits: CloseLimits,
    /// Content that a writer may queue ahead of the core, bytes.
    pub unsent_bytes_max: usize,
    /// How long an unwanted half of an exchange may live.
    pub timeouts: Timeouts,
    /// Whether responses of a server carry `date`.
    pub date: bool,
    /// The counters of the connection, which others may share.
    pub counters: Option<Arc<Counters>>,
    /// The callback for connection-level events of the peer.
    pub on_notice: Option<OnNotice<R>>,
}

impl<R: Role> DriverOptions<R> {
    /// Returns the limits of each stream's buffers.
    pub(crate) fn buffer_limits(&self) -> BufferLimits {
        // Less than half of the window, the point at which the core sends WINDOW_UPDATE.
        let report_bytes = (self.setup.config.stream_window_bytes / 4) as usize;
        BufferLimits { report_bytes, unsent_bytes_max: self.unsent_bytes_max }
    }
}

impl<R: Role> Default for DriverOptions<R> {
    fn default() -> Self {
        Self {
            setup: Setup::default(),
            close_limits: CloseLimits::default(),
            unsent_bytes_max: 128 << 10,
            timeouts: Timeouts::default(),
            date: true,
            counters: None,
            on_notice: None,
        }
    }
}

impl<R: Role> Clone for DriverOptions<R> {
    fn clone(&self) -> Self {
        let (setup, counters) = (self.setup.clone(), self.counters.clone());
        let on_notice = self.on_notice.clone();
        Self {
            setup,
            close_limits: self.close_limits,
            unsent_bytes_max: self.unsent_bytes_max,
            timeouts: self.timeouts,
            date: self.date,
            counters,
            on_notice,
        }
    }
}
