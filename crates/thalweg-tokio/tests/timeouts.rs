//! Timeouts start at the calls that arm them: a handler or a caller that was inactive for longer
//! than a timeout is not penalized.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod support;

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use support::{Peer, Running, hello};
use thalweg::frame::SettingId;
use thalweg::{CloseCause, Config, Timeout};
use thalweg_testkit::frames::{headers, kind, ping_ack, settings, settings_ack};
use thalweg_testkit::hpack;
use thalweg_tokio::server::Connection;
use thalweg_tokio::{Body, client, service_fn};
use tokio::time::sleep;

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
    let start = tokio::time::Instant::now();
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
    let connection = Connection::new(far, service_fn(hello), Config::default()).unwrap();
    let handle = connection.handle();
    let running = Running(tokio::spawn(connection));
    let mut peer = Peer::client(near).await;
    sleep(SILENCE).await;
    assert!(handle.send_extension_settings([(SettingId(0xf000), 1)]));
    sleep(Duration::from_secs(9)).await;
    peer.send_frames(&[settings_ack()]).await;
    sleep(SILENCE).await;
    assert!(handle.send_extension_settings([(SettingId(0xf000), 2)]));
    let start = tokio::time::Instant::now();
    sleep(Duration::from_secs(9)).await;
    peer.rest().await;
    assert_eq!(start.elapsed().as_secs(), 10);
    drop(peer);
    let end = running.end().await;
    assert_eq!(end.report.error.unwrap().cause(), CloseCause::Timeout(Timeout::SettingsAck));
}
