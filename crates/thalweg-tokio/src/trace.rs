//! What is told through `tracing`, with the feature of that name; without it, nothing.

use std::any::Any;
use std::error::Error as StdError;
use std::net::SocketAddr;
use std::time::Duration;

use http::{Method, Uri};
use thalweg::{ErrorCode, SendError, StreamKey};

use crate::error::{ConnectionEnd, Error};
use crate::server::ConnectionOutcome;

#[cfg(feature = "tracing")]
mod events {
    use super::{
        Any, ConnectionEnd, ConnectionOutcome, Duration, Error, ErrorCode, Method, SendError, SocketAddr,
        StdError, StreamKey, Uri,
    };
    use crate::server::NegotiationError;

    /// The span of an exchange; its handler and its bodies are polled inside.
    #[derive(Clone)]
    pub struct Span(tracing::Span);

    impl Span {
        /// Begins one. Costs next to nothing unless somebody listens to DEBUG.
        pub fn new(stream: StreamKey, method: &Method, uri: &Uri) -> Self {
            Self(tracing::debug_span!("exchange", stream = stream.id().as_u32(), %method, path = uri.path()))
        }

        pub fn in_scope<T>(&self, function: impl FnOnce() -> T) -> T {
            self.0.in_scope(function)
        }
    }

    pub fn connection_closed(closed: &ConnectionOutcome, peer: SocketAddr) {
        if closed.is_warning() {
            tracing::warn!(%peer, "connection ended: {closed}");
        } else if let ConnectionOutcome::Refused(error) = closed
            && !matches!(error, NegotiationError::NoData | NegotiationError::ShuttingDown)
        {
            tracing::info!(%peer, "connection ended: {closed}");
        } else {
            tracing::debug!(%peer, "connection ended: {closed}");
        }
    }

    pub fn connection_ended(end: &ConnectionEnd) {
        if end.is_warning() {
            tracing::warn!("connection ended: {end}");
        } else {
            tracing::debug!("connection ended: {end}");
        }
    }

    pub fn stream_failed(stream: StreamKey, code: ErrorCode, error: &(dyn StdError + 'static)) {
        tracing::warn!(stream = stream.id().as_u32(), %code, "exchange failed: {error}");
    }

    pub fn stream_panicked(stream: StreamKey, panic: &(dyn Any + Send)) {
        tracing::error!(stream = stream.id().as_u32(), "handler panicked: {}", text_of(panic));
    }

    pub fn callback_panicked(panic: &(dyn Any + Send)) {
        tracing::error!("listener panicked: {}", text_of(panic));
    }

    fn text_of(panic: &(dyn Any + Send)) -> &str {
        let text = panic.downcast_ref::<&str>().copied();
        text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("?")
    }

    pub fn command_failed(error: &SendError) {
        tracing::debug!("left out: {error}");
    }

    pub fn stream_command_failed(stream: StreamKey, error: &Error) {
        tracing::debug!(stream = stream.id().as_u32(), "left out: {error}");
    }

    pub fn slow_poll(length: Duration) {
        tracing::warn!(
            ?length,
            "a handler blocked its connection and held up the other streams: wrap the service in SpawnHandlers, \
             or move work that blocks to spawn_blocking"
        );
    }

    pub fn accept_failed(error: &std::io::Error) {
        tracing::warn!("connection not accepted: {error}");
    }
}

#[cfg(not(feature = "tracing"))]
mod events {
    use super::{
        Any, ConnectionEnd, ConnectionOutcome, Duration, Error, ErrorCode, Method, SendError, SocketAddr,
        StdError, StreamKey, Uri,
    };

    #[derive(Clone)]
    pub struct Span;

    impl Span {
        pub fn new(_: StreamKey, _: &Method, _: &Uri) -> Self {
            Self
        }

        pub fn in_scope<T>(&self, function: impl FnOnce() -> T) -> T {
            function()
        }
    }

    pub fn connection_closed(_: &ConnectionOutcome, _: SocketAddr) {}
    pub fn connection_ended(_: &ConnectionEnd) {}
    pub fn stream_failed(_: StreamKey, _: ErrorCode, _: &(dyn StdError + 'static)) {}
    pub fn stream_panicked(_: StreamKey, _: &(dyn Any + Send)) {}
    pub fn callback_panicked(_: &(dyn Any + Send)) {}
    pub fn command_failed(_: &SendError) {}
    pub fn stream_command_failed(_: StreamKey, _: &Error) {}
    pub fn slow_poll(_: Duration) {}
    pub fn accept_failed(_: &std::io::Error) {}
}

pub use events::{
    Span, accept_failed, callback_panicked, command_failed, connection_closed, connection_ended, slow_poll,
    stream_command_failed,
};

/// An application failed an exchange. Returns the code with which its stream is to be reset.
pub fn handler_failed(stream: StreamKey, error: &(dyn StdError + 'static)) -> ErrorCode {
    let code = Error::code_for(error);
    events::stream_failed(stream, code, error);
    code
}

/// An application panicked. Returns the code with which its stream is to be reset.
pub fn handler_panicked(stream: StreamKey, panic: &(dyn Any + Send)) -> ErrorCode {
    events::stream_panicked(stream, panic);
    ErrorCode::INTERNAL_ERROR
}
