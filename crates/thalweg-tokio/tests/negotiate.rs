//! Protocol negotiation of a listener by the first bytes of its connections.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod support;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use support::{Peer, describe, within};
use thalweg::Config;
use thalweg_h2c::SniffError;
use thalweg_testkit::frames::{headers, kind, ping, preface, settings, wire};
use thalweg_testkit::hpack;
use thalweg_tokio::server::ServeStats;
use thalweg_tokio::{ConnectionEnd, NegotiationError, Server, service_fn};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// A server, and the outcomes of its connections.
struct Listening {
    addr: SocketAddr,
    closed: mpsc::UnboundedReceiver<String>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<io::Result<ServeStats>>,
}

async fn listen(config: Config) -> Listening {
    let (sender, closed) = mpsc::unbounded_channel();
    let server = Server::builder().config(config).on_end(move |end| {
        assert!(end.remote.unwrap().ip().is_loopback());
        let what = match end.negotiation_error {
            None => format!("ended: {end}"),
            Some(NegotiationError::Sniff(SniffError::Tls { .. })) => "tls".into(),
            Some(NegotiationError::Sniff(SniffError::NotHttp { .. })) => "garbage".into(),
            Some(error) => format!("{error:?}"),
        };
        sender.send(what).unwrap();
    });
    let server = server.bind("127.0.0.1:0").await.unwrap();
    let addr = server.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let signal = async { drop(stopped.await) };
    let task = tokio::spawn(server.serve_until(service_fn(describe), signal));
    Listening { addr, closed, stop, task }
}

/// Sends bytes and returns the complete response, and the outcome on the server.
async fn send_raw(listening: &mut Listening, bytes: &[u8]) -> (Vec<u8>, String) {
    let mut socket = TcpStream::connect(listening.addr).await.unwrap();
    socket.write_all(bytes).await.unwrap();
    socket.shutdown().await.unwrap();
    let mut answer = Vec::new();
    within(socket.read_to_end(&mut answer)).await.unwrap();
    (answer, within(listening.closed.recv()).await.unwrap())
}

#[tokio::test]
async fn an_http_1_request_gets_505() {
    let mut listening = listen(Config::default()).await;
    let (answer, how) = send_raw(&mut listening, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(answer.starts_with(b"HTTP/1.1 426 Upgrade Required\r\n"), "{}", answer.escape_ascii());
    assert_eq!(how, "Http1");
    let (answer, how) = send_raw(&mut listening, b"GET / HTTP/3.0\r\nHost: a\r\n\r\n").await;
    assert!(answer.starts_with(b"HTTP/1.1 505 "), "{}", answer.escape_ascii());
    assert!(how.contains("Version"), "{how}");
}

#[tokio::test]
async fn an_upgrade_becomes_http_2_with_its_request_on_stream_1() {
    let mut listening = listen(Config::default()).await;
    let window = URL_SAFE_NO_PAD.encode([0, 4, 0, 0, 0, 5]);
    let request = format!(
        "POST /up HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\
         HTTP2-Settings: {window}\r\nContent-Length: 4\r\n\r\nbody"
    );
    let mut socket = TcpStream::connect(listening.addr).await.unwrap();
    // The client's first HTTP/2 bytes may arrive in the same packet.
    let bytes = wire([
        &request.into_bytes(),
        &preface(),
        &settings(),
        &headers(3, hpack::get("/g")).end_headers().end_stream(),
    ]);
    socket.write_all(&bytes).await.unwrap();
    let mut switching =
        vec![0; b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n".len()];
    within(socket.read_exact(&mut switching)).await.unwrap();
    assert!(
        switching.starts_with(b"HTTP/1.1 101 ") && switching.ends_with(b"\r\n\r\n"),
        "{}",
        switching.escape_ascii()
    );
    let mut peer = Peer::new(socket);
    assert_eq!(peer.expect_on(1).await.kind, kind::HEADERS);
    assert_eq!(peer.expect_on(1).await.body, b"POST ", "five bytes are the window of its settings");
    peer.send(&thalweg_testkit::frames::window_update(1, 100).bytes()).await;
    assert_eq!(peer.expect_content(1).await.0, b"/up body");
    drop(peer);
    assert!(within(listening.closed.recv()).await.unwrap().starts_with("ended"));
}

#[tokio::test]
async fn an_unusable_upgrade_gets_an_http_1_error() {
    let mut listening = listen(Config::default()).await;
    // SETTINGS_MAX_FRAME_SIZE of 5.
    let settings = URL_SAFE_NO_PAD.encode([0, 5, 0, 0, 0, 5]);
    let request = format!(
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\
         HTTP2-Settings: {settings}\r\n\r\n"
    );
    let (answer, how) = send_raw(&mut listening, request.as_bytes()).await;
    assert!(answer.starts_with(b"HTTP/1.1 4"), "{}", answer.escape_ascii());
    assert!(["Http1", "Upgrade"].contains(&how.as_str()), "{how}");
}

#[tokio::test]
async fn input_that_is_not_http_is_reported_and_gets_no_response() {
    let mut listening = listen(Config::default()).await;
    let tls_hello = [&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3][..], &[7; 506]].concat();
    for (bytes, expected) in
        [(&tls_hello[..], "tls"), (&[0; 64], "garbage"), (b"", "NoData"), (b"\x00", "garbage")]
    {
        let (answer, how) = send_raw(&mut listening, bytes).await;
        assert_eq!((answer.as_slice(), how.as_str()), (&b""[..], expected));
    }
}

#[tokio::test]
async fn an_invalid_end_of_the_preface_gets_a_goaway() {
    let mut listening = listen(Config::default()).await;
    let (answer, how) = send_raw(&mut listening, b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n").await;
    let frames = thalweg_testkit::frames::read_all(&answer);
    assert_eq!(frames.last().unwrap().code(), Some(thalweg::ErrorCode::PROTOCOL_ERROR), "{frames:?}");
    assert!(how.contains("preface"), "{how}");
}

#[tokio::test]
async fn a_peer_that_sends_no_preface_in_time_is_closed() {
    let mut config = Config::default();
    config.timeouts.preface = Some(Duration::from_millis(20));
    let mut listening = listen(config).await;
    let mut socket = TcpStream::connect(listening.addr).await.unwrap();
    let mut answer = Vec::new();
    let received = async {
        socket.write_all(b"GET / HT").await?;
        socket.read_to_end(&mut answer).await
    };
    // On a busy machine the time limit may expire before the write: then TCP reports a reset.
    let is_reset = |error: &io::Error| {
        matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe)
    };
    assert!(within(received).await.map_or_else(|error| is_reset(&error), |_| true));
    drop(socket);
    assert_eq!(within(listening.closed.recv()).await.unwrap(), "TimedOut");
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_a_peer_that_has_sent_nothing() {
    let mut listening = listen(Config::default()).await;
    let _silent = TcpStream::connect(listening.addr).await.unwrap();
    let peer = Peer::client(TcpStream::connect(listening.addr).await.unwrap()).await;
    listening.stop.send(()).unwrap();
    assert_eq!(within(listening.closed.recv()).await.unwrap(), "ShuttingDown");
    drop(peer);
    let served = within(listening.task).await.unwrap().unwrap();
    assert_eq!((served.accepted, served.dropped), (2, 0));
    assert!(TcpStream::connect(listening.addr).await.is_err(), "the listener is closed");
}

#[tokio::test]
async fn a_stream_that_outlives_the_shutdown_is_counted_as_dropped() {
    let mut config = Config::default();
    config.timeouts.shutdown = Some(Duration::from_millis(20));
    let mut listening = listen(config).await;
    let mut peer = Peer::client(TcpStream::connect(listening.addr).await.unwrap()).await;
    // Its content never ends.
    peer.send_frames(&[headers(1, hpack::request("POST", "/")).end_headers(), ping([7; 8])]).await;
    peer.expect(kind::PING).await;
    listening.stop.send(()).unwrap();
    let receiver = within(listening.closed.recv()).await.unwrap();
    assert!(receiver.starts_with("ended: timeouts.shutdown passed; 1 streams"), "{receiver}");
    drop(peer);
    let served = within(listening.task).await.unwrap().unwrap();
    assert_eq!((served.accepted, served.dropped), (1, 1));
}

#[tokio::test]
async fn an_abandoned_tls_handshake_is_no_warning() {
    let refused = |error| ConnectionEnd::refused(error).is_warning();
    assert!(!refused(NegotiationError::Handshake));
    assert!(
        !refused(NegotiationError::NotTls)
            && !refused(NegotiationError::Http1)
            && !refused(NegotiationError::TimedOut)
    );
}

#[tokio::test]
async fn without_h2c_the_server_sends_its_preface_at_once_and_refuses_upgrades() {
    let server = Server::builder().h2c(None).bind("127.0.0.1:0").await.unwrap();
    let addr = server.local_addr().unwrap();
    tokio::spawn(server.serve(service_fn(describe)));
    let mut socket = TcpStream::connect(addr).await.unwrap();
    let mut head = [0; 9];
    within(socket.read_exact(&mut head)).await.unwrap();
    assert_eq!(head[3..], [4, 0, 0, 0, 0, 0], "SETTINGS before the client has sent a byte");
    socket.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nupgrade: h2c\r\n\r\n").await.unwrap();
    let mut rest = Vec::new();
    within(socket.read_to_end(&mut rest)).await.unwrap();
    assert!(!rest.starts_with(b"HTTP/1.1"), "{}", rest.escape_ascii());
}
