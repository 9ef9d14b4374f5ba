//! A channel of one stream, for what the peer sends to the application.
//!
//! Invariants: pieces are read in order and once; consumed or discarded bytes are claimed exactly
//! once, so that window credit follows the application's reads; a failure follows the content that
//! had arrived, and nothing is claimed after it, since the core has released the rest; small pieces
//! share memory, so that memory use stays near the receive window.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Response};
use http_body::Frame;

use crate::error::Error;

/// The channel. The driver and the application share it in an `Arc`. The lock belongs to this
/// stream alone, and is never held over a call to either side.
#[derive(Debug)]
pub struct Inbox(Mutex<State>);

#[derive(Debug)]
struct State {
    head: Option<Response<()>>,
    pieces: VecDeque<BytesMut>,
    trailers: Option<HeaderMap>,
    end: MessageEnd,
    /// Unread bytes, if content-length announced the length.
    remaining_length: Option<u64>,
    /// Bytes that the application has consumed and the driver has not claimed yet.
    consumed: usize,
    reader: Option<Waker>,
    reader_dropped: bool,
    first_read: FirstRead,
    /// Whether the driver waits until the reader has read everything.
    awaits_end: bool,
    /// Wakes the driver.
    waker: Option<Waker>,
}

#[derive(Debug)]
enum MessageEnd {
    /// More content may arrive.
    Open,
    /// The message is complete.
    Ended,
    /// The stream failed; `None` once the reader has the error.
    Failed(Option<Error>),
}

/// Whether the driver waits for the reader's first read, to send 100 (RFC 9110 §10.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FirstRead {
    /// No, or no more.
    NotAwaited,
    Awaited,
    /// The driver does not know of it yet.
    Happened,
}

/// The reader's progress since the driver's last call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Consumed {
    /// Bytes to release.
    pub bytes: usize,
    /// Whether the application has dropped its end.
    pub reader_dropped: bool,
    /// Whether there are bytes that the application has not consumed.
    pub has_unread: bool,
    /// Whether the first read that the driver awaits has happened.
    pub first_read: bool,
    /// Whether the application has read the whole message.
    pub is_finished: bool,
}

impl Inbox {
    /// Creates an empty channel. `waker` is woken when the reader consumes something or is
    /// dropped.
    pub fn new(waker: Option<Waker>) -> Self {
        Self(Mutex::new(State {
            head: None,
            pieces: VecDeque::new(),
            trailers: None,
            end: MessageEnd::Open,
            remaining_length: None,
            consumed: 0,
            reader: None,
            reader_dropped: false,
            first_read: FirstRead::NotAwaited,
            awaits_end: false,
            waker,
        }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets another waker.
    pub fn set_waker(&self, waker: Option<Waker>) {
        self.lock().waker = waker;
    }

    /// Makes the first read wake the driver.
    pub fn await_first_read(&self) {
        self.lock().first_read = FirstRead::Awaited;
    }

    /// Makes the read of the end wake the driver.
    pub fn await_end(&self) {
        self.lock().awaits_end = true;
    }

    /// Returns whether the application has dropped its end.
    pub fn reader_dropped(&self) -> bool {
        self.lock().reader_dropped
    }

    /// Sets the announced length of the content.
    pub fn set_content_length(&self, len: Option<u64>) {
        self.lock().remaining_length = len;
    }

    /// Stores the headers of the response.
    pub fn push_head(&self, head: Response<()>) {
        let mut state = self.lock();
        state.head = Some(head);
        state.wake_reader();
    }

    /// Adds content. Returns `false` if the reader is dropped.
    pub fn push(&self, data: &[u8]) -> bool {
        let mut state = self.lock();
        if state.reader_dropped {
            return false;
        }
        if data.is_empty() {
            return true;
        }
        let fits = |last: &&mut BytesMut| last.capacity() - last.len() >= data.len();
        match state.pieces.back_mut().filter(fits) {
            Some(last) => last.extend_from_slice(data),
            None => {
                let room = if state.pieces.is_empty() { 0 } else { PIECE_BYTES_MIN };
                let mut piece = BytesMut::with_capacity(data.len().max(room));
                piece.extend_from_slice(data);
                state.pieces.push_back(piece);
            }
        }
        state.wake_reader();
        true
    }

    /// Completes the message.
    pub fn finish(&self, trailers: Option<HeaderMap>) {
        let mut state = self.lock();
        if matches!(state.end, MessageEnd::Open) {
            state.trailers = trailers;
            state.end = MessageEnd::Ended;
            state.wake_reader();
        }
    }

    /// Fails the stream. Content that had arrived stays readable; the failure follows it if the
    /// message was incomplete. Nothing is claimed any more.
    pub fn fail(&self, error: Error) {
        let mut state = self.lock();
        state.waker = None;
        state.consumed = 0;
        if matches!(state.end, MessageEnd::Open) {
            state.end = MessageEnd::Failed(Some(error));
            state.wake_reader();
        }
    }

    /// Takes the reader's progress since the last call.
    pub fn take_consumed(&self) -> Consumed {
        let mut state = self.lock();
        let bytes = std::mem::take(&mut state.consumed);
        // The core has released the buffered bytes of a failed stream.
        let has_unread = !state.pieces.is_empty() && !matches!(state.end, MessageEnd::Failed(_));
        let first_read = state.first_read == FirstRead::Happened;
        if first_read {
            state.first_read = FirstRead::NotAwaited;
        }
        Consumed {
            bytes,
            reader_dropped: state.reader_dropped,
            has_unread,
            first_read,
            is_finished: state.is_finished(),
        }
    }

    /// Polls for the headers of the response.
    pub fn poll_head(&self, cx: &mut Context<'_>) -> Poll<Result<Response<()>, Error>> {
        let mut state = self.lock();
        if let Some(head) = state.head.take() {
            state.wake_driver_at_end();
            return Poll::Ready(Ok(head));
        }
        if let MessageEnd::Failed(error) = &mut state.end {
            let already_reported = || Error::reset(thalweg::ErrorCode::CANCEL);
            return Poll::Ready(Err(error.take().unwrap_or_else(already_reported)));
        }
        state.wait(cx);
        Poll::Pending
    }

    /// Polls for the next piece, or the trailers.
    pub fn poll_frame(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let mut state = self.lock();
        if let Some(piece) = state.pieces.pop_front() {
            state.consume(piece.len());
            return Poll::Ready(Some(Ok(Frame::data(piece.freeze()))));
        }
        match &mut state.end {
            MessageEnd::Open => {
                state.wait(cx);
                if state.first_read == FirstRead::Awaited {
                    state.first_read = FirstRead::Happened;
                    state.wake_driver();
                }
                Poll::Pending
            }
            MessageEnd::Ended => {
                let trailers = state.trailers.take();
                state.wake_driver_at_end();
                Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))))
            }
            MessageEnd::Failed(error) => Poll::Ready(error.take().map(Err)),
        }
    }

    /// Returns whether `poll_frame` would return the end.
    pub fn is_end(&self) -> bool {
        let state = self.lock();
        let over = matches!(state.end, MessageEnd::Ended | MessageEnd::Failed(None));
        over && state.pieces.is_empty() && state.trailers.is_none()
    }

    /// Returns the number of unread bytes, if known.
    pub fn bytes_left(&self) -> Option<u64> {
        let state = self.lock();
        match state.end {
            MessageEnd::Open => state.remaining_length,
            MessageEnd::Ended => Some(state.pieces.iter().map(|piece| piece.len() as u64).sum()),
            MessageEnd::Failed(_) => None,
        }
    }

    /// Drops the reader. Unread bytes count as consumed.
    pub fn drop_reader(&self) {
        let mut state = self.lock();
        state.reader_dropped = true;
        state.reader = None;
        let pieces = std::mem::take(&mut state.pieces);
        let unread = pieces.iter().map(BytesMut::len).sum();
        state.consume(unread);
        // The driver needs no wake-up for a complete message without window to release.
        if matches!(state.end, MessageEnd::Open) || state.consumed > 0 || state.awaits_end {
            state.wake_driver();
        }
    }
}

impl State {
    fn is_finished(&self) -> bool {
        let is_read = self.head.is_none() && self.pieces.is_empty() && self.trailers.is_none();
        is_read && matches!(self.end, MessageEnd::Ended)
    }

    /// Wakes a driver that waits for the end of the reader.
    fn wake_driver_at_end(&self) {
        if self.awaits_end && self.is_finished() {
            self.wake_driver();
        }
    }

    fn wake_reader(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }

    fn wait(&mut self, cx: &Context<'_>) {
        match &mut self.reader {
            Some(reader) => reader.clone_from(cx.waker()),
            None => self.reader = Some(cx.waker().clone()),
        }
    }

    /// Counts bytes as consumed.
    fn consume(&mut self, len: usize) {
        if let Some(remaining_length) = &mut self.remaining_length {
            *remaining_length = remaining_length.saturating_sub(len as u64);
        }
        if len > 0 && !matches!(self.end, MessageEnd::Failed(_)) && self.waker.is_some() {
            self.consumed += len;
            self.wake_driver();
        }
    }

    fn wake_driver(&self) {
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
    }
}

/// Capacity of each piece behind the first, bytes. Collects the small pieces that a slow reader
/// leaves unread.
const PIECE_BYTES_MIN: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;
    use thalweg::ErrorCode;

    const NOTHING: Consumed = Consumed {
        bytes: 0,
        reader_dropped: false,
        has_unread: false,
        first_read: false,
        is_finished: false,
    };

    fn inbox() -> Inbox {
        Inbox::new(Some(Waker::noop().clone()))
    }

    fn next(inbox: &Inbox) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        inbox.poll_frame(&mut Context::from_waker(Waker::noop()))
    }

    fn data(inbox: &Inbox) -> Bytes {
        match next(inbox) {
            Poll::Ready(Some(Ok(frame))) => frame.into_data().unwrap(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn consumed_bytes_are_claimed_once() {
        let inbox = inbox();
        assert!(inbox.push(b"hello") && inbox.push(&[7; 5000]));
        assert_eq!(
            inbox.take_consumed(),
            Consumed { bytes: 0, reader_dropped: false, has_unread: true, ..NOTHING }
        );
        assert_eq!(data(&inbox), &b"hello"[..]);
        assert_eq!(inbox.take_consumed().bytes, 5);
        assert_eq!(inbox.take_consumed().bytes, 0);
        inbox.drop_reader();
        assert_eq!(
            inbox.take_consumed(),
            Consumed { bytes: 5000, reader_dropped: true, has_unread: false, ..NOTHING }
        );
        assert!(!inbox.push(b"late"));
    }

    #[test]
    fn small_chunks_share_memory() {
        let inbox = inbox();
        for _ in 0..10_000 {
            inbox.push(b"x");
        }
        assert_eq!(inbox.lock().pieces.len(), 4, "one of its own, then pieces of 4,096");
        let mut read = 0;
        while let Poll::Ready(Some(Ok(frame))) = next(&inbox) {
            read += frame.into_data().unwrap().len();
        }
        assert_eq!(read, 10_000);
    }

    #[test]
    fn received_content_survives_a_reset_and_only_an_incomplete_message_fails() {
        let whole = inbox();
        whole.push(b"all");
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", "0".parse().unwrap());
        whole.finish(Some(trailers));
        whole.fail(Error::reset(ErrorCode::NO_ERROR));
        assert_eq!(data(&whole), &b"all"[..]);
        assert_eq!(whole.take_consumed().bytes, 0, "the core has released it");
        assert!(!whole.is_end());
        assert!(matches!(next(&whole), Poll::Ready(Some(Ok(frame))) if frame.is_trailers()));
        assert!(whole.is_end());
        assert!(matches!(next(&whole), Poll::Ready(None)));

        let broken = inbox();
        broken.push(b"half");
        broken.fail(Error::reset(ErrorCode::CANCEL));
        assert!(!broken.take_consumed().has_unread, "the core has released it");
        assert_eq!(data(&broken), &b"half"[..]);
        assert_eq!(broken.take_consumed().bytes, 0);
        assert!(matches!(next(&broken), Poll::Ready(Some(Err(Error::Reset { .. })))));
        assert!(matches!(next(&broken), Poll::Ready(None)));
    }

    #[test]
    fn remaining_bytes_are_known_from_the_length_or_from_the_end() {
        let inbox = inbox();
        assert_eq!(inbox.bytes_left(), None);
        inbox.set_content_length(Some(10));
        inbox.push(b"1234");
        data(&inbox);
        assert_eq!(inbox.bytes_left(), Some(6));
        inbox.push(b"567890");
        inbox.finish(None);
        assert_eq!(inbox.bytes_left(), Some(6));
        data(&inbox);
        assert_eq!(inbox.bytes_left(), Some(0));
        assert!(inbox.is_end());
    }
}
