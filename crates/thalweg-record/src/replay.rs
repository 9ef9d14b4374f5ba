//! Runs a recording again, on a new connection, and compares.
//!
//! Keeps true: the calls are those of the recording, in its order, with its times and bytes; the first step that answers
//! otherwise is named.

use core::fmt;

use thalweg::{CloseReport, ConfigError, ConnectionError, Event, StreamId, UpgradeError};

use crate::recording::{Recording, Step};
use crate::replayer::Replayer;

/// What a replay shows while it runs.
#[derive(Debug)]
#[non_exhaustive]
pub enum ReplayEvent<'m> {
    /// A call is about to be made.
    Call(&'m Step<'m>),
    /// Bytes of the peer were eaten.
    Input(&'m [u8]),
    /// The connection told an event.
    Event(&'m Event<'m, 'm>),
    /// The connection is over: `receive` gave this error.
    Error(ConnectionError),
    /// The connection handed out bytes to be written. Spliced content is not among them.
    Output(&'m [u8]),
}

/// What a replay found.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Replayed {
    /// The first difference; what comes after it was not replayed.
    pub difference: Option<Difference>,
    /// The steps that were replayed and gave the same.
    pub steps: usize,
    /// The bytes that the connection handed out.
    pub output_bytes: u64,
    /// How the connection stands at the end.
    pub report: CloseReport,
}

impl Replayed {
    /// Whether all events and all bytes were the same.
    #[must_use]
    pub fn is_same(&self) -> bool {
        self.difference.is_none()
    }
}

/// Where a replay differs from its recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Difference {
    /// The step, counted from 0; the number of all steps if only the digest at the end tells.
    pub step: usize,
    /// Where the step is in the file.
    pub offset: usize,
    /// The call, by its name.
    pub call: &'static str,
    /// The stream that the call names, where the replay has none of that identifier.
    pub unknown_stream: Option<StreamId>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { step, offset, call, .. } = self;
        write!(f, "step {step} at byte {offset}, {call}: ")?;
        match self.unknown_stream {
            Some(stream) => write!(f, "there is no stream {stream}"),
            None => f.write_str("it gave something else"),
        }
    }
}

/// The recording cannot begin: this version of the core refuses its configuration or its Upgrade.
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

/// Replays a recording, and tells `observe` what happens.
///
/// Costs what the connection itself did, and memory for a handle per stream.
///
/// # Errors
/// The connection cannot begin.
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
