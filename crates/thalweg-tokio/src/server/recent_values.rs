//! Requests that share the values of earlier requests of their connection: a client repeats most of
//! what it sends. An equal value is cloned, not copied and not validated once more, and so are an
//! equal URI and an equal map.
//!
//! Invariants: a request is the same as without the cache; the cache holds at most 17 KiB of text,
//! and no sensitive value.

use http::header::{HeaderMap, HeaderValue};
use http::{Method, Request, Uri, Version};
use thalweg::{Field, Headers, Indexing, RequestTarget, header_name};

/// Parts of the last requests of a connection.
#[derive(Debug, Default)]
pub(crate) struct RecentValues {
    /// By the position of the field in its message.
    values: Vec<HeaderValue>,
    /// Whether all values of this message equal those of the last.
    repeats: bool,
    /// The fields of the last two messages, which were the same.
    map: Option<HeaderMap>,
    uri: Option<Uri>,
}

impl RecentValues {
    /// Creates an empty cache, without memory.
    pub(crate) const fn new() -> Self {
        Self { values: Vec::new(), repeats: false, map: None, uri: None }
    }

    /// Returns the request, with values of earlier requests where they are equal.
    ///
    /// # Errors
    /// Those of `Headers::to_request`.
    pub(crate) fn request(&mut self, headers: &Headers<'_>) -> Result<Request<()>, http::Error> {
        let target = headers.target();
        let mut request = Request::new(());
        *request.uri_mut() = self.uri(&target)?;
        *request.headers_mut() = self.map(headers)?;
        *request.method_mut() = Method::from_bytes(target.method.unwrap_or_default())?;
        *request.version_mut() = Version::HTTP_2;
        Ok(request)
    }

    /// Returns the value of `text`: a clone of the last one at this position, if it is equal.
    fn value(&mut self, position: usize, text: &[u8]) -> Result<HeaderValue, http::Error> {
        if let Some(recent) = self.values.get(position)
            && recent.as_bytes() == text
        {
            return Ok(recent.clone());
        }
        self.repeats = false;
        let value = HeaderValue::from_bytes(text)?;
        if position < POSITIONS_MAX && text.len() <= VALUE_BYTES_MAX {
            if self.values.len() <= position {
                self.values.resize(position + 1, const { HeaderValue::from_static("") });
            }
            self.values[position] = value.clone();
        }
        Ok(value)
    }

    /// Returns the map of a request's fields: a clone of the last one, if it is equal.
    fn map(&mut self, headers: &Headers<'_>) -> Result<HeaderMap, http::Error> {
        if let Some(map) = &self.map
            && is_map_of(map, headers.fields())
        {
            return Ok(map.clone());
        }
        self.repeats = true;
        let map = headers.to_header_map_with(|position, text| self.value(position, text))?;
        // A clone would be wasted on a peer whose requests differ each time.
        self.map = (self.repeats && may_keep(&map)).then(|| map.clone());
        Ok(map)
    }

    /// Returns the URI of a request: a clone of the last one, or one with its authority, if that is
    /// equal.
    fn uri(&mut self, target: &RequestTarget<'_>) -> Result<Uri, http::Error> {
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
        self.uri = (len <= URI_BYTES_MAX).then(|| uri.clone());
        Ok(uri)
    }
}

fn authority_of(uri: &Uri) -> Option<&[u8]> {
    uri.authority().map(|authority| authority.as_str().as_bytes())
}

/// Returns whether a map may be kept with its names and values.
fn may_keep(map: &HeaderMap) -> bool {
    map.iter().all(|(name, value)| name.as_str().len() <= VALUE_BYTES_MAX && !value.is_sensitive())
}

/// Returns whether a map has these fields and no others, in their order.
fn is_map_of<'a>(map: &HeaderMap, fields: impl ExactSizeIterator<Item = Field<'a>>) -> bool {
    fields.len() == map.len()
        && map.iter().zip(fields).all(|((name, value), field)| {
            let is_name = match header_name(field.known_name()) {
                None => name.as_str().as_bytes() == field.name(),
                Some(known_name) => name == known_name,
            };
            is_name && value.as_bytes() == field.value && field.indexing != Indexing::Never
        })
}

/// Positions of fields whose values are kept.
const POSITIONS_MAX: usize = 32;
/// The length of the longest name or value that is kept, bytes.
const VALUE_BYTES_MAX: usize = 256;
/// The length of the longest authority with its path that is kept, bytes.
const URI_BYTES_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use http::header::HeaderName;
    use thalweg::{Config, Connection, Event, Instant, Server};
    use thalweg_hpack::Encoder;
    use thalweg_testkit::frames::{headers, preface, settings, wire};

    use super::*;

    const TARGET: [(&str, &str); 4] =
        [(":method", "GET"), (":scheme", "https"), (":authority", "a.example"), (":path", "/a?b")];

    /// The fields of a request, and which of them is sensitive.
    struct Message<'a>(Vec<(&'a str, &'a str)>, Option<&'a str>);

    impl Message<'_> {
        /// Passes what a server receives to `look`.
        fn receive<T>(&self, look: impl FnOnce(&Headers<'_>) -> T) -> T {
            let (mut encoder, mut block) = (Encoder::new(4096, 1), Vec::new());
            encoder.start_block(&mut block);
            for (name, value) in &self.0 {
                let field = Field::new(name.as_bytes(), value.as_bytes());
                encoder.encode(if self.1 == Some(*name) { field.sensitive() } else { field }, &mut block);
            }
            let request = headers(1, block).end_headers();
            let input = [wire([&preface(), &settings()]), request.bytes()].concat();
            let mut input = &input[..];
            let mut connection = Connection::<Server>::new(Config::default()).unwrap();
            while let Some(event) = connection.receive(&mut input, Instant::ZERO).unwrap() {
                if let Event::Headers { headers, .. } = event {
                    return look(&headers);
                }
            }
            panic!("no request: {:?}", self.0);
        }

        fn made(&self) -> Request<()> {
            self.receive(|headers| headers.to_request().unwrap())
        }

        fn made_with(&self, recent: &mut RecentValues) -> Request<()> {
            self.receive(|headers| recent.request(headers).unwrap())
        }
    }

    fn parts(request: &Request<()>) -> (&Method, &Uri, Vec<(&HeaderName, &HeaderValue, bool)>) {
        let fields = request.headers().iter().map(|(name, value)| (name, value, value.is_sensitive()));
        (request.method(), request.uri(), fields.collect())
    }

    /// Whatever came before, a request is what it would be without memory.
    #[test]
    fn cached_values_change_no_request() {
        let target =
            [(":method", "GET"), (":scheme", "https"), (":authority", "a.example"), (":path", "/a?b")];
        let with = |fields: &[(&'static str, &'static str)]| Message([&target, fields].concat(), None);
        let replaced = |at: usize, field| {
            let mut request = with(&[("accept", "*/*"), ("x-id", "1")]);
            request.0[at] = field;
            request
        };
        let sensitive = |name| Message(with(&[("accept", "*/*"), ("x-id", "1")]).0, Some(name));
        let requests = [
            with(&[]),
            with(&[("accept", "*/*"), ("x-id", "1")]),
            with(&[("x-id", "1"), ("accept", "*/*")]),
            with(&[("accept", "*/*"), ("x-id", "1"), ("accept", "*/*")]),
            with(&[("accept", "*/*"), ("accept", "*/*")]),
            with(&[("accept", "text/html"), ("x-id", "2")]),
            with(&[("x-id", "1")]),
            Message(with(&[("x-id", "1")]).0, Some("x-id")),
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
            Message([&target[..2], &target[3..], &[("host", "a.example")]].concat(), None),
            Message([&target[..2], &target[3..]].concat(), None),
            Message([(":method", "CONNECT"), (":authority", "a.example:443")].to_vec(), None),
        ];
        let all: Vec<_> = requests.iter().map(Message::made).collect();
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
        let request = Message([&TARGET[..], &[("x-id", "1")]].concat(), None);
        let mut recent = RecentValues::new();
        let first = request.made_with(&mut recent);
        assert!(recent.map.is_none(), "the value has not repeated yet");
        let (second, third) = (request.made_with(&mut recent), request.made_with(&mut recent));
        let texts = |request: &Request<()>| {
            (request.uri().path().as_ptr(), request.headers()["x-id"].as_bytes().as_ptr())
        };
        assert_eq!([texts(&second), texts(&third)], [texts(&first); 2]);
        assert!(recent.map.is_some());
        // A map that is made anew has a name of its own, whatever its values are.
        let name = |request: &Request<()>| request.headers().keys().next().map(|name| name.as_str().as_ptr());
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
        for position in 0..200 {
            for len in [VALUE_BYTES_MAX, VALUE_BYTES_MAX + 1, 16 << 10] {
                assert_eq!(recent.value(position, &vec![b'x'; len]).unwrap().len(), len);
            }
        }
        assert_eq!(recent.values.len(), POSITIONS_MAX);
        assert!(recent.values.iter().all(|value| value.len() == VALUE_BYTES_MAX));
        let long = vec![b'a'; VALUE_BYTES_MAX + 1];
        let mut named = Message([&TARGET[..], &[("x", "y")]].concat(), None);
        for (path, is_kept) in [(URI_BYTES_MAX, true), (URI_BYTES_MAX + 1, false)] {
            let path = format!("/{}", "p".repeat(path - "/a.example".len()));
            Message([&TARGET[..3], &[(":path", &path)]].concat(), None).made_with(&mut recent);
            assert_eq!(recent.uri.is_some(), is_kept);
        }
        recent.uri = None;
        Message(TARGET.to_vec(), Some(":path")).made_with(&mut recent);
        assert!(recent.uri.is_none(), "it is sensitive");
        for (name, is_kept) in [("y", true), (std::str::from_utf8(&long).unwrap(), false)] {
            named.0[4].0 = name;
            (0..3).for_each(|_| drop(named.made_with(&mut recent)));
            assert_eq!(recent.map.is_some(), is_kept);
        }
    }
}
