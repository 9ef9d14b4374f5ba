//! DATA (RFC 9113 §6.1): debited at its head, handed out as it comes.

use crate::budget::Work;
use crate::error::ConnectionError;
use crate::frame::{Flags, Head};
use crate::inbound::{DataPhase, Phase};
use crate::stream_id::{Stream, StreamId};
use crate::streams::ids::{Closed, Fate};
use crate::streams::state::{Half, Input, Next, Refusal};
use crate::violation::Violation;

use super::receive::Step;
use super::{Core, Failed, Release};

impl DataPhase {
    /// Whether nothing can be said before more input comes.
    pub fn awaits_input(&self) -> bool {
        match self.pad_len {
            None => true,
            Some(pad_len) => self.left > u32::from(pad_len),
        }
    }
}

impl Core {
    /// A frame's head, and what is there of its payload.
    #[inline]
    pub(super) fn receive_data_frame<'b>(
        &mut self,
        head: Head,
        too_large: bool,
        input: &mut &'b [u8],
    ) -> Result<Option<Step<'b>>, Failed> {
        let Some(data) = self.receive_data_head(head, too_large)? else { return Ok(None) };
        match input.split_at_checked(data.len as usize) {
            Some((content, rest)) if data.pad_len == Some(0) && data.len > 0 => {
                *input = rest;
                self.note_content();
                self.finish_data(&data);
                Ok(Some(Step::Data { stream: data.stream, data: content, end: data.end }))
            }
            // In pieces, or with padding: the machine goes on from there.
            _ => {
                self.inbound.phase = Phase::Data(data);
                Ok(None)
            }
        }
    }

    /// Debits the windows and judges the stream before any of the payload is looked at.
    #[inline]
    fn receive_data_head(&mut self, head: Head, too_large: bool) -> Result<Option<DataPhase>, Failed> {
        let (id, len) = (head.stream, head.len);
        // RFC 9113 §6.9: every DATA frame counts on the connection, whatever becomes of its stream.
        if self.receive_window.receive(len).is_none() {
            let error = ConnectionError::violation(Violation::WindowExceededOnConnection, id);
            let left = self.receive_window.available().max(0) as u64;
            return Err(self.fail(error.with_values(u64::from(len), left)));
        }
        let end = head.flags.contains(Flags::END_STREAM);
        // Padding is no content: padded frames are charged when their Pad Length is known.
        if !head.flags.contains(Flags::PADDED) {
            self.charge_content(id, len, end)?;
        }
        match self.streams.fate(id) {
            Fate::Live(slot) => self.begin_data(head, Stream::from_parts(id, slot), end, too_large),
            Fate::Idle => Err(self.violated(Violation::StreamIdle, id)),
            // RFC 9113 §5.1: the peer may not have seen our reset yet; and a fast peer opens more streams before it
            // does than we remember.
            Fate::Closed(Closed::ResetLocal) | Fate::Forgotten => self.discard_data(head).map(|()| None),
            Fate::Closed(Closed::Ended | Closed::ResetRemote) | Fate::Skipped => {
                self.discard_data(head)?;
                self.stream_violated(id, Violation::DataOnClosedStream).map(|()| None)
            }
        }
    }

    /// Charges a frame with so much content.
    #[inline]
    fn charge_content(&mut self, id: StreamId, len: u32, end: bool) -> Result<(), Failed> {
        if len == 0 {
            return self.charge_empty(id, end);
        }
        self.accounts.credit_content();
        // What the application holds of small frames may cost it more than their window says.
        if len < SMALL_DATA_BYTES { self.charge(Work::SmallData, id) } else { Ok(()) }
    }

    /// An empty frame that ends a stream is worth as much as END_STREAM on a longer one: there is one a stream.
    fn charge_empty(&mut self, id: StreamId, end: bool) -> Result<(), Failed> {
        let slot = self.streams.handle(id).and_then(|stream| self.streams.find(stream));
        if end && slot.is_some_and(|slot| slot.state.remote() == Half::Body) {
            return Ok(());
        }
        self.charge(Work::EmptyFrame, id)
    }

    #[inline]
    fn begin_data(
        &mut self,
        head: Head,
        stream: Stream,
        end: bool,
        too_large: bool,
    ) -> Result<Option<DataPhase>, Failed> {
        let len = head.len;
        let Some(slot) = self.streams.find_mut(stream) else { return Ok(None) };
        let padded = head.flags.contains(Flags::PADDED);
        let refusal = match slot.state.next(Input::ReceiveData { end }) {
            _ if too_large => Some(Violation::DataTooLarge),
            Err(Refusal::Violation(violation)) => Some(violation),
            Err(_) => Some(Violation::DataAfterEnd),
            // Padded frames are judged when their Pad Length is known.
            Ok(_) if !padded && !slot.receive_left.allows(u64::from(len), end) => {
                Some(Violation::ContentLengthMismatch)
            }
            Ok(_) if slot.receive_window.receive(len).is_none() => Some(Violation::WindowExceeded),
            Ok(_) => None,
        };
        if let Some(violation) = refusal {
            self.discard_data(head)?;
            return self.stream_violated(stream.id(), violation).map(|()| None);
        }
        if padded && len == 0 {
            return Err(self.violated(Violation::DataLength, stream.id()));
        }
        let pad_len = if padded { None } else { Some(0) };
        if !padded {
            slot.receive_left.take(u64::from(len));
        }
        Ok(Some(DataPhase { stream, left: len, pad_len, end, len, overhead: 0 }))
    }

    /// RFC 9113 §8.1.1: content-length must equal the sum of DATA.
    #[inline]
    fn check_content(&mut self, stream: Stream, content: u32, end: bool) -> Result<(), Failed> {
        let Some(slot) = self.streams.find_mut(stream) else { return Ok(()) };
        if slot.receive_left.allows(u64::from(content), end) {
            slot.receive_left.take(u64::from(content));
            return Ok(());
        }
        self.stream_violated(stream.id(), Violation::ContentLengthMismatch)
    }

    /// Hands out what is there of a DATA frame.
    #[inline]
    pub(super) fn receive_data<'b>(
        &mut self,
        mut data: DataPhase,
        input: &mut &'b [u8],
    ) -> Result<Option<Step<'b>>, Failed> {
        let Some(pad_len) = data.pad_len else { return self.receive_pad_len(data, input) };
        if self.streams.find(data.stream).is_none() {
            // Reset in the middle of the frame: the rest was credited with what was held.
            self.inbound.phase = Phase::Skip { left: data.left };
            return Ok(None);
        }
        let content_left = (data.left - u32::from(pad_len)) as usize;
        let (piece, rest) = input.split_at(content_left.min(input.len()));
        *input = rest;
        data.left -= piece.len() as u32;
        if !piece.is_empty() {
            self.note_content();
        }
        let last = piece.len() == content_left;
        if !last {
            self.inbound.phase = Phase::Data(data);
            return Ok(Some(Step::Data { stream: data.stream, data: piece, end: false }));
        }
        self.inbound.phase = if data.left == 0 { Phase::Head } else { Phase::Skip { left: data.left } };
        self.finish_data(&data);
        if piece.is_empty() && !data.end {
            return Ok(None);
        }
        Ok(Some(Step::Data { stream: data.stream, data: piece, end: data.end }))
    }

    fn receive_pad_len<'b>(
        &mut self,
        mut data: DataPhase,
        input: &mut &'b [u8],
    ) -> Result<Option<Step<'b>>, Failed> {
        let Some((&pad_len, rest)) = input.split_first() else { return Ok(None) };
        *input = rest;
        data.left -= 1;
        let Some(content) = data.left.checked_sub(u32::from(pad_len)) else {
            return Err(self.violated(Violation::PaddingTooLong, data.stream.id()));
        };
        data.pad_len = Some(pad_len);
        data.overhead = 1 + u32::from(pad_len);
        self.inbound.phase = Phase::Data(data);
        self.charge_content(data.stream.id(), content, data.end)?;
        self.check_content(data.stream, content, data.end)?;
        Ok(None)
    }

    /// All content of a frame was handed out: credit what needs no consumer, and end the peer's half if it says so.
    #[inline]
    fn finish_data(&mut self, data: &DataPhase) {
        let credit = match self.bounds.release {
            Release::Automatic => data.len,
            Release::Explicit => data.overhead,
        };
        if data.end {
            let Some(slot) = self.streams.find(data.stream) else { return };
            match slot.state.next(Input::ReceiveData { end: true }) {
                Ok(Next::State(state)) => self.streams.advance(data.stream, state),
                Ok(Next::Closed) => self.complete_stream(data.stream),
                Err(_) => debug_assert!(false, "the state was judged at the head"),
            }
        }
        if credit > 0 {
            self.credit(data.stream, credit);
        }
    }

    /// Passes DATA over that nobody will see; the connection gets its credit at once.
    fn discard_data(&mut self, head: Head) -> Result<(), Failed> {
        let Head { len, stream, .. } = head;
        self.inbound.phase = Phase::Skip { left: len };
        if head.flags.contains(Flags::PADDED) {
            if len == 0 {
                return Err(self.violated(Violation::DataLength, stream));
            }
            self.inbound.phase = Phase::SkipPadded { stream, left: len };
        }
        self.release_on_connection(len);
        Ok(())
    }

    /// RFC 9113 §5.4: an error of the connection is one even where the stream is in error, or gone.
    #[cold]
    pub(super) fn skip_pad_len(&mut self, id: StreamId, left: u32, input: &mut &[u8]) -> Result<(), Failed> {
        let Some((&pad_len, rest)) = input.split_first() else { return Ok(()) };
        *input = rest;
        if u32::from(pad_len) >= left {
            return Err(self.violated(Violation::PaddingTooLong, id));
        }
        self.inbound.phase = Phase::Skip { left: left - 1 };
        if u32::from(pad_len) + 1 == left {
            return self.charge(Work::EmptyFrame, id);
        }
        Ok(())
    }
}

/// DATA below this many bytes counts as small.
const SMALL_DATA_BYTES: u32 = 16;
