//! A transport, its unread input, and its unwritten output.
//!
//! Invariants: unless the transport has failed, the output is written in order and once, whatever
//! happens to its streams; the driver calls the transport again only after it became ready, or
//! before a timeout fires.

use std::io::{self, IoSlice};
use std::ops::Range;

use thalweg_http::Role;
use thalweg_http::transport::{Duties, InputState, TransportState};
use thalweg_io::{CloseEvent, SplicedOutput, SplicingConnection};

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
    /// The transport has an error, or the peer has closed both sides: once the input has ended, no
    /// response can reach the peer.
    pub lost: bool,
}

impl Readiness {
    /// Ready for everything: for loops that do not track readiness.
    pub const ALL: Self = Self { read: true, write: true, hangup: false, lost: false };
    /// Ready for nothing: woken by a timeout or a message.
    pub const NONE: Self = Self { read: false, write: false, hangup: false, lost: false };
}

pub(crate) struct TransportIo<T> {
    pub transport: T,
    input: Box<[u8]>,
    output: SplicedOutput,
    readable: bool,
    writable: bool,
    hung_up: bool,
    lost: bool,
    state: TransportState,
    /// Why writing has failed.
    write_error: Option<io::Error>,
}

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
            output: SplicedOutput::default(),
            readable: true,
            writable: true,
            hung_up: false,
            lost: false,
            state: TransportState::default(),
            write_error: None,
        }
    }

    /// Queues bytes before the core's next output.
    pub(crate) fn queue_output(&mut self, bytes: &[u8]) {
        self.output.queue(bytes);
    }

    /// Discards the output of the connection, which a peer without HTTP/2 cannot read.
    pub(crate) fn discard_output<R: thalweg::Role>(&mut self, connection: &mut SplicingConnection<R>) {
        loop {
            self.output.advance(self.output.unwritten_bytes());
            if !self.output.fetch(connection) {
                return;
            }
        }
    }

    /// Returns what to do in the state of the transport.
    pub(crate) fn duties(&self, role: Role) -> Duties {
        self.state.duties(role)
    }

    /// Keeps the error with which writing has failed.
    pub(crate) fn set_write_error(&mut self, error: io::Error) {
        self.write_error = Some(error);
    }

    /// Returns the error with which writing has failed.
    pub(crate) fn take_write_error(&mut self) -> io::Error {
        self.write_error.take().unwrap_or_else(|| io::ErrorKind::BrokenPipe.into())
    }

    /// Returns whether the peer is gone: its input has ended, and it cannot receive.
    pub(crate) fn is_peer_gone(&mut self) -> bool {
        let is_gone = self.lost && self.has_ended();
        if is_gone {
            self.state.fail_output();
        }
        is_gone
    }

    /// Updates the readiness from the caller's loop.
    pub(crate) fn update_readiness(&mut self, ready: Readiness) {
        self.readable |= ready.read | ready.hangup;
        self.writable |= ready.write;
        self.hung_up |= ready.hangup;
        self.lost |= ready.lost;
    }

    /// Returns whether a read may succeed now.
    pub(crate) fn is_readable(&self) -> bool {
        self.readable && !self.has_ended()
    }

    /// Returns whether the input has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.state.input() != InputState::Open
    }

    /// Returns whether all output is written.
    pub(crate) fn is_flushed(&self) -> bool {
        self.output.is_empty() && !self.transport.wants_write()
    }

    /// Reads once.
    pub(crate) fn read(&mut self) -> io::Result<Input> {
        loop {
            match self.transport.read(&mut self.input) {
                Ok(0) => {
                    // TLS without close_notify ends like this, too: the duties are the same.
                    self.state.end_input(true);
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
                    self.state.fail_input();
                    return Err(error);
                }
            }
        }
    }

    /// Reads once and discards the input. Returns what happened, or `None` if the transport is not
    /// readable.
    pub(crate) fn discard_input(&mut self) -> io::Result<Option<CloseEvent>> {
        if self.has_ended() {
            return Ok(Some(CloseEvent::InputEnded));
        }
        if !self.readable {
            return Ok(None);
        }
        Ok(match self.read()? {
            Input::Bytes(len) => Some(CloseEvent::Received(len)),
            Input::End => Some(CloseEvent::InputEnded),
            Input::Blocked => None,
        })
    }

    /// Returns a part of the last read's input.
    pub(crate) fn input(&self, range: Range<usize>) -> &[u8] {
        &self.input[range]
    }

    /// Fetches the output of the connection once the earlier output is written, and writes once.
    /// Returns whether something was written and the transport accepts more.
    pub(crate) fn write<R: thalweg::Role>(
        &mut self,
        connection: &mut SplicingConnection<R>,
    ) -> io::Result<bool> {
        let outcome = self.write_once(connection);
        if outcome.is_err() {
            self.state.fail_output();
        }
        outcome
    }

    fn write_once<R: thalweg::Role>(&mut self, connection: &mut SplicingConnection<R>) -> io::Result<bool> {
        if self.output.is_empty() && !self.output.fetch(connection) {
            self.output.shrink(IDLE_OUTPUT_BYTES);
            return self.flush_transport().map(|()| false);
        }
        while self.writable {
            let (outcome, offered) = self.offer();
            match outcome {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(len) => {
                    self.output.advance(len);
                    let is_whole = self.output.is_empty();
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

    /// Writes once. Returns the result, and how many bytes were offered.
    fn offer(&mut self) -> (io::Result<usize>, usize) {
        if let Some(bytes) = self.output.as_slice() {
            return (self.transport.write(bytes), bytes.len());
        }
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let count = self.output.fill_slices(&mut slices);
        let slices = &slices[..count];
        (self.transport.write_vectored(slices), slices.iter().map(|slice| slice.len()).sum())
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
}

/// Slices of one write at most.
const SLICES_MAX: usize = 64;
/// Length of one read at most, bytes.
const INPUT_BYTES: usize = 64 << 10;
/// An empty output buffer of at most this size is kept, bytes.
const IDLE_OUTPUT_BYTES: usize = 16 << 10;
