//! All exchanges of a server's connection: the server's side of the driver.
//!
//! Keeps true: an exchange leaves when its response is sent and its request has ended or is not wanted; content that the service
//! has not consumed keeps its place in the connection's window even when its exchange has left.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use thalweg::{ErrorCode, Event, Headers, HeadersKind, Priority, RecentValues, Server, Status, StreamKey};
use tower_service::Service;

use crate::body::Body;
use crate::doorbell::Doorbell;
use crate::driver::Application;
use crate::error::{BoxError, End, Error};
use crate::fields::content_length;
use crate::inbox::Inbox;
use crate::link::Link;
use crate::log;
use crate::orphans::Orphans;
use crate::protocol::Protocol;
use crate::wire::Followup;

use super::date::Date;
use super::exchange::{Exchange, Outcome, PinnedStage, Stage};
use super::stream_handle::StreamHandle;

/// The exchanges, by the index of their streams, and those who wait for something else.
pub struct Exchanges<S, B>
where
    S: Service<Request<Body>>,
    B: http_body::Body,
{
    service: S,
    exchanges: Vec<Option<Exchange<S::Future, B>>>,
    live: usize,
    /// Memory of exchanges that have left, for those to come.
    spare: Vec<PinnedStage<S::Future, B>>,
    /// Requests that the service has not got yet, in the order of their arrival.
    arrived: VecDeque<(StreamKey, Request<Body>)>,
    /// Requests that cannot be represented, and whether they had ended.
    refused: Vec<(StreamKey, bool)>,
    orphans: Orphans,
    /// Whether each request gets a handle to its stream.
    gives_handles: bool,
    /// What requests repeat, from the second on: one alone would pay for what is forgotten when the connection rests.
    recent: Option<RecentValues>,
    /// The date of responses. One look at the clock serves all that are sent together.
    date: Option<Date>,
}

impl<S, B> Exchanges<S, B>
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Error: Into<BoxError>,
    B: http_body::Body,
    B::Error: Into<BoxError>,
{
    /// Starts without any.
    pub const fn new(service: S) -> Self {
        Self {
            service,
            exchanges: Vec::new(),
            live: 0,
            spare: Vec::new(),
            arrived: VecDeque::new(),
            refused: Vec::new(),
            orphans: Orphans::new(),
            gives_handles: false,
            date: None,
            recent: None,
        }
    }

    /// Each request gets a handle to its stream.
    pub fn give_handles(&mut self) {
        self.gives_handles = true;
    }

    fn find(&mut self, stream: StreamKey) -> Option<&mut Exchange<S::Future, B>> {
        let exchange = self.exchanges.get_mut(stream.index())?.as_mut()?;
        if exchange.stream == stream { Some(exchange) } else { None }
    }

    /// A request has come; the service gets it in `work`.
    fn hear_request(&mut self, stream: StreamKey, headers: &Headers<'_>, end: bool) {
        let request = match &mut self.recent {
            Some(recent) => headers.to_request_with(recent),
            None => {
                self.recent = Some(RecentValues::new());
                headers.to_request()
            }
        };
        let Ok(request) = request else {
            self.refused.push((stream, end));
            return;
        };
        let inbox = (!end).then(|| Arc::new(Inbox::new(None)));
        let length = content_length(request.headers());
        let mut request = request.map(|()| match &inbox {
            None => Body::empty(),
            Some(inbox) => {
                inbox.announce(length);
                Body::new(Arc::clone(inbox))
            }
        });
        if let Some(protocol) = headers.protocol() {
            request.extensions_mut().insert(Protocol::new(protocol.to_vec()));
        }
        self.arrive(stream, request, inbox);
    }

    /// Makes an exchange of a request, which has ended if there is no inbox for the rest of it.
    pub fn arrive(&mut self, stream: StreamKey, mut request: Request<Body>, inbox: Option<Arc<Inbox>>) {
        let handle = self.gives_handles.then(|| {
            let priority = request.headers().get("priority");
            let priority = priority.map_or_else(Priority::default, |text| Priority::parse(text.as_bytes()));
            let handle = StreamHandle::new(priority);
            request.extensions_mut().insert(handle.clone());
            handle
        });
        if self.exchanges.len() <= stream.index() {
            self.exchanges.resize_with(stream.index() + 1, || None);
        }
        self.exchanges[stream.index()] = Some(Exchange {
            stream,
            stage: self.spare.pop().unwrap_or_else(|| Box::pin(Stage::Arrived)),
            request_open: inbox.is_some(),
            inbox,
            method: request.method().clone(),
            span: log::Span::new(stream, request.method(), request.uri()),
            handle,
            promised: Vec::new(),
            pad_len: None,
        });
        self.live += 1;
        self.arrived.push_back((stream, request));
    }

    fn hear_data(&mut self, stream: StreamKey, data: &[u8], end: bool) -> Followup {
        let inbox = self.find(stream).and_then(|exchange| exchange.inbox.as_ref());
        let is_wanted = inbox.is_some_and(|inbox| inbox.push(data));
        if end {
            self.hear_end(stream, None);
        }
        if is_wanted { Followup::None } else { Followup::Release(stream, data.len()) }
    }

    fn hear_trailers(&mut self, stream: StreamKey, headers: &Headers<'_>) -> Followup {
        match headers.to_header_map() {
            Ok(trailers) => {
                self.hear_end(stream, Some(trailers));
                Followup::None
            }
            Err(error) => {
                self.hear_reset(stream, error.into());
                Followup::Reset(stream, ErrorCode::PROTOCOL_ERROR)
            }
        }
    }

    /// The request has ended, perhaps long after its response.
    fn hear_end(&mut self, stream: StreamKey, trailers: Option<http::HeaderMap>) {
        let Some(exchange) = self.find(stream) else { return };
        exchange.request_open = false;
        if let Some(inbox) = &exchange.inbox {
            inbox.finish(trailers);
        }
        if matches!(*exchange.stage, Stage::Responded) {
            self.leave(stream);
        }
    }

    fn hear_reset(&mut self, stream: StreamKey, error: Error) {
        let Some(exchange) = self.find(stream) else { return };
        if let Some(inbox) = exchange.inbox.take() {
            inbox.fail(error);
        }
        if matches!(*exchange.stage, Stage::Arrived) {
            self.arrived.retain(|(waiting, _)| *waiting != stream);
        }
        self.leave(stream);
    }

    /// An exchange is over. What is unread of its request goes on being accounted for.
    fn leave(&mut self, stream: StreamKey) {
        let Some(mut exchange) = self.exchanges.get_mut(stream.index()).and_then(Option::take) else {
            return;
        };
        self.live -= 1;
        exchange.abandon();
        if let Some(handle) = &exchange.handle {
            handle.end();
        }
        exchange.stage.set(Stage::Arrived);
        self.spare.push(exchange.stage);
        if let Some(inbox) = exchange.inbox {
            self.orphans.adopt(stream, inbox);
        }
    }

    /// Starts the requests that have arrived, as far as the service is ready. Returns whether any was.
    fn start_arrived(&mut self, connection: &mut Link<Server>, doorbell: &mut Doorbell) -> bool {
        let mut moved = false;
        while let Some((stream, _)) = self.arrived.front() {
            let stream = *stream;
            let bell = doorbell.bell(SERVICE_BELL);
            let mut cx = Context::from_waker(bell);
            let service = &mut self.service;
            let ready = match catch_unwind(AssertUnwindSafe(|| service.poll_ready(&mut cx))) {
                Ok(Poll::Pending) => break,
                Ok(Poll::Ready(Ok(()))) => Ok(()),
                Ok(Poll::Ready(Err(error))) => Err(log::failed(stream, &*error.into())),
                Err(panic) => Err(log::panicked(stream, panic.as_ref())),
            };
            let Some((_, request)) = self.arrived.pop_front() else { break };
            moved = true;
            match ready.and_then(|()| self.call(stream, request, doorbell)) {
                Ok(()) => self.poll_exchange(stream, connection, doorbell),
                Err(code) => self.reset(stream, code, connection),
            }
        }
        moved
    }

    /// Hands a request to the service.
    fn call(
        &mut self,
        stream: StreamKey,
        request: Request<Body>,
        doorbell: &mut Doorbell,
    ) -> Result<(), ErrorCode> {
        let service = &mut self.service;
        let Some(Some(exchange)) = self.exchanges.get_mut(stream.index()) else { return Ok(()) };
        if let Some(inbox) = &exchange.inbox {
            inbox.set_bell(Some(doorbell.bell(bell_of(stream)).clone()));
        }
        if let Some(handle) = &exchange.handle {
            handle.set_bell(doorbell.bell(bell_of(stream)).clone());
        }
        let handler = exchange
            .span
            .in_scope(|| catch_unwind(AssertUnwindSafe(|| service.call(request))))
            .map_err(|panic| log::panicked(stream, panic.as_ref()))?;
        exchange.stage.set(Stage::Handling { handler });
        Ok(())
    }

    fn reset(&mut self, stream: StreamKey, code: ErrorCode, connection: &mut Link<Server>) {
        connection.send_reset(stream, code);
        self.hear_reset(stream, Error::reset(code));
    }

    /// Lets one exchange go on, and credits what its service has consumed.
    fn poll_exchange(&mut self, stream: StreamKey, connection: &mut Link<Server>, doorbell: &mut Doorbell) {
        let date = self.date;
        let Some(exchange) = self.find(stream) else { return };
        let bell = doorbell.bell(bell_of(stream));
        let outcome = exchange.poll(&mut Context::from_waker(bell), connection, date);
        let promised = std::mem::take(&mut exchange.promised);
        if outcome == Outcome::Responded {
            // With the handler's last part it lets go of the request.
            exchange.abandon();
        }
        let mut is_read = false;
        if let Some(inbox) = &exchange.inbox {
            let claim = inbox.claim();
            is_read = !claim.reader_gone;
            if claim.bytes > 0 {
                connection.release(stream, claim.bytes);
            }
            if !exchange.request_open && !claim.held {
                exchange.inbox = None;
            }
        }
        match outcome {
            Outcome::Yielding => bell.wake_by_ref(),
            Outcome::Reset(code) => self.reset(stream, code, connection),
            Outcome::Responded if !exchange.request_open => self.leave(stream),
            // RFC 9113 §8.1: the response is whole, and nobody will read the rest of the request.
            Outcome::Responded if !is_read => self.reset(stream, ErrorCode::NO_ERROR, connection),
            Outcome::Responded | Outcome::Waiting => {}
        }
        for (stream, request) in promised {
            self.arrive(stream, request.map(|()| Body::empty()), None);
        }
    }

    /// Polls those who rang. Returns whether anybody had.
    fn answer(&mut self, connection: &mut Link<Server>, doorbell: &mut Doorbell) -> bool {
        let mut moved = false;
        let mut word = 0;
        while let Some(mut bits) = doorbell.take(word) {
            while bits != 0 {
                let bell = 64 * word + bits.trailing_zeros() as usize;
                bits &= bits - 1;
                moved = true;
                let exchange = bell.checked_sub(FIRST_BELL).and_then(|index| self.exchanges.get(index));
                if let Some(Some(Exchange { stream, .. })) = exchange {
                    self.poll_exchange(*stream, connection, doorbell);
                }
            }
            word += 1;
        }
        moved
    }

    /// Answers requests that no service could be given.
    fn refuse(&mut self, connection: &mut Link<Server>) {
        for (stream, has_ended) in std::mem::take(&mut self.refused) {
            let status = Status::from(http::StatusCode::BAD_REQUEST);
            if connection.send_response(stream, status, [], true).is_ok() && !has_ended {
                connection.send_reset(stream, ErrorCode::NO_ERROR);
            }
        }
    }
}

impl<S, B> Application for Exchanges<S, B>
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Error: Into<BoxError>,
    B: http_body::Body,
    B::Error: Into<BoxError>,
{
    type Role = Server;

    fn hear(&mut self, event: Event<'_, '_>) -> Followup {
        match event {
            Event::Headers { stream, kind: HeadersKind::Request, headers, end } => {
                self.hear_request(stream, &headers, end);
                if self.arrived.len().is_multiple_of(BATCH) {
                    return Followup::Work;
                }
            }
            Event::Headers { stream, kind: HeadersKind::Trailers, headers, .. } => {
                return self.hear_trailers(stream, &headers);
            }
            Event::Data { stream, data, end } => return self.hear_data(stream, data, end),
            Event::Priority { stream, priority } => {
                if let Some(handle) = self.find(stream).and_then(|exchange| exchange.handle.as_ref()) {
                    handle.note_priority(priority);
                }
            }
            Event::Reset { stream, code, by } => self.hear_reset(stream, Error::Reset { code, by }),
            _ => {}
        }
        Followup::None
    }

    fn start(&mut self, connection: &mut Link<Server>, doorbell: &mut Doorbell) {
        self.date = Date::now();
        self.start_arrived(connection, doorbell);
    }

    fn work(&mut self, _: &mut Context<'_>, connection: &mut Link<Server>, doorbell: &mut Doorbell) -> bool {
        if self.live > 0 {
            self.date = Date::now();
        }
        let mut moved = self.start_arrived(connection, doorbell);
        moved |= self.answer(connection, doorbell);
        while let Some(stream) = connection.poll_writable() {
            moved = true;
            self.poll_exchange(stream, connection, doorbell);
        }
        if !self.orphans.is_empty() {
            self.orphans.claim(connection, doorbell.bell(ORPHANS_BELL));
        }
        if !self.refused.is_empty() {
            self.refuse(connection);
        }
        moved
    }

    fn move_bells(&mut self, doorbell: &mut Doorbell) {
        self.orphans.forget_bell();
        for exchange in self.exchanges.iter_mut().flatten() {
            let bell = doorbell.bell(bell_of(exchange.stream));
            if let Some(inbox) = &exchange.inbox {
                inbox.set_bell(Some(bell.clone()));
            }
            if let Some(handle) = &exchange.handle {
                handle.set_bell(bell.clone());
            }
            bell.wake_by_ref();
        }
    }

    fn end(&mut self, end: &Arc<End>) {
        self.arrived.clear();
        self.orphans.clear();
        for mut exchange in self.exchanges.drain(..).flatten() {
            if let Some(inbox) = exchange.inbox.take() {
                inbox.fail(Error::Connection { end: Arc::clone(end), processed: true });
            }
            exchange.abandon();
            if let Some(handle) = &exchange.handle {
                handle.end();
            }
        }
        self.live = 0;
    }

    fn rest(&mut self) -> bool {
        let is_idle = self.live == 0 && self.orphans.is_empty();
        if is_idle {
            self.exchanges = Vec::new();
            self.spare = Vec::new();
            self.recent = None;
        }
        is_idle
    }
}

const fn bell_of(stream: StreamKey) -> usize {
    FIRST_BELL + stream.index()
}

/// So many requests are begun before more of what was read is heard: what the one leaves in the allocator and the caches serves
/// the next, and a reset that comes behind its request still finds it not begun.
const BATCH: usize = 6;
/// Rung when the service may be ready.
const SERVICE_BELL: usize = 0;
/// Rung when content of a stream that has ended was consumed.
const ORPHANS_BELL: usize = 1;
/// The bell of the stream with index 0.
const FIRST_BELL: usize = 2;
