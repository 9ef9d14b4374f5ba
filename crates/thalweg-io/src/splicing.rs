//! A connection, and the payloads that are spliced into its output.
//!
//! Invariants: there is one payload for each gap in the output, in the same order; a payload stays
//! here, untouched, until the transport has accepted its last byte, whatever happens to its stream.

use std::collections::VecDeque;
use std::fmt;
use std::io::IoSlice;
use std::ops::{Deref, DerefMut};

use bytes::{Buf as _, Bytes};
use thalweg::{Role, SendError, Splice, StreamKey};

use crate::setup::{Connection, is_recorded};

/// A connection that sends long content without copying it. A [`SplicedOutput`] fetches its output.
///
/// All methods of the connection are reached through it; only the methods that fetch output
/// (`poll_transmit` and its relatives) must not be called.
pub struct SplicingConnection<R: Role> {
    connection: Connection<R>,
    /// The payloads for the gaps in the output that is not fetched yet.
    payloads: VecDeque<Bytes>,
    /// Shorter content is copied. `None`: all content is.
    splice_bytes_min: Option<usize>,
}

impl<R: Role> SplicingConnection<R> {
    /// Creates a connection without payloads.
    ///
    /// Content of `splice_bytes_min` bytes or more is spliced: where another slice in a write costs
    /// as much as copying that many bytes. `None`: content is always copied, for a transport that
    /// does not accept many slices in one write. A recorded connection copies, too, since it needs
    /// to see all output.
    pub fn new(connection: Connection<R>, splice_bytes_min: Option<usize>) -> Self {
        let splice_bytes_min = splice_bytes_min.filter(|_| !is_recorded(&connection));
        Self { connection, payloads: VecDeque::new(), splice_bytes_min }
    }

    /// Replaces the connection, for example after an Upgrade, with another whose output was not
    /// fetched. Nothing was spliced before.
    pub fn replace(&mut self, connection: Connection<R>) {
        debug_assert!(self.payloads.is_empty());
        *self = Self::new(connection, self.splice_bytes_min);
    }

    /// Returns whether splicing `len` bytes is cheaper than copying them.
    #[must_use]
    #[inline]
    pub fn splices(&self, len: usize) -> bool {
        self.splice_bytes_min.is_some_and(|min| len >= min)
    }

    /// Sends as much content as the stream accepts, without copying it, and advances `content` by
    /// that length. Each frame's payload is a slice of `content`. `end`: the content ends our half.
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
pub struct SplicedOutput {
    /// The frames, without the spliced payloads.
    bytes: Vec<u8>,
    /// The length of the front of `bytes` that is written.
    written: usize,
    splices: Vec<Splice>,
    /// The number of gaps that are already written.
    spliced: usize,
    payloads: VecDeque<Bytes>,
}

impl SplicedOutput {
    /// Adds bytes that the connection does not know of, such as an HTTP/1.1 response. Nothing may
    /// be fetched and unwritten.
    pub fn queue(&mut self, bytes: &[u8]) {
        debug_assert!(self.payloads.is_empty());
        self.bytes.extend_from_slice(bytes);
    }

    /// Returns whether all output is written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.written == self.bytes.len() && self.payloads.is_empty()
    }

    /// Fetches new output of the connection, once the earlier output is written. Returns whether
    /// there was any.
    pub fn fetch<R: Role>(&mut self, connection: &mut SplicingConnection<R>) -> bool {
        debug_assert!(self.is_empty(), "the earlier output is written first");
        self.bytes.clear();
        self.splices.clear();
        (self.written, self.spliced) = (0, 0);
        let any = connection.connection.poll_transmit_spliced(&mut self.bytes, &mut self.splices);
        std::mem::swap(&mut self.payloads, &mut connection.payloads);
        debug_assert_eq!(self.splices.len(), self.payloads.len());
        any
    }

    /// Returns all fetched output in the order of the wire. None of it is written yet.
    pub fn chunks(&self) -> impl Iterator<Item = &[u8]> {
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
    #[must_use]
    pub fn unwritten_bytes(&self) -> usize {
        let payloads: usize = self.payloads.iter().map(Bytes::len).sum();
        self.bytes.len() - self.written + payloads
    }

    /// Returns the next output as one slice, if no payload is left to write.
    #[must_use]
    #[inline]
    pub fn as_slice(&self) -> Option<&[u8]> {
        self.payloads.is_empty().then(|| &self.bytes[self.written..])
    }

    /// Fills `slices` with the next output, frames and payloads in turn. Returns their number.
    #[must_use]
    pub fn fill_slices<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let (mut at, mut count) = (self.written, 0);
        for (splice, payload) in self.splices[self.spliced..].iter().zip(&self.payloads) {
            if splice.offset > at && count < slices.len() {
                slices[count] = IoSlice::new(&self.bytes[at..splice.offset]);
                (at, count) = (splice.offset, count + 1);
            }
            if count == slices.len() {
                return count;
            }
            slices[count] = IoSlice::new(payload);
            count += 1;
        }
        if at < self.bytes.len() && count < slices.len() {
            slices[count] = IoSlice::new(&self.bytes[at..]);
            count += 1;
        }
        count
    }

    /// Removes `len` bytes that the transport has accepted.
    pub fn advance(&mut self, mut len: usize) {
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

    /// Frees the memory of written output if it is more than `bytes_max`.
    pub fn shrink(&mut self, bytes_max: usize) {
        if self.is_empty() && self.bytes.capacity() > bytes_max {
            *self = Self::default();
        }
    }
}

impl<R: Role> fmt::Debug for SplicingConnection<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SplicingConnection")
            .field("payloads", &self.payloads.len())
            .field("splice_bytes_min", &self.splice_bytes_min)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setup::Setup;
    use thalweg::{Client, Request};

    /// Sends three contents of different lengths on one connection each: spliced and copied.
    fn connections() -> [SplicingConnection<Client>; 2] {
        let contents = [&b"first"[..], &[7; 3000], &[9; 40_000]];
        [Some(5), None].map(|splice_bytes_min| {
            let core = Setup::default().start::<Client>().unwrap();
            let mut connection = SplicingConnection::new(core, splice_bytes_min);
            for content in contents {
                let request = Request::new("POST", "http", "a", "/");
                let stream = connection.send_request(&request, [], false).unwrap();
                let mut content = Bytes::copy_from_slice(content);
                if connection.splices(content.len()) {
                    connection.splice(stream, &mut content, true).unwrap();
                } else {
                    let taken = connection.send_data(stream, &content, true).unwrap();
                    content.advance(taken);
                }
                // The connection's window, 65,535 bytes, covers all of them.
                assert!(content.is_empty());
            }
            connection
        })
    }

    fn wire_of(connection: &mut SplicingConnection<Client>) -> Vec<u8> {
        let mut output = SplicedOutput::default();
        let mut wire = Vec::new();
        while output.fetch(connection) {
            wire.extend(output.chunks().flatten());
            output.advance(output.unwritten_bytes());
        }
        wire
    }

    #[test]
    fn spliced_output_is_the_same_bytes_as_copied_output() {
        let [mut spliced, mut copied] = connections();
        let (spliced, copied) = (wire_of(&mut spliced), wire_of(&mut copied));
        assert!(copied.len() > 43_005);
        assert_eq!(spliced, copied);
    }

    /// A transport that accepts any number of bytes at a time, from slices or from one.
    #[test]
    fn partial_writes_lose_and_repeat_no_byte() {
        let [_, mut copied] = connections();
        let expected = wire_of(&mut copied);
        for (accepts, slices_max) in [(1, 1), (7, 2), (4096, 3), (16_384, 64), (usize::MAX, 64)] {
            let [mut spliced, _] = connections();
            let mut output = SplicedOutput::default();
            let mut wire: Vec<u8> = Vec::new();
            while output.fetch(&mut spliced) {
                let mut left = output.unwritten_bytes();
                while !output.is_empty() {
                    let mut slices = [IoSlice::new(&[]); 64];
                    let count = output.fill_slices(&mut slices[..slices_max]);
                    let offered = slices[..count].iter().flat_map(|slice| slice.iter().copied());
                    let accepted: Vec<u8> = offered.take(accepts).collect();
                    assert!(output.as_slice().is_none_or(|all| all.starts_with(&accepted)));
                    let len = accepted.len();
                    wire.extend(accepted);
                    output.advance(len);
                    left -= len;
                    assert_eq!(output.unwritten_bytes(), left);
                }
            }
            assert_eq!(wire, expected, "{accepts} bytes at a time");
        }
    }

    #[test]
    fn a_transport_that_claims_too_much_does_no_harm() {
        let [mut spliced, _] = connections();
        let mut output = SplicedOutput::default();
        assert!(output.fetch(&mut spliced));
        output.advance(usize::MAX);
        assert!(output.is_empty());
    }

    #[test]
    fn queued_bytes_precede_the_output() {
        let [_, mut copied] = connections();
        let mut output = SplicedOutput::default();
        output.queue(b"HTTP/1.1 101\r\n\r\n");
        assert_eq!(output.as_slice(), Some(&b"HTTP/1.1 101\r\n\r\n"[..]));
        output.advance(16);
        assert!(output.is_empty() && output.fetch(&mut copied));
        assert!(output.as_slice().unwrap().starts_with(b"PRI * HTTP/2.0"));
    }

    #[test]
    fn written_output_is_freed_only_above_the_limit() {
        let [_, mut copied] = connections();
        let mut output = SplicedOutput::default();
        assert!(output.fetch(&mut copied));
        output.shrink(0);
        assert!(!output.is_empty(), "unwritten output stays");
        output.advance(output.unwritten_bytes());
        output.shrink(1 << 20);
        assert_ne!(output.bytes.capacity(), 0);
        output.shrink(0);
        assert_eq!(output.bytes.capacity(), 0);
    }
}
