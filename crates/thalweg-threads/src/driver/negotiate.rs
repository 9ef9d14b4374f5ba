//! The negotiation of the protocol, before a driver's connection speaks HTTP/2.
//!
//! Invariants: a peer that does not speak HTTP/2 never receives a frame; the core receives every
//! byte from the start of HTTP/2 on.

use std::io;
use std::time::Instant;

use thalweg::{ConnectionError, ErrorCode};
use thalweg_io::{NegotiationError, Rejection};

use super::transport_io::Input;
use super::{Driver, Host, Phase, READS_PER_TURN};
use crate::transport::{NegotiatedProtocol, Transport};

/// The start of HTTP/2 on a transport.
#[derive(Debug)]
pub struct Negotiated {
    /// Bytes that were taken from the input and belong to the core.
    pub prefetched: &'static [u8],
    /// The response sent before the first frame.
    pub response: &'static [u8],
}

/// The state of the negotiation after a turn.
pub(super) enum Progress {
    Undecided,
    /// HTTP/2, with the core's result for the bytes received so far.
    Open(Result<(), ConnectionError>),
    Rejected(Rejection),
}

impl<H: Host, T: Transport> Driver<H, T> {
    /// Negotiates the protocol. `ended_by`: a message of this turn ends the negotiation.
    pub(super) fn negotiate(
        &mut self,
        is_late: bool,
        ended_by: Option<NegotiationError>,
        time: thalweg::Instant,
    ) -> io::Result<Progress> {
        if let Some(reason) = ended_by
            && self.connection.live_streams() == 0
        {
            return Ok(Progress::Rejected(Rejection::without_response(reason)));
        }
        for _ in 0..READS_PER_TURN {
            if !self.io.is_readable() {
                break;
            }
            let input = self.io.read()?;
            let progress = match (self.io.transport.negotiated_protocol(), input) {
                (NegotiatedProtocol::None, Input::Bytes(len)) => self.negotiate_with(len, time),
                (NegotiatedProtocol::None | NegotiatedProtocol::Pending, Input::End) => {
                    Progress::Rejected(self.host.open_eof())
                }
                (NegotiatedProtocol::Other, _) => Progress::Rejected(Rejection::NO_ALPN),
                (NegotiatedProtocol::Http2, Input::Blocked) => Progress::Open(Ok(())),
                (NegotiatedProtocol::Http2, Input::Bytes(len)) => Progress::Open(self.receive(0..len, time)),
                (NegotiatedProtocol::Http2, Input::End) => Progress::Open(self.end_input()),
                (NegotiatedProtocol::None | NegotiatedProtocol::Pending, _) => Progress::Undecided,
            };
            if !matches!(progress, Progress::Undecided) {
                self.phase = Phase::Open;
                return Ok(progress);
            }
        }
        if is_late {
            return Ok(Progress::Rejected(Rejection::without_response(NegotiationError::TimedOut)));
        }
        Ok(Progress::Undecided)
    }

    /// Inspects the first bytes.
    fn negotiate_with(&mut self, len: usize, time: thalweg::Instant) -> Progress {
        let mut input = self.io.input(0..len);
        let opened = self.host.open(&mut self.connection, &mut self.table, &mut input);
        let taken = len - input.len();
        match opened {
            Ok(None) => Progress::Undecided,
            Ok(Some(Negotiated { mut prefetched, response })) => {
                self.io.queue_output(response);
                let received = self.connection.receive(&mut prefetched, time);
                debug_assert!(received.is_ok_and(|event| event.is_none()), "half a preface causes no event");
                Progress::Open(self.receive(taken..len, time))
            }
            Err(rejection) => Progress::Rejected(rejection),
        }
    }

    /// Rejects a peer that does not speak HTTP/2: sends the HTTP/1.1 response and ends the
    /// transport.
    pub(super) fn reject(&mut self, rejection: &Rejection, now: Instant) -> io::Result<()> {
        self.connection.close(ErrorCode::NO_ERROR, &[]);
        self.io.discard_output(&mut self.connection);
        self.io.queue_output(rejection.response);
        self.end(None, Some(rejection.error), now);
        self.finish_output(now)
    }
}
