//! The handler's side of a response: informational responses, headers, and content.

use std::fmt;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use thalweg::{ErrorCode, KnownName, Status, StreamKey};

use crate::body::Body;
use crate::body::exchange::{Chunk, Exchange, Finish, StreamCommand};
use crate::body::writer::{BodyWriter, Upload};
use crate::commands::{DriverMessage, PushCommand, ResponseCommand, ServerCommand, ServerMailbox};
use crate::error::Error;
use crate::fields::Fields;
use crate::handle::StreamHandle;
use crate::message::{Payload, Request, Response, Source};
use crate::tunnel::Tunnel;

/// Responds to one request. Dropping it without a response resets the stream with INTERNAL_ERROR.
pub struct Responder {
    exchange: Arc<Exchange>,
    mailbox: Arc<ServerMailbox>,
    stream: StreamKey,
    request_kind: RequestKind,
    is_answered: bool,
}

/// The effect of the method on the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RequestKind {
    /// RFC 9110 §9.3.2: a response without content.
    Head,
    /// RFC 9110 §9.3.6: a tunnel, which has no length.
    Connect,
    Other,
}

impl Responder {
    pub(crate) fn new(
        exchange: Arc<Exchange>,
        mailbox: Arc<ServerMailbox>,
        stream: StreamKey,
        method: &str,
    ) -> Self {
        let request_kind = match method {
            "HEAD" => RequestKind::Head,
            "CONNECT" => RequestKind::Connect,
            _ => RequestKind::Other,
        };
        Self { exchange, mailbox, stream, request_kind, is_answered: false }
    }

    /// Sends a response. Adds `content-length` if the length is known and the field is missing.
    /// Content from a reader is read and sent before this returns. Bytes are sent in one message;
    /// only the connection reports whether they arrive.
    ///
    /// A response to HEAD, and one with the status 204 or 304, is sent without its content (RFC
    /// 9110 §6.4.1).
    ///
    /// # Errors
    /// An invalid field, or a `content-length` that differs from the content's length
    /// (`InvalidInput`); the reader's error; the stream's end ([`Error`] is inside).
    pub fn send(self, response: Response<impl Into<Payload>>) -> io::Result<()> {
        let (mut head, payload) = response.replace_body(());
        let payload = payload.into();
        match (self.request_kind, &payload.source) {
            (RequestKind::Connect, _) | (RequestKind::Head, Source::Nothing) => {}
            _ => set_content_length(&mut head, payload.content_length())?,
        }
        check_fields(&head.fields)?;
        if let Some(trailers) = &payload.trailers {
            check_fields(trailers)?;
        }
        let finish = payload.trailers.map_or(Finish::End, Finish::Trailers);
        let content = match payload.source {
            _ if self.has_no_content(head.status()) => {
                return self.respond(head, Chunk::EMPTY, Some(Finish::End));
            }
            Source::Nothing => Bytes::new(),
            Source::Whole(bytes) => bytes,
            Source::Reader(mut reader, Some(len)) if len <= WHOLE_BYTES_MAX => {
                let mut content = Vec::with_capacity(len as usize);
                if (reader.read_to_end(&mut content)? as u64) < len {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                content.into()
            }
            Source::Reader(reader, _) => return self.copy_body(head, reader, finish),
        };
        self.respond(head, Chunk::Bytes(content), Some(finish))
    }

    /// Sends the headers of a response. The caller writes the content, and must finish the writer.
    ///
    /// # Errors
    /// An invalid field (`InvalidInput`); the stream's end.
    pub fn start(self, head: Response<()>) -> io::Result<BodyWriter> {
        check_fields(&head.fields)?;
        let exchange = Arc::clone(&self.exchange);
        if self.has_no_content(head.status()) {
            self.respond(head, Chunk::EMPTY, Some(Finish::End))?;
            return Ok(BodyWriter::no_body(exchange));
        }
        self.respond(head, Chunk::EMPTY, None)?;
        Ok(BodyWriter::new(exchange, ErrorCode::INTERNAL_ERROR, None))
    }

    /// Sends an informational response, for example 103 (RFC 8297). Any number of them may precede
    /// the final one.
    ///
    /// # Errors
    /// A status other than 1xx, or an invalid field (`InvalidInput`); the stream's end.
    pub fn send_informational(&mut self, head: Response<()>) -> io::Result<()> {
        if !head.status().is_informational() || head.status().as_u16() == 101 {
            return Err(invalid("an informational response has a status 1xx other than 101".to_owned()));
        }
        check_fields(&head.fields)?;
        self.check_open()?;
        self.submit(head, Chunk::EMPTY, None);
        Ok(())
    }

    /// Pushes a response (RFC 9113 §8.4), and returns its responder. `promised` uses scheme and
    /// authority of `request`, the one that is being answered, unless it names its own. Call it
    /// before sending content that refers to the promised request. Waits for one turn of the
    /// connection's driver.
    ///
    /// # Errors
    /// An invalid field (`InvalidInput`). [`Error::Open`]: the client does not accept pushes, or no
    /// more at once; continue without the push. The stream's end.
    pub fn push<B>(&self, request: &Request<B>, promised: Request<()>) -> io::Result<Self> {
        check_fields(&promised.fields)?;
        self.check_open()?;
        let head = promised.or_origin_of(request);
        let exchange = Exchange::new(Arc::clone(&self.mailbox) as _, self.exchange.limits, None);
        let method = head.method().to_owned();
        let command = PushCommand { parent: self.stream, head, exchange: Arc::clone(&exchange) };
        if !self.mailbox.post(DriverMessage::Host(ServerCommand::Push(Box::new(command)))) {
            self.check_open()?;
            return Err(Error::reset(ErrorCode::CANCEL).into());
        }
        exchange.wait_open(None)?;
        let stream = exchange.stream().expect("it is open");
        Ok(Self::new(exchange, Arc::clone(&self.mailbox), stream, &method))
    }

    /// Returns the handle to the stream: its priority, its padding, and its extension frames.
    pub fn handle(&self) -> StreamHandle {
        StreamHandle::new(Arc::clone(&self.exchange))
    }

    /// Sends ALTSVC: an alternative service for the origin of this request, for example `h3=":443"`
    /// (RFC 7838 §4). A frame that the core refuses is logged and dropped.
    pub fn send_alt_svc(&self, value: impl Into<Vec<u8>>) {
        self.mailbox.post(DriverMessage::Host(ServerCommand::AltSvc(self.stream, value.into())));
    }

    /// Accepts a CONNECT request: sends `head`, with a status 2xx, and returns the tunnel. `body`
    /// is that of the request.
    ///
    /// # Errors
    /// Those of [`start`](Self::start).
    pub fn tunnel(self, head: Response<()>, body: Body) -> io::Result<Tunnel> {
        Ok(Tunnel::new(body, self.start(head)?))
    }

    /// Resets the stream.
    pub fn reset(mut self, code: ErrorCode) {
        self.is_answered = true;
        self.exchange.submit(StreamCommand::Reset { code });
    }

    /// Returns an observer for the early end of the stream.
    pub fn cancellation(&self) -> Cancellation {
        Cancellation { exchange: Arc::clone(&self.exchange) }
    }

    fn copy_body(
        self,
        head: Response<()>,
        reader: Box<dyn io::Read + Send>,
        finish: Finish,
    ) -> io::Result<()> {
        let trailers = match finish {
            Finish::End => None,
            Finish::Trailers(trailers) => Some(trailers),
        };
        let exchange = Arc::clone(&self.exchange);
        self.respond(head, Chunk::EMPTY, None)?;
        let writer = BodyWriter::new(exchange, ErrorCode::INTERNAL_ERROR, None);
        Upload::new(writer, reader, trailers).finish()
    }

    fn respond(mut self, head: Response<()>, chunk: Chunk, finish: Option<Finish>) -> io::Result<()> {
        if head.status().is_informational() {
            return Err(invalid("a final response has a status of 200 or more".to_owned()));
        }
        self.check_open()?;
        self.is_answered = true;
        self.submit(head, chunk, finish);
        Ok(())
    }

    fn submit(&self, head: Response<()>, chunk: Chunk, finish: Option<Finish>) {
        let is_whole = finish.is_some();
        let command = DriverMessage::Host(ServerCommand::Respond(ResponseCommand {
            stream: self.stream,
            head,
            chunk,
            finish,
        }));
        // If the driver has ended, the exchange reports it.
        if is_whole {
            self.mailbox.post_batched(command);
        } else {
            self.mailbox.post(command);
        }
    }

    fn check_open(&self) -> Result<(), Error> {
        self.exchange.failure().map_or(Ok(()), Err)
    }

    fn has_no_content(&self, status: Status) -> bool {
        self.request_kind == RequestKind::Head || matches!(status.as_u16(), 204 | 304)
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        if !self.is_answered {
            self.exchange.submit(StreamCommand::Reset { code: ErrorCode::INTERNAL_ERROR });
        }
    }
}

impl fmt::Debug for Responder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Responder").field("stream", &self.stream).finish()
    }
}

/// Reports to a long-running handler whether the client has cancelled the request.
#[derive(Clone)]
pub struct Cancellation {
    exchange: Arc<Exchange>,
}

impl Cancellation {
    /// Returns whether the stream has ended early. Takes a lock that is held for short times only.
    pub fn is_cancelled(&self) -> bool {
        self.reason().is_some()
    }

    /// Returns the reason, if it has.
    pub fn reason(&self) -> Option<Error> {
        self.exchange.failure()
    }
}

impl fmt::Debug for Cancellation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cancellation").field("reason", &self.reason()).finish()
    }
}

/// Adds `content-length` if it is missing. RFC 9110 §8.6: not with 1xx and 204.
fn set_content_length(head: &mut Response<()>, len: Option<u64>) -> io::Result<()> {
    let Some(len) = len else { return Ok(()) };
    if head.status().is_informational() || matches!(head.status().as_u16(), 204 | 304) {
        return Ok(());
    }
    let Some(announced) = head.fields.iter().find(|field| field.known_name() == KnownName::CONTENT_LENGTH)
    else {
        head.fields.push("content-length", Decimal::new(len).as_bytes());
        return Ok(());
    };
    if announced.value == Decimal::new(len).as_bytes() {
        return Ok(());
    }
    let announced = announced.value.escape_ascii();
    Err(invalid(format!("content-length is {announced}, the content has {len} bytes")))
}

/// Validates fields where the error can be returned to the handler.
fn check_fields(fields: &Fields) -> io::Result<()> {
    for field in fields.iter() {
        if let Err(violation) = thalweg::check_field(&field) {
            return Err(invalid(format!("field {:?}: {violation}", field.name().escape_ascii().to_string())));
        }
    }
    Ok(())
}

fn invalid(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

/// Content up to this length is read before its headers are sent, so that one message carries both.
const WHOLE_BYTES_MAX: u64 = 64 << 10;

/// A number in decimal digits, formatted without an allocation.
struct Decimal {
    digits: [u8; 20],
    start: usize,
}

impl Decimal {
    fn new(mut number: u64) -> Self {
        let mut digits = [b'0'; 20];
        let mut start = digits.len();
        loop {
            start -= 1;
            digits[start] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                return Self { digits, start };
            }
        }
    }

    fn as_bytes(&self) -> &[u8] {
        &self.digits[self.start..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_formatted_in_decimal_digits() {
        for number in [0, 7, 10, 65_535, u64::MAX] {
            assert_eq!(Decimal::new(number).as_bytes(), number.to_string().as_bytes());
        }
    }

    #[test]
    fn content_length_is_added_once_and_must_match() {
        let mut head = Response::ok();
        set_content_length(&mut head, Some(12)).unwrap();
        set_content_length(&mut head, Some(12)).unwrap();
        assert_eq!(head.fields, Fields::from([("content-length", "12")]));
        let error = set_content_length(&mut head, Some(13)).unwrap_err();
        assert_eq!(error.to_string(), "content-length is 12, the content has 13 bytes");
        let mut head = Response::new(Status::new(204).unwrap());
        set_content_length(&mut head, Some(0)).unwrap();
        assert!(head.fields.is_empty());
    }

    #[test]
    fn an_invalid_field_is_named_in_the_error() {
        check_fields(&Fields::from([("content-type", "text/plain")])).unwrap();
        for (name, value) in [("connection", "close"), ("x", "a\r\nb"), ("a b", ""), (":path", "/")] {
            let error = check_fields(&Fields::from([(name, value)])).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
    }
}
