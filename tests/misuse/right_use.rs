//! Compiles: the caller uses data during calls on the connection, uses headers before them, and
//! refills the buffer when nothing borrows it.

use thalweg::{ConnectionError, Connection, Event, Instant, Server, Status};

pub fn turn(connection: &mut Connection<Server>, buffer: &mut Vec<u8>) -> Result<(), ConnectionError> {
    let mut input = &buffer[..];
    while let Some(event) = connection.receive(&mut input, Instant::ZERO)? {
        match event {
            Event::Headers { stream, headers, .. } => {
                let found = headers.path() == Some(b"/");
                let status = if found { Status::OK } else { Status::NOT_FOUND };
                let _ = connection.send_response(stream, status, [], true);
            }
            Event::Data { stream, data, end } => {
                let taken = connection.send_data(stream, data, end).unwrap_or(0);
                let owned = data[taken..].to_vec();
                std::thread::spawn(move || drop(owned));
            }
            _ => {}
        }
    }
    buffer.fill(0);
    Ok(())
}
