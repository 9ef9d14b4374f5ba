//! Replays a recording on a new connection, and compares the results.
//!
//! Invariants: the calls are those of the recording, in its order, with its times and bytes; the
//! first step with a different result is reported.

mod replayer;

use core::fmt;

use thalweg::{CloseReport, ConfigError, ConnectionError, Event, StreamId, UpgradeError};

use crate::recording::{Recording, Step};
pub(crate) use replayer::Replayer;

/// An observable event of a replay.
#[derive(Debug)]
#[non_exhaustive]
pub enum ReplayEvent<'m> {
    /// A call is about to be made.
    Call(&'m Step<'m>),
    /// The connection consumed bytes of the peer.
    Input(&'m [u8]),
    /// The connection returned an event.
    Event(&'m Event<'m, 'm>),
    /// The connection ended: `receive` returned this error.
    Error(ConnectionError),
    /// The connection returned bytes to be written, without spliced content.
    Output(&'m [u8]),
}

/// The result of a replay.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Replayed {
    /// The first difference, where the replay ended.
    pub difference: Option<Difference>,
    /// The number of steps with the same result.
    pub steps: usize,
    /// The number of bytes that the connection returned.
    pub output_bytes: u64,
    /// The report of the connection at the end.
    pub report: CloseReport,
}

impl Replayed {
    /// Whether all events and all bytes were the same.
    #[must_use]
    pub fn is_same(&self) -> bool {
        self.difference.is_none()
    }
}

/// The first difference between a replay and its recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Difference {
    /// The step, counted from 0; the number of all steps if only the digest at the end differs.
    pub step: usize,
    /// The offset of the step in the file.
    pub offset: usize,
    /// The name of the call.
    pub call: &'static str,
    /// The stream of the call, if the replay has no stream with that identifier.
    pub unknown_stream: Option<StreamId>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { step, offset, call, .. } = self;
        write!(f, "step {step} at byte {offset}, {call}: ")?;
        match self.unknown_stream {
            Some(stream) => write!(f, "there is no stream {stream}"),
            None => f.write_str("the result differs"),
        }
    }
}

/// The replay cannot start: this version of the core rejects the configuration or the upgrade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplayError(pub UpgradeError);

impl fmt::Display for ReplayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the recorded connection cannot begin")
    }
}

impl core::error::Error for ReplayError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        Some(&self.0)
    }
}

impl From<ConfigError> for ReplayError {
    fn from(error: ConfigError) -> Self {
        Self(UpgradeError::Config(error))
    }
}

impl From<UpgradeError> for ReplayError {
    fn from(error: UpgradeError) -> Self {
        Self(error)
    }
}

/// Replays a recording, and passes its events to `observe`.
///
/// Costs as much as the connection itself, and memory for a key per stream.
///
/// # Errors
/// The connection cannot be created.
pub fn replay(
    recording: &Recording<'_>,
    mut observe: impl FnMut(ReplayEvent<'_>),
) -> Result<Replayed, ReplayError> {
    let mut replayer = Replayer::new(recording)?;
    let mut replayed = Replayed { difference: None, steps: 0, output_bytes: 0, report: replayer.report() };
    for step in &recording.steps {
        observe(ReplayEvent::Call(step));
        let executed = replayer.execute(&step.call, &mut observe);
        if executed.is_err() || replayer.digest().value() as u8 != step.check {
            let (call, unknown_stream) = (step.call.name(), executed.err().flatten());
            replayed.difference =
                Some(Difference { step: replayed.steps, offset: step.offset, call, unknown_stream });
            break;
        }
        replayed.steps += 1;
    }
    replayed.report = replayer.report();
    replayed.output_bytes = replayer.output_bytes;
    if replayed.is_same() && replayer.digest().value() != recording.digest {
        let (step, last) = (replayed.steps, recording.steps.last());
        let (offset, call) = last.map_or((0, "new"), |last| (last.offset, last.call.name()));
        replayed.difference = Some(Difference { step, offset, call, unknown_stream: None });
    }
    Ok(replayed)
}
