//! All exchanges of a client's connection: the client's side of the driver.
//!
//! Keeps true: an exchange leaves when both its halves have ended or nobody wants its response any more; its place among the
//! streams that the peer allows is given back then, and not before.

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
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::content::{Content, Progress};
use crate::doorbell::Doorbell;
use crate::driver::Application;
use crate::error::{BoxError, End, Error};
use crate::fields::{Digits, content_length, without_http_1};
use crate::inbox::Inbox;
use crate::link::Link;
use crate::log;
use crate::orphans::Orphans;
use crate::protocol::Protocol;
use crate::wire::Followup;

use super::extras::Extras;
use super::room::Room;

/// A request on its way to the driver.
pub struct Order<B> {
    /// The request.
    pub request: Request<B>,
    /// Where its response goes.
    pub inbox: Arc<Inbox>,
    /// Its place among the streams that the peer allows.
    pub permit: OwnedSemaphorePermit,
}

/// A request that was sent, and its response.
struct Exchange<B: Body> {
    stream: StreamKey,
    /// What is left to send.
    content: Option<Pin<Box<Content<B>>>>,
    inbox: Arc<Inbox>,
    response_open: bool,
    /// Its place among the streams that the peer allows; a pushed stream takes none.
    permit: Option<OwnedSemaphorePermit>,
    extras: Option<Box<Extras>>,
    /// Padding in each frame of content.
    pad_len: Option<u8>,
    span: log::Span,
}

/// The exchanges, by the index of their streams, and the requests that wait for theirs.
pub struct Requests<B: Body> {
    orders: UnboundedReceiver<Order<B>>,
    /// What the core had no room for; it goes before new orders.
    waiting: VecDeque<Order<B>>,
    exchanges: Vec<Option<Exchange<B>>>,
    live: usize,
    /// Promised streams whose inboxes have no bell yet.
    promised: Vec<StreamKey>,
    orphans: Orphans,
    room: Room,
    /// The peer's settings have changed.
    has_new_settings: bool,
    /// The peer's first settings have come.
    has_settings: bool,
    /// No handle is left: nothing more will be ordered.
    is_abandoned: bool,
    end: Arc<OnceLock<Arc<End>>>,
}

impl<B> Requests<B>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    /// Starts without any. `end` is where the handles look when the connection is over.
    pub fn new(orders: UnboundedReceiver<Order<B>>, room: Room, end: Arc<OnceLock<Arc<End>>>) -> Self {
        Self {
            orders,
            waiting: VecDeque::new(),
            exchanges: Vec::new(),
            live: 0,
            promised: Vec::new(),
            orphans: Orphans::default(),
            room,
            has_new_settings: false,
            has_settings: false,
            is_abandoned: false,
            end,
        }
    }

    fn find(&mut self, stream: StreamKey) -> Option<&mut Exchange<B>> {
        let exchange = self.exchanges.get_mut(stream.index())?.as_mut()?;
        if exchange.stream == stream { Some(exchange) } else { None }
    }

    fn hear_response(&mut self, stream: StreamKey, headers: &Headers<'_>, end: bool) -> Followup {
        let Some(exchange) = self.find(stream) else { return Followup::None };
        match headers.to_response() {
            Ok(response) => {
                exchange.inbox.announce(content_length(response.headers()));
                exchange.inbox.push_head(response);
            }
            Err(error) => {
                self.fail(stream, error.into());
                return Followup::Reset(stream, ErrorCode::PROTOCOL_ERROR);
            }
        }
        if end {
            self.hear_end(stream, None);
        }
        Followup::None
    }

    fn hear_informational(&mut self, stream: StreamKey, headers: &Headers<'_>) {
        let extras = self.find(stream).and_then(|exchange| exchange.extras.as_ref());
        if let (Some(extras), Ok(response)) = (extras, headers.to_response()) {
            extras.inform(stream, response);
        }
    }

    /// The server promises a response to a request that it makes up.
    fn hear_push(&mut self, parent: StreamKey, stream: StreamKey, headers: &Headers<'_>) -> Followup {
        let extras = self.find(parent).and_then(|exchange| exchange.extras.as_ref());
        let (Some(extras), Ok(request)) = (extras.filter(|extras| extras.wants_push()), headers.to_request())
        else {
            return Followup::Reset(stream, ErrorCode::CANCEL);
        };
        let inbox = Arc::new(Inbox::new(None));
        let span = log::Span::new(stream, request.method(), request.uri());
        extras.promise(stream, request, Arc::clone(&inbox));
        let exchange = Exchange {
            stream,
            content: None,
            inbox,
            response_open: true,
            permit: None,
            extras: None,
            pad_len: None,
            span,
        };
        self.promised.push(stream);
        self.enter(exchange);
        Followup::None
    }

    fn enter(&mut self, exchange: Exchange<B>) {
        let index = exchange.stream.index();
        if self.exchanges.len() <= index {
            self.exchanges.resize_with(index + 1, || None);
        }
        self.exchanges[index] = Some(exchange);
        self.live += 1;
    }

    fn hear_data(&mut self, stream: StreamKey, data: &[u8], end: bool) -> Followup {
        let is_wanted = self.find(stream).is_some_and(|exchange| exchange.inbox.push(data));
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
                self.fail(stream, error.into());
                Followup::Reset(stream, ErrorCode::PROTOCOL_ERROR)
            }
        }
    }

    /// The response has ended, perhaps before its request.
    fn hear_end(&mut self, stream: StreamKey, trailers: Option<HeaderMap>) {
        let Some(exchange) = self.find(stream) else { return };
        exchange.response_open = false;
        exchange.inbox.finish(trailers);
        if exchange.content.is_none() {
            self.leave(stream);
        }
    }

    /// The stream is over before its time.
    fn fail(&mut self, stream: StreamKey, error: Error) {
        if let Some(exchange) = self.find(stream) {
            exchange.inbox.fail(error);
            self.leave(stream);
        }
    }

    fn leave(&mut self, stream: StreamKey) {
        let Some(exchange) = self.exchanges.get_mut(stream.index()).and_then(Option::take) else { return };
        self.live -= 1;
        if let Some(permit) = exchange.permit {
            self.room.give_back(permit);
        }
        self.orphans.adopt(stream, exchange.inbox);
        drop_content(stream, exchange.content);
    }

    /// Sends what was ordered. Returns whether anything was.
    fn send(&mut self, cx: &mut Context<'_>, connection: &mut Link<Client>, doorbell: &mut Doorbell) -> bool {
        let mut moved = false;
        while let Some(order) = self.waiting.pop_front() {
            if let Some(order) = self.open(order, connection, doorbell) {
                self.waiting.push_front(order);
                return moved;
            }
            moved = true;
        }
        while let Poll::Ready(order) = self.orders.poll_recv(cx) {
            let Some(order) = order else {
                self.is_abandoned = true;
                break;
            };
            moved = true;
            if let Some(order) = self.open(order, connection, doorbell) {
                self.waiting.push_back(order);
                break;
            }
        }
        moved
    }

    /// Opens a stream for an order. Gives the order back if it must wait.
    fn open(
        &mut self,
        order: Order<B>,
        connection: &mut Link<Client>,
        doorbell: &mut Doorbell,
    ) -> Option<Order<B>> {
        if order.inbox.is_abandoned() {
            return None;
        }
        // RFC 8441 §3: whether the server knows extended CONNECT is in its first settings.
        if !self.has_settings && order.request.extensions().get::<Protocol>().is_some() {
            return Some(order);
        }
        let end = order.request.body().is_end_stream();
        let stream = match send_head(&order.request, end, connection) {
            Ok(stream) => stream,
            Err(OpenError::TooManyStreams { .. }) => return Some(order),
            Err(error) => {
                order.inbox.fail(error.into());
                return None;
            }
        };
        let Order { mut request, inbox, permit } = order;
        let bell = doorbell.bell(FIRST_BELL + stream.index());
        inbox.set_bell(Some(bell.clone()));
        let extras = Extras::take(request.extensions_mut());
        if let Some(extras) = &extras {
            extras.set_bell(bell);
        }
        let span = log::Span::new(stream, request.method(), request.uri());
        let content = (!end).then(|| Box::pin(Content::new(request.into_body())));
        let permit = Some(permit);
        self.enter(Exchange {
            stream,
            content,
            inbox,
            response_open: true,
            permit,
            extras,
            pad_len: None,
            span,
        });
        self.poll_exchange(stream, connection, doorbell);
        None
    }

    /// Lets one exchange go on, and credits what was consumed of its response.
    fn poll_exchange(&mut self, stream: StreamKey, connection: &mut Link<Client>, doorbell: &mut Doorbell) {
        let Some(exchange) = self.find(stream) else { return };
        let claim = exchange.inbox.claim();
        connection.release(stream, claim.bytes);
        if claim.reader_gone && exchange.response_open {
            // RFC 9113 §8.1 has no gentler way to say that a response is no longer wanted.
            connection.send_reset(stream, ErrorCode::CANCEL);
            return self.fail(stream, Error::reset(ErrorCode::CANCEL));
        }
        if let Some(pad_len) = exchange.extras.as_ref().and_then(|extras| extras.grant(connection, stream)) {
            exchange.pad_len = pad_len;
        }
        let pad_len = exchange.pad_len;
        let Some(content) = &mut exchange.content else { return };
        let bell = doorbell.bell(FIRST_BELL + stream.index());
        let mut cx = Context::from_waker(bell);
        let poll = || content.as_mut().poll_send(&mut cx, connection, stream, pad_len);
        let sent = exchange.span.in_scope(|| catch_unwind(AssertUnwindSafe(poll)));
        let error = match sent {
            Ok(Progress::Waiting | Progress::Gone) => return,
            Ok(Progress::Yielding) => return bell.wake_by_ref(),
            Ok(Progress::Ended) => {
                drop_content(stream, exchange.content.take());
                if !exchange.response_open {
                    self.leave(stream);
                }
                return;
            }
            Ok(Progress::Failed(error)) => error,
            Err(panic) => {
                log::panicked(stream, panic.as_ref());
                Error::Body(Arc::new(io::Error::other("the body of the request panicked")))
            }
        };
        connection.send_reset(stream, log::failed(stream, &error));
        self.fail(stream, error);
    }

    /// Polls those who rang. Returns whether anybody had.
    fn answer(&mut self, connection: &mut Link<Client>, doorbell: &mut Doorbell) -> bool {
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
}

impl<B> Application for Requests<B>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    type Role = Client;

    fn hear(&mut self, event: Event<'_, '_>) -> Followup {
        match event {
            Event::Headers { stream, kind: HeadersKind::Response, headers, end } => {
                return self.hear_response(stream, &headers, end);
            }
            Event::Headers { stream, kind: HeadersKind::Trailers, headers, .. } => {
                return self.hear_trailers(stream, &headers);
            }
            Event::Headers { stream, kind: HeadersKind::Informational, headers, .. } => {
                self.hear_informational(stream, &headers);
            }
            Event::Headers { stream, kind: HeadersKind::Push { parent }, headers, .. } => {
                return self.hear_push(parent, stream, &headers);
            }
            Event::Data { stream, data, end } => return self.hear_data(stream, data, end),
            Event::Reset { stream, code, by } => self.fail(stream, Error::Reset { code, by }),
            Event::Settings { .. } => self.has_new_settings = true,
            Event::GoAway { .. } => self.room.close(),
            _ => {}
        }
        Followup::None
    }

    /// What comes goes to inboxes at once; there is nothing to begin.
    fn start(&mut self, _: &mut Link<Client>, _: &mut Doorbell) {}

    fn work(&mut self, cx: &mut Context<'_>, connection: &mut Link<Client>, doorbell: &mut Doorbell) -> bool {
        if self.has_new_settings {
            self.has_new_settings = false;
            self.has_settings = true;
            self.room.set_limit(connection.remote_settings().max_concurrent_streams);
        }
        let mut moved = self.answer(connection, doorbell);
        for stream in std::mem::take(&mut self.promised) {
            if let Some(exchange) = self.find(stream) {
                exchange.inbox.set_bell(Some(doorbell.bell(FIRST_BELL + stream.index()).clone()));
                self.poll_exchange(stream, connection, doorbell);
            }
        }
        moved |= self.send(cx, connection, doorbell);
        while let Some(stream) = connection.poll_writable() {
            moved = true;
            self.poll_exchange(stream, connection, doorbell);
        }
        if !self.orphans.is_empty() {
            self.orphans.claim(connection, doorbell.bell(ORPHANS_BELL));
        }
        if self.is_abandoned && self.live == 0 && self.waiting.is_empty() {
            connection.shutdown();
        }
        moved
    }

    fn move_bells(&mut self, doorbell: &mut Doorbell) {
        self.orphans.forget_bell();
        for exchange in self.exchanges.iter().flatten() {
            let bell = doorbell.bell(FIRST_BELL + exchange.stream.index());
            exchange.inbox.set_bell(Some(bell.clone()));
            if let Some(extras) = &exchange.extras {
                extras.set_bell(bell);
            }
            bell.wake_by_ref();
        }
    }

    fn end(&mut self, end: &Arc<End>) {
        let error = |processed| Error::Connection { end: Arc::clone(end), processed };
        // Whoever orders from now on finds out why, in this order: the reason first, then the refusal.
        let _ = self.end.set(Arc::clone(end));
        self.room.close();
        self.orders.close();
        for exchange in self.exchanges.drain(..).flatten() {
            let last = end.report.retry_above;
            exchange.inbox.fail(error(last.is_none_or(|last| exchange.stream.id() <= last)));
            drop_content(exchange.stream, exchange.content);
        }
        self.live = 0;
        self.orphans.clear();
        let mut ordered = std::mem::take(&mut self.waiting);
        while let Ok(order) = self.orders.try_recv() {
            ordered.push_back(order);
        }
        for order in ordered {
            order.inbox.fail(error(false));
        }
    }

    fn rest(&mut self) -> bool {
        let is_idle = self.live == 0 && self.orphans.is_empty();
        if is_idle {
            self.exchanges = Vec::new();
        }
        is_idle
    }
}

/// Opens a stream with the head of a request.
fn send_head<B: Body>(
    request: &Request<B>,
    end: bool,
    connection: &mut Link<Client>,
) -> Result<StreamKey, OpenError> {
    let headers = request.headers();
    let protocol = request.extensions().get::<Protocol>();
    // RFC 9110 §8.6, §9.3.6: what goes through a tunnel has no length.
    let is_tunnel = protocol.is_some() || request.method() == Method::CONNECT;
    let size = if end || is_tunnel { None } else { request.body().size_hint().exact() };
    let mut digits = Digits::default();
    let len = size.filter(|_| !headers.contains_key(CONTENT_LENGTH));
    let len = len.map(|len| Field::new(b"content-length", digits.format(len)));
    let head = match protocol {
        // It has the control data of any other request, and CONNECT for its method.
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

/// Drops what is left of a body. A panic goes no further.
fn drop_content<B: Body>(stream: StreamKey, content: Option<Pin<Box<Content<B>>>>) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(content))) {
        log::panicked(stream, panic.as_ref());
    }
}

/// Rung when content of a stream that has ended was consumed.
const ORPHANS_BELL: usize = 0;
/// The bell of the stream with index 0.
const FIRST_BELL: usize = 1;
