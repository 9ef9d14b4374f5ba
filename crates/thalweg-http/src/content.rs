//! The content of an outbound message, and its `content-length` (RFC 9110 §6.4, §8.6).
//!
//! Owns no message. A [`Plan`] decides from the method, the status, and what is known about the
//! body; [`Plan::fields`] applies it to the fields while they are sent; a [`LengthCheck`] compares
//! the bytes that the body yields with the length that was announced.
//!
//! Requests:
//!
//! | Method | Body | Content | `content-length` |
//! |---|---|---|---|
//! | CONNECT | any | tunnel | none (§9.3.6) |
//! | TRACE | none, or of unknown length | none | none (§9.3.8) |
//! | TRACE | of a known length above 0 | refused (§9.3.8) | |
//! | POST, PUT, PATCH | none | none | 0 |
//! | another known method | none | none | none |
//! | an unknown method | none | none | the application's |
//! | any other | of a known length | sent | that length |
//! | any other | of unknown length | sent | the application's |
//!
//! Responses:
//!
//! | Response | Body | Content | `content-length` |
//! |---|---|---|---|
//! | 1xx, 204 | any | none | none |
//! | 2xx to CONNECT | any | tunnel | none |
//! | 205 | any | none (§15.3.6) | 0 |
//! | 304 | any | none | the application's |
//! | to HEAD | of a known length above 0 | none | the application's, else that length |
//! | to HEAD | none, or of unknown length | none | the application's |
//! | any other | of a known length, 0 included | sent | that length |
//! | any other | of unknown length | sent | the application's |
//!
//! A message without content drops the body and its trailers. Where content is sent and the
//! application has announced another length than the known one, the message is refused
//! ([`ContentError::Mismatch`]), since one of the two is a mistake of the application.
//!
//! # Example
//!
//! A client sends a request with ten bytes announced, and its source yields three:
//!
//! ```
//! use thalweg::Field;
//! use thalweg_http::Method;
//! use thalweg_http::content::{Body, ContentError, Plan, announced_length};
//!
//! let fields = [Field::new("content-length", "10")];
//! let plan = Plan::request(Method::Put, Body::UNKNOWN, announced_length(fields)?)?;
//! assert!(!plan.ends_with_headers());
//! let mut check = plan.check();
//! check.add(3)?;
//! // The source has ended. The I/O layer resets the stream, and the caller gets the error.
//! assert_eq!(check.finish(), Err(ContentError::TooShort { announced: 10, missing: 7 }));
//! # Ok::<(), ContentError>(())
//! ```

use core::error::Error;
use core::fmt;

use thalweg::{ErrorCode, Field, KnownName, Status};

use crate::{Method, Role};

/// What is known about a body before its first byte is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Body {
    /// The number of bytes, if it is known.
    pub len: Option<u64>,
    /// Whether trailers follow, or may follow.
    pub has_trailers: bool,
}

impl Body {
    /// No content and no trailers.
    pub const EMPTY: Self = Self { len: Some(0), has_trailers: false };
    /// A body of unknown length, perhaps with trailers.
    pub const UNKNOWN: Self = Self { len: None, has_trailers: true };

    /// Creates a body of `len` bytes without trailers.
    pub const fn of_len(len: u64) -> Self {
        Self { len: Some(len), has_trailers: false }
    }

    /// Returns the body with trailers.
    #[must_use]
    pub const fn with_trailers(self) -> Self {
        Self { len: self.len, has_trailers: true }
    }

    const fn is_empty(self) -> bool {
        matches!(self.len, Some(0))
    }
}

/// What follows the headers of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Nothing, whatever the body yields: the headers carry END_STREAM.
    None,
    /// The body and its trailers.
    Body,
    /// The bytes of a tunnel (RFC 9113 §8.5), which have no length. The end of the tunnel ends the
    /// stream's half.
    Tunnel,
}

/// What happens to the field `content-length`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LengthField {
    /// It is not sent.
    Remove,
    /// It is sent as the application set it, or not at all.
    Keep,
    /// It is sent once, with this value.
    Set(u64),
}

/// How a message is sent. See the tables of the [module](self).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    content: Content,
    length_field: LengthField,
    body: Body,
    /// The length of the content that the headers announce.
    expected: Option<u64>,
}

impl Plan {
    /// Returns the plan of a request. `announced` is the application's `content-length`
    /// ([`announced_length`]).
    ///
    /// # Errors
    /// `Mismatch`: the body has another length than was announced. `Forbidden`: a TRACE request has
    /// content.
    pub fn request(method: Method, body: Body, announced: Option<u64>) -> Result<Self, ContentError> {
        match method {
            // RFC 9110 §9.3.6: a CONNECT request has no content; the tunnel follows.
            Method::Connect => Ok(Self::without_length(Content::Tunnel, body)),
            // RFC 9110 §9.3.8: a client sends no content in a TRACE request.
            Method::Trace if body.len.is_none_or(|len| len == 0) => {
                Ok(Self::without_length(Content::None, body))
            }
            Method::Trace => Err(ContentError::Forbidden),
            _ => Self::with_body(body, announced).map(|plan| match method {
                // RFC 9110 §8.6: content-length only where the method anticipates content.
                _ if !body.is_empty() || method.anticipates_content() => plan,
                Method::Other => Self { length_field: LengthField::Keep, ..plan },
                _ => Self { length_field: LengthField::Remove, ..plan },
            }),
        }
    }

    /// Returns the plan of a response to a request with this method. `announced` is the
    /// application's `content-length` ([`announced_length`]).
    ///
    /// # Errors
    /// `Mismatch`: the body has another length than was announced.
    pub fn response(
        method: Method,
        status: Status,
        body: Body,
        announced: Option<u64>,
    ) -> Result<Self, ContentError> {
        match status.as_u16() {
            // RFC 9110 §8.6: neither 1xx nor 204 has content-length.
            100..200 | 204 => Ok(Self::without_length(Content::None, body)),
            200..300 if method == Method::Connect => Ok(Self::without_length(Content::Tunnel, body)),
            // RFC 9110 §15.3.6: the client is to see that no content follows.
            205 => {
                Ok(Self { length_field: LengthField::Set(0), ..Self::without_length(Content::None, body) })
            }
            // RFC 9110 §15.4.5: only the application knows the length that 200 would have had.
            304 => Ok(Self { length_field: LengthField::Keep, ..Self::without_length(Content::None, body) }),
            _ if method == Method::Head => {
                let length_field = match (announced, body.len) {
                    // RFC 9110 §8.6: the length that GET would have got. An absent body tells none.
                    (None, Some(len)) if len > 0 => LengthField::Set(len),
                    _ => LengthField::Keep,
                };
                Ok(Self { length_field, ..Self::without_length(Content::None, body) })
            }
            _ => Self::with_body(body, announced),
        }
    }

    const fn without_length(content: Content, body: Body) -> Self {
        Self { content, length_field: LengthField::Remove, body, expected: None }
    }

    fn with_body(body: Body, announced: Option<u64>) -> Result<Self, ContentError> {
        if let (Some(announced), Some(len)) = (announced, body.len)
            && announced != len
        {
            return Err(ContentError::Mismatch { announced, len });
        }
        let length_field = body.len.map_or(LengthField::Keep, LengthField::Set);
        Ok(Self { content: Content::Body, length_field, body, expected: body.len.or(announced) })
    }

    /// Returns what follows the headers.
    #[must_use]
    pub const fn content(&self) -> Content {
        self.content
    }

    /// Returns what happens to `content-length`.
    #[must_use]
    pub const fn length_field(&self) -> LengthField {
        self.length_field
    }

    /// Returns whether the headers carry END_STREAM.
    #[must_use]
    pub const fn ends_with_headers(&self) -> bool {
        match self.content {
            Content::None => true,
            Content::Body => self.body.is_empty() && !self.body.has_trailers,
            Content::Tunnel => false,
        }
    }

    /// Returns the check of the bytes that follow.
    #[must_use]
    pub const fn check(&self) -> LengthCheck {
        LengthCheck { announced: self.expected, sent: 0 }
    }

    /// Applies the plan to the fields of the message, without an allocation.
    pub fn fields<'a, I>(&self, fields: I, digits: &'a mut Digits) -> impl Iterator<Item = Field<'a>>
    where
        I: IntoIterator<Item = Field<'a>>,
    {
        let length_field = self.length_field;
        let own: Option<Field<'a>> = match length_field {
            LengthField::Set(len) => {
                Some(Field::with_known_name(KnownName::CONTENT_LENGTH, digits.format(len)))
            }
            LengthField::Keep | LengthField::Remove => None,
        };
        let is_kept = length_field == LengthField::Keep;
        let fields = fields.into_iter();
        fields.filter(move |field| is_kept || field.known_name() != KnownName::CONTENT_LENGTH).chain(own)
    }
}

/// Returns the length that the fields announce.
///
/// # Errors
/// `InvalidLength`: a value is not a number below 10^18, or two values differ.
pub fn announced_length<'a>(
    fields: impl IntoIterator<Item = Field<'a>>,
) -> Result<Option<u64>, ContentError> {
    let mut announced = None;
    for field in fields {
        if field.known_name() != KnownName::CONTENT_LENGTH {
            continue;
        }
        let len = parse_length(field.value).ok_or(ContentError::InvalidLength)?;
        if announced.is_some_and(|earlier| earlier != len) {
            return Err(ContentError::InvalidLength);
        }
        announced = Some(len);
    }
    Ok(announced)
}

/// Reads a value of `content-length`: one to eighteen digits, as the core does. RFC 9110 §8.6: one
/// value that is repeated in a list is that value.
#[must_use]
pub fn parse_length(value: &[u8]) -> Option<u64> {
    let mut values = value.split(|byte| *byte == b',').map(|value| parse_digits(value.trim_ascii()));
    let first = values.next()??;
    values.all(|other| other == Some(first)).then_some(first)
}

fn parse_digits(value: &[u8]) -> Option<u64> {
    if value.is_empty() || value.len() > 18 {
        return None;
    }
    value.iter().try_fold(0u64, |sum, byte| {
        let digit = byte.wrapping_sub(b'0');
        (digit < 10).then(|| sum * 10 + u64::from(digit))
    })
}

/// Returns the length of the content of a received response, if it is known from its headers alone.
/// `announced` is its `content-length`.
#[must_use]
pub const fn received_length(method: Method, status: Status, announced: Option<u64>) -> Option<u64> {
    let code = status.as_bytes();
    match (code, method) {
        // RFC 9110 §9.3.6: a client ignores content-length in a 2xx response to CONNECT.
        ([b'2', ..], Method::Connect) => None,
        // RFC 9110 §6.4.1, §8.6: the length is that of another message.
        ([b'1', ..] | b"204" | b"304", _) | (_, Method::Head) => Some(0),
        _ => announced,
    }
}

/// Compares the bytes of a body with the length that its headers announced (RFC 9113 §8.1.1).
///
/// Invariant: never counts more bytes than were announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LengthCheck {
    announced: Option<u64>,
    sent: u64,
}

impl LengthCheck {
    /// Counts a piece that is to be sent. After an error nothing is counted: the I/O layer sends
    /// nothing of the piece, and resets the stream.
    ///
    /// # Errors
    /// `TooLong`: the piece exceeds the length that was announced.
    pub fn add(&mut self, len: u64) -> Result<(), ContentError> {
        let sent = self.sent.saturating_add(len);
        match self.announced {
            Some(announced) if sent > announced => {
                Err(ContentError::TooLong { announced, excess: sent - announced })
            }
            _ => {
                self.sent = sent;
                Ok(())
            }
        }
    }

    /// Checks the end of the body. After an error the I/O layer sends no END_STREAM: it resets the
    /// stream, and returns the error to the caller.
    ///
    /// # Errors
    /// `TooShort`: fewer bytes than announced.
    pub const fn finish(&self) -> Result<(), ContentError> {
        match self.announced {
            Some(announced) if self.sent < announced => {
                Err(ContentError::TooShort { announced, missing: announced - self.sent })
            }
            _ => Ok(()),
        }
    }

    /// Returns whether the announced length was reached, so that the next end can be sent with the
    /// last piece. Always `false` for unknown lengths.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.announced == Some(self.sent)
    }
}

/// Why a message cannot be sent, or not be completed. The application made a mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ContentError {
    /// The value of `content-length` is not one number.
    InvalidLength,
    /// The body has another length than `content-length`.
    Mismatch {
        /// The value of `content-length`.
        announced: u64,
        /// The length of the body, bytes.
        len: u64,
    },
    /// The body yields more than was announced.
    TooLong {
        /// The value of `content-length`.
        announced: u64,
        /// The bytes above it.
        excess: u64,
    },
    /// The body ended early.
    TooShort {
        /// The value of `content-length`.
        announced: u64,
        /// The bytes that are missing.
        missing: u64,
    },
    /// A TRACE request has content.
    Forbidden,
}

impl ContentError {
    /// Returns the code with which the stream is reset, if its headers were sent.
    #[must_use]
    pub const fn reset_code(role: Role) -> ErrorCode {
        match role {
            Role::Client => ErrorCode::CANCEL,
            Role::Server => ErrorCode::INTERNAL_ERROR,
        }
    }
}

impl fmt::Display for ContentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidLength => f.write_str("content-length is not one decimal number"),
            Self::Mismatch { announced, len } => {
                write!(f, "content-length is {announced}, the content has {len} bytes")
            }
            Self::TooLong { announced, excess } => {
                write!(f, "content-length is {announced}, the body yielded {excess} bytes more")
            }
            Self::TooShort { announced, missing } => {
                write!(f, "content-length is {announced}, the body ended {missing} bytes early")
            }
            Self::Forbidden => f.write_str("a TRACE request has no content"),
        }
    }
}

impl Error for ContentError {}

/// The decimal digits of a number, formatted without an allocation.
#[derive(Clone, Copy, Debug, Default)]
pub struct Digits([u8; 20]);

impl Digits {
    /// Formats a number and returns its digits.
    pub fn format(&mut self, mut number: u64) -> &[u8] {
        let mut start = self.0.len();
        loop {
            start -= 1;
            self.0[start] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                return &self.0[start..];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;
    use alloc::vec::Vec;

    use super::*;

    const KEPT: LengthField = LengthField::Keep;
    const REMOVED: LengthField = LengthField::Remove;
    const fn set(len: u64) -> LengthField {
        LengthField::Set(len)
    }
    const NONE: Content = Content::None;
    const BODY: Content = Content::Body;
    const TUNNEL: Content = Content::Tunnel;

    fn row(plan: Result<Plan, ContentError>) -> Result<(Content, LengthField, bool), ContentError> {
        plan.map(|plan| (plan.content(), plan.length_field(), plan.ends_with_headers()))
    }

    #[test]
    fn a_request_has_the_content_and_length_of_its_method() {
        let one = Body::of_len(1);
        let mismatch = |announced, len| Err(ContentError::Mismatch { announced, len });
        let table = [
            (Method::Post, Body::EMPTY, None, Ok((BODY, set(0), true))),
            (Method::Put, Body::EMPTY, None, Ok((BODY, set(0), true))),
            (Method::Patch, Body::EMPTY, None, Ok((BODY, set(0), true))),
            (Method::Patch, Body::EMPTY, Some(0), Ok((BODY, set(0), true))),
            (Method::Post, Body::EMPTY.with_trailers(), None, Ok((BODY, set(0), false))),
            (Method::Post, Body::EMPTY, Some(10), mismatch(10, 0)),
            (Method::Get, Body::EMPTY, Some(10), mismatch(10, 0)),
            (Method::Get, Body::EMPTY, None, Ok((BODY, REMOVED, true))),
            (Method::Get, Body::EMPTY, Some(0), Ok((BODY, REMOVED, true))),
            (Method::Head, Body::EMPTY, None, Ok((BODY, REMOVED, true))),
            (Method::Delete, Body::EMPTY, None, Ok((BODY, REMOVED, true))),
            (Method::Options, Body::EMPTY, None, Ok((BODY, REMOVED, true))),
            (Method::Other, Body::EMPTY, Some(0), Ok((BODY, KEPT, true))),
            (Method::Get, one, None, Ok((BODY, set(1), false))),
            (Method::Delete, one, Some(1), Ok((BODY, set(1), false))),
            (Method::Post, one, Some(2), mismatch(2, 1)),
            (Method::Other, one, None, Ok((BODY, set(1), false))),
            (Method::Post, Body::UNKNOWN, None, Ok((BODY, KEPT, false))),
            (Method::Post, Body::UNKNOWN, Some(7), Ok((BODY, KEPT, false))),
            (Method::Connect, Body::EMPTY, Some(7), Ok((TUNNEL, REMOVED, false))),
            (Method::Connect, Body::UNKNOWN, None, Ok((TUNNEL, REMOVED, false))),
            (Method::Trace, Body::EMPTY, None, Ok((NONE, REMOVED, true))),
            (Method::Trace, Body::UNKNOWN, None, Ok((NONE, REMOVED, true))),
            (Method::Trace, one, None, Err(ContentError::Forbidden)),
        ];
        for (method, body, announced, expected) in table {
            let plan = Plan::request(method, body, announced);
            assert_eq!(row(plan), expected, "{method:?} {body:?} {announced:?}");
        }
    }

    #[test]
    fn a_response_has_the_content_and_length_of_its_status_and_method() {
        let six = Body::of_len(6);
        let mismatch = Err(ContentError::Mismatch { announced: 5, len: 6 });
        let table = [
            (Method::Get, 200, six, None, Ok((BODY, set(6), false))),
            (Method::Get, 200, six, Some(6), Ok((BODY, set(6), false))),
            (Method::Get, 200, six, Some(5), mismatch),
            (Method::Get, 200, Body::EMPTY, None, Ok((BODY, set(0), true))),
            (Method::Get, 200, Body::EMPTY.with_trailers(), None, Ok((BODY, set(0), false))),
            (Method::Get, 404, Body::UNKNOWN, None, Ok((BODY, KEPT, false))),
            (Method::Get, 404, Body::UNKNOWN, Some(5), Ok((BODY, KEPT, false))),
            (Method::Get, 103, six, Some(5), Ok((NONE, REMOVED, true))),
            (Method::Get, 204, six, Some(5), Ok((NONE, REMOVED, true))),
            (Method::Connect, 204, Body::EMPTY, Some(0), Ok((NONE, REMOVED, true))),
            (Method::Get, 205, six, Some(6), Ok((NONE, set(0), true))),
            (Method::Get, 205, Body::UNKNOWN, None, Ok((NONE, set(0), true))),
            (Method::Get, 304, Body::EMPTY, None, Ok((NONE, KEPT, true))),
            (Method::Get, 304, six, Some(5), Ok((NONE, KEPT, true))),
            (Method::Head, 304, six, None, Ok((NONE, KEPT, true))),
            (Method::Head, 204, six, Some(6), Ok((NONE, REMOVED, true))),
            (Method::Head, 200, Body::EMPTY, None, Ok((NONE, KEPT, true))),
            (Method::Head, 200, six, None, Ok((NONE, set(6), true))),
            (Method::Head, 200, six, Some(5), Ok((NONE, KEPT, true))),
            (Method::Head, 404, Body::UNKNOWN, Some(5), Ok((NONE, KEPT, true))),
            (Method::Connect, 200, six, Some(6), Ok((TUNNEL, REMOVED, false))),
            (Method::Connect, 299, Body::EMPTY, None, Ok((TUNNEL, REMOVED, false))),
            (Method::Connect, 403, six, None, Ok((BODY, set(6), false))),
            (Method::Connect, 300, six, Some(5), mismatch),
        ];
        for (method, status, body, announced, expected) in table {
            let plan = Plan::response(method, Status::new(status).unwrap(), body, announced);
            assert_eq!(row(plan), expected, "{method:?} {status} {body:?} {announced:?}");
        }
    }

    #[test]
    fn fields_carry_the_length_of_the_plan_once() {
        let fields = [("content-length", "5"), ("x", "y"), ("content-length", "5")];
        let sent = |plan: Plan| {
            let mut digits = Digits::default();
            let fields = fields.iter().map(|(name, value)| Field::new(*name, *value));
            let sent = plan.fields(fields, &mut digits);
            sent.map(|field| (field.name().to_vec(), field.value.to_vec())).collect::<Vec<_>>()
        };
        let expect = |list: &[(&str, &str)]| {
            list.iter()
                .map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()))
                .collect::<Vec<_>>()
        };
        let known = Plan::response(Method::Get, Status::OK, Body::of_len(5), Some(5)).unwrap();
        assert_eq!(sent(known), expect(&[("x", "y"), ("content-length", "5")]));
        let unknown = Plan::response(Method::Get, Status::OK, Body::UNKNOWN, Some(5)).unwrap();
        assert_eq!(sent(unknown), expect(&fields));
        let tunnel = Plan::response(Method::Connect, Status::OK, Body::UNKNOWN, Some(5)).unwrap();
        assert_eq!(sent(tunnel), expect(&[("x", "y")]));
    }

    #[test]
    fn a_body_must_yield_what_was_announced() {
        let plan = Plan::request(Method::Post, Body::UNKNOWN, Some(10)).unwrap();
        let mut check = plan.check();
        assert_eq!(check.add(3), Ok(()));
        assert_eq!(check.finish(), Err(ContentError::TooShort { announced: 10, missing: 7 }));
        assert_eq!(check.add(8), Err(ContentError::TooLong { announced: 10, excess: 1 }));
        assert_eq!(check.add(7), Ok(()), "a refused piece is not counted");
        assert!(check.is_complete());
        assert_eq!(check.finish(), Ok(()));
        assert_eq!(check.add(0), Ok(()));
        assert_eq!(check.add(u64::MAX), Err(ContentError::TooLong { announced: 10, excess: u64::MAX - 10 }));

        let mut open = Plan::request(Method::Post, Body::UNKNOWN, None).unwrap().check();
        assert_eq!(open.add(1 << 40), Ok(()));
        assert!(!open.is_complete());
        assert_eq!(open.finish(), Ok(()));
        let known = Plan::response(Method::Get, Status::OK, Body::of_len(2), None).unwrap();
        assert_eq!(known.check().finish(), Err(ContentError::TooShort { announced: 2, missing: 2 }));
        assert_eq!(ContentError::reset_code(Role::Client), ErrorCode::CANCEL);
        assert_eq!(ContentError::reset_code(Role::Server), ErrorCode::INTERNAL_ERROR);
    }

    #[test]
    fn the_announced_length_is_one_number() {
        type Row = (&'static [&'static str], Result<Option<u64>, ContentError>);
        let table: [Row; 9] = [
            (&[], Ok(None)),
            (&["0"], Ok(Some(0))),
            (&["42", "42"], Ok(Some(42))),
            (&["42, 42"], Ok(Some(42))),
            (&["42", "43"], Err(ContentError::InvalidLength)),
            (&["42,43"], Err(ContentError::InvalidLength)),
            (&["+1"], Err(ContentError::InvalidLength)),
            (&[""], Err(ContentError::InvalidLength)),
            (&["1000000000000000000"], Err(ContentError::InvalidLength)),
        ];
        for (values, expected) in table {
            let fields = values.iter().map(|value| Field::new("content-length", *value));
            assert_eq!(announced_length(fields), expected, "{values:?}");
        }
    }

    #[test]
    fn the_length_of_received_content_follows_from_method_and_status() {
        let table = [
            (Method::Get, 200, Some(5), Some(5)),
            (Method::Get, 200, None, None),
            (Method::Head, 200, Some(5), Some(0)),
            (Method::Get, 304, Some(5), Some(0)),
            (Method::Get, 204, None, Some(0)),
            (Method::Get, 103, None, Some(0)),
            (Method::Connect, 200, Some(5), None),
            (Method::Connect, 403, Some(5), Some(5)),
        ];
        for (method, status, announced, expected) in table {
            let len = received_length(method, Status::new(status).unwrap(), announced);
            assert_eq!(len, expected, "{method:?} {status}");
        }
    }

    #[test]
    fn errors_name_the_lengths() {
        let error = ContentError::Mismatch { announced: 12, len: 13 };
        assert_eq!(error.to_string(), "content-length is 12, the content has 13 bytes");
        let error = ContentError::TooShort { announced: 10, missing: 7 };
        assert_eq!(error.to_string(), "content-length is 10, the body ended 7 bytes early");
    }

    #[test]
    fn numbers_are_formatted_in_decimal_digits() {
        for number in [0, 9, 10, 1_234_567_890, u64::MAX] {
            assert_eq!(Digits::default().format(number), number.to_string().as_bytes());
        }
    }
}
