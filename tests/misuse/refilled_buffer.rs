//! E0502: the read buffer is refilled while an event still borrows it.

use thalweg::{Connection, ConnectionError, Event, Instant, Server};

pub fn turn(connection: &mut Connection<Server>, buffer: &mut Vec<u8>) -> Result<usize, ConnectionError> {
    let mut input = &buffer[..];
    let Some(Event::Data { data, .. }) = connection.receive(&mut input, Instant::ZERO)? else { return Ok(0) };
    buffer.fill(0);
    Ok(data.len())
}
