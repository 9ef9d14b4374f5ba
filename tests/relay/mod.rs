//! A relay between a client and a server of ours that cuts, half-closes, resets or stalls their
//! connection at a random point, round after round. Afterwards neither side may have panicked or
//! leaked, each side of each connection must have reported one end, and every response that counts
//! as complete must be right.
//!
//! All on the loopback, seeded, and bounded in time.

mod disruption;
mod on_threads;
mod on_tokio;

use std::fmt;
use std::net::{SocketAddr, TcpListener};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use disruption::{Plan, relay};

/// The adapter at both ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adapter {
    /// `thalweg-threads`.
    Threads,
    /// `thalweg-tokio`.
    Tokio,
}

/// The result of a number of rounds.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// Connections that were made through the relay.
    pub rounds: u64,
    /// Requests with a complete response.
    pub answered: u64,
    /// Requests that ended in an error.
    pub failed: u64,
    /// Responses with other content than requested.
    pub wrong: u64,
    /// Ends that the clients reported.
    pub client_ends: u64,
    /// Ends that the server reported.
    pub server_ends: u64,
    /// Streams and connections that the server still had after the last round.
    pub left: u64,
    /// Connections that outlived their time limit.
    pub stuck: u64,
    /// Panics on any thread.
    pub panics: u64,
    /// By how much the heap has grown since the warm-up, bytes.
    pub heap_growth: i64,
}

impl Outcome {
    /// Returns what is wrong, if anything is.
    ///
    /// # Errors
    /// The first check that fails.
    pub fn check(&self) -> Result<(), String> {
        let must_be_zero =
            [("wrong", self.wrong), ("left", self.left), ("stuck", self.stuck), ("panics", self.panics)];
        if let Some((what, count)) = must_be_zero.iter().find(|(_, count)| *count > 0) {
            return Err(format!("{what}: {count}"));
        }
        if self.client_ends != self.rounds || self.server_ends != self.rounds {
            return Err("not one report for each end of each connection".to_owned());
        }
        // Otherwise the rounds have tested nothing.
        if self.answered == 0 || self.failed == 0 {
            return Err("all requests went the same way".to_owned());
        }
        if self.heap_growth > HEAP_GROWTH_MAX {
            return Err(format!("the heap has grown by {} bytes", self.heap_growth));
        }
        Ok(())
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} rounds: {} requests answered, {} failed, {} wrong; {} ends reported by clients, {} by the server; {} left, {} stuck, \
             {} panics; heap {:+} bytes",
            self.rounds,
            self.answered,
            self.failed,
            self.wrong,
            self.client_ends,
            self.server_ends,
            self.left,
            self.stuck,
            self.panics,
            self.heap_growth
        )
    }
}

/// A server under test.
trait Subject: Sync {
    fn address(&self) -> SocketAddr;
    /// Makes requests over one connection, ends it, and counts.
    fn live(&self, address: SocketAddr, requests: &[RequestPlan], counts: &Counts);
    /// Waits until no client is connected; returns how many connections and streams are left.
    fn settle(&self) -> u64;
}

/// A request of a round.
#[derive(Clone, Copy, Debug)]
struct RequestPlan {
    is_echo: bool,
    len: usize,
}

#[derive(Default)]
struct Counts {
    answered: AtomicU64,
    failed: AtomicU64,
    wrong: AtomicU64,
    client_ends: AtomicU64,
    server_ends: AtomicU64,
    stuck: AtomicU64,
}

impl Counts {
    /// The connection broke before the client had it: this error is the end that the client
    /// reports.
    fn not_connected(&self, requests: &[RequestPlan]) {
        self.failed.fetch_add(requests.len() as u64, Ordering::Relaxed);
        self.client_ends.fetch_add(1, Ordering::Relaxed);
    }

    fn classify<E>(&self, asked: RequestPlan, answer: Result<Vec<u8>, E>) {
        let counter = match answer {
            Ok(bytes) if bytes == content(asked.len) => &self.answered,
            Ok(_) => &self.wrong,
            Err(_) => &self.failed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// Runs `rounds` connections, `WORKERS` at a time; `live_heap` returns the bytes that are allocated
/// in the process.
pub fn run(adapter: Adapter, rounds: u64, seed: u64, live_heap: fn() -> usize) -> Outcome {
    static PANICS: AtomicU64 = AtomicU64::new(0);
    let default_hook = std::panic::take_hook();
    let before_panics = PANICS.load(Ordering::Relaxed);
    std::panic::set_hook(Box::new(move |info| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        default_hook(info);
    }));
    let counts = std::sync::Arc::new(Counts::default());
    let subject: Box<dyn Subject> = match adapter {
        Adapter::Threads => Box::new(on_threads::Running::start(std::sync::Arc::clone(&counts))),
        Adapter::Tokio => Box::new(on_tokio::Running::start(std::sync::Arc::clone(&counts))),
    };
    // Pools and tables grow to their size once.
    let warm_up = (rounds / 4).clamp(1, 200);
    run_rounds(&*subject, 0..warm_up, seed, &counts);
    let mut left = subject.settle();
    let before = settled(live_heap);
    run_rounds(&*subject, warm_up..rounds, seed, &counts);
    left += subject.settle();
    let after = settled(live_heap);
    drop(subject);
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    Outcome {
        rounds,
        answered: count(&counts.answered),
        failed: count(&counts.failed),
        wrong: count(&counts.wrong),
        client_ends: count(&counts.client_ends),
        server_ends: count(&counts.server_ends),
        left,
        stuck: count(&counts.stuck),
        panics: PANICS.load(Ordering::Relaxed) - before_panics,
        heap_growth: after as i64 - before as i64,
    }
}

/// The heap once it has not changed for a while: an end is reported before the last of its
/// connection is freed.
fn settled(live_heap: fn() -> usize) -> usize {
    let (mut last, mut same) = (live_heap(), 0);
    for _ in 0..500 {
        thread::sleep(Duration::from_millis(10));
        let now = live_heap();
        same = if now == last { same + 1 } else { 0 };
        last = now;
        if same == 30 {
            break;
        }
    }
    last
}

fn run_rounds(subject: &dyn Subject, rounds: std::ops::Range<u64>, seed: u64, counts: &Counts) {
    let rounds = Mutex::new(rounds);
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
                loop {
                    let next = rounds.lock().expect("no holder panics").next();
                    let Some(round) = next else { return };
                    run_round(subject, &listener, &mut Random(seed ^ (round << 20)), counts);
                }
            });
        }
    });
}

fn run_round(subject: &dyn Subject, listener: &TcpListener, random: &mut Random, counts: &Counts) {
    let plan = Plan::draw(random);
    let requests: Vec<_> = (0..1 + random.below(4))
        .map(|_| RequestPlan {
            is_echo: random.below(2) == 0,
            len: [5, 3000, 40_000, 300_000][random.below(4) as usize],
        })
        .collect();
    let address = listener.local_addr().expect("it is bound");
    thread::scope(|scope| {
        let relaying = scope.spawn(|| relay(listener, subject.address(), plan));
        subject.live(address, &requests, counts);
        if !relaying.join().expect("the relay does not panic") {
            counts.stuck.fetch_add(1, Ordering::Relaxed);
        }
    });
}

/// Returns the content of the response to a request of this length.
fn content(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 7 + len) as u8).collect()
}

/// A generator of numbers that a seed replays (SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// Connections at the same time.
const WORKERS: usize = 4;
/// For a request, and for the end of a connection.
const LIMIT: Duration = Duration::from_secs(20);
/// The most that caches of the runtime and of the standard library may hold, bytes: less than the
/// state of one connection with its buffers.
const HEAP_GROWTH_MAX: i64 = 64 << 10;
