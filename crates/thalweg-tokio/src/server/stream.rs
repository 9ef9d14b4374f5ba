//! One request and its response, from the arrival of the request to the end of the response.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use pin_project_lite::pin_project;
use thalweg::{ErrorCode, OpenError, SendError, Server, Status, StreamKey, map_fields};
use thalweg_http::Method;
use thalweg_http::content::{self, Digits, Plan, announced_length};
use thalweg_http::date::{Date, is_due, with_date};
use thalweg_http::exchange::Exchange;
use thalweg_http::expect::ServerExpect;
use thalweg_io::SplicingConnection;

use crate::body::inbox::Inbox;
use crate::body::sender::{BodySender, SendStatus};
use crate::error::{BoxError, Error};
use crate::fields::{body_of, repair_of};
use crate::trace;

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
        /// The response is sent, or was given up; the request may continue.
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
    pub method: Method,
    pub exchange: Exchange,
    /// Whether the client waits for 100 before it sends content.
    pub expect: ServerExpect,
    /// The status of the final response, once its headers are sent.
    pub status: Option<Status>,
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
                Err(Error::Send(SendError::StreamClosed | SendError::Connection(_))) => {
                    return HandlerStatus::Waiting;
                }
                // The client has no room for a pushed response now.
                Err(Error::Send(SendError::TooManyPending)) => {
                    return HandlerStatus::Reset(ErrorCode::REFUSED_STREAM);
                }
                Err(error) => return HandlerStatus::Reset(trace::handler_failed(self.stream, &error)),
            }
        }
        self.apply_commands(connection);
        match self.stage.as_mut().project() {
            StreamStageProjection::Responding { content } => {
                match content.poll_send(cx, connection, self.stream, self.pad_len, Into::into) {
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
    ) -> Result<bool, Error> {
        let (head, body) = response.into_parts();
        let headers = &head.headers;
        let status = Status::from(head.status);
        let plan =
            Plan::response(self.method, status, body_of(&body), announced_length(map_fields(headers))?)?;
        let end = plan.ends_with_headers();
        let date = date.filter(|_| is_due(status));
        let mut digits = Digits::default();
        let fields = with_date(plan.fields(map_fields(headers), &mut digits), date.as_ref());
        if let Err(refusal) = connection.send_response(self.stream, status, fields, end) {
            let Some(repair) = repair_of(&refusal, headers) else { return Err(refusal.into()) };
            let mut digits = Digits::default();
            let fields = plan.fields(repair.fields(map_fields(headers)), &mut digits);
            connection.send_response(self.stream, status, with_date(fields, date.as_ref()), end)?;
        }
        self.expect.send_response(status);
        self.status = Some(status);
        if end {
            return Ok(true);
        }
        self.stage.set(StreamStage::Responding { content: BodySender::new(body, plan.check()) });
        Ok(false)
    }
}

impl<F, B: http_body::Body> ServerStream<F, B> {
    /// Executes the handler's commands. One that the core refuses is logged and dropped.
    fn apply_commands(&mut self, connection: &mut SplicingConnection<Server>) {
        let Some(handle) = &self.handle else { return };
        for command in handle.take() {
            let applied = match command {
                StreamCommand::SendInformational(response) => self.send_informational(connection, &response),
                StreamCommand::Push(request) => send_push(connection, self.stream, &request)
                    .map(|promised| self.promised.push((promised, *request))),
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

    fn send_informational(
        &mut self,
        connection: &mut SplicingConnection<Server>,
        response: &Response<()>,
    ) -> Result<(), Error> {
        let (status, headers) = (Status::from(response.status()), response.headers());
        let plan = Plan::response(self.method, status, content::Body::EMPTY, None)?;
        let mut digits = Digits::default();
        let fields = plan.fields(map_fields(headers), &mut digits);
        if let Err(refusal) = connection.send_informational(self.stream, status, fields) {
            let Some(repair) = repair_of(&refusal, headers) else { return Err(refusal.into()) };
            let mut digits = Digits::default();
            let fields = plan.fields(repair.fields(map_fields(headers)), &mut digits);
            connection.send_informational(self.stream, status, fields)?;
        }
        self.expect.send_response(status);
        Ok(())
    }

    /// Sends 100 if the client waits for it and the handler has begun to read the content.
    pub(crate) fn read_content(&mut self, connection: &mut SplicingConnection<Server>) {
        // A stream that has just ended needs none.
        if self.expect.read_content()
            && let Err(error) = connection.send_informational(self.stream, Status::CONTINUE, [])
        {
            trace::stream_command_failed(self.stream, &error.into());
        }
    }

    /// Returns whether the stream has accepted content of the response since the last call.
    pub(crate) fn take_progress(&mut self) -> bool {
        match self.stage.as_mut().project() {
            StreamStageProjection::Responding { content } => content.take_progress(),
            _ => false,
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

/// Promises the response to a request.
fn send_push(
    connection: &mut SplicingConnection<Server>,
    stream: StreamKey,
    request: &Request<()>,
) -> Result<StreamKey, Error> {
    let head = thalweg::Request::from_http(request.method(), request.uri());
    let method = Method::of(request.method().as_str().as_bytes());
    let plan = Plan::request(method, content::Body::EMPTY, None)?;
    let headers = request.headers();
    let mut digits = Digits::default();
    match connection.send_push(stream, &head, plan.fields(map_fields(headers), &mut digits)) {
        Err(OpenError::Send(refusal)) => {
            let Some(repair) = repair_of(&refusal, headers) else { return Err(refusal.into()) };
            let mut digits = Digits::default();
            let fields = plan.fields(repair.fields(map_fields(headers)), &mut digits);
            Ok(connection.send_push(stream, &head, fields)?)
        }
        promised => Ok(promised?),
    }
}
