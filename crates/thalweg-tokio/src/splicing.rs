//! A connection, and the payloads that are spliced into its output.
//!
//! Invariants: there is one payload for each gap in the output, in the same order; a payload stays
//! here, untouched, until the transport has accepted its last byte, whatever happens to its stream.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, IoSlice};
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf as _, Bytes};
use thalweg::{Role, SendError, Splice, StreamKey};
use tokio::io::AsyncWrite;

use crate::record::{Connection, is_recorded};

/// A connection that sends long content without copying it.
pub struct SplicingConnection<R: Role> {
    connection: Connection<R>,
    /// The payloads for the gaps in the output that is not fetched yet.
    payloads: VecDeque<Bytes>,
    may_splice: bool,
}

impl<R: Role> SplicingConnection<R> {
    /// Creates a connection without payloads. `is_vectored`: the transport accepts many slices in
    /// one write. Otherwise copies are cheaper.
    pub fn new(connection: Connection<R>, is_vectored: bool) -> Self {
        let may_splice = is_vectored && !is_recorded(&connection);
        Self { connection, payloads: VecDeque::new(), may_splice }
    }

    /// Returns whether splicing `len` bytes is cheaper than copying them.
    pub const fn splices(&self, len: usize) -> bool {
        self.may_splice && len >= SPLICE_BYTES_MIN
    }

    /// Sends as much content as the stream accepts, without copying it, and advances `content` by
    /// that length.
    ///
    /// # Errors
    /// Those of `send_data`.
    pub fn splice(&mut self, stream: StreamKey, content: &mut Bytes, end: bool) -> Result<(), SendError> {
        while content.has_remaining() {
            match self.connection.splice_data(stream, content.len(), end)? {
                0 => break,
                len => self.payloads.push_back(content.split_to(len)),
            }
        }
        Ok(())
    }
}

impl<R: Role> Deref for SplicingConnection<R> {
    type Target = Connection<R>;

    fn deref(&self) -> &Connection<R> {
        &self.connection
    }
}

impl<R: Role> DerefMut for SplicingConnection<R> {
    fn deref_mut(&mut self) -> &mut Connection<R> {
        &mut self.connection
    }
}

/// Output of a connection that the transport has not accepted yet.
#[derive(Debug, Default)]
pub(crate) struct SplicedOutput {
    bytes: Vec<u8>,
    written: usize,
    splices: Vec<Splice>,
    /// The number of gaps that are already written.
    spliced: usize,
    payloads: VecDeque<Bytes>,
}

impl SplicedOutput {
    /// Inserts bytes before all output of the connection.
    pub(crate) fn prepend(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Returns whether all output is written.
    pub(crate) fn is_empty(&self) -> bool {
        self.written == self.bytes.len() && self.payloads.is_empty()
    }

    /// Fetches new output of the connection, once the earlier output is written. Returns whether
    /// there was any.
    pub(crate) fn fetch<R: Role>(&mut self, connection: &mut SplicingConnection<R>) -> bool {
        debug_assert!(self.is_empty());
        self.bytes.clear();
        self.splices.clear();
        (self.written, self.spliced) = (0, 0);
        let any = connection.connection.poll_transmit_spliced(&mut self.bytes, &mut self.splices);
        std::mem::swap(&mut self.payloads, &mut connection.payloads);
        debug_assert_eq!(self.splices.len(), self.payloads.len());
        any
    }

    /// Returns all fetched output in the order of the wire. None of it is written yet.
    pub(crate) fn chunks(&self) -> impl Iterator<Item = &[u8]> {
        let mut at = 0;
        let spliced = self.splices.iter().zip(&self.payloads).flat_map(move |(splice, payload)| {
            let head = &self.bytes[at..splice.offset];
            at = splice.offset;
            [head, &payload[..]]
        });
        let behind = self.splices.last().map_or(0, |splice| splice.offset);
        spliced.chain([&self.bytes[behind..]])
    }

    /// Returns the length of the output that the transport has not accepted, bytes.
    pub(crate) fn unwritten_bytes(&self) -> usize {
        let payloads: usize = self.payloads.iter().map(Bytes::len).sum();
        self.bytes.len() - self.written + payloads
    }

    /// Writes once. Returns how many bytes the transport accepted.
    pub(crate) fn poll_write<IO>(&mut self, io: &mut IO, cx: &mut Context<'_>) -> Poll<io::Result<usize>>
    where
        IO: AsyncWrite + Unpin,
    {
        let io = Pin::new(io);
        let polled = if self.payloads.is_empty() {
            io.poll_write(cx, &self.bytes[self.written..])
        } else {
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            let count = self.fill_slices(&mut slices);
            io.poll_write_vectored(cx, &slices[..count])
        };
        if let Poll::Ready(Ok(len)) = polled {
            self.advance(len);
        }
        polled
    }

    /// Fills `slices` with the next headers and payloads in turn. Returns their number.
    fn fill_slices<'a>(&'a self, slices: &mut [IoSlice<'a>; SLICES_MAX]) -> usize {
        let (mut at, mut count) = (self.written, 0);
        for (splice, payload) in self.splices[self.spliced..].iter().zip(&self.payloads) {
            if count + 2 > SLICES_MAX {
                return count;
            }
            if splice.offset > at {
                slices[count] = IoSlice::new(&self.bytes[at..splice.offset]);
                (at, count) = (splice.offset, count + 1);
            }
            slices[count] = IoSlice::new(payload);
            count += 1;
        }
        if at < self.bytes.len() && count < SLICES_MAX {
            slices[count] = IoSlice::new(&self.bytes[at..]);
            count += 1;
        }
        count
    }

    fn advance(&mut self, mut len: usize) {
        while len > 0 {
            let next = self.splices.get(self.spliced).map(|splice| splice.offset);
            let taken = if next == Some(self.written)
                && let Some(payload) = self.payloads.front_mut()
            {
                let taken = len.min(payload.len());
                payload.advance(taken);
                if payload.is_empty() {
                    self.payloads.pop_front();
                    self.spliced += 1;
                }
                taken
            } else {
                let taken = len.min(next.unwrap_or(self.bytes.len()) - self.written);
                self.written += taken;
                taken
            };
            if taken == 0 {
                // The transport claims to have written more than it was given.
                return;
            }
            len -= taken;
        }
    }
}

impl<R: Role> fmt::Debug for SplicingConnection<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SplicingConnection")
            .field("payloads", &self.payloads.len())
            .field("may_splice", &self.may_splice)
            .finish_non_exhaustive()
    }
}

/// Shorter content is copied: another slice in a write costs about as much.
const SPLICE_BYTES_MIN: usize = 2048;
/// Slices of one write.
const SLICES_MAX: usize = 64;
