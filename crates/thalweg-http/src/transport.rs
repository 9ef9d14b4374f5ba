//! What an I/O layer does in each state of its transport.
//!
//! Owns the state of the two directions of one transport. A direction that has ended or failed
//! stays so. [`TransportState::duties`] is the table; `docs/io-layer.md` shows it.
//!
//! Two rules explain the cells. A failed output does not hide what the peer has sent: a response
//! and a GOAWAY may be unread, so the input is read to its end, within [`READ_TIME_MAX`]. An ended
//! input does not say that the peer is gone: it may have half-closed, so complete requests are
//! answered, and the I/O layer watches the transport for an error or a hangup, which the final
//! GOAWAY in the core's output provokes if the peer has closed both directions.
//!
//! # Example
//!
//! A client's write fails while the response that explains it is unread:
//!
//! ```
//! use thalweg_http::Role;
//! use thalweg_http::transport::{Close, Exchanges, Read, TransportState, Write};
//!
//! let mut transport = TransportState::default();
//! transport.fail_output();
//! let duties = transport.duties(Role::Client);
//! assert_eq!((duties.read, duties.write), (Read::ToEnd, Write::Discard));
//! assert_eq!(duties.exchanges, Exchanges::ReceiveOnly);
//! transport.end_input(true);
//! assert_eq!(transport.duties(Role::Client).close, Close::Now);
//! ```

use core::time::Duration;

use crate::Role;

/// The direction from the peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum InputState {
    /// Bytes may arrive.
    #[default]
    Open,
    /// The peer has ended it in order: FIN, with close_notify if there is TLS.
    Ended,
    /// TLS ended without close_notify. HTTP/2 detects truncation itself: a message without
    /// END_STREAM is incomplete.
    EndedWithoutNotify,
    /// Reading has failed.
    Failed,
}

/// The direction to the peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OutputState {
    /// Bytes may be written.
    #[default]
    Open,
    /// Writing has failed.
    Failed,
}

/// The state of a transport.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TransportState {
    input: InputState,
    output: OutputState,
}

/// What an I/O layer does in one state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Duties {
    /// Reading.
    pub read: Read,
    /// Writing.
    pub write: Write,
    /// Whether the core must know the end: `Connection::handle_eof` was called or is called now.
    pub is_eof: bool,
    /// The exchanges.
    pub exchanges: Exchanges,
    /// The end of the transport.
    pub close: Close,
}

/// Whether the I/O layer reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// As far as the core wants it.
    Yes,
    /// To the end of input, at most for [`READ_TIME_MAX`], and passes it to the core.
    ToEnd,
    /// No bytes. It watches for an error or a hangup, which is a failure of the output.
    Watch,
    /// No.
    No,
}

/// Whether the I/O layer writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    /// All output.
    Yes,
    /// The output that the core has now, without waiting: GOAWAY or a TLS alert may get through.
    Once,
    /// No: it fetches the output and discards it.
    Discard,
}

/// What becomes of the exchanges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exchanges {
    /// They continue.
    Continue,
    /// Each gets [`Input::InputEnded`](crate::exchange::Input::InputEnded); no further one begins.
    InputEnded,
    /// On a client: responses are delivered, uploads are dropped, and requests that are not sent
    /// fail as unprocessed. At the end of input, each gets
    /// [`Input::ConnectionLost`](crate::exchange::Input::ConnectionLost).
    ReceiveOnly,
    /// Each gets [`Input::ConnectionLost`](crate::exchange::Input::ConnectionLost); no further one
    /// begins.
    Lost,
}

/// When the transport is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Close {
    /// When the core is finished: flush, half-close, drain.
    WhenFinished,
    /// At the end of input.
    AfterInput,
    /// After the write.
    AfterWrite,
    /// Now.
    Now,
}

impl TransportState {
    /// Records the end of input. `has_notify`: in order, or without TLS.
    pub fn end_input(&mut self, has_notify: bool) {
        if self.input == InputState::Open {
            self.input = if has_notify { InputState::Ended } else { InputState::EndedWithoutNotify };
        }
    }

    /// Records a read error.
    pub fn fail_input(&mut self) {
        self.input = InputState::Failed;
    }

    /// Records a write error, or that the transport shows that the peer is gone.
    pub fn fail_output(&mut self) {
        self.output = OutputState::Failed;
    }

    /// Returns the state of the input.
    #[must_use]
    pub const fn input(&self) -> InputState {
        self.input
    }

    /// Returns the state of the output.
    #[must_use]
    pub const fn output(&self) -> OutputState {
        self.output
    }

    /// Returns what to do in this state: the table in `docs/io-layer.md`.
    #[must_use]
    pub const fn duties(&self, role: Role) -> Duties {
        let is_eof = !matches!(self.input, InputState::Open);
        let (read, write, exchanges, close) = match (self.input, self.output, role) {
            (InputState::Open, OutputState::Open, _) => {
                (Read::Yes, Write::Yes, Exchanges::Continue, Close::WhenFinished)
            }
            (InputState::Ended | InputState::EndedWithoutNotify, OutputState::Open, _) => {
                (Read::Watch, Write::Yes, Exchanges::InputEnded, Close::WhenFinished)
            }
            (InputState::Failed, OutputState::Open, _) => {
                (Read::No, Write::Once, Exchanges::Lost, Close::AfterWrite)
            }
            (InputState::Open, OutputState::Failed, Role::Client) => {
                (Read::ToEnd, Write::Discard, Exchanges::ReceiveOnly, Close::AfterInput)
            }
            // No response can reach the client. Its GOAWAY may still say why it has left.
            (InputState::Open, OutputState::Failed, Role::Server) => {
                (Read::ToEnd, Write::Discard, Exchanges::Lost, Close::AfterInput)
            }
            (_, OutputState::Failed, _) => (Read::No, Write::Discard, Exchanges::Lost, Close::Now),
        };
        Duties { read, write, is_eof, exchanges, close }
    }
}

/// How long an I/O layer reads after a failed write.
pub const READ_TIME_MAX: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_direction_that_has_ended_stays_ended() {
        let mut transport = TransportState::default();
        transport.end_input(false);
        transport.end_input(true);
        assert_eq!(transport.input(), InputState::EndedWithoutNotify);
        transport.fail_input();
        transport.end_input(true);
        assert_eq!((transport.input(), transport.output()), (InputState::Failed, OutputState::Open));
        transport.fail_output();
        assert_eq!(transport.output(), OutputState::Failed);
    }

    #[test]
    fn an_unread_response_survives_a_write_error_on_a_client_only() {
        let mut transport = TransportState::default();
        transport.fail_output();
        let client = transport.duties(Role::Client);
        assert_eq!((client.read, client.is_eof), (Read::ToEnd, false));
        assert_eq!((client.exchanges, client.close), (Exchanges::ReceiveOnly, Close::AfterInput));
        let server = transport.duties(Role::Server);
        assert_eq!((server.read, server.exchanges), (Read::ToEnd, Exchanges::Lost));
    }

    #[test]
    fn an_ended_input_leaves_the_output_open_with_and_without_close_notify() {
        for has_notify in [true, false] {
            let mut transport = TransportState::default();
            transport.end_input(has_notify);
            for role in [Role::Client, Role::Server] {
                let expected = Duties {
                    read: Read::Watch,
                    write: Write::Yes,
                    is_eof: true,
                    exchanges: Exchanges::InputEnded,
                    close: Close::WhenFinished,
                };
                assert_eq!(transport.duties(role), expected);
            }
        }
    }
}
