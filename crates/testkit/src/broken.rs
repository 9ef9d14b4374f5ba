//! Injected faults: endpoints with one defect each, for tests that each property detects its fault.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use thalweg::{Config, ErrorCode, Event, Limit, RateLimit, StreamKey};

use crate::frames::{HEADER_LEN, PREFACE, Piece, kind, ping, rst_stream};

/// A defect of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Its WINDOW_UPDATE frames are lost, so that flow control stalls.
    LosesWindowUpdates,
    /// Each WINDOW_UPDATE grants one byte too many, or one too few.
    GrantsTooMuch,
    /// One bit of each piece of content that it sends is wrong.
    AltersData,
    /// It resets stream 1 instead of sending its content, as if the peer had broken a rule.
    BlamesPeer,
    /// It reports a reset twice.
    ReportsResetsTwice,
    /// It does not report a reset.
    HidesResets,
    /// It loses input that comes byte by byte.
    LosesSingleBytes,
    /// It sends frames without a cause.
    SendsUnprompted,
    /// Its output depends on state outside of the connection.
    IsNondeterministic,
    /// It keeps a copy of everything that it receives.
    RetainsInput,
    /// It allocates at every call.
    Allocates,
    /// It sends content byte by byte.
    SendsCrumbs,
    /// It names no other stream while one that it prefers can send.
    PrefersOneStream,
    /// Its timeouts fire up to 100 ms early.
    FiresTimeoutsEarly,
}

/// The configuration of an end whose limit is too low, as if it charged for what honest peers do:
/// `burst` at once, and none with time.
///
/// # Panics
/// For a limit that is no rate limit.
#[must_use]
pub fn with_low_limit(mut config: Config, limit: Limit, burst: u32) -> Config {
    let limits = &mut config.rate_limits;
    let rate = match limit {
        Limit::Resets => &mut limits.resets,
        Limit::Pings => &mut limits.pings,
        Limit::Settings => &mut limits.settings,
        Limit::EmptyFrames => &mut limits.empty_frames,
        Limit::Priorities => &mut limits.priorities,
        Limit::WindowUpdates => &mut limits.window_updates,
        Limit::Extensions => &mut limits.extensions,
        Limit::SmallData => &mut limits.small_data,
        _ => panic!("{limit:?} is no rate limit"),
    };
    *rate = RateLimit::new(burst, 0);
    config
}

/// The state of a fault.
#[derive(Debug, Default)]
pub struct Faults {
    fault: Option<Fault>,
    retained: Vec<u8>,
    reported: Option<StreamKey>,
    fired: bool,
    /// The stream that is preferred.
    preferred: Option<StreamKey>,
    /// The streams that wait for it.
    withheld: Vec<StreamKey>,
}

impl Faults {
    /// Creates a fault.
    pub const fn new(fault: Fault) -> Self {
        Self {
            fault: Some(fault),
            retained: Vec::new(),
            reported: None,
            fired: false,
            preferred: None,
            withheld: Vec::new(),
        }
    }

    /// Applies the fault to received input. Returns a stream whose reset is to be reported once
    /// more.
    pub fn alter_input(&mut self, input: &mut &[u8]) -> Option<StreamKey> {
        match self.fault? {
            Fault::LosesSingleBytes if input.len() == 1 => *input = &[],
            Fault::RetainsInput => self.retained.extend_from_slice(input),
            Fault::Allocates => drop(std::hint::black_box(Box::new(input.len()))),
            _ => {}
        }
        self.reported.take()
    }

    /// Returns the most content that one call sends, bytes.
    pub const fn piece_len(&self, len: usize) -> usize {
        match self.fault {
            Some(Fault::SendsCrumbs) if len > 1 => 1,
            _ => len,
        }
    }

    /// Breaks the order in which streams are named; `next` asks the connection.
    pub fn choose(&mut self, mut next: impl FnMut() -> Option<StreamKey>) -> Option<StreamKey> {
        if self.fault != Some(Fault::PrefersOneStream) {
            return next();
        }
        while let Some(stream) = next() {
            if *self.preferred.get_or_insert(stream) == stream {
                return Some(stream);
            }
            self.withheld.push(stream);
        }
        let stream = self.withheld.pop();
        if stream.is_none() {
            self.preferred = None;
        }
        stream
    }

    /// How early its timeouts fire.
    pub fn timeouts_early_by(&self) -> Duration {
        if self.fault == Some(Fault::FiresTimeoutsEarly) {
            Duration::from_millis(100)
        } else {
            Duration::ZERO
        }
    }

    /// Returns the memory that the fault keeps, bytes.
    pub const fn heap_bytes(&self) -> usize {
        self.retained.capacity()
    }

    /// Applies the fault to an event. Returns whether the event is dropped.
    pub fn hides(&mut self, event: &Event<'_, '_>) -> bool {
        match (self.fault, event) {
            (Some(Fault::HidesResets), Event::Reset { .. }) => true,
            (Some(Fault::ReportsResetsTwice), Event::Reset { stream, .. }) => {
                self.reported = Some(*stream);
                false
            }
            _ => false,
        }
    }

    /// Applies the fault to output, which has no splices. Returns whether output is left.
    pub fn alter_output(&mut self, out: &mut Vec<u8>, taken: bool) -> bool {
        match self.fault {
            Some(Fault::LosesWindowUpdates) => rewrite(out, |frame| {
                if frame[KIND_AT] == kind::WINDOW_UPDATE {
                    frame.clear();
                }
            }),
            Some(Fault::GrantsTooMuch) => rewrite(out, |frame| {
                if frame[KIND_AT] == kind::WINDOW_UPDATE {
                    frame[12] ^= 1;
                }
            }),
            Some(Fault::AltersData) => rewrite(out, |frame| {
                if frame[KIND_AT] == kind::DATA && frame.len() > HEADER_LEN {
                    frame[HEADER_LEN] ^= 1;
                }
            }),
            Some(Fault::BlamesPeer) => rewrite(out, |frame| self.blame_peer(frame)),
            Some(Fault::SendsUnprompted) if !taken => {
                // Once each time that the output is empty.
                self.fired = !self.fired;
                if self.fired {
                    out.extend(ping([0; 8]).bytes());
                }
            }
            Some(Fault::IsNondeterministic) if taken && !self.fired => {
                static CALLS: AtomicU64 = AtomicU64::new(0);
                self.fired = true;
                out.extend(ping(CALLS.fetch_add(1, Ordering::Relaxed).to_be_bytes()).bytes());
            }
            _ => return taken,
        }
        !out.is_empty()
    }

    /// Replaces the first DATA by a reset, and drops later frames of its stream.
    fn blame_peer(&mut self, frame: &mut Vec<u8>) {
        if frame[6..HEADER_LEN] != [0, 0, 1] || (frame[KIND_AT] != kind::DATA && !self.fired) {
            return;
        }
        frame.clear();
        if !self.fired {
            self.fired = true;
            rst_stream(1, ErrorCode::PROTOCOL_ERROR).put(frame);
        }
    }
}

/// Calls a function with every frame of an output; it alters or removes the frame.
fn rewrite(out: &mut Vec<u8>, mut alter: impl FnMut(&mut Vec<u8>)) {
    let mut altered = Vec::new();
    let mut rest = out.as_slice();
    if let Some(after) = rest.strip_prefix(&PREFACE) {
        altered.extend_from_slice(&PREFACE);
        rest = after;
    }
    while let Some(&[a, b, c]) = rest.first_chunk::<3>() {
        let len = HEADER_LEN + u32::from_be_bytes([0, a, b, c]) as usize;
        let (frame, after) = rest.split_at(len);
        let mut frame = frame.to_vec();
        alter(&mut frame);
        altered.append(&mut frame);
        rest = after;
    }
    *out = altered;
}

const KIND_AT: usize = 3;
