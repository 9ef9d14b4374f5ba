//! A transport, its unread input, and its unwritten output.
//!
//! Invariants: unless the transport has failed, bytes of the core and content spliced between them
//! are written in order and once, whatever happens to their streams; the driver calls the transport
//! again only after it became ready.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::mem;
use std::ops::Range;

use bytes::Bytes;
use thalweg::{Role, Splice};

use crate::record::Connection;
use crate::transport::Transport;

/// The readiness of the transport, as far as the caller's loop knows. A false positive costs a
/// system call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    /// There may be bytes to read, or the end of input.
    pub read: bool,
    /// There may be space to write.
    pub write: bool,
    /// The peer has closed its side: reading continues until the end of input.
    pub hangup: bool,
}

impl Readiness {
    /// Ready for everything: for loops that do not track readiness.
    pub const ALL: Self = Self { read: true, write: true, hangup: false };
    /// Ready for nothing: woken by a timeout or a message.
    pub const NONE: Self = Self { read: false, write: false, hangup: false };
}

pub(crate) struct TransportIo<T> {
    pub transport: T,
    input: Box<[u8]>,
    output: Vec<u8>,
    /// The positions of spliced content in the output.
    splices: Vec<Splice>,
    /// The length of the output with its spliced content, and how much of it is written.
    len: usize,
    written: usize,
    readable: bool,
    writable: bool,
    hung_up: bool,
    ended: bool,
    /// Whether writing has failed.
    is_broken: bool,
}

/// Content that is written without a copy, in the order of the frames that contain it.
pub(crate) type SplicedChunks = VecDeque<Bytes>;

/// The result of a read.
pub(crate) enum Input {
    /// The number of bytes read.
    Bytes(usize),
    /// No input now.
    Blocked,
    /// The end of input.
    End,
}

impl<T: Transport> TransportIo<T> {
    pub(crate) fn new(transport: T) -> Self {
        Self {
            transport,
            input: vec![0; INPUT_BYTES].into_boxed_slice(),
            output: Vec::new(),
            splices: Vec::new(),
            len: 0,
            written: 0,
            readable: true,
            writable: true,
            hung_up: false,
            ended: false,
            is_broken: false,
        }
    }

    /// Queues bytes before the core's next output.
    pub(crate) fn queue_output(&mut self, bytes: &[u8]) {
        self.output.extend_from_slice(bytes);
        self.len += bytes.len();
    }

    /// Returns whether writing has failed.
    pub(crate) fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// Updates the readiness from the caller's loop.
    pub(crate) fn update_readiness(&mut self, ready: Readiness) {
        self.readable |= ready.read | ready.hangup;
        self.writable |= ready.write;
        self.hung_up |= ready.hangup;
    }

    /// Returns whether a read may succeed now.
    pub(crate) fn is_readable(&self) -> bool {
        self.readable && !self.ended
    }

    /// Returns whether the input has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Returns whether all output is written.
    pub(crate) fn is_flushed(&self) -> bool {
        self.written == self.len && !self.transport.wants_write()
    }

    /// Reads once.
    pub(crate) fn read(&mut self) -> io::Result<Input> {
        loop {
            match self.transport.read(&mut self.input) {
                Ok(0) => {
                    self.ended = true;
                    return Ok(Input::End);
                }
                Ok(len) => {
                    let emptied = len < self.input.len() && self.transport.is_emptied_by_short_read();
                    self.readable = !emptied || self.hung_up;
                    return Ok(Input::Bytes(len));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.readable = false;
                    return Ok(Input::Blocked);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.ended = true;
                    return Err(error);
                }
            }
        }
    }

    /// Returns a part of the last read's input.
    pub(crate) fn input(&self, range: Range<usize>) -> &[u8] {
        &self.input[range]
    }

    /// Fetches the core's output once the earlier output is written, and writes once, with the
    /// spliced `chunks` in between. Returns whether something was written and the transport accepts
    /// more.
    pub(crate) fn write<R: Role>(
        &mut self,
        connection: &mut Connection<R>,
        chunks: &mut SplicedChunks,
    ) -> io::Result<bool> {
        let outcome = self.write_once(connection, chunks);
        self.is_broken |= outcome.is_err();
        outcome
    }

    fn write_once<R: Role>(
        &mut self,
        connection: &mut Connection<R>,
        chunks: &mut SplicedChunks,
    ) -> io::Result<bool> {
        if self.written == self.len && !self.fetch(connection, chunks) {
            self.release_memory();
            return self.flush_transport().map(|()| false);
        }
        while self.writable {
            let (outcome, offered) = self.offer(chunks);
            match outcome {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(len) => {
                    self.written += len;
                    let is_whole = self.written == self.len;
                    // A socket that accepted only a part is full.
                    self.writable = len == offered || !self.transport.is_emptied_by_short_read();
                    if is_whole || !self.writable {
                        self.flush_transport()?;
                        return Ok(is_whole);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.writable = false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    /// Fetches the core's output, once the earlier output is written.
    fn fetch<R: Role>(&mut self, connection: &mut Connection<R>, chunks: &mut SplicedChunks) -> bool {
        chunks.drain(..self.splices.len());
        self.splices.clear();
        self.output.clear();
        self.written = 0;
        let is_any = connection.poll_transmit_spliced(&mut self.output, &mut self.splices);
        self.len = self.output.len() + self.splices.iter().map(|splice| splice.len).sum::<usize>();
        is_any
    }

    /// Writes once. Returns the result, and how many bytes were offered.
    fn offer(&mut self, chunks: &SplicedChunks) -> (io::Result<usize>, usize) {
        if self.splices.is_empty() {
            let rest = &self.output[self.written..];
            return (self.transport.write(rest), rest.len());
        }
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let (mut count, mut offered) = (0, 0);
        for slice in segments(&self.output, &self.splices, chunks, self.written).take(SLICES_MAX) {
            slices[count] = IoSlice::new(slice);
            count += 1;
            offered += slice.len();
        }
        (self.transport.write_vectored(&slices[..count]), offered)
    }

    /// Flushes a transport with buffers of its own.
    pub(crate) fn flush_transport(&mut self) -> io::Result<()> {
        if !self.transport.wants_write() {
            return Ok(());
        }
        match self.transport.flush() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            outcome => outcome,
        }
    }

    /// Half-closes the transport. Returns whether that is complete.
    pub(crate) fn shutdown_write(&mut self) -> io::Result<bool> {
        match self.transport.shutdown_write() {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Frees a large output buffer while the connection has no output.
    fn release_memory(&mut self) {
        if self.output.capacity() > IDLE_OUTPUT_BYTES {
            drop(mem::take(&mut self.output));
        }
    }
}

/// Returns output and content in the order of the wire, without the first `written` bytes.
fn segments<'a>(
    output: &'a [u8],
    splices: &'a [Splice],
    chunks: &'a SplicedChunks,
    written: usize,
) -> impl Iterator<Item = &'a [u8]> {
    let starts = [0].into_iter().chain(splices.iter().map(|splice| splice.offset));
    let ends = splices.iter().map(|splice| splice.offset).chain([output.len()]);
    let heads = starts.zip(ends).map(|(start, end)| &output[start..end]);
    let contents = chunks.iter().map(|piece| &piece[..]).take(splices.len()).chain([&[][..]]);
    let mut skipped = written;
    heads.zip(contents).flat_map(|(head, content)| [head, content]).filter_map(move |segment| {
        let skip = skipped.min(segment.len());
        skipped -= skip;
        Some(&segment[skip..]).filter(|rest| !rest.is_empty())
    })
}

/// Slices of one write at most.
const SLICES_MAX: usize = 64;
/// Length of one read at most, bytes.
const INPUT_BYTES: usize = 64 << 10;
/// An empty output buffer of at most this size is kept, bytes.
const IDLE_OUTPUT_BYTES: usize = 16 << 10;
