//! Two ends of a connection without I/O: the first example to read.
//!
//! A client sends a request, a server echoes it, and the program copies the bytes that would cross
//! a network. The content is longer than the initial window of a stream, so both ends send it in
//! parts.

use std::collections::HashMap;

use thalweg::{
    Client, Config, Connection, Event, Field, HeadersKind, Instant, Request, Role, Server, Status, StreamKey,
};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// One end of the connection, and its application's unsent content, since the core queues none.
struct End<R: Role> {
    connection: Connection<R>,
    /// Unsent content, and whether END_STREAM follows it.
    unsent: HashMap<StreamKey, (Vec<u8>, bool)>,
}

impl<R: Role> End<R> {
    fn new() -> Result<Self> {
        Ok(Self { connection: Connection::new(Config::default())?, unsent: HashMap::new() })
    }

    /// Sends content after what is already queued. Returns how much of the total the core accepted.
    fn send(&mut self, stream: StreamKey, data: &[u8], end: bool) -> Result<usize> {
        let (mut content, ends) = self.unsent.remove(&stream).unwrap_or_default();
        content.extend_from_slice(data);
        let end = end || ends;
        let taken = self.connection.send_data(stream, &content, end)?;
        if taken < content.len() {
            // The windows allow no more now. `poll_writable` returns the stream when they do.
            content.drain(..taken);
            self.unsent.insert(stream, (content, end));
        }
        Ok(taken)
    }
}

fn main() -> Result<()> {
    thalweg_examples::arguments::none("in_memory", "Two ends of a connection in memory, without I/O");
    let mut client = End::<Client>::new()?;
    let mut server = End::<Server>::new()?;

    let content = b"the line of fastest flow, ".repeat(20_000);
    let request = Request::new("POST", "http", "example.org", "/echo");
    let fields = [Field::new(b"content-type", b"text/plain")];
    let stream = client.connection.send_request(&request, fields, false)?;
    let taken = client.send(stream, &content, true)?;
    println!("client: {taken} of {} bytes at once", content.len());

    let mut answer = Vec::new();
    let mut wire = Vec::new();
    loop {
        let mut quiet = true;
        while client.connection.poll_transmit(&mut wire) {
            quiet = false;
            println!("client -> server: {} bytes", wire.len());
            serve(&mut server, &wire)?;
            wire.clear();
        }
        while server.connection.poll_transmit(&mut wire) {
            quiet = false;
            println!("server -> client: {} bytes", wire.len());
            receive_response(&mut client, &wire, &mut answer)?;
            wire.clear();
        }
        if quiet {
            break;
        }
    }
    assert_eq!(answer, content);
    println!("answer: {}... {} bytes", String::from_utf8_lossy(&answer[..24]), answer.len());
    Ok(())
}

/// The server's application: echoes its input.
fn serve(server: &mut End<Server>, mut input: &[u8]) -> Result<()> {
    while let Some(event) = server.connection.receive(&mut input, Instant::ZERO)? {
        match event {
            Event::Headers { stream, kind: HeadersKind::Request, headers, .. } => {
                println!("server: {headers:?}");
                let fields = [Field::new(b"server", b"thalweg")];
                server.connection.send_response(stream, Status::OK, fields, false)?;
            }
            Event::Data { stream, data, end } => {
                // `data` borrows from `input`, so the connection can be called with it.
                let sent = server.send(stream, data, end)?;
                // Only echoed bytes are released, so the client's window bounds the queue.
                server.connection.release(stream, sent);
            }
            _ => {}
        }
    }
    while let Some(stream) = server.connection.poll_writable() {
        let sent = server.send(stream, &[], false)?;
        server.connection.release(stream, sent);
    }
    Ok(())
}

/// The client's application: collects the response, and sends the rest of its content.
fn receive_response(client: &mut End<Client>, mut input: &[u8], response: &mut Vec<u8>) -> Result<()> {
    while let Some(event) = client.connection.receive(&mut input, Instant::ZERO)? {
        match event {
            Event::Headers { headers, .. } => println!("client: {headers:?}"),
            Event::Data { stream, data, .. } => {
                response.extend_from_slice(data);
                client.connection.release(stream, data.len());
            }
            _ => {}
        }
    }
    while let Some(stream) = client.connection.poll_writable() {
        client.send(stream, &[], false)?;
    }
    Ok(())
}
