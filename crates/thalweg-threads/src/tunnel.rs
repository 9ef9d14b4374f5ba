//! The byte stream of a CONNECT request.

use std::io::{self, Read, Write};

use crate::body::Body;
use crate::body::writer::BodyWriter;

/// The byte stream of a CONNECT (RFC 9113 §8.5) or of an extended CONNECT, such as a WebSocket (RFC
/// 8441): both halves of a stream as one reader and writer.
///
/// Written data is sent immediately. Dropping the tunnel ends our half, as
/// [`finish`](Self::finish) does. The peer then has the time `tunnel_end` of
/// [`ExchangeTimeouts`](crate::ExchangeTimeouts) to end its half, whose bytes are discarded, before
/// the stream is reset: by a server with NO_ERROR, by a client with CANCEL.
#[derive(Debug)]
pub struct Tunnel {
    reader: Body,
    writer: BodyWriter,
}

impl Tunnel {
    /// Joins the two halves of a stream: on a server the request's content and the response's
    /// writer, on a client the request's writer and the response's content.
    pub fn new(reader: Body, writer: BodyWriter) -> Self {
        Self { reader, writer }
    }

    /// Splits the tunnel into its halves, for two threads.
    pub fn into_parts(self) -> (Body, BodyWriter) {
        (self.reader, self.writer)
    }

    /// Closes our half. The other may continue.
    ///
    /// # Errors
    /// The stream has ended before.
    pub fn finish(self) -> io::Result<Body> {
        self.writer.finish()?;
        Ok(self.reader)
    }
}

impl Read for Tunnel {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.reader.read(out)
    }
}

impl Write for Tunnel {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let len = self.writer.write(data)?;
        self.writer.flush()?;
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}
