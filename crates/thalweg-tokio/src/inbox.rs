//! What the peer sends on one stream, on its way to the application: a channel of that stream alone.
//!
//! Keeps true: pieces come out in order and once; bytes that were handed out or thrown away are claimed exactly once,
//! so that window credit follows what the application consumed; a failure comes behind what had arrived, and nothing more is
//! claimed then, since the core has credited the rest; small pieces share memory, so what is held stays near what the peer may send.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Response};
use http_body::Frame;

use crate::error::Error;

/// The channel. The driver and the application hold it in an `Arc`; the lock is of this stream alone and never
/// held over a call to either.
#[derive(Debug)]
pub struct Inbox(Mutex<State>);

#[derive(Debug)]
struct State {
    head: Option<Response<()>>,
    pieces: VecDeque<BytesMut>,
    trailers: Option<HeaderMap>,
    end: MessageEnd,
    /// What content-length leaves to hand out.
    remaining_length: Option<u64>,
    /// Bytes that the application has consumed and the driver has not yet claimed.
    consumed: usize,
    reader: Option<Waker>,
    reader_dropped: bool,
    /// Rings the driver.
    waker: Option<Waker>,
}

#[derive(Debug)]
enum MessageEnd {
    /// More may come.
    Open,
    /// All has come.
    Ended,
    /// It broke off; `None` when the reader was told.
    Failed(Option<Error>),
}

/// What the driver learns when it looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Consumed {
    /// Bytes to release.
    pub bytes: usize,
    /// The application has let go of its end.
    pub reader_dropped: bool,
    /// Bytes that the application has yet to consume.
    pub has_unread: bool,
}

impl Inbox {
    /// An empty channel. `waker` tells the driver that something was consumed or let go.
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
            waker,
        }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives it another bell.
    pub fn set_waker(&self, waker: Option<Waker>) {
        self.lock().waker = waker;
    }

    /// Whether the application has let go.
    pub fn reader_dropped(&self) -> bool {
        self.lock().reader_dropped
    }

    /// Notes how long the content is said to be.
    pub fn set_content_length(&self, len: Option<u64>) {
        self.lock().remaining_length = len;
    }

    /// The head of the response has come.
    pub fn push_head(&self, head: Response<()>) {
        let mut state = self.lock();
        state.head = Some(head);
        state.wake_reader();
    }

    /// A piece of content has come. Returns `false` if nobody will read it.
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

    /// All has come.
    pub fn finish(&self, trailers: Option<HeaderMap>) {
        let mut state = self.lock();
        if matches!(state.end, MessageEnd::Open) {
            state.trailers = trailers;
            state.end = MessageEnd::Ended;
            state.wake_reader();
        }
    }

    /// The stream is over. What has come stays readable, with the failure behind it if that was not all. Nothing is claimed any
    /// more.
    pub fn fail(&self, error: Error) {
        let mut state = self.lock();
        state.waker = None;
        state.consumed = 0;
        if matches!(state.end, MessageEnd::Open) {
            state.end = MessageEnd::Failed(Some(error));
            state.wake_reader();
        }
    }

    /// What the application did since the last look.
    pub fn take_consumed(&self) -> Consumed {
        let mut state = self.lock();
        let bytes = std::mem::take(&mut state.consumed);
        // The core has credited what is held of a stream that failed.
        let has_unread = !state.pieces.is_empty() && !matches!(state.end, MessageEnd::Failed(_));
        Consumed { bytes, reader_dropped: state.reader_dropped, has_unread }
    }

    /// For the application: the head of the response.
    pub fn poll_head(&self, cx: &mut Context<'_>) -> Poll<Result<Response<()>, Error>> {
        let mut state = self.lock();
        if let Some(head) = state.head.take() {
            return Poll::Ready(Ok(head));
        }
        if let MessageEnd::Failed(error) = &mut state.end {
            let already_reported = || Error::reset(thalweg::ErrorCode::CANCEL);
            return Poll::Ready(Err(error.take().unwrap_or_else(already_reported)));
        }
        state.wait(cx);
        Poll::Pending
    }

    /// For the application: the next piece, or the trailers.
    pub fn poll_frame(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let mut state = self.lock();
        if let Some(piece) = state.pieces.pop_front() {
            state.consume(piece.len());
            return Poll::Ready(Some(Ok(Frame::data(piece.freeze()))));
        }
        match &mut state.end {
            MessageEnd::Open => {
                state.wait(cx);
                Poll::Pending
            }
            MessageEnd::Ended => {
                Poll::Ready(state.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))))
            }
            MessageEnd::Failed(error) => Poll::Ready(error.take().map(Err)),
        }
    }

    /// For the application: whether `poll_frame` would say that nothing is left.
    pub fn is_end(&self) -> bool {
        let state = self.lock();
        let over = matches!(state.end, MessageEnd::Ended | MessageEnd::Failed(None));
        over && state.pieces.is_empty() && state.trailers.is_none()
    }

    /// For the application: the bytes that are left, if it is known how many.
    pub fn bytes_left(&self) -> Option<u64> {
        let state = self.lock();
        match state.end {
            MessageEnd::Open => state.remaining_length,
            MessageEnd::Ended => Some(state.pieces.iter().map(|piece| piece.len() as u64).sum()),
            MessageEnd::Failed(_) => None,
        }
    }

    /// For the application: it lets go; what it has not read counts as consumed.
    pub fn drop_reader(&self) {
        let mut state = self.lock();
        state.reader_dropped = true;
        state.reader = None;
        let pieces = std::mem::take(&mut state.pieces);
        let unread = pieces.iter().map(BytesMut::len).sum();
        state.consume(unread);
        // Where all has come and nothing is to be credited, nobody waits to hear of it.
        if matches!(state.end, MessageEnd::Open) || state.consumed > 0 {
            state.wake_driver();
        }
    }
}

impl State {
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

/// Room of each piece behind the first, bytes: what a slow reader leaves in small pieces is collected in such.
const PIECE_BYTES_MIN: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;
    use thalweg::ErrorCode;

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
    fn consumed_bytes_are_taken_once() {
        let inbox = inbox();
        assert!(inbox.push(b"hello") && inbox.push(&[7; 5000]));
        assert_eq!(inbox.take_consumed(), Consumed { bytes: 0, reader_dropped: false, has_unread: true });
        assert_eq!(data(&inbox), &b"hello"[..]);
        assert_eq!(inbox.take_consumed().bytes, 5);
        assert_eq!(inbox.take_consumed().bytes, 0);
        inbox.drop_reader();
        assert_eq!(inbox.take_consumed(), Consumed { bytes: 5000, reader_dropped: true, has_unread: false });
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
        assert_eq!(whole.take_consumed().bytes, 0, "the core has credited it");
        assert!(!whole.is_end());
        assert!(matches!(next(&whole), Poll::Ready(Some(Ok(frame))) if frame.is_trailers()));
        assert!(whole.is_end());
        assert!(matches!(next(&whole), Poll::Ready(None)));

        let broken = inbox();
        broken.push(b"half");
        broken.fail(Error::reset(ErrorCode::CANCEL));
        assert!(!broken.take_consumed().has_unread, "the core has credited it");
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
