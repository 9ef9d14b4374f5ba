//! One end of a connection, of either role, checked after every call, and broken on purpose where a
//! test asks for it.

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

/// The same call for both roles, and the check after it.
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

/// The same look for both roles.
macro_rules! look {
    ($endpoint:expr, $core:ident => $look:expr) => {
        match &$endpoint.core {
            Core::Client($core) => $look,
            Core::Server($core) => $look,
        }
    };
}

impl Endpoint {
    /// Starts a client.
    ///
    /// # Errors
    /// As for [`thalweg::Connection::new`].
    pub fn client(config: Config) -> Result<Self, ConfigError> {
        Self::recorded_client(config, RecordOptions::disabled())
    }

    /// Starts a client that is recorded.
    ///
    /// # Errors
    /// As for [`thalweg::Connection::new`].
    pub fn recorded_client(config: Config, recorded: RecordOptions) -> Result<Self, ConfigError> {
        Ok(Self { core: Core::Client(Recorder::new(config, recorded)?), faults: Faults::default() })
    }

    /// Starts a server.
    ///
    /// # Errors
    /// As for [`thalweg::Connection::new`].
    pub fn server(config: Config) -> Result<Self, ConfigError> {
        Self::recorded_server(config, RecordOptions::disabled())
    }

    /// Starts a server that is recorded.
    ///
    /// # Errors
    /// As for [`thalweg::Connection::new`].
    pub fn recorded_server(config: Config, recorded: RecordOptions) -> Result<Self, ConfigError> {
        Ok(Self { core: Core::Server(Recorder::new(config, recorded)?), faults: Faults::default() })
    }

    /// Breaks this end: to see that a law notices.
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

    /// See [`thalweg::Connection::receive`].
    ///
    /// # Errors
    /// The connection is over.
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
            // Something harmless in its place: `None` would mean that the input is consumed.
            Ok(Some(event)) if self.faults.hides(&event) => Ok(Some(Event::Pong { payload: [0; 8] })),
            event => event,
        }
    }

    /// See [`thalweg::Connection::handle_eof`].
    ///
    /// # Errors
    /// The peer still owed something.
    pub fn handle_eof(&mut self) -> Result<(), ConnectionError> {
        call!(self, core => core.handle_eof())
    }

    /// See [`thalweg::Connection::release`].
    pub fn release(&mut self, stream: StreamKey, bytes: usize) {
        call!(self, core => core.release(stream, bytes));
    }

    /// See [`thalweg::Connection::discard`].
    pub fn discard(&mut self, stream: StreamKey, bytes: usize) {
        call!(self, core => core.discard(stream, bytes));
    }

    /// See [`thalweg::Connection::send_data`] and [`thalweg::Connection::send_data_padded`].
    ///
    /// # Errors
    /// As there.
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

    /// See [`thalweg::Connection::splice_data`].
    ///
    /// # Errors
    /// As there.
    pub fn splice_data(&mut self, stream: StreamKey, len: usize, end: bool) -> Result<usize, SendError> {
        call!(self, core => core.splice_data(stream, len, end))
    }

    /// See [`thalweg::Connection::send_trailers`].
    ///
    /// # Errors
    /// As there.
    pub fn send_trailers(&mut self, stream: StreamKey, fields: &[Field<'_>]) -> Result<(), SendError> {
        call!(self, core => core.send_trailers(stream, fields.iter().copied()))
    }

    /// See [`thalweg::Connection::send_reset`].
    pub fn send_reset(&mut self, stream: StreamKey, code: ErrorCode) {
        call!(self, core => core.send_reset(stream, code));
    }

    /// See [`thalweg::Connection::send_settings`].
    ///
    /// # Errors
    /// As there.
    pub fn send_settings(&mut self, change: impl FnOnce(&mut Settings)) -> Result<(), SendError> {
        call!(self, core => core.send_settings(change))
    }

    /// See [`thalweg::Connection::send_ping`].
    ///
    /// # Errors
    /// As there.
    pub fn send_ping(&mut self, payload: [u8; 8]) -> Result<(), SendError> {
        call!(self, core => core.send_ping(payload))
    }

    /// See [`thalweg::Connection::set_priority`].
    ///
    /// # Errors
    /// As there.
    pub fn set_priority(&mut self, stream: StreamKey, priority: Priority) -> Result<(), SendError> {
        call!(self, core => core.set_priority(stream, priority))
    }

    /// See [`thalweg::Connection::send_extension`].
    ///
    /// # Errors
    /// As there.
    pub fn send_extension(
        &mut self,
        kind: FrameType,
        flags: Flags,
        on: Option<StreamKey>,
        payload: &[u8],
    ) -> Result<(), SendError> {
        call!(self, core => core.send_extension(kind, flags, on, payload))
    }

    /// See [`thalweg::Connection::poll_writable`].
    pub fn poll_writable(&mut self) -> Option<StreamKey> {
        let mut faults = std::mem::take(&mut self.faults);
        let stream = faults.choose(|| call!(self, core => core.poll_writable()));
        self.faults = faults;
        stream
    }

    /// See [`thalweg::Connection::poll_transmit_spliced`].
    pub fn poll_transmit(&mut self, out: &mut Vec<u8>, splices: &mut Vec<Splice>) -> bool {
        let taken = call!(self, core => core.poll_transmit_spliced(out, splices));
        self.faults.alter_output(out, taken)
    }

    /// See [`thalweg::Connection::poll_timeout`].
    pub fn poll_timeout(&self) -> Option<Instant> {
        let at = look!(self, core => core.poll_timeout())?;
        let early_by = self.faults.timeouts_early_by().as_nanos() as u64;
        Some(Instant::from_nanos(at.as_nanos().saturating_sub(early_by)))
    }

    /// See [`thalweg::Connection::handle_timeout`].
    ///
    /// # Errors
    /// As there.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), ConnectionError> {
        let now = now + self.faults.timeouts_early_by();
        call!(self, core => core.handle_timeout(now))
    }

    /// See [`thalweg::Connection::shutdown`].
    pub fn shutdown(&mut self) {
        call!(self, core => core.shutdown());
    }

    /// See [`thalweg::Connection::close`].
    pub fn close(&mut self, code: ErrorCode, debug: &[u8]) {
        call!(self, core => core.close(code, debug));
    }

    /// See [`thalweg::Connection::is_finished`].
    pub fn is_finished(&self) -> bool {
        look!(self, core => core.is_finished())
    }

    /// See [`thalweg::Connection::wants_read`].
    pub fn wants_read(&self) -> bool {
        look!(self, core => core.wants_read())
    }

    /// See [`thalweg::Connection::report`].
    pub fn report(&self) -> CloseReport {
        look!(self, core => core.report())
    }

    /// See [`thalweg::Connection::remote_settings`].
    pub fn remote_settings(&self) -> &Settings {
        look!(self, core => core.remote_settings())
    }

    /// See [`thalweg::Connection::local_settings`].
    pub fn local_settings(&self) -> &Settings {
        look!(self, core => core.local_settings())
    }

    /// Returns what flow control allows a stream to send, and the connection.
    pub fn windows(&self, stream: StreamKey) -> Option<(u32, u32)> {
        self.send_capacity(stream).map(|capacity| (capacity.stream, capacity.connection))
    }

    /// See [`thalweg::Connection::send_capacity`].
    pub fn send_capacity(&self, stream: StreamKey) -> Option<SendCapacity> {
        look!(self, core => core.send_capacity(stream))
    }

    /// See [`thalweg::Connection::live_streams`].
    pub fn live_streams(&self) -> u32 {
        look!(self, core => core.live_streams())
    }

    /// See [`thalweg::Connection::heap_bytes`].
    pub fn heap_bytes(&self) -> usize {
        look!(self, core => core.heap_bytes()) + self.faults.heap_bytes()
    }

    /// See [`thalweg::Connection::send_request`].
    ///
    /// # Errors
    /// As there.
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

    /// See [`thalweg::Connection::send_response`].
    ///
    /// # Errors
    /// As there.
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

    /// See [`thalweg::Connection::send_informational`].
    ///
    /// # Errors
    /// As there.
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

    /// See [`thalweg::Connection::send_push`].
    ///
    /// # Errors
    /// As there.
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

    /// See [`thalweg::Connection::send_origins`].
    ///
    /// # Errors
    /// As there.
    ///
    /// # Panics
    /// On a client.
    pub fn send_origins(&mut self, origins: &[&[u8]]) -> Result<(), SendError> {
        self.as_server(|core| core.send_origins(origins))
    }

    /// See [`thalweg::Connection::send_alt_svc`].
    ///
    /// # Errors
    /// As there.
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
