//! What happens when time passes.

use crate::error::{Cause, ConnectionError, Deadline, ErrorCode, StreamError};
use crate::event::Initiator;
use crate::shutdown::Stage;
use crate::stream_id::{Stream, StreamId};
use crate::streams::Waiting;
use crate::time::Instant;

use super::control::{KEEP_ALIVE_PING, SHUTDOWN_PING};
use super::{Core, Failed, HandedOut};

impl Core {
    /// When `handle_timeout` wants to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.error.is_some() {
            return None;
        }
        let unseen =
            self.handed_out == HandedOut::Unseen && self.liveness.duration(Deadline::Transmit).is_some();
        match self.now {
            // The clock of a new connection starts with the first time that is told.
            None => self.liveness.is_used().then_some(Instant::ZERO),
            Some(now) if unseen => Some(now),
            Some(_) => self.liveness.next(),
        }
    }

    /// Acts on every deadline that has passed.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), Failed> {
        self.tell_time(now);
        let now = self.now.unwrap_or(now);
        if self.error.is_some() {
            return Err(Failed);
        }
        if self.handed_out == HandedOut::Unseen {
            self.handed_out = HandedOut::Timed;
            self.liveness.arm(Deadline::Transmit, now);
        }
        while let Some(due) = self.liveness.take_due(now) {
            match due {
                Deadline::KeepAlive => {
                    self.outbound.ping(false, KEEP_ALIVE_PING);
                    self.liveness.arm_if_off(Deadline::Ping, now);
                }
                Deadline::Idle if self.streams.live() > 0 => {}
                Deadline::Idle => self.shutdown(),
                Deadline::Stall => self.reset_stalled(now)?,
                Deadline::Content => self.end_incomplete_requests(now),
                // The PING that goes with a first GOAWAY is not answered: the final one need not wait.
                Deadline::Ping if self.shutdown.stage() == Stage::Announced => {
                    self.stop_waiting_for_ping(now);
                }
                Deadline::Preface
                | Deadline::SettingsAck
                | Deadline::HeaderBlock
                | Deadline::Ping
                | Deadline::Shutdown
                | Deadline::Transmit => {
                    return Err(self.fail(ConnectionError::new(Cause::Deadline(due), due.code())));
                }
            }
        }
        Ok(())
    }

    /// Resets the streams that have waited for window too long, and sets the deadline for the next.
    fn reset_stalled(&mut self, now: Instant) -> Result<(), Failed> {
        let Some(limit) = self.liveness.duration(Deadline::Stall) else { return Ok(()) };
        let connection_blocked = self.send_window.available() == 0;
        let mut next: Option<Instant> = None;
        let mut stalled: Option<Stream> = None;
        let mut from = 0;
        loop {
            for (stream, slot) in self.streams.iter_mut().filter(|(stream, _)| stream.index() >= from) {
                let Waiting::Since(since) = slot.waiting else { continue };
                let blocked = connection_blocked || slot.send_window.available() == 0;
                if !blocked {
                    slot.waiting = Waiting::Since(now);
                    slot.progress_bytes = 0;
                } else if since + limit <= now {
                    stalled = Some(stream);
                    break;
                }
                let Waiting::Since(since) = slot.waiting else { continue };
                next = Some(next.map_or(since, |earlier| earlier.min(since)));
            }
            let Some(stream) = stalled.take() else { break };
            from = stream.index();
            self.reset_for(
                stream,
                ErrorCode::CANCEL,
                Initiator::Local(StreamError::Deadline(Deadline::Stall)),
            );
        }
        if let Some(since) = next {
            self.liveness.arm(Deadline::Stall, since);
        }
        Ok(())
    }

    /// Begins a graceful end (RFC 9113 §6.8). A server says a GOAWAY that excludes nothing, with a PING whose answer shows that
    /// the peer has seen it; then the final GOAWAY. A client, to which nobody opens anything but pushes that it does not take any
    /// more, says the final one at once.
    pub fn shutdown(&mut self) {
        if self.error.is_some() || !self.shutdown.announce() {
            return;
        }
        if self.eof {
            return self.say_final_go_away();
        }
        if self.is_client {
            self.say_final_go_away();
        } else {
            self.outbound.go_away(StreamId::MAX, ErrorCode::NO_ERROR, &[]);
            self.outbound.ping(false, SHUTDOWN_PING);
            if let Some(now) = self.now {
                self.liveness.arm_if_off(Deadline::Ping, now);
            }
        }
        if let Some(now) = self.now {
            self.liveness.arm(Deadline::Shutdown, now);
        }
    }

    /// Sends the final GOAWAY of a shutdown although the peer has not answered. Without streams, the
    /// connection has ended in order; else a PING finds out whether the peer is there.
    fn stop_waiting_for_ping(&mut self, now: Instant) {
        self.say_final_go_away();
        if self.streams.live() > 0 && self.liveness.duration(Deadline::KeepAlive).is_some() {
            self.outbound.ping(false, KEEP_ALIVE_PING);
            self.liveness.arm(Deadline::Ping, now);
        }
    }

    /// Ends the connection now.
    pub fn close(&mut self, code: ErrorCode, debug: &[u8]) {
        if self.error.is_none() {
            let debug = &debug[..debug.len().min(DEBUG_BYTES_MAX)];
            self.end(ConnectionError::new(Cause::Closed, code), debug);
        }
    }

    /// Hands the output to the caller. That the caller asks shows that it has written what it was handed before.
    #[inline]
    pub fn poll_transmit(&mut self, out: &mut alloc::vec::Vec<u8>) -> bool {
        self.note_output();
        let taken = self.outbound.take(out);
        self.note_transmit(taken);
        taken
    }

    /// The same, with the places of spliced payloads.
    pub fn poll_transmit_spliced(
        &mut self,
        out: &mut alloc::vec::Vec<u8>,
        splices: &mut alloc::vec::Vec<crate::outbound::Splice>,
    ) -> bool {
        self.note_output();
        let taken = self.outbound.take_spliced(out, splices);
        self.note_transmit(taken);
        taken
    }

    #[inline]
    fn note_output(&mut self) {
        let waiting = self.outbound.len() as u64;
        self.counters.output_bytes_peak = self.counters.output_bytes_peak.max(waiting);
    }

    #[inline]
    fn note_transmit(&mut self, taken: bool) {
        self.handed_out = if taken { HandedOut::Unseen } else { HandedOut::Nothing };
        self.liveness.disarm(Deadline::Transmit);
    }
}

/// The most debug data that `close` sends, bytes.
const DEBUG_BYTES_MAX: usize = 1024;
