//! The feature `tonic`: the gRPC status of an error, in the chain of sources in which tonic looks for one.
//!
//! A source is a reference, and all streams share their errors: so there is one status for each error code, made once.

use std::sync::LazyLock;

use thalweg::ErrorCode;
use tonic::{Code, Status};

use crate::error::Error;

static BY_CODE: LazyLock<Vec<Status>> = LazyLock::new(|| {
    let status = |code| {
        let code = ErrorCode(code);
        Status::new(grpc_code(code), format!("the stream was reset: {code}"))
    };
    (0..=ErrorCode::HTTP_1_1_REQUIRED.0).map(status).collect()
});
static UNKNOWN: LazyLock<Status> =
    LazyLock::new(|| Status::unknown("the stream was reset with an unknown code"));
static UNAVAILABLE: LazyLock<Status> = LazyLock::new(|| Status::unavailable("the connection is over"));

/// The status of an error; `None` where the error's own source says more.
pub fn of(error: &Error) -> Option<&'static Status> {
    match error {
        // What the peer surely has not processed carries REFUSED_STREAM.
        Error::Reset { code, .. } => {
            let index = usize::try_from(code.0).ok();
            Some(index.and_then(|index| BY_CODE.get(index)).unwrap_or(&UNKNOWN))
        }
        Error::Connection { .. } | Error::GoingAway => Some(&UNAVAILABLE),
        Error::Send(_) | Error::Message(_) | Error::Body(_) => None,
    }
}

/// The code with which a stream is reset whose content failed with a status; `None` where nothing better than
/// INTERNAL_ERROR is known.
pub fn code_of(status: &Status) -> Option<ErrorCode> {
    (status.code() == Code::Cancelled).then_some(ErrorCode::CANCEL)
}

/// The table of gRPC over HTTP/2; what it does not map is unknown.
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
    use super::*;

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
        assert_eq!(Status::from_error(Box::new(Error::GoingAway)).code(), Code::Unavailable);
    }

    #[test]
    fn a_cancelled_status_cancels_the_stream() {
        assert_eq!(Error::code_for(&Status::cancelled("enough")), ErrorCode::CANCEL);
        assert_eq!(Error::code_for(&Status::not_found("no")), ErrorCode::INTERNAL_ERROR);
        // What a proxy passes on keeps its code.
        assert_eq!(Error::code_for(&Error::reset(ErrorCode::REFUSED_STREAM)), ErrorCode::REFUSED_STREAM);
    }
}
