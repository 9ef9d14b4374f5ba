//! Ends that are broken on purpose, one way each: a law that does not notice its fault is worth nothing.

use std::sync::atomic::{AtomicU64, Ordering};

use thalweg::{Event, Stream};

use crate::frames::{HEAD_LEN, PREFACE, kind, ping, rst_stream};

/// A way in which an end is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Its WINDOW_UPDATE frames are lost: flow control comes to a stop.
    LosesWindowUpdates,
    /// It counts one byte too few of its peer's WINDOW_UPDATE frames as granted, by granting one more itself.
    GrantsTooMuch,
    /// One bit of each DATA payload that it sends is wrong.
    AltersData,
    /// It resets a stream that its peer has opened, as if the peer had broken a rule.
    Accuses,
    /// It tells the end of a stream twice.
    TellsEndsTwice,
    /// It tells nobody that a stream was reset.
    HidesResets,
    /// It loses input that comes byte by byte.
    LosesSingleBytes,
    /// It talks without a cause.
    Chatters,
    /// What it says depends on something outside of it.
    IsUnsteady,
    /// It keeps all that it receives.
    Hoards,
    /// It allocates at every call.
    Allocates,
}

/// The state of a fault.
#[derive(Debug, Default)]
pub struct Faults {
    fault: Option<Fault>,
    hoard: Vec<u8>,
    told: Option<Stream>,
    fired: bool,
}

impl Faults {
    /// Starts a fault.
    pub const fn new(fault: Fault) -> Self {
        Self { fault: Some(fault), hoard: Vec::new(), told: None, fired: false }
    }

    /// Breaks what comes in. Returns a stream whose end shall be told once more.
    pub fn alter_input(&mut self, input: &mut &[u8]) -> Option<Stream> {
        match self.fault? {
            Fault::LosesSingleBytes if input.len() == 1 => *input = &[],
            Fault::Hoards => self.hoard.extend_from_slice(input),
            Fault::Allocates => drop(std::hint::black_box(Box::new(input.len()))),
            _ => {}
        }
        self.told.take()
    }

    /// Breaks what is told: returns whether an event is swallowed.
    pub fn hides(&mut self, event: &Event<'_, '_>) -> bool {
        match (self.fault, event) {
            (Some(Fault::HidesResets), Event::Reset { .. }) => true,
            (Some(Fault::TellsEndsTwice), Event::Reset { stream, .. }) => {
                self.told = Some(*stream);
                false
            }
            _ => false,
        }
    }

    /// Breaks what goes out. Returns whether there is anything.
    pub fn alter_output(&mut self, out: &mut Vec<u8>, taken: bool) -> bool {
        match self.fault {
            Some(Fault::LosesWindowUpdates) => retain_frames(out, |frame| frame[3] != kind::WINDOW_UPDATE),
            Some(Fault::GrantsTooMuch) => retain_frames(out, |frame| {
                if frame[3] == kind::WINDOW_UPDATE {
                    frame[12] ^= 1;
                }
                true
            }),
            Some(Fault::AltersData) => retain_frames(out, |frame| {
                if frame[3] == kind::DATA && frame.len() > HEAD_LEN {
                    frame[HEAD_LEN] ^= 1;
                }
                true
            }),
            Some(Fault::Accuses) if taken && !self.fired => {
                // The first answer to a request is replaced.
                retain_frames(out, |frame| {
                    if frame[3] == kind::HEADERS && !self.fired {
                        self.fired = true;
                        return false;
                    }
                    true
                });
                if self.fired {
                    out.extend(rst_stream(1, thalweg::ErrorCode::PROTOCOL_ERROR).bytes());
                }
            }
            Some(Fault::Chatters) => out.extend(ping([0; 8]).bytes()),
            Some(Fault::IsUnsteady) if taken => {
                static TURN: AtomicU64 = AtomicU64::new(0);
                out.extend(ping(TURN.fetch_add(1, Ordering::Relaxed).to_be_bytes()).bytes());
            }
            _ => return taken,
        }
        !out.is_empty()
    }
}

/// Keeps the frames of an output that `keep` wants, and lets it alter them.
fn retain_frames(out: &mut Vec<u8>, mut keep: impl FnMut(&mut [u8]) -> bool) {
    let mut kept = Vec::new();
    let mut rest = out.as_mut_slice();
    if rest.starts_with(&PREFACE) {
        kept.extend_from_slice(&PREFACE);
        rest = &mut rest[PREFACE.len()..];
    }
    while let Some(&[a, b, c]) = rest.first_chunk::<3>() {
        let len = HEAD_LEN + u32::from_be_bytes([0, a, b, c]) as usize;
        let (frame, after) = rest.split_at_mut(len);
        if keep(frame) {
            kept.extend_from_slice(frame);
        }
        rest = after;
    }
    *out = kept;
}
