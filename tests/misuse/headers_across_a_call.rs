//! E0499: headers are kept across a call on the connection that they borrow.

use thalweg::{Connection, ConnectionError, Event, Instant, Server, Status};

pub fn turn(connection: &mut Connection<Server>, mut input: &[u8]) -> Result<(), ConnectionError> {
    if let Some(Event::Headers { stream, headers, .. }) = connection.receive(&mut input, Instant::ZERO)? {
        let _ = connection.send_response(stream, Status::OK, [], true);
        println!("{headers:?}");
    }
    Ok(())
}
