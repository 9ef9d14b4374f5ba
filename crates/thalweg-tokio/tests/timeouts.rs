//! Timeouts that calls arm count from these calls: a handler or a caller that was silent for longer
//! than a timeout loses nothing.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod support;

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use support::{Alive, Peer, Running, describe, hello};
use thalweg::frame::SettingId;
use thalweg::{CloseCause, Config, ErrorCode, Timeout};
use thalweg_testkit::frames::{
    Frame, data, goaway, headers, kind, ping_ack, rst_stream, settings, settings_ack,
};
use thalweg_testkit::hpack;
use thalweg_tokio::server::Connection;
use thalweg_tokio::{Body, BoxError, client, service_fn};
use tokio::io::DuplexStream;
use tokio::time::{Instant, sleep};

/// More than any timeout of the default configuration.
const SILENCE: Duration = Duration::from_secs(100);
const BODY: usize = 1 << 20;

/// Answers with 1 MiB after a silence.
async fn ponder(_: Request<Body>) -> Result<Response<Full<Bytes>>, Infallible> {
    sleep(SILENCE).await;
    Ok(Response::new(Full::from(vec![7; BODY])))
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_was_silent_for_long_is_not_cut_off_by_a_graceful_shutdown() {
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
async fn a_shutdown_after_a_silence_lasts_as_long_as_configured() {
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
async fn a_handler_that_was_silent_for_long_then_answers_whole() {
    let (near, far) = tokio::io::duplex(64 << 10);
    let connection = Connection::new(far, service_fn(ponder), Config::default()).unwrap();
    let _running = Running(tokio::spawn(connection));
    let mut peer = Peer::client(near).await;
    peer.send_frames(&[headers(1, hpack::get("/")).end_headers().end_stream()]).await;
    sleep(SILENCE).await;
    // The windows are 65,535 bytes, and the peer reads on.
    assert_eq!(peer.expect_content_of(1).await.0.len(), BODY);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_was_idle_for_long_uploads_whole() {
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
async fn settings_that_are_announced_after_a_silence_may_be_acknowledged_in_time() {
    let (near, far) = tokio::io::duplex(64 << 10);
    let mut config = Config::default();
    // The two silences together are longer.
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

/// Serves a function with the default configuration to a peer in memory.
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
async fn content_that_does_not_come_is_answered_with_408_and_its_handler_is_dropped() {
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
    // Others are served.
    peer.send_frames(&[headers(3, hpack::get("/g")).end_headers().end_stream()]).await;
    assert_eq!(peer.expect_content_of(3).await.0, b"GET /g ");
}

#[tokio::test(start_paused = true)]
async fn announced_content_that_does_not_come_after_the_response_began_resets_the_stream() {
    let (mut peer, _running) =
        serve(async |request: Request<Body>| Ok::<_, Infallible>(Response::new(request.into_body()))).await;
    let start = Instant::now();
    let mut fields = vec![(":method", "POST"), (":scheme", "http"), (":authority", "a"), (":path", "/p")];
    fields.push(("content-length", "3"));
    peer.send_frames(&[headers(1, hpack::block(&fields)).end_headers(), data(1, "ab")]).await;
    assert_eq!(peer.expect(kind::DATA).await, data(1, "ab"));
    sleep(Duration::from_secs(59)).await;
    assert_eq!(peer.expect_on(1).await, rst_stream(1, ErrorCode::CANCEL));
    assert!((60..=120).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
}

/// An idle connection, and when it was told that it ends: GOAWAY, and the PING that asks whether
/// the peer has read it.
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
async fn an_idle_peer_that_answers_ping_is_left_at_once() {
    let (mut peer, running, ping) = idle_until_goaway().await;
    let start = Instant::now();
    peer.send_frames(&[ping_ack(ping.body.try_into().unwrap())]).await;
    assert_eq!(peer.rest().await, [goaway(0, ErrorCode::NO_ERROR)]);
    assert_eq!(start.elapsed().as_secs(), 0);
    drop(peer);
    assert_eq!(running.end().await.report.error, None);
}

#[tokio::test(start_paused = true)]
async fn an_idle_peer_that_does_not_answer_ping_is_left_when_its_time_is_over() {
    let (mut peer, running, _) = idle_until_goaway().await;
    let start = Instant::now();
    assert_eq!(peer.rest().await, [goaway(0, ErrorCode::NO_ERROR)]);
    assert_eq!(start.elapsed().as_secs(), 10);
    drop(peer);
    let end = running.end().await;
    assert_eq!((end.report.error, end.is_warning()), (None, false));
}
