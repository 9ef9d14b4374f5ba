//! The timeout for request content that does not arrive (`Config::timeouts.content`).
//!
//! Invariants: only a peer that could have sent is timed. Time counts from the last of: the
//! request, any content on the connection, window that let the peer continue, and what we sent on
//! the stream, since the peer may have waited for that. What happens in calls, which carry no time,
//! counts from the next expiry, so the timeout never fires early; it fires at most one length late.

use crate::error::{ErrorCode, StreamError, Timeout};
use crate::event::ResetCause;
use crate::headers::validate::Method;
use crate::message::Status;
use crate::stream_id::StreamKey;
use crate::streams::slot::{ContentTimer, Slot};
use crate::streams::state::HalfState;
use crate::time::Instant;

use super::inner::Inner;

impl Inner {
    /// Starts the time for the content of the request whose fields were decoded last.
    pub(super) fn start_content_timer(&mut self, method: Method) -> ContentTimer {
        if method == Method::Connect || self.timers.duration(Timeout::Content).is_none() {
            return ContentTimer::OFF;
        }
        if self.headers().is_grpc() {
            return ContentTimer::OFF;
        }
        self.timers.arm_if_unarmed(Timeout::Content);
        ContentTimer::since(self.timers.now())
    }

    /// Ends the requests whose content did not arrive in time, and arms the timeout for the next.
    pub(super) fn end_incomplete_requests(&mut self, now: Instant) {
        let received = self.windows.content_received_at(now);
        let connection_window = self.windows.receive_window();
        let waits_since =
            |slot: &mut Slot| Some((slot.content_awaited_since(&connection_window, received, now)?, true));
        self.end_overdue(Timeout::Content, now, waits_since, Self::end_incomplete_request);
    }

    /// RFC 9110 §15.5.9: responds to a request that did not arrive in time with 408, if a response
    /// is still possible. RFC 9113 §8.1: after a whole response, NO_ERROR asks the peer to stop
    /// sending the request.
    fn end_incomplete_request(&mut self, stream: StreamKey) {
        let Some(slot) = self.streams.find(stream) else { return };
        let by = ResetCause::Local(StreamError::Timeout(Timeout::Content));
        if slot.state.local() != HalfState::Headers {
            return self.reset_stream(stream, Timeout::Content.code(), by);
        }
        self.send_status(stream.id(), Status::REQUEST_TIMEOUT, true);
        self.reset_stream(stream, ErrorCode::NO_ERROR, by);
    }
}
