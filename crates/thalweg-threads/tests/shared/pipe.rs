//! A driver in a test's own loop, over a transport that moves an arbitrary number of bytes.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use thalweg_testkit::frames::{
    Frame, Reader, headers, preface, setting, settings, settings_ack, window_update, wire,
};
use thalweg_testkit::hpack;
use thalweg_threads::server::Builder;
use thalweg_threads::{
    Body, Pool, Readiness, Request, Responder, Response, ServerDriver, Transport, Turn, Wait,
};

use super::{LIMIT, Random};

/// An in-memory transport. The test holds its other end.
#[derive(Clone, Default)]
pub struct Pipe(pub Arc<Mutex<Ends>>);

#[derive(Default)]
pub struct Ends {
    pub to_driver: Vec<u8>,
    pub from_driver: Vec<u8>,
    /// Bytes that the driver may still write; `None`: any number.
    pub room: Option<usize>,
    /// The most that one call moves.
    pub step: Option<usize>,
    pub writes: usize,
    /// Whether one call accepts many slices; and the addresses and lengths of those accepted.
    pub is_vectored: bool,
    pub slices: Vec<(usize, usize)>,
    pub has_ended: bool,
    pub driver_has_ended: bool,
    pub fails: Option<ErrorKind>,
    pub read_fails: Option<ErrorKind>,
    pub write_fails: Option<ErrorKind>,
    /// Whether a write has failed.
    pub write_failed: bool,
    /// If set, calls randomly find the transport not ready.
    pub stutter: Option<Random>,
}

impl Pipe {
    pub fn with<T>(&self, act: impl FnOnce(&mut Ends) -> T) -> T {
        act(&mut self.0.lock().unwrap())
    }

    pub fn send(&self, bytes: &[u8]) {
        self.with(|ends| ends.to_driver.extend_from_slice(bytes));
    }

    pub fn written(&self) -> Vec<u8> {
        self.with(|ends| std::mem::take(&mut ends.from_driver))
    }
}

impl Read for Pipe {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.with(|ends| {
            if let Some(kind) = ends.fails.or(ends.read_fails) {
                return Err(kind.into());
            }
            if ends.stutter.as_mut().is_some_and(|random| random.below(2) == 0) {
                return Err(ErrorKind::WouldBlock.into());
            }
            let len = out.len().min(ends.to_driver.len()).min(ends.step.unwrap_or(usize::MAX));
            if len == 0 && !ends.has_ended {
                return Err(ErrorKind::WouldBlock.into());
            }
            out[..len].copy_from_slice(&ends.to_driver[..len]);
            ends.to_driver.drain(..len);
            Ok(len)
        })
    }
}

impl Write for Pipe {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.with(|ends| {
            assert!(!ends.driver_has_ended, "it writes after its end");
            if let Some(kind) = ends.fails.or(ends.write_fails) {
                ends.write_failed = true;
                return Err(kind.into());
            }
            if ends.stutter.as_mut().is_some_and(|random| random.below(2) == 0) {
                return Err(ErrorKind::WouldBlock.into());
            }
            let len = data.len().min(ends.room.unwrap_or(usize::MAX)).min(ends.step.unwrap_or(usize::MAX));
            if len == 0 {
                return Err(ErrorKind::WouldBlock.into());
            }
            ends.room = ends.room.map(|room| room - len);
            ends.writes += 1;
            ends.from_driver.extend_from_slice(&data[..len]);
            Ok(len)
        })
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let places = slices.iter().map(|slice| (slice.as_ptr() as usize, slice.len()));
        let step = self.with(|ends| {
            ends.slices.extend(places);
            ends.step.unwrap_or(usize::MAX)
        });
        self.write(&slices.iter().flat_map(|slice| slice.iter().copied()).take(step).collect::<Vec<u8>>())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Transport for Pipe {
    fn is_vectored(&self) -> bool {
        self.with(|ends| ends.is_vectored)
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        self.with(|ends| ends.driver_has_ended = true);
        Ok(())
    }
}

/// A server's driver, the other end of its transport, and its wake-ups.
pub struct Bench {
    pub driver: ServerDriver<Pipe>,
    pub pipe: Pipe,
    pub woken: Receiver<()>,
}

impl Bench {
    pub fn new(pool: &Pool, builder: &Builder) -> Self {
        Self::over(Pipe::default(), pool, builder)
    }

    /// The same over a vectored transport.
    pub fn vectored(pool: &Pool, builder: &Builder) -> Self {
        let pipe = Pipe::default();
        pipe.with(|ends| ends.is_vectored = true);
        Self::over(pipe, pool, builder)
    }

    fn over(pipe: Pipe, pool: &Pool, builder: &Builder) -> Self {
        let (wake, woken) = channel();
        let driver = builder.driver(pipe.clone(), pool, waker(wake)).unwrap();
        Self { driver, pipe, woken }
    }

    /// Takes turns until the driver would wait for its transport, or has ended.
    pub fn turns(&mut self) -> Turn {
        for _ in 0..1_000_000 {
            match self.driver.turn(Readiness::ALL) {
                Turn::Wait(Wait { timeout: Some(Duration::ZERO), .. }) => {}
                turn => return turn,
            }
        }
        panic!("it never waits");
    }

    /// Takes turns without checking what the driver waits for.
    pub fn go(&mut self) {
        let _ = self.turns();
    }

    /// Takes turns, and waits for wake-ups, until `done` returns a value.
    pub fn until<T>(&mut self, mut done: impl FnMut(&Pipe) -> Option<T>) -> T {
        let deadline = Instant::now() + LIMIT;
        while Instant::now() < deadline {
            let turn = self.turns();
            if let Some(found) = done(&self.pipe) {
                return found;
            }
            if let Turn::Wait(wait) = turn {
                let timeout = wait.timeout.unwrap_or(LIMIT).min(LIMIT);
                let _ = self.woken.recv_timeout(timeout);
            }
        }
        panic!("it does not come");
    }

    /// Takes turns until `count` frames of a type are written; returns all frames.
    pub fn frames(&mut self, wanted: u8, count: usize) -> Vec<Frame> {
        let (mut reader, mut frames) = (Reader::default(), Vec::new());
        self.until(|pipe| {
            reader.push(&pipe.written());
            while let Some(frame) = reader.next_frame().unwrap() {
                frames.push(frame);
            }
            (frames.iter().filter(|frame: &&Frame| frame.kind == wanted).count() >= count).then_some(())
        });
        frames
    }
}

/// A wake-up that sends a message; the receiver may be dropped.
pub fn waker(wake: Sender<()>) -> impl Fn() + Send + Sync + 'static {
    let wake = Mutex::new(wake);
    move || wake.lock().unwrap().send(()).unwrap_or_default()
}

pub fn get(stream: u32, path: &str) -> Vec<u8> {
    headers(stream, hpack::get(path)).end_stream().end_headers().bytes()
}

pub fn greeting(window: u32) -> Vec<u8> {
    let settings = settings().entry(setting::INITIAL_WINDOW_SIZE, window);
    wire([&preface(), &settings, &settings_ack(), &window_update(0, 0x7fff_0000)])
}

/// Responds with a greeting, or with as many bytes as the path names.
#[allow(clippy::needless_pass_by_value, reason = "it is a handler")]
pub fn sized(request: Request<Body>, responder: Responder) -> io::Result<()> {
    match request.path()[1..].parse::<usize>() {
        Ok(len) => responder.send(Response::ok().body(vec![len as u8; len])),
        Err(_) => responder.send(Response::ok().body("hello")),
    }
}
