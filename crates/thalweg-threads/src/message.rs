//! Requests and responses in both directions. `Request<Body>` and `Response<Body>` are received; a
//! [`Payload`] is sent; `()` is the type if the content is written with a
//! [`BodyWriter`](crate::BodyWriter).

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read};
use std::net::SocketAddr;

use bytes::Bytes;
use thalweg::{Headers, KnownName, Priority, Status};
use thalweg_http::repair;

use crate::fields::Fields;

/// A request: its control data (RFC 9113 §8.3.1), its fields, and its content.
#[derive(Debug)]
pub struct Request<B> {
    method: Cow<'static, str>,
    scheme: Cow<'static, str>,
    authority: String,
    path: String,
    protocol: Option<String>,
    remote: Option<SocketAddr>,
    /// The header fields.
    pub fields: Fields,
    /// The content.
    pub body: B,
}

/// A response: its status, its fields, and its content.
#[derive(Debug)]
pub struct Response<B> {
    status: Status,
    /// The header fields.
    pub fields: Fields,
    /// The content.
    pub body: B,
}

impl Request<()> {
    /// Creates a request without content. `path` includes the query; the client supplies scheme and
    /// authority.
    pub fn new(method: impl Into<Cow<'static, str>>, path: impl Into<String>) -> Self {
        Self {
            method: method.into(),
            scheme: Cow::Borrowed(""),
            authority: String::new(),
            path: path.into(),
            protocol: None,
            remote: None,
            fields: Fields::new(),
            body: (),
        }
    }

    /// Creates a GET request.
    pub fn get(path: impl Into<String>) -> Self {
        Self::new("GET", path)
    }

    /// Creates a POST request.
    pub fn post(path: impl Into<String>) -> Self {
        Self::new("POST", path)
    }

    /// Creates a CONNECT request for a tunnel to `authority`, host and port (RFC 9113 §8.5).
    pub fn connect(authority: impl Into<String>) -> Self {
        let mut request = Self::new("CONNECT", "");
        request.authority = authority.into();
        request
    }

    /// Creates an extended CONNECT request for a tunnel that speaks `protocol`, for example
    /// `websocket` (RFC 8441 §4).
    pub fn extended_connect(protocol: impl Into<String>, path: impl Into<String>) -> Self {
        let mut request = Self::new("CONNECT", path);
        request.protocol = Some(protocol.into());
        request
    }

    /// Copies a request from the core.
    pub(crate) fn from_block(headers: &Headers<'_>, remote: Option<SocketAddr>) -> Self {
        let cookies = repair::join_cookies(headers.fields());
        Self {
            remote,
            method: known(METHODS, headers.method().unwrap_or_default()),
            scheme: known(SCHEMES, headers.scheme().unwrap_or_default()),
            authority: text(headers.authority().or_else(|| headers.get(b"host")).unwrap_or_default()),
            path: text(headers.path().unwrap_or_default()),
            protocol: headers.protocol().map(text),
            fields: repair::inbound(headers.fields(), cookies.as_ref()).collect(),
            body: (),
        }
    }

    /// Copies the request of an Upgrade, without its body (RFC 7540 §3.2).
    pub(crate) fn from_upgrade(request: &thalweg_h2c::UpgradeRequest, remote: Option<SocketAddr>) -> Self {
        let mut fields = Fields::new();
        for (name, value) in &request.fields {
            fields.push(name, value);
        }
        let cookies = repair::join_cookies(fields.iter());
        if cookies.is_some() {
            fields = repair::inbound(fields.iter(), cookies.as_ref()).collect();
        }
        Self {
            remote,
            method: known(METHODS, request.method.as_bytes()),
            scheme: Cow::Borrowed("http"),
            authority: request.authority.clone(),
            path: text(request.path.as_bytes()),
            protocol: None,
            fields,
            body: (),
        }
    }
}

impl<B> Request<B> {
    /// Returns the method, for example `GET`.
    pub fn method(&self) -> &str {
        &self.method
    }

    /// Returns the scheme, `http` or `https`; empty for a plain CONNECT, and in a request that uses
    /// the client's.
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// Returns the authority, for example `example.org:8080`, or the field `host`; empty if there
    /// is neither.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Returns path and query. Non-ASCII bytes are percent-encoded (RFC 3986 §2.1). Empty for a
    /// plain CONNECT.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Returns `:protocol` of an extended CONNECT (RFC 8441 §4).
    pub fn protocol(&self) -> Option<&str> {
        self.protocol.as_deref()
    }

    /// Returns the value of the `priority` field (RFC 9218 §5), or the default.
    /// [`StreamHandle::priority`](crate::StreamHandle::priority) returns later changes.
    pub fn priority(&self) -> Priority {
        self.fields.known(KnownName::PRIORITY).map(Priority::parse).unwrap_or_default()
    }

    /// Returns the client's address, in a request that was received over a socket.
    pub fn remote(&self) -> Option<SocketAddr> {
        self.remote
    }

    /// Returns the request with the origin of `other` unless it has its own.
    pub(crate) fn or_origin_of<C>(mut self, other: &Request<C>) -> Self {
        if self.scheme.is_empty() {
            self.scheme = other.scheme.clone();
        }
        if self.authority.is_empty() {
            self.authority.clone_from(&other.authority);
        }
        self
    }

    /// Adds a field.
    #[must_use]
    pub fn field(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.fields.push(name, value);
        self
    }

    /// Sets another scheme and authority than the client's.
    #[must_use]
    pub fn origin(mut self, scheme: impl Into<Cow<'static, str>>, authority: impl Into<String>) -> Self {
        self.scheme = scheme.into();
        self.authority = authority.into();
        self
    }

    /// Returns the request with content to send.
    #[must_use]
    pub fn body(self, body: impl Into<Payload>) -> Request<Payload> {
        self.replace_body(body.into()).0
    }

    /// Returns the request with other content, and its former content.
    pub fn replace_body<C>(self, body: C) -> (Request<C>, B) {
        let Self { method, scheme, authority, path, protocol, remote, fields, body: old } = self;
        (Request { method, scheme, authority, path, protocol, remote, fields, body }, old)
    }

    /// Returns the core's form of the control data, with the client's origin if the request names
    /// none.
    pub(crate) fn control<'a>(&'a self, scheme: &'a str, authority: &'a str) -> thalweg::Request<'a> {
        let scheme = if self.scheme.is_empty() { scheme } else { &self.scheme };
        let authority = if self.authority.is_empty() { authority } else { &self.authority };
        match &self.protocol {
            _ if self.method == "CONNECT" && self.path.is_empty() => thalweg::Request::connect(authority),
            None => thalweg::Request::new(&*self.method, scheme, authority, &self.path),
            Some(protocol) => {
                thalweg::Request::new(&*self.method, scheme, authority, &self.path).with_protocol(protocol)
            }
        }
    }
}

impl Response<()> {
    /// Creates a response without content.
    pub const fn new(status: Status) -> Self {
        Self { status, fields: Fields::new(), body: () }
    }

    /// Creates a response with the status 200.
    pub const fn ok() -> Self {
        Self::new(Status::OK)
    }

    /// Copies a response from the core.
    pub(crate) fn from_block(headers: &Headers<'_>) -> Self {
        // The core has validated `:status`.
        let status = headers.status().and_then(Status::new).unwrap_or(Status::INTERNAL_SERVER_ERROR);
        Self { status, fields: repair::inbound(headers.fields(), None).collect(), body: () }
    }
}

impl<B> Response<B> {
    /// Returns the status.
    pub const fn status(&self) -> Status {
        self.status
    }

    /// Adds a field.
    #[must_use]
    pub fn field(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.fields.push(name, value);
        self
    }

    /// Returns the response with content to send.
    #[must_use]
    pub fn body(self, body: impl Into<Payload>) -> Response<Payload> {
        self.replace_body(body.into()).0
    }

    /// Returns the response with other content, and its former content.
    pub fn replace_body<C>(self, body: C) -> (Response<C>, B) {
        let Self { status, fields, body: old } = self;
        (Response { status, fields, body }, old)
    }
}

/// Content to send, and trailers: nothing, bytes, or the output of a reader.
#[derive(Debug, Default)]
pub struct Payload {
    pub(crate) source: Source,
    pub(crate) trailers: Option<Fields>,
}

/// The source of content.
#[derive(Default)]
pub enum Source {
    /// No content.
    #[default]
    Nothing,
    /// All bytes are available.
    Whole(Bytes),
    /// Read while it is sent; with its length, if known.
    Reader(Box<dyn Read + Send>, Option<u64>),
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Nothing => f.write_str("Nothing"),
            Self::Whole(bytes) => write!(f, "Whole({} bytes)", bytes.len()),
            Self::Reader(_, len) => write!(f, "Reader({len:?})"),
        }
    }
}

impl Payload {
    /// Creates content that is read while it is sent, to the reader's end.
    pub fn reader(reader: impl Read + Send + 'static) -> Self {
        Source::Reader(Box::new(reader), None).into()
    }

    /// Creates content of a known length that is read while it is sent, with `content-length`.
    /// Reads no further than `len`. If the reader ends earlier, sending fails and the stream is
    /// reset.
    pub fn sized_reader(reader: impl Read + Send + 'static, len: u64) -> Self {
        Source::Reader(Box::new(reader.take(len)), Some(len)).into()
    }

    /// Creates the content from a file, with its current length.
    ///
    /// # Errors
    /// The file's metadata cannot be read.
    pub fn file(file: File) -> io::Result<Self> {
        let len = file.metadata()?.len();
        Ok(Self::sized_reader(file, len))
    }

    /// Returns the content followed by trailers.
    #[must_use]
    pub fn trailers(mut self, trailers: Fields) -> Self {
        self.trailers = Some(trailers);
        self
    }

    /// Returns the length of the content, bytes, if known.
    pub fn content_length(&self) -> Option<u64> {
        match &self.source {
            Source::Nothing => Some(0),
            Source::Whole(bytes) => Some(bytes.len() as u64),
            Source::Reader(_, len) => *len,
        }
    }
}

impl From<Source> for Payload {
    fn from(source: Source) -> Self {
        Self { source, trailers: None }
    }
}

impl From<()> for Payload {
    fn from((): ()) -> Self {
        Self::default()
    }
}

impl From<Bytes> for Payload {
    fn from(bytes: Bytes) -> Self {
        Source::Whole(bytes).into()
    }
}

impl From<Vec<u8>> for Payload {
    fn from(bytes: Vec<u8>) -> Self {
        Source::Whole(bytes.into()).into()
    }
}

impl From<String> for Payload {
    fn from(text: String) -> Self {
        Source::Whole(text.into()).into()
    }
}

impl From<&'static str> for Payload {
    fn from(text: &'static str) -> Self {
        Source::Whole(Bytes::from_static(text.as_bytes())).into()
    }
}

impl From<&'static [u8]> for Payload {
    fn from(bytes: &'static [u8]) -> Self {
        Source::Whole(Bytes::from_static(bytes)).into()
    }
}

/// Returns a static string for common values, without an allocation.
fn known(table: &[&'static str], value: &[u8]) -> Cow<'static, str> {
    match table.iter().find(|known| known.as_bytes() == value) {
        Some(known) => Cow::Borrowed(known),
        None => Cow::Owned(text(value)),
    }
}

/// Converts control data to text. The core has validated it: it contains neither control characters
/// nor spaces. Non-ASCII bytes are percent-encoded, which identifies the same resource.
fn text(value: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut text = String::with_capacity(value.len());
    match std::str::from_utf8(value) {
        Ok(value) if value.is_ascii() => text.push_str(value),
        _ => {
            for byte in value {
                if byte.is_ascii() {
                    text.push(char::from(*byte));
                } else {
                    let digits = [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]];
                    text.extend(['%', char::from(digits[0]), char::from(digits[1])]);
                }
            }
        }
    }
    text
}

const METHODS: &[&str] = &["GET", "POST", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "CONNECT"];
const SCHEMES: &[&str] = &["http", "https"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_data_that_is_not_ascii_is_percent_encoded() {
        assert_eq!(text(b"/a%20b?x=\xc3\xa9\xff"), "/a%20b?x=%C3%A9%FF");
        assert_eq!(text(b"/plain"), "/plain");
    }

    #[test]
    fn a_request_uses_the_origin_of_the_client_unless_it_has_one() {
        let request = Request::get("/a");
        let control = request.control("http", "example.org");
        assert_eq!(control, thalweg::Request::get("http", "example.org", "/a"));
        let request = Request::post("/b").origin("https", "example.com");
        let control = request.control("http", "example.org");
        assert_eq!(control, thalweg::Request::new("POST", "https", "example.com", "/b"));
        let request = Request::new("CONNECT", "").origin("", "example.com:443");
        assert_eq!(request.control("http", "example.org"), thalweg::Request::connect("example.com:443"));
    }
}
