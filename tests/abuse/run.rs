//! Runs an attack against a server core, and counts.

use thalweg::{
    Config, Connection, ConnectionError, Event, HeadersKind, Instant, ResetCause, Server, Status, StreamError,
};
use thalweg_testkit::frames::{self, Reader};

use super::{Application, Attack};

/// The result of an attack.
#[derive(Debug)]
pub struct AttackResult {
    /// Steps that were made before it ended.
    pub steps: u32,
    /// Bytes that the attacker sent.
    pub bytes_in: u64,
    /// Bytes that the server wrote.
    pub bytes_out: u64,
    /// Events that reached the application.
    pub events: u64,
    /// Streams that reached the application.
    pub requests: u64,
    /// Streams that a timeout reset.
    pub stalled: u64,
    /// The most heap that the connection held, as it counts it itself, bytes.
    pub heap_peak: usize,
    /// How the connection ended, if it did.
    pub error: Option<ConnectionError>,
    /// The GOAWAY frames on the wire: code and debug data.
    pub go_aways: Vec<(thalweg::ErrorCode, String)>,
}

/// Runs `attack` to its end.
pub fn run(attack: &Attack) -> AttackResult {
    let mut victim = Victim::new((attack.config)(), attack.server);
    let mut hello = frames::preface().to_vec();
    hello.extend_from_slice(&frames::settings().bytes());
    hello.extend_from_slice(&(attack.opening)());
    let mut now = Instant::ZERO;
    let mut steps = 0;
    if victim.take(&hello, now, attack.reads) {
        while steps < attack.steps {
            now = now + attack.pause;
            let bytes = (attack.step)(steps);
            steps += 1;
            if !victim.take(&bytes, now, attack.reads) {
                break;
            }
        }
    }
    victim.finish(steps)
}

struct Victim {
    connection: Connection<Server>,
    application: Application,
    wire: Vec<u8>,
    out: Vec<u8>,
    result: AttackResult,
}

impl Victim {
    fn new(config: Config, application: Application) -> Self {
        let connection = Connection::new(config).expect("the configuration of an attack is valid");
        let result = AttackResult {
            steps: 0,
            bytes_in: 0,
            bytes_out: 0,
            events: 0,
            requests: 0,
            stalled: 0,
            heap_peak: 0,
            error: None,
            go_aways: Vec::new(),
        };
        Self { connection, application, wire: Vec::new(), out: Vec::new(), result }
    }

    /// One turn of the server's loop. Returns whether the connection lives.
    fn take(&mut self, bytes: &[u8], now: Instant, reads: bool) -> bool {
        self.result.bytes_in += bytes.len() as u64;
        let mut input = bytes;
        let mut error = None;
        loop {
            match self.connection.receive(&mut input, now) {
                Ok(None) => break,
                Ok(Some(event)) => {
                    let event = EventKind::of(&event);
                    self.respond(event);
                }
                Err(end) => {
                    error = Some(end);
                    break;
                }
            }
        }
        while let Some(stream) = self.connection.poll_writable() {
            // An endless response: the rest is sent when the window allows. The peer may have reset
            // the stream meanwhile.
            let _ = self.connection.send_data(stream, &[0; 1 << 16], false);
        }
        if error.is_none() {
            error = self.connection.handle_timeout(now).err();
        }
        self.result.heap_peak = self.result.heap_peak.max(self.connection.heap_bytes());
        if reads || error.is_some() {
            self.transmit();
        }
        self.result.error = error;
        error.is_none()
    }

    fn respond(&mut self, event: EventKind) {
        self.result.events += 1;
        match event {
            EventKind::Request(stream) => {
                self.result.requests += 1;
                // A later reset may have ended the stream: then these calls return an error.
                match self.application {
                    Application::Waits | Application::RetainsInput => {}
                    Application::Answers => {
                        let _ = self.connection.send_response(stream, Status::OK, [], false);
                        // What the window does not allow is sent after `poll_writable`.
                        let _ = self.connection.send_data(stream, b"hello", true);
                    }
                    Application::Large => {
                        let _ = self.connection.send_response(stream, Status::OK, [], false);
                        let _ = self.connection.send_data(stream, &[0; 1 << 16], false);
                    }
                }
            }
            EventKind::Data(..) if self.application == Application::RetainsInput => {}
            EventKind::Data(stream, len) => self.connection.release(stream, len),
            EventKind::Stalled => self.result.stalled += 1,
            EventKind::Other => {}
        }
    }

    fn transmit(&mut self) {
        self.out.clear();
        while self.connection.poll_transmit(&mut self.out) {
            self.result.bytes_out += self.out.len() as u64;
            // The checks read only the end of the output.
            if self.wire.len() > 1 << 20 {
                self.wire.clear();
            }
            self.wire.extend_from_slice(&self.out);
            self.out.clear();
        }
    }

    fn finish(mut self, steps: u32) -> AttackResult {
        self.transmit();
        self.result.steps = steps;
        // Every transmission ends between two frames, so the rest starts with a frame header.
        let mut reader = Reader::default();
        reader.push(&self.wire);
        while let Ok(Some(frame)) = reader.next_frame() {
            if let (Some(code), Some(_)) = (frame.code(), frame.last_stream()) {
                let debug = String::from_utf8_lossy(&frame.payload()[8..]).into_owned();
                self.result.go_aways.push((code, debug));
            }
        }
        self.result
    }
}

/// The relevant parts of an event, without its borrows.
#[derive(Clone, Copy)]
enum EventKind {
    Request(thalweg::StreamKey),
    Data(thalweg::StreamKey, usize),
    Stalled,
    Other,
}

impl EventKind {
    fn of(event: &Event<'_, '_>) -> Self {
        match event {
            Event::Headers { stream, kind: HeadersKind::Request, .. } => Self::Request(*stream),
            Event::Data { stream, data, .. } => Self::Data(*stream, data.len()),
            Event::Reset { by: ResetCause::Local(StreamError::Timeout(_)), .. } => Self::Stalled,
            _ => Self::Other,
        }
    }
}
