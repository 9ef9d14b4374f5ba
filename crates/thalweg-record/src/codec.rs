//! The encoding of numbers, strings and instants in the file.
//!
//! Invariants: reading returns what was written; it never reads beyond the end, and reports where
//! it failed.

use alloc::vec::Vec;

use thalweg::Instant;

use crate::error::ReadError;

/// Appends a number in groups of seven bits, the lowest first; all except the last have the top bit
/// set.
pub(crate) fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Appends a length and the bytes.
pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// A reader of a part of a file.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    /// The offset of `rest` in the file.
    offset: usize,
}

impl<'a> Reader<'a> {
    /// Creates a reader of `bytes`, which begin at `offset` in the file.
    pub const fn new(bytes: &'a [u8], offset: usize) -> Self {
        Self { rest: bytes, offset }
    }

    /// Returns the current offset in the file.
    pub const fn offset(&self) -> usize {
        self.offset
    }

    /// Whether all bytes are read.
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Returns the error for an invalid value at the current offset.
    pub const fn malformed(&self, what: &'static str) -> ReadError {
        ReadError::Malformed { offset: self.offset, what }
    }

    /// Reads bytes.
    pub fn take(&mut self, len: usize, what: &'static str) -> Result<&'a [u8], ReadError> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(self.malformed(what))?;
        self.rest = rest;
        self.offset += len;
        Ok(taken)
    }

    /// Reads bytes into an array.
    pub fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], ReadError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N, what)?);
        Ok(array)
    }

    /// Reads a byte.
    pub fn byte(&mut self, what: &'static str) -> Result<u8, ReadError> {
        self.array::<1>(what).map(|[byte]| byte)
    }

    /// Reads a number.
    pub fn number(&mut self, what: &'static str) -> Result<u64, ReadError> {
        let start = *self;
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte(what)?;
            let group = u64::from(byte & 0x7f);
            if (group << shift) >> shift != group {
                break;
            }
            number |= group << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(start.malformed(what))
    }

    /// Reads a number of a narrower type.
    pub fn narrow<T: TryFrom<u64>>(&mut self, what: &'static str) -> Result<T, ReadError> {
        let start = *self;
        T::try_from(self.number(what)?).map_err(|_| start.malformed(what))
    }

    /// Reads a length and bytes.
    pub fn bytes(&mut self, what: &'static str) -> Result<&'a [u8], ReadError> {
        let len = self.narrow::<usize>(what)?;
        self.take(len, what)
    }
}

/// The latest recorded time; a time is written as the difference to it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock {
    last: u64,
}

impl Clock {
    /// Returns the two bits for the encoding of `now`.
    pub const fn code(self, now: Instant) -> u8 {
        match now.as_nanos() {
            nanos if nanos == self.last => SAME,
            0 => ORIGIN,
            nanos if nanos > self.last => LATER,
            _ => ABSOLUTE,
        }
    }

    /// Appends the bytes that the code requires.
    pub fn put(&mut self, out: &mut Vec<u8>, now: Instant) {
        let nanos = now.as_nanos();
        match self.code(now) {
            LATER => put_number(out, nanos - self.last),
            ABSOLUTE => put_number(out, nanos),
            _ => {}
        }
        self.note(nanos);
    }

    /// Reads a time.
    pub fn take(&mut self, code: u8, reader: &mut Reader<'_>) -> Result<Instant, ReadError> {
        let nanos = match code {
            SAME => self.last,
            ORIGIN => 0,
            LATER => {
                let start = *reader;
                self.last.checked_add(reader.number("a time")?).ok_or(start.malformed("a time"))?
            }
            _ => reader.number("a time")?,
        };
        self.note(nanos);
        Ok(Instant::from_nanos(nanos))
    }

    /// Stores the latest time, unless it is the origin, which is passed where no time is known.
    const fn note(&mut self, nanos: u64) {
        if nanos != 0 {
            self.last = nanos;
        }
    }
}

const SAME: u8 = 0;
const ORIGIN: u8 = 1;
const LATER: u8 = 2;
const ABSOLUTE: u8 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        let numbers = [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX - 1, u64::MAX];
        let mut out = Vec::new();
        for number in numbers {
            put_number(&mut out, number);
        }
        let mut reader = Reader::new(&out, 0);
        for number in numbers {
            assert_eq!(reader.number("a number"), Ok(number));
        }
        assert!(reader.is_empty());
    }

    #[test]
    fn a_number_too_large_or_cut_off_is_refused() {
        let large = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02];
        assert_eq!(Reader::new(&large, 7).number("it"), Err(ReadError::Malformed { offset: 7, what: "it" }));
        assert!(Reader::new(&[0x80], 0).number("it").is_err());
        assert!(Reader::new(&[3, 1, 2], 0).bytes("it").is_err());
        assert!(Reader::new(&[0x80, 0x02], 0).narrow::<u8>("it").is_err());
    }

    #[test]
    fn times_round_trip_in_either_direction() {
        let times = [5, 5, 0, 5, 900, 899, 0, 0, u64::MAX, 1].map(Instant::from_nanos);
        let (mut clock, mut out, mut codes) = (Clock::default(), Vec::new(), Vec::new());
        for now in times {
            codes.push(clock.code(now));
            clock.put(&mut out, now);
        }
        assert_eq!(codes[..5], [LATER, SAME, ORIGIN, SAME, LATER]);
        let (mut clock, mut reader) = (Clock::default(), Reader::new(&out, 0));
        for (now, code) in times.into_iter().zip(codes) {
            assert_eq!(clock.take(code, &mut reader), Ok(now));
        }
    }
}
