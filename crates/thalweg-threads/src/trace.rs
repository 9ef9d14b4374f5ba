//! What is traced, if the feature `tracing` is on.

use std::io;

use crate::error::ConnectionEnd;

/// The one report of a connection: a warning if the peer is to blame or a limit has tripped.
pub fn connection_ended(end: &ConnectionEnd) {
    #[cfg(feature = "tracing")]
    {
        let remote = end.remote.map(tracing::field::display);
        let counters = &end.report.counters;
        let (opened, completed) = (counters.streams_opened, counters.streams_completed);
        if end.is_warning() {
            tracing::warn!(remote, opened, completed, "connection ended: {end}");
        } else if end.negotiation_error.is_some_and(crate::NegotiationError::is_notable) {
            tracing::info!(remote, "connection ended: {end}");
        } else {
            tracing::debug!(remote, opened, completed, "connection ended: {end}");
        }
    }
    #[cfg(not(feature = "tracing"))]
    let _ = end;
}

/// A handler returned an error.
pub fn handler_failed(error: &io::Error) {
    #[cfg(feature = "tracing")]
    tracing::warn!("handler failed: {error}");
    #[cfg(not(feature = "tracing"))]
    let _ = error;
}

/// The core refused what the application wanted to send.
pub fn send_failed(stream: thalweg::StreamKey, error: &thalweg::SendError) {
    #[cfg(feature = "tracing")]
    tracing::error!(stream = stream.id().as_u32(), "not sent: {error}");
    #[cfg(not(feature = "tracing"))]
    let _ = (stream, error);
}

/// The core refused what was wished of a connection or a stream besides messages.
pub fn command_failed(error: &thalweg::SendError) {
    #[cfg(feature = "tracing")]
    tracing::debug!("left out: {error}");
    #[cfg(not(feature = "tracing"))]
    let _ = error;
}

/// A listener of the application panicked.
pub fn callback_panicked() {
    #[cfg(feature = "tracing")]
    tracing::error!("listener panicked");
}

/// A connection could not be accepted.
pub fn accept_failed(error: &io::Error) {
    #[cfg(feature = "tracing")]
    tracing::warn!("cannot accept a connection: {error}");
    #[cfg(not(feature = "tracing"))]
    let _ = error;
}
