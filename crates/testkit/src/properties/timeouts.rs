//! No timeout expires earlier than its duration after the call or the frame that armed it.
//!
//! Independent of the timers of the core: a [`TimeoutModel`] records the calls on one endpoint, the
//! frames that it receives, the frames that `handle_timeout` makes it send, and the time of each.
//! From these it computes the earliest time at which a timeout may expire. Where a timeout could
//! have started at one of several times, the model takes the earliest. A timeout of a frame that
//! the peer must see before it can act starts when `poll_transmit` hands the frame out, not before.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use thalweg::{Config, Event, HeadersKind, Instant, ResetCause, StreamError, Timeout};

use super::PropertyFailure;
use crate::frames::{Frame, flag, kind};

/// The causes of one endpoint's timeouts.
#[derive(Debug)]
pub struct TimeoutModel {
    config: Config,
    is_client: bool,
    /// When the endpoint was created, or a client's preface was handed out, unless the peer's
    /// SETTINGS were received.
    preface: Option<Cause>,
    /// When each unacknowledged SETTINGS was handed out.
    settings: VecDeque<Cause>,
    /// When the unfinished field block began.
    block: Option<Instant>,
    /// When bytes were received last.
    input: Instant,
    /// When the unacknowledged PING was handed out: a keep-alive one, or the one with a first
    /// GOAWAY.
    ping: Option<Cause>,
    /// The phase of a server's shutdown.
    shutdown_ping: ShutdownPing,
    /// Whether the peer has sent GOAWAY.
    peer_leaves: bool,
    /// When there was a stream last.
    busy: Instant,
    /// When the shutdown started.
    shutdown: Option<Instant>,
    /// When output was fetched last.
    transmit: Instant,
    /// Blocked streams.
    cut: BTreeMap<u32, Cut>,
    /// When each request was received whose content is not complete.
    requests: BTreeMap<u32, Instant>,
    /// When content was received last, on any stream.
    content: Instant,
    /// Streams that `handle_timeout` has reset, with that time and the last cause of each timeout.
    ended: BTreeMap<u32, EndedStream>,
    /// Whether the output of timeouts is fetched at once.
    knows_output: bool,
}

/// When a frame was handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// It is in the output.
    Unsent,
    At(Instant),
}

impl Cause {
    fn time(self) -> Option<Instant> {
        match self {
            Self::Unsent => None,
            Self::At(time) => Some(time),
        }
    }
}

/// The shutdown of a server, which sends a PING with the first of its two GOAWAYs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ShutdownPing {
    /// No shutdown.
    NotSent,
    /// The final GOAWAY waits for the acknowledgement.
    Sent,
    /// The final GOAWAY may have been sent for a reason other than a timeout.
    Over,
    /// The final GOAWAY was sent at this time without an acknowledgement: a keep-alive PING may
    /// follow it.
    GivenUp(Instant),
}

/// A stream that a timeout has reset.
#[derive(Clone, Copy, Debug)]
struct EndedStream {
    at: Instant,
    stall: Option<Instant>,
    content: Option<Instant>,
}

/// A blocked stream.
#[derive(Clone, Copy, Debug)]
struct Cut {
    since: Instant,
    /// Bytes that calls took since.
    sent: u32,
}

impl TimeoutModel {
    /// Creates the model of a new endpoint.
    pub fn new(is_client: bool, config: Config, now: Instant) -> Self {
        Self {
            config,
            is_client,
            preface: Some(if is_client { Cause::Unsent } else { Cause::At(now) }),
            settings: VecDeque::from([Cause::Unsent]),
            block: None,
            input: now,
            ping: None,
            shutdown_ping: ShutdownPing::NotSent,
            peer_leaves: false,
            busy: now,
            shutdown: None,
            transmit: now,
            cut: BTreeMap::new(),
            requests: BTreeMap::new(),
            content: now,
            ended: BTreeMap::new(),
            knows_output: true,
        }
    }

    /// Configures the model not to observe the output of timeouts, nor the timeouts that it arms.
    #[must_use]
    pub fn without_output(mut self) -> Self {
        self.knows_output = false;
        self
    }

    /// Whether the caller must fetch the output before and after each `handle_timeout`, and record
    /// what came after it.
    pub fn knows_output(&self) -> bool {
        self.knows_output
    }

    /// Records that bytes were received.
    pub fn receives(&mut self, now: Instant) {
        self.input = now;
    }

    /// Records a received frame.
    pub fn sees(&mut self, frame: &Frame, now: Instant) {
        match frame.kind {
            kind::SETTINGS if frame.has(flag::ACK) => drop(self.settings.pop_front()),
            kind::SETTINGS => self.preface = None,
            kind::HEADERS | kind::PUSH_PROMISE if !frame.has(flag::END_HEADERS) => self.block = Some(now),
            kind::CONTINUATION if frame.has(flag::END_HEADERS) => self.block = None,
            kind::PING if frame.has(flag::ACK) && frame.body == KEEP_ALIVE => self.ping = None,
            kind::PING if frame.has(flag::ACK) && frame.body == SHUTDOWN => {
                self.ping = None;
                self.shutdown_ping = ShutdownPing::Over;
            }
            kind::GOAWAY => {
                self.shutdown.get_or_insert(now);
                self.peer_leaves = true;
            }
            _ => {}
        }
    }

    /// Records an event. Returns the timeout that it reports.
    ///
    /// # Errors
    /// The timeout has expired too early.
    pub fn sees_event(
        &mut self,
        event: &Event<'_, '_>,
        now: Instant,
    ) -> Result<Option<Timeout>, PropertyFailure> {
        match event {
            Event::Headers { stream, kind: HeadersKind::Request, end: false, .. } => {
                self.requests.insert(stream.id().as_u32(), now);
            }
            Event::Data { data, .. } if !data.is_empty() => self.content = now,
            Event::Reset { stream, by: ResetCause::Local(StreamError::Timeout(timeout)), .. } => {
                self.ends_stream(stream.id().as_u32(), *timeout)?;
                return Ok(Some(*timeout));
            }
            _ => {}
        }
        Ok(None)
    }

    /// Records that streams are live.
    pub fn is_busy(&mut self, now: Instant) {
        self.busy = now;
    }

    /// Records a call of `send_settings`.
    pub fn announces(&mut self) {
        self.settings.push_back(Cause::Unsent);
    }

    /// Records a call of `shutdown`.
    pub fn shuts_down(&mut self, now: Instant) {
        self.shutdown.get_or_insert(now);
        if !self.is_client && self.shutdown_ping == ShutdownPing::NotSent {
            self.shutdown_ping = ShutdownPing::Sent;
            self.ping.get_or_insert(Cause::Unsent);
        }
    }

    /// Records a call of `handle_eof`.
    pub fn ends_input(&mut self, now: Instant) {
        self.shutdown.get_or_insert(now);
        self.shutdown_ping = ShutdownPing::Over;
    }

    /// Records that `poll_transmit` returned output.
    pub fn transmits(&mut self, now: Instant) {
        self.transmit = now;
        let frames = self.preface.iter_mut().chain(&mut self.settings).chain(&mut self.ping);
        for cause in frames {
            if *cause == Cause::Unsent {
                *cause = Cause::At(now);
            }
        }
    }

    /// Records a `send_*` call that took `sent` bytes of a stream and left some. `is_padded`: how
    /// many it took of the window is not known.
    pub fn blocked(&mut self, id: u32, sent: u32, is_padded: bool, now: Instant) {
        let Some(cut) = self.cut.get_mut(&id) else {
            self.cut.insert(id, Cut { since: now, sent: 0 });
            return;
        };
        cut.sent = cut.sent.saturating_add(sent);
        if cut.sent >= self.config.stall_bytes_min && !is_padded {
            *cut = Cut { since: now, sent: 0 };
        }
    }

    /// Records that a `send_*` call took all content of a stream, or that the stream is closed.
    pub fn unblocked(&mut self, id: u32) {
        self.cut.remove(&id);
    }

    /// Records a frame that `handle_timeout` sent. Returns the timeout that caused it.
    ///
    /// # Errors
    /// The timeout has expired too early.
    pub fn says_in_time(&mut self, frame: &Frame, now: Instant) -> Result<Option<Timeout>, PropertyFailure> {
        let (timeout, cause) = match frame.kind {
            kind::PING if !frame.has(flag::ACK) && frame.body == KEEP_ALIVE => {
                if self.shutdown_ping == ShutdownPing::GivenUp(now) {
                    self.shutdown_ping = ShutdownPing::Over;
                    self.ping = Some(Cause::At(now));
                    return Ok(None);
                }
                self.ping.get_or_insert(Cause::At(now));
                (Timeout::KeepAlive, Some(self.input))
            }
            kind::GOAWAY if self.shutdown_ping == ShutdownPing::Sent => {
                self.shutdown_ping = ShutdownPing::GivenUp(now);
                let cause = self.ping.take().and_then(Cause::time);
                if self.peer_leaves {
                    // The last stream may have closed.
                    return Ok(None);
                }
                (Timeout::Ping, cause)
            }
            kind::GOAWAY if self.shutdown.is_none() => {
                self.shuts_down(now);
                // The output of `handle_timeout` is fetched.
                self.ping = self.ping.map(|ping| Cause::At(ping.time().unwrap_or(now)));
                (Timeout::Idle, Some(self.busy))
            }
            _ => return Ok(None),
        };
        self.is_due(timeout, cause, now).map(|()| Some(timeout))
    }

    /// Records that `handle_timeout` has reset a stream. Its event will name the timeout.
    pub fn stream_ended(&mut self, id: u32, now: Instant) {
        let stall = self.cut.remove(&id).map(|cut| cut.since);
        let content = self.requests.remove(&id).map(|request| request.max(self.content));
        self.ended.insert(id, EndedStream { at: now, stall, content });
    }

    fn ends_stream(&mut self, id: u32, timeout: Timeout) -> Result<(), PropertyFailure> {
        let Some(ended) = self.ended.remove(&id) else {
            return Err(format!("timeouts: {timeout:?} ends stream {id} outside of handle_timeout"));
        };
        let cause = if timeout == Timeout::Stall { ended.stall } else { ended.content };
        self.is_due(timeout, cause, ended.at).map_err(|failure| format!("{failure} (stream {id})"))
    }

    /// Records that a timeout has ended the connection.
    ///
    /// # Errors
    /// The timeout has expired too early.
    pub fn ends(&self, timeout: Timeout, now: Instant) -> Result<(), PropertyFailure> {
        let cause = match timeout {
            Timeout::Preface => self.preface.and_then(Cause::time),
            Timeout::SettingsAck => self.settings.front().copied().and_then(Cause::time),
            Timeout::HeaderBlock => self.block,
            Timeout::Ping => self.ping.and_then(Cause::time),
            Timeout::Shutdown => self.shutdown,
            Timeout::Transmit => Some(self.transmit),
            _ => None,
        };
        // A keep-alive PING that is still in the output, or a shutdown for idleness, may be the
        // cause.
        let is_hidden = match timeout {
            Timeout::Ping => self.config.timeouts.keep_alive.is_some(),
            Timeout::Shutdown => self.config.timeouts.idle.is_some(),
            _ => false,
        };
        if !self.knows_output && is_hidden {
            return Ok(());
        }
        self.is_due(timeout, cause, now)
    }

    fn is_due(&self, timeout: Timeout, cause: Option<Instant>, now: Instant) -> Result<(), PropertyFailure> {
        let Some(cause) = cause else { return Err(format!("timeouts: {timeout:?} fires without a cause")) };
        let Some(length) = self.length(timeout) else {
            return Err(format!("timeouts: {timeout:?} fires, and it is off"));
        };
        let passed = now.saturating_duration_since(cause);
        if passed >= length {
            return Ok(());
        }
        Err(format!("timeouts: {timeout:?} fires {passed:?} after what armed it, its length is {length:?}"))
    }

    fn length(&self, timeout: Timeout) -> Option<Duration> {
        let lengths = &self.config.timeouts;
        match timeout {
            Timeout::Preface => lengths.preface,
            Timeout::SettingsAck => lengths.settings_ack,
            Timeout::HeaderBlock => lengths.header_block,
            Timeout::KeepAlive => lengths.keep_alive,
            Timeout::Ping => lengths.ping,
            Timeout::Idle if self.is_client => lengths.client_idle,
            Timeout::Idle => lengths.idle,
            Timeout::Shutdown => lengths.shutdown,
            Timeout::Stall => lengths.stall,
            Timeout::Transmit => lengths.transmit,
            Timeout::Content => lengths.content,
            _ => None,
        }
    }
}

/// The payload of a keep-alive PING.
const KEEP_ALIVE: &[u8] = b"\0thalive";
/// The payload of the PING with a first GOAWAY.
const SHUTDOWN: &[u8] = b"\0thaldwn";
