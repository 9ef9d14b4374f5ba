//! Decides whether a complete HTTP/1 head requests h2c, and whether it may be upgraded.

use alloc::string::String;
use alloc::vec::Vec;

use crate::body::{Body, Chunked};
use crate::config::Config;
use crate::head::{Fields, HeadBuffer, RequestHead, Version, text};
use crate::rejection::UpgradeRejection;
use crate::request::{UpgradeRequest, is_hop_by_hop};
use crate::{settings, target};

/// The contents of an acceptable head.
pub(crate) struct ValidUpgrade {
    pub request: UpgradeRequest,
    pub settings: Vec<u8>,
    pub body: Body,
}

/// Validates a complete head. `None` if it does not request h2c.
pub(crate) fn validate(
    buffer: &HeadBuffer,
    head: &RequestHead,
    config: &Config,
) -> Option<Result<ValidUpgrade, UpgradeRejection>> {
    let fields = head.fields.within(&buffer.bytes);
    // RFC 9110 §7.8: the server may choose any protocol of the list; names are case-insensitive.
    // RFC 7540 §3.2: a token of "h2" is ignored; that is for TLS.
    fields.list_contains("upgrade", "h2c").then(|| accept(buffer, head, fields, config))
}

fn accept(
    buffer: &HeadBuffer,
    head: &RequestHead,
    fields: Fields<'_>,
    config: &Config,
) -> Result<ValidUpgrade, UpgradeRejection> {
    let method = text(&buffer.bytes, &head.method);
    if !config.upgrade {
        return Err(UpgradeRejection::Disabled);
    }
    // RFC 9110 §7.8: the Upgrade of an HTTP/1.0 request is ignored.
    if head.version == Version::Http10 {
        return Err(UpgradeRejection::Http10);
    }
    if buffer.has_bare_lf() {
        return Err(UpgradeRejection::BareLineFeed);
    }
    if method == "CONNECT" {
        return Err(UpgradeRejection::Connect);
    }
    check_connection(fields)?;
    let settings = read_settings(fields, config)?;
    let body = frame_body(fields, config)?;
    let host =
        single(fields, "host", UpgradeRejection::HostRepeated)?.ok_or(UpgradeRejection::HostMissing)?;
    let host = core::str::from_utf8(host).map_err(|_| UpgradeRejection::Host)?;
    if !target::is_authority(host) {
        return Err(UpgradeRejection::Host);
    }
    let (authority, path) = target::resolve(method, text(&buffer.bytes, &head.target), host)?;
    let request = UpgradeRequest {
        method: method.into(),
        authority,
        path,
        fields: translate(fields),
        body: Vec::new(),
    };
    Ok(ValidUpgrade { request, settings, body })
}

/// RFC 9110 §7.6.1, RFC 7540 §3.2.1: Connection lists the hop-by-hop fields, so no proxy forwarded
/// them.
fn check_connection(fields: Fields<'_>) -> Result<(), UpgradeRejection> {
    if !fields.list_contains("connection", "upgrade") {
        return Err(UpgradeRejection::UpgradeNotListed);
    }
    if !fields.list_contains("connection", "http2-settings") {
        return Err(UpgradeRejection::SettingsNotListed);
    }
    const OPTIONS: [&str; 4] = ["upgrade", "http2-settings", "keep-alive", "te"];
    let known = |option: &[u8]| OPTIONS.iter().any(|known| option.eq_ignore_ascii_case(known.as_bytes()));
    if fields.members("connection").all(known) { Ok(()) } else { Err(UpgradeRejection::ConnectionOption) }
}

fn read_settings(fields: Fields<'_>, config: &Config) -> Result<Vec<u8>, UpgradeRejection> {
    let value = single(fields, "http2-settings", UpgradeRejection::SettingsRepeated)?
        .ok_or(UpgradeRejection::SettingsMissing)?;
    let payload = settings::decode(value).ok_or(UpgradeRejection::SettingsEncoding)?;
    settings::check(&payload, config.settings_max).map_err(UpgradeRejection::Settings)?;
    Ok(payload)
}

/// Determines how the body is delimited (RFC 9112 §6.3), and rejects any ambiguity.
fn frame_body(fields: Fields<'_>, config: &Config) -> Result<Body, UpgradeRejection> {
    // RFC 9110 §7.8: a 100 would have to precede the 101. Such a request stays HTTP/1.
    if fields.has("expect") {
        return Err(UpgradeRejection::Expectation);
    }
    let limit = config.body_bytes_max;
    let length = single(fields, "content-length", UpgradeRejection::ContentLengthRepeated)?;
    if !fields.has("transfer-encoding") {
        let left = length.map_or(Ok(0), parse_length)?;
        return if left > limit {
            Err(UpgradeRejection::BodyTooLong { limit })
        } else {
            Ok(Body::Length { left })
        };
    }
    if length.is_some() {
        return Err(UpgradeRejection::ContentLengthAndCoding);
    }
    let coding = single(fields, "transfer-encoding", UpgradeRejection::TransferCoding)?;
    match coding {
        Some(coding) if coding.eq_ignore_ascii_case(b"chunked") => Ok(Body::Chunked(Chunked::new(limit))),
        _ => Err(UpgradeRejection::TransferCoding),
    }
}

/// RFC 9110 §8.6: only digits, no sign, no list.
fn parse_length(value: &[u8]) -> Result<usize, UpgradeRejection> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(UpgradeRejection::ContentLength);
    }
    let mut digits = value.iter().map(|digit| usize::from(digit - b'0'));
    let length = digits.try_fold(0_usize, |sum, digit| sum.checked_mul(10)?.checked_add(digit));
    length.ok_or(UpgradeRejection::ContentLength)
}

/// Converts the fields to those of HTTP/2.
///
/// RFC 9113 §8.2.1: names are in lower case. §8.2.2: no connection-specific fields, and only
/// `trailers` in TE. §8.3.1: `:authority` replaces Host.
fn translate(fields: Fields<'_>) -> Vec<(String, Vec<u8>)> {
    let mut translated: Vec<(String, Vec<u8>)> = Vec::with_capacity(fields.iter().len());
    let mut te_is_due = fields.list_contains("te", "trailers");
    for (name, value) in fields.iter() {
        if name.eq_ignore_ascii_case("te") {
            if core::mem::take(&mut te_is_due) {
                translated.push(("te".into(), b"trailers".to_vec()));
            }
        } else if !is_hop_by_hop(name) && !name.eq_ignore_ascii_case("host") {
            translated.push((name.to_ascii_lowercase(), value.to_vec()));
        }
    }
    translated
}

/// Returns the value of a field that may occur once.
fn single<'a>(
    fields: Fields<'a>,
    name: &'static str,
    repeated: UpgradeRejection,
) -> Result<Option<&'a [u8]>, UpgradeRejection> {
    let mut values = fields.values(name);
    let first = values.next();
    if values.next().is_some() { Err(repeated) } else { Ok(first) }
}
