//! The end of a run: the wire delivers, the applications consume all content, and every exchange
//! must complete.

use thalweg::ErrorCode;

use super::{Mismatch, World};
use crate::sim::script::Side;

impl World {
    /// Completes the run.
    ///
    /// # Errors
    /// Content, a response, or the end of a stream or of the connection did not arrive.
    pub fn finish(&mut self) -> Result<(), Mismatch> {
        self.log(|| "-- the script has ended".to_owned());
        self.settle()?;
        if self.is_broken || self.ends.iter().any(|side| side.over.is_some()) {
            self.run_timeouts()?;
        }
        for side in &self.ends {
            if side.over.is_some() {
                continue;
            }
            side.monitor.check_settled().map_err(|mismatch| format!("{:?}: {mismatch}", side.end))?;
        }
        self.expect_completion()?;
        if self.is_honest && !self.is_broken {
            self.log(|| "-- both ends shut down".to_owned());
            [Side::Client, Side::Server].into_iter().for_each(|end| self.shutdown(end));
        } else {
            self.log(|| "-- both ends close".to_owned());
            for end in [Side::Client, Side::Server] {
                self.side(end).endpoint.close(ErrorCode::NO_ERROR, &[]);
                self.record_end(end);
            }
        }
        self.settle()?;
        self.expect_end()?;
        for side in &mut self.ends {
            for (key, count) in &side.monitor.coverage {
                *self.coverage.frames.entry(*key).or_default() += count;
            }
        }
        Ok(())
    }

    /// After a broken wire only timeouts end the remaining streams.
    fn run_timeouts(&mut self) -> Result<(), Mismatch> {
        self.is_slow = true;
        self.ends.iter_mut().for_each(|side| side.app.is_slow = true);
        for _ in 0..DEADLINES_MAX {
            if self.ends.iter().all(|side| side.app.streams.is_empty()) {
                return Ok(());
            }
            let next = self.ends.iter().filter_map(|side| side.endpoint.poll_timeout()).min();
            let Some(next) = next else { break };
            self.log(|| format!("-- the clock jumps to {next:?}"));
            self.now = self.now.max(next);
            self.settle()?;
        }
        let report = self.ends.iter().map(|side| side.endpoint.report().to_string());
        Err(format!("streams outlive every deadline: {:?}", report.collect::<Vec<_>>()))
    }

    /// Lets both ends take turns until nothing moves.
    fn settle(&mut self) -> Result<(), Mismatch> {
        for _ in 0..ROUNDS_MAX {
            let mut moved = false;
            for end in [Side::Client, Side::Server] {
                self.resume(end);
                moved |= self.turn(end, usize::MAX)?;
                moved |= self.close_transport(end);
            }
            if !moved {
                return Ok(());
            }
        }
        Err("the ends never come to rest".to_owned())
    }

    /// Ends the transport of an endpoint whose connection has ended.
    fn close_transport(&mut self, end: Side) -> bool {
        let side = self.side(end);
        if side.over.is_none() || !side.endpoint.is_finished() {
            return false;
        }
        let peer = self.side(end.other());
        !std::mem::replace(&mut peer.is_truncated, true)
    }

    /// Checks liveness: with a wire that delivers, and applications that read, every exchange
    /// completes.
    fn expect_completion(&self) -> Result<(), Mismatch> {
        if !self.is_honest || self.ends.iter().any(|side| side.over.is_some()) {
            return Ok(());
        }
        for side in &self.ends {
            if let Some((id, stream_progress)) = side.app.streams.first_key_value() {
                return Err(format!("{:?}: stream {id} never completes: {stream_progress:?}", side.end));
            }
        }
        if let Some((index, _)) = self.waiting.front() {
            return Err(format!("request {index} is never sent"));
        }
        Ok(())
    }

    fn expect_end(&mut self) -> Result<(), Mismatch> {
        for end in [Side::Client, Side::Server] {
            let is_orderly = self.is_honest && !self.is_broken && !self.is_slow;
            let side = self.side(end);
            if !side.endpoint.is_finished() {
                return Err(format!("{end:?} is never finished: {}", side.endpoint.report()));
            }
            if side.endpoint.live_streams() > 0 || !side.app.streams.is_empty() {
                return Err(format!("{end:?} is finished, and streams live"));
            }
            if side.over.is_none() && !side.eof_delivered {
                let ended = side.endpoint.handle_eof();
                if ended.is_err() && is_orderly {
                    return Err(format!("{end:?} does not call the end orderly: {ended:?}"));
                }
            }
        }
        Ok(())
    }
}

/// Rounds after which a run is taken for endless: 200,000 bytes in windows of one byte need this
/// many.
const ROUNDS_MAX: u32 = 300_000;
/// Timeouts that may expire before everything has ended.
const DEADLINES_MAX: u32 = 100;
