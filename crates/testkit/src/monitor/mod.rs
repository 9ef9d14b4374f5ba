//! An independent check of one endpoint: compares the frames that it sends with those that it has
//! received.
//!
//! The monitor implements the rules of RFC 9113 for senders, and shares no code with the core. It
//! reads the frames that an endpoint received and sent, and returns an error for each that it must
//! not send: a window exceeded, a wrong state, an identifier that does not rise, a field block that
//! cannot be decoded, SETTINGS without acknowledgement.
//!
//! Output is fetched in batches. The frames of a batch may precede or follow the frames that were
//! received since the last batch, so a RST_STREAM or GOAWAY of the peer applies from the next batch
//! on. SETTINGS apply from their acknowledgement on, which is in the output itself.

mod inbound;
mod message;
mod outbound;
mod stream;

use std::collections::{BTreeMap, VecDeque};

use thalweg::Config;

use crate::frames::{Frame, HEADER_LEN, PREFACE, ReadError, Reader, kind, raw};
use crate::hpack;

pub use stream::{Stream, StreamState};

/// The monitor of one endpoint.
#[derive(Debug)]
pub struct Monitor {
    is_client: bool,
    /// The most that the endpoint may grant: its configuration's connection window.
    connection_window_max: i64,
    preface: Vec<u8>,
    outbound: Reader,
    inbound: InboundBytes,
    /// Decodes sent field blocks.
    decoder: hpack::Decoder,
    /// Decodes received field blocks; `None` after one that is malformed.
    inbound_decoder: Option<hpack::Decoder>,
    /// The field block that is being received: its first frame, and its fragments.
    inbound_block: Option<(InboundFrame, Vec<u8>)>,
    /// The field block that is being sent: its first frame, and its fragments.
    block: Option<(Frame, Vec<u8>)>,
    streams: BTreeMap<u32, Stream>,
    /// Frames received on streams before the end opened them; windows count from 0 here.
    early: BTreeMap<u32, Stream>,
    last_local: u32,
    last_remote: u32,
    /// The connection's send window.
    send_window: i64,
    /// The connection window that the end has advertised to the peer.
    receive_window: i64,
    /// The peer's settings that the endpoint has acknowledged, and those that it has received and
    /// not acknowledged.
    remote: Settings,
    remote_pending: VecDeque<Vec<(u16, u32)>>,
    /// Local settings that the peer has acknowledged, and those that are sent and not acknowledged.
    local: Settings,
    local_pending: VecDeque<Vec<(u16, u32)>>,
    settings_sent: bool,
    pings: VecDeque<Vec<u8>>,
    /// The last-stream id of the latest GOAWAY sent, and its code.
    goaway_sent: Option<(u32, u32)>,
    goaway_received: Option<Batch>,
    batch: Batch,
    /// Sent frames, by type and by the state of their stream.
    pub coverage: BTreeMap<(u8, StreamState), u64>,
}

/// The number of a batch of output.
type Batch = u64;

/// The settings of one endpoint that the monitor uses.
#[derive(Clone, Copy, Debug)]
struct Settings {
    header_table_size: u32,
    enable_push: bool,
    max_concurrent_streams: u32,
    initial_window_size: i64,
    max_frame_size: u32,
    enable_connect_protocol: bool,
}

impl Default for Settings {
    /// RFC 9113 §6.5.2
    fn default() -> Self {
        Self {
            header_table_size: 4096,
            enable_push: true,
            max_concurrent_streams: u32::MAX,
            initial_window_size: 65_535,
            max_frame_size: 16_384,
            enable_connect_protocol: false,
        }
    }
}

impl Settings {
    fn apply(&mut self, entries: &[(u16, u32)]) {
        use crate::frames::setting;
        for &(id, value) in entries {
            match id {
                setting::HEADER_TABLE_SIZE => self.header_table_size = value,
                setting::ENABLE_PUSH => self.enable_push = value == 1,
                setting::MAX_CONCURRENT_STREAMS => self.max_concurrent_streams = value,
                setting::INITIAL_WINDOW_SIZE => self.initial_window_size = i64::from(value),
                setting::MAX_FRAME_SIZE => self.max_frame_size = value,
                setting::ENABLE_CONNECT_PROTOCOL => self.enable_connect_protocol = value == 1,
                _ => {}
            }
        }
    }
}

/// A frame that the endpoint must not send.
pub type Mismatch = String;

impl Monitor {
    /// Creates the monitor of a new connection. The configuration bounds the window that the
    /// endpoint may grant.
    pub fn new(is_client: bool, config: &Config) -> Self {
        Self {
            is_client,
            connection_window_max: i64::from(config.connection_window_bytes),
            preface: if is_client { PREFACE.to_vec() } else { Vec::new() },
            outbound: Reader::default(),
            inbound: InboundBytes::new(!is_client),
            decoder: hpack::Decoder::default(),
            inbound_decoder: Some(hpack::Decoder::default()),
            inbound_block: None,
            block: None,
            streams: BTreeMap::new(),
            early: BTreeMap::new(),
            last_local: 0,
            last_remote: 0,
            send_window: 65_535,
            receive_window: 65_535,
            remote: Settings::default(),
            remote_pending: VecDeque::new(),
            local: Settings::default(),
            local_pending: VecDeque::new(),
            settings_sent: false,
            pings: VecDeque::new(),
            goaway_sent: None,
            goaway_received: None,
            batch: 0,
            coverage: BTreeMap::new(),
        }
    }

    /// Records bytes that the endpoint received.
    pub fn track_inbound(&mut self, bytes: &[u8]) {
        self.sees_each(bytes, |_| {});
    }

    /// Records bytes that the endpoint received. Calls `show` with each frame; DATA has no payload
    /// there.
    pub fn sees_each(&mut self, bytes: &[u8], mut show: impl FnMut(&Frame)) {
        self.inbound.push(bytes);
        while let Some(frame) = self.inbound.next_frame() {
            show(&raw(frame.kind, frame.flags, frame.stream, &frame.payload));
            self.track_inbound_frame(frame);
        }
    }

    /// Checks all output since the last batch. Calls `show` with each frame.
    ///
    /// # Errors
    /// The first frame that it must not send.
    pub fn check_outbound(&mut self, batch: &[u8], mut show: impl FnMut(&Frame)) -> Result<(), Mismatch> {
        let mut bytes = batch;
        if !self.preface.is_empty() {
            bytes = bytes.strip_prefix(self.preface.as_slice()).ok_or("a client begins with its preface")?;
            self.preface.clear();
        }
        self.outbound.push(bytes);
        loop {
            self.outbound.allow_frame_bytes(self.remote.max_frame_size.max(16_384) as usize);
            let frame = self.outbound.next_frame().map_err(|error: ReadError| error.to_string())?;
            let Some(frame) = frame else { break };
            show(&frame);
            let state = self.state(frame.stream);
            self.check_outbound_frame(&frame)
                .map_err(|mismatch| format!("{mismatch}, in {frame} ({state:?})"))?;
            *self.coverage.entry((frame.kind, state)).or_default() += 1;
        }
        if !self.outbound.rest().is_empty() {
            return Err("a batch ends inside a frame".to_owned());
        }
        if self.block.is_some() {
            return Err("a batch ends inside a header block".to_owned());
        }
        self.batch += 1;
        Ok(())
    }

    /// Checks that all received SETTINGS and PINGs were acknowledged, once no output is left.
    ///
    /// # Errors
    /// An acknowledgement is missing.
    pub fn check_settled(&self) -> Result<(), Mismatch> {
        if !self.remote_pending.is_empty() {
            return Err("SETTINGS were received and never acknowledged".to_owned());
        }
        if !self.pings.is_empty() {
            return Err("PING was received and never acknowledged".to_owned());
        }
        Ok(())
    }

    /// Returns the state of a stream at this endpoint (RFC 9113 §5.1).
    pub fn state(&self, id: u32) -> StreamState {
        if id == 0 {
            return StreamState::Connection;
        }
        let last = if self.is_local(id) { self.last_local } else { self.last_remote };
        match self.streams.get(&id) {
            Some(stream) => stream.state(),
            None if id > last => StreamState::Idle,
            None => StreamState::Closed,
        }
    }

    /// Whether this endpoint opens streams of such identifiers.
    const fn is_local(&self, id: u32) -> bool {
        (id % 2 == 1) == self.is_client
    }
}

/// Splits received bytes into frames, without checking them.
#[derive(Debug)]
struct InboundBytes {
    buffer: Vec<u8>,
    /// Bytes of a preface or of DATA that are still to be skipped.
    skip: usize,
}

/// A received frame; of DATA, only the header.
#[derive(Debug)]
struct InboundFrame {
    kind: u8,
    flags: u8,
    stream: u32,
    len: usize,
    payload: Vec<u8>,
}

impl InboundBytes {
    const fn new(has_preface: bool) -> Self {
        Self { buffer: Vec::new(), skip: if has_preface { PREFACE.len() } else { 0 } }
    }

    fn push(&mut self, bytes: &[u8]) {
        let skipped = self.skip.min(bytes.len());
        self.skip -= skipped;
        self.buffer.extend_from_slice(&bytes[skipped..]);
    }

    /// Returns the next frame. DATA is returned with its header: it takes window before its payload
    /// arrives.
    fn next_frame(&mut self) -> Option<InboundFrame> {
        let &[a, b, c, kind, flags, ref stream @ ..] = self.buffer.first_chunk::<HEADER_LEN>()?;
        let len = u32::from_be_bytes([0, a, b, c]) as usize;
        let stream = u32::from_be_bytes(*stream) & (u32::MAX >> 1);
        let end = if kind == kind::DATA { HEADER_LEN } else { HEADER_LEN + len };
        let payload = self.buffer.get(HEADER_LEN..end)?.to_vec();
        self.buffer.drain(..end);
        if kind == kind::DATA {
            let skipped = len.min(self.buffer.len());
            self.buffer.drain(..skipped);
            self.skip = len - skipped;
        }
        Some(InboundFrame { kind, flags, stream, len, payload })
    }
}

/// Whether frames of the type open or continue a field block.
const fn is_block(kind: u8) -> bool {
    matches!(kind, kind::HEADERS | kind::PUSH_PROMISE | kind::CONTINUATION)
}
