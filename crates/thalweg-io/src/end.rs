//! How a connection ended: the one value that is logged, counted and passed to the application.
//!
//! Invariant: an end before HTTP/2 is never a warning, since every port receives connections of
//! scanners and of clients of other protocols.

use std::error::Error as StdError;
use std::net::SocketAddr;
use std::{fmt, io};

use thalweg::{CloseCause, CloseReport, Timeout};

use crate::negotiate::NegotiationError;

/// The final report of a connection: who or what ended it, and its counters.
#[derive(Debug)]
#[non_exhaustive]
pub struct ConnectionEnd {
    /// The peer's address, if known.
    pub remote: Option<SocketAddr>,
    /// The core's report. Empty if the connection never spoke HTTP/2.
    pub report: CloseReport,
    /// The transport's error, if it ended the connection.
    pub transport: Option<io::Error>,
    /// The reason why the connection never spoke HTTP/2, if it did not.
    pub negotiation_error: Option<NegotiationError>,
}

impl ConnectionEnd {
    /// Creates the end of a connection that spoke HTTP/2. The remaining fields are empty, for the
    /// caller to set.
    pub const fn new(report: CloseReport) -> Self {
        Self { remote: None, report, transport: None, negotiation_error: None }
    }

    /// Creates the end of a connection that never spoke HTTP/2.
    pub fn refused(error: NegotiationError) -> Self {
        Self { negotiation_error: Some(error), ..Self::new(CloseReport::default()) }
    }

    /// Returns whether the end is no fault: the connection was drained, or was idle when the
    /// transport ended.
    #[must_use]
    pub fn is_orderly(&self) -> bool {
        self.report.error.is_none() && self.transport.is_none() && self.negotiation_error.is_none()
    }

    /// Returns whether the end is logged as a warning (see [`CloseReport::is_warning`]). A
    /// [`NegotiationError`] is not: every port receives connections of scanners and of clients of
    /// other protocols.
    #[must_use]
    pub fn is_warning(&self) -> bool {
        self.negotiation_error.is_none() && self.report.is_warning()
    }

    /// Returns whether streams were open when the time for a graceful shutdown expired.
    #[must_use]
    pub fn is_cut_off(&self) -> bool {
        self.ended_streams_by(CloseCause::Timeout(Timeout::Shutdown))
    }

    /// Returns whether streams were open when the I/O layer closed the connection.
    #[must_use]
    pub fn is_closed_with_streams(&self) -> bool {
        self.ended_streams_by(CloseCause::Closed)
    }

    fn ended_streams_by(&self, cause: CloseCause) -> bool {
        self.report.live_streams > 0 && self.report.error.is_some_and(|error| error.cause() == cause)
    }

    /// Returns the level at which the end is logged.
    #[must_use]
    pub fn log_level(&self) -> LogLevel {
        match self.negotiation_error {
            _ if self.is_warning() => LogLevel::Warn,
            None => LogLevel::Debug,
            Some(NegotiationError::NoData | NegotiationError::ShuttingDown | NegotiationError::Evicted) => {
                LogLevel::Debug
            }
            Some(_) => LogLevel::Info,
        }
    }
}

impl fmt::Display for ConnectionEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.negotiation_error, &self.transport) {
            (Some(error), Some(cause)) if error.has_transport_error() => write!(f, "{error}: {cause}"),
            // Other reasons say all; the transport's error follows from them.
            (Some(error), _) => error.fmt(f),
            (None, Some(error)) => write!(f, "the transport failed ({error}): {}", self.report),
            (None, None) => self.report.fmt(f),
        }
    }
}

// Without a source: the text of the end is one line of a log, and says all.
impl StdError for ConnectionEnd {}

/// The level at which the end of a connection is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LogLevel {
    /// An ordinary end, or a peer that sent nothing.
    Debug,
    /// The peer sent something that is not HTTP/2.
    Info,
    /// The peer is at fault, or a limit or timeout was exceeded.
    Warn,
}

/// Prints an error and its causes in one line, for readers that do not walk the chain.
#[derive(Debug)]
pub struct WithCauses<'a>(pub &'a dyn StdError);

impl fmt::Display for WithCauses<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use core::time::Duration;
    use thalweg::{
        Client, Config, Connection, ErrorCode, Instant, Request, SendError, Server, Timeouts, Violation,
    };

    /// Returns the report of a connection whose peer broke a rule.
    pub(crate) fn fault_of_the_peer() -> CloseReport {
        let mut connection = Connection::<Server>::new(Config::default()).unwrap();
        let input = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x01\x04\0\0\0\0\0\0";
        assert!(connection.receive(&mut &input[..], Instant::ZERO).is_err());
        connection.report()
    }

    #[derive(Debug)]
    struct Chain(Option<Box<Chain>>);

    impl fmt::Display for Chain {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("link")
        }
    }

    impl StdError for Chain {
        fn source(&self) -> Option<&(dyn StdError + 'static)> {
            self.0.as_ref().map(|error| error as _)
        }
    }

    fn with_transport(mut end: ConnectionEnd) -> ConnectionEnd {
        end.transport = Some(io::Error::other("cable cut"));
        end
    }

    #[test]
    fn an_end_before_http_2_is_never_a_warning() {
        let level = |end: ConnectionEnd| (end.is_warning(), end.is_orderly(), end.log_level());
        let refused = ConnectionEnd::refused;
        assert_eq!(level(refused(NegotiationError::NoData)), (false, false, LogLevel::Debug));
        assert_eq!(level(refused(NegotiationError::ShuttingDown)), (false, false, LogLevel::Debug));
        assert_eq!(level(refused(NegotiationError::Evicted)), (false, false, LogLevel::Debug));
        assert_eq!(level(refused(NegotiationError::Handshake)), (false, false, LogLevel::Info));
        assert_eq!(level(refused(NegotiationError::TimedOut)), (false, false, LogLevel::Info));
        let report = CloseReport::default();
        assert_eq!(level(ConnectionEnd::new(report)), (false, true, LogLevel::Debug));
        assert_eq!(level(ConnectionEnd::new(fault_of_the_peer())), (true, false, LogLevel::Warn));
        assert_eq!(level(with_transport(ConnectionEnd::new(report))), (false, false, LogLevel::Debug));
        let mut rejected = refused(NegotiationError::Http1);
        rejected.report = fault_of_the_peer();
        assert_eq!(level(rejected), (false, false, LogLevel::Info));
    }

    #[test]
    fn with_open_streams_the_limit_of_a_shutdown_is_distinct_from_a_close() {
        let end_by = |has_stream: bool, end: fn(&mut Connection<Client>)| {
            let timeouts = Timeouts::OFF.shutdown(Some(Duration::from_secs(1)));
            let mut connection = Connection::<Client>::new(Config::default().timeouts(timeouts)).unwrap();
            if has_stream {
                let request = Request::new("GET", "https", "example.org", "/");
                connection.send_request(&request, [], true).unwrap();
            }
            end(&mut connection);
            let end = ConnectionEnd::new(connection.report());
            (end.is_cut_off(), end.is_closed_with_streams())
        };
        let shutdown = |connection: &mut Connection<Client>| {
            connection.shutdown();
            let _ = connection.handle_timeout(Instant::ZERO);
            let _ = connection.handle_timeout(Instant::from_nanos(1_000_000_000));
        };
        let close = |connection: &mut Connection<Client>| connection.close(ErrorCode::NO_ERROR, &[]);
        assert_eq!(end_by(true, shutdown), (true, false));
        assert_eq!(end_by(true, close), (false, true));
        assert_eq!(end_by(false, close), (false, false));
        assert_eq!(end_by(true, |_| {}), (false, false));
    }

    #[test]
    fn the_transports_error_is_printed_where_the_reason_lies_in_it() {
        let text = |end: ConnectionEnd| end.to_string();
        let refused = |error| with_transport(ConnectionEnd::refused(error));
        assert_eq!(text(refused(NegotiationError::Handshake)), "the TLS handshake failed: cable cut");
        assert_eq!(text(refused(NegotiationError::Transport)), "the transport failed: cable cut");
        assert_eq!(text(refused(NegotiationError::NoAlpn)), NegotiationError::NoAlpn.to_string());
        let report = CloseReport::default();
        let failed = with_transport(ConnectionEnd::new(report));
        assert_eq!(text(failed), format!("the transport failed (cable cut): {report}"));
        assert_eq!(text(ConnectionEnd::new(report)), report.to_string());
    }

    #[test]
    fn an_error_is_printed_with_its_causes() {
        let error = SendError::Malformed(Violation::FieldNameInvalid);
        let expected = format!("{error}: {}", Violation::FieldNameInvalid);
        assert_eq!(WithCauses(&error).to_string(), expected);
        let end = with_transport(ConnectionEnd::new(CloseReport::default()));
        assert_eq!(WithCauses(&end).to_string(), end.to_string(), "the cause is not repeated");
        let chain = Chain(Some(Box::new(Chain(Some(Box::new(Chain(None)))))));
        assert_eq!(WithCauses(&chain).to_string(), "link: link: link");
        assert_eq!(WithCauses(&io::Error::other("alone")).to_string(), "alone");
    }
}
