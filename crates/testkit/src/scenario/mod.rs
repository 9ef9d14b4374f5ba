//! Scripted peers, which may break any rule, against one connection.
//!
//! A scenario is a script of the peer's bytes, of calls, and of time, with the expected events and
//! output frames, one line each. It runs several times, with the peer's bytes whole, byte by byte,
//! and split at random positions, and every run must give the same result. At its end no event and
//! no frame may be left unexpected.
//!
//! ```
//! use thalweg::ErrorCode;
//! use thalweg_testkit::frames::{data, rst_stream};
//! use thalweg_testkit::scenario;
//!
//! scenario::server(|s| {
//!     let stream = s.post(1);
//!     s.peer(data(1, "hello"));
//!     s.peer(rst_stream(1, ErrorCode::CANCEL));
//!     s.events(["DATA stream=1 \"hello\"", "RESET stream=1 CANCEL by the peer"]);
//!     s.call(|core| core.send_reset(stream, ErrorCode::CANCEL));
//!     s.nothing();
//! });
//! ```

mod lines;
mod run;

use std::collections::BTreeMap;
use std::time::Duration;

use thalweg::{
    Client, CloseCause, Connection, ConnectionError, ErrorCode, Event, Instant, Request, Role, Scope,
    SendError, Server, Status, StreamKey, Violation,
};

use crate::frames::{self, Frame, Piece, Reader, kind, setting};
use crate::hpack;

use lines::Observed;
use run::Chunking;
pub use run::{Opening, client, client_with, new_client, new_server, server, server_with};

/// One run of a script: the connection under test, and the events and output frames that the script
/// has not checked yet.
#[derive(Debug)]
pub struct Scene<R: Role> {
    core: Connection<R>,
    now: Instant,
    chunking: Chunking,
    /// Bytes of the peer that were not passed to the connection yet.
    queue: Vec<u8>,
    observed: Vec<Observed>,
    sent: Vec<Sent>,
    reader: Reader,
    /// The unfinished outbound field block.
    block: Option<lines::Block>,
    decoder: hpack::Decoder,
    /// SETTINGS of the peer that we have not acknowledged yet: the limits that apply after the
    /// acknowledgement.
    allowed: Vec<(Option<u32>, Option<u32>)>,
    streams: BTreeMap<u32, StreamKey>,
    error: Option<ConnectionError>,
    transcript: Vec<String>,
}

/// An output frame, and its line; a field block has one line, at its last frame.
#[derive(Debug)]
struct Sent {
    frame: Frame,
    line: Option<String>,
}

impl<R: Role> Scene<R> {
    /// Sends a frame, a list of frames, or bytes as the peer. They are passed to the connection at
    /// the next call or check.
    #[expect(clippy::needless_pass_by_value, reason = "scripts read better without ampersands")]
    pub fn peer(&mut self, piece: impl Piece) {
        let start = self.queue.len();
        piece.put(&mut self.queue);
        let bytes = &self.queue[start..];
        self.transcript.push(format!("peer: {}", lines::shorten(bytes)));
    }

    /// Sends SETTINGS as the peer, and expects their event and acknowledgement.
    #[expect(clippy::needless_pass_by_value, reason = "scripts read better without ampersands")]
    pub fn peer_settings(&mut self, settings: Frame) {
        self.peer(settings.clone());
        self.events([settings.to_string()]);
        self.output(["SETTINGS ACK"]);
    }

    /// Calls the connection as the application.
    pub fn call<T>(&mut self, call: impl FnOnce(&mut Connection<R>) -> T) -> T {
        self.feed();
        let result = call(&mut self.core);
        self.core.check();
        result
    }

    /// Returns the connection under test, for its getters.
    pub fn core(&mut self) -> &Connection<R> {
        self.feed();
        &self.core
    }

    /// Returns the key of a stream from an event or a call.
    pub fn stream(&mut self, id: u32) -> StreamKey {
        self.feed();
        self.streams[&id]
    }

    /// Advances the time, and passes it to the connection.
    pub fn pass(&mut self, duration: Duration) {
        self.feed();
        self.now = self.now + duration;
        self.transcript.push(format!("time: {duration:?} later"));
        if let Err(error) = self.core.handle_timeout(self.now) {
            self.note_error(error);
        }
        self.core.check();
        self.drain_events();
    }

    /// Ends the peer's byte stream.
    pub fn eof(&mut self) {
        self.feed();
        self.transcript.push("peer: end of bytes".to_owned());
        if let Err(error) = self.core.handle_eof() {
            self.note_error(error);
        }
        self.core.check();
        self.drain_events();
    }

    /// Returns the time of the last call.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Expects exactly these events since the last check.
    #[track_caller]
    pub fn events<T: AsRef<str>>(&mut self, expected: impl AsRef<[T]>) {
        let observed = self.take_events();
        assert_lines("events", &observed, expected.as_ref());
    }

    /// Returns the events since the last check.
    pub fn take_events(&mut self) -> Vec<String> {
        self.feed();
        self.drain_events();
        let observed = lines::event_lines(std::mem::take(&mut self.observed));
        self.transcript.extend(observed.iter().map(|line| format!("event: {line}")));
        observed
    }

    /// Expects exactly these output frames since the last check.
    #[track_caller]
    pub fn output<T: AsRef<str>>(&mut self, expected: impl AsRef<[T]>) {
        let sent = self.take_output();
        assert_lines("output", &sent, expected.as_ref());
    }

    /// Returns the output since the last check, one line for each frame.
    pub fn take_output(&mut self) -> Vec<String> {
        self.take_sent().into_iter().filter_map(|sent| sent.line).collect()
    }

    /// Returns the output frames since the last check.
    pub fn frames(&mut self) -> Vec<Frame> {
        self.take_sent().into_iter().map(|sent| sent.frame).collect()
    }

    /// Expects no event and no output since the last check.
    #[track_caller]
    pub fn nothing(&mut self) {
        self.events::<&str>([]);
        self.output::<&str>([]);
    }

    /// Expects that the peer's last frames had no effect, and that the connection acknowledges a
    /// PING.
    #[track_caller]
    pub fn unmoved(&mut self) {
        self.nothing();
        self.answers();
    }

    /// Expects that the connection acknowledges a PING, with no output before.
    #[track_caller]
    pub fn answers(&mut self) {
        self.peer(frames::ping(*b"alive? !"));
        self.output(["PING ACK alive? !"]);
    }

    /// Expects a stream error: one event, one RST_STREAM, and the connection continues.
    #[track_caller]
    pub fn stream_error(&mut self, stream: u32, code: ErrorCode, violation: Violation) {
        assert_eq!(violation.scope(), Scope::Stream);
        self.events([format!("RESET stream={stream} {code} by us: {violation}")]);
        self.refused(stream, code);
    }

    /// Expects the reset of a stream that the application does not know, or no longer knows: one
    /// RST_STREAM, no event, and the connection continues.
    #[track_caller]
    pub fn refused(&mut self, stream: u32, code: ErrorCode) {
        self.events::<&str>([]);
        self.output([format!("RST_STREAM stream={stream} {code}")]);
        self.answers();
    }

    /// Expects a connection error for a violation: one error, one GOAWAY with `code` and `last`,
    /// and nothing afterwards.
    #[track_caller]
    pub fn connection_error(&mut self, code: ErrorCode, violation: Violation, last: u32) {
        self.ends(code, CloseCause::Violation(violation), last);
    }

    /// Expects a connection error: one GOAWAY with `code` and `last`, and nothing afterwards.
    #[track_caller]
    pub fn ends(&mut self, code: ErrorCode, cause: CloseCause, last: u32) {
        self.feed();
        self.drain_events();
        let Some(error) = self.error else {
            self.events(["an error"]);
            unreachable!("an event that is none");
        };
        assert_eq!((error.cause(), error.code()), (cause, code));
        self.events([format!("ERROR {code}: {error}")]);
        let accused =
            matches!(cause, CloseCause::Violation(_) | CloseCause::Limit(_) | CloseCause::Timeout(_));
        let reason = error.to_string();
        let debug =
            if accused { format!(" \"{}\"", reason.as_bytes().escape_ascii()) } else { String::new() };
        self.output([format!("GOAWAY last={last} {code}{debug}")]);
        self.check_dead();
    }

    /// Passes the peer's bytes to the connection, split as in this run.
    fn feed(&mut self) {
        let queue = std::mem::take(&mut self.queue);
        self.note_settings(&queue);
        let mut rest = &queue[..];
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(self.chunking.next(rest.len()));
            rest = after;
            self.receive(piece);
        }
    }

    fn receive(&mut self, mut input: &[u8]) {
        loop {
            // The event borrows `self.core`, so `observed` is borrowed separately.
            match self.core.receive(&mut input, self.now) {
                Ok(Some(event)) => {
                    if let Event::Headers { stream, .. } = event {
                        self.streams.insert(stream.id().as_u32(), stream);
                    }
                    self.observed.push(Observed::of(&event));
                }
                Ok(None) => {
                    assert!(input.is_empty(), "`receive` left {} bytes", input.len());
                    break;
                }
                Err(error) => {
                    self.note_error(error);
                    break;
                }
            }
        }
        self.core.check();
    }

    /// Collects the events that calls or time have caused.
    fn drain_events(&mut self) {
        if self.error.is_none() {
            self.receive(&[]);
        }
    }

    fn note_error(&mut self, error: ConnectionError) {
        match self.error {
            None => {
                self.observed.push(Observed::Line(format!("ERROR {}: {error}", error.code())));
                self.error = Some(error);
            }
            Some(first) => assert_eq!(error, first, "the error changed"),
        }
    }

    /// Records the limits that apply once the peer's SETTINGS are acknowledged.
    fn note_settings(&mut self, bytes: &[u8]) {
        let mut rest = bytes.strip_prefix(&frames::PREFACE).unwrap_or(bytes);
        while let Some(&[a, b, c, kind, flags, s0, s1, s2, s3]) = rest.first_chunk() {
            let len = u32::from_be_bytes([0, a, b, c]) as usize;
            let Some((payload, after)) = rest[9..].split_at_checked(len) else { break };
            rest = after;
            let ack = flags & frames::flag::ACK != 0;
            if (kind, [s0, s1, s2, s3]) != (kind::SETTINGS, [0; 4]) || ack || !len.is_multiple_of(6) {
                continue;
            }
            let entries = frames::raw(kind, flags, 0, payload).entries();
            let last = |wanted| entries.iter().rev().find(|(id, _)| *id == wanted).map(|(_, value)| *value);
            self.allowed.push((last(setting::HEADER_TABLE_SIZE), last(setting::MAX_FRAME_SIZE)));
        }
    }

    /// Reads the output strictly, and decodes its field blocks.
    fn take_sent(&mut self) -> Vec<Sent> {
        self.feed();
        let mut wire = Vec::new();
        while self.core.poll_transmit(&mut wire) {}
        let bytes = wire.strip_prefix(&frames::PREFACE).unwrap_or(&wire);
        self.reader.push(bytes);
        while let Some(frame) = self.reader.next_frame().unwrap_or_else(|error| panic!("output: {error}")) {
            let line = self.line_of(&frame);
            self.transcript.extend(line.iter().map(|line| format!("output: {line}")));
            self.sent.push(Sent { frame, line });
        }
        assert!(self.reader.rest().is_empty(), "the output ends inside a frame");
        assert!(!self.reader.in_block(), "the output ends inside a header block");
        std::mem::take(&mut self.sent)
    }

    fn line_of(&mut self, frame: &Frame) -> Option<String> {
        if frame.kind == kind::SETTINGS && frame.has(frames::flag::ACK) {
            self.allow();
        }
        if frame.block().is_none() {
            return Some(lines::frame_line(frame));
        }
        let mut block = self.block.take().unwrap_or_else(|| lines::Block::begin(frame));
        if block.add(frame) {
            return Some(block.line(&mut self.decoder));
        }
        self.block = Some(block);
        None
    }

    /// Applies the oldest unacknowledged SETTINGS of the peer.
    fn allow(&mut self) {
        assert!(!self.allowed.is_empty(), "an acknowledgement without SETTINGS");
        let (table_bytes, frame_bytes) = self.allowed.remove(0);
        if let Some(bytes) = table_bytes {
            self.decoder.allow_table_bytes(bytes as usize);
        }
        if let Some(bytes) = frame_bytes {
            self.reader.allow_frame_bytes(bytes as usize);
        }
    }

    /// Asserts that an ended connection returns the same error and no byte.
    #[track_caller]
    fn check_dead(&mut self) {
        let error = self.error.expect("only called after the end");
        let anything = frames::ping([0; 8]).bytes();
        assert_eq!(self.core.receive(&mut &anything[..], self.now).map(|_| ()), Err(error));
        assert_eq!(self.core.handle_timeout(self.now + Duration::from_secs(3600)), Err(error));
        assert_eq!(self.core.handle_eof(), Err(error));
        assert_eq!(self.core.send_ping([1; 8]), Err(SendError::Connection(error)));
        assert_eq!(self.core.send_settings(|_| {}), Err(SendError::Connection(error)));
        for &stream in self.streams.values() {
            let refused = Err(SendError::Connection(error));
            assert_eq!(self.core.send_data(stream, b"x", false), refused);
            assert_eq!(self.core.send_trailers(stream, []), Err(SendError::Connection(error)));
            self.core.send_reset(stream, ErrorCode::CANCEL);
            self.core.release(stream, 1);
            self.core.discard(stream, 1);
        }
        self.core.shutdown();
        self.core.close(ErrorCode::INTERNAL_ERROR, b"again");
        assert_eq!(self.core.poll_writable(), None);
        assert_eq!(self.core.poll_timeout(), None);
        assert_eq!(self.core.live_streams(), 0);
        assert_eq!(self.core.report().error, Some(error));
        assert!(!self.core.poll_transmit(&mut Vec::new()), "output after the end");
        assert!(self.core.is_finished() && !self.core.wants_read());
        self.core.check();
    }
}

impl Scene<Server> {
    /// Sends `GET /` with END_STREAM as the peer: the stream is half-closed (remote).
    #[track_caller]
    pub fn get(&mut self, id: u32) -> StreamKey {
        self.peer(frames::headers(id, hpack::get("/")).end_stream().end_headers());
        self.events([format!("HEADERS stream={id} request end [{GET}]")]);
        self.streams[&id]
    }

    /// Sends `POST /` without END_STREAM as the peer: the stream is open.
    #[track_caller]
    pub fn post(&mut self, id: u32) -> StreamKey {
        self.peer(frames::headers(id, hpack::request("POST", "/")).end_headers());
        self.events([format!("HEADERS stream={id} request [{POST}]")]);
        self.streams[&id]
    }

    /// Sends a response with status 200 and without END_STREAM.
    #[track_caller]
    pub fn respond(&mut self, stream: StreamKey) {
        assert_eq!(self.call(|core| core.send_response(stream, Status::OK, [], false)), Ok(()));
        self.output([format!("HEADERS stream={stream} [:status: 200]")]);
    }

    /// Promises `GET /pushed`: the new stream is reserved (local).
    #[track_caller]
    pub fn promise(&mut self, parent: StreamKey) -> StreamKey {
        let request = Request::get("https", "example.org", "/pushed");
        let stream = self.call(|core| core.send_push(parent, &request, [])).expect("a promise");
        self.streams.insert(stream.id().as_u32(), stream);
        self.output([format!("PUSH_PROMISE stream={parent} promised={stream} [{PUSHED}]")]);
        stream
    }
}

impl Scene<Client> {
    /// Sends `GET /` with END_STREAM: the stream is half-closed (local).
    #[track_caller]
    pub fn get(&mut self) -> StreamKey {
        let stream = self.open("GET", true);
        self.output([format!("HEADERS stream={stream} end [{GET}]")]);
        stream
    }

    /// Sends `POST /` without END_STREAM: the stream is open.
    #[track_caller]
    pub fn post(&mut self) -> StreamKey {
        let stream = self.open("POST", false);
        self.output([format!("HEADERS stream={stream} [{POST}]")]);
        stream
    }

    #[track_caller]
    fn open(&mut self, method: &str, end: bool) -> StreamKey {
        let request = Request::new(method, "https", "example.org", "/");
        let stream = self.call(|core| core.send_request(&request, [], end)).expect("a new stream");
        self.streams.insert(stream.id().as_u32(), stream);
        stream
    }

    /// Sends a response with status 200 and without END_STREAM as the peer.
    #[track_caller]
    pub fn response(&mut self, id: u32) {
        self.peer(frames::headers(id, hpack::response(200)).end_headers());
        self.events([format!("HEADERS stream={id} response [:status: 200]")]);
    }

    /// Promises `GET /pushed` on the stream `parent` as the peer: the new stream is reserved
    /// (remote).
    #[track_caller]
    pub fn promised(&mut self, parent: u32, id: u32) -> StreamKey {
        self.peer(frames::push_promise(parent, id, hpack::get("/pushed")).end_headers());
        self.events([format!("HEADERS stream={id} push on={parent} [{PUSHED}]")]);
        self.streams[&id]
    }
}

#[track_caller]
fn assert_lines<T: AsRef<str>>(what: &str, observed: &[String], expected: &[T]) {
    let expected: Vec<String> = expected.iter().map(|line| line.as_ref().to_owned()).collect();
    if observed == expected {
        return;
    }
    let show =
        |lines: &[String]| lines.iter().map(|line| format!("\n    {}", lines::cut(line))).collect::<String>();
    panic!("{what}:{}\nexpected:{}", show(observed), show(&expected));
}

/// The fields of the requests that [`Scene`] makes.
pub const GET: &str = ":method: GET, :scheme: https, :authority: example.org, :path: /";
/// The same for POST.
pub const POST: &str = ":method: POST, :scheme: https, :authority: example.org, :path: /";
/// The same for a promised request.
pub const PUSHED: &str = ":method: GET, :scheme: https, :authority: example.org, :path: /pushed";
