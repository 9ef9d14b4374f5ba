//! The server's side: detects the protocol from the first bytes of a connection.
//!
//! Owns every byte that it consumes until it returns them with the decision. Invariants:
//!
//! - It consumes no byte after the one that decides, so any chunking gives the same decision and
//!   the same bytes.
//! - The buffered bytes never exceed the limits of [`Config`].
//! - Each byte is processed a fixed number of times, however small the chunks are.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use crate::PREFACE;
use crate::body::{Body, BodyStatus};
use crate::config::Config;
use crate::error::{EofPosition, Excerpt, SniffError};
use crate::head::{HeadBuffer, LineStatus, RequestHead};
use crate::http1::Http1;
use crate::rejection::UpgradeRejection;
use crate::request::{UpgradeRequest, is_token_byte};
use crate::responses;
use crate::validate::{ValidUpgrade, validate};

/// The protocol of a connection.
#[derive(Debug)]
#[non_exhaustive]
pub enum Protocol {
    /// HTTP/2 with prior knowledge (RFC 9113 §3.3).
    Http2 {
        /// The consumed bytes: pass them to the HTTP/2 connection, then the rest of the input.
        ///
        /// These are the first 12 bytes of the preface, which cannot begin an HTTP/1 request. The
        /// HTTP/2 connection validates the rest of the preface.
        seen: &'static [u8],
    },
    /// An HTTP/1.1 request that may be upgraded (RFC 7540 §3.2).
    Upgrade(Box<Upgrade>),
    /// HTTP/1 without an upgrade.
    Http1(Box<Http1>),
}

/// A complete HTTP/1.1 request that may be upgraded.
///
/// To upgrade, send [`response`](Self::response), then the output of the HTTP/2 connection. That
/// connection begins with the client's `settings` applied and `request` received on stream 1, which
/// is half-closed (remote). The rest of the input belongs to it, and begins with the client's
/// preface.
#[derive(Debug)]
#[non_exhaustive]
pub struct Upgrade {
    /// The request, which becomes stream 1.
    pub request: UpgradeRequest,
    /// The payload of the client's SETTINGS frame, which is valid. It is not acknowledged.
    pub settings: Vec<u8>,
    http1: Http1,
}

impl Upgrade {
    /// Returns the 101 that accepts the upgrade.
    pub fn response(&self) -> &'static [u8] {
        responses::SWITCHING_PROTOCOLS
    }

    /// Continues with HTTP/1, which a server may do for any reason (RFC 9110 §7.8).
    pub fn decline(self) -> Http1 {
        self.http1
    }
}

/// Detects the protocol of a cleartext connection to a server from its first bytes.
///
/// Has no clock: the caller sets a timeout for the first byte and for the decision (10 s is usual).
///
/// # Example
///
/// ```
/// use thalweg_h2c::{Config, Protocol, Sniffer};
///
/// let mut sniffer = Sniffer::new(Config::default());
/// let mut input = &b"GET /notes HTTP/1.1\r\nHost: exa"[..];
/// assert!(sniffer.receive(&mut input)?.is_none()); // all consumed, no decision yet
///
/// let mut input = &b"mple.com\r\n\r\n"[..];
/// let Some(Protocol::Http1(request)) = sniffer.receive(&mut input)? else { panic!() };
/// assert_eq!(request.target(), "/notes");
/// assert!(request.response().starts_with(b"HTTP/1.1 426 ")); // from a server without HTTP/1
/// # Ok::<(), thalweg_h2c::SniffError>(())
/// ```
pub struct Sniffer {
    config: Config,
    buffer: HeadBuffer,
    state: SnifferState,
}

enum SnifferState {
    /// After this many bytes of the preface.
    Preface { matched: usize },
    /// In empty lines before a request line.
    Blank { after_cr: bool },
    /// After the first byte of a TLS record.
    Tls,
    /// In the method, after this many bytes of it.
    Method { len: usize },
    /// After the method, in the same line.
    RequestLine,
    /// In the field lines.
    Fields,
    /// In the body.
    Body(Box<PendingUpgrade>),
    /// After the decision.
    Decided,
    /// After an error.
    Failed(SniffError),
}

/// An upgrade request whose body is incomplete.
struct PendingUpgrade {
    head: RequestHead,
    request: UpgradeRequest,
    settings: Vec<u8>,
    body: Body,
}

impl Sniffer {
    /// Creates a sniffer for a new connection. Allocates nothing.
    pub fn new(config: Config) -> Self {
        Self { config, buffer: HeadBuffer::default(), state: SnifferState::Preface { matched: 0 } }
    }

    /// Consumes bytes from the front of `input` until the protocol is detected.
    ///
    /// Returns `Ok(None)` if all of `input` is consumed and more is needed. After the decision, the
    /// rest of `input` belongs to the detected protocol, after the bytes in the [`Protocol`].
    ///
    /// Takes time linear in the consumed bytes, plus the parsing of one head.
    ///
    /// # Errors
    ///
    /// Any [`SniffError`] except [`Eof`](SniffError::Eof). Later calls consume nothing and return
    /// the same error. After a decision they consume nothing and return [`SniffError::Decided`].
    pub fn receive(&mut self, input: &mut &[u8]) -> Result<Option<Protocol>, SniffError> {
        let outcome = self.advance(input);
        match outcome {
            Ok(None) => {}
            Ok(Some(_)) => self.state = SnifferState::Decided,
            Err(error) => self.state = SnifferState::Failed(error),
        }
        outcome
    }

    /// Handles the end of the client's input.
    ///
    /// # Errors
    ///
    /// [`SniffError::Eof`] if the client has sent a byte; later calls return this or the earlier
    /// error. For a connection without a byte, such as that of a port scan or a health check, the
    /// result is `Ok`, and so it is after a decision.
    pub fn handle_eof(&mut self) -> Result<(), SniffError> {
        let at = match self.state {
            SnifferState::Preface { matched: 0 } | SnifferState::Decided => return Ok(()),
            SnifferState::Failed(error) => return Err(error),
            SnifferState::Preface { .. }
            | SnifferState::Tls
            | SnifferState::Blank { .. }
            | SnifferState::Method { .. }
            | SnifferState::RequestLine => EofPosition::Start,
            SnifferState::Fields => EofPosition::Head,
            SnifferState::Body(_) => EofPosition::Body,
        };
        if let SnifferState::Preface { matched } = self.state {
            self.leave_preface(matched);
        }
        let error = SniffError::Eof { at, bytes: self.buffer.bytes.len() };
        self.state = SnifferState::Failed(error);
        Err(error)
    }

    /// Returns every consumed byte that was not returned with a decision.
    pub fn seen(&self) -> &[u8] {
        match self.state {
            SnifferState::Preface { matched } => &PREFACE[..matched],
            _ => &self.buffer.bytes,
        }
    }

    fn advance(&mut self, input: &mut &[u8]) -> Result<Option<Protocol>, SniffError> {
        loop {
            match &mut self.state {
                SnifferState::Preface { matched } => {
                    let matched = *matched;
                    if matched == DECIDING_BYTES {
                        return Ok(Some(Protocol::Http2 { seen: &PREFACE[..DECIDING_BYTES] }));
                    }
                    let Some((&byte, rest)) = input.split_first() else { return Ok(None) };
                    if byte == PREFACE[matched] {
                        *input = rest;
                        self.state = SnifferState::Preface { matched: matched + 1 };
                    } else {
                        self.leave_preface(matched);
                    }
                }
                SnifferState::Blank { .. } | SnifferState::Tls | SnifferState::Method { .. } => {
                    self.check_head_limit()?;
                    let Some((&byte, rest)) = input.split_first() else { return Ok(None) };
                    *input = rest;
                    self.buffer.push(byte);
                    self.step(byte)?;
                }
                SnifferState::RequestLine | SnifferState::Fields => {
                    let line = match self.buffer.take_line(input, self.head_limit()) {
                        LineStatus::Line(line) => line,
                        LineStatus::More => return Ok(None),
                        LineStatus::Full => return Err(SniffError::HeadTooLong { limit: self.head_limit() }),
                    };
                    if matches!(self.state, SnifferState::RequestLine) {
                        self.check_request_line()?;
                        self.state = SnifferState::Fields;
                    } else if self.buffer.is_empty_line(&line)
                        && let Some(opening) = self.finish_head()?
                    {
                        return Ok(Some(opening));
                    }
                }
                SnifferState::Body(pending) => {
                    let progress =
                        pending.body.receive(input, &mut self.buffer.bytes, &mut pending.request.body);
                    return Ok(match progress {
                        BodyStatus::More => None,
                        BodyStatus::Complete => self.finish_body(None),
                        BodyStatus::Rejected(rejection) => self.finish_body(Some(rejection)),
                    });
                }
                SnifferState::Decided => return Err(SniffError::Decided),
                SnifferState::Failed(error) => return Err(*error),
            }
        }
    }

    /// Handles input that is not the preface. It may still be HTTP/1, where `PRI` is a valid
    /// method.
    fn leave_preface(&mut self, matched: usize) {
        self.buffer.bytes.extend_from_slice(&PREFACE[..matched]);
        self.state = match matched {
            0 => SnifferState::Blank { after_cr: false },
            len @ 1..=3 => SnifferState::Method { len },
            _ => SnifferState::RequestLine,
        };
    }

    /// Checks each byte up to the space that ends the method at once: other protocols often have no
    /// line end to wait for.
    fn step(&mut self, byte: u8) -> Result<(), SniffError> {
        self.state = match (&self.state, byte) {
            // RFC 9112 §2.2: empty lines before a request line are ignored.
            (SnifferState::Blank { after_cr: false }, b'\r') => SnifferState::Blank { after_cr: true },
            (SnifferState::Blank { .. }, b'\n') => SnifferState::Blank { after_cr: false },
            // RFC 8446 §5.1: a handshake record, then the major version of every TLS and of SSL 3.
            (SnifferState::Blank { after_cr: false }, 0x16) if self.buffer.bytes.len() == 1 => {
                SnifferState::Tls
            }
            (SnifferState::Tls, 0x03) => return Err(SniffError::Tls { seen: self.excerpt() }),
            (SnifferState::Blank { after_cr: false }, _) if is_token_byte(byte) => {
                SnifferState::Method { len: 1 }
            }
            (SnifferState::Method { len }, _) if is_token_byte(byte) && *len < METHOD_BYTES_MAX => {
                SnifferState::Method { len: len + 1 }
            }
            (SnifferState::Method { .. }, b' ') => SnifferState::RequestLine,
            _ => return Err(SniffError::NotHttp { seen: self.excerpt() }),
        };
        Ok(())
    }

    /// Checks the request line before the fields arrive, to detect other protocols early.
    fn check_request_line(&self) -> Result<(), SniffError> {
        let bytes = &self.buffer.bytes;
        match httparse::Request::new(&mut []).parse(bytes) {
            Ok(_) => Ok(()),
            // RFC 9113 §3.4: text of HTTP/1.1 is for clients that speak HTTP/1. Lines of other
            // protocols have three words too, so the last must be a version.
            Err(_) if !ends_with_version(bytes) => Err(SniffError::NotHttp { seen: self.excerpt() }),
            Err(httparse::Error::Version) if has_three_words(bytes) => {
                Err(SniffError::Version { seen: self.excerpt() })
            }
            Err(_) => Err(SniffError::RequestLine { seen: self.excerpt() }),
        }
    }

    /// Handles a complete head, which is the decision unless an upgrade needs a body.
    fn finish_head(&mut self) -> Result<Option<Protocol>, SniffError> {
        let fields_max = self.config.fields_max;
        let head = RequestHead::parse(&self.buffer.bytes, fields_max)
            .map_err(|error| SniffError::of_head(error, fields_max))?;
        match validate(&self.buffer, &head, &self.config) {
            None => Ok(Some(self.finish_http1(head, None))),
            Some(Err(rejection)) => Ok(Some(self.finish_http1(head, Some(rejection)))),
            Some(Ok(ValidUpgrade { request, settings, body })) => {
                self.state = SnifferState::Body(Box::new(PendingUpgrade { head, request, settings, body }));
                Ok(None)
            }
        }
    }

    fn finish_body(&mut self, rejection: Option<UpgradeRejection>) -> Option<Protocol> {
        let SnifferState::Body(pending) = core::mem::replace(&mut self.state, SnifferState::Decided) else {
            return None;
        };
        let PendingUpgrade { head, request, settings, .. } = *pending;
        if rejection.is_some() {
            return Some(self.finish_http1(head, rejection));
        }
        let http1 = self.http1(head, Some(UpgradeRejection::Declined));
        Some(Protocol::Upgrade(Box::new(Upgrade { request, settings, http1 })))
    }

    fn finish_http1(&mut self, head: RequestHead, rejection: Option<UpgradeRejection>) -> Protocol {
        Protocol::Http1(Box::new(self.http1(head, rejection)))
    }

    fn http1(&mut self, head: RequestHead, rejection: Option<UpgradeRejection>) -> Http1 {
        Http1::new(core::mem::take(&mut self.buffer.bytes), head, rejection, self.config.upgrade)
    }

    /// The limit must be large enough to distinguish the preface from a request line.
    fn head_limit(&self) -> usize {
        self.config.head_bytes_max.max(DECIDING_BYTES)
    }

    fn check_head_limit(&self) -> Result<(), SniffError> {
        let limit = self.head_limit();
        if self.buffer.bytes.len() < limit { Ok(()) } else { Err(SniffError::HeadTooLong { limit }) }
    }

    fn excerpt(&self) -> Excerpt {
        Excerpt::of(&self.buffer.bytes)
    }
}

impl fmt::Debug for Sniffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sniffer").field("seen", &Excerpt::of(self.seen())).finish_non_exhaustive()
    }
}

/// `PRI * HTTP/2`: no HTTP/1 request begins like this, since its version begins with `1`.
const DECIDING_BYTES: usize = 12;

/// The longest method of an HTTP/1 request, bytes: a client whose first word is as long as the
/// preface does not speak HTTP. The longest registered method has 17.
const METHOD_BYTES_MAX: usize = PREFACE.len() - 1;

/// Whether a line ends with a version of HTTP (RFC 9112 §2.3).
fn ends_with_version(line: &[u8]) -> bool {
    let end = line.trim_ascii_end().rsplit(|&byte| byte == b' ').next();
    let version = end.and_then(|word| word.strip_prefix(b"HTTP/"));
    // People and scripts write `HTTP/2` without a minor version.
    matches!(version, Some([b'0'..=b'9'] | [b'0'..=b'9', b'.', b'0'..=b'9']))
}

/// Whether a line has the shape of a request line, with one space between two words.
fn has_three_words(line: &[u8]) -> bool {
    let mut words = line.trim_ascii_end().split(|&byte| byte == b' ');
    words.by_ref().take(3).filter(|word| !word.is_empty()).count() == 3 && words.next().is_none()
}
