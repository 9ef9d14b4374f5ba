//! PING (RFC 9113 §6.7): the payloads of our own, and the caller's that wait for their answer.
//!
//! Invariants: at most [`IN_FLIGHT_MAX`] PINGs of the caller are unanswered; none of them has a
//! payload of ours.

use crate::error::SendError;

/// The PINGs of a connection that were sent and not answered.
#[derive(Debug, Default)]
pub(crate) struct Pings {
    in_flight: u32,
}

/// What a PING with the ACK flag answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PingAck {
    /// The PING of the keep-alive timeout.
    KeepAlive,
    /// The PING that followed the first GOAWAY of a graceful shutdown.
    Shutdown,
    /// A PING of the caller.
    Caller,
    /// None of ours: it is ignored.
    Unknown,
}

impl Pings {
    /// Counts a PING of the caller.
    ///
    /// # Errors
    /// `OutOfRange` for the payloads of our own, `TooManyPending` when too many are unanswered.
    pub(crate) fn send(&mut self, payload: [u8; 8]) -> Result<(), SendError> {
        if payload == KEEP_ALIVE_PING || payload == SHUTDOWN_PING {
            return Err(SendError::OutOfRange);
        }
        if self.in_flight >= IN_FLIGHT_MAX {
            return Err(SendError::TooManyPending);
        }
        self.in_flight += 1;
        Ok(())
    }

    /// Returns what an answer belongs to.
    pub(crate) const fn receive_ack(&mut self, payload: [u8; 8]) -> PingAck {
        match payload {
            KEEP_ALIVE_PING => PingAck::KeepAlive,
            SHUTDOWN_PING => PingAck::Shutdown,
            _ if self.in_flight == 0 => PingAck::Unknown,
            _ => {
                self.in_flight -= 1;
                PingAck::Caller
            }
        }
    }

    /// Asserts the invariants.
    pub(crate) fn check(&self) {
        debug_assert!(self.in_flight <= IN_FLIGHT_MAX);
    }
}

/// The payload of the PING that checks whether a silent peer is still there.
pub(crate) const KEEP_ALIVE_PING: [u8; 8] = *b"\0thalive";
/// The payload of the PING that follows the first GOAWAY of a shutdown. The answer shows that the
/// peer has received the GOAWAY.
pub(crate) const SHUTDOWN_PING: [u8; 8] = *b"\0thaldwn";
const IN_FLIGHT_MAX: u32 = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixteen_pings_may_be_unanswered() {
        let mut pings = Pings::default();
        for _ in 0..16 {
            assert_eq!(pings.send([1; 8]), Ok(()));
        }
        assert_eq!(pings.send([1; 8]), Err(SendError::TooManyPending));
        pings.check();
        assert_eq!(pings.receive_ack([1; 8]), PingAck::Caller);
        assert_eq!(pings.send([2; 8]), Ok(()));
    }

    #[test]
    fn our_own_payloads_are_not_the_callers() {
        let mut pings = Pings::default();
        assert_eq!(pings.send(KEEP_ALIVE_PING), Err(SendError::OutOfRange));
        assert_eq!(pings.send(SHUTDOWN_PING), Err(SendError::OutOfRange));
        assert_eq!(pings.receive_ack(KEEP_ALIVE_PING), PingAck::KeepAlive);
        assert_eq!(pings.receive_ack(SHUTDOWN_PING), PingAck::Shutdown);
        assert_eq!(pings.receive_ack([3; 8]), PingAck::Unknown);
    }
}
