//! Content that is sent, as a writer.

use std::fmt;
use std::io::{self, Read, Write};
use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use thalweg::ErrorCode;

use crate::error::Error;
use crate::exchange::{Chunk, Exchange, Finish, Interest, StreamCommand, WaitResult};
use crate::fields::Fields;

/// Sends the content of a message, piece by piece.
///
/// Collects up to 64 KiB before it passes them on; [`flush`](Write::flush) passes on what is there. Waits while the peer's
/// windows are closed and enough is on its way. Once the stream has ended, every call is an error with an [`Error`] inside.
///
/// It must be finished: dropped before, it resets the stream, so that nobody takes a part for the whole.
pub struct BodyWriter {
    exchange: Arc<Exchange>,
    buffer: Vec<u8>,
    state: State,
    /// The code of the reset if it is dropped unfinished.
    unfinished: ErrorCode,
    time_limit: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// The message has no content whatever is written: the answer to HEAD, or the status 204 or 304 (RFC 9110 §6.4.1).
    NoBody,
    Finished,
}

impl BodyWriter {
    pub(crate) fn new(exchange: Arc<Exchange>, unfinished: ErrorCode, time_limit: Option<Duration>) -> Self {
        Self { exchange, buffer: Vec::new(), state: State::Open, unfinished, time_limit }
    }

    /// A writer for a message that has already ended.
    pub(crate) fn no_body(exchange: Arc<Exchange>) -> Self {
        let mut writer = Self::new(exchange, ErrorCode::NO_ERROR, None);
        writer.state = State::NoBody;
        writer
    }

    /// Sends all that a reader gives, each piece as it comes, and returns how many bytes that was.
    ///
    /// # Errors
    /// The reader's, or the stream's end.
    pub fn write_from(&mut self, reader: &mut (impl Read + ?Sized)) -> io::Result<u64> {
        if self.state == State::NoBody {
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

    /// Ends the content. What was written is on its way; whether it arrives, the stream's or the connection's end tells. To a server that has
    /// answered in full and wants no more (RFC 9113 §8.1) nothing is sent, and that is no error.
    ///
    /// # Errors
    /// The stream has ended before.
    pub fn finish(self) -> io::Result<()> {
        Ok(self.end(Finish::End)?)
    }

    /// Ends the content with trailers.
    ///
    /// # Errors
    /// The stream has ended before.
    pub fn finish_with(self, trailers: Fields) -> io::Result<()> {
        Ok(self.end(Finish::Trailers(trailers))?)
    }

    /// Ends the stream without its end: the peer knows that the message is not whole.
    pub fn reset(mut self, code: ErrorCode) {
        self.unfinished = code;
    }

    /// Whether the stream has ended before its time.
    pub fn is_over(&self) -> bool {
        self.exchange.failure().is_some()
    }

    fn end(mut self, finish: Finish) -> Result<(), Error> {
        if self.state == State::NoBody {
            return Ok(());
        }
        let capacity = match self.exchange.failure() {
            None if !self.buffer.is_empty() => self.wait_for_capacity_and_buffer(false),
            over => over.map_or(Ok(()), Err),
        };
        if let Err(error) = capacity {
            let is_answered = self.exchange.is_answered();
            return if is_answered { Ok(()) } else { Err(error) };
        }
        let chunk = match mem::take(&mut self.buffer) {
            rest if rest.is_empty() => Chunk::EMPTY,
            rest => Chunk::Buffer(rest),
        };
        self.exchange.send(chunk, Some(finish));
        self.state = State::Finished;
        Ok(())
    }

    /// Waits until another chunk may be passed on, and takes a buffer that has come back.
    fn wait_for_capacity(&mut self) -> Result<(), Error> {
        self.wait_for_capacity_and_buffer(true)
    }

    fn wait_for_capacity_and_buffer(&mut self, take_buffer: bool) -> Result<(), Error> {
        let deadline = self.time_limit.map(|limit| Instant::now() + limit);
        let interest = Interest { head: false, content: false, capacity: true };
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

    /// Reads once, and passes on what came. There is room for it.
    fn read_chunk(&mut self, reader: &mut (impl Read + ?Sized)) -> io::Result<usize> {
        self.buffer.resize(CHUNK_BYTES, 0);
        let len = loop {
            match reader.read(&mut self.buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                outcome => break outcome,
            }
        };
        let len = len.inspect_err(|_| self.buffer.clear())?;
        if len == 0 {
            self.buffer.clear();
        } else if len < CHUNK_BYTES / 4 {
            // A small piece does not take the large buffer along.
            self.exchange.send(Chunk::Bytes(self.buffer[..len].to_vec().into()), None);
            self.buffer.clear();
        } else {
            self.buffer.truncate(len);
            self.exchange.send(Chunk::Buffer(mem::take(&mut self.buffer)), None);
        }
        Ok(len)
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
        if self.state == State::NoBody {
            return Ok(data.len());
        }
        if self.buffer.len() >= CHUNK_BYTES {
            self.send_buffer()?;
        }
        let len = data.len().min(CHUNK_BYTES - self.buffer.len());
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
            self.exchange.submit(StreamCommand::Reset { code: self.unfinished });
        }
    }
}

impl fmt::Debug for BodyWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BodyWriter").field("state", &self.state).finish()
    }
}

/// A message's content on its way from a reader, sent piece by piece by whoever waits for something else meanwhile.
pub struct Upload {
    writer: BodyWriter,
    reader: Box<dyn Read + Send>,
    trailers: Option<Fields>,
}

impl Upload {
    pub fn new(writer: BodyWriter, reader: Box<dyn Read + Send>, trailers: Option<Fields>) -> Self {
        Self { writer, reader, trailers }
    }

    /// Sends one piece, for which there is room. Returns itself unless that was the end.
    pub fn resume(mut self, buffer: Option<Vec<u8>>) -> Result<Option<Self>, Error> {
        if let Some(buffer) = buffer {
            self.writer.buffer = buffer;
        }
        let len = match self.writer.read_chunk(&mut *self.reader) {
            Ok(len) => len,
            Err(error) => return Err(Error::Body(Arc::new(error))),
        };
        if len > 0 {
            return Ok(Some(self));
        }
        let finish = self.trailers.map_or(Finish::End, Finish::Trailers);
        self.writer.end(finish)?;
        Ok(None)
    }

    /// Sends all of it.
    pub fn finish(mut self) -> io::Result<()> {
        self.writer.write_from(&mut *self.reader)?;
        Ok(self.writer.end(self.trailers.map_or(Finish::End, Finish::Trailers))?)
    }
}

/// The largest piece that is passed on at once.
const CHUNK_BYTES: usize = 64 << 10;
