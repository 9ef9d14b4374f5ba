//! Byte streams that a driver can run on.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

/// A byte stream that never blocks: instead it returns [`WouldBlock`](io::ErrorKind::WouldBlock).
pub trait Transport: Read + Write + Send {
    /// Closes the sending side. The peer reads the end of input, and may continue to send.
    ///
    /// # Errors
    /// `WouldBlock`: call again when the transport is writable. Other errors: the transport has
    /// failed.
    fn shutdown_write(&mut self) -> io::Result<()>;

    /// Returns the peer's address, if known: for requests and for the report of the connection.
    fn remote_addr(&self) -> Option<SocketAddr> {
        None
    }

    /// Returns whether a read that returned fewer bytes than requested has emptied the transport.
    /// Saves a call that would return `WouldBlock`.
    fn is_emptied_by_short_read(&self) -> bool {
        false
    }

    /// Returns whether `write_vectored` accepts many slices in one call, as sockets do. Large
    /// content is then sent without a copy.
    fn is_vectored(&self) -> bool {
        false
    }

    /// Returns whether the transport waits to become writable although the driver has no output.
    fn wants_write(&self) -> bool {
        false
    }

    /// Returns the protocol that both ends have negotiated.
    fn negotiated_protocol(&self) -> NegotiatedProtocol {
        NegotiatedProtocol::None
    }
}

/// The protocol that both ends of a transport have negotiated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NegotiatedProtocol {
    /// None: the first bytes determine it.
    None,
    /// Negotiation is in progress. Reading advances it, and returns no data until it completes.
    Pending,
    /// HTTP/2: TLS with `h2` in ALPN (RFC 9113 §3.2).
    Http2,
    /// TLS with another protocol than HTTP/2.
    Other,
}

impl Transport for TcpStream {
    fn shutdown_write(&mut self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }

    fn remote_addr(&self) -> Option<SocketAddr> {
        self.peer_addr().ok()
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

    fn remote_addr(&self) -> Option<SocketAddr> {
        (**self).remote_addr()
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
