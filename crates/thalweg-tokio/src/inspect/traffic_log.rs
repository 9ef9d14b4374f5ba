//! The last frames of a connection, and what they changed of its streams.
//!
//! Invariants: the log holds at most [`FRAMES_MAX`] frames and [`STREAMS_MAX`] streams; it holds no
//! field value outside the list of kept names.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::time::Duration;

use thalweg::frame::{Flags, Frame, FrameHeader, FrameType};
use thalweg::inspect::{Captured, CapturedFrame, Direction, Inspector};
use thalweg::{ErrorCode, Headers, StreamId};

/// The number of frames kept for a connection.
pub const FRAMES_MAX: usize = 128;
/// The number of streams kept for a connection.
pub const STREAMS_MAX: usize = 256;

/// A captured frame.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FrameRecord {
    /// The number of frames captured before it.
    pub number: u64,
    /// Time since the connection was opened.
    pub at: Duration,
    /// Whether we sent it.
    pub is_sent: bool,
    /// The frame type, or another kind of input: `preface`, `not HTTP/2`.
    pub name: String,
    /// The stream; 0 for the connection.
    pub stream: StreamId,
    /// The length of its payload, bytes.
    pub len: u32,
    /// Flags and fields, without confidential values.
    pub detail: String,
}

/// The history of one stream, derived from its frames.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamRecord {
    /// The identifier.
    pub id: StreamId,
    /// When the request's headers were captured; `None` if that was before the capture started.
    pub opened: Option<Duration>,
    /// When the request's END_STREAM was captured.
    pub request_ended: Option<Duration>,
    /// When the response's headers were captured.
    pub responded: Option<Duration>,
    /// When the response's END_STREAM was captured.
    pub response_ended: Option<Duration>,
    /// When the stream was reset, the code, and whether the reset was ours.
    pub reset: Option<(Duration, ErrorCode, bool)>,
    /// `:method`
    pub method: Option<String>,
    /// `:path` without its query, if paths are included.
    pub path: Option<String>,
    /// `:status`
    pub status: Option<u16>,
    /// Payload of received DATA, bytes.
    pub bytes_received: u64,
    /// Payload of sent DATA, bytes.
    pub bytes_sent: u64,
}

/// Parses both directions of a connection.
pub(crate) struct TrafficLog {
    inspector: Inspector,
    is_client: bool,
    shows_fields: bool,
    seen: u64,
    frames: VecDeque<FrameRecord>,
    streams: BTreeMap<StreamId, StreamRecord>,
}

impl TrafficLog {
    /// Starts at the first byte.
    pub(crate) fn from_start(is_client: bool) -> Self {
        let (inspector, frames) = (Inspector::new(), VecDeque::new());
        Self { inspector, is_client, shows_fields: true, seen: 0, frames, streams: BTreeMap::new() }
    }

    /// Starts between two frames of a running connection; `live` are its open streams.
    pub(crate) fn resume(is_client: bool, live: impl Iterator<Item = StreamId>) -> Self {
        let streams = live.map(|id| (id, StreamRecord::new(id, None))).collect();
        let inspector = Inspector::resume();
        Self { inspector, shows_fields: false, streams, ..Self::from_start(is_client) }
    }

    /// Returns whether fields are decoded.
    pub(crate) fn shows_fields(&self) -> bool {
        self.shows_fields
    }

    /// Returns the kept streams and frames.
    pub(crate) fn records(&self) -> (Vec<StreamRecord>, Vec<FrameRecord>) {
        (self.streams.values().cloned().collect(), self.frames.iter().cloned().collect())
    }

    /// Parses bytes of one direction.
    pub(crate) fn record(&mut self, is_sent: bool, mut bytes: &[u8], at: Duration, shows_paths: bool) {
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

/// The context of a captured frame.
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

    /// Updates the stream records.
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
                // A reset cannot change a stream that has ended.
                if let (Some(Frame::Reset { code, .. }), None) = (frame, record.ended()) {
                    record.reset = Some((self.at, code, self.is_sent));
                }
            }
            _ => {}
        }
        if let Some(headers) = headers {
            self.update_fields(record, &headers);
        }
        if head.kind == FrameType::HEADERS && !self.is_to_server && !record.is_informational() {
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

    /// Returns when the stream ended, if that was captured.
    pub fn ended(&self) -> Option<Duration> {
        let both =
            self.request_ended.zip(self.response_ended).map(|(request, response)| request.max(response));
        self.reset.map(|(at, ..)| at).or(both)
    }

    /// Returns whether the last response that was captured is informational.
    fn is_informational(&self) -> bool {
        self.status.is_some_and(|status| status < 200)
    }
}

/// Removes the oldest stream that has ended; if there is none, the oldest.
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

/// Names whose values are kept besides the pseudo-header fields above; the same as in recordings.
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
    fn the_oldest_frames_and_streams_are_removed_at_the_limit() {
        let mut traffic = TrafficLog::resume(false, [StreamId::new(1)].into_iter());
        let count = STREAMS_MAX as u32 + 1;
        traffic.record(false, &requests(count, Flags::END_STREAM), Duration::from_secs(1), false);
        let (streams, frames) = traffic.records();
        assert_eq!((streams.len(), frames.len()), (STREAMS_MAX, FRAMES_MAX));
        assert_eq!(streams[0].id.as_u32(), 3, "none has ended: the oldest is removed");
        assert_eq!(frames[FRAMES_MAX - 1].number, u64::from(count) - 1);

        let mut wire = Vec::new();
        Frame::Reset { stream: StreamId::new(7), code: ErrorCode::CANCEL }.emit(&mut wire);
        traffic.record(true, &wire, Duration::from_secs(2), false);
        let more = requests(count + 1, Flags::default());
        traffic.record(false, &more[more.len() - 12..], Duration::from_secs(3), false);
        let ids: Vec<u32> = traffic.records().0.iter().take(3).map(|record| record.id.as_u32()).collect();
        assert_eq!(ids, [3, 5, 9], "the one that has ended is removed first");
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
