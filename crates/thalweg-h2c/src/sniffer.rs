//! The server's side: the first bytes of a connection, and what they turn out to be.
//!
//! Owns every byte that it takes until it hands them out with the decision. Keeps true:
//!
//! - The byte that decides is the last that is taken, so any chunking gives the same decision and the same bytes.
//! - What is kept never exceeds the limits of [`Config`].
//! - Each byte is looked at a fixed number of times, however small the chunks are.

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

/// How a connection opens.
#[derive(Debug)]
#[non_exhaustive]
pub enum Protocol {
    /// HTTP/2 with prior knowledge (RFC 9113 §3.3).
    Http2 {
        /// The bytes that were taken: give them to the HTTP/2 connection, then what is left of the input.
        ///
        /// These are the first 12 bytes of the preface. From there on the bytes can be no HTTP/1, and whether the
        /// preface is right to its end is for the HTTP/2 connection to judge.
        seen: &'static [u8],
    },
    /// An HTTP/1.1 request that may be upgraded (RFC 7540 §3.2).
    Upgrade(Box<Upgrade>),
    /// HTTP/1 that stays HTTP/1.
    Http1(Box<Http1>),
}

/// A complete HTTP/1.1 request that may be upgraded.
///
/// To upgrade, send [`response`](Self::response), then what the HTTP/2 connection has to send. That connection begins
/// with the client's `settings` applied and `request` received on stream 1, which the client's side has closed;
/// what is left of the input belongs to it, and begins with the client's preface.
#[derive(Debug)]
#[non_exhaustive]
pub struct Upgrade {
    /// The request, which becomes that of stream 1.
    pub request: UpgradeRequest,
    /// The payload of the client's SETTINGS frame, which was judged to be valid. It is not to be acknowledged.
    pub settings: Vec<u8>,
    http1: Http1,
}

impl Upgrade {
    /// Gives the 101 that accepts the Upgrade.
    pub fn response(&self) -> &'static [u8] {
        responses::SWITCHING_PROTOCOLS
    }

    /// Goes on with HTTP/1 all the same, which a server may do for any reason (RFC 9110 §7.8).
    pub fn decline(self) -> Http1 {
        self.http1
    }
}

/// Decides from its first bytes what a cleartext connection to a server speaks.
///
/// Has no clock: give a connection a deadline to say something, and to say all (10 s is usual).
///
/// # Example
///
/// ```
/// use thalweg_h2c::{Config, Protocol, Sniffer};
///
/// let mut sniffer = Sniffer::new(Config::default());
/// let mut input = &b"GET /notes HTTP/1.1\r\nHost: exa"[..];
/// assert!(sniffer.receive(&mut input)?.is_none()); // all taken, nothing decided yet
///
/// let mut input = &b"mple.com\r\n\r\n"[..];
/// let Some(Protocol::Http1(request)) = sniffer.receive(&mut input)? else { panic!() };
/// assert_eq!(request.target(), "/notes");
/// assert!(request.response().starts_with(b"HTTP/1.1 426 ")); // from a server that speaks HTTP/2 only
/// # Ok::<(), thalweg_h2c::SniffError>(())
/// ```
pub struct Sniffer {
    config: Config,
    buffer: HeadBuffer,
    state: SnifferState,
}

enum SnifferState {
    /// So many bytes of the preface came, and nothing else.
    Preface { matched: usize },
    /// Empty lines in front of a request line.
    Blank { after_cr: bool },
    /// The first byte of a TLS record came.
    Tls,
    /// In the method.
    Method,
    /// Behind the method, in the same line.
    RequestLine,
    /// In the field lines.
    Fields,
    /// In the body.
    Body(Box<PendingUpgrade>),
    /// The decision was handed out.
    Decided,
    /// There is none.
    Failed(SniffError),
}

/// A request that upgrades as soon as its body is here.
struct PendingUpgrade {
    head: RequestHead,
    request: UpgradeRequest,
    settings: Vec<u8>,
    body: Body,
}

impl Sniffer {
    /// Begins with a new connection. Allocates nothing.
    pub fn new(config: Config) -> Self {
        Self { config, buffer: HeadBuffer::default(), state: SnifferState::Preface { matched: 0 } }
    }

    /// Takes bytes from the front of `input` until the opening is decided.
    ///
    /// `Ok(None)` means: all of `input` is taken, and more is needed. With the decision, what is left of `input`
    /// belongs to the protocol that was found, behind the bytes that the [`Protocol`] holds.
    ///
    /// Takes time linear in the bytes taken, plus once the parsing of a head.
    ///
    /// # Errors
    ///
    /// Any [`SniffError`] but [`Eof`](SniffError::Eof) when no decision will come. Later calls take nothing and
    /// return the same error. After a decision they take nothing and return [`SniffError::Decided`].
    pub fn receive(&mut self, input: &mut &[u8]) -> Result<Option<Protocol>, SniffError> {
        let outcome = self.advance(input);
        match outcome {
            Ok(None) => {}
            Ok(Some(_)) => self.state = SnifferState::Decided,
            Err(error) => self.state = SnifferState::Failed(error),
        }
        outcome
    }

    /// Takes note that the client will send no more.
    ///
    /// # Errors
    ///
    /// [`SniffError::Eof`] when the client had begun to say something, and this or the earlier error ever after.
    /// A connection that ends without a byte, as those of port scanners and health checks do, is `Ok`, and so is
    /// one whose opening was handed out.
    pub fn handle_eof(&mut self) -> Result<(), SniffError> {
        let at = match self.state {
            SnifferState::Preface { matched: 0 } | SnifferState::Decided => return Ok(()),
            SnifferState::Failed(error) => return Err(error),
            SnifferState::Preface { .. }
            | SnifferState::Tls
            | SnifferState::Blank { .. }
            | SnifferState::Method => EofPosition::Start,
            SnifferState::RequestLine | SnifferState::Fields => EofPosition::Head,
            SnifferState::Body(_) => EofPosition::Body,
        };
        if let SnifferState::Preface { matched } = self.state {
            self.leave_preface(matched);
        }
        let error = SniffError::Eof { at, bytes: self.buffer.bytes.len() };
        self.state = SnifferState::Failed(error);
        Err(error)
    }

    /// Gives every byte that was taken and not handed out with a decision.
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
                SnifferState::Blank { .. } | SnifferState::Tls | SnifferState::Method => {
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

    /// What came is not the preface. It may be HTTP/1 all the same: `PRI` is a method like others there.
    fn leave_preface(&mut self, matched: usize) {
        self.buffer.bytes.extend_from_slice(&PREFACE[..matched]);
        self.state = match matched {
            0 => SnifferState::Blank { after_cr: false },
            1..=3 => SnifferState::Method,
            _ => SnifferState::RequestLine,
        };
    }

    /// Judges a byte in front of the space that ends the method, as soon as it is there: what cannot be HTTP
    /// often has no line end to wait for.
    fn step(&mut self, byte: u8) -> Result<(), SniffError> {
        self.state = match (&self.state, byte) {
            // RFC 9112 §2.2: empty lines in front of a request line are passed over.
            (SnifferState::Blank { after_cr: false }, b'\r') => SnifferState::Blank { after_cr: true },
            (SnifferState::Blank { .. }, b'\n') => SnifferState::Blank { after_cr: false },
            // RFC 8446 §5.1: a handshake record, then the major version of every TLS and of SSL 3.
            (SnifferState::Blank { after_cr: false }, 0x16) if self.buffer.bytes.len() == 1 => {
                SnifferState::Tls
            }
            (SnifferState::Tls, 0x03) => return Err(SniffError::Tls { seen: self.excerpt() }),
            (SnifferState::Blank { after_cr: false } | SnifferState::Method, _) if is_token_byte(byte) => {
                SnifferState::Method
            }
            (SnifferState::Method, b' ') => SnifferState::RequestLine,
            _ => return Err(SniffError::NotHttp { seen: self.excerpt() }),
        };
        Ok(())
    }

    /// Judges the request line before the fields are here, so that what is no HTTP/1 is told early.
    fn check_request_line(&self) -> Result<(), SniffError> {
        let bytes = &self.buffer.bytes;
        match httparse::Request::new(&mut []).parse(bytes) {
            Ok(_) => Ok(()),
            // Other protocols have lines of three words too, so a version that was understood has to look like one.
            Err(httparse::Error::Version) if has_version(bytes) => {
                Err(SniffError::Version { seen: self.excerpt() })
            }
            Err(_) => Err(SniffError::RequestLine { seen: self.excerpt() }),
        }
    }

    /// The head is complete. It is the decision, unless a body is needed for that.
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

    /// The preface has to be told from a request line, whatever the configuration says.
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

/// `PRI * HTTP/2`: from here on the bytes can be no request of HTTP/1, whose version begins with `1`.
const DECIDING_BYTES: usize = 12;

/// Whether what stands behind method and target means to be an HTTP version.
fn has_version(line: &[u8]) -> bool {
    line.splitn(3, |&byte| byte == b' ').nth(2).is_some_and(|rest| rest.starts_with(b"HTTP/"))
}
