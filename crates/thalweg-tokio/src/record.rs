//! Which connection the drivers hold: the core's own, or, with the feature `record`, one that can record.
//!
//! Keeps true: without the feature nothing of it is there; with it, a connection records if its setup says so.

#[cfg(not(feature = "record"))]
pub use thalweg::Connection;
use thalweg::{Config, ConfigError, Role, Server, StreamKey, UpgradeError};
#[cfg(feature = "record")]
pub use thalweg_record::Recorder as Connection;
#[cfg(feature = "record")]
use thalweg_record::{RecordOptions, RecordingStore};

use crate::hash_seed::seeded;

/// How connections are started: their configuration, and who gets their recordings.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    pub config: Config,
    #[cfg(feature = "record")]
    pub recordings: Option<RecordingStore>,
}

impl From<Config> for Setup {
    fn from(config: Config) -> Self {
        Self {
            config,
            #[cfg(feature = "record")]
            recordings: None,
        }
    }
}

impl Setup {
    /// Starts a connection.
    pub fn start<R: Role>(&self) -> Result<Connection<R>, ConfigError> {
        #[cfg(feature = "record")]
        return Connection::new(seeded(self.config), self.recorded());
        #[cfg(not(feature = "record"))]
        Connection::new(seeded(self.config))
    }

    /// Starts a server's connection after an Upgrade.
    pub fn upgraded(
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

/// Whether what is sent shall be seen by the connection, since it is recorded.
pub fn is_recorded<R: Role>(connection: &Connection<R>) -> bool {
    #[cfg(feature = "record")]
    return connection.is_recording();
    #[cfg(not(feature = "record"))]
    {
        let _ = connection;
        false
    }
}
