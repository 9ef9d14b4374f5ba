//! Timeouts start at the calls that arm them: a handler or a caller that was inactive for longer
//! than a timeout is not penalized.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod support;

use std::convert::Infallible;
use std::io::{Read as _, Write as _};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use support::{Alive, Peer, Running, describe, hello};
use thalweg::frame::SettingId;
use thalweg::{CloseCause, Config, ErrorCode, Timeout};
use thalweg_testkit::frames::{
    Frame, Reader, data, flag, goaway, headers, kind, ping_ack, preface, raw, rst_stream, settings,
    settings_ack, wire,
};
use thalweg_testkit::hpack;
use thalweg_tokio::server::Connection;
use thalweg_tokio::{Body, BoxError, client, service_fn};
use tokio::io::DuplexStream;
use tokio::time::{Instant, sleep};

/// Longer than any timeout of the default configuration.
const SILENCE: Duration = Duration::from_secs(100);
const BODY: usize = 1 << 20;

/// Responds with 1 MiB after a pause.
async fn ponder(_: Request<Body>) -> Result<Response<Full<Bytes>>, Infallible> {
    sleep(SILENCE).await;
    Ok(Response::new(Full::from(vec![7; BODY])))
}

#[tokio::test(start_paused = true)]
async fn a_long_inactive_handler_completes_during_a_graceful_shutdown() {
    let (near, far) = tokio::io::duplex(64 << 10);
    let connection = Connection::new(far, service_fn(ponder), Config::default()).unwrap();
    let handle = connection.handle();
    let running = Running(tokio::spawn(connection));
    let mut peer = Peer::client(near).await;
    peer.send_frames(&[headers(1, hpack::get("/")).end_headers().end_stream()]).await;
    sleep(SILENCE - Duration::from_secs(20)).await;
    handle.shutdown();
    let ping = peer.expect(kind::PING).await;
    peer.send_frames(&[ping_ack(ping.body.try_into().unwrap())]).await;
    sleep(Duration::from_secs(19)).await;
    let content = peer.expect_content_of(1).await.0;
    assert_eq!(content.len(), BODY);
    drop(peer);
    assert_eq!(running.end().await.report.error, None);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_after_inactivity_lasts_as_long_as_configured() {
    let (near, far) = tokio::io::duplex(64 << 10);
    let connection = Connection::new(far, service_fn(ponder), Config::default()).unwrap();
    let handle = connection.handle();
    let running = Running(tokio::spawn(connection));
    let mut peer = Peer::client(near).await;
    peer.send_frames(&[headers(1, hpack::get("/")).end_headers().end_stream()]).await;
    sleep(Duration::from_secs(40)).await;
    handle.shutdown();
    let start = Instant::now();
    sleep(Duration::from_secs(29)).await;
    assert_eq!(peer.rest().await.last().unwrap().kind, kind::GOAWAY);
    assert_eq!(start.elapsed().as_secs(), 30);
    drop(peer);
    let end = running.end().await;
    assert_eq!(end.report.error.unwrap().cause(), CloseCause::Timeout(Timeout::Shutdown));
}

#[tokio::test(start_paused = true)]
async fn a_long_inactive_handler_sends_a_complete_response() {
    let (near, far) = tokio::io::duplex(64 << 10);
    let connection = Connection::new(far, service_fn(ponder), Config::default()).unwrap();
    let _running = Running(tokio::spawn(connection));
    let mut peer = Peer::client(near).await;
    peer.send_frames(&[headers(1, hpack::get("/")).end_headers().end_stream()]).await;
    sleep(SILENCE).await;
    // The windows are 65,535 bytes, and the peer continues to read.
    assert_eq!(peer.expect_content_of(1).await.0.len(), BODY);
}

#[tokio::test(start_paused = true)]
async fn a_long_idle_client_completes_its_upload() {
    let (near, far) = tokio::io::duplex(64 << 10);
    let (mut client, connection) = client::handshake(near, Config::default()).unwrap();
    let _running = Running(tokio::spawn(connection));
    let mut peer = Peer::server(far, settings()).await;
    for stream in [1, 3] {
        let upload = Request::post("http://example.org/p").body(Full::<Bytes>::from(vec![7; BODY])).unwrap();
        let response = tokio::spawn(client.send(upload));
        assert_eq!(peer.expect_content_of(stream).await.0.len(), BODY);
        let ok = headers(stream, hpack::response(204)).end_headers().end_stream();
        peer.send_frames(&[ok]).await;
        assert_eq!(response.await.unwrap().unwrap().status(), 204);
        sleep(SILENCE).await;
    }
}

#[tokio::test(start_paused = true)]
async fn settings_sent_after_inactivity_may_be_acknowledged_in_time() {
    let (near, far) = tokio::io::duplex(64 << 10);
    let mut config = Config::default();
    // The two pauses together are longer.
    config.timeouts.idle = None;
    let connection = Connection::new(far, service_fn(hello), config).unwrap();
    let handle = connection.handle();
    let running = Running(tokio::spawn(connection));
    let mut peer = Peer::client(near).await;
    sleep(SILENCE).await;
    assert!(handle.send_extension_settings([(SettingId(0xf000), 1)]));
    sleep(Duration::from_secs(9)).await;
    peer.send_frames(&[settings_ack()]).await;
    sleep(SILENCE).await;
    assert!(handle.send_extension_settings([(SettingId(0xf000), 2)]));
    let start = Instant::now();
    sleep(Duration::from_secs(9)).await;
    peer.rest().await;
    assert_eq!(start.elapsed().as_secs(), 10);
    drop(peer);
    let end = running.end().await;
    assert_eq!(end.report.error.unwrap().cause(), CloseCause::Timeout(Timeout::SettingsAck));
}

/// Serves a function with the default configuration over an in-memory transport.
async fn serve<F, A, B, E>(function: F) -> (Peer<DuplexStream>, Running)
where
    F: FnMut(Request<Body>) -> A + Send + 'static,
    A: Future<Output = Result<Response<B>, E>> + Send + 'static,
    B: http_body::Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
    E: Into<BoxError> + 'static,
{
    let (io, running) = support::serve(function);
    (Peer::client(io).await, running)
}

#[tokio::test(start_paused = true)]
async fn content_that_does_not_arrive_gets_408_and_its_handler_is_dropped() {
    let alive = Alive::default();
    let handlers = alive.clone();
    let (mut peer, _running) = serve(move |request| {
        let guard = handlers.enter();
        async move {
            let response = describe(request).await;
            drop(guard);
            response
        }
    })
    .await;
    let start = Instant::now();
    peer.send_frames(&[headers(1, hpack::request("POST", "/p")).end_headers(), data(1, "ab")]).await;
    sleep(Duration::from_secs(59)).await;
    assert_eq!(alive.count(), 1);
    assert_eq!(peer.expect_headers().await, [":status: 408"]);
    assert!((60..=120).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    assert_eq!(peer.expect_on(1).await, rst_stream(1, ErrorCode::NO_ERROR));
    assert_eq!(alive.count(), 0);
    // Other requests are served.
    peer.send_frames(&[headers(3, hpack::get("/g")).end_headers().end_stream()]).await;
    assert_eq!(peer.expect_content_of(3).await.0, b"GET /g ");
}

#[tokio::test(start_paused = true)]
async fn content_missing_after_the_start_of_the_response_resets_the_stream() {
    let (mut peer, _running) =
        serve(async |request: Request<Body>| Ok::<_, Infallible>(Response::new(request.into_body()))).await;
    let start = Instant::now();
    let mut fields = vec![(":method", "POST"), (":scheme", "http"), (":authority", "a"), (":path", "/p")];
    fields.push(("content-length", "3"));
    peer.send_frames(&[headers(1, hpack::block(&fields)).end_headers(), data(1, "ab")]).await;
    assert_eq!(peer.expect(kind::DATA).await, data(1, "ab"));
    // What was sent counts from the first expiry.
    sleep(Duration::from_secs(100)).await;
    assert_eq!(peer.expect_on(1).await, rst_stream(1, ErrorCode::CANCEL));
    assert!((60..=120).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_stream_on_which_nothing_moves_after_the_start_of_the_response_is_reset() {
    let (mut peer, _running) =
        serve(async |request: Request<Body>| Ok::<_, Infallible>(Response::new(request.into_body()))).await;
    let start = Instant::now();
    peer.send_frames(&[headers(1, hpack::request("POST", "/echo")).end_headers()]).await;
    assert_eq!(peer.expect_on(1).await.kind, kind::HEADERS);
    // The response counts from the first expiry.
    sleep(Duration::from_secs(100)).await;
    assert_eq!(peer.expect_on(1).await, rst_stream(1, ErrorCode::CANCEL));
    assert!((60..=120).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
}

/// An idle connection after its timeout: the server has sent GOAWAY, and a PING whose
/// acknowledgement shows that the peer has read it.
async fn idle_until_goaway() -> (Peer<DuplexStream>, Running, Frame) {
    let (mut peer, running) = serve(hello).await;
    let start = Instant::now();
    sleep(Duration::from_secs(179)).await;
    assert_eq!(peer.expect(kind::GOAWAY).await, goaway((1 << 31) - 1, ErrorCode::NO_ERROR));
    assert_eq!(start.elapsed().as_secs(), 180);
    let ping = peer.expect(kind::PING).await;
    (peer, running, ping)
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_closes_at_the_ping_ack() {
    let (mut peer, running, ping) = idle_until_goaway().await;
    let start = Instant::now();
    peer.send_frames(&[ping_ack(ping.body.try_into().unwrap())]).await;
    assert_eq!(peer.rest().await, [goaway(0, ErrorCode::NO_ERROR)]);
    assert_eq!(start.elapsed().as_secs(), 0);
    drop(peer);
    assert_eq!(running.end().await.report.error, None);
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_without_a_ping_ack_closes_at_the_time_limit() {
    let (mut peer, running, _) = idle_until_goaway().await;
    let start = Instant::now();
    assert_eq!(peer.rest().await, [goaway(0, ErrorCode::NO_ERROR)]);
    assert_eq!(start.elapsed().as_secs(), 10);
    drop(peer);
    let end = running.end().await;
    assert_eq!((end.report.error, end.is_warning()), (None, false));
}

/// A client with a blocking socket in a thread of its own, which a blocked runtime does not stop.
struct Blocking {
    socket: std::net::TcpStream,
    reader: Reader,
}

impl Blocking {
    fn send(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).unwrap();
    }

    /// Returns the next frame that is not WINDOW_UPDATE.
    fn next(&mut self) -> Frame {
        loop {
            match self.reader.next_frame().unwrap() {
                Some(frame) if frame.kind != kind::WINDOW_UPDATE => return frame,
                Some(_) => continue,
                None => {}
            }
            let mut bytes = [0; 4096];
            let len = self.socket.read(&mut bytes).unwrap();
            assert!(len > 0, "the server ended");
            self.reader.push(&bytes[..len]);
        }
    }

    /// Reads so many complete responses.
    fn responses(&mut self, count: usize) {
        let mut ended = 0;
        while ended < count {
            let frame = self.next();
            assert_ne!(frame.kind, kind::GOAWAY, "{frame}");
            ended += usize::from(frame.ends_stream());
        }
    }
}

/// The length of the timeouts below, and of what the handler blocks.
const SHORT: Duration = Duration::from_millis(100);
const BLOCKED: Duration = Duration::from_millis(400);

/// Serves one connection whose handler blocks its thread, while `client` runs.
async fn serve_blocking(client: impl FnOnce(Blocking) + Send + 'static) {
    let mut config = Config::default();
    (config.timeouts.settings_ack, config.timeouts.header_block) = (Some(SHORT), Some(SHORT));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let client = std::thread::spawn(move || {
        let socket = std::net::TcpStream::connect(address).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        client(Blocking { socket, reader: Reader::default() });
    });
    let (socket, _) = listener.accept().await.unwrap();
    let service = service_fn(|request: Request<Body>| async move {
        if request.uri().path() == "/block" {
            std::thread::sleep(BLOCKED);
        }
        hello(request).await
    });
    let end = Running(tokio::spawn(Connection::new(socket, service, config).unwrap())).end().await;
    assert_eq!(end.report.error, None, "{end}");
    client.join().unwrap();
}

fn acknowledges_settings_while_the_first_handler_blocks(mut client: Blocking) {
    let get = headers(1, hpack::get("/block")).end_headers().end_stream();
    client.send(&wire([&preface(), &settings(), &get]));
    assert_eq!(client.next().kind, kind::SETTINGS);
    client.send(&settings_ack().bytes());
    client.responses(1);
    client.send(&headers(3, hpack::get("/block")).end_headers().end_stream().bytes());
    client.responses(1);
}

fn completes_a_field_block_while_a_handler_blocks(mut client: Blocking) {
    client.send(&wire([&preface(), &settings()]));
    assert_eq!(client.next().kind, kind::SETTINGS);
    client.send(&settings_ack().bytes());
    let block = hpack::get("/");
    let blocking = headers(1, hpack::get("/block")).end_headers().end_stream();
    client.send(&wire([&blocking, &headers(3, &block[..2]).end_stream()]));
    std::thread::sleep(SHORT / 2);
    client.send(&raw(kind::CONTINUATION, flag::END_HEADERS, 3, &block[2..]).bytes());
    client.responses(2);
}

#[tokio::test]
async fn settings_acknowledged_while_a_handler_blocks_are_in_time() {
    serve_blocking(acknowledges_settings_while_the_first_handler_blocks).await;
}

#[tokio::test]
async fn a_field_block_completed_while_a_handler_blocks_is_in_time() {
    serve_blocking(completes_a_field_block_while_a_handler_blocks).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn input_that_arrives_while_a_handler_blocks_is_in_time_on_several_threads() {
    serve_blocking(acknowledges_settings_while_the_first_handler_blocks).await;
    serve_blocking(completes_a_field_block_while_a_handler_blocks).await;
}
