//! The timeout for request content that does not arrive (`Config::timeouts.content`).
//!
//! Invariants: only a peer that could have sent is timed. Time counts from the last of: the
//! request, any content on the connection, window that let the peer continue, and what we sent on
//! the stream, since the peer may have waited for that. What happens in calls, which carry no time,
//! counts from the next expiry, so the timeout never fires early; it fires at most one length late.

use thalweg_hpack::KnownName;

use crate::error::{ErrorCode, StreamError, Timeout};
use crate::event::ResetCause;
use crate::flow::{FRAME_BYTES, ReceiveWindow};
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
        if self.headers().known(KnownName::CONTENT_TYPE).is_some_and(is_grpc) {
            return ContentTimer::OFF;
        }
        self.timers.arm_if_unarmed(Timeout::Content);
        ContentTimer::since(self.timers.now())
    }

    /// Ends the requests whose content did not arrive in time, and arms the timeout for the next.
    pub(super) fn end_incomplete_requests(&mut self, now: Instant) {
        let Some(limit) = self.timers.duration(Timeout::Content) else { return };
        let received = self.windows.content_received_at(now);
        let connection_window = self.windows.receive_window();
        let mut next: Option<Instant> = None;
        let mut late: Option<StreamKey> = None;
        let mut from = 0;
        loop {
            for (stream, slot) in self.streams.iter_mut().filter(|(stream, _)| stream.index() >= from) {
                if !is_timed(slot) {
                    continue;
                }
                let may_send = has_room(&connection_window, slot) && has_room(&slot.receive.window, slot);
                let since = match slot.receive.content_timer.start() {
                    Some(since) if may_send => since.max(received),
                    _ => now,
                };
                slot.receive.content_timer =
                    if may_send { ContentTimer::since(since) } else { ContentTimer::PENDING };
                if since + limit <= now {
                    late = Some(stream);
                    break;
                }
                next = Some(next.map_or(since, |earlier| earlier.min(since)));
            }
            let Some(stream) = late.take() else { break };
            from = stream.index();
            self.end_incomplete_request(stream);
        }
        if let Some(since) = next {
            self.timers.arm_since(Timeout::Content, since);
        }
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

/// Whether the stream waits for content of the peer that has a time limit.
fn is_timed(slot: &Slot) -> bool {
    slot.receive.content_timer != ContentTimer::OFF && slot.state.remote() == HalfState::Data
}

/// Whether the peer can be expected to send: it may wait for a window that holds a frame, half of
/// the window, or all of the rest, so as not to send small frames.
fn has_room(window: &ReceiveWindow, slot: &Slot) -> bool {
    let wanted = FRAME_BYTES.min(window.size() / 2);
    let wanted = slot.receive.left.bytes().map_or(wanted, |left| wanted.min(left.cast_signed()));
    window.available() >= wanted.max(1)
}

/// Whether it is `application/grpc`, alone or with a suffix after a plus sign or parameters. The
/// calls of `application/grpc-web` send all their content at once.
fn is_grpc(content_type: &[u8]) -> bool {
    let Some((start, rest)) = content_type.split_at_checked(GRPC.len()) else { return false };
    // Clients write it in lower case: the comparison of words costs less than that of letters.
    (start == GRPC || start.eq_ignore_ascii_case(GRPC))
        && matches!(rest.trim_ascii_start().first(), None | Some(b'+' | b';'))
}

const GRPC: &[u8] = b"application/grpc";
