//! Authorities: the values of `:authority` and `host` (RFC 3986 §3.2, RFC 9110 §4.2, §7.2).
//!
//! Invariants: the targets of http and https name a host, and a port only as a number; the tables
//! of both codecs mark no other authority as validated. Authorities of other schemes have no user
//! information and no byte that ends an authority.
//!
//! Called for an authority that no table holds, for `host`, and for CONNECT. `thalweg-h2c` has the
//! same rule for HTTP/1.1; a test of that crate compares the two.

use core::net::Ipv6Addr;

use super::validate::is_other_authority;
use crate::violation::Violation;

/// The schemes for which an authority is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AuthorityClass {
    /// Any scheme: a host with an optional port.
    Http,
    /// Schemes other than http and https, whose grammar we do not know.
    Other,
}

/// Classifies an authority.
///
/// # Errors
/// `AuthorityInvalid` if it is valid for no scheme.
pub(crate) fn classify(value: &[u8]) -> Result<AuthorityClass, Violation> {
    if split(value).is_some() {
        Ok(AuthorityClass::Http)
    } else if is_other_authority(value) {
        Ok(AuthorityClass::Other)
    } else {
        Err(Violation::AuthorityInvalid)
    }
}

/// Validates an authority of a scheme.
///
/// # Errors
/// `AuthorityInvalid`
pub(crate) fn check(value: &[u8], scheme: Option<&[u8]>) -> Result<(), Violation> {
    match classify(value)? {
        AuthorityClass::Other if is_http(scheme) => Err(Violation::AuthorityInvalid),
        _ => Ok(()),
    }
}

/// Whether the scheme is http or https. CONNECT has none, and its destination is no less strict.
pub(crate) fn is_http(scheme: Option<&[u8]>) -> bool {
    scheme.is_none_or(|scheme| scheme.eq_ignore_ascii_case(b"http") || scheme.eq_ignore_ascii_case(b"https"))
}

/// RFC 9110 §9.3.6: whether an authority is the destination of a tunnel, a host and the number of a
/// port. Port 0 cannot be connected to.
pub(crate) fn is_destination(authority: &[u8]) -> bool {
    split(authority).is_some_and(|port| port.is_some_and(|number| number > 0))
}

/// Returns the port of an authority of http or https, if it has one; `None` if it is not valid.
fn split(authority: &[u8]) -> Option<Option<u16>> {
    let after_host = if let [b'[', literal @ ..] = authority {
        let end = literal.iter().position(|byte| *byte == b']')?;
        let (address, rest) = (&literal[..end], &literal[end + 1..]);
        core::str::from_utf8(address).ok()?.parse::<Ipv6Addr>().ok()?;
        rest
    } else {
        let end = authority.iter().position(|byte| *byte == b':').unwrap_or(authority.len());
        let (host, rest) = authority.split_at(end);
        if !is_registered_name(host) {
            return None;
        }
        rest
    };
    match after_host {
        // RFC 3986 §6.2.3: an empty port is no port.
        [] | [b':'] => Some(None),
        [b':', digits @ ..] => port(digits).map(Some),
        _ => None,
    }
}

/// Parses a port of 16 bits.
fn port(digits: &[u8]) -> Option<u16> {
    digits.iter().try_fold(0u16, |sum, byte| {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 { None } else { sum.checked_mul(10)?.checked_add(u16::from(digit)) }
    })
}

/// RFC 3986 §3.2.2: whether this is a registered name or an IPv4 address; RFC 9110 §4.2.1: and not
/// empty.
fn is_registered_name(name: &[u8]) -> bool {
    let mut bytes = name.iter();
    while let Some(byte) = bytes.next() {
        let is_valid = match byte {
            b'%' => (0..2).all(|_| bytes.next().is_some_and(u8::is_ascii_hexdigit)),
            _ if b"-._~!$&'()*+,;=".contains(byte) => true,
            _ => byte.is_ascii_alphanumeric(),
        };
        if !is_valid {
            return false;
        }
    }
    !name.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities_are_valid_by_scheme() {
        let http = [
            "a",
            "a:",
            "a:0",
            "a:65535",
            "a:0443",
            "[::1]",
            "[::1]:22",
            "%2fa",
            "1.2.3.4",
            "_a.b~!$&'()*+,;=",
        ];
        for authority in http {
            assert_eq!(classify(authority.as_bytes()), Ok(AuthorityClass::Http), "{authority}");
        }
        let other = [
            ":",
            ":80",
            "a:b",
            "a:65536",
            "a:99999999",
            "a:1:2",
            "a:+1",
            "[]",
            "[::1",
            "[::1]a",
            "[::1]:b",
            "::1",
            "[1.2.3.4]",
            "[v1.a]",
            "[fe80::1%25eth0]",
            "%",
            "%2",
            "%2g",
            "a\u{e9}",
            "a\"b",
            "a|b",
            "a]",
        ];
        for authority in other {
            assert_eq!(classify(authority.as_bytes()), Ok(AuthorityClass::Other), "{authority}");
            let invalid = Err(Violation::AuthorityInvalid);
            for scheme in [None, Some(&b"http"[..]), Some(b"https"), Some(b"HTTPS")] {
                assert_eq!(check(authority.as_bytes(), scheme), invalid, "{authority}");
            }
            assert_eq!(check(authority.as_bytes(), Some(b"coap")), Ok(()), "{authority}");
        }
        for authority in ["", "a@b", "@", "a/", "a?", "a#", "a\\", "a b", "a\t", "\u{7f}"] {
            assert_eq!(classify(authority.as_bytes()), Err(Violation::AuthorityInvalid), "{authority}");
        }
    }

    #[test]
    fn a_destination_has_a_port_other_than_0() {
        for authority in ["a:1", "a:65535", "[::1]:22", "a:0443"] {
            assert!(is_destination(authority.as_bytes()), "{authority}");
        }
        for authority in
            ["a", "a:", "a:0", "a:000", "a:65536", "a:b", ":1", "[::1]", "[::1]:", "a:1:2", "[a]:1"]
        {
            assert!(!is_destination(authority.as_bytes()), "{authority}");
        }
    }
}
