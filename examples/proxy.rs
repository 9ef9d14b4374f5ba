//! A reverse proxy with HTTP/2 on both sides: `proxy --to HOST:PORT [--listen ADDR]`.
//!
//! Flow control works end to end: the proxy polls a body only when the other side has window, and
//! releases window only for what it polled. It also forwards trailers, tunnels, cancellations and
//! reset codes.

use std::io;
use std::process::ExitCode;
use std::sync::Arc;

use bytes::Bytes;
use clap::Parser;
use http::header::{HeaderValue, VIA};
use http::{Request, Response, StatusCode};
use thalweg_examples::arguments::{self, Listen};
use thalweg_examples::signals;
use thalweg_tokio::{Body, Client, Error, Server, client, service_fn};
use tokio::sync::Mutex;

/// A reverse proxy with HTTP/2 on both sides, in cleartext. Ctrl-C and SIGTERM shut it down
/// gracefully
#[derive(Debug, Parser)]
struct Arguments {
    #[command(flatten)]
    listen: Listen,
    /// The server that receives the requests
    #[arg(long, value_name = "HOST:PORT")]
    to: String,
}

#[tokio::main]
async fn main() -> ExitCode {
    arguments::exit("proxy", run(Arguments::parse()).await)
}

async fn run(args: Arguments) -> Result<(), String> {
    let Arguments { listen: Listen { addr }, to: origin } = args;
    let signal = signals::shutdown()?;
    let server = Server::bind(addr).await.map_err(|error| format!("cannot listen on {addr}: {error}"))?;
    println!("listening on {}", server.local_addr().map_err(|error| error.to_string())?);
    let origin = Arc::new(Origin::new(origin));
    let service = service_fn(move |request| forward(Arc::clone(&origin), request));
    server.serve_until(service, signal).await.map(drop).map_err(|error| error.to_string())
}

/// The origin server, and one connection to it, which is replaced when it is closed.
#[derive(Debug)]
pub struct Origin {
    addr: String,
    client: Mutex<Option<Client<Body>>>,
}

impl Origin {
    /// Creates the origin. Connects with the first request.
    pub fn new(addr: String) -> Self {
        Self { addr, client: Mutex::new(None) }
    }

    /// Returns a client that accepts requests. The lock is held while a connection is opened, not
    /// while one is used.
    async fn client(&self) -> io::Result<Client<Body>> {
        let mut client = self.client.lock().await;
        match &*client {
            Some(client) if !client.is_closed() => Ok(client.clone()),
            _ => {
                let (new, connection) = client::connect(&self.addr).await?;
                tokio::spawn(connection);
                Ok(client.insert(new).clone())
            }
        }
    }
}

/// Forwards a request and its response. An error that it returns resets the stream with the
/// origin's code.
pub async fn forward(origin: Arc<Origin>, mut request: Request<Body>) -> Result<Response<Body>, Error> {
    request.headers_mut().append(VIA, HeaderValue::from_static("2.0 thalweg"));
    let mut client = match origin.client().await {
        Ok(client) => client,
        Err(error) => return Ok(bad_gateway(&error)),
    };
    match client.send(request).await {
        Ok(mut response) => {
            response.headers_mut().append(VIA, HeaderValue::from_static("2.0 thalweg"));
            Ok(response)
        }
        Err(error @ (Error::Connection { .. } | Error::GoingAway)) => Ok(bad_gateway(&error)),
        Err(error) => Err(error),
    }
}

fn bad_gateway(error: &dyn std::error::Error) -> Response<Body> {
    let mut response = Response::new(Body::from(Bytes::from(format!("the origin: {error}\n"))));
    *response.status_mut() = StatusCode::BAD_GATEWAY;
    response
}
