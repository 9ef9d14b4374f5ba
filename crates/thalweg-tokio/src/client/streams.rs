//! All exchanges of a client's connection: the client's side of the driver.
//!
//! Invariant: an exchange is removed when both halves of its stream are closed or its response is
//! dropped; its stream permit is released then and not before.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use http::{HeaderMap, Request};
use http_body::Body;
use thalweg::{
    Client, ErrorCode, Event, Field, Headers, HeadersKind, Instant, OpenError, Status, StreamKey, map_fields,
};
use thalweg_http::Method;
use thalweg_http::content::{Content, ContentError, Digits, Plan, announced_length, received_length};
use thalweg_http::exchange::{Actions, Exchange, ExchangeEnd, Frame, Input, Timeouts};
use thalweg_http::expect::{ClientExpect, Expectation, Gate, without_expect};
use thalweg_http::transport::Exchanges;
use thalweg_io::{ConnectionEnd, SplicingConnection};
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::body::inbox::Inbox;
use crate::body::sender::{BodySender, SendStatus};
use crate::driver::connection_io::Action;
use crate::driver::detached_inboxes::DetachedInboxes;
use crate::driver::exchange_timers::ExchangeTimers;
use crate::driver::waker_set::{WakerSet, WokenCursor};
use crate::driver::{Host, send_frame};
use crate::error::{BoxError, Error};
use crate::fields::{body_of, repair_of, repair_received};
use crate::protocol::Protocol;
use crate::trace;

use super::hooks::RequestHooks;
use super::stream_permits::StreamPermits;

/// A request that a handle has submitted to the driver.
pub(crate) struct PendingRequest<B> {
    /// The request.
    pub request: Request<B>,
    /// Receives the response.
    pub inbox: Arc<Inbox>,
    /// The permit for one of the streams that the peer allows.
    pub permit: OwnedSemaphorePermit,
}

/// A sent request, and its response.
struct ClientStream<B: Body> {
    stream: StreamKey,
    /// Content left to send.
    content: Option<Pin<Box<BodySender<B>>>>,
    inbox: Arc<Inbox>,
    method: Method,
    exchange: Exchange,
    /// Whether the content waits for 100.
    expect: ClientExpect,
    /// The permit for one of the streams that the peer allows. A pushed stream needs none.
    permit: Option<OwnedSemaphorePermit>,
    hooks: Option<Box<RequestHooks>>,
    /// Padding in each frame of content.
    pad_len: Option<u8>,
    span: trace::Span,
}

/// The exchanges, indexed by their streams, and the requests that wait for a stream.
pub(crate) struct ClientStreams<B: Body> {
    submitted: UnboundedReceiver<PendingRequest<B>>,
    /// Requests that the core had no room for. They precede newly submitted ones.
    waiting: VecDeque<PendingRequest<B>>,
    streams: Vec<Option<ClientStream<B>>>,
    live: usize,
    /// Promised streams whose inboxes have no waker yet.
    promised: Vec<StreamKey>,
    /// Streams whose content need not wait for 100 any more.
    ungated: Vec<StreamKey>,
    detached: DetachedInboxes,
    permits: StreamPermits,
    timers: ExchangeTimers,
    /// Whether the peer's settings have changed.
    has_new_settings: bool,
    /// Whether the peer's first SETTINGS frame has arrived.
    has_settings: bool,
    /// Whether all handles are dropped, so that no request will follow.
    no_handles: bool,
    end: Arc<OnceLock<Arc<ConnectionEnd>>>,
    /// Converts the error of a body. A function in place of a bound on `B::Error`: with the bound,
    /// the future of the connection would not be `Send` inside an async block for boxed errors.
    into_error: fn(B::Error) -> BoxError,
}

impl<B: Body> ClientStreams<B> {
    /// Creates an empty set. The handles read `end` after the connection has ended.
    pub(crate) fn new(
        submitted: UnboundedReceiver<PendingRequest<B>>,
        permits: StreamPermits,
        end: Arc<OnceLock<Arc<ConnectionEnd>>>,
        timeouts: Timeouts,
        into_error: fn(B::Error) -> BoxError,
    ) -> Self {
        Self {
            submitted,
            waiting: VecDeque::new(),
            streams: Vec::new(),
            live: 0,
            promised: Vec::new(),
            ungated: Vec::new(),
            detached: DetachedInboxes::default(),
            permits,
            timers: ExchangeTimers::new(timeouts),
            has_new_settings: false,
            has_settings: false,
            no_handles: false,
            end,
            into_error,
        }
    }

    fn find(&mut self, stream: StreamKey) -> Option<&mut ClientStream<B>> {
        let entry = self.streams.get_mut(stream.index())?.as_mut()?;
        if entry.stream == stream { Some(entry) } else { None }
    }

    /// Passes an input to an exchange and executes the actions, but for the frame. `error` is what
    /// the reader gets if the exchange ends early.
    fn handle(&mut self, stream: StreamKey, input: Input, error: impl FnOnce() -> Error) -> Actions {
        let entry = self.streams.get_mut(stream.index()).and_then(Option::as_mut);
        let Some(entry) = entry.filter(|entry| entry.stream == stream) else { return Actions::NONE };
        let before = entry.deadline();
        let actions = self.timers.handle(&mut entry.exchange, input);
        self.timers.set(stream, before, entry.deadline());
        if actions.drop_source {
            drop_body(stream, entry.content.take());
        }
        if let Some(end) = actions.end {
            if end != ExchangeEnd::Completed {
                entry.inbox.fail(error());
            }
            self.remove(stream);
        }
        actions
    }

    /// The same for an input that the caller or its content caused.
    fn handle_local(
        &mut self,
        stream: StreamKey,
        input: Input,
        connection: &mut SplicingConnection<Client>,
        error: impl FnOnce() -> Error,
    ) {
        send_frame(connection, stream, self.handle(stream, input, error).send);
    }

    fn receive_response(&mut self, stream: StreamKey, headers: &Headers<'_>, end: bool) -> Action {
        let Some(entry) = self.find(stream) else { return Action::None };
        let mut response = match headers.to_response() {
            Ok(response) => response,
            Err(error) => return self.reject_message(stream, error),
        };
        let announced = repair_received(headers, response.headers_mut());
        let status = Status::from(response.status());
        entry.inbox.set_content_length(received_length(entry.method, status, announced));
        let inbox = Arc::clone(&entry.inbox);
        if self.handle(stream, Input::HeadersReceived { status }, || CANCELLED).deliver_headers {
            inbox.push_head(response);
        }
        self.update_expect(stream, |expect, _| expect.receive_final());
        if end { self.receive_end(stream, None) } else { Action::None }
    }

    /// Resets the stream of a message that the `http` crate cannot represent.
    fn reject_message(&mut self, stream: StreamKey, error: impl Into<Error>) -> Action {
        let input = Input::Cancelled { code: ErrorCode::PROTOCOL_ERROR };
        action_for(stream, self.handle(stream, input, || error.into()))
    }

    fn receive_informational(&mut self, stream: StreamKey, headers: &Headers<'_>) {
        if let Some(status) = headers.status().and_then(Status::new) {
            self.update_expect(stream, |expect, _| expect.receive_informational(status));
        }
        let hooks = self.find(stream).and_then(|entry| entry.hooks.as_ref());
        if let (Some(hooks), Ok(response)) = (hooks, headers.to_response()) {
            hooks.call_on_informational(stream, response);
        }
    }

    /// Changes whether the content waits for 100.
    fn update_expect(&mut self, stream: StreamKey, update: impl FnOnce(&mut ClientExpect, Instant)) {
        let now = self.timers.now();
        let Some(entry) = self.find(stream) else { return };
        let (before, gate) = (entry.deadline(), entry.expect.gate());
        update(&mut entry.expect, now);
        if entry.expect.gate() == gate {
            return;
        }
        let (after, gate) = (entry.deadline(), entry.expect.gate());
        if gate == Gate::Withheld {
            drop_body(stream, entry.content.take());
        }
        self.timers.set(stream, before, after);
        match gate {
            Gate::Withheld => drop(self.handle(stream, Input::SourceWithheld, || CANCELLED)),
            // The next turn polls the content.
            Gate::Open => self.ungated.push(stream),
            Gate::Closed { .. } => {}
        }
    }

    /// Handles PUSH_PROMISE.
    fn receive_push(&mut self, parent: StreamKey, stream: StreamKey, headers: &Headers<'_>) -> Action {
        let hooks = self.find(parent).and_then(|entry| entry.hooks.as_ref());
        let (Some(hooks), Ok(request)) = (hooks.filter(|hooks| hooks.wants_push()), headers.to_request())
        else {
            return Action::Reset(stream, ErrorCode::CANCEL);
        };
        let inbox = Arc::new(Inbox::new(None));
        let span = trace::Span::new(stream, request.method(), request.uri());
        hooks.call_on_push(stream, request, Arc::clone(&inbox));
        let entry = ClientStream {
            stream,
            content: None,
            inbox,
            method: Method::Get,
            exchange: Exchange::client_push(),
            expect: ClientExpect::new(Expectation::None, false, self.timers.now()),
            permit: None,
            hooks: None,
            pad_len: None,
            span,
        };
        self.promised.push(stream);
        self.insert(entry);
        Action::None
    }

    fn insert(&mut self, entry: ClientStream<B>) {
        let index = entry.stream.index();
        if self.streams.len() <= index {
            self.streams.resize_with(index + 1, || None);
        }
        self.streams[index] = Some(entry);
        self.live += 1;
    }

    fn receive_data(&mut self, stream: StreamKey, data: &[u8], end: bool) -> Action {
        let Some(entry) = self.find(stream) else { return Action::Release(stream, data.len()) };
        let is_discarding = entry.exchange.is_discarding();
        let is_wanted = entry.inbox.push(data);
        if end {
            let action = self.receive_end(stream, None);
            if !matches!(action, Action::None) {
                // With the stream, the core releases what it holds.
                return action;
            }
        }
        match (is_wanted, is_discarding) {
            (_, true) => Action::Discard(stream, data.len()),
            (true, false) => Action::None,
            (false, false) => Action::Release(stream, data.len()),
        }
    }

    fn receive_trailers(&mut self, stream: StreamKey, headers: &Headers<'_>) -> Action {
        match headers.to_header_map() {
            Ok(trailers) => self.receive_end(stream, Some(trailers)),
            Err(error) => self.reject_message(stream, error),
        }
    }

    /// Handles the end of the response, perhaps before the end of the request.
    fn receive_end(&mut self, stream: StreamKey, trailers: Option<HeaderMap>) -> Action {
        let Some(entry) = self.find(stream) else { return Action::None };
        if entry.exchange.wants_source() {
            // The upload ends with the reader of its response.
            entry.inbox.await_end();
        }
        entry.inbox.finish(trailers);
        action_for(stream, self.handle(stream, Input::InboundEnded, || CANCELLED))
    }

    fn remove(&mut self, stream: StreamKey) {
        let Some(entry) = self.streams.get_mut(stream.index()).and_then(Option::take) else { return };
        self.live -= 1;
        self.timers.set(stream, entry.deadline(), None);
        if let Some(permit) = entry.permit {
            self.permits.release(permit);
        }
        self.detached.push(stream, entry.inbox);
        drop_body(stream, entry.content);
    }

    /// Sends the submitted requests. Returns whether there were any.
    fn send(
        &mut self,
        cx: &mut Context<'_>,
        connection: &mut SplicingConnection<Client>,
        wakers: &mut WakerSet,
    ) -> bool {
        let mut progressed = false;
        while let Some(pending) = self.waiting.pop_front() {
            if let Some(pending) = self.open(pending, connection, wakers) {
                self.waiting.push_front(pending);
                return progressed;
            }
            progressed = true;
        }
        while let Poll::Ready(pending) = self.submitted.poll_recv(cx) {
            let Some(pending) = pending else {
                self.no_handles = true;
                break;
            };
            progressed = true;
            if let Some(pending) = self.open(pending, connection, wakers) {
                self.waiting.push_back(pending);
                break;
            }
        }
        progressed
    }

    /// Opens a stream for a request. Returns the request if it must wait.
    fn open(
        &mut self,
        pending: PendingRequest<B>,
        connection: &mut SplicingConnection<Client>,
        wakers: &mut WakerSet,
    ) -> Option<PendingRequest<B>> {
        if pending.inbox.reader_dropped() {
            return None;
        }
        // RFC 8441 §3: the server announces extended CONNECT in its first SETTINGS frame.
        if !self.has_settings && pending.request.extensions().get::<Protocol>().is_some() {
            return Some(pending);
        }
        let method = method_of(&pending.request);
        let plan = match plan_of(method, &pending.request) {
            Ok(plan) => plan,
            Err(error) => {
                pending.inbox.fail(error.into());
                return None;
            }
        };
        let end = plan.ends_with_headers();
        let stream = match send_head(&pending.request, &plan, connection) {
            Ok(stream) => stream,
            Err(OpenError::TooManyStreams { .. }) => return Some(pending),
            Err(error) => {
                pending.inbox.fail(error.into());
                return None;
            }
        };
        let PendingRequest { mut request, inbox, permit } = pending;
        let waker = wakers.waker(FIRST_STREAM_WAKER + stream.index());
        inbox.set_waker(Some(waker.clone()));
        let hooks = RequestHooks::from_extensions(request.extensions_mut());
        if let Some(hooks) = &hooks {
            hooks.set_waker(waker);
        }
        let span = trace::Span::new(stream, request.method(), request.uri());
        let expect = if end {
            ClientExpect::new(Expectation::None, false, self.timers.now())
        } else {
            let has_content = plan.content() == Content::Body;
            ClientExpect::new(Expectation::of(map_fields(request.headers())), has_content, self.timers.now())
        };
        self.timers.set(stream, None, expect.poll_timeout());
        let content = (!end).then(|| Box::pin(BodySender::new(request.into_body(), plan.check())));
        let exchange = Exchange::client(method);
        let permit = Some(permit);
        self.insert(ClientStream {
            stream,
            content,
            inbox,
            method,
            exchange,
            expect,
            permit,
            hooks,
            pad_len: None,
            span,
        });
        if end {
            self.handle_local(stream, Input::OutboundEnded, connection, || CANCELLED);
        }
        self.poll_stream(stream, connection, wakers);
        None
    }

    /// Advances one exchange, and releases window for the consumed part of its response.
    fn poll_stream(
        &mut self,
        stream: StreamKey,
        connection: &mut SplicingConnection<Client>,
        wakers: &mut WakerSet,
    ) {
        let into_error = self.into_error;
        let Some(entry) = self.find(stream) else { return };
        let consumed = entry.inbox.take_consumed();
        if consumed.reader_dropped {
            connection.discard(stream, consumed.bytes);
            self.handle_local(stream, Input::ReaderDropped, connection, || CANCELLED);
        } else {
            connection.release(stream, consumed.bytes);
            if consumed.is_finished {
                self.handle_local(stream, Input::ReaderFinished, connection, || CANCELLED);
            }
        }
        let Some(entry) = self.find(stream) else { return };
        if let Some(pad_len) = entry.hooks.as_ref().and_then(|hooks| hooks.apply_commands(connection, stream))
        {
            entry.pad_len = pad_len;
        }
        let pad_len = entry.pad_len;
        if entry.expect.gate() != Gate::Open {
            return;
        }
        let Some(content) = &mut entry.content else { return };
        let waker = wakers.waker(FIRST_STREAM_WAKER + stream.index());
        let mut cx = Context::from_waker(waker);
        let poll = || content.as_mut().poll_send(&mut cx, connection, stream, pad_len, into_error);
        let sent = entry.span.in_scope(|| catch_unwind(AssertUnwindSafe(poll)));
        let is_progress = content.as_mut().take_progress() && entry.exchange.deadline().is_some();
        let (input, error) = match sent {
            Ok(SendStatus::Waiting | SendStatus::Yielding) => {
                if matches!(sent, Ok(SendStatus::Yielding)) {
                    waker.wake_by_ref();
                }
                if is_progress {
                    self.handle_local(stream, Input::OutboundProgress, connection, || CANCELLED);
                }
                return;
            }
            Ok(SendStatus::Closed) => return,
            Ok(SendStatus::Ended) => {
                drop_body(stream, entry.content.take());
                return self.handle_local(stream, Input::OutboundEnded, connection, || CANCELLED);
            }
            Ok(SendStatus::Failed(error)) => match trace::handler_failed(stream, &error) {
                ErrorCode::INTERNAL_ERROR => (Input::SourceFailed, error),
                // The application chose the code.
                code => (Input::Cancelled { code }, error),
            },
            Err(panic) => {
                trace::handler_panicked(stream, panic.as_ref());
                let error = io::Error::other("the body of the request panicked");
                (Input::SourceFailed, Error::Body(Arc::new(error)))
            }
        };
        self.handle_local(stream, input, connection, || error);
    }

    /// Handles the deadlines that have come. Returns whether there were any.
    fn handle_timeouts(&mut self, connection: &mut SplicingConnection<Client>) -> bool {
        let mut progressed = false;
        while let Some(stream) = self.timers.pop_expired() {
            progressed = true;
            let Some(entry) = self.find(stream) else { continue };
            // The set holds no deadline of the exchange now.
            let after = entry.deadline();
            self.timers.set(stream, None, after);
            self.update_expect(stream, ClientExpect::handle_timeout);
            self.handle_local(stream, Input::Timeout, connection, || CANCELLED);
        }
        progressed
    }

    /// Polls the exchanges whose wakers were woken. Returns whether there were any.
    fn poll_woken(&mut self, connection: &mut SplicingConnection<Client>, wakers: &mut WakerSet) -> bool {
        let (mut cursor, mut progressed) = (WokenCursor::default(), false);
        while let Some(index) = wakers.next_woken(&mut cursor) {
            progressed = true;
            let entry = index.checked_sub(FIRST_STREAM_WAKER).and_then(|index| self.streams.get(index));
            if let Some(Some(ClientStream { stream, .. })) = entry {
                self.poll_stream(*stream, connection, wakers);
            }
        }
        progressed
    }
}

impl<B: Body> Host for ClientStreams<B> {
    type Role = Client;

    fn set_time(&mut self, now: Instant) {
        self.timers.set_time(now);
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.timers.next()
    }

    fn handle_transport(&mut self, exchanges: Exchanges, connection: &mut SplicingConnection<Client>) {
        // The end of the connection follows in the other cases, and fails what is incomplete.
        if exchanges != Exchanges::ReceiveOnly {
            return;
        }
        self.permits.close();
        self.submitted.close();
        let mut unsent = std::mem::take(&mut self.waiting);
        while let Ok(pending) = self.submitted.try_recv() {
            unsent.push_back(pending);
        }
        for pending in unsent {
            pending.inbox.fail(Error::GoingAway);
        }
        for index in 0..self.streams.len() {
            let Some(Some(entry)) = self.streams.get_mut(index) else { continue };
            let stream = entry.stream;
            let input = if entry.exchange.is_tunnel() { Input::SourceDropped } else { Input::SourceWithheld };
            drop_body(stream, entry.content.take());
            self.handle_local(stream, input, connection, || CANCELLED);
        }
    }

    fn handle_event(&mut self, event: Event<'_, '_>) -> Action {
        match event {
            Event::Headers { stream, kind: HeadersKind::Response, headers, end } => {
                return self.receive_response(stream, &headers, end);
            }
            Event::Headers { stream, kind: HeadersKind::Trailers, headers, .. } => {
                return self.receive_trailers(stream, &headers);
            }
            Event::Headers { stream, kind: HeadersKind::Informational, headers, .. } => {
                self.receive_informational(stream, &headers);
            }
            Event::Headers { stream, kind: HeadersKind::Push { parent }, headers, .. } => {
                return self.receive_push(parent, stream, &headers);
            }
            Event::Data { stream, data, end } => return self.receive_data(stream, data, end),
            Event::Reset { stream, code, by } => {
                let _ = self.handle(stream, Input::StreamReset { code }, || Error::Reset { code, by });
            }
            Event::Settings { .. } => self.has_new_settings = true,
            Event::GoAway { .. } => self.permits.close(),
            _ => {}
        }
        Action::None
    }

    /// Received data goes to inboxes immediately, so there is no request to start.
    fn start_requests(&mut self, _: &mut SplicingConnection<Client>, _: &mut WakerSet) {}

    fn poll_streams(
        &mut self,
        cx: &mut Context<'_>,
        connection: &mut SplicingConnection<Client>,
        wakers: &mut WakerSet,
    ) -> bool {
        if self.has_new_settings {
            self.has_new_settings = false;
            self.has_settings = true;
            self.permits.set_limit(connection.remote_settings().max_concurrent_streams);
        }
        let mut progressed = self.handle_timeouts(connection);
        progressed |= self.poll_woken(connection, wakers);
        for stream in std::mem::take(&mut self.ungated) {
            progressed = true;
            self.poll_stream(stream, connection, wakers);
        }
        for stream in std::mem::take(&mut self.promised) {
            if let Some(entry) = self.find(stream) {
                entry.inbox.set_waker(Some(wakers.waker(FIRST_STREAM_WAKER + stream.index()).clone()));
                self.poll_stream(stream, connection, wakers);
            }
        }
        progressed |= self.send(cx, connection, wakers);
        while let Some(stream) = connection.poll_writable() {
            progressed = true;
            self.poll_stream(stream, connection, wakers);
        }
        if !self.detached.is_empty() {
            self.detached.release_consumed(connection, wakers.waker(DETACHED_WAKER));
        }
        if self.no_handles && self.live == 0 && self.waiting.is_empty() {
            connection.shutdown();
        }
        progressed
    }

    fn rebind_wakers(&mut self, wakers: &mut WakerSet) {
        self.detached.clear_waker();
        for entry in self.streams.iter().flatten() {
            let waker = wakers.waker(FIRST_STREAM_WAKER + entry.stream.index());
            entry.inbox.set_waker(Some(waker.clone()));
            if let Some(hooks) = &entry.hooks {
                hooks.set_waker(waker);
            }
            waker.wake_by_ref();
        }
    }

    fn connection_ended(&mut self, end: &Arc<ConnectionEnd>) {
        let error = |processed| Error::Connection { end: Arc::clone(end), processed };
        // The order matters: a handle that finds the queue closed then also finds the reason.
        let _ = self.end.set(Arc::clone(end));
        self.permits.close();
        self.submitted.close();
        for entry in self.streams.drain(..).flatten() {
            let last = end.report.retry_above;
            entry.inbox.fail(error(last.is_none_or(|last| entry.stream.id() <= last)));
            drop_body(entry.stream, entry.content);
        }
        self.live = 0;
        self.detached.clear();
        let mut submitted = std::mem::take(&mut self.waiting);
        while let Ok(pending) = self.submitted.try_recv() {
            submitted.push_back(pending);
        }
        for pending in submitted {
            pending.inbox.fail(error(false));
        }
    }

    fn shrink(&mut self) -> bool {
        let is_idle = self.live == 0 && self.detached.is_empty();
        if is_idle {
            self.streams = Vec::new();
        }
        is_idle
    }
}

/// Returns the method that decides about the content. Extended CONNECT is CONNECT (RFC 8441 §4).
fn method_of<B>(request: &Request<B>) -> Method {
    match request.extensions().get::<Protocol>() {
        Some(_) => Method::Connect,
        None => Method::of(request.method().as_str().as_bytes()),
    }
}

fn plan_of<B: Body>(method: Method, request: &Request<B>) -> Result<Plan, ContentError> {
    let announced = announced_length(map_fields(request.headers()))?;
    Plan::request(method, body_of(request.body()), announced)
}

/// Opens a stream with the headers of a request.
fn send_head<B: Body>(
    request: &Request<B>,
    plan: &Plan,
    connection: &mut SplicingConnection<Client>,
) -> Result<StreamKey, OpenError> {
    let headers = request.headers();
    let end = plan.ends_with_headers();
    let head = match request.extensions().get::<Protocol>() {
        // Extended CONNECT has the control data of any other request, and CONNECT as its method.
        Some(protocol) => {
            thalweg::Request::from_http(&http::Method::GET, request.uri()).with_protocol(protocol.as_bytes())
        }
        None => thalweg::Request::from_http(request.method(), request.uri()),
    };
    // RFC 9110 §10.1.1: a request without content does not expect 100.
    let drops_expect = plan.content() != Content::Body || end;
    let is_sent = |field: &Field<'_>| !drops_expect || without_expect([*field]).next().is_some();
    let mut digits = Digits::default();
    let fields = plan.fields(map_fields(headers).filter(is_sent), &mut digits);
    match connection.send_request(&head, fields, end) {
        Err(OpenError::Send(refusal)) => {
            let Some(repair) = repair_of(&refusal, headers) else { return Err(refusal.into()) };
            let mut digits = Digits::default();
            let fields = plan.fields(repair.fields(map_fields(headers)).filter(is_sent), &mut digits);
            connection.send_request(&head, fields, end)
        }
        sent => sent,
    }
}

/// Returns what the event handler asks of the connection after the actions of an exchange.
fn action_for(stream: StreamKey, actions: Actions) -> Action {
    match actions.send {
        Frame::Reset(code) => Action::Reset(stream, code),
        // Only the application ends our half.
        Frame::None | Frame::EndStream => Action::None,
    }
}

impl<B: Body> ClientStream<B> {
    /// Returns the next time at which the exchange or its content changes by itself.
    fn deadline(&self) -> Option<Instant> {
        let exchange = self.exchange.deadline();
        let expect = self.expect.poll_timeout();
        match (exchange, expect) {
            (Some(exchange), Some(expect)) => Some(exchange.min(expect)),
            (exchange, expect) => exchange.or(expect),
        }
    }
}

/// The failure of an exchange that we end.
const CANCELLED: Error = Error::reset(ErrorCode::CANCEL);

/// Drops the rest of a body. Catches a panic of its destructor.
fn drop_body<B: Body>(stream: StreamKey, content: Option<Pin<Box<BodySender<B>>>>) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(content))) {
        trace::handler_panicked(stream, panic.as_ref());
    }
}

/// Woken when content of an ended stream was consumed.
const DETACHED_WAKER: usize = 0;
/// The waker of the stream with index 0.
const FIRST_STREAM_WAKER: usize = 1;
