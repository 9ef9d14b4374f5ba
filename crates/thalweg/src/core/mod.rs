//! The routes between the owners. Both roles share this one concrete type; the public `Connection` is a thin shell over it.
//!
//! Keeps true: after a connection error there is exactly one GOAWAY with its code, every later call gives the same error, and
//! the output only drains; what is unreleased on the connection is the sum over its streams and orphans.

mod blocks;
mod content;
mod control;
mod data;
mod receive;
mod send;
mod send_control;
mod timeout;
mod upgrade;
mod view;

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use thalweg_hpack::{Decoder, Encoder};

use crate::budget::{Accounts, Exhausted, Work};
use crate::config::{Bounds, Config, Deadlines, Release};
use crate::error::{Cause, ConnectionError, Deadline, ErrorCode, Limit, StreamError};
use crate::event::Initiator;
use crate::flow::{ReceiveWindow, SendWindow};
use crate::frame::{Kind, SettingId};
use crate::headers::{HeaderBlock, Headers};
use crate::inbound::Inbound;
use crate::liveness::Liveness;
use crate::outbound::Outbound;
use crate::priority::Priority;
use crate::report::{CloseReport, Counters};
use crate::settings::{LocalSettings, Settings};
use crate::shutdown::{Shutdown, Stage};
use crate::silly_window::Avoidance;
use crate::stream_id::{Stream, StreamId};
use crate::streams::ids::{Closed, Fate};
use crate::streams::{Opener, Streams};
use crate::time::Instant;
use crate::violation::{Scope, Violation};

pub use receive::{Shown, Step};
pub use upgrade::upgrade_settings;

/// The whole of a connection.
#[derive(Debug)]
pub struct Core {
    bounds: Bounds,
    is_client: bool,
    pub outbound: Outbound,
    headers: HeaderBlock,
    /// Payload of the control frame that the last event shows.
    pub shown: Vec<u8>,
    inbound: Inbound,
    streams: Streams,
    receive_window: ReceiveWindow,
    /// Unreleased bytes of streams that have ended.
    orphans: u32,
    send_window: SendWindow,
    avoidance: Avoidance,
    /// When the peer last opened the connection's send window, which had been empty.
    window_opened_at: Instant,
    local: LocalSettings,
    remote: Settings,
    remote_settings_seen: bool,
    decoder: Decoder,
    encoder: Encoder,
    accounts: Accounts,
    liveness: Liveness,
    shutdown: Shutdown,
    pings_waiting: u32,
    /// Priorities for streams that were not opened yet (RFC 9218 §7.1).
    early_priorities: VecDeque<(StreamId, Priority)>,
    /// Ends that no event has told yet.
    ended: VecDeque<Ended>,
    /// The slot at which the search for streams beyond the peer's GOAWAY goes on.
    excluded_from: Option<usize>,
    openable: Openable,
    /// When content was last received. `None`: the peer got new window, and time counts from the next
    /// look.
    content_received: Option<Instant>,
    error: Option<ConnectionError>,
    eof: bool,
    /// Whether the byte stream ended though neither side had sent GOAWAY.
    ended_without_goaway: bool,
    remote_code: Option<ErrorCode>,
    streams_alive: u32,
    last_frame: Option<(Kind, StreamId)>,
    counters: Counters,
}

/// A stream's end that an event will tell.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    pub stream: Stream,
    pub code: ErrorCode,
    pub by: Initiator,
}

/// The connection has failed: `Core::error` says how. Inside the core an error is one bit, so that results stay small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failed;

/// Whether the caller waits for room for a new stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Openable {
    NotAsked,
    /// A request was refused for lack of room.
    Wanted,
    /// There is room, and no event has told it yet.
    Due,
}

impl Core {
    /// Starts a connection; the first bytes are in the output.
    pub fn new(config: &Config, is_client: bool) -> Self {
        let settings = Settings::from_config(config, is_client);
        let mut deadlines = config.deadlines;
        if is_client {
            deadlines.idle = deadlines.client_idle;
        }
        let mut core = Self {
            bounds: Bounds::from(config),
            is_client,
            outbound: Outbound::with_capacity(OUTPUT_BYTES_INITIAL),
            headers: HeaderBlock::default(),
            shown: Vec::new(),
            inbound: Inbound::new(!is_client),
            streams: Streams::new(is_client, config.closed_streams_remembered),
            receive_window: ReceiveWindow::new(CONNECTION_WINDOW_INITIAL),
            orphans: 0,
            send_window: SendWindow::new(CONNECTION_WINDOW_INITIAL),
            avoidance: Avoidance::new(config.deadlines != Deadlines::OFF, config.deadlines.stall),
            window_opened_at: Instant::ZERO,
            local: LocalSettings::new(settings),
            remote: Settings::default(),
            remote_settings_seen: false,
            decoder: Decoder::new(TABLE_BYTES_INITIAL),
            encoder: Encoder::new(config.encoder_table_bytes_max, config.hash_seed),
            accounts: Accounts::new(&config.budgets),
            liveness: Liveness::new(&deadlines),
            shutdown: Shutdown::default(),
            pings_waiting: 0,
            early_priorities: VecDeque::new(),
            ended: VecDeque::new(),
            excluded_from: None,
            openable: Openable::NotAsked,
            content_received: Some(Instant::ZERO),
            error: None,
            eof: false,
            ended_without_goaway: false,
            remote_code: None,
            streams_alive: 0,
            last_frame: None,
            counters: Counters::default(),
        };
        core.begin(&settings, config.connection_window_bytes);
        core.judge_full_frame();
        core
    }

    /// RFC 9113 §3.4: preface, then SETTINGS. The connection window has no setting: WINDOW_UPDATE widens it.
    fn begin(&mut self, settings: &Settings, connection_window_bytes: u32) {
        if self.is_client {
            self.outbound.preface();
        }
        let changes = settings.changes_from(&Settings::default());
        // RFC 9113 §6.5.2: a server must not send SETTINGS_ENABLE_PUSH as 1; it is 1 without being sent.
        debug_assert!(self.is_client || !changes.iter().any(|(id, _)| *id == SettingId::ENABLE_PUSH));
        self.outbound.settings(changes.into_iter());
        let widening = connection_window_bytes - CONNECTION_WINDOW_INITIAL;
        if widening > 0 {
            self.receive_window.widen(widening);
            self.outbound.window_update(StreamId::CONNECTION, widening);
        }
    }

    /// The connection's error, if it is over.
    #[inline]
    pub fn alive(&self) -> Result<(), ConnectionError> {
        match self.error {
            None => Ok(()),
            Some(error) => Err(error),
        }
    }

    /// What a caller is told after [`Failed`].
    #[cold]
    pub fn failure(&self) -> ConnectionError {
        self.error.unwrap_or(ConnectionError::new(Cause::Closed, ErrorCode::INTERNAL_ERROR))
    }

    /// Ends the connection: a GOAWAY that says why, and nothing after it. Called once.
    #[cold]
    pub fn fail(&mut self, error: ConnectionError) -> Failed {
        debug_assert!(self.error.is_none());
        let debug = match error.cause() {
            Cause::Violation(_) | Cause::Limit(_) | Cause::Deadline(_) => alloc::format!("{error}"),
            Cause::Closed | Cause::Eof | Cause::GoAway => alloc::string::String::new(),
        };
        self.end(error, debug.as_bytes());
        Failed
    }

    /// Ends the connection with debug data of the caller's.
    pub fn end(&mut self, error: ConnectionError, debug: &[u8]) {
        let last = match self.shutdown.stage() {
            Stage::Final(last) => last,
            Stage::Open | Stage::Announced => self.streams.last(Opener::Remote),
        };
        // An error that the peer found is not ours to say.
        let code = if error.cause() == Cause::GoAway { ErrorCode::NO_ERROR } else { error.code() };
        self.outbound.go_away(last, code, debug);
        self.error = Some(error);
        self.streams_alive = self.streams.live();
        self.streams.close_all();
        self.inbound.kill();
        self.ended.clear();
        self.liveness.disarm_all();
    }

    /// Ends the connection for a rule that the peer broke.
    #[cold]
    fn violated(&mut self, violation: Violation, stream: StreamId) -> Failed {
        self.fail(ConnectionError::violation(violation, stream))
    }

    /// Ends the connection for a limit that the peer ran into.
    #[cold]
    fn limited(&mut self, limit: Limit, stream: StreamId, seen: u64, bound: u64) -> Failed {
        self.fail(ConnectionError::limit(limit, stream, seen, bound))
    }

    /// Charges work to the peer; an empty bucket ends the connection.
    #[inline]
    fn charge(&mut self, work: Work, stream: StreamId) -> Result<(), Failed> {
        match self.accounts.charge(work, self.liveness.now()) {
            Ok(()) => Ok(()),
            Err(Exhausted { limit, burst }) => {
                Err(self.limited(limit, stream, u64::from(burst) + 1, u64::from(burst)))
            }
        }
    }

    /// Answers a rule broken on a stream, whatever has become of that stream.
    #[cold]
    fn stream_violated(&mut self, id: StreamId, violation: Violation) -> Result<(), Failed> {
        if violation.scope() == Scope::Connection {
            return Err(self.violated(violation, id));
        }
        self.stream_failed(id, StreamError::Violation(violation))
    }

    /// Resets a stream for an error that the peer made, and charges it.
    #[cold]
    fn stream_failed(&mut self, id: StreamId, error: StreamError) -> Result<(), Failed> {
        let code = error.code();
        match self.streams.handle(id) {
            Some(stream) => self.reset_for(stream, code, Initiator::Local(error)),
            // RFC 9113 §5.4, §5.4.2: the first error of a stream is the only one, and has one RST_STREAM.
            None if self.streams.fate(id) == Fate::Closed(Closed::ResetLocal) => {}
            None => {
                self.streams.note_reset(id);
                self.counters.resets_sent += 1;
                self.outbound.reset(id, code);
            }
        }
        self.charge(Work::Reset, id)
    }

    /// Resets a live stream; the event comes later if the caller knows the stream.
    fn reset_for(&mut self, stream: Stream, code: ErrorCode, by: Initiator) {
        let shown = self.streams.find(stream).is_some_and(|slot| slot.shown);
        self.outbound.reset(stream.id(), code);
        self.counters.resets_sent += 1;
        self.drop_stream(stream, Closed::ResetLocal);
        if shown {
            self.ended.push_back(Ended { stream, code, by });
        }
    }

    /// Ends a stream early: what the caller holds of it is credited to the peer.
    fn drop_stream(&mut self, stream: Stream, how: Closed) {
        let Some(slot) = self.streams.close(stream, how) else { return };
        let held = slot.receive_window.held();
        self.release_on_connection(held);
        self.after_stream_end();
    }

    /// Ends a stream whose halves have both ended: what the caller holds of it stays accounted for.
    fn complete_stream(&mut self, stream: Stream) {
        let Some(slot) = self.streams.close(stream, Closed::Ended) else { return };
        self.orphans += slot.receive_window.held();
        self.counters.streams_completed += 1;
        self.accounts.credit(Work::Reset, RESETS_PER_COMPLETED_STREAM);
        self.after_stream_end();
    }

    fn after_stream_end(&mut self) {
        if self.openable == Openable::Wanted && self.may_open() {
            self.openable = Openable::Due;
        }
        if self.streams.live() == 0 {
            if self.shutdown.remote_last().is_some() {
                self.say_final_go_away();
            }
            self.liveness.arm(Deadline::Idle);
        }
    }

    /// Whether the peer's limit leaves room for a stream of ours.
    fn may_open(&self) -> bool {
        self.streams.counted(Opener::Local) < self.remote.max_concurrent_streams
    }

    /// Says the last GOAWAY of a shutdown, once.
    fn say_final_go_away(&mut self) {
        let last = self.streams.last(Opener::Remote);
        if self.shutdown.finish(last) {
            self.outbound.go_away(last, ErrorCode::NO_ERROR, &[]);
        }
    }

    /// Credits bytes to the connection window.
    #[inline]
    fn release_on_connection(&mut self, bytes: u32) {
        self.receive_window.release(bytes);
        // Nobody holds these bytes any more, nor the small frames that they came in.
        self.accounts.credit(Work::SmallData, bytes);
        if let Some(increment) = self.receive_window.take_update() {
            self.content_received = None;
            self.outbound.window_update(StreamId::CONNECTION, increment);
        }
    }

    /// The application has consumed bytes of a stream.
    pub fn release(&mut self, stream: Stream, bytes: usize) {
        if self.error.is_some() {
            return;
        }
        self.credit(stream, u32::try_from(bytes).unwrap_or(u32::MAX));
    }

    /// Gives back what was received on a stream, on a connection that lives.
    fn credit(&mut self, stream: Stream, bytes: u32) {
        let Some(slot) = self.streams.find_mut(stream) else {
            let released = bytes.min(self.orphans);
            self.orphans -= released;
            return self.release_on_connection(released);
        };
        let released = slot.receive_window.release(bytes);
        if slot.state.remote() != crate::streams::state::Half::Ended
            && let Some(increment) = slot.receive_window.take_update()
        {
            slot.content_timer.restart();
            self.outbound.window_update(stream.id(), increment);
        }
        self.release_on_connection(released);
    }

    /// Whether nothing more will come out.
    pub fn is_finished(&self) -> bool {
        self.outbound.is_empty() && (self.error.is_some() || self.is_drained())
    }

    /// Whether the connection has ended in order: both sides have nothing more to say.
    fn is_drained(&self) -> bool {
        let said = matches!(self.shutdown.stage(), Stage::Final(_));
        said && self.streams.live() == 0 && self.ended.is_empty()
    }

    /// Whether the caller should read from the transport.
    pub fn wants_read(&self) -> bool {
        let room = self.bounds.output_bytes_max as usize;
        // Spliced payloads do not count: two peers that write to each other would both wait to be read.
        self.error.is_none() && !self.eof && self.outbound.own_len() <= room
    }

    /// How the connection stands, or how it ended.
    pub fn report(&self) -> CloseReport {
        let retry_above = match (self.shutdown.remote_last(), self.error) {
            (Some(last), _) => Some(last),
            (None, _) => None,
        };
        let mut counters = self.counters;
        counters.bytes_sent = self.outbound.total();
        CloseReport {
            error: self.error,
            remote_code: self.remote_code,
            ended_without_goaway: self.ended_without_goaway,
            last_frame: self.last_frame,
            streams_alive: if self.error.is_some() { self.streams_alive } else { self.streams.live() },
            retry_above,
            counters,
        }
    }

    /// The live streams, reserved ones included.
    pub fn live_streams(&self) -> u32 {
        self.streams.live()
    }

    /// The peer's settings.
    pub fn remote_settings(&self) -> &Settings {
        &self.remote
    }

    /// Our settings as far as they bind the peer.
    pub fn local_settings(&self) -> &Settings {
        self.local.in_force()
    }

    /// Bytes that may be sent on a stream now, and on the connection.
    pub fn send_capacity(&self, stream: Stream) -> Option<(u32, u32)> {
        let slot = self.streams.find(stream)?;
        Some((slot.send_window.available(), self.send_window.available()))
    }

    /// The fields of the last header block.
    #[inline]
    pub fn headers(&self) -> Headers<'_> {
        self.headers.view(&self.decoder)
    }

    /// Heap that is held, bytes.
    pub fn heap_bytes(&self) -> usize {
        self.streams.capacity_bytes()
            + self.headers.capacity_bytes()
            + self.decoder.table_bytes()
            + self.encoder.table_bytes()
            + self.inbound.capacity_bytes()
            + self.outbound.capacity_bytes()
            + self.local.capacity_bytes()
            + self.shown.capacity()
            + self.early_priorities.capacity() * size_of::<(StreamId, Priority)>()
            + self.ended.capacity() * size_of::<Ended>()
    }

    /// Asserts what all owners keep true.
    pub fn check(&self) {
        if !cfg!(debug_assertions) {
            return;
        }
        self.streams.check();
        self.local.check();
        self.liveness.check();
        self.accounts.check();
        self.outbound.check();
        self.receive_window.check();
        if self.error.is_none() {
            let held: u32 = self.streams.iter().map(|(_, slot)| slot.receive_window.held()).sum();
            debug_assert_eq!(
                held + self.orphans,
                self.receive_window.held(),
                "unreleased bytes do not add up"
            );
        } else {
            debug_assert_eq!(self.streams.live(), 0);
        }
    }
}

/// A client that cancels four of five calls is still one that uses the service.
const RESETS_PER_COMPLETED_STREAM: u32 = 4;
/// RFC 9113 §6.9.2
const CONNECTION_WINDOW_INITIAL: u32 = 65_535;
/// Preface, SETTINGS, WINDOW_UPDATE and the acknowledgement of SETTINGS fit into so many bytes.
const OUTPUT_BYTES_INITIAL: usize = 128;
/// RFC 9113 §6.5.2
const TABLE_BYTES_INITIAL: u32 = 4096;
