//! The feature `http`: conversion of field blocks to and from the types of the `http` crate.
//!
//! Those types own their data, so most conversions allocate.

use alloc::vec::Vec;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::uri::{self, Authority, PathAndQuery, Scheme};
use http::{Method, StatusCode, Uri, Version};
use thalweg_hpack::{Field, Indexing, KnownName};

use super::Headers;
use crate::message::{Request, Status};

/// The values of the last requests of a connection. Peers repeat most of them: a repeated value is
/// cloned, neither copied nor validated again, and so are a repeated URI and a repeated map. Holds
/// up to 17 KiB of text; sensitive values are not kept.
#[derive(Debug, Default)]
pub struct RecentValues {
    /// Indexed by the position of the field in its message.
    values: Vec<HeaderValue>,
    /// Whether all values of this message are those of the last one.
    repeats: bool,
    /// The fields of the last two messages, which were the same.
    map: Option<HeaderMap>,
    uri: Option<Uri>,
}

impl RecentValues {
    /// Creates an empty cache, without allocating.
    pub const fn new() -> Self {
        Self { values: Vec::new(), repeats: false, map: None, uri: None }
    }

    /// Returns the value at the same position of the last request if it is `text`, or creates one.
    fn value(&mut self, place: usize, text: &[u8]) -> Result<HeaderValue, http::Error> {
        if let Some(recent) = self.values.get(place)
            && recent.as_bytes() == text
        {
            return Ok(recent.clone());
        }
        self.repeats = false;
        let value = HeaderValue::from_bytes(text)?;
        if place < RECENT_PLACES && text.len() <= RECENT_BYTES {
            if self.values.len() <= place {
                self.values.resize(place + 1, const { HeaderValue::from_static("") });
            }
            self.values[place] = value.clone();
        }
        Ok(value)
    }

    /// Returns the map of the last requests if it has the same fields, or creates one.
    fn map(&mut self, headers: &Headers<'_>) -> Result<HeaderMap, http::Error> {
        if let Some(map) = &self.map
            && is_map_of(map, headers.fields())
        {
            return Ok(map.clone());
        }
        self.repeats = true;
        let map = headers.map(|place, text| self.value(place, text))?;
        // A clone would be wasted on peers whose fields differ each time.
        self.map = (self.repeats && may_keep(&map)).then(|| map.clone());
        Ok(map)
    }

    /// Returns the URI of the last request if it is the same, or creates one, with the authority of
    /// the last request if that is the same.
    fn uri(&mut self, target: &Target<'_>) -> Result<Uri, http::Error> {
        if target.is_sensitive {
            return target.to_uri(None);
        }
        let recent = self.uri.as_ref().filter(|uri| authority_of(uri) == target.authority);
        if let Some(recent) = recent
            && recent.scheme_str().map(str::as_bytes) == target.scheme
            && recent.path_and_query().map(|path| path.as_str().as_bytes()) == target.path
        {
            return Ok(recent.clone());
        }
        let uri = target.to_uri(recent.and_then(|recent| recent.authority().cloned()))?;
        let len = target.authority.map_or(0, <[u8]>::len) + target.path.map_or(0, <[u8]>::len);
        self.uri = (len <= RECENT_URI_BYTES).then(|| uri.clone());
        Ok(uri)
    }
}

fn authority_of(uri: &Uri) -> Option<&[u8]> {
    uri.authority().map(|authority| authority.as_str().as_bytes())
}

/// Whether a map may be kept: its names are short and no value is sensitive.
fn may_keep(map: &HeaderMap) -> bool {
    map.iter().all(|(name, value)| name.as_str().len() <= RECENT_BYTES && !value.is_sensitive())
}

/// Whether a map holds those fields and no others, in their order.
fn is_map_of<'a>(map: &HeaderMap, fields: impl ExactSizeIterator<Item = Field<'a>>) -> bool {
    fields.len() == map.len()
        && map.iter().zip(fields).all(|((name, value), field)| {
            let is_name = match field.known_name() {
                KnownName::NONE => name.as_str().as_bytes() == field.name(),
                known_name => *name == NAMES[usize::from(known_name.id())],
            };
            is_name && value.as_bytes() == field.value && field.indexing != Indexing::Never
        })
}

impl Headers<'_> {
    /// Returns the regular fields as a map; values that the peer marked as never indexed are marked
    /// as sensitive. Several `cookie` fields are joined to one (RFC 9113 §8.2.3).
    ///
    /// # Errors
    /// A name or value is allowed in HTTP/2 and not by the `http` crate.
    pub fn to_header_map(&self) -> Result<HeaderMap, http::Error> {
        self.map(|_, text| Ok(HeaderValue::from_bytes(text)?))
    }

    /// Returns a request of the `http` crate, without `:protocol`: see [`Headers::protocol`].
    ///
    /// # Errors
    /// The `http` crate does not accept the control data or a field.
    pub fn to_request(&self) -> Result<http::Request<()>, http::Error> {
        self.request(None)
    }

    /// Returns the same as [`to_request`](Self::to_request), and clones from `recent` what earlier
    /// requests had.
    ///
    /// # Errors
    /// Those of [`to_request`](Self::to_request).
    pub fn to_request_with(&self, recent: &mut RecentValues) -> Result<http::Request<()>, http::Error> {
        self.request(Some(recent))
    }

    fn request(&self, mut recent: Option<&mut RecentValues>) -> Result<http::Request<()>, http::Error> {
        let mut request = http::Request::new(());
        let target = Target::of(self);
        *request.uri_mut() = match recent.as_deref_mut() {
            Some(recent) => recent.uri(&target)?,
            None => target.to_uri(None)?,
        };
        *request.headers_mut() = match recent {
            Some(recent) => recent.map(self)?,
            None => self.to_header_map()?,
        };
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

    /// Creates a map; `value` creates the value of a field that is not sensitive, from its position
    /// and text.
    fn map(
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

/// The control data of a request (RFC 9113 §8.3.1).
struct Target<'c> {
    method: Option<&'c [u8]>,
    scheme: Option<&'c [u8]>,
    authority: Option<&'c [u8]>,
    path: Option<&'c [u8]>,
    is_sensitive: bool,
}

impl<'c> Target<'c> {
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

    /// Creates the URI. `authority` is that of the request, if it was parsed before.
    fn to_uri(&self, authority: Option<Authority>) -> Result<Uri, http::Error> {
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

/// Returns the fields of a map for a `send_*` call; sensitive values are marked as never indexed.
/// Does not allocate.
pub fn map_fields(map: &HeaderMap) -> impl Iterator<Item = Field<'_>> {
    map.iter().map(|(name, value)| {
        let field = Field::new(name.as_str().as_bytes(), value.as_bytes());
        if value.is_sensitive() { field.sensitive() } else { field }
    })
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

/// Fields of a message whose values are kept.
const RECENT_PLACES: usize = 32;
/// The longest name or value that is kept.
const RECENT_BYTES: usize = 256;
/// The longest authority with its path that is kept.
const RECENT_URI_BYTES: usize = 1024;

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::vec;

    use thalweg_hpack::{Decoder, Encoder, ListLimits, SinkAction};

    use super::super::HeaderBlock;
    use super::*;

    const TARGET: [(&str, &str); 4] =
        [(":method", "GET"), (":scheme", "https"), (":authority", "a.example"), (":path", "/a?b")];

    /// The fields of a request, and which of them is sensitive.
    struct Request<'a>(Vec<(&'a str, &'a str)>, Option<&'a str>);

    impl Request<'_> {
        fn see<T>(&self, look: impl FnOnce(&Headers<'_>) -> T) -> T {
            let (mut encoder, mut decoder) = (Encoder::new(4096, 1), Decoder::new(4096));
            let (mut wire, mut block) = (Vec::new(), HeaderBlock::default());
            encoder.start_block(&mut wire);
            for (name, value) in &self.0 {
                let field = Field::new(name.as_bytes(), value.as_bytes());
                encoder.encode(if self.1 == Some(*name) { field.sensitive() } else { field }, &mut wire);
            }
            let decoded = decoder.decode(&wire, ListLimits::NONE, |field| {
                block.push(&field);
                SinkAction::Unchecked
            });
            decoded.unwrap();
            look(&block.view(&decoder))
        }

        fn made(&self) -> http::Request<()> {
            self.see(|headers| headers.to_request().unwrap())
        }

        fn made_with(&self, recent: &mut RecentValues) -> http::Request<()> {
            self.see(|headers| headers.to_request_with(recent).unwrap())
        }
    }

    fn parts(request: &http::Request<()>) -> (&Method, &Uri, Vec<(&HeaderName, &HeaderValue, bool)>) {
        let fields = request.headers().iter().map(|(name, value)| (name, value, value.is_sensitive()));
        (request.method(), request.uri(), fields.collect())
    }

    /// A request is the same with and without `RecentValues`, after any other requests.
    #[test]
    fn cached_values_change_no_request() {
        let target =
            [(":method", "GET"), (":scheme", "https"), (":authority", "a.example"), (":path", "/a?b")];
        let with = |fields: &[(&'static str, &'static str)]| Request([&target, fields].concat(), None);
        let replaced = |at: usize, field| {
            let mut request = with(&[("accept", "*/*"), ("x-id", "1")]);
            request.0[at] = field;
            request
        };
        let sensitive = |name| Request(with(&[("accept", "*/*"), ("x-id", "1")]).0, Some(name));
        let requests = [
            with(&[]),
            with(&[("accept", "*/*"), ("x-id", "1")]),
            with(&[("x-id", "1"), ("accept", "*/*")]),
            with(&[("accept", "*/*"), ("x-id", "1"), ("accept", "*/*")]),
            with(&[("accept", "*/*"), ("accept", "*/*")]),
            with(&[("accept", "text/html"), ("x-id", "2")]),
            with(&[("x-id", "1")]),
            Request(with(&[("x-id", "1")]).0, Some("x-id")),
            with(&[("cookie", "a=1"), ("cookie", "b=2")]),
            with(&[("cookie", "a=1; b=2")]),
            sensitive("accept"),
            replaced(4, ("accept-x", "*/*")),
            replaced(5, ("x-id", "2")),
            replaced(3, (":path", "/other")),
            sensitive(":path"),
            replaced(2, (":authority", "b.example")),
            replaced(1, (":scheme", "http")),
            replaced(0, (":method", "POST")),
            Request([&target[..2], &target[3..], &[("host", "a.example")]].concat(), None),
            Request([&target[..2], &target[3..]].concat(), None),
            Request([(":method", "CONNECT"), (":authority", "a.example")].to_vec(), None),
        ];
        let all: Vec<_> = requests.iter().map(Request::made).collect();
        for first in 0..requests.len() {
            for second in 0..requests.len() {
                let mut recent = RecentValues::new();
                for now in [first, first, first, second, second, first, second, second, second] {
                    let made = requests[now].made_with(&mut recent);
                    assert_eq!(parts(&made), parts(&all[now]), "{first}, then {second}");
                }
            }
        }
    }

    #[test]
    fn a_request_that_is_repeated_twice_shares_the_memory_of_the_others() {
        let request = Request([&TARGET[..], &[("x-id", "1")]].concat(), None);
        let mut recent = RecentValues::new();
        let first = request.made_with(&mut recent);
        assert!(recent.map.is_none(), "the value has not repeated yet");
        let (second, third) = (request.made_with(&mut recent), request.made_with(&mut recent));
        let texts = |request: &http::Request<()>| {
            (request.uri().path().as_ptr(), request.headers()["x-id"].as_bytes().as_ptr())
        };
        assert_eq!([texts(&second), texts(&third)], [texts(&first); 2]);
        assert!(recent.map.is_some());
        // A new map has a name of its own, even if its values are cloned.
        let name =
            |request: &http::Request<()>| request.headers().keys().next().map(|name| name.as_str().as_ptr());
        assert_eq!(name(&third), name(&second));
        assert_ne!(name(&second), name(&first));
    }

    #[test]
    fn a_value_that_comes_again_shares_its_memory_and_another_replaces_it() {
        let mut recent = RecentValues::new();
        let first = recent.value(3, b"text/html").unwrap();
        assert_eq!(recent.value(3, b"text/html").unwrap().as_bytes().as_ptr(), first.as_bytes().as_ptr());
        assert_eq!(recent.value(3, b"text/htm").unwrap(), "text/htm");
        assert_eq!(recent.value(3, b"text/html").unwrap(), "text/html");
        assert_eq!(recent.value(0, b"").unwrap(), "");
        assert!(recent.value(3, b"a\x7f").is_err());
    }

    #[test]
    fn the_cache_is_bounded() {
        let mut recent = RecentValues::new();
        for place in 0..200 {
            for len in [RECENT_BYTES, RECENT_BYTES + 1, 16 << 10] {
                assert_eq!(recent.value(place, &vec![b'x'; len]).unwrap().len(), len);
            }
        }
        assert_eq!(recent.values.len(), RECENT_PLACES);
        assert!(recent.values.iter().all(|value| value.len() == RECENT_BYTES));
        let long = vec![b'a'; RECENT_BYTES + 1];
        let mut named = Request([&TARGET[..], &[("x", "y")]].concat(), None);
        for (path, is_kept) in [(RECENT_URI_BYTES, true), (RECENT_URI_BYTES + 1, false)] {
            let path = format!("/{}", "p".repeat(path - "/a.example".len()));
            Request([&TARGET[..3], &[(":path", &path)]].concat(), None).made_with(&mut recent);
            assert_eq!(recent.uri.is_some(), is_kept);
        }
        recent.uri = None;
        Request(TARGET.to_vec(), Some(":path")).made_with(&mut recent);
        assert!(recent.uri.is_none(), "it is sensitive");
        for (name, is_kept) in [("y", true), (core::str::from_utf8(&long).unwrap(), false)] {
            named.0[4].0 = name;
            (0..3).for_each(|_| drop(named.made_with(&mut recent)));
            assert_eq!(recent.map.is_some(), is_kept);
        }
    }

    #[test]
    fn every_known_name_of_a_regular_field_has_its_header_name() {
        for id in 0..KnownName::COUNT as u8 {
            let known_name = KnownName::of_id(id);
            let named = NAMES[usize::from(id)].as_str().as_bytes();
            let is_regular = known_name.is_known() && !known_name.is_pseudo();
            assert_eq!(named, if is_regular { known_name.name() } else { b"unknown" }, "{known_name:?}");
        }
    }
}
