//! A client's side of a driver: requests come from callers, responses go to their exchanges.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use thalweg::{Client, ConfigError, ErrorCode, Headers, HeadersKind, OpenError, SendError, StreamKey};

use super::pushes::Outlet;
use super::table::{Entry, Table};
use super::{Driver, Host, Opened, Options, ToDriver};
use crate::client::{Answer, Pushed};
use crate::error::{ConnectionEnd, Error};
use crate::exchange::{Ask, Chunk, Exchange, Finish, Limits};
use crate::mailbox::Mailbox;
use crate::message::{Request, Response};
use crate::opening::{Refusal, Refused};
use crate::record::Connection;
use crate::transport::Transport;

/// The mailbox of a client's driver.
pub type Opens = Mailbox<ToDriver<Box<Open>, Client>>;

/// A request that a caller wants to send: its head, and what of the content is there.
pub struct Open {
    pub head: Request<()>,
    pub chunk: Chunk,
    pub finish: Option<Finish>,
    pub exchange: Arc<Exchange>,
}

/// What makes a driver a client's.
pub struct Responses {
    scheme: &'static str,
    authority: String,
    /// Requests that wait for the peer's limit of streams; their callers wait with them.
    waiting: VecDeque<Box<Open>>,
    /// Whether it is known what the server allows.
    has_settings: bool,
    ending: Arc<Ending>,
    outlet: Arc<Outlet>,
    opens: Arc<Opens>,
    limits: Limits,
}

/// Drives one connection of a client.
pub type ClientDriver<T> = Driver<Responses, T>;

impl<T: Transport> ClientDriver<T> {
    /// Starts a client's side over a transport that does not block. `scheme` and `authority` are those of requests that
    /// name no other; `wake` must make the caller's loop take a turn soon, from any thread: it is called when something
    /// is to be sent while the driver waits.
    ///
    /// # Errors
    /// The first field of the configuration that is outside its range.
    pub fn new(
        transport: T,
        scheme: &'static str,
        authority: impl Into<String>,
        options: &Options,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> Result<(Self, crate::client::Client), ConfigError> {
        let opens = Arc::new(Mailbox::new(Box::new(wake)));
        let ending = Arc::new(Ending::default());
        let authority = authority.into();
        let outlet = Arc::new(Outlet::default());
        let responses = Responses {
            scheme,
            authority,
            waiting: VecDeque::new(),
            has_settings: false,
            ending: Arc::clone(&ending),
            outlet: Arc::clone(&outlet),
            opens: Arc::clone(&opens),
            limits: options.limits(),
        };
        let driver = Self::start(transport, options, responses, false, Arc::clone(&opens))?;
        Ok((driver, crate::client::Client::new(opens, ending, outlet, options.limits())))
    }
}

/// How far a connection's end has come, for its client.
#[derive(Default)]
pub struct Ending {
    state: Mutex<(Option<Arc<ConnectionEnd>>, bool)>,
    changed: Condvar,
}

impl Ending {
    /// How the connection ended, if it has.
    pub fn end(&self) -> Option<Arc<ConnectionEnd>> {
        self.lock().0.clone()
    }

    /// Waits until the transport was ended, too.
    pub fn wait(&self) -> Arc<ConnectionEnd> {
        let mut state = self.lock();
        loop {
            if let (Some(end), true) = &*state {
                return Arc::clone(end);
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn tell(&self, end: &Arc<ConnectionEnd>, is_closed: bool) {
        *self.lock() = (Some(Arc::clone(end)), is_closed);
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, (Option<Arc<ConnectionEnd>>, bool)> {
        // Nothing panics under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Responses {
    /// Sends a request. Returns it if the peer has no room for a stream.
    fn open_stream(
        &self,
        connection: &mut Connection<Client>,
        table: &mut Table,
        open: Box<Open>,
    ) -> Option<Box<Open>> {
        if !open.exchange.is_wanted() {
            return None;
        }
        let control = open.head.control(self.scheme, &self.authority);
        let ends = open.chunk.as_slice().is_empty() && matches!(open.finish, Some(Finish::End));
        let stream = match connection.send_request(&control, open.head.fields.iter(), ends) {
            Ok(stream) => stream,
            Err(OpenError::TooManyStreams { .. }) => return Some(open),
            // RFC 8441 §3: whether extended CONNECT is allowed, the server's settings tell, which have not come yet.
            Err(OpenError::Send(SendError::NotAllowedByPeer)) if !self.has_settings => return Some(open),
            Err(error) => {
                open.exchange.tell_end(Error::NotOpened(error));
                return None;
            }
        };
        let Open { chunk, finish, exchange, .. } = *open;
        table.insert(Entry::new(stream, Arc::clone(&exchange), ends, false));
        if !exchange.open(stream) {
            table.reset(connection, stream, ErrorCode::CANCEL, Error::GivenUp(ErrorCode::CANCEL));
        } else if !ends {
            table.send(connection, stream, chunk, finish);
        }
        None
    }
}

impl Responses {
    /// RFC 9113 §8.4: a response will come that nobody here has asked for. Somebody takes it, or it is not wanted.
    fn receive_push(
        &mut self,
        table: &mut Table,
        stream: StreamKey,
        headers: &Headers<'_>,
    ) -> Option<ErrorCode> {
        let exchange = Exchange::new(Arc::clone(&self.opens) as _, self.limits, Some(stream));
        table.insert(Entry::new(stream, Arc::clone(&exchange), true, false));
        let request = Request::from_block(headers, None);
        if self.outlet.tell(Pushed { request, answer: Answer::new(exchange, None) }) {
            return None;
        }
        table.remove(stream);
        Some(ErrorCode::CANCEL)
    }
}

impl Host for Responses {
    type Role = Client;
    type Message = Box<Open>;

    fn open(
        &mut self,
        _: &mut Connection<Client>,
        _: &mut Table,
        _: &mut &[u8],
    ) -> Result<Option<Opened>, Refused> {
        // A client knows what it asked for.
        Ok(Some(Opened { seen: &[], answer: &[] }))
    }

    fn open_eof(&mut self) -> Refused {
        Refused::silently(Refusal::Silent)
    }

    fn receive_headers(
        &mut self,
        table: &mut Table,
        stream: StreamKey,
        kind: HeadersKind,
        headers: &Headers<'_>,
        end: bool,
    ) -> Option<ErrorCode> {
        match (kind, table.find(stream)) {
            (HeadersKind::Response, Some(entry)) => {
                entry.exchange.tell_head(Response::from_block(headers), end);
            }
            (HeadersKind::Trailers, Some(entry)) => {
                entry.exchange.tell_trailers(headers.fields().collect());
            }
            (HeadersKind::Informational, Some(entry)) => {
                entry.exchange.tell_informational(Response::from_block(headers));
            }
            (HeadersKind::Push { .. }, _) => return self.receive_push(table, stream, headers),
            _ => {}
        }
        if end {
            table.end_remote(stream);
        }
        None
    }

    fn perform(&mut self, connection: &mut Connection<Client>, table: &mut Table, message: Box<Open>) {
        // Those who came earlier go first.
        if self.waiting.is_empty() {
            self.waiting.extend(self.open_stream(connection, table, message));
        } else {
            self.waiting.push_back(message);
        }
    }

    fn perform_ask(
        &mut self,
        connection: &mut Connection<Client>,
        table: &mut Table,
        stream: StreamKey,
        ask: Ask,
    ) {
        table.perform(connection, stream, ask);
    }

    fn openable(&mut self, connection: &mut Connection<Client>, table: &mut Table) {
        while let Some(open) = self.waiting.pop_front() {
            if let Some(open) = self.open_stream(connection, table, open) {
                self.waiting.push_front(open);
                return;
            }
        }
    }

    fn settings_received(&mut self, connection: &mut Connection<Client>, table: &mut Table) {
        if !self.has_settings {
            self.has_settings = true;
            self.openable(connection, table);
        }
    }

    fn stream_reset(&mut self, _: StreamKey) {}

    fn after_events(&mut self, _: Instant) -> Option<Duration> {
        None
    }

    fn connection_ended(&mut self, end: &Arc<ConnectionEnd>) {
        let error = Error::Connection { end: Arc::clone(end), unprocessed: true };
        for open in self.waiting.drain(..) {
            open.exchange.tell_end(error.clone());
        }
        self.outlet.close();
        self.ending.tell(end, false);
    }

    fn connection_closed(&mut self, end: &Arc<ConnectionEnd>) {
        self.ending.tell(end, true);
    }

    fn refuse(&mut self, message: Box<Open>, error: &Error) {
        message.exchange.tell_end(error.clone());
    }
}
