//! What can go wrong for one exchange, and how a connection ended.
//!
//! Keeps true: an error is cheap to clone, since every stream of a connection may get the same one; the end of a connection is
//! told once, and every error that it causes carries it.

use std::error::Error as StdError;
use std::sync::Arc;
use std::{fmt, io};

#[cfg(feature = "tonic")]
use crate::status;
use thalweg::{CloseReport, ErrorCode, OpenError, ResetCause, SendError};

/// Any error, as services and bodies give them.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// How a connection ended: the one terminal report.
#[derive(Debug)]
#[non_exhaustive]
pub struct ConnectionEnd {
    /// What the core says: who ended it, which rule or limit tripped, and what was counted.
    pub report: CloseReport,
    /// The transport's failure, if it failed before the connection had ended.
    pub transport: Option<io::Error>,
}

impl ConnectionEnd {
    /// Whether it deserves a warning: we accused the peer, or a limit or deadline tripped.
    pub fn is_warning(&self) -> bool {
        self.report.is_warning()
    }
}

impl fmt::Display for ConnectionEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(error) = &self.transport {
            write!(f, "transport failed: {error}: ")?;
        }
        self.report.fmt(f)
    }
}

impl StdError for ConnectionEnd {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.transport.as_ref().map(|error| error as _)
    }
}

/// Why an exchange, a request and its response, did not come to its end.
///
/// With the feature `tonic`, the source of an error that the peer or the connection caused is the `tonic::Status` that gRPC gives it,
/// where tonic looks for one: CANCEL is `Cancelled`, REFUSED_STREAM, a connection that is over and a stream whose peer takes nothing any
/// more are `Unavailable`, and so on. A stream that fails for a status `Cancelled` is reset with CANCEL.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Error {
    /// The stream was reset.
    Reset {
        /// The code that was received or sent.
        code: ErrorCode,
        /// Who reset it, and why.
        by: ResetCause,
    },
    /// The connection ended first.
    Connection {
        /// How.
        end: Arc<ConnectionEnd>,
        /// Whether the peer may have acted on the request: `false` when it surely has not.
        processed: bool,
    },
    /// The connection takes no further requests: open a new one. The request was not sent.
    GoingAway,
    /// The core refused to send the message; it says why.
    Send(SendError),
    /// The peer's message cannot be said with the types of the `http` crate.
    Message(Arc<http::Error>),
    /// The body that was to be sent failed.
    Body(Arc<dyn StdError + Send + Sync>),
}

impl Error {
    /// Creates the error of a reset that the application decides: a handler or a body that fails with
    /// it resets its stream with `code` in place of INTERNAL_ERROR.
    pub const fn reset(code: ErrorCode) -> Self {
        Self::Reset { code, by: ResetCause::Application }
    }

    /// Whether the peer surely has not acted on the request, so that it may be tried again whatever its method
    /// (RFC 9113 §8.7).
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Reset { by: ResetCause::GoAway, .. } | Self::GoingAway => true,
            Self::Reset { by: ResetCause::Remote, code } => *code == ErrorCode::REFUSED_STREAM,
            Self::Connection { processed, .. } => !processed,
            Self::Reset { .. } | Self::Send(_) | Self::Message(_) | Self::Body(_) => false,
        }
    }

    /// The HTTP/2 error code that ended the exchange, if there was one.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Reset { code, .. } => Some(*code),
            Self::Connection { end, .. } => end.report.error.map(|error| error.code()),
            Self::GoingAway | Self::Send(_) | Self::Message(_) | Self::Body(_) => None,
        }
    }

    /// The terminal report of the connection, if its end was the reason.
    pub fn report(&self) -> Option<&CloseReport> {
        match self {
            Self::Connection { end, .. } => Some(&end.report),
            _ => None,
        }
    }

    /// The code with which a stream is reset when the application failed with `error`: the one that the error or a
    /// source of it carries, or INTERNAL_ERROR.
    pub(crate) fn code_for(error: &(dyn StdError + 'static)) -> ErrorCode {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(Self::Reset { code, .. }) = error.downcast_ref() {
                return *code;
            }
            #[cfg(feature = "tonic")]
            if let Some(code) = error.downcast_ref().and_then(status::code_of) {
                return code;
            }
            next = error.source();
        }
        ErrorCode::INTERNAL_ERROR
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reset { code, by: ResetCause::Remote } => write!(f, "stream reset by the peer: {code}"),
            Self::Reset { code, by: ResetCause::Local(error) } => {
                write!(f, "stream reset by us: {code}: {error}")
            }
            Self::Reset { code, by: ResetCause::Application } => write!(f, "stream reset by us: {code}"),
            Self::Reset { code, .. } => write!(f, "stream not processed: {code}, try a new connection"),
            Self::Connection { end, .. } => write!(f, "connection over: {end}"),
            Self::GoingAway => f.write_str("the connection takes no further requests: open a new one"),
            Self::Send(error) => error.fmt(f),
            Self::Message(error) => write!(f, "the message cannot be represented: {error}"),
            Self::Body(error) => write!(f, "the body to be sent failed: {error}"),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        #[cfg(feature = "tonic")]
        if let Some(status) = status::of(self) {
            return Some(status);
        }
        match self {
            Self::Connection { end, .. } => Some(end.as_ref()),
            Self::Send(error) => Some(error),
            Self::Message(error) => Some(error.as_ref()),
            Self::Body(error) => Some(error.as_ref()),
            Self::Reset { .. } | Self::GoingAway => None,
        }
    }
}

impl From<SendError> for Error {
    fn from(error: SendError) -> Self {
        Self::Send(error)
    }
}

impl From<OpenError> for Error {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Send(error) => Self::Send(error),
            // All that is left says: not sent, use another connection.
            _ => Self::GoingAway,
        }
    }
}

impl From<http::Error> for Error {
    fn from(error: http::Error) -> Self {
        Self::Message(Arc::new(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_is_found_in_the_chain_of_sources() {
        let reset = Error::reset(ErrorCode::REFUSED_STREAM);
        assert_eq!(Error::code_for(&reset), ErrorCode::REFUSED_STREAM);
        let wrapped = io::Error::other(Error::Body(Arc::new(reset)));
        assert_eq!(Error::code_for(&wrapped), ErrorCode::REFUSED_STREAM);
        assert_eq!(Error::code_for(&io::Error::other("x")), ErrorCode::INTERNAL_ERROR);
    }

    #[test]
    fn a_reset_that_the_application_decided_is_not_reported_as_the_peers() {
        let error = Error::reset(ErrorCode::REFUSED_STREAM);
        assert_eq!(error.to_string(), "stream reset by us: REFUSED_STREAM");
        assert!(matches!(error, Error::Reset { by: ResetCause::Application, .. }));
    }

    #[test]
    fn only_requests_that_were_surely_not_processed_are_retryable() {
        let by = |code, by| Error::Reset { code, by }.is_retryable();
        assert!(by(ErrorCode::REFUSED_STREAM, ResetCause::Remote));
        assert!(by(ErrorCode::REFUSED_STREAM, ResetCause::GoAway));
        assert!(!by(ErrorCode::INTERNAL_ERROR, ResetCause::Remote));
        assert!(!by(ErrorCode::REFUSED_STREAM, ResetCause::Application));
        assert!(!Error::reset(ErrorCode::REFUSED_STREAM).is_retryable());
        assert!(Error::GoingAway.is_retryable());
        assert!(!Error::Send(SendError::StreamClosed).is_retryable());
    }
}
