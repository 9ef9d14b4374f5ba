//! A device that speaks HTTP/2 on a byte line: like firmware, this file is `no_std` with `alloc`.
//!
//! `GET /light` responds with `on` or `off`; `PUT /light` with one of these switches it. `cargo
//! xtask nostd` links this file into a program for a target without std.

use alloc::vec::Vec;

use thalweg::{Config, Connection, Event, Headers, HeadersKind, Instant, Server, Status, StreamKey};

/// The hardware: a UART with its two FIFOs, and a timer. Calls do not block.
pub trait Line {
    /// Copies received bytes; returns their number.
    fn receive(&mut self, buf: &mut [u8]) -> usize;
    /// Sends bytes as far as there is room; returns how many were accepted.
    fn send(&mut self, bytes: &[u8]) -> usize;
    /// Returns the time since the device was started.
    fn now(&self) -> Instant;
}

/// The connection, and the light that it switches.
pub struct Device {
    connection: Connection<Server>,
    /// Output that the line has not accepted yet.
    out: Vec<u8>,
    sent: usize,
    is_light_on: bool,
    /// Requests that switch the light, and their content so far.
    switching: Vec<(StreamKey, Vec<u8>)>,
    /// Content that waits for window.
    answers: Vec<(StreamKey, &'static [u8])>,
}

impl Device {
    /// Creates a device with limits for a small memory.
    pub fn new() -> Self {
        let mut config = Config::default();
        config.concurrent_streams_max = STREAMS_MAX;
        config.connection_window_bytes = 65_535;
        config.stream_window_bytes = 1024;
        config.header_table_bytes_max = 512;
        config.encoder_table_bytes_max = 512;
        config.header_list_bytes_max = 1024;
        config.header_block_bytes_max = 1024;
        config.control_payload_bytes_max = 256;
        config.closed_streams_max = 16;
        config.output_bytes_max = 1024;
        let connection = Connection::new(config).expect("the limits are in their ranges");
        let (out, switching, answers) = (Vec::new(), Vec::new(), Vec::new());
        Self { connection, out, sent: 0, is_light_on: false, switching, answers }
    }

    /// Takes one turn of the main loop. Returns whether anything made progress. If not, the
    /// processor may sleep until the line or [`deadline`](Self::deadline) wakes it.
    pub fn turn(&mut self, line: &mut impl Line) -> bool {
        let mut buf = [0; 64];
        let now = line.now();
        let len = if self.connection.wants_read() { line.receive(&mut buf) } else { 0 };
        let mut input = &buf[..len];
        while let Ok(Some(event)) = self.connection.receive(&mut input, now) {
            match event {
                Event::Headers { stream, kind: HeadersKind::Request, headers, end } => {
                    let asked = Target::of(&headers);
                    self.handle_event(stream, asked, end);
                }
                Event::Data { stream, data, end } => {
                    self.connection.release(stream, data.len());
                    self.take(stream, data, end);
                }
                Event::Reset { stream, .. } => {
                    self.switching.retain(|(other, _)| *other != stream);
                    self.answers.retain(|(other, _)| *other != stream);
                }
                _ => {}
            }
        }
        // A full buffer may have more behind it, which comes before the timeouts. The output
        // contains the GOAWAY of an error.
        if len < buf.len() {
            let _ = self.connection.handle_timeout(now);
        }
        self.answer();
        let sent = self.write(line);
        len > 0 || sent
    }

    /// Returns when the next turn is due, if the line has no event before.
    pub fn deadline(&self) -> Option<Instant> {
        self.connection.poll_timeout()
    }

    /// Returns whether the light is on.
    pub fn is_light_on(&self) -> bool {
        self.is_light_on
    }

    /// Returns the heap that the connection holds, bytes.
    pub fn heap_bytes(&self) -> usize {
        self.connection.heap_bytes()
    }

    fn handle_event(&mut self, stream: StreamKey, asked: Target, end: bool) {
        match asked {
            Target::Light => {
                let word: &[u8] = if self.is_light_on { b"on" } else { b"off" };
                self.respond(stream, Status::OK, false);
                self.answers.push((stream, word));
            }
            Target::Switch if !end => self.switching.push((stream, Vec::new())),
            Target::Switch => self.respond(stream, Status::BAD_REQUEST, true),
            Target::Other => self.respond(stream, Status::NOT_FOUND, true),
        }
    }

    /// Collects content of a request that switches the light, up to one byte more than the longest
    /// word.
    fn take(&mut self, stream: StreamKey, data: &[u8], end: bool) {
        let Some(at) = self.switching.iter().position(|(other, _)| *other == stream) else { return };
        let word = &mut self.switching[at].1;
        word.extend(data.iter().take(WORD_LEN_MAX + 1 - word.len()));
        if end {
            let (_, word) = self.switching.swap_remove(at);
            match word.as_slice() {
                b"on" => self.is_light_on = true,
                b"off" => self.is_light_on = false,
                _ => return self.respond(stream, Status::BAD_REQUEST, true),
            }
            self.respond(stream, Status::OK, true);
        }
    }

    fn respond(&mut self, stream: StreamKey, status: Status, end: bool) {
        // A closed stream needs no response.
        let _ = self.connection.send_response(stream, status, [], end);
    }

    /// Sends content as far as the windows allow.
    fn answer(&mut self) {
        let connection = &mut self.connection;
        // Every blocked stream is tried in each turn: there are few.
        self.answers.retain_mut(|(stream, content)| match connection.send_data(*stream, content, true) {
            Ok(taken) => {
                *content = &content[taken..];
                !content.is_empty()
            }
            Err(_) => false,
        });
    }

    /// Fills the line. Returns whether it accepted anything.
    fn write(&mut self, line: &mut impl Line) -> bool {
        if self.sent == self.out.len() {
            self.out.clear();
            self.sent = 0;
            let _ = self.connection.poll_transmit(&mut self.out);
        }
        let taken = line.send(&self.out[self.sent..]);
        self.sent += taken;
        taken > 0
    }
}

impl Default for Device {
    fn default() -> Self {
        Self::new()
    }
}

/// The target of a request.
#[derive(Clone, Copy)]
enum Target {
    Light,
    Switch,
    Other,
}

impl Target {
    fn of(headers: &Headers<'_>) -> Self {
        match (headers.method(), headers.path()) {
            (Some(b"GET"), Some(b"/light")) => Self::Light,
            (Some(b"PUT"), Some(b"/light")) => Self::Switch,
            _ => Self::Other,
        }
    }
}

/// Concurrent streams.
const STREAMS_MAX: u32 = 4;
/// `off`
const WORD_LEN_MAX: usize = 3;
