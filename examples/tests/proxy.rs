//! The proxy between our client and server: what it forwards, and that it does not buffer what the
//! other side does not accept.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, Request, Response};
use http_body::Frame;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, StreamBody};
use thalweg_tokio::thalweg::ErrorCode;
use thalweg_tokio::{Body, BoxError, Client, Error, Server, client, service_fn};
use tokio::sync::mpsc;

#[allow(dead_code, reason = "its main is not called")]
#[path = "../proxy.rs"]
mod proxy;

type Content = BoxBody<Bytes, BoxError>;

async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("it takes too long")
}

/// Endless content, which counts the bytes polled.
fn endless(taken: &Arc<AtomicUsize>) -> Content {
    let taken = Arc::clone(taken);
    let pieces = stream::repeat_with(move || {
        taken.fetch_add(1000, Ordering::SeqCst);
        Ok(Frame::data(Bytes::from_static(&[7; 1000])))
    });
    BodyExt::boxed(StreamBody::new(pieces))
}

/// Returns the count once it stops growing, which it never does without backpressure.
async fn settled(taken: &AtomicUsize) -> usize {
    within(async {
        let (mut last, mut same) = (0, 0);
        while same < 10 {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let now = taken.load(Ordering::SeqCst);
            same = if now == last && now > 0 { same + 1 } else { 0 };
            last = now;
        }
        last
    })
    .await
}

/// Sends a message when it is created and when it is dropped.
struct Lifecycle(mpsc::UnboundedSender<()>);

impl Lifecycle {
    fn new(sender: mpsc::UnboundedSender<()>) -> Self {
        let _ = sender.send(());
        Self(sender)
    }
}

impl Drop for Lifecycle {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

struct World {
    client: Client<Content>,
    taken: Arc<AtomicUsize>,
    lifecycle: mpsc::UnboundedReceiver<()>,
}

/// An origin, the proxy, and a client of the proxy.
async fn world() -> World {
    let taken = Arc::new(AtomicUsize::new(0));
    let (sender, lifecycle) = mpsc::unbounded_channel();
    let count = Arc::clone(&taken);
    let server = Server::bind("127.0.0.1:0").await.unwrap();
    let origin = server.local_addr().unwrap();
    tokio::spawn(server.serve(service_fn(move |request: Request<Body>| {
        let (taken, sender) = (Arc::clone(&count), sender.clone());
        async move {
            match request.uri().path() {
                "/endless" => Ok::<_, BoxError>(Response::new(endless(&taken))),
                "/echo" => Ok(Response::new(BodyExt::boxed(request.into_body().map_err(Into::into)))),
                "/calm" => Err(Error::reset(ErrorCode::ENHANCE_YOUR_CALM).into()),
                _ => {
                    let _farewell = Lifecycle::new(sender);
                    std::future::pending().await
                }
            }
        }
    })));
    let server = Server::bind("127.0.0.1:0").await.unwrap();
    let addr = server.local_addr().unwrap();
    let to = Arc::new(proxy::Origin::new(origin.to_string()));
    tokio::spawn(server.serve(service_fn(move |request| proxy::forward(Arc::clone(&to), request))));
    let (client, connection) = client::connect(addr).await.unwrap();
    tokio::spawn(connection);
    World { client, taken, lifecycle }
}

fn post(path: &str, content: Content) -> Request<Content> {
    Request::post(format!("http://example.org{path}")).body(content).unwrap()
}

fn nothing() -> Content {
    BodyExt::boxed(http_body_util::Empty::new().map_err(|never| match never {}))
}

#[tokio::test]
async fn content_and_trailers_pass_both_ways() {
    let mut world = world().await;
    let trailers = HeaderMap::from_iter([("x-sum".parse().unwrap(), "42".parse().unwrap())]);
    let frames = (0..300).map(|_| Frame::data(Bytes::from(vec![3; 1000]))).chain([Frame::trailers(trailers)]);
    let content =
        BodyExt::boxed(StreamBody::new(stream::iter(frames.map(Ok::<_, BoxError>).collect::<Vec<_>>())));
    let response = within(world.client.send(post("/echo", content))).await.unwrap();
    assert_eq!(response.headers()["via"], "2.0 thalweg");
    let whole = within(response.into_body().collect()).await.unwrap();
    assert_eq!(whole.trailers().unwrap()["x-sum"], "42");
    assert_eq!(whole.to_bytes(), vec![3; 300_000]);
}

/// Windows and buffers of two connections, with a margin; without backpressure, the count is
/// limited only by time.
const HELD_MAX: usize = 4 << 20;

#[tokio::test]
async fn a_client_that_does_not_read_slows_the_origin() {
    let mut world = world().await;
    let _response = within(world.client.send(post("/endless", nothing()))).await.unwrap();
    let taken = settled(&world.taken).await;
    assert!((1..HELD_MAX).contains(&taken), "{taken}");
}

#[tokio::test]
async fn an_origin_that_does_not_read_slows_the_client() {
    let mut world = world().await;
    let sent = Arc::new(AtomicUsize::new(0));
    let _waiting = world.client.send(post("/never", endless(&sent)));
    let taken = settled(&sent).await;
    assert!((1..HELD_MAX).contains(&taken), "{taken}");
}

#[tokio::test]
async fn a_reset_passes_with_its_code() {
    let mut world = world().await;
    let error = within(world.client.send(post("/calm", nothing()))).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::ENHANCE_YOUR_CALM), "{error}");
}

#[tokio::test]
async fn a_cancellation_reaches_the_origin() {
    let mut world = world().await;
    let waiting = world.client.send(post("/never", nothing()));
    // The request has arrived.
    within(world.lifecycle.recv()).await.unwrap();
    drop(waiting);
    within(world.lifecycle.recv()).await.unwrap();
}

#[tokio::test]
async fn an_unreachable_origin_is_a_bad_gateway() {
    // A port that the system assigns to no listener, unlike a recently closed one.
    let origin = Arc::new(proxy::Origin::new("127.0.0.1:1".to_owned()));
    let request = Request::get("http://example.org/").body(Body::empty()).unwrap();
    let response = within(proxy::forward(origin, request)).await.unwrap();
    assert_eq!(response.status(), 502);
}
