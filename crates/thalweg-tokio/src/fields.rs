//! Fields between the `http` crate and HTTP/2, repaired where an RFC says how (`thalweg-http`).

use http::header::{CONTENT_LENGTH, COOKIE};
use http::{HeaderMap, HeaderValue};
use http_body::Body;
use thalweg::{Headers, KnownName, Role, SendError, StreamKey, map_fields};
use thalweg_http::content::{self, announced_length};
use thalweg_http::repair::{Repair, Section, is_repairable, join_cookies};
use thalweg_io::Connection;

use crate::trace;

/// Returns what is known about a body.
pub(crate) fn body_of<B: Body>(body: &B) -> content::Body {
    if body.is_end_stream() {
        return content::Body::EMPTY;
    }
    // A body may end with trailers whether or not its length is known.
    match body.size_hint().exact() {
        Some(len) => content::Body::of_len(len).with_trailers(),
        None => content::Body::UNKNOWN,
    }
}

/// Returns the repair of fields that the core has refused, if there is one. The core accepts most
/// lists, so callers send without a repair first.
pub(crate) fn repair_of(refusal: &SendError, headers: &HeaderMap) -> Option<Repair> {
    match refusal {
        SendError::Malformed(violation) if is_repairable(*violation) => {
            let repair = Repair::outbound(Section::Headers, map_fields(headers))?;
            trace::fields_repaired(repair.report());
            Some(repair)
        }
        _ => None,
    }
}

/// Sends trailers, which end the content. The core cannot refuse a field that is well-formed but
/// does not belong in trailers, so each list is examined.
pub(crate) fn send_trailers<R: Role>(
    connection: &mut Connection<R>,
    stream: StreamKey,
    trailers: &HeaderMap,
) -> Result<(), SendError> {
    let Some(repair) = Repair::outbound(Section::Trailers, map_fields(trailers)) else {
        return connection.send_trailers(stream, map_fields(trailers));
    };
    trace::fields_repaired(repair.report());
    if repair.fields(map_fields(trailers)).next().is_none() {
        // Nothing is left to be sent but the end.
        return connection.send_data(stream, &[], true).map(drop);
    }
    connection.send_trailers(stream, repair.fields(map_fields(trailers)))
}

/// Repairs the fields of a received message: joins cookies, and keeps one content-length. Returns
/// the announced length.
pub(crate) fn repair_received(headers: &Headers<'_>, map: &mut HeaderMap) -> Option<u64> {
    let (mut cookies, mut lengths) = (0, 0);
    for field in headers.fields() {
        match field.known_name() {
            KnownName::COOKIE => cookies += 1,
            KnownName::CONTENT_LENGTH => lengths += 1,
            _ => {}
        }
    }
    if cookies > 1
        && let Some(joined) = join_cookies(headers.fields())
        && let Ok(mut value) = HeaderValue::from_bytes(&joined.value)
    {
        value.set_sensitive(joined.is_sensitive);
        map.insert(COOKIE, value);
    }
    if lengths > 1
        && let Some(first) = map.remove(CONTENT_LENGTH)
    {
        map.insert(CONTENT_LENGTH, first);
    }
    if lengths == 0 { None } else { announced_length(headers.fields()).ok().flatten() }
}
