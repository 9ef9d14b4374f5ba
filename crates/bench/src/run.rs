//! Runs one scene on one peer and reports one kind of figure.
//!
//! Everything an endpoint will receive is made before it starts. The amount that is made does not
//! depend on the amount that is run, so that the difference of two instruction counts, of runs of
//! different size, holds nothing but the endpoint's own work.

use crate::allocator::{Counts, is_counting};
use crate::endpoint::Endpoint;
use crate::script::Script;
use crate::traffic::STREAMS_MAX;
use crate::wire::Wire;
use crate::work::Work;
use crate::workload::{Scene, Workload};

/// What to run.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Traffic and side.
    pub scene: Scene,
    /// Chunks (connections in `w6`) that are run after the warm-up.
    pub chunks: usize,
    /// Chunks that are made, at least as many.
    pub made: usize,
    /// Units of work in a chunk, which is what one or more reads return.
    pub units: usize,
    /// Streams that stay open throughout.
    pub held: usize,
    /// Connections that get every chunk in turn.
    pub connections: usize,
}

/// Which figures to report, as lines of a name and a number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// `units`, for a program that counts this one's instructions.
    Count,
    /// `ns` of processor time per unit.
    Time,
    /// `allocations` and `bytes` per unit, or per connection or stream in `w5idle` and `w5stream`.
    Allocations,
    /// What was received and sent, to be compared between peers.
    Check,
}

impl Plan {
    /// Runs the plan on one peer.
    ///
    /// # Errors
    /// If the peer did not do the plan's work, which only [`Mode::Check`] detects.
    pub fn run<E: Endpoint>(&self, mode: Mode) -> Result<String, String> {
        let mut reader = Reader::new(mode);
        let (cost, mut work) = match self.scene.workload {
            Workload::W5Idle => self.idle_connections::<E>(&mut reader),
            Workload::W5Stream => self.idle_streams::<E>(&mut reader),
            Workload::W6 => self.set_ups::<E>(&mut reader),
            _ => self.traffic::<E>(&mut reader),
        };
        work.sent = reader.out.tally();
        cost.report(mode, work, Work::of(self))
    }

    fn traffic<E: Endpoint>(&self, reader: &mut Reader) -> (Cost, Work) {
        let mut script = Script::new(self.scene);
        let opening = script.opening();
        let start = script.start();
        let held = script.held(self.held);
        let made = if self.scene.is_endless() { 1 } else { WARM_CHUNKS + self.made.max(self.chunks) };
        let chunks: Vec<_> = (0..made).map(|_| script.chunk(self.units)).collect();
        let mut chunks = chunks.iter().cycle().map(Vec::as_slice);
        let mut ends: Vec<E> = Vec::with_capacity(self.connections);
        for _ in 0..self.connections {
            let mut end = self.connect(&opening, reader);
            reader.ask(&mut end, script.asked_first());
            reader.read(&mut end, &start);
            reader.ask(&mut end, if self.scene.is_client() { self.held } else { 0 });
            reader.read(&mut end, &held);
            ends.push(end);
        }
        let asked = if self.scene.is_client() && !self.scene.is_endless() { self.units } else { 0 };
        measured_chunks(&mut ends, chunks.by_ref().take(WARM_CHUNKS), asked, reader);
        let stopwatch = Stopwatch::start();
        measured_chunks(&mut ends, chunks.take(self.chunks), asked, reader);
        (stopwatch.stop(self.chunks * self.units * self.connections), Work::seen_by(&ends))
    }

    fn set_ups<E: Endpoint>(&self, reader: &mut Reader) -> (Cost, Work) {
        let opening = Script::new(self.scene).opening();
        for _ in 0..WARM_CHUNKS {
            self.measured_set_up::<E>(&opening, reader);
        }
        let stopwatch = Stopwatch::start();
        for _ in 0..self.chunks {
            self.measured_set_up::<E>(&opening, reader);
        }
        (stopwatch.stop(self.chunks), Work::default())
    }

    fn idle_connections<E: Endpoint>(&self, reader: &mut Reader) -> (Cost, Work) {
        let opening = Script::new(self.scene).opening();
        // What a thread keeps for all its connections is paid once.
        let first: E = self.connect(&opening, reader);
        let mut ends: Vec<E> = Vec::with_capacity(IDLE_CONNECTIONS);
        let stopwatch = Stopwatch::start();
        for _ in 0..IDLE_CONNECTIONS {
            ends.push(self.connect(&opening, reader));
        }
        let cost = stopwatch.stop(IDLE_CONNECTIONS).with_live_bytes(size_of::<E>());
        drop(first);
        (cost, Work::seen_by(&ends))
    }

    fn idle_streams<E: Endpoint>(&self, reader: &mut Reader) -> (Cost, Work) {
        let mut script = Script::new(self.scene);
        let opening = script.opening();
        let chunks: Vec<_> = (0..MANY_STREAMS / FEW_STREAMS).map(|_| script.held(FEW_STREAMS)).collect();
        let mut end: E = self.connect(&opening, reader);
        let mut open = |chunk: &[u8]| {
            reader.ask(&mut end, if self.scene.is_client() { FEW_STREAMS } else { 0 });
            reader.read(&mut end, chunk);
        };
        open(&chunks[0]);
        let stopwatch = Stopwatch::start();
        chunks[1..].iter().for_each(|chunk| open(chunk));
        let cost = stopwatch.stop(MANY_STREAMS - FEW_STREAMS).with_live_bytes(0);
        (cost, Work::seen_by(&[end]))
    }

    /// One unit of `w6`, under a name that a profiler can select.
    #[inline(never)]
    fn measured_set_up<E: Endpoint>(&self, opening: &[Vec<u8>; 2], reader: &mut Reader) {
        drop(self.connect::<E>(opening, reader));
    }

    /// Returns a connection after both ends have sent their prefaces.
    fn connect<E: Endpoint>(&self, opening: &[Vec<u8>; 2], reader: &mut Reader) -> E {
        let streams_max = STREAMS_MAX.max((self.held + self.units) as u32);
        let mut end = E::start(self.scene.app(), streams_max);
        for bytes in opening {
            reader.read(&mut end, bytes);
        }
        end
    }
}

/// The part of a run that is measured, under a name that a profiler can select.
#[inline(never)]
fn measured_chunks<'a, E: Endpoint>(
    ends: &mut [E],
    chunks: impl Iterator<Item = &'a [u8]>,
    asked: usize,
    reader: &mut Reader,
) {
    for chunk in chunks {
        for end in &mut *ends {
            reader.ask(end, asked);
            reader.read(end, chunk);
        }
    }
}

/// The socket of all connections of the thread: one read buffer, one sink.
struct Reader {
    buf: Vec<u8>,
    out: Wire,
}

impl Reader {
    fn new(mode: Mode) -> Self {
        let out = if mode == Mode::Check { Wire::keeping() } else { Wire::dropping() };
        Self { buf: vec![0; READ_BYTES], out }
    }

    /// Lets a client open requests, if any, and write them.
    #[inline]
    fn ask<E: Endpoint>(&mut self, end: &mut E, requests: usize) {
        if requests > 0 {
            end.ask(requests);
            end.turn(&[], &mut self.out);
        }
    }

    /// Hands over bytes in reads of at most [`READ_BYTES`], with one copy in place of the
    /// kernel's unless the endpoint makes it.
    #[inline]
    fn read<E: Endpoint>(&mut self, end: &mut E, bytes: &[u8]) {
        for part in bytes.chunks(READ_BYTES) {
            if E::READS {
                end.turn(part, &mut self.out);
            } else {
                let buf = &mut self.buf[..part.len()];
                buf.copy_from_slice(part);
                end.turn(buf, &mut self.out);
            }
        }
    }
}

/// Clock and allocation counts at the start of what is measured.
///
/// The clock is the thread's own processor time: what else runs on the machine stops the thread,
/// but not its clock's meaning.
struct Stopwatch {
    counts: Counts,
    ns: i64,
}

impl Stopwatch {
    fn start() -> Self {
        Self { counts: Counts::now(), ns: thread_ns() }
    }

    fn stop(&self, units: usize) -> Cost {
        let ns = (thread_ns() - self.ns) as f64;
        let now = Counts::now();
        let per_unit = |amount: f64| amount / units as f64;
        Cost {
            units,
            ns: per_unit(ns),
            allocations: per_unit((now.calls - self.counts.calls) as f64),
            bytes: per_unit((now.bytes - self.counts.bytes) as f64),
            live_bytes: per_unit((now.live - self.counts.live) as f64),
        }
    }
}

fn thread_ns() -> i64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is there to be written for the length of the call.
    let status = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    assert_eq!(status, 0, "every Linux has this clock");
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

/// What was measured, per unit of work.
struct Cost {
    units: usize,
    ns: f64,
    allocations: f64,
    /// Bytes asked for, or bytes kept where a scene measures memory.
    bytes: f64,
    live_bytes: f64,
}

impl Cost {
    /// Counts the bytes that are still allocated, and `inline` more in each unit, as the unit's
    /// bytes.
    fn with_live_bytes(self, inline: usize) -> Self {
        Self { bytes: self.live_bytes + inline as f64, ..self }
    }

    fn report(&self, mode: Mode, done: Work, asked: Work) -> Result<String, String> {
        let Self { units, ns, allocations, bytes, .. } = self;
        match mode {
            Mode::Count => Ok(format!("units {units}")),
            Mode::Time => Ok(format!("ns {ns}")),
            Mode::Allocations if !is_counting() => {
                Err("only the program `measure_allocations` counts allocations".to_owned())
            }
            Mode::Allocations => Ok(format!("allocations {allocations}\nbytes {bytes}")),
            Mode::Check if done == asked => Ok(format!("{done:?}")),
            Mode::Check => Err(format!("the work was\n  {asked:?}\nbut what was done is\n  {done:?}")),
        }
    }
}

/// Bytes that one read returns at most.
const READ_BYTES: usize = 64 << 10;
/// Chunks that go before, in which tables and buffers reach their steady state.
pub const WARM_CHUNKS: usize = 5;
/// Connections of `w5idle`.
pub const IDLE_CONNECTIONS: usize = 1000;
/// Streams that `w5stream` opens at a time. It counts from the second time on.
const FEW_STREAMS: usize = 100;
/// Streams that it has open at the end.
pub const MANY_STREAMS: usize = 1000;
