//! What a caller says to send a message: the control data of a request, and a status.

use core::fmt;

use crate::headers::validate;

/// The control data of a request: its pseudo-header fields (RFC 9113 §8.3.1), as arguments, so that no illegal order or
/// repetition can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Request<'a> {
    /// `:method`
    pub method: &'a [u8],
    /// `:scheme`; absent in a plain CONNECT.
    pub scheme: Option<&'a [u8]>,
    /// `:authority`
    pub authority: Option<&'a [u8]>,
    /// `:path`; absent in a plain CONNECT.
    pub path: Option<&'a [u8]>,
    /// `:protocol` of an extended CONNECT (RFC 8441 §4).
    pub protocol: Option<&'a [u8]>,
}

impl<'a> Request<'a> {
    /// Makes a request with a scheme, an authority, and a path.
    pub fn new<T: AsRef<[u8]> + ?Sized>(method: &'a T, scheme: &'a T, authority: &'a T, path: &'a T) -> Self {
        Self {
            method: method.as_ref(),
            scheme: Some(scheme.as_ref()),
            authority: Some(authority.as_ref()),
            path: Some(path.as_ref()),
            protocol: None,
        }
    }

    /// Makes a GET request, for example `Request::get("https", "example.org", "/")`.
    pub fn get<T: AsRef<[u8]> + ?Sized>(scheme: &'a T, authority: &'a T, path: &'a T) -> Self {
        Self { method: b"GET", ..Self::new(scheme, scheme, authority, path) }
    }

    /// Makes a CONNECT request for a tunnel (RFC 9113 §8.5).
    pub fn connect<T: AsRef<[u8]> + ?Sized>(authority: &'a T) -> Self {
        Self {
            method: b"CONNECT",
            scheme: None,
            authority: Some(authority.as_ref()),
            path: None,
            protocol: None,
        }
    }

    /// Makes it an extended CONNECT, for example for `websocket` (RFC 8441 §4).
    #[must_use]
    pub fn with_protocol<T: AsRef<[u8]> + ?Sized>(self, protocol: &'a T) -> Self {
        Self { method: b"CONNECT", protocol: Some(protocol.as_ref()), ..self }
    }
}

/// A status code, 100 to 999 (RFC 9110 §15).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Status([u8; 3]);

impl Status {
    /// 200
    pub const OK: Self = Self(*b"200");
    /// 103
    pub const EARLY_HINTS: Self = Self(*b"103");
    /// 100
    pub const CONTINUE: Self = Self(*b"100");
    /// 400
    pub const BAD_REQUEST: Self = Self(*b"400");
    /// 404
    pub const NOT_FOUND: Self = Self(*b"404");
    /// 408
    pub const REQUEST_TIMEOUT: Self = Self(*b"408");
    /// 431
    pub const REQUEST_HEADER_FIELDS_TOO_LARGE: Self = Self(*b"431");
    /// 500
    pub const INTERNAL_SERVER_ERROR: Self = Self(*b"500");

    /// Makes a status; `None` outside 100 to 999.
    pub const fn new(code: u16) -> Option<Self> {
        if code < 100 || code > 999 {
            return None;
        }
        let digits = [code / 100, code / 10 % 10, code % 10];
        Some(Self([b'0' + digits[0] as u8, b'0' + digits[1] as u8, b'0' + digits[2] as u8]))
    }

    /// Returns the number.
    pub fn as_u16(self) -> u16 {
        validate::parse_status(&self.0).unwrap_or(0)
    }

    /// Returns the three digits.
    pub const fn as_bytes(&self) -> &[u8; 3] {
        &self.0
    }

    /// Whether it is 1xx.
    #[must_use]
    pub const fn is_informational(self) -> bool {
        self.0[0] == b'1'
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.as_u16())
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_three_digits() {
        assert_eq!(Status::new(99), None);
        assert_eq!(Status::new(1000), None);
        for code in 100..1000 {
            assert_eq!(Status::new(code).map(Status::as_u16), Some(code));
        }
        assert_eq!(Status::new(200), Some(Status::OK));
        assert!(Status::EARLY_HINTS.is_informational() && !Status::NOT_FOUND.is_informational());
    }
}
