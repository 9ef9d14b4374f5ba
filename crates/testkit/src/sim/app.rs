//! The application of one endpoint: for each stream, what it has to send, and what must arrive.

use std::collections::{BTreeMap, BTreeSet};

use thalweg::{Event, Headers, HeadersKind, ResetCause, StreamError, StreamKey, Violation};

use super::content::{self, Fields, TRAILER};
use super::script::{Exchange, Message, Method, Side};

/// The exchanges of both applications, by stream.
#[derive(Debug, Default)]
pub struct Plans {
    /// By client-initiated stream: its number and its plan.
    pub exchanges: BTreeMap<u32, (u32, Exchange)>,
    /// By promised stream: the number of its exchange, and the plan of the pushed message.
    pub pushes: BTreeMap<u32, (u32, Message)>,
}

/// The phase of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Before the final field block.
    Head,
    /// Before the end of content or trailers.
    Body,
    /// Complete, or absent.
    Done,
}

/// A message that is being sent.
#[derive(Debug)]
pub struct Outgoing {
    /// The plan; `body` is the content that is sent.
    pub message: Message,
    /// Its phase.
    pub stage: Stage,
    /// Bytes of content that calls took.
    pub sent: u32,
    /// Whether the stream is blocked.
    pub is_truncated: bool,
}

/// A message that is being received.
#[derive(Debug)]
pub struct Incoming {
    message: Message,
    /// Bytes of content that must arrive: a response to HEAD announces more.
    body: u32,
    index: u32,
    informational: u8,
    status: u16,
    /// Its phase.
    pub stage: Stage,
    got: u32,
}

/// One stream of an application.
#[derive(Debug)]
pub struct StreamProgress {
    /// The key of the stream.
    pub stream: StreamKey,
    /// The message that is sent.
    pub out: Outgoing,
    /// The message that is received.
    pub inc: Incoming,
    /// Bytes of content that were received and not released.
    pub held: usize,
    /// Whether the application does not consume content.
    pub is_paused: bool,
}

/// What an application does after an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reaction {
    /// Nothing.
    None,
    /// Respond to a request, whose end may have been received too.
    Request(StreamKey),
    /// Handle the end of the peer's half.
    Ended(StreamKey),
    /// Release content.
    Consume(StreamKey, usize),
    /// Release content, and handle the end of the peer's half.
    ConsumeAndEnd(StreamKey, usize),
    /// Open waiting streams.
    Retry,
}

/// An event that must not occur.
pub type Mismatch = String;

/// The application of one endpoint.
#[derive(Debug)]
pub struct App {
    end: Side,
    /// The live streams.
    pub streams: BTreeMap<u32, StreamProgress>,
    /// The closed streams.
    pub over: BTreeSet<u32>,
    /// The keys of closed streams.
    pub handles: BTreeMap<u32, StreamKey>,
    /// Streams that this application has reset.
    pub resets: BTreeSet<u32>,
    /// Keys of closed streams of which content is held.
    pub unreleased: Vec<(StreamKey, usize)>,
    /// Whether a request waits until a stream may be opened.
    pub waits_for_streams: bool,
    /// Whether it has changed the limit of concurrent streams.
    pub limits_streams: bool,
    /// Whether timeouts may have reset streams.
    pub is_slow: bool,
    /// Whether the connection reported the end of the peer's byte stream.
    pub is_truncated: bool,
    /// Whether the script alters the wire, so that any event may occur.
    pub is_hostile: bool,
}

impl StreamProgress {
    /// Creates a stream that an application opens or responds on.
    pub fn new(stream: StreamKey, out: Message, out_stage: Stage, inc: Incoming) -> Self {
        let out = Outgoing { message: out, stage: out_stage, sent: 0, is_truncated: false };
        Self { stream, out, inc, held: 0, is_paused: false }
    }

    fn is_over(&self) -> bool {
        self.out.stage == Stage::Done && self.inc.stage == Stage::Done
    }
}

impl Incoming {
    /// Creates the expectation of a response.
    pub fn response(index: u32, exchange: &Exchange) -> Self {
        let body = content::response_body(exchange);
        let Exchange { informational, status, .. } = *exchange;
        let message = content::response(exchange);
        Self { message, body, index, informational, status, stage: Stage::Head, got: 0 }
    }

    /// Creates the expectation of a message after its field block, or of none.
    pub const fn begun(index: u32, message: Message, stage: Stage) -> Self {
        Self { message, body: message.body, index, informational: 0, status: 0, stage, got: 0 }
    }

    /// Creates the expectation of the response to a push.
    pub const fn pushed(index: u32, message: Message) -> Self {
        Self { message, body: message.body, index, informational: 0, status: 200, stage: Stage::Head, got: 0 }
    }
}

impl App {
    /// Creates an application without streams.
    pub const fn new(end: Side, is_slow: bool, is_hostile: bool) -> Self {
        Self {
            end,
            streams: BTreeMap::new(),
            over: BTreeSet::new(),
            handles: BTreeMap::new(),
            resets: BTreeSet::new(),
            unreleased: Vec::new(),
            waits_for_streams: false,
            limits_streams: false,
            is_slow,
            is_truncated: false,
            is_hostile,
        }
    }

    /// Returns the live stream number `nth`, modulo their number.
    pub fn nth(&mut self, nth: u8) -> Option<&mut StreamProgress> {
        let len = self.streams.len();
        if len == 0 {
            return None;
        }
        self.streams.values_mut().nth(usize::from(nth) % len)
    }

    /// Removes a stream from the live ones if both halves are complete.
    pub fn settle(&mut self, id: u32) {
        if self.streams.get(&id).is_some_and(StreamProgress::is_over)
            && let Some(stream_progress) = self.end_stream(id)
            && stream_progress.held > 0
        {
            self.unreleased.push((stream_progress.stream, stream_progress.held));
        }
    }

    /// Removes a stream from the live ones. If it was reset, the core releases the content that is
    /// held of it.
    pub fn end_stream(&mut self, id: u32) -> Option<StreamProgress> {
        let stream_progress = self.streams.remove(&id)?;
        self.over.insert(id);
        self.handles.insert(id, stream_progress.stream);
        Some(stream_progress)
    }

    /// Handles an event.
    ///
    /// # Errors
    /// The event must not occur.
    pub fn handle_event(
        &mut self,
        event: &Event<'_, '_>,
        plans: &Plans,
        peer: &Self,
    ) -> Result<Reaction, Mismatch> {
        match *event {
            Event::Headers { stream, kind, ref headers, end } => {
                self.receive_headers(stream, kind, headers, end, plans)
            }
            Event::Data { stream, data, end } => self.receive_data(stream, data, end),
            Event::Reset { stream, code, by } => {
                let id = stream.id().as_u32();
                let Some(stream_progress) = self.end_stream(id) else {
                    // The core had reset it before the application did, and had not reported it
                    // yet.
                    let crossed = match by {
                        ResetCause::Local(StreamError::Timeout(_)) => self.is_slow,
                        ResetCause::Local(StreamError::Eof) => self.is_truncated,
                        _ => false,
                    };
                    if crossed && self.resets.contains(&id) {
                        return Ok(Reaction::None);
                    }
                    return Err(format!("the reset of stream {id} is reported, which is closed or unknown"));
                };
                let explained = match by {
                    ResetCause::GoAway => true,
                    // The peer's core itself may send REFUSED_STREAM, and CANCEL for pushes.
                    ResetCause::Remote => {
                        let has_timed_out = code.0 == 0 && stream_progress.inc.status == REQUEST_TIMEOUT;
                        peer.resets.contains(&id) || matches!(code.0, 0x7 | 0x8) || has_timed_out
                    }
                    ResetCause::Local(StreamError::Timeout(_)) => self.is_slow,
                    ResetCause::Local(StreamError::Eof) => self.is_truncated,
                    // A lower limit applies at once, before the peer can know of it.
                    ResetCause::Local(StreamError::Violation(Violation::StreamsExceeded)) => {
                        self.limits_streams
                    }
                    _ => false,
                };
                if explained || self.is_hostile {
                    return Ok(Reaction::None);
                }
                Err(format!("stream {id} was reset with {code}, {by:?}, without a cause in the script"))
            }
            Event::StreamAvailable if self.waits_for_streams => {
                self.waits_for_streams = false;
                Ok(Reaction::Retry)
            }
            Event::StreamAvailable if !self.is_hostile => {
                Err("StreamAvailable, and no request waits".to_owned())
            }
            _ => Ok(Reaction::None),
        }
    }

    fn receive_headers(
        &mut self,
        stream: StreamKey,
        kind: HeadersKind,
        headers: &Headers<'_>,
        end: bool,
        plans: &Plans,
    ) -> Result<Reaction, Mismatch> {
        let id = stream.id().as_u32();
        match kind {
            HeadersKind::Request => return self.receive_request(stream, headers, end, plans),
            HeadersKind::Push { parent } => return self.receive_push(stream, parent, headers, plans),
            _ => {}
        }
        let is_hostile = self.is_hostile;
        let stream_progress =
            self.streams.get_mut(&id).ok_or_else(|| format!("{kind:?} on stream {id}, which is closed"))?;
        let inc = &mut stream_progress.inc;
        if self.is_slow
            && (kind, inc.stage) == (HeadersKind::Response, Stage::Head)
            && end
            && headers.status() == Some(REQUEST_TIMEOUT)
        {
            // The server's core responds when `timeouts.content` has expired.
            *inc = Incoming {
                status: REQUEST_TIMEOUT,
                ..Incoming::begun(inc.index, Message::default(), Stage::Body)
            };
            return self.receive_end(stream, 0, false);
        }
        let good = match kind {
            HeadersKind::Informational => {
                inc.informational = inc.informational.wrapping_sub(1);
                inc.stage == Stage::Head && headers.status() == Some(103) && !end
            }
            HeadersKind::Response => {
                let good = inc.stage == Stage::Head
                    && inc.informational == 0
                    && headers.status() == Some(inc.status)
                    && Fields::new(inc.index, &inc.message).are_in(headers);
                inc.stage = Stage::Body;
                good
            }
            HeadersKind::Trailers => {
                let trailer = headers.fields().next().map(|field| (field.name(), field.value));
                inc.stage == Stage::Body && inc.message.trailers && end && trailer == Some(TRAILER)
            }
            _ => false,
        };
        if !good && !is_hostile {
            return Err(format!("stream {id} got {kind:?} {headers:?}, {inc:?} was due"));
        }
        if end { self.receive_end(stream, 0, kind == HeadersKind::Trailers) } else { Ok(Reaction::None) }
    }

    fn receive_request(
        &mut self,
        stream: StreamKey,
        headers: &Headers<'_>,
        end: bool,
        plans: &Plans,
    ) -> Result<Reaction, Mismatch> {
        let id = stream.id().as_u32();
        if self.streams.contains_key(&id) || self.over.contains(&id) {
            return Err(format!("stream {id} is opened twice"));
        }
        let (index, exchange) = match plans.exchanges.get(&id) {
            Some(plan) => *plan,
            None if self.is_hostile => (0, UNPLANNED),
            None => return Err(format!("stream {id} was never opened")),
        };
        let path = format!("/{index}");
        let good = headers.method() == Some(exchange.method.text())
            && (exchange.method == Method::Connect || headers.path() == Some(path.as_bytes()))
            && Fields::new(index, &exchange.request).are_in(headers);
        if !good && !self.is_hostile {
            return Err(format!("stream {id} got {headers:?} for {exchange:?}"));
        }
        let inc = Incoming::begun(index, exchange.request, Stage::Body);
        let out = Message { body: content::response_body(&exchange), ..content::response(&exchange) };
        self.streams.insert(id, StreamProgress::new(stream, out, Stage::Head, inc));
        if end {
            self.receive_end(stream, 0, false)?;
        }
        Ok(Reaction::Request(stream))
    }

    fn receive_push(
        &mut self,
        stream: StreamKey,
        parent: StreamKey,
        headers: &Headers<'_>,
        plans: &Plans,
    ) -> Result<Reaction, Mismatch> {
        let id = stream.id().as_u32();
        if self.streams.contains_key(&id) || self.over.contains(&id) {
            return Err(format!("stream {id} is promised twice"));
        }
        let (index, message) = match plans.pushes.get(&id) {
            Some(plan) => *plan,
            None if self.is_hostile => (0, Message::default()),
            None => return Err(format!("stream {id} was never promised")),
        };
        if !self.streams.contains_key(&parent.id().as_u32()) {
            return Err(format!("stream {id} is promised on stream {parent}, which is closed"));
        }
        if headers.method() != Some(b"GET") && !self.is_hostile {
            return Err(format!("stream {id} got the promise {headers:?}"));
        }
        let stream_progress =
            StreamProgress::new(stream, Message::default(), Stage::Done, Incoming::pushed(index, message));
        self.streams.insert(id, stream_progress);
        Ok(Reaction::None)
    }

    fn receive_data(&mut self, stream: StreamKey, data: &[u8], end: bool) -> Result<Reaction, Mismatch> {
        let (id, from) = (stream.id().as_u32(), self.end.other());
        let is_hostile = self.is_hostile;
        let stream_progress =
            self.streams.get_mut(&id).ok_or_else(|| format!("DATA on stream {id}, which is closed"))?;
        if data.is_empty() && !end {
            return Err(format!("DATA without bytes and without an end on stream {id}"));
        }
        let inc = &mut stream_progress.inc;
        if inc.stage != Stage::Body {
            return Err(format!("DATA on stream {id}, {inc:?} was due"));
        }
        let len = u32::try_from(data.len()).expect("a read is short");
        let good = len <= inc.body - inc.got.min(inc.body) && content::matches(data, id, from, inc.got);
        if !good && !is_hostile {
            return Err(format!("stream {id} got {len} wrong bytes: {inc:?}"));
        }
        inc.got = inc.got.saturating_add(len);
        stream_progress.held += data.len();
        let consumed = if stream_progress.is_paused { 0 } else { data.len() };
        if end {
            return self.receive_end(stream, consumed, false);
        }
        Ok(if consumed > 0 { Reaction::Consume(stream, consumed) } else { Reaction::None })
    }

    /// Handles the end of the peer's half: the message must be complete.
    fn receive_end(
        &mut self,
        stream: StreamKey,
        consumed: usize,
        by_trailers: bool,
    ) -> Result<Reaction, Mismatch> {
        let id = stream.id().as_u32();
        let stream_progress = self.streams.get_mut(&id).expect("the caller found it");
        let inc = &mut stream_progress.inc;
        if inc.stage == Stage::Done {
            return Err(format!("stream {id} ends twice"));
        }
        inc.stage = Stage::Done;
        let is_whole = inc.got == inc.body && inc.message.trailers == by_trailers;
        if !is_whole && !self.is_hostile {
            return Err(format!("stream {id} ends too early: {inc:?}"));
        }
        Ok(match consumed {
            0 => Reaction::Ended(stream),
            consumed => Reaction::ConsumeAndEnd(stream, consumed),
        })
    }
}

/// The status of the response if a request's content does not arrive.
const REQUEST_TIMEOUT: u16 = 408;
/// The plan for a request that is not in the script.
pub const UNPLANNED: Exchange = {
    let nothing = Message {
        body: 0,
        chunk: 1,
        announces: false,
        trailers: false,
        padding: None,
        spliced: false,
        header_bytes: 0,
    };
    Exchange {
        method: Method::Get,
        request: nothing,
        informational: 0,
        waits: false,
        status: 200,
        response: Message { body: 100, ..nothing },
        pushes: 0,
        pushed: nothing,
    }
};
