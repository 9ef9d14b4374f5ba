use std::{collections::HashMap, error::Error, io::{Read, Write}, net::{TcpListener, TcpStream}, thread};
use thalweg::{Config, Connection, Event, HeadersKind, Instant, Server, Status};

/// Answers every request with `content`, of any length. `unsent` holds what the windows do not
/// allow yet.
fn serve(mut socket: TcpStream, content: &[u8]) -> Result<(), Box<dyn Error>> {
    let mut connection = Connection::<Server>::new(Config::default())?;
    let (mut buf, mut out, start) = ([0; 16 << 10], Vec::new(), std::time::Instant::now());
    let mut unsent = HashMap::new(); // by slot index, which later streams reuse
    loop {
        while let Some(stream) = connection.poll_writable() {
            let rest: &[u8] = unsent[&stream.index()];
            unsent.insert(stream.index(), &rest[connection.send_data(stream, rest, true)?..]);
        }
        if connection.poll_transmit(&mut out) {
            socket.write_all(&out)?;
            out.clear();
            continue;
        }
        if connection.is_finished() {
            return Ok(());
        }
        let len = socket.read(&mut buf)?;
        if len == 0 {
            return Ok(connection.handle_eof()?);
        }
        let (mut input, now) = (&buf[..len], Instant::from_origin(start.elapsed()));
        while let Ok(Some(event)) = connection.receive(&mut input, now) {
            match event {
                Event::Headers { stream, kind: HeadersKind::Request, headers, .. } => {
                    let content: &[u8] = if headers.method() == Some(b"HEAD") { b"" } else { content };
                    connection.send_response(stream, Status::OK, [], false)?;
                    let taken = connection.send_data(stream, content, true)?;
                    unsent.insert(stream.index(), &content[taken..]);
                }
                Event::Data { stream, data, .. } => connection.release(stream, data.len()),
                _ => {}
            }
        }
    }
}

fn main() -> std::io::Result<()> {
    for socket in TcpListener::bind("127.0.0.1:8080")?.incoming() {
        let socket = socket?;
        thread::spawn(move || serve(socket, b"hello\n").map_err(|error| eprintln!("{error}")));
    }
    Ok(())
}
