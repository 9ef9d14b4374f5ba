//! Receives DATA (RFC 9113 §6.1): debits it at the frame header, and returns content as it arrives.

use crate::error::ConnectionError;
use crate::frame::{Flags, FrameHeader};
use crate::inbound::{DataPhase, Phase};
use crate::rate_limit::Cost;
use crate::stream_id::{StreamId, StreamKey};
use crate::streams::id_table::{CloseReason, StreamStatus};
use crate::streams::state::{HalfState, Input, InvalidTransition, Transition};
use crate::violation::Violation;

use super::inner::{ConnectionFailed, Inner};
use super::receive::RawEvent;
use crate::config::WindowRelease;

impl Inner {
    /// Handles a frame header, and the part of its payload that is in `input`.
    #[inline]
    pub(super) fn receive_data_frame<'b>(
        &mut self,
        header: FrameHeader,
        too_large: bool,
        input: &mut &'b [u8],
    ) -> Result<Option<RawEvent<'b>>, ConnectionFailed> {
        let Some(data) = self.receive_data_header(header, too_large)? else { return Ok(None) };
        match input.split_at_checked(data.len as usize) {
            Some((content, rest)) if data.pad_len == Some(0) && data.len > 0 => {
                *input = rest;
                self.windows.record_content(self.timers.now());
                self.finish_data(&data);
                Ok(Some(RawEvent::Data { stream: data.stream, data: content, end: data.end }))
            }
            // In pieces, or with padding: `receive_data` continues.
            _ => {
                self.inbound.phase = Phase::Data(data);
                Ok(None)
            }
        }
    }

    /// Debits the windows and checks the stream before it looks at the payload.
    #[inline]
    fn receive_data_header(
        &mut self,
        header: FrameHeader,
        too_large: bool,
    ) -> Result<Option<DataPhase>, ConnectionFailed> {
        let (id, len) = (header.stream, header.len);
        // RFC 9113 §6.9: every DATA frame counts on the connection, whatever the state of its
        // stream.
        if let Err(left) = self.windows.debit_receive(len) {
            let error = ConnectionError::violation(Violation::WindowExceededOnConnection, id);
            return Err(self.fail(error.with_values(u64::from(len), left)));
        }
        let end = header.flags.contains(Flags::END_STREAM);
        // Padding is not content: padded frames are charged when their Pad Length is known.
        if !header.flags.contains(Flags::PADDED) {
            self.charge_content(id, len, end)?;
        }
        match self.streams.status(id) {
            StreamStatus::Live(slot) => {
                self.start_data(header, StreamKey::from_parts(id, slot), end, too_large)
            }
            StreamStatus::Idle => Err(self.fail_violation(Violation::StreamIdle, id)),
            // RFC 9113 §5.1: the peer may not have received our reset yet; and before it does, it
            // can open more streams than we remember.
            StreamStatus::Closed(CloseReason::ResetLocal) | StreamStatus::Forgotten => {
                self.discard_data(header).map(|()| None)
            }
            StreamStatus::Closed(CloseReason::Completed | CloseReason::ResetRemote)
            | StreamStatus::Skipped => {
                self.discard_data(header)?;
                self.handle_stream_violation(id, Violation::DataOnClosedStream).map(|()| None)
            }
        }
    }

    /// Charges a frame by the content that it carries.
    #[inline(always)]
    fn charge_content(&mut self, id: StreamId, len: u32, end: bool) -> Result<(), ConnectionFailed> {
        if len == 0 {
            return self.charge_empty(id, end);
        }
        self.rate_limiter.credit_content();
        // Small frames may cost the application that holds them more than their window shows.
        if len < SMALL_DATA_BYTES { self.charge(Cost::SmallData, id) } else { Ok(()) }
    }

    /// Charges an empty frame, unless it ends a stream: each stream has one such frame at most.
    fn charge_empty(&mut self, id: StreamId, end: bool) -> Result<(), ConnectionFailed> {
        let slot = self.streams.stream_key(id).and_then(|stream| self.streams.find(stream));
        if end && slot.is_some_and(|slot| slot.state.remote() == HalfState::Data) {
            return Ok(());
        }
        self.charge(Cost::EmptyFrame, id)
    }

    #[inline]
    fn start_data(
        &mut self,
        header: FrameHeader,
        stream: StreamKey,
        end: bool,
        too_large: bool,
    ) -> Result<Option<DataPhase>, ConnectionFailed> {
        let len = header.len;
        let Some(slot) = self.streams.find_mut(stream) else { return Ok(None) };
        let padded = header.flags.contains(Flags::PADDED);
        let refusal = match slot.state.next(Input::ReceiveData { end }) {
            _ if too_large => Some(Violation::DataTooLarge),
            Err(InvalidTransition::Violation(violation)) => Some(violation),
            Err(_) => Some(Violation::DataAfterEnd),
            // Padded frames are checked when their Pad Length is known.
            Ok(_) if !padded && !slot.receive.left.allows(u64::from(len), end) => {
                Some(Violation::ContentLengthMismatch)
            }
            Ok(_) if slot.receive.window.receive(len).is_none() => Some(Violation::WindowExceeded),
            Ok(_) => None,
        };
        if let Some(violation) = refusal {
            self.discard_data(header)?;
            return self.handle_stream_violation(stream.id(), violation).map(|()| None);
        }
        if padded && len == 0 {
            return Err(self.fail_violation(Violation::DataLength, stream.id()));
        }
        let pad_len = if padded { None } else { Some(0) };
        if !padded {
            slot.receive.left.take(u64::from(len));
        }
        Ok(Some(DataPhase { stream, left: len, pad_len, end, len, overhead: 0 }))
    }

    /// RFC 9113 §8.1.1: content-length must equal the sum of DATA.
    #[inline]
    fn check_content_length(
        &mut self,
        stream: StreamKey,
        content: u32,
        end: bool,
    ) -> Result<(), ConnectionFailed> {
        let Some(slot) = self.streams.find_mut(stream) else { return Ok(()) };
        if slot.receive.left.allows(u64::from(content), end) {
            slot.receive.left.take(u64::from(content));
            return Ok(());
        }
        self.handle_stream_violation(stream.id(), Violation::ContentLengthMismatch)
    }

    /// Returns the part of a DATA frame that is in `input`.
    #[inline]
    pub(super) fn receive_data<'b>(
        &mut self,
        mut data: DataPhase,
        input: &mut &'b [u8],
    ) -> Result<Option<RawEvent<'b>>, ConnectionFailed> {
        let Some(pad_len) = data.pad_len else { return self.receive_pad_len(data, input) };
        if self.streams.find(data.stream).is_none() {
            // The stream was reset within the frame: the reset has credited the rest.
            self.inbound.phase = Phase::Skip { left: data.left };
            return Ok(None);
        }
        let content_remaining = (data.left - u32::from(pad_len)) as usize;
        let (piece, rest) = input.split_at(content_remaining.min(input.len()));
        *input = rest;
        data.left -= piece.len() as u32;
        if !piece.is_empty() {
            self.windows.record_content(self.timers.now());
        }
        let last = piece.len() == content_remaining;
        if !last {
            self.inbound.phase = Phase::Data(data);
            return Ok(Some(RawEvent::Data { stream: data.stream, data: piece, end: false }));
        }
        self.inbound.phase =
            if data.left == 0 { Phase::FrameHeader } else { Phase::Skip { left: data.left } };
        self.finish_data(&data);
        if piece.is_empty() && !data.end {
            return Ok(None);
        }
        Ok(Some(RawEvent::Data { stream: data.stream, data: piece, end: data.end }))
    }

    fn receive_pad_len<'b>(
        &mut self,
        mut data: DataPhase,
        input: &mut &'b [u8],
    ) -> Result<Option<RawEvent<'b>>, ConnectionFailed> {
        let Some((&pad_len, rest)) = input.split_first() else { return Ok(None) };
        *input = rest;
        data.left -= 1;
        let Some(content) = data.left.checked_sub(u32::from(pad_len)) else {
            return Err(self.fail_violation(Violation::PaddingTooLong, data.stream.id()));
        };
        data.pad_len = Some(pad_len);
        data.overhead = 1 + u32::from(pad_len);
        self.inbound.phase = Phase::Data(data);
        self.charge_content(data.stream.id(), content, data.end)?;
        self.check_content_length(data.stream, content, data.end)?;
        Ok(None)
    }

    /// Handles the end of a frame's content: credits what needs no consumer, and closes the peer's
    /// half on END_STREAM.
    #[inline(always)]
    fn finish_data(&mut self, data: &DataPhase) {
        let credit = match self.limits.release {
            WindowRelease::Automatic => data.len,
            WindowRelease::Explicit => data.overhead,
        };
        if data.end {
            let Some(slot) = self.streams.find(data.stream) else { return };
            match slot.state.next(Input::ReceiveData { end: true }) {
                Ok(Transition::State(state)) => self.streams.advance(data.stream, state),
                Ok(Transition::Closed) => self.complete_stream(data.stream),
                Err(_) => debug_assert!(false, "the state was checked at the header"),
            }
        }
        // What is due may be enough for an update now, since the frame has lowered what the peer
        // has left.
        if credit > 0 || self.wants_window_update(data.stream) {
            self.credit(data.stream, credit);
        }
    }

    /// Whether bytes that were released before should be announced, on a stream or the connection.
    #[inline]
    fn wants_window_update(&self, stream: StreamKey) -> bool {
        self.windows.receive_window().wants_update()
            || self.streams.find(stream).is_some_and(|slot| slot.receive.window.wants_update())
    }

    /// Skips DATA that no event shows. The connection's window is credited at once.
    fn discard_data(&mut self, header: FrameHeader) -> Result<(), ConnectionFailed> {
        let FrameHeader { len, stream, .. } = header;
        self.inbound.phase = Phase::Skip { left: len };
        if header.flags.contains(Flags::PADDED) {
            if len == 0 {
                return Err(self.fail_violation(Violation::DataLength, stream));
            }
            self.inbound.phase = Phase::SkipPadded { stream, left: len };
        }
        self.release_connection_window(len);
        Ok(())
    }

    /// RFC 9113 §5.4: a connection error remains one even if the stream is in error, or closed.
    #[cold]
    pub(super) fn skip_pad_len(
        &mut self,
        id: StreamId,
        left: u32,
        input: &mut &[u8],
    ) -> Result<(), ConnectionFailed> {
        let Some((&pad_len, rest)) = input.split_first() else { return Ok(()) };
        *input = rest;
        if u32::from(pad_len) >= left {
            return Err(self.fail_violation(Violation::PaddingTooLong, id));
        }
        self.inbound.phase = Phase::Skip { left: left - 1 };
        if u32::from(pad_len) + 1 == left {
            return self.charge(Cost::EmptyFrame, id);
        }
        Ok(())
    }
}

/// DATA below this many bytes counts as small.
const SMALL_DATA_BYTES: u32 = 16;
