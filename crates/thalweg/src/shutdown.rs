//! GOAWAY in both directions, and the two steps of a graceful shutdown (RFC 9113 §6.8).
//!
//! Invariants: a GOAWAY of either side never names a higher stream than an earlier one.

use crate::stream_id::StreamId;
use crate::violation::Violation;

/// The GOAWAY frames that were sent and received.
#[derive(Debug, Default)]
pub(crate) struct Shutdown {
    phase: ShutdownPhase,
    /// The last stream of the peer's GOAWAY.
    remote_last: Option<StreamId>,
}

/// How far our own shutdown has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ShutdownPhase {
    /// No GOAWAY was sent.
    #[default]
    Open,
    /// A server's GOAWAY that excludes no stream was sent, with a PING: streams that the peer opens
    /// before it answers are served.
    Announced,
    /// The final GOAWAY was sent; later streams of the peer are ignored.
    Final(StreamId),
}

impl Shutdown {
    /// Returns how far our own shutdown has come.
    #[inline]
    pub(crate) fn phase(&self) -> ShutdownPhase {
        self.phase
    }

    /// Returns the last stream of the peer's GOAWAY, if it has sent one.
    #[inline]
    pub(crate) fn remote_last(&self) -> Option<StreamId> {
        self.remote_last
    }

    /// Whether either side has sent GOAWAY.
    #[inline]
    pub(crate) fn is_going_away(&self) -> bool {
        self.phase != ShutdownPhase::Open || self.remote_last.is_some()
    }

    /// Records the first GOAWAY, which excludes no stream. Returns whether the caller should send
    /// it.
    pub(crate) fn announce(&mut self) -> bool {
        if self.phase != ShutdownPhase::Open {
            return false;
        }
        self.phase = ShutdownPhase::Announced;
        true
    }

    /// Records the final GOAWAY with `last`. Returns whether the caller should send it.
    pub(crate) fn finish(&mut self, last: StreamId) -> bool {
        if let ShutdownPhase::Final(_) = self.phase {
            return false;
        }
        self.phase = ShutdownPhase::Final(last);
        true
    }

    /// Handles the peer's GOAWAY. RFC 9113 §6.8: it may lower its last stream, never raise it.
    pub(crate) fn receive(&mut self, last: StreamId) -> Result<(), Violation> {
        if self.remote_last.is_some_and(|earlier| last > earlier) {
            return Err(Violation::GoAwayIdRising);
        }
        self.remote_last = Some(last);
        Ok(())
    }
}
