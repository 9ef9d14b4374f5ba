//! A server's side of a driver: requests go to the pool, answers come back.

use std::mem;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use thalweg::{ConfigError, ErrorCode, Headers, HeadersKind, Priority, Server, Status, StreamKey};
use thalweg_h2c::{Sniffer, Upgrade};

use super::table::{Entry, Table};
use super::{Driver, Host, Opened, Options, ToDriver};
use crate::body::Body;
use crate::error::{ConnectionEnd, Error};
use crate::exchange::{Ask, Chunk, Exchange, Finish, Limits};
use crate::mailbox::Mailbox;
use crate::message::{Request, Response};
use crate::opening::{self, Beginning, Refused};
use crate::pool::{Job, Lane, Pool};
use crate::record::{self, Connection};
use crate::responder::Responder;
use crate::trace;
use crate::transport::Transport;

/// The mailbox of a server's driver.
pub type Answers = Mailbox<ToDriver<Say, Server>>;

/// An answer from a handler: a head, and what of the content is there.
pub struct Answer {
    pub stream: StreamKey,
    pub head: Response<()>,
    pub chunk: Chunk,
    pub finish: Option<Finish>,
}

/// What a handler says to its driver.
pub enum Say {
    Answer(Answer),
    Push(Box<Promise>),
    /// An alternative service for the origin of a request (RFC 7838 §4).
    AltSvc(StreamKey, Vec<u8>),
}

/// A push that a handler wants (RFC 9113 §8.4).
pub struct Promise {
    pub parent: StreamKey,
    pub head: Request<()>,
    pub exchange: Arc<Exchange>,
}

/// What makes a driver a server's.
pub struct Requests {
    lane: Lane,
    answers: Arc<Answers>,
    limits: Limits,
    remote: Option<SocketAddr>,
    /// Until it is clear what the first bytes are.
    sniffer: Option<Box<Sniffer>>,
    options: Options,
    /// Requests of this turn, which go to the pool together.
    jobs: Vec<Job>,
}

/// Drives one connection of a server.
pub type ServerDriver<T> = Driver<Requests, T>;

impl<T: Transport> ServerDriver<T> {
    /// Starts a server's side over a transport that does not block. Requests are answered by `pool`; `wake` must make the caller's loop take
    /// a turn soon, from any thread: it is called when an answer comes while the driver waits.
    ///
    /// # Errors
    /// The first field of the configuration that is outside its range.
    pub fn new(
        transport: T,
        pool: &Pool,
        options: &Options,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> Result<Self, ConfigError> {
        let lane = pool.lane();
        let answers = Arc::new(Mailbox::with_coming(Box::new(wake), lane.waiting()));
        let requests = Requests {
            lane,
            answers: Arc::clone(&answers),
            limits: options.limits(),
            remote: options.remote,
            sniffer: options.h2c.map(|h2c| Box::new(Sniffer::new(h2c))),
            options: options.clone(),
            jobs: Vec::new(),
        };
        Self::start(transport, options, requests, options.h2c.is_some(), answers)
    }

    /// Ends gracefully (RFC 9113 §6.8): requests that are under way are still answered.
    pub fn shutdown(&mut self) {
        self.host.answers.post(ToDriver::Shutdown);
    }

    /// The way to this driver from other threads.
    pub(crate) fn answers(&self) -> Arc<Answers> {
        Arc::clone(&self.host.answers)
    }
}

impl Requests {
    fn receive_request(&mut self, table: &mut Table, stream: StreamKey, headers: &Headers<'_>, end: bool) {
        let head = Request::from_block(headers, self.remote);
        let exchange = Exchange::new(Arc::clone(&self.answers) as _, self.limits, Some(stream));
        table.insert(Entry::new(stream, Arc::clone(&exchange), false, end));
        let body = if end {
            Body::empty()
        } else {
            let expects_continue = head.fields.text("expect").is_some_and(|value| {
                // RFC 9110 §10.1.1: the only expectation there is.
                value.eq_ignore_ascii_case("100-continue")
            });
            Body::of_request(Arc::clone(&exchange), expects_continue)
        };
        self.submit(exchange, stream, head, body);
    }

    /// RFC 7540 §3.2: the request becomes that of stream 1, which the client has closed.
    fn upgrade(
        &mut self,
        connection: &mut Connection<Server>,
        table: &mut Table,
        upgrade: &Upgrade,
    ) -> Result<Opened, Refused> {
        let method = upgrade.request.method.as_bytes();
        let upgraded = record::upgraded(&self.options, &upgrade.settings, method);
        let (upgraded, stream) = upgraded.map_err(|_| Refused::UPGRADE)?;
        *connection = upgraded;
        let head = Request::from_upgrade(&upgrade.request, self.remote);
        let exchange = Exchange::new(Arc::clone(&self.answers) as _, self.limits, Some(stream));
        table.insert(Entry::new(stream, Arc::clone(&exchange), false, true));
        let body = if upgrade.request.body.is_empty() {
            Body::empty()
        } else {
            exchange.tell_content(&upgrade.request.body, true);
            Body::of_request(Arc::clone(&exchange), false)
        };
        self.submit(exchange, stream, head, body);
        Ok(Opened { seen: &[], answer: upgrade.response() })
    }

    /// Makes a request one of this turn.
    fn submit(&mut self, exchange: Arc<Exchange>, stream: StreamKey, head: Request<()>, body: Body) {
        let priority = head.priority();
        if priority != Priority::default() {
            exchange.tell_priority(priority);
        }
        let responder = Responder::new(exchange, Arc::clone(&self.answers), stream, head.method());
        let request = head.replace_body(body).0;
        self.jobs.push(Job { stream, request, responder });
    }

    fn promise(connection: &mut Connection<Server>, table: &mut Table, promise: Promise) {
        let Promise { parent, head, exchange } = promise;
        match connection.send_push(parent, &head.control("", ""), head.fields.iter()) {
            Ok(stream) => {
                table.insert(Entry::new(stream, Arc::clone(&exchange), false, true));
                exchange.open(stream);
            }
            Err(error) => exchange.tell_end(Error::NotOpened(error)),
        }
    }

    fn answer(connection: &mut Connection<Server>, table: &mut Table, answer: Answer) {
        let Answer { stream, head, chunk, finish } = answer;
        let status = head.status();
        let fields = head.fields.iter();
        if status.is_informational() {
            if let Err(error) = connection.send_informational(stream, status, fields) {
                table.refused(connection, stream, error);
            }
            return;
        }
        let ends = chunk.as_slice().is_empty() && matches!(finish, Some(Finish::End));
        match connection.send_response(stream, status, fields, ends) {
            Ok(()) if ends => table.end_local(connection, stream),
            Ok(()) => table.send(connection, stream, chunk, finish),
            Err(error) => table.refused(connection, stream, error),
        }
    }
}

impl Host for Requests {
    type Role = Server;
    type Message = Say;

    fn open(
        &mut self,
        connection: &mut Connection<Server>,
        table: &mut Table,
        input: &mut &[u8],
    ) -> Result<Option<Opened>, Refused> {
        let Some(sniffer) = &mut self.sniffer else {
            return Ok(Some(Opened { seen: &[], answer: &[] }));
        };
        let Some(beginning) = opening::sniff(sniffer, input)? else { return Ok(None) };
        self.sniffer = None;
        match beginning {
            Beginning::Preface(seen) => Ok(Some(Opened { seen, answer: &[] })),
            Beginning::Upgrade(upgrade) => self.upgrade(connection, table, &upgrade).map(Some),
        }
    }

    fn open_eof(&mut self) -> Refused {
        match &mut self.sniffer {
            Some(sniffer) => opening::sniff_eof(sniffer),
            None => Refused::silently(opening::Refusal::Silent),
        }
    }

    fn receive_headers(
        &mut self,
        table: &mut Table,
        stream: StreamKey,
        kind: HeadersKind,
        headers: &Headers<'_>,
        end: bool,
    ) -> Option<ErrorCode> {
        match kind {
            HeadersKind::Request => self.receive_request(table, stream, headers, end),
            _ => {
                if let Some(entry) = table.find(stream) {
                    entry.exchange.tell_trailers(headers.fields().collect());
                }
                table.end_remote(stream);
            }
        }
        None
    }

    fn perform(&mut self, connection: &mut Connection<Server>, table: &mut Table, message: Say) {
        match message {
            Say::Answer(answer) => Self::answer(connection, table, answer),
            Say::Push(promise) => Self::promise(connection, table, *promise),
            Say::AltSvc(stream, value) => {
                if let Err(error) = connection.send_alt_svc(Some(stream), &[], &value) {
                    trace::left_out(&error);
                }
            }
        }
    }

    fn perform_ask(
        &mut self,
        connection: &mut Connection<Server>,
        table: &mut Table,
        stream: StreamKey,
        ask: Ask,
    ) {
        match ask {
            // Too late is no fault: the handler has answered, or the stream has ended.
            Ask::Continue => {
                let _ = connection.send_informational(stream, Status::CONTINUE, []);
            }
            ask => table.perform(connection, stream, ask),
        }
    }

    fn openable(&mut self, _: &mut Connection<Server>, _: &mut Table) {}

    fn settings_received(&mut self, _: &mut Connection<Server>, _: &mut Table) {}

    fn stream_reset(&mut self, stream: StreamKey) {
        // It may still be here, or wait in the pool, or be with a handler, who sees its end.
        self.jobs.retain(|job| job.stream != stream);
        drop(self.lane.cancel(stream));
    }

    fn after_events(&mut self, now: Instant) -> Option<Duration> {
        self.lane.submit(&mut self.jobs);
        self.lane.tend(now)
    }

    fn connection_ended(&mut self, _: &Arc<ConnectionEnd>) {
        // Before any handler is told, or its thread would take one of these.
        drop(mem::take(&mut self.jobs));
        drop(self.lane.clear());
    }

    fn connection_closed(&mut self, _: &Arc<ConnectionEnd>) {}

    fn refuse(&mut self, message: Say, error: &Error) {
        match message {
            // Its handler sees the end of its stream.
            Say::Answer(_) | Say::AltSvc(..) => {}
            Say::Push(promise) => promise.exchange.tell_end(error.clone()),
        }
    }
}
