//! The states of a stream (RFC 9113 §5.1) and the one table by which they change.
//!
//! A stream has two halves, ours and the peer's, and each goes through `Head`, `Body`, `Ended`. The states that the RFC names
//! are pairs of these: "open" is neither half ended, "half-closed (local)" is our half ended, and so on. "idle" and
//! "closed" streams have no slot, so they are no values of this type.
//!
//! Keeps true: a state changes only by [`State::next`]; the test at the end walks every state and every input.

use crate::violation::Violation;

/// How far one half of a stream has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Half {
    /// The final header block is still to come.
    Head,
    /// Content and trailers may come.
    Body,
    /// END_STREAM has been sent or received.
    Ended,
}

/// The state of a live stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Promised by us; nothing but our response or a reset may follow.
    ReservedLocal,
    /// Promised by the peer; nothing but its response or a reset may follow.
    ReservedRemote,
    /// Opened by a header block.
    Active {
        /// Our half.
        local: Half,
        /// The peer's half.
        remote: Half,
    },
}

/// What can happen to a stream, as far as its state is concerned. `end` is END_STREAM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
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

/// What an input leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The stream lives on.
    State(State),
    /// Both halves have ended.
    Closed,
}

/// Why an input is not possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
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
    /// The state after a request that opens a stream: `local` says who sent it.
    pub const fn opened(by_local: bool, end: bool) -> Self {
        let opener = if end { Half::Ended } else { Half::Body };
        if by_local {
            Self::Active { local: opener, remote: Half::Head }
        } else {
            Self::Active { local: Half::Head, remote: opener }
        }
    }

    /// The table.
    #[inline]
    pub const fn next(self, input: Input) -> Result<Next, Refusal> {
        // RFC 9113 §5.1: a reserved stream becomes half-closed by the first header block of its response.
        let (local, remote) = match self {
            Self::ReservedLocal => (Half::Head, Half::Ended),
            Self::ReservedRemote => (Half::Ended, Half::Head),
            Self::Active { local, remote } => (local, remote),
        };
        match input {
            Input::SendHeaders { .. }
            | Input::SendInformational
            | Input::SendData { .. }
            | Input::SendTrailers => match send(local, input) {
                Ok(local) => Ok(join(local, remote)),
                Err(refusal) => Err(refusal),
            },
            _ if self.forbids(input) => Err(Refusal::Violation(Violation::StreamReserved)),
            _ => match receive(remote, input) {
                Ok(remote) => Ok(join(local, remote)),
                Err(violation) => Err(Refusal::Violation(violation)),
            },
        }
    }

    /// RFC 9113 §5.1: what the peer sends on a reserved stream is limited to its response, if it is to send one.
    const fn forbids(self, received: Input) -> bool {
        match self {
            Self::ReservedLocal => true,
            Self::ReservedRemote => matches!(received, Input::ReceiveData { .. }),
            Self::Active { .. } => false,
        }
    }

    /// How far our half has come.
    pub const fn local(self) -> Half {
        match self {
            Self::ReservedLocal => Half::Head,
            Self::ReservedRemote => Half::Ended,
            Self::Active { local, .. } => local,
        }
    }

    /// How far the peer's half has come.
    pub const fn remote(self) -> Half {
        match self {
            Self::ReservedLocal => Half::Ended,
            Self::ReservedRemote => Half::Head,
            Self::Active { remote, .. } => remote,
        }
    }

    /// Whether it counts towards the limit of concurrent streams: reserved ones do not (RFC 9113 §5.1.2).
    pub const fn is_counted(self) -> bool {
        matches!(self, Self::Active { .. })
    }
}

#[inline]
const fn join(local: Half, remote: Half) -> Next {
    match (local, remote) {
        (Half::Ended, Half::Ended) => Next::Closed,
        (local, remote) => Next::State(State::Active { local, remote }),
    }
}

#[inline]
const fn send(local: Half, input: Input) -> Result<Half, Refusal> {
    match (local, input) {
        (Half::Ended, _) => Err(Refusal::Ended),
        (Half::Head, Input::SendInformational) => Ok(Half::Head),
        (Half::Head, Input::SendHeaders { end }) | (Half::Body, Input::SendData { end }) => Ok(after(end)),
        (Half::Body, Input::SendTrailers) => Ok(Half::Ended),
        (Half::Head, _) => Err(Refusal::HeadersNotSent),
        (Half::Body, _) => Err(Refusal::HeadersSent),
    }
}

#[inline]
const fn receive(remote: Half, input: Input) -> Result<Half, Violation> {
    match (remote, input) {
        // RFC 9113 §5.1, half-closed (remote): a stream error of type STREAM_CLOSED.
        (Half::Ended, Input::ReceiveData { .. }) => Err(Violation::DataAfterEnd),
        (Half::Ended, _) => Err(Violation::HeadersAfterEnd),
        (Half::Head, Input::ReceiveInformational { end: false }) => Ok(Half::Head),
        (Half::Head, Input::ReceiveInformational { end: true }) => Err(Violation::InformationalWithEnd),
        (Half::Head, Input::ReceiveHeaders { end }) | (Half::Body, Input::ReceiveData { end }) => {
            Ok(after(end))
        }
        (Half::Body, Input::ReceiveTrailers { end: true }) => Ok(Half::Ended),
        (Half::Head, Input::ReceiveData { .. }) => Err(Violation::DataBeforeHeaders),
        // RFC 9113 §8.1: a block after the final one is a trailer section, and those end the stream.
        (Half::Head | Half::Body, _) => Err(Violation::TrailersWithoutEnd),
    }
}

#[inline]
const fn after(end: bool) -> Half {
    if end { Half::Ended } else { Half::Body }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALVES: [Half; 3] = [Half::Head, Half::Body, Half::Ended];
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

    /// What each half does with each of its inputs, written out: a row per half, a letter per input.
    /// `h`ead, `b`ody, `e`nded; capital letters are refusals: `E`nded, `S`ent, `N`ot sent; `D`ata after end,
    /// `A` headers after end, `I`nformational with end, `B`efore headers, `T`railers without end.
    const SEND: [(Half, &str); 3] = [(Half::Head, "behNNN"), (Half::Body, "SSSbee"), (Half::Ended, "EEEEEE")];
    const RECEIVE: [(Half, &str); 3] =
        [(Half::Head, "behIBBTT"), (Half::Body, "TTTTbeTe"), (Half::Ended, "AAAADDAA")];

    fn letter(outcome: Result<Half, Refusal>) -> char {
        match outcome {
            Ok(Half::Head) => 'h',
            Ok(Half::Body) => 'b',
            Ok(Half::Ended) => 'e',
            Err(Refusal::Ended) => 'E',
            Err(Refusal::HeadersSent) => 'S',
            Err(Refusal::HeadersNotSent) => 'N',
            Err(Refusal::Violation(Violation::DataAfterEnd)) => 'D',
            Err(Refusal::Violation(Violation::HeadersAfterEnd)) => 'A',
            Err(Refusal::Violation(Violation::InformationalWithEnd)) => 'I',
            Err(Refusal::Violation(Violation::DataBeforeHeaders)) => 'B',
            Err(Refusal::Violation(Violation::TrailersWithoutEnd)) => 'T',
            Err(Refusal::Violation(other)) => panic!("{other:?} is no outcome of the table"),
        }
    }

    /// RFC 9113 §5.1: every state times every input, against the tables above.
    #[test]
    fn every_state_answers_every_input() {
        let row = |table: &[(Half, &'static str); 3], half| {
            table.iter().find(|(h, _)| *h == half).map(|(_, row)| *row).unwrap()
        };
        for local in HALVES {
            for remote in HALVES {
                if (local, remote) == (Half::Ended, Half::Ended) {
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
                        Ok(Next::Closed) => Ok(Half::Ended),
                        Ok(Next::State(state)) => {
                            let (ours, theirs) = (state.local(), state.remote());
                            let unchanged = if sends { theirs == remote } else { ours == local };
                            assert!(unchanged, "{local:?} {remote:?} {input:?}: the other half moved");
                            Ok(if sends { ours } else { theirs })
                        }
                        Err(refusal) => Err(refusal),
                    };
                    assert_eq!(letter(outcome), expected as char, "{local:?} {remote:?} {input:?}");
                }
            }
        }
    }

    #[test]
    fn reserved_streams_become_half_closed_by_their_response() {
        let half_closed_remote = State::Active { local: Half::Body, remote: Half::Ended };
        let sent = State::ReservedLocal.next(Input::SendHeaders { end: false });
        assert_eq!(sent, Ok(Next::State(half_closed_remote)));
        let half_closed_local = State::Active { local: Half::Ended, remote: Half::Body };
        let received = State::ReservedRemote.next(Input::ReceiveHeaders { end: false });
        assert_eq!(received, Ok(Next::State(half_closed_local)));
        assert!(!State::ReservedLocal.is_counted() && half_closed_local.is_counted());
    }

    #[test]
    fn reserved_streams_allow_nothing_else() {
        let forbidden = Err(Refusal::Violation(Violation::StreamReserved));
        for input in &INPUTS[6..] {
            assert_eq!(State::ReservedLocal.next(*input), forbidden, "{input:?}");
        }
        assert_eq!(State::ReservedRemote.next(Input::ReceiveData { end: true }), forbidden);
        assert_eq!(State::ReservedLocal.next(Input::SendTrailers), Err(Refusal::HeadersNotSent));
        assert_eq!(State::ReservedRemote.next(Input::SendData { end: true }), Err(Refusal::Ended));
    }
}
