//! The feature `tonic`: the gRPC status of an error, in the chain of sources, where tonic looks for
//! one.
//!
//! A source is a reference and streams share errors, so there is one static status for each error
//! code.

use std::sync::LazyLock;

use thalweg::{ErrorCode, ResetCause, SendError, StreamError};
use tonic::{Code, Status};

use super::Error;

static BY_CODE: LazyLock<Vec<Status>> = LazyLock::new(|| {
    let status = |code| {
        let code = ErrorCode(code);
        Status::new(grpc_code(code), format!("the stream was reset: {code}"))
    };
    (0..=ErrorCode::HTTP_1_1_REQUIRED.0).map(status).collect()
});
static UNKNOWN: LazyLock<Status> =
    LazyLock::new(|| Status::unknown("the stream was reset with an unknown code"));
static UNAVAILABLE: LazyLock<Status> = LazyLock::new(|| Status::unavailable("the connection is closed"));
static STALLED: LazyLock<Status> =
    LazyLock::new(|| Status::unavailable("the peer stopped accepting the data of the call"));
static METADATA_TOO_LARGE: LazyLock<Status> =
    LazyLock::new(|| Status::resource_exhausted("the metadata are larger than the peer accepts"));
static NOT_SENT: LazyLock<Status> = LazyLock::new(|| Status::internal("the request cannot be sent"));
static NOT_UNDERSTOOD: LazyLock<Status> =
    LazyLock::new(|| Status::internal("the peer's message cannot be represented"));

/// Returns the status of an error; `None` if the error's own source is more specific.
pub(crate) fn of(error: &Error) -> Option<&'static Status> {
    match error {
        // The timeout or the end of input is our reason. The code CANCEL that the peer receives
        // would blame the caller.
        Error::Reset { by: ResetCause::Local(StreamError::Timeout(_) | StreamError::Eof), .. } => {
            Some(&STALLED)
        }
        // A stream that the peer has certainly not processed has the code REFUSED_STREAM.
        Error::Reset { code, .. } => {
            let index = usize::try_from(code.0).ok();
            Some(index.and_then(|index| BY_CODE.get(index)).unwrap_or(&UNKNOWN))
        }
        Error::Connection { .. } | Error::GoingAway | Error::Send(SendError::Connection(_)) => {
            Some(&UNAVAILABLE)
        }
        Error::Send(SendError::HeaderListTooLarge { .. }) => Some(&METADATA_TOO_LARGE),
        Error::Send(_) | Error::Content(_) => Some(&NOT_SENT),
        Error::Message(_) => Some(&NOT_UNDERSTOOD),
        // The sources of a body's error may include a status.
        Error::Body(_) => None,
    }
}

/// Returns the reset code for content that failed with a status; `None` if no code is more specific
/// than INTERNAL_ERROR.
pub(crate) fn code_of(status: &Status) -> Option<ErrorCode> {
    (status.code() == Code::Cancelled).then_some(ErrorCode::CANCEL)
}

/// Maps error codes as gRPC over HTTP/2 specifies; other codes map to `Unknown`.
fn grpc_code(code: ErrorCode) -> Code {
    match code {
        ErrorCode::REFUSED_STREAM => Code::Unavailable,
        ErrorCode::CANCEL => Code::Cancelled,
        ErrorCode::ENHANCE_YOUR_CALM => Code::ResourceExhausted,
        ErrorCode::INADEQUATE_SECURITY => Code::PermissionDenied,
        ErrorCode::STREAM_CLOSED | ErrorCode::HTTP_1_1_REQUIRED => Code::Unknown,
        _ => Code::Internal,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use thalweg::{Timeout, Violation};

    #[test]
    fn tonic_finds_the_status_of_a_code() {
        for (code, expected) in [
            (ErrorCode::NO_ERROR, Code::Internal),
            (ErrorCode::PROTOCOL_ERROR, Code::Internal),
            (ErrorCode::STREAM_CLOSED, Code::Unknown),
            (ErrorCode::REFUSED_STREAM, Code::Unavailable),
            (ErrorCode::CANCEL, Code::Cancelled),
            (ErrorCode::ENHANCE_YOUR_CALM, Code::ResourceExhausted),
            (ErrorCode::INADEQUATE_SECURITY, Code::PermissionDenied),
            (ErrorCode::HTTP_1_1_REQUIRED, Code::Unknown),
            (ErrorCode(0x999), Code::Unknown),
        ] {
            let status = Status::from_error(Box::new(Error::reset(code)));
            assert_eq!(status.code(), expected, "{code}");
            let known = code.0 < 0x999;
            assert_eq!(status.message().contains(&code.to_string()), known, "{}", status.message());
        }
    }

    #[test]
    fn errors_other_than_resets_have_a_status_too() {
        let stalled = StreamError::Timeout(Timeout::Stall);
        let too_large = SendError::HeaderListTooLarge { bytes: 20_000, limit: 16_384 };
        let violation = StreamError::Violation(Violation::WindowOverflow);
        let unlike_http = http::Request::get("https://a b").body(()).unwrap_err();
        let own = Error::Body(Arc::new(Status::data_loss("of the body")));
        let by = |error: StreamError| Error::Reset { code: error.code(), by: ResetCause::Local(error) };
        let excluded = Error::Reset { code: ErrorCode::REFUSED_STREAM, by: ResetCause::GoAway };
        for (error, expected) in [
            (Error::GoingAway, Code::Unavailable),
            (excluded, Code::Unavailable),
            (by(stalled), Code::Unavailable),
            (by(StreamError::Eof), Code::Unavailable),
            (by(violation), Code::Internal),
            (Error::Send(too_large), Code::ResourceExhausted),
            (Error::Send(SendError::StreamClosed), Code::Internal),
            (Error::Message(Arc::new(unlike_http)), Code::Internal),
            (own, Code::DataLoss),
        ] {
            let text = error.to_string();
            assert_eq!(Status::from_error(Box::new(error)).code(), expected, "{text}");
        }
    }

    #[test]
    fn a_cancelled_status_cancels_the_stream() {
        assert_eq!(Error::code_for(&Status::cancelled("enough")), ErrorCode::CANCEL);
        assert_eq!(Error::code_for(&Status::not_found("no")), ErrorCode::INTERNAL_ERROR);
        // A proxy forwards the code unchanged.
        assert_eq!(Error::code_for(&Error::reset(ErrorCode::REFUSED_STREAM)), ErrorCode::REFUSED_STREAM);
    }
}
