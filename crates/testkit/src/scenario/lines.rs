//! Events and frames, a line each.

use std::fmt::Write as _;

use thalweg::{Event, Field, Headers, HeadersKind, ResetCause};

use crate::frames::{self, Frame, flag, kind};
use crate::hpack::Decoder;

/// An event. Adjacent content is joined before it is compared, so that the split of the input makes
/// no difference.
#[derive(Debug)]
pub enum Observed {
    /// Any event but content.
    Line(String),
    /// A piece of content.
    Data { stream: u32, bytes: Vec<u8>, end: bool },
}

impl Observed {
    /// Creates the value of an event.
    pub fn of(event: &Event<'_, '_>) -> Self {
        let mut line = String::new();
        let written = match *event {
            Event::Data { stream, data, end } => {
                return Self::Data { stream: stream.id().as_u32(), bytes: data.to_vec(), end };
            }
            Event::Headers { stream, kind, headers, end } => {
                let kind = match kind {
                    HeadersKind::Request => "request".to_owned(),
                    HeadersKind::Response => "response".to_owned(),
                    HeadersKind::Informational => "informational".to_owned(),
                    HeadersKind::Trailers => "trailers".to_owned(),
                    HeadersKind::Push { parent } => format!("push on={parent}"),
                    other => format!("{other:?}"),
                };
                let end = if end { " end" } else { "" };
                write!(line, "HEADERS stream={stream} {kind}{end} [{}]", fields(&headers))
            }
            Event::Reset { stream, code, by } => {
                let by = match by {
                    ResetCause::Remote => "the peer".to_owned(),
                    ResetCause::Local(error) => format!("us: {error}"),
                    ResetCause::Application => "the application".to_owned(),
                    ResetCause::GoAway => "GOAWAY".to_owned(),
                    other => format!("{other:?}"),
                };
                write!(line, "RESET stream={stream} {code} by {by}")
            }
            Event::GoAway { last_stream, code, debug } => write!(line, "GOAWAY last={last_stream} {code}")
                .and_then(|()| if debug.is_empty() { Ok(()) } else { write!(line, " {}", quoted(debug)) }),
            Event::Settings { entries } => {
                let settings =
                    entries.fold(frames::settings(), |frame, (id, value)| frame.entry(id.0, value));
                write!(line, "{settings}")
            }
            Event::SettingsAcknowledged => write!(line, "SETTINGS ACK"),
            Event::StreamAvailable => write!(line, "OPENABLE"),
            Event::Pong { payload } => write!(line, "PONG {}", quoted(&payload)),
            Event::Priority { stream, priority } => write!(line, "PRIORITY stream={stream} {priority}"),
            Event::Origin { origins } => {
                let origins: Vec<String> = origins.map(quoted).collect();
                write!(line, "ORIGIN {}", origins.join(" "))
            }
            Event::AltSvc { stream, origin, value } => {
                write!(line, "ALTSVC stream={stream} {} {}", quoted(origin), quoted(value))
            }
            Event::Extension { kind, flags, stream, payload } => {
                write!(line, "TYPE {:#x} stream={stream} {:#04x} {}", kind.0, flags.0, quoted(payload))
            }
            other => write!(line, "{other:?}"),
        };
        written.expect("a string takes everything");
        Self::Line(line)
    }
}

/// Turns events into lines; adjacent pieces of content are joined.
pub fn event_lines(observed: Vec<Observed>) -> Vec<String> {
    let mut joined: Vec<Observed> = Vec::new();
    for event in observed {
        match (joined.last_mut(), event) {
            (
                Some(Observed::Data { stream, bytes, end: end @ false }),
                Observed::Data { stream: next, bytes: more, end: ends },
            ) if *stream == next => {
                bytes.extend(more);
                *end = ends;
            }
            (_, event) => joined.push(event),
        }
    }
    let line = |event| match event {
        Observed::Line(line) => line,
        Observed::Data { stream, bytes, end } => data_line(stream, &bytes, None, end),
    };
    joined.into_iter().map(line).collect()
}

/// Turns an output frame without a field block into a line.
pub fn frame_line(frame: &Frame) -> String {
    match frame.kind {
        kind::DATA => data_line(frame.stream, &frame.body, frame.padding(), frame.ends_stream()),
        _ => frame.to_string(),
    }
}

/// An outbound field block, frame by frame.
#[derive(Debug)]
pub struct Block {
    head: String,
    bytes: Vec<u8>,
    frames: u32,
}

impl Block {
    /// Starts a block with HEADERS or PUSH_PROMISE, which is still to be added.
    pub fn begin(frame: &Frame) -> Self {
        let (stream, end) = (frame.stream, if frame.ends_stream() { " end" } else { "" });
        let head = match frame.promised() {
            Some(promised) => format!("PUSH_PROMISE stream={stream} promised={promised}"),
            None => format!("HEADERS stream={stream}{end}"),
        };
        Self { head, bytes: Vec::new(), frames: 0 }
    }

    /// Adds a frame. Returns whether the block is whole now.
    pub fn add(&mut self, frame: &Frame) -> bool {
        self.bytes.extend_from_slice(frame.block().unwrap_or_default());
        self.frames += 1;
        frame.has(flag::END_HEADERS)
    }

    /// Returns the line of the whole block.
    pub fn line(self, decoder: &mut Decoder) -> String {
        let fields = decoder.decode(&self.bytes).expect("our own header block");
        let fields: Vec<String> = fields.iter().map(ToString::to_string).collect();
        let frames = if self.frames > 1 { format!(" in {} frames", self.frames) } else { String::new() };
        format!("{}{frames} [{}]", self.head, fields.join(", "))
    }
}

fn data_line(stream: u32, bytes: &[u8], padding: Option<u8>, end: bool) -> String {
    let content = if bytes.len() <= SHOWN_BYTES { quoted(bytes) } else { format!("{} bytes", bytes.len()) };
    let padding = padding.map_or(String::new(), |pad_len| format!(" pad={pad_len}"));
    format!("DATA stream={stream} {content}{padding}{}", if end { " end" } else { "" })
}

/// Formats all fields of a block in their order.
fn fields(headers: &Headers<'_>) -> String {
    let status = headers.status().map(|status| status.to_string());
    let pseudos = [
        (":method", headers.method()),
        (":scheme", headers.scheme()),
        (":authority", headers.authority()),
        (":path", headers.path()),
        (":protocol", headers.protocol()),
        (":status", status.as_ref().map(String::as_bytes)),
    ];
    let pseudos =
        pseudos.into_iter().filter_map(|(name, value)| value.map(|value| Field::new(name.as_bytes(), value)));
    let show = |field: Field<'_>| format!("{}: {}", field.name().escape_ascii(), field.value.escape_ascii());
    pseudos.chain(headers.fields()).map(show).collect::<Vec<_>>().join(", ")
}

fn quoted(bytes: &[u8]) -> String {
    format!("\"{}\"", bytes.escape_ascii())
}

/// Formats bytes for a transcript.
pub fn shorten(bytes: &[u8]) -> String {
    let shown = &bytes[..bytes.len().min(SHOWN_BYTES * 2)];
    let hex: Vec<String> = shown.iter().map(|byte| format!("{byte:02x}")).collect();
    let rest = bytes.len() - shown.len();
    if rest == 0 { hex.join(" ") } else { format!("{} and {rest} bytes", hex.join(" ")) }
}

/// Shortens a line to a readable length.
pub fn cut(line: &str) -> String {
    let cut: String = line.chars().take(LINE_CHARS).collect();
    if cut.len() < line.len() { format!("{cut}... ({} bytes)", line.len()) } else { cut }
}

const LINE_CHARS: usize = 240;
/// Content up to this length is printed, bytes.
const SHOWN_BYTES: usize = 24;
