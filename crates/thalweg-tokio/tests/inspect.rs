//! What a monitor reports of connections, and what it hides.
#![cfg(feature = "inspect")]
#![allow(clippy::unwrap_used)]

mod support;

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{Empty, Full};
use support::{Peer, hello, within};
use thalweg_testkit::frames::{self, kind};
use thalweg_testkit::hpack;
use thalweg_tokio::inspect::{ConnectionMonitor, ConnectionSnapshot, MonitorSnapshot, Subscription};
use thalweg_tokio::server::Builder;
use thalweg_tokio::thalweg::{ErrorCode, HalfState, Limit};
use thalweg_tokio::{Body, Server, client, service_fn};
use tokio::io::DuplexStream;

/// Serves a function on one end of a monitored in-memory transport.
fn serve<F, A>(monitor: &ConnectionMonitor, function: F) -> DuplexStream
where
    F: FnMut(Request<Body>) -> A + Send + 'static,
    A: Future<Output = Result<Response<Full<Bytes>>, Infallible>> + Send + 'static,
{
    let (near, far) = tokio::io::duplex(64 << 10);
    tokio::spawn(Builder::new().inspect(monitor).serve_connection(far, service_fn(function)).unwrap());
    near
}

async fn only(subscription: &Subscription) -> ConnectionSnapshot {
    let MonitorSnapshot { mut connections, unresponsive, .. } = subscription.snapshot(10).await;
    assert_eq!((connections.len(), unresponsive.len()), (1, 0));
    connections.remove(0)
}

/// Takes snapshots until one satisfies the condition.
async fn until(
    subscription: &Subscription,
    is_expected: impl Fn(&ConnectionSnapshot) -> bool,
) -> ConnectionSnapshot {
    let seen = async {
        loop {
            let view = only(subscription).await;
            if is_expected(&view) {
                return view;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    within(seen).await
}

fn request(fields: &[(&str, &str)]) -> Vec<u8> {
    let head = [(":method", "GET"), (":scheme", "http"), (":authority", "secret.example")];
    let fields: Vec<_> = head.iter().chain(fields).copied().collect();
    hpack::block(&fields)
}

#[tokio::test]
async fn a_blocked_stream_is_reported_with_what_it_waits_for() {
    let monitor = ConnectionMonitor::new();
    let big = |_| async { Ok(Response::new(Full::from(vec![0; 200_000]))) };
    let mut peer = Peer::client(serve(&monitor, big)).await;
    let subscription = monitor.subscribe();
    // This snapshot starts the capture of frames.
    only(&subscription).await;
    peer.send_frames(&[frames::headers(1, request(&[(":path", "/")])).end_headers().end_stream()]).await;
    peer.expect(kind::DATA).await;
    let view =
        until(&subscription, |view| view.streams.first().is_some_and(|stream| stream.window.send == 0)).await;
    let stream = view.streams[0];
    assert_eq!((stream.stream.id().as_u32(), stream.is_blocked), (1, true));
    assert_eq!((stream.state(), stream.local), ("half-closed (remote)", HalfState::Data));
    assert_eq!((view.window.send, view.window.receive), (0, 1 << 20));
    assert_eq!((view.report.live_streams, view.report.counters.streams_opened), (1, 1));
    assert_eq!((view.info.id, view.info.is_client), (1, false));
    let resets = view.rate_limits.iter().find(|limit| limit.limit == Limit::Resets).unwrap();
    assert_eq!((resets.tokens, resets.burst), (1000, 1000));
    peer.send_frames(&[frames::window_update(1, 1000), frames::window_update(0, 500)]).await;
    let view = until(&subscription, |view| view.streams[0].window.send == 500).await;
    assert_eq!(view.window.send, 0);
    peer.send_frames(&[frames::rst_stream(1, ErrorCode::CANCEL)]).await;
    let view = until(&subscription, |view| view.streams.is_empty()).await;
    let note = &view.stream_records[0];
    assert_eq!(note.reset.map(|(_, code, by_us)| (code, by_us)), Some((ErrorCode::CANCEL, false)));
    assert_eq!(note.bytes_sent, 65_535 + 500);
}

#[tokio::test]
async fn frames_captured_from_the_first_contain_names_but_no_secrets() {
    for shows_paths in [false, true] {
        let monitor = if shows_paths {
            ConnectionMonitor::new().keep_recording().with_paths()
        } else {
            ConnectionMonitor::new().keep_recording()
        };
        let mut peer = Peer::client(serve(&monitor, hello)).await;
        let fields = [(":path", "/open/door?token=s3cret"), ("cookie", "s3cret"), ("te", "trailers")];
        peer.send_frames(&[frames::headers(1, request(&fields)).end_headers().end_stream()]).await;
        peer.expect_headers().await;
        peer.expect_content(1).await;
        let subscription = monitor.subscribe();
        let view = until(&subscription, |view| {
            view.stream_records.first().is_some_and(|note| note.ended().is_some())
        })
        .await;
        let text = format!("{view:?}");
        assert!(view.shows_fields && !text.contains("s3cret") && !text.contains("secret.example"), "{text}");
        assert_eq!(text.contains("/open/door"), shows_paths, "{text}");
        let asked = view.frames.iter().find(|frame| frame.name == "HEADERS").unwrap();
        for part in ["END_STREAM", ":method: GET;", "cookie: (6 B);", "te: trailers;", ":authority: (14 B);"]
        {
            assert!(asked.detail.contains(part), "{part} is not in {}", asked.detail);
        }
        let note = &view.stream_records[0];
        assert_eq!((note.method.as_deref(), note.status), (Some("GET"), Some(200)));
        assert_eq!(note.path.as_deref(), shows_paths.then_some("/open/door"));
        assert_eq!((note.bytes_received, note.bytes_sent), (0, 5));
        assert!(note.opened.unwrap() <= note.responded.unwrap());
        assert!(view.frames.windows(2).all(|pair| pair[0].number + 1 == pair[1].number));
        assert_eq!(view.frames[0].name, "preface");
        assert!(view.frames.iter().any(|frame| frame.is_sent && frame.name == "SETTINGS"));
    }
}

#[tokio::test]
async fn a_later_subscription_gets_later_frames() {
    let monitor = ConnectionMonitor::new();
    let mut peer = Peer::client(serve(&monitor, |_| std::future::pending())).await;
    peer.send_frames(&[frames::headers(1, request(&[(":path", "/")])).end_headers().end_stream()]).await;
    peer.send_frames(&[frames::ping(*b"12345678")]).await;
    peer.expect(kind::PING).await;

    let subscription = monitor.subscribe();
    let view = only(&subscription).await;
    assert_eq!((view.frames.len(), view.shows_fields), (0, false), "there was no subscription before");
    assert_eq!(view.stream_records.len(), 1);
    assert_eq!((view.stream_records[0].id.as_u32(), view.stream_records[0].opened), (1, None));
    assert_eq!(view.streams[0].local, HalfState::Headers, "the handler has not answered");

    // An incomplete frame is not reported.
    let ping = frames::ping(*b"abcdefgh").bytes();
    peer.send(&ping[..12]).await;
    peer.send(&ping[12..]).await;
    peer.expect(kind::PING).await;
    peer.send_frames(&[frames::headers(3, request(&[(":path", "/")])).end_headers().end_stream()]).await;
    let view = until(&subscription, |view| view.streams.len() == 2).await;
    let seen: Vec<_> = view.frames.iter().map(|frame| (frame.name.as_str(), frame.is_sent)).collect();
    assert_eq!(seen, [("PING", false), ("PING", true), ("HEADERS", false)]);
    assert!(view.stream_records[1].opened.is_some() && view.stream_records[1].method.is_none());

    drop(subscription);
    peer.send_frames(&[frames::ping(*b"ijklmnop")]).await;
    peer.expect(kind::PING).await;
    let view = only(&monitor.subscribe()).await;
    assert_eq!(view.frames.len(), 0, "frames without a subscription are not kept");
}

#[tokio::test]
async fn ended_connections_and_clients_are_reported() {
    let monitor = ConnectionMonitor::new();
    let server = Server::builder().inspect(&monitor).bind("127.0.0.1:0").await.unwrap();
    let addr = server.local_addr().unwrap();
    tokio::spawn(server.serve(service_fn(hello)));
    let builder = client::Builder::new().inspect(&monitor);
    let (mut client, connection) = builder.connect(addr).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = Request::get(format!("http://{addr}/")).body(Empty::<Bytes>::new()).unwrap();
    client.send(request).await.unwrap();
    let subscription = monitor.subscribe();
    let snapshot = subscription.snapshot(10).await;
    assert_eq!(snapshot.connections_total, 2);
    let sides: Vec<bool> = snapshot.connections.iter().map(|view| view.info.is_client).collect();
    assert!(sides.contains(&true) && sides.contains(&false));
    assert!(snapshot.connections.iter().all(|view| view.info.peer.is_some()));
    assert_eq!(subscription.snapshot(1).await.connections.len(), 1);
    drop(client);
    connection.await.unwrap();
    let polled = async {
        loop {
            let snapshot = subscription.snapshot(10).await;
            if snapshot.ended.len() == 2 {
                return snapshot;
            }
        }
    };
    let snapshot = within(polled).await;
    assert_eq!(snapshot.connections_total, 0);
    assert!(
        snapshot.ended.iter().all(|ended| ended.reason.starts_with("ended in order") && !ended.is_warning)
    );

    // A dropped connection is reported as ended, too.
    let (_near, far) = tokio::io::duplex(64);
    drop(Builder::new().inspect(&monitor).serve_connection(far, service_fn(hello)).unwrap());
    let snapshot = subscription.snapshot(10).await;
    assert_eq!((snapshot.connections_total, snapshot.ended[0].reason.as_str()), (0, "dropped"));
}

#[tokio::test]
async fn a_task_that_does_not_run_is_unresponsive() {
    let monitor = ConnectionMonitor::new();
    let (_near, far) = tokio::io::duplex(64);
    let builder = Builder::new().inspect(&monitor);
    let connection = builder.serve_connection(far, service_fn(hello)).unwrap();
    let snapshot = monitor.subscribe().snapshot(10).await;
    assert_eq!((snapshot.connections.len(), snapshot.unresponsive.len()), (0, 1));
    let running = tokio::spawn(connection);
    assert_eq!(monitor.subscribe().snapshot(10).await.connections.len(), 1);
    running.abort();
}
