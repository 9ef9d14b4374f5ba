//! GOAWAY in both directions, and the two steps of a graceful shutdown (RFC 9113 §6.8).
//!
//! Keeps true: a GOAWAY of ours never names a higher stream than an earlier one; the peer's may not either.

use crate::stream_id::StreamId;
use crate::violation::Violation;

/// How far the farewells have come.
#[derive(Debug, Default)]
pub struct Shutdown {
    phase: ShutdownPhase,
    /// The last stream that the peer's GOAWAY names.
    remote_last: Option<StreamId>,
}

/// How far our own shutdown has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ShutdownPhase {
    /// No GOAWAY was sent.
    #[default]
    Open,
    /// A server's GOAWAY that excludes nothing was sent, with a PING: streams that the peer opens before it answers are served.
    Announced,
    /// The final GOAWAY was sent; later streams of the peer are not looked at.
    Final(StreamId),
}

impl Shutdown {
    /// How far our own shutdown has come.
    #[inline]
    pub fn phase(&self) -> ShutdownPhase {
        self.phase
    }

    /// The peer's last stream, once it said GOAWAY.
    #[inline]
    pub fn remote_last(&self) -> Option<StreamId> {
        self.remote_last
    }

    /// Whether either side has said GOAWAY.
    #[inline]
    pub fn is_going_away(&self) -> bool {
        self.phase != ShutdownPhase::Open || self.remote_last.is_some()
    }

    /// Notes that the first, open-ended GOAWAY goes out. Returns whether it should.
    pub fn announce(&mut self) -> bool {
        if self.phase != ShutdownPhase::Open {
            return false;
        }
        self.phase = ShutdownPhase::Announced;
        true
    }

    /// Notes that the final GOAWAY goes out, with `last`. Returns whether it should.
    pub fn finish(&mut self, last: StreamId) -> bool {
        if let ShutdownPhase::Final(_) = self.phase {
            return false;
        }
        self.phase = ShutdownPhase::Final(last);
        true
    }

    /// Takes the peer's GOAWAY. RFC 9113 §6.8: it may lower its last stream, never raise it.
    pub fn receive(&mut self, last: StreamId) -> Result<(), Violation> {
        if self.remote_last.is_some_and(|earlier| last > earlier) {
            return Err(Violation::GoAwayIdRising);
        }
        self.remote_last = Some(last);
        Ok(())
    }
}
