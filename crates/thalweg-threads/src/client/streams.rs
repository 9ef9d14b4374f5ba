//! The client's side of a driver: passes requests from callers to the core, and responses to their
//! exchanges.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use thalweg::{Client, ConfigError, ErrorCode, Headers, HeadersKind, OpenError, SendError, StreamKey};
use thalweg_http::Method;
use thalweg_http::exchange::{Exchange as Life, Input};
use thalweg_http::expect::Expectation;
use thalweg_io::{ConnectionEnd, NegotiationError, Rejection, SplicingConnection};

use crate::body::exchange::{BufferLimits, Exchange, Finish, StreamCommand};
use crate::client::end_signal::EndSignal;
use crate::client::pending_response::{PendingResponse, Pushed};
use crate::client::push_stream::PushSender;
use crate::commands::{ClientMailbox, OpenRequest};
use crate::driver::options::DriverOptions;
use crate::driver::stream_table::{StreamEntry, StreamTable};
use crate::driver::{Driver, Host, Negotiated};
use crate::error::Error;
use crate::mailbox::Mailbox;
use crate::message::{Request, Response};
use crate::transport::Transport;

/// The streams of a client's connection.
pub struct ClientStreams {
    scheme: &'static str,
    authority: String,
    /// Requests at the peer's limit of streams. Their callers wait.
    pending: VecDeque<Box<OpenRequest>>,
    /// Whether the peer's first SETTINGS frame has arrived.
    has_settings: bool,
    end_signal: Arc<EndSignal>,
    pushes: Arc<PushSender>,
    mailbox: Arc<ClientMailbox>,
    limits: BufferLimits,
}

/// Drives one connection of a client; [`Builder::driver`](super::Builder::driver) creates it.
pub type ClientDriver<T> = Driver<ClientStreams, T>;

impl<T: Transport> ClientDriver<T> {
    pub(super) fn new(
        transport: T,
        scheme: &'static str,
        authority: String,
        options: &DriverOptions<Client>,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> Result<(Self, super::Client), ConfigError> {
        let mailbox = Arc::new(Mailbox::new(Box::new(wake)));
        let end_signal = Arc::new(EndSignal::default());
        let pushes = Arc::new(PushSender::default());
        let limits = options.buffer_limits();
        let host = ClientStreams {
            scheme,
            authority,
            pending: VecDeque::new(),
            has_settings: false,
            end_signal: Arc::clone(&end_signal),
            pushes: Arc::clone(&pushes),
            mailbox: Arc::clone(&mailbox),
            limits,
        };
        let driver = Self::start(transport, options, host, false, Arc::clone(&mailbox))?;
        Ok((driver, super::Client::new(mailbox, end_signal, pushes, limits)))
    }
}

impl ClientStreams {
    /// Sends a request. Returns it if the peer allows no further stream.
    fn open_stream(
        &self,
        connection: &mut SplicingConnection<Client>,
        table: &mut StreamTable,
        open: Box<OpenRequest>,
    ) -> Option<Box<OpenRequest>> {
        if !open.exchange.is_wanted() {
            return None;
        }
        let control = open.head.control(self.scheme, &self.authority);
        let ends = open.chunk.as_slice().is_empty() && matches!(open.finish, Some(Finish::End));
        let stream = match connection.send_request(&control, open.head.fields.iter(), ends) {
            Ok(stream) => stream,
            Err(OpenError::TooManyStreams { .. }) => return Some(open),
            // RFC 8441 §3: the server announces extended CONNECT in its SETTINGS, which have not
            // arrived yet.
            Err(OpenError::Send(SendError::NotAllowedByPeer)) if !self.has_settings => return Some(open),
            Err(error) => {
                open.exchange.deliver_end(Error::Open(error));
                return None;
            }
        };
        let OpenRequest { head, chunk, finish, exchange } = *open;
        let method = Method::of(head.method().as_bytes());
        table.insert(StreamEntry::new(stream, Arc::clone(&exchange), Life::client(method)));
        if !exchange.open(stream) {
            table.handle(connection, stream, Input::ReaderDropped, None);
        } else if ends {
            table.handle(connection, stream, Input::OutboundEnded, None);
        } else {
            table.expect(stream, Expectation::of(head.fields.iter()));
            table.send(connection, stream, chunk, finish);
        }
        None
    }
}

impl ClientStreams {
    /// Handles PUSH_PROMISE (RFC 9113 §8.4). Cancels the push if there is no receiver.
    fn receive_push(
        &mut self,
        table: &mut StreamTable,
        stream: StreamKey,
        headers: &Headers<'_>,
    ) -> Option<ErrorCode> {
        let exchange = Exchange::new(Arc::clone(&self.mailbox) as _, self.limits, Some(stream));
        table.insert(StreamEntry::new(stream, Arc::clone(&exchange), Life::client_push()));
        let request = Request::from_block(headers, None);
        if self.pushes.send(Pushed { request, response: PendingResponse::new(exchange, None) }) {
            return None;
        }
        table.remove(stream);
        Some(ErrorCode::CANCEL)
    }
}

impl Host for ClientStreams {
    type Role = Client;
    type Message = Box<OpenRequest>;

    fn open(
        &mut self,
        _: &mut SplicingConnection<Client>,
        _: &mut StreamTable,
        _: &mut &[u8],
    ) -> Result<Option<Negotiated>, Rejection> {
        // A client needs no detection: it speaks HTTP/2 first.
        Ok(Some(Negotiated { prefetched: &[], response: &[] }))
    }

    fn open_eof(&mut self) -> Rejection {
        Rejection::without_response(NegotiationError::NoData)
    }

    fn receive_headers(
        &mut self,
        table: &mut StreamTable,
        stream: StreamKey,
        kind: HeadersKind,
        headers: &Headers<'_>,
        end: bool,
    ) -> Option<ErrorCode> {
        match (kind, table.find(stream)) {
            (HeadersKind::Response, Some(entry)) => {
                let end = end.then_some(entry.is_uploading());
                entry.exchange.deliver_head(Response::from_block(headers), end);
            }
            (HeadersKind::Trailers, Some(entry)) => {
                let reports_end = entry.is_uploading();
                entry.exchange.deliver_trailers(headers.fields().collect(), reports_end);
            }
            (HeadersKind::Informational, Some(entry)) => {
                entry.exchange.deliver_informational(Response::from_block(headers));
            }
            (HeadersKind::Push { .. }, _) => return self.receive_push(table, stream, headers),
            _ => {}
        }
        None
    }

    fn execute(
        &mut self,
        connection: &mut SplicingConnection<Client>,
        table: &mut StreamTable,
        message: Box<OpenRequest>,
    ) {
        // Earlier requests go first.
        if self.pending.is_empty() {
            self.pending.extend(self.open_stream(connection, table, message));
        } else {
            self.pending.push_back(message);
        }
    }

    fn execute_stream_command(
        &mut self,
        connection: &mut SplicingConnection<Client>,
        table: &mut StreamTable,
        stream: StreamKey,
        command: StreamCommand,
    ) {
        table.execute(connection, stream, command);
    }

    fn streams_available(&mut self, connection: &mut SplicingConnection<Client>, table: &mut StreamTable) {
        while let Some(open) = self.pending.pop_front() {
            if let Some(open) = self.open_stream(connection, table, open) {
                self.pending.push_front(open);
                return;
            }
        }
    }

    fn settings_received(&mut self, connection: &mut SplicingConnection<Client>, table: &mut StreamTable) {
        if !self.has_settings {
            self.has_settings = true;
            self.streams_available(connection, table);
        }
    }

    fn stream_reset(&mut self, _: StreamKey) {}

    fn output_failed(&mut self, error: &Error) {
        for open in self.pending.drain(..) {
            open.exchange.deliver_end(error.clone());
        }
    }

    fn after_events(&mut self, _: Instant) -> Option<Duration> {
        None
    }

    fn connection_ended(&mut self, end: &Arc<ConnectionEnd>) {
        self.output_failed(&Error::Connection { end: Arc::clone(end), processed: false });
        self.pushes.close();
        self.end_signal.set(end, false);
    }

    fn connection_closed(&mut self, end: &Arc<ConnectionEnd>) {
        self.end_signal.set(end, true);
    }

    fn fail_message(&mut self, message: Box<OpenRequest>, error: &Error) {
        message.exchange.deliver_end(error.clone());
    }
}

impl fmt::Debug for ClientStreams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientStreams")
            .field("authority", &self.authority)
            .field("pending", &self.pending.len())
            .finish_non_exhaustive()
    }
}
