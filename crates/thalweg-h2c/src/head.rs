//! HTTP/1 heads: a buffer for their bytes, and the ranges of their parts as parsed by httparse.

use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

/// The bytes received so far, collected line by line up to a limit.
///
/// Invariants: `line` is where the last, incomplete line begins; `bare_lf` covers every line before
/// it.
#[derive(Default)]
pub(crate) struct HeadBuffer {
    pub bytes: Vec<u8>,
    line: usize,
    bare_lf: bool,
}

/// The result of [`HeadBuffer::take_line`].
pub(crate) enum LineStatus {
    /// A line is complete; this is its range, including its end.
    Line(Range<usize>),
    /// The input is empty.
    More,
    /// The limit is reached.
    Full,
}

impl HeadBuffer {
    /// Appends one byte.
    pub(crate) fn push(&mut self, byte: u8) {
        self.bytes.push(byte);
        if byte == b'\n' {
            self.finish_line();
        }
    }

    /// Appends bytes up to the end of a line, and never more than `limit` in total.
    pub(crate) fn take_line(&mut self, input: &mut &[u8], limit: usize) -> LineStatus {
        let remaining = limit.saturating_sub(self.bytes.len());
        if remaining == 0 {
            return LineStatus::Full;
        }
        let within = &input[..input.len().min(remaining)];
        let line_feed = within.iter().position(|&byte| byte == b'\n');
        let taken = line_feed.map_or(within.len(), |at| at + 1);
        self.bytes.extend_from_slice(&within[..taken]);
        *input = &input[taken..];
        if line_feed.is_some() {
            return LineStatus::Line(self.finish_line());
        }
        if taken == remaining { LineStatus::Full } else { LineStatus::More }
    }

    /// Whether a line ended in LF without CR.
    pub(crate) fn has_bare_lf(&self) -> bool {
        self.bare_lf
    }

    /// Whether this line ends a head.
    pub(crate) fn is_empty_line(&self, line: &Range<usize>) -> bool {
        matches!(&self.bytes[line.clone()], b"\r\n" | b"\n")
    }

    fn finish_line(&mut self) -> Range<usize> {
        let line = self.line..self.bytes.len();
        self.bare_lf |= !self.bytes[line.clone()].ends_with(b"\r\n");
        self.line = self.bytes.len();
        line
    }
}

/// The version of an HTTP/1 request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// `HTTP/1.0`, which has no `Upgrade` (RFC 9110 §7.8).
    Http10,
    /// `HTTP/1.1`.
    Http11,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http10 => "HTTP/1.0",
            Self::Http11 => "HTTP/1.1",
        })
    }
}

/// Why httparse rejected the fields of a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeadError {
    Syntax,
    TooMany,
}

/// The ranges of the parts of a request head in the buffered bytes.
pub(crate) struct RequestHead {
    pub method: Range<usize>,
    pub target: Range<usize>,
    pub version: Version,
    pub fields: FieldRanges,
    pub len: usize,
}

impl RequestHead {
    /// Parses a head that is complete: `bytes` ends with its empty line.
    pub(crate) fn parse(bytes: &[u8], fields_max: usize) -> Result<Self, HeadError> {
        let mut fields = vec![httparse::EMPTY_HEADER; fields_max];
        let mut request = httparse::Request::new(&mut fields);
        let httparse::Status::Complete(len) = request.parse(bytes).map_err(head_error)? else {
            return Err(HeadError::Syntax);
        };
        let (Some(method), Some(target), Some(minor)) = (request.method, request.path, request.version)
        else {
            return Err(HeadError::Syntax);
        };
        Ok(Self {
            method: range_of(bytes, method.as_bytes()),
            target: range_of(bytes, target.as_bytes()),
            version: if minor == 0 { Version::Http10 } else { Version::Http11 },
            fields: FieldRanges::of(bytes, request.headers),
            len,
        })
    }
}

/// The ranges of the names and values of fields in the buffered bytes.
pub(crate) struct FieldRanges(Vec<(Range<usize>, Range<usize>)>);

impl FieldRanges {
    fn of(bytes: &[u8], fields: &[httparse::Header<'_>]) -> Self {
        let ranges =
            fields.iter().map(|field| (range_of(bytes, field.name.as_bytes()), range_of(bytes, field.value)));
        Self(ranges.collect())
    }

    /// Parses the fields of a response head that is complete: `bytes` ends with its empty line.
    pub(crate) fn of_response(bytes: &[u8], fields_max: usize) -> Result<Self, HeadError> {
        let mut fields = vec![httparse::EMPTY_HEADER; fields_max];
        let mut response = httparse::Response::new(&mut fields);
        match response.parse(bytes).map_err(head_error)? {
            httparse::Status::Complete(_) => Ok(Self::of(bytes, response.headers)),
            httparse::Status::Partial => Err(HeadError::Syntax),
        }
    }

    /// Returns the fields in `bytes`.
    pub(crate) fn within<'a>(&'a self, bytes: &'a [u8]) -> Fields<'a> {
        Fields { ranges: &self.0, bytes }
    }
}

/// The fields of a head, with the bytes that contain them.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'a> {
    ranges: &'a [(Range<usize>, Range<usize>)],
    bytes: &'a [u8],
}

impl<'a> Fields<'a> {
    /// Yields names, with their case unchanged, and values.
    pub(crate) fn iter(self) -> impl ExactSizeIterator<Item = (&'a str, &'a [u8])> + use<'a> {
        let bytes = self.bytes;
        self.ranges.iter().map(move |(name, value)| (text(bytes, name), &bytes[value.clone()]))
    }

    /// Yields the values of a field; the name is case-insensitive.
    pub(crate) fn values(self, name: &'static str) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.iter().filter(move |(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Yields the members of a list-valued field, over all its lines, without empty ones (RFC 9110
    /// §5.6.1).
    pub(crate) fn members(self, name: &'static str) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.values(name)
            .flat_map(|value| value.split(|&byte| byte == b','))
            .map(<[u8]>::trim_ascii)
            .filter(|member| !member.is_empty())
    }

    /// Whether a list-valued field has a member, case-insensitively.
    pub(crate) fn list_contains(self, name: &'static str, member: &str) -> bool {
        self.members(name).any(|found| found.eq_ignore_ascii_case(member.as_bytes()))
    }

    /// Whether there is a field of this name.
    pub(crate) fn has(self, name: &'static str) -> bool {
        self.values(name).next().is_some()
    }
}

/// Returns a part that httparse accepted as `str`.
pub(crate) fn text<'a>(bytes: &'a [u8], range: &Range<usize>) -> &'a str {
    core::str::from_utf8(&bytes[range.clone()]).expect("httparse gave this place out as a str")
}

/// Returns the range of `part`, a slice of `bytes`, in it.
fn range_of(bytes: &[u8], part: &[u8]) -> Range<usize> {
    let start = part.as_ptr() as usize - bytes.as_ptr() as usize;
    start..start + part.len()
}

fn head_error(error: httparse::Error) -> HeadError {
    match error {
        httparse::Error::TooManyHeaders => HeadError::TooMany,
        _ => HeadError::Syntax,
    }
}
