//! TLS by rustls, with `h2` negotiated by ALPN (RFC 9113 §3.2).
//!
//! rustls satisfies RFC 9113 §9.2 by construction: it speaks TLS 1.2 and 1.3 only, without
//! compression, renegotiation, or any of the prohibited cipher suites.
//!
//! Invariants: an alert of rustls is sent before its error is returned; plaintext is accepted only
//! while earlier records are written, so the buffered data stays within one write.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, Connection, ServerConfig, ServerConnection};
use thalweg_io::{NegotiationError, tls};

use crate::transport::{NegotiatedProtocol, Transport};

/// TLS around a transport, for either side. HTTP/2 requires that both sides negotiate `h2` by ALPN.
pub struct Tls<T> {
    session: Connection,
    transport: T,
    /// Whether the peer has sent any byte.
    has_received: bool,
    /// Whether the session has failed for both directions.
    has_failed: bool,
    has_said_end: bool,
}

impl<T: Transport> Tls<T> {
    /// Creates the server's side. Adds `h2` to a configuration without ALPN protocols.
    ///
    /// # Errors
    /// `InvalidInput`: rustls rejects the configuration.
    pub fn server(transport: T, config: Arc<ServerConfig>) -> io::Result<Self> {
        let session = ServerConnection::new(tls::server_config(config)).map_err(unusable)?;
        Ok(Self::new(session.into(), transport))
    }

    /// Creates the client's side, for a server of this name. Adds `h2` to a configuration without
    /// ALPN protocols.
    ///
    /// # Errors
    /// `InvalidInput`: rustls rejects the configuration.
    pub fn client(transport: T, name: ServerName<'static>, config: Arc<ClientConfig>) -> io::Result<Self> {
        let session = ClientConnection::new(tls::client_config(config), name).map_err(unusable)?;
        Ok(Self::new(session.into(), transport))
    }

    /// Wraps a session, before or after its handshake.
    pub(crate) fn new(session: Connection, transport: T) -> Self {
        let has_received = !session.is_handshaking();
        Self { session, transport, has_received, has_failed: false, has_said_end: false }
    }

    /// Writes records until the transport is full or none is left.
    fn send_records(&mut self) -> io::Result<()> {
        while self.session.wants_write() {
            match self.session.write_tls(&mut self.transport) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads records once. Returns whether the input has ended.
    fn receive_records(&mut self) -> io::Result<bool> {
        let was_shaking_hands = self.session.is_handshaking();
        let len = self.session.read_tls(&mut self.transport)?;
        self.has_received |= len > 0;
        if let Err(error) = self.session.process_new_packets() {
            self.has_failed = true;
            // The alert contains the reason; if it cannot be sent, this error does.
            let _ = self.send_records();
            return Err(if was_shaking_hands {
                tls::client_error(error)
            } else {
                io::Error::new(io::ErrorKind::InvalidData, error)
            });
        }
        match self.send_records() {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => Ok(len == 0),
        }
    }
}

impl<T: Transport> Read for Tls<T> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.session.reader().read(out) {
                Ok(len) => return Ok(len),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // TLS that ended without close_notify: HTTP/2 detects truncation itself.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(0),
                Err(error) => return Err(error),
            }
            let was_shaking_hands = self.session.is_handshaking();
            if self.receive_records()? && was_shaking_hands {
                let is_silent = !self.has_received;
                return Err(if is_silent {
                    io::Error::new(io::ErrorKind::UnexpectedEof, NegotiationError::NoData)
                } else {
                    io::Error::new(io::ErrorKind::UnexpectedEof, "the peer closed the connection")
                });
            }
        }
    }
}

impl<T: Transport> Write for Tls<T> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        if self.has_failed {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        self.send_records()?;
        let len = self.session.writer().write(data)?;
        match self.send_records() {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => Ok(len),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send_records()
    }
}

impl<T: Transport> Transport for Tls<T> {
    fn shutdown_write(&mut self) -> io::Result<()> {
        if !self.has_said_end && !self.has_failed {
            self.has_said_end = true;
            self.session.send_close_notify();
        }
        self.send_records()?;
        self.transport.shutdown_write()
    }

    fn remote_addr(&self) -> Option<SocketAddr> {
        self.transport.remote_addr()
    }

    fn wants_write(&self) -> bool {
        self.session.wants_write()
    }

    fn negotiated_protocol(&self) -> NegotiatedProtocol {
        match self.session.alpn_protocol() {
            _ if self.session.is_handshaking() => NegotiatedProtocol::Pending,
            protocol if tls::is_h2(protocol) => NegotiatedProtocol::Http2,
            _ => NegotiatedProtocol::Other,
        }
    }
}

impl<T> fmt::Debug for Tls<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("is_handshaking", &self.session.is_handshaking()).finish_non_exhaustive()
    }
}

/// Performs the client's side of a handshake over a blocking socket.
pub(crate) fn handshake(
    stream: &mut TcpStream,
    name: ServerName<'static>,
    config: Arc<ClientConfig>,
    limit: Option<Duration>,
) -> io::Result<Connection> {
    let mut session = ClientConnection::new(tls::client_config(config), name).map_err(unusable)?;
    let until = limit.map(|limit| Instant::now() + limit);
    while session.is_handshaking() || session.wants_write() {
        if let Some(until) = until {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            stream.set_read_timeout(Some(left))?;
            stream.set_write_timeout(Some(left))?;
        }
        exchange_records(&mut session, stream).map_err(|error| match error.kind() {
            // A blocking socket reports its timeout like this.
            io::ErrorKind::WouldBlock => io::ErrorKind::TimedOut.into(),
            _ => error,
        })?;
    }
    stream.set_read_timeout(None)?;
    stream.set_write_timeout(None)?;
    if !tls::is_h2(session.alpn_protocol()) {
        session.send_close_notify();
        let _ = session.write_tls(stream);
        return Err(tls::no_alpn());
    }
    Ok(session.into())
}

fn exchange_records(session: &mut ClientConnection, stream: &mut TcpStream) -> io::Result<()> {
    if session.wants_write() {
        return session.write_tls(stream).map(drop);
    }
    if session.read_tls(stream)? == 0 {
        return Err(tls::server_closed());
    }
    if let Err(error) = session.process_new_packets() {
        // The alert contains the reason.
        let _ = session.write_tls(stream);
        return Err(tls::client_error(error));
    }
    Ok(())
}

fn unusable(error: rustls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, error)
}
