//! Thalweg.
//!
//! `PREPARED` is what a program does that knows its fields: their names are looked up once. Without
//! it each name is looked up for each message, and content is released by a call as a program does
//! that consumes at its own pace.

use crate::endpoint::{Endpoint, Seen};
use crate::traffic::*;
use crate::wire::Wire;
use crate::workload::App;
use std::cell::RefCell;
use std::sync::OnceLock;
use std::time::Duration;
use thalweg::{
    Config, Connection, ErrorCode, Event, Field, Headers, HeadersKind, Instant, KnownName, RateLimit,
    Request, Role, Splice, Status, StreamKey, WindowRelease,
};

/// A server.
pub struct Server<const PREPARED: bool> {
    connection: Connection<thalweg::Server>,
    state: State,
}

/// A client.
pub struct Client<const PREPARED: bool> {
    connection: Connection<thalweg::Client>,
    state: State,
    next_path: usize,
}

struct State {
    app: App,
    now: Instant,
    seen: Seen,
    /// Bytes of names and values: the application reads every field.
    field_bytes: usize,
}

impl<const PREPARED: bool> Endpoint for Server<PREPARED> {
    const READS: bool = false;

    fn start(app: App, streams_max: u32) -> Self {
        let connection = Connection::new(config::<PREPARED>(streams_max)).expect("a good configuration");
        Self { connection, state: State::new(app) }
    }

    fn turn(&mut self, mut input: &[u8], out: &mut Wire) {
        let now = self.state.tick();
        while let Some(event) = self.connection.receive(&mut input, now).expect("a good peer") {
            match event {
                Event::Headers { stream, headers, end, .. } => {
                    self.state.see_headers(&headers);
                    self.state.seen.messages += 1;
                    if end {
                        self.answer(stream);
                    }
                }
                Event::Data { stream, data, end } => {
                    self.state.seen.body_bytes += data.len() as u64;
                    if !PREPARED {
                        self.connection.release(stream, data.len());
                    }
                    if end {
                        self.answer(stream);
                    }
                }
                _ => {}
            }
        }
        finish_turn(&mut self.connection, self.state.app, out);
    }

    fn seen(&self) -> Seen {
        self.state.seen
    }
}

impl<const PREPARED: bool> Server<PREPARED> {
    fn answer(&mut self, stream: StreamKey) {
        self.state.seen.complete += 1;
        let list = match self.state.app {
            App::Unary => &RESPONSE[..],
            App::Grpc => &GRPC_RESPONSE,
            App::Send | App::Splice => &ENDLESS_RESPONSE,
            App::Receive | App::Cancel | App::Hold => return,
        };
        let connection = &mut self.connection;
        let sent = connection.send_response(stream, Status::OK, fields::<PREPARED>(list), false);
        sent.expect("a live stream");
        match self.state.app {
            App::Grpc => {
                send_whole(connection, stream, &BODY[..GRPC_BODY_BYTES], false);
                let sent = connection.send_trailers(stream, fields::<PREPARED>(&TRAILERS));
                sent.expect("a live stream");
            }
            App::Unary => send_whole(connection, stream, &BODY[..GET_BODY_BYTES], true),
            app => fill(connection, app, stream),
        }
    }
}

impl<const PREPARED: bool> Endpoint for Client<PREPARED> {
    const READS: bool = false;

    fn start(app: App, streams_max: u32) -> Self {
        let connection = Connection::new(config::<PREPARED>(streams_max)).expect("a good configuration");
        Self { connection, state: State::new(app), next_path: 0 }
    }

    fn ask(&mut self, requests: usize) {
        static PATHS: OnceLock<Vec<String>> = OnceLock::new();
        let paths = PATHS.get_or_init(paths);
        let app = self.state.app;
        let has_body = matches!(app, App::Grpc | App::Send | App::Splice);
        for _ in 0..requests {
            let path = &paths[self.next_path % paths.len()];
            self.next_path += 1;
            let (request, list) = if app == App::Grpc {
                (Request::new("POST", "http", "localhost:50051", "/bench.Echo/UnaryEcho"), &GRPC[4..])
            } else {
                let method = if has_body { "POST" } else { "GET" };
                (Request::new(method, "https", "www.example.com", path), &GET[4..])
            };
            let sent = self.connection.send_request(&request, fields::<PREPARED>(list), !has_body);
            let stream = sent.expect("room for a stream");
            match app {
                App::Grpc => send_whole(&mut self.connection, stream, &BODY[..GRPC_BODY_BYTES], true),
                _ if has_body => fill(&mut self.connection, app, stream),
                _ => {}
            }
        }
    }

    fn turn(&mut self, mut input: &[u8], out: &mut Wire) {
        let now = self.state.tick();
        while let Some(event) = self.connection.receive(&mut input, now).expect("a good peer") {
            match event {
                Event::Headers { stream, kind, headers, end } => {
                    self.state.see_headers(&headers);
                    self.state.seen.messages += u64::from(kind == HeadersKind::Response);
                    self.state.seen.complete += u64::from(end);
                    if self.state.app == App::Cancel {
                        self.connection.send_reset(stream, ErrorCode::CANCEL);
                    }
                }
                Event::Data { stream, data, end } => {
                    self.state.seen.body_bytes += data.len() as u64;
                    self.state.seen.complete += u64::from(end);
                    if !PREPARED {
                        self.connection.release(stream, data.len());
                    }
                }
                _ => {}
            }
        }
        finish_turn(&mut self.connection, self.state.app, out);
    }

    fn seen(&self) -> Seen {
        self.state.seen
    }
}

impl State {
    fn new(app: App) -> Self {
        Self { app, now: Instant::ZERO, seen: Seen::default(), field_bytes: 0 }
    }

    /// Time passes from turn to turn.
    fn tick(&mut self) -> Instant {
        self.now = self.now + TURN;
        self.now
    }

    fn see_headers(&mut self, headers: &Headers<'_>) {
        let pseudo = [headers.method(), headers.scheme(), headers.authority(), headers.path()];
        self.field_bytes += pseudo.iter().flatten().map(|value| value.len()).sum::<usize>();
        self.field_bytes +=
            headers.fields().map(|field| field.name().len() + field.value.len()).sum::<usize>();
    }
}

fn config<const PREPARED: bool>(streams_max: u32) -> Config {
    let mut config = Config::default();
    config.concurrent_streams_max = streams_max;
    config.stream_window_bytes = WINDOW_BYTES;
    config.connection_window_bytes = WINDOW_BYTES;
    // The output has room for whole frames, so that the windows of the endless bodies are used up
    // by whole frames: the core would hold back a rest that only a window makes short.
    config.output_bytes_max = 4 * (FRAME_BYTES + thalweg::frame::HEADER_LEN) as u32;
    // The scripted peer of W4 cancels without pause.
    config.rate_limits.resets = RateLimit::UNLIMITED;
    if PREPARED {
        // The application consumes at once.
        config.release = WindowRelease::Automatic;
    }
    config
}

/// Returns a message's fields: as they are prepared, or with each name looked up now.
fn fields<const PREPARED: bool>(
    prepared: &'static [Field<'static>],
) -> impl Iterator<Item = Field<'static>> + Clone {
    prepared.iter().map(|field| if PREPARED { *field } else { Field::new(field.name(), field.value) })
}

const fn prepare<const N: usize>(list: &[(&'static str, &'static str); N]) -> [Field<'static>; N] {
    let mut all = [Field::with_known_name(KnownName::NONE, b""); N];
    let mut i = 0;
    while i < N {
        let (name, value) = (list[i].0.as_bytes(), list[i].1.as_bytes());
        let known_name = KnownName::of(name);
        all[i] = if known_name.is_known() {
            Field::with_known_name(known_name, value)
        } else {
            Field::with_unlisted_name(name, value)
        };
        i += 1;
    }
    all
}

static GET: [Field<'static>; 10] = prepare(&GET_FIELDS);
static GRPC: [Field<'static>; 9] = prepare(&GRPC_FIELDS);
static RESPONSE: [Field<'static>; 5] = prepare(&RESPONSE_FIELDS);
static ENDLESS_RESPONSE: [Field<'static>; 3] = prepare(&ENDLESS_RESPONSE_FIELDS);
static GRPC_RESPONSE: [Field<'static>; 1] = prepare(&GRPC_RESPONSE_FIELDS);
static TRAILERS: [Field<'static>; 2] = prepare(&GRPC_TRAILERS);

fn send_whole<R: Role>(connection: &mut Connection<R>, stream: StreamKey, data: &[u8], end: bool) {
    let taken = connection.send_data(stream, data, end).expect("a live stream");
    assert_eq!(taken, data.len(), "the windows of these scenes hold every message");
}

/// Sends as much of an endless body as is taken.
fn fill<R: Role>(connection: &mut Connection<R>, app: App, stream: StreamKey) {
    loop {
        let taken = match app {
            App::Splice => connection.splice_data(stream, FRAME_BYTES, false),
            _ => connection.send_data(stream, &BODY, false),
        };
        if taken.expect("a live stream") < FRAME_BYTES {
            return;
        }
    }
}

/// Does what an I/O loop does after its input: sends on blocked streams, and writes.
fn finish_turn<R: Role>(connection: &mut Connection<R>, app: App, out: &mut Wire) {
    loop {
        while let Some(stream) = connection.poll_writable() {
            fill(connection, app, stream);
        }
        let written = if app == App::Splice {
            transmit_spliced(connection, out)
        } else {
            out.put_taken(|bytes| connection.poll_transmit(bytes))
        };
        if !written {
            break;
        }
    }
    std::hint::black_box(connection.poll_timeout());
}

/// Writes the output with each payload in its place, as a vectored write would.
fn transmit_spliced<R: Role>(connection: &mut Connection<R>, out: &mut Wire) -> bool {
    thread_local! {
        static LAST: RefCell<(Vec<u8>, Vec<Splice>)> = RefCell::default();
    }
    LAST.with_borrow_mut(|(bytes, splices)| {
        bytes.clear();
        splices.clear();
        if !connection.poll_transmit_spliced(bytes, splices) {
            return false;
        }
        let mut at = 0;
        for splice in splices.iter() {
            out.put(&bytes[at..splice.offset]);
            out.put(&BODY[..splice.len]);
            at = splice.offset;
        }
        out.put(&bytes[at..]);
        true
    })
}

/// The time between two reads.
const TURN: Duration = Duration::from_micros(50);
