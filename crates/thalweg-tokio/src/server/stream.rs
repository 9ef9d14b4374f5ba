//! One request and its response, from the arrival of the request to the end of the response.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Method, Request, Response, StatusCode};
use pin_project_lite::pin_project;
use thalweg::{ErrorCode, Field, KnownName, SendError, Server, Status, StreamKey, Violation, map_fields};
use thalweg_io::SplicingConnection;

use crate::body::inbox::Inbox;
use crate::body::sender::{BodySender, SendStatus};
use crate::error::{BoxError, Error};
use crate::fields::{Digits, without_http_1};
use crate::trace;

use super::date::Date;
use super::stream_handle::{StreamCommand, StreamHandle};

pin_project! {
    /// The stage of an exchange.
    #[project = StreamStageProjection]
    pub enum StreamStage<F, B>
    where
        B: http_body::Body,
    {
        /// The service does not have the request yet.
        Queued,
        /// The handler is running.
        Handling { #[pin] handler: F },
        /// The response's headers are sent, its content is not.
        Responding { #[pin] content: BodySender<B> },
        /// The response is sent; the request may continue.
        Responded,
    }
}

/// A stage in memory that later exchanges reuse.
pub(crate) type PinnedStreamStage<F, B> = Pin<Box<StreamStage<F, B>>>;

/// One request and its response.
pub(crate) struct ServerStream<F, B: http_body::Body> {
    pub stream: StreamKey,
    pub stage: PinnedStreamStage<F, B>,
    /// The request's content, while more may arrive or some is unread.
    pub inbox: Option<Arc<Inbox>>,
    /// Whether the peer may still send content.
    pub request_open: bool,
    pub method: Method,
    pub span: trace::Span,
    /// The handle through which the handler sends commands.
    pub handle: Option<StreamHandle>,
    /// Requests that were promised on this stream and wait for the service.
    pub promised: Vec<(StreamKey, Request<()>)>,
    /// Padding in each frame of content.
    pub pad_len: Option<u8>,
}

/// What an exchange needs next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum HandlerStatus {
    /// A waker, a writable stream, or the stream's end will trigger the next poll.
    Waiting,
    /// Must be polled again after the others.
    Yielding,
    /// The response is sent.
    Responded,
    /// The stream must be reset.
    Reset(ErrorCode),
}

impl<F, B, E> ServerStream<F, B>
where
    F: Future<Output = Result<Response<B>, E>>,
    E: Into<BoxError>,
    B: http_body::Body,
    B::Error: Into<BoxError>,
{
    /// Advances the handler or the response. Adds `date` to a response without that field. A panic
    /// ends this exchange and no other.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        connection: &mut SplicingConnection<Server>,
        date: Option<Date>,
    ) -> HandlerStatus {
        let span = self.span.clone();
        let advance = || catch_unwind(AssertUnwindSafe(|| self.advance(cx, connection, date)));
        match span.in_scope(advance) {
            Ok(status) => status,
            Err(panic) => {
                HandlerStatus::Reset(span.in_scope(|| trace::handler_panicked(self.stream, panic.as_ref())))
            }
        }
    }

    fn advance(
        &mut self,
        cx: &mut Context<'_>,
        connection: &mut SplicingConnection<Server>,
        date: Option<Date>,
    ) -> HandlerStatus {
        if let StreamStageProjection::Handling { handler } = self.stage.as_mut().project() {
            let polled = handler.poll(cx);
            self.apply_commands(connection);
            let response = match polled {
                Poll::Pending => return HandlerStatus::Waiting,
                Poll::Ready(Ok(response)) => response,
                Poll::Ready(Err(error)) => {
                    return HandlerStatus::Reset(trace::handler_failed(self.stream, &*error.into()));
                }
            };
            match self.respond(response, connection, date) {
                Ok(true) => return HandlerStatus::Responded,
                Ok(false) => {}
                Err(SendError::StreamClosed | SendError::Connection(_)) => return HandlerStatus::Waiting,
                // The client has no room for a pushed response now.
                Err(SendError::TooManyPending) => return HandlerStatus::Reset(ErrorCode::REFUSED_STREAM),
                Err(error) => return HandlerStatus::Reset(trace::handler_failed(self.stream, &error)),
            }
        }
        self.apply_commands(connection);
        match self.stage.as_mut().project() {
            StreamStageProjection::Responding { content } => {
                match content.poll_send(cx, connection, self.stream, self.pad_len) {
                    SendStatus::Waiting | SendStatus::Closed => HandlerStatus::Waiting,
                    SendStatus::Yielding => HandlerStatus::Yielding,
                    SendStatus::Ended => HandlerStatus::Responded,
                    SendStatus::Failed(error) => {
                        HandlerStatus::Reset(trace::handler_failed(self.stream, &error))
                    }
                }
            }
            StreamStageProjection::Responded => HandlerStatus::Responded,
            StreamStageProjection::Queued | StreamStageProjection::Handling { .. } => HandlerStatus::Waiting,
        }
    }

    /// Sends the headers of the response. Returns whether the response is complete.
    fn respond(
        &mut self,
        response: Response<B>,
        connection: &mut SplicingConnection<Server>,
        date: Option<Date>,
    ) -> Result<bool, SendError> {
        let (head, body) = response.into_parts();
        let end = body.is_end_stream() || has_no_content(&self.method, head.status);
        let size = body.size_hint().exact();
        let len = size.filter(|len| may_send_length(&self.method, head.status, *len));
        let mut digits = Digits::default();
        let len = len.map(|len| Field::new(b"content-length", digits.format(len)));
        let date = date.as_ref().map(|date| Field::new(b"date", date.as_bytes()));
        let status = Status::from(head.status);
        let mut sent = {
            let fields = WithDefaults::new(map_fields(&head.headers), [len, date]);
            connection.send_response(self.stream, status, fields, end)
        };
        if let Err(SendError::Malformed(Violation::FieldConnectionSpecific)) = sent {
            let fields = WithDefaults::new(without_http_1(map_fields(&head.headers)), [len, date]);
            sent = connection.send_response(self.stream, status, fields, end);
        }
        sent?;
        if end {
            // The destructor of a body may panic, so the caller drops it with panics caught.
            return Ok(true);
        }
        self.stage.set(StreamStage::Responding { content: BodySender::new(body) });
        Ok(false)
    }
}

impl<F, B: http_body::Body> ServerStream<F, B> {
    /// Executes the handler's commands. One that the core refuses is logged and dropped.
    fn apply_commands(&mut self, connection: &mut SplicingConnection<Server>) {
        let Some(handle) = &self.handle else { return };
        for command in handle.take() {
            let applied = match command {
                StreamCommand::SendInformational(response) => {
                    let fields = without_http_1(map_fields(response.headers()));
                    let status = Status::from(response.status());
                    connection.send_informational(self.stream, status, fields).map_err(Error::from)
                }
                StreamCommand::Push(request) => {
                    let head = thalweg::Request::from_http(request.method(), request.uri());
                    let fields = without_http_1(map_fields(request.headers()));
                    let promised = connection.send_push(self.stream, &head, fields);
                    promised.map(|stream| self.promised.push((stream, *request))).map_err(Error::from)
                }
                StreamCommand::SetPriority(priority) => {
                    connection.set_priority(self.stream, priority).map_err(Error::from)
                }
                StreamCommand::SetPadding(pad_len) => {
                    self.pad_len = pad_len;
                    Ok(())
                }
                StreamCommand::SendExtension(kind, flags, payload) => {
                    connection.send_extension(kind, flags, Some(self.stream), &payload).map_err(Error::from)
                }
                StreamCommand::SendAltSvc(value) => {
                    connection.send_alt_svc(Some(self.stream), &[], &value).map_err(Error::from)
                }
            };
            if let Err(error) = applied {
                trace::stream_command_failed(self.stream, &error);
            }
        }
    }

    /// Drops the handler or the rest of the response. Catches a panic of its destructor.
    pub(crate) fn drop_handler(&mut self) {
        let stage = &mut self.stage;
        self.span.in_scope(|| {
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| stage.set(StreamStage::Responded))) {
                trace::handler_panicked(self.stream, panic.as_ref());
            }
        });
    }
}

/// Returns whether the message never has content (RFC 9110 §6.4.1), whatever the service returned.
fn has_no_content(method: &Method, status: StatusCode) -> bool {
    method == Method::HEAD || status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED
}

/// Returns whether the response carries content-length. RFC 9110 §8.6: not with 204, nor with 2xx
/// to CONNECT; an empty body in response to HEAD does not reveal the length that GET would get.
fn may_send_length(method: &Method, status: StatusCode, len: u64) -> bool {
    let forbidden = status == StatusCode::NO_CONTENT
        || status == StatusCode::NOT_MODIFIED
        || method == Method::CONNECT && status.is_success()
        || method == Method::HEAD && len == 0;
    !forbidden
}

/// The fields of a response, followed by the default fields that it lacks.
struct WithDefaults<'a, I> {
    fields: I,
    defaults: [Option<Field<'a>>; 2],
}

impl<'a, I> WithDefaults<'a, I> {
    const fn new(fields: I, defaults: [Option<Field<'a>>; 2]) -> Self {
        Self { fields, defaults }
    }
}

impl<'a, I: Iterator<Item = Field<'a>>> Iterator for WithDefaults<'a, I> {
    type Item = Field<'a>;

    #[inline]
    fn next(&mut self) -> Option<Field<'a>> {
        let Some(field) = self.fields.next() else { return self.defaults.iter_mut().find_map(Option::take) };
        if matches!(field.known_name(), KnownName::CONTENT_LENGTH | KnownName::DATE) {
            // The response has this field already.
            for defaults in &mut self.defaults {
                *defaults = defaults.filter(|defaults| defaults.known_name() != field.known_name());
            }
        }
        Some(field)
    }
}
