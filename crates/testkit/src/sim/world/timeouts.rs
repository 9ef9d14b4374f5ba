//! Checks of timeouts by the timeout model.

use thalweg::{CloseCause, Config, ConnectionError, Instant, StreamKey, Timeouts};

use super::{Mismatch, World};
use crate::properties::TimeoutModel;
use crate::sim::script::Side;

impl World {
    /// Checks that a timeout that ended the connection was due.
    pub(super) fn judge_timeout(&mut self, end: Side, error: ConnectionError) -> Result<(), Mismatch> {
        let now = self.now;
        let CloseCause::Timeout(timeout) = error.cause() else { return Ok(()) };
        self.side(end).timeouts.ends(timeout, now).map_err(|breach| format!("{end:?}: {breach}"))
    }

    /// Returns the live streams of an endpoint.
    pub(super) fn living(&mut self, end: Side) -> Vec<StreamKey> {
        let side = self.side(end);
        let streams = side.app.streams.values().map(|stream_progress| stream_progress.stream);
        streams.filter(|stream| side.endpoint.send_capacity(*stream).is_some()).collect()
    }

    /// Records the streams that were live `before` a `handle_timeout` and that it has reset, and
    /// checks its output.
    pub(super) fn judge_time(&mut self, end: Side, before: &[StreamKey]) -> Result<(), Mismatch> {
        let now = self.now;
        let side = &mut self.ends[end as usize];
        for stream in before.iter().filter(|stream| side.endpoint.send_capacity(**stream).is_none()) {
            side.timeouts.stream_ended(stream.id().as_u32(), now);
        }
        if !side.timeouts.knows_output() {
            return Ok(());
        }
        let mut sent = Vec::new();
        self.transmit_each(end, |frame| sent.push(frame.clone()))?;
        let timeouts = &mut self.ends[end as usize].timeouts;
        for frame in &sent {
            let fired = timeouts.says_in_time(frame, now).map_err(|breach| format!("{end:?}: {breach}"))?;
            if let Some(timeout) = fired {
                self.coverage.note(&format!("timeout: {timeout:?}"));
            }
        }
        Ok(())
    }
}

/// Creates the model of one endpoint. Its output is fetched at each timeout, which disarms
/// `transmit`, so this is not done where `transmit` is the shortest.
pub(super) fn of(end: Side, config: Config) -> TimeoutModel {
    let Timeouts { keep_alive, idle, transmit, .. } = config.timeouts;
    let timeouts = TimeoutModel::new(end == Side::Client, config, Instant::ZERO);
    let speaks = keep_alive.into_iter().chain(idle).min();
    let is_first = transmit.is_none_or(|transmit| speaks.is_some_and(|speaks| speaks <= transmit));
    if is_first { timeouts } else { timeouts.without_output() }
}
