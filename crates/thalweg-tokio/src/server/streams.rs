//! All exchanges of a server's connection: the server's side of the driver.
//!
//! Invariants: an exchange is removed when its `Exchange` says that it has ended, and not before;
//! content that the service has not consumed occupies the connection's window even after its
//! exchange is removed.

use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use thalweg::{ErrorCode, Event, Headers, HeadersKind, Instant, Priority, Server, Status, StreamKey};
use thalweg_http::Method;
use thalweg_http::date::{Date, with_date};
use thalweg_http::exchange::{Actions, Exchange, ExchangeEnd, Input, Timeouts};
use thalweg_http::expect::{Expectation, ServerExpect};
use thalweg_http::transport::Exchanges;
use thalweg_io::{ConnectionEnd, SplicingConnection};
use tower_service::Service;

use crate::body::Body;
use crate::body::inbox::Inbox;
use crate::driver::connection_io::Action;
use crate::driver::detached_inboxes::DetachedInboxes;
use crate::driver::exchange_timers::ExchangeTimers;
use crate::driver::waker_set::{WakerSet, WokenCursor};
use crate::driver::{Host, SlowPolls, send_frame};
use crate::error::{BoxError, Error};
use crate::fields::repair_received;
use crate::protocol::Protocol;
use crate::trace;

use super::date;
use super::poll_timer::PollTimer;
use super::recent_values::RecentValues;
use super::stream::{HandlerStatus, PinnedStreamStage, ServerStream, StreamStage};
use super::stream_handle::StreamHandle;

/// The exchanges, indexed by their streams, and the requests that wait.
pub struct ServerStreams<S, B>
where
    S: Service<Request<Body>>,
    B: http_body::Body,
{
    service: S,
    streams: Vec<Option<ServerStream<S::Future, B>>>,
    live: usize,
    /// Memory of removed exchanges, for later ones.
    spare: Vec<PinnedStreamStage<S::Future, B>>,
    /// Requests that the service does not have yet, in the order of their arrival.
    queued: VecDeque<(StreamKey, Request<Body>)>,
    /// Requests that the `http` crate cannot represent, and whether they have ended.
    refused: Vec<(StreamKey, bool)>,
    detached: DetachedInboxes,
    timers: ExchangeTimers,
    /// Whether no response can reach the client, so that no handler starts.
    is_lost: bool,
    /// Whether each request gets a handle to its stream.
    attach_handles: bool,
    /// Recent values, from the second request on: a single request would not benefit, but pay for
    /// the memory.
    recent: Option<RecentValues>,
    /// Whether responses get a date.
    with_date: bool,
    /// The date of responses. All responses that are sent together share one reading of the clock.
    date: Option<Date>,
    poll_timer: PollTimer,
}

impl<S, B> ServerStreams<S, B>
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Error: Into<BoxError>,
    B: http_body::Body,
    B::Error: Into<BoxError>,
{
    /// Creates an empty set. `attach_handles`: each request gets a handle to its stream.
    /// `with_date`: each response gets a date.
    pub fn new(service: S, attach_handles: bool, with_date: bool, timeouts: Timeouts) -> Self {
        Self {
            service,
            streams: Vec::new(),
            live: 0,
            spare: Vec::new(),
            queued: VecDeque::new(),
            refused: Vec::new(),
            detached: DetachedInboxes::new(),
            timers: ExchangeTimers::new(timeouts),
            is_lost: false,
            attach_handles,
            with_date,
            date: None,
            poll_timer: PollTimer::new(),
            recent: None,
        }
    }

    fn find(&mut self, stream: StreamKey) -> Option<&mut ServerStream<S::Future, B>> {
        let entry = self.streams.get_mut(stream.index())?.as_mut()?;
        if entry.stream == stream { Some(entry) } else { None }
    }

    /// Handles a request. `poll_streams` passes it to the service.
    fn receive_request(&mut self, stream: StreamKey, headers: &Headers<'_>, end: bool) {
        if self.is_lost {
            return;
        }
        let request = match &mut self.recent {
            Some(recent) => recent.request(headers),
            None => {
                self.recent = Some(RecentValues::new());
                headers.to_request()
            }
        };
        let Ok(mut request) = request else {
            self.refused.push((stream, end));
            return;
        };
        let inbox = (!end).then(|| Arc::new(Inbox::new(None)));
        let length = repair_received(headers, request.headers_mut());
        let expectation = if end { Expectation::None } else { Expectation::of(headers.fields()) };
        let mut request = request.map(|()| match &inbox {
            None => Body::empty(),
            Some(inbox) => {
                inbox.set_content_length(length);
                if expectation == Expectation::Continue {
                    inbox.await_first_read();
                }
                Body::new(Arc::clone(inbox))
            }
        });
        if let Some(protocol) = headers.protocol() {
            request.extensions_mut().insert(Protocol::new(protocol.to_vec()));
        }
        self.enqueue(stream, request, inbox);
        if expectation == Expectation::Continue
            && let Some(entry) = self.find(stream)
        {
            entry.expect = ServerExpect::new(expectation, true);
        }
    }

    /// Creates the exchange of a request. Without an inbox, the request has ended.
    pub fn enqueue(&mut self, stream: StreamKey, mut request: Request<Body>, inbox: Option<Arc<Inbox>>) {
        let handle = self.attach_handles.then(|| {
            let priority = request.headers().get("priority");
            let priority = priority.map_or_else(Priority::default, |text| Priority::parse(text.as_bytes()));
            let handle = StreamHandle::new(priority);
            request.extensions_mut().insert(handle.clone());
            handle
        });
        if self.streams.len() <= stream.index() {
            self.streams.resize_with(stream.index() + 1, || None);
        }
        let method = Method::of(request.method().as_str().as_bytes());
        let mut exchange = Exchange::server(method);
        if inbox.is_none() {
            let _ = self.timers.handle(&mut exchange, Input::InboundEnded);
        }
        self.streams[stream.index()] = Some(ServerStream {
            stream,
            stage: self.spare.pop().unwrap_or_else(|| Box::pin(StreamStage::Queued)),
            inbox,
            method,
            exchange,
            status: None,
            expect: ServerExpect::new(Expectation::None, false),
            span: trace::Span::new(stream, request.method(), request.uri()),
            handle,
            promised: Vec::new(),
            pad_len: None,
        });
        self.live += 1;
        self.queued.push_back((stream, request));
    }

    /// Passes an input to an exchange and executes the actions, but for the frame. `error` is what
    /// the reader gets if the exchange ends early.
    fn handle(&mut self, stream: StreamKey, input: Input, error: impl FnOnce() -> Error) -> Actions {
        let entry = self.streams.get_mut(stream.index()).and_then(Option::as_mut);
        let Some(entry) = entry.filter(|entry| entry.stream == stream) else { return Actions::NONE };
        let before = entry.exchange.deadline();
        let actions = self.timers.handle(&mut entry.exchange, input);
        self.timers.set(stream, before, entry.exchange.deadline());
        let Some(end) = actions.end else { return actions };
        if end != ExchangeEnd::Completed
            && let Some(inbox) = entry.inbox.take()
        {
            inbox.fail(error());
        }
        if matches!(*entry.stage, StreamStage::Queued) {
            self.queued.retain(|(waiting, _)| *waiting != stream);
        }
        self.remove(stream);
        actions
    }

    /// The same for an input that the handler or the time caused.
    fn handle_local(
        &mut self,
        stream: StreamKey,
        input: Input,
        connection: &mut SplicingConnection<Server>,
        error: impl FnOnce() -> Error,
    ) {
        send_frame(connection, stream, self.handle(stream, input, error).send);
    }

    fn receive_data(&mut self, stream: StreamKey, data: &[u8], end: bool) -> Action {
        let (mut is_wanted, mut is_discarding) = (false, false);
        if let Some(entry) = self.find(stream) {
            entry.expect.receive_content();
            is_discarding = entry.exchange.is_discarding();
            is_wanted = entry.inbox.as_ref().is_some_and(|inbox| inbox.push(data));
        }
        if end {
            self.receive_end(stream, None);
        }
        match (is_wanted, is_discarding) {
            (_, true) => Action::Discard(stream, data.len()),
            (true, false) => Action::None,
            (false, false) => Action::Release(stream, data.len()),
        }
    }

    fn receive_trailers(&mut self, stream: StreamKey, headers: &Headers<'_>) -> Action {
        match headers.to_header_map() {
            Ok(trailers) => {
                self.receive_end(stream, Some(trailers));
                Action::None
            }
            Err(error) => {
                let code = ErrorCode::PROTOCOL_ERROR;
                let _ = self.handle(stream, Input::Cancelled { code }, || error.into());
                Action::Reset(stream, code)
            }
        }
    }

    /// Handles the end of the request, perhaps long after its response.
    fn receive_end(&mut self, stream: StreamKey, trailers: Option<http::HeaderMap>) {
        let Some(entry) = self.find(stream) else { return };
        entry.expect.receive_content();
        if let Some(inbox) = &entry.inbox {
            inbox.finish(trailers);
        }
        // The end of a request never makes a server send a frame.
        let _ = self.handle(stream, Input::InboundEnded, || Error::reset(ErrorCode::NO_ERROR));
    }

    /// Removes an exchange. Unread content of its request stays accounted for.
    fn remove(&mut self, stream: StreamKey) {
        let Some(mut entry) = self.streams.get_mut(stream.index()).and_then(Option::take) else {
            return;
        };
        self.live -= 1;
        self.timers.set(stream, entry.exchange.deadline(), None);
        entry.drop_handler();
        if let Some(handle) = &entry.handle {
            handle.end();
        }
        entry.stage.set(StreamStage::Queued);
        self.spare.push(entry.stage);
        if let Some(inbox) = entry.inbox {
            self.detached.push(stream, inbox);
        }
    }

    /// Passes the queued requests to the service, as far as it is ready. Returns whether it took
    /// any.
    fn start_queued(&mut self, connection: &mut SplicingConnection<Server>, wakers: &mut WakerSet) -> bool {
        let mut progressed = false;
        while let Some((stream, _)) = self.queued.front() {
            let stream = *stream;
            let waker = wakers.waker(SERVICE_WAKER);
            let mut cx = Context::from_waker(waker);
            let service = &mut self.service;
            let ready = match catch_unwind(AssertUnwindSafe(|| service.poll_ready(&mut cx))) {
                Ok(Poll::Pending) => break,
                Ok(Poll::Ready(Ok(()))) => Ok(()),
                Ok(Poll::Ready(Err(error))) => Err(trace::handler_failed(stream, &*error.into())),
                Err(panic) => Err(trace::handler_panicked(stream, panic.as_ref())),
            };
            let Some((_, request)) = self.queued.pop_front() else { break };
            progressed = true;
            match ready.and_then(|()| self.call(stream, request, wakers)) {
                Ok(()) => self.poll_stream(stream, connection, wakers),
                Err(code) => self.fail(stream, code, connection),
            }
        }
        progressed
    }

    /// Passes a request to the service.
    fn call(
        &mut self,
        stream: StreamKey,
        request: Request<Body>,
        wakers: &mut WakerSet,
    ) -> Result<(), ErrorCode> {
        let service = &mut self.service;
        let Some(Some(entry)) = self.streams.get_mut(stream.index()) else { return Ok(()) };
        if let Some(inbox) = &entry.inbox {
            inbox.set_waker(Some(wakers.waker(waker_index(stream)).clone()));
        }
        if let Some(handle) = &entry.handle {
            handle.set_waker(wakers.waker(waker_index(stream)).clone());
        }
        let handler = entry
            .span
            .in_scope(|| catch_unwind(AssertUnwindSafe(|| service.call(request))))
            .map_err(|panic| trace::handler_panicked(stream, panic.as_ref()))?;
        entry.stage.set(StreamStage::Handling { handler });
        Ok(())
    }

    /// Resets the stream of a handler that has failed. INTERNAL_ERROR stands for no code of its
    /// own.
    fn fail(&mut self, stream: StreamKey, code: ErrorCode, connection: &mut SplicingConnection<Server>) {
        let input = match code {
            ErrorCode::INTERNAL_ERROR => Input::SourceFailed,
            code => Input::Cancelled { code },
        };
        self.handle_local(stream, input, connection, || Error::reset(code));
    }

    /// Advances one exchange, and releases window for what its service has consumed.
    fn poll_stream(
        &mut self,
        stream: StreamKey,
        connection: &mut SplicingConnection<Server>,
        wakers: &mut WakerSet,
    ) {
        let date = self.date;
        let Some(entry) = self.find(stream) else { return };
        let waker = wakers.waker(waker_index(stream));
        let status = entry.poll(&mut Context::from_waker(waker), connection, date);
        let promised = std::mem::take(&mut entry.promised);
        let response = entry.status.take();
        let is_progress = entry.exchange.deadline().is_some() && entry.take_progress();
        if status == HandlerStatus::Responded {
            // Dropping the rest of the handler drops the request.
            entry.drop_handler();
        }
        let mut reader_dropped = false;
        if let Some(inbox) = &entry.inbox {
            let consumed = inbox.take_consumed();
            reader_dropped = consumed.reader_dropped;
            if consumed.bytes > 0 && reader_dropped {
                connection.discard(stream, consumed.bytes);
            } else if consumed.bytes > 0 {
                connection.release(stream, consumed.bytes);
            }
            if consumed.is_finished {
                entry.inbox = None;
            }
            if consumed.first_read {
                entry.read_content(connection);
            }
        }
        self.poll_timer.lap();
        if let Some(status) = response {
            self.handle_local(stream, Input::HeadersSent { status }, connection, no_error);
        }
        if is_progress {
            self.handle_local(stream, Input::OutboundProgress, connection, no_error);
        }
        match status {
            HandlerStatus::Yielding => wakers.waker(waker_index(stream)).wake_by_ref(),
            HandlerStatus::Reset(code) => self.fail(stream, code, connection),
            HandlerStatus::Responded => self.handle_local(stream, Input::OutboundEnded, connection, no_error),
            HandlerStatus::Waiting => {}
        }
        if reader_dropped {
            self.handle_local(stream, Input::ReaderDropped, connection, no_error);
        }
        for (stream, request) in promised {
            self.enqueue(stream, request.map(|()| Body::empty()), None);
        }
    }

    /// Handles the deadlines that have come. Returns whether there were any.
    fn handle_timeouts(&mut self, connection: &mut SplicingConnection<Server>) -> bool {
        let mut progressed = false;
        while let Some(stream) = self.timers.pop_expired() {
            progressed = true;
            let Some(entry) = self.find(stream) else { continue };
            let deadline = entry.exchange.deadline();
            // The set holds no deadline of the exchange now.
            self.timers.set(stream, None, deadline);
            self.handle_local(stream, Input::Timeout, connection, || Error::reset(ErrorCode::CANCEL));
        }
        progressed
    }

    /// Polls the exchanges whose wakers were woken. Returns whether there were any.
    fn poll_woken(&mut self, connection: &mut SplicingConnection<Server>, wakers: &mut WakerSet) -> bool {
        let (mut cursor, mut progressed) = (WokenCursor::default(), false);
        while let Some(index) = wakers.next_woken(&mut cursor) {
            progressed = true;
            let entry = index.checked_sub(FIRST_STREAM_WAKER).and_then(|index| self.streams.get(index));
            if let Some(Some(ServerStream { stream, .. })) = entry {
                self.poll_stream(*stream, connection, wakers);
            }
        }
        progressed
    }

    /// Reads the clocks for the exchanges that are polled next.
    fn start_batch(&mut self) {
        self.date = if self.with_date { date::now() } else { None };
        self.poll_timer.start();
    }

    /// Responds to requests that cannot be represented.
    fn refuse(&mut self, connection: &mut SplicingConnection<Server>) {
        for (stream, has_ended) in std::mem::take(&mut self.refused) {
            let status = Status::from(http::StatusCode::BAD_REQUEST);
            let fields = with_date([], self.date.as_ref());
            if connection.send_response(stream, status, fields, true).is_ok() && !has_ended {
                connection.send_reset(stream, ErrorCode::NO_ERROR);
            }
        }
    }
}

impl<S, B> Host for ServerStreams<S, B>
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Error: Into<BoxError>,
    B: http_body::Body,
    B::Error: Into<BoxError>,
{
    type Role = Server;

    fn set_time(&mut self, now: Instant) {
        self.timers.set_time(now);
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.timers.next()
    }

    fn handle_transport(&mut self, exchanges: Exchanges, connection: &mut SplicingConnection<Server>) {
        match exchanges {
            Exchanges::InputEnded => {
                for index in 0..self.streams.len() {
                    if let Some(Some(ServerStream { stream, .. })) = self.streams.get(index) {
                        self.handle_local(*stream, Input::InputEnded, connection, no_error);
                    }
                }
            }
            Exchanges::Lost => {
                self.is_lost = true;
                self.queued.clear();
                for entry in self.streams.iter_mut().flatten() {
                    let before = entry.exchange.deadline();
                    // The reader gets the reason in `connection_ended`.
                    let _ = self.timers.handle(&mut entry.exchange, Input::ConnectionLost);
                    self.timers.set(entry.stream, before, None);
                    entry.drop_handler();
                }
            }
            Exchanges::Continue | Exchanges::ReceiveOnly => {}
        }
    }

    fn handle_event(&mut self, event: Event<'_, '_>) -> Action {
        match event {
            Event::Headers { stream, kind: HeadersKind::Request, headers, end } => {
                self.receive_request(stream, &headers, end);
                if self.queued.len().is_multiple_of(BATCH) {
                    return Action::StartRequests;
                }
            }
            Event::Headers { stream, kind: HeadersKind::Trailers, headers, .. } => {
                return self.receive_trailers(stream, &headers);
            }
            Event::Data { stream, data, end } => return self.receive_data(stream, data, end),
            Event::Priority { stream, priority } => {
                if let Some(handle) = self.find(stream).and_then(|entry| entry.handle.as_ref()) {
                    handle.update_priority(priority);
                }
            }
            Event::Reset { stream, code, by } => {
                let _ = self.handle(stream, Input::StreamReset { code }, || Error::Reset { code, by });
            }
            _ => {}
        }
        Action::None
    }

    fn start_requests(&mut self, connection: &mut SplicingConnection<Server>, wakers: &mut WakerSet) {
        self.start_batch();
        self.start_queued(connection, wakers);
    }

    fn poll_streams(
        &mut self,
        _: &mut Context<'_>,
        connection: &mut SplicingConnection<Server>,
        wakers: &mut WakerSet,
    ) -> bool {
        if self.live > 0 || !self.refused.is_empty() {
            self.start_batch();
        }
        let mut progressed = self.handle_timeouts(connection);
        progressed |= self.start_queued(connection, wakers);
        progressed |= self.poll_woken(connection, wakers);
        while let Some(stream) = connection.poll_writable() {
            progressed = true;
            self.poll_stream(stream, connection, wakers);
        }
        if !self.detached.is_empty() {
            self.detached.release_consumed(connection, wakers.waker(DETACHED_WAKER));
        }
        if !self.refused.is_empty() {
            self.refuse(connection);
        }
        progressed
    }

    fn rebind_wakers(&mut self, wakers: &mut WakerSet) {
        self.detached.clear_waker();
        for entry in self.streams.iter_mut().flatten() {
            let waker = wakers.waker(waker_index(entry.stream));
            if let Some(inbox) = &entry.inbox {
                inbox.set_waker(Some(waker.clone()));
            }
            if let Some(handle) = &entry.handle {
                handle.set_waker(waker.clone());
            }
            waker.wake_by_ref();
        }
    }

    fn connection_ended(&mut self, end: &Arc<ConnectionEnd>) {
        self.queued.clear();
        self.detached.clear();
        for mut entry in self.streams.drain(..).flatten() {
            if let Some(inbox) = entry.inbox.take() {
                inbox.fail(Error::Connection { end: Arc::clone(end), processed: true });
            }
            entry.drop_handler();
            if let Some(handle) = &entry.handle {
                handle.end();
            }
        }
        self.live = 0;
    }

    fn take_slow_polls(&mut self) -> SlowPolls {
        self.poll_timer.take_slow()
    }

    fn shrink(&mut self) -> bool {
        let is_idle = self.live == 0 && self.detached.is_empty();
        if is_idle {
            self.streams = Vec::new();
            self.spare = Vec::new();
            self.recent = None;
        }
        is_idle
    }
}

impl<S, B> fmt::Debug for ServerStreams<S, B>
where
    S: Service<Request<Body>>,
    B: http_body::Body,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerStreams").field("live", &self.live).finish_non_exhaustive()
    }
}

/// The failure of a reader that an answered exchange does not need.
const fn no_error() -> Error {
    Error::reset(ErrorCode::NO_ERROR)
}

const fn waker_index(stream: StreamKey) -> usize {
    FIRST_STREAM_WAKER + stream.index()
}

/// The number of requests that are started before more of the input is handled. Later requests
/// reuse the memory and the cache lines of earlier ones, and a reset that directly follows its
/// request usually finds it not started.
const BATCH: usize = 6;
/// Woken when the service may be ready.
const SERVICE_WAKER: usize = 0;
/// Woken when content of a closed stream was consumed.
const DETACHED_WAKER: usize = 1;
/// The waker of the stream with index 0.
const FIRST_STREAM_WAKER: usize = 2;
