//! The server's side of a driver: passes requests to the pool, and responses to the core.

use std::fmt;
use std::mem;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use thalweg::{ConfigError, ErrorCode, Headers, HeadersKind, Priority, Server, Status, StreamKey};
use thalweg_h2c::Upgrade;
use thalweg_http::Method;
use thalweg_http::date::{self, Date, DateCache};
use thalweg_http::exchange::{Exchange as Life, Input};
use thalweg_http::expect::{Expectation, ServerExpect};
use thalweg_io::{
    ConnectionEnd, DetectedProtocol, Negotiation, NegotiationError, Rejection, Setup, SplicingConnection,
};

use crate::body::Body;
use crate::body::exchange::{BufferLimits, Exchange, Finish, StreamCommand};
use crate::commands::{PushCommand, ResponseCommand, ServerCommand, ServerMailbox};
use crate::driver::options::DriverOptions;
use crate::driver::stream_table::{StreamEntry, StreamTable};
use crate::driver::{Driver, Host, Negotiated};
use crate::error::Error;
use crate::mailbox::Mailbox;
use crate::message::Request;
use crate::server::pool::{ConnectionQueue, Job, Pool};
use crate::server::responder::Responder;
use crate::trace;
use crate::transport::Transport;

/// The streams of a server's connection.
pub struct ServerStreams {
    queue: ConnectionQueue,
    mailbox: Arc<ServerMailbox>,
    limits: BufferLimits,
    remote: Option<SocketAddr>,
    /// `Some` until the protocol is known.
    negotiation: Option<Box<Negotiation>>,
    /// For the connection after an Upgrade.
    setup: Setup,
    date: DateSource,
    /// The requests of this turn, submitted to the pool together.
    jobs: Vec<Job>,
}

/// Drives one connection of a server; [`Builder::driver`](super::Builder::driver) creates it.
pub type ServerDriver<T> = Driver<ServerStreams, T>;

impl<T: Transport> ServerDriver<T> {
    pub(super) fn new(
        transport: T,
        pool: &Pool,
        options: &DriverOptions<Server>,
        h2c: Option<thalweg_h2c::Config>,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> Result<Self, ConfigError> {
        let queue = pool.connection_queue();
        let mailbox = Arc::new(Mailbox::batching(Box::new(wake), queue.waiting()));
        let host = ServerStreams {
            queue,
            mailbox: Arc::clone(&mailbox),
            limits: options.buffer_limits(),
            remote: transport.remote_addr(),
            negotiation: h2c.map(|h2c| Box::new(Negotiation::new(h2c))),
            setup: options.setup.clone(),
            date: DateSource { is_on: options.date, ..DateSource::default() },
            jobs: Vec::new(),
        };
        Self::start(transport, options, host, h2c.is_some(), mailbox)
    }
}

impl ServerStreams {
    fn receive_request(
        &mut self,
        table: &mut StreamTable,
        stream: StreamKey,
        headers: &Headers<'_>,
        end: bool,
    ) {
        let head = Request::from_block(headers, self.remote);
        let exchange = Exchange::new(Arc::clone(&self.mailbox) as _, self.limits, Some(stream));
        let method = Method::of(head.method().as_bytes());
        let mut entry = StreamEntry::new(stream, Arc::clone(&exchange), Life::server(method));
        let body = if end {
            Body::empty()
        } else {
            let expectation = Expectation::of(head.fields.iter());
            entry.expect = ServerExpect::new(expectation, true);
            Body::of_request(Arc::clone(&exchange), expectation == Expectation::Continue)
        };
        table.insert(entry);
        self.submit(exchange, stream, head, body);
    }

    /// RFC 7540 §3.2: the request of the Upgrade becomes stream 1, half-closed (remote).
    fn upgrade(
        &mut self,
        connection: &mut SplicingConnection<Server>,
        table: &mut StreamTable,
        upgrade: &Upgrade,
    ) -> Result<Negotiated, Rejection> {
        let method = upgrade.request.method.as_bytes();
        let upgraded = self.setup.start_upgraded(&upgrade.settings, method);
        let (upgraded, stream) = upgraded.map_err(|_| Rejection::UPGRADE)?;
        connection.replace(upgraded);
        let head = Request::from_upgrade(&upgrade.request, self.remote);
        let exchange = Exchange::new(Arc::clone(&self.mailbox) as _, self.limits, Some(stream));
        let life = Life::server(Method::of(method));
        table.insert(StreamEntry::new(stream, Arc::clone(&exchange), life));
        table.handle(connection, stream, Input::InboundEnded, None);
        let body = if upgrade.request.body.is_empty() {
            Body::empty()
        } else {
            exchange.deliver_content(&upgrade.request.body, Some(false));
            Body::of_request(Arc::clone(&exchange), false)
        };
        self.submit(exchange, stream, head, body);
        Ok(Negotiated { prefetched: &[], response: upgrade.response() })
    }

    /// Adds a request to the jobs of this turn.
    fn submit(&mut self, exchange: Arc<Exchange>, stream: StreamKey, head: Request<()>, body: Body) {
        let priority = head.priority();
        if priority != Priority::default() {
            exchange.deliver_priority(priority);
        }
        let responder = Responder::new(exchange, Arc::clone(&self.mailbox), stream, head.method());
        let request = head.replace_body(body).0;
        self.jobs.push(Job { stream, request, responder });
    }

    fn push(connection: &mut SplicingConnection<Server>, table: &mut StreamTable, command: PushCommand) {
        let PushCommand { parent, head, exchange } = command;
        match connection.send_push(parent, &head.control("", ""), head.fields.iter()) {
            Ok(stream) => {
                table.insert(StreamEntry::new(stream, Arc::clone(&exchange), Life::server_push()));
                exchange.open(stream);
            }
            Err(error) => exchange.deliver_end(Error::Open(error)),
        }
    }

    fn respond(
        &mut self,
        connection: &mut SplicingConnection<Server>,
        table: &mut StreamTable,
        response: ResponseCommand,
    ) {
        let ResponseCommand { stream, head, chunk, finish } = response;
        let status = head.status();
        let fields = head.fields.iter();
        if let Some(entry) = table.find(stream) {
            entry.expect.send_response(status);
        }
        if status.is_informational() {
            if let Err(error) = connection.send_informational(stream, status, fields) {
                table.handle_send_error(connection, stream, error);
            }
            return;
        }
        let ends = chunk.as_slice().is_empty() && matches!(finish, Some(Finish::End));
        let date = if date::is_due(status) { self.date.get() } else { None };
        match connection.send_response(stream, status, date::with_date(fields, date.as_ref()), ends) {
            Ok(()) => {
                table.handle(connection, stream, Input::HeadersSent { status }, None);
                if ends {
                    table.handle(connection, stream, Input::OutboundEnded, None);
                } else {
                    table.send(connection, stream, chunk, finish);
                }
            }
            Err(error) => table.handle_send_error(connection, stream, error),
        }
    }
}

impl Host for ServerStreams {
    type Role = Server;
    type Message = ServerCommand;

    fn open(
        &mut self,
        connection: &mut SplicingConnection<Server>,
        table: &mut StreamTable,
        input: &mut &[u8],
    ) -> Result<Option<Negotiated>, Rejection> {
        let Some(negotiation) = &mut self.negotiation else {
            return Ok(Some(Negotiated { prefetched: &[], response: &[] }));
        };
        let Some(detected) = negotiation.receive(input)? else { return Ok(None) };
        self.negotiation = None;
        match detected {
            DetectedProtocol::Preface(seen) => Ok(Some(Negotiated { prefetched: seen, response: &[] })),
            DetectedProtocol::Upgrade(upgrade) => self.upgrade(connection, table, &upgrade).map(Some),
        }
    }

    fn open_eof(&mut self) -> Rejection {
        match &mut self.negotiation {
            Some(negotiation) => negotiation.handle_eof(),
            None => Rejection::without_response(NegotiationError::NoData),
        }
    }

    fn receive_headers(
        &mut self,
        table: &mut StreamTable,
        stream: StreamKey,
        kind: HeadersKind,
        headers: &Headers<'_>,
        end: bool,
    ) -> Option<ErrorCode> {
        match kind {
            HeadersKind::Request => self.receive_request(table, stream, headers, end),
            _ => {
                if let Some(entry) = table.find(stream) {
                    entry.expect.receive_content();
                    entry.exchange.deliver_trailers(headers.fields().collect(), false);
                }
            }
        }
        None
    }

    fn execute(
        &mut self,
        connection: &mut SplicingConnection<Server>,
        table: &mut StreamTable,
        message: ServerCommand,
    ) {
        match message {
            ServerCommand::Respond(response) => self.respond(connection, table, response),
            ServerCommand::Push(command) => Self::push(connection, table, *command),
            ServerCommand::AltSvc(stream, value) => {
                if let Err(error) = connection.send_alt_svc(Some(stream), &[], &value) {
                    trace::command_failed(&error);
                }
            }
        }
    }

    fn execute_stream_command(
        &mut self,
        connection: &mut SplicingConnection<Server>,
        table: &mut StreamTable,
        stream: StreamKey,
        command: StreamCommand,
    ) {
        match command {
            // A late message is not an error: the handler has responded, or the stream has ended.
            StreamCommand::SendContinue => {
                if table.find(stream).is_some_and(|entry| entry.expect.read_content()) {
                    let _ = connection.send_informational(stream, Status::CONTINUE, []);
                }
            }
            command => table.execute(connection, stream, command),
        }
    }

    fn streams_available(&mut self, _: &mut SplicingConnection<Server>, _: &mut StreamTable) {}

    fn settings_received(&mut self, _: &mut SplicingConnection<Server>, _: &mut StreamTable) {}

    fn stream_reset(&mut self, stream: StreamKey) {
        // The request may be queued here or in the pool. If its handler is running, it sees the end
        // of the stream.
        self.jobs.retain(|job| job.stream != stream);
        drop(self.queue.cancel(stream));
    }

    fn output_failed(&mut self, _: &Error) {
        // No response can be sent.
        drop(mem::take(&mut self.jobs));
        drop(self.queue.clear());
    }

    fn after_events(&mut self, now: Instant) -> Option<Duration> {
        self.date.end_turn();
        self.queue.submit(&mut self.jobs);
        self.queue.check_starvation(now)
    }

    fn connection_ended(&mut self, _: &Arc<ConnectionEnd>) {
        // Before handlers are woken: their threads would take queued requests.
        drop(mem::take(&mut self.jobs));
        drop(self.queue.clear());
    }

    fn connection_closed(&mut self, _: &Arc<ConnectionEnd>) {}

    fn fail_message(&mut self, message: ServerCommand, error: &Error) {
        match message {
            // The handler sees the end of its stream.
            ServerCommand::Respond(_) | ServerCommand::AltSvc(..) => {}
            ServerCommand::Push(command) => command.exchange.deliver_end(error.clone()),
        }
    }
}

/// The date of the responses of a turn. Reads the clock at the first of them.
#[derive(Default)]
struct DateSource {
    is_on: bool,
    cache: DateCache,
    of_turn: Option<Date>,
}

impl DateSource {
    fn get(&mut self) -> Option<Date> {
        if self.is_on && self.of_turn.is_none() {
            // RFC 9110 §6.6.1: without a clock, no date.
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok()?;
            self.of_turn = self.cache.get(now.as_secs());
        }
        self.of_turn
    }

    fn end_turn(&mut self) {
        self.of_turn = None;
    }
}

impl fmt::Debug for ServerStreams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerStreams")
            .field("remote", &self.remote)
            .field("is_negotiating", &self.negotiation.is_some())
            .finish_non_exhaustive()
    }
}
