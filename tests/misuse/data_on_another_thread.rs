//! E0597: data that borrows the read buffer is moved to a thread that may outlive it.

use thalweg::{Connection, ConnectionError, Event, Instant, Server};

pub fn turn(connection: &mut Connection<Server>) -> Result<(), ConnectionError> {
    let buffer = vec![0; 4096];
    let mut input = &buffer[..];
    if let Some(Event::Data { data, .. }) = connection.receive(&mut input, Instant::ZERO)? {
        std::thread::spawn(move || println!("{data:?}"));
    }
    Ok(())
}
