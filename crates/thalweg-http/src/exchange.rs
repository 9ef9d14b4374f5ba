//! The life of an exchange: a request and its response on one stream, for both roles.
//!
//! Owns the state of both halves of a stream as the application sees them: whether each is open or
//! has ended, and whether the application still wants it. The I/O layer passes each event of the
//! peer and each act of the application to [`Exchange::handle`] and executes the [`Actions`].
//!
//! Invariants:
//! - Every exchange ends exactly once, and nothing follows its end.
//! - An exchange of which nothing is wanted has ended, or has a deadline that ends it.
//! - A client's upload whose response is complete has a deadline, or its reader has ended it.
//! - A reader gets a failure only if its message is incomplete.
//!
//! # Halves
//!
//! | Inbound | Meaning |
//! |---|---|
//! | open | content may arrive, and the application reads it |
//! | unwanted | content may arrive; its reader is dropped. The core validates its frames, the I/O layer discards the content and grants no new stream window ([`Exchange::is_discarding`]) |
//! | unread | END_STREAM has arrived, and the application has not read all |
//! | done | END_STREAM has arrived, and all is read or dropped |
//!
//! | Outbound | Meaning |
//! |---|---|
//! | waiting | a server's handler has not sent the final headers |
//! | sending | the source (handler, body, upload, tunnel's writer) may yield more |
//! | withheld | a client's source is dropped unsent, since a final response made it pointless |
//! | ended | END_STREAM is sent |
//!
//! # What happens in each pair of halves
//!
//! `ends` is END_STREAM by us; `resets` is RST_STREAM by us. Empty cells are wanted: nothing
//! happens, and no deadline runs. Where both halves are ended (unread or done, and ended), the
//! exchange is completed.
//!
//! | Server, message | waiting | sending | ended |
//! |---|---|---|---|
//! | open | | | |
//! | unwanted | discards | discards | discards until `unread_request`, then resets NO_ERROR |
//! | unread, done | | | completed |
//! | peer's transport input has ended | drops the handler after `half_closed` without progress, resets CANCEL | as before | completed |
//!
//! | Client, message | sending | withheld | ended |
//! |---|---|---|---|
//! | open | | | |
//! | unwanted | resets CANCEL | resets CANCEL | resets CANCEL |
//! | unread | drops the upload after `upload` without progress, resets CANCEL | resets CANCEL | completed |
//! | done | drops the upload, resets CANCEL | - | completed |
//!
//! | Both, tunnel | sending | ended |
//! |---|---|---|
//! | open | | |
//! | unwanted | discards | discards until `tunnel_end`, then resets (client CANCEL, server NO_ERROR) |
//! | unread, done | | completed |
//!
//! Inputs that end an exchange in every state:
//!
//! | Input | Stream | Reader of an incomplete message | Source |
//! |---|---|---|---|
//! | the stream is reset, by the peer or for its violation | - | fails | is dropped |
//! | the connection is lost, or its input ends and the peer's message is incomplete | - | fails | is dropped |
//! | a client's input ends | - | fails | is dropped |
//! | the source fails, or a message's source is dropped before its end | server resets INTERNAL_ERROR, client CANCEL; in a tunnel CONNECT_ERROR | fails | - |
//! | the application cancels, or its time limit expires | resets with its code | fails | is dropped |
//!
//! A tunnel's writer that is dropped ends its half, as closing a socket does.
//!
//! # Example
//!
//! A server answers 401 to an upload that continues. The client gets the time to read the response:
//!
//! ```
//! use thalweg::{ErrorCode, Instant, Status};
//! use thalweg_http::Method;
//! use thalweg_http::exchange::{Actions, Exchange, ExchangeEnd, Frame, Input, Timeouts};
//!
//! let (now, timeouts) = (Instant::ZERO, Timeouts::default());
//! let mut exchange = Exchange::server(Method::Post);
//! let unauthorized = Status::new(401).expect("three digits");
//! for input in [Input::HeadersSent { status: unauthorized }, Input::OutboundEnded] {
//!     assert_eq!(exchange.handle(input, now, &timeouts), Actions::NONE);
//! }
//! // The handler returns without reading. No reset follows yet.
//! assert_eq!(exchange.handle(Input::ReaderDropped, now, &timeouts), Actions::NONE);
//! assert!(exchange.is_discarding());
//! let deadline = exchange.deadline().expect("the rest of the request is unwanted");
//! assert_eq!(deadline, now + timeouts.unread_request);
//!
//! let mut patient = exchange;
//! let actions = patient.handle(Input::InboundEnded, now, &timeouts);
//! assert_eq!((actions.send, actions.end), (Frame::None, Some(ExchangeEnd::Completed)));
//!
//! let actions = exchange.handle(Input::Timeout, deadline, &timeouts);
//! assert_eq!(actions.send, Frame::Reset(ErrorCode::NO_ERROR));
//! assert_eq!(actions.end, Some(ExchangeEnd::LocalReset(ErrorCode::NO_ERROR)));
//! ```

use core::time::Duration;

use thalweg::{ErrorCode, Instant, Status};

use crate::{Method, Role};

/// How long an unwanted half may live. One value for all exchanges of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timeouts {
    /// On a server: the rest of a request whose response is sent, and which is not read. The client
    /// has this time to receive the response before the reset. Default: 5 s.
    pub unread_request: Duration,
    /// The peer's half of a tunnel that the application has left. Default: 5 s.
    pub tunnel_end: Duration,
    /// On a server: a handler whose client has ended its side of the transport, without progress of
    /// the response. A client that only half-closes gets an answer within this time. Default: 10 s.
    pub half_closed: Duration,
    /// On a client: an upload whose response is complete and unread, without progress. Default:
    /// 5 s.
    pub upload: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            unread_request: Duration::from_secs(5),
            tunnel_end: Duration::from_secs(5),
            half_closed: Duration::from_secs(10),
            upload: Duration::from_secs(5),
        }
    }
}

/// One exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exchange {
    role: Role,
    kind: Kind,
    inbound: Inbound,
    outbound: Outbound,
    /// On a server, whether the client has ended its side of the transport.
    is_half_closed: bool,
    deadline: Option<Deadline>,
    end: Option<ExchangeEnd>,
}

/// What the stream carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Message,
    /// A CONNECT request whose final status is not known.
    Connect,
    Tunnel,
}

/// See the [module](self).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Inbound {
    Open,
    Unwanted,
    Unread,
    Done,
}

/// See the [module](self).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outbound {
    Waiting,
    Sending,
    Withheld,
    Ended,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Deadline {
    at: Instant,
    cause: DeadlineCause,
}

/// Why a deadline runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DeadlineCause {
    UnreadRequest,
    TunnelEnd,
    HalfClosed,
    Upload,
}

/// What happened to an exchange. An input that does not fit the state changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    // The peer.
    /// On a client, the final headers of the response arrived. `InboundEnded` follows if they carry
    /// END_STREAM.
    HeadersReceived {
        /// The status.
        status: Status,
    },
    /// END_STREAM arrived.
    InboundEnded,
    /// The core reports the end of the stream: `Event::Reset`.
    StreamReset {
        /// The code.
        code: ErrorCode,
    },
    /// The input of the transport ended. It may still accept output.
    InputEnded,
    /// The connection ended, its transport failed, or the transport shows that the peer is gone.
    ConnectionLost,
    // The application.
    /// The reader has read the end of the inbound content.
    ReaderFinished,
    /// The reader was dropped.
    ReaderDropped,
    /// On a server, the final headers of the response were sent. `OutboundEnded` follows if they
    /// carry END_STREAM.
    HeadersSent {
        /// The status.
        status: Status,
    },
    /// The transport accepted content of ours.
    OutboundProgress,
    /// END_STREAM was sent.
    OutboundEnded,
    /// The source was dropped before its end: a handler without a response, a body, an upload, or
    /// the writer of a tunnel.
    SourceDropped,
    /// The source failed, or yielded another length than was announced.
    SourceFailed,
    /// On a client, the content will not be sent: the server has answered instead of sending 100. A
    /// CONNECT request has no content to withhold.
    SourceWithheld,
    /// The application ends the exchange: a reset of its own, or its time limit.
    Cancelled {
        /// The code for the peer.
        code: ErrorCode,
    },
    // Time.
    /// [`Exchange::deadline`] may have come.
    Timeout,
}

/// A frame that the I/O layer sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame {
    /// None.
    None,
    /// An empty DATA frame with END_STREAM.
    EndStream,
    /// RST_STREAM.
    Reset(ErrorCode),
}

/// What the I/O layer does now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Actions {
    /// Delivers the final headers of the response to the caller, without waiting for the upload.
    pub deliver_headers: bool,
    /// Drops the handler, body, upload or writer, or notifies it if it runs on a thread.
    pub drop_source: bool,
    /// Delivers the failure to the reader, behind the content that has arrived.
    pub fail_reader: bool,
    /// The frame to send.
    pub send: Frame,
    /// The exchange ended: the I/O layer removes it and returns its slot. Content that its reader
    /// has not read stays with the reader.
    pub end: Option<ExchangeEnd>,
}

impl Actions {
    /// Nothing.
    pub const NONE: Self =
        Self { deliver_headers: false, drop_source: false, fail_reader: false, send: Frame::None, end: None };
}

/// How an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExchangeEnd {
    /// Both halves have ended.
    Completed,
    /// The peer reset the stream, or the core did for its violation.
    Reset(ErrorCode),
    /// We reset the stream.
    LocalReset(ErrorCode),
    /// The connection is lost.
    Lost,
}

impl Exchange {
    const fn new(role: Role, kind: Kind, inbound: Inbound, outbound: Outbound) -> Self {
        Self { role, kind, inbound, outbound, is_half_closed: false, deadline: None, end: None }
    }

    /// Creates the exchange of a request whose headers were sent. If they carried END_STREAM,
    /// `OutboundEnded` follows.
    pub const fn client(method: Method) -> Self {
        Self::new(Role::Client, kind_of(method), Inbound::Open, Outbound::Sending)
    }

    /// Creates the exchange of a request whose headers arrived. If they carried END_STREAM,
    /// `InboundEnded` follows, and `ReaderFinished`, since there is nothing to read.
    pub const fn server(method: Method) -> Self {
        Self::new(Role::Server, kind_of(method), Inbound::Open, Outbound::Waiting)
    }

    /// Creates the exchange of a push that the server has promised to a client.
    pub const fn client_push() -> Self {
        Self::new(Role::Client, Kind::Message, Inbound::Open, Outbound::Ended)
    }

    /// Creates the exchange of a push that a server has promised.
    pub const fn server_push() -> Self {
        Self::new(Role::Server, Kind::Message, Inbound::Done, Outbound::Waiting)
    }

    /// Handles what happened at `now`.
    pub fn handle(&mut self, input: Input, now: Instant, timeouts: &Timeouts) -> Actions {
        if self.end.is_some() {
            return Actions::NONE;
        }
        let mut actions = Actions::NONE;
        if let Some((end, send)) = self.apply(input, now, &mut actions).or_else(|| self.due_end()) {
            return self.finish(end, send, actions);
        }
        let is_progress = matches!(input, Input::OutboundProgress | Input::HeadersSent { .. });
        self.update_deadline(now, timeouts, is_progress);
        actions
    }

    /// Changes the halves. Returns the end, if the input is one.
    fn apply(&mut self, input: Input, now: Instant, actions: &mut Actions) -> Option<(ExchangeEnd, Frame)> {
        match input {
            Input::HeadersReceived { status } if self.role == Role::Client => {
                actions.deliver_headers = self.inbound == Inbound::Open;
                self.decide_kind(status, actions);
            }
            Input::HeadersSent { status } if self.outbound == Outbound::Waiting => {
                self.outbound = Outbound::Sending;
                self.decide_kind(status, actions);
            }
            Input::InboundEnded => {
                self.inbound = match self.inbound {
                    Inbound::Open | Inbound::Unread => Inbound::Unread,
                    Inbound::Unwanted | Inbound::Done => Inbound::Done,
                }
            }
            Input::ReaderFinished if self.inbound == Inbound::Unread => self.inbound = Inbound::Done,
            Input::ReaderDropped => {
                self.inbound = match self.inbound {
                    Inbound::Open | Inbound::Unwanted => Inbound::Unwanted,
                    Inbound::Unread | Inbound::Done => Inbound::Done,
                }
            }
            Input::OutboundEnded => self.outbound = Outbound::Ended,
            Input::SourceWithheld if self.kind == Kind::Message && self.role == Role::Client => {
                if self.outbound == Outbound::Sending {
                    self.outbound = Outbound::Withheld;
                }
            }
            Input::SourceDropped if self.has_source() && self.kind == Kind::Tunnel => {
                // RFC 9113 §8.5: END_STREAM is the end of one direction of a tunnel.
                self.outbound = Outbound::Ended;
                actions.send = Frame::EndStream;
            }
            Input::SourceDropped | Input::SourceFailed if self.has_source() => {
                return Some(local_reset(match (self.kind, self.role) {
                    (Kind::Tunnel, _) => ErrorCode::CONNECT_ERROR,
                    // The peer must not take truncated content for complete content.
                    (_, Role::Server) => ErrorCode::INTERNAL_ERROR,
                    (_, Role::Client) => ErrorCode::CANCEL,
                }));
            }
            Input::InputEnded if self.role == Role::Client || !self.inbound_has_ended() => {
                return Some((ExchangeEnd::Lost, Frame::None));
            }
            Input::InputEnded => self.is_half_closed = true,
            Input::StreamReset { code } => return Some((ExchangeEnd::Reset(code), Frame::None)),
            Input::ConnectionLost => return Some((ExchangeEnd::Lost, Frame::None)),
            Input::Cancelled { code } => return Some(local_reset(code)),
            Input::Timeout => {
                let due = self.deadline.filter(|deadline| deadline.at <= now)?;
                return Some(local_reset(match (due.cause, self.role) {
                    // RFC 9113 §8.1: the response is complete, and the rest is not needed.
                    (DeadlineCause::UnreadRequest, _) | (DeadlineCause::TunnelEnd, Role::Server) => {
                        ErrorCode::NO_ERROR
                    }
                    (DeadlineCause::TunnelEnd | DeadlineCause::HalfClosed | DeadlineCause::Upload, _) => {
                        ErrorCode::CANCEL
                    }
                }));
            }
            Input::OutboundProgress
            | Input::HeadersReceived { .. }
            | Input::HeadersSent { .. }
            | Input::ReaderFinished
            | Input::SourceDropped
            | Input::SourceFailed
            | Input::SourceWithheld => {}
        }
        None
    }

    /// RFC 9110 §9.3.6: a 2xx response to CONNECT makes the stream a tunnel. After any other one, a
    /// client has nothing to send.
    fn decide_kind(&mut self, status: Status, actions: &mut Actions) {
        if self.kind != Kind::Connect {
            return;
        }
        if status.as_bytes()[0] == b'2' {
            self.kind = Kind::Tunnel;
            return;
        }
        self.kind = Kind::Message;
        if self.role == Role::Client && self.has_source() {
            self.outbound = Outbound::Withheld;
            actions.drop_source = true;
        }
    }

    /// Returns the end that the halves make due at once: the table of the module.
    fn due_end(&self) -> Option<(ExchangeEnd, Frame)> {
        let is_message = self.kind != Kind::Tunnel;
        match (self.inbound, self.outbound, self.role) {
            (Inbound::Unread | Inbound::Done, Outbound::Ended, _) => {
                Some((ExchangeEnd::Completed, Frame::None))
            }
            // RFC 9113 §8.1 defines no gentler way to decline the rest of a response, and a client
            // has no use for an upload whose response is read.
            (Inbound::Unwanted, _, Role::Client)
            | (Inbound::Done, Outbound::Sending, Role::Client)
            | (Inbound::Unread | Inbound::Done, Outbound::Withheld, Role::Client)
                if is_message =>
            {
                Some(local_reset(ErrorCode::CANCEL))
            }
            _ => None,
        }
    }

    fn finish(&mut self, end: ExchangeEnd, send: Frame, mut actions: Actions) -> Actions {
        actions.drop_source |= self.has_source();
        actions.fail_reader = self.inbound == Inbound::Open;
        // The END_STREAM that completes the exchange stays.
        if send != Frame::None {
            actions.send = send;
        }
        actions.end = Some(end);
        self.deadline = None;
        self.end = Some(end);
        actions
    }

    fn update_deadline(&mut self, now: Instant, timeouts: &Timeouts, is_progress: bool) {
        let Some(cause) = self.due_cause() else {
            self.deadline = None;
            return;
        };
        let (after, restarts) = match cause {
            DeadlineCause::UnreadRequest => (timeouts.unread_request, false),
            DeadlineCause::TunnelEnd => (timeouts.tunnel_end, false),
            DeadlineCause::HalfClosed => (timeouts.half_closed, is_progress),
            DeadlineCause::Upload => (timeouts.upload, is_progress),
        };
        let runs = self.deadline.is_some_and(|deadline| deadline.cause == cause);
        if !runs || restarts {
            self.deadline = Some(Deadline { at: now + after, cause });
        }
    }

    /// Returns why a deadline runs: the table of the module.
    fn due_cause(&self) -> Option<DeadlineCause> {
        match (self.inbound, self.outbound, self.role) {
            (Inbound::Unwanted, Outbound::Ended, _) if self.kind == Kind::Tunnel => {
                Some(DeadlineCause::TunnelEnd)
            }
            (Inbound::Unwanted, Outbound::Ended, Role::Server) => Some(DeadlineCause::UnreadRequest),
            (Inbound::Unread, Outbound::Sending, Role::Client) if self.kind != Kind::Tunnel => {
                Some(DeadlineCause::Upload)
            }
            _ if self.is_half_closed => Some(DeadlineCause::HalfClosed),
            _ => None,
        }
    }

    const fn has_source(&self) -> bool {
        matches!(self.outbound, Outbound::Waiting | Outbound::Sending)
    }

    const fn inbound_has_ended(&self) -> bool {
        matches!(self.inbound, Inbound::Unread | Inbound::Done)
    }

    /// Returns when to pass [`Input::Timeout`].
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline.map(|deadline| deadline.at)
    }

    /// Returns whether inbound content is discarded: its bytes are credited to the connection's
    /// window and not to the stream's.
    #[must_use]
    pub fn is_discarding(&self) -> bool {
        self.inbound == Inbound::Unwanted && self.end.is_none()
    }

    /// Returns whether the source may be polled for more.
    #[must_use]
    pub const fn wants_source(&self) -> bool {
        self.has_source() && self.end.is_none()
    }

    /// Returns whether the stream has become a tunnel.
    #[must_use]
    pub fn is_tunnel(&self) -> bool {
        self.kind == Kind::Tunnel
    }

    /// Returns how the exchange ended.
    #[must_use]
    pub const fn end(&self) -> Option<ExchangeEnd> {
        self.end
    }
}

const fn kind_of(method: Method) -> Kind {
    match method {
        Method::Connect => Kind::Connect,
        _ => Kind::Message,
    }
}

const fn local_reset(code: ErrorCode) -> (ExchangeEnd, Frame) {
    (ExchangeEnd::LocalReset(code), Frame::Reset(code))
}

#[cfg(test)]
#[path = "exchange/tests.rs"]
mod tests;
