//! The options of a driver.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use thalweg::Config;

use crate::counters::Counters;
use crate::exchange::BufferLimits;
use crate::handle::OnNotice;
use crate::record::Setup;

/// The options of a driver.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// The core's configuration.
    pub config: Config,
    /// The peer's address, for the report. Default: none.
    pub remote: Option<SocketAddr>,
    /// Time limit for the end of a connection: to flush the output, half-close, and drain the
    /// input. Default 2 s.
    pub linger: Duration,
    /// The protocols and limits for the first bytes of a server's cleartext connection. Default:
    /// HTTP/2, or an HTTP/1.1 Upgrade to it; another HTTP/1 request gets an HTTP/1.1 error
    /// response. `None`: only HTTP/2 (RFC 9113 §3.3), and the server sends its preface immediately.
    pub h2c: Option<thalweg_h2c::Config>,
    /// Content that a writer may queue ahead of the core, bytes. A writer above it waits. Default
    /// 128 KiB.
    pub unsent_bytes_max: usize,
    /// The counters of the connection, which others may share. Default: none;
    /// [`Server`](crate::Server) has its own.
    pub counters: Option<Arc<Counters>>,
    /// The callback for connection-level events of the peer. Default: none.
    pub on_notice: Option<OnNotice>,
    /// The store for the connection's recording. Default: none, so the connection is not recorded.
    #[cfg(feature = "record")]
    pub recordings: Option<thalweg_record::RecordingStore>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            config: Config::default(),
            remote: None,
            linger: Duration::from_secs(2),
            h2c: Some(thalweg_h2c::Config::default()),
            unsent_bytes_max: 128 << 10,
            counters: None,
            on_notice: None,
            #[cfg(feature = "record")]
            recordings: None,
        }
    }
}

impl Options {
    pub(crate) fn limits(&self) -> BufferLimits {
        // Less than half of the window, the point at which the core sends WINDOW_UPDATE.
        let report_bytes = (self.config.stream_window_bytes / 4) as usize;
        BufferLimits { report_bytes, unsent_bytes_max: self.unsent_bytes_max }
    }

    /// Returns the setup of the connection.
    pub(crate) fn setup(&self) -> Setup {
        Setup {
            config: self.config,
            #[cfg(feature = "record")]
            recordings: self.recordings.clone(),
        }
    }
}
