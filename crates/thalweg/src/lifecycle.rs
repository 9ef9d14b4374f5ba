//! The life cycle of a connection: our shutdown, the peer's GOAWAY, the end of input, and the
//! error.
//!
//! Invariants: an error is set once and stays; after it, no other state changes.

use crate::error::{CloseCause, ConnectionError, ErrorCode};
use crate::shutdown::{Shutdown, ShutdownPhase};
use crate::stream_id::StreamId;
use crate::violation::Violation;

/// How far a connection has come in its life.
#[derive(Debug, Default)]
pub(crate) struct Lifecycle {
    shutdown: Shutdown,
    /// The code of the peer's GOAWAY.
    remote_code: Option<ErrorCode>,
    error: Option<ConnectionError>,
    /// Streams that were live at the error.
    live_streams_at_error: u32,
    eof: bool,
    /// Whether input ended before either side had sent GOAWAY.
    ended_without_goaway: bool,
}

impl Lifecycle {
    /// Whether the connection has an error.
    #[inline]
    pub(crate) const fn has_error(&self) -> bool {
        self.error.is_some()
    }

    /// Returns the connection's error.
    pub(crate) const fn error(&self) -> Option<ConnectionError> {
        self.error
    }

    /// Returns the connection's error as one, if it has one.
    #[inline]
    pub(crate) const fn ensure_open(&self) -> Result<(), ConnectionError> {
        match self.error {
            None => Ok(()),
            Some(error) => Err(error),
        }
    }

    /// Sets the error, and returns the last stream and the code of the GOAWAY that announces it.
    /// `last` is the highest identifier that the peer has used.
    pub(crate) fn terminate(
        &mut self,
        error: ConnectionError,
        last: StreamId,
        live_streams: u32,
    ) -> (StreamId, ErrorCode) {
        debug_assert!(self.error.is_none(), "an error is set once");
        self.error = Some(error);
        self.live_streams_at_error = live_streams;
        let last = match self.shutdown.phase() {
            ShutdownPhase::Final(last) => last,
            ShutdownPhase::Open | ShutdownPhase::Announced => last,
        };
        // An error that the peer has reported is not one of ours.
        let code = if error.cause() == CloseCause::GoAway { ErrorCode::NO_ERROR } else { error.code() };
        (last, code)
    }

    /// Returns the streams that were live at the error.
    pub(crate) const fn live_streams_at_error(&self) -> u32 {
        self.live_streams_at_error
    }

    /// Handles the peer's GOAWAY.
    ///
    /// # Errors
    /// It names a higher stream than an earlier one (RFC 9113 §6.8).
    pub(crate) fn receive_goaway(&mut self, last: StreamId, code: ErrorCode) -> Result<(), Violation> {
        self.shutdown.receive(last)?;
        self.remote_code = Some(code);
        Ok(())
    }

    /// Returns the code of the peer's GOAWAY.
    pub(crate) const fn remote_code(&self) -> Option<ErrorCode> {
        self.remote_code
    }

    /// Returns the error for which the peer has ended the connection, if it has.
    pub(crate) fn remote_error(&self) -> Option<ConnectionError> {
        let code = self.remote_code.filter(|code| *code != ErrorCode::NO_ERROR)?;
        Some(ConnectionError::new(CloseCause::GoAway, code))
    }

    /// Records that input has ended in order.
    pub(crate) fn receive_eof(&mut self) {
        self.eof = true;
        self.ended_without_goaway =
            self.remote_code.is_none() && self.shutdown.phase() == ShutdownPhase::Open;
    }

    /// Whether input has ended in order.
    #[inline]
    pub(crate) const fn is_eof(&self) -> bool {
        self.eof
    }

    /// Whether input ended before either side had sent GOAWAY.
    pub(crate) const fn ended_without_goaway(&self) -> bool {
        self.ended_without_goaway
    }

    /// Whether no stream may be opened any more: one side has sent GOAWAY, or input has ended.
    #[inline]
    pub(crate) fn is_closing(&self) -> bool {
        self.shutdown.is_going_away() || self.eof
    }

    /// Returns the state of the graceful shutdown.
    #[inline]
    pub(crate) const fn shutdown(&self) -> &Shutdown {
        &self.shutdown
    }

    /// Returns the state of the graceful shutdown, to advance it.
    pub(crate) const fn shutdown_mut(&mut self) -> &mut Shutdown {
        &mut self.shutdown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn violation() -> ConnectionError {
        ConnectionError::violation(Violation::PingLength, StreamId::CONNECTION)
    }

    #[test]
    fn a_goaway_for_an_error_names_no_higher_stream_than_the_final_one() {
        let last = StreamId::new(9);
        let mut open = Lifecycle::default();
        assert_eq!(open.terminate(violation(), last, 2), (last, ErrorCode::FRAME_SIZE_ERROR));
        assert_eq!((open.error(), open.live_streams_at_error()), (Some(violation()), 2));
        assert_eq!(open.ensure_open(), Err(violation()));
        let mut announced = Lifecycle::default();
        assert!(announced.shutdown_mut().announce());
        assert_eq!(announced.terminate(violation(), last, 0).0, last);
        let mut ended = Lifecycle::default();
        assert!(ended.shutdown_mut().finish(StreamId::new(5)));
        assert_eq!(ended.terminate(violation(), last, 0).0, StreamId::new(5));
    }

    #[test]
    fn an_error_of_the_peer_is_answered_without_an_error_code() {
        let mut lifecycle = Lifecycle::default();
        assert_eq!(lifecycle.receive_goaway(StreamId::new(3), ErrorCode::NO_ERROR), Ok(()));
        assert_eq!(lifecycle.remote_error(), None);
        assert_eq!(lifecycle.receive_goaway(StreamId::new(1), ErrorCode::PROTOCOL_ERROR), Ok(()));
        let error = ConnectionError::new(CloseCause::GoAway, ErrorCode::PROTOCOL_ERROR);
        assert_eq!(lifecycle.remote_error(), Some(error));
        assert_eq!(lifecycle.terminate(error, StreamId::CONNECTION, 0).1, ErrorCode::NO_ERROR);
        let rising = lifecycle.receive_goaway(StreamId::new(5), ErrorCode::NO_ERROR);
        assert_eq!(rising, Err(Violation::GoAwayIdRising));
        assert_eq!(lifecycle.remote_code(), Some(ErrorCode::PROTOCOL_ERROR));
    }

    #[test]
    fn an_end_of_input_without_any_goaway_is_reported() {
        let mut silent = Lifecycle::default();
        silent.receive_eof();
        assert!(silent.is_eof() && silent.is_closing() && silent.ended_without_goaway());
        let mut announced = Lifecycle::default();
        assert!(!announced.is_closing());
        assert_eq!(announced.receive_goaway(StreamId::new(1), ErrorCode::NO_ERROR), Ok(()));
        assert!(announced.is_closing());
        announced.receive_eof();
        assert!(!announced.ended_without_goaway());
    }
}
