//! Runs an attack over a socket against a real server, and measures another client meanwhile.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use thalweg::{Client, Config, Connection, Event, Request};
use thalweg_testkit::frames::{self, Reader};

use super::Attack;

/// The result of an attack on the wire.
#[derive(Debug)]
pub struct WireAttackResult {
    /// Bytes that the attacker could send.
    pub bytes_in: u64,
    /// Bytes that came back.
    pub bytes_out: u64,
    /// The debug data of the GOAWAY that ended the connection, if one did.
    pub go_away: Option<String>,
    /// Whether the server ended the connection without a GOAWAY.
    pub silent_end: bool,
    /// The longest wait of the bystander, a client on another connection, for a response.
    pub bystander_worst: Duration,
    /// Responses that the bystander got.
    pub bystander_answers: u32,
}

/// Runs `attack` against `server`.
///
/// # Errors
/// The bystander or the attacker could not connect, or the bystander was not answered.
pub fn run_on_wire(attack: &Attack, server: SocketAddr) -> std::io::Result<WireAttackResult> {
    let stop = Arc::new(AtomicBool::new(false));
    let bystander = {
        let (stop, socket) = (Arc::clone(&stop), TcpStream::connect(server)?);
        thread::spawn(move || run_bystander(socket, &stop))
    };
    let attacked = attack_over(attack, TcpStream::connect(server)?);
    stop.store(true, Ordering::Relaxed);
    let (bystander_answers, bystander_worst) =
        bystander.join().map_err(|_| std::io::Error::other("the bystander panicked"))??;
    let (bytes_in, back, ended) = attacked?;
    let mut reader = Reader::default();
    reader.allow_frame_bytes(1 << 24);
    reader.push(&back);
    let mut go_away = None;
    while let Ok(Some(frame)) = reader.next_frame() {
        if frame.last_stream().is_some() {
            go_away = Some(String::from_utf8_lossy(&frame.payload()[8..]).into_owned());
        }
    }
    let silent_end = ended && go_away.is_none();
    Ok(WireAttackResult {
        bytes_in,
        bytes_out: back.len() as u64,
        go_away,
        silent_end,
        bystander_worst,
        bystander_answers,
    })
}

/// Sends the script; returns what was sent, what came back, and whether the server ended the
/// connection by itself.
fn attack_over(attack: &Attack, mut socket: TcpStream) -> std::io::Result<(u64, Vec<u8>, bool)> {
    let mut from = socket.try_clone()?;
    from.set_read_timeout(Some(WAIT))?;
    socket.set_write_timeout(Some(WAIT))?;
    let reads = attack.reads;
    let finished = Arc::new(AtomicBool::new(false));
    let watch = Arc::clone(&finished);
    let reader = thread::spawn(move || read_back(&mut from, reads, &watch));
    let mut bytes = frames::preface().to_vec();
    bytes.extend_from_slice(&frames::settings().bytes());
    bytes.extend_from_slice(&(attack.opening)());
    let mut sent = 0;
    for step in 0..=attack.steps {
        if socket.write_all(&bytes).is_err() {
            break;
        }
        sent += bytes.len() as u64;
        if step < attack.steps {
            bytes = (attack.step)(step);
        }
    }
    // The server still responds to an attacker that has half-closed.
    let _ = socket.shutdown(Shutdown::Write);
    finished.store(true, Ordering::Relaxed);
    let (back, before) = reader.join().map_err(|_| std::io::Error::other("the reader panicked"))?;
    Ok((sent, back, before))
}

/// Reads until the end; returns whether it came before the script was complete.
fn read_back(from: &mut TcpStream, reads: bool, finished: &AtomicBool) -> (Vec<u8>, bool) {
    let mut back = Vec::new();
    let mut buf = [0; 16 << 10];
    while !reads && !finished.load(Ordering::Relaxed) {
        thread::sleep(Duration::from_millis(1));
    }
    loop {
        match from.read(&mut buf) {
            Ok(0) => return (back, !finished.load(Ordering::Relaxed)),
            Ok(len) => back.extend_from_slice(&buf[..len]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return (back, !finished.load(Ordering::Relaxed)),
        }
    }
}

/// Requests a few bytes again and again, and measures the longest wait.
fn run_bystander(mut socket: TcpStream, stop: &AtomicBool) -> std::io::Result<(u32, Duration)> {
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(WAIT))?;
    let mut connection = Connection::<Client>::new(Config::default()).map_err(std::io::Error::other)?;
    let (mut out, mut buf) = (Vec::new(), vec![0; 16 << 10]);
    let (mut worst, mut answers) = (Duration::ZERO, 0);
    while !stop.load(Ordering::Relaxed) || answers == 0 {
        let request = Request::get("http", "bystander", "/bytes/128?seed=1");
        connection.send_request(&request, [], true).map_err(std::io::Error::other)?;
        let asked = Instant::now();
        let mut answered = false;
        while !answered {
            while connection.poll_transmit(&mut out) {
                socket.write_all(&out)?;
                out.clear();
            }
            let len = socket.read(&mut buf)?;
            if len == 0 {
                return Err(std::io::Error::other("the bystander's connection was ended"));
            }
            let mut input = &buf[..len];
            let now = thalweg::Instant::ZERO;
            while let Some(event) = connection.receive(&mut input, now).map_err(std::io::Error::other)? {
                if let Event::Data { stream, data, end } = event {
                    answered |= end;
                    connection.release(stream, data.len());
                }
            }
        }
        worst = worst.max(asked.elapsed());
        answers += 1;
        thread::sleep(Duration::from_millis(2));
    }
    connection.close(thalweg::ErrorCode::NO_ERROR, b"");
    while connection.poll_transmit(&mut out) {
        socket.write_all(&out)?;
        out.clear();
    }
    Ok((answers, worst))
}

/// The longest wait for the server.
const WAIT: Duration = Duration::from_secs(10);
