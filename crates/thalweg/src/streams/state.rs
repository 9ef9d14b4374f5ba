//! The states of a stream (RFC 9113 §5.1) and the one table by which they change.
//!
//! A stream has two halves, ours and the peer's, and each goes through `Headers`, `Data`, `Closed`.
//! The states that the RFC names are pairs of these: in "open" neither half is closed, in
//! "half-closed (local)" ours is, and so on. "idle" and "closed" streams have no slot, so this type
//! has no values for them.
//!
//! Invariants: a state changes only by [`State::next`]; the test at the end walks every state and
//! every input.

use crate::violation::Violation;

/// The state of one half of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HalfState {
    /// The final header block was not sent or received yet.
    Headers,
    /// Content and trailers may follow.
    Data,
    /// END_STREAM has been sent or received.
    Closed,
}

/// The state of a live stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Promised by us; nothing but our response or a reset may follow.
    ReservedLocal,
    /// Promised by the peer; nothing but its response or a reset may follow.
    ReservedRemote,
    /// Opened by a header block.
    Active {
        /// Our half.
        local: HalfState,
        /// The peer's half.
        remote: HalfState,
    },
}

/// An input to the state of a stream. `end` is END_STREAM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// We send a final header block.
    SendHeaders { end: bool },
    /// We send an informational header block.
    SendInformational,
    /// We send DATA.
    SendData { end: bool },
    /// We send trailers.
    SendTrailers,
    /// The peer sent a final header block.
    ReceiveHeaders { end: bool },
    /// The peer sent an informational header block.
    ReceiveInformational { end: bool },
    /// The peer sent DATA.
    ReceiveData { end: bool },
    /// The peer sent a header block after its final one.
    ReceiveTrailers { end: bool },
}

/// The result of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transition {
    /// The stream stays live, in this state.
    State(State),
    /// Both halves are closed.
    Closed,
}

/// Why an input is not possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidTransition {
    /// Ours: our half has ended, or never existed.
    Ended,
    /// Ours: the final headers were sent.
    HeadersSent,
    /// Ours: the final headers were not sent yet.
    HeadersNotSent,
    /// The peer broke this rule.
    Violation(Violation),
}

impl State {
    /// Returns the state after a request that opens a stream; `by_local`: we sent it.
    pub(crate) const fn opened(by_local: bool, end: bool) -> Self {
        let side = if end { HalfState::Closed } else { HalfState::Data };
        if by_local {
            Self::Active { local: side, remote: HalfState::Headers }
        } else {
            Self::Active { local: HalfState::Headers, remote: side }
        }
    }

    /// Returns what an input leads to: the table.
    #[inline]
    pub(crate) const fn next(self, input: Input) -> Result<Transition, InvalidTransition> {
        // RFC 9113 §5.1: the first header block of its response makes a reserved stream
        // half-closed.
        let (local, remote) = match self {
            Self::ReservedLocal => (HalfState::Headers, HalfState::Closed),
            Self::ReservedRemote => (HalfState::Closed, HalfState::Headers),
            Self::Active { local, remote } => (local, remote),
        };
        match input {
            Input::SendHeaders { .. }
            | Input::SendInformational
            | Input::SendData { .. }
            | Input::SendTrailers => match send(local, input) {
                Ok(local) => Ok(join(local, remote)),
                Err(invalid) => Err(invalid),
            },
            _ if self.forbids(input) => Err(InvalidTransition::Violation(Violation::StreamReserved)),
            _ => match receive(remote, input) {
                Ok(remote) => Ok(join(local, remote)),
                Err(violation) => Err(InvalidTransition::Violation(violation)),
            },
        }
    }

    /// RFC 9113 §5.1: on a reserved stream the peer may send only its response, if the response is
    /// its to send.
    const fn forbids(self, received: Input) -> bool {
        match self {
            Self::ReservedLocal => true,
            Self::ReservedRemote => matches!(received, Input::ReceiveData { .. }),
            Self::Active { .. } => false,
        }
    }

    /// Returns the state of our half.
    pub(crate) const fn local(self) -> HalfState {
        match self {
            Self::ReservedLocal => HalfState::Headers,
            Self::ReservedRemote => HalfState::Closed,
            Self::Active { local, .. } => local,
        }
    }

    /// Returns the state of the peer's half.
    pub(crate) const fn remote(self) -> HalfState {
        match self {
            Self::ReservedLocal => HalfState::Closed,
            Self::ReservedRemote => HalfState::Headers,
            Self::Active { remote, .. } => remote,
        }
    }

    /// Whether the stream counts towards the limit of concurrent streams: reserved ones do not (RFC
    /// 9113 §5.1.2).
    pub(crate) const fn is_active(self) -> bool {
        matches!(self, Self::Active { .. })
    }
}

#[inline]
const fn join(local: HalfState, remote: HalfState) -> Transition {
    match (local, remote) {
        (HalfState::Closed, HalfState::Closed) => Transition::Closed,
        (local, remote) => Transition::State(State::Active { local, remote }),
    }
}

#[inline]
const fn send(local: HalfState, input: Input) -> Result<HalfState, InvalidTransition> {
    match (local, input) {
        (HalfState::Closed, _) => Err(InvalidTransition::Ended),
        (HalfState::Headers, Input::SendInformational) => Ok(HalfState::Headers),
        (HalfState::Headers, Input::SendHeaders { end }) | (HalfState::Data, Input::SendData { end }) => {
            Ok(after_end_stream(end))
        }
        (HalfState::Data, Input::SendTrailers) => Ok(HalfState::Closed),
        (HalfState::Headers, _) => Err(InvalidTransition::HeadersNotSent),
        (HalfState::Data, _) => Err(InvalidTransition::HeadersSent),
    }
}

#[inline]
const fn receive(remote: HalfState, input: Input) -> Result<HalfState, Violation> {
    match (remote, input) {
        // RFC 9113 §5.1, half-closed (remote): a stream error of type STREAM_CLOSED.
        (HalfState::Closed, Input::ReceiveData { .. }) => Err(Violation::DataAfterEnd),
        (HalfState::Closed, _) => Err(Violation::HeadersAfterEnd),
        (HalfState::Headers, Input::ReceiveInformational { end: false }) => Ok(HalfState::Headers),
        (HalfState::Headers, Input::ReceiveInformational { end: true }) => {
            Err(Violation::InformationalWithEnd)
        }
        (HalfState::Headers, Input::ReceiveHeaders { end })
        | (HalfState::Data, Input::ReceiveData { end }) => Ok(after_end_stream(end)),
        (HalfState::Data, Input::ReceiveTrailers { end: true }) => Ok(HalfState::Closed),
        (HalfState::Headers, Input::ReceiveData { .. }) => Err(Violation::DataBeforeHeaders),
        // RFC 9113 §8.1: a block after the final one is a trailer section, which ends the stream.
        (HalfState::Headers | HalfState::Data, _) => Err(Violation::TrailersWithoutEnd),
    }
}

#[inline]
const fn after_end_stream(end: bool) -> HalfState {
    if end { HalfState::Closed } else { HalfState::Data }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALVES: [HalfState; 3] = [HalfState::Headers, HalfState::Data, HalfState::Closed];
    const INPUTS: [Input; 14] = [
        Input::SendHeaders { end: false },
        Input::SendHeaders { end: true },
        Input::SendInformational,
        Input::SendData { end: false },
        Input::SendData { end: true },
        Input::SendTrailers,
        Input::ReceiveHeaders { end: false },
        Input::ReceiveHeaders { end: true },
        Input::ReceiveInformational { end: false },
        Input::ReceiveInformational { end: true },
        Input::ReceiveData { end: false },
        Input::ReceiveData { end: true },
        Input::ReceiveTrailers { end: false },
        Input::ReceiveTrailers { end: true },
    ];

    /// The result of each input in each half: a row per half, a letter per input. `h`eaders,
    /// `b`ody, `e`nded; capital letters are errors: `E`nded, `S`ent, `N`ot sent; `D`ata after end,
    /// `A` headers after end, `I`nformational with end, `B`efore headers, `T`railers without end.
    const SEND: [(HalfState, &str); 3] =
        [(HalfState::Headers, "behNNN"), (HalfState::Data, "SSSbee"), (HalfState::Closed, "EEEEEE")];
    const RECEIVE: [(HalfState, &str); 3] =
        [(HalfState::Headers, "behIBBTT"), (HalfState::Data, "TTTTbeTe"), (HalfState::Closed, "AAAADDAA")];

    fn letter(outcome: Result<HalfState, InvalidTransition>) -> char {
        match outcome {
            Ok(HalfState::Headers) => 'h',
            Ok(HalfState::Data) => 'b',
            Ok(HalfState::Closed) => 'e',
            Err(InvalidTransition::Ended) => 'E',
            Err(InvalidTransition::HeadersSent) => 'S',
            Err(InvalidTransition::HeadersNotSent) => 'N',
            Err(InvalidTransition::Violation(Violation::DataAfterEnd)) => 'D',
            Err(InvalidTransition::Violation(Violation::HeadersAfterEnd)) => 'A',
            Err(InvalidTransition::Violation(Violation::InformationalWithEnd)) => 'I',
            Err(InvalidTransition::Violation(Violation::DataBeforeHeaders)) => 'B',
            Err(InvalidTransition::Violation(Violation::TrailersWithoutEnd)) => 'T',
            Err(InvalidTransition::Violation(other)) => panic!("{other:?} is no outcome of the table"),
        }
    }

    /// RFC 9113 §5.1: every state times every input, against the tables above.
    #[test]
    fn every_state_handles_every_input() {
        let row = |table: &[(HalfState, &'static str); 3], half| {
            table.iter().find(|(h, _)| *h == half).map(|(_, row)| *row).unwrap()
        };
        for local in HALVES {
            for remote in HALVES {
                if (local, remote) == (HalfState::Closed, HalfState::Closed) {
                    continue;
                }
                for (index, input) in INPUTS.into_iter().enumerate() {
                    let next = State::Active { local, remote }.next(input);
                    let sends = index < 6;
                    let expected = if sends {
                        row(&SEND, local).as_bytes()[index]
                    } else {
                        row(&RECEIVE, remote).as_bytes()[index - 6]
                    };
                    let outcome = match next {
                        Ok(Transition::Closed) => Ok(HalfState::Closed),
                        Ok(Transition::State(state)) => {
                            let (ours, theirs) = (state.local(), state.remote());
                            let unchanged = if sends { theirs == remote } else { ours == local };
                            assert!(unchanged, "{local:?} {remote:?} {input:?}: the other half moved");
                            Ok(if sends { ours } else { theirs })
                        }
                        Err(invalid) => Err(invalid),
                    };
                    assert_eq!(letter(outcome), expected as char, "{local:?} {remote:?} {input:?}");
                }
            }
        }
    }

    #[test]
    fn reserved_streams_become_half_closed_by_their_response() {
        let half_closed_remote = State::Active { local: HalfState::Data, remote: HalfState::Closed };
        let sent = State::ReservedLocal.next(Input::SendHeaders { end: false });
        assert_eq!(sent, Ok(Transition::State(half_closed_remote)));
        let half_closed_local = State::Active { local: HalfState::Closed, remote: HalfState::Data };
        let received = State::ReservedRemote.next(Input::ReceiveHeaders { end: false });
        assert_eq!(received, Ok(Transition::State(half_closed_local)));
        assert!(!State::ReservedLocal.is_active() && half_closed_local.is_active());
    }

    #[test]
    fn reserved_streams_reject_every_other_input() {
        let forbidden = Err(InvalidTransition::Violation(Violation::StreamReserved));
        for input in &INPUTS[6..] {
            assert_eq!(State::ReservedLocal.next(*input), forbidden, "{input:?}");
        }
        assert_eq!(State::ReservedRemote.next(Input::ReceiveData { end: true }), forbidden);
        assert_eq!(State::ReservedLocal.next(Input::SendTrailers), Err(InvalidTransition::HeadersNotSent));
        assert_eq!(State::ReservedRemote.next(Input::SendData { end: true }), Err(InvalidTransition::Ended));
    }
}
