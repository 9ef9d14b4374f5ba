//! The configuration of a connection: settings, limits, rate limits, timeouts.
//!
//! Invariants: every limit that a peer can reach is a row of the table below and has a default, and
//! the error names it. [`Config::validate`] is the only check of the ranges.

mod define;

use core::error::Error;
use core::fmt;
use core::ops::RangeInclusive;
use core::time::Duration;

use self::define::{define_config, setter};
use crate::error_code::ErrorCode;
use crate::flow::WINDOW_MAX;
use crate::frame_size::{PAYLOAD_LEN_DEFAULT, PAYLOAD_LEN_MAX};

// A row of `fields`: rustdoc, name, name of the setter where it differs, type, default, range of
// valid values, and, if the peer can exceed it, its `Limit` and error code.
// A row of `rate_limits`: rustdoc, name, `Cost`, `Limit`, default.
// A row of `timeouts`: rustdoc, name, default, and its `Timeout`, error code and event. Recordings
// store the fields in the order of this table: a new row needs a new version of their format.
define_config! {
    fields {
        /// SETTINGS_HEADER_TABLE_SIZE: the memory that the peer's header compression may use here,
        /// bytes. Default 4,096; up to 1 MiB.
        header_table_bytes_max: u32 = 4096, in 0..=1 << 20;
        /// The memory that our own header compression may use, bytes, even if the peer allows more.
        /// Default 4,096; up to 1 MiB.
        encoder_table_bytes_max: u32 = 4096, in 0..=1 << 20;
        /// The seed of the hash table inside the header encoder. Use a random one for each process:
        /// an attacker that knows it can slow down the encoding of fields that it chooses. Default
        /// 0: the core has no source of randomness; both adapters replace 0 by a random seed of the
        /// process.
        hash_seed: u64 = 0;
        /// SETTINGS_ENABLE_PUSH, for clients: whether the server may push. Default false.
        enable_push: bool = false;
        /// SETTINGS_MAX_CONCURRENT_STREAMS: streams that the peer may have open at once. Default
        /// 256. Further ones are refused with REFUSED_STREAM. A client without `enable_push` does
        /// not send the setting.
        concurrent_streams_max: u32 = 256;
        /// SETTINGS_INITIAL_WINDOW_SIZE: what the peer may send on one stream ahead of `release`,
        /// bytes. Default 256 KiB; up to 2^31-1.
        stream_window_bytes as stream_window: u32 = 256 << 10, in 0..=WINDOW_MAX;
        /// What the peer may send on all streams together ahead of `release`, bytes. Default 1 MiB;
        /// 65,535 to 2^31-1.
        connection_window_bytes as connection_window: u32 = 1 << 20, in 65_535..=WINDOW_MAX;
        /// SETTINGS_MAX_FRAME_SIZE: the largest payload that the peer may send, bytes. Default
        /// 16,384; up to 2^24-1.
        frame_bytes_max: u32 = PAYLOAD_LEN_DEFAULT, in PAYLOAD_LEN_DEFAULT..=PAYLOAD_LEN_MAX;
        /// SETTINGS_ENABLE_CONNECT_PROTOCOL, for servers (RFC 8441). Default false.
        enable_connect_protocol: bool = false;
        /// Whether the transport is TLS. A client acts on ORIGIN only then (RFC 8336 §2.2). Default
        /// false.
        over_tls: bool = false;
        /// Whether the caller or the core releases received content. Default
        /// [`WindowRelease::Explicit`].
        release: WindowRelease = WindowRelease::Explicit;
        /// Whether frames of unknown types are reported as
        /// [`Event::Extension`](crate::Event::Extension). Default false: they are skipped without
        /// being stored.
        extension_frames: bool = false;
        /// SETTINGS_MAX_HEADER_LIST_SIZE: the largest header list, bytes as RFC 9113 §6.5.2 counts
        /// them. Default 16 KiB; 256 to 16 MiB. The core responds to a larger request with 431, and
        /// resets the stream of a larger response.
        header_list_bytes_max: u32 = 16 << 10, in 256..=16 << 20,
            limit HeaderListBytes ENHANCE_YOUR_CALM;
        /// The most fields in one header list. Default 512, a little more than the default of
        /// `header_list_bytes_max` allows, where each field counts 32 bytes in addition to its
        /// strings. A field costs 24 bytes of memory until the next message. 8 to 65,536.
        header_fields_max: u32 = 512, in 8..=1 << 16, limit HeaderFields ENHANCE_YOUR_CALM;
        /// The largest field block that is collected, bytes on the wire, CONTINUATION included.
        /// Default 32 KiB; 256 to 16 MiB. A larger one is decoded as it arrives and not stored: the
        /// core responds to a request with 431, and resets the stream of a response, trailers or a
        /// push.
        header_block_bytes_max: u32 = 32 << 10, in 256..=16 << 20,
            limit HeaderBlockBytes ENHANCE_YOUR_CALM;
        /// The largest field block that is decoded at all, bytes on the wire, CONTINUATION
        /// included. Default 1 MiB; `header_block_bytes_max` to 16 MiB. Beyond it the connection
        /// ends. Each 16 KiB of a block beyond `header_block_bytes_max` draw one token of
        /// `rate_limits.resets`.
        // RFC 9113 §4.3: an endpoint that leaves a field block undecoded ends the connection with
        // COMPRESSION_ERROR.
        oversized_block_bytes_max: u32 = 1 << 20, in 256..=OVERSIZED_BLOCK_BYTES_MAX,
            limit OversizedBlockBytes COMPRESSION_ERROR;
        /// The most CONTINUATION frames of one field block. Default 128; beyond it the connection
        /// ends.
        continuations_max: u32 = 128, limit Continuations COMPRESSION_ERROR;
        /// The most entries in one SETTINGS frame. Default 32; 8 to 65,536.
        settings_entries_max: u32 = 32, in 8..=1 << 16, limit SettingsEntries ENHANCE_YOUR_CALM;
        /// The largest payload of GOAWAY, PRIORITY_UPDATE, ORIGIN, ALTSVC and, with
        /// `extension_frames`, of unknown frames, bytes. Default 4,096; 256 to 1 MiB. Beyond it,
        /// GOAWAY ends the connection, and the others are ignored.
        control_payload_bytes_max: u32 = 4096, in 256..=1 << 20,
            limit ControlPayloadBytes ENHANCE_YOUR_CALM;
        /// How many stream identifiers below the newest are remembered after their streams ended,
        /// to tell late frames from invalid ones. Default 256 (2 KiB, allocated as streams are
        /// opened); 16 to 65,536.
        closed_streams_max: u32 = 256, in 16..=1 << 16;
        /// The limit of DATA in the output, bytes. `send_data` takes nothing beyond it until
        /// `poll_transmit`; `splice_data`, whose content stays with its owner, takes four times as
        /// much. Default 64 KiB; 1,024 to 1 GiB. Acknowledgements and other frames that the peer
        /// causes may exceed it: `wants_read` is false then, and at four times the limit the
        /// connection ends.
        output_bytes_max: u32 = 64 << 10, in 1024..=1 << 30, limit OutputBytes ENHANCE_YOUR_CALM;
        /// The least that a stream which waits for window must be able to send within each
        /// `timeouts.stall`, bytes. So tiny WINDOW_UPDATE increments count as a stall. Default
        /// 4,096.
        stall_bytes_min: u32 = 4096;
    }
    rate_limits {
        /// Streams that the peer resets within 100 ms and before the final response, and streams
        /// that we reset for an error of the peer or refuse. Of unanswered streams that the peer
        /// resets later, one in 32 draws a token. Each stream that completes returns four tokens. A
        /// field block beyond `header_block_bytes_max` draws one more for each 16 KiB of it. A
        /// field block on a stream that we have reset draws one, beyond four for each such stream;
        /// so does a request after the final GOAWAY. Default 1,000 and 33 a second.
        resets: Reset, Resets = RateLimit::new(1000, 33);
        /// PING. Each DATA frame that is sent or received returns a token, since well-behaved peers
        /// send PINGs beside DATA to measure the bandwidth. A PING with ACK draws one too, unless
        /// it acknowledges a PING of the caller. Default 10,000 and 1,000 a second.
        pings: Ping, Pings = RateLimit::new(10_000, 1000);
        /// SETTINGS. Default 100 and 10 a second.
        settings: Settings, Settings = RateLimit::new(100, 10);
        /// DATA without content that ends no stream, HEADERS and CONTINUATION with an empty
        /// fragment. Each DATA frame with content and each new stream returns a token. Default
        /// 1,000 and 100 a second.
        empty_frames: EmptyFrame, EmptyFrames = RateLimit::new(1000, 100);
        /// PRIORITY and PRIORITY_UPDATE. Each new stream returns a token. Default 10,000 and 10,000
        /// a second.
        priorities: Priority, Priorities = RateLimit::new(10_000, 10_000);
        /// WINDOW_UPDATE of less than 256 bytes beyond the DATA that was sent. Default 10,000 and
        /// 1,000 a second.
        window_updates: WindowUpdate, WindowUpdates = RateLimit::new(10_000, 1000);
        /// Frames of unknown types, ORIGIN, ALTSVC and GOAWAY. Each DATA frame with content and
        /// each new stream returns a token, since browsers send such frames beside them. Default
        /// 1,000 and 100 a second.
        extensions: Extension, Extensions = RateLimit::new(1000, 100);
        /// DATA of less than 16 bytes that the application has not consumed: each byte that is
        /// released or discarded returns a token. Messages of gRPC have 5 bytes at least, so a
        /// fifth of `connection_window_bytes` is more than a well-behaved gRPC peer reaches; raise
        /// the two together. Default 262,144 and 10,000 a second.
        small_data: SmallData, SmallData = RateLimit::new(1 << 18, 10_000);
    }
    timeouts {
        /// For the peer's preface and first SETTINGS. Default 10 s.
        preface: Preface ENHANCE_YOUR_CALM "the peer's preface and SETTINGS did not arrive."
            = seconds(10);
        /// For the acknowledgement of our SETTINGS. Default 10 s.
        settings_ack: SettingsAck SETTINGS_TIMEOUT "our SETTINGS were not acknowledged."
            = seconds(10);
        /// From the first to the last frame of a header block. Default 10 s.
        header_block: HeaderBlock ENHANCE_YOUR_CALM "a header block was not completed."
            = seconds(10);
        /// Without any byte from the peer until a PING is sent. Default off.
        keep_alive: KeepAlive NO_ERROR "a PING is due; never an error." = None;
        /// For the response to a keep-alive PING. Default 10 s.
        ping: Ping NO_ERROR "a keep-alive PING was not answered." = seconds(10);
        /// For a server: without any open stream until the connection is shut down gracefully. A
        /// peer that does not respond to that has `ping` before the connection ends. Default 3
        /// minutes.
        idle: Idle NO_ERROR
            "no stream was open (on a client, for `client_idle`). The connection shuts down; the peer \
             is not at fault."
            = seconds(180);
        /// For open streams to end after `shutdown`. Default 30 s.
        shutdown: Shutdown NO_ERROR "streams were still open long after `shutdown`." = seconds(30);
        /// For a window of at least `stall_bytes_min` on a stream that has data to send: otherwise
        /// the stream is reset with CANCEL. Default 60 s.
        stall: Stall CANCEL "a stream with data to send got no window." = seconds(60);
        /// For output to be fetched by `poll_transmit`; it expires if the peer does not read.
        /// Default 60 s.
        transmit: Transmit ENHANCE_YOUR_CALM "output was not fetched: the peer does not read."
            = seconds(60);
        /// The counterpart of `idle` for a client. Default off, since a client's application
        /// usually decides how long it keeps a connection.
        client_idle = None;
        /// For a server: for more of a request's content, while the peer has window to send it.
        /// DATA on any stream of the connection counts, since peers may send their streams one
        /// after another, and so does what we send on the stream. When it expires, the core
        /// responds with 408 if no response was sent, and resets the stream. Never applies to
        /// CONNECT or to `content-type: application/grpc` (also with `+` and a suffix), whose
        /// streams may be silent in both directions by design; a server with other such streams
        /// sets it to `None`, or sends something more often. Default 60 s.
        content: Content CANCEL "the rest of a request's content did not arrive." = seconds(60);
    }
}

const OVERSIZED_BLOCK_BYTES_MAX: u32 = 16 << 20;

const fn seconds(seconds: u64) -> Option<Duration> {
    Some(Duration::from_secs(seconds))
}

impl Config {
    /// Checks every range.
    ///
    /// # Errors
    /// Names the first field that is outside its range, the value, and the range.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.check_ranges()?;
        let range = self.header_block_bytes_max..=OVERSIZED_BLOCK_BYTES_MAX;
        check_range("oversized_block_bytes_max", self.oversized_block_bytes_max, range)
    }
}

fn check_range(field: &'static str, seen: u32, range: RangeInclusive<u32>) -> Result<(), ConfigError> {
    if range.contains(&seen) {
        return Ok(());
    }
    Err(ConfigError { field, seen: seen.into(), min: (*range.start()).into(), max: (*range.end()).into() })
}

/// A field of [`Config`](crate::Config) outside its range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConfigError {
    pub(crate) field: &'static str,
    pub(crate) seen: u64,
    pub(crate) min: u64,
    pub(crate) max: u64,
}

impl ConfigError {
    /// Returns the name of the field.
    pub const fn field(&self) -> &'static str {
        self.field
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Config::{} is {}, it must be from {} to {}", self.field, self.seen, self.min, self.max)
    }
}

impl Error for ConfigError {}

impl Default for Config {
    fn default() -> Self {
        Self::new()
    }
}

impl Default for RateLimits {
    fn default() -> Self {
        Self::new()
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self::new()
    }
}

/// Whether the caller or the core releases received content, which lets the peer send more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WindowRelease {
    /// The caller, by `release`, when it has consumed the bytes: backpressure reaches the peer.
    Explicit,
    /// The core, as soon as a DATA frame has been returned: for callers that consume at once.
    Automatic,
}

/// A token bucket: at most `burst` events at once, and on average `per_second`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// The most events at once, and the tokens at the start.
    pub burst: u32,
    /// Tokens that are added per second.
    pub per_second: u32,
}

impl RateLimit {
    /// No limit.
    pub const UNLIMITED: Self = Self { burst: u32::MAX, per_second: u32::MAX };

    /// Creates a rate limit.
    pub const fn new(burst: u32, per_second: u32) -> Self {
        Self { burst, per_second }
    }
}

/// The value of one field of [`Config`] (see [`visit_fields`](Config::visit_fields)).
#[derive(Debug)]
#[non_exhaustive]
pub enum ConfigValue<'a> {
    /// A seed.
    Seed(&'a mut u64),
    /// A number.
    Number(&'a mut u32),
    /// A switch.
    Flag(&'a mut bool),
    /// Whether the caller or the core releases received content.
    Release(&'a mut WindowRelease),
    /// A rate limit.
    RateLimit(&'a mut RateLimit),
    /// A timeout.
    Timeout(&'a mut Option<Duration>),
}

impl<'a> From<&'a mut u64> for ConfigValue<'a> {
    fn from(value: &'a mut u64) -> Self {
        Self::Seed(value)
    }
}

impl<'a> From<&'a mut u32> for ConfigValue<'a> {
    fn from(value: &'a mut u32) -> Self {
        Self::Number(value)
    }
}

impl<'a> From<&'a mut bool> for ConfigValue<'a> {
    fn from(value: &'a mut bool) -> Self {
        Self::Flag(value)
    }
}

impl<'a> From<&'a mut WindowRelease> for ConfigValue<'a> {
    fn from(value: &'a mut WindowRelease) -> Self {
        Self::Release(value)
    }
}

impl<'a> From<&'a mut RateLimit> for ConfigValue<'a> {
    fn from(value: &'a mut RateLimit) -> Self {
        Self::RateLimit(value)
    }
}

impl<'a> From<&'a mut Option<Duration>> for ConfigValue<'a> {
    fn from(value: &'a mut Option<Duration>) -> Self {
        Self::Timeout(value)
    }
}

/// The part of the configuration that a connection reads after its start. Small, since every idle
/// connection holds it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub concurrent_streams_max: u32,
    pub header_list_bytes_max: u32,
    pub header_fields_max: u32,
    pub header_block_bytes_max: u32,
    pub oversized_block_bytes_max: u32,
    pub continuations_max: u32,
    pub settings_entries_max: u32,
    pub control_payload_bytes_max: u32,
    pub output_bytes_max: u32,
    pub stall_bytes_min: u32,
    pub release: WindowRelease,
    pub extension_frames: bool,
    pub over_tls: bool,
}

impl From<&Config> for Limits {
    fn from(config: &Config) -> Self {
        Self {
            concurrent_streams_max: config.concurrent_streams_max,
            header_list_bytes_max: config.header_list_bytes_max,
            header_fields_max: config.header_fields_max,
            header_block_bytes_max: config.header_block_bytes_max,
            oversized_block_bytes_max: config.oversized_block_bytes_max,
            continuations_max: config.continuations_max,
            settings_entries_max: config.settings_entries_max,
            control_payload_bytes_max: config.control_payload_bytes_max,
            output_bytes_max: config.output_bytes_max,
            stall_bytes_min: config.stall_bytes_min,
            release: config.release,
            extension_frames: config.extension_frames,
            over_tls: config.over_tls,
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::String;
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn each_range_is_checked_at_both_ends() {
        assert_eq!(Config::default().validate(), Ok(()));
        let low = Config { frame_bytes_max: 16_383, ..Config::default() };
        assert_eq!(
            low.validate(),
            Err(ConfigError { field: "frame_bytes_max", seen: 16_383, min: 16_384, max: 16_777_215 })
        );
        let high = Config { stream_window_bytes: 1 << 31, ..Config::default() };
        assert_eq!(high.validate().map_err(|e| e.field()), Err("stream_window_bytes"));
        let crossed = Config { header_block_bytes_max: 2 << 20, ..Config::default() };
        assert_eq!(
            crossed.validate(),
            Err(ConfigError {
                field: "oversized_block_bytes_max",
                seen: 1 << 20,
                min: 2 << 20,
                max: 16 << 20
            })
        );
    }

    #[test]
    fn every_setter_sets_its_own_field_and_no_other() {
        let usual = format_fields(Config::default());
        let second = Some(Duration::from_secs(1));
        let one = RateLimit::new(1, 1);
        let rates = |rate_limits| Config::new().rate_limits(rate_limits);
        let timeouts = |timeouts| Config::new().timeouts(timeouts);
        let (r, t) = (RateLimits::new(), Timeouts::new());
        let cases = [
            Config::new().header_table_bytes_max(1),
            Config::new().encoder_table_bytes_max(1),
            Config::new().hash_seed(1),
            Config::new().enable_push(true),
            Config::new().concurrent_streams_max(1),
            Config::new().stream_window(1),
            Config::new().connection_window(1),
            Config::new().frame_bytes_max(1),
            Config::new().enable_connect_protocol(true),
            Config::new().over_tls(true),
            Config::new().release(WindowRelease::Automatic),
            Config::new().extension_frames(true),
            Config::new().header_list_bytes_max(1),
            Config::new().header_fields_max(1),
            Config::new().header_block_bytes_max(1),
            Config::new().oversized_block_bytes_max(1),
            Config::new().continuations_max(1),
            Config::new().settings_entries_max(1),
            Config::new().control_payload_bytes_max(1),
            Config::new().closed_streams_max(1),
            Config::new().output_bytes_max(1),
            Config::new().stall_bytes_min(1),
            rates(r.resets(one)),
            rates(r.pings(one)),
            rates(r.settings(one)),
            rates(r.empty_frames(one)),
            rates(r.priorities(one)),
            rates(r.window_updates(one)),
            rates(r.extensions(one)),
            rates(r.small_data(one)),
            timeouts(t.preface(second)),
            timeouts(t.settings_ack(second)),
            timeouts(t.header_block(second)),
            timeouts(t.keep_alive(second)),
            timeouts(t.ping(second)),
            timeouts(t.idle(second)),
            timeouts(t.shutdown(second)),
            timeouts(t.stall(second)),
            timeouts(t.transmit(second)),
            timeouts(t.client_idle(second)),
            timeouts(t.content(second)),
        ];
        assert_eq!(cases.len(), usual.len(), "each field has a case");
        for (index, config) in cases.into_iter().enumerate() {
            let fields = format_fields(config);
            let changed: Vec<_> = (0..fields.len()).filter(|i| fields[*i] != usual[*i]).collect();
            assert_eq!(changed, [index], "{:?}", fields[index]);
        }
    }

    fn format_fields(mut config: Config) -> Vec<String> {
        let mut fields = Vec::new();
        config.visit_fields(|path, value| fields.push(format!("{path} {value:?}")));
        fields
    }

    #[test]
    fn limits_and_timeouts_name_an_existing_field() {
        let paths = format_fields(Config::default()).join("\n");
        let named = |field: &str| paths.lines().any(|line| line.split(' ').next() == Some(field));
        assert!(Timeout::ALL.into_iter().all(|timeout| named(timeout.config_field())));
        assert!(Cost::ALL.into_iter().all(|cost| named(cost.limit().config_field())));
        assert!(named(Limit::OutputBytes.config_field()));
        assert_eq!(Limit::Continuations.code(), ErrorCode::COMPRESSION_ERROR);
        assert_eq!(Limit::OversizedBlockBytes.code(), ErrorCode::COMPRESSION_ERROR);
        assert_eq!(Limit::HeaderBlockBytes.code(), ErrorCode::ENHANCE_YOUR_CALM);
        assert_eq!(Timeout::SettingsAck.code(), ErrorCode::SETTINGS_TIMEOUT);
    }
}
