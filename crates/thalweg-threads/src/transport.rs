//! Byte streams that a driver can run on.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};

/// A byte stream that never blocks: where it would, it says [`WouldBlock`](io::ErrorKind::WouldBlock).
pub trait Transport: Read + Write + Send {
    /// Ends the sending side; the peer reads the end, and may go on sending.
    ///
    /// # Errors
    /// `WouldBlock`: call again when the transport is writable. Others: the transport is of no more use.
    fn shutdown_write(&mut self) -> io::Result<()>;

    /// Whether a read that gave fewer bytes than were asked for has emptied the transport. Saves a call that would give
    /// `WouldBlock`.
    fn is_emptied_by_short_read(&self) -> bool {
        false
    }

    /// Whether `write_vectored` takes many slices in one call, as sockets do. Large content that is there goes out without a copy then.
    fn is_vectored(&self) -> bool {
        false
    }

    /// Whether something waits inside for the transport to become writable, though nothing is left to write.
    fn wants_write(&self) -> bool {
        false
    }

    /// What both ends have agreed that the transport carries.
    fn negotiated_protocol(&self) -> NegotiatedProtocol {
        NegotiatedProtocol::None
    }
}

/// What both ends of a transport have agreed that it carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NegotiatedProtocol {
    /// Nothing: its first bytes tell.
    None,
    /// It is being negotiated; reading goes on with that, and gives nothing until it is done.
    Pending,
    /// HTTP/2: TLS with `h2` in ALPN (RFC 9113 §3.2).
    Http2,
    /// TLS, and not HTTP/2.
    Other,
}

impl Transport for TcpStream {
    fn shutdown_write(&mut self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }

    fn is_emptied_by_short_read(&self) -> bool {
        true
    }

    fn is_vectored(&self) -> bool {
        true
    }
}

#[cfg(unix)]
impl Transport for std::os::unix::net::UnixStream {
    fn shutdown_write(&mut self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }

    fn is_emptied_by_short_read(&self) -> bool {
        true
    }

    fn is_vectored(&self) -> bool {
        true
    }
}

impl<T: Transport + ?Sized> Transport for Box<T> {
    fn shutdown_write(&mut self) -> io::Result<()> {
        (**self).shutdown_write()
    }

    fn is_emptied_by_short_read(&self) -> bool {
        (**self).is_emptied_by_short_read()
    }

    fn is_vectored(&self) -> bool {
        (**self).is_vectored()
    }

    fn wants_write(&self) -> bool {
        (**self).wants_write()
    }

    fn negotiated_protocol(&self) -> NegotiatedProtocol {
        (**self).negotiated_protocol()
    }
}
