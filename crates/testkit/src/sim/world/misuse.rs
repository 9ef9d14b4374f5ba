//! Invalid calls: each returns its error and changes nothing.

use thalweg::{ErrorCode, Field, OpenError, Priority, Request, SendError, Status, StreamKey};

use super::{Mismatch, World};
use crate::sim::app::Stage;
use crate::sim::script::Side;

impl World {
    /// Makes every invalid call that the state of the endpoint allows.
    pub(super) fn misuse(&mut self, by: Side, nth: u8) -> Result<(), Mismatch> {
        let stale = self.stale(by);
        let side = self.side(by);
        if side.over.is_some() {
            let dead = matches!(side.endpoint.send_ping([1; 8]), Err(SendError::Connection(_)));
            return expect(dead, "a PING after the end");
        }
        let before = side.endpoint.report();
        if let Some(stale) = stale {
            let gone = Err(SendError::StreamClosed);
            expect(
                side.endpoint.send_data(stale, b"late", true, None) == Err(SendError::StreamClosed),
                "late DATA",
            )?;
            expect(side.endpoint.send_trailers(stale, &[]) == gone, "late trailers")?;
            expect(side.endpoint.set_priority(stale, Priority::default()) == gone, "a late priority")?;
            expect(side.endpoint.send_capacity(stale).is_none(), "a late window")?;
            side.endpoint.send_reset(stale, ErrorCode::CANCEL);
        }
        if let Some((stream, stage)) =
            side.app.nth(nth).map(|stream_progress| (stream_progress.stream, stream_progress.out.stage))
        {
            let wrong = match stage {
                Stage::Head => Err(SendError::HeadersNotSent),
                Stage::Done => Err(SendError::AlreadyEnded),
                Stage::Body => Ok(0),
            };
            if stage != Stage::Body {
                expect(
                    side.endpoint.send_data(stream, b"wrong", false, None) == wrong,
                    "DATA before the headers or after the end",
                )?;
                expect(
                    side.endpoint.send_trailers(stream, &[]) == wrong.map(drop),
                    "trailers before the headers or after the end",
                )?;
            }
            if by == Side::Server && stage == Stage::Body {
                let again = side.endpoint.send_response(stream, Status::OK, &[], false);
                expect(again == Err(SendError::HeadersSent), "a second response")?;
            }
            if by == Side::Server && stage == Stage::Head {
                let bad = [Field::new(b"Upper", b"case")];
                let refused = side.endpoint.send_response(stream, Status::OK, &bad, false);
                // The client's limit may exclude a promised stream; then `StreamAvailable` follows
                // for it.
                let no_room = refused == Err(SendError::TooManyPending);
                side.app.waits_for_streams |= no_room;
                expect(no_room || matches!(refused, Err(SendError::Malformed(_))), "a malformed response")?;
            }
        }
        if by == Side::Client {
            let bad = Request::new("GET", "https", "example.org", "no slash");
            let refused = side.endpoint.send_request(&bad, &[], true);
            let is_refused = matches!(
                refused,
                Err(OpenError::Send(SendError::Malformed(_))
                    | OpenError::GoingAway
                    | OpenError::TooManyStreams { .. })
            );
            side.app.waits_for_streams |= matches!(refused, Err(OpenError::TooManyStreams { .. }));
            expect(is_refused, "a malformed request")?;
        }
        let refused = side.endpoint.send_settings(|settings| settings.initial_window_size = 1 << 31);
        expect(
            matches!(refused, Err(SendError::OutOfRange | SendError::TooManyPending)),
            "a window of 2^31",
        )?;
        let after = side.endpoint.report();
        expect(before == after, "a rejected call that changes the counters")
    }

    /// Returns the key of a closed stream: the oldest that was used at this endpoint.
    fn stale(&self, by: Side) -> Option<StreamKey> {
        let app = &self.ends[by as usize].app;
        app.over.iter().find_map(|id| app.handles.get(id).copied())
    }
}

fn expect(holds: bool, what: &str) -> Result<(), Mismatch> {
    if holds { Ok(()) } else { Err(format!("an invalid call was not rejected: {what}")) }
}
