//! The content of an outbound message, as a writer.

use std::fmt;
use std::io::{self, Read, Write};
use std::mem;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use thalweg::ErrorCode;
use thalweg_http::content::LengthCheck;

use crate::body::exchange::{Chunk, Exchange, Finish, Interest, StreamCommand, WaitResult};
use crate::error::Error;
use crate::fields::Fields;
use crate::outbound::content_error;

/// Sends the content of a message, piece by piece.
///
/// Collects up to 64 KiB before it sends them; [`flush`](Write::flush) sends what was collected.
/// Waits while the peer's windows are closed and the queue is full. Once the stream has ended,
/// every call returns an error with an [`Error`] inside.
///
/// It must be finished. Dropping it before resets the stream, so that the peer cannot take
/// truncated content for complete content. In a tunnel, dropping it ends its direction.
pub struct BodyWriter {
    exchange: Arc<Exchange>,
    buffer: Vec<u8>,
    state: State,
    /// The bytes written so far, against the announced length.
    check: LengthCheck,
    time_limit: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// The message has no content whatever is written: a response to HEAD, or the status 204, 205
    /// or 304 (RFC 9110 §6.4.1).
    NoContent,
    Finished,
}

impl BodyWriter {
    pub(crate) fn new(exchange: Arc<Exchange>, check: LengthCheck, time_limit: Option<Duration>) -> Self {
        Self { exchange, buffer: Vec::new(), state: State::Open, check, time_limit }
    }

    /// Creates a writer for a message that has already ended.
    pub(crate) fn without_content(exchange: Arc<Exchange>, check: LengthCheck) -> Self {
        let mut writer = Self::new(exchange, check, None);
        writer.state = State::NoContent;
        writer
    }

    /// Sends a reader's output to its end, each piece as soon as it is read. Returns its length,
    /// bytes.
    ///
    /// # Errors
    /// The reader's error, or the stream's end.
    pub fn write_from(&mut self, reader: &mut (impl Read + ?Sized)) -> io::Result<u64> {
        if self.state == State::NoContent {
            return Ok(0);
        }
        self.flush()?;
        let mut total = 0;
        loop {
            self.wait_for_capacity()?;
            match self.read_chunk(reader)? {
                0 => return Ok(total),
                len => total += len as u64,
            }
        }
    }

    /// Ends the content, whose length must be the announced one. Written content is queued; the
    /// stream's or the connection's end reports whether it was sent. A server may respond
    /// completely and reset the rest of the request (RFC 9113 §8.1): then nothing is sent, and this
    /// is no error.
    ///
    /// # Errors
    /// The stream has ended before.
    pub fn finish(self) -> io::Result<()> {
        self.end(Finish::End)
    }

    /// Ends the content with trailers.
    ///
    /// # Errors
    /// The stream has ended before.
    pub fn finish_with(self, trailers: Fields) -> io::Result<()> {
        self.end(Finish::with(Some(trailers)))
    }

    /// Resets the stream, so that the peer knows that the message is incomplete.
    pub fn reset(mut self, code: ErrorCode) {
        if mem::replace(&mut self.state, State::Finished) == State::Open {
            self.exchange.submit(StreamCommand::Reset { code });
        }
    }

    /// Returns whether the stream has ended early.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.exchange.failure().is_some()
    }

    fn end(mut self, finish: Finish) -> io::Result<()> {
        if self.state == State::NoContent {
            return Ok(());
        }
        let capacity = match self.exchange.failure() {
            None if !self.buffer.is_empty() => self.wait_for_capacity_and_buffer(false),
            over => over.map_or(Ok(()), Err),
        };
        if let Err(error) = capacity {
            let is_answered = self.exchange.is_answered();
            return if is_answered { Ok(()) } else { Err(error.into()) };
        }
        if let Err(error) = self.check.finish() {
            self.state = State::Finished;
            self.fail(content_error(error));
            return Err(content_error(error));
        }
        let chunk = match mem::take(&mut self.buffer) {
            rest if rest.is_empty() => Chunk::EMPTY,
            rest => Chunk::Buffer(rest),
        };
        self.exchange.send(chunk, Some(finish));
        self.state = State::Finished;
        Ok(())
    }

    /// Waits for the capacity of another chunk, and takes a buffer that has come back.
    fn wait_for_capacity(&mut self) -> Result<(), Error> {
        self.wait_for_capacity_and_buffer(true)
    }

    fn wait_for_capacity_and_buffer(&mut self, take_buffer: bool) -> Result<(), Error> {
        let deadline = self.time_limit.map(|limit| Instant::now() + limit);
        let interest = Interest { capacity: true, ..Interest::default() };
        match self.exchange.wait_for(interest, &mut Vec::new(), deadline) {
            WaitResult::Capacity(Some(buffer)) if take_buffer && self.buffer.is_empty() => {
                self.buffer = buffer;
            }
            WaitResult::Failed(error) => return Err(error),
            WaitResult::TimedOut => return Err(Error::TimedOut),
            _ => {}
        }
        Ok(())
    }

    /// Reads once, and sends the piece. The caller has waited for capacity.
    fn read_chunk(&mut self, reader: &mut (impl Read + ?Sized)) -> io::Result<usize> {
        self.buffer.resize(CHUNK_BYTES, 0);
        let len = loop {
            match reader.read(&mut self.buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                outcome => break outcome,
            }
        };
        let len = len.and_then(|len| self.count(len).map(|()| len));
        let len = len.inspect_err(|_| self.buffer.clear())?;
        if len == 0 {
            self.buffer.clear();
        } else if len < CHUNK_BYTES / 4 {
            // A small piece is copied, so that the large buffer stays here.
            self.exchange.send(Chunk::Bytes(self.buffer[..len].to_vec().into()), None);
            self.buffer.clear();
        } else {
            self.buffer.truncate(len);
            self.exchange.send(Chunk::Buffer(mem::take(&mut self.buffer)), None);
        }
        Ok(len)
    }

    /// Resets the stream, and reports the reason to the reader of the response.
    fn fail(&self, error: io::Error) {
        let error = Error::of_io(&error).cloned().unwrap_or_else(|| Error::Body(Arc::new(error)));
        self.exchange.submit(StreamCommand::FailSource(error));
    }

    /// Counts a piece before anything of it is sent.
    fn count(&mut self, len: usize) -> io::Result<()> {
        self.check.add(len as u64).map_err(content_error)
    }

    fn send_buffer(&mut self) -> Result<(), Error> {
        let full = mem::take(&mut self.buffer);
        let capacity = self.wait_for_capacity();
        if let Err(error) = capacity {
            self.buffer = full;
            return Err(error);
        }
        self.exchange.send(Chunk::Buffer(full), None);
        self.buffer.clear();
        Ok(())
    }
}

impl Write for BodyWriter {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        if self.state == State::NoContent {
            return Ok(data.len());
        }
        if self.buffer.len() >= CHUNK_BYTES {
            self.send_buffer()?;
        }
        let len = data.len().min(CHUNK_BYTES - self.buffer.len());
        self.count(len)?;
        self.buffer.extend_from_slice(&data[..len]);
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        Ok(self.send_buffer()?)
    }
}

impl Drop for BodyWriter {
    fn drop(&mut self) {
        if self.state == State::Open {
            self.exchange.submit(StreamCommand::DropSource);
        }
    }
}

impl fmt::Debug for BodyWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BodyWriter").field("state", &self.state).finish()
    }
}

/// Content from a reader, and its end.
pub(crate) struct Upload {
    writer: BodyWriter,
    reader: Box<dyn Read + Send>,
    finish: Finish,
}

impl Upload {
    pub(crate) fn new(writer: BodyWriter, reader: Box<dyn Read + Send>, finish: Finish) -> Self {
        Self { writer, reader, finish }
    }

    /// Sends all content.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.writer.write_from(&mut *self.reader)?;
        self.writer.end(self.finish)
    }

    /// Sends all content from a thread of its own: a reader may block for as long as it likes,
    /// while the response arrives. An error reaches the reader of the response.
    pub(crate) fn spawn(mut self) -> io::Result<()> {
        let upload = move || match self.writer.write_from(&mut *self.reader) {
            // It reports its errors itself.
            Ok(_) => drop(self.writer.end(self.finish)),
            Err(error) => self.writer.fail(error),
        };
        thread::Builder::new().name("thalweg upload".to_owned()).spawn(upload).map(drop)
    }
}

/// The longest piece of one message.
const CHUNK_BYTES: usize = 64 << 10;
