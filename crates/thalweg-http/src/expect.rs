//! The expectation `100-continue` (RFC 9110 §10.1.1), for both roles.
//!
//! Owns what each side has done about it: a [`ServerExpect`] for each request that a server
//! receives, a [`ClientExpect`] for each request whose content a client may withhold.
//!
//! Invariants: a server sends 100 at most once, and not after content, after another 100, or after
//! the final response; a client sends content at the latest [`WAIT`] after its headers, unless a
//! final response has made it pointless.
//!
//! | Server: input | No 100 yet | Settled |
//! |---|---|---|
//! | the handler reads content | sends 100 | - |
//! | content arrives | settled: the client does not wait | - |
//! | the handler sends 100 | settled | - |
//! | the final response is sent | settled | - |
//!
//! | Client: input | Waiting | Sending | Withheld |
//! |---|---|---|---|
//! | 100 arrives | sends content | - | - |
//! | a final response arrives | withholds content | - | - |
//! | one second has passed | sends content | - | - |
//!
//! # Example
//!
//! ```
//! use thalweg::{Field, Instant, Status};
//! use thalweg_http::expect::{ClientExpect, Expectation, Gate, ServerExpect, WAIT};
//!
//! // The server: the request has `expect: 100-continue`, and its content is still to come.
//! let fields = [Field::new("expect", "100-Continue")];
//! let mut server = ServerExpect::new(Expectation::of(fields), true);
//! assert!(server.read_content(), "the first read sends 100");
//! assert!(!server.read_content());
//!
//! // The client: the I/O layer sends no content while the gate is closed.
//! let mut client = ClientExpect::new(Expectation::of(fields), true, Instant::ZERO);
//! assert_eq!(client.gate(), Gate::Closed { until: Instant::ZERO + WAIT });
//! client.receive_informational(Status::CONTINUE);
//! assert_eq!(client.gate(), Gate::Open);
//! ```

use core::time::Duration;

use thalweg::{Field, Instant, KnownName, Status};

/// What the `expect` fields of a request ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expectation {
    /// Nothing.
    None,
    /// An interim response before the content.
    Continue,
    /// Something other than `100-continue`. A server may answer 417.
    Unsupported,
}

impl Expectation {
    /// Reads the expectation from the fields of a request. The value is case-insensitive.
    pub fn of<'a>(fields: impl IntoIterator<Item = Field<'a>>) -> Self {
        let mut expectation = Self::None;
        let values = fields.into_iter().filter(|field| field.known_name() == KnownName::EXPECT);
        for member in values.flat_map(|field| field.value.split(|byte| *byte == b',')) {
            let member = member.trim_ascii();
            if member.is_empty() {
                // RFC 9110 §5.6.1: recipients ignore empty members.
            } else if member.eq_ignore_ascii_case(b"100-continue") {
                if expectation == Self::None {
                    expectation = Self::Continue;
                }
            } else {
                return Self::Unsupported;
            }
        }
        expectation
    }
}

/// The server's side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerExpect {
    is_owed: bool,
}

impl ServerExpect {
    /// Creates the state of a request. `has_content`: its headers did not carry END_STREAM. RFC
    /// 9110 §10.1.1: without content, no 100.
    #[must_use]
    pub fn new(expectation: Expectation, has_content: bool) -> Self {
        Self { is_owed: has_content && expectation == Expectation::Continue }
    }

    /// Handles a read of the content by the handler. Returns whether the I/O layer sends 100 now.
    /// RFC 9110 §10.1.1: immediately, not when content arrives.
    #[must_use]
    pub fn read_content(&mut self) -> bool {
        core::mem::take(&mut self.is_owed)
    }

    /// Handles content or trailers of the client, which did not wait.
    pub fn receive_content(&mut self) {
        self.is_owed = false;
    }

    /// Handles a response of the handler. A 100 or a final response makes ours superfluous; another
    /// informational response does not.
    pub fn send_response(&mut self, status: Status) {
        if status == Status::CONTINUE || !status.is_informational() {
            self.is_owed = false;
        }
    }
}

/// The client's side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientExpect {
    gate: Gate,
}

/// Whether the content of a request may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// Yes.
    Open,
    /// Not yet: at this time, unless the server decides earlier.
    Closed {
        /// The end of the wait.
        until: Instant,
    },
    /// No: the server has answered without it. The I/O layer drops the content and tells the
    /// exchange ([`Input::SourceWithheld`](crate::exchange::Input::SourceWithheld)).
    Withheld,
}

impl ClientExpect {
    /// Creates the state of a request whose headers were sent at `now`. A request without content
    /// does not wait, and must not carry the field: see [`without_expect`].
    #[must_use]
    pub fn new(expectation: Expectation, has_content: bool, now: Instant) -> Self {
        let waits = has_content && expectation == Expectation::Continue;
        Self { gate: if waits { Gate::Closed { until: now + WAIT } } else { Gate::Open } }
    }

    /// Returns whether content may be sent.
    #[must_use]
    pub const fn gate(&self) -> Gate {
        self.gate
    }

    /// Handles an informational response. Only 100 opens the gate.
    pub fn receive_informational(&mut self, status: Status) {
        if status == Status::CONTINUE && matches!(self.gate, Gate::Closed { .. }) {
            self.gate = Gate::Open;
        }
    }

    /// Handles the final response.
    pub fn receive_final(&mut self) {
        if matches!(self.gate, Gate::Closed { .. }) {
            self.gate = Gate::Withheld;
        }
    }

    /// Returns when to call [`handle_timeout`](Self::handle_timeout).
    #[must_use]
    pub const fn poll_timeout(&self) -> Option<Instant> {
        match self.gate {
            Gate::Closed { until } => Some(until),
            Gate::Open | Gate::Withheld => None,
        }
    }

    /// Handles the time. RFC 9110 §10.1.1: a client does not wait for an indefinite period.
    pub fn handle_timeout(&mut self, now: Instant) {
        if let Gate::Closed { until } = self.gate
            && until <= now
        {
            self.gate = Gate::Open;
        }
    }
}

/// Returns the fields without `expect: 100-continue`, for a request that has no content, or that is
/// repeated after 417 (RFC 9110 §10.1.1).
pub fn without_expect<'a>(fields: impl IntoIterator<Item = Field<'a>>) -> impl Iterator<Item = Field<'a>> {
    fields.into_iter().filter(|field| {
        field.known_name() != KnownName::EXPECT || Expectation::of([*field]) == Expectation::Unsupported
    })
}

/// How long a client waits for 100 or a final response before it sends content.
pub const WAIT: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    const CONTINUE: Expectation = Expectation::Continue;

    fn at(millis: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(millis)
    }

    #[test]
    fn the_expectation_is_read_without_case() {
        let table: [(&[&str], Expectation); 9] = [
            (&[], Expectation::None),
            (&[""], Expectation::None),
            (&["100-continue"], CONTINUE),
            (&["100-CONTINUE"], CONTINUE),
            (&["100-continue", "100-continue"], CONTINUE),
            (&[" , 100-continue ,"], CONTINUE),
            (&["100-continue, x=y"], Expectation::Unsupported),
            (&["x", "100-continue"], Expectation::Unsupported),
            (&["100-continue;q=1"], Expectation::Unsupported),
        ];
        for (values, expected) in table {
            let fields = values.iter().map(|value| Field::new("expect", *value));
            assert_eq!(Expectation::of(fields), expected, "{values:?}");
        }
    }

    #[test]
    fn a_server_sends_100_once_at_the_first_read() {
        let mut expect = ServerExpect::new(CONTINUE, true);
        assert_eq!([expect.read_content(), expect.read_content()], [true, false]);
    }

    #[test]
    fn a_server_sends_no_100_where_it_is_superfluous() {
        type Case = (&'static str, fn() -> ServerExpect);
        let settled: [Case; 6] = [
            ("nothing is expected", || ServerExpect::new(Expectation::None, true)),
            ("another expectation", || ServerExpect::new(Expectation::Unsupported, true)),
            ("there is no content", || ServerExpect::new(CONTINUE, false)),
            ("content has arrived", || {
                let mut expect = ServerExpect::new(CONTINUE, true);
                expect.receive_content();
                expect
            }),
            ("the handler sent 100", || {
                let mut expect = ServerExpect::new(CONTINUE, true);
                expect.send_response(Status::CONTINUE);
                expect
            }),
            ("the final response is sent", || {
                let mut expect = ServerExpect::new(CONTINUE, true);
                expect.send_response(Status::NOT_FOUND);
                expect
            }),
        ];
        for (case, expect) in settled {
            assert!(!expect().read_content(), "{case}");
        }
        let mut expect = ServerExpect::new(CONTINUE, true);
        expect.send_response(Status::EARLY_HINTS);
        assert!(expect.read_content(), "103 does not replace 100");
    }

    #[test]
    fn a_client_sends_content_after_100_or_one_second() {
        let closed = Gate::Closed { until: at(1500) };
        let mut expect = ClientExpect::new(CONTINUE, true, at(500));
        assert_eq!((expect.gate(), expect.poll_timeout()), (closed, Some(at(1500))));
        expect.receive_informational(Status::EARLY_HINTS);
        expect.handle_timeout(at(1499));
        assert_eq!(expect.gate(), closed);
        let mut late = expect;
        late.handle_timeout(at(1500));
        assert_eq!((late.gate(), late.poll_timeout()), (Gate::Open, None));
        late.receive_final();
        assert_eq!(late.gate(), Gate::Open, "content that is being sent is not withheld");
        expect.receive_informational(Status::CONTINUE);
        assert_eq!((expect.gate(), expect.poll_timeout()), (Gate::Open, None));
    }

    #[test]
    fn a_client_withholds_content_after_a_final_response() {
        let mut expect = ClientExpect::new(CONTINUE, true, at(0));
        expect.receive_final();
        assert_eq!((expect.gate(), expect.poll_timeout()), (Gate::Withheld, None));
        expect.handle_timeout(at(5000));
        expect.receive_informational(Status::CONTINUE);
        assert_eq!(expect.gate(), Gate::Withheld);
    }

    #[test]
    fn a_client_waits_only_with_content_and_100_continue() {
        assert_eq!(ClientExpect::new(CONTINUE, false, at(0)).gate(), Gate::Open);
        assert_eq!(ClientExpect::new(Expectation::None, true, at(0)).gate(), Gate::Open);
        assert_eq!(ClientExpect::new(Expectation::Unsupported, true, at(0)).gate(), Gate::Open);
    }

    #[test]
    fn expect_is_removed_and_other_expectations_stay() {
        let fields = [Field::new("expect", "100-continue"), Field::new("a", "b"), Field::new("expect", "x")];
        let kept: Vec<_> = without_expect(fields).collect();
        assert_eq!(kept, fields[1..]);
    }
}
