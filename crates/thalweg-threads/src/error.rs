//! Errors of streams.
//!
//! Invariant: an error states whether the request may be retried.

use std::fmt;
use std::io;
use std::sync::Arc;

use thalweg::{ErrorCode, OpenError, ResetCause, SendError};
use thalweg_io::{ConnectionEnd, StreamReset};

/// Why a stream ended early, or was not opened.
///
/// `Display` prints the error alone, and `source` returns its cause;
/// [`WithCauses`](crate::WithCauses) prints both.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Error {
    /// The stream was reset.
    Reset {
        /// The code that was received or sent.
        code: ErrorCode,
        /// The side that reset it, and the reason.
        by: ResetCause,
    },
    /// The core refused a message; the stream was reset.
    Send(SendError),
    /// The stream could not be opened.
    Open(OpenError),
    /// The connection ended before the stream.
    Connection {
        /// How the connection ended.
        end: Arc<ConnectionEnd>,
        /// Whether the peer may have processed the request: `false` only if it certainly has not.
        processed: bool,
    },
    /// The client's time limit expired; the stream was reset with CANCEL.
    TimedOut,
    /// The reader of the request's content failed, or its length is not the announced one. The
    /// stream was reset with CANCEL if it was open.
    Body(Arc<io::Error>),
}

impl Error {
    /// Creates a reset by the application: its handler panicked or did not respond, or it dropped
    /// the response.
    pub const fn reset(code: ErrorCode) -> Self {
        Self::Reset { code, by: ResetCause::Application }
    }

    /// Returns whether the peer has certainly not processed the request, so that the caller may
    /// retry any request on another connection (RFC 9113 §8.7).
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Reset { code, by } => StreamReset { code: *code, by: *by }.is_retryable(),
            Self::Open(OpenError::Send(error)) => matches!(error, SendError::Connection(_)),
            Self::Open(_) => true,
            Self::Connection { processed, .. } => !processed,
            _ => false,
        }
    }

    /// Returns the code of the RST_STREAM that ended the stream, if one did.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Reset { code, .. } => Some(*code),
            Self::Send(_) => Some(ErrorCode::INTERNAL_ERROR),
            Self::TimedOut | Self::Body(_) => Some(ErrorCode::CANCEL),
            Self::Open(_) | Self::Connection { .. } => None,
        }
    }

    /// Returns how the connection ended, if that ended the stream.
    pub fn connection_end(&self) -> Option<&Arc<ConnectionEnd>> {
        match self {
            Self::Connection { end, .. } => Some(end),
            _ => None,
        }
    }

    /// Returns the error inside an [`io::Error`] that reading or writing content returned.
    pub fn of_io(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }

    fn kind(&self) -> io::ErrorKind {
        match self {
            Self::Reset { .. } => io::ErrorKind::ConnectionReset,
            Self::Send(_) => io::ErrorKind::InvalidInput,
            Self::Open(_) => io::ErrorKind::NotConnected,
            Self::Connection { .. } => io::ErrorKind::ConnectionAborted,
            Self::TimedOut => io::ErrorKind::TimedOut,
            Self::Body(error) => error.kind(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reset { code, by } => StreamReset { code: *code, by: *by }.fmt(f),
            Self::Send(_) => f.write_str("the message was not sent"),
            Self::Open(_) => f.write_str("the request was not sent"),
            Self::Connection { .. } => f.write_str("the connection closed before the exchange ended"),
            Self::TimedOut => f.write_str("no response within the time limit"),
            Self::Body(_) => f.write_str("the content cannot be sent"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Reset { by: ResetCause::Local(error), .. } => Some(error),
            Self::Send(error) => Some(error),
            Self::Open(error) => Some(error),
            Self::Connection { end, .. } => Some(end.as_ref()),
            Self::Body(error) => Some(error.as_ref()),
            Self::Reset { .. } | Self::TimedOut => None,
        }
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        Self::new(error.kind(), error)
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use thalweg_io::WithCauses;

    use super::*;

    #[test]
    fn an_error_is_printed_without_its_cause_which_is_its_source() {
        let violation = thalweg::Violation::FieldNameInvalid;
        let error = Error::Send(SendError::Malformed(violation));
        assert_eq!(error.to_string(), "the message was not sent");
        let causes = format!("the message was not sent: {}: {violation}", SendError::Malformed(violation));
        assert_eq!(WithCauses(&error).to_string(), causes);
        assert_eq!(WithCauses(&io::Error::from(error)).to_string(), causes, "inside an io::Error, too");
        let mut end = ConnectionEnd::new(thalweg::CloseReport::default());
        end.transport = Some(io::ErrorKind::BrokenPipe.into());
        let end = Arc::new(end);
        let error = Error::Connection { end: Arc::clone(&end), processed: true };
        assert_eq!(error.to_string(), "the connection closed before the exchange ended");
        assert_eq!(error.source().unwrap().to_string(), end.to_string());
        let error = Error::Body(Arc::new(io::Error::other("unplugged")));
        assert_eq!(WithCauses(&error).to_string(), "the content cannot be sent: unplugged");
    }

    #[test]
    fn only_requests_that_were_certainly_not_processed_are_retryable() {
        let reset = |code, by| Error::Reset { code, by };
        assert!(reset(ErrorCode::REFUSED_STREAM, ResetCause::Remote).is_retryable());
        assert!(reset(ErrorCode::REFUSED_STREAM, ResetCause::GoAway).is_retryable());
        assert!(!reset(ErrorCode::CANCEL, ResetCause::Remote).is_retryable());
        assert!(!reset(ErrorCode::REFUSED_STREAM, ResetCause::Application).is_retryable());
        assert!(!Error::reset(ErrorCode::REFUSED_STREAM).is_retryable());
        assert!(Error::Open(OpenError::GoingAway).is_retryable());
        assert!(!Error::Open(OpenError::Send(SendError::OutOfRange)).is_retryable());
        assert!(!Error::TimedOut.is_retryable());
    }

    #[test]
    fn an_io_error_contains_its_source() {
        let error = io::Error::from(Error::reset(ErrorCode::CANCEL));
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        assert_eq!(Error::of_io(&error).and_then(Error::code), Some(ErrorCode::CANCEL));
        assert!(Error::of_io(&io::Error::from(io::ErrorKind::TimedOut)).is_none());
    }
}
