//! The driver's table of streams: their exchanges, and the content queued on them.
//!
//! Invariants: an entry lives as long as its stream lives in the core; `unreleased_bytes` is the
//! content that the application has not released.

use std::collections::VecDeque;
use std::fmt;
use std::mem;
use std::sync::Arc;

use thalweg::{ErrorCode, Role, SendError, StreamKey};
use thalweg_http::expect::{Expectation, ServerExpect};
use thalweg_io::SplicingConnection;

use crate::body::exchange::{Chunk, Exchange, Finish, StreamCommand};
use crate::error::Error;
use crate::trace;

/// All open streams.
pub struct StreamTable {
    entries: Vec<Option<StreamEntry>>,
    /// Unreleased content of streams that both sides have completed.
    unreleased: Vec<(StreamKey, usize)>,
}

/// One open stream.
pub struct StreamEntry {
    pub stream: StreamKey,
    pub exchange: Arc<Exchange>,
    /// The chunk that is being sent, and how much of it the core has accepted.
    current: Option<(Chunk, usize)>,
    /// The chunks after it.
    queue: VecDeque<Chunk>,
    finish: Option<Finish>,
    local_ended: bool,
    remote_ended: bool,
    /// Padding of each outbound DATA frame.
    pad_len: Option<u8>,
    /// On a server, whether 100 is owed.
    pub expect: ServerExpect,
    /// Whether received content is discarded.
    ignore_input: bool,
    /// Content reported to the application and not released yet, bytes.
    unreleased_bytes: usize,
}

impl StreamEntry {
    pub fn new(stream: StreamKey, exchange: Arc<Exchange>, local_ended: bool, remote_ended: bool) -> Self {
        Self {
            stream,
            exchange,
            current: None,
            queue: VecDeque::new(),
            finish: None,
            local_ended,
            remote_ended,
            pad_len: None,
            expect: ServerExpect::new(Expectation::None, false),
            ignore_input: false,
            unreleased_bytes: 0,
        }
    }

    /// Sends as much as the core accepts. Returns whether our half has ended.
    fn send<R: Role>(&mut self, connection: &mut SplicingConnection<R>) -> Result<bool, SendError> {
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
            if taken < rest.len() {
                *at += taken;
                return Ok(false);
            }
            let next = self.queue.pop_front().map(|chunk| (chunk, 0));
            let done = mem::replace(&mut self.current, next);
            if ends {
                return Ok(true);
            }
            // No writer waits for capacity after the end.
            if let (None, Some((chunk, _))) = (&self.finish, done) {
                self.exchange.deliver_sent(chunk);
            }
        }
        match self.finish.take() {
            None => return Ok(false),
            Some(Finish::End) => {
                // The core always accepts END_STREAM without data.
                connection.send_data(self.stream, &[], true)?;
            }
            Some(Finish::Trailers(trailers)) => connection.send_trailers(self.stream, trailers.iter())?,
        }
        Ok(true)
    }
}

impl StreamTable {
    /// Creates an empty table.
    pub const fn new() -> Self {
        Self { entries: Vec::new(), unreleased: Vec::new() }
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
        self.entries.get_mut(stream.index())?.as_mut().filter(|entry| entry.stream == stream)
    }

    /// Removes a stream that either side has ended.
    pub fn remove(&mut self, stream: StreamKey) -> Option<StreamEntry> {
        self.find(stream)?;
        self.entries[stream.index()].take()
    }

    /// Removes all streams.
    pub fn remove_all(&mut self) -> impl Iterator<Item = StreamEntry> {
        self.unreleased = Vec::new();
        mem::take(&mut self.entries).into_iter().flatten()
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
            Some(entry) if entry.ignore_input => connection.release(stream, data.len()),
            Some(entry) => {
                entry.expect.receive_content();
                entry.unreleased_bytes += data.len();
                entry.exchange.deliver_content(data, end);
            }
            None => connection.release(stream, data.len()),
        }
        if end {
            self.end_remote(stream);
        }
    }

    /// Handles the peer's END_STREAM.
    pub fn end_remote(&mut self, stream: StreamKey) {
        let Some(entry) = self.find(stream) else { return };
        entry.remote_ended = true;
        if entry.local_ended {
            self.complete(stream);
        }
    }

    /// Handles our END_STREAM.
    pub fn end_local<R: Role>(&mut self, connection: &mut SplicingConnection<R>, stream: StreamKey) {
        let Some(entry) = self.find(stream) else { return };
        entry.local_ended = true;
        if entry.remote_ended {
            self.complete(stream);
        } else if entry.ignore_input {
            self.reset_unread(connection, stream);
        }
    }

    fn complete(&mut self, stream: StreamKey) {
        if let Some(entry) = self.remove(stream)
            && entry.unreleased_bytes > 0
        {
            self.unreleased.push((stream, entry.unreleased_bytes));
        }
    }

    /// RFC 9113 §8.1: the response is complete, and the handler does not read the rest of the
    /// request.
    fn reset_unread<R: Role>(&mut self, connection: &mut SplicingConnection<R>, stream: StreamKey) {
        self.remove(stream);
        connection.send_reset(stream, ErrorCode::NO_ERROR);
    }

    /// Queues content and sends as much as the core accepts.
    pub fn send<R: Role>(
        &mut self,
        connection: &mut SplicingConnection<R>,
        stream: StreamKey,
        chunk: Chunk,
        finish: Option<Finish>,
    ) {
        let Some(entry) = self.find(stream) else { return };
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
        let entry = self.entries.get_mut(stream.index()).and_then(Option::as_mut);
        let Some(entry) = entry.filter(|entry| entry.stream == stream) else { return };
        match entry.send(connection) {
            Ok(false) => {}
            Ok(true) => self.end_local(connection, stream),
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
        self.reset(connection, stream, ErrorCode::INTERNAL_ERROR, Error::Send(error));
    }

    /// Resets a stream and delivers the reason to its application.
    pub fn reset<R: Role>(
        &mut self,
        connection: &mut SplicingConnection<R>,
        stream: StreamKey,
        code: ErrorCode,
        error: Error,
    ) {
        if let Some(entry) = self.remove(stream) {
            connection.send_reset(stream, code);
            entry.exchange.deliver_end(error);
        }
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
            StreamCommand::Discard => self.discard(connection, stream),
            StreamCommand::Reset { code } => self.reset(connection, stream, code, Error::reset(code)),
            // Only servers receive this command, and their host handles it.
            StreamCommand::SendContinue => {}
        }
    }

    fn release<R: Role>(&mut self, connection: &mut SplicingConnection<R>, stream: StreamKey, bytes: usize) {
        let unreleased_bytes = match self.find(stream) {
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

    fn discard<R: Role>(&mut self, connection: &mut SplicingConnection<R>, stream: StreamKey) {
        self.release(connection, stream, usize::MAX);
        let Some(entry) = self.find(stream) else { return };
        entry.ignore_input = true;
        if entry.local_ended {
            self.reset_unread(connection, stream);
        }
    }
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
            .field("local_ended", &self.local_ended)
            .field("remote_ended", &self.remote_ended)
            .field("unreleased_bytes", &self.unreleased_bytes)
            .finish_non_exhaustive()
    }
}
