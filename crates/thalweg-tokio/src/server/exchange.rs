//! One request and its response, from the arrival of the one to the end of the other.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Method, Request, Response, StatusCode};
use pin_project_lite::pin_project;
use thalweg::{ErrorCode, Field, SendError, Server, Status, StreamKey, KnownName, Violation, map_fields};

use crate::content::{Content, Progress};
use crate::error::{BoxError, Error};
use crate::fields::{Digits, without_http_1};
use crate::inbox::Inbox;
use crate::link::Link;
use crate::log;

use super::date::Date;
use super::stream_handle::{StreamHandle, Wish};

pin_project! {
    /// Where an exchange stands.
    #[project = StageProjection]
    pub enum Stage<F, B>
    where
        B: http_body::Body,
    {
        /// The service has not got the request yet.
        Arrived,
        /// The handler runs.
        Handling { #[pin] handler: F },
        /// The response's headers were sent, its content was not.
        Responding { #[pin] content: Content<B> },
        /// The response was sent; the request may go on.
        Responded,
    }
}

/// A stage in memory that the next exchange can use again.
pub type PinnedStage<F, B> = Pin<Box<Stage<F, B>>>;

/// One request and its response.
pub struct Exchange<F, B: http_body::Body> {
    pub stream: StreamKey,
    pub stage: PinnedStage<F, B>,
    /// The request's content, as long as more may come or something of it is unread.
    pub inbox: Option<Arc<Inbox>>,
    /// Whether the peer may still send content.
    pub request_open: bool,
    pub method: Method,
    pub span: log::Span,
    /// Where the handler says what it wants besides.
    pub handle: Option<StreamHandle>,
    /// Requests that were promised on this stream and wait for the service.
    pub promised: Vec<(StreamKey, Request<()>)>,
    /// Padding in each frame of content.
    pub pad_len: Option<u8>,
}

/// What an exchange needs next.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Somebody will ring, or the stream will be named as writable, or its end will be told.
    Waiting,
    /// To be polled again after the others.
    Yielding,
    /// The response is sent.
    Responded,
    /// The stream is to be reset.
    Reset(ErrorCode),
}

impl<F, B, E> Exchange<F, B>
where
    F: Future<Output = Result<Response<B>, E>>,
    E: Into<BoxError>,
    B: http_body::Body,
    B::Error: Into<BoxError>,
{
    /// Goes on with the handler or with the response, which is sent with `date` unless it has one. A panic of either ends this
    /// exchange and nothing else.
    pub fn poll(
        &mut self,
        cx: &mut Context<'_>,
        connection: &mut Link<Server>,
        date: Option<Date>,
    ) -> Outcome {
        let span = self.span.clone();
        let advance = || catch_unwind(AssertUnwindSafe(|| self.advance(cx, connection, date)));
        match span.in_scope(advance) {
            Ok(outcome) => outcome,
            Err(panic) => Outcome::Reset(span.in_scope(|| log::panicked(self.stream, panic.as_ref()))),
        }
    }

    fn advance(
        &mut self,
        cx: &mut Context<'_>,
        connection: &mut Link<Server>,
        date: Option<Date>,
    ) -> Outcome {
        if let StageProjection::Handling { handler } = self.stage.as_mut().project() {
            let polled = handler.poll(cx);
            self.grant_wishes(connection);
            let response = match polled {
                Poll::Pending => return Outcome::Waiting,
                Poll::Ready(Ok(response)) => response,
                Poll::Ready(Err(error)) => return Outcome::Reset(log::failed(self.stream, &*error.into())),
            };
            match self.respond(response, connection, date) {
                Ok(true) => return Outcome::Responded,
                Ok(false) => {}
                Err(SendError::StreamClosed | SendError::Connection(_)) => return Outcome::Waiting,
                // A pushed response for which the client has no room now.
                Err(SendError::TooManyPending) => return Outcome::Reset(ErrorCode::REFUSED_STREAM),
                Err(error) => return Outcome::Reset(log::failed(self.stream, &error)),
            }
        }
        self.grant_wishes(connection);
        match self.stage.as_mut().project() {
            StageProjection::Responding { content } => {
                match content.poll_send(cx, connection, self.stream, self.pad_len) {
                    Progress::Waiting | Progress::Gone => Outcome::Waiting,
                    Progress::Yielding => Outcome::Yielding,
                    Progress::Ended => Outcome::Responded,
                    Progress::Failed(error) => Outcome::Reset(log::failed(self.stream, &error)),
                }
            }
            StageProjection::Responded => Outcome::Responded,
            StageProjection::Arrived | StageProjection::Handling { .. } => Outcome::Waiting,
        }
    }

    /// Sends the headers of the response. Returns whether that was all of it.
    fn respond(
        &mut self,
        response: Response<B>,
        connection: &mut Link<Server>,
        date: Option<Date>,
    ) -> Result<bool, SendError> {
        let (head, body) = response.into_parts();
        let end = body.is_end_stream() || has_no_content(&self.method, head.status);
        let size = body.size_hint().exact();
        let len = size.filter(|len| may_announce(&self.method, head.status, *len));
        let mut digits = Digits::default();
        let len = len.map(|len| Field::new(b"content-length", digits.format(len)));
        let date = date.as_ref().map(|date| Field::new(b"date", date.as_bytes()));
        let status = Status::from(head.status);
        let mut sent = {
            let own = OwnFields::new(map_fields(&head.headers), [len, date]);
            connection.send_response(self.stream, status, own, end)
        };
        if let Err(SendError::Malformed(Violation::FieldConnectionSpecific)) = sent {
            let own = OwnFields::new(without_http_1(map_fields(&head.headers)), [len, date]);
            sent = connection.send_response(self.stream, status, own, end);
        }
        sent?;
        if end {
            // The body goes where bodies may panic when they are dropped: under the caller's guard.
            return Ok(true);
        }
        self.stage.set(Stage::Responding { content: Content::new(body) });
        Ok(false)
    }
}

impl<F, B: http_body::Body> Exchange<F, B> {
    /// Does what the handler wants besides its response. What cannot be is left out.
    fn grant_wishes(&mut self, connection: &mut Link<Server>) {
        let Some(handle) = &self.handle else { return };
        for wish in handle.take() {
            let granted = match wish {
                Wish::Inform(response) => {
                    let fields = without_http_1(map_fields(response.headers()));
                    let status = Status::from(response.status());
                    connection.send_informational(self.stream, status, fields).map_err(Error::from)
                }
                Wish::Push(request) => {
                    let head = thalweg::Request::from_http(request.method(), request.uri());
                    let fields = without_http_1(map_fields(request.headers()));
                    let promised = connection.send_push(self.stream, &head, fields);
                    promised.map(|stream| self.promised.push((stream, *request))).map_err(Error::from)
                }
                Wish::Prioritise(priority) => {
                    connection.set_priority(self.stream, priority).map_err(Error::from)
                }
                Wish::Pad(pad_len) => {
                    self.pad_len = pad_len;
                    Ok(())
                }
                Wish::Extend(kind, flags, payload) => {
                    connection.send_extension(kind, flags, Some(self.stream), &payload).map_err(Error::from)
                }
                Wish::AltSvc(value) => {
                    connection.send_alt_svc(Some(self.stream), &[], &value).map_err(Error::from)
                }
            };
            if let Err(error) = granted {
                log::left_out(self.stream, &error);
            }
        }
    }

    /// Drops the handler or the rest of the response. A panic goes no further.
    pub fn abandon(&mut self) {
        let stage = &mut self.stage;
        self.span.in_scope(|| {
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| stage.set(Stage::Responded))) {
                log::panicked(self.stream, panic.as_ref());
            }
        });
    }
}

/// RFC 9110 §6.4.1: what never has content, whatever the service gave.
fn has_no_content(method: &Method, status: StatusCode) -> bool {
    method == Method::HEAD || status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED
}

/// Whether the length of the body is worth a field. RFC 9110 §8.6: none with 204, or with 2xx to CONNECT; to HEAD an
/// empty body says nothing about the length that GET would get.
fn may_announce(method: &Method, status: StatusCode, len: u64) -> bool {
    let forbidden = status == StatusCode::NO_CONTENT
        || status == StatusCode::NOT_MODIFIED
        || method == Method::CONNECT && status.is_success()
        || method == Method::HEAD && len == 0;
    !forbidden
}

/// The fields of a response, and behind them those of ours that it lacks.
struct OwnFields<'a, I> {
    fields: I,
    ours: [Option<Field<'a>>; 2],
}

impl<'a, I> OwnFields<'a, I> {
    const fn new(fields: I, ours: [Option<Field<'a>>; 2]) -> Self {
        Self { fields, ours }
    }
}

impl<'a, I: Iterator<Item = Field<'a>>> Iterator for OwnFields<'a, I> {
    type Item = Field<'a>;

    #[inline]
    fn next(&mut self) -> Option<Field<'a>> {
        let Some(field) = self.fields.next() else { return self.ours.iter_mut().find_map(Option::take) };
        if matches!(field.known_name, KnownName::CONTENT_LENGTH | KnownName::DATE) {
            // The response says it itself.
            for ours in &mut self.ours {
                *ours = ours.filter(|ours| ours.known_name != field.known_name);
            }
        }
        Some(field)
    }
}
