//! Scripts: the steps of a run, as plain data that can be shrunk, printed, and pasted into a test.

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use thalweg::{Config, Timeouts, WindowRelease};

/// One of the two endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// The client.
    Client = 0,
    /// The server.
    Server = 1,
}

impl Side {
    /// Returns the other endpoint.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// A whole run: two configurations, and the steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// The client's configuration.
    pub client: Setup,
    /// The server's configuration.
    pub server: Setup,
    /// The steps, in order. After them the run continues until all exchanges are complete.
    pub ops: Vec<Op>,
}

/// The part of a configuration that a run varies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setup {
    /// `Config::stream_window_bytes`
    pub stream_window: u32,
    /// `Config::connection_window_bytes`
    pub connection_window: u32,
    /// `Config::frame_bytes_max`
    pub frame_bytes: u32,
    /// `Config::output_bytes_max`
    pub output_bytes: u32,
    /// `Config::header_table_bytes_max`
    pub table_bytes: u32,
    /// `Config::encoder_table_bytes_max`
    pub encoder_table_bytes: u32,
    /// `Config::concurrent_streams_max`
    pub streams: u32,
    /// `Config::enable_push`
    pub push: bool,
    /// `Config::release` is `Automatic`.
    pub automatic: bool,
    /// `Config::extension_frames`
    pub extensions: bool,
    /// `Config::timeouts`
    pub timeouts: TimeoutsMs,
}

/// The durations of timeouts, milliseconds; `None` disables one.
#[allow(missing_docs, reason = "the names are those of the configuration")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeoutsMs {
    pub preface: Option<u32>,
    pub settings_ack: Option<u32>,
    pub header_block: Option<u32>,
    pub keep_alive: Option<u32>,
    pub ping: Option<u32>,
    pub idle: Option<u32>,
    pub shutdown: Option<u32>,
    pub stall: Option<u32>,
    pub transmit: Option<u32>,
    pub content: Option<u32>,
}

impl Default for TimeoutsMs {
    /// Returns those of the default configuration.
    fn default() -> Self {
        let ms = |length: Option<Duration>| length.map(|length| length.as_millis() as u32);
        let lengths = Timeouts::default();
        Self {
            preface: ms(lengths.preface),
            settings_ack: ms(lengths.settings_ack),
            header_block: ms(lengths.header_block),
            keep_alive: ms(lengths.keep_alive),
            ping: ms(lengths.ping),
            idle: ms(lengths.idle),
            shutdown: ms(lengths.shutdown),
            stall: ms(lengths.stall),
            transmit: ms(lengths.transmit),
            content: ms(lengths.content),
        }
    }
}

impl TimeoutsMs {
    /// Returns none.
    pub const OFF: Self = Self {
        preface: None,
        settings_ack: None,
        header_block: None,
        keep_alive: None,
        ping: None,
        idle: None,
        shutdown: None,
        stall: None,
        transmit: None,
        content: None,
    };

    /// Returns the configuration.
    pub fn deadlines(&self) -> Timeouts {
        let length = |ms: Option<u32>| ms.map(|ms| Duration::from_millis(ms.into()));
        let mut lengths = Timeouts::OFF;
        lengths.preface = length(self.preface);
        lengths.settings_ack = length(self.settings_ack);
        lengths.header_block = length(self.header_block);
        lengths.keep_alive = length(self.keep_alive);
        lengths.ping = length(self.ping);
        lengths.idle = length(self.idle);
        lengths.client_idle = length(self.idle);
        lengths.shutdown = length(self.shutdown);
        lengths.stall = length(self.stall);
        lengths.transmit = length(self.transmit);
        lengths.content = length(self.content);
        lengths
    }

    /// Returns the shortest.
    pub fn min(&self) -> Option<u32> {
        let lifetimes = [self.preface, self.settings_ack, self.keep_alive, self.ping, self.idle];
        let streams = [self.header_block, self.shutdown, self.stall, self.transmit, self.content];
        lifetimes.into_iter().chain(streams).flatten().min()
    }
}

impl Default for Setup {
    fn default() -> Self {
        let config = Config::default();
        Self {
            stream_window: config.stream_window_bytes,
            connection_window: config.connection_window_bytes,
            frame_bytes: config.frame_bytes_max,
            output_bytes: config.output_bytes_max,
            table_bytes: config.header_table_bytes_max,
            encoder_table_bytes: config.encoder_table_bytes_max,
            streams: config.concurrent_streams_max,
            push: config.enable_push,
            automatic: false,
            extensions: config.extension_frames,
            timeouts: TimeoutsMs::default(),
        }
    }
}

impl Setup {
    /// Returns the configuration.
    pub fn config(&self) -> Config {
        let mut config = Config::default();
        config.stream_window_bytes = self.stream_window;
        config.connection_window_bytes = self.connection_window;
        config.frame_bytes_max = self.frame_bytes;
        config.output_bytes_max = self.output_bytes;
        config.header_table_bytes_max = self.table_bytes;
        config.encoder_table_bytes_max = self.encoder_table_bytes;
        config.concurrent_streams_max = self.streams;
        config.enable_push = self.push;
        config.release = if self.automatic { WindowRelease::Automatic } else { WindowRelease::Explicit };
        config.extension_frames = self.extensions;
        config.timeouts = self.timeouts.deadlines();
        config
    }
}

/// A step of a script. `by` and `of` name the endpoint that acts, `to` the one that is affected;
/// `nth` selects a stream of that endpoint, modulo their number.
#[allow(missing_docs, reason = "the names of the fields say it")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// The client sends a request; it waits if the server allows no more streams.
    Open(Exchange),
    /// An endpoint reads up to this many bytes from the wire, sends on writable streams, and
    /// writes.
    Turn { of: Side, bytes: u32 },
    /// An endpoint only reads.
    Receive { by: Side, bytes: u32 },
    /// An endpoint sends on writable streams.
    Serve { by: Side },
    /// An endpoint writes.
    Transmit { by: Side },
    /// An endpoint resets one of its streams.
    Reset { by: Side, nth: u8, code: u32 },
    /// An endpoint stops consuming one of its streams.
    Pause { by: Side, nth: u8 },
    /// An endpoint consumes all content that it holds, and continues to consume.
    Resume { by: Side },
    /// An endpoint changes the priority of one of its streams.
    Priority { by: Side, nth: u8, urgency: u8, incremental: bool },
    /// An endpoint sends a PING.
    Ping { by: Side },
    /// An endpoint changes its settings.
    Settings { by: Side, change: Change },
    /// An endpoint sends a frame of an unknown type.
    Extension { by: Side, bytes: u16 },
    /// The server sends ORIGIN.
    Origins,
    /// The server sends ALTSVC for one of its streams.
    AltSvc { nth: u8 },
    /// An endpoint makes invalid calls.
    Misuse { by: Side, nth: u8 },
    /// An endpoint shuts the connection down.
    Shutdown { by: Side },
    /// An endpoint closes the connection.
    Close { by: Side, code: u32 },
    /// Time passes.
    Tick { ms: u32 },
    /// Time passes, as on a fast link.
    TickMicros { us: u32 },
    /// The wire to an end is cut: what is on it is lost.
    Cut { to: Side },
    /// A frame is inserted into the bytes to an endpoint.
    Inject { to: Side, kind: u8, flags: u8, stream: u32, payload: Vec<u8> },
    /// A field block is inserted into the bytes to an endpoint, in frames of up to `piece` bytes: a
    /// GET with a value of `bytes` bytes and a field for the table after it.
    InjectBlock { to: Side, stream: u32, bytes: u32, piece: u16 },
    /// A byte on the wire to an endpoint is altered.
    Alter { to: Side, at: u16, xor: u8 },
}

/// A change of one setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// SETTINGS_INITIAL_WINDOW_SIZE
    InitialWindow(u32),
    /// SETTINGS_HEADER_TABLE_SIZE
    HeaderTable(u32),
    /// SETTINGS_MAX_CONCURRENT_STREAMS
    Streams(u32),
    /// SETTINGS_MAX_FRAME_SIZE
    FrameSize(u32),
    /// SETTINGS_MAX_HEADER_LIST_SIZE
    HeaderList(u32),
    /// SETTINGS_ENABLE_PUSH, of a client
    Push(bool),
}

/// A request and its response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// The method.
    pub method: Method,
    /// The request's message.
    pub request: Message,
    /// Informational responses before the final one.
    pub informational: u8,
    /// Whether the server waits for the end of the request.
    pub waits: bool,
    /// The status of the final response.
    pub status: u16,
    /// The response's message.
    pub response: Message,
    /// The number of promises before the response.
    pub pushes: u8,
    /// The message of each push.
    pub pushed: Message,
}

/// Methods with different rules for the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// No content, usually.
    Get,
    /// Content.
    Post,
    /// The response has no content, even if it announces some.
    Head,
    /// A tunnel.
    Connect,
}

impl Method {
    /// Returns the text on the wire.
    pub const fn text(self) -> &'static [u8] {
        match self {
            Self::Get => b"GET",
            Self::Post => b"POST",
            Self::Head => b"HEAD",
            Self::Connect => b"CONNECT",
        }
    }
}

/// One direction of an exchange.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// Bytes of content.
    pub body: u32,
    /// Bytes that are passed to one call of `send_data`.
    pub chunk: u32,
    /// Whether there is a content-length.
    pub announces: bool,
    /// Whether trailers end it.
    pub trailers: bool,
    /// Whether content is padded.
    pub padding: Option<u8>,
    /// Whether content is spliced into the transport.
    pub spliced: bool,
    /// Bytes of fields beyond the usual ones.
    pub header_bytes: u16,
}

impl Message {
    /// Whether HEADERS carries END_STREAM if there is no content; otherwise an empty DATA frame
    /// does.
    pub const fn ends_in_headers(&self) -> bool {
        !self.trailers && self.chunk.is_multiple_of(2)
    }
}

impl Script {
    /// Whether the wire is not altered, so that neither endpoint may report the other as at fault.
    pub fn is_honest(&self) -> bool {
        !self.ops.iter().any(|op| matches!(op, Op::Inject { .. } | Op::InjectBlock { .. } | Op::Alter { .. }))
    }

    /// Whether enough time passes for a timeout to expire.
    pub fn is_slow(&self) -> bool {
        let shortest =
            [&self.client, &self.server].into_iter().filter_map(|setup| setup.timeouts.min()).min();
        shortest.is_some_and(|shortest| self.elapsed() >= Duration::from_millis(shortest.into()))
    }

    /// Whether the clock advances in microseconds: a busy connection on a fast link.
    pub fn is_busy(&self) -> bool {
        self.ops.iter().any(|op| matches!(op, Op::TickMicros { .. }))
    }

    /// How much time passes.
    pub fn elapsed(&self) -> Duration {
        let tick = |op: &Op| match op {
            Op::Tick { ms } => Duration::from_millis((*ms).into()),
            Op::TickMicros { us } => Duration::from_micros((*us).into()),
            _ => Duration::ZERO,
        };
        self.ops.iter().map(tick).sum()
    }
}

impl Display for Script {
    /// Formats the script as Rust source.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "use thalweg_testkit::sim::{{Change::*, End::*, Method::*, Op::*, *}};")?;
        writeln!(f, "let script = Script {{")?;
        writeln!(f, "    client: {:?},", self.client)?;
        writeln!(f, "    server: {:?},", self.server)?;
        writeln!(f, "    ops: vec![")?;
        for op in &self.ops {
            let text = format!("{op:?}").replace("payload: [", "payload: vec![");
            writeln!(f, "        {text},")?;
        }
        writeln!(f, "    ],\n}};")?;
        write!(f, "sim::run(&script).unwrap();")
    }
}
