//! What the reset of a stream means for its application, the same in the errors of all I/O layers.

use std::error::Error;
use std::fmt;

use thalweg::{ErrorCode, ResetCause};

/// A reset of a stream, as an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamReset {
    /// The code that was received or sent.
    pub code: ErrorCode,
    /// The side that reset it, and the reason.
    pub by: ResetCause,
}

impl StreamReset {
    /// Returns whether the peer has certainly not processed the request, so that the caller may
    /// retry it whatever its method (RFC 9113 §8.7).
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self.by {
            ResetCause::GoAway => true,
            ResetCause::Remote => self.code == ErrorCode::REFUSED_STREAM,
            _ => false,
        }
    }
}

impl fmt::Display for StreamReset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = self.code;
        match self.by {
            ResetCause::Remote => write!(f, "stream reset by the peer: {code}"),
            ResetCause::GoAway => write!(f, "stream not processed: {code}, try a new connection"),
            _ => write!(f, "stream reset by us: {code}"),
        }
    }
}

impl Error for StreamReset {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.by {
            ResetCause::Local(error) => Some(error),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::end::WithCauses;
    use thalweg::{StreamError, Timeout};

    #[test]
    fn only_what_was_certainly_not_processed_is_retryable() {
        let is_retryable = |code, by| StreamReset { code, by }.is_retryable();
        assert!(is_retryable(ErrorCode::REFUSED_STREAM, ResetCause::Remote));
        assert!(is_retryable(ErrorCode::REFUSED_STREAM, ResetCause::GoAway));
        assert!(!is_retryable(ErrorCode::CANCEL, ResetCause::Remote));
        assert!(!is_retryable(ErrorCode::REFUSED_STREAM, ResetCause::Application));
        let stalled = ResetCause::Local(StreamError::Timeout(Timeout::Stall));
        assert!(!is_retryable(ErrorCode::REFUSED_STREAM, stalled));
    }

    #[test]
    fn the_text_names_the_side_and_the_source_is_the_reason() {
        let text = |code, by| WithCauses(&StreamReset { code, by }).to_string();
        assert_eq!(text(ErrorCode::CANCEL, ResetCause::Remote), "stream reset by the peer: CANCEL");
        assert_eq!(text(ErrorCode::CANCEL, ResetCause::Application), "stream reset by us: CANCEL");
        let error = StreamError::Timeout(Timeout::Stall);
        let expected = format!("stream reset by us: CANCEL: {error}");
        assert_eq!(text(ErrorCode::CANCEL, ResetCause::Local(error)), expected);
        let expected = "stream not processed: REFUSED_STREAM, try a new connection";
        assert_eq!(text(ErrorCode::REFUSED_STREAM, ResetCause::GoAway), expected);
    }
}
