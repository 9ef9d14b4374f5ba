//! Streams as bytes in both directions: CONNECT and extended CONNECT, between our client and server
//! and against a raw peer.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod support;

use std::convert::Infallible;
use std::io;

use http::{Method, Request, Response};
use support::{Peer, Random, Running, SmallReads, within};
use thalweg::{Config, ErrorCode, SendError};
use thalweg_testkit::frames::{Frame, data, flag, headers, kind, ping, rst_stream, setting};
use thalweg_testkit::hpack::Block;
use thalweg_tokio::tunnel::{Outgoing, outgoing};
use thalweg_tokio::{Body, Client, Error, Protocol, Tunnel, client, server, service_fn};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream};
use tokio::sync::mpsc;

fn with_protocol() -> Config {
    let mut config = Config::default();
    config.enable_connect_protocol = true;
    config
}

/// A server that hands out its tunnels and their targets.
fn serve<IO>(io: IO) -> mpsc::UnboundedReceiver<(String, Tunnel)>
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, tunnels) = mpsc::unbounded_channel();
    let service = service_fn(move |request: Request<Body>| {
        let protocol = request.extensions().get::<Protocol>().map(Protocol::to_string);
        let what = format!("{} {} {}", request.method(), request.uri(), protocol.unwrap_or_default());
        let (tunnel, content) = Tunnel::accept(request.into_body());
        sender.send((what, tunnel)).unwrap();
        async { Ok::<_, Infallible>(Response::new(content)) }
    });
    tokio::spawn(server::Connection::new(io, service, with_protocol()).unwrap());
    tunnels
}

fn client<IO>(io: IO) -> (Client<Outgoing>, Running)
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (client, connection) = client::handshake(io, Config::default()).unwrap();
    (client, Running(tokio::spawn(connection)))
}

async fn open(client: &mut Client<Outgoing>, request: Request<()>) -> Result<Tunnel, Error> {
    let (writer, content) = outgoing();
    let response = within(client.send(request.map(|()| content))).await?;
    assert_eq!(response.status(), 200);
    Ok(Tunnel::new(response.into_body(), writer))
}

fn websocket() -> Request<()> {
    let mut request = Request::get("https://example.org/chat").body(()).unwrap();
    request.extensions_mut().insert(Protocol::new("websocket"));
    request
}

fn connect() -> Request<()> {
    Request::builder().method(Method::CONNECT).uri("example.org:443").body(()).unwrap()
}

#[tokio::test]
async fn an_extended_connect_carries_megabytes_both_ways_at_once() {
    let (near, far) = tokio::io::duplex(64 << 10);
    let mut tunnels = serve(SmallReads::new(far, 1));
    let (mut client, _running) = client(near);
    let tunnel = open(&mut client, websocket()).await.unwrap();
    let (what, theirs) = within(tunnels.recv()).await.unwrap();
    assert_eq!(what, "CONNECT https://example.org/chat websocket");
    let echo = tokio::spawn(async move {
        let (mut read, mut write) = tokio::io::split(theirs);
        tokio::io::copy(&mut read, &mut write).await.unwrap();
        write.shutdown().await.unwrap();
    });
    let mut random = Random(7);
    let sent: Vec<u8> = (0..300_000).map(|_| random.below(256) as u8).collect();
    let (mut read, mut write) = tokio::io::split(tunnel);
    let expected = sent.clone();
    let writing = tokio::spawn(async move {
        write.write_all(&sent).await.unwrap();
        write.shutdown().await.unwrap();
    });
    let mut received = Vec::new();
    within(read.read_to_end(&mut received)).await.unwrap();
    assert!(received == expected, "{} bytes came back", received.len());
    within(writing).await.unwrap();
    within(echo).await.unwrap();
}

#[tokio::test]
async fn a_plain_connect_names_only_its_authority() {
    let (near, far) = tokio::io::duplex(64 << 10);
    let mut tunnels = serve(far);
    let (mut client, _running) = client(near);
    let mut tunnel = open(&mut client, connect()).await.unwrap();
    let (what, mut theirs) = within(tunnels.recv()).await.unwrap();
    assert_eq!(what, "CONNECT example.org:443 ");
    theirs.write_all(b"hello from the other side").await.unwrap();
    drop(theirs);
    // Dropped without a shutdown: the peer must not take the data for complete.
    let mut received = Vec::new();
    let error = within(tunnel.read_to_end(&mut received)).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    within(async {
        while tunnel.write_all(b"x").await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(tunnel.write(b"x").await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
}

#[tokio::test]
async fn without_the_setting_no_extended_connect_is_sent() {
    let (near, far) = tokio::io::duplex(64 << 10);
    let (mut client, _running) = client(near);
    let mut peer = Peer::server(far, thalweg_testkit::frames::settings()).await;
    let error = open(&mut client, websocket()).await.unwrap_err();
    assert!(matches!(error, Error::Send(SendError::NotAllowedByPeer)), "{error}");
    drop(client);
    loop {
        let frame = peer.next().await.unwrap();
        assert_ne!(frame.kind, kind::HEADERS);
        if frame.kind == kind::GOAWAY {
            break;
        }
    }
}

/// A raw client with a tunnel on stream 1.
async fn raw() -> (Peer<DuplexStream>, Tunnel) {
    let (near, far) = tokio::io::duplex(64 << 10);
    let mut tunnels = serve(far);
    let mut peer = Peer::new(near);
    peer.send(&thalweg_testkit::frames::wire([
        &thalweg_testkit::frames::preface(),
        &thalweg_testkit::frames::settings(),
    ]))
    .await;
    let settings = peer.expect(kind::SETTINGS).await;
    assert!(settings.entries().contains(&(setting::ENABLE_CONNECT_PROTOCOL, 1)));
    peer.send(&thalweg_testkit::frames::settings_ack().bytes()).await;
    let request = Block::new()
        .literal(":method", "CONNECT")
        .literal(":protocol", "websocket")
        .literal(":scheme", "https")
        .literal(":authority", "a")
        .literal(":path", "/");
    peer.send_frames(&[headers(1, request.bytes()).end_headers()]).await;
    assert_eq!(peer.expect_headers().await[0], ":status: 200");
    let (_, tunnel) = within(tunnels.recv()).await.unwrap();
    (peer, tunnel)
}

#[tokio::test]
async fn each_side_of_a_tunnel_closes_separately() {
    let (mut peer, mut tunnel) = raw().await;
    peer.send_frames(&[data(1, "final bytes").end_stream()]).await;
    let mut received = String::new();
    within(tunnel.read_to_string(&mut received)).await.unwrap();
    assert_eq!(received, "final bytes");
    within(tunnel.write_all(b"still here")).await.unwrap();
    within(tunnel.shutdown()).await.unwrap();
    drop(tunnel);
    assert_eq!(peer.expect_content(1).await.0, b"still here");
}

/// A raw server that has accepted a tunnel of our client on stream 1. The connection lives as long
/// as the client.
async fn raw_server() -> (Peer<DuplexStream>, Tunnel, Client<Outgoing>) {
    let (near, far) = tokio::io::duplex(64 << 10);
    let (client, _) = client(near);
    let mut opener = client.clone();
    let opening = tokio::spawn(async move { open(&mut opener, connect()).await.unwrap() });
    let mut peer = Peer::server(far, thalweg_testkit::frames::settings()).await;
    assert_eq!(peer.expect_headers().await, [":method: CONNECT", ":authority: example.org:443"]);
    peer.send_frames(&[headers(1, thalweg_testkit::hpack::response(200)).end_headers()]).await;
    (peer, within(opening).await.unwrap(), client)
}

/// Either side with a tunnel on stream 1, and the handle that keeps its connection open.
async fn both_ends() -> [(Peer<DuplexStream>, Tunnel, Option<Client<Outgoing>>); 2] {
    let (peer, tunnel) = raw().await;
    let (other_peer, other_tunnel, client) = raw_server().await;
    [(peer, tunnel, None), (other_peer, other_tunnel, Some(client))]
}

/// Returns the frames on stream 1 until two PINGs are acknowledged: the first acknowledgement is
/// sent before the tasks that its input woke have run.
async fn stream_frames(peer: &mut Peer<DuplexStream>) -> Vec<Frame> {
    let mut sent = Vec::new();
    for _ in 0..2 {
        peer.send_frames(&[ping([1; 8])]).await;
        loop {
            let frame = peer.next().await.unwrap();
            match (frame.stream, frame.kind) {
                (1, _) => sent.push(frame),
                (_, kind::PING) => break,
                _ => {}
            }
        }
    }
    sent
}

#[tokio::test]
async fn dropping_a_tunnel_without_a_shutdown_cancels_its_stream() {
    for (mut peer, mut tunnel, _client) in both_ends().await {
        within(tunnel.write_all(b"part")).await.unwrap();
        assert_eq!(stream_frames(&mut peer).await, [data(1, "part")]);
        drop(tunnel);
        assert_eq!(stream_frames(&mut peer).await, [rst_stream(1, ErrorCode::CANCEL)]);
        // The peer may not know yet; its last bytes change nothing.
        peer.send_frames(&[data(1, "late").end_stream()]).await;
        assert_eq!(stream_frames(&mut peer).await, []);
    }
}

#[tokio::test]
async fn dropping_a_tunnel_closed_on_both_sides_sends_no_reset() {
    for (mut peer, mut tunnel, _client) in both_ends().await {
        within(tunnel.write_all(b"all")).await.unwrap();
        within(tunnel.shutdown()).await.unwrap();
        let ended = stream_frames(&mut peer).await;
        assert_eq!(ended.last().map(|frame| frame.flags), Some(flag::END_STREAM), "{ended:?}");
        peer.send_frames(&[data(1, "").end_stream()]).await;
        assert_eq!(within(tunnel.read(&mut [0])).await.unwrap(), 0);
        drop(tunnel);
        assert_eq!(stream_frames(&mut peer).await, []);
    }
}

/// The tunnel has sent everything, and reads no more. Its peer has the time to end its half.
#[tokio::test(start_paused = true)]
async fn dropping_a_tunnel_after_its_shutdown_stops_its_peer_later() {
    for (mut peer, mut tunnel, client) in both_ends().await {
        // RFC 9113 §8.1: a server that has sent a complete response may stop the rest of the
        // request without an error.
        let code = if client.is_some() { ErrorCode::CANCEL } else { ErrorCode::NO_ERROR };
        within(tunnel.shutdown()).await.unwrap();
        assert_eq!(stream_frames(&mut peer).await, [data(1, "").end_stream()]);
        drop(tunnel);
        assert_eq!(stream_frames(&mut peer).await, []);
        let dropped = tokio::time::Instant::now();
        assert_eq!(peer.expect(kind::RST_STREAM).await, rst_stream(1, code));
        let waited = dropped.elapsed().as_secs_f32();
        assert!((4.9..5.1).contains(&waited), "{waited}");
    }
}

#[tokio::test]
async fn a_reset_ends_reading_and_writing() {
    let (mut peer, mut tunnel) = raw().await;
    peer.send_frames(&[rst_stream(1, ErrorCode::CONNECT_ERROR)]).await;
    let error = within(tunnel.read_u8()).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    assert!(error.to_string().contains("CONNECT_ERROR"), "{error}");
    assert_eq!(within(tunnel.write(b"x")).await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
}

/// The virtual clock advances only when no task can make progress.
#[tokio::test(start_paused = true)]
async fn a_writer_waits_for_a_peer_that_does_not_read() {
    let (_peer, mut tunnel) = raw().await;
    // The window of 65,535 bytes, the transport's buffer, and the writer's.
    let mut written = 0;
    let stuck = tokio::time::timeout(std::time::Duration::from_millis(200), async {
        loop {
            written += tunnel.write(&[7; 1000]).await.unwrap();
        }
    });
    assert!(stuck.await.is_err());
    assert!((65_535..65_535 + (32 << 10)).contains(&written), "{written}");
}
