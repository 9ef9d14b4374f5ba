//! Log events, with the feature `tracing`.

use std::io;

use thalweg_io::ConnectionEnd;
#[cfg(feature = "tracing")]
use thalweg_io::{LogLevel, WithCauses};

/// Logs the final report of a connection.
pub(crate) fn connection_ended(end: &ConnectionEnd) {
    #[cfg(feature = "tracing")]
    {
        let remote = end.remote.map(tracing::field::display);
        let counters = &end.report.counters;
        let (opened, completed) = (counters.streams_opened, counters.streams_completed);
        match end.log_level() {
            LogLevel::Warn => tracing::warn!(remote, opened, completed, "connection ended: {end}"),
            LogLevel::Info => tracing::info!(remote, opened, completed, "connection ended: {end}"),
            LogLevel::Debug => tracing::debug!(remote, opened, completed, "connection ended: {end}"),
        }
    }
    #[cfg(not(feature = "tracing"))]
    let _ = end;
}

/// Logs the error of a handler.
pub(crate) fn handler_failed(error: &io::Error) {
    #[cfg(feature = "tracing")]
    tracing::warn!("handler failed: {}", WithCauses(error));
    #[cfg(not(feature = "tracing"))]
    let _ = error;
}

/// Logs that the core refused a message of the application.
pub(crate) fn send_failed(stream: thalweg::StreamKey, error: &thalweg::SendError) {
    #[cfg(feature = "tracing")]
    tracing::error!(stream = stream.id().as_u32(), "not sent: {}", WithCauses(error));
    #[cfg(not(feature = "tracing"))]
    let _ = (stream, error);
}

/// Logs that fields of the application were repaired.
pub(crate) fn repaired(report: &thalweg_http::repair::Report) {
    #[cfg(feature = "tracing")]
    tracing::debug!("fields repaired: {report}");
    #[cfg(not(feature = "tracing"))]
    let _ = report;
}

/// Logs that the core refused a command for a connection or a stream.
pub(crate) fn command_failed(error: &thalweg::SendError) {
    #[cfg(feature = "tracing")]
    tracing::debug!("command dropped: {}", WithCauses(error));
    #[cfg(not(feature = "tracing"))]
    let _ = error;
}

/// Logs that a callback of the application panicked.
pub(crate) fn callback_panicked() {
    #[cfg(feature = "tracing")]
    tracing::error!("callback panicked");
}

/// Logs that a connection could not be accepted.
pub(crate) fn accept_failed(error: &io::Error) {
    #[cfg(feature = "tracing")]
    tracing::warn!("connection not accepted: {}", WithCauses(error));
    #[cfg(not(feature = "tracing"))]
    let _ = error;
}
