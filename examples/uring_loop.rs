//! A complete HTTP/2 server in one thread on io_uring (Linux): `uring_loop [--listen ADDR]`.
//!
//! While the kernel uses a buffer, the program must not touch it. So each operation owns its
//! buffer: the output of `poll_transmit` moves into a send, and returns with its completion; at no
//! time do both sides hold it. If the kernel refuses io_uring, the program prints that and exits.

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("skipped: io_uring is Linux's");
}

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    use clap::Parser as _;

    thalweg_examples::arguments::exit("uring_loop", uring::run(uring::Arguments::parse()))
}

#[cfg(target_os = "linux")]
mod uring {
    use std::collections::HashMap;
    use std::io;
    use std::mem;
    use std::net::{Shutdown, TcpListener, TcpStream};
    use std::os::fd::{AsRawFd as _, FromRawFd as _};
    use std::time::Duration;

    use clap::Parser;
    use io_uring::types::{Fd, SubmitArgs, Timespec};
    use io_uring::{IoUring, opcode, squeue};
    use thalweg::{Config, Connection, Instant, Server};
    use thalweg_examples::application::Application;
    use thalweg_examples::arguments::Listen;
    use thalweg_examples::hash_seed::hash_seed;

    /// Time for the peer to close its side after ours is closed.
    const LINGER: Duration = Duration::from_secs(1);
    const READ_BYTES: usize = 16 << 10;

    pub struct Loop {
        ring: IoUring,
        pub listener: TcpListener,
        pub peers: HashMap<u64, Peer>,
        operations: HashMap<u64, Operation>,
        next: u64,
        start: std::time::Instant,
    }

    /// An operation of the kernel. While it is here, the kernel owns its buffer.
    enum Operation {
        Accept,
        Receive { peer: u64, buf: Vec<u8> },
        Send { peer: u64, buf: Vec<u8>, sent: usize },
    }

    pub struct Peer {
        socket: TcpStream,
        connection: Connection<Server>,
        application: Application,
        /// Buffers that the kernel has returned.
        input: Vec<u8>,
        output: Vec<u8>,
        receiving: bool,
        sending: bool,
        /// Our side is closed; until this time the peer's input is drained.
        draining: Option<Instant>,
        ended: bool,
    }

    impl Loop {
        pub fn new(listener: TcpListener) -> io::Result<Self> {
            let ring = IoUring::new(256)?;
            let (peers, operations) = (HashMap::new(), HashMap::new());
            let mut this =
                Self { ring, listener, peers, operations, next: 0, start: std::time::Instant::now() };
            this.submit(Operation::Accept)?;
            Ok(this)
        }

        fn now(&self) -> Instant {
            Instant::from_origin(self.start.elapsed())
        }

        /// Submits an operation to the kernel, and keeps its buffer until the completion.
        fn submit(&mut self, operation: Operation) -> io::Result<()> {
            let id = self.next;
            self.next += 1;
            self.operations.insert(id, operation);
            let fd_of = |peer: &u64| Fd(self.peers[peer].socket.as_raw_fd());
            let entry = match self.operations.get_mut(&id).expect("it was just inserted") {
                Operation::Accept => {
                    let fd = Fd(self.listener.as_raw_fd());
                    opcode::Accept::new(fd, std::ptr::null_mut(), std::ptr::null_mut()).build()
                }
                Operation::Receive { peer, buf } => {
                    opcode::Recv::new(fd_of(peer), buf.as_mut_ptr(), buf.len() as u32).build()
                }
                Operation::Send { peer, buf, sent } => {
                    let rest = &buf[*sent..];
                    opcode::Send::new(fd_of(peer), rest.as_ptr(), rest.len() as u32).build()
                }
            };
            self.push(&entry.user_data(id))
        }

        fn push(&mut self, entry: &squeue::Entry) -> io::Result<()> {
            // SAFETY: the entry points into the heap of a `Vec` in `operations`, or nowhere. The
            // `Vec` stays there, neither accessed nor freed, until its completion removes it; and a
            // socket is closed only when no operation on it is pending.
            while unsafe { self.ring.submission().push(entry) }.is_err() {
                self.ring.submit()?;
            }
            Ok(())
        }

        /// Waits for completions and timeouts, and serves the connections that are due.
        pub fn turn(&mut self) -> io::Result<()> {
            let deadline = self.peers.values().filter_map(Peer::deadline).min();
            let wait =
                deadline.map_or(Duration::from_secs(60), |at| at.saturating_duration_since(self.now()));
            let time = Timespec::from(wait);
            match self.ring.submitter().submit_with_args(1, &SubmitArgs::new().timespec(&time)) {
                Err(error) if !matches!(error.raw_os_error(), Some(ETIME | EINTR | EBUSY)) => {
                    return Err(error);
                }
                _ => {}
            }
            let completions: Vec<_> = self
                .ring
                .completion()
                .map(|completion| (completion.user_data(), completion.result()))
                .collect();
            let now = self.now();
            for (id, result) in completions {
                self.complete(id, result, now)?;
            }
            let is_due = |peer: &Peer| peer.deadline().is_some_and(|at| at <= now);
            let due: Vec<u64> =
                self.peers.iter().filter(|(_, peer)| is_due(peer)).map(|(id, _)| *id).collect();
            due.into_iter().try_for_each(|peer| self.serve(peer, now))
        }

        /// Handles a completion, which returns the operation's buffer.
        fn complete(&mut self, id: u64, result: i32, now: Instant) -> io::Result<()> {
            match self.operations.remove(&id).expect("each completes once") {
                Operation::Accept => {
                    if result >= 0 {
                        // SAFETY: the kernel has just created this descriptor for us.
                        let socket = unsafe { TcpStream::from_raw_fd(result) };
                        self.next += 1;
                        self.peers.insert(self.next, Peer::new(socket));
                        self.serve(self.next, now)?;
                    }
                    self.submit(Operation::Accept)
                }
                Operation::Receive { peer: id, buf } => {
                    let Some(peer) = self.peers.get_mut(&id) else { return Ok(()) };
                    peer.receiving = false;
                    peer.receive(&buf[..usize::try_from(result).unwrap_or(0)], now);
                    peer.input = buf;
                    self.serve(id, now)
                }
                Operation::Send { peer: id, mut buf, sent } => {
                    let Some(peer) = self.peers.get_mut(&id) else { return Ok(()) };
                    let sent = sent + usize::try_from(result).unwrap_or(0);
                    if result > 0 && sent < buf.len() {
                        return self.submit(Operation::Send { peer: id, buf, sent });
                    }
                    peer.sending = false;
                    buf.clear();
                    peer.output = buf;
                    if result <= 0 {
                        // The transport has failed: there is no peer to wait for.
                        peer.draining = Some(now);
                    }
                    self.serve(id, now)
                }
            }
        }

        /// Starts the next operations of a connection.
        fn serve(&mut self, id: u64, now: Instant) -> io::Result<()> {
            let Some(peer) = self.peers.get_mut(&id) else { return Ok(()) };
            let output = peer.next_output(now);
            if peer.is_over(now) {
                println!("connection ended: {}", peer.connection.report());
                self.peers.remove(&id);
                return Ok(());
            }
            let input = peer.next_input();
            if let Some(buf) = output {
                self.submit(Operation::Send { peer: id, buf, sent: 0 })?;
            }
            if let Some(buf) = input {
                self.submit(Operation::Receive { peer: id, buf })?;
            }
            Ok(())
        }
    }

    impl Peer {
        fn new(socket: TcpStream) -> Self {
            let connection = Connection::new(Config::default().hash_seed(hash_seed()))
                .expect("the default configuration is in range");
            Self {
                socket,
                connection,
                application: Application::default(),
                input: vec![0; READ_BYTES],
                output: Vec::new(),
                receiving: false,
                sending: false,
                draining: None,
                ended: false,
            }
        }

        fn deadline(&self) -> Option<Instant> {
            self.draining.or_else(|| self.connection.poll_timeout())
        }

        fn receive(&mut self, input: &[u8], now: Instant) {
            if input.is_empty() {
                self.ended = true;
                let _ = self.connection.handle_eof();
            } else if self.draining.is_some() {
                return;
            }
            self.application.handle_event(&mut self.connection, input, now);
        }

        /// Returns the bytes to send next, unless a send is pending. Closes our side when there are
        /// no more.
        fn next_output(&mut self, now: Instant) -> Option<Vec<u8>> {
            if self.connection.poll_timeout().is_some_and(|at| at <= now) {
                // The output and the report contain the error.
                let _ = self.connection.handle_timeout(now);
            }
            if self.sending || self.draining.is_some() {
                return None;
            }
            self.application.resume(&mut self.connection);
            // Empty: the core swaps it with its output.
            if self.connection.poll_transmit(&mut self.output) {
                self.sending = true;
                return Some(mem::take(&mut self.output));
            }
            if self.connection.is_finished() {
                let _ = self.socket.shutdown(Shutdown::Write);
                self.draining = Some(now + LINGER);
            }
            None
        }

        /// Returns the buffer for the next receive, if the connection reads.
        fn next_input(&mut self) -> Option<Vec<u8>> {
            let is_open = self.draining.is_some() || self.connection.wants_read();
            if self.receiving || self.ended || !is_open {
                return None;
            }
            self.receiving = true;
            Some(mem::take(&mut self.input))
        }

        /// Returns whether our side is closed, the peer's side is closed or its time has expired,
        /// and no operation is pending.
        fn is_over(&self, now: Instant) -> bool {
            let Some(until) = self.draining else { return false };
            if until <= now {
                // A pending receive completes immediately.
                let _ = self.socket.shutdown(Shutdown::Both);
            }
            (self.ended || until <= now) && !self.sending && !self.receiving
        }
    }

    /// A complete HTTP/2 server in one thread, on io_uring
    #[derive(Debug, Parser)]
    pub struct Arguments {
        #[command(flatten)]
        listen: Listen,
    }

    pub fn run(Arguments { listen: Listen { addr: address } }: Arguments) -> Result<(), String> {
        let describe = |error: io::Error| format!("{address}: {error}");
        let listener =
            TcpListener::bind(address).map_err(|error| format!("cannot listen on {address}: {error}"))?;
        let bound = listener.local_addr().map_err(describe)?;
        let mut server = match Loop::new(listener) {
            Ok(server) => server,
            Err(error) => {
                println!("skipped: the kernel refuses io_uring: {error}");
                return Ok(());
            }
        };
        println!("listening on {bound}");
        loop {
            server.turn().map_err(describe)?;
        }
    }

    const EINTR: i32 = 4;
    const EBUSY: i32 = 16;
    const ETIME: i32 = 62;
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::net::TcpListener;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    use thalweg_examples::harness;

    use super::uring::Loop;

    #[test]
    fn buffers_move_to_the_kernel_and_return() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut server = match Loop::new(listener) {
            Ok(server) => server,
            Err(error) => return println!("skipped: the kernel refuses io_uring: {error}"),
        };
        let done = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&done);
        let serving = thread::spawn(move || {
            while !stop.load(Ordering::SeqCst) || !server.peers.is_empty() {
                server.turn().unwrap();
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
