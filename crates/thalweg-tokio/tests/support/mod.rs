//! Helpers shared by the tests: a raw peer, transports that split reads and writes, and services.
#![allow(dead_code, reason = "each test uses a part")]

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use thalweg_testkit::frames::{self, Frame, Reader, kind};
use thalweg_testkit::hpack;
use thalweg_tokio::{Body, ConnectionEnd};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream, ReadBuf};
use tokio::task::JoinHandle;

/// Waits with a time limit, so that a hanging test fails.
pub async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(30), future).await.expect("it takes too long")
}

/// A scripted peer that reads and writes frames with code independent of ours.
pub struct Peer<IO> {
    io: IO,
    reader: Reader,
    decoder: hpack::Decoder,
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Peer<IO> {
    pub fn new(io: IO) -> Self {
        Self { io, reader: Reader::default(), decoder: hpack::Decoder::default() }
    }

    /// Creates a client: sends the preface and waits for the server's SETTINGS.
    pub async fn client(io: IO) -> Self {
        let mut peer = Self::new(io);
        peer.send(&frames::wire([&frames::preface(), &frames::settings()])).await;
        peer.expect(kind::SETTINGS).await;
        peer.send(&frames::settings_ack().bytes()).await;
        peer
    }

    /// Creates a server: reads the client's preface and sends SETTINGS.
    pub async fn server(io: IO, settings: Frame) -> Self {
        let mut peer = Self::new(io);
        let mut preface = [0; 24];
        within(peer.io.read_exact(&mut preface)).await.expect("a preface");
        assert_eq!(preface, frames::preface());
        peer.send(&settings.bytes()).await;
        peer.expect(kind::SETTINGS).await;
        peer.send(&frames::settings_ack().bytes()).await;
        peer
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        within(self.io.write_all(bytes)).await.expect("the other side reads");
    }

    pub async fn send_frames(&mut self, frames: &[Frame]) {
        let bytes: Vec<u8> = frames.iter().flat_map(Frame::bytes).collect();
        self.send(&bytes).await;
    }

    /// Returns the next frame, or `None` at the end.
    pub async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.reader.next_frame().expect("a frame as it should be") {
                return Some(frame);
            }
            let mut bytes = [0; 16 << 10];
            let len = within(self.io.read(&mut bytes)).await.ok().filter(|len| *len > 0)?;
            self.reader.push(&bytes[..len]);
        }
    }

    /// Returns the next frame of a type, skipping others.
    pub async fn expect(&mut self, kind: u8) -> Frame {
        loop {
            let frame = self.next().await.expect("a frame, not the end");
            if frame.kind == kind {
                return frame;
            }
        }
    }

    /// Returns the next frame of a stream, skipping others.
    pub async fn expect_on(&mut self, stream: u32) -> Frame {
        loop {
            let frame = self.next().await.expect("a frame, not the end");
            if frame.stream == stream && frame.kind != kind::WINDOW_UPDATE {
                return frame;
            }
        }
    }

    /// Returns the fields of the next header block, as lines.
    pub async fn expect_headers(&mut self) -> Vec<String> {
        let frame = self.expect(kind::HEADERS).await;
        self.fields(&frame)
    }

    pub fn fields(&mut self, frame: &Frame) -> Vec<String> {
        let block = frame.block().expect("a header block");
        self.decoder.decode(block).expect("valid HPACK").iter().map(ToString::to_string).collect()
    }

    /// Returns content and trailers of a stream to its end, and extends the window for the content.
    pub async fn expect_content(&mut self, stream: u32) -> (Vec<u8>, Vec<String>) {
        let mut content = Vec::new();
        loop {
            let frame = self.expect_on(stream).await;
            let end = frame.flags & frames::flag::END_STREAM != 0;
            match frame.kind {
                kind::DATA => {
                    content.extend_from_slice(&frame.body);
                    let len = frame.body.len() as u32;
                    if len > 0 {
                        self.send(&frames::window_update(0, len).bytes()).await;
                    }
                    if len > 0 && !end {
                        self.send(&frames::window_update(stream, len).bytes()).await;
                    }
                    if end {
                        return (content, Vec::new());
                    }
                }
                kind::HEADERS => {
                    assert!(end, "trailers end the stream");
                    return (content, self.fields(&frame));
                }
                _ => panic!("{frame} within the content"),
            }
        }
    }

    /// The same after a header block.
    pub async fn expect_content_of(&mut self, stream: u32) -> (Vec<u8>, Vec<String>) {
        assert_eq!(self.expect_on(stream).await.kind, kind::HEADERS);
        self.expect_content(stream).await
    }

    /// Returns all frames up to the end of input.
    pub async fn rest(&mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        while let Some(frame) = self.next().await {
            frames.push(frame);
        }
        frames
    }

    pub fn into_io(self) -> IO {
        self.io
    }
}

/// A connection that runs in a task, and its end.
pub struct Running(pub JoinHandle<Arc<ConnectionEnd>>);

impl Running {
    pub async fn end(self) -> Arc<ConnectionEnd> {
        within(self.0).await.expect("the driver does not panic")
    }
}

/// Serves a function on one end of an in-memory transport; returns the other.
pub fn serve<F, A, B, E>(function: F) -> (DuplexStream, Running)
where
    F: FnMut(Request<Body>) -> A + Send + 'static,
    A: Future<Output = Result<Response<B>, E>> + Send + 'static,
    B: http_body::Body<Data: Send, Error: Into<thalweg_tokio::BoxError>> + Send + 'static,
    E: Into<thalweg_tokio::BoxError> + 'static,
{
    let (near, far) = tokio::io::duplex(64 << 10);
    let service = thalweg_tokio::service_fn(function);
    let connection =
        thalweg_tokio::server::Connection::new(far, service, thalweg::Config::default()).unwrap();
    (near, Running(tokio::spawn(connection)))
}

/// Responds with the method, the path, and the content.
pub async fn describe(request: Request<Body>) -> Result<Response<Full<Bytes>>, thalweg_tokio::Error> {
    let (head, body) = request.into_parts();
    let content = body.collect().await?.to_bytes();
    let text = format!("{} {} {}", head.method, head.uri.path(), String::from_utf8_lossy(&content));
    Ok(Response::new(Full::from(text)))
}

pub async fn hello(_: Request<Body>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::from("hello")))
}

/// A counter of its own live clones.
#[derive(Clone, Debug, Default)]
pub struct Alive(Arc<AtomicUsize>);

impl Alive {
    pub fn enter(&self) -> Guard {
        self.0.fetch_add(1, Ordering::SeqCst);
        Guard(Arc::clone(&self.0))
    }

    pub fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

#[derive(Debug)]
pub struct Guard(Arc<AtomicUsize>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Pseudo-random numbers from a seed.
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, bound: usize) -> usize {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }
}

/// A transport that moves a few bytes at a time, and sometimes none.
pub struct SmallReads<IO> {
    io: IO,
    random: Random,
}

impl<IO> SmallReads<IO> {
    pub fn new(io: IO, seed: u64) -> Self {
        Self { io, random: Random(seed) }
    }

    fn len(&mut self, cx: &Context<'_>) -> Option<usize> {
        let len = self.random.below(8);
        if len == 0 {
            cx.waker().wake_by_ref();
        }
        (len > 0).then_some(len)
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for SmallReads<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Some(len) = self.len(cx) else { return Poll::Pending };
        let mut chunk = buf.take(len);
        let polled = Pin::new(&mut self.io).poll_read(cx, &mut chunk);
        let read = chunk.filled().len();
        if read > 0 {
            // `chunk` wrote into the memory behind `buf`.
            buf.advance(read);
        }
        polled
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for SmallReads<IO> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let Some(len) = self.len(cx) else { return Poll::Pending };
        Pin::new(&mut self.io).poll_write(cx, &bytes[..len.min(bytes.len())])
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
