//! The upgrade request, which becomes stream 1 of the HTTP/2 connection.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::error::RequestError;
use crate::settings;
use crate::target::{is_authority, is_path};

/// A whole request in HTTP/2 terms: its `:method`, `:authority` and `:path`, its fields, and its
/// body.
///
/// `:scheme` is always `http` (RFC 7540 §3.2). On the server the parts are valid, names are in
/// lower case, and connection-specific fields are removed (RFC 9113 §8.2.2). On the client
/// [`Upgrader::new`](crate::Upgrader::new) validates them.
///
/// ```
/// # use thalweg_h2c::UpgradeRequest;
/// let request = UpgradeRequest::new("POST", "example.com", "/notes");
/// let request = request.with_field("accept", "*/*").with_body("hello");
/// assert_eq!(request.fields, [("accept".into(), b"*/*".into())]);
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UpgradeRequest {
    /// `:method`.
    pub method: String,
    /// `:authority`: a host with an optional port.
    pub authority: String,
    /// `:path`: path and query, or `*` with `OPTIONS`.
    pub path: String,
    /// Names and values, in order.
    pub fields: Vec<(String, Vec<u8>)>,
    /// The whole body.
    pub body: Vec<u8>,
}

impl UpgradeRequest {
    /// Creates a request without fields and body.
    pub fn new(method: impl Into<String>, authority: impl Into<String>, path: impl Into<String>) -> Self {
        Self {
            method: method.into(),
            authority: authority.into(),
            path: path.into(),
            fields: Vec::new(),
            body: Vec::new(),
        }
    }

    /// Adds a field.
    #[must_use]
    pub fn with_field(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.fields.push((name.into(), value.into()));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Writes the HTTP/1.1 upgrade request.
    pub(crate) fn to_http1(&self, settings: &[u8], settings_max: usize) -> Result<Vec<u8>, RequestError> {
        self.check()?;
        settings::check(settings, settings_max).map_err(RequestError::Settings)?;
        let mut out = Vec::new();
        let mut put = |parts: &[&[u8]]| parts.iter().for_each(|part| out.extend_from_slice(part));
        put(&[self.method.as_bytes(), b" ", self.path.as_bytes(), b" HTTP/1.1\r\n"]);
        // RFC 9110 §7.2: Host comes first.
        put(&[b"Host: ", self.authority.as_bytes(), b"\r\n"]);
        // RFC 9110 §10.1.4: TE is connection-specific, so Connection lists it.
        let options: &[u8] =
            if self.has("te") { b"Upgrade, HTTP2-Settings, TE" } else { b"Upgrade, HTTP2-Settings" };
        put(&[b"Connection: ", options, b"\r\nUpgrade: h2c\r\n"]);
        put(&[b"HTTP2-Settings: ", settings::encode(settings).as_bytes(), b"\r\n"]);
        for (name, value) in &self.fields {
            put(&[name.as_bytes(), b": ", value, b"\r\n"]);
        }
        if !self.has("content-length") && (!self.body.is_empty() || expects_content(&self.method)) {
            put(&[b"Content-Length: ", length(&self.body).as_bytes(), b"\r\n"]);
        }
        put(&[b"\r\n", &self.body]);
        Ok(out)
    }

    fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|(found, _)| found.eq_ignore_ascii_case(name))
    }

    fn check(&self) -> Result<(), RequestError> {
        if !is_token(&self.method) || self.method == "CONNECT" {
            return Err(RequestError::Method);
        }
        if !is_authority(&self.authority) {
            return Err(RequestError::Authority);
        }
        if !is_path(&self.method, &self.path) {
            return Err(RequestError::Path);
        }
        let mut lengths = 0;
        for (index, (name, value)) in self.fields.iter().enumerate() {
            if !is_token(name) {
                return Err(RequestError::FieldName { index });
            }
            if !is_value(value) {
                return Err(RequestError::FieldValue { index });
            }
            lengths += usize::from(name.eq_ignore_ascii_case("content-length"));
            if lengths > 1 || self.is_forbidden(name, value) {
                return Err(RequestError::FieldForbidden { index });
            }
        }
        Ok(())
    }

    fn is_forbidden(&self, name: &str, value: &[u8]) -> bool {
        match () {
            () if name.eq_ignore_ascii_case("te") => !value.eq_ignore_ascii_case(b"trailers"),
            () if name.eq_ignore_ascii_case("content-length") => value != length(&self.body).as_bytes(),
            () => is_hop_by_hop(name) || ["host", "expect"].iter().any(|own| name.eq_ignore_ascii_case(own)),
        }
    }
}

impl fmt::Debug for UpgradeRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} http://{}{}", self.method, self.authority, self.path)?;
        for (name, value) in &self.fields {
            write!(f, "\n{name}: {}", value.escape_ascii())?;
        }
        write!(f, "\n\n{}", self.body.escape_ascii())
    }
}

/// Whether a field is specific to the HTTP/1.1 connection, and forbidden in HTTP/2 (RFC 9113
/// §8.2.2, RFC 7540 §3.2.1).
///
/// `te` is not among these: HTTP/2 allows it with the value `trailers`.
pub(crate) fn is_hop_by_hop(name: &str) -> bool {
    HOP_BY_HOP.iter().any(|field| name.eq_ignore_ascii_case(field))
}

const HOP_BY_HOP: [&str; 6] =
    ["connection", "upgrade", "http2-settings", "keep-alive", "proxy-connection", "transfer-encoding"];

/// RFC 9110 §8.6: requests with these methods have a length even if the body is empty.
fn expects_content(method: &str) -> bool {
    ["POST", "PUT", "PATCH"].contains(&method)
}

fn length(body: &[u8]) -> String {
    alloc::format!("{}", body.len())
}

/// RFC 9110 §5.6.2.
fn is_token(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(is_token_byte)
}

/// Whether a byte is allowed in a token (RFC 9110 §5.6.2).
pub(crate) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// RFC 9110 §5.5: no control bytes except the tab, and no white space at either end.
fn is_value(value: &[u8]) -> bool {
    let inner = value.iter().all(|&byte| byte == b'\t' || byte >= b' ' && byte != 0x7f);
    inner && value.trim_ascii().len() == value.len()
}
