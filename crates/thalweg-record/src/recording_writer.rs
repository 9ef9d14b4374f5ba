//! The writer: a growing recording, in the format of the file.
//!
//! Invariants: never larger than its limit; truncated only between two steps, so that it can be
//! replayed; nothing is added after truncation.

use alloc::vec::Vec;

use thalweg::{Config, ConnectionError, Event, Instant, Splice};

use crate::call::Call;
use crate::codec::{Clock, put_bytes, put_number};
use crate::config;
use crate::digest::{self, Digest};
use crate::format::{BEGIN, BLOCK_HEAD_BYTES, CHECKSUM_BYTES, END, MAGIC, STEPS, VERSION};
use crate::outcome;
use crate::recording::{RecordedRole, Start};

/// A recording in progress.
#[derive(Debug)]
pub(crate) struct RecordingWriter {
    /// The file so far; its last block is open.
    file: Vec<u8>,
    bytes_max: usize,
    /// The offset of the open block.
    block: usize,
    clock: Clock,
    digest: Digest,
    output_bytes: u64,
    steps: u64,
    unread: Unread,
    is_truncated: bool,
}

/// The input that the last `receive` did not consume.
#[derive(Clone, Copy, Debug, Default)]
struct Unread {
    /// The address of its first byte, only for comparison.
    address: usize,
    len: usize,
    /// Where it is in the file.
    offset: usize,
}

impl RecordingWriter {
    /// Creates a recording with the start of a connection.
    pub(crate) fn new(role: RecordedRole, config: &Config, start: &Start<'_>, bytes_max: usize) -> Self {
        let mut file = Vec::with_capacity(bytes_max.min(FIRST_BYTES));
        file.extend_from_slice(MAGIC);
        file.push(VERSION);
        let block = open_block(&mut file, BEGIN);
        file.push(role as u8);
        put_bytes(&mut file, MADE_BY.as_bytes());
        config::put(&mut file, config);
        start.put(&mut file);
        close_block(&mut file, block);
        let block = open_block(&mut file, STEPS);
        let mut writer = Self {
            file,
            // The beginning and the end always fit.
            bytes_max: bytes_max.min(BYTES_MAX).saturating_sub(2 * BLOCK_BYTES + END_BYTES_MAX),
            block,
            clock: Clock::default(),
            digest: Digest::new(),
            output_bytes: 0,
            steps: 0,
            unread: Unread::default(),
            is_truncated: false,
        };
        writer.is_truncated = writer.file.len() + CHECKSUM_BYTES > writer.bytes_max;
        writer
    }

    /// Whether it contains no step.
    pub(crate) fn is_blank(&self) -> bool {
        self.steps == 0
    }

    /// Truncates the recording at its limit.
    pub(crate) fn truncate(&mut self) {
        self.is_truncated = true;
    }

    /// Returns the digest of all results.
    pub(crate) fn digest(&self) -> Digest {
        self.digest
    }

    /// Adds a call and its result. Returns where in the file the call ends; `None` if it did not
    /// fit.
    pub(crate) fn step(&mut self, call: &Call<'_>, outcome: impl FnOnce(&mut Digest)) -> Option<usize> {
        if self.is_truncated {
            return None;
        }
        let (before, clock) = (self.file.len(), self.clock);
        let fits = |len: usize| len + CHECKSUM_BYTES < self.bytes_max;
        if !fits(before + call.content_len()) {
            self.is_truncated = true;
            return None;
        }
        call.put(&mut self.file, &mut self.clock);
        if self.file.len() + CHECKSUM_BYTES >= self.bytes_max {
            self.file.truncate(before);
            self.clock = clock;
            self.is_truncated = true;
            return None;
        }
        let end = self.file.len();
        self.digest.word(self.steps);
        outcome(&mut self.digest);
        // The check is the low bits of the digest.
        self.file.push(self.digest.value() as u8);
        self.steps += 1;
        if self.file.len() - self.block >= STEPS_BYTES {
            close_block(&mut self.file, self.block);
            self.block = open_block(&mut self.file, STEPS);
        }
        Some(end)
    }

    /// Adds a `receive` that consumed the first `consumed` bytes of `input`.
    pub(crate) fn receive(
        &mut self,
        input: &[u8],
        consumed: usize,
        now: Instant,
        event: &Result<Option<Event<'_, '_>>, ConnectionError>,
    ) {
        let is_known = self.is_unread_input(input, consumed);
        let call = Call::Receive { now, input: (!is_known).then_some(input) };
        let end = self.step(&call, |digest| {
            digest.word(consumed as u64);
            outcome::received(digest, event);
        });
        let Some(end) = end else { return };
        let offset = if is_known { self.unread.offset } else { end - input.len() };
        let address = input.as_ptr().addr() + consumed;
        self.unread = Unread { address, len: input.len() - consumed, offset: offset + consumed };
    }

    /// Whether `input` is the rest of the last `receive`: the same address, and the same bytes as
    /// far as they are consumed.
    fn is_unread_input(&self, input: &[u8], consumed: usize) -> bool {
        let Unread { address, len, offset } = self.unread;
        if input.is_empty() && len == 0 {
            return true;
        }
        input.len() == len
            && input.as_ptr().addr() == address
            && self.file.get(offset..offset + consumed) == Some(&input[..consumed])
    }

    /// Adds a `poll_transmit` that handed out `out` with `splices`, whose offsets count from
    /// `base`.
    pub(crate) fn transmit(
        &mut self,
        spliced: bool,
        was_any: bool,
        out: &[u8],
        base: usize,
        splices: &[Splice],
    ) {
        let added = self.step(&Call::PollTransmit { spliced }, |digest| {
            digest.word(was_any.into());
            outcome::transmitted(digest, out, base, splices);
        });
        if added.is_some() {
            self.output_bytes += out.len() as u64;
        }
    }

    /// Ends the recording, and returns the bytes of the file.
    pub(crate) fn into_file(mut self) -> Vec<u8> {
        close_block(&mut self.file, self.block);
        let block = open_block(&mut self.file, END);
        put_number(&mut self.file, self.steps);
        put_number(&mut self.file, self.output_bytes);
        self.file.extend_from_slice(&self.digest.value().to_le_bytes());
        self.file.push(self.is_truncated.into());
        close_block(&mut self.file, block);
        self.file
    }
}

/// Appends the header of a block, and returns its offset.
fn open_block(file: &mut Vec<u8>, kind: u8) -> usize {
    let at = file.len();
    file.extend_from_slice(&[kind, 0, 0, 0, 0]);
    at
}

/// Sets the length of the block at `at`, and appends its checksum.
fn close_block(file: &mut Vec<u8>, at: usize) {
    let len = u32::try_from(file.len() - at - BLOCK_HEAD_BYTES).expect("a block holds less than its bound");
    file[at + 1..at + BLOCK_HEAD_BYTES].copy_from_slice(&len.to_le_bytes());
    let checksum = digest::of(&file[at..]);
    file.extend_from_slice(&checksum.to_le_bytes());
}

/// The size in bytes at which a block of steps is closed, so that damage is located.
const STEPS_BYTES: usize = 16 << 10;
/// The overhead of a block.
const BLOCK_BYTES: usize = BLOCK_HEAD_BYTES + CHECKSUM_BYTES;
/// The end: two numbers, the digest, and the mark.
const END_BYTES_MAX: usize = BLOCK_BYTES + 2 * 10 + 8 + 1;
/// The length of a block has four bytes.
const BYTES_MAX: usize = u32::MAX as usize;
/// The initial capacity of a recording.
const FIRST_BYTES: usize = 4 << 10;
const MADE_BY: &str = concat!("thalweg ", env!("CARGO_PKG_VERSION"));
