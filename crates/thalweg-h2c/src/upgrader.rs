//! The client's side: an HTTP/1.1 request with an upgrade to h2c, and the server's response.
//!
//! Owns the bytes of the request and every consumed byte of the response, until it returns them.
//! Invariants:
//!
//! - It consumes no byte after the one that decides, so any chunking gives the same decision and
//!   the same bytes.
//! - All heads together never exceed [`Config::head_bytes_max`].

use alloc::vec::Vec;
use core::fmt;

use crate::config::Config;
use crate::error::{Excerpt, RequestError, UpgradeResponseError};
use crate::head::{FieldRanges, HeadBuffer, LineStatus};
use crate::request::UpgradeRequest;

/// The server's response to an upgrade request.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum UpgradeResponse {
    /// The server switches to HTTP/2: the rest of the input belongs to that, and begins with its
    /// SETTINGS.
    ///
    /// RFC 7540 §3.2: the client now sends its preface, including SETTINGS, and receives the
    /// response on stream 1.
    Switched,
    /// The server responds in HTTP/1, without an upgrade.
    Http1 {
        /// The status of the final response.
        status: u16,
        /// Every consumed byte, up to the end of that response's status line, including interim
        /// responses: pass them to an HTTP/1 implementation, then the rest of the input.
        seen: Vec<u8>,
    },
}

impl fmt::Debug for UpgradeResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Switched => f.write_str("Switched"),
            Self::Http1 { status, seen } => {
                write!(f, "Http1 {{ status: {status}, seen: \"{}\" }}", seen.escape_ascii())
            }
        }
    }
}

/// Requests an upgrade from HTTP/1.1 to HTTP/2, and reads the response up to the decision.
///
/// Interim responses, such as 103, are skipped (RFC 9110 §15.2).
///
/// # Example
///
/// ```
/// use thalweg_h2c::{UpgradeResponse, Config, UpgradeRequest, Upgrader};
///
/// let request = UpgradeRequest::new("GET", "example.com", "/");
/// let settings = [0x00, 0x03, 0x00, 0x00, 0x00, 0x64]; // SETTINGS_MAX_CONCURRENT_STREAMS = 100
/// let mut upgrader = Upgrader::new(&request, &settings, Config::default())?;
/// assert_eq!(
///     upgrader.bytes(),
///     b"GET / HTTP/1.1\r\nHost: example.com\r\nConnection: Upgrade, HTTP2-Settings\r\n\
///       Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n"
/// );
///
/// let response = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\
///       Upgrade: h2c\r\n\r\n\0\0\0";
/// let mut input = &response[..];
/// assert_eq!(upgrader.receive(&mut input)?, Some(UpgradeResponse::Switched));
/// assert_eq!(input, b"\0\0\0"); // the server's first frame
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Upgrader {
    request: Vec<u8>,
    config: Config,
    buffer: HeadBuffer,
    state: UpgraderState,
}

enum UpgraderState {
    /// After this many bytes of `HTTP/1.` at the start of a response.
    Version { matched: usize },
    /// After a first byte that may be that of a frame.
    FrameHeader,
    /// After the version, in the same line.
    StatusLine { response: usize },
    /// In the fields of an interim response or of the 101, which begins at this byte.
    Fields { response: usize, switching: bool },
    /// After the decision.
    Decided,
    /// After an error.
    Failed(UpgradeResponseError),
}

impl Upgrader {
    /// Writes the request, with the payload of a SETTINGS frame in `HTTP2-Settings`.
    ///
    /// `settings` is the payload of the SETTINGS frame that the connection begins with. A body is
    /// sent unchanged, with its length.
    ///
    /// # Errors
    ///
    /// A [`RequestError`] for the first part that cannot be sent.
    pub fn new(request: &UpgradeRequest, settings: &[u8], config: Config) -> Result<Self, RequestError> {
        Ok(Self {
            request: request.to_http1(settings, config.settings_max)?,
            config,
            buffer: HeadBuffer::default(),
            state: UpgraderState::Version { matched: 0 },
        })
    }

    /// Returns the bytes of the request, including the body.
    ///
    /// The client sends all of them before anything else (RFC 7540 §3.2).
    pub fn bytes(&self) -> &[u8] {
        &self.request
    }

    /// Consumes bytes from the front of `input` until the response is known.
    ///
    /// Returns `Ok(None)` if all of `input` is consumed and more is needed. After the decision, the
    /// rest of `input` belongs to the protocol of the response.
    ///
    /// # Errors
    ///
    /// Any [`UpgradeResponseError`] except [`Eof`](UpgradeResponseError::Eof). Later calls consume
    /// nothing and return the same error. After a decision they consume nothing and return
    /// [`UpgradeResponseError::Decided`].
    pub fn receive(&mut self, input: &mut &[u8]) -> Result<Option<UpgradeResponse>, UpgradeResponseError> {
        // No input decides nothing, whatever the limits, so that the splits make no difference.
        if input.is_empty() && !matches!(self.state, UpgraderState::Decided | UpgraderState::Failed(_)) {
            return Ok(None);
        }
        let outcome = self.advance(input);
        match outcome {
            Ok(None) => {}
            Ok(Some(_)) => self.state = UpgraderState::Decided,
            Err(error) => self.state = UpgraderState::Failed(error),
        }
        outcome
    }

    /// Handles the end of the server's input.
    ///
    /// # Errors
    ///
    /// [`UpgradeResponseError::Eof`] before a decision; later calls return this or the earlier
    /// error.
    pub fn handle_eof(&mut self) -> Result<(), UpgradeResponseError> {
        let error = match self.state {
            UpgraderState::Decided => return Ok(()),
            UpgraderState::Failed(error) => error,
            _ => UpgradeResponseError::Eof { bytes: self.buffer.bytes.len() },
        };
        self.state = UpgraderState::Failed(error);
        Err(error)
    }

    /// Returns every consumed byte that was not returned with a decision.
    pub fn seen(&self) -> &[u8] {
        &self.buffer.bytes
    }

    fn advance(&mut self, input: &mut &[u8]) -> Result<Option<UpgradeResponse>, UpgradeResponseError> {
        loop {
            match self.state {
                UpgraderState::Version { matched } => {
                    self.check_head_limit()?;
                    let Some((&byte, rest)) = input.split_first() else { return Ok(None) };
                    *input = rest;
                    self.buffer.push(byte);
                    self.state = self.step(matched, byte)?;
                }
                UpgraderState::FrameHeader => {
                    self.check_head_limit()?;
                    let Some((&byte, rest)) = input.split_first() else { return Ok(None) };
                    *input = rest;
                    self.buffer.push(byte);
                    self.check_frame_header()?;
                }
                UpgraderState::StatusLine { response } => {
                    let Some(_) = self.take_line(input)? else { return Ok(None) };
                    match self.read_status(response)? {
                        101 => self.state = UpgraderState::Fields { response, switching: true },
                        100..=199 => self.state = UpgraderState::Fields { response, switching: false },
                        status => {
                            let seen = core::mem::take(&mut self.buffer.bytes);
                            return Ok(Some(UpgradeResponse::Http1 { status, seen }));
                        }
                    }
                }
                UpgraderState::Fields { response, switching } => {
                    let Some(is_last) = self.take_line(input)? else { return Ok(None) };
                    if is_last && self.finish_head(response, switching)? {
                        self.buffer.bytes = Vec::new();
                        return Ok(Some(UpgradeResponse::Switched));
                    }
                }
                UpgraderState::Decided => return Err(UpgradeResponseError::Decided),
                UpgraderState::Failed(error) => return Err(error),
            }
        }
    }

    /// Checks each byte of the version at once: a server of another protocol may send no line end.
    fn step(&self, matched: usize, byte: u8) -> Result<UpgraderState, UpgradeResponseError> {
        if byte == VERSION[matched] {
            let response = self.buffer.bytes.len() - (matched + 1);
            let complete = matched + 1 == VERSION.len();
            return Ok(if complete {
                UpgraderState::StatusLine { response }
            } else {
                UpgraderState::Version { matched: matched + 1 }
            });
        }
        match self.buffer.bytes[..] {
            // RFC 8446 §5.1: an alert or handshake record.
            [0x15 | 0x16] => Err(UpgradeResponseError::Tls { seen: self.excerpt() }),
            [0] => Ok(UpgraderState::FrameHeader),
            _ => Err(UpgradeResponseError::NotHttp { seen: self.excerpt() }),
        }
    }

    /// RFC 9113 §3.4: an HTTP/2 server begins with SETTINGS, whose type follows three bytes of
    /// length.
    fn check_frame_header(&self) -> Result<(), UpgradeResponseError> {
        match self.buffer.bytes[..] {
            [_, _, _, 0x04] => Err(UpgradeResponseError::Http2 { seen: self.excerpt() }),
            [_, _, _, _] => Err(UpgradeResponseError::NotHttp { seen: self.excerpt() }),
            _ => Ok(()),
        }
    }

    /// Reads a line, and returns whether it ends a head.
    fn take_line(&mut self, input: &mut &[u8]) -> Result<Option<bool>, UpgradeResponseError> {
        match self.buffer.take_line(input, self.config.head_bytes_max) {
            LineStatus::Line(line) => Ok(Some(self.buffer.is_empty_line(&line))),
            LineStatus::More => Ok(None),
            LineStatus::Full => Err(self.too_long()),
        }
    }

    fn read_status(&self, response: usize) -> Result<u16, UpgradeResponseError> {
        let mut parsed = httparse::Response::new(&mut []);
        let outcome = parsed.parse(&self.buffer.bytes[response..]);
        let error = UpgradeResponseError::StatusLine { seen: Excerpt::of(&self.buffer.bytes[response..]) };
        match (outcome, parsed.code, parsed.version) {
            (Ok(_), Some(101), Some(0)) => Err(UpgradeResponseError::Http10),
            // RFC 9110 §15: the first digit is 1 to 5, but a client must accept others.
            (Ok(_), Some(status @ 100..), _) => Ok(status),
            _ => Err(error),
        }
    }

    /// Handles a complete head of 1xx, and returns whether it switches protocols.
    fn finish_head(&mut self, response: usize, switching: bool) -> Result<bool, UpgradeResponseError> {
        let bytes = &self.buffer.bytes[response..];
        let fields_max = self.config.fields_max;
        let ranges = FieldRanges::of_response(bytes, fields_max)
            .map_err(|error| UpgradeResponseError::of_head(error, fields_max))?;
        if !switching {
            self.state = UpgraderState::Version { matched: 0 };
            return Ok(false);
        }
        if self.buffer.has_bare_lf() {
            return Err(UpgradeResponseError::BareLineFeed);
        }
        let fields = ranges.within(bytes);
        // RFC 9110 §7.8: the 101 names the new protocol, which must be exactly the requested one.
        let mut protocols = fields.members("upgrade");
        let is_h2c = protocols.next().is_some_and(|protocol| protocol.eq_ignore_ascii_case(b"h2c"));
        if !is_h2c || protocols.next().is_some() {
            return Err(UpgradeResponseError::Protocol);
        }
        if !fields.list_contains("connection", "upgrade") {
            return Err(UpgradeResponseError::UpgradeNotListed);
        }
        // RFC 9112 §6.3: a 101 has no content. A parser that reads one would see HTTP/2 begin
        // elsewhere.
        if fields.has("content-length") || fields.has("transfer-encoding") {
            return Err(UpgradeResponseError::Framed);
        }
        Ok(true)
    }

    fn check_head_limit(&self) -> Result<(), UpgradeResponseError> {
        if self.buffer.bytes.len() < self.config.head_bytes_max { Ok(()) } else { Err(self.too_long()) }
    }

    fn too_long(&self) -> UpgradeResponseError {
        UpgradeResponseError::HeadTooLong { limit: self.config.head_bytes_max }
    }

    fn excerpt(&self) -> Excerpt {
        Excerpt::of(&self.buffer.bytes)
    }
}

impl fmt::Debug for Upgrader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upgrader").field("seen", &Excerpt::of(self.seen())).finish_non_exhaustive()
    }
}

/// The first bytes of every response.
const VERSION: &[u8] = b"HTTP/1.";
