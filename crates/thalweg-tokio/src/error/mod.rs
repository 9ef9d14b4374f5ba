//! Errors of an exchange.
//!
//! Invariants: an error is cheap to clone, since all streams of a connection may get the same one;
//! every error that the end of a connection causes carries its report.

#[cfg(feature = "tonic")]
mod status;

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use thalweg::{ErrorCode, OpenError, ResetCause, SendError};
use thalweg_http::content::ContentError;
use thalweg_io::{ConnectionEnd, StreamReset};

/// Any error of a service or a body.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// Why an exchange, a request and its response, did not complete.
///
/// `Display` prints the error alone, and `source` returns its cause;
/// [`WithCauses`](crate::WithCauses) prints both.
///
/// With the feature `tonic`, the source of an error that the peer or the connection caused is the
/// corresponding `tonic::Status` in place of its cause, where tonic looks for one, and `Display`
/// prints the cause, too. CANCEL maps to `Cancelled`; REFUSED_STREAM, a closed connection and a
/// stalled peer map to `Unavailable`; and so on. A stream that fails with the status `Cancelled`
/// is reset with CANCEL.
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
    /// The connection ended before the exchange.
    Connection {
        /// How the connection ended.
        end: Arc<ConnectionEnd>,
        /// Whether the peer may have processed the request: `false` only if it certainly has not.
        processed: bool,
    },
    /// The connection accepts no further requests: open a new one. The request was not sent.
    GoingAway,
    /// The core refused to send the message.
    Send(SendError),
    /// The peer's message cannot be represented with the types of the `http` crate.
    Message(Arc<http::Error>),
    /// The outbound content has another length than its headers announce.
    Content(ContentError),
    /// The outbound body failed.
    Body(Arc<dyn StdError + Send + Sync>),
}

impl Error {
    /// Creates a reset by the application: a handler or a body that fails with it resets its stream
    /// with `code` in place of INTERNAL_ERROR.
    pub const fn reset(code: ErrorCode) -> Self {
        Self::Reset { code, by: ResetCause::Application }
    }

    /// Returns whether the peer has certainly not processed the request, so that the caller may
    /// retry it whatever its method (RFC 9113 §8.7).
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Reset { code, by } => StreamReset { code: *code, by: *by }.is_retryable(),
            Self::GoingAway => true,
            Self::Connection { processed, .. } => !processed,
            Self::Send(_) | Self::Message(_) | Self::Content(_) | Self::Body(_) => false,
        }
    }

    /// Returns the HTTP/2 error code that ended the exchange, if there was one.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Reset { code, .. } => Some(*code),
            Self::Connection { end, .. } => end.report.error.map(|error| error.code()),
            Self::GoingAway | Self::Send(_) | Self::Message(_) | Self::Content(_) | Self::Body(_) => None,
        }
    }

    /// Returns how the connection ended, if that ended the exchange.
    pub fn connection_end(&self) -> Option<&Arc<ConnectionEnd>> {
        match self {
            Self::Connection { end, .. } => Some(end),
            _ => None,
        }
    }

    /// Returns the cause. `source` returns it, too, unless it returns a status in its place.
    fn cause(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Reset { by: ResetCause::Local(error), .. } => Some(error),
            Self::Connection { end, .. } => Some(end.as_ref()),
            Self::Send(error) => Some(error),
            Self::Message(error) => Some(error.as_ref()),
            Self::Content(error) => Some(error),
            Self::Body(error) => Some(error.as_ref()),
            Self::Reset { .. } | Self::GoingAway => None,
        }
    }

    /// Returns the code for a stream that the application failed with `error`: the code of the
    /// error or of one of its sources, or INTERNAL_ERROR.
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
            Self::Reset { code, by } => StreamReset { code: *code, by: *by }.fmt(f),
            Self::Connection { .. } => f.write_str("the connection closed before the exchange ended"),
            Self::GoingAway => f.write_str("the connection takes no further requests: open a new one"),
            Self::Send(_) => f.write_str("the message was not sent"),
            Self::Message(_) => f.write_str("the message cannot be represented"),
            Self::Content(_) => f.write_str("the content does not have its announced length"),
            Self::Body(_) => f.write_str("the content to send cannot be read"),
        }?;
        // A status is the source in place of the cause, which no reader of the chain would find.
        #[cfg(feature = "tonic")]
        if let (Some(_), Some(cause)) = (status::of(self), self.cause()) {
            write!(f, ": {}", thalweg_io::WithCauses(cause))?;
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        #[cfg(feature = "tonic")]
        if let Some(status) = status::of(self) {
            return Some(status);
        }
        self.cause()
    }
}

impl From<SendError> for Error {
    fn from(error: SendError) -> Self {
        Self::Send(error)
    }
}

impl From<ContentError> for Error {
    fn from(error: ContentError) -> Self {
        Self::Content(error)
    }
}

impl From<OpenError> for Error {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Send(error) => Self::Send(error),
            // All other reasons mean that the request was not sent and needs another connection.
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
    use std::io;

    use super::*;
    use thalweg::{CloseReport, StreamError, Timeout, Violation};
    use thalweg_io::WithCauses;

    #[test]
    fn a_cause_is_printed_by_the_source_or_where_a_status_is_the_source() {
        let malformed = SendError::Malformed(Violation::FieldNameInvalid);
        let stalled = StreamError::Timeout(Timeout::Stall);
        let mut end = ConnectionEnd::new(CloseReport::default());
        end.transport = Some(io::ErrorKind::BrokenPipe.into());
        for (error, text, cause) in [
            (Error::Send(malformed), "the message was not sent", WithCauses(&malformed).to_string()),
            (
                Error::Reset { code: ErrorCode::CANCEL, by: ResetCause::Local(stalled) },
                "stream reset by us: CANCEL",
                stalled.to_string(),
            ),
            (
                Error::Connection { end: Arc::new(end), processed: true },
                "the connection closed before the exchange ended",
                io::Error::from(io::ErrorKind::BrokenPipe).to_string(),
            ),
        ] {
            let (alone, all) = (error.to_string(), WithCauses(&error).to_string());
            assert!(all.starts_with(&format!("{text}: ")) && all.contains(&cause), "{all}");
            assert_eq!(all.matches(&cause).count(), 1, "{all}");
            assert_eq!(alone.contains(&cause), cfg!(feature = "tonic"), "{alone}");
            assert_eq!(alone == text, !cfg!(feature = "tonic"), "{alone}");
        }
        let error = Error::Body(Arc::new(io::Error::other("unplugged")));
        assert_eq!(error.to_string(), "the content to send cannot be read");
        assert_eq!(WithCauses(&error).to_string(), "the content to send cannot be read: unplugged");
    }

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
    fn only_requests_that_were_certainly_not_processed_are_retryable() {
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
