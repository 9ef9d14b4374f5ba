//! Both ends on plain threads.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use thalweg::{Config, Timeouts};
use thalweg_threads::server::{ServeStats, ServerHandle};
use thalweg_threads::{Body, Client, CloseLimits, Payload, Request, Responder, Response, Server};

use super::{Counts, LIMIT, RequestPlan, Subject, content};

pub struct Running {
    address: SocketAddr,
    handle: ServerHandle,
    thread: Option<JoinHandle<io::Result<ServeStats>>>,
}

impl Running {
    pub fn start(counts: Arc<Counts>) -> Self {
        let server = Server::builder()
            .config(config())
            .close_limits(CloseLimits::default().flush(CLOSE_TIME).drain(CLOSE_TIME))
            .on_end(move |_| {
                counts.server_ends.fetch_add(1, Ordering::Relaxed);
            })
            .bind("127.0.0.1:0")
            .expect("a free port");
        let (address, handle) = (server.local_addr().expect("it is bound"), server.handle());
        let thread = Some(thread::spawn(move || server.serve(serve)));
        Self { address, handle, thread }
    }
}

const CLOSE_TIME: Duration = Duration::from_millis(200);

fn config() -> Config {
    Config::default().timeouts(Timeouts::default().shutdown(Some(Duration::from_secs(2))))
}

/// Echoes, or sends as many bytes as the path names.
fn serve(mut request: Request<Body>, responder: Responder) -> io::Result<()> {
    if let Some(len) = request.path().strip_prefix("/n/").and_then(|len| len.parse().ok()) {
        return responder.send(Response::ok().body(content(len)));
    }
    let mut echo = responder.start(Response::ok())?;
    echo.write_from(&mut request.body)?;
    echo.finish()
}

fn fetch(client: &Client, asked: RequestPlan) -> io::Result<Vec<u8>> {
    let mut response = if asked.is_echo {
        // From a reader, so that it is sent piece by piece.
        let payload = Payload::reader(io::Cursor::new(content(asked.len)));
        client.send(Request::post("/echo").body(payload))?
    } else {
        client.send(Request::get(format!("/n/{}", asked.len)))?
    };
    response.body.read_whole(asked.len + 1)
}

impl Subject for Running {
    fn address(&self) -> SocketAddr {
        self.address
    }

    fn live(&self, address: SocketAddr, requests: &[RequestPlan], counts: &Counts) {
        let builder = Client::builder()
            .config(config())
            .close_limits(CloseLimits::default().flush(CLOSE_TIME).drain(CLOSE_TIME));
        let Ok(client) = builder.connect(&address.to_string()) else {
            return counts.not_connected(requests);
        };
        let client = client.time_limit(Some(LIMIT));
        thread::scope(|scope| {
            for asked in requests {
                let client = &client;
                scope.spawn(move || counts.classify(*asked, fetch(client, *asked)));
            }
        });
        client.shutdown();
        client.wait_end();
        counts.client_ends.fetch_add(1, Ordering::Relaxed);
    }

    fn settle(&self) -> u64 {
        self.handle.wait_idle(LIMIT);
        let stats = self.handle.stats();
        stats.connections as u64 + u64::from(stats.streams)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.handle.shutdown(Duration::from_secs(1));
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the server does not panic").expect("it ends in order");
        }
    }
}
