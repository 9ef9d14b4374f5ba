//! How an application sends its content: piece by piece, as the windows allow.

use thalweg::{Field, SendError};

use super::{Mismatch, TURNS_MAX, World, expect_sent, tolerate};
use crate::properties::SendCall;
use crate::sim::app::Stage;
use crate::sim::content::{self, TRAILER};
use crate::sim::script::{Message, Side};

impl World {
    /// Sends on the streams that `poll_writable` returns.
    pub(super) fn serve(&mut self, end: Side) -> Result<bool, Mismatch> {
        let (mut served, mut in_vain) = (false, 0);
        while let Some(stream) = self.side(end).endpoint.poll_writable() {
            let id = stream.id().as_u32();
            let stream_progress = self.side(end).app.streams.get_mut(&id);
            let Some(stream_progress) =
                stream_progress.filter(|stream_progress| stream_progress.out.is_truncated)
            else {
                return Err(format!("{end:?}: stream {id} is reported as writable, and it was not blocked"));
            };
            stream_progress.out.is_truncated = false;
            let before = stream_progress.out.sent;
            self.send_body(end, id)?;
            served = true;
            let stream_progress = self.side(end).app.streams.get(&id);
            in_vain = if stream_progress.is_some_and(|stream_progress| stream_progress.out.sent == before) {
                in_vain + 1
            } else {
                0
            };
            if in_vain > TURNS_MAX {
                return Err(format!("{end:?}: poll_writable names stream {id} indefinitely"));
            }
        }
        Ok(served)
    }

    /// Sends as much of a message as the core takes.
    pub(super) fn send_body(&mut self, end: Side, id: u32) -> Result<(), Mismatch> {
        let now = self.now;
        let side = &mut self.ends[end as usize];
        side.note_streams(now);
        let mut buffer = Vec::new();
        while let Some(stream_progress) = side.app.streams.get_mut(&id)
            && stream_progress.out.stage == Stage::Body
            && !stream_progress.out.is_truncated
        {
            let Message { body, chunk, trailers, padding, spliced, .. } = stream_progress.out.message;
            let left = body - stream_progress.out.sent;
            let len = left.min(chunk.max(1));
            let ends = len == left && !trailers;
            if left == 0 && trailers {
                let sent =
                    side.endpoint.send_trailers(stream_progress.stream, &[Field::new(TRAILER.0, TRAILER.1)]);
                if sent.is_ok() {
                    stream_progress.out.stage = Stage::Done;
                }
                let stream = stream_progress.stream;
                expect_sent(sent, &side.over, "send_trailers")
                    .or_else(|error| tolerate(self.is_honest, error))?;
                if matches!(sent, Err(SendError::HeaderListTooLarge { .. })) {
                    self.give_up(end, stream);
                    return Ok(());
                }
                break;
            }
            let before = side.endpoint.windows(stream_progress.stream).unwrap_or_default();
            let sent = if spliced {
                side.endpoint.splice_data(stream_progress.stream, len as usize, ends)
            } else {
                content::fill(&mut buffer, id, end, stream_progress.out.sent, len);
                side.endpoint.send_data(stream_progress.stream, &buffer, ends, padding)
            };
            let taken = match sent {
                Ok(taken) => u32::try_from(taken).map_err(|_| "more was taken than was given")?,
                Err(error) => {
                    expect_sent(Err(error), &side.over, "send_data")
                        .or_else(|error| tolerate(self.is_honest, error))?;
                    break;
                }
            };
            if spliced && taken > 0 {
                side.splices.push_back((id, stream_progress.out.sent));
            }
            stream_progress.out.sent += taken;
            if self.is_honest {
                let call = SendCall { stream: stream_progress.stream, len, taken, before, now };
                let fair = side.data.sends(&side.endpoint, call);
                fair.map_err(|failure| format!("{end:?}: {failure}"))?;
            }
            if taken < len {
                stream_progress.out.is_truncated = true;
                side.timeouts.blocked(id, taken, padding.is_some(), now);
                continue;
            }
            side.timeouts.unblocked(id);
            if ends {
                stream_progress.out.stage = Stage::Done;
            }
        }
        side.app.settle(id);
        Ok(())
    }
}
