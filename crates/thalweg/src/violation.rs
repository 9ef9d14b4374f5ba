//! What a peer can do wrong, and the one table that says where it is written and what follows.
//!
//! Keeps true: one variant per rule; section, error code and scope come from `RULES` and nowhere else.

use crate::error::ErrorCode;

/// How far the consequences of a violation reach (RFC 9113 §5.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The stream is reset; every other stream and the connection go on.
    Stream,
    /// The connection ends with GOAWAY.
    Connection,
}

/// A rule of the protocol that the peer broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u8)]
#[expect(missing_docs, reason = "each variant is described by its row in the table, which `Display` prints")]
pub enum Violation {
    // How a connection starts.
    PrefaceInvalid,
    PrefaceWithoutSettings,
    PrefaceOfHttp1,
    PrefaceOfTls,
    PrefaceOfText,
    // Frame heads and fixed layouts.
    FrameTooLarge,
    DataTooLarge,
    PaddingTooLong,
    DataLength,
    HeadersLength,
    PriorityLength,
    ResetLength,
    SettingsLength,
    SettingsAckLength,
    PushPromiseLength,
    PingLength,
    GoAwayLength,
    WindowUpdateLength,
    PriorityUpdateLength,
    // Frames on the connection that need a stream, and the other way round.
    DataOnConnection,
    HeadersOnConnection,
    PriorityOnConnection,
    ResetOnConnection,
    PushPromiseOnConnection,
    ContinuationOnConnection,
    SettingsOnStream,
    PingOnStream,
    GoAwayOnStream,
    PriorityUpdateOnStream,
    // Header blocks.
    ContinuationExpected,
    ContinuationUnexpected,
    HeaderBlockInvalid,
    // Settings.
    SettingsAckUnexpected,
    SettingsEnablePush,
    SettingsInitialWindowSize,
    SettingsMaxFrameSize,
    SettingsConnectProtocol,
    SettingsNoRfc7540Priorities,
    SettingsWindowOverflow,
    // Stream identifiers and states.
    StreamIdParity,
    StreamIdNotRising,
    StreamIdle,
    StreamReserved,
    StreamsExceeded,
    DataOnClosedStream,
    HeadersOnClosedStream,
    DataAfterEnd,
    HeadersAfterEnd,
    GoAwayIdRising,
    // Flow control.
    WindowUpdateZero,
    WindowUpdateZeroOnConnection,
    WindowOverflow,
    WindowOverflowOnConnection,
    WindowExceeded,
    WindowExceededOnConnection,
    // Push and priority.
    PushFromClient,
    PushDisabled,
    PushOnWrongStream,
    PushIdInvalid,
    PriorityUpdateFromServer,
    PriorityUpdateIdInvalid,
    PriorityUpdateTooMany,
    // Messages.
    FieldNameInvalid,
    FieldValueInvalid,
    FieldConnectionSpecific,
    FieldTeInvalid,
    PseudoAfterField,
    PseudoUnknown,
    PseudoDuplicate,
    PseudoMissing,
    PseudoInTrailers,
    MethodInvalid,
    SchemeInvalid,
    PathInvalid,
    AuthorityInvalid,
    AuthorityDiffersFromHost,
    ConnectPseudo,
    ProtocolNotEnabled,
    StatusInvalid,
    StatusSwitchingProtocols,
    ContentLengthInvalid,
    ContentLengthMismatch,
    TrailersWithoutEnd,
    InformationalWithEnd,
    DataBeforeHeaders,
    FrameInTunnel,
    PushRequestInvalid,
}

struct Rule {
    violation: Violation,
    section: &'static str,
    code: ErrorCode,
    scope: Scope,
    text: &'static str,
}

impl Violation {
    /// The section in which the rule stands, for example `RFC 9113 §6.9.1`.
    pub const fn section(self) -> &'static str {
        self.rule().section
    }

    /// The error code that the rule asks for.
    pub const fn code(self) -> ErrorCode {
        self.rule().code
    }

    /// Whether the stream or the connection ends.
    pub const fn scope(self) -> Scope {
        self.rule().scope
    }

    /// The rule in a few words, lower case.
    pub const fn text(self) -> &'static str {
        self.rule().text
    }

    /// Every violation that the core knows, in the order of the table.
    pub fn all() -> impl Iterator<Item = Self> {
        RULES.iter().map(|rule| rule.violation)
    }

    /// Whether it says which other protocol the peer speaks.
    pub(crate) const fn names_protocol(self) -> bool {
        matches!(self, Self::PrefaceOfHttp1 | Self::PrefaceOfTls | Self::PrefaceOfText)
    }

    const fn rule(self) -> &'static Rule {
        &RULES[self as usize]
    }
}

impl core::fmt::Display for Violation {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} ({})", self.text(), self.section())
    }
}

const fn connection(v: Violation, section: &'static str, code: ErrorCode, text: &'static str) -> Rule {
    Rule { violation: v, section, code, scope: Scope::Connection, text }
}

const fn stream(v: Violation, section: &'static str, code: ErrorCode, text: &'static str) -> Rule {
    Rule { violation: v, section, code, scope: Scope::Stream, text }
}

const fn malformed(v: Violation, section: &'static str, text: &'static str) -> Rule {
    stream(v, section, ErrorCode::PROTOCOL_ERROR, text)
}

use ErrorCode as E;
use Violation as V;

#[rustfmt::skip]
static RULES: [Rule; 87] = [
    connection(V::PrefaceInvalid, "RFC 9113 §3.4", E::PROTOCOL_ERROR, "the connection does not begin with the HTTP/2 preface"),
    connection(V::PrefaceWithoutSettings, "RFC 9113 §3.4", E::PROTOCOL_ERROR, "the first frame is not SETTINGS"),
    connection(V::PrefaceOfHttp1, "RFC 9113 §3.4", E::PROTOCOL_ERROR, "the server answers in HTTP/1: it does not speak HTTP/2 here"),
    connection(V::PrefaceOfTls, "RFC 9113 §3.4", E::PROTOCOL_ERROR, "the server speaks TLS on this port: connect with TLS (https)"),
    connection(V::PrefaceOfText, "RFC 9113 §3.4", E::PROTOCOL_ERROR, "the server answers with text: it does not speak HTTP/2 here"),
    connection(V::FrameTooLarge, "RFC 9113 §4.2", E::FRAME_SIZE_ERROR, "frame longer than SETTINGS_MAX_FRAME_SIZE"),
    stream(V::DataTooLarge, "RFC 9113 §4.2", E::FRAME_SIZE_ERROR, "DATA longer than SETTINGS_MAX_FRAME_SIZE"),
    connection(V::PaddingTooLong, "RFC 9113 §6.1", E::PROTOCOL_ERROR, "padding fills the frame or more"),
    connection(V::DataLength, "RFC 9113 §6.1", E::FRAME_SIZE_ERROR, "padded DATA without a Pad Length"),
    connection(V::HeadersLength, "RFC 9113 §6.2", E::FRAME_SIZE_ERROR, "HEADERS too short for its flags"),
    stream(V::PriorityLength, "RFC 9113 §6.3", E::FRAME_SIZE_ERROR, "PRIORITY is not 5 bytes long"),
    connection(V::ResetLength, "RFC 9113 §6.4", E::FRAME_SIZE_ERROR, "RST_STREAM is not 4 bytes long"),
    connection(V::SettingsLength, "RFC 9113 §6.5", E::FRAME_SIZE_ERROR, "SETTINGS is not a multiple of 6 bytes long"),
    connection(V::SettingsAckLength, "RFC 9113 §6.5", E::FRAME_SIZE_ERROR, "SETTINGS with ACK has a payload"),
    connection(V::PushPromiseLength, "RFC 9113 §6.6", E::FRAME_SIZE_ERROR, "PUSH_PROMISE too short for its flags"),
    connection(V::PingLength, "RFC 9113 §6.7", E::FRAME_SIZE_ERROR, "PING is not 8 bytes long"),
    connection(V::GoAwayLength, "RFC 9113 §6.8", E::FRAME_SIZE_ERROR, "GOAWAY is shorter than 8 bytes"),
    connection(V::WindowUpdateLength, "RFC 9113 §6.9", E::FRAME_SIZE_ERROR, "WINDOW_UPDATE is not 4 bytes long"),
    connection(V::PriorityUpdateLength, "RFC 9218 §7.1", E::FRAME_SIZE_ERROR, "PRIORITY_UPDATE is shorter than 4 bytes"),
    connection(V::DataOnConnection, "RFC 9113 §6.1", E::PROTOCOL_ERROR, "DATA on stream 0"),
    connection(V::HeadersOnConnection, "RFC 9113 §6.2", E::PROTOCOL_ERROR, "HEADERS on stream 0"),
    connection(V::PriorityOnConnection, "RFC 9113 §6.3", E::PROTOCOL_ERROR, "PRIORITY on stream 0"),
    connection(V::ResetOnConnection, "RFC 9113 §6.4", E::PROTOCOL_ERROR, "RST_STREAM on stream 0"),
    connection(V::PushPromiseOnConnection, "RFC 9113 §6.6", E::PROTOCOL_ERROR, "PUSH_PROMISE on stream 0"),
    connection(V::ContinuationOnConnection, "RFC 9113 §6.10", E::PROTOCOL_ERROR, "CONTINUATION on stream 0"),
    connection(V::SettingsOnStream, "RFC 9113 §6.5", E::PROTOCOL_ERROR, "SETTINGS on a stream"),
    connection(V::PingOnStream, "RFC 9113 §6.7", E::PROTOCOL_ERROR, "PING on a stream"),
    connection(V::GoAwayOnStream, "RFC 9113 §6.8", E::PROTOCOL_ERROR, "GOAWAY on a stream"),
    connection(V::PriorityUpdateOnStream, "RFC 9218 §7.1", E::PROTOCOL_ERROR, "PRIORITY_UPDATE on a stream"),
    connection(V::ContinuationExpected, "RFC 9113 §6.10", E::PROTOCOL_ERROR, "a header block was interrupted by another frame"),
    connection(V::ContinuationUnexpected, "RFC 9113 §6.10", E::PROTOCOL_ERROR, "CONTINUATION without a header block to continue"),
    connection(V::HeaderBlockInvalid, "RFC 9113 §4.3", E::COMPRESSION_ERROR, "the header block cannot be decoded"),
    connection(V::SettingsAckUnexpected, "RFC 9113 §6.5.3", E::PROTOCOL_ERROR, "SETTINGS acknowledged that were never sent"),
    connection(V::SettingsEnablePush, "RFC 9113 §6.5.2", E::PROTOCOL_ERROR, "SETTINGS_ENABLE_PUSH must be 0 or 1, and 0 from a server"),
    connection(V::SettingsInitialWindowSize, "RFC 9113 §6.5.2", E::FLOW_CONTROL_ERROR, "SETTINGS_INITIAL_WINDOW_SIZE above 2^31-1"),
    connection(V::SettingsMaxFrameSize, "RFC 9113 §6.5.2", E::PROTOCOL_ERROR, "SETTINGS_MAX_FRAME_SIZE outside 2^14 to 2^24-1"),
    connection(V::SettingsConnectProtocol, "RFC 8441 §3", E::PROTOCOL_ERROR, "SETTINGS_ENABLE_CONNECT_PROTOCOL must be 0 or 1, and stay 1"),
    connection(V::SettingsNoRfc7540Priorities, "RFC 9218 §2.1", E::PROTOCOL_ERROR, "SETTINGS_NO_RFC7540_PRIORITIES must be 0 or 1, and never change"),
    connection(V::SettingsWindowOverflow, "RFC 9113 §6.9.2", E::FLOW_CONTROL_ERROR, "SETTINGS_INITIAL_WINDOW_SIZE lifts a stream window above 2^31-1"),
    connection(V::StreamIdParity, "RFC 9113 §5.1.1", E::PROTOCOL_ERROR, "the stream identifier belongs to the other side"),
    connection(V::StreamIdNotRising, "RFC 9113 §5.1.1", E::PROTOCOL_ERROR, "a new stream has an identifier below an earlier one"),
    connection(V::StreamIdle, "RFC 9113 §5.1", E::PROTOCOL_ERROR, "frame on a stream that was never opened"),
    connection(V::StreamReserved, "RFC 9113 §5.1", E::PROTOCOL_ERROR, "frame that a reserved stream does not allow"),
    stream(V::StreamsExceeded, "RFC 9113 §5.1.2", E::REFUSED_STREAM, "more streams than SETTINGS_MAX_CONCURRENT_STREAMS"),
    stream(V::DataOnClosedStream, "RFC 9113 §6.1", E::STREAM_CLOSED, "DATA on a closed stream"),
    connection(V::HeadersOnClosedStream, "RFC 9113 §5.1", E::STREAM_CLOSED, "HEADERS on a closed stream"),
    stream(V::DataAfterEnd, "RFC 9113 §5.1", E::STREAM_CLOSED, "DATA after END_STREAM"),
    stream(V::HeadersAfterEnd, "RFC 9113 §5.1", E::STREAM_CLOSED, "HEADERS after END_STREAM"),
    connection(V::GoAwayIdRising, "RFC 9113 §6.8", E::PROTOCOL_ERROR, "GOAWAY raised its last stream identifier"),
    stream(V::WindowUpdateZero, "RFC 9113 §6.9", E::PROTOCOL_ERROR, "WINDOW_UPDATE of 0"),
    connection(V::WindowUpdateZeroOnConnection, "RFC 9113 §6.9", E::PROTOCOL_ERROR, "WINDOW_UPDATE of 0 on the connection"),
    stream(V::WindowOverflow, "RFC 9113 §6.9.1", E::FLOW_CONTROL_ERROR, "WINDOW_UPDATE lifts the window above 2^31-1"),
    connection(V::WindowOverflowOnConnection, "RFC 9113 §6.9.1", E::FLOW_CONTROL_ERROR, "WINDOW_UPDATE lifts the connection window above 2^31-1"),
    stream(V::WindowExceeded, "RFC 9113 §6.9.1", E::FLOW_CONTROL_ERROR, "DATA beyond the stream window"),
    connection(V::WindowExceededOnConnection, "RFC 9113 §6.9.1", E::FLOW_CONTROL_ERROR, "DATA beyond the connection window"),
    connection(V::PushFromClient, "RFC 9113 §8.4", E::PROTOCOL_ERROR, "PUSH_PROMISE from a client"),
    connection(V::PushDisabled, "RFC 9113 §6.6", E::PROTOCOL_ERROR, "PUSH_PROMISE although SETTINGS_ENABLE_PUSH is 0"),
    connection(V::PushOnWrongStream, "RFC 9113 §6.6", E::PROTOCOL_ERROR, "PUSH_PROMISE on a stream that is not open to the server"),
    connection(V::PushIdInvalid, "RFC 9113 §6.6", E::PROTOCOL_ERROR, "PUSH_PROMISE promises an identifier that is not a new even one"),
    connection(V::PriorityUpdateFromServer, "RFC 9218 §7.1", E::PROTOCOL_ERROR, "PRIORITY_UPDATE from a server"),
    connection(V::PriorityUpdateIdInvalid, "RFC 9218 §7.1", E::PROTOCOL_ERROR, "PRIORITY_UPDATE for stream 0 or for a push that was not promised"),
    connection(V::PriorityUpdateTooMany, "RFC 9218 §7.1", E::PROTOCOL_ERROR, "PRIORITY_UPDATE for more idle streams than may be opened"),
    malformed(V::FieldNameInvalid, "RFC 9113 §8.2.1", "field name with a forbidden byte"),
    malformed(V::FieldValueInvalid, "RFC 9113 §8.2.1", "field value with NUL, CR, LF, or white space at an end"),
    malformed(V::FieldConnectionSpecific, "RFC 9113 §8.2.2", "connection-specific field"),
    malformed(V::FieldTeInvalid, "RFC 9113 §8.2.2", "te with a value other than trailers"),
    malformed(V::PseudoAfterField, "RFC 9113 §8.3", "pseudo-header field after a regular field"),
    malformed(V::PseudoUnknown, "RFC 9113 §8.3", "pseudo-header field that is not defined for this message"),
    malformed(V::PseudoDuplicate, "RFC 9113 §8.3", "pseudo-header field twice"),
    malformed(V::PseudoMissing, "RFC 9113 §8.3.1", "mandatory pseudo-header field is missing"),
    malformed(V::PseudoInTrailers, "RFC 9113 §8.1", "pseudo-header field in trailers"),
    malformed(V::MethodInvalid, "RFC 9110 §9.1", ":method is not a token"),
    malformed(V::SchemeInvalid, "RFC 9113 §8.3.1", ":scheme is not a URI scheme"),
    malformed(V::PathInvalid, "RFC 9113 §8.3.1", ":path is empty or does not begin with a slash"),
    malformed(V::AuthorityInvalid, "RFC 9113 §8.3.1", ":authority is empty, or holds user information or a forbidden byte"),
    malformed(V::AuthorityDiffersFromHost, "RFC 9113 §8.3.1", "host differs from :authority"),
    malformed(V::ConnectPseudo, "RFC 9113 §8.5", "CONNECT with :scheme or :path, or without host and port in :authority"),
    malformed(V::ProtocolNotEnabled, "RFC 8441 §4", ":protocol without SETTINGS_ENABLE_CONNECT_PROTOCOL or without CONNECT"),
    malformed(V::StatusInvalid, "RFC 9113 §8.3.2", ":status is missing or not three digits from 100 to 999"),
    malformed(V::StatusSwitchingProtocols, "RFC 9113 §8.6", "status 101 does not exist in HTTP/2"),
    malformed(V::ContentLengthInvalid, "RFC 9110 §8.6", "content-length is not one number"),
    malformed(V::ContentLengthMismatch, "RFC 9113 §8.1.1", "content-length differs from the bytes of DATA"),
    malformed(V::TrailersWithoutEnd, "RFC 9113 §8.1", "a second header block without END_STREAM"),
    malformed(V::InformationalWithEnd, "RFC 9113 §8.1", "an informational response with END_STREAM"),
    malformed(V::DataBeforeHeaders, "RFC 9113 §8.1", "DATA before the final header block"),
    malformed(V::FrameInTunnel, "RFC 9113 §8.5", "frame other than DATA in a tunnel that CONNECT opened"),
    malformed(V::PushRequestInvalid, "RFC 9113 §8.4.1", "a promised request that is not safe, cacheable and without content"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_describes_the_violation_at_its_place() {
        for (index, rule) in RULES.iter().enumerate() {
            assert_eq!(rule.violation as usize, index, "{:?} stands in the wrong row", rule.violation);
            assert_ne!(rule.code, ErrorCode::NO_ERROR);
            assert!(rule.section.starts_with("RFC ") && rule.section.contains('§'));
            assert!(rule.text.len() < 100 && !rule.text.ends_with('.'));
        }
        assert_eq!(RULES.len(), Violation::PushRequestInvalid as usize + 1);
    }
}
