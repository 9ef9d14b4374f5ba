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

use http::header::CONTENT_LENGTH;
use http::{HeaderMap, Method, Request};
use http_body::Body;
use thalweg::{
    Client, ErrorCode, Event, Field, Headers, HeadersKind, OpenError, SendError, StreamKey, Violation,
    map_fields,
};
use thalweg_io::{ConnectionEnd, SplicingConnection};
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::body::inbox::Inbox;
use crate::body::sender::{BodySender, SendStatus};
use crate::driver::Host;
use crate::driver::connection_io::Action;
use crate::driver::detached_inboxes::DetachedInboxes;
use crate::driver::waker_set::WakerSet;
use crate::error::{BoxError, Error};
use crate::fields::{Digits, content_length, without_http_1};
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
    response_open: bool,
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
    detached: DetachedInboxes,
    permits: StreamPermits,
    /// Whether the peer's settings have changed.
    has_new_settings: bool,
    /// Whether the peer's first SETTINGS frame has arrived.
    has_settings: bool,
    /// Whether all handles are dropped, so that no request will follow.
    no_handles: bool,
    end: Arc<OnceLock<Arc<ConnectionEnd>>>,
}

impl<B> ClientStreams<B>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    /// Creates an empty set. The handles read `end` after the connection has ended.
    pub(crate) fn new(
        submitted: UnboundedReceiver<PendingRequest<B>>,
        permits: StreamPermits,
        end: Arc<OnceLock<Arc<ConnectionEnd>>>,
    ) -> Self {
        Self {
            submitted,
            waiting: VecDeque::new(),
            streams: Vec::new(),
            live: 0,
            promised: Vec::new(),
            detached: DetachedInboxes::default(),
            permits,
            has_new_settings: false,
            has_settings: false,
            no_handles: false,
            end,
        }
    }

    fn find(&mut self, stream: StreamKey) -> Option<&mut ClientStream<B>> {
        let entry = self.streams.get_mut(stream.index())?.as_mut()?;
        if entry.stream == stream { Some(entry) } else { None }
    }

    fn receive_response(&mut self, stream: StreamKey, headers: &Headers<'_>, end: bool) -> Action {
        let Some(entry) = self.find(stream) else { return Action::None };
        match headers.to_response() {
            Ok(response) => {
                entry.inbox.set_content_length(content_length(response.headers()));
                entry.inbox.push_head(response);
            }
            Err(error) => {
                self.fail(stream, error.into());
                return Action::Reset(stream, ErrorCode::PROTOCOL_ERROR);
            }
        }
        if end {
            self.receive_end(stream, None);
        }
        Action::None
    }

    fn receive_informational(&mut self, stream: StreamKey, headers: &Headers<'_>) {
        let hooks = self.find(stream).and_then(|entry| entry.hooks.as_ref());
        if let (Some(hooks), Ok(response)) = (hooks, headers.to_response()) {
            hooks.call_on_informational(stream, response);
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
            response_open: true,
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
        let is_wanted = self.find(stream).is_some_and(|entry| entry.inbox.push(data));
        if end {
            self.receive_end(stream, None);
        }
        if is_wanted { Action::None } else { Action::Release(stream, data.len()) }
    }

    fn receive_trailers(&mut self, stream: StreamKey, headers: &Headers<'_>) -> Action {
        match headers.to_header_map() {
            Ok(trailers) => {
                self.receive_end(stream, Some(trailers));
                Action::None
            }
            Err(error) => {
                self.fail(stream, error.into());
                Action::Reset(stream, ErrorCode::PROTOCOL_ERROR)
            }
        }
    }

    /// Handles the end of the response, perhaps before the end of the request.
    fn receive_end(&mut self, stream: StreamKey, trailers: Option<HeaderMap>) {
        let Some(entry) = self.find(stream) else { return };
        entry.response_open = false;
        entry.inbox.finish(trailers);
        if entry.content.is_none() {
            self.remove(stream);
        }
    }

    /// Handles the early end of a stream.
    fn fail(&mut self, stream: StreamKey, error: Error) {
        if let Some(entry) = self.find(stream) {
            entry.inbox.fail(error);
            self.remove(stream);
        }
    }

    fn remove(&mut self, stream: StreamKey) {
        let Some(entry) = self.streams.get_mut(stream.index()).and_then(Option::take) else { return };
        self.live -= 1;
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
        let end = pending.request.body().is_end_stream();
        let stream = match send_head(&pending.request, end, connection) {
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
        let content = (!end).then(|| Box::pin(BodySender::new(request.into_body())));
        let permit = Some(permit);
        self.insert(ClientStream {
            stream,
            content,
            inbox,
            response_open: true,
            permit,
            hooks,
            pad_len: None,
            span,
        });
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
        let Some(entry) = self.find(stream) else { return };
        let consumed = entry.inbox.take_consumed();
        connection.release(stream, consumed.bytes);
        if consumed.reader_dropped && entry.response_open {
            // RFC 9113 §8.1 defines no gentler way to decline the rest of a response.
            connection.send_reset(stream, ErrorCode::CANCEL);
            return self.fail(stream, Error::reset(ErrorCode::CANCEL));
        }
        if let Some(pad_len) = entry.hooks.as_ref().and_then(|hooks| hooks.apply_commands(connection, stream))
        {
            entry.pad_len = pad_len;
        }
        let pad_len = entry.pad_len;
        let Some(content) = &mut entry.content else { return };
        let waker = wakers.waker(FIRST_STREAM_WAKER + stream.index());
        let mut cx = Context::from_waker(waker);
        let poll = || content.as_mut().poll_send(&mut cx, connection, stream, pad_len);
        let sent = entry.span.in_scope(|| catch_unwind(AssertUnwindSafe(poll)));
        let error = match sent {
            Ok(SendStatus::Waiting | SendStatus::Closed) => return,
            Ok(SendStatus::Yielding) => return waker.wake_by_ref(),
            Ok(SendStatus::Ended) => {
                drop_body(stream, entry.content.take());
                if !entry.response_open {
                    self.remove(stream);
                }
                return;
            }
            Ok(SendStatus::Failed(error)) => error,
            Err(panic) => {
                trace::handler_panicked(stream, panic.as_ref());
                Error::Body(Arc::new(io::Error::other("the body of the request panicked")))
            }
        };
        connection.send_reset(stream, trace::handler_failed(stream, &error));
        self.fail(stream, error);
    }

    /// Polls the exchanges whose wakers were woken. Returns whether there were any.
    fn poll_woken(&mut self, connection: &mut SplicingConnection<Client>, wakers: &mut WakerSet) -> bool {
        let mut progressed = false;
        let mut word = 0;
        while let Some(mut bits) = wakers.take_woken(word) {
            while bits != 0 {
                let index = 64 * word + bits.trailing_zeros() as usize;
                bits &= bits - 1;
                progressed = true;
                let entry = index.checked_sub(FIRST_STREAM_WAKER).and_then(|index| self.streams.get(index));
                if let Some(Some(ClientStream { stream, .. })) = entry {
                    self.poll_stream(*stream, connection, wakers);
                }
            }
            word += 1;
        }
        progressed
    }
}

impl<B> Host for ClientStreams<B>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    type Role = Client;

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
            Event::Reset { stream, code, by } => self.fail(stream, Error::Reset { code, by }),
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
        let mut progressed = self.poll_woken(connection, wakers);
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

/// Opens a stream with the headers of a request.
fn send_head<B: Body>(
    request: &Request<B>,
    end: bool,
    connection: &mut SplicingConnection<Client>,
) -> Result<StreamKey, OpenError> {
    let headers = request.headers();
    let protocol = request.extensions().get::<Protocol>();
    // RFC 9110 §8.6, §9.3.6: tunnelled data has no length.
    let is_tunnel = protocol.is_some() || request.method() == Method::CONNECT;
    let size = if end || is_tunnel { None } else { request.body().size_hint().exact() };
    let mut digits = Digits::default();
    let len = size.filter(|_| !headers.contains_key(CONTENT_LENGTH));
    let len = len.map(|len| Field::new(b"content-length", digits.format(len)));
    let head = match protocol {
        // Extended CONNECT has the control data of any other request, and CONNECT as its method.
        Some(protocol) => {
            thalweg::Request::from_http(&Method::GET, request.uri()).with_protocol(protocol.as_bytes())
        }
        None => thalweg::Request::from_http(request.method(), request.uri()),
    };
    match connection.send_request(&head, map_fields(headers).chain(len), end) {
        Err(OpenError::Send(SendError::Malformed(Violation::FieldConnectionSpecific))) => {
            connection.send_request(&head, without_http_1(map_fields(headers)).chain(len), end)
        }
        sent => sent,
    }
}

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
