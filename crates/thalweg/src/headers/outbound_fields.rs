//! Outbound header lists: collected and validated whole before the first byte is written, so that a
//! rejected list changes nothing. A field that is in the encoder's table was validated when it was
//! inserted.

use smallvec::SmallVec;
use thalweg_hpack::{Encoder, Field, Indexing, KnownName, TableMatch};

use super::authority::{self, AuthorityClass};
use super::validate;
use crate::error::SendError;
use crate::message::{Request, Status};
use crate::violation::Violation;

/// The fields of one block, in the order of the wire, each with its entry in the encoder's table.
pub(crate) type FieldList<'a> = SmallVec<[(Field<'a>, TableMatch); FIELDS_INLINE]>;

/// Collects a request into `list`, which is empty. Returns its content-length.
///
/// # Errors
/// `Malformed`, `HeaderListTooLarge`, or `NotAllowedByPeer` for `:protocol`.
pub(crate) fn request<'a, 'f: 'a>(
    list: &mut FieldList<'a>,
    encoder: &Encoder,
    request: &Request<'a>,
    fields: impl IntoIterator<Item = Field<'f>>,
    peer: PeerLimits,
) -> Result<Option<u64>, SendError> {
    let is_connect = request.method == b"CONNECT";
    if request.protocol.is_some() && !peer.connect_protocol {
        return Err(SendError::NotAllowedByPeer);
    }
    let tunnel = is_connect && request.protocol.is_none();
    let complete = if tunnel {
        request.scheme.is_none() && request.path.is_none() && request.authority.is_some()
    } else {
        request.scheme.is_some() && request.path.is_some()
    };
    if !complete || (request.protocol.is_some() && !(is_connect && request.authority.is_some())) {
        let violation = if is_connect { Violation::ConnectPseudo } else { Violation::PseudoMissing };
        return Err(SendError::Malformed(violation));
    }
    if tunnel && !request.authority.is_some_and(authority::is_destination) {
        return Err(SendError::Malformed(Violation::ConnectPseudo));
    }
    if request.path == Some(b"*") && request.method != b"OPTIONS" {
        return Err(SendError::Malformed(Violation::PathInvalid));
    }
    let pseudos = [
        (KnownName::METHOD, Some(request.method)),
        (KnownName::SCHEME, request.scheme),
        (KnownName::AUTHORITY, request.authority),
        (KnownName::PATH, request.path),
        (KnownName::PROTOCOL, request.protocol),
    ];
    for (known_name, value) in pseudos {
        let Some(value) = value else { continue };
        let mut field = Field::with_known_name(known_name, value);
        let found = encoder.find(&field);
        // The static table has an empty `:authority`.
        if !found.is_found() || value.is_empty() {
            let checked = if known_name == KnownName::AUTHORITY {
                check_authority(&mut field, request.scheme)
            } else {
                validate::check_pseudo_value(known_name, value)
            };
            checked.map_err(SendError::Malformed)?;
        }
        list.push((field, found));
    }
    let content_length = collect(list, encoder, fields, peer)?;
    let hosts = list.iter().map(|(field, _)| field).filter(|field| field.known_name() == KnownName::HOST);
    validate::check_hosts(request.authority, request.scheme, hosts.map(|field| field.value))
        .map_err(SendError::Malformed)?;
    Ok(content_length)
}

/// Validates an authority. One that http and https do not allow stays out of the table, whose
/// entries pass for every scheme.
fn check_authority(field: &mut Field<'_>, scheme: Option<&[u8]>) -> Result<(), Violation> {
    if authority::classify(field.value)? == AuthorityClass::Other {
        if authority::is_http(scheme) {
            return Err(Violation::AuthorityInvalid);
        }
        field.indexing = Indexing::NotIndexed;
    }
    Ok(())
}

/// Collects a response into `list`, which is empty. Returns its content-length.
///
/// # Errors
/// `Malformed` or `HeaderListTooLarge`.
#[inline]
pub(crate) fn response<'a, 'f: 'a>(
    list: &mut FieldList<'a>,
    encoder: &Encoder,
    status: &'a Status,
    fields: impl IntoIterator<Item = Field<'f>>,
    peer: PeerLimits,
) -> Result<Option<u64>, SendError> {
    // RFC 9113 §8.6: 101 does not exist in HTTP/2.
    if status.as_bytes() == b"101" {
        return Err(SendError::Malformed(Violation::StatusSwitchingProtocols));
    }
    let field = Field::with_known_name(KnownName::STATUS, status.as_bytes());
    list.push((field, encoder.find(&field)));
    collect(list, encoder, fields, peer)
}

/// Appends regular fields to `list`. Returns the content-length among them.
///
/// # Errors
/// `Malformed` or `HeaderListTooLarge`.
#[inline]
pub(crate) fn collect<'a, 'f: 'a>(
    list: &mut FieldList<'a>,
    encoder: &Encoder,
    fields: impl IntoIterator<Item = Field<'f>>,
    peer: PeerLimits,
) -> Result<Option<u64>, SendError> {
    let mut content_length = None;
    for field in fields {
        let found = encoder.find(&field);
        if field.known_name() == KnownName::CONTENT_LENGTH {
            let length = validate::parse_content_length(field.value);
            if length.is_none() || content_length.is_some_and(|earlier| Some(earlier) != length) {
                return Err(SendError::Malformed(Violation::ContentLengthInvalid));
            }
            // RFC 9110 §5.3, §8.6: repeated with one value, it is sent once.
            if content_length.is_some() {
                continue;
            }
            content_length = length;
        } else if !(found.is_found() && validate::is_regular(field.known_name())) {
            validate::check_outbound(&field).map_err(SendError::Malformed)?;
        }
        list.push((field, found));
    }
    if peer.header_list_bytes != u32::MAX {
        let bytes: u64 = list.iter().map(|(field, _)| field.size() as u64).sum();
        if bytes > u64::from(peer.header_list_bytes) {
            return Err(SendError::HeaderListTooLarge { bytes, limit: peer.header_list_bytes });
        }
    }
    Ok(content_length)
}

/// Validates a regular field by itself, as every call that sends fields does (RFC 9113 §8.2, RFC
/// 9110 §8.6), for callers that validate a field where it is created. Reads each byte once.
///
/// ```
/// use thalweg::{Field, Violation, check_field};
///
/// assert_eq!(check_field(&Field::new(b"content-type", b"text/plain")), Ok(()));
/// let field = Field::new(b"content-length", b"1e3");
/// assert_eq!(check_field(&field), Err(Violation::ContentLengthInvalid));
/// assert_eq!(check_field(&Field::new(b"x-mine", b"a\r\nb")), Err(Violation::FieldValueInvalid));
/// assert_eq!(check_field(&Field::new(b":path", b"/")), Err(Violation::PseudoAfterField));
/// ```
///
/// # Errors
/// The rule that the field breaks.
pub fn check_field(field: &Field<'_>) -> Result<(), Violation> {
    if field.known_name() == KnownName::CONTENT_LENGTH
        && validate::parse_content_length(field.value).is_none()
    {
        return Err(Violation::ContentLengthInvalid);
    }
    validate::check_outbound(field)
}

/// The peer's settings for header lists.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PeerLimits {
    /// SETTINGS_MAX_HEADER_LIST_SIZE, bytes.
    pub header_list_bytes: u32,
    /// SETTINGS_ENABLE_CONNECT_PROTOCOL.
    pub connect_protocol: bool,
}

/// Fields that are collected without allocating.
const FIELDS_INLINE: usize = 24;
