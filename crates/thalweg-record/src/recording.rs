//! A recording that was read: how it began, its steps, and how it ended.
//!
//! Keeps true: what is damaged anywhere is refused, and the error names the place.

use alloc::vec::Vec;

use thalweg::Config;

use crate::call::Call;
use crate::codec::{Clock, Reader, put_bytes};
use crate::config;
use crate::digest;
use crate::error::{ReadError, VERSION};
use crate::recording_writer::{BEGIN, BLOCK_HEAD_BYTES, CHECKSUM_BYTES, END, MAGIC, STEPS};

/// Whose connection it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RecordedRole {
    /// A client's.
    Client = 0,
    /// A server's.
    Server = 1,
}

/// How the connection began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Start<'a> {
    /// By `new`.
    New,
    /// By `from_upgrade`, after an Upgrade to h2c.
    Upgraded {
        /// The decoded field `HTTP2-Settings`; empty on a client.
        settings: &'a [u8],
        /// The method of the request.
        method: &'a [u8],
    },
}

/// A recording, read and checked as a whole.
#[derive(Clone, Debug)]
pub struct Recording<'a> {
    /// Whose connection it was.
    pub role: RecordedRole,
    /// What made the recording: `thalweg` and its version. Another version may answer otherwise.
    pub made_by: &'a str,
    /// The configuration.
    pub config: Config,
    /// How the connection began.
    pub start: Start<'a>,
    /// What happened then, in order.
    pub steps: Vec<Step<'a>>,
    /// How many bytes the connection handed out to be written.
    pub output_bytes: u64,
    /// The digest of all that the connection answered.
    pub digest: u64,
    /// Whether the bound of the recording was reached: more happened than is in it.
    pub is_truncated: bool,
}

/// A call, and a check of what it gave.
#[derive(Clone, Debug)]
pub struct Step<'a> {
    /// The call.
    pub call: Call<'a>,
    /// Where it is in the file.
    pub offset: usize,
    /// The lowest eight bits of the digest behind it.
    pub check: u8,
}

impl Start<'_> {
    /// Appends it.
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
    /// Reads a recording. Costs one pass over the bytes, and a step's size in memory for each.
    ///
    /// # Errors
    /// `NotARecording`, `Version`; `Truncated` and `Damaged` when it is not what was written; `Malformed` when what was
    /// written is no recording.
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

/// Walks over the blocks of a file.
struct Blocks<'a> {
    file: &'a [u8],
    at: usize,
}

impl<'a> Blocks<'a> {
    /// The kind and the payload of the next block, its checksum compared.
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
