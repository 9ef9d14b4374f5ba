//! A server in its own event loop that leaves HTTP/2 to `thalweg-threads`: `mio` waits, the
//! `ServerDriver` of each connection takes its turns in this one thread, and handlers run on a
//! pool. `driver_loop [--listen ADDR] [--root DIR]`.

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use clap::Parser;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};
use thalweg_examples::arguments::{self, Listen};
use thalweg_examples::blocking_files;
use thalweg_examples::site::Site;
use thalweg_threads::server::Builder;
use thalweg_threads::{Body, Pool, Readiness, Request, Responder, ServerDriver, Turn};

const LISTENER: Token = Token(0);
const WAKER: Token = Token(1);

struct Loop {
    poll: Poll,
    listener: TcpListener,
    builder: Builder,
    pool: Pool,
    peers: HashMap<Token, Peer>,
    next: usize,
    waker: Arc<Waker>,
    /// Connections with messages from their handlers.
    woken: Arc<Mutex<Vec<Token>>>,
}

struct Peer {
    driver: ServerDriver<TcpStream>,
    /// The time of its next turn, if no event occurs before.
    due: Option<Instant>,
}

impl Loop {
    fn bind(address: SocketAddr, site: Site) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let poll = Poll::new()?;
        poll.registry().register(&mut SourceFd(&listener.as_raw_fd()), LISTENER, Interest::READABLE)?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        let pool = Pool::new(8, move |request: Request<Body>, responder: Responder| {
            blocking_files::answer(&site, request, responder).map(drop)
        });
        let builder = Builder::new();
        Ok(Self {
            poll,
            listener,
            builder,
            pool,
            peers: HashMap::new(),
            next: 2,
            waker,
            woken: Arc::default(),
        })
    }

    /// Waits for sockets, handlers and timeouts, and takes the turns that are due.
    fn turn(&mut self, events: &mut Events) -> io::Result<()> {
        let due = self.peers.values().filter_map(|peer| peer.due).min();
        let timeout = due.map(|due| due.saturating_duration_since(Instant::now()));
        match self.poll.poll(events, timeout) {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        let mut turns = Vec::new();
        for event in events.iter() {
            let ready = Readiness {
                read: event.is_readable() || event.is_error(),
                write: event.is_writable(),
                hangup: event.is_read_closed() || event.is_error(),
                lost: event.is_write_closed() || event.is_error(),
            };
            turns.push((event.token(), ready));
        }
        // The lock is held for a push, which does not panic.
        let woken = std::mem::take(&mut *self.woken.lock().unwrap_or_else(PoisonError::into_inner));
        turns.extend(woken.into_iter().map(|token| (token, Readiness::NONE)));
        let now = Instant::now();
        let is_due = |peer: &Peer| peer.due.is_some_and(|due| due <= now);
        turns.extend(
            self.peers.iter().filter(|(_, peer)| is_due(peer)).map(|(token, _)| (*token, Readiness::NONE)),
        );
        for (token, ready) in turns {
            match token {
                LISTENER => self.accept(),
                WAKER => {}
                token => self.serve(token, ready),
            }
        }
        Ok(())
    }

    fn accept(&mut self) {
        while let Ok((socket, _)) = self.listener.accept() {
            let token = Token(self.next);
            self.next += 1;
            let (waker, woken) = (Arc::clone(&self.waker), Arc::clone(&self.woken));
            let wake = move || {
                woken.lock().unwrap_or_else(PoisonError::into_inner).push(token);
                // It fails only when the system is out of memory; then the next turn handles the
                // message.
                drop(waker.wake());
            };
            let both = Interest::READABLE | Interest::WRITABLE;
            let is_watched = socket.set_nonblocking(true).is_ok()
                && self.poll.registry().register(&mut SourceFd(&socket.as_raw_fd()), token, both).is_ok();
            if is_watched && let Ok(driver) = self.builder.driver(socket, &self.pool, wake) {
                self.peers.insert(token, Peer { driver, due: None });
                self.serve(token, Readiness::ALL);
            }
        }
    }

    fn serve(&mut self, token: Token, ready: Readiness) {
        let Some(peer) = self.peers.get_mut(&token) else { return };
        match peer.driver.turn(ready) {
            // A turn is bounded. A driver with more work returns a timeout of zero, and the others
            // come first.
            Turn::Wait(wait) => peer.due = wait.timeout.map(|timeout| Instant::now() + timeout),
            Turn::Ended(end) => {
                println!("connection ended: {end}");
                // Dropping the socket deregisters it.
                self.peers.remove(&token);
            }
        }
    }
}

/// Serves a directory over HTTP/2 with the drivers of thalweg-threads, in its own event loop
#[derive(Debug, Parser)]
struct Arguments {
    #[command(flatten)]
    listen: Listen,
    /// Directory whose files are served
    #[arg(long, visible_alias = "dir", value_name = "DIR", default_value = ".")]
    root: PathBuf,
}

fn main() -> ExitCode {
    arguments::exit("driver_loop", run(Arguments::parse()))
}

fn run(args: Arguments) -> Result<(), String> {
    let Arguments { listen: Listen { addr: address }, root } = args;
    let site = Site::new(&root)?;
    let describe = |error: io::Error| format!("{address}: {error}");
    let mut server =
        Loop::bind(address, site).map_err(|error| format!("cannot listen on {address}: {error}"))?;
    println!("listening on {}", server.listener.local_addr().map_err(describe)?);
    let mut events = Events::with_capacity(256);
    loop {
        server.turn(&mut events).map_err(describe)?;
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    use thalweg_examples::pattern::Pattern;
    use thalweg_threads::Client;

    use super::*;

    const LIMIT: std::time::Duration = std::time::Duration::from_secs(20);

    #[test]
    fn many_drivers_share_one_thread_and_one_pool() {
        let site = Site::new(Path::new(".")).unwrap();
        let mut server = Loop::bind(SocketAddr::from(([127, 0, 0, 1], 0)), site).unwrap();
        let address = server.listener.local_addr().unwrap();
        let done = Arc::new(AtomicBool::new(false));
        let (stop, waker) = (Arc::clone(&done), Arc::clone(&server.waker));
        let serving = thread::spawn(move || {
            let mut events = Events::with_capacity(16);
            while !stop.load(Ordering::SeqCst) || !server.peers.is_empty() {
                server.turn(&mut events).unwrap();
            }
        });
        let fetch = move |seed: u64| {
            let client = Client::connect(&address.to_string()).unwrap().time_limit(Some(LIMIT));
            let mut content = vec![0; 1_000_000];
            Pattern::new(1_000_000, seed).fill(&mut content);
            let path = format!("/bytes/1000000?seed={seed}");
            let got = client.send(Request::get(path)).unwrap().body.read_whole(1_000_000).unwrap();
            assert!(got == content);
            let echo = Request::post("/echo").body(content.clone());
            assert!(client.send(echo).unwrap().body.read_whole(1_000_000).unwrap() == content);
            client.shutdown();
            assert!(client.wait_end().is_orderly());
        };
        let clients: Vec<_> = (0..10).map(|seed| thread::spawn(move || fetch(seed))).collect();
        clients.into_iter().for_each(|client| client.join().unwrap());
        done.store(true, Ordering::SeqCst);
        waker.wake().unwrap();
        serving.join().unwrap();
    }
}
