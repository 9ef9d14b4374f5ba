//! Waits in a driver's own thread, for a socket, a wake-up, or a timeout.

use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token, Waker};
use thalweg_io::ConnectionEnd;

use crate::driver::{Driver, Host, Readiness, Turn};
use crate::transport::Transport;

/// The readiness queue of one socket, and its wake-up.
pub(crate) struct Poller {
    poll: Poll,
    events: Events,
    waker: Arc<Waker>,
}

impl Poller {
    /// Creates a poller. Needs two file descriptors on Linux.
    pub(crate) fn new() -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        Ok(Self { poll, events: Events::with_capacity(8), waker })
    }

    /// Registers a socket for reading and writing. Called once.
    pub(crate) fn watch(&self, socket: &mut TcpStream) -> io::Result<()> {
        self.poll.registry().register(socket, SOCKET, Interest::READABLE | Interest::WRITABLE)
    }

    /// Returns a function that makes `wait` return, from any thread.
    pub(crate) fn waker(&self) -> impl Fn() + Send + Sync + 'static {
        let waker = Arc::clone(&self.waker);
        // It fails only when the system is out of memory; then the driver sees the message in its
        // next turn.
        move || drop(waker.wake())
    }

    fn wait(&mut self, timeout: Option<Duration>) -> io::Result<Readiness> {
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        let mut ready = Readiness::NONE;
        for event in self.events.iter().filter(|event| event.token() == SOCKET) {
            ready.read |= event.is_readable() || event.is_error();
            ready.write |= event.is_writable();
            ready.hangup |= event.is_read_closed() || event.is_error();
            ready.lost |= event.is_write_closed() || event.is_error();
        }
        Ok(ready)
    }

    /// Takes a driver's turns until its connection has ended. Calls `each_turn` after each, with
    /// the readiness that it had.
    pub(crate) fn drive<H: Host, T: Transport>(
        &mut self,
        driver: &mut Driver<H, T>,
        mut each_turn: impl FnMut(&Driver<H, T>, Readiness),
    ) -> Arc<ConnectionEnd> {
        let mut ready = Readiness::ALL;
        loop {
            match driver.turn(ready) {
                Turn::Ended(end) => return end,
                Turn::Wait(wait) => {
                    each_turn(driver, ready);
                    ready = self.wait(wait.timeout).unwrap_or_else(|error| {
                        driver.fail(error);
                        Readiness::NONE
                    });
                }
            }
        }
    }
}

/// A socket that a [`Poller`] polls.
pub(crate) struct Socket {
    stream: TcpStream,
    remote: Option<SocketAddr>,
}

impl Socket {
    /// Takes a socket that does not block, and its peer's address.
    pub(crate) fn new(stream: TcpStream, remote: Option<SocketAddr>) -> Self {
        Self { stream, remote }
    }
}

impl Read for Socket {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.stream.read(out)
    }
}

impl Write for Socket {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.stream.write(data)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.stream.write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Transport for Socket {
    fn shutdown_write(&mut self) -> io::Result<()> {
        match self.stream.shutdown(Shutdown::Write) {
            // The peer has closed it already.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            outcome => outcome,
        }
    }

    fn remote_addr(&self) -> Option<SocketAddr> {
        self.remote
    }

    fn is_emptied_by_short_read(&self) -> bool {
        true
    }

    fn is_vectored(&self) -> bool {
        true
    }
}

const SOCKET: Token = Token(0);
const WAKER: Token = Token(1);
