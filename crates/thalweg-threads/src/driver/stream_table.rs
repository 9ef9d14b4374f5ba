//! The driver's table of streams: their exchanges, and the content queued on them.
//!
//! Each entry has the life of its exchange ([`thalweg_http::exchange`]): the table passes what
//! happens to it, with the time of the turn, and executes the actions that it returns.
//!
//! Invariants: an entry lives as long as its stream lives in the core; `unreleased_bytes` is the
//! content that the application has not released.

use std::collections::VecDeque;
use std::fmt;
use std::mem;
use std::sync::Arc;

use thalweg::{ErrorCode, HeadersKind, Instant, Role, SendError, Status, StreamKey};
use thalweg_http::deadlines::Deadlines;
use thalweg_http::exchange::{Actions, Exchange as Life, ExchangeEnd, Frame, Input, Timeouts};
use thalweg_http::expect::{ClientExpect, Expectation, Gate, ServerExpect};
use thalweg_io::SplicingConnection;

use crate::body::exchange::{Chunk, Exchange, Finish, StreamCommand};
use crate::error::Error;
use crate::trace;

/// All open streams.
pub struct StreamTable {
    entries: Vec<Option<StreamEntry>>,
    /// Unreleased content of streams that both sides have completed.
    unreleased: Vec<(StreamKey, usize)>,
    /// The time of this turn.
    now: Instant,
    timeouts: Timeouts,
    /// The deadlines of the exchanges.
    deadlines: Deadlines<StreamKey>,
    /// When content is sent although no 100 has arrived.
    gates: Deadlines<StreamKey>,
}

/// One open stream.
pub struct StreamEntry {
    pub stream: StreamKey,
    pub exchange: Arc<Exchange>,
    life: Life,
    /// The chunk that is being sent, and how much of it the core has accepted.
    current: Option<(Chunk, usize)>,
    /// The chunks after it.
    queue: VecDeque<Chunk>,
    finish: Option<Finish>,
    /// Padding of each outbound DATA frame.
    pad_len: Option<u8>,
    /// On a server, whether 100 is owed.
    pub expect: ServerExpect,
    /// On a client, whether content may be sent.
    gate: ClientExpect,
    /// Content reported to the application and not released yet, bytes.
    unreleased_bytes: usize,
}

/// What the core has accepted.
struct Sent {
    /// Whether our half has ended.
    ended: bool,
    bytes: usize,
}

impl StreamEntry {
    pub fn new(stream: StreamKey, exchange: Arc<Exchange>, life: Life) -> Self {
        Self {
            stream,
            exchange,
            life,
            current: None,
            queue: VecDeque::new(),
            finish: None,
            pad_len: None,
            expect: ServerExpect::new(Expectation::None, false),
            gate: ClientExpect::new(Expectation::None, false, Instant::ZERO),
            unreleased_bytes: 0,
        }
    }

    /// Returns whether the request is still being sent: then the reader of a response reports that
    /// it has read all.
    pub fn is_uploading(&self) -> bool {
        self.life.wants_source()
    }

    /// Drops the content that is queued.
    fn drop_queue(&mut self) {
        (self.current, self.finish) = (None, None);
        self.queue.clear();
    }

    /// Sends as much as the core accepts.
    fn send<R: Role>(&mut self, connection: &mut SplicingConnection<R>) -> Result<Sent, SendError> {
        let mut bytes = 0;
        while let Some((chunk, at)) = &mut self.current {
            let rest = &chunk.as_slice()[*at..];
            let ends = self.queue.is_empty() && matches!(self.finish, Some(Finish::End));
            let taken = match (self.pad_len, &*chunk) {
                (None, Chunk::Bytes(bytes)) if connection.splices(rest.len()) => {
                    let mut content = bytes.slice(*at..);
                    connection.splice(self.stream, &mut content, ends)?;
                    rest.len() - content.len()
                }
                (None, _) => connection.send_data(self.stream, rest, ends)?,
                (Some(pad_len), _) => connection.send_data_padded(self.stream, rest, ends, pad_len)?,
            };
            bytes += taken;
            if taken < rest.len() {
                *at += taken;
                return Ok(Sent { ended: false, bytes });
            }
            let next = self.queue.pop_front().map(|chunk| (chunk, 0));
            let done = mem::replace(&mut self.current, next);
            if ends {
                return Ok(Sent { ended: true, bytes });
            }
            // No writer waits for capacity after the end.
            if let (None, Some((chunk, _))) = (&self.finish, done) {
                self.exchange.deliver_sent(chunk);
            }
        }
        match self.finish.take() {
            None => return Ok(Sent { ended: false, bytes }),
            Some(Finish::End) => {
                // The core always accepts END_STREAM without data.
                connection.send_data(self.stream, &[], true)?;
            }
            Some(Finish::Trailers(trailers)) => connection.send_trailers(self.stream, trailers.iter())?,
        }
        Ok(Sent { ended: true, bytes })
    }
}

impl StreamTable {
    /// Creates an empty table.
    pub fn new(timeouts: Timeouts) -> Self {
        Self {
            entries: Vec::new(),
            unreleased: Vec::new(),
            now: Instant::ZERO,
            timeouts,
            deadlines: Deadlines::default(),
            gates: Deadlines::default(),
        }
    }

    /// Sets the time of a turn.
    pub fn set_time(&mut self, now: Instant) {
        self.now = now;
    }

    /// Returns when to call [`handle_timeout`](Self::handle_timeout).
    pub fn poll_timeout(&self) -> Option<Instant> {
        [self.deadlines.next(), self.gates.next()].into_iter().flatten().min()
    }

    /// Handles one deadline that has come. Returns its stream, and whether its exchange has ended.
    pub fn handle_timeout<R: Role>(
        &mut self,
        connection: &mut SplicingConnection<R>,
    ) -> Option<(StreamKey, bool)> {
        if let Some(stream) = self.gates.pop_expired(self.now) {
            if let Some(entry) = find(&mut self.entries, stream) {
                entry.gate.handle_timeout(self.now);
                self.resume(connection, stream);
            }
            return Some((stream, false));
        }
        let stream = self.deadlines.pop_expired(self.now)?;
        let end = self.handle_after(connection, stream, None, Input::Timeout, None);
        Some((stream, end.is_some()))
    }

    /// Adds a new stream.
    pub fn insert(&mut self, entry: StreamEntry) {
        let index = entry.stream.index();
        if index >= self.entries.len() {
            self.entries.resize_with(index + 1, || None);
        }
        debug_assert!(self.entries[index].is_none(), "the stream before it in its slot has ended");
        self.entries[index] = Some(entry);
    }

    /// Returns an open stream.
    pub fn find(&mut self, stream: StreamKey) -> Option<&mut StreamEntry> {
        find(&mut self.entries, stream)
    }

    /// Removes a stream that either side has ended.
    pub fn remove(&mut self, stream: StreamKey) -> Option<StreamEntry> {
        let entry = self.find(stream)?;
        let (deadline, gate) = (entry.life.deadline(), entry.gate.poll_timeout());
        self.deadlines.set(stream, deadline, None);
        self.gates.set(stream, gate, None);
        self.entries[stream.index()].take()
    }

    /// Removes all streams.
    pub fn remove_all(&mut self) -> impl Iterator<Item = StreamEntry> {
        self.unreleased = Vec::new();
        (self.deadlines, self.gates) = (Deadlines::default(), Deadlines::default());
        mem::take(&mut self.entries).into_iter().flatten()
    }

    /// Passes what happened to the exchange of a stream, and executes what follows from it.
    /// `reason` explains an early end to the application. Returns the end, if this is it.
    pub fn handle<R: Role>(
        &mut self,
        connection: &mut SplicingConnection<R>,
        stream: StreamKey,
        input: Input,
        reason: Option<Error>,
    ) -> Option<ExchangeEnd> {
        let before = self.find(stream)?.life.deadline();
        self.handle_after(connection, stream, before, input, reason)
    }

    /// `before`: the deadline of the exchange that is in the set.
    fn handle_after<R: Role>(
        &mut self,
        connection: &mut SplicingConnection<R>,
        stream: StreamKey,
        before: Option<Instant>,
        input: Input,
        reason: Option<Error>,
    ) -> Option<ExchangeEnd> {
        let entry = find(&mut self.entries, stream)?;
        let actions = entry.life.handle(input, self.now, &self.timeouts);
        self.deadlines.set(stream, before, entry.life.deadline());
        // The headers of a response were delivered when they arrived.
        let Actions { drop_source, send, end, .. } = actions;
        if drop_source {
            entry.drop_queue();
        }
        match send {
            Frame::None => {}
            // A late frame is no error: an event reports the end of the stream.
            Frame::EndStream => drop(connection.send_data(stream, &[], true)),
            Frame::Reset(code) => connection.send_reset(stream, code),
        }
        let end = end?;
        let entry = self.remove(stream)?;
        match end {
            ExchangeEnd::Completed if entry.unreleased_bytes > 0 => {
                self.unreleased.push((stream, entry.unreleased_bytes));
            }
            ExchangeEnd::Completed => {}
            ExchangeEnd::Reset(code) | ExchangeEnd::LocalReset(code) => {
                entry.exchange.deliver_end(reason.unwrap_or(Error::reset(code)));
            }
            ExchangeEnd::Lost => {
                entry.exchange.deliver_end(reason.unwrap_or(Error::reset(ErrorCode::CANCEL)));
            }
        }
        Some(end)
    }

    /// Handles the end of input of the transport: the peer may have half-closed it.
    pub fn end_input<R: Role>(&mut self, connection: &mut SplicingConnection<R>) {
        for index in 0..self.entries.len() {
            if let Some(stream) = self.entries[index].as_ref().map(|entry| entry.stream) {
                self.handle(connection, stream, Input::InputEnded, None);
            }
        }
    }

    /// Drops all content that is still to be sent: it cannot reach the peer, whose responses may
    /// still arrive.
    pub fn withhold_all<R: Role>(&mut self, connection: &mut SplicingConnection<R>) {
        for index in 0..self.entries.len() {
            let Some(entry) = &mut self.entries[index] else { continue };
            let stream = entry.stream;
            entry.drop_queue();
            self.handle(connection, stream, Input::SourceWithheld, None);
        }
    }

    /// Handles headers that the host has delivered. `status`: of a response.
    pub fn receive_headers<R: Role>(
        &mut self,
        connection: &mut SplicingConnection<R>,
        stream: StreamKey,
        kind: HeadersKind,
        status: Option<Status>,
        end: bool,
    ) {
        match (kind, status) {
            (HeadersKind::Response, Some(status)) => {
                self.handle(connection, stream, Input::HeadersReceived { status }, None);
                self.change_gate(connection, stream, ClientExpect::receive_final);
            }
            (HeadersKind::Informational, Some(status)) => {
                self.change_gate(connection, stream, |gate| gate.receive_informational(status));
            }
            _ => {}
        }
        if end {
            self.handle(connection, stream, Input::InboundEnded, None);
        }
    }

    /// Holds the content of a request back until the server has decided, if the request asks it to.
    pub fn expect(&mut self, stream: StreamKey, expectation: Expectation) {
        let now = self.now;
        let Some(entry) = self.find(stream) else { return };
        entry.gate = ClientExpect::new(expectation, true, now);
        let until = entry.gate.poll_timeout();
        self.gates.set(stream, None, until);
    }

    fn change_gate<R: Role>(
        &mut self,
        connection: &mut SplicingConnection<R>,
        stream: StreamKey,
        change: impl FnOnce(&mut ClientExpect),
    ) {
        let Some(entry) = find(&mut self.entries, stream) else { return };
        let Some(until) = entry.gate.poll_timeout() else { return };
        change(&mut entry.gate);
        let gate = entry.gate;
        self.gates.set(stream, Some(until), gate.poll_timeout());
        match gate.gate() {
            Gate::Open => self.resume(connection, stream),
            Gate::Closed { .. } => {}
            Gate::Withheld => {
                entry.drop_queue();
                self.handle(connection, stream, Input::SourceWithheld, None);
            }
        }
    }

    /// Delivers received content.
    pub fn receive_data<R: Role>(
        &mut self,
        connection: &mut SplicingConnection<R>,
        stream: StreamKey,
        data: &[u8],
        end: bool,
    ) {
        match self.find(stream) {
            Some(entry) if entry.life.is_discarding() => connection.discard(stream, data.len()),
            Some(entry) => {
                entry.expect.receive_content();
                entry.unreleased_bytes += data.len();
                entry.exchange.deliver_content(data, end.then_some(entry.life.wants_source()));
            }
            None => connection.release(stream, data.len()),
        }
        if end {
            self.handle(connection, stream, Input::InboundEnded, None);
        }
    }

    /// Queues content and sends as much as the core accepts.
    pub fn send<R: Role>(
        &mut self,
        connection: &mut SplicingConnection<R>,
        stream: StreamKey,
        chunk: Chunk,
        finish: Option<Finish>,
    ) {
        let Some(entry) = self.find(stream).filter(|entry| entry.life.wants_source()) else { return };
        let is_blocked = entry.current.is_some();
        if chunk.as_slice().is_empty() {
            // Only the end is left to send.
        } else if is_blocked {
            entry.queue.push_back(chunk);
        } else {
            entry.current = Some((chunk, 0));
        }
        if finish.is_some() {
            entry.finish = finish;
        }
        // The core reports when a blocked stream may continue.
        if !is_blocked {
            self.resume(connection, stream);
        }
    }

    /// Sends as much of the queue as the core accepts.
    pub fn resume<R: Role>(&mut self, connection: &mut SplicingConnection<R>, stream: StreamKey) {
        let Some(entry) = self.find(stream).filter(|entry| entry.gate.gate() == Gate::Open) else { return };
        match entry.send(connection) {
            Ok(Sent { ended: true, .. }) => drop(self.handle(connection, stream, Input::OutboundEnded, None)),
            Ok(Sent { bytes, .. }) if bytes > 0 && entry.life.deadline().is_some() => {
                self.handle(connection, stream, Input::OutboundProgress, None);
            }
            Ok(_) => {}
            Err(error) => self.handle_send_error(connection, stream, error),
        }
    }

    /// Handles an error of the core for an application's message.
    pub fn handle_send_error<R: Role>(
        &mut self,
        connection: &mut SplicingConnection<R>,
        stream: StreamKey,
        error: SendError,
    ) {
        // An event or the connection's end reports the stream's end.
        if matches!(error, SendError::StreamClosed | SendError::Connection(_)) {
            return;
        }
        trace::send_failed(stream, &error);
        let input = Input::Cancelled { code: ErrorCode::INTERNAL_ERROR };
        self.handle(connection, stream, input, Some(Error::Send(error)));
    }

    /// Executes an application's command for a stream; a late command does nothing.
    pub fn execute<R: Role>(
        &mut self,
        connection: &mut SplicingConnection<R>,
        stream: StreamKey,
        command: StreamCommand,
    ) {
        match command {
            StreamCommand::Send { chunk, finish } => self.send(connection, stream, chunk, finish),
            // The priority is advisory: neither a server without RFC 9218 support nor an ended
            // stream is an error.
            StreamCommand::SetPriority(priority) => drop(connection.set_priority(stream, priority)),
            StreamCommand::SetPadding(pad_len) => {
                if let Some(entry) = self.find(stream) {
                    entry.pad_len = pad_len;
                }
            }
            StreamCommand::SendExtension { kind, flags, payload } => {
                if let Err(error) = connection.send_extension(kind, flags, Some(stream), &payload) {
                    trace::command_failed(&error);
                }
            }
            StreamCommand::Release { bytes } => self.release(connection, stream, bytes),
            StreamCommand::FinishReader => {
                self.handle(connection, stream, Input::ReaderFinished, None);
            }
            StreamCommand::DropReader => self.drop_reader(connection, stream),
            StreamCommand::DropSource => self.drop_source(connection, stream),
            StreamCommand::FailSource(error) => {
                self.handle(connection, stream, Input::SourceFailed, Some(error));
            }
            StreamCommand::Reset { code } => {
                self.handle(connection, stream, Input::Cancelled { code }, None);
            }
            // Only servers receive this command, and their host handles it.
            StreamCommand::SendContinue => {}
        }
    }

    fn release<R: Role>(&mut self, connection: &mut SplicingConnection<R>, stream: StreamKey, bytes: usize) {
        let unreleased_bytes = match find(&mut self.entries, stream) {
            Some(entry) => &mut entry.unreleased_bytes,
            None => match self.unreleased.iter_mut().find(|(released, _)| *released == stream) {
                Some((_, unreleased_bytes)) => unreleased_bytes,
                // The core released the content of a reset stream.
                None => return,
            },
        };
        let bytes = bytes.min(*unreleased_bytes);
        *unreleased_bytes -= bytes;
        connection.release(stream, bytes);
        self.unreleased.retain(|(_, unreleased_bytes)| *unreleased_bytes > 0);
    }

    fn drop_reader<R: Role>(&mut self, connection: &mut SplicingConnection<R>, stream: StreamKey) {
        let Some(entry) = self.find(stream) else {
            return self.release(connection, stream, usize::MAX);
        };
        connection.discard(stream, mem::take(&mut entry.unreleased_bytes));
        self.handle(connection, stream, Input::ReaderDropped, None);
    }

    /// Handles the drop of a handler or a writer before its end.
    fn drop_source<R: Role>(&mut self, connection: &mut SplicingConnection<R>, stream: StreamKey) {
        let Some(entry) = self.find(stream) else { return };
        if entry.life.is_tunnel() && entry.current.is_some() {
            // What was written to a tunnel precedes its end.
            entry.finish = Some(Finish::End);
        } else {
            self.handle(connection, stream, Input::SourceDropped, None);
        }
    }
}

fn find(entries: &mut [Option<StreamEntry>], stream: StreamKey) -> Option<&mut StreamEntry> {
    entries.get_mut(stream.index())?.as_mut().filter(|entry| entry.stream == stream)
}

impl fmt::Debug for StreamTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamTable")
            .field("open", &self.entries.iter().flatten().count())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for StreamEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamEntry")
            .field("stream", &self.stream)
            .field("life", &self.life)
            .field("unreleased_bytes", &self.unreleased_bytes)
            .finish_non_exhaustive()
    }
}
