//! What a caller passes to send a message: the control data of a request, and a status.

use core::fmt;

/// The control data of a request: its pseudo-header fields (RFC 9113 §8.3.1). Named fields rule out
/// a wrong order and repetitions. `Debug` prints text.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
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
    /// Creates a request with a scheme, an authority, and a path.
    pub fn new<M, S, A, P>(method: &'a M, scheme: &'a S, authority: &'a A, path: &'a P) -> Self
    where
        M: AsRef<[u8]> + ?Sized,
        S: AsRef<[u8]> + ?Sized,
        A: AsRef<[u8]> + ?Sized,
        P: AsRef<[u8]> + ?Sized,
    {
        Self {
            method: method.as_ref(),
            scheme: Some(scheme.as_ref()),
            authority: Some(authority.as_ref()),
            path: Some(path.as_ref()),
            protocol: None,
        }
    }

    /// Creates a GET request, for example `Request::get("https", "example.org", "/")`.
    pub fn get<S, A, P>(scheme: &'a S, authority: &'a A, path: &'a P) -> Self
    where
        S: AsRef<[u8]> + ?Sized,
        A: AsRef<[u8]> + ?Sized,
        P: AsRef<[u8]> + ?Sized,
    {
        Self::new(b"GET", scheme, authority, path)
    }

    /// Creates a CONNECT request for a tunnel (RFC 9113 §8.5).
    pub fn connect<T: AsRef<[u8]> + ?Sized>(authority: &'a T) -> Self {
        Self {
            method: b"CONNECT",
            scheme: None,
            authority: Some(authority.as_ref()),
            path: None,
            protocol: None,
        }
    }

    /// Turns the request into an extended CONNECT, for example for `websocket` (RFC 8441 §4).
    #[must_use]
    pub fn with_protocol<T: AsRef<[u8]> + ?Sized>(self, protocol: &'a T) -> Self {
        Self { method: b"CONNECT", protocol: Some(protocol.as_ref()), ..self }
    }
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = [
            (":method", Some(self.method)),
            (":scheme", self.scheme),
            (":authority", self.authority),
            (":path", self.path),
            (":protocol", self.protocol),
        ];
        let present = fields.iter().filter_map(|(name, value)| Some((name, (*value)?)));
        f.write_str("Request(")?;
        for (index, (name, value)) in present.enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{name}: {}", value.escape_ascii())?;
        }
        f.write_str(")")
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

    /// Creates a status. Returns `None` outside 100 to 999.
    pub const fn new(code: u16) -> Option<Self> {
        if code < 100 || code > 999 {
            return None;
        }
        let digits = [code / 100, code / 10 % 10, code % 10];
        Some(Self([b'0' + digits[0] as u8, b'0' + digits[1] as u8, b'0' + digits[2] as u8]))
    }

    /// Returns the number.
    pub fn as_u16(self) -> u16 {
        parse_status(&self.0).unwrap_or(0)
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

/// Parses a status: three digits, 100 to 999 (RFC 9110 §15).
pub(crate) fn parse_status(value: &[u8]) -> Option<u16> {
    match value {
        [a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9'] => {
            Some(u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0'))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_of_a_request_prints_text_and_only_what_is_present() {
        let request = Request::get("https", b"example.org", "/\n");
        let text = "Request(:method: GET, :scheme: https, :authority: example.org, :path: /\\n)";
        assert_eq!(alloc::format!("{request:?}"), text);
        assert_eq!(request, Request::new("GET", b"https", "example.org", b"/\n"));
        let connect = Request::connect("a:1");
        assert_eq!(alloc::format!("{connect:?}"), "Request(:method: CONNECT, :authority: a:1)");
    }

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
