//! thalweg-threads' server for the end-to-end runs: `threads_serve PORT`.

use std::error::Error;
use std::net::Ipv4Addr;
use thalweg_bench::payload::{self, Payload};
use thalweg_threads::{Request, Responder, Response, Server, Status};

fn main() -> Result<(), Box<dyn Error>> {
    let (port, payload) = (payload::port()?, Payload::new());
    let server = Server::bind((Ipv4Addr::LOCALHOST, port))?;
    server.serve(move |request: Request<_>, responder: Responder| {
        let answer = payload.answer(request.path());
        let status = if answer.is_some() { Status::OK } else { Status::NOT_FOUND };
        let response = Response::new(status).field("content-type", payload::CONTENT_TYPE);
        responder.send(response.body(answer.unwrap_or_default()))
    })?;
    Ok(())
}
