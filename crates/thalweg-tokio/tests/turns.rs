//! A long response does not delay the others of its connection.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod support;

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use support::Peer;
use thalweg::Config;
use thalweg_testkit::frames::{headers, kind, setting, settings, window_update};
use thalweg_testkit::hpack;
use thalweg_tokio::{Body, server, service_fn};
use tokio::net::{TcpListener, TcpSocket};

/// Returns the bytes of the long response between the request for a short one and its end.
async fn bytes_before_the_short_response<IO>(io: IO) -> usize
where
    IO: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let mut peer = Peer::client(io).await;
    peer.send_frames(&[
        settings().entry(setting::INITIAL_WINDOW_SIZE, 1 << 30),
        window_update(0, 1 << 30),
        headers(1, hpack::get("/long")).end_stream().end_headers(),
    ])
    .await;
    let (mut long_bytes, mut has_asked) = (0, false);
    loop {
        let frame = peer.next().await.expect("both responses come");
        match (frame.kind, frame.stream) {
            (kind::DATA, 1) if !has_asked => {
                has_asked = true;
                // All output that can precede the short response is queued by then.
                tokio::time::sleep(Duration::from_millis(50)).await;
                peer.send_frames(&[headers(3, hpack::get("/short")).end_stream().end_headers()]).await;
            }
            (kind::DATA, 1) => long_bytes += frame.body.len(),
            (kind::DATA, 3) if frame.ends_stream() => return long_bytes,
            _ => {}
        }
    }
}

async fn answer(request: Request<Body>) -> Result<Response<Full<Bytes>>, Infallible> {
    const LONG_BYTES: usize = 64 << 20;
    let len = if request.uri().path() == "/long" { LONG_BYTES } else { 1000 };
    Ok(Response::new(Full::new(Bytes::from(vec![b'x'; len]))))
}

#[tokio::test]
async fn a_short_response_does_not_wait_for_the_end_of_a_long_one_that_is_copied() {
    let (ours, theirs) = tokio::io::duplex(64 << 10);
    tokio::spawn(server::Connection::new(ours, service_fn(answer), Config::default()).unwrap());
    let long_bytes = bytes_before_the_short_response(theirs).await;
    assert!(long_bytes < 512 << 10, "{long_bytes} bytes of the long response came first");
}

#[tokio::test]
async fn a_short_response_does_not_wait_for_the_end_of_a_long_one_that_is_spliced() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    // The client's own receive buffer is not counted.
    let theirs = TcpSocket::new_v4().unwrap();
    theirs.set_recv_buffer_size(64 << 10).unwrap();
    let theirs = theirs.connect(listener.local_addr().unwrap()).await.unwrap();
    let (ours, _) = listener.accept().await.unwrap();
    tokio::spawn(server::Connection::new(ours, service_fn(answer), Config::default()).unwrap());
    let long_bytes = bytes_before_the_short_response(theirs).await;
    // The send buffer, which Linux lets grow to 4 MiB, and the output that the core has handed
    // out.
    assert!(long_bytes < 5 << 20, "{long_bytes} bytes of the long response came first");
}
