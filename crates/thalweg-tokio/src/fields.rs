//! Conversions of fields between the `http` crate and HTTP/2.

use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use thalweg::{Field, KnownName};

/// Removes connection-specific fields (RFC 9113 §8.2.2), for services that also speak HTTP/1.1. The
/// core refuses them, so callers try to send without this filter first.
pub(crate) fn without_http_1<'a>(fields: impl Iterator<Item = Field<'a>>) -> impl Iterator<Item = Field<'a>> {
    fields.filter(|field| !HTTP_1.contains(&field.known_name()))
}

/// Returns the value of content-length, if it is a number.
pub(crate) fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

const HTTP_1: [KnownName; 5] = [
    KnownName::CONNECTION,
    KnownName::KEEP_ALIVE,
    KnownName::PROXY_CONNECTION,
    KnownName::TRANSFER_ENCODING,
    KnownName::UPGRADE,
];

/// The decimal digits of a number, formatted without an allocation.
#[derive(Debug, Default)]
pub(crate) struct Digits([u8; 20]);

impl Digits {
    /// Formats a number and returns its digits.
    pub(crate) fn format(&mut self, mut number: u64) -> &[u8] {
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
    fn numbers_are_formatted_in_decimal_digits() {
        for number in [0, 9, 10, 1_234_567_890, u64::MAX] {
            assert_eq!(Digits::default().format(number), number.to_string().as_bytes());
        }
    }
}
