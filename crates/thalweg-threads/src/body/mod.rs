//! The content of messages: received content as a reader, and content to send as a writer.

pub(crate) mod exchange;
pub(crate) mod writer;

use std::fmt;
use std::io::{self, Read};
use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::fields::Fields;

pub use writer::BodyWriter;

use exchange::{Exchange, Interest, StreamCommand, WaitResult};

/// The content of a received message. Reading waits for data, and extends the peer's window by the
/// number of bytes read.
///
/// Dropping it before its end discards a request's content, and cancels a response's stream.
pub struct Body {
    inner: Option<Box<Inner>>,
    trailers: Option<Fields>,
}

struct Inner {
    exchange: Arc<Exchange>,
    buffer: Vec<u8>,
    position: usize,
    /// Consumed bytes that were not reported to the driver yet.
    unreported: usize,
    origin: Origin,
    time_limit: Option<Duration>,
}

/// The message that the content belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    Request { expects_continue: bool },
    Response,
}

impl Body {
    /// Returns content without any bytes.
    pub(crate) const fn empty() -> Self {
        Self { inner: None, trailers: None }
    }

    /// Creates the content of a request. `expects_continue`: the first read is reported to the
    /// driver, which may owe 100 (RFC 9110 §10.1.1).
    pub(crate) fn of_request(exchange: Arc<Exchange>, expects_continue: bool) -> Self {
        Self::new(exchange, Origin::Request { expects_continue }, None)
    }

    /// Creates the content of a response, while that of the request may still be sent.
    pub(crate) fn of_response(exchange: Arc<Exchange>, time_limit: Option<Duration>) -> Self {
        Self::new(exchange, Origin::Response, time_limit)
    }

    fn new(exchange: Arc<Exchange>, origin: Origin, time_limit: Option<Duration>) -> Self {
        let inner = Inner { exchange, buffer: Vec::new(), position: 0, unreported: 0, origin, time_limit };
        Self { inner: Some(Box::new(inner)), trailers: None }
    }

    /// Returns the trailers, once reading has returned 0.
    pub fn trailers(&self) -> Option<&Fields> {
        self.trailers.as_ref()
    }

    /// Returns whether all content was read, or there was none.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.inner.is_none()
    }

    /// Reads all remaining content.
    ///
    /// # Errors
    /// The stream ended early ([`Error`] is inside), or there are more than `bytes_max` bytes
    /// (`FileTooLarge`).
    pub fn read_whole(&mut self, bytes_max: usize) -> io::Result<Vec<u8>> {
        let mut whole = Vec::new();
        self.take((bytes_max as u64).saturating_add(1)).read_to_end(&mut whole)?;
        if whole.len() > bytes_max {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(whole)
    }
}

impl Read for Body {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let Some(inner) = &mut self.inner else { return Ok(0) };
        if out.is_empty() {
            return Ok(0);
        }
        if inner.position == inner.buffer.len()
            && let Some(trailers) = inner.refill()?
        {
            self.trailers = trailers;
            self.inner = None;
            return Ok(0);
        }
        Ok(inner.consume(out))
    }
}

impl Inner {
    fn consume(&mut self, out: &mut [u8]) -> usize {
        let len = out.len().min(self.buffer.len() - self.position);
        out[..len].copy_from_slice(&self.buffer[self.position..self.position + len]);
        self.position += len;
        self.unreported += len;
        if self.unreported >= self.exchange.limits.report_bytes {
            self.report();
        }
        len
    }

    /// Reports consumed bytes to the driver, which extends the peer's window.
    fn report(&mut self) {
        let bytes = mem::take(&mut self.unreported);
        if bytes > 0 {
            self.exchange.submit(StreamCommand::Release { bytes });
        }
    }

    /// Waits for more content. Returns the trailers if there is none.
    fn refill(&mut self) -> Result<Option<Option<Fields>>, Error> {
        self.report();
        self.buffer.clear();
        self.position = 0;
        if let Origin::Request { expects_continue } = &mut self.origin
            && mem::take(expects_continue)
        {
            self.exchange.submit(StreamCommand::SendContinue);
        }
        let deadline = self.time_limit.map(|limit| Instant::now() + limit);
        let interest = Interest { content: true, ..Interest::default() };
        match self.exchange.wait_for(interest, &mut self.buffer, deadline) {
            WaitResult::Ended(trailers) => Ok(Some(trailers)),
            WaitResult::Failed(error) => Err(error),
            WaitResult::TimedOut => Err(Error::TimedOut),
            WaitResult::Content | WaitResult::Capacity(_) | WaitResult::Head(_) => Ok(None),
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let was_whole = self.exchange.drop_received() && self.position == self.buffer.len();
        if !was_whole {
            return self.exchange.submit(StreamCommand::DropReader);
        }
        self.report();
        if self.origin == Origin::Response {
            self.exchange.report_end();
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("is_ended", &self.is_ended()).finish()
    }
}
