//! The connection type of the drivers: the core's own, or, with the feature `record`, one that can
//! record.
//!
//! Invariants: without the feature, no recording code is compiled; with it, a connection records if
//! its options have a store.

#[cfg(not(feature = "record"))]
pub(crate) use thalweg::Connection;
use thalweg::{ConfigError, Role, Server, StreamKey, UpgradeError};
#[cfg(feature = "record")]
pub(crate) use thalweg_record::Recorder as Connection;
#[cfg(feature = "record")]
use thalweg_record::{RecordOptions, RecordingStore};

use crate::driver::Options;

/// Creates a connection.
pub(crate) fn start<R: Role>(options: &Options) -> Result<Connection<R>, ConfigError> {
    #[cfg(feature = "record")]
    return Connection::new(options.config, recorded(options));
    #[cfg(not(feature = "record"))]
    Connection::new(options.config)
}

/// Creates a server's connection after an Upgrade.
pub(crate) fn upgraded(
    options: &Options,
    settings: &[u8],
    method: &[u8],
) -> Result<(Connection<Server>, StreamKey), UpgradeError> {
    #[cfg(feature = "record")]
    return Connection::<Server>::from_upgrade(options.config, settings, method, recorded(options));
    #[cfg(not(feature = "record"))]
    Connection::<Server>::from_upgrade(options.config, settings, method)
}

#[cfg(feature = "record")]
fn recorded(options: &Options) -> RecordOptions {
    options.recordings.as_ref().map(RecordingStore::record_options).unwrap_or_default()
}
