//! A run: two endpoints, two applications, a wire, and a clock that only the script advances.

mod completion;
mod misuse;
mod sending;
mod show;
mod timeouts;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use thalweg::frame::{Flags, FrameType};
use thalweg::{
    CloseCause, Config, ConnectionError, ErrorCode, Field, Instant, OpenError, Priority, Request, SendError,
    Splice, Status, StreamKey,
};

use self::show::{event_name, show_event};
use super::app::{App, Incoming, Plans, Reaction, Stage, StreamProgress, UNPLANNED};
use super::content::{self, Fields};
use super::script::{Change, Exchange, Message, Method, Op, Script, Side};
use crate::endpoint::Endpoint;
use crate::frames::{Frame, fragments, headers, raw};
use crate::hpack;
use crate::monitor::{Monitor, StreamState};
use crate::properties::{DataModel, TimeoutModel};

/// A violation.
pub type Mismatch = String;

/// A run.
#[derive(Debug)]
pub struct World {
    ends: [Peer; 2],
    plans: Plans,
    /// Requests that wait until a stream may be opened.
    waiting: VecDeque<(u32, Exchange)>,
    /// Pushed streams whose responses wait for the client's limit, with the number of their
    /// exchange.
    pending_responses: VecDeque<(StreamKey, u32, Message)>,
    opened: u32,
    now: Instant,
    is_honest: bool,
    /// Whether timeouts may have reset streams.
    is_slow: bool,
    /// Whether the wire was broken, or an application closed the connection.
    is_broken: bool,
    /// The transcript, if one is recorded.
    transcript: Option<Vec<String>>,
    /// The coverage of the run.
    pub coverage: Coverage,
}

/// The coverage of runs.
#[derive(Clone, Debug, Default)]
pub struct Coverage {
    /// Sent frames, by type and by the state of their stream.
    pub frames: BTreeMap<(u8, StreamState), u64>,
    /// Events, by name, and the ends of connections, by cause.
    pub events: BTreeMap<String, u64>,
}

impl Coverage {
    /// Adds the coverage of another run.
    pub fn add(&mut self, other: &Self) {
        for (key, count) in &other.frames {
            *self.frames.entry(*key).or_default() += count;
        }
        for (key, count) in &other.events {
            *self.events.entry(key.clone()).or_default() += count;
        }
    }

    fn note(&mut self, event: &str) {
        match self.events.get_mut(event) {
            Some(count) => *count += 1,
            None => drop(self.events.insert(event.to_owned(), 1)),
        }
    }
}

#[derive(Debug)]
struct Peer {
    end: Side,
    endpoint: Endpoint,
    monitor: Monitor,
    timeouts: TimeoutModel,
    data: DataModel,
    app: App,
    /// Bytes on the wire to this endpoint.
    inbox: Vec<u8>,
    /// Whether no more bytes will arrive.
    is_truncated: bool,
    eof_delivered: bool,
    over: Option<ConnectionError>,
    settings_changes: u32,
    /// Stream and offset of spliced content that was announced and not written yet.
    splices: VecDeque<(u32, u32)>,
    /// The bytes that it read, read by read, if they are recorded.
    received_input: Vec<Vec<u8>>,
}

impl World {
    /// Creates the world of a script. `endpoints`: the client and the server, created from the
    /// script's setups.
    pub fn new(script: &Script, endpoints: [Endpoint; 2], keeps_transcript: bool) -> Self {
        let is_honest = script.is_honest();
        let is_slow = script.is_slow();
        let [client, server] = endpoints;
        let side = |end, endpoint, config: Config| Peer {
            end,
            endpoint,
            monitor: Monitor::new(end == Side::Client, &config),
            timeouts: timeouts::of(end, config),
            data: DataModel::new(&config),
            app: App::new(end, is_slow, !is_honest),
            inbox: Vec::new(),
            is_truncated: false,
            eof_delivered: false,
            over: None,
            settings_changes: 0,
            splices: VecDeque::new(),
            received_input: Vec::new(),
        };
        Self {
            ends: [
                side(Side::Client, client, script.client.config()),
                side(Side::Server, server, script.server.config()),
            ],
            plans: Plans::default(),
            waiting: VecDeque::new(),
            pending_responses: VecDeque::new(),
            opened: 0,
            now: Instant::ZERO,
            is_honest,
            is_slow,
            is_broken: false,
            transcript: keeps_transcript.then(Vec::new),
            coverage: Coverage::default(),
        }
    }

    /// Returns the transcript, line by line.
    pub fn transcript(&self) -> &[String] {
        self.transcript.as_deref().unwrap_or_default()
    }

    /// Returns the bytes that the client and the server read, read by read, in a run with a
    /// transcript.
    pub fn received_input(self) -> [Vec<Vec<u8>>; 2] {
        self.ends.map(|side| side.received_input)
    }

    /// Runs one step.
    ///
    /// # Errors
    /// The violation.
    pub fn step(&mut self, op: &Op) -> Result<(), Mismatch> {
        self.log(|| format!("-- {op:?}"));
        match *op {
            Op::Open(exchange) => {
                self.opened += 1;
                self.waiting.push_back((self.opened, exchange));
                self.open_waiting()
            }
            Op::Turn { of, bytes } => self.turn(of, bytes as usize).map(drop),
            Op::Receive { by, bytes } => self.receive(by, bytes as usize).map(drop),
            Op::Serve { by } => self.serve(by).map(drop),
            Op::Transmit { by } => self.transmit(by).map(drop),
            Op::Reset { by, nth, code } => {
                self.reset(by, nth, ErrorCode(code));
                Ok(())
            }
            Op::Pause { by, nth } => {
                if let Some(stream_progress) = self.side(by).app.nth(nth) {
                    stream_progress.is_paused = true;
                }
                Ok(())
            }
            Op::Resume { by } => {
                self.resume(by);
                Ok(())
            }
            Op::Tick { ms } => self.tick(Duration::from_millis(ms.into())),
            Op::TickMicros { us } => self.tick(Duration::from_micros(us.into())),
            Op::Cut { to } => {
                self.is_broken = true;
                let side = self.side(to);
                side.inbox.clear();
                side.is_truncated = true;
                Ok(())
            }
            Op::Inject { to, kind, flags, stream, ref payload } => {
                let frame = raw(kind, flags, stream, payload);
                self.log(|| format!("{to:?} gets, out of nowhere, {frame}"));
                let side = self.side(to);
                if !side.is_truncated {
                    side.inbox.extend(frame.bytes());
                }
                Ok(())
            }
            Op::InjectBlock { to, stream, bytes, piece } => {
                self.log(|| format!("{to:?} gets, out of nowhere, a block of {bytes} bytes"));
                let block =
                    hpack::Block::new().raw(hpack::get("/")).literal("x-large", vec![b'v'; bytes as usize]);
                let block = block.literal_indexed("x-kept", "yes");
                let frames = fragments(headers(stream, block.bytes()).end_stream(), piece.into());
                let side = self.side(to);
                if !side.is_truncated {
                    side.inbox.extend(frames.iter().flat_map(Frame::bytes));
                }
                Ok(())
            }
            Op::Alter { to, at, xor } => {
                let inbox = &mut self.side(to).inbox;
                if !inbox.is_empty() {
                    let at = usize::from(at) % inbox.len();
                    inbox[at] ^= xor;
                }
                Ok(())
            }
            _ => self.action(op),
        }
    }

    /// Runs a step of an application outside of its exchanges. Its calls may be rejected.
    fn action(&mut self, op: &Op) -> Result<(), Mismatch> {
        if let Op::Priority { by, .. } | Op::Misuse { by, .. } = *op {
            // Time, the end of input, and calls may close streams: the application gets the events
            // before it uses a key.
            self.receive(by, 0)?;
        }
        match *op {
            Op::Priority { by, nth, urgency, incremental } => {
                let is_honest = self.is_honest;
                let side = self.side(by);
                if let Some(stream) = side.app.nth(nth).map(|stream_progress| stream_progress.stream) {
                    let changed = side.endpoint.set_priority(stream, Priority::new(urgency, incremental));
                    if changed.is_ok() {
                        side.data.signals(stream.id().as_u32());
                    }
                    expect_sent(changed, &side.over, "set_priority")
                        .or_else(|error| tolerate(is_honest, error))?;
                }
            }
            Op::Ping { by } => {
                let _ = self.side(by).endpoint.send_ping(*b"are you?");
            }
            Op::Settings { by, change } => {
                let side = self.side(by);
                side.app.limits_streams |= matches!(change, Change::Streams(_));
                // More would exceed the peer's rate limit.
                if side.settings_changes < 90 {
                    let changed = side.endpoint.send_settings(|settings| match change {
                        Change::InitialWindow(bytes) => settings.initial_window_size = bytes,
                        Change::HeaderTable(bytes) => settings.header_table_size = bytes,
                        Change::Streams(streams) => settings.max_concurrent_streams = streams,
                        Change::FrameSize(bytes) => settings.max_frame_size = bytes,
                        Change::HeaderList(bytes) => settings.max_header_list_size = bytes,
                        Change::Push(on) => settings.enable_push = on,
                    });
                    if changed.is_ok() {
                        side.settings_changes += 1;
                        side.timeouts.announces();
                    }
                }
            }
            Op::Extension { by, bytes } => {
                let payload = vec![7; usize::from(bytes)];
                let _ = self.side(by).endpoint.send_extension(FrameType(0x42), Flags(0x5a), None, &payload);
            }
            Op::Origins => {
                let _ = self.side(Side::Server).endpoint.send_origins(&[b"https://a.example", b""]);
            }
            Op::AltSvc { nth } => {
                let side = self.side(Side::Server);
                let stream = side.app.nth(nth).map(|stream_progress| stream_progress.stream);
                let origin: &[u8] = if stream.is_some() { b"" } else { b"https://a.example" };
                let _ = side.endpoint.send_alt_svc(stream, origin, b"h2=\":443\"");
            }
            Op::Misuse { by, nth } => return self.misuse(by, nth),
            Op::Shutdown { by } => self.shutdown(by),
            Op::Close { by, code } => {
                self.is_broken = true;
                let side = self.side(by);
                side.endpoint.close(ErrorCode(code), b"enough");
                self.record_end(by);
            }
            _ => unreachable!("the caller has done the others"),
        }
        Ok(())
    }

    fn shutdown(&mut self, end: Side) {
        let now = self.now;
        let side = self.side(end);
        side.endpoint.shutdown();
        side.timeouts.shuts_down(now);
    }

    const fn side(&mut self, end: Side) -> &mut Peer {
        &mut self.ends[end as usize]
    }

    fn log(&mut self, line: impl FnOnce() -> String) {
        if let Some(transcript) = &mut self.transcript {
            transcript.push(line());
        }
    }

    /// Runs one turn of the I/O loop that the documentation of `Connection` recommends. Returns
    /// whether it made progress.
    fn turn(&mut self, end: Side, bytes: usize) -> Result<bool, Mismatch> {
        let mut moved = self.receive(end, bytes)?;
        if end == Side::Client {
            self.open_waiting()?;
        }
        moved |= self.serve(end)?;
        moved |= self.transmit(end)?;
        self.handle_due(end)?;
        Ok(moved)
    }

    /// Reads up to `bytes` bytes from the wire, and lets the application handle every event.
    fn receive(&mut self, end: Side, bytes: usize) -> Result<bool, Mismatch> {
        let now = self.now;
        let side = self.side(end);
        if side.over.is_some() {
            return Ok(false);
        }
        let bytes = if side.endpoint.wants_read() { bytes.min(side.inbox.len()) } else { 0 };
        let input: Vec<u8> = side.inbox.drain(..bytes).collect();
        if bytes > 0 {
            side.timeouts.receives(now);
        }
        if self.transcript.is_some() && !input.is_empty() {
            self.side(end).received_input.push(input.clone());
        }
        let mut rest = input.as_slice();
        while let Some(reaction) = self.receive_step(end, &mut rest)? {
            self.react(end, reaction)?;
        }
        let side = self.side(end);
        if side.over.is_none() {
            if !rest.is_empty() {
                return Err(format!("{end:?} left {} bytes", rest.len()));
            }
            let (core, app) = (side.endpoint.live_streams(), side.app.streams.len());
            if core as usize != app {
                return Err(format!("{end:?} has {core} streams, its application {app}"));
            }
            if side.is_truncated && side.inbox.is_empty() && !side.eof_delivered {
                side.eof_delivered = true;
                side.app.is_truncated = true;
                let ended = side.endpoint.handle_eof();
                side.timeouts.ends_input(now);
                self.log(|| format!("{end:?} is at the end of its input: {ended:?}"));
                self.record_end(end);
                while let Some(reaction) = self.receive_step(end, &mut &[][..])? {
                    self.react(end, reaction)?;
                }
            }
        }
        Ok(bytes > 0)
    }

    /// Calls `receive` once. Returns `None` if no event is left.
    fn receive_step(&mut self, end: Side, rest: &mut &[u8]) -> Result<Option<Reaction>, Mismatch> {
        let now = self.now;
        let [client, server] = &mut self.ends;
        let (side, peer) = if end == Side::Client { (client, &server.app) } else { (server, &client.app) };
        let before = *rest;
        side.note_streams(now);
        let Peer { endpoint, monitor, timeouts, data, app, .. } = side;
        let received = endpoint.receive(rest, now);
        monitor.sees_each(&before[..before.len() - rest.len()], |frame| {
            timeouts.sees(frame, now);
            data.sees(frame);
        });
        match received {
            Ok(None) => Ok(None),
            Ok(Some(event)) => {
                self.coverage.note(event_name(&event));
                if let Some(transcript) = &mut self.transcript {
                    transcript.push(format!("{end:?} receives {}", show_event(&event)));
                }
                let fired = timeouts.sees_event(&event, now);
                if let Some(timeout) = fired.map_err(|mismatch| format!("{end:?}: {mismatch}"))? {
                    self.coverage.note(&format!("timeout: {timeout:?}"));
                }
                let reaction = app.handle_event(&event, &self.plans, peer);
                Ok(Some(reaction.map_err(|mismatch| format!("{end:?}: {mismatch}"))?))
            }
            Err(error) => {
                self.log(|| format!("{end:?} has failed: {error}"));
                self.record_end(end);
                self.check_end(end, error)?;
                Ok(None)
            }
        }
    }

    /// Checks that no endpoint is reported as at fault unless the wire was altered.
    fn check_end(&mut self, end: Side, error: ConnectionError) -> Result<(), Mismatch> {
        self.coverage.note(&format!("over: {:?}", error.cause()));
        if self.is_honest && matches!(error.cause(), CloseCause::Limit(_)) {
            return Err(format!("limits: {end:?} ends the connection of an honest peer: {error}"));
        }
        let expected = !self.is_honest || self.is_slow;
        if error.is_peer_fault() && !expected {
            return Err(format!("{end:?} accuses its peer: {error}"));
        }
        Ok(())
    }

    /// Records the end of a connection: its streams close without an event.
    fn record_end(&mut self, end: Side) {
        let side = self.side(end);
        if side.over.is_none()
            && let Some(error) = side.endpoint.report().error
        {
            side.over = Some(error);
            let ids: Vec<u32> = side.app.streams.keys().copied().collect();
            for id in ids {
                side.app.end_stream(id);
            }
        }
    }

    fn react(&mut self, end: Side, reaction: Reaction) -> Result<(), Mismatch> {
        match reaction {
            Reaction::None => Ok(()),
            Reaction::Retry if end == Side::Client => self.open_waiting(),
            Reaction::Retry => self.respond_waiting(),
            Reaction::Request(stream) => {
                let exchange = self.plans.exchanges.get(&stream.id().as_u32()).map(|(_, exchange)| *exchange);
                let ended = self.side(end).app.streams.get(&stream.id().as_u32());
                let ended = ended.is_some_and(|stream_progress| stream_progress.inc.stage == Stage::Done);
                if ended || exchange.is_none_or(|exchange| !exchange.waits) {
                    self.respond_to(stream)?;
                }
                Ok(())
            }
            Reaction::Consume(stream, len) => {
                self.consume(end, stream, len);
                Ok(())
            }
            Reaction::ConsumeAndEnd(stream, len) => {
                self.consume(end, stream, len);
                self.remote_ended(end, stream)
            }
            Reaction::Ended(stream) => self.remote_ended(end, stream),
        }
    }

    fn remote_ended(&mut self, end: Side, stream: StreamKey) -> Result<(), Mismatch> {
        let side = self.side(end);
        let id = stream.id().as_u32();
        if end == Side::Server
            && side
                .app
                .streams
                .get(&id)
                .is_some_and(|stream_progress| stream_progress.out.stage == Stage::Head)
        {
            self.respond_to(stream)?;
        }
        self.side(end).app.settle(id);
        Ok(())
    }

    fn consume(&mut self, end: Side, stream: StreamKey, len: usize) {
        let side = self.side(end);
        side.endpoint.release(stream, len);
        if let Some(stream_progress) = side.app.streams.get_mut(&stream.id().as_u32()) {
            stream_progress.held -= len;
        }
    }

    /// Releases all content that is held.
    fn resume(&mut self, end: Side) {
        let side = self.side(end);
        for (stream, held) in side.app.unreleased.drain(..) {
            side.endpoint.release(stream, held);
        }
        for stream_progress in side.app.streams.values_mut() {
            stream_progress.is_paused = false;
            // A call that releases nothing could send the WINDOW_UPDATE of earlier releases.
            if stream_progress.held > 0 {
                side.endpoint.release(stream_progress.stream, std::mem::take(&mut stream_progress.held));
            }
        }
    }

    fn reset(&mut self, end: Side, nth: u8, code: ErrorCode) {
        let side = self.side(end);
        let Some(stream) = side.app.nth(nth).map(|stream_progress| stream_progress.stream) else { return };
        self.reset_stream(end, stream, code);
    }

    /// Resets a stream whose message the peer's limit of header lists refuses: no other call would
    /// end it.
    fn give_up(&mut self, end: Side, stream: StreamKey) {
        self.reset_stream(end, stream, ErrorCode::INTERNAL_ERROR);
    }

    fn reset_stream(&mut self, end: Side, stream: StreamKey, code: ErrorCode) {
        let now = self.now;
        let side = self.side(end);
        side.note_streams(now);
        side.endpoint.send_reset(stream, code);
        let id = stream.id().as_u32();
        side.app.resets.insert(id);
        side.app.end_stream(id);
    }

    /// Opens waiting requests, as far as the server's limit allows.
    fn open_waiting(&mut self) -> Result<(), Mismatch> {
        while let Some(&(index, exchange)) = self.waiting.front() {
            let side = &mut self.ends[0];
            if side.app.waits_for_streams && side.over.is_none() {
                return Ok(());
            }
            let fields = Fields::new(index, &exchange.request);
            let path = format!("/{index}");
            let request = match exchange.method {
                Method::Connect => Request::connect("example.org:443"),
                method => Request::new(method.text(), b"https", b"example.org", path.as_bytes()),
            };
            let end = exchange.request.body == 0 && exchange.request.ends_in_headers();
            match side.endpoint.send_request(&request, &fields.list(), end) {
                Ok(stream) => {
                    let id = stream.id().as_u32();
                    let stage = if end { Stage::Done } else { Stage::Body };
                    let inc = Incoming::response(index, &exchange);
                    side.app.streams.insert(id, StreamProgress::new(stream, exchange.request, stage, inc));
                    self.plans.exchanges.insert(id, (index, exchange));
                    self.waiting.pop_front();
                    self.log(|| format!("Client opens stream {id}"));
                    self.send_body(Side::Client, id)?;
                }
                Err(OpenError::TooManyStreams { .. }) => {
                    side.app.waits_for_streams = true;
                    return Ok(());
                }
                Err(OpenError::GoingAway) => drop(self.waiting.pop_front()),
                Err(OpenError::Send(SendError::Connection(_))) if side.over.is_some() => {
                    self.waiting.clear();
                }
                // An inserted SETTINGS frame may have lowered the server's limits.
                Err(_) if !self.is_honest => drop(self.waiting.pop_front()),
                Err(error) => return Err(format!("a request was rejected: {error}")),
            }
        }
        Ok(())
    }

    /// Responds to a request: promises, informational responses, the final response, and the
    /// content that can be sent.
    fn respond_to(&mut self, stream: StreamKey) -> Result<(), Mismatch> {
        let id = stream.id().as_u32();
        let (index, exchange) = match self.plans.exchanges.get(&id) {
            Some(plan) => *plan,
            None => (0, UNPLANNED),
        };
        // All promises are sent first, so that their responses compete.
        let promised: Vec<StreamKey> =
            (0..exchange.pushes).filter_map(|_| self.promise(stream, index, &exchange.pushed)).collect();
        self.pending_responses.extend(promised.into_iter().map(|stream| (stream, index, exchange.pushed)));
        self.respond_waiting()?;
        let is_honest = self.is_honest;
        let side = self.side(Side::Server);
        if !side.app.streams.get(&id).is_some_and(|stream_progress| stream_progress.out.stage == Stage::Head)
        {
            return Ok(());
        }
        for _ in 0..exchange.informational {
            let hint = [Field::new(b"link", b"</style.css>; rel=preload")];
            let sent = side.endpoint.send_informational(stream, Status::EARLY_HINTS, &hint);
            expect_sent(sent, &side.over, "send_informational")
                .or_else(|error| tolerate(is_honest, error))?;
        }
        self.respond(stream, index, exchange.status, &content::response(&exchange))
    }

    /// Responds on promised streams, as far as the client's limit allows.
    fn respond_waiting(&mut self) -> Result<(), Mismatch> {
        while !self.side(Side::Server).app.waits_for_streams
            && let Some((stream, index, message)) = self.pending_responses.pop_front()
        {
            self.respond(stream, index, 200, &message)?;
            if self.side(Side::Server).app.waits_for_streams {
                self.pending_responses.push_front((stream, index, message));
            }
        }
        Ok(())
    }

    fn respond(
        &mut self,
        stream: StreamKey,
        index: u32,
        status: u16,
        message: &Message,
    ) -> Result<(), Mismatch> {
        let id = stream.id().as_u32();
        let (is_honest, now) = (self.is_honest, self.now);
        let side = self.side(Side::Server);
        side.note_streams(now);
        let Some(stream_progress) = side.app.streams.get_mut(&id) else { return Ok(()) };
        let fields = Fields::new(index, message);
        let status = Status::new(status).expect("scripts hold valid statuses");
        let end = stream_progress.out.message.body == 0 && message.ends_in_headers();
        let sent = side.endpoint.send_response(stream, status, &fields.list(), end);
        match sent {
            Ok(()) => stream_progress.out.stage = if end { Stage::Done } else { Stage::Body },
            Err(SendError::TooManyPending) if id.is_multiple_of(2) => {
                side.app.waits_for_streams = true;
                return Ok(());
            }
            Err(_) => {}
        }
        expect_sent(sent, &side.over, "send_response").or_else(|error| tolerate(is_honest, error))?;
        if matches!(sent, Err(SendError::HeaderListTooLarge { .. })) {
            self.give_up(Side::Server, stream);
            return Ok(());
        }
        side.app.settle(id);
        self.send_body(Side::Server, id)
    }

    fn promise(&mut self, parent: StreamKey, index: u32, message: &Message) -> Option<StreamKey> {
        let side = self.side(Side::Server);
        let request = Request::get("https", "example.org", "/pushed");
        let stream = side.endpoint.send_push(parent, &request, &[]).ok()?;
        let id = stream.id().as_u32();
        let inc = Incoming::begun(index, Message::default(), Stage::Done);
        side.app.streams.insert(id, StreamProgress::new(stream, *message, Stage::Head, inc));
        self.plans.pushes.insert(id, (index, *message));
        self.log(|| format!("Server promises stream {id}"));
        Some(stream)
    }

    /// Writes: checks the output, and puts it on the wire.
    fn transmit(&mut self, end: Side) -> Result<bool, Mismatch> {
        self.transmit_each(end, |_| {})
    }

    fn transmit_each(&mut self, end: Side, mut look: impl FnMut(&Frame)) -> Result<bool, Mismatch> {
        let now = self.now;
        let (mut out, mut splices) = (Vec::new(), Vec::new());
        let [client, server] = &mut self.ends;
        let (side, peer) = if end == Side::Client { (client, server) } else { (server, client) };
        if !side.endpoint.poll_transmit(&mut out, &mut splices) {
            return Ok(false);
        }
        side.timeouts.transmits(now);
        let batch = place_spliced(&out, &splices, &mut side.splices, end)?;
        let (transcript, data) = (&mut self.transcript, &mut side.data);
        let mut long_frames = Ok(());
        let checked = side.monitor.check_outbound(&batch, |frame: &Frame| {
            look(frame);
            if long_frames.is_ok() {
                long_frames = data.transmits(frame);
            }
            if let Some(transcript) = transcript {
                transcript.push(format!("{end:?} sends {frame}"));
            }
        });
        checked.map_err(|mismatch| format!("{end:?} sends what it must not: {mismatch}"))?;
        long_frames.map_err(|failure| format!("{end:?}: {failure}"))?;
        if !peer.is_truncated {
            peer.inbox.extend_from_slice(&batch);
        }
        Ok(true)
    }

    fn tick(&mut self, duration: Duration) -> Result<(), Mismatch> {
        self.now = self.now + duration;
        self.handle_due(Side::Client)?;
        self.handle_due(Side::Server)
    }

    fn handle_due(&mut self, end: Side) -> Result<(), Mismatch> {
        let now = self.now;
        for _ in 0..TURNS_MAX {
            let side = self.side(end);
            if side.endpoint.poll_timeout().is_none_or(|at| at > now) {
                return Ok(());
            }
            side.note_streams(now);
            if side.timeouts.knows_output() {
                self.transmit(end)?;
            }
            let living = self.living(end);
            let side = self.side(end);
            side.data.handles_timeout();
            let handled = side.endpoint.handle_timeout(now);
            if let Err(error) = handled {
                self.log(|| format!("{end:?} has failed: {error}"));
                self.judge_timeout(end, error)?;
                self.record_end(end);
                self.check_end(end, error)?;
                return Ok(());
            }
            self.judge_time(end, &living)?;
        }
        Err(format!("{end:?}: poll_timeout names a time that was handled, indefinitely"))
    }
}

impl Peer {
    /// Records for the timeout model that streams are live, before a call or a frame may close the
    /// last of them.
    fn note_streams(&mut self, now: Instant) {
        if self.endpoint.live_streams() > 0 {
            self.timeouts.is_busy(now);
        }
    }
}

/// Inserts spliced content at its place in the output.
fn place_spliced(
    out: &[u8],
    splices: &[Splice],
    places: &mut VecDeque<(u32, u32)>,
    from: Side,
) -> Result<Vec<u8>, Mismatch> {
    let mut wire = Vec::new();
    let (mut at, mut content) = (0, Vec::new());
    for splice in splices {
        let (id, offset) = places.pop_front().ok_or("a splice without a call")?;
        if id != splice.stream.id().as_u32() {
            return Err(format!("the splice of stream {id} is named as one of {}", splice.stream));
        }
        wire.extend_from_slice(out.get(at..splice.offset).ok_or("a splice out of order")?);
        at = splice.offset;
        content::fill(&mut content, id, from, offset, splice.len as u32);
        wire.extend_from_slice(&content);
    }
    wire.extend_from_slice(&out[at..]);
    Ok(wire)
}

/// Checks that a `send_*` call was rejected only because the connection has ended.
fn expect_sent(
    sent: Result<(), SendError>,
    over: &Option<ConnectionError>,
    call: &str,
) -> Result<(), Mismatch> {
    match sent {
        Ok(()) => Ok(()),
        Err(SendError::Connection(error)) if *over == Some(error) => Ok(()),
        Err(error) => Err(format!("{call} was rejected: {error}")),
    }
}

/// Returns the mismatch, unless the wire was altered: applications make invalid calls then.
fn tolerate(is_honest: bool, mismatch: Mismatch) -> Result<(), Mismatch> {
    if is_honest { Err(mismatch) } else { Ok(()) }
}

/// Turns after which a loop is taken for endless.
const TURNS_MAX: u32 = 1000;
