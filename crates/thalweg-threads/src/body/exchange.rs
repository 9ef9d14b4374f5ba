//! One request and its response, shared by the driver's thread and the thread that handles it.
//!
//! Bytes move in buffers that change their owner: the reader swaps received content out whole, and
//! a message owns the content to send. Only the driver copies under the lock, and only what it
//! received.
//!
//! Invariants: received content stays within the stream's window; unsent content stays within
//! `BufferLimits::unsent_bytes_max` plus one chunk; the end is delivered once and is final; only
//! waiting threads are woken.

use std::collections::VecDeque;
use std::fmt;
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use thalweg::frame::{Flags, FrameType};
use thalweg::{ErrorCode, Priority, ResetCause, StreamKey};
use thalweg_http::repair::Section;

use crate::blocked::Blocked;
use crate::error::Error;
use crate::fields::Fields;
use crate::message::Response;
use crate::outbound::repair;

/// Limits of one stream's buffers.
#[derive(Clone, Copy, Debug)]
pub struct BufferLimits {
    /// Consumed bytes after which a reader reports them, bytes.
    pub report_bytes: usize,
    /// Content that a writer may queue ahead of the core, bytes.
    pub unsent_bytes_max: usize,
}

/// A command of a thread to the driver for a stream.
#[derive(Debug)]
pub enum StreamCommand {
    /// Sends content, and ends our half if `finish` is set.
    Send { chunk: Chunk, finish: Option<Finish> },
    /// Releases consumed bytes.
    Release { bytes: usize },
    /// The reader of the content has read its end, while the request is still being sent.
    FinishReader,
    /// The reader of the content was dropped: received and further content is discarded.
    DropReader,
    /// The handler or the writer was dropped before its end.
    DropSource,
    /// The source of the content failed.
    FailSource(Error),
    /// Reports that the handler reads: sends 100 (Continue) if it is owed (RFC 9110 §10.1.1).
    SendContinue,
    /// Sets the stream's priority (RFC 9218).
    SetPriority(Priority),
    /// Sets the padding of each outbound DATA frame.
    SetPadding(Option<u8>),
    /// Sends a frame of an unknown type.
    SendExtension { kind: FrameType, flags: Flags, payload: Vec<u8> },
    /// Resets the stream at the application's request.
    Reset { code: ErrorCode },
}

/// Owned outbound content.
#[derive(Debug)]
pub enum Chunk {
    /// Shared, static, or empty.
    Bytes(Bytes),
    /// From a writer, which gets the buffer back.
    Buffer(Vec<u8>),
}

impl Chunk {
    /// No content.
    pub const EMPTY: Self = Self::Bytes(Bytes::new());

    /// Returns the bytes.
    pub fn as_slice(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Buffer(buffer) => buffer,
        }
    }

    /// Returns its part of the unsent bytes: its length, and the overhead of a message.
    pub fn cost(&self) -> usize {
        self.as_slice().len() + MESSAGE_COST_BYTES
    }
}

/// How our half of a stream ends.
#[derive(Debug)]
pub enum Finish {
    /// With END_STREAM on its content.
    End,
    /// With trailers.
    Trailers(Fields),
}

impl Finish {
    /// Returns the end of a message with these trailers, after their repair.
    pub fn with(trailers: Option<Fields>) -> Self {
        let Some(mut trailers) = trailers else { return Self::End };
        repair(Section::Trailers, &mut trailers);
        if trailers.is_empty() { Self::End } else { Self::Trailers(trailers) }
    }
}

/// The command queue of a driver.
pub trait StreamCommandSink: Send + Sync {
    /// Submits a command. Drops it if the driver has ended, which the exchange reports.
    fn submit(&self, stream: StreamKey, command: StreamCommand);
}

/// The state that a stream's driver and its application share.
pub struct Exchange {
    pub limits: BufferLimits,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    /// `None` once the stream has ended early: the driver expects no command, and a source that is
    /// still being read does not keep the connection open.
    commands: Option<Arc<dyn StreamCommandSink>>,
    waiters: u32,
    /// On a client, `None` until the stream is open.
    stream: Option<StreamKey>,
    /// On a client, the informational responses that were not read yet.
    informational: VecDeque<Response<()>>,
    /// On a client, the response's headers until they are read.
    head: Option<Response<()>>,
    received: Vec<u8>,
    incoming: Incoming,
    unsent: usize,
    /// The number of chunks that were sent, to see progress.
    chunks_sent: u64,
    /// Whether the driver wants to know when all content is read.
    reports_end: bool,
    /// A buffer for the next chunk.
    spare: Option<Vec<u8>>,
    failure: Option<Error>,
    priority: Priority,
    /// Whether the application dropped the exchange before the stream was open.
    abandoned: bool,
}

/// The state of the inbound half.
enum Incoming {
    Open,
    Ended(Option<Fields>),
}

/// The result of a wait.
#[derive(Debug)]
pub enum WaitResult {
    /// The headers of a response.
    Head(Response<()>),
    /// Content was swapped in.
    Content,
    /// The content has ended.
    Ended(Option<Fields>),
    /// There is capacity for outbound content, and perhaps a buffer for it.
    Capacity(Option<Vec<u8>>),
    /// The stream ended early.
    Failed(Error),
    /// The deadline expired.
    TimedOut,
}

/// The conditions that a thread waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interest {
    pub head: bool,
    pub content: bool,
    pub capacity: bool,
}

impl Exchange {
    pub fn new(
        commands: Arc<dyn StreamCommandSink>,
        limits: BufferLimits,
        stream: Option<StreamKey>,
    ) -> Arc<Self> {
        let state = State {
            commands: Some(commands),
            waiters: 0,
            stream,
            informational: VecDeque::new(),
            head: None,
            received: Vec::new(),
            incoming: Incoming::Open,
            unsent: 0,
            chunks_sent: 0,
            reports_end: false,
            spare: None,
            failure: None,
            priority: Priority::default(),
            abandoned: false,
        };
        Arc::new(Self { limits, state: Mutex::new(state), changed: Condvar::new() })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code panics under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        change(&mut state);
        let is_awaited = state.waiters > 0;
        drop(state);
        if is_awaited {
            self.changed.notify_all();
        }
    }

    // Deliveries of the driver.

    /// Opens the stream. Returns whether the application still needs it.
    pub fn open(&self, stream: StreamKey) -> bool {
        let mut wanted = true;
        self.change(|state| {
            state.stream = Some(stream);
            wanted = !state.abandoned;
        });
        wanted
    }

    /// Returns whether the application still waits for the stream to be opened.
    pub fn is_wanted(&self) -> bool {
        !self.lock().abandoned
    }

    /// Delivers an informational response. Keeps only the latest that are not read.
    pub fn deliver_informational(&self, head: Response<()>) {
        self.change(|state| {
            if state.informational.len() == INFORMATIONAL_MAX {
                state.informational.pop_front();
            }
            state.informational.push_back(head);
        });
    }

    /// Delivers the headers of the response. `end`: they end it, and whether the reader reports its
    /// end.
    pub fn deliver_head(&self, head: Response<()>, end: Option<bool>) {
        self.change(|state| {
            state.head = Some(head);
            state.end_incoming(end);
        });
    }

    /// Delivers content. `end`: it is the last, and whether the reader reports its end.
    pub fn deliver_content(&self, data: &[u8], end: Option<bool>) {
        self.change(|state| {
            state.received.extend_from_slice(data);
            state.end_incoming(end);
        });
    }

    /// Delivers trailers. `reports_end`: the reader reports its end.
    pub fn deliver_trailers(&self, trailers: Fields, reports_end: bool) {
        self.change(|state| {
            state.incoming = Incoming::Ended(Some(trailers));
            state.reports_end = reports_end;
        });
    }

    /// Returns a chunk that the core has accepted: its writer may continue, and gets its buffer
    /// back.
    pub fn deliver_sent(&self, chunk: Chunk) {
        let cost = chunk.cost();
        self.change(|state| {
            state.unsent = state.unsent.saturating_sub(cost);
            state.chunks_sent += 1;
            if let Chunk::Buffer(buffer) = chunk {
                state.spare = Some(buffer);
            }
        });
    }

    /// Delivers the early end of the stream. Later ends are ignored.
    pub fn deliver_end(&self, error: Error) {
        let mut commands = None;
        self.change(|state| {
            state.failure.get_or_insert(error);
            commands = state.commands.take();
        });
        // Without the lock: this may be the last handle of the connection.
        drop(commands);
    }

    /// Delivers another priority.
    pub fn deliver_priority(&self, priority: Priority) {
        self.lock().priority = priority;
    }

    // Calls of the application.

    /// Returns the priority that was received or set last.
    pub fn priority(&self) -> Priority {
        self.lock().priority
    }

    /// Returns why the stream ended early, if it did.
    pub fn failure(&self) -> Option<Error> {
        self.lock().failure.clone()
    }

    /// Returns whether the peer has sent a complete response, and the rest of the request is not
    /// needed: by a reset without an error (RFC 9113 §8.1), or by ours after it was read. The
    /// response stays valid.
    pub fn is_answered(&self) -> bool {
        let state = self.lock();
        let Some(Error::Reset { code, by }) = state.failure else { return false };
        let is_declined = code == ErrorCode::NO_ERROR && by == ResetCause::Remote;
        (is_declined || by == ResetCause::Application) && matches!(state.incoming, Incoming::Ended(_))
    }

    /// Returns the number of chunks that were sent.
    pub fn chunks_sent(&self) -> u64 {
        self.lock().chunks_sent
    }

    /// Submits a command. Before the stream is open, only a reset has an effect.
    pub fn submit(&self, command: StreamCommand) {
        let mut state = self.lock();
        let Some(stream) = state.stream else {
            state.abandoned = true;
            return;
        };
        let commands = state.commands.clone();
        drop(state);
        if let Some(commands) = commands {
            commands.submit(stream, command);
        }
    }

    /// Reports that all content was read, if the driver wants to know.
    pub fn report_end(&self) {
        if mem::take(&mut self.lock().reports_end) {
            self.submit(StreamCommand::FinishReader);
        }
    }

    /// Waits until the stream was opened. The calls after it report whatever happened since, for
    /// example a complete response.
    ///
    /// # Errors
    /// The stream was not opened, or not in time.
    pub fn wait_open(&self, deadline: Option<Instant>) -> Result<(), Error> {
        self.wait(deadline, |state| match (state.stream, &state.failure) {
            (Some(_), _) => Some(Ok(())),
            (None, failure) => failure.clone().map(Err),
        })
        .unwrap_or(Err(Error::TimedOut))
    }

    /// Returns the stream, once it is open.
    pub fn stream(&self) -> Option<StreamKey> {
        self.lock().stream
    }

    /// Waits for an informational response. Returns `None` once the final one has arrived.
    ///
    /// # Errors
    /// The stream ended early, or the deadline expired.
    pub fn wait_informational(&self, deadline: Option<Instant>) -> Result<Option<Response<()>>, Error> {
        self.wait(deadline, |state| match (state.informational.pop_front(), &state.failure) {
            (Some(head), _) => Some(Ok(Some(head))),
            (None, _) if state.head.is_some() => Some(Ok(None)),
            (None, failure) => failure.clone().map(Err),
        })
        .unwrap_or(Err(Error::TimedOut))
    }

    /// Waits until one of the conditions holds, checked in their order, or the stream ends.
    /// `content` is empty, and is swapped with the received content.
    pub fn wait_for(
        &self,
        interest: Interest,
        content: &mut Vec<u8>,
        deadline: Option<Instant>,
    ) -> WaitResult {
        let unsent_bytes_max = self.limits.unsent_bytes_max;
        self.wait(deadline, |state| state.poll_ready(interest, content, unsent_bytes_max))
            .unwrap_or(WaitResult::TimedOut)
    }

    /// Discards received content. Returns whether all content had arrived and was read before.
    pub fn drop_received(&self) -> bool {
        let mut state = self.lock();
        let received = mem::take(&mut state.received);
        let is_ended = matches!(state.incoming, Incoming::Ended(_));
        drop(state);
        is_ended && received.is_empty()
    }

    /// Sends content. The caller has waited for capacity.
    pub fn send(&self, chunk: Chunk, finish: Option<Finish>) {
        self.lock().unsent += chunk.cost();
        self.submit(StreamCommand::Send { chunk, finish });
    }

    fn wait<T>(
        &self,
        deadline: Option<Instant>,
        mut check: impl FnMut(&mut State) -> Option<T>,
    ) -> Option<T> {
        if let Some(found) = check(&mut self.lock()) {
            return Some(found);
        }
        let _blocked = Blocked::enter();
        let mut state = self.lock();
        state.waiters += 1;
        let found = loop {
            if let Some(found) = check(&mut state) {
                break Some(found);
            }
            state = match deadline {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        break None;
                    }
                    let waited = self.changed.wait_timeout(state, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        };
        state.waiters -= 1;
        found
    }
}

/// Informational responses kept until they are read.
const INFORMATIONAL_MAX: usize = 16;
/// The overhead of one message, so that many small messages are limited, too.
const MESSAGE_COST_BYTES: usize = 256;

impl State {
    fn end_incoming(&mut self, end: Option<bool>) {
        if let Some(reports_end) = end {
            self.incoming = Incoming::Ended(None);
            self.reports_end = reports_end;
        }
    }

    fn poll_ready(
        &mut self,
        interest: Interest,
        content: &mut Vec<u8>,
        unsent_bytes_max: usize,
    ) -> Option<WaitResult> {
        if interest.head && self.head.is_some() {
            return self.head.take().map(WaitResult::Head);
        }
        if interest.content && !self.received.is_empty() {
            mem::swap(&mut self.received, content);
            return Some(WaitResult::Content);
        }
        if interest.content
            && let Incoming::Ended(trailers) = &mut self.incoming
        {
            return Some(WaitResult::Ended(trailers.take()));
        }
        if let Some(error) = &self.failure {
            return Some(WaitResult::Failed(error.clone()));
        }
        (interest.capacity && self.unsent < unsent_bytes_max).then(|| WaitResult::Capacity(self.spare.take()))
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange").field("stream", &self.stream()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct NoSink;

    impl StreamCommandSink for NoSink {
        fn submit(&self, _: StreamKey, _: StreamCommand) {}
    }

    #[test]
    fn trailers_of_which_nothing_is_left_are_none() {
        let dropped = Fields::from([("content-length", "1"), ("host", "a")]);
        assert!(matches!(Finish::with(Some(dropped)), Finish::End));
        let Finish::Trailers(kept) = Finish::with(Some(Fields::from([("host", "a"), ("x", " y ")]))) else {
            panic!("one is left")
        };
        assert_eq!(kept, Fields::from([("x", "y")]));
    }

    fn exchange() -> Arc<Exchange> {
        Exchange::new(Arc::new(NoSink), BufferLimits { report_bytes: 1, unsent_bytes_max: 1 }, None)
    }

    fn stream() -> StreamKey {
        let mut client = thalweg::Connection::<thalweg::Client>::new(thalweg::Config::default()).unwrap();
        let request = thalweg::Request::get("https", "localhost", "/");
        client.send_request(&request, [], false).unwrap()
    }

    #[test]
    fn wait_open_succeeds_after_a_full_response_and_a_reset() {
        let exchange = exchange();
        exchange.open(stream());
        exchange.deliver_head(Response::ok(), Some(false));
        exchange.deliver_end(Error::Reset { code: ErrorCode::NO_ERROR, by: ResetCause::Remote });
        exchange.wait_open(None).unwrap();
        assert!(exchange.is_answered());
    }

    #[test]
    fn wait_open_returns_why_a_stream_was_not_opened() {
        let exchange = exchange();
        exchange.deliver_end(Error::Open(thalweg::OpenError::GoingAway));
        assert!(matches!(exchange.wait_open(None), Err(Error::Open(_))));
    }
}
