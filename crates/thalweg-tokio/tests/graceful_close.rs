//! Connection ends: the peer receives the final GOAWAY, and the close completes within a time
//! limit.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod support;

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use support::{Alive, Peer, Running, describe, hello, serve, within};
use thalweg::{CloseCause, Config, ErrorCode, Timeout, Violation};
use thalweg_testkit::frames::{Frame, data, goaway, headers, kind, ping, preface, raw, settings, wire};
use thalweg_testkit::hpack;
use thalweg_tokio::{CloseLimits, Server, service_fn};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;

fn greeting() -> Vec<u8> {
    wire([&preface(), &settings()])
}

fn request(stream: u32) -> Frame {
    headers(stream, hpack::request("POST", "/p")).end_headers()
}

/// PING on a stream: RFC 9113 §6.7 makes it a connection error.
fn offence() -> Frame {
    raw(kind::PING, 0, 1, [0; 8])
}

#[tokio::test]
async fn a_peer_that_keeps_sending_still_receives_the_goaway() {
    let server = Server::bind("127.0.0.1:0").await.unwrap();
    let addr = server.local_addr().unwrap();
    tokio::spawn(server.serve(service_fn(hello)));
    for _ in 0..10 {
        let mut socket = TcpStream::connect(addr).await.unwrap();
        socket.write_all(&wire([&greeting(), &offence()])).await.unwrap();
        // Far more than the kernel buffers for a socket that is not read.
        let late = vec![0; 8 << 20];
        within(socket.write_all(&late)).await.expect("the server reads on");
        socket.shutdown().await.unwrap();
        let frames = Peer::new(socket).rest().await;
        let last = frames.last().unwrap();
        assert_eq!((last.kind, last.code()), (kind::GOAWAY, Some(ErrorCode::PROTOCOL_ERROR)), "{frames:?}");
    }
}

#[tokio::test]
async fn input_that_is_not_http_2_gets_a_goaway() {
    let tls_hello = [&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3][..], &[7; 506]].concat();
    for garbage in [&b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"[..], &tls_hello, b"SSH-2.0-OpenSSH_9\r\n", &[0; 64]]
    {
        let (io, running) = serve(hello);
        let mut peer = Peer::new(io);
        peer.send(garbage).await;
        let frames = peer.rest().await;
        assert_eq!(frames.first().map(|frame| frame.kind), Some(kind::SETTINGS));
        assert_eq!(frames.last().unwrap().code(), Some(ErrorCode::PROTOCOL_ERROR), "{frames:?}");
        drop(peer);
        let end = running.end().await;
        assert_eq!(end.report.error.unwrap().cause(), CloseCause::Violation(Violation::PrefaceInvalid));
        assert!(end.is_warning());
    }
}

#[tokio::test]
async fn end_of_input_at_every_byte_closes_gracefully() {
    let conversation =
        wire([&greeting(), &request(1), &data(1, "abc"), &data(1, "def").end_stream(), &ping([0; 8])]);
    let whole = conversation.len() - 17;
    for len in 0..=conversation.len() {
        let alive = Alive::default();
        let count = alive.clone();
        let (mut io, running) = serve(move |request| {
            let guard = count.enter();
            async move {
                let _guard = guard;
                describe(request).await
            }
        });
        within(io.write_all(&conversation[..len])).await.unwrap();
        within(io.shutdown()).await.unwrap();
        let mut peer = Peer::new(io);
        let frames = peer.rest().await;
        assert_eq!(frames.iter().filter(|frame| frame.kind == kind::GOAWAY).count(), 1, "{len}: {frames:?}");
        let answered = frames.iter().any(|frame| frame.kind == kind::HEADERS);
        assert_eq!(answered, len >= whole, "{len}: {frames:?}");
        let end = running.end().await;
        let is_clean = [greeting().len(), whole, conversation.len()].contains(&len);
        assert_eq!(end.report.error.is_none(), is_clean, "{len}: {end}");
        assert_eq!(alive.count(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_close_is_dropped_after_a_second() {
    let (io, running) = serve(hello);
    let mut peer = Peer::new(io);
    peer.send(b"GET / HTTP/1.1\r\n\r\n").await;
    let start = tokio::time::Instant::now();
    running.end().await;
    assert_eq!(start.elapsed().as_secs(), 1);
    assert_eq!(peer.rest().await.last().unwrap().kind, kind::GOAWAY);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_read_is_dropped_after_five_seconds() {
    let (mut io, far) = tokio::io::duplex(24);
    let connection =
        thalweg_tokio::server::Connection::new(far, service_fn(hello), Config::default()).unwrap();
    let running = Running(tokio::spawn(connection));
    within(io.write_all(&[0; 24])).await.unwrap();
    let start = tokio::time::Instant::now();
    running.end().await;
    assert_eq!(start.elapsed().as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_sends_nothing_gets_a_goaway_at_the_timeout() {
    let (io, running) = serve(hello);
    let mut peer = Peer::new(io);
    let start = tokio::time::Instant::now();
    let frames = peer.rest().await;
    assert_eq!(frames.last().unwrap().kind, kind::GOAWAY);
    assert_eq!(start.elapsed().as_secs(), 10);
    drop(peer);
    let end = running.end().await;
    assert_eq!(end.report.error.unwrap().cause(), CloseCause::Timeout(Timeout::Preface));
}

/// A transport with endless input, which fails to write on demand.
struct Flood {
    greeting: Vec<u8>,
    after: Arc<AtomicUsize>,
    is_shut: bool,
    fails: bool,
}

impl AsyncRead for Flood {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.fails && self.greeting.is_empty() {
            return Poll::Pending;
        }
        let len = buf.remaining().min(self.greeting.len());
        if len > 0 {
            let rest = self.greeting.split_off(len);
            buf.put_slice(&self.greeting);
            self.greeting = rest;
            return Poll::Ready(Ok(()));
        }
        let len = buf.remaining();
        if self.is_shut {
            self.after.fetch_add(len, Ordering::SeqCst);
        }
        // PING frames: a connection that has ended does not acknowledge them.
        let pings = ping([9; 8]).bytes().repeat(len / 17 + 1);
        buf.put_slice(&pings[..len]);
        cx.waker().wake_by_ref();
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Flood {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.fails {
            true => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            false => Poll::Ready(Ok(bytes.len())),
        }
    }
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.is_shut = true;
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn input_after_the_end_is_drained_up_to_a_limit() {
    let after = Arc::new(AtomicUsize::new(0));
    let greeting = wire([&greeting(), &offence()]);
    let flood = Flood { greeting, after: Arc::clone(&after), is_shut: false, fails: false };
    let connection = thalweg_tokio::server::Connection::new(flood, service_fn(hello), Config::default());
    let end = within(connection.unwrap()).await;
    assert!(end.is_warning());
    let drained = after.load(Ordering::SeqCst);
    assert!((16 << 20..17 << 20).contains(&drained), "{drained}");
}

#[tokio::test]
async fn a_transport_that_fails_is_in_the_report() {
    let flood = Flood { greeting: greeting(), after: Arc::default(), is_shut: false, fails: true };
    let connection = thalweg_tokio::server::Connection::new(flood, service_fn(hello), Config::default());
    let end = within(connection.unwrap()).await;
    assert_eq!(end.transport.as_ref().map(io::Error::kind), Some(io::ErrorKind::BrokenPipe));
    assert!(end.to_string().starts_with("the transport failed (broken pipe): "), "{end}");
}

#[tokio::test]
async fn a_peer_that_half_closes_gets_its_responses() {
    let (mut io, running) = serve(describe);
    let conversation = wire([&greeting(), &request(1), &data(1, "abc").end_stream()]);
    within(io.write_all(&conversation)).await.unwrap();
    within(io.shutdown()).await.unwrap();
    let mut bytes = Vec::new();
    within(io.read_to_end(&mut bytes)).await.unwrap();
    let frames = thalweg_testkit::frames::read_all(&bytes);
    let content: Vec<u8> =
        frames.iter().filter(|frame| frame.kind == kind::DATA).flat_map(|frame| frame.body.clone()).collect();
    assert_eq!(content, b"POST /p abc");
    assert!(frames.iter().any(|frame| frame.kind == kind::GOAWAY));
    assert_eq!(running.end().await.report.error, None);
}

#[tokio::test(start_paused = true)]
async fn timers_of_an_open_connection_follow_virtual_time() {
    let mut config = Config::default();
    config.timeouts.keep_alive = Some(Duration::from_secs(20));
    let (near, far) = tokio::io::duplex(64 << 10);
    let connection = thalweg_tokio::server::Connection::new(far, service_fn(hello), config).unwrap();
    let running = Running(tokio::spawn(connection));
    let mut peer = Peer::client(near).await;
    let start = tokio::time::Instant::now();
    peer.expect(kind::PING).await;
    assert_eq!(start.elapsed().as_secs(), 20);
    assert_eq!(peer.rest().await.last().unwrap().kind, kind::GOAWAY);
    assert_eq!(start.elapsed().as_secs(), 30);
    drop(peer);
    let end = running.end().await;
    assert_eq!(end.report.error.unwrap().cause(), CloseCause::Timeout(Timeout::Ping));
}

#[tokio::test(start_paused = true)]
async fn the_limits_of_the_close_are_the_options() {
    let limits = CloseLimits::default().drain(Duration::from_secs(7));
    let (mut io, far) = tokio::io::duplex(64 << 10);
    let builder = thalweg_tokio::server::Builder::new().close_limits(limits);
    let connection = builder.serve_connection(far, service_fn(hello)).unwrap();
    let handle = connection.handle();
    let running = tokio::spawn(connection);
    io.write_all(&greeting()).await.unwrap();
    handle.shutdown();
    io.write_all(&goaway(0, ErrorCode::NO_ERROR).bytes()).await.unwrap();
    // The client reads all and never closes its side.
    let mut output = Vec::new();
    io.read_to_end(&mut output).await.unwrap();
    let start = tokio::time::Instant::now();
    within(running).await.unwrap();
    assert_eq!(start.elapsed().as_secs(), 7);
}
