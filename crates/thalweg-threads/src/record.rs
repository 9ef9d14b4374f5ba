//! Which connection the drivers hold: the core's own, or, with the feature `record`, one that can record.
//!
//! Keeps true: without the feature nothing of it is there; with it, a connection records if its options say so.

#[cfg(not(feature = "record"))]
pub use thalweg::Connection;
use thalweg::{ConfigError, Role, Server, StreamKey, UpgradeError};
#[cfg(feature = "record")]
pub use thalweg_record::Recorder as Connection;
#[cfg(feature = "record")]
use thalweg_record::{RecordOptions, RecordingStore};

use crate::driver::Options;
use crate::hash_seed::seeded;

/// Starts a connection.
pub fn start<R: Role>(options: &Options) -> Result<Connection<R>, ConfigError> {
    #[cfg(feature = "record")]
    return Connection::new(seeded(options.config), recorded(options));
    #[cfg(not(feature = "record"))]
    Connection::new(seeded(options.config))
}

/// Starts a server's connection after an Upgrade.
pub fn upgraded(
    options: &Options,
    settings: &[u8],
    method: &[u8],
) -> Result<(Connection<Server>, StreamKey), UpgradeError> {
    #[cfg(feature = "record")]
    return Connection::<Server>::from_upgrade(seeded(options.config), settings, method, recorded(options));
    #[cfg(not(feature = "record"))]
    Connection::<Server>::from_upgrade(seeded(options.config), settings, method)
}

#[cfg(feature = "record")]
fn recorded(options: &Options) -> RecordOptions {
    options.recordings.as_ref().map(RecordingStore::record_options).unwrap_or_default()
}
