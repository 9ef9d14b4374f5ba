//! The rules of RFC 9113 §8 for messages, checked for each field while a block is decoded, and for
//! the block at its end.
//!
//! Invariants: a block that passes is a well-formed request, response, trailer section or promised
//! request. The rules for sent messages are the same: `outbound_fields` calls the same functions.

use thalweg_hpack::{Checked, Decoded, Field, KnownName, SinkAction, name_is_valid, value_is_valid};

use super::Headers;
use super::authority::{self, AuthorityClass};
use crate::message::parse_status;
use crate::violation::Violation;

/// The kind of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BlockKind {
    /// A request; `connect_protocol` says whether extended CONNECT was allowed (RFC 8441 §3).
    Request { connect_protocol: bool },
    /// A promised request.
    Push,
    /// A response, informational or final.
    Response,
    /// A trailer section.
    Trailers,
}

impl BlockKind {
    /// Returns the pseudo-header fields that such a block may hold.
    const fn pseudos(self) -> u8 {
        match self {
            Self::Request { .. } => METHOD | SCHEME | AUTHORITY | PATH | PROTOCOL,
            Self::Push => METHOD | SCHEME | AUTHORITY | PATH,
            Self::Response => STATUS,
            Self::Trailers => 0,
        }
    }
}

/// The properties of a valid block that the connection needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct BlockInfo {
    /// The value of `content-length`.
    pub content_length: Option<u64>,
    /// The effect of the method on the messages of the stream.
    pub method: Method,
    /// `:status`, or 0 without one.
    pub status: u16,
    /// Whether the block has a `priority` field.
    pub has_priority: bool,
}

/// The effect of a method on the framing of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Method {
    /// A method without effect on the framing.
    #[default]
    Other,
    /// HEAD: the response has no content.
    Head,
    /// CONNECT: the stream becomes a tunnel.
    Connect,
    /// OPTIONS: the path may be `*`.
    Options,
    /// GET: a push may promise it.
    Get,
}

/// Validates one block while it is decoded.
#[derive(Debug)]
pub(crate) struct Validator {
    kind: BlockKind,
    /// Pseudo-header fields that are still allowed: each once, none after a regular field.
    allowed: u8,
    seen: u8,
    has_host: bool,
    /// Whether `:authority` is none of http or https.
    is_other_authority: bool,
    path_is_asterisk: bool,
    info: BlockInfo,
    violation: Option<Violation>,
}

impl Validator {
    /// Creates the validator of a block.
    pub(crate) fn new(kind: BlockKind) -> Self {
        Self {
            kind,
            allowed: kind.pseudos(),
            seen: 0,
            has_host: false,
            is_other_authority: false,
            path_is_asterisk: false,
            info: BlockInfo::default(),
            violation: None,
        }
    }

    /// Validates the next field. Returns `Stop` if the block is malformed: the remaining fields
    /// need not be passed.
    #[inline(always)]
    pub(crate) fn field(&mut self, decoded: &Decoded<'_>) -> SinkAction {
        let checked = decoded.checked();
        match NAME_CLASSES[usize::from(decoded.known_name().id())] {
            NameClass::Regular => {
                self.allowed = 0;
                if checked >= Checked::Both {
                    return SinkAction::Valid;
                }
            }
            // These need no further checks, except for the method.
            NameClass::Pseudo(bit)
                if bit & self.allowed & (METHOD | SCHEME | AUTHORITY) != 0
                    && checked == Checked::Validated =>
            {
                self.allowed &= !bit;
                self.seen |= bit;
                if bit == METHOD {
                    self.info.method = method_of(decoded.field().value);
                }
                return SinkAction::Valid;
            }
            _ => {}
        }
        self.check_value(&decoded.field(), checked)
    }

    fn check_value(&mut self, field: &Field<'_>, checked: Checked) -> SinkAction {
        match self.check(field, checked) {
            // Another block may have another scheme: the table must not mark this one as valid.
            Ok(()) if self.is_other_authority => SinkAction::Unchecked,
            Ok(()) => SinkAction::Valid,
            Err(violation) => {
                self.violation = Some(violation);
                SinkAction::Stop
            }
        }
    }

    #[inline(always)]
    fn check(&mut self, field: &Field<'_>, checked: Checked) -> Result<(), Violation> {
        match NAME_CLASSES[usize::from(field.known_name().id())] {
            NameClass::Regular => check_bytes(field, checked),
            NameClass::Pseudo(bit) => self.pseudo(field, bit, checked),
            NameClass::Special => self.special(field, checked),
        }
    }

    #[inline(always)]
    fn pseudo(&mut self, field: &Field<'_>, bit: u8, checked: Checked) -> Result<(), Violation> {
        if bit & self.allowed == 0 {
            return Err(self.misplaced(bit));
        }
        self.allowed &= !bit;
        self.seen |= bit;
        match bit {
            // First, since it differs from request to request: the others are mostly known.
            PATH => {
                self.path_is_asterisk = field.value == b"*";
                return if checked == Checked::Validated || is_path(field.value) {
                    Ok(())
                } else {
                    Err(Violation::PathInvalid)
                };
            }
            METHOD => {
                self.info.method = method_of(field.value);
                if self.info.method != Method::Other {
                    return Ok(());
                }
            }
            SCHEME if matches!(field.value, b"https" | b"http") => return Ok(()),
            STATUS => {
                self.info.status = parse_status(field.value).ok_or(Violation::StatusInvalid)?;
                return Ok(());
            }
            _ => {}
        }
        // Its value was validated before, or is one of the static table.
        if checked == Checked::Validated {
            return Ok(());
        }
        if bit == AUTHORITY {
            self.is_other_authority = authority::classify(field.value)? == AuthorityClass::Other;
            return Ok(());
        }
        check_pseudo_value(field.known_name(), field.value)
    }

    /// Returns why a pseudo-header field is not allowed at its place.
    #[cold]
    fn misplaced(&self, bit: u8) -> Violation {
        if self.kind == BlockKind::Trailers {
            Violation::PseudoInTrailers
        } else if bit & self.kind.pseudos() == 0 {
            Violation::PseudoUnknown
        } else if self.seen & bit != 0 {
            Violation::PseudoDuplicate
        } else {
            Violation::PseudoAfterField
        }
    }

    /// Validates a regular field that has rules of its own.
    fn special(&mut self, field: &Field<'_>, checked: Checked) -> Result<(), Violation> {
        self.allowed = 0;
        match field.known_name() {
            KnownName::NONE if field.name().first() == Some(&b':') => return Err(Violation::PseudoUnknown),
            KnownName::NONE => {}
            KnownName::CONTENT_LENGTH => {
                let length = parse_content_length(field.value).ok_or(Violation::ContentLengthInvalid)?;
                // RFC 9110 §8.6: repetitions of one value are allowed, different values are not.
                if self.info.content_length.is_some_and(|earlier| earlier != length) {
                    return Err(Violation::ContentLengthInvalid);
                }
                self.info.content_length = Some(length);
            }
            KnownName::TE if is_trailers(field.value) => {}
            KnownName::TE => return Err(Violation::FieldTeInvalid),
            KnownName::HOST => self.has_host = true,
            KnownName::PRIORITY => self.info.has_priority = true,
            _ => return Err(Violation::FieldConnectionSpecific),
        }
        check_bytes(field, checked)
    }

    /// Validates the block as a whole.
    pub(crate) fn finish(self, headers: &Headers<'_>) -> Result<BlockInfo, Violation> {
        if let Some(violation) = self.violation {
            return Err(violation);
        }
        match self.kind {
            BlockKind::Trailers => {}
            BlockKind::Response => {
                if self.seen & STATUS == 0 {
                    return Err(Violation::StatusInvalid);
                }
                // RFC 9113 §8.6: HTTP/2 has no 101 (Switching Protocols).
                if self.info.status == 101 {
                    return Err(Violation::StatusSwitchingProtocols);
                }
            }
            BlockKind::Request { connect_protocol } => self.check_request(headers, connect_protocol)?,
            BlockKind::Push => {
                self.check_request(headers, false)?;
                // RFC 9113 §8.4.1: a promised request is safe, cacheable and without content.
                let safe = matches!(self.info.method, Method::Get | Method::Head);
                if !safe || self.info.content_length.is_some_and(|length| length > 0) {
                    return Err(Violation::PushRequestInvalid);
                }
                if self.seen & AUTHORITY == 0 {
                    return Err(Violation::PseudoMissing);
                }
            }
        }
        Ok(self.info)
    }

    #[inline(always)]
    fn check_request(&self, headers: &Headers<'_>, connect_protocol: bool) -> Result<(), Violation> {
        if self.seen & METHOD == 0 {
            return Err(Violation::PseudoMissing);
        }
        let extended = self.seen & PROTOCOL != 0;
        if extended && !(connect_protocol && self.info.method == Method::Connect) {
            return Err(Violation::ProtocolNotEnabled);
        }
        if self.info.method == Method::Connect && !extended {
            // RFC 9113 §8.5: a plain CONNECT has `:authority` and no other pseudo-header field.
            if self.seen & (SCHEME | PATH) != 0 || !headers.authority().is_some_and(authority::is_destination)
            {
                return Err(Violation::ConnectPseudo);
            }
        } else if self.seen & (SCHEME | PATH) != SCHEME | PATH {
            return Err(Violation::PseudoMissing);
        } else if extended && self.seen & AUTHORITY == 0 {
            return Err(Violation::ConnectPseudo);
        }
        if self.is_other_authority && authority::is_http(headers.scheme()) {
            return Err(Violation::AuthorityInvalid);
        }
        if self.path_is_asterisk && self.info.method != Method::Options {
            return Err(Violation::PathInvalid);
        }
        if self.has_host {
            return check_host(headers);
        }
        Ok(())
    }
}

/// RFC 9113 §8.2.2: the only value that `te` may have. Almost all peers write it in lower case,
/// which is one comparison.
fn is_trailers(value: &[u8]) -> bool {
    value == b"trailers" || value.eq_ignore_ascii_case(b"trailers")
}

/// RFC 9113 §8.3.1: `host` must not contradict `:authority`; RFC 9110 §7.2: it is one.
fn check_host(headers: &Headers<'_>) -> Result<(), Violation> {
    let hosts =
        headers.fields().filter(|field| field.known_name() == KnownName::HOST).map(|field| field.value);
    check_hosts(headers.authority(), headers.scheme(), hosts)
}

/// Compares the values of `host` with `:authority`, or, where that is absent, with each other.
pub(crate) fn check_hosts<'a>(
    authority: Option<&'a [u8]>,
    scheme: Option<&[u8]>,
    mut hosts: impl Iterator<Item = &'a [u8]>,
) -> Result<(), Violation> {
    let first = match authority {
        // Its value is validated where it is read.
        Some(authority) => authority,
        None => match hosts.next() {
            None => return Ok(()),
            Some(host) => {
                // RFC 9110 §7.2: an empty host belongs to a target without an authority.
                if !host.is_empty() {
                    authority::check(host, scheme)?;
                }
                host
            }
        },
    };
    let first = normal_authority(first, scheme);
    if hosts.all(|host| normal_authority(host, scheme).eq_ignore_ascii_case(first)) {
        Ok(())
    } else {
        Err(Violation::AuthorityDiffersFromHost)
    }
}

/// RFC 3986 §6.2.3: an empty port, and the default port of the scheme, are equivalent to no port.
fn normal_authority<'a>(authority: &'a [u8], scheme: Option<&[u8]>) -> &'a [u8] {
    let Some((host, port)) = split_port(authority) else { return authority };
    let implied: &[u8] = match scheme {
        Some(b"https") => b"443",
        Some(b"http") => b"80",
        _ => b"",
    };
    if port.is_empty() || port == implied { host } else { authority }
}

/// Splits the port off an authority: decimal digits, or nothing, after the last colon.
fn split_port(authority: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = authority.iter().rposition(|byte| *byte == b':')?;
    let (host, port) = (&authority[..colon], &authority[colon + 1..]);
    port.iter().all(u8::is_ascii_digit).then_some((host, port))
}

/// Validates the bytes of a regular field (RFC 9113 §8.2.1).
#[inline]
pub(crate) fn check_bytes(field: &Field<'_>, checked: Checked) -> Result<(), Violation> {
    if !checked.name() && !name_is_valid(field.name()) {
        return Err(Violation::FieldNameInvalid);
    }
    if checked.value() || value_is_valid(field.value) { Ok(()) } else { Err(Violation::FieldValueInvalid) }
}

/// Whether fields of this name have no rules but those for their octets.
#[inline]
pub(crate) fn is_regular(known_name: KnownName) -> bool {
    matches!(NAME_CLASSES[usize::from(known_name.id())], NameClass::Regular)
}

/// Validates a regular field of a message that we send.
#[inline]
pub(crate) fn check_outbound(field: &Field<'_>) -> Result<(), Violation> {
    if let NameClass::Regular = NAME_CLASSES[usize::from(field.known_name().id())] {
        return check_bytes(field, Checked::Name);
    }
    check_outbound_special(field)
}

fn check_outbound_special(field: &Field<'_>) -> Result<(), Violation> {
    // `Field::with_unlisted_name` takes any name: a field is checked by the name that is sent.
    let known_name =
        if field.known_name() == KnownName::NONE { KnownName::of(field.name()) } else { field.known_name() };
    if field.known_name() != known_name {
        // Fields that are compared with the rest of the message are found by their known name.
        match known_name {
            KnownName::CONTENT_LENGTH => return Err(Violation::ContentLengthInvalid),
            KnownName::HOST => return Err(Violation::AuthorityDiffersFromHost),
            _ => {}
        }
    }
    let checked = Checked::new(known_name != KnownName::NONE, false);
    let named = if known_name == field.known_name() {
        *field
    } else {
        Field::with_known_name(known_name, field.value)
    };
    match Validator::new(BlockKind::Trailers).check(&named, checked) {
        Err(Violation::PseudoInTrailers) => Err(Violation::PseudoAfterField),
        result => result,
    }
}

/// Validates the value of a pseudo-header field by itself; `parse_status` validates `:status`, and
/// `authority` validates `:authority`.
#[inline]
pub(crate) fn check_pseudo_value(known_name: KnownName, value: &[u8]) -> Result<(), Violation> {
    let (good, violation) = match known_name {
        KnownName::PATH => (is_path(value), Violation::PathInvalid),
        KnownName::METHOD => (is_token(value), Violation::MethodInvalid),
        KnownName::SCHEME => (is_scheme(value), Violation::SchemeInvalid),
        _ => (is_token(value), Violation::FieldValueInvalid),
    };
    if good { Ok(()) } else { Err(violation) }
}

/// Parses a content-length: one decimal number of up to 18 digits, nothing else (RFC 9110 §8.6).
pub(crate) fn parse_content_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() || value.len() > 18 {
        return None;
    }
    value.iter().try_fold(0u64, |sum, byte| {
        let digit = byte.wrapping_sub(b'0');
        (digit < 10).then(|| sum * 10 + u64::from(digit))
    })
}

/// Returns the effect of a method on the framing.
pub(crate) fn method_of(value: &[u8]) -> Method {
    match value {
        b"HEAD" => Method::Head,
        b"CONNECT" => Method::Connect,
        b"OPTIONS" => Method::Options,
        b"GET" => Method::Get,
        _ => Method::Other,
    }
}

/// RFC 9110 §5.6.2
fn is_token(value: &[u8]) -> bool {
    !value.is_empty() && value.iter().all(|byte| BYTES[usize::from(*byte)] & TCHAR != 0)
}

/// RFC 3986 §3.1
fn is_scheme(value: &[u8]) -> bool {
    let is_scheme_byte = |byte: &u8| BYTES[usize::from(*byte)] & SCHEME_BYTE != 0;
    value.first().is_some_and(u8::is_ascii_alphabetic) && value.iter().all(is_scheme_byte)
}

/// RFC 9113 §8.3.1: not empty; beginning with a slash, or an asterisk alone. We also reject what no
/// URI may contain: controls, space, DEL, and the number sign of a fragment.
#[inline(always)]
fn is_path(value: &[u8]) -> bool {
    (value.first() == Some(&b'/') && no_byte(value, |word| equals(word, b'#'))) || value == b"*"
}

/// RFC 9113 §8.3.1: no user information. We also reject controls, space, and what would end an
/// authority. The rules of http and https are in `authority`.
#[inline]
pub(super) fn is_other_authority(value: &[u8]) -> bool {
    // A slash and a question mark differ in one bit.
    let slash_or_mark = |word| equals(word | (ONES * 0x10), b'?');
    let ends = |word| equals(word, b'@') | slash_or_mark(word) | equals(word, b'#') | equals(word, b'\\');
    !value.is_empty() && no_byte(value, ends)
}

/// Whether `text` has no control, space or DEL, and nothing that `forbidden` finds. Reads eight
/// bytes at a time; the last eight overlap those before.
#[inline]
fn no_byte(text: &[u8], forbidden: impl Fn(u64) -> u64) -> bool {
    let bad = |word: u64| below(word, 0x21) | equals(word, 0x7f) | forbidden(word);
    let Some(last) = text.last_chunk::<8>() else {
        let mut short = [b'a'; 8];
        short[..text.len()].copy_from_slice(text);
        return bad(u64::from_le_bytes(short)) == 0;
    };
    let mut found = bad(u64::from_le_bytes(*last));
    for word in text.as_chunks::<8>().0 {
        found |= bad(u64::from_le_bytes(*word));
    }
    found == 0
}

/// Marks bytes below `bound`, which is at most 0x80. The result is zero exactly if there is none;
/// single marks may be wrong.
const fn below(word: u64, bound: u8) -> u64 {
    word.wrapping_sub(ONES * bound as u64) & !word & TOPS
}

/// Marks bytes equal to `byte`. The result is zero exactly if there is none; single marks may be
/// wrong.
const fn equals(word: u64, byte: u8) -> u64 {
    below(word ^ (ONES * byte as u64), 1)
}

/// 1 in each byte.
const ONES: u64 = 0x0101_0101_0101_0101;
/// The top bit of each byte.
const TOPS: u64 = 0x80 * ONES;

/// The alphabets that contain a byte.
static BYTES: [u8; 256] = {
    let mut bytes = [0; 256];
    let mut byte = 0;
    while byte < 128 {
        let letter = (byte as u8).is_ascii_alphanumeric();
        if letter || matches!(byte as u8, b'+' | b'-' | b'.') {
            bytes[byte] |= SCHEME_BYTE;
        }
        if letter
            || matches!(byte as u8, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~')
        {
            bytes[byte] |= TCHAR;
        }
        byte += 1;
    }
    bytes
};

const TCHAR: u8 = 1;
const SCHEME_BYTE: u8 = 2;

/// The checks that a field of a known name needs.
#[derive(Clone, Copy)]
enum NameClass {
    Regular,
    Pseudo(u8),
    Special,
}

/// The class of each known name: one look-up decides for the fields of ordinary messages.
static NAME_CLASSES: [NameClass; 256] = {
    let marked = [
        (KnownName::METHOD, NameClass::Pseudo(METHOD)),
        (KnownName::SCHEME, NameClass::Pseudo(SCHEME)),
        (KnownName::AUTHORITY, NameClass::Pseudo(AUTHORITY)),
        (KnownName::PATH, NameClass::Pseudo(PATH)),
        (KnownName::PROTOCOL, NameClass::Pseudo(PROTOCOL)),
        (KnownName::STATUS, NameClass::Pseudo(STATUS)),
        // RFC 9113 §8.2.2: connection-specific fields.
        (KnownName::CONNECTION, NameClass::Special),
        (KnownName::KEEP_ALIVE, NameClass::Special),
        (KnownName::PROXY_CONNECTION, NameClass::Special),
        (KnownName::TRANSFER_ENCODING, NameClass::Special),
        (KnownName::UPGRADE, NameClass::Special),
        // These have rules of their own; an unknown name could begin with a colon.
        (KnownName::NONE, NameClass::Special),
        (KnownName::CONTENT_LENGTH, NameClass::Special),
        (KnownName::TE, NameClass::Special),
        (KnownName::HOST, NameClass::Special),
        (KnownName::PRIORITY, NameClass::Special),
    ];
    let mut classes = [NameClass::Regular; 256];
    let mut index = 0;
    while index < marked.len() {
        classes[marked[index].0.id() as usize] = marked[index].1;
        index += 1;
    }
    classes
};

const METHOD: u8 = 1;
const SCHEME: u8 = 2;
const AUTHORITY: u8 = 4;
const PATH: u8 = 8;
const PROTOCOL: u8 = 16;
const STATUS: u8 = 32;

#[cfg(test)]
mod tests {
    use super::*;

    /// Compares each alphabet with its definition, byte by byte, at every position of a value that
    /// is longer than two words.
    #[test]
    fn forbidden_bytes_are_found_at_every_position() {
        for byte in 0..=255u8 {
            for at in 0..19 {
                let mut value = *b"/aaaaaaaaaaaaaaaaaa";
                value[at] = byte;
                let common = byte > b' ' && byte != 0x7f && byte != b'#';
                assert_eq!(is_path(&value), common && (at > 0 || byte == b'/'), "path, {byte:#x} at {at}");
                value[0] = b'a';
                value[at] = byte;
                assert_eq!(
                    is_other_authority(&value),
                    common && !b"@/?\\".contains(&byte),
                    "authority, {byte:#x} at {at}"
                );
                let known_name = byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
                assert_eq!(is_token(&value[..=at]), known_name, "token, {byte:#x} at {at}");
                let scheme = byte.is_ascii_alphabetic()
                    || (at > 0 && (byte.is_ascii_digit() || b"+-.".contains(&byte)));
                assert_eq!(is_scheme(&value[..=at]), scheme, "scheme, {byte:#x} at {at}");
            }
        }
        assert!(is_path(b"*") && is_path(b"/") && !is_path(b"") && !is_path(b"*/"));
        assert!(!is_other_authority(b"") && !is_token(b"") && !is_scheme(b""));
    }
}
