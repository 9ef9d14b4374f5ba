//! The relay of one connection, and how it breaks it.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::{LIMIT, Random};

/// What the relay does to a connection, and when.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    disruption: Disruption,
    /// The side whose bytes are counted.
    is_up: bool,
    /// The number of those bytes after which the disruption starts.
    after: usize,
}

#[derive(Clone, Copy, Debug)]
enum Disruption {
    /// Both directions end in order.
    End,
    /// One direction ends in order.
    HalfEnd,
    /// Both ends see a reset.
    Reset,
    /// Nothing moves for a while, and then everything continues.
    Stall,
    /// Nothing moves for a while, and then both ends see a reset.
    StallAndReset,
}

impl Plan {
    pub fn draw(random: &mut Random) -> Self {
        let disruption = match random.below(5) {
            0 => Disruption::End,
            1 => Disruption::HalfEnd,
            2 => Disruption::Reset,
            3 => Disruption::Stall,
            _ => Disruption::StallAndReset,
        };
        // Within the preface, within the first frames, or anywhere in the content.
        let reach = [40, 400, 60_000, 600_000][random.below(4) as usize];
        Self { disruption, is_up: random.below(2) == 0, after: random.below(reach) as usize }
    }
}

/// State that both directions read.
#[derive(Default)]
struct State {
    is_over: AtomicBool,
    resets: AtomicBool,
}

/// Relays one connection to its end. Returns whether that came in time.
pub fn relay(listener: &TcpListener, server: SocketAddr, plan: Plan) -> bool {
    let client = listener.accept().expect("the client connects").0;
    let server = TcpStream::connect(server).expect("the server listens");
    let state = State::default();
    let deadline = Instant::now() + LIMIT;
    let ends = [&client, &server];
    for end in ends {
        end.set_nodelay(true).expect("a live socket");
        end.set_read_timeout(Some(TICK)).expect("a live socket");
        end.set_write_timeout(Some(TICK)).expect("a live socket");
    }
    thread::scope(|scope| {
        scope.spawn(|| copy(&client, &server, plan.is_up.then_some(plan), &state, deadline));
        copy(&server, &client, (!plan.is_up).then_some(plan), &state, deadline);
    });
    if state.resets.load(Ordering::Relaxed) {
        for end in ends {
            // An abortive close, which discards unsent bytes.
            rustix::net::sockopt::set_socket_linger(end, Some(Duration::ZERO)).expect("a live socket");
        }
    }
    Instant::now() < deadline
}

/// Copies bytes in one direction, until they end or the plan ends the copy.
fn copy(mut from: &TcpStream, to: &TcpStream, plan: Option<Plan>, state: &State, deadline: Instant) {
    let mut left = plan.map(|plan| plan.after);
    let mut buffer = [0; 16 << 10];
    while !state.is_over.load(Ordering::Relaxed) && Instant::now() < deadline {
        if left == Some(0) {
            left = None;
            match plan.map(|plan| plan.disruption) {
                Some(Disruption::Stall) => thread::sleep(STALL),
                Some(Disruption::HalfEnd) => break,
                Some(Disruption::End) => return state.is_over.store(true, Ordering::Relaxed),
                Some(Disruption::StallAndReset) => {
                    thread::sleep(STALL);
                    return end(state);
                }
                Some(Disruption::Reset) | None => return end(state),
            }
        }
        let room = left.unwrap_or(buffer.len()).min(buffer.len());
        match from.read(&mut buffer[..room]) {
            Ok(0) => break,
            Ok(len) => {
                left = left.map(|left| left - len);
                if !write(to, &buffer[..len], state, deadline) {
                    return end(state);
                }
            }
            Err(error) if is_tick(error.kind()) => {}
            // One side was reset; the other is reset too.
            Err(_) => return end(state),
        }
    }
    // The other direction may continue.
    let _ = to.shutdown(Shutdown::Write);
}

fn write(mut to: &TcpStream, mut bytes: &[u8], state: &State, deadline: Instant) -> bool {
    while !bytes.is_empty() && !state.is_over.load(Ordering::Relaxed) {
        match to.write(bytes) {
            Ok(len) => bytes = &bytes[len..],
            Err(error) if is_tick(error.kind()) && Instant::now() < deadline => {}
            Err(_) => return false,
        }
    }
    true
}

fn end(state: &State) {
    state.resets.store(true, Ordering::Relaxed);
    state.is_over.store(true, Ordering::Relaxed);
}

fn is_tick(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

/// How often a direction checks whether the other has ended the relay.
const TICK: Duration = Duration::from_millis(5);
const STALL: Duration = Duration::from_millis(20);
