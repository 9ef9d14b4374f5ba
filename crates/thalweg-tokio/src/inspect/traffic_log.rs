//! What went over the wire last: the frames, and what they meant for streams. Values are left out.
//!
//! Keeps true: no more than [`FRAMES_MAX`] frames and [`STREAMS_MAX`] streams are remembered; no value is kept that is not on the list.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::time::Duration;

use thalweg::frame::{Flags, Frame, FrameHeader, FrameType};
use thalweg::inspect::{Captured, CapturedFrame, Direction, Inspector};
use thalweg::{ErrorCode, Headers, StreamId};

/// The most frames that are remembered of a connection.
pub const FRAMES_MAX: usize = 128;
/// The most streams that are remembered of a connection.
pub const STREAMS_MAX: usize = 256;

/// A frame that went over the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FrameRecord {
    /// How many were seen before it.
    pub number: u64,
    /// When, from the beginning of the connection.
    pub at: Duration,
    /// Whether we sent it.
    pub is_sent: bool,
    /// Its type, or what else it was: `preface`, `not HTTP/2`.
    pub name: String,
    /// Its stream; 0 is the connection.
    pub stream: StreamId,
    /// The length of its payload, bytes.
    pub len: u32,
    /// Flags and fields, without secrets.
    pub detail: String,
}

/// What frames have told of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamRecord {
    /// Which.
    pub id: StreamId,
    /// When its request began; `None`: before the frames were followed.
    pub opened: Option<Duration>,
    /// When its request ended.
    pub request_ended: Option<Duration>,
    /// When its response began.
    pub responded: Option<Duration>,
    /// When its response ended.
    pub response_ended: Option<Duration>,
    /// When it was reset, with which code, and whether we did it.
    pub reset: Option<(Duration, ErrorCode, bool)>,
    /// `:method`
    pub method: Option<String>,
    /// `:path` without its query, if paths are shown.
    pub path: Option<String>,
    /// `:status`
    pub status: Option<u16>,
    /// Payload of DATA that came, bytes.
    pub bytes_received: u64,
    /// Payload of DATA that was sent, bytes.
    pub bytes_sent: u64,
}

/// Reads what passes.
pub struct TrafficLog {
    inspector: Inspector,
    is_client: bool,
    shows_fields: bool,
    seen: u64,
    frames: VecDeque<FrameRecord>,
    streams: BTreeMap<StreamId, StreamRecord>,
}

impl TrafficLog {
    /// From the first byte.
    pub fn from_start(is_client: bool) -> Self {
        let (inspector, frames) = (Inspector::new(), VecDeque::new());
        Self { inspector, is_client, shows_fields: true, seen: 0, frames, streams: BTreeMap::new() }
    }

    /// From between two frames; these streams are `live`.
    pub fn resume(is_client: bool, live: impl Iterator<Item = StreamId>) -> Self {
        let streams = live.map(|id| (id, StreamRecord::new(id, None))).collect();
        let inspector = Inspector::resume();
        Self { inspector, shows_fields: false, streams, ..Self::from_start(is_client) }
    }

    /// Whether fields are known.
    pub fn shows_fields(&self) -> bool {
        self.shows_fields
    }

    /// What is remembered.
    pub fn records(&self) -> (Vec<StreamRecord>, Vec<FrameRecord>) {
        (self.streams.values().cloned().collect(), self.frames.iter().cloned().collect())
    }

    /// Takes what passes.
    pub fn record(&mut self, is_sent: bool, mut bytes: &[u8], at: Duration, shows_paths: bool) {
        let is_to_server = is_sent == self.is_client;
        let direction = if is_to_server { Direction::ToServer } else { Direction::ToClient };
        while let Some(seen) = self.inspector.inspect(direction, &mut bytes) {
            let pass = FrameContext { at, is_sent, is_to_server, shows_paths };
            if self.frames.len() == FRAMES_MAX {
                self.frames.pop_front();
            }
            self.frames.push_back(pass.frame_record(self.seen, &seen));
            self.seen += 1;
            pass.update(&mut self.streams, &seen);
        }
    }
}

/// How something passed.
#[derive(Clone, Copy)]
struct FrameContext {
    at: Duration,
    is_sent: bool,
    is_to_server: bool,
    shows_paths: bool,
}

impl FrameContext {
    fn frame_record(self, number: u64, seen: &CapturedFrame<'_>) -> FrameRecord {
        let (head, name) = match seen.captured {
            Captured::Data(head)
            | Captured::Frame(head, ..)
            | Captured::Oversized(head)
            | Captured::Malformed(head, _) => {
                let name = head.kind.name().map(str::to_owned);
                (Some(head), name.unwrap_or_else(|| format!("type {:#x}", head.kind.0)))
            }
            Captured::Preface => (None, "preface".to_owned()),
            _ => (None, "not HTTP/2".to_owned()),
        };
        let mut detail = head.map(flags).unwrap_or_default();
        match seen.captured {
            Captured::Frame(_, frame, headers) => self.describe(&mut detail, &frame, headers.as_ref()),
            Captured::Malformed(_, violation) => add(&mut detail, format_args!("MALFORMED: {violation}")),
            _ => {}
        }
        FrameRecord {
            number,
            at: self.at,
            is_sent: self.is_sent,
            name,
            stream: head.map_or(StreamId::CONNECTION, |head| head.stream),
            len: head.map_or(0, |head| head.len),
            detail,
        }
    }

    fn describe(self, detail: &mut String, frame: &Frame<'_>, headers: Option<&Headers<'_>>) {
        match *frame {
            Frame::Settings { entries, .. } => {
                for (id, value) in entries {
                    match id.name() {
                        Some(name) => add(detail, format_args!("{name}={value}")),
                        None => add(detail, format_args!("{:#x}={value}", id.0)),
                    }
                }
            }
            Frame::Reset { code, .. } => add(detail, format_args!("{code}")),
            Frame::Ping { payload, .. } => add(detail, format_args!("{}", payload.escape_ascii())),
            Frame::GoAway { last_stream, code, debug } => {
                add(
                    detail,
                    format_args!("{code}, last stream {last_stream}, {} B of debug data", debug.len()),
                );
            }
            Frame::WindowUpdate { increment, .. } => add(detail, format_args!("+{increment}")),
            Frame::PushPromise { promised, .. } => add(detail, format_args!("promises {promised}")),
            Frame::PriorityUpdate { prioritized, value } => {
                add(detail, format_args!("for {prioritized}: {}", value.escape_ascii()));
            }
            _ => {}
        }
        if let Some(headers) = headers {
            self.describe_fields(detail, headers);
        }
    }

    fn describe_fields(self, detail: &mut String, headers: &Headers<'_>) {
        if let Some(status) = headers.status() {
            add(detail, format_args!(":status: {status};"));
        }
        let kept =
            [(":method", headers.method()), (":scheme", headers.scheme()), (":protocol", headers.protocol())];
        for (name, value) in kept {
            if let Some(value) = value {
                add(detail, format_args!("{name}: {};", value.escape_ascii()));
            }
        }
        if let Some(authority) = headers.authority() {
            add(detail, format_args!(":authority: ({} B);", authority.len()));
        }
        match headers.path() {
            Some(value) if self.shows_paths => add(detail, format_args!(":path: {};", path(value))),
            Some(value) => add(detail, format_args!(":path: ({} B);", value.len())),
            None => {}
        }
        for field in headers.fields() {
            let name = field.name().escape_ascii();
            if KEPT_NAMES.contains(&field.name()) {
                add(detail, format_args!("{name}: {};", field.value.escape_ascii()));
            } else {
                add(detail, format_args!("{name}: ({} B);", field.value.len()));
            }
        }
    }

    /// Tells the streams what a frame meant.
    fn update(self, streams: &mut BTreeMap<StreamId, StreamRecord>, seen: &CapturedFrame<'_>) {
        let (head, frame, headers) = match seen.captured {
            Captured::Data(head) => (head, None, None),
            Captured::Frame(head, frame, headers) => (head, Some(frame), headers),
            _ => return,
        };
        let is_opening = matches!(head.kind, FrameType::HEADERS | FrameType::PUSH_PROMISE);
        let id = match frame {
            Some(Frame::PushPromise { promised, .. }) => promised,
            _ => head.stream,
        };
        if is_opening && !streams.contains_key(&id) {
            evict(streams);
            streams.insert(id, StreamRecord::new(id, Some(self.at)));
        }
        let Some(record) = streams.get_mut(&id) else { return };
        match head.kind {
            FrameType::DATA if self.is_sent => record.bytes_sent += u64::from(head.len),
            FrameType::DATA => record.bytes_received += u64::from(head.len),
            FrameType::RST_STREAM => {
                // A stream that has ended cannot be reset any more.
                if let (Some(Frame::Reset { code, .. }), None) = (frame, record.ended()) {
                    record.reset = Some((self.at, code, self.is_sent));
                }
            }
            _ => {}
        }
        if let Some(headers) = headers {
            self.update_fields(record, &headers);
        }
        if head.kind == FrameType::HEADERS && !self.is_to_server && !record.is_record_complete() {
            record.responded.get_or_insert(self.at);
        }
        if matches!(head.kind, FrameType::HEADERS | FrameType::DATA) && head.flags.contains(Flags::END_STREAM)
        {
            let ended =
                if self.is_to_server { &mut record.request_ended } else { &mut record.response_ended };
            *ended = Some(self.at);
        }
    }

    fn update_fields(self, record: &mut StreamRecord, headers: &Headers<'_>) {
        let text = |value: &[u8]| value.escape_ascii().to_string();
        if let Some(method) = headers.method() {
            record.method = Some(text(method));
            record.path = headers.path().filter(|_| self.shows_paths).map(path);
        }
        if let Some(status) = headers.status() {
            record.status = Some(status);
        }
    }
}

impl StreamRecord {
    fn new(id: StreamId, opened: Option<Duration>) -> Self {
        Self {
            id,
            opened,
            request_ended: None,
            responded: None,
            response_ended: None,
            reset: None,
            method: None,
            path: None,
            status: None,
            bytes_received: 0,
            bytes_sent: 0,
        }
    }

    /// When it ended, as far as that was seen.
    pub fn ended(&self) -> Option<Duration> {
        let both =
            self.request_ended.zip(self.response_ended).map(|(request, response)| request.max(response));
        self.reset.map(|(at, ..)| at).or(both)
    }

    /// Whether only an informational response has come.
    fn is_record_complete(&self) -> bool {
        self.status.is_some_and(|status| status < 200)
    }
}

/// Forgets the oldest stream that has ended; or, if none has, the oldest.
fn evict(streams: &mut BTreeMap<StreamId, StreamRecord>) {
    if streams.len() < STREAMS_MAX {
        return;
    }
    let ended = streams.values().find(|record| record.ended().is_some());
    if let Some(id) = ended.or_else(|| streams.values().next()).map(|record| record.id) {
        streams.remove(&id);
    }
}

fn add(detail: &mut String, what: std::fmt::Arguments<'_>) {
    if !detail.is_empty() {
        detail.push(' ');
    }
    // Writing to a `String` does not fail.
    let _ = detail.write_fmt(what);
}

fn flags(head: FrameHeader) -> String {
    let names: &[(Flags, &str)] = match head.kind {
        FrameType::DATA => &[(Flags::END_STREAM, "END_STREAM"), (Flags::PADDED, "PADDED")],
        FrameType::HEADERS | FrameType::PUSH_PROMISE | FrameType::CONTINUATION => {
            &[(Flags::END_STREAM, "END_STREAM"), (Flags::PADDED, "PADDED")]
        }
        FrameType::SETTINGS | FrameType::PING => &[(Flags::ACK, "ACK")],
        _ => &[],
    };
    let set = names.iter().filter(|(flag, _)| head.flags.contains(*flag));
    set.map(|(_, name)| *name).collect::<Vec<_>>().join(" ")
}

fn path(value: &[u8]) -> String {
    let end = value.iter().position(|byte| matches!(byte, b'?' | b'#')).unwrap_or(value.len());
    value[..end].escape_ascii().to_string()
}

/// What recordings keep, too, besides the pseudo-header fields above.
const KEPT_NAMES: [&[u8]; 3] = [b"content-length", b"te", b"priority"];

#[cfg(test)]
mod tests {
    use super::*;

    /// Requests of streams 1, 3, 5, ..., all fields from the static table.
    fn requests(count: u32, flags: Flags) -> Vec<u8> {
        let mut wire = Vec::new();
        for index in 0..count {
            let frame = Frame::Headers {
                stream: StreamId::new(2 * index + 1),
                fragment: b"\x82\x86\x84",
                end_stream: flags.contains(Flags::END_STREAM),
                end_headers: true,
                dependency: None,
                padding: None,
            };
            frame.emit(&mut wire);
        }
        wire
    }

    #[test]
    fn the_oldest_frames_and_streams_are_forgotten_at_the_bound() {
        let mut traffic = TrafficLog::resume(false, [StreamId::new(1)].into_iter());
        let count = STREAMS_MAX as u32 + 1;
        traffic.record(false, &requests(count, Flags::END_STREAM), Duration::from_secs(1), false);
        let (streams, frames) = traffic.records();
        assert_eq!((streams.len(), frames.len()), (STREAMS_MAX, FRAMES_MAX));
        assert_eq!(streams[0].id.as_u32(), 3, "none has ended: the oldest is forgotten");
        assert_eq!(frames[FRAMES_MAX - 1].number, u64::from(count) - 1);

        let mut wire = Vec::new();
        Frame::Reset { stream: StreamId::new(7), code: ErrorCode::CANCEL }.emit(&mut wire);
        traffic.record(true, &wire, Duration::from_secs(2), false);
        let more = requests(count + 1, Flags::default());
        traffic.record(false, &more[more.len() - 12..], Duration::from_secs(3), false);
        let ids: Vec<u32> = traffic.records().0.iter().take(3).map(|record| record.id.as_u32()).collect();
        assert_eq!(ids, [3, 5, 9], "the one that has ended is forgotten first");
    }

    #[test]
    fn an_interim_response_is_not_the_response() {
        let mut traffic = TrafficLog::from_start(true);
        let mut wire = thalweg::frame::PREFACE.to_vec();
        wire.extend(requests(1, Flags::END_STREAM));
        traffic.record(true, &wire, Duration::from_secs(1), false);
        let respond = |fragment: &'static [u8], end_stream| {
            let mut wire = Vec::new();
            let (stream, end_headers) = (StreamId::new(1), true);
            let frame =
                Frame::Headers { stream, fragment, end_stream, end_headers, dependency: None, padding: None };
            frame.emit(&mut wire);
            wire
        };
        traffic.record(false, &respond(b"\x08\x03103", false), Duration::from_secs(2), false);
        let record = |traffic: &TrafficLog| traffic.records().0[0].clone();
        assert_eq!((record(&traffic).status, record(&traffic).responded), (Some(103), None));
        traffic.record(false, &respond(b"\x88", true), Duration::from_secs(3), false);
        let record = record(&traffic);
        assert_eq!((record.status, record.responded), (Some(200), Some(Duration::from_secs(3))));
        assert_eq!(
            (record.request_ended, record.ended()),
            (Some(Duration::from_secs(1)), record.response_ended)
        );
    }
}
