//! For how many frames of others a stream without a priority signal waits.

use std::collections::{BTreeMap, BTreeSet};

use thalweg::StreamKey;

use super::PropertyFailure;
use super::data::SendCall;

/// The turns of one end's streams.
#[derive(Debug, Default)]
pub(super) struct TurnModel {
    signalled: BTreeSet<u32>,
    /// Streams without a signal that have more to send.
    waits: BTreeMap<u32, Waiting>,
}

#[derive(Debug)]
struct Waiting {
    stream: StreamKey,
    /// What is left to send, bytes.
    left: u32,
    /// Frames of others since the stream could send.
    frames: usize,
    /// The most streams without a signal since then.
    streams: usize,
}

/// Whether a stream could send when another one did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TurnOf {
    /// It could.
    Sendable,
    /// Its own window was too small for its next frame.
    Blocked,
    /// Only the connection's window was.
    LacksConnection,
}

impl TurnModel {
    /// Records that a priority was signalled for a stream.
    pub(super) fn signals(&mut self, id: u32) {
        self.signalled.insert(id);
        self.waits.remove(&id);
    }

    /// Takes a call that has sent at least `frames` frames. `can_send`: whether a stream could have
    /// sent its next frame if so many bytes are left; `None` if it is closed.
    ///
    /// # Errors
    /// A stream without a signal has waited for too many frames of others.
    pub(super) fn sends(
        &mut self,
        call: &SendCall,
        frames: u32,
        can_send: impl Fn(StreamKey, u32) -> Option<TurnOf>,
    ) -> Result<(), PropertyFailure> {
        let id = call.stream.id().as_u32();
        let streams = self.waits.len() + 1;
        let mut starved = None;
        self.waits.retain(|other, wait| {
            let Some(can_send) = can_send(wait.stream, wait.left) else { return false };
            if *other == id {
                return true;
            }
            (wait.frames, wait.streams) = match can_send {
                TurnOf::Sendable => (wait.frames + frames as usize, wait.streams.max(streams)),
                TurnOf::Blocked => (0, 0),
                TurnOf::LacksConnection => (wait.frames, wait.streams),
            };
            if wait.frames > GAP_MAX * wait.streams {
                starved = Some(format!("turns: stream {other} has waited for {} frames", wait.frames));
            }
            true
        });
        let left = call.len - call.taken;
        if left == 0 {
            self.waits.remove(&id);
        } else if !self.signalled.contains(&id) {
            let new = Waiting { stream: call.stream, left, frames: 0, streams: 0 };
            let wait = self.waits.entry(id).or_insert(new);
            wait.left = left;
            if call.taken > 0 {
                (wait.frames, wait.streams) = (0, 0);
            }
        }
        starved.map_or(Ok(()), Err)
    }
}

/// Frames of others for each stream without a signal; `docs/io-layer.md` promises it.
const GAP_MAX: usize = 10;
