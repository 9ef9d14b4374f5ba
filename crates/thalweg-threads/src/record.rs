//! The connection type of the drivers: the core's own, or, with the feature `record`, one that can
//! record.
//!
//! Invariants: without the feature, no recording code is compiled; with it, a connection records if
//! its setup has a store.

#[cfg(not(feature = "record"))]
pub(crate) use thalweg::Connection;
use thalweg::{Config, ConfigError, Role, Server, StreamKey, UpgradeError};
#[cfg(feature = "record")]
pub(crate) use thalweg_record::Recorder as Connection;
#[cfg(feature = "record")]
use thalweg_record::{RecordOptions, RecordingStore};

use crate::hash_seed::seeded;

/// The setup of new connections: their configuration, and the store for their recordings.
#[derive(Clone, Debug, Default)]
pub(crate) struct Setup {
    pub config: Config,
    #[cfg(feature = "record")]
    pub recordings: Option<RecordingStore>,
}

impl Setup {
    /// Creates a connection.
    pub(crate) fn start<R: Role>(&self) -> Result<Connection<R>, ConfigError> {
        #[cfg(feature = "record")]
        return Connection::new(seeded(self.config), self.recorded());
        #[cfg(not(feature = "record"))]
        Connection::new(seeded(self.config))
    }

    /// Creates a server's connection after an Upgrade.
    pub(crate) fn upgraded(
        &self,
        settings: &[u8],
        method: &[u8],
    ) -> Result<(Connection<Server>, StreamKey), UpgradeError> {
        #[cfg(feature = "record")]
        return Connection::<Server>::from_upgrade(seeded(self.config), settings, method, self.recorded());
        #[cfg(not(feature = "record"))]
        Connection::<Server>::from_upgrade(seeded(self.config), settings, method)
    }

    #[cfg(feature = "record")]
    fn recorded(&self) -> RecordOptions {
        self.recordings.as_ref().map(RecordingStore::record_options).unwrap_or_default()
    }
}
