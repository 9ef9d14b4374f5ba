//! The length of the DATA frames of an endpoint, and the turns of its streams.
//!
//! Independent of the core: a [`DataModel`] records the calls that send content, and the frames
//! that the endpoint sends and receives. A window counts as a whole in it: what is available, and
//! what was sent and not credited yet.
//!
//! After a wait in vain, the endpoint may take what the peer has not credited for lost, under any
//! window. Short frames are allowed until that window has been as open as a full frame needs.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use thalweg::{Config, Instant, StreamKey, Timeouts};

use super::PropertyFailure;
use super::waits::{TurnModel, TurnOf};
use crate::endpoint::Endpoint;
use crate::frames::{Frame, kind};

/// A call that sent content.
#[derive(Clone, Copy, Debug)]
pub struct SendCall {
    /// The stream.
    pub stream: StreamKey,
    /// Bytes that the application passed.
    pub len: u32,
    /// Bytes that the call took.
    pub taken: u32,
    /// What the stream and the connection could send before the call, bytes.
    pub before: (u32, u32),
    /// When the call was made.
    pub now: Instant,
}

/// The DATA of one endpoint.
#[derive(Debug)]
pub struct DataModel {
    /// The shortest time for which a short frame waits; `None` without a clock.
    interval: Option<Duration>,
    /// Bytes sent and not credited: of streams, and of the connection (0).
    uncredited: BTreeMap<u32, u32>,
    /// Content that calls took and no frame has carried yet, by stream.
    calls: BTreeMap<u32, VecDeque<Expected>>,
    /// Blocked streams, and since when.
    blocked: BTreeMap<u32, Instant>,
    /// Windows that have not been wide open since a wait: of streams, and of the connection (0).
    narrow: BTreeSet<u32>,
    /// Whether `handle_timeout` was called: no frame waits before.
    is_on: bool,
    turns: TurnModel,
    frames: u64,
    /// The sum of the frames' lengths, in thousandths of what each should have.
    permille: u64,
}

/// Content that a call has sent.
#[derive(Debug)]
struct Expected {
    left: u32,
    full_frame: u32,
    last: LastFrame,
}

/// What limits the last frame of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LastFrame {
    /// The caller, the output limit, or the order of streams.
    Other,
    /// A window.
    Window,
    /// A window, after the time for which a short frame waits.
    Time,
}

impl DataModel {
    /// Creates the model of an endpoint that has sent nothing.
    pub fn new(config: &Config) -> Self {
        let stall = config.timeouts.stall;
        let interval = stall.map_or(INTERVAL_MAX, |stall| INTERVAL_MAX.min(stall / 4));
        Self {
            interval: (config.timeouts != Timeouts::OFF).then_some(interval),
            uncredited: BTreeMap::new(),
            calls: BTreeMap::new(),
            blocked: BTreeMap::new(),
            narrow: BTreeSet::new(),
            is_on: false,
            turns: TurnModel::default(),
            frames: 0,
            permille: 0,
        }
    }

    /// Records that a priority was signalled for a stream.
    pub fn signals(&mut self, id: u32) {
        self.turns.signals(id);
    }

    /// Records a call of `handle_timeout`.
    pub fn handles_timeout(&mut self) {
        self.is_on = true;
    }

    /// Takes a frame of the peer.
    pub fn sees(&mut self, frame: &Frame) {
        match frame.kind {
            kind::WINDOW_UPDATE => {
                let uncredited = self.uncredited.entry(frame.stream).or_default();
                *uncredited = uncredited.saturating_sub(frame.increment().unwrap_or(0));
            }
            kind::PRIORITY_UPDATE => {
                if let Some(id) = frame.body.first_chunk::<4>() {
                    self.signals(u32::from_be_bytes(*id) & 0x7fff_ffff);
                }
            }
            _ => {}
        }
    }

    /// Returns the shortest frame that windows of this size may make of a longer one, bytes.
    fn full_frame(&self, endpoint: &Endpoint, id: u32, (own, shared): (u32, u32)) -> u32 {
        let size = |id, available| available + self.uncredited.get(&id).copied().unwrap_or(0);
        let half = size(id, own).min(size(0, shared)) / 2;
        endpoint.remote_settings().max_frame_size.min(half).max(1)
    }

    /// Takes a call after it was made.
    ///
    /// # Errors
    /// A stream without a signal has waited for too many frames of others.
    pub fn sends(&mut self, endpoint: &Endpoint, call: SendCall) -> Result<(), PropertyFailure> {
        let SendCall { stream, len, taken, before, now } = call;
        let id = stream.id().as_u32();
        let full_frame = self.full_frame(endpoint, id, before);
        self.find_narrow(endpoint, id, before, now);
        let after = endpoint.windows(stream);
        let debit = after.map_or(taken, |after| before.0 - after.0);
        for id in [id, 0] {
            *self.uncredited.entry(id).or_default() += debit;
        }
        let last = match after {
            Some((own, shared)) if taken < len && own.min(shared) == 0 => self.cut_by_window(id),
            _ => LastFrame::Other,
        };
        if taken > 0 {
            let full_frame = full_frame.min(len);
            self.calls.entry(id).or_default().push_back(Expected { left: taken, full_frame, last });
        }
        if taken == len {
            self.blocked.remove(&id);
        } else if taken > 0 {
            self.blocked.insert(id, now);
        } else {
            self.blocked.entry(id).or_insert(now);
        }
        let mut turns = std::mem::take(&mut self.turns);
        let frames = taken.div_ceil(endpoint.remote_settings().max_frame_size);
        let fair = turns.sends(&call, frames, |stream, left| {
            let windows = endpoint.windows(stream)?;
            let needed = left.min(self.full_frame(endpoint, stream.id().as_u32(), windows));
            Some(match () {
                () if windows.0 < needed => TurnOf::Blocked,
                // One with less to send may pass it.
                () if before.1 < needed => TurnOf::LacksConnection,
                () => TurnOf::Sendable,
            })
        });
        self.turns = turns;
        fair
    }

    /// Updates which windows are narrow, before a call is counted.
    fn find_narrow(&mut self, endpoint: &Endpoint, id: u32, (own, shared): (u32, u32), now: Instant) {
        for (id, available) in [(id, own), (0, shared)] {
            let size = available + self.uncredited.get(&id).copied().unwrap_or(0);
            if available >= endpoint.remote_settings().max_frame_size.min(size / 2).max(1) {
                self.narrow.remove(&id);
            }
        }
        let Some(interval) = self.interval else { return };
        if self.blocked.values().any(|since| *since + interval <= now) {
            self.narrow.extend(self.uncredited.keys().copied().chain([id, 0]));
        }
    }

    fn cut_by_window(&self, id: u32) -> LastFrame {
        let waits = self.is_on && self.interval.is_some();
        match waits && !self.narrow.contains(&id) && !self.narrow.contains(&0) {
            true => LastFrame::Window,
            false => LastFrame::Time,
        }
    }

    /// Records a frame that the endpoint has sent.
    ///
    /// # Errors
    /// The mean length of DATA is too small.
    pub fn transmits(&mut self, frame: &Frame) -> Result<(), PropertyFailure> {
        let len = frame.body.len() as u32;
        if frame.kind != kind::DATA || len == 0 {
            return Ok(());
        }
        let Some(calls) = self.calls.get_mut(&frame.stream) else { return Ok(()) };
        let Some(call) = calls.front_mut() else { return Ok(()) };
        call.left = call.left.saturating_sub(len);
        let own = (u64::from(frame.flow_controlled_len()) * 1000 / u64::from(call.full_frame)).min(1000);
        let permille = match call.last {
            _ if call.left > 0 => Some(own),
            LastFrame::Other => Some(1000),
            LastFrame::Window => Some(own),
            LastFrame::Time => None,
        };
        if call.left == 0 {
            calls.pop_front();
        }
        let Some(permille) = permille else { return Ok(()) };
        self.frames += 1;
        self.permille += permille;
        if self.permille + SLACK_FRAMES * 1000 < self.frames * 500 {
            let mean = self.permille / self.frames;
            return Err(format!("data: {} frames have {mean} thousandths of a full frame", self.frames));
        }
        Ok(())
    }
}

/// The longest time for which a short frame waits, as the core documents it.
const INTERVAL_MAX: Duration = Duration::from_millis(100);
/// Frames that may be short before there are long ones.
const SLACK_FRAMES: u64 = 4;
