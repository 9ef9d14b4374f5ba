//! A parsed recording: its start, its steps, and its end.
//!
//! Invariants: a recording with any damage is refused, and the error contains the offset.

use alloc::vec::Vec;

use thalweg::Config;

use crate::call::Call;
use crate::codec::{Clock, Reader, put_bytes};
use crate::config;
use crate::digest;
use crate::error::ReadError;
use crate::format::{BEGIN, BLOCK_HEAD_BYTES, CHECKSUM_BYTES, END, MAGIC, STEPS, VERSION};

/// The role of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RecordedRole {
    /// A client.
    Client = 0,
    /// A server.
    Server = 1,
}

/// How the connection was created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Start<'a> {
    /// By `new`.
    New,
    /// By `from_upgrade`, after an upgrade to h2c.
    Upgraded {
        /// The decoded field `HTTP2-Settings`; empty on a client.
        settings: &'a [u8],
        /// The method of the request.
        method: &'a [u8],
    },
}

/// A recording, parsed and checked as a whole.
#[derive(Clone, Debug)]
pub struct Recording<'a> {
    /// The role of the connection.
    pub role: RecordedRole,
    /// The software that made the recording: `thalweg` and its version. Another version may behave
    /// differently.
    pub made_by: &'a str,
    /// The configuration.
    pub config: Config,
    /// How the connection was created.
    pub start: Start<'a>,
    /// The steps, in order.
    pub steps: Vec<Step<'a>>,
    /// The number of bytes that the connection returned to be written.
    pub output_bytes: u64,
    /// The digest of all results of the connection.
    pub digest: u64,
    /// Whether the recording reached its limit, so that it lacks the last calls.
    pub is_truncated: bool,
}

/// A call, and a check of its result.
#[derive(Clone, Debug)]
pub struct Step<'a> {
    /// The call.
    pub call: Call<'a>,
    /// Its offset in the file.
    pub offset: usize,
    /// The lowest eight bits of the digest after it.
    pub check: u8,
}

impl Start<'_> {
    /// Appends the step to a file.
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::New => out.push(0),
            Self::Upgraded { settings, method } => {
                out.push(1);
                put_bytes(out, settings);
                put_bytes(out, method);
            }
        }
    }
}

impl<'a> Recording<'a> {
    /// Parses a recording. Costs one pass over the bytes, and memory for each step.
    ///
    /// # Errors
    /// `NotARecording`, `Version`; `Truncated` and `Damaged` if the file differs from what was
    /// written; `Malformed` if a wrong file was written.
    pub fn parse(file: &'a [u8]) -> Result<Self, ReadError> {
        let head = file.first_chunk::<{ MAGIC.len() }>();
        if head != Some(MAGIC) {
            let is_begun = file.len() < MAGIC.len() && MAGIC.starts_with(file);
            return Err(if is_begun {
                ReadError::Truncated { offset: file.len() }
            } else {
                ReadError::NotARecording
            });
        }
        match file.get(MAGIC.len()) {
            None => return Err(ReadError::Truncated { offset: file.len() }),
            Some(&VERSION) => {}
            Some(&seen) => return Err(ReadError::Version { seen }),
        }
        let mut blocks = Blocks { file, at: MAGIC.len() + 1 };
        let mut recording = Self::parse_start(&mut blocks.expect(BEGIN, "the beginning")?)?;
        let mut clock = Clock::default();
        loop {
            match blocks.next()? {
                (STEPS, mut reader) => {
                    while !reader.is_empty() {
                        let offset = reader.offset();
                        let call = Call::take(&mut reader, &mut clock)?;
                        recording.steps.push(Step { call, offset, check: reader.byte("a check")? });
                    }
                }
                (END, mut reader) => {
                    recording.parse_end(&mut reader)?;
                    break;
                }
                (_, reader) => return Err(reader.malformed("steps or the end")),
            }
        }
        match blocks.at == file.len() {
            true => Ok(recording),
            false => Err(ReadError::Malformed { offset: blocks.at, what: "nothing" }),
        }
    }

    fn parse_start(reader: &mut Reader<'a>) -> Result<Self, ReadError> {
        let start = *reader;
        let role = match reader.byte("a role")? {
            0 => RecordedRole::Client,
            1 => RecordedRole::Server,
            _ => return Err(start.malformed("a role")),
        };
        let start = *reader;
        let made_by =
            core::str::from_utf8(reader.bytes("a maker")?).map_err(|_| start.malformed("a maker"))?;
        let config = config::take(reader)?;
        let start = *reader;
        let start = match reader.byte("a start")? {
            0 => Start::New,
            1 => Start::Upgraded { settings: reader.bytes("settings")?, method: reader.bytes("a method")? },
            _ => return Err(start.malformed("a start")),
        };
        ensure_empty(reader)?;
        Ok(Self {
            role,
            made_by,
            config,
            start,
            steps: Vec::new(),
            output_bytes: 0,
            digest: 0,
            is_truncated: false,
        })
    }

    fn parse_end(&mut self, reader: &mut Reader<'a>) -> Result<(), ReadError> {
        let start = *reader;
        if reader.number("a count of steps")? != self.steps.len() as u64 {
            return Err(start.malformed("the count of steps"));
        }
        self.output_bytes = reader.number("a count of bytes")?;
        self.digest = u64::from_le_bytes(reader.array("a digest")?);
        self.is_truncated = reader.byte("a mark")? != 0;
        ensure_empty(reader)
    }
}

fn ensure_empty(reader: &Reader<'_>) -> Result<(), ReadError> {
    if reader.is_empty() { Ok(()) } else { Err(reader.malformed("the end of a block")) }
}

/// Iterates over the blocks of a file.
struct Blocks<'a> {
    file: &'a [u8],
    at: usize,
}

impl<'a> Blocks<'a> {
    /// Returns the kind and the payload of the next block, and verifies its checksum.
    fn next(&mut self) -> Result<(u8, Reader<'a>), ReadError> {
        let rest = &self.file[self.at..];
        let truncated = ReadError::Truncated { offset: self.file.len() };
        let [kind, len @ ..] = *rest.first_chunk::<BLOCK_HEAD_BYTES>().ok_or(truncated)?;
        let len = u32::from_le_bytes(len) as usize;
        let (block, behind) = rest.split_at_checked(BLOCK_HEAD_BYTES.saturating_add(len)).ok_or(truncated)?;
        let checksum = behind.first_chunk::<CHECKSUM_BYTES>().ok_or(truncated)?;
        if digest::of(block) != u64::from_le_bytes(*checksum) {
            return Err(ReadError::Damaged { offset: self.at });
        }
        let payload = Reader::new(&block[BLOCK_HEAD_BYTES..], self.at + BLOCK_HEAD_BYTES);
        self.at += block.len() + CHECKSUM_BYTES;
        Ok((kind, payload))
    }

    fn expect(&mut self, kind: u8, what: &'static str) -> Result<Reader<'a>, ReadError> {
        match self.next()? {
            (seen, reader) if seen == kind => Ok(reader),
            (_, reader) => Err(reader.malformed(what)),
        }
    }
}
