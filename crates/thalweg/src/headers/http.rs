//! The feature `http`: header blocks to and from the types of the `http` crate.
//!
//! Those types own what they hold. So a block is copied once, and all values of a message share that copy.

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::uri::{self, Authority, PathAndQuery, Scheme};
use http::{Method, StatusCode, Uri, Version};
use thalweg_hpack::{Field, Indexing, Token};

use super::{Entry, Headers};
use crate::message::{Request, Status};

impl Headers<'_> {
    /// Returns the regular fields as a map; what the peer marked as never indexed is marked as sensitive. The crumbs of `cookie`
    /// are one field again (RFC 9113 §8.2.3). The values share one copy of the block: one that is kept keeps all of them.
    ///
    /// # Errors
    /// A name or value that HTTP/2 allows and the `http` crate does not.
    pub fn to_header_map(&self) -> Result<HeaderMap, http::Error> {
        self.map(&self.copy())
    }

    /// Returns a request as the `http` crate knows it. `:protocol` is left out: see [`Headers::protocol`].
    ///
    /// # Errors
    /// Control data or fields that the `http` crate does not accept.
    pub fn to_request(&self) -> Result<http::Request<()>, http::Error> {
        let copy = self.copy();
        let mut request = http::Request::new(());
        *request.uri_mut() = self.uri(&copy)?;
        *request.headers_mut() = self.map(&copy)?;
        *request.method_mut() = Method::from_bytes(self.method().unwrap_or_default())?;
        *request.version_mut() = Version::HTTP_2;
        Ok(request)
    }

    /// Returns a response as the `http` crate knows it.
    ///
    /// # Errors
    /// Fields that the `http` crate does not accept.
    pub fn to_response(&self) -> Result<http::Response<()>, http::Error> {
        let mut response = http::Response::new(());
        *response.status_mut() = StatusCode::from_u16(self.status().unwrap_or_default())?;
        *response.version_mut() = Version::HTTP_2;
        *response.headers_mut() = self.to_header_map()?;
        Ok(response)
    }

    /// What all values of this block share.
    fn copy(&self) -> Bytes {
        Bytes::copy_from_slice(&self.block.bytes)
    }

    fn map(&self, copy: &Bytes) -> Result<HeaderMap, http::Error> {
        let block = self.block;
        let fields = &block.entries[self.pseudo_count()..];
        let mut map = HeaderMap::with_capacity(fields.len());
        let mut has_cookie = false;
        for entry in fields {
            let value = if entry.token != Token::COOKIE {
                copy.slice(entry.value())
            } else if !has_cookie {
                has_cookie = true;
                self.cookie(copy, entry)
            } else {
                continue;
            };
            let mut value = HeaderValue::from_maybe_shared(value)?;
            value.set_sensitive(entry.indexing == Indexing::Never);
            let name = match entry.token {
                Token::UNKNOWN => HeaderName::from_bytes(block.field(entry).name)?,
                token => NAMES[usize::from(token.id())].clone(),
            };
            map.try_append(name, value)?;
        }
        Ok(map)
    }

    /// All crumbs, of which `first` is the first. Most clients send one.
    fn cookie(&self, copy: &Bytes, first: &Entry) -> Bytes {
        let mut crumbs = self.block.entries.iter().filter(|entry| entry.token == Token::COOKIE);
        match crumbs.nth(1) {
            None => copy.slice(first.value()),
            Some(_) => self.joined_cookies().unwrap_or_default().into(),
        }
    }

    fn uri(&self, copy: &Bytes) -> Result<Uri, http::Error> {
        let mut parts = uri::Parts::default();
        for entry in &self.block.entries[..self.pseudo_count()] {
            match entry.token {
                Token::SCHEME => parts.scheme = Some(Scheme::try_from(&copy[entry.value()])?),
                Token::AUTHORITY => {
                    parts.authority = Some(Authority::from_maybe_shared(copy.slice(entry.value()))?);
                }
                Token::PATH => {
                    parts.path_and_query = Some(PathAndQuery::from_maybe_shared(copy.slice(entry.value()))?);
                }
                _ => {}
            }
        }
        if parts.authority.is_none()
            && let Some(host) = self.get(b"host")
        {
            parts.authority = Some(Authority::try_from(host)?);
        }
        if parts.authority.is_none() && parts.path_and_query.is_some() {
            // The `http` crate wants an authority beside a scheme; without one only the path is said.
            parts.scheme = None;
        }
        Ok(Uri::from_parts(parts)?)
    }

    fn pseudo_count(&self) -> usize {
        self.block.entries.iter().take_while(|entry| entry.token.is_pseudo()).count()
    }
}

/// Returns the fields of a map for a `send_*` call; sensitive values are marked as never to be indexed. Costs nothing.
pub fn map_fields(map: &HeaderMap) -> impl Iterator<Item = Field<'_>> {
    map.iter().map(|(name, value)| {
        let field = Field::new(name.as_str().as_bytes(), value.as_bytes());
        if value.is_sensitive() { field.sensitive() } else { field }
    })
}

impl<'a> Request<'a> {
    /// Takes the control data from a method and a URI. A missing scheme counts as `http`, a missing path as `/` or, for
    /// OPTIONS, `*`. A `Uri` with a scheme always has a path: OPTIONS for a whole server needs one that says `*`.
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

/// The names of all tokens, by number, so that a known name costs no look at its bytes.
static NAMES: [HeaderName; Token::COUNT] = {
    let mut names = [const { HeaderName::from_static("unknown") }; Token::COUNT];
    let mut id = 1;
    while id < names.len() {
        let token = Token::of_id(id as u8);
        // The `http` crate keeps control data elsewhere.
        if token.is_known() && !token.is_pseudo() {
            let Ok(name) = core::str::from_utf8(token.name()) else { panic!("names are ASCII") };
            // What was there before has no destructor that could run at compile time, and needs none.
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
    fn every_token_of_a_regular_field_has_its_name() {
        for id in 0..Token::COUNT as u8 {
            let token = Token::of_id(id);
            let named = NAMES[usize::from(id)].as_str().as_bytes();
            let is_regular = token.is_known() && !token.is_pseudo();
            assert_eq!(named, if is_regular { token.name() } else { b"unknown" }, "{token:?}");
        }
    }
}
