//! Fields of messages, where the `http` crate and HTTP/2 differ.

use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use thalweg::{Field, map_fields};

/// What becomes of fields that only HTTP/1 knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Http1 {
    /// They stay: the core refuses them. Costs nothing, so it is tried first.
    Kept,
    /// They are left out, for services that speak HTTP/1, too (RFC 9113 §8.2.2).
    LeftOut,
}

/// The fields of a message for the core.
pub fn fields(headers: &HeaderMap, http_1: Http1) -> impl Iterator<Item = Field<'_>> {
    map_fields(headers).filter(move |field| http_1 == Http1::Kept || !HTTP_1_NAMES.contains(&field.name))
}

/// The length that a message announces for its content, if it is a number.
pub fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// RFC 9113 §8.2.2
const HTTP_1_NAMES: [&[u8]; 5] =
    [b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"];

/// The decimal digits of a number, without an allocation.
#[derive(Debug, Default)]
pub struct Digits([u8; 20]);

impl Digits {
    /// Writes a number and returns its digits.
    pub fn format(&mut self, mut number: u64) -> &[u8] {
        let mut start = self.0.len();
        loop {
            start -= 1;
            self.0[start] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                return &self.0[start..];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_in_digits() {
        for number in [0, 9, 10, 1_234_567_890, u64::MAX] {
            assert_eq!(Digits::default().format(number), number.to_string().as_bytes());
        }
    }
}
