//! Request targets and authorities: from the forms of HTTP/1.1 to the values of `:authority` and
//! `:path`.

use alloc::string::String;
use core::net::Ipv6Addr;

use crate::rejection::UpgradeRejection;

/// Converts a request target and the Host field to an authority and a path.
pub(crate) fn resolve(method: &str, target: &str, host: &str) -> Result<(String, String), UpgradeRejection> {
    if !is_visible(target) {
        return Err(UpgradeRejection::Target);
    }
    // RFC 9112 §3.2.1: the usual form is the path itself.
    if target.starts_with('/') {
        return Ok((host.into(), target.into()));
    }
    // RFC 9112 §3.2.4: the asterisk means the whole server, and is valid only with OPTIONS.
    if target == "*" && method == "OPTIONS" {
        return Ok((host.into(), target.into()));
    }
    let (scheme, rest) = target.split_once("://").ok_or(UpgradeRejection::Target)?;
    // RFC 7540 §3.2: h2c is for "http" resources.
    if !scheme.eq_ignore_ascii_case("http") {
        return Err(UpgradeRejection::Scheme);
    }
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    // RFC 9112 §3.2.2: Host repeats the target's authority. A difference is likely an attack.
    if !authority.eq_ignore_ascii_case(host) {
        return Err(UpgradeRejection::HostDiffers);
    }
    let path = match path {
        "" if method == "OPTIONS" => "*".into(),
        _ if path.starts_with('/') => path.into(),
        _ => ["/", path].concat(),
    };
    Ok((authority.into(), path))
}

/// Whether this is a valid `:path` of an "http" request with this method (RFC 9113 §8.3.1).
pub(crate) fn is_path(method: &str, path: &str) -> bool {
    is_visible(path) && (path.starts_with('/') || path == "*" && method == "OPTIONS")
}

/// Whether this is a host with an optional port, and no user information (RFC 3986 §3.2, RFC 9110
/// §4.2.4).
///
/// RFC 9110 §4.2.1: an "http" URI with an empty host is invalid.
pub(crate) fn is_authority(authority: &str) -> bool {
    let (host, port) = match authority.strip_prefix('[') {
        Some(literal) => {
            let Some((address, port)) = literal.split_once(']') else { return false };
            if address.parse::<Ipv6Addr>().is_err() {
                return false;
            }
            (None, port)
        }
        None => {
            let (host, port) = authority.split_at(authority.find(':').unwrap_or(authority.len()));
            (Some(host), port)
        }
    };
    host.is_none_or(is_registered_name) && is_port(port)
}

/// Whether all bytes are valid in a URI without a fragment.
fn is_visible(target: &str) -> bool {
    !target.is_empty() && target.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#')
}

/// Whether this is empty, or a colon and nothing or a number of 16 bits.
fn is_port(port: &str) -> bool {
    let Some(digits) = port.strip_prefix(':') else { return port.is_empty() };
    // RFC 3986 §6.2.3: an empty port is no port.
    digits.is_empty() || digits.bytes().all(|byte| byte.is_ascii_digit()) && digits.parse::<u16>().is_ok()
}

/// RFC 3986 §3.2.2: whether this is a registered name or an IPv4 address, and not empty.
fn is_registered_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    while let Some(byte) = bytes.next() {
        let valid = match byte {
            b'%' => (0..2).all(|_| bytes.next().is_some_and(|digit| digit.is_ascii_hexdigit())),
            _ => byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&byte),
        };
        if !valid {
            return false;
        }
    }
    !name.is_empty()
}
