//! Content that arrives, as a reader.

use std::fmt;
use std::io::{self, Read};
use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use thalweg::ErrorCode;

use crate::error::Error;
use crate::exchange::{Exchange, Interest, StreamCommand, WaitResult};
use crate::fields::Fields;
use crate::writer::Upload;

/// The content of a message that arrives. Reading waits for it, and gives the peer credit for as much as was read.
///
/// Dropped before its end, a request's content is discarded, and a response's stream is cancelled.
pub struct Body {
    inner: Option<Box<Inner>>,
    trailers: Option<Fields>,
}

struct Inner {
    exchange: Arc<Exchange>,
    buffer: Vec<u8>,
    position: usize,
    /// Consumed, and not yet said so.
    unreported: usize,
    origin: Origin,
    /// The content of our own request, which is sent while we wait for what arrives.
    upload: Option<Upload>,
    time_limit: Option<Duration>,
}

/// Whose content it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    Request { expects_continue: bool },
    Response,
}

impl Body {
    /// Content that has ended before it began.
    pub(crate) const fn empty() -> Self {
        Self { inner: None, trailers: None }
    }

    /// The content of a request. `expects_continue`: the client waits for 100 (RFC 9110 §10.1.1).
    pub(crate) fn of_request(exchange: Arc<Exchange>, expects_continue: bool) -> Self {
        Self::new(exchange, Origin::Request { expects_continue }, None, None)
    }

    /// The content of a response, while that of the request may still be on its way.
    pub(crate) fn of_response(
        exchange: Arc<Exchange>,
        upload: Option<Upload>,
        time_limit: Option<Duration>,
    ) -> Self {
        Self::new(exchange, Origin::Response, upload, time_limit)
    }

    fn new(
        exchange: Arc<Exchange>,
        origin: Origin,
        upload: Option<Upload>,
        time_limit: Option<Duration>,
    ) -> Self {
        let inner =
            Inner { exchange, buffer: Vec::new(), position: 0, unreported: 0, origin, upload, time_limit };
        Self { inner: Some(Box::new(inner)), trailers: None }
    }

    /// The trailers, once reading has given 0.
    pub fn trailers(&self) -> Option<&Fields> {
        self.trailers.as_ref()
    }

    /// Whether all of it has been read, or there was none.
    pub fn is_ended(&self) -> bool {
        self.inner.is_none()
    }

    /// Reads all that is left.
    ///
    /// # Errors
    /// The stream ended first ([`Error`] is inside), or there is more than `bytes_max` (`FileTooLarge`).
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

    /// Says what was consumed, so that the peer gets credit.
    fn report(&mut self) {
        let bytes = mem::take(&mut self.unreported);
        if bytes > 0 {
            self.exchange.submit(StreamCommand::Release { bytes });
        }
    }

    /// Waits for more content. Returns the trailers if there is no more.
    fn refill(&mut self) -> Result<Option<Option<Fields>>, Error> {
        self.report();
        self.buffer.clear();
        self.position = 0;
        if let Origin::Request { expects_continue } = &mut self.origin
            && mem::take(expects_continue)
            && self.exchange.is_idle()
        {
            self.exchange.submit(StreamCommand::SendContinue);
        }
        let deadline = self.time_limit.map(|limit| Instant::now() + limit);
        let mut interest = Interest { head: false, content: true, capacity: self.upload.is_some() };
        let mut ended = None;
        loop {
            if let Some(trailers) = ended.take_if(|_| self.upload.is_none()) {
                return Ok(Some(trailers));
            }
            match self.exchange.wait_for(interest, &mut self.buffer, deadline) {
                WaitResult::Content => return Ok(None),
                WaitResult::Ended(trailers) => {
                    // The peer may still want the rest of the request.
                    interest.content = false;
                    ended = Some(trailers);
                }
                WaitResult::Capacity(buffer) => {
                    if let Some(upload) = self.upload.take() {
                        self.upload = upload.resume(buffer)?;
                    }
                    interest.capacity = self.upload.is_some();
                }
                // RFC 9113 §8.1: whoever has answered whole may reset what it does not want to hear.
                WaitResult::Failed(_) if ended.is_some() => self.upload = None,
                WaitResult::Failed(error) => return Err(error),
                WaitResult::TimedOut => return Err(Error::TimedOut),
                WaitResult::Head(_) => {}
            }
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let was_whole = self.exchange.drop_received() && self.position == self.buffer.len();
        match self.origin {
            _ if was_whole => self.report(),
            Origin::Request { .. } => self.exchange.submit(StreamCommand::Discard),
            Origin::Response => self.exchange.submit(StreamCommand::Reset { code: ErrorCode::CANCEL }),
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("is_ended", &self.is_ended()).finish()
    }
}
