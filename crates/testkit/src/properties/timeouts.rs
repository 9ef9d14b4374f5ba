//! No timeout fires sooner than its length after the call or the frame that armed it.
//!
//! Knows nothing of the timers of the core: a [`TimeoutModel`] is told of the calls that are made on
//! one end, of the frames that it takes and sends, and of the time at which each of these really
//! happened. From these alone it knows the earliest time at which a timeout may fire. Where a
//! timeout could have started at one of several times, it takes the earliest.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use thalweg::{Config, Instant, Timeout};

use super::PropertyFailure;
use crate::frames::{Frame, flag, kind};

/// The causes of one end's timeouts.
#[derive(Debug)]
pub struct TimeoutModel {
    config: Config,
    /// When the end was made, unless the peer's SETTINGS have come.
    preface: Option<Instant>,
    /// When SETTINGS were announced that are not acknowledged.
    settings: VecDeque<Instant>,
    /// When a header block began that is not whole.
    block: Option<Instant>,
    /// When bytes came last.
    input: Instant,
    /// When a keep-alive PING was sent that is not answered.
    ping: Option<Instant>,
    /// When there was a stream last.
    busy: Instant,
    /// What first asked for the end.
    shutdown: Option<Instant>,
    /// When output was handed out last.
    transmit: Instant,
    /// Streams that were cut short.
    cut: BTreeMap<u32, Cut>,
    /// Whether the output is known as soon as timeouts make it.
    knows_output: bool,
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
    pub fn new(config: Config, now: Instant) -> Self {
        Self {
            config,
            preface: Some(now),
            settings: VecDeque::from([now]),
            block: None,
            input: now,
            ping: None,
            busy: now,
            shutdown: None,
            transmit: now,
            cut: BTreeMap::new(),
            knows_output: true,
        }
    }

    /// Leaves the output of timeouts where it is: nothing is known of it, nor of what it arms.
    #[must_use]
    pub fn without_output(mut self) -> Self {
        self.knows_output = false;
        self
    }

    /// Whether the output is to be fetched, and told, after each `handle_timeout`.
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
            kind::GOAWAY => self.shuts_down(now),
            _ => {}
        }
    }

    /// There are streams.
    pub fn is_busy(&mut self, now: Instant) {
        self.busy = now;
    }

    /// `send_settings` has announced something.
    pub fn announces(&mut self, now: Instant) {
        self.settings.push_back(now);
    }

    /// `shutdown`, `handle_eof`, or a GOAWAY asks for the end.
    pub fn shuts_down(&mut self, now: Instant) {
        self.shutdown.get_or_insert(now);
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
                self.ping.get_or_insert(now);
                (Timeout::KeepAlive, self.input)
            }
            kind::GOAWAY if self.shutdown.is_none() => {
                self.shuts_down(now);
                (Timeout::Idle, self.busy)
            }
            _ => return Ok(None),
        };
        self.is_due(timeout, Some(cause), now).map(|()| Some(timeout))
    }

    /// A timeout has ended a stream.
    ///
    /// # Errors
    /// It has fired too early.
    pub fn stalls(&mut self, id: u32, now: Instant) -> Result<(), PropertyFailure> {
        let cut = self.cut.remove(&id).map(|cut| cut.since);
        self.is_due(Timeout::Stall, cut, now).map_err(|failure| format!("stream {id}: {failure}"))
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
            Timeout::Ping => cause.is_none(),
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
            Timeout::Idle => lengths.idle,
            Timeout::Shutdown => lengths.shutdown,
            Timeout::Stall => lengths.stall,
            Timeout::Transmit => lengths.transmit,
            _ => None,
        }
    }
}

/// The payload of a keep-alive PING.
const KEEP_ALIVE: &[u8] = b"\0thalive";
