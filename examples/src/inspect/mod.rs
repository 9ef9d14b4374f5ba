//! A page that shows the monitored connections at run time: what waits, for what, and since when.
//!
//! Over TLS it is served with HTTP/2. In cleartext browsers speak only HTTP/1.1, so there
//! `thalweg-h2c` inspects the first bytes, and hyper serves HTTP/1. The page loads nothing from
//! other hosts, and the listener accepts only loopback addresses: its content is for users of this
//! machine.

mod json;

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::io::{Cursor, Error};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, HeaderValue};
use http::uri::Authority;
use http::{Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use thalweg_tokio::inspect::ConnectionMonitor;
use thalweg_tokio::rustls::ServerConfig;
use thalweg_tokio::server::Connection;
use thalweg_tokio::thalweg::Config;
use thalweg_tokio::thalweg_h2c::{self, Protocol, Sniffer};
use thalweg_tokio::{Server, service_fn};
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{self, MissedTickBehavior};

/// Listens, prints the address, and serves the page from then on.
///
/// # Errors
/// The address is not a loopback address, or the listener fails.
pub async fn start(
    addr: SocketAddr,
    monitor: ConnectionMonitor,
    tls: Option<ServerConfig>,
) -> Result<(), String> {
    if !addr.ip().is_loopback() {
        return Err(format!("--inspect {addr}: only loopback addresses; from afar, use a tunnel"));
    }
    let failed = |error: Error| format!("--inspect: cannot listen on {addr}: {error}");
    let listener = TcpListener::bind(addr).await.map_err(failed)?;
    let addr = listener.local_addr().map_err(failed)?;
    println!("live view on {}://{addr}/", if tls.is_some() { "https" } else { "http" });
    match tls {
        Some(tls) => {
            let server = Server::builder().tls(tls).from_listener(listener);
            let service = service_fn(move |request: Request<_>| answer(&monitor, &request));
            tokio::spawn(server.serve(service));
        }
        None => {
            tokio::spawn(accept(listener, monitor));
        }
    }
    Ok(())
}

async fn accept(listener: TcpListener, monitor: ConnectionMonitor) {
    loop {
        match listener.accept().await {
            Ok((socket, _)) => {
                tokio::spawn(open(socket, monitor.clone()));
            }
            Err(_) => time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

/// Serves the protocol of the first bytes. Ignores how the connection ends.
async fn open(mut socket: TcpStream, monitor: ConnectionMonitor) {
    let mut sniffer = Sniffer::new(thalweg_h2c::Config::default());
    let mut seen = Vec::new();
    let is_http2 = loop {
        let mut buf = [0; 1024];
        let Ok(len @ 1..) = socket.read(&mut buf).await else { return };
        seen.extend_from_slice(&buf[..len]);
        match sniffer.receive(&mut &buf[..len]) {
            Ok(None) => {}
            Ok(Some(opening)) => break matches!(opening, Protocol::Http2 { .. }),
            Err(_) => return,
        }
    };
    // Both protocols read the first bytes again.
    let (read, write) = socket.into_split();
    let io = tokio::io::join(Cursor::new(seen).chain(read), write);
    if is_http2 {
        let service = service_fn(move |request: Request<thalweg_tokio::Body>| answer(&monitor, &request));
        if let Ok(connection) = Connection::new(io, service, Config::default()) {
            connection.await;
        }
    } else {
        let service = hyper::service::service_fn(move |request| answer(&monitor, &request));
        drop(http1::Builder::new().serve_connection(TokioIo::new(io), service).await);
    }
}

type Reply = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// Responds to a request over either version.
fn answer<B>(monitor: &ConnectionMonitor, request: &Request<B>) -> Ready<Result<Reply, Infallible>> {
    let reply = if is_for_this_machine(request) {
        find(monitor, request.uri().path(), request.uri().query())
    } else {
        refuse(StatusCode::MISDIRECTED_REQUEST, "this page has no other name than the address\n")
    };
    ready(Ok(reply))
}

fn find(monitor: &ConnectionMonitor, path: &str, query: Option<&str>) -> Reply {
    match path {
        "/" => text("text/html; charset=utf-8", include_str!("view.html")),
        "/view.css" => text("text/css; charset=utf-8", include_str!("view.css")),
        "/view.js" => text("text/javascript; charset=utf-8", include_str!("view.js")),
        "/chart.js" => text("text/javascript; charset=utf-8", include_str!("chart.js")),
        "/events" => {
            let id = query.and_then(|query| query.strip_prefix("connection=")).and_then(|id| id.parse().ok());
            reply("text/event-stream", events(monitor, id))
        }
        _ => refuse(StatusCode::NOT_FOUND, "not found\n"),
    }
}

/// Checks the host name: a foreign page may resolve its own name to our address and then send
/// requests here (DNS rebinding).
fn is_for_this_machine<B>(request: &Request<B>) -> bool {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()?.parse::<Authority>().ok());
    let authority = request.uri().authority().cloned().or(host);
    authority.is_some_and(|authority| {
        let host = authority.host().trim_matches(['[', ']']);
        host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    })
}

fn text(content_type: &'static str, text: &'static str) -> Reply {
    reply(content_type, Full::from(text).boxed_unsync())
}

fn refuse(status: StatusCode, why: &'static str) -> Reply {
    let mut reply = text("text/plain; charset=utf-8", why);
    *reply.status_mut() = status;
    reply
}

fn reply(content_type: &'static str, body: UnsyncBoxBody<Bytes, Infallible>) -> Reply {
    let mut reply = Response::new(body);
    let headers = reply.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    reply
}

/// Sends snapshots as server-sent events, four times a second, while the page is open.
fn events(monitor: &ConnectionMonitor, id: Option<u64>) -> UnsyncBoxBody<Bytes, Infallible> {
    let mut ticks = time::interval(PACE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let events =
        stream::unfold((monitor.subscribe(), ticks, id), |(subscription, mut ticks, id)| async move {
            ticks.tick().await;
            let snapshot = subscription.snapshot(CONNECTIONS_MAX).await;
            let id = json::choose(&snapshot, id);
            let event = format!("data: {}\n\n", json::of_snapshot(&snapshot, id));
            Some((Ok(Frame::data(Bytes::from(event))), (subscription, ticks, id)))
        });
    let events: Pin<Box<dyn stream::Stream<Item = Result<Frame<Bytes>, Infallible>> + Send>> =
        Box::pin(events);
    StreamBody::new(events).boxed_unsync()
}

const PACE: Duration = Duration::from_millis(250);
/// The number of connections on the page.
const CONNECTIONS_MAX: usize = 100;
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// The page loads nothing from other hosts, and executes no text as a script.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(uri: &str, host: Option<&str>) -> bool {
        let mut request = Request::get(uri);
        if let Some(host) = host {
            request = request.header(HOST, host);
        }
        is_for_this_machine(&request.body(()).expect("a request"))
    }

    #[test]
    fn only_host_names_of_this_machine_are_served() {
        for host in ["127.0.0.1:8090", "[::1]:8090", "localhost", "localhost:8090", "127.1.2.3"] {
            assert!(asked("/", Some(host)), "{host}");
            assert!(asked(&format!("http://{host}/events"), None), "{host}");
        }
        for host in ["evil.example:8090", "127.0.0.1.evil.example", "10.0.0.1", "", "a b"] {
            assert!(!asked("/", Some(host)), "{host}");
        }
        assert!(!asked("/", None));
        assert!(!asked("http://evil.example/", Some("localhost")));
    }

    #[tokio::test]
    async fn other_addresses_are_refused() {
        let refused = start(SocketAddr::from(([0, 0, 0, 0], 0)), ConnectionMonitor::new(), None).await.err();
        assert!(refused.is_some_and(|refused| refused.contains("only loopback addresses")));
    }
}
