//! Two ends of a connection, no I/O: the first thing to read.
//!
//! A client asks, a server echoes, and the bytes that would cross a network are passed by hand.

use thalweg::{Client, Config, Connection, Event, Field, HeadersKind, Instant, Request, Server, Status};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    thalweg_examples::arguments::none("in_memory", "Two ends of a connection in memory, without I/O");
    let mut client = Connection::<Client>::new(Config::default())?;
    let mut server = Connection::<Server>::new(Config::default())?;

    let request = Request::new("POST", "http", "example.org", "/echo");
    let stream = client.send_request(&request, [Field::new(b"content-type", b"text/plain")], false)?;
    client.send_data(stream, b"the line of fastest flow", true)?;

    let mut answer = Vec::new();
    let mut wire = Vec::new();
    loop {
        let mut quiet = true;
        while client.poll_transmit(&mut wire) {
            quiet = false;
            println!("client -> server: {} bytes", wire.len());
            serve(&mut server, &wire)?;
            wire.clear();
        }
        while server.poll_transmit(&mut wire) {
            quiet = false;
            println!("server -> client: {} bytes", wire.len());
            listen(&mut client, &wire, &mut answer)?;
            wire.clear();
        }
        if quiet {
            break;
        }
    }
    println!("answer: {}", String::from_utf8_lossy(&answer));
    assert_eq!(answer, b"the line of fastest flow");
    Ok(())
}

/// The server's application: sends back what it gets.
fn serve(server: &mut Connection<Server>, mut input: &[u8]) -> Result<()> {
    while let Some(event) = server.receive(&mut input, Instant::ZERO)? {
        match event {
            Event::Headers { stream, kind: HeadersKind::Request, headers, .. } => {
                println!("server: {headers:?}");
                server.send_response(stream, Status::OK, [Field::new(b"server", b"thalweg")], false)?;
            }
            Event::Data { stream, data, end } => {
                // `data` lies in `input`, so the connection is free to be called with it.
                server.send_data(stream, data, end)?;
                server.release(stream, data.len());
            }
            _ => {}
        }
    }
    Ok(())
}

/// The client's application: collects the answer.
fn listen(client: &mut Connection<Client>, mut input: &[u8], answer: &mut Vec<u8>) -> Result<()> {
    while let Some(event) = client.receive(&mut input, Instant::ZERO)? {
        match event {
            Event::Headers { headers, .. } => println!("client: {headers:?}"),
            Event::Data { stream, data, .. } => {
                answer.extend_from_slice(data);
                client.release(stream, data.len());
            }
            _ => {}
        }
    }
    Ok(())
}
