//! A complete HTTP/2 server in one thread: an epoll loop with `mio` and the core. `epoll_loop
//! [--listen ADDR]`.
//!
//! One read buffer serves all connections, since the core keeps no reference to input. An idle
//! connection needs memory for its own state only.

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use thalweg::{Config, Connection, Instant, Server};
use thalweg_examples::application::Application;
use thalweg_examples::arguments::{self, Listen};
use thalweg_examples::hash_seed::hash_seed;

const LISTENER: Token = Token(0);
/// Time for the peer to close its side after ours is closed.
const LINGER: Duration = Duration::from_secs(1);

struct Loop {
    poll: Poll,
    listener: TcpListener,
    peers: HashMap<Token, Peer>,
    next: usize,
    start: std::time::Instant,
    buf: Vec<u8>,
}

struct Peer {
    socket: TcpStream,
    connection: Connection<Server>,
    application: Application,
    out: Vec<u8>,
    written: usize,
    /// Our side is closed; until this time the peer's input is drained.
    draining: Option<Instant>,
    ended: bool,
}

impl Loop {
    fn bind(address: SocketAddr) -> io::Result<Self> {
        let mut listener = TcpListener::bind(address)?;
        let poll = Poll::new()?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        let (peers, start) = (HashMap::new(), std::time::Instant::now());
        Ok(Self { poll, listener, peers, next: 1, start, buf: vec![0; 64 << 10] })
    }

    fn now(&self) -> Instant {
        Instant::from_origin(self.start.elapsed())
    }

    /// Waits for sockets and timeouts, and serves the connections that are due.
    fn turn(&mut self, events: &mut Events) -> io::Result<()> {
        // A loop for many connections would keep the deadlines in a heap.
        let deadline = self.peers.values().filter_map(Peer::deadline).min();
        let timeout = deadline.map(|at| at.saturating_duration_since(self.now()));
        match self.poll.poll(events, timeout) {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        let now = self.now();
        let ready = events.iter().map(mio::event::Event::token);
        let due = self.peers.iter().filter(|(_, peer)| peer.deadline().is_some_and(|at| at <= now));
        let tokens: Vec<Token> = ready.chain(due.map(|(token, _)| *token)).collect();
        for token in tokens {
            if token == LISTENER {
                self.accept(now);
            } else {
                self.serve(token, now);
            }
        }
        Ok(())
    }

    fn accept(&mut self, now: Instant) {
        while let Ok((mut socket, _)) = self.listener.accept() {
            let token = Token(self.next);
            self.next += 1;
            let both = Interest::READABLE | Interest::WRITABLE;
            if self.poll.registry().register(&mut socket, token, both).is_ok() {
                self.peers.insert(token, Peer::new(socket));
                self.serve(token, now);
            }
        }
    }

    fn serve(&mut self, token: Token, now: Instant) {
        let Some(peer) = self.peers.get_mut(&token) else { return };
        let outcome = peer.turn(&mut self.buf, now);
        if !matches!(outcome, Ok(true)) {
            println!("connection ended: {}", peer.connection.report());
            self.peers.remove(&token);
        }
    }
}

impl Peer {
    fn new(socket: TcpStream) -> Self {
        let connection = Connection::new(Config::default().hash_seed(hash_seed()))
            .expect("the default configuration is in range");
        let application = Application::default();
        Self { socket, connection, application, out: Vec::new(), written: 0, draining: None, ended: false }
    }

    fn deadline(&self) -> Option<Instant> {
        self.draining.or_else(|| self.connection.poll_timeout())
    }

    /// Does what is possible without waiting. Returns whether the connection continues.
    fn turn(&mut self, buf: &mut [u8], now: Instant) -> io::Result<bool> {
        if let Some(until) = self.draining {
            while !self.ended && self.read(buf)?.is_some() {}
            return Ok(!self.ended && now < until);
        }
        loop {
            let mut moved = false;
            while self.connection.wants_read()
                && let Some(len) = self.read(buf)?
            {
                self.application.handle_event(&mut self.connection, &buf[..len], now);
                moved = true;
            }
            if self.connection.poll_timeout().is_some_and(|at| at <= now) {
                // The output and the report contain the error.
                let _ = self.connection.handle_timeout(now);
            }
            self.application.resume(&mut self.connection);
            moved |= self.write()?;
            if self.connection.is_finished() && self.written == self.out.len() {
                // The peer may have closed already.
                let _ = self.socket.shutdown(Shutdown::Write);
                self.draining = Some(now + LINGER);
                return self.turn(buf, now);
            }
            // Writing makes room for more output and input.
            if !moved {
                return Ok(true);
            }
        }
    }

    /// Reads once. `None`: no input now, or none any more.
    fn read(&mut self, buf: &mut [u8]) -> io::Result<Option<usize>> {
        match self.socket.read(buf) {
            Ok(0) => {
                self.ended = true;
                let _ = self.connection.handle_eof();
                Ok(None)
            }
            Ok(len) => Ok(Some(len)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes once. Bytes that the socket does not accept stay in `out`, unchanged.
    fn write(&mut self) -> io::Result<bool> {
        if self.written == self.out.len() {
            self.out.clear();
            self.written = 0;
            if !self.connection.poll_transmit(&mut self.out) {
                return Ok(false);
            }
        }
        match self.socket.write(&self.out[self.written..]) {
            Ok(len) => self.written += len,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        }
        Ok(true)
    }
}

/// A complete HTTP/2 server in one thread, with mio and the core
#[derive(Debug, Parser)]
struct Arguments {
    #[command(flatten)]
    listen: Listen,
}

fn main() -> ExitCode {
    arguments::exit("epoll_loop", run(Arguments::parse()))
}

fn run(Arguments { listen: Listen { addr: address } }: Arguments) -> Result<(), String> {
    let describe = |error: io::Error| format!("{address}: {error}");
    let mut server = Loop::bind(address).map_err(|error| format!("cannot listen on {address}: {error}"))?;
    println!("listening on {}", server.listener.local_addr().map_err(describe)?);
    let mut events = Events::with_capacity(256);
    loop {
        server.turn(&mut events).map_err(describe)?;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    use thalweg_examples::harness;

    use super::*;

    #[test]
    fn many_connections_share_one_thread_and_one_buffer() {
        let mut server = Loop::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = server.listener.local_addr().unwrap();
        let done = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&done);
        let serving = thread::spawn(move || {
            let mut events = Events::with_capacity(16);
            while !stop.load(Ordering::SeqCst) || !server.peers.is_empty() {
                server.turn(&mut events).unwrap();
            }
        });
        harness::fetch_at_once(address);
        let socket = harness::receive_goaway(address).unwrap();
        // Closing the last connection wakes the loop, which then sees `done`.
        done.store(true, Ordering::SeqCst);
        drop(socket);
        serving.join().unwrap();
    }
}
