//! Which failed requests may be sent again (RFC 9110 §9.2.2, RFC 9113 §8.7).
//!
//! Owns nothing: [`retry`] is one function of the request and its failure. Its caller owns the
//! policy beyond that: how often, how soon, and whether the content can be produced again.
//!
//! | Failure | Idempotent method | Another method |
//! |---|---|---|
//! | the request was not sent | `Unprocessed` | `Unprocessed` |
//! | RST_STREAM with REFUSED_STREAM | `Unprocessed` | `Unprocessed` |
//! | GOAWAY with a lower last stream identifier | `Unprocessed` | `Unprocessed` |
//! | RST_STREAM with HTTP_1_1_REQUIRED | `OverHttp1` | `OverHttp1` |
//! | the transport or the connection failed | `Repeatable`, once | no |
//! | RST_STREAM with CANCEL or INTERNAL_ERROR | `Repeatable`, once | no |
//! | RST_STREAM with another code | no | no |
//! | a reset of ours, or a timeout of the caller | no | no |
//!
//! A failure after response headers have reached the application, or with content that cannot be
//! produced again, is never retried.
//!
//! # Example
//!
//! ```
//! use thalweg::{ErrorCode, ResetCause};
//! use thalweg_http::Method;
//! use thalweg_http::retry::{Attempt, Failure, Replay, Retry, retry};
//!
//! let attempt = Attempt::first(Method::Post);
//! let refused = Failure::of_reset(ErrorCode::REFUSED_STREAM, ResetCause::Remote);
//! assert_eq!(retry(&attempt, refused), Retry::Unprocessed);
//! // The server may have acted on the request.
//! assert_eq!(retry(&attempt, Failure::ConnectionLost), Retry::No);
//! let consumed = Attempt { replay: Replay::Consumed, ..attempt };
//! assert_eq!(retry(&consumed, refused), Retry::No);
//! ```

use thalweg::{ErrorCode, ResetCause, Status};

use crate::Method;

/// A request that has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Its method.
    pub method: Method,
    /// Whether its content can be produced again.
    pub replay: Replay,
    /// Whether the application has got the headers of the final response.
    pub has_response: bool,
    /// Whether this request was a retry already.
    pub is_retry: bool,
}

impl Attempt {
    /// Creates the first attempt of a request without content, which got no response.
    pub const fn first(method: Method) -> Self {
        Self { method, replay: Replay::Possible, has_response: false, is_retry: false }
    }
}

/// Whether the content of a request can be produced again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replay {
    /// There is none, it is kept, or its source was not read yet.
    Possible,
    /// Its source was read in part.
    Consumed,
}

/// Why a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure {
    /// The request was never sent, for example because the connection was going away.
    NotSent,
    /// GOAWAY excludes its stream.
    GoAway,
    /// The peer has reset its stream.
    Reset(ErrorCode),
    /// The connection or its transport ended, and no GOAWAY excludes the stream.
    ConnectionLost,
    /// We have reset the stream: for a violation of the peer, an error of the application, or its
    /// cancellation.
    Local,
    /// A time limit of the caller has expired.
    TimedOut,
}

impl Failure {
    /// Returns the failure of a stream that ended with `Event::Reset`.
    pub const fn of_reset(code: ErrorCode, by: ResetCause) -> Self {
        match by {
            ResetCause::GoAway => Self::GoAway,
            ResetCause::Remote => Self::Reset(code),
            // Our own resets, and causes of later versions: nothing says that a retry is safe.
            _ => Self::Local,
        }
    }
}

/// Whether a failed request may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Retry {
    /// Yes: the server has not processed it, whatever its method (RFC 9113 §8.7). After GOAWAY, on
    /// another connection.
    Unprocessed,
    /// Yes, once: the server may have processed it, and its method is idempotent (RFC 9110 §9.2.2).
    Repeatable,
    /// Yes, over HTTP/1.1 (RFC 9113 §7).
    OverHttp1,
    /// No.
    No,
}

/// Returns whether a failed request may be sent again.
pub const fn retry(attempt: &Attempt, failure: Failure) -> Retry {
    if attempt.has_response || matches!(attempt.replay, Replay::Consumed) {
        return Retry::No;
    }
    match failure {
        Failure::NotSent | Failure::GoAway | Failure::Reset(ErrorCode::REFUSED_STREAM) => Retry::Unprocessed,
        Failure::Reset(ErrorCode::HTTP_1_1_REQUIRED) => Retry::OverHttp1,
        // RFC 9110 §9.2.2: a client should not retry a failed automatic retry.
        Failure::ConnectionLost | Failure::Reset(ErrorCode::CANCEL | ErrorCode::INTERNAL_ERROR)
            if attempt.method.is_idempotent() && !attempt.is_retry =>
        {
            Retry::Repeatable
        }
        _ => Retry::No,
    }
}

/// How a request is sent again that got a response with this status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum StatusRetry {
    /// On another connection: 421 (RFC 9110 §15.5.20), for any method; 408 (§15.5.9).
    OtherConnection,
    /// Without `expect: 100-continue`: 417 (RFC 9110 §10.1.1).
    WithoutExpect,
    /// The status does not ask for it.
    No,
}

/// Returns how a request may be sent again after a final response. `expects_continue`: it carried
/// `expect: 100-continue`.
pub const fn after_status(attempt: &Attempt, status: Status, expects_continue: bool) -> StatusRetry {
    if attempt.is_retry || matches!(attempt.replay, Replay::Consumed) {
        return StatusRetry::No;
    }
    match status.as_bytes() {
        // The server has processed nothing of such a request.
        b"408" | b"421" => StatusRetry::OtherConnection,
        b"417" if expects_continue => StatusRetry::WithoutExpect,
        _ => StatusRetry::No,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDEMPOTENT: Attempt = Attempt::first(Method::Put);
    const OTHER: Attempt = Attempt::first(Method::Post);

    #[test]
    fn each_failure_has_its_answer() {
        use Retry::{No, OverHttp1, Repeatable, Unprocessed};
        let table = [
            (Failure::NotSent, Unprocessed, Unprocessed),
            (Failure::GoAway, Unprocessed, Unprocessed),
            (Failure::Reset(ErrorCode::REFUSED_STREAM), Unprocessed, Unprocessed),
            (Failure::Reset(ErrorCode::HTTP_1_1_REQUIRED), OverHttp1, OverHttp1),
            (Failure::ConnectionLost, Repeatable, No),
            (Failure::Reset(ErrorCode::CANCEL), Repeatable, No),
            (Failure::Reset(ErrorCode::INTERNAL_ERROR), Repeatable, No),
            (Failure::Reset(ErrorCode::NO_ERROR), No, No),
            (Failure::Reset(ErrorCode::PROTOCOL_ERROR), No, No),
            (Failure::Reset(ErrorCode::ENHANCE_YOUR_CALM), No, No),
            (Failure::Local, No, No),
            (Failure::TimedOut, No, No),
        ];
        for (failure, idempotent, other) in table {
            assert_eq!(retry(&IDEMPOTENT, failure), idempotent, "{failure:?}");
            assert_eq!(retry(&OTHER, failure), other, "{failure:?}");
            for attempt in [IDEMPOTENT, OTHER] {
                let consumed = Attempt { replay: Replay::Consumed, ..attempt };
                assert_eq!(retry(&consumed, failure), No, "{failure:?} without its content");
                let answered = Attempt { has_response: true, ..attempt };
                assert_eq!(retry(&answered, failure), No, "{failure:?} after response headers");
                let again = match retry(&attempt, failure) {
                    Repeatable => No,
                    first => first,
                };
                assert_eq!(
                    retry(&Attempt { is_retry: true, ..attempt }, failure),
                    again,
                    "{failure:?} again"
                );
            }
        }
    }

    #[test]
    fn the_cause_of_a_reset_decides() {
        let code = ErrorCode::REFUSED_STREAM;
        assert_eq!(Failure::of_reset(code, ResetCause::Remote), Failure::Reset(code));
        assert_eq!(Failure::of_reset(code, ResetCause::GoAway), Failure::GoAway);
        assert_eq!(Failure::of_reset(code, ResetCause::Application), Failure::Local);
    }

    #[test]
    fn three_statuses_ask_for_another_attempt() {
        let table = [
            (421, false, StatusRetry::OtherConnection),
            (408, false, StatusRetry::OtherConnection),
            (417, true, StatusRetry::WithoutExpect),
            (417, false, StatusRetry::No),
            (503, false, StatusRetry::No),
            (200, true, StatusRetry::No),
        ];
        for (status, expects, answer) in table {
            let status = Status::new(status).unwrap();
            assert_eq!(after_status(&OTHER, status, expects), answer, "{status}");
            let again = Attempt { is_retry: true, ..OTHER };
            assert_eq!(after_status(&again, status, expects), StatusRetry::No, "{status}");
            let consumed = Attempt { replay: Replay::Consumed, ..OTHER };
            assert_eq!(after_status(&consumed, status, expects), StatusRetry::No, "{status}");
        }
    }
}
