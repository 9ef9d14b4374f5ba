//! One request and its response, between the driver's thread and the thread that works on it.
//!
//! Bytes go over in buffers that change their owner: what has arrived is swapped out whole by its reader, what is to be sent
//! is moved into a message. Nothing is copied under the lock but what the driver received.
//!
//! Keeps true: what has arrived is within the stream's window; what is unsent is within `BufferLimits::unsent_bytes_max` and one
//! chunk; the end is told once, and stays; nobody is woken who does not wait.

use std::collections::VecDeque;
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use thalweg::frame::{Flags, FrameType};
use thalweg::{ErrorCode, Priority, ResetCause, StreamKey};

use crate::error::Error;
use crate::fields::Fields;
use crate::message::Response;
use crate::pool;

/// Bounds of one stream's buffers.
#[derive(Clone, Copy, Debug)]
pub struct BufferLimits {
    /// What a reader consumes before it says so, bytes.
    pub report_bytes: usize,
    /// What a writer may be ahead of the core, bytes.
    pub unsent_bytes_max: usize,
}

/// What a thread asks of the driver for a stream.
#[derive(Debug)]
pub enum StreamCommand {
    /// Send content, and end our half if `finish` says so.
    Send { chunk: Chunk, finish: Option<Finish> },
    /// So many bytes of what has arrived were consumed.
    Release { bytes: usize },
    /// What has arrived, and what will, is not wanted.
    Discard,
    /// The client may send its content (RFC 9110 §10.1.1).
    SendContinue,
    /// Order the stream among the others (RFC 9218).
    SetPriority(Priority),
    /// Pad each frame of content that is sent.
    SetPadding(Option<u8>),
    /// Send a frame of an unknown type.
    SendExtension { kind: FrameType, flags: Flags, payload: Vec<u8> },
    /// End the stream.
    Reset { code: ErrorCode },
}

/// Content on its way out, owned.
#[derive(Debug)]
pub enum Chunk {
    /// Shared or static; or nothing.
    Bytes(Bytes),
    /// From a writer, who gets the buffer back.
    Buffer(Vec<u8>),
}

impl Chunk {
    /// No content.
    pub const EMPTY: Self = Self::Bytes(Bytes::new());

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Buffer(buffer) => buffer,
        }
    }

    /// What it counts for among what is unsent: its bytes, and what a message costs.
    pub fn cost(&self) -> usize {
        self.as_slice().len() + MESSAGE_COST_BYTES
    }
}

/// How our half of a stream ends.
#[derive(Debug)]
pub enum Finish {
    /// With its content.
    End,
    /// With trailers.
    Trailers(Fields),
}

/// The way to a driver.
pub trait StreamCommandSink: Send + Sync {
    /// Passes a wish on; it is lost if the driver has ended, which the exchange tells.
    fn submit(&self, stream: StreamKey, command: StreamCommand);
}

/// The meeting point of a stream's driver and its application.
pub struct Exchange {
    commands: Arc<dyn StreamCommandSink>,
    pub limits: BufferLimits,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    waiters: u32,
    /// On a client, unknown until the stream is open.
    stream: Option<StreamKey>,
    /// On a client, informational responses until somebody takes them.
    informational: VecDeque<Response<()>>,
    /// On a client, the response's head until its reader takes it.
    head: Option<Response<()>>,
    received: Vec<u8>,
    incoming: Incoming,
    unsent: usize,
    /// A buffer for the next chunk.
    spare: Option<Vec<u8>>,
    failure: Option<Error>,
    priority: Priority,
    /// The application has gone before the stream was open.
    abandoned: bool,
}

/// What may still arrive.
enum Incoming {
    Open,
    Ended(Option<Fields>),
}

/// What there is to do for a thread that waited.
pub enum WaitResult {
    /// The head of a response.
    Head(Response<()>),
    /// Content was swapped in.
    Content,
    /// Content has ended.
    Ended(Option<Fields>),
    /// There is room for content to be sent, and perhaps a buffer for it.
    Capacity(Option<Vec<u8>>),
    /// The stream ended before its time.
    Failed(Error),
    /// The deadline has passed.
    TimedOut,
}

/// What a thread waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
            waiters: 0,
            stream,
            informational: VecDeque::new(),
            head: None,
            received: Vec::new(),
            incoming: Incoming::Open,
            unsent: 0,
            spare: None,
            failure: None,
            priority: Priority::default(),
            abandoned: false,
        };
        Arc::new(Self { commands, limits, state: Mutex::new(state), changed: Condvar::new() })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics under this lock.
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

    // What the driver tells.

    /// The stream is open. Returns whether anybody still wants it.
    pub fn open(&self, stream: StreamKey) -> bool {
        let mut wanted = true;
        self.change(|state| {
            state.stream = Some(stream);
            wanted = !state.abandoned;
        });
        wanted
    }

    /// Whether somebody waits for the stream to be opened.
    pub fn is_wanted(&self) -> bool {
        !self.lock().abandoned
    }

    /// An informational response has come. Nobody must take it: the latest are kept.
    pub fn deliver_informational(&self, head: Response<()>) {
        self.change(|state| {
            if state.informational.len() == INFORMATIONAL_MAX {
                state.informational.pop_front();
            }
            state.informational.push_back(head);
        });
    }

    /// The head of the response has come.
    pub fn deliver_head(&self, head: Response<()>, end: bool) {
        self.change(|state| {
            state.head = Some(head);
            if end {
                state.incoming = Incoming::Ended(None);
            }
        });
    }

    /// Content has come.
    pub fn deliver_content(&self, data: &[u8], end: bool) {
        self.change(|state| {
            state.received.extend_from_slice(data);
            if end {
                state.incoming = Incoming::Ended(None);
            }
        });
    }

    /// Trailers have come.
    pub fn deliver_trailers(&self, trailers: Fields) {
        self.change(|state| state.incoming = Incoming::Ended(Some(trailers)));
    }

    /// A chunk has gone to the core: its writer may go on, and gets its buffer back.
    pub fn deliver_sent(&self, chunk: Chunk) {
        let cost = chunk.cost();
        self.change(|state| {
            state.unsent = state.unsent.saturating_sub(cost);
            if let Chunk::Buffer(buffer) = chunk {
                state.spare = Some(buffer);
            }
        });
    }

    /// The stream is over before its time. The first end that is told counts.
    pub fn deliver_end(&self, error: Error) {
        self.change(|state| {
            state.failure.get_or_insert(error);
        });
    }

    /// The stream has another priority.
    pub fn deliver_priority(&self, priority: Priority) {
        self.lock().priority = priority;
    }

    // What the application asks.

    /// The priority that was told or asked for last.
    pub fn priority(&self) -> Priority {
        self.lock().priority
    }

    /// Why the stream ended before its time, if it did.
    pub fn failure(&self) -> Option<Error> {
        self.lock().failure.clone()
    }

    /// RFC 9113 §8.1: whether the peer has answered in full and then asked to stop, without an error. The answer stands.
    pub fn is_answered(&self) -> bool {
        let state = self.lock();
        matches!(state.failure, Some(Error::Reset { code: ErrorCode::NO_ERROR, by: ResetCause::Remote }))
            && matches!(state.incoming, Incoming::Ended(_))
    }

    /// Asks the driver for something; before the stream is open, only its end can be asked for.
    pub fn submit(&self, command: StreamCommand) {
        let mut state = self.lock();
        match state.stream {
            Some(stream) => {
                drop(state);
                self.commands.submit(stream, command);
            }
            None => state.abandoned = true,
        }
    }

    /// Waits until the stream was opened. What has become of it since, the calls after this one tell: it may be answered already.
    ///
    /// # Errors
    /// It was not opened, or not in time.
    pub fn wait_open(&self, deadline: Option<Instant>) -> Result<(), Error> {
        self.wait(deadline, |state| match (state.stream, &state.failure) {
            (Some(_), _) => Some(Ok(())),
            (None, failure) => failure.clone().map(Err),
        })
        .unwrap_or(Err(Error::TimedOut))
    }

    /// The stream, once it is open.
    pub fn stream(&self) -> Option<StreamKey> {
        self.lock().stream
    }

    /// Waits for an informational response; `None`: the final one is there.
    ///
    /// # Errors
    /// The stream ended first, or the deadline has passed.
    pub fn wait_informational(&self, deadline: Option<Instant>) -> Result<Option<Response<()>>, Error> {
        self.wait(deadline, |state| match (state.informational.pop_front(), &state.failure) {
            (Some(head), _) => Some(Ok(Some(head))),
            (None, _) if state.head.is_some() => Some(Ok(None)),
            (None, failure) => failure.clone().map(Err),
        })
        .unwrap_or(Err(Error::TimedOut))
    }

    /// Waits until one of the wishes is fulfilled, in their order, or the stream ends. `content` is empty, and is swapped with
    /// what has arrived.
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

    /// Whether nothing has arrived yet, and something may.
    pub fn is_idle(&self) -> bool {
        let state = self.lock();
        state.received.is_empty() && matches!(state.incoming, Incoming::Open)
    }

    /// Forgets what has arrived. Returns whether all content had arrived and was taken before.
    pub fn drop_received(&self) -> bool {
        let mut state = self.lock();
        let received = mem::take(&mut state.received);
        let is_ended = matches!(state.incoming, Incoming::Ended(_));
        drop(state);
        is_ended && received.is_empty()
    }

    /// Passes content on. There was room for it.
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
        let _blocked = pool::Blocked::enter();
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

/// Informational responses that are kept for whoever wants them.
const INFORMATIONAL_MAX: usize = 16;
/// What one message counts for, so that many small ones are bounded, too.
const MESSAGE_COST_BYTES: usize = 256;

impl State {
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

#[cfg(test)]
mod tests {
    use super::*;

    struct NoSink;

    impl StreamCommandSink for NoSink {
        fn submit(&self, _: StreamKey, _: StreamCommand) {}
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
        exchange.deliver_head(Response::ok(), true);
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
