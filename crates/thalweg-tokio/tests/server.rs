//! The server over an in-memory transport, against a raw peer.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod support;

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use http_body::{Frame as BodyFrame, SizeHint};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Empty, Full};
use support::{Alive, Guard, Peer, Running, SmallReads, describe, hello, serve, within};
use thalweg::{Config, ErrorCode};
use thalweg_testkit::frames::{Frame, data, flag, headers, kind, ping, ping_ack, rst_stream, window_update};
use thalweg_testkit::hpack;
use thalweg_tokio::{Body, BoxError, Error, service_fn};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{mpsc, oneshot};

/// A body whose frames come from a channel, and that counts them.
struct Channel {
    frames: mpsc::UnboundedReceiver<Result<BodyFrame<Bytes>, BoxError>>,
    given: Arc<AtomicUsize>,
    _guard: Option<Guard>,
}

type Frames = mpsc::UnboundedSender<Result<BodyFrame<Bytes>, BoxError>>;

fn channel() -> (Frames, Channel) {
    let (sender, frames) = mpsc::unbounded_channel();
    (sender, Channel { frames, given: Arc::default(), _guard: None })
}

impl http_body::Body for Channel {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<BodyFrame<Bytes>, BoxError>>> {
        let polled = self.frames.poll_recv(cx);
        if matches!(polled, Poll::Ready(Some(_))) {
            self.given.fetch_add(1, Ordering::SeqCst);
        }
        polled
    }
}

fn post(stream: u32) -> Frame {
    headers(stream, hpack::request("POST", "/p")).end_headers()
}

fn get(stream: u32) -> Frame {
    headers(stream, hpack::get("/g")).end_headers().end_stream()
}

#[tokio::test]
async fn a_response_has_length_and_date() {
    let (io, running) = serve(describe);
    let mut peer = Peer::client(io).await;
    peer.send_frames(&[post(1), data(1, "he"), data(1, "llo").end_stream()]).await;
    let fields = peer.expect_headers().await;
    assert_eq!(fields[..2], [":status: 200", "content-length: 13"]);
    assert!(fields[2].starts_with("date: ") && fields[2].ends_with(" GMT"), "{fields:?}");
    assert_eq!(peer.expect_content(1).await.0, b"POST /p hello");
    drop(peer);
    let end = running.end().await;
    assert!(!end.is_warning(), "{end}");
    assert_eq!(end.report.counters.streams_completed, 1);
}

#[tokio::test]
async fn any_chunking_of_the_input_gives_the_same_response() {
    for seed in 0..20 {
        let (near, far) = tokio::io::duplex(50);
        let connection = thalweg_tokio::server::Connection::new(
            SmallReads::new(far, seed),
            service_fn(describe),
            Config::default(),
        );
        let running = Running(tokio::spawn(connection.unwrap()));
        let mut peer = Peer::client(near).await;
        peer.send_frames(&[post(1), data(1, "he"), data(1, "llo").end_stream(), get(3)]).await;
        peer.expect_headers().await;
        assert_eq!(peer.expect_content(1).await.0, b"POST /p hello", "seed {seed}");
        peer.expect_headers().await;
        assert_eq!(peer.expect_content(3).await.0, b"GET /g ", "seed {seed}");
        drop(peer);
        assert!(!running.end().await.is_warning());
    }
}

#[tokio::test]
async fn trailers_pass_in_both_directions() {
    let (io, _running) = serve(|request: Request<Body>| async {
        let collected = request.into_body().collect().await?;
        let trailers = collected.trailers().cloned().unwrap_or_default();
        Ok::<_, Error>(Response::new(
            Full::new(collected.to_bytes()).with_trailers(async { Some(Ok(trailers)) }),
        ))
    });
    let mut peer = Peer::client(io).await;
    let trailers = hpack::block(&[("grpc-status", "0"), ("x", "y")]);
    peer.send_frames(&[post(1), data(1, "abc"), headers(1, &trailers).end_headers().end_stream()]).await;
    peer.expect_headers().await;
    let (content, trailers) = peer.expect_content(1).await;
    assert_eq!(
        (content.as_slice(), trailers.as_slice()),
        (&b"abc"[..], &["grpc-status: 0".into(), "x: y".into()][..])
    );
}

#[tokio::test]
async fn window_is_released_as_the_handler_reads() {
    let (ready, mut go) = mpsc::unbounded_channel::<oneshot::Sender<usize>>();
    let (io, _running) = serve(move |request: Request<Body>| {
        let ready = ready.clone();
        async move {
            let mut body = request.into_body();
            loop {
                let (reply, asked) = oneshot::channel();
                ready.send(reply).unwrap();
                let wanted: usize = asked.await.unwrap();
                let mut read = 0;
                while read < wanted {
                    read += body.frame().await.unwrap()?.into_data().unwrap().len();
                }
                if wanted == 0 {
                    return Ok::<_, Error>(Response::new(Empty::<Bytes>::new()));
                }
            }
        }
    });
    let mut peer = Peer::client(io).await;
    peer.send_frames(&[post(1)]).await;
    let window = Config::default().stream_window_bytes as usize;
    let chunk = vec![7; 16_384];
    for _ in 0..window / chunk.len() {
        peer.send_frames(&[data(1, &chunk)]).await;
    }
    // No content was read: the PING is acknowledged without a WINDOW_UPDATE before it.
    let asked = within(go.recv()).await.unwrap();
    peer.send_frames(&[ping([1; 8])]).await;
    loop {
        let frame = peer.next().await.unwrap();
        assert!(frame.kind != kind::WINDOW_UPDATE || frame.stream == 0, "{frame}");
        if frame.kind == kind::PING {
            break;
        }
    }
    asked.send(window).unwrap();
    let mut credit = 0;
    while credit < window {
        let frame = peer.expect(kind::WINDOW_UPDATE).await;
        if frame.stream == 1 {
            credit += frame.increment().unwrap() as usize;
        }
    }
    assert_eq!(credit, window);
    within(go.recv()).await.unwrap().send(0).unwrap();
    peer.expect_headers().await;
}

#[tokio::test]
async fn unread_content_of_many_requests_does_not_stop_the_connection() {
    // Each handler ignores its content; the connection's window must be restored all the same.
    let (io, _running) = serve(hello);
    let mut peer = Peer::client(io).await;
    let content = vec![0; 16_384];
    for index in 0..200 {
        let stream = 2 * index + 1;
        peer.send_frames(&[post(stream), data(stream, &content).end_stream()]).await;
        peer.expect_headers().await;
        assert_eq!(peer.expect_content(stream).await.0, b"hello");
    }
}

#[tokio::test]
async fn content_that_a_task_reads_late_is_released_late_and_completely() {
    let bodies = Arc::new(std::sync::Mutex::new(Vec::new()));
    let kept = Arc::clone(&bodies);
    let (io, _running) = serve(move |request: Request<Body>| {
        kept.lock().unwrap().push(request.into_body());
        async { Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("kept"))) }
    });
    let mut peer = Peer::client(io).await;
    let window = Config::default().connection_window_bytes as usize;
    let content = vec![0; 16_384];
    let requests = window / content.len();
    for index in 0..requests {
        let stream = 2 * index as u32 + 1;
        peer.send_frames(&[post(stream), data(stream, &content).end_stream()]).await;
        peer.expect_headers().await;
        assert_eq!(peer.expect_content(stream).await.0, b"kept");
    }
    peer.send_frames(&[ping([2; 8])]).await;
    loop {
        let frame = peer.next().await.unwrap();
        assert_ne!(frame.kind, kind::WINDOW_UPDATE, "all of it is unread");
        if frame.kind == kind::PING {
            break;
        }
    }
    let bodies = std::mem::take(&mut *bodies.lock().unwrap());
    for body in bodies {
        assert_eq!(body.collect().await.unwrap().to_bytes().len(), content.len());
    }
    let mut credit = 0;
    while credit < window / 2 {
        let frame = peer.expect(kind::WINDOW_UPDATE).await;
        assert_eq!(frame.stream, 0);
        credit += frame.increment().unwrap() as usize;
    }
    assert!(credit <= window);
}

#[tokio::test]
async fn a_body_is_polled_only_when_its_last_piece_was_sent() {
    let (frames, body) = channel();
    let given = Arc::clone(&body.given);
    let mut body = Some(body);
    let (io, _running) = serve(move |_| {
        let body = body.take().unwrap();
        async { Ok::<_, Infallible>(Response::new(body)) }
    });
    let mut peer = Peer::client(io).await;
    for _ in 0..100 {
        frames.send(Ok(BodyFrame::data(Bytes::from(vec![1; 10_000])))).unwrap();
    }
    drop(frames);
    peer.send_frames(&[get(1)]).await;
    let mut got = 0;
    while got < 65_535 {
        let frame = peer.expect(kind::DATA).await;
        got += frame.body.len();
    }
    assert_eq!(got, 65_535, "the initial window");
    assert_eq!(given.load(Ordering::SeqCst), 7, "six pieces and a half fit");
    peer.send_frames(&[window_update(0, 65_535), window_update(1, 5_535)]).await;
    while got < 71_070 {
        got += peer.expect(kind::DATA).await.body.len();
    }
    assert_eq!(given.load(Ordering::SeqCst), 8);
    peer.send_frames(&[window_update(1, 1 << 20), window_update(0, 1 << 20)]).await;
    assert_eq!(got + peer.expect_content(1).await.0.len(), 1_000_000);
}

#[tokio::test]
async fn a_body_that_fails_midway_is_reset_and_not_truncated() {
    let (frames, body) = channel();
    let mut body = Some(body);
    let (io, _running) = serve(move |_| {
        let body = body.take();
        async { Ok::<_, Infallible>(Response::new(body.map_or_else(|| boxed(Full::from("hello")), boxed))) }
    });
    let mut peer = Peer::client(io).await;
    peer.send_frames(&[get(1)]).await;
    frames.send(Ok(BodyFrame::data(Bytes::from_static(b"half")))).unwrap();
    frames.send(Err("the disk is gone".into())).unwrap();
    assert_eq!(peer.expect_on(1).await.kind, kind::HEADERS);
    let half = peer.expect_on(1).await;
    assert_eq!(
        (half.kind, half.flags & flag::END_STREAM, half.body.as_slice()),
        (kind::DATA, 0, &b"half"[..])
    );
    let reset = peer.expect_on(1).await;
    assert_eq!((reset.kind, reset.code()), (kind::RST_STREAM, Some(ErrorCode::INTERNAL_ERROR)));
    peer.send_frames(&[get(3)]).await;
    assert_eq!(peer.expect_on(3).await.kind, kind::HEADERS, "the connection lives");
}

/// The result of a test's service.
type Answer = Result<Response<BoxBody<Bytes, BoxError>>, BoxError>;

fn boxed<B>(body: B) -> BoxBody<Bytes, BoxError>
where
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + Sync + 'static,
{
    body.map_err(Into::into).boxed()
}

/// The outcome of a stream whose service misbehaves; checks that the next stream is served
/// normally.
async fn outcome_of<A>(misbehave: impl Fn() -> A + Send + 'static) -> ErrorCode
where
    A: Future<Output = Answer> + Send + 'static,
{
    let alive = Alive::default();
    let count = alive.clone();
    let mut calls = 0;
    let (io, running) = serve(move |_| {
        calls += 1;
        let guard = count.enter();
        let misbehaved = (calls == 1).then(&misbehave);
        async move {
            let _guard = guard;
            match misbehaved {
                Some(misbehaved) => misbehaved.await,
                None => Ok(Response::new(boxed(Full::from("hello")))),
            }
        }
    });
    let mut peer = Peer::client(io).await;
    peer.send_frames(&[post(1)]).await;
    let reset = loop {
        let frame = peer.expect_on(1).await;
        assert_eq!(frame.flags & flag::END_STREAM, 0, "never an end that looks like one");
        if frame.kind == kind::RST_STREAM {
            break frame;
        }
    };
    peer.send_frames(&[get(3)]).await;
    assert_eq!(peer.expect_on(3).await.kind, kind::HEADERS, "the connection lives");
    drop(peer);
    running.end().await;
    assert_eq!(alive.count(), 0);
    reset.code().unwrap()
}

fn with_length(length: &str, content: &'static str) -> Answer {
    let mut response = Response::new(boxed(Full::from(content)));
    response.headers_mut().insert("content-length", length.parse().unwrap());
    Ok(response)
}

#[tokio::test]
async fn a_panic_of_a_handler_ends_its_stream_and_no_other() {
    async fn panics() -> Answer {
        panic!("a handler of the test");
    }
    assert_eq!(outcome_of(panics).await, ErrorCode::INTERNAL_ERROR);
    let before_the_future = || -> std::future::Ready<Answer> { panic!("a service of the test") };
    assert_eq!(outcome_of(before_the_future).await, ErrorCode::INTERNAL_ERROR);
}

#[tokio::test]
async fn a_panic_of_a_body_ends_its_stream_and_no_other() {
    struct Panics(bool);
    impl http_body::Body for Panics {
        type Data = Bytes;
        type Error = Infallible;
        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<BodyFrame<Bytes>, Infallible>>> {
            panic!("a body of the test");
        }
        fn is_end_stream(&self) -> bool {
            assert!(!self.0, "a body of the test");
            false
        }
    }
    for in_is_end_stream in [false, true] {
        let answer = move || async move { Ok(Response::new(boxed(Panics(in_is_end_stream)))) };
        assert_eq!(outcome_of(answer).await, ErrorCode::INTERNAL_ERROR);
    }
}

#[tokio::test]
async fn an_error_of_the_service_resets_with_the_code_that_it_carries() {
    let plain = || async { Err("out of order".into()) };
    assert_eq!(outcome_of(plain).await, ErrorCode::INTERNAL_ERROR);
    let chosen = || async { Err(Error::reset(ErrorCode::REFUSED_STREAM).into()) };
    assert_eq!(outcome_of(chosen).await, ErrorCode::REFUSED_STREAM);
}

#[tokio::test]
async fn content_with_a_wrong_length_never_looks_complete() {
    for (length, content) in [("5", "hell"), ("5", "hello!"), ("0", "x"), ("5", "")] {
        let function = move || async move { with_length(length, content) };
        assert_eq!(outcome_of(function).await, ErrorCode::INTERNAL_ERROR, "{length} {content}");
    }
}

#[tokio::test]
async fn an_invalid_content_length_is_refused() {
    let function = || async {
        let mut response = Response::new(boxed(Empty::new()));
        response.headers_mut().insert("content-length", HeaderValue::from_static("five"));
        Ok(response)
    };
    assert_eq!(outcome_of(function).await, ErrorCode::INTERNAL_ERROR);
}

// 9110-6.6.1-4
#[tokio::test]
async fn a_server_without_date_sends_the_handlers_alone() {
    let (near, far) = tokio::io::duplex(64 << 10);
    let service = service_fn(|request: Request<Body>| async move {
        let mut response = Response::new(Empty::<Bytes>::new());
        if request.uri().path() == "/own" {
            response.headers_mut().insert("date", HeaderValue::from_static("today"));
        }
        Ok::<_, Infallible>(response)
    });
    let builder = thalweg_tokio::Server::builder().date(false);
    let _running = Running(tokio::spawn(builder.serve_connection(far, service).unwrap()));
    let mut peer = Peer::client(near).await;
    peer.send_frames(&[get(1)]).await;
    assert_eq!(peer.expect_headers().await, [":status: 200", "content-length: 0"]);
    peer.send_frames(&[headers(3, hpack::get("/own")).end_headers().end_stream()]).await;
    assert_eq!(peer.expect_headers().await, [":status: 200", "date: today", "content-length: 0"]);
}

#[tokio::test]
async fn connection_specific_fields_are_removed() {
    let (io, _running) = serve(|_| async {
        let mut response = Response::new(Empty::<Bytes>::new());
        response.headers_mut().insert("connection", HeaderValue::from_static("keep-alive"));
        response.headers_mut().insert("transfer-encoding", HeaderValue::from_static("chunked"));
        response.headers_mut().insert("date", HeaderValue::from_static("today"));
        response.headers_mut().insert("x", HeaderValue::from_static("y"));
        Ok::<_, Infallible>(response)
    });
    let mut peer = Peer::client(io).await;
    peer.send_frames(&[get(1)]).await;
    assert_eq!(peer.expect_headers().await, [":status: 200", "date: today", "x: y", "content-length: 0"]);
}

#[tokio::test]
async fn head_204_and_304_have_no_content_and_head_keeps_the_length() {
    let (io, _running) = serve(|request: Request<Body>| async move {
        let status: u16 = request.uri().path()[1..].parse().unwrap();
        Ok::<_, Infallible>(Response::builder().status(status).body(Full::<Bytes>::from("content")).unwrap())
    });
    let mut peer = Peer::client(io).await;
    for (stream, method, path, length) in
        [(1, "HEAD", "/200", Some("content-length: 7")), (3, "GET", "/204", None), (5, "GET", "/304", None)]
    {
        let block = hpack::request(method, path);
        peer.send_frames(&[headers(stream, block).end_headers().end_stream()]).await;
        let head = peer.expect_on(stream).await;
        assert_ne!(head.flags & flag::END_STREAM, 0, "{method} {path}");
        let fields = peer.fields(&head);
        assert_eq!(
            fields.iter().find(|field| field.starts_with("content-length")).map(String::as_str),
            length
        );
    }
}

#[tokio::test]
async fn a_client_that_cancels_has_its_handler_and_its_body_dropped() {
    let alive = Alive::default();
    let count = alive.clone();
    let (frames, body) = channel();
    let mut body = Some(Channel { _guard: Some(alive.enter()), ..body });
    let (io, _running) = serve(move |request: Request<Body>| {
        let guard = count.enter();
        let body = if request.method() == "GET" { body.take() } else { None };
        async move {
            let _guard = guard;
            match body {
                Some(body) => Ok::<_, Infallible>(Response::new(body)),
                None => std::future::pending().await,
            }
        }
    });
    let mut peer = Peer::client(io).await;
    peer.send_frames(&[get(1), post(3), data(3, "abc")]).await;
    peer.expect_headers().await;
    assert_eq!(alive.count(), 2, "a body, and a handler");
    peer.send_frames(&[rst_stream(1, ErrorCode::CANCEL), rst_stream(3, ErrorCode::CANCEL)]).await;
    peer.send_frames(&[ping([3; 8])]).await;
    peer.expect(kind::PING).await;
    assert_eq!(alive.count(), 0);
    assert!(frames.is_closed());
}

#[tokio::test]
async fn an_early_response_stops_the_upload_with_no_error() {
    let (io, running) = serve(hello);
    let mut peer = Peer::client(io).await;
    peer.send_frames(&[post(1), data(1, "the beginning")]).await;
    peer.expect_headers().await;
    assert_eq!(peer.expect_content(1).await.0, b"hello");
    let reset = peer.expect_on(1).await;
    assert_eq!((reset.kind, reset.code()), (kind::RST_STREAM, Some(ErrorCode::NO_ERROR)));
    drop(peer);
    assert_eq!(running.end().await.report.counters.resets_sent, 1);
}

#[tokio::test]
async fn an_echo_begins_before_the_request_ends() {
    let (io, _running) =
        serve(|request: Request<Body>| async { Ok::<_, Infallible>(Response::new(request.into_body())) });
    let mut peer = Peer::client(io).await;
    peer.send_frames(&[post(1)]).await;
    peer.expect_headers().await;
    for piece in ["one", "two", "three"] {
        peer.send_frames(&[data(1, piece)]).await;
        assert_eq!(peer.expect_on(1).await.body, piece.as_bytes());
    }
    peer.send_frames(&[data(1, "").end_stream()]).await;
    assert_eq!(peer.expect_content(1).await.0, b"");
}

#[tokio::test]
async fn a_reset_request_is_an_error_of_its_body() {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let (io, _running) = serve(move |request: Request<Body>| {
        let sender = sender.clone();
        let body = request.into_body();
        tokio::spawn(async move { sender.send(body.collect().await.map(|_| ())).unwrap() });
        async { std::future::pending::<Result<Response<Empty<Bytes>>, Infallible>>().await }
    });
    let mut peer = Peer::client(io).await;
    peer.send_frames(&[post(1), data(1, "half"), ping([5; 8])]).await;
    peer.expect(kind::PING).await;
    peer.send_frames(&[rst_stream(1, ErrorCode::CANCEL)]).await;
    let error = within(receiver.recv()).await.unwrap().unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::CANCEL));
    peer.send_frames(&[post(3), data(3, "half"), ping([6; 8])]).await;
    peer.expect(kind::PING).await;
    drop(peer);
    let error = within(receiver.recv()).await.unwrap().unwrap_err();
    assert!(error.connection_end().is_some(), "{error}");
}

#[tokio::test]
async fn requests_wait_in_order_for_a_service_that_is_not_ready() {
    struct Permits(Arc<tokio::sync::Semaphore>, Option<Pin<Box<dyn Future<Output = ()> + Send>>>);
    impl tower_service::Service<Request<Body>> for Permits {
        type Response = Response<Full<Bytes>>;
        type Error = Infallible;
        type Future = std::future::Ready<Result<Self::Response, Infallible>>;
        fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            let semaphore = Arc::clone(&self.0);
            let acquire = self.1.get_or_insert_with(|| {
                Box::pin(async move { semaphore.acquire_owned().await.unwrap().forget() })
            });
            acquire.as_mut().poll(cx).map(Ok)
        }
        fn call(&mut self, _: Request<Body>) -> Self::Future {
            self.1 = None;
            std::future::ready(Ok(Response::new(Full::from("served"))))
        }
    }
    let permits = Arc::new(tokio::sync::Semaphore::new(1));
    let (near, far) = tokio::io::duplex(64 << 10);
    let service = Permits(Arc::clone(&permits), None);
    let connection = thalweg_tokio::server::Connection::new(far, service, Config::default()).unwrap();
    tokio::spawn(connection);
    let mut peer = Peer::client(near).await;
    peer.send_frames(&[get(1), get(3), get(5), rst_stream(3, ErrorCode::CANCEL)]).await;
    assert_eq!(peer.expect(kind::HEADERS).await.stream, 1);
    permits.add_permits(1);
    assert_eq!(peer.expect(kind::HEADERS).await.stream, 5, "3 was cancelled while it waited");
}

#[tokio::test]
async fn a_spawned_handler_responds_and_is_aborted_with_its_stream() {
    let alive = Alive::default();
    let count = alive.clone();
    let handler = service_fn(move |request: Request<Body>| {
        let guard = count.enter();
        async move {
            let _guard = guard;
            match request.uri().path() {
                "/panic" => panic!("a handler of the test"),
                "/g" => Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("spawned"))),
                _ => std::future::pending().await,
            }
        }
    });
    let (near, far) = tokio::io::duplex(64 << 10);
    let service = thalweg_tokio::SpawnHandlers(handler);
    tokio::spawn(thalweg_tokio::server::Connection::new(far, service, Config::default()).unwrap());
    let mut peer = Peer::client(near).await;
    peer.send_frames(&[get(1)]).await;
    peer.expect_headers().await;
    assert_eq!(peer.expect_content(1).await.0, b"spawned");
    peer.send_frames(&[headers(3, hpack::get("/panic")).end_headers().end_stream()]).await;
    assert_eq!(peer.expect_on(3).await.code(), Some(ErrorCode::INTERNAL_ERROR));
    peer.send_frames(&[post(5), ping([7; 8])]).await;
    peer.expect(kind::PING).await;
    assert_eq!(alive.count(), 1);
    peer.send_frames(&[rst_stream(5, ErrorCode::CANCEL), get(7)]).await;
    peer.expect_headers().await;
    for _ in 0..1000 {
        if alive.count() == 0 {
            break;
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(alive.count(), 0);
}

#[tokio::test]
async fn graceful_shutdown_serves_open_streams_and_sends_goaway_twice() {
    let (finish, finished) = oneshot::channel::<()>();
    let mut finished = Some(finished);
    let service = service_fn(move |_: Request<Body>| {
        let finished = finished.take();
        async move {
            if let Some(finished) = finished {
                finished.await.unwrap();
            }
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("served")))
        }
    });
    let (near, far) = tokio::io::duplex(64 << 10);
    let connection = thalweg_tokio::server::Connection::new(far, service, Config::default()).unwrap();
    let handle = connection.handle();
    let running = Running(tokio::spawn(connection));
    let mut peer = Peer::client(near).await;
    peer.send_frames(&[get(1), ping([4; 8])]).await;
    peer.expect(kind::PING).await;
    handle.shutdown();
    let first = peer.expect(kind::GOAWAY).await;
    assert_eq!((first.last_stream(), first.code()), (Some(0x7fff_ffff), Some(ErrorCode::NO_ERROR)));
    let probe = peer.expect(kind::PING).await;
    peer.send_frames(&[get(3)]).await;
    assert_eq!(peer.expect_on(3).await.kind, kind::HEADERS, "it was under way");
    peer.send_frames(&[ping_ack(probe.body.try_into().unwrap())]).await;
    let last = peer.expect(kind::GOAWAY).await;
    assert_eq!((last.last_stream(), last.code()), (Some(3), Some(ErrorCode::NO_ERROR)));
    finish.send(()).unwrap();
    assert_eq!(peer.expect_on(1).await.kind, kind::HEADERS);
    peer.rest().await;
    drop(peer);
    let end = running.end().await;
    assert_eq!((end.report.error, end.report.counters.streams_completed), (None, 2));
}

#[tokio::test]
async fn a_request_that_the_http_crate_cannot_represent_gets_400() {
    let (io, _running) = serve(hello);
    let mut peer = Peer::client(io).await;
    let block =
        hpack::block(&[(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "/<b>")]);
    peer.send_frames(&[headers(1, &block).end_headers()]).await;
    let fields = peer.expect_headers().await;
    assert_eq!(fields[0], ":status: 400");
    // 9110-6.6.1-2
    assert!(matches!(&fields[1..], [date] if date.starts_with("date: ")), "{fields:?}");
    assert_eq!(peer.expect_on(1).await.code(), Some(ErrorCode::NO_ERROR));
}

#[tokio::test]
async fn a_length_hint_that_is_wrong_fails_the_stream() {
    struct Liar(Option<Bytes>);
    impl http_body::Body for Liar {
        type Data = Bytes;
        type Error = Infallible;
        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<BodyFrame<Bytes>, Infallible>>> {
            Poll::Ready(self.0.take().map(|data| Ok(BodyFrame::data(data))))
        }
        fn size_hint(&self) -> SizeHint {
            SizeHint::with_exact(3)
        }
    }
    let liar = || async { Ok(Response::new(boxed(Liar(Some(Bytes::from_static(b"four")))))) };
    assert_eq!(outcome_of(liar).await, ErrorCode::INTERNAL_ERROR);
}

#[tokio::test]
async fn many_streams_at_once_all_complete() {
    let (io, running) =
        serve(|request: Request<Body>| async { Ok::<_, Infallible>(Response::new(request.into_body())) });
    let mut peer = Peer::client(io).await;
    let streams: Vec<u32> = (0..250).map(|index| 2 * index + 1).collect();
    for stream in &streams {
        peer.send_frames(&[post(*stream)]).await;
    }
    for stream in &streams {
        peer.send_frames(&[data(*stream, format!("content of {stream}")).end_stream()]).await;
    }
    let mut whole = 0;
    while whole < streams.len() {
        let frame = peer.expect(kind::DATA).await;
        if !frame.body.is_empty() {
            assert_eq!(frame.body, format!("content of {}", frame.stream).as_bytes());
        }
        whole += usize::from(frame.flags & flag::END_STREAM != 0);
    }
    drop(peer);
    assert_eq!(running.end().await.report.counters.streams_completed, 250);
}

/// Handlers on other threads wake the driver while it prepares to sleep.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn handlers_on_other_threads_lose_no_wake() {
    let (near, far) = tokio::io::duplex(64 << 10);
    let service = thalweg_tokio::SpawnHandlers(service_fn(|request: Request<Body>| async {
        let (sender, body) = channel();
        let mut content = request.into_body();
        tokio::spawn(async move {
            while let Some(frame) = content.frame().await {
                sender.send(frame.map_err(Into::into)).unwrap();
                tokio::task::yield_now().await;
            }
        });
        Ok::<_, Infallible>(Response::new(body))
    }));
    tokio::spawn(thalweg_tokio::server::Connection::new(far, service, Config::default()).unwrap());
    let mut peer = Peer::client(near).await;
    for round in 0..500 {
        let stream = 2 * round + 1;
        peer.send_frames(&[post(stream), data(stream, [0; 100])]).await;
        peer.expect_headers().await;
        assert_eq!(peer.expect_on(stream).await.body.len(), 100);
        peer.send_frames(&[data(stream, [1; 50]).end_stream()]).await;
        assert_eq!(peer.expect_content(stream).await.0.len(), 50);
    }
}

/// A full transport whose second refusal wakes a handler.
struct Congested<IO> {
    io: IO,
    wake: Option<oneshot::Sender<()>>,
    is_waited_for: Arc<AtomicUsize>,
}

impl<IO: AsyncRead + Unpin> AsyncRead for Congested<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Congested<IO> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        match self.is_waited_for.load(Ordering::SeqCst) {
            0 => return Pin::new(&mut self.io).poll_write(cx, bytes),
            1 => self.is_waited_for.store(2, Ordering::SeqCst),
            _ => drop(self.wake.take()),
        }
        Poll::Pending
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[tokio::test]
async fn a_wake_after_the_last_check_is_handled_before_the_driver_sleeps() {
    let (wake, woken) = oneshot::channel::<()>();
    let is_waited_for = Arc::new(AtomicUsize::new(0));
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let (mut woken, waits) = (Some(woken), Arc::clone(&is_waited_for));
    let service = service_fn(move |_: Request<Body>| {
        let woken = woken.take();
        let (sender, waits) = (sender.clone(), Arc::clone(&waits));
        async move {
            if let Some(woken) = woken {
                waits.store(1, Ordering::SeqCst);
                let _ = woken.await;
                sender.send(()).unwrap();
            }
            hello(Request::new(Body::empty())).await
        }
    });
    let (near, far) = tokio::io::duplex(64 << 10);
    let io = Congested { io: far, wake: Some(wake), is_waited_for };
    // Without timeouts nothing else wakes the driver.
    let mut config = Config::default();
    config.timeouts = thalweg::Timeouts::OFF;
    tokio::spawn(thalweg_tokio::server::Connection::new(io, service, config).unwrap());
    let mut peer = Peer::client(near).await;
    peer.send_frames(&[get(1), get(3)]).await;
    within(receiver.recv()).await.unwrap();
}
