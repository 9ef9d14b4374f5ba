//! The streams of a connection as the driver knows them: their exchanges, and what waits to be sent on them.
//!
//! Keeps true: an entry lives as long as its stream lives in the core; `unreleased_bytes` is what its application has not released.

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;

use bytes::Bytes;
use thalweg::{ErrorCode, Role, SendError, StreamKey};

use super::transport_io::SplicedChunks;
use crate::error::Error;
use crate::exchange::{Chunk, Exchange, Finish, StreamCommand};
use crate::record::Connection;
use crate::trace;

/// All live streams.
pub struct StreamTable {
    entries: Vec<Option<StreamEntry>>,
    /// Content of frames whose heads the core has, on its way to the transport.
    pub chunks: SplicedChunks,
    /// Whether large content goes to the transport as it is.
    splices: bool,
    /// Content of streams that ended in order while their applications still held it.
    unreleased: Vec<(StreamKey, usize)>,
}

/// One live stream.
pub struct StreamEntry {
    pub stream: StreamKey,
    pub exchange: Arc<Exchange>,
    /// What the core has taken in part, or will take next, and how much of it it has.
    current: Option<(Chunk, usize)>,
    /// What comes behind it.
    queue: VecDeque<Chunk>,
    finish: Option<Finish>,
    local_ended: bool,
    remote_ended: bool,
    /// Padding in each frame of content that is sent.
    pad_len: Option<u8>,
    /// What arrives is not wanted.
    ignore_input: bool,
    /// Shown to the application and not released, bytes.
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
            ignore_input: false,
            unreleased_bytes: 0,
        }
    }

    /// Hands the core as much as it takes. Returns whether our half has ended.
    fn send<R: Role>(
        &mut self,
        connection: &mut Connection<R>,
        chunks: Option<&mut SplicedChunks>,
    ) -> Result<bool, SendError> {
        let mut chunks = chunks;
        while let Some((chunk, at)) = &mut self.current {
            let rest = &chunk.as_slice()[*at..];
            let ends = self.queue.is_empty() && matches!(self.finish, Some(Finish::End));
            let taken = match (self.pad_len, &mut chunks, &*chunk) {
                (None, Some(chunks), Chunk::Bytes(bytes)) if rest.len() >= SPLICE_BYTES_MIN => {
                    splice(connection, self.stream, &bytes.slice(*at..), ends, chunks)?
                }
                (None, ..) => connection.send_data(self.stream, rest, ends)?,
                (Some(pad_len), ..) => connection.send_data_padded(self.stream, rest, ends, pad_len)?,
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
            // Nobody waits for room once the end was said.
            if let (None, Some((chunk, _))) = (&self.finish, done) {
                self.exchange.deliver_sent(chunk);
            }
        }
        match self.finish.take() {
            None => return Ok(false),
            Some(Finish::End) => {
                // An end alone is always taken.
                connection.send_data(self.stream, &[], true)?;
            }
            Some(Finish::Trailers(trailers)) => connection.send_trailers(self.stream, trailers.iter())?,
        }
        Ok(true)
    }
}

/// Announces content frame by frame as far as the core takes it, and puts it where the transport finds it. Returns its length.
fn splice<R: Role>(
    connection: &mut Connection<R>,
    stream: StreamKey,
    content: &Bytes,
    ends: bool,
    chunks: &mut SplicedChunks,
) -> Result<usize, SendError> {
    let mut taken = 0;
    while taken < content.len() {
        let len = connection.splice_data(stream, content.len() - taken, ends)?;
        if len == 0 {
            break;
        }
        chunks.push_back(content.slice(taken..taken + len));
        taken += len;
    }
    Ok(taken)
}

/// Content below this length is copied: that costs less than to place it.
const SPLICE_BYTES_MIN: usize = 8 << 10;

impl StreamTable {
    /// Without streams. `splices`: the transport takes many slices at once.
    pub const fn new(splices: bool) -> Self {
        Self { entries: Vec::new(), chunks: SplicedChunks::new(), splices, unreleased: Vec::new() }
    }

    /// A stream was opened.
    pub fn insert(&mut self, entry: StreamEntry) {
        let index = entry.stream.index();
        if index >= self.entries.len() {
            self.entries.resize_with(index + 1, || None);
        }
        debug_assert!(self.entries[index].is_none(), "the stream before it in its slot has ended");
        self.entries[index] = Some(entry);
    }

    /// A live stream.
    pub fn find(&mut self, stream: StreamKey) -> Option<&mut StreamEntry> {
        self.entries.get_mut(stream.index())?.as_mut().filter(|entry| entry.stream == stream)
    }

    /// A stream has ended, whoever ended it.
    pub fn remove(&mut self, stream: StreamKey) -> Option<StreamEntry> {
        self.find(stream)?;
        self.entries[stream.index()].take()
    }

    /// All streams have ended.
    pub fn remove_all(&mut self) -> impl Iterator<Item = StreamEntry> {
        self.unreleased = Vec::new();
        mem::take(&mut self.entries).into_iter().flatten()
    }

    /// Content has come.
    pub fn receive_data<R: Role>(
        &mut self,
        connection: &mut Connection<R>,
        stream: StreamKey,
        data: &[u8],
        end: bool,
    ) {
        match self.find(stream) {
            Some(entry) if entry.ignore_input => connection.release(stream, data.len()),
            Some(entry) => {
                entry.unreleased_bytes += data.len();
                entry.exchange.deliver_content(data, end);
            }
            None => connection.release(stream, data.len()),
        }
        if end {
            self.end_remote(stream);
        }
    }

    /// The peer's half has ended.
    pub fn end_remote(&mut self, stream: StreamKey) {
        let Some(entry) = self.find(stream) else { return };
        entry.remote_ended = true;
        if entry.local_ended {
            self.complete(stream);
        }
    }

    /// Our half has ended.
    pub fn end_local<R: Role>(&mut self, connection: &mut Connection<R>, stream: StreamKey) {
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

    /// RFC 9113 §8.1: the response is whole, and the rest of the request is not wanted.
    fn reset_unread<R: Role>(&mut self, connection: &mut Connection<R>, stream: StreamKey) {
        self.remove(stream);
        connection.send_reset(stream, ErrorCode::NO_ERROR);
    }

    /// Queues content and sends what the core takes.
    pub fn send<R: Role>(
        &mut self,
        connection: &mut Connection<R>,
        stream: StreamKey,
        chunk: Chunk,
        finish: Option<Finish>,
    ) {
        let Some(entry) = self.find(stream) else { return };
        let is_blocked = entry.current.is_some();
        if chunk.as_slice().is_empty() {
            // There is only an end to say.
        } else if is_blocked {
            entry.queue.push_back(chunk);
        } else {
            entry.current = Some((chunk, 0));
        }
        if finish.is_some() {
            entry.finish = finish;
        }
        // What was cut short goes on when the core says so.
        if !is_blocked {
            self.resume(connection, stream);
        }
    }

    /// Sends what the core takes of what is queued.
    pub fn resume<R: Role>(&mut self, connection: &mut Connection<R>, stream: StreamKey) {
        let entry = self.entries.get_mut(stream.index()).and_then(Option::as_mut);
        let Some(entry) = entry.filter(|entry| entry.stream == stream) else { return };
        match entry.send(connection, self.splices.then_some(&mut self.chunks)) {
            Ok(false) => {}
            Ok(true) => self.end_local(connection, stream),
            Err(error) => self.handle_send_error(connection, stream, error),
        }
    }

    /// The core refused something that the application wanted to send.
    pub fn handle_send_error<R: Role>(
        &mut self,
        connection: &mut Connection<R>,
        stream: StreamKey,
        error: SendError,
    ) {
        // Its end is told by an event, or by the connection's end.
        if matches!(error, SendError::StreamClosed | SendError::Connection(_)) {
            return;
        }
        trace::send_failed(stream, &error);
        self.reset(connection, stream, ErrorCode::INTERNAL_ERROR, Error::Send(error));
    }

    /// Resets a stream and tells its application why.
    pub fn reset<R: Role>(
        &mut self,
        connection: &mut Connection<R>,
        stream: StreamKey,
        code: ErrorCode,
        error: Error,
    ) {
        if let Some(entry) = self.remove(stream) {
            connection.send_reset(stream, code);
            entry.exchange.deliver_end(error);
        }
    }

    /// Does what an application asks for a stream; too late, it is nothing.
    pub fn execute<R: Role>(
        &mut self,
        connection: &mut Connection<R>,
        stream: StreamKey,
        command: StreamCommand,
    ) {
        match command {
            StreamCommand::Send { chunk, finish } => self.send(connection, stream, chunk, finish),
            // It is advice: a server that does not go by it, or a stream that has ended, is no fault.
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
            StreamCommand::Reset { code } => self.reset(connection, stream, code, Error::LocalReset(code)),
            // Only servers are asked for it, and they answer it themselves.
            StreamCommand::SendContinue => {}
        }
    }

    fn release<R: Role>(&mut self, connection: &mut Connection<R>, stream: StreamKey, bytes: usize) {
        let unreleased_bytes = match self.find(stream) {
            Some(entry) => &mut entry.unreleased_bytes,
            None => match self.unreleased.iter_mut().find(|(released, _)| *released == stream) {
                Some((_, unreleased_bytes)) => unreleased_bytes,
                // Reset: the core has released it.
                None => return,
            },
        };
        let bytes = bytes.min(*unreleased_bytes);
        *unreleased_bytes -= bytes;
        connection.release(stream, bytes);
        self.unreleased.retain(|(_, unreleased_bytes)| *unreleased_bytes > 0);
    }

    fn discard<R: Role>(&mut self, connection: &mut Connection<R>, stream: StreamKey) {
        self.release(connection, stream, usize::MAX);
        let Some(entry) = self.find(stream) else { return };
        entry.ignore_input = true;
        if entry.local_ended {
            self.reset_unread(connection, stream);
        }
    }
}
