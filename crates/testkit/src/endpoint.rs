//! One endpoint of a connection, of either role, with a check after every call, and with an
//! injected fault if a test sets one.

use thalweg::frame::{Flags, FrameType};
use thalweg::{
    Client, CloseReport, Config, ConfigError, ConnectionError, ErrorCode, Event, Field, Instant, OpenError,
    Priority, Request, SendCapacity, SendError, Server, Settings, Splice, Status, StreamKey,
};
use thalweg_record::{RecordOptions, Recorder};

use crate::broken::{Fault, Faults};

/// A connection of either role. Every call is followed by [`thalweg::Connection::check`].
#[derive(Debug)]
pub struct Endpoint {
    core: Core,
    faults: Faults,
}

#[derive(Debug)]
enum Core {
    Client(Recorder<Client>),
    Server(Recorder<Server>),
}

/// Calls a method of either role, and then `check`.
macro_rules! call {
    ($endpoint:expr, $core:ident => $call:expr) => {{
        let result = match &mut $endpoint.core {
            Core::Client($core) => $call,
            Core::Server($core) => $call,
        };
        $endpoint.check();
        result
    }};
}

/// Calls a getter of either role.
macro_rules! look {
    ($endpoint:expr, $core:ident => $look:expr) => {
        match &$endpoint.core {
            Core::Client($core) => $look,
            Core::Server($core) => $look,
        }
    };
}

impl Endpoint {
    /// Creates a client.
    ///
    /// # Errors
    /// Those of [`thalweg::Connection::new`].
    pub fn client(config: Config) -> Result<Self, ConfigError> {
        Self::recorded_client(config, RecordOptions::disabled())
    }

    /// Creates a client that is recorded.
    ///
    /// # Errors
    /// Those of [`thalweg::Connection::new`].
    pub fn recorded_client(config: Config, recorded: RecordOptions) -> Result<Self, ConfigError> {
        Ok(Self { core: Core::Client(Recorder::new(config, recorded)?), faults: Faults::default() })
    }

    /// Creates a server.
    ///
    /// # Errors
    /// Those of [`thalweg::Connection::new`].
    pub fn server(config: Config) -> Result<Self, ConfigError> {
        Self::recorded_server(config, RecordOptions::disabled())
    }

    /// Creates a server that is recorded.
    ///
    /// # Errors
    /// Those of [`thalweg::Connection::new`].
    pub fn recorded_server(config: Config, recorded: RecordOptions) -> Result<Self, ConfigError> {
        Ok(Self { core: Core::Server(Recorder::new(config, recorded)?), faults: Faults::default() })
    }

    /// Injects a fault, for tests that a property detects it.
    #[must_use]
    pub fn with_fault(mut self, fault: Fault) -> Self {
        self.faults = Faults::new(fault);
        self
    }

    /// Whether it is a client.
    pub const fn is_client(&self) -> bool {
        matches!(self.core, Core::Client(_))
    }

    /// Asserts the invariants of the core, in builds with debug assertions.
    pub fn check(&self) {
        look!(self, core => core.check());
    }

    /// Calls [`thalweg::Connection::receive`].
    ///
    /// # Errors
    /// The connection has ended.
    pub fn receive<'c, 'b>(
        &'c mut self,
        input: &mut &'b [u8],
        now: Instant,
    ) -> Result<Option<Event<'c, 'b>>, ConnectionError> {
        if let Some(stream) = self.faults.alter_input(input) {
            let code = ErrorCode::CANCEL;
            return Ok(Some(Event::Reset { stream, code, by: thalweg::ResetCause::Remote }));
        }
        // The core checks itself here: an event borrows it.
        let event = match &mut self.core {
            Core::Client(core) => core.receive(input, now),
            Core::Server(core) => core.receive(input, now),
        };
        match event {
            // A harmless event in its place: `None` would mean that the input is consumed.
            Ok(Some(event)) if self.faults.hides(&event) => Ok(Some(Event::Pong { payload: [0; 8] })),
            event => event,
        }
    }

    /// Calls [`thalweg::Connection::handle_eof`].
    ///
    /// # Errors
    /// The byte stream ended too early.
    pub fn handle_eof(&mut self) -> Result<(), ConnectionError> {
        call!(self, core => core.handle_eof())
    }

    /// Calls [`thalweg::Connection::release`].
    pub fn release(&mut self, stream: StreamKey, bytes: usize) {
        call!(self, core => core.release(stream, bytes));
    }

    /// Calls [`thalweg::Connection::discard`].
    pub fn discard(&mut self, stream: StreamKey, bytes: usize) {
        call!(self, core => core.discard(stream, bytes));
    }

    /// Calls [`thalweg::Connection::send_data`] and [`thalweg::Connection::send_data_padded`].
    ///
    /// # Errors
    /// Those of the method.
    pub fn send_data(
        &mut self,
        stream: StreamKey,
        data: &[u8],
        end: bool,
        pad_len: Option<u8>,
    ) -> Result<usize, SendError> {
        let mut taken = 0;
        loop {
            let rest = &data[taken..];
            let piece = &rest[..self.faults.piece_len(rest.len())];
            let (len, last) = (piece.len(), piece.len() == rest.len());
            let sent = match pad_len {
                None => call!(self, core => core.send_data(stream, piece, end && last))?,
                Some(pad_len) => {
                    call!(self, core => core.send_data_padded(stream, piece, end && last, pad_len))?
                }
            };
            taken += sent;
            if last || sent < len {
                return Ok(taken);
            }
        }
    }

    /// Calls [`thalweg::Connection::splice_data`].
    ///
    /// # Errors
    /// Those of the method.
    pub fn splice_data(&mut self, stream: StreamKey, len: usize, end: bool) -> Result<usize, SendError> {
        call!(self, core => core.splice_data(stream, len, end))
    }

    /// Calls [`thalweg::Connection::send_trailers`].
    ///
    /// # Errors
    /// Those of the method.
    pub fn send_trailers(&mut self, stream: StreamKey, fields: &[Field<'_>]) -> Result<(), SendError> {
        call!(self, core => core.send_trailers(stream, fields.iter().copied()))
    }

    /// Calls [`thalweg::Connection::send_reset`].
    pub fn send_reset(&mut self, stream: StreamKey, code: ErrorCode) {
        call!(self, core => core.send_reset(stream, code));
    }

    /// Calls [`thalweg::Connection::send_settings`].
    ///
    /// # Errors
    /// Those of the method.
    pub fn send_settings(&mut self, change: impl FnOnce(&mut Settings)) -> Result<(), SendError> {
        call!(self, core => core.send_settings(change))
    }

    /// Calls [`thalweg::Connection::send_ping`].
    ///
    /// # Errors
    /// Those of the method.
    pub fn send_ping(&mut self, payload: [u8; 8]) -> Result<(), SendError> {
        call!(self, core => core.send_ping(payload))
    }

    /// Calls [`thalweg::Connection::set_priority`].
    ///
    /// # Errors
    /// Those of the method.
    pub fn set_priority(&mut self, stream: StreamKey, priority: Priority) -> Result<(), SendError> {
        call!(self, core => core.set_priority(stream, priority))
    }

    /// Calls [`thalweg::Connection::send_extension`].
    ///
    /// # Errors
    /// Those of the method.
    pub fn send_extension(
        &mut self,
        kind: FrameType,
        flags: Flags,
        on: Option<StreamKey>,
        payload: &[u8],
    ) -> Result<(), SendError> {
        call!(self, core => core.send_extension(kind, flags, on, payload))
    }

    /// Calls [`thalweg::Connection::poll_writable`].
    pub fn poll_writable(&mut self) -> Option<StreamKey> {
        let mut faults = std::mem::take(&mut self.faults);
        let stream = faults.choose(|| call!(self, core => core.poll_writable()));
        self.faults = faults;
        stream
    }

    /// Calls [`thalweg::Connection::poll_transmit_spliced`].
    pub fn poll_transmit(&mut self, out: &mut Vec<u8>, splices: &mut Vec<Splice>) -> bool {
        let taken = call!(self, core => core.poll_transmit_spliced(out, splices));
        self.faults.alter_output(out, taken)
    }

    /// Calls [`thalweg::Connection::poll_timeout`].
    pub fn poll_timeout(&self) -> Option<Instant> {
        let at = look!(self, core => core.poll_timeout())?;
        let early_by = self.faults.timeouts_early_by().as_nanos() as u64;
        Some(Instant::from_nanos(at.as_nanos().saturating_sub(early_by)))
    }

    /// Calls [`thalweg::Connection::handle_timeout`].
    ///
    /// # Errors
    /// Those of the method.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), ConnectionError> {
        let now = now + self.faults.timeouts_early_by();
        call!(self, core => core.handle_timeout(now))
    }

    /// Calls [`thalweg::Connection::shutdown`].
    pub fn shutdown(&mut self) {
        call!(self, core => core.shutdown());
    }

    /// Calls [`thalweg::Connection::close`].
    pub fn close(&mut self, code: ErrorCode, debug: &[u8]) {
        call!(self, core => core.close(code, debug));
    }

    /// Calls [`thalweg::Connection::is_finished`].
    pub fn is_finished(&self) -> bool {
        look!(self, core => core.is_finished())
    }

    /// Calls [`thalweg::Connection::wants_read`].
    pub fn wants_read(&self) -> bool {
        look!(self, core => core.wants_read())
    }

    /// Calls [`thalweg::Connection::report`].
    pub fn report(&self) -> CloseReport {
        look!(self, core => core.report())
    }

    /// Calls [`thalweg::Connection::remote_settings`].
    pub fn remote_settings(&self) -> &Settings {
        look!(self, core => core.remote_settings())
    }

    /// Calls [`thalweg::Connection::local_settings`].
    pub fn local_settings(&self) -> &Settings {
        look!(self, core => core.local_settings())
    }

    /// Returns what flow control allows a stream to send, and the connection.
    pub fn windows(&self, stream: StreamKey) -> Option<(u32, u32)> {
        self.send_capacity(stream).map(|capacity| (capacity.stream, capacity.connection))
    }

    /// Calls [`thalweg::Connection::send_capacity`].
    pub fn send_capacity(&self, stream: StreamKey) -> Option<SendCapacity> {
        look!(self, core => core.send_capacity(stream))
    }

    /// Calls [`thalweg::Connection::live_streams`].
    pub fn live_streams(&self) -> u32 {
        look!(self, core => core.live_streams())
    }

    /// Calls [`thalweg::Connection::heap_bytes`].
    pub fn heap_bytes(&self) -> usize {
        look!(self, core => core.heap_bytes()) + self.faults.heap_bytes()
    }

    /// Calls [`thalweg::Connection::send_request`].
    ///
    /// # Errors
    /// Those of the method.
    ///
    /// # Panics
    /// On a server.
    pub fn send_request(
        &mut self,
        request: &Request<'_>,
        fields: &[Field<'_>],
        end: bool,
    ) -> Result<StreamKey, OpenError> {
        let Core::Client(core) = &mut self.core else { panic!("a server sends no requests") };
        let opened = core.send_request(request, fields.iter().copied(), end);
        core.check();
        opened
    }

    /// Calls [`thalweg::Connection::send_response`].
    ///
    /// # Errors
    /// Those of the method.
    ///
    /// # Panics
    /// On a client.
    pub fn send_response(
        &mut self,
        stream: StreamKey,
        status: Status,
        fields: &[Field<'_>],
        end: bool,
    ) -> Result<(), SendError> {
        self.as_server(|core| core.send_response(stream, status, fields.iter().copied(), end))
    }

    /// Calls [`thalweg::Connection::send_informational`].
    ///
    /// # Errors
    /// Those of the method.
    ///
    /// # Panics
    /// On a client.
    pub fn send_informational(
        &mut self,
        stream: StreamKey,
        status: Status,
        fields: &[Field<'_>],
    ) -> Result<(), SendError> {
        self.as_server(|core| core.send_informational(stream, status, fields.iter().copied()))
    }

    /// Calls [`thalweg::Connection::send_push`].
    ///
    /// # Errors
    /// Those of the method.
    ///
    /// # Panics
    /// On a client.
    pub fn send_push(
        &mut self,
        parent: StreamKey,
        request: &Request<'_>,
        fields: &[Field<'_>],
    ) -> Result<StreamKey, OpenError> {
        self.as_server(|core| core.send_push(parent, request, fields.iter().copied()))
    }

    /// Calls [`thalweg::Connection::send_origins`].
    ///
    /// # Errors
    /// Those of the method.
    ///
    /// # Panics
    /// On a client.
    pub fn send_origins(&mut self, origins: &[&[u8]]) -> Result<(), SendError> {
        self.as_server(|core| core.send_origins(origins))
    }

    /// Calls [`thalweg::Connection::send_alt_svc`].
    ///
    /// # Errors
    /// Those of the method.
    ///
    /// # Panics
    /// On a client.
    pub fn send_alt_svc(
        &mut self,
        on: Option<StreamKey>,
        origin: &[u8],
        value: &[u8],
    ) -> Result<(), SendError> {
        self.as_server(|core| core.send_alt_svc(on, origin, value))
    }

    fn as_server<T>(&mut self, call: impl FnOnce(&mut Recorder<Server>) -> T) -> T {
        let Core::Server(core) = &mut self.core else { panic!("only a server does this") };
        let result = call(core);
        core.check();
        result
    }
}
