//! Long content is sent without a copy, and every frame is complete whatever the transport accepts
//! and whichever side resets the stream.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod support;

use std::convert::Infallible;
use std::io::{self, IoSlice};
use std::ops::Range;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use http::{Request, Response};
use http_body::{Frame as BodyFrame, SizeHint};
use http_body_util::Full;
use support::{Peer, Random, Running, within};
use thalweg::{Config, ErrorCode};
use thalweg_testkit::frames::{Frame, flag, headers, kind, rst_stream, window_update};
use thalweg_testkit::hpack;
use thalweg_tokio::{Body, client, server, service_fn};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

/// A transport that takes many slices in one write, up to `most` bytes of them at random.
struct Slices {
    io: DuplexStream,
    random: Random,
    most: usize,
    /// The addresses of the slices.
    seen: Arc<Mutex<Vec<Range<usize>>>>,
}

impl AsyncRead for Slices {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl AsyncWrite for Slices {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        for slice in slices {
            let start = slice.as_ptr() as usize;
            self.seen.lock().unwrap().push(start..start + slice.len());
        }
        let most = self.most;
        let len = 1 + self.random.below(most);
        let mut bytes = Vec::new();
        for slice in slices {
            bytes.extend_from_slice(&slice[..slice.len().min(len - bytes.len())]);
        }
        Pin::new(&mut self.io).poll_write(cx, &bytes)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

fn transport(most: usize, seed: u64) -> (DuplexStream, Slices) {
    let (near, io) = tokio::io::duplex(8 << 10);
    (near, Slices { io, random: Random(seed), most, seen: Arc::default() })
}

fn serve<B>(io: Slices, body: impl Fn() -> B + Send + 'static) -> Running
where
    B: http_body::Body<Data: Send, Error = Infallible> + Send + 'static,
{
    let service = service_fn(move |_: Request<Body>| {
        let response = Response::new(body());
        async move { Ok::<_, Infallible>(response) }
    });
    Running(tokio::spawn(server::Connection::new(io, service, Config::default()).unwrap()))
}

fn get(stream: u32) -> Frame {
    headers(stream, hpack::get("/")).end_stream().end_headers()
}

/// Bytes that identify their position.
fn pattern(len: usize) -> Bytes {
    (0..len).map(|at| (at % 251) as u8).collect()
}

/// Pieces of all lengths in buffers of two kinds.
struct Pieces {
    rest: Bytes,
    lens: Vec<usize>,
}

impl http_body::Body for Pieces {
    type Data = bytes::buf::Chain<io::Cursor<Vec<u8>>, Bytes>;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<BodyFrame<Self::Data>, Infallible>>> {
        let Some(len) = self.lens.pop() else { return Poll::Ready(None) };
        let (front, back) = (self.rest.split_to(len / 2), self.rest.split_to(len - len / 2));
        Poll::Ready(Some(Ok(BodyFrame::data(io::Cursor::new(front.to_vec()).chain(back)))))
    }

    fn is_end_stream(&self) -> bool {
        self.lens.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}

#[tokio::test]
async fn pieces_of_all_lengths_arrive_complete_over_partial_writes() {
    let lens = [0, 1, 2047, 2048, 2049, 16_384, 16_385, 65_536, 65_537, 200_000, 3, 0];
    let content = pattern(lens.iter().sum());
    for most in [1, 7, 5000, 1 << 20] {
        let (near, far) = transport(most, 0x5eed + most as u64);
        let rest = content.clone();
        let _running = serve(far, move || Pieces { rest: rest.clone(), lens: lens.to_vec() });
        let mut peer = Peer::client(near).await;
        peer.send_frames(&[get(1)]).await;
        peer.expect_headers().await;
        assert!(peer.expect_content(1).await.0 == content, "at most {most} bytes a write");
    }
}

#[tokio::test]
async fn long_content_is_not_copied_and_short_content_is() {
    for (len, is_copied) in [(2047, true), (2048, false), (40_000, false)] {
        let content = pattern(len);
        let memory = content.as_ptr() as usize..content.as_ptr() as usize + content.len();
        let (near, far) = transport(1 << 20, 1);
        let seen = Arc::clone(&far.seen);
        let _running = serve(far, move || Full::new(content.clone()));
        let mut peer = Peer::client(near).await;
        peer.send_frames(&[get(1)]).await;
        peer.expect_content_of(1).await;
        let inside = |slice: &Range<usize>| memory.contains(&slice.start) && slice.end <= memory.end;
        assert_eq!(seen.lock().unwrap().iter().any(inside), !is_copied, "{len} bytes");
    }
}

/// The fault that motivated this project: the peer resets a stream while its content is being
/// written.
#[tokio::test]
async fn a_reset_in_the_middle_of_a_write_leaves_every_frame_complete() {
    for seed in 0..20 {
        let (near, far) = transport(3000, seed);
        let content = pattern(100_000);
        let expected = content.clone();
        let running = serve(far, move || Full::new(content.clone()));
        let mut peer = Peer::client(near).await;
        peer.send_frames(&[get(1), get(3)]).await;
        peer.expect_headers().await;
        // The transport holds 8 KiB, so the first frame of 16 KiB is half written now.
        tokio::task::yield_now().await;
        peer.send_frames(&[rst_stream(1, ErrorCode::CANCEL)]).await;
        let mut of_third = Vec::new();
        loop {
            let frame = peer.next().await.unwrap();
            if frame.kind == kind::DATA && frame.stream == 1 {
                let at = expected.windows(frame.body.len()).any(|window| window == frame.body);
                assert!(at, "content of the stream that was reset is its own");
                peer.send_frames(&[window_update(0, frame.body.len() as u32)]).await;
            }
            if frame.kind == kind::DATA && frame.stream == 3 {
                of_third.extend_from_slice(&frame.body);
                if frame.flags & flag::END_STREAM != 0 {
                    break;
                }
                let len = frame.body.len() as u32;
                peer.send_frames(&[window_update(0, len), window_update(3, len)]).await;
            }
        }
        assert!(of_third == expected, "seed {seed}");
        drop(peer);
        assert_eq!(running.end().await.report.counters.streams_completed, 1);
    }
}

#[tokio::test]
async fn a_client_uploads_long_content_without_a_copy() {
    let (near, far) = transport(4000, 3);
    let content = pattern(50_000);
    let memory = content.as_ptr() as usize..content.as_ptr() as usize + content.len();
    let seen = Arc::clone(&far.seen);
    let (mut client, connection) = client::handshake(far, Config::default()).unwrap();
    tokio::spawn(connection);
    let mut peer = Peer::server(near, thalweg_testkit::frames::settings()).await;
    let request = Request::post("http://example.org/").body(Full::new(content.clone())).unwrap();
    let _response = client.send(request);
    let (uploaded, _) = within(peer.expect_content_of(1)).await;
    assert!(uploaded == content);
    assert!(seen.lock().unwrap().iter().any(|slice| memory.contains(&slice.start)));
}
