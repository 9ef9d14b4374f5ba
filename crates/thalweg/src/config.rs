//! What the caller decides before a connection starts: settings, limits, budgets, deadlines.
//!
//! Keeps true: every bound that a peer can run into is a field here, has a default, and names itself in the error.

use core::time::Duration;

use crate::error::ConfigError;
use crate::frame::PAYLOAD_LEN_MAX;

/// The configuration of a connection. Plain data; start from `Config::default()` and change fields.
///
/// The defaults suit a server on the open Internet and an honest client.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Config {
    /// SETTINGS_HEADER_TABLE_SIZE: the memory that the peer's header compression may use here, bytes.
    /// Default 4,096; up to 1 MiB.
    pub header_table_bytes_max: u32,
    /// The memory that our own header compression may use, bytes, whatever the peer allows. Default 4,096; up to 1 MiB.
    pub encoder_table_bytes_max: u32,
    /// Seed of the hash table inside the header encoder. Give each process a random one: an attacker who knew it could slow
    /// the encoding of fields that it chooses. Default 0.
    pub hash_seed: u64,
    /// SETTINGS_ENABLE_PUSH, for clients: whether the server may push. Default false.
    pub enable_push: bool,
    /// SETTINGS_MAX_CONCURRENT_STREAMS: streams that the peer may have open at once. Default 256. Further ones are
    /// refused with REFUSED_STREAM. A client without `enable_push` advertises nothing.
    pub concurrent_streams_max: u32,
    /// SETTINGS_INITIAL_WINDOW_SIZE: what the peer may send on one stream ahead of `release`, bytes. Default 256 KiB;
    /// up to 2^31-1.
    pub stream_window_bytes: u32,
    /// What the peer may send on all streams together ahead of `release`, bytes. Default 1 MiB; 65,535 to 2^31-1.
    pub connection_window_bytes: u32,
    /// SETTINGS_MAX_FRAME_SIZE: the largest payload that the peer may send, bytes. Default 16,384; up to 2^24-1.
    pub frame_bytes_max: u32,
    /// SETTINGS_ENABLE_CONNECT_PROTOCOL, for servers (RFC 8441). Default false.
    pub enable_connect_protocol: bool,
    /// Whether the transport is TLS. A client takes notice of ORIGIN only then (RFC 8336 §2.2). Default false.
    pub over_tls: bool,
    /// Who gives window credit back. Default [`WindowRelease::Explicit`].
    pub release: WindowRelease,
    /// Whether frames of unknown types are shown as [`Event::Extension`](crate::Event::Extension). Default false: they are
    /// skipped without being kept.
    pub extension_frames: bool,

    /// SETTINGS_MAX_HEADER_LIST_SIZE: the largest header list, bytes as RFC 9113 §6.5.2 counts them. Default 16 KiB.
    /// A larger request is answered 431, a larger response is reset.
    pub header_list_bytes_max: u32,
    /// The most fields in one header list. Default 512, which the default of `header_list_bytes_max` hardly
    /// lets through: each field counts 32 bytes there beside its strings. What one costs is 24 bytes here,
    /// kept until the next message, and what the application makes of it.
    pub header_fields_max: u32,
    /// The largest field block that is collected, bytes on the wire, CONTINUATION included. Default 32 KiB.
    /// A larger one is decoded as it arrives and not kept: a request is answered 431, a response, trailers or
    /// a push reset their stream.
    pub header_block_bytes_max: u32,
    /// The largest field block that is decoded at all, bytes on the wire, CONTINUATION included. Default
    /// 1 MiB; `header_block_bytes_max` to 16 MiB. Past it the connection ends. Each 16 KiB of a block beyond
    /// `header_block_bytes_max` draws one token of `rate_limits.resets`.
    pub oversized_block_bytes_max: u32,
    /// The most CONTINUATION frames of one field block. Default 128; past it the connection ends.
    pub continuations_max: u32,
    /// The most entries in one SETTINGS frame. Default 32.
    pub settings_entries_max: u32,
    /// The largest payload of GOAWAY, PRIORITY_UPDATE, ORIGIN, ALTSVC and, with `extension_frames`, of unknown frames, bytes.
    /// Default 4,096. Past it, GOAWAY ends the connection, and the others are ignored.
    pub control_payload_bytes_max: u32,
    /// How many stream identifiers below the newest are remembered after their streams ended, to tell late frames from
    /// wrong ones. Default 256 (2 KiB, allocated as streams are opened); 16 to 65,536.
    pub closed_streams_max: u32,
    /// The room for DATA in the output, bytes: `send_data` stops there until `poll_transmit`, `splice_data`, whose content stays
    /// with its owner, at four times that. Default 64 KiB. Answers that the peer provokes may go beyond; `wants_read` is false
    /// then, and at four times the limit the connection ends.
    pub output_bytes_max: u32,

    /// The least that a stream which waits for window must be able to send within each `timeouts.stall`, bytes: window in crumbs is a
    /// stall, too. Default 4,096.
    pub stall_bytes_min: u32,

    /// What a peer may make us do.
    pub rate_limits: RateLimits,
    /// How long the peer may let us wait.
    pub timeouts: Timeouts,
}

/// Who gives window credit back to the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WindowRelease {
    /// The caller, by `release`, when it has consumed the bytes: backpressure reaches the peer.
    Explicit,
    /// The core, as soon as a DATA frame has been handed out: for callers who consume at once.
    Automatic,
}

/// A token bucket: `burst` events at once, `per_second` in the long run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// The most events at once, and the tokens at the start.
    pub burst: u32,
    /// Tokens that come back in a second.
    pub per_second: u32,
}

impl RateLimit {
    /// No bound at all.
    pub const UNLIMITED: Self = Self { burst: u32::MAX, per_second: u32::MAX };

    /// Makes a budget.
    pub const fn new(burst: u32, per_second: u32) -> Self {
        Self { burst, per_second }
    }
}

/// A budget for each kind of work that a peer can cause cheaply. Past one, the connection ends with ENHANCE_YOUR_CALM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateLimits {
    /// Streams that the peer resets before they were answered and within 100 ms, that we must reset for its errors, or refuse.
    /// Later resets are bounded by `concurrent_streams_max`. Each stream that completes gives four tokens back. A field block
    /// beyond `header_block_bytes_max` draws one more for each 16 KiB of it. A field block on a stream that
    /// we reset draws one, beyond four for each such stream; so does a request behind the final GOAWAY.
    /// Default 1,000 and 33 a second.
    pub resets: RateLimit,
    /// PING. Each DATA frame that is sent or received gives a token back, since honest peers measure the bandwidth by PINGs
    /// beside DATA. An answer to no PING of the caller's draws one, too. Default 10,000 and 1,000 a second.
    pub pings: RateLimit,
    /// SETTINGS. Default 100 and 10 a second.
    pub settings: RateLimit,
    /// DATA without content that ends no stream, HEADERS and CONTINUATION with an empty fragment. Each DATA frame with
    /// content and each new stream gives a token back. Default 1,000 and 100 a second.
    pub empty_frames: RateLimit,
    /// PRIORITY and PRIORITY_UPDATE. Each new stream gives a token back. Default 10,000 and 10,000 a second.
    pub priorities: RateLimit,
    /// WINDOW_UPDATE of less than 256 bytes that goes beyond the DATA which was sent. Default 10,000 and 1,000 a second.
    pub window_updates: RateLimit,
    /// Frames of unknown types, ORIGIN, ALTSVC and GOAWAY. Each DATA frame with content and each new stream gives a token back,
    /// since browsers send such frames beside them. Default 1,000 and 100 a second.
    pub extensions: RateLimit,
    /// DATA of less than 16 bytes that the application has not consumed: each byte that is released or discarded gives a
    /// token back. Messages of gRPC have 5 bytes at least, so a fifth of `connection_window_bytes` is more than an honest
    /// peer of that kind reaches; raise the two together. Default 262,144 and 10,000 a second.
    pub small_data: RateLimit,
}

/// How long the peer may let us wait; `None` is for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timeouts {
    /// For the peer's preface and first SETTINGS. Default 10 s.
    pub preface: Option<Duration>,
    /// For the acknowledgement of our SETTINGS. Default 10 s.
    pub settings_ack: Option<Duration>,
    /// From the first to the last frame of a header block. Default 10 s.
    pub header_block: Option<Duration>,
    /// Without any byte from the peer, a PING is sent. Default off.
    pub keep_alive: Option<Duration>,
    /// For the answer to a keep-alive PING. Default 10 s.
    pub ping: Option<Duration>,
    /// For a server: without any open stream, the connection is shut down gracefully. A peer that does
    /// not answer that has `ping` before the connection ends. Default 3 minutes.
    pub idle: Option<Duration>,
    /// The same for a client, whose application usually decides itself how long it keeps a
    /// connection. Default off.
    pub client_idle: Option<Duration>,
    /// For open streams to end after `shutdown`. Default 30 s.
    pub shutdown: Option<Duration>,
    /// For window on a stream that has data to send, `stall_bytes_min` at least: else it is reset with CANCEL. Default 60 s.
    pub stall: Option<Duration>,
    /// For a server: for more of a request's content, while the peer has window to send it. DATA on any
    /// stream of the connection counts, since peers may send their streams one after another. Then the
    /// request is answered 408 if no response was sent, and the stream is reset. Applies to content whose
    /// length was announced, and to other content until the response begins; never to CONNECT or to
    /// `content-type: application/grpc`, whose streams may be silent by design. Default 60 s.
    pub content: Option<Duration>,
    /// For output to be fetched by `poll_transmit`: the peer does not read. Default 60 s.
    pub transmit: Option<Duration>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            header_table_bytes_max: 4096,
            encoder_table_bytes_max: 4096,
            hash_seed: 0,
            enable_push: false,
            concurrent_streams_max: 256,
            stream_window_bytes: 256 << 10,
            connection_window_bytes: 1 << 20,
            frame_bytes_max: 16_384,
            enable_connect_protocol: false,
            over_tls: false,
            release: WindowRelease::Explicit,
            extension_frames: false,
            header_list_bytes_max: 16 << 10,
            header_fields_max: 512,
            header_block_bytes_max: 32 << 10,
            oversized_block_bytes_max: 1 << 20,
            continuations_max: 128,
            settings_entries_max: 32,
            control_payload_bytes_max: 4096,
            closed_streams_max: 256,
            output_bytes_max: 64 << 10,
            stall_bytes_min: 4096,
            rate_limits: RateLimits::default(),
            timeouts: Timeouts::default(),
        }
    }
}

impl Default for RateLimits {
    fn default() -> Self {
        Self {
            resets: RateLimit::new(1000, 33),
            pings: RateLimit::new(10_000, 1000),
            settings: RateLimit::new(100, 10),
            empty_frames: RateLimit::new(1000, 100),
            priorities: RateLimit::new(10_000, 10_000),
            window_updates: RateLimit::new(10_000, 1000),
            extensions: RateLimit::new(1000, 100),
            small_data: RateLimit::new(1 << 18, 10_000),
        }
    }
}

impl RateLimits {
    /// No bounds at all: for a peer that is trusted like one's own code.
    pub const UNLIMITED: Self = Self {
        resets: RateLimit::UNLIMITED,
        pings: RateLimit::UNLIMITED,
        settings: RateLimit::UNLIMITED,
        empty_frames: RateLimit::UNLIMITED,
        priorities: RateLimit::UNLIMITED,
        window_updates: RateLimit::UNLIMITED,
        extensions: RateLimit::UNLIMITED,
        small_data: RateLimit::UNLIMITED,
    };
}

impl Default for Timeouts {
    fn default() -> Self {
        const TEN_SECONDS: Option<Duration> = Some(Duration::from_secs(10));
        const A_MINUTE: Option<Duration> = Some(Duration::from_secs(60));
        Self {
            preface: TEN_SECONDS,
            settings_ack: TEN_SECONDS,
            header_block: TEN_SECONDS,
            keep_alive: None,
            ping: TEN_SECONDS,
            idle: Some(Duration::from_secs(180)),
            client_idle: None,
            shutdown: Some(Duration::from_secs(30)),
            stall: A_MINUTE,
            content: A_MINUTE,
            transmit: A_MINUTE,
        }
    }
}

impl Timeouts {
    /// No deadlines at all: `poll_timeout` is always `None`. No DATA frame waits for a larger window then, since that takes a clock.
    pub const OFF: Self = Self {
        preface: None,
        settings_ack: None,
        header_block: None,
        keep_alive: None,
        ping: None,
        idle: None,
        client_idle: None,
        shutdown: None,
        stall: None,
        content: None,
        transmit: None,
    };
}

impl Config {
    /// Checks every range.
    ///
    /// # Errors
    /// Names the first field that is outside its range, the value, and the range.
    pub fn validate(&self) -> Result<(), ConfigError> {
        const WINDOW_MAX: u64 = (1 << 31) - 1;
        let ranges = [
            ("header_table_bytes_max", self.header_table_bytes_max, 0, 1 << 20),
            ("encoder_table_bytes_max", self.encoder_table_bytes_max, 0, 1 << 20),
            ("stream_window_bytes", self.stream_window_bytes, 0, WINDOW_MAX),
            ("connection_window_bytes", self.connection_window_bytes, 65_535, WINDOW_MAX),
            ("frame_bytes_max", self.frame_bytes_max, 16_384, PAYLOAD_LEN_MAX.into()),
            ("header_list_bytes_max", self.header_list_bytes_max, 256, 16 << 20),
            ("header_fields_max", self.header_fields_max, 8, 1 << 16),
            ("header_block_bytes_max", self.header_block_bytes_max, 256, 16 << 20),
            (
                "oversized_block_bytes_max",
                self.oversized_block_bytes_max,
                u64::from(self.header_block_bytes_max),
                16 << 20,
            ),
            ("settings_entries_max", self.settings_entries_max, 8, 1 << 16),
            ("control_payload_bytes_max", self.control_payload_bytes_max, 256, 1 << 20),
            ("closed_streams_max", self.closed_streams_max, 16, 1 << 16),
            ("output_bytes_max", self.output_bytes_max, 1024, 1 << 30),
        ];
        for (field, seen, min, max) in ranges {
            let seen = u64::from(seen);
            if seen < min || seen > max {
                return Err(ConfigError { field, seen, min, max });
            }
        }
        Ok(())
    }
}

/// What a running connection still asks of its configuration: small, since every idle connection holds it.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
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
}
