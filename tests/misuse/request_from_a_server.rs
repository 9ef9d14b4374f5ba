//! E0599: a server sends a request. Only a client has the method.

use thalweg::{Connection, OpenError, Request, Server, StreamKey};

pub fn ask(connection: &mut Connection<Server>) -> Result<StreamKey, OpenError> {
    connection.send_request(&Request::get("https", "example.org", "/"), [], true)
}
