//! No timeout fires sooner than its length after the call or the frame that armed it.
//!
//! Knows nothing of the timers of the core: a [`TimeoutModel`] is told of the calls that are made
//! on one end, of the frames that it takes, of the frames that `handle_timeout` makes it send, and
//! of the time at which each of these really happened. From these alone it knows the earliest time
//! at which a timeout may fire. Where a timeout could have started at one of several times, it
//! takes the earliest.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use thalweg::{Config, Event, HeadersKind, Instant, ResetCause, StreamError, Timeout};

use super::PropertyFailure;
use crate::frames::{Frame, flag, kind};

/// The causes of one end's timeouts.
#[derive(Debug)]
pub struct TimeoutModel {
    config: Config,
    is_client: bool,
    /// When the end was made, unless the peer's SETTINGS have come.
    preface: Option<Instant>,
    /// When SETTINGS were announced that are not acknowledged.
    settings: VecDeque<Instant>,
    /// When a header block began that is not whole.
    block: Option<Instant>,
    /// When bytes came last.
    input: Instant,
    /// When a PING was sent that is not answered: a keep-alive one, or one beside a first GOAWAY.
    ping: Option<Instant>,
    /// How far the shutdown of a server has come.
    shutdown_ping: ShutdownPing,
    /// Whether the peer has sent GOAWAY.
    peer_leaves: bool,
    /// When there was a stream last.
    busy: Instant,
    /// What first asked for the end.
    shutdown: Option<Instant>,
    /// When output was handed out last.
    transmit: Instant,
    /// Streams that were cut short.
    cut: BTreeMap<u32, Cut>,
    /// When a request came whose content is still to come.
    requests: BTreeMap<u32, Instant>,
    /// When content came last, on whichever stream.
    content: Instant,
    /// Streams that `handle_timeout` has ended, with that time and the last cause of each timeout.
    ended: BTreeMap<u32, EndedStream>,
    /// Whether the output is known as soon as timeouts make it.
    knows_output: bool,
}

/// The PING beside the first of a server's two GOAWAYs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ShutdownPing {
    /// The server goes on.
    NotSent,
    /// The final GOAWAY waits for the answer.
    Sent,
    /// The final GOAWAY may have been sent for another reason than a timeout.
    Over,
    /// The final GOAWAY was sent at this time without an answer: a keep-alive PING may follow it.
    GivenUp(Instant),
}

/// A stream that a timeout has ended.
#[derive(Clone, Copy, Debug)]
struct EndedStream {
    at: Instant,
    stall: Option<Instant>,
    content: Option<Instant>,
}

/// A stream whose call was cut short.
#[derive(Clone, Copy, Debug)]
struct Cut {
    since: Instant,
    /// Bytes that were taken since.
    sent: u32,
}

impl TimeoutModel {
    /// Starts with the end.
    pub fn new(is_client: bool, config: Config, now: Instant) -> Self {
        Self {
            config,
            is_client,
            preface: Some(now),
            settings: VecDeque::from([now]),
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

    /// Leaves the output of timeouts where it is: nothing is known of it, nor of what it arms.
    #[must_use]
    pub fn without_output(mut self) -> Self {
        self.knows_output = false;
        self
    }

    /// Whether the output is to be fetched before and after each `handle_timeout`, and what came
    /// after it told.
    pub fn knows_output(&self) -> bool {
        self.knows_output
    }

    /// The end was given bytes.
    pub fn receives(&mut self, now: Instant) {
        self.input = now;
    }

    /// The end has taken a frame.
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

    /// The end has shown an event. Returns the timeout that it tells of.
    ///
    /// # Errors
    /// It has fired too early.
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

    /// There are streams.
    pub fn is_busy(&mut self, now: Instant) {
        self.busy = now;
    }

    /// `send_settings` has announced something.
    pub fn announces(&mut self, now: Instant) {
        self.settings.push_back(now);
    }

    /// `shutdown` asks for the end.
    pub fn shuts_down(&mut self, now: Instant) {
        self.shutdown.get_or_insert(now);
        if !self.is_client && self.shutdown_ping == ShutdownPing::NotSent {
            self.shutdown_ping = ShutdownPing::Sent;
            self.ping.get_or_insert(now);
        }
    }

    /// The peer's bytes have ended, and `handle_eof` was called.
    pub fn ends_input(&mut self, now: Instant) {
        self.shutdown.get_or_insert(now);
        self.shutdown_ping = ShutdownPing::Over;
    }

    /// `poll_transmit` has handed something out.
    pub fn transmits(&mut self, now: Instant) {
        self.transmit = now;
    }

    /// A call that sends took `sent` bytes of a stream, and left some. `is_padded`: how many it
    /// took of the window is not known.
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

    /// A call that sends took all of a stream, or the stream is over.
    pub fn unblocked(&mut self, id: u32) {
        self.cut.remove(&id);
    }

    /// `handle_timeout` has made the end send a frame. Returns the timeout that did.
    ///
    /// # Errors
    /// It has fired too early.
    pub fn says_in_time(&mut self, frame: &Frame, now: Instant) -> Result<Option<Timeout>, PropertyFailure> {
        let (timeout, cause) = match frame.kind {
            kind::PING if !frame.has(flag::ACK) && frame.body == KEEP_ALIVE => {
                if self.shutdown_ping == ShutdownPing::GivenUp(now) {
                    self.shutdown_ping = ShutdownPing::Over;
                    self.ping = Some(now);
                    return Ok(None);
                }
                self.ping.get_or_insert(now);
                (Timeout::KeepAlive, Some(self.input))
            }
            kind::GOAWAY if self.shutdown_ping == ShutdownPing::Sent => {
                self.shutdown_ping = ShutdownPing::GivenUp(now);
                let cause = self.ping.take();
                if self.peer_leaves {
                    // The last stream may have ended.
                    return Ok(None);
                }
                (Timeout::Ping, cause)
            }
            kind::GOAWAY if self.shutdown.is_none() => {
                self.shuts_down(now);
                (Timeout::Idle, Some(self.busy))
            }
            _ => return Ok(None),
        };
        self.is_due(timeout, cause, now).map(|()| Some(timeout))
    }

    /// `handle_timeout` has ended a stream: which timeout did is told by its event.
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

    /// A timeout has ended the connection.
    ///
    /// # Errors
    /// It has fired too early.
    pub fn ends(&self, timeout: Timeout, now: Instant) -> Result<(), PropertyFailure> {
        let cause = match timeout {
            Timeout::Preface => self.preface,
            Timeout::SettingsAck => self.settings.front().copied(),
            Timeout::HeaderBlock => self.block,
            Timeout::Ping => self.ping,
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
/// The payload of the PING beside a first GOAWAY.
const SHUTDOWN: &[u8] = b"\0thaldwn";
