//! Handlers that block: sequentially in their connection's task, concurrently on separate tasks.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod support;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use support::{Peer, Running};
use thalweg::Config;
use thalweg_testkit::frames::{Frame, headers};
use thalweg_testkit::hpack;
use thalweg_tokio::server::Connection;
use thalweg_tokio::{Body, SpawnHandlers, service_fn};
use tokio::io::DuplexStream;

/// The number of concurrent handlers.
const HANDLERS: usize = 4;
/// Time for concurrent handlers to start.
const LIMIT: Duration = Duration::from_secs(20);

/// Blocks until this number of handlers of `/meet` run concurrently, or for `limit`; `/slow` blocks
/// for 10 ms. Responds with the largest number of concurrent handlers.
async fn block(running: Arc<AtomicUsize>, limit: Duration, path: String) -> Response<Full<Bytes>> {
    if path == "/slow" {
        std::thread::sleep(Duration::from_millis(10));
        return Response::new(Full::from("slow"));
    }
    let deadline = Instant::now() + limit;
    let mut most = running.fetch_add(1, Ordering::SeqCst) + 1;
    while most < HANDLERS && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(1));
        most = most.max(running.load(Ordering::SeqCst));
    }
    if most < HANDLERS {
        running.fetch_sub(1, Ordering::SeqCst);
    }
    Response::new(Full::from(format!("{most} at once")))
}

fn get(stream: u32, path: &str) -> Frame {
    headers(stream, hpack::get(path)).end_stream().end_headers()
}

/// Sends `first`, if any, waits for its response, and then sends all `/meet` requests together.
async fn responses_to(mut peer: Peer<DuplexStream>, first: Option<&str>) -> Vec<String> {
    if let Some(path) = first {
        peer.send_frames(&[get(1, path)]).await;
        peer.expect_content_of(1).await;
    }
    let streams = (0..HANDLERS as u32).map(|index| 2 * index + 3);
    peer.send_frames(&streams.clone().map(|stream| get(stream, "/meet")).collect::<Vec<_>>()).await;
    let mut responses = vec![String::new(); HANDLERS];
    while responses.iter().any(String::is_empty) {
        let frame = peer.expect(thalweg_testkit::frames::kind::DATA).await;
        responses[(frame.stream as usize - 3) / 2] = String::from_utf8(frame.body.clone()).unwrap();
    }
    responses
}

macro_rules! serve {
    ($wrap:expr, $limit:expr) => {{
        let running = Arc::default();
        let service = service_fn(move |request: Request<Body>| {
            let (running, path) = (Arc::clone(&running), request.uri().path().to_owned());
            async move { Ok::<_, Infallible>(block(running, $limit, path).await) }
        });
        let (near, far) = tokio::io::duplex(64 << 10);
        let connection = Connection::new(far, $wrap(service), Config::default()).unwrap();
        let running = Running(tokio::spawn(connection));
        (Peer::client(near).await, running)
    }};
}

#[tokio::test(flavor = "multi_thread", worker_threads = 6)]
async fn handlers_run_one_after_the_other_unless_they_are_spawned() {
    let (peer, _running) = serve!(|service| service, Duration::from_millis(10));
    assert_eq!(responses_to(peer, None).await, vec!["1 at once"; HANDLERS]);
    let (peer, _running) = serve!(SpawnHandlers, LIMIT);
    let responses = responses_to(peer, None).await;
    assert!(responses.iter().all(|text| text == "4 at once"), "{responses:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 6)]
async fn handlers_are_spawned_after_one_was_slow() {
    let (peer, _running) = serve!(SpawnHandlers::when_slow, LIMIT);
    let responses = responses_to(peer, Some("/slow")).await;
    assert!(responses.iter().all(|text| text == "4 at once"), "{responses:?}");
}
