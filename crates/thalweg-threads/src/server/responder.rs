//! The handler's side of a response: informational responses, headers, and content.

use std::fmt;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use thalweg::{ErrorCode, StreamKey};
use thalweg_http::repair::Section;
use thalweg_http::{Method, content as http};

use crate::body::Body;
use crate::body::exchange::{Chunk, Exchange, Finish, StreamCommand};
use crate::body::writer::{BodyWriter, Upload};
use crate::commands::{DriverMessage, PushCommand, ResponseCommand, ServerCommand, ServerMailbox};
use crate::error::Error;
use crate::handle::StreamHandle;
use crate::message::{Payload, Request, Response, Source};
use crate::outbound::{check_fields, content_error, invalid, plan_request, plan_response, repair};
use crate::tunnel::Tunnel;

/// Responds to one request. Dropping it without a response resets the stream with INTERNAL_ERROR.
pub struct Responder {
    exchange: Arc<Exchange>,
    mailbox: Arc<ServerMailbox>,
    stream: StreamKey,
    method: Method,
    is_answered: bool,
}

impl Responder {
    pub(crate) fn new(
        exchange: Arc<Exchange>,
        mailbox: Arc<ServerMailbox>,
        stream: StreamKey,
        method: &str,
    ) -> Self {
        let method = Method::of(method.as_bytes());
        Self { exchange, mailbox, stream, method, is_answered: false }
    }

    /// Sends a response. Adds `content-length` if the length is known and the field is missing, and
    /// repairs fields as [`thalweg_http::repair`] describes.
    /// Content from a reader is read and sent before this returns. Bytes are sent in one message;
    /// only the connection reports whether they arrive.
    ///
    /// A response to HEAD, and one with the status 204, 205 or 304, is sent without its content
    /// (RFC 9110 §6.4.1).
    ///
    /// # Errors
    /// An invalid field, or a `content-length` that differs from the content's length
    /// (`InvalidInput`); the reader's error; the stream's end ([`Error`] is inside).
    pub fn send(self, response: Response<impl Into<Payload>>) -> io::Result<()> {
        let (mut head, payload) = response.replace_body(());
        let payload = payload.into();
        let len = payload.content_length();
        let Payload { source, trailers } = payload;
        let body = http::Body { len, has_trailers: trailers.is_some() };
        let plan = self.plan(&mut head, body)?;
        let finish = Finish::with(trailers);
        if let Finish::Trailers(trailers) = &finish {
            check_fields(trailers)?;
        }
        let content = match source {
            _ if plan.content() == http::Content::None => {
                return self.respond(head, Chunk::EMPTY, Some(Finish::End));
            }
            Source::Nothing => Bytes::new(),
            Source::Whole(bytes) => bytes,
            Source::Reader(mut reader, Some(len)) if len <= WHOLE_BYTES_MAX => {
                let mut content = Vec::with_capacity(len as usize);
                reader.read_to_end(&mut content)?;
                let mut check = plan.check();
                check.add(content.len() as u64).and_then(|()| check.finish()).map_err(content_error)?;
                content.into()
            }
            Source::Reader(reader, _) => {
                let exchange = Arc::clone(&self.exchange);
                self.respond(head, Chunk::EMPTY, None)?;
                let writer = BodyWriter::new(exchange, plan.check(), None);
                return Upload::new(writer, reader, finish).finish();
            }
        };
        self.respond(head, Chunk::Bytes(content), Some(finish))
    }

    /// Sends the headers of a response. The caller writes the content, and must finish the writer.
    ///
    /// # Errors
    /// An invalid field (`InvalidInput`); the stream's end.
    pub fn start(self, mut head: Response<()>) -> io::Result<BodyWriter> {
        let plan = self.plan(&mut head, http::Body::UNKNOWN)?;
        let exchange = Arc::clone(&self.exchange);
        if plan.content() == http::Content::None {
            self.respond(head, Chunk::EMPTY, Some(Finish::End))?;
            return Ok(BodyWriter::without_content(exchange, plan.check()));
        }
        self.respond(head, Chunk::EMPTY, None)?;
        Ok(BodyWriter::new(exchange, plan.check(), None))
    }

    /// Sends an informational response, for example 103 (RFC 8297). Any number of them may precede
    /// the final one.
    ///
    /// # Errors
    /// A status other than 1xx, or an invalid field (`InvalidInput`); the stream's end.
    pub fn send_informational(&mut self, mut head: Response<()>) -> io::Result<()> {
        if !head.status().is_informational() || head.status().as_u16() == 101 {
            return Err(invalid("an informational response has a status 1xx other than 101".to_owned()));
        }
        self.plan(&mut head, http::Body::EMPTY)?;
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
    pub fn push<B>(&self, request: &Request<B>, mut promised: Request<()>) -> io::Result<Self> {
        repair(Section::Headers, &mut promised.fields);
        check_fields(&promised.fields)?;
        let method = promised.method().to_owned();
        plan_request(&method, http::Body::EMPTY, &mut promised.fields)?;
        self.check_open()?;
        let head = promised.or_origin_of(request);
        let exchange = Exchange::new(Arc::clone(&self.mailbox) as _, self.exchange.limits, None);
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

    /// Repairs and validates the headers of a response, and plans what follows them.
    fn plan(&self, head: &mut Response<()>, body: http::Body) -> io::Result<http::Plan> {
        repair(Section::Headers, &mut head.fields);
        check_fields(&head.fields)?;
        plan_response(self.method, head.status(), body, &mut head.fields)
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
}

impl Drop for Responder {
    fn drop(&mut self) {
        if !self.is_answered {
            self.exchange.submit(StreamCommand::DropSource);
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
    #[must_use]
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

/// Content up to this length is read before its headers are sent, so that one message carries both.
const WHOLE_BYTES_MAX: u64 = 64 << 10;
