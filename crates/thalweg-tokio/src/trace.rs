//! Log events and spans through the crate `tracing`, with the feature of that name; without it, no
//! code.

use std::any::Any;
use std::error::Error as StdError;
use std::time::Duration;

use http::{Method, Uri};
use thalweg::{ErrorCode, SendError, StreamKey};
use thalweg_http::repair::Report;
use thalweg_io::ConnectionEnd;

use crate::error::Error;

#[cfg(feature = "tracing")]
mod events {
    use super::{
        Any, ConnectionEnd, Duration, Error, ErrorCode, Method, Report, SendError, StdError, StreamKey, Uri,
    };
    use thalweg_io::{LogLevel, WithCauses};

    /// The span of an exchange. Its handler and its bodies are polled inside.
    #[derive(Clone)]
    pub(crate) struct Span(tracing::Span);

    impl Span {
        /// Creates a span. Cheap unless a subscriber enables DEBUG.
        pub(crate) fn new(stream: StreamKey, method: &Method, uri: &Uri) -> Self {
            Self(tracing::debug_span!("exchange", stream = stream.id().as_u32(), %method, path = uri.path()))
        }

        pub(crate) fn in_scope<T>(&self, function: impl FnOnce() -> T) -> T {
            self.0.in_scope(function)
        }
    }

    pub(crate) fn connection_ended(end: &ConnectionEnd) {
        let peer = end.remote.map(tracing::field::display);
        match end.log_level() {
            LogLevel::Warn => tracing::warn!(peer, "connection ended: {end}"),
            LogLevel::Info => tracing::info!(peer, "connection ended: {end}"),
            LogLevel::Debug => tracing::debug!(peer, "connection ended: {end}"),
        }
    }

    pub(crate) fn stream_failed(stream: StreamKey, code: ErrorCode, error: &(dyn StdError + 'static)) {
        tracing::warn!(stream = stream.id().as_u32(), %code, "exchange failed: {}", WithCauses(error));
    }

    pub(crate) fn stream_panicked(stream: StreamKey, panic: &(dyn Any + Send)) {
        tracing::error!(stream = stream.id().as_u32(), "handler panicked: {}", text_of(panic));
    }

    pub(crate) fn callback_panicked(panic: &(dyn Any + Send)) {
        tracing::error!("callback panicked: {}", text_of(panic));
    }

    fn text_of(panic: &(dyn Any + Send)) -> &str {
        let text = panic.downcast_ref::<&str>().copied();
        text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("?")
    }

    pub(crate) fn command_failed(error: &SendError) {
        tracing::debug!("command dropped: {}", WithCauses(error));
    }

    pub(crate) fn stream_command_failed(stream: StreamKey, error: &Error) {
        tracing::debug!(stream = stream.id().as_u32(), "command dropped: {}", WithCauses(error));
    }

    pub(crate) fn fields_repaired(report: &Report) {
        tracing::debug!("fields repaired: {report}");
    }

    pub(crate) fn slow_poll(length: Duration) {
        tracing::warn!(
            ?length,
            "a handler blocked its connection and delayed the other streams: wrap the service in \
             SpawnHandlers, or move work that blocks to spawn_blocking"
        );
    }

    pub(crate) fn accept_failed(error: &std::io::Error) {
        tracing::warn!("connection not accepted: {error}");
    }
}

#[cfg(not(feature = "tracing"))]
mod events {
    use super::{
        Any, ConnectionEnd, Duration, Error, ErrorCode, Method, Report, SendError, StdError, StreamKey, Uri,
    };

    #[derive(Clone)]
    pub(crate) struct Span;

    impl Span {
        pub(crate) fn new(_: StreamKey, _: &Method, _: &Uri) -> Self {
            Self
        }

        pub(crate) fn in_scope<T>(&self, function: impl FnOnce() -> T) -> T {
            function()
        }
    }

    pub(crate) fn connection_ended(_: &ConnectionEnd) {}
    pub(crate) fn stream_failed(_: StreamKey, _: ErrorCode, _: &(dyn StdError + 'static)) {}
    pub(crate) fn stream_panicked(_: StreamKey, _: &(dyn Any + Send)) {}
    pub(crate) fn callback_panicked(_: &(dyn Any + Send)) {}
    pub(crate) fn command_failed(_: &SendError) {}
    pub(crate) fn stream_command_failed(_: StreamKey, _: &Error) {}
    pub(crate) fn fields_repaired(_: &Report) {}
    pub(crate) fn slow_poll(_: Duration) {}
    pub(crate) fn accept_failed(_: &std::io::Error) {}
}

pub(crate) use events::{
    Span, accept_failed, callback_panicked, command_failed, connection_ended, fields_repaired, slow_poll,
    stream_command_failed,
};

/// Logs that the application failed an exchange. Returns the reset code of its stream.
pub(crate) fn handler_failed(stream: StreamKey, error: &(dyn StdError + 'static)) -> ErrorCode {
    let code = Error::code_for(error);
    events::stream_failed(stream, code, error);
    code
}

/// Logs that the application panicked. Returns the reset code of its stream.
pub(crate) fn handler_panicked(stream: StreamKey, panic: &(dyn Any + Send)) -> ErrorCode {
    events::stream_panicked(stream, panic);
    ErrorCode::INTERNAL_ERROR
}
