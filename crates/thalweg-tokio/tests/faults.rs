//! Transport faults at every point of one conversation: reset, write error, shutdown, suspended
//! machine. No caller hangs, every end is reported once, and no handler outlives its stream.
//!
//! Related tests: half-close at every byte, peers that never close or never read, in
//! `graceful_close`; small reads, `Pending` at any point, panics and cancellations in `server`;
//! random disconnects in `killed_clients`; file descriptor exhaustion in `files`.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod support;

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use support::{Alive, Peer, Running, describe, serve};
use thalweg::{CloseCause, Config, ErrorCode, Timeout};
use thalweg_testkit::frames::{
    Frame, data, headers, kind, ping_ack, preface, setting, settings, settings_ack, window_update, wire,
};
use thalweg_testkit::hpack;
use thalweg_tokio::server::Connection;
use thalweg_tokio::{Body, Error, service_fn};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};

fn post(stream: u32) -> Frame {
    headers(stream, hpack::request("POST", "/p")).end_headers()
}

fn get(stream: u32, path: &str) -> Frame {
    headers(stream, hpack::get(path)).end_headers().end_stream()
}

/// Two complete requests and one without END_STREAM.
fn script() -> Vec<u8> {
    wire([
        &preface(),
        &settings(),
        &settings_ack(),
        &get(1, "/g"),
        &post(3),
        &data(3, [3; 300]).end_stream(),
        &post(5),
        &data(5, [5; 10]),
    ])
}

/// An in-memory transport that fails on demand.
#[derive(Clone, Default)]
struct Wire(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    input: Vec<u8>,
    output: Vec<u8>,
    read_fails: bool,
    /// After this number of bytes.
    write_fails_after: Option<usize>,
    reader: Option<Waker>,
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut state = self.0.lock().unwrap();
        if !state.input.is_empty() {
            let input = std::mem::take(&mut state.input);
            buf.put_slice(&input);
            return Poll::Ready(Ok(()));
        }
        if state.read_fails {
            return Poll::Ready(Err(ErrorKind::ConnectionReset.into()));
        }
        state.reader = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut state = self.0.lock().unwrap();
        let room = state.write_fails_after.map_or(usize::MAX, |after| after - state.output.len());
        if room == 0 {
            return Poll::Ready(Err(ErrorKind::BrokenPipe.into()));
        }
        let len = bytes.len().min(room);
        state.output.extend_from_slice(&bytes[..len]);
        Poll::Ready(Ok(len))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Wire {
    fn fail_reads(&self) {
        let mut state = self.0.lock().unwrap();
        state.read_fails = true;
        if let Some(reader) = state.reader.take() {
            reader.wake();
        }
    }
}

/// Serves on a wire; counts the running handlers.
fn serve_counted(wire: Wire) -> (Alive, Running) {
    let alive = Alive::default();
    let count = alive.clone();
    let service = service_fn(move |request| {
        let guard = count.enter();
        async move {
            let _guard = guard;
            describe(request).await
        }
    });
    let connection = Connection::new(wire, service, Config::default()).unwrap();
    (alive, Running(tokio::spawn(connection)))
}

#[tokio::test]
async fn a_reset_at_every_point_is_reported_once_and_ends_every_handler() {
    let script = script();
    for cut in 0..=script.len() {
        let wire = Wire::default();
        wire.0.lock().unwrap().input = script[..cut].to_vec();
        let (alive, running) = serve_counted(wire.clone());
        tokio::task::yield_now().await;
        wire.fail_reads();
        let end = running.end().await;
        assert_eq!(end.transport.as_ref().map(io::Error::kind), Some(ErrorKind::ConnectionReset), "{cut}");
        assert_eq!(alive.count(), 0, "{cut}");
    }
}

/// After the failure, the driver reads on for a second of the virtual clock.
#[tokio::test(start_paused = true)]
async fn a_write_that_fails_at_every_point_ends_the_connection() {
    let written = |after: Option<usize>| async move {
        let wire = Wire::default();
        wire.0.lock().unwrap().input = script();
        wire.0.lock().unwrap().write_fails_after = after;
        let (alive, running) = serve_counted(wire.clone());
        if after.is_none() {
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            return wire.0.lock().unwrap().output.len();
        }
        let end = running.end().await;
        assert_eq!(end.transport.as_ref().map(io::Error::kind), Some(ErrorKind::BrokenPipe), "{after:?}");
        assert_eq!(alive.count(), 0, "{after:?}");
        0
    };
    let whole = written(None).await;
    assert!(whole > 100, "both responses went out: {whole}");
    for after in 0..whole {
        written(Some(after)).await;
    }
}

#[tokio::test]
async fn a_handler_that_never_responds_blocks_no_other_stream_and_ends_with_its_connection() {
    let alive = Alive::default();
    let count = alive.clone();
    let (io, running) = serve(move |request: Request<Body>| {
        let guard = count.enter();
        async move {
            let _guard = guard;
            if request.uri().path() == "/never" {
                std::future::pending::<()>().await;
            }
            describe(request).await
        }
    });
    let mut peer = Peer::client(io).await;
    peer.send_frames(&[get(1, "/never")]).await;
    for stream in [3, 5, 7] {
        peer.send_frames(&[get(stream, "/g")]).await;
        assert_eq!(peer.expect_headers().await[0], ":status: 200");
        assert_eq!(peer.expect_content(stream).await.0, b"GET /g ");
    }
    assert_eq!(alive.count(), 1);
    // A half-close alone does not mean that the client has lost interest in the response.
    let mut io = peer.into_io();
    io.shutdown().await.unwrap();
    drop(io);
    running.end().await;
    assert_eq!(alive.count(), 0);
}

/// Responds with endless content.
async fn endless(
    _: Request<Body>,
) -> Result<Response<impl http_body::Body<Data = Bytes, Error = Error>>, Error> {
    let piece = || Full::new(Bytes::from_static(&[7; 16 << 10])).map_err(|never| match never {});
    Ok(Response::new(Endless(piece)))
}

/// Yields the same content repeatedly.
struct Endless<F>(F);

impl<F, B> http_body::Body for Endless<F>
where
    F: Fn() -> B + Unpin,
    B: http_body::Body<Data = Bytes, Error = Error> + Unpin,
{
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Error>>> {
        Pin::new(&mut (self.0)()).poll_frame(cx)
    }
}

/// Serves endless content with timeouts shorter than the default.
fn serve_endless() -> (tokio::io::DuplexStream, Running) {
    let mut config = Config::default();
    config.timeouts.transmit = Some(Duration::from_secs(10));
    config.timeouts.stall = Some(Duration::from_secs(10));
    let (near, far) = tokio::io::duplex(64 << 10);
    let connection = Connection::new(far, service_fn(endless), config).unwrap();
    (near, Running(tokio::spawn(connection)))
}

#[tokio::test(start_paused = true)]
async fn a_client_that_stops_reading_is_cut_off_in_time() {
    let (io, running) = serve_endless();
    let mut peer = Peer::client(io).await;
    peer.send_frames(&[window_update(0, 0x7000_0000), get(1, "/"), window_update(1, 0x7000_0000)]).await;
    let start = tokio::time::Instant::now();
    let end = running.end().await;
    assert_eq!(end.report.error.unwrap().cause(), CloseCause::Timeout(Timeout::Transmit), "{end}");
    // `timeouts.transmit`, and the time limit for the final output.
    assert!((10..=16).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_gives_no_window_loses_the_stream_and_not_the_connection() {
    let (io, _running) = serve_endless();
    let mut peer = Peer::new(io);
    peer.send(&wire([&preface(), &settings().entry(setting::INITIAL_WINDOW_SIZE, 0), &settings_ack()])).await;
    peer.send_frames(&[get(1, "/")]).await;
    peer.expect(kind::HEADERS).await;
    assert_eq!(peer.expect(kind::RST_STREAM).await.code(), Some(ErrorCode::CANCEL));
    peer.send_frames(&[get(3, "/")]).await;
    assert_eq!(peer.expect(kind::HEADERS).await.stream, 3);
}

/// When a suspended machine resumes after every deadline, the input that arrived meanwhile is
/// processed before timeouts are.
#[tokio::test(start_paused = true)]
async fn input_in_time_is_processed_before_timeouts_after_a_clock_jump() {
    let (mut io, _running) = serve(describe);
    tokio::task::yield_now().await;
    io.write_all(&wire([&preface(), &settings(), &settings_ack(), &get(1, "/g")])).await.unwrap();
    tokio::time::advance(Duration::from_secs(3600)).await;
    let mut peer = Peer::new(io);
    assert_eq!(peer.expect_headers().await[0], ":status: 200");
    assert_eq!(peer.expect_content(1).await.0, b"GET /g ");
}

#[tokio::test]
async fn a_shutdown_at_every_point_completes_open_streams() {
    let (begin, script) = (wire([&preface(), &settings(), &settings_ack()]).len(), script());
    let rest = data(5, [5; 10]).end_stream().bytes();
    for cut in (begin..=script.len()).step_by(3).chain([script.len()]) {
        let alive = Alive::default();
        let count = alive.clone();
        let (near, far) = tokio::io::duplex(64 << 10);
        let service = service_fn(move |request| {
            let guard = count.enter();
            async move {
                let _guard = guard;
                describe(request).await
            }
        });
        let connection = Connection::new(far, service, Config::default()).unwrap();
        let handle = connection.handle();
        let running = Running(tokio::spawn(connection));
        let mut peer = Peer::new(near);
        peer.send(&script[..cut]).await;
        tokio::task::yield_now().await;
        handle.shutdown();
        peer.send(&[&script[cut..], &rest].concat()).await;
        let (mut answered, mut goaways) = (Vec::new(), Vec::new());
        while let Some(frame) = peer.next().await {
            match frame.kind {
                kind::PING if frame.flags == 0 => {
                    peer.send_frames(&[ping_ack(frame.body.try_into().unwrap())]).await;
                }
                kind::DATA if frame.ends_stream() => answered.push(frame.stream),
                kind::GOAWAY => goaways.push((frame.last_stream(), frame.code())),
                _ => {}
            }
        }
        answered.sort_unstable();
        assert_eq!(answered, [1, 3, 5], "cut at {cut}");
        let all = (Some(5), Some(ErrorCode::NO_ERROR));
        assert_eq!(goaways, [(Some(0x7fff_ffff), Some(ErrorCode::NO_ERROR)), all], "cut at {cut}");
        drop(peer);
        let end = running.end().await;
        assert!(end.report.error.is_none(), "cut at {cut}: {end}");
        assert_eq!(alive.count(), 0);
    }
}
