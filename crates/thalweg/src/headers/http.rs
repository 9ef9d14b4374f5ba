//! The feature `http`: header blocks to and from the types of the `http` crate.
//!
//! Everything here allocates, since those types own what they hold.

use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Method, StatusCode, Uri, Version};
use thalweg_hpack::{Field, Indexing, Token};

use super::Headers;
use crate::message::{Request, Status};

impl Headers<'_> {
    /// Returns the regular fields as a map; what the peer marked as never indexed is marked as sensitive. The crumbs of `cookie`
    /// are one field again (RFC 9113 §8.2.3).
    ///
    /// # Errors
    /// A name or value that HTTP/2 allows and the `http` crate does not.
    pub fn to_header_map(&self) -> Result<HeaderMap, http::Error> {
        let fields = self.fields();
        let mut map = HeaderMap::with_capacity(fields.len());
        let mut cookies = self.joined_cookies();
        for field in fields {
            if field.token == Token::COOKIE {
                let Some(cookies) = cookies.take() else { continue };
                let mut value = HeaderValue::from_maybe_shared(cookies)?;
                value.set_sensitive(field.indexing == Indexing::Never);
                map.append(http::header::COOKIE, value);
                continue;
            }
            let name = HeaderName::from_bytes(field.name)?;
            let mut value = HeaderValue::from_bytes(field.value)?;
            value.set_sensitive(field.indexing == Indexing::Never);
            map.append(name, value);
        }
        Ok(map)
    }

    /// Returns a request as the `http` crate knows it. `:protocol` is left out: see [`Headers::protocol`].
    ///
    /// # Errors
    /// Control data or fields that the `http` crate does not accept.
    pub fn to_request(&self) -> Result<http::Request<()>, http::Error> {
        let mut uri = Uri::builder();
        if let Some(scheme) = self.scheme() {
            uri = uri.scheme(Scheme::try_from(scheme)?);
        }
        if let Some(authority) = self.authority().or_else(|| self.get(b"host")) {
            uri = uri.authority(Authority::try_from(authority)?);
        }
        if let Some(path) = self.path() {
            uri = uri.path_and_query(PathAndQuery::try_from(path)?);
        }
        let uri = match (self.scheme(), self.authority().or_else(|| self.get(b"host")), self.path()) {
            // The `http` crate wants an authority beside a scheme; without one only the path is said.
            (Some(_), None, Some(path)) => Uri::from(PathAndQuery::try_from(path)?),
            _ => uri.build()?,
        };
        let mut request = http::Request::new(());
        *request.method_mut() = Method::from_bytes(self.method().unwrap_or_default())?;
        *request.uri_mut() = uri;
        *request.version_mut() = Version::HTTP_2;
        *request.headers_mut() = self.to_header_map()?;
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
