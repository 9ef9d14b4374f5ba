//! The setup of new connections: their configuration, and the store for their recordings.
//!
//! Invariants: without the feature `record`, no recording code is compiled; with it, a connection
//! records if its setup has a store. Every connection has a hash seed.

#[cfg(not(feature = "record"))]
pub use thalweg::Connection;
use thalweg::{Config, ConfigError, Role, Server, StreamKey, UpgradeError};
#[cfg(feature = "record")]
pub use thalweg_record::Recorder as Connection;
#[cfg(feature = "record")]
use thalweg_record::{RecordOptions, RecordingStore};

use crate::hash_seed::seeded;

/// The setup of new connections.
///
/// They have the type [`thalweg_io::Connection`](crate::Connection): that of the core, or with the
/// feature `record` [`Recorder`](https://docs.rs/thalweg-record), which has the same methods. Code
/// that names it as `thalweg_io::Connection` compiles in both cases.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Setup {
    /// The core's configuration. A hash seed of 0 is replaced with that of the process.
    pub config: Config,
    /// The store for recordings. Default: none, so that connections are not recorded.
    #[cfg(feature = "record")]
    pub recordings: Option<RecordingStore>,
}

impl From<Config> for Setup {
    fn from(config: Config) -> Self {
        Self { config, ..Self::default() }
    }
}

impl Setup {
    /// Creates a connection.
    ///
    /// # Errors
    /// The first field of the configuration that is outside its range.
    pub fn start<R: Role>(&self) -> Result<Connection<R>, ConfigError> {
        #[cfg(feature = "record")]
        return Connection::new(seeded(self.config), self.record_options());
        #[cfg(not(feature = "record"))]
        Connection::new(seeded(self.config))
    }

    /// Creates a server's connection after an Upgrade, from the decoded field `HTTP2-Settings` and
    /// the method of the request. Returns the stream of the request, too.
    ///
    /// # Errors
    /// Those of `Connection::<Server>::from_upgrade`.
    pub fn start_upgraded(
        &self,
        settings: &[u8],
        method: &[u8],
    ) -> Result<(Connection<Server>, StreamKey), UpgradeError> {
        #[cfg(feature = "record")]
        return Connection::<Server>::from_upgrade(
            seeded(self.config),
            settings,
            method,
            self.record_options(),
        );
        #[cfg(not(feature = "record"))]
        Connection::<Server>::from_upgrade(seeded(self.config), settings, method)
    }

    #[cfg(feature = "record")]
    fn record_options(&self) -> RecordOptions {
        self.recordings.as_ref().map(RecordingStore::record_options).unwrap_or_default()
    }
}

/// Returns whether the connection is recorded. Then it needs to see all output, so content must not
/// be spliced.
#[must_use]
pub fn is_recorded<R: Role>(connection: &Connection<R>) -> bool {
    #[cfg(feature = "record")]
    return connection.is_recording();
    #[cfg(not(feature = "record"))]
    {
        let _ = connection;
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use thalweg::Client;

    #[test]
    fn a_setup_without_a_store_does_not_record() {
        let connection = Setup::default().start::<Client>().unwrap();
        assert!(!is_recorded(&connection));
        let (connection, _) = Setup::default().start_upgraded(&[], b"GET").unwrap();
        assert!(!is_recorded(&connection));
    }

    #[test]
    fn a_configuration_out_of_range_is_refused() {
        let config = Config::default().stream_window(u32::MAX);
        assert!(Setup::from(config).start::<Client>().is_err());
        assert!(Setup::from(config).start_upgraded(&[], b"GET").is_err());
    }
}
