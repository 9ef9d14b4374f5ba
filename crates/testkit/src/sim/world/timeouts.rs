//! What timeouts do is held against the law of timeouts.

use thalweg::{CloseCause, Config, ConnectionError, Instant, StreamKey, Timeouts};

use super::{Mismatch, World};
use crate::properties::TimeoutModel;
use crate::sim::script::Side;

impl World {
    /// A timeout that ended the connection was due.
    pub(super) fn judge_timeout(&mut self, end: Side, error: ConnectionError) -> Result<(), Mismatch> {
        let now = self.now;
        let CloseCause::Timeout(timeout) = error.cause() else { return Ok(()) };
        self.side(end).timeouts.ends(timeout, now).map_err(|breach| format!("{end:?}: {breach}"))
    }

    /// The streams of an end that live.
    pub(super) fn living(&mut self, end: Side) -> Vec<StreamKey> {
        let side = self.side(end);
        let streams = side.app.streams.values().map(|stream_progress| stream_progress.stream);
        streams.filter(|stream| side.endpoint.send_capacity(*stream).is_some()).collect()
    }

    /// What `handle_timeout` has just done was due: streams that lived `before` it and ended, and
    /// output.
    pub(super) fn judge_time(&mut self, end: Side, before: &[StreamKey]) -> Result<(), Mismatch> {
        let now = self.now;
        let side = &mut self.ends[end as usize];
        for stream in before.iter().filter(|stream| side.endpoint.send_capacity(**stream).is_none()) {
            self.coverage.note("timeout: Stall");
            side.timeouts.stalls(stream.id().as_u32(), now).map_err(|breach| format!("{end:?}: {breach}"))?;
        }
        if !side.timeouts.knows_output() {
            return Ok(());
        }
        // What timeouts say is fetched at once, to know when they said it.
        let mut said = Vec::new();
        self.transmit_each(end, |frame| said.push(frame.clone()))?;
        let timeouts = &mut self.ends[end as usize].timeouts;
        for frame in &said {
            let fired = timeouts.says_in_time(frame, now).map_err(|breach| format!("{end:?}: {breach}"))?;
            if let Some(timeout) = fired {
                self.coverage.note(&format!("timeout: {timeout:?}"));
            }
        }
        Ok(())
    }
}

/// The law for one end. To fetch its output takes `transmit` back, so that is not done where
/// `transmit` is the shortest.
pub(super) fn of(config: Config) -> TimeoutModel {
    let Timeouts { keep_alive, idle, transmit, .. } = config.timeouts;
    let timeouts = TimeoutModel::new(config, Instant::ZERO);
    let streams = keep_alive.into_iter().chain(idle).min();
    match (streams, transmit) {
        (Some(streams), Some(transmit)) if streams > transmit => timeouts.without_output(),
        (None, _) => timeouts.without_output(),
        _ => timeouts,
    }
}
