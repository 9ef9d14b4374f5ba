//! Observability: log lines, spans, counters.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]
#![cfg(feature = "tracing")]

mod support;

use std::fmt::{Debug, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use support::{Peer, hello, serve, within};
use thalweg::ErrorCode;
use thalweg_testkit::frames::{data, headers, kind, rst_stream};
use thalweg_testkit::hpack;
use thalweg_tokio::server::Builder;
use thalweg_tokio::{Body, Client, Counters, Error, Server, SpawnHandlers, client, service_fn};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// Collects our log events, with their levels and spans.
#[derive(Clone, Default)]
struct Log {
    lines: Arc<Mutex<Vec<String>>>,
    spans: Arc<Mutex<Vec<String>>>,
    entered: Arc<Mutex<Vec<u64>>>,
    next: Arc<AtomicU64>,
}

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {field}={value:?}").unwrap();
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("thalweg_tokio") || metadata.target() == "observed"
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut text = Text(span.metadata().name().to_owned());
        span.record(&mut text);
        self.spans.lock().unwrap().push(text.0);
        Id::from_u64(self.next.fetch_add(1, Ordering::SeqCst) + 1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = Text(event.metadata().level().to_string());
        event.record(&mut text);
        if let Some(id) = self.entered.lock().unwrap().last() {
            write!(text.0, " in {}", self.spans.lock().unwrap()[*id as usize - 1]).unwrap();
        }
        self.lines.lock().unwrap().push(text.0);
    }

    fn enter(&self, span: &Id) {
        self.entered.lock().unwrap().push(span.into_u64());
    }

    fn exit(&self, span: &Id) {
        assert_eq!(self.entered.lock().unwrap().pop(), Some(span.into_u64()));
    }
}

impl Log {
    fn lines_of(&self, what: &str) -> Vec<String> {
        self.lines.lock().unwrap().iter().filter(|line| line.contains(what)).cloned().collect()
    }
}

fn get(stream: u32) -> thalweg_testkit::frames::Frame {
    headers(stream, hpack::get("/g")).end_headers().end_stream()
}

#[tokio::test]
async fn the_end_is_logged_once_and_as_a_warning_only_for_a_peer_error() {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.clone());
    let (io, running) = serve(hello);
    let mut peer = Peer::client(io).await;
    peer.send_frames(&[get(1)]).await;
    peer.expect_headers().await;
    peer.expect_content(1).await;
    drop(peer);
    running.end().await;
    let ends = log.lines_of("connection ended");
    assert_eq!(ends.len(), 1, "{ends:?}");
    assert!(ends[0].starts_with("DEBUG") && ends[0].contains("1 streams, 1 completed"), "{ends:?}");

    let (io, running) = serve(hello);
    let mut peer = Peer::client(io).await;
    // RFC 9113 §6.1: DATA on stream 0.
    peer.send_frames(&[data(0, "x")]).await;
    peer.expect(kind::GOAWAY).await;
    drop(peer);
    running.end().await;
    let ends = log.lines_of("connection ended");
    assert_eq!(ends.len(), 2, "{ends:?}");
    assert!(ends[1].starts_with("WARN") && ends[1].contains("6.1"), "{ends:?}");
}

#[tokio::test]
async fn a_handler_logs_within_the_span_of_its_exchange() {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.clone());
    let (io, _running) = serve(|_: Request<Body>| {
        tracing::event!(target: "observed", Level::INFO, "called");
        async {
            tokio::task::yield_now().await;
            tracing::event!(target: "observed", Level::INFO, "polled");
            Err::<Response<Full<Bytes>>, _>(Error::reset(ErrorCode::CANCEL))
        }
    });
    let mut peer = Peer::client(io).await;
    peer.send_frames(&[get(1), get(3)]).await;
    peer.expect(kind::RST_STREAM).await;
    peer.expect(kind::RST_STREAM).await;
    for what in ["called", "polled", "exchange failed"] {
        let lines = log.lines_of(what);
        assert_eq!(lines.len(), 2, "{lines:?}");
        for (line, stream) in lines.iter().zip([1, 3]) {
            let span = format!("in exchange stream={stream} method=GET path=\"/g\"");
            assert!(line.ends_with(&span), "{line}");
        }
    }
}

async fn until(counters: &Counters, is_there: impl Fn(&thalweg_tokio::CounterSnapshot) -> bool) {
    within(async {
        while !is_there(&counters.snapshot()) {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn counters_are_updated_while_connections_are_open() {
    let server = Server::bind("127.0.0.1:0").await.unwrap();
    let (addr, counters) = (server.local_addr().unwrap(), server.counters());
    tokio::spawn(server.serve(service_fn(hello)));

    let mut peer = Peer::client(TcpStream::connect(addr).await.unwrap()).await;
    for stream in [1, 3] {
        peer.send_frames(&[get(stream)]).await;
        peer.expect_headers().await;
        peer.expect_content(stream).await;
    }
    until(&counters, |now| now.streams_completed == 2).await;
    let now = counters.snapshot();
    assert_eq!((now.connections_opened, now.connections_ended, now.streams_opened), (1, 0, 2));
    assert!(now.bytes_received > 24 && now.bytes_sent > 24, "{now:?}");
    let post = headers(5, hpack::request("POST", "/p")).end_headers();
    peer.send_frames(&[post, rst_stream(5, ErrorCode::CANCEL)]).await;
    until(&counters, |now| now.resets_received == 1).await;
    drop(peer);
    until(&counters, |now| now.connections_ended == 1).await;
    assert_eq!(counters.snapshot().connections_warned, 0);

    let mut socket = TcpStream::connect(addr).await.unwrap();
    socket.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    until(&counters, |now| now.connections_refused == 1).await;
    until(&counters, |now| (now.connections_opened, now.connections_ended) == (2, 2)).await;
    assert_eq!(counters.snapshot().connections_warned, 0, "clients of HTTP/1 come to every port");
}

#[tokio::test]
async fn a_slow_poll_is_counted_and_logged_once() {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.clone());
    let server = Server::bind("127.0.0.1:0").await.unwrap();
    let (addr, counters) = (server.local_addr().unwrap(), server.counters());
    tokio::spawn(server.serve(service_fn(|request| {
        std::thread::sleep(std::time::Duration::from_millis(25));
        hello(request)
    })));
    let mut peer = Peer::client(TcpStream::connect(addr).await.unwrap()).await;
    for stream in [1, 3] {
        peer.send_frames(&[get(stream)]).await;
        peer.expect_headers().await;
        peer.expect_content(stream).await;
    }
    until(&counters, |now| now.slow_polls >= 2).await;
    assert!(counters.snapshot().longest_poll >= std::time::Duration::from_millis(25));
    let lines = log.lines_of("wrap the service in SpawnHandlers");
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].starts_with("WARN"), "{lines:?}");
}

/// The service reacts by itself: the advice to wrap it would be wrong.
#[tokio::test]
async fn a_slow_poll_of_a_service_that_spawns_when_slow_is_counted_without_advice() {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.clone());
    let server = Server::bind("127.0.0.1:0").await.unwrap();
    let (addr, counters) = (server.local_addr().unwrap(), server.counters());
    tokio::spawn(server.serve(SpawnHandlers::when_slow(service_fn(|request| async {
        std::thread::sleep(std::time::Duration::from_millis(25));
        hello(request).await
    }))));
    let mut peer = Peer::client(TcpStream::connect(addr).await.unwrap()).await;
    peer.send_frames(&[get(1)]).await;
    peer.expect_headers().await;
    until(&counters, |now| now.slow_polls == 1).await;
    assert_eq!(log.lines_of("wrap the service in SpawnHandlers"), [""; 0]);
}

/// The last of ten handlers wakes the others, which one poll of the connection then runs. A busy
/// machine can prolong a sleep, so the handlers measure their own time: as many polls are slow as
/// handlers were. A time slice that ends between the two clocks spoils a round, but not five.
#[tokio::test]
async fn handlers_of_one_poll_are_timed_one_by_one() {
    for round in 1.. {
        let all_wait = Arc::new(tokio::sync::Barrier::new(10));
        let own_times = Arc::new(Mutex::new(Vec::new()));
        let server = Server::bind("127.0.0.1:0").await.unwrap();
        let (addr, counters) = (server.local_addr().unwrap(), server.counters());
        let handler_times = Arc::clone(&own_times);
        tokio::spawn(server.serve(service_fn(move |request| {
            let (all_wait, own_times) = (Arc::clone(&all_wait), Arc::clone(&handler_times));
            async move {
                all_wait.wait().await;
                let start = std::time::Instant::now();
                std::thread::sleep(std::time::Duration::from_millis(3));
                own_times.lock().unwrap().push(start.elapsed());
                hello(request).await
            }
        })));
        let mut peer = Peer::client(TcpStream::connect(addr).await.unwrap()).await;
        peer.send_frames(&(0..10).map(|index| get(2 * index + 1)).collect::<Vec<_>>()).await;
        until(&counters, |now| now.streams_completed == 10).await;
        let own_times = own_times.lock().unwrap();
        let slow = own_times.iter().filter(|time| time.as_millis() >= 20).count() as u64;
        let counted = counters.snapshot();
        if counted.slow_polls == slow {
            return;
        }
        assert!(round < 5, "{counted:?}, but {own_times:?}");
    }
}

#[tokio::test]
async fn a_client_updates_its_counters() {
    let server = Server::bind("127.0.0.1:0").await.unwrap();
    let addr = server.local_addr().unwrap();
    tokio::spawn(server.serve(service_fn(hello)));
    let counters = Arc::new(Counters::default());
    let builder = client::Builder::new().counters(Arc::clone(&counters));
    let (mut client, connection): (Client<Full<Bytes>>, _) = builder.connect(addr).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = Request::get(format!("http://{addr}/")).body(Full::default()).unwrap();
    let response = within(client.send(request)).await.unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "hello");
    drop(client);
    within(connection).await.unwrap();
    let now = counters.snapshot();
    assert_eq!((now.connections_opened, now.connections_ended), (1, 1));
    assert_eq!((now.streams_opened, now.streams_completed, now.connections_warned), (1, 1, 0));
}

#[cfg(feature = "rustls")]
#[tokio::test]
async fn scanners_on_a_tls_port_cause_no_warning() {
    use std::time::Duration;
    use thalweg_tokio::rustls::ServerConfig;
    use thalweg_tokio::rustls::crypto::ring;
    use thalweg_tokio::rustls::pki_types::PrivateKeyDer;

    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.clone());
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap().der().clone();
    let tls = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
        .unwrap();
    let mut config = thalweg::Config::default();
    config.timeouts.preface = Some(Duration::from_secs(20));
    let server = Server::builder().tls(tls).config(config).bind("127.0.0.1:0").await.unwrap();
    let (addr, counters) = (server.local_addr().unwrap(), server.counters());
    tokio::spawn(server.serve(service_fn(hello)));
    let cases: [(&[u8], &str, &str); 3] = [
        (b"", "DEBUG", "closed by the peer without a byte"),
        (
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            "INFO",
            "the TLS handshake failed: the peer closed the connection",
        ),
        (&thalweg_testkit::frames::preface(), "INFO", "the peer does not speak TLS here: "),
    ];
    for (count, (bytes, level, text)) in cases.into_iter().enumerate() {
        let mut socket = TcpStream::connect(addr).await.unwrap();
        socket.write_all(bytes).await.unwrap();
        socket.shutdown().await.unwrap();
        until(&counters, |now| now.connections_refused == count as u64 + 1).await;
        let lines = log.lines_of("connection ended");
        let line = &lines[count];
        assert!(line.starts_with(level) && line.contains(text), "{line}");
    }
    assert_eq!(counters.snapshot().connections_warned, 0);
}

#[tokio::test]
async fn servers_and_standalone_connections_can_share_counters() {
    let counters = Arc::new(Counters::default());
    let server = Server::builder().counters(Arc::clone(&counters)).bind("127.0.0.1:0").await.unwrap();
    assert!(Arc::ptr_eq(&server.counters(), &counters));
    let (sender, mut ended) = tokio::sync::mpsc::unbounded_channel();
    let builder = Builder::new().counters(Arc::clone(&counters));
    let builder = builder.on_end(move |end| sender.send(end.remote).unwrap());
    let (near, far) = tokio::io::duplex(64 << 10);
    let connection = tokio::spawn(builder.serve_connection(far, service_fn(hello)).unwrap());
    drop(near);
    within(connection).await.unwrap();
    assert_eq!(within(ended.recv()).await, Some(None));
    let now = counters.snapshot();
    assert_eq!((now.connections_opened, now.connections_ended), (1, 1));
}
