//! The feature `http`: header blocks to and from the types of the `http` crate.
//!
//! Those types own what they hold, so most of this allocates.

use alloc::vec::Vec;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::uri::{self, Authority, PathAndQuery, Scheme};
use http::{Method, StatusCode, Uri, Version};
use thalweg_hpack::{Field, Indexing, Token};

use super::Headers;
use crate::message::{Request, Status};

/// Values of the last messages of a connection. Peers repeat most of what they say, and a value that comes again is cloned: not copied,
/// and not judged once more. Holds up to 8 KiB of text; sensitive values are not kept.
#[derive(Debug, Default)]
pub struct RecentValues {
    /// By the place of the field in its message.
    values: Vec<HeaderValue>,
    authority: Option<Authority>,
}

impl RecentValues {
    /// Starts empty, without memory.
    pub const fn new() -> Self {
        Self { values: Vec::new(), authority: None }
    }

    /// Makes a value of `text`, or finds it where it was last time.
    fn value(&mut self, place: usize, text: &[u8]) -> Result<HeaderValue, http::Error> {
        if let Some(recent) = self.values.get(place)
            && recent.as_bytes() == text
        {
            return Ok(recent.clone());
        }
        let value = HeaderValue::from_bytes(text)?;
        if place < RECENT_PLACES && text.len() <= RECENT_BYTES {
            if self.values.len() <= place {
                self.values.resize(place + 1, const { HeaderValue::from_static("") });
            }
            self.values[place] = value.clone();
        }
        Ok(value)
    }

    fn authority(&mut self, text: &[u8]) -> Result<Authority, http::Error> {
        if let Some(recent) = &self.authority
            && recent.as_str().as_bytes() == text
        {
            return Ok(recent.clone());
        }
        let authority = Authority::try_from(text)?;
        self.authority = (text.len() <= RECENT_BYTES).then(|| authority.clone());
        Ok(authority)
    }
}

impl Headers<'_> {
    /// Returns the regular fields as a map; what the peer marked as never indexed is marked as sensitive. The crumbs of `cookie`
    /// are one field again (RFC 9113 §8.2.3).
    ///
    /// # Errors
    /// A name or value that HTTP/2 allows and the `http` crate does not.
    pub fn to_header_map(&self) -> Result<HeaderMap, http::Error> {
        self.map(|_, text| Ok(HeaderValue::from_bytes(text)?))
    }

    /// Returns a request as the `http` crate knows it. `:protocol` is left out: see [`Headers::protocol`].
    ///
    /// # Errors
    /// Control data or fields that the `http` crate does not accept.
    pub fn to_request(&self) -> Result<http::Request<()>, http::Error> {
        self.request(None)
    }

    /// The same, with what `recent` keeps of the requests before.
    ///
    /// # Errors
    /// As for [`to_request`](Self::to_request).
    pub fn to_request_with(&self, recent: &mut RecentValues) -> Result<http::Request<()>, http::Error> {
        self.request(Some(recent))
    }

    fn request(&self, mut recent: Option<&mut RecentValues>) -> Result<http::Request<()>, http::Error> {
        let mut request = http::Request::new(());
        *request.uri_mut() = self.uri(recent.as_deref_mut())?;
        *request.headers_mut() = match recent {
            Some(recent) => self.map(|place, text| recent.value(place, text))?,
            None => self.to_header_map()?,
        };
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

    /// Makes a map; `value` makes the values of fields that are not sensitive, by their place.
    fn map(
        &self,
        mut value: impl FnMut(usize, &[u8]) -> Result<HeaderValue, http::Error>,
    ) -> Result<HeaderMap, http::Error> {
        let fields = self.fields();
        let mut map = HeaderMap::with_capacity(fields.len());
        let crumbs = fields.clone().filter(|field| field.token == Token::COOKIE).count();
        let mut has_cookie = false;
        for (place, field) in fields.enumerate() {
            let joined;
            let mut text = field.value;
            if field.token == Token::COOKIE && crumbs > 1 {
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
            let name = match field.token {
                Token::UNKNOWN => HeaderName::from_bytes(field.name)?,
                token => NAMES[usize::from(token.id())].clone(),
            };
            map.try_append(name, value)?;
        }
        Ok(map)
    }

    fn uri(&self, mut recent: Option<&mut RecentValues>) -> Result<Uri, http::Error> {
        let mut authority = |text| match &mut recent {
            Some(recent) => recent.authority(text),
            None => Ok(Authority::try_from(text)?),
        };
        let mut parts = uri::Parts::default();
        for held in self.block.fields.iter().take_while(|held| held.token().is_pseudo()) {
            let text = self.decoder.field(held).value;
            match held.token() {
                Token::SCHEME => parts.scheme = Some(Scheme::try_from(text)?),
                Token::AUTHORITY => parts.authority = Some(authority(text)?),
                Token::PATH => parts.path_and_query = Some(PathAndQuery::try_from(text)?),
                _ => {}
            }
        }
        if parts.authority.is_none()
            && let Some(host) = self.get(b"host")
        {
            parts.authority = Some(authority(host)?);
        }
        if parts.authority.is_none() && parts.path_and_query.is_some() {
            // The `http` crate wants an authority beside a scheme; without one only the path is said.
            parts.scheme = None;
        }
        Ok(Uri::from_parts(parts)?)
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

/// Places of fields whose values are kept.
const RECENT_PLACES: usize = 32;
/// The longest value that is kept.
const RECENT_BYTES: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn a_value_that_comes_again_shares_its_memory_and_another_replaces_it() {
        let mut recent = RecentValues::new();
        let first = recent.value(3, b"text/html").unwrap();
        assert_eq!(recent.value(3, b"text/html").unwrap().as_bytes().as_ptr(), first.as_bytes().as_ptr());
        assert_eq!(recent.value(3, b"text/htm").unwrap(), "text/htm");
        assert_eq!(recent.value(3, b"text/html").unwrap(), "text/html");
        assert_eq!(recent.value(0, b"").unwrap(), "");
        assert!(recent.value(3, b"a\x7f").is_err());
        let authority = recent.authority(b"a.example:80").unwrap();
        assert_eq!(recent.authority(b"a.example:80").unwrap().as_str().as_ptr(), authority.as_str().as_ptr());
        assert_eq!(recent.authority(b"b.example").unwrap(), "b.example");
        assert!(recent.authority(b"b example").is_err());
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut recent = RecentValues::new();
        for place in 0..200 {
            for len in [RECENT_BYTES, RECENT_BYTES + 1, 16 << 10] {
                assert_eq!(recent.value(place, &vec![b'x'; len]).unwrap().len(), len);
            }
        }
        assert_eq!(recent.values.len(), RECENT_PLACES);
        assert!(recent.values.iter().all(|value| value.len() == RECENT_BYTES));
        recent.authority(&[b'a'; RECENT_BYTES + 1]).unwrap();
        assert!(recent.authority.is_none());
    }

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
