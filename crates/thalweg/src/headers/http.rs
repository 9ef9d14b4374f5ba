//! The feature `http`: conversion of field blocks to and from the types of the `http` crate.
//!
//! Those types own their data, so most conversions allocate.

use alloc::string::ToString as _;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::uri::{self, Authority, PathAndQuery, Scheme};
use http::{Method, StatusCode, Uri, Version};
use thalweg_hpack::{Field, Indexing, KnownName};

use super::Headers;
use crate::message::{Request, Status};

impl Headers<'_> {
    /// Returns the regular fields as a map; values that the peer marked as never indexed are marked
    /// as sensitive. Several `cookie` fields are joined to one (RFC 9113 §8.2.3).
    ///
    /// # Errors
    /// A name or value is allowed in HTTP/2 and not by the `http` crate.
    pub fn to_header_map(&self) -> Result<HeaderMap, http::Error> {
        self.to_header_map_with(|_, text| Ok(HeaderValue::from_bytes(text)?))
    }

    /// Returns a request of the `http` crate, without `:protocol`: see [`Headers::protocol`].
    ///
    /// # Errors
    /// The `http` crate does not accept the control data or a field.
    pub fn to_request(&self) -> Result<http::Request<()>, http::Error> {
        let target = self.target();
        let mut request = http::Request::new(());
        *request.uri_mut() = target.to_uri(None)?;
        *request.headers_mut() = self.to_header_map()?;
        *request.method_mut() = Method::from_bytes(target.method.unwrap_or_default())?;
        *request.version_mut() = Version::HTTP_2;
        Ok(request)
    }

    /// Returns a response of the `http` crate.
    ///
    /// # Errors
    /// The `http` crate does not accept a field.
    pub fn to_response(&self) -> Result<http::Response<()>, http::Error> {
        let mut response = http::Response::new(());
        *response.status_mut() = StatusCode::from_u16(self.status().unwrap_or_default())?;
        *response.version_mut() = Version::HTTP_2;
        *response.headers_mut() = self.to_header_map()?;
        Ok(response)
    }

    /// Returns the control data of a request, for an I/O layer that keeps parts of earlier ones.
    pub fn target(&self) -> RequestTarget<'_> {
        RequestTarget::of(self)
    }

    /// Returns the regular fields as a map, like [`to_header_map`](Self::to_header_map). `value`
    /// makes the values of fields that are not sensitive, from their position in the message and
    /// their text, so that an I/O layer can clone those of earlier messages.
    ///
    /// # Errors
    /// A name that HTTP/2 allows and the `http` crate does not, and the errors of `value`.
    pub fn to_header_map_with(
        &self,
        mut value: impl FnMut(usize, &[u8]) -> Result<HeaderValue, http::Error>,
    ) -> Result<HeaderMap, http::Error> {
        let fields = self.fields();
        let mut map = HeaderMap::try_with_capacity(fields.len())?;
        let cookie_fields = fields.clone().filter(|field| field.known_name() == KnownName::COOKIE).count();
        let mut has_cookie = false;
        for (place, field) in fields.enumerate() {
            let joined;
            let mut text = field.value;
            if field.known_name() == KnownName::COOKIE && cookie_fields > 1 {
                if has_cookie {
                    continue;
                }
                has_cookie = true;
                joined = self.joined_cookies().unwrap_or_default();
                text = &joined;
            }
            let value = if field.indexing == Indexing::Never {
                let mut value = HeaderValue::from_bytes(text)?;
                value.set_sensitive(true);
                value
            } else {
                value(place, text)?
            };
            let name = match field.known_name() {
                KnownName::NONE => HeaderName::from_bytes(field.name())?,
                known_name => NAMES[usize::from(known_name.id())].clone(),
            };
            map.try_append(name, value)?;
        }
        Ok(map)
    }
}

/// The control data of a request (RFC 9113 §8.3.1), as the `http` crate has it: `host` is the
/// authority of a request without `:authority`, and there is no scheme without an authority.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequestTarget<'c> {
    /// The method.
    pub method: Option<&'c [u8]>,
    /// The scheme.
    pub scheme: Option<&'c [u8]>,
    /// The authority.
    pub authority: Option<&'c [u8]>,
    /// The path and the query.
    pub path: Option<&'c [u8]>,
    /// Whether the peer marked one of them as never indexed (RFC 7541 §7.1.3).
    pub is_sensitive: bool,
}

impl<'c> RequestTarget<'c> {
    fn of(headers: &Headers<'c>) -> Self {
        let mut target =
            Self { method: None, scheme: None, authority: None, path: None, is_sensitive: false };
        for held in headers.block.fields.iter().take_while(|held| held.known_name().is_pseudo()) {
            let field = headers.decoder.field(held);
            match field.known_name() {
                KnownName::METHOD => target.method = Some(field.value),
                KnownName::SCHEME => target.scheme = Some(field.value),
                KnownName::AUTHORITY => target.authority = Some(field.value),
                KnownName::PATH => target.path = Some(field.value),
                _ => {}
            }
            target.is_sensitive |= field.indexing == Indexing::Never;
        }
        target.authority = target.authority.or_else(|| headers.get(b"host"));
        if target.authority.is_none() && target.path.is_some() {
            // The `http` crate requires an authority beside a scheme; without one the URI is the
            // path alone.
            target.scheme = None;
        }
        target
    }

    /// Returns the URI. `authority` is that of the request, if the caller has it as a value.
    ///
    /// # Errors
    /// Control data that the `http` crate does not accept.
    pub fn to_uri(&self, authority: Option<Authority>) -> Result<Uri, http::Error> {
        let mut parts = uri::Parts::default();
        parts.scheme = self.scheme.map(Scheme::try_from).transpose()?;
        parts.authority = match authority {
            None => self.authority.map(Authority::try_from).transpose()?,
            made => made,
        };
        parts.path_and_query = self.path.map(PathAndQuery::try_from).transpose()?;
        Ok(Uri::from_parts(parts)?)
    }
}

impl core::fmt::Debug for RequestTarget<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let text = |part: Option<&'_ [u8]>| part.map(|text| text.escape_ascii().to_string());
        let mut debug = f.debug_struct("RequestTarget");
        debug.field("method", &text(self.method));
        if !self.is_sensitive {
            debug.field("scheme", &text(self.scheme)).field("authority", &text(self.authority));
            debug.field("path", &text(self.path));
        }
        debug.field("is_sensitive", &self.is_sensitive).finish()
    }
}

/// Returns the name of a regular field as the `http` crate has it; `None` for control data and
/// unknown names. Costs a look-up in a table.
pub fn header_name(known_name: KnownName) -> Option<&'static HeaderName> {
    let is_regular = known_name.is_known() && !known_name.is_pseudo();
    is_regular.then(|| &NAMES[usize::from(known_name.id())])
}

/// Returns the fields of a map for a `send_*` call; sensitive values are marked as never indexed.
/// Does not allocate.
pub fn map_fields(map: &HeaderMap) -> impl Iterator<Item = Field<'_>> + Clone {
    MapFields { map, rest: map.iter(), taken: 0 }
}

/// The fields of a map. The map's own iterator cannot be cloned.
struct MapFields<'a> {
    map: &'a HeaderMap,
    rest: http::header::Iter<'a, HeaderValue>,
    /// The fields before `rest`.
    taken: usize,
}

impl<'a> Iterator for MapFields<'a> {
    type Item = Field<'a>;

    #[inline]
    fn next(&mut self) -> Option<Field<'a>> {
        let (name, value) = self.rest.next()?;
        self.taken += 1;
        let field = Field::new(name.as_str().as_bytes(), value.as_bytes());
        Some(if value.is_sensitive() { field.sensitive() } else { field })
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        self.rest.size_hint()
    }
}

impl Clone for MapFields<'_> {
    fn clone(&self) -> Self {
        let mut rest = self.map.iter();
        for _ in 0..self.taken {
            rest.next();
        }
        Self { map: self.map, rest, taken: self.taken }
    }
}

impl<'a> Request<'a> {
    /// Creates the control data from a method and a URI. A missing scheme counts as `http`, a
    /// missing path as `/` or, for OPTIONS, `*`. A `Uri` with a scheme always has a path: OPTIONS
    /// for a whole server needs the path `*`.
    pub fn from_http(method: &'a Method, uri: &'a Uri) -> Self {
        let authority = uri.authority().map(|authority| authority.as_str().as_bytes());
        if method == Method::CONNECT {
            let authority = authority.or(Some(b""));
            return Self { method: b"CONNECT", scheme: None, authority, path: None, protocol: None };
        }
        let path = match uri.path_and_query() {
            Some(path) => path.as_str(),
            None if method == Method::OPTIONS => "*",
            None => "/",
        };
        Self {
            method: method.as_str().as_bytes(),
            scheme: Some(uri.scheme_str().unwrap_or("http").as_bytes()),
            authority,
            path: Some(path.as_bytes()),
            protocol: None,
        }
    }
}

impl From<StatusCode> for Status {
    fn from(status: StatusCode) -> Self {
        Self::new(status.as_u16()).unwrap_or(Self::INTERNAL_SERVER_ERROR)
    }
}

/// The `HeaderName` of each known name, by its number, so that a known name is not parsed.
static NAMES: [HeaderName; KnownName::COUNT] = {
    let mut names = [const { HeaderName::from_static("unknown") }; KnownName::COUNT];
    let mut id = 1;
    while id < names.len() {
        let known_name = KnownName::of_id(id as u8);
        // Pseudo-header fields are not in a `HeaderMap`.
        if known_name.is_known() && !known_name.is_pseudo() {
            let Ok(name) = core::str::from_utf8(known_name.name()) else { panic!("names are ASCII") };
            // `forget`: the destructor of the replaced name cannot run at compile time; it would
            // free nothing.
            core::mem::forget(core::mem::replace(&mut names[id], HeaderName::from_static(name)));
        }
        id += 1;
    }
    names
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_name_of_a_regular_field_has_its_header_name() {
        for id in 0..KnownName::COUNT as u8 {
            let known_name = KnownName::of_id(id);
            let named = NAMES[usize::from(id)].as_str().as_bytes();
            let is_regular = known_name.is_known() && !known_name.is_pseudo();
            assert_eq!(named, if is_regular { known_name.name() } else { b"unknown" }, "{known_name:?}");
            let name = header_name(known_name).map(|name| name.as_str().as_bytes());
            assert_eq!(name, is_regular.then(|| known_name.name()), "{known_name:?}");
        }
    }
}
