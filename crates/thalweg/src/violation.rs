//! The rules that a peer can break, and the table of their sections, error codes and scopes.
//!
//! Invariants: one variant for each rule; section, error code and scope come from its row alone.

use crate::error_code::ErrorCode;

/// Whether a violation is a stream error or a connection error (RFC 9113 §5.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// A stream error: the stream is reset; every other stream and the connection continue.
    Stream,
    /// A connection error: the connection ends with GOAWAY.
    Connection,
}

struct Rule {
    violation: Violation,
    section: &'static str,
    code: ErrorCode,
    scope: Scope,
    text: &'static str,
}

/// Defines [`Violation`] with its rustdoc, and the table behind its methods, from one row for each
/// rule: variant, scope, error code, section, text.
macro_rules! violations {
    ($($violation:ident: $scope:ident, $code:ident, $section:literal, $text:literal;)*) => {
        /// A rule of the protocol that the peer broke.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        #[repr(u8)]
        pub enum Violation {$(
            #[doc = concat!(
                $text, ".\n\n", $section, "; ", stringify!($scope), " error `", stringify!($code), "`."
            )]
            $violation,
        )*}

        static RULES: &[Rule] = &[$(Rule {
            violation: Violation::$violation,
            section: $section,
            code: ErrorCode::$code,
            scope: Scope::$scope,
            text: $text,
        },)*];
    };
}

#[rustfmt::skip]
violations! {
    // How a connection starts.
    PrefaceInvalid: Connection, PROTOCOL_ERROR, "RFC 9113 §3.4", "the connection does not begin with the HTTP/2 preface";
    PrefaceWithoutSettings: Connection, PROTOCOL_ERROR, "RFC 9113 §3.4", "the first frame is not SETTINGS";
    PrefaceOfHttp1: Connection, PROTOCOL_ERROR, "RFC 9113 §3.4", "the server answers in HTTP/1: it does not speak HTTP/2 here";
    PrefaceOfTls: Connection, PROTOCOL_ERROR, "RFC 9113 §3.4", "the server speaks TLS on this port: connect with TLS (https)";
    PrefaceOfText: Connection, PROTOCOL_ERROR, "RFC 9113 §3.4", "the server answers with text: it does not speak HTTP/2 here";
    // Frame headers and fixed layouts.
    FrameTooLarge: Connection, FRAME_SIZE_ERROR, "RFC 9113 §4.2", "frame longer than SETTINGS_MAX_FRAME_SIZE";
    DataTooLarge: Stream, FRAME_SIZE_ERROR, "RFC 9113 §4.2", "DATA longer than SETTINGS_MAX_FRAME_SIZE";
    PaddingTooLong: Connection, PROTOCOL_ERROR, "RFC 9113 §6.1", "padding fills the frame or more";
    DataLength: Connection, FRAME_SIZE_ERROR, "RFC 9113 §6.1", "padded DATA without a Pad Length";
    HeadersLength: Connection, FRAME_SIZE_ERROR, "RFC 9113 §6.2", "HEADERS too short for its flags";
    PriorityLength: Stream, FRAME_SIZE_ERROR, "RFC 9113 §6.3", "PRIORITY is not 5 bytes long";
    ResetLength: Connection, FRAME_SIZE_ERROR, "RFC 9113 §6.4", "RST_STREAM is not 4 bytes long";
    SettingsLength: Connection, FRAME_SIZE_ERROR, "RFC 9113 §6.5", "SETTINGS is not a multiple of 6 bytes long";
    SettingsAckLength: Connection, FRAME_SIZE_ERROR, "RFC 9113 §6.5", "SETTINGS with ACK has a payload";
    PushPromiseLength: Connection, FRAME_SIZE_ERROR, "RFC 9113 §6.6", "PUSH_PROMISE too short for its flags";
    PingLength: Connection, FRAME_SIZE_ERROR, "RFC 9113 §6.7", "PING is not 8 bytes long";
    GoAwayLength: Connection, FRAME_SIZE_ERROR, "RFC 9113 §6.8", "GOAWAY is shorter than 8 bytes";
    WindowUpdateLength: Connection, FRAME_SIZE_ERROR, "RFC 9113 §6.9", "WINDOW_UPDATE is not 4 bytes long";
    PriorityUpdateLength: Connection, FRAME_SIZE_ERROR, "RFC 9218 §7.1", "PRIORITY_UPDATE is shorter than 4 bytes";
    // Frames on stream 0 that need a stream, and frames on a stream that need stream 0.
    DataOnConnection: Connection, PROTOCOL_ERROR, "RFC 9113 §6.1", "DATA on stream 0";
    HeadersOnConnection: Connection, PROTOCOL_ERROR, "RFC 9113 §6.2", "HEADERS on stream 0";
    PriorityOnConnection: Connection, PROTOCOL_ERROR, "RFC 9113 §6.3", "PRIORITY on stream 0";
    ResetOnConnection: Connection, PROTOCOL_ERROR, "RFC 9113 §6.4", "RST_STREAM on stream 0";
    PushPromiseOnConnection: Connection, PROTOCOL_ERROR, "RFC 9113 §6.6", "PUSH_PROMISE on stream 0";
    ContinuationOnConnection: Connection, PROTOCOL_ERROR, "RFC 9113 §6.10", "CONTINUATION on stream 0";
    SettingsOnStream: Connection, PROTOCOL_ERROR, "RFC 9113 §6.5", "SETTINGS on a stream";
    PingOnStream: Connection, PROTOCOL_ERROR, "RFC 9113 §6.7", "PING on a stream";
    GoAwayOnStream: Connection, PROTOCOL_ERROR, "RFC 9113 §6.8", "GOAWAY on a stream";
    PriorityUpdateOnStream: Connection, PROTOCOL_ERROR, "RFC 9218 §7.1", "PRIORITY_UPDATE on a stream";
    // Field blocks.
    ContinuationExpected: Connection, PROTOCOL_ERROR, "RFC 9113 §6.10", "a header block was interrupted by another frame";
    ContinuationUnexpected: Connection, PROTOCOL_ERROR, "RFC 9113 §6.10", "CONTINUATION without a header block to continue";
    HeaderBlockInvalid: Connection, COMPRESSION_ERROR, "RFC 9113 §4.3", "the header block cannot be decoded";
    // Settings.
    SettingsAckUnexpected: Connection, PROTOCOL_ERROR, "RFC 9113 §6.5.3", "SETTINGS acknowledged that were never sent";
    SettingsEnablePush: Connection, PROTOCOL_ERROR, "RFC 9113 §6.5.2", "SETTINGS_ENABLE_PUSH must be 0 or 1, and 0 from a server";
    SettingsInitialWindowSize: Connection, FLOW_CONTROL_ERROR, "RFC 9113 §6.5.2", "SETTINGS_INITIAL_WINDOW_SIZE above 2^31-1";
    SettingsMaxFrameSize: Connection, PROTOCOL_ERROR, "RFC 9113 §6.5.2", "SETTINGS_MAX_FRAME_SIZE outside 2^14 to 2^24-1";
    SettingsConnectProtocol: Connection, PROTOCOL_ERROR, "RFC 8441 §3", "SETTINGS_ENABLE_CONNECT_PROTOCOL must be 0 or 1, and stay 1";
    SettingsNoRfc7540Priorities: Connection, PROTOCOL_ERROR, "RFC 9218 §2.1", "SETTINGS_NO_RFC7540_PRIORITIES must be 0 or 1, and never change";
    SettingsWindowOverflow: Connection, FLOW_CONTROL_ERROR, "RFC 9113 §6.9.2", "SETTINGS_INITIAL_WINDOW_SIZE lifts a stream window above 2^31-1";
    // Stream identifiers and states.
    StreamIdParity: Connection, PROTOCOL_ERROR, "RFC 9113 §5.1.1", "the stream identifier belongs to the other side";
    StreamIdNotRising: Connection, PROTOCOL_ERROR, "RFC 9113 §5.1.1", "a new stream has an identifier below an earlier one";
    StreamIdle: Connection, PROTOCOL_ERROR, "RFC 9113 §5.1", "frame on a stream that was never opened";
    StreamReserved: Connection, PROTOCOL_ERROR, "RFC 9113 §5.1", "frame that a reserved stream does not allow";
    StreamsExceeded: Stream, REFUSED_STREAM, "RFC 9113 §5.1.2", "more streams than SETTINGS_MAX_CONCURRENT_STREAMS";
    DataOnClosedStream: Stream, STREAM_CLOSED, "RFC 9113 §6.1", "DATA on a closed stream";
    HeadersOnClosedStream: Connection, STREAM_CLOSED, "RFC 9113 §5.1", "HEADERS on a closed stream";
    DataAfterEnd: Stream, STREAM_CLOSED, "RFC 9113 §5.1", "DATA after END_STREAM";
    HeadersAfterEnd: Stream, STREAM_CLOSED, "RFC 9113 §5.1", "HEADERS after END_STREAM";
    GoAwayIdRising: Connection, PROTOCOL_ERROR, "RFC 9113 §6.8", "GOAWAY raised its last stream identifier";
    // Flow control.
    WindowUpdateZero: Stream, PROTOCOL_ERROR, "RFC 9113 §6.9", "WINDOW_UPDATE of 0";
    WindowUpdateZeroOnConnection: Connection, PROTOCOL_ERROR, "RFC 9113 §6.9", "WINDOW_UPDATE of 0 on the connection";
    WindowOverflow: Stream, FLOW_CONTROL_ERROR, "RFC 9113 §6.9.1", "WINDOW_UPDATE lifts the window above 2^31-1";
    WindowOverflowOnConnection: Connection, FLOW_CONTROL_ERROR, "RFC 9113 §6.9.1", "WINDOW_UPDATE lifts the connection window above 2^31-1";
    WindowExceeded: Stream, FLOW_CONTROL_ERROR, "RFC 9113 §6.9.1", "DATA beyond the stream window";
    WindowExceededOnConnection: Connection, FLOW_CONTROL_ERROR, "RFC 9113 §6.9.1", "DATA beyond the connection window";
    // Push and priority.
    PushFromClient: Connection, PROTOCOL_ERROR, "RFC 9113 §8.4", "PUSH_PROMISE from a client";
    PushDisabled: Connection, PROTOCOL_ERROR, "RFC 9113 §6.6", "PUSH_PROMISE although SETTINGS_ENABLE_PUSH is 0";
    PushOnWrongStream: Connection, PROTOCOL_ERROR, "RFC 9113 §6.6", "PUSH_PROMISE on a stream that is not open to the server";
    PushIdInvalid: Connection, PROTOCOL_ERROR, "RFC 9113 §6.6", "PUSH_PROMISE promises an identifier that is not a new even one";
    DependencyOnItself: Stream, PROTOCOL_ERROR, "RFC 7540 §5.3.1", "HEADERS or PRIORITY makes a stream depend on itself";
    PriorityUpdateFromServer: Connection, PROTOCOL_ERROR, "RFC 9218 §7.1", "PRIORITY_UPDATE from a server";
    PriorityUpdateIdInvalid: Connection, PROTOCOL_ERROR, "RFC 9218 §7.1", "PRIORITY_UPDATE for stream 0 or for a push that was not promised";
    PriorityUpdateTooMany: Connection, PROTOCOL_ERROR, "RFC 9218 §7.1", "PRIORITY_UPDATE for more idle streams than may be opened";
    // Messages.
    FieldNameInvalid: Stream, PROTOCOL_ERROR, "RFC 9113 §8.2.1", "field name with a forbidden byte";
    FieldValueInvalid: Stream, PROTOCOL_ERROR, "RFC 9113 §8.2.1", "field value with NUL, CR, LF, or white space at an end";
    FieldConnectionSpecific: Stream, PROTOCOL_ERROR, "RFC 9113 §8.2.2", "connection-specific field";
    FieldTeInvalid: Stream, PROTOCOL_ERROR, "RFC 9113 §8.2.2", "te with a value other than trailers";
    PseudoAfterField: Stream, PROTOCOL_ERROR, "RFC 9113 §8.3", "pseudo-header field after a regular field";
    PseudoUnknown: Stream, PROTOCOL_ERROR, "RFC 9113 §8.3", "pseudo-header field that is not defined for this message";
    PseudoDuplicate: Stream, PROTOCOL_ERROR, "RFC 9113 §8.3", "pseudo-header field twice";
    PseudoMissing: Stream, PROTOCOL_ERROR, "RFC 9113 §8.3.1", "mandatory pseudo-header field is missing";
    PseudoInTrailers: Stream, PROTOCOL_ERROR, "RFC 9113 §8.1", "pseudo-header field in trailers";
    MethodInvalid: Stream, PROTOCOL_ERROR, "RFC 9110 §9.1", ":method is not a token";
    SchemeInvalid: Stream, PROTOCOL_ERROR, "RFC 9113 §8.3.1", ":scheme is not a URI scheme";
    PathInvalid: Stream, PROTOCOL_ERROR, "RFC 9113 §8.3.1", ":path is empty or does not begin with a slash";
    AuthorityInvalid: Stream, PROTOCOL_ERROR, "RFC 9113 §8.3.1", "the authority has no host, an invalid port, user information, or a forbidden byte";
    AuthorityDiffersFromHost: Stream, PROTOCOL_ERROR, "RFC 9113 §8.3.1", "host differs from :authority";
    ConnectPseudo: Stream, PROTOCOL_ERROR, "RFC 9113 §8.5", "CONNECT with :scheme or :path, or without host and port in :authority";
    ProtocolNotEnabled: Stream, PROTOCOL_ERROR, "RFC 8441 §4", ":protocol without SETTINGS_ENABLE_CONNECT_PROTOCOL or without CONNECT";
    StatusInvalid: Stream, PROTOCOL_ERROR, "RFC 9113 §8.3.2", ":status is missing or not three digits from 100 to 999";
    StatusSwitchingProtocols: Stream, PROTOCOL_ERROR, "RFC 9113 §8.6", "status 101 does not exist in HTTP/2";
    ContentLengthInvalid: Stream, PROTOCOL_ERROR, "RFC 9110 §8.6", "content-length is not one number";
    ContentLengthMismatch: Stream, PROTOCOL_ERROR, "RFC 9113 §8.1.1", "content-length differs from the bytes of DATA";
    ContentLengthInTrailers: Stream, PROTOCOL_ERROR, "RFC 9110 §6.5.1", "content-length in trailers";
    TrailersWithoutEnd: Stream, PROTOCOL_ERROR, "RFC 9113 §8.1", "a second header block without END_STREAM";
    TrailersWithoutContent: Stream, PROTOCOL_ERROR, "RFC 9110 §6.4.1", "trailers of a response that ends with its header section";
    InformationalWithEnd: Stream, PROTOCOL_ERROR, "RFC 9113 §8.1", "an informational response with END_STREAM";
    DataBeforeHeaders: Stream, PROTOCOL_ERROR, "RFC 9113 §8.1", "DATA before the final header block";
    FrameInTunnel: Stream, PROTOCOL_ERROR, "RFC 9113 §8.5", "frame other than DATA in a tunnel that CONNECT opened";
    PushRequestInvalid: Stream, PROTOCOL_ERROR, "RFC 9113 §8.4.1", "a promised request that is not safe, cacheable and without content";
}

impl Violation {
    /// Returns the section that contains the rule, for example `RFC 9113 §6.9.1`.
    pub const fn section(self) -> &'static str {
        self.rule().section
    }

    /// Returns the error code that the rule requires.
    pub const fn code(self) -> ErrorCode {
        self.rule().code
    }

    /// Returns whether the stream or the connection ends.
    pub const fn scope(self) -> Scope {
        self.rule().scope
    }

    /// Describes what the peer did in a few words, lower case.
    pub const fn text(self) -> &'static str {
        self.rule().text
    }

    /// Returns every violation that the core knows, in the order of the table.
    pub fn all() -> impl Iterator<Item = Self> {
        RULES.iter().map(|rule| rule.violation)
    }

    /// Whether it names another protocol that the peer speaks.
    pub(crate) const fn names_protocol(self) -> bool {
        matches!(self, Self::PrefaceOfHttp1 | Self::PrefaceOfTls | Self::PrefaceOfText)
    }

    const fn rule(self) -> &'static Rule {
        &RULES[self as usize]
    }
}

impl core::error::Error for Violation {}

impl core::fmt::Display for Violation {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} ({})", self.text(), self.section())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_describes_the_violation_at_its_place() {
        for (index, rule) in RULES.iter().enumerate() {
            assert_eq!(rule.violation as usize, index, "{:?} is described by another row", rule.violation);
            assert_ne!(rule.code, ErrorCode::NO_ERROR);
            assert!(rule.section.starts_with("RFC ") && rule.section.contains('§'));
            assert!(rule.text.len() < 100 && !rule.text.ends_with('.'));
        }
        assert_eq!(Violation::all().count(), Violation::PushRequestInvalid as usize + 1);
    }
}
