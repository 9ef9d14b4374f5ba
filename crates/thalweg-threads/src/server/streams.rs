//! The server's side of a driver: passes requests to the pool, and responses to the core.

use std::fmt;
use std::mem;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use thalweg::{ConfigError, ErrorCode, Headers, HeadersKind, Priority, Server, Status, StreamKey};
use thalweg_h2c::{Sniffer, Upgrade};

use crate::body::Body;
use crate::commands::{PushCommand, ResponseCommand, ServerCommand, ServerMailbox};
use crate::driver::options::Options;
use crate::driver::stream_table::{StreamEntry, StreamTable};
use crate::driver::{Driver, Host, Negotiated};
use crate::error::{ConnectionEnd, Error};
use crate::exchange::{BufferLimits, Exchange, Finish, StreamCommand};
use crate::mailbox::Mailbox;
use crate::message::Request;
use crate::negotiate::{self, DetectedProtocol, Rejection};
use crate::record::Connection;
use crate::server::pool::{ConnectionQueue, Job, Pool};
use crate::server::responder::Responder;
use crate::trace;
use crate::transport::Transport;

/// The host of a server's driver.
pub struct ServerStreams {
    queue: ConnectionQueue,
    mailbox: Arc<ServerMailbox>,
    limits: BufferLimits,
    remote: Option<SocketAddr>,
    /// `Some` until the protocol is known.
    sniffer: Option<Box<Sniffer>>,
    options: Options,
    /// The requests of this turn, submitted to the pool together.
    jobs: Vec<Job>,
}

/// Drives one connection of a server.
pub type ServerDriver<T> = Driver<ServerStreams, T>;

impl<T: Transport> ServerDriver<T> {
    /// Creates a server's driver over a transport that does not block. `pool` handles the requests.
    /// `wake` must make the caller's loop take a turn soon, from any thread: it is called when a
    /// response arrives while the driver waits.
    ///
    /// # Errors
    /// The first field of the configuration that is outside its range.
    pub fn new(
        transport: T,
        pool: &Pool,
        options: &Options,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> Result<Self, ConfigError> {
        let queue = pool.connection_queue();
        let mailbox = Arc::new(Mailbox::with_pending_responses(Box::new(wake), queue.pending()));
        let host = ServerStreams {
            queue,
            mailbox: Arc::clone(&mailbox),
            limits: options.limits(),
            remote: options.remote,
            sniffer: options.h2c.map(|h2c| Box::new(Sniffer::new(h2c))),
            options: options.clone(),
            jobs: Vec::new(),
        };
        Self::start(transport, options, host, options.h2c.is_some(), mailbox)
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
        table.insert(StreamEntry::new(stream, Arc::clone(&exchange), false, end));
        let body = if end {
            Body::empty()
        } else {
            let expects_continue = head.fields.text("expect").is_some_and(|value| {
                // RFC 9110 §10.1.1 defines only this expectation.
                value.eq_ignore_ascii_case("100-continue")
            });
            Body::of_request(Arc::clone(&exchange), expects_continue)
        };
        self.submit(exchange, stream, head, body);
    }

    /// RFC 7540 §3.2: the request of the Upgrade becomes stream 1, half-closed (remote).
    fn upgrade(
        &mut self,
        connection: &mut Connection<Server>,
        table: &mut StreamTable,
        upgrade: &Upgrade,
    ) -> Result<Negotiated, Rejection> {
        let method = upgrade.request.method.as_bytes();
        let upgraded = self.options.setup().upgraded(&upgrade.settings, method);
        let (upgraded, stream) = upgraded.map_err(|_| Rejection::UPGRADE)?;
        *connection = upgraded;
        let head = Request::from_upgrade(&upgrade.request, self.remote);
        let exchange = Exchange::new(Arc::clone(&self.mailbox) as _, self.limits, Some(stream));
        table.insert(StreamEntry::new(stream, Arc::clone(&exchange), false, true));
        let body = if upgrade.request.body.is_empty() {
            Body::empty()
        } else {
            exchange.deliver_content(&upgrade.request.body, true);
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

    fn push(connection: &mut Connection<Server>, table: &mut StreamTable, command: PushCommand) {
        let PushCommand { parent, head, exchange } = command;
        match connection.send_push(parent, &head.control("", ""), head.fields.iter()) {
            Ok(stream) => {
                table.insert(StreamEntry::new(stream, Arc::clone(&exchange), false, true));
                exchange.open(stream);
            }
            Err(error) => exchange.deliver_end(Error::Open(error)),
        }
    }

    fn respond(connection: &mut Connection<Server>, table: &mut StreamTable, response: ResponseCommand) {
        let ResponseCommand { stream, head, chunk, finish } = response;
        let status = head.status();
        let fields = head.fields.iter();
        if status.is_informational() {
            if let Err(error) = connection.send_informational(stream, status, fields) {
                table.handle_send_error(connection, stream, error);
            }
            return;
        }
        let ends = chunk.as_slice().is_empty() && matches!(finish, Some(Finish::End));
        match connection.send_response(stream, status, fields, ends) {
            Ok(()) if ends => table.end_local(connection, stream),
            Ok(()) => table.send(connection, stream, chunk, finish),
            Err(error) => table.handle_send_error(connection, stream, error),
        }
    }
}

impl Host for ServerStreams {
    type Role = Server;
    type Message = ServerCommand;

    fn open(
        &mut self,
        connection: &mut Connection<Server>,
        table: &mut StreamTable,
        input: &mut &[u8],
    ) -> Result<Option<Negotiated>, Rejection> {
        let Some(sniffer) = &mut self.sniffer else {
            return Ok(Some(Negotiated { prefetched: &[], response: &[] }));
        };
        let Some(detected) = negotiate::sniff(sniffer, input)? else { return Ok(None) };
        self.sniffer = None;
        match detected {
            DetectedProtocol::Preface(seen) => Ok(Some(Negotiated { prefetched: seen, response: &[] })),
            DetectedProtocol::Upgrade(upgrade) => self.upgrade(connection, table, &upgrade).map(Some),
        }
    }

    fn open_eof(&mut self) -> Rejection {
        match &mut self.sniffer {
            Some(sniffer) => negotiate::sniff_eof(sniffer),
            None => Rejection::without_response(negotiate::NegotiationError::NoData),
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
                    entry.exchange.deliver_trailers(headers.fields().collect());
                }
                table.end_remote(stream);
            }
        }
        None
    }

    fn execute(
        &mut self,
        connection: &mut Connection<Server>,
        table: &mut StreamTable,
        message: ServerCommand,
    ) {
        match message {
            ServerCommand::Respond(response) => Self::respond(connection, table, response),
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
        connection: &mut Connection<Server>,
        table: &mut StreamTable,
        stream: StreamKey,
        command: StreamCommand,
    ) {
        match command {
            // A late message is not an error: the handler has responded, or the stream has ended.
            StreamCommand::SendContinue => {
                let _ = connection.send_informational(stream, Status::CONTINUE, []);
            }
            command => table.execute(connection, stream, command),
        }
    }

    fn streams_available(&mut self, _: &mut Connection<Server>, _: &mut StreamTable) {}

    fn settings_received(&mut self, _: &mut Connection<Server>, _: &mut StreamTable) {}

    fn stream_reset(&mut self, stream: StreamKey) {
        // The request may be queued here or in the pool. If its handler is running, it sees the end
        // of the stream.
        self.jobs.retain(|job| job.stream != stream);
        drop(self.queue.cancel(stream));
    }

    fn after_events(&mut self, now: Instant) -> Option<Duration> {
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

impl fmt::Debug for ServerStreams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerStreams")
            .field("remote", &self.remote)
            .field("is_negotiating", &self.sniffer.is_some())
            .finish_non_exhaustive()
    }
}
