//! TLS and ALPN, between our client and server, and against peers without a common protocol.
#![cfg(feature = "rustls")]
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod support;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use support::{Peer, describe, within};
use thalweg_testkit::frames::{data, headers, kind, preface, settings, wire};
use thalweg_testkit::hpack;
use thalweg_tokio::rustls::crypto::{CryptoProvider, ring};
use thalweg_tokio::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use thalweg_tokio::rustls::server::Acceptor;
use thalweg_tokio::rustls::{ClientConfig, RootCertStore, ServerConfig};
use thalweg_tokio::thalweg::Config;
use thalweg_tokio::{Client, NegotiationError, Server, client, service_fn};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio_rustls::client::TlsStream;
use tokio_rustls::{LazyConfigAcceptor, TlsConnector};

struct Secure {
    addr: SocketAddr,
    closed: mpsc::UnboundedReceiver<String>,
    certificate: CertificateDer<'static>,
}

/// With all features there are two providers, and rustls selects none of them by default.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// A self-signed certificate for `localhost`, valid until the given year.
fn identity(until: i32) -> (CertificateDer<'static>, ServerConfig) {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(2000, 1, 1);
    params.not_after = rcgen::date_time_ymd(until, 1, 1);
    let certificate = params.self_signed(&key).unwrap().der().clone();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let tls = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    (certificate, tls)
}

async fn listen(until: i32) -> Secure {
    let (certificate, tls) = identity(until);
    serve(certificate, tls).await
}

async fn serve(certificate: CertificateDer<'static>, tls: ServerConfig) -> Secure {
    let (sender, closed) = mpsc::unbounded_channel();
    let server = Server::builder().tls(tls).on_end(move |end| {
        let what = match (end.negotiation_error, &end.transport) {
            (None, _) => format!("ended: {end}"),
            (Some(NegotiationError::NoAlpn), _) => "no alpn".into(),
            (Some(NegotiationError::Handshake), Some(error)) => format!("tls: {error}"),
            (Some(_), _) => end.to_string(),
        };
        sender.send(what).unwrap();
    });
    let server = server.bind("127.0.0.1:0").await.unwrap();
    let addr = server.local_addr().unwrap();
    tokio::spawn(server.serve(service_fn(describe)));
    Secure { addr, closed, certificate }
}

fn trusting(certificate: &CertificateDer<'static>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

async fn fetch(addr: SocketAddr, name: &'static str, tls: ClientConfig) -> io::Result<String> {
    let name = ServerName::try_from(name).unwrap();
    let (mut client, connection): (Client<Full<Bytes>>, _) =
        within(client::connect_tls(addr, name, tls)).await?;
    let connection = tokio::spawn(connection);
    let request = Request::post("https://localhost/t").body(Full::from("secret")).unwrap();
    let body = within(client.send(request)).await.unwrap().into_body();
    let text = within(body.collect()).await.unwrap().to_bytes();
    drop(client);
    assert_eq!(within(connection).await.unwrap().report.error, None);
    Ok(String::from_utf8(text.to_vec()).unwrap())
}

#[tokio::test]
async fn both_sides_negotiate_h2_by_alpn() {
    let mut server = listen(2100).await;
    let tls = trusting(&server.certificate);
    assert_eq!(fetch(server.addr, "localhost", tls).await.unwrap(), "POST /t secret");
    assert!(within(server.closed.recv()).await.unwrap().starts_with("ended: ended in order"));
}

#[tokio::test]
async fn a_certificate_that_is_wrong_or_expired_is_refused() {
    let mut server = listen(2100).await;
    let tls = trusting(&server.certificate);
    let error = fetch(server.addr, "example.org", tls).await.unwrap_err();
    assert!(error.to_string().contains("not valid for name"), "{error}");
    assert!(within(server.closed.recv()).await.unwrap().starts_with("tls: "), "the outcome is reported");

    let expired = listen(2001).await;
    let error = fetch(expired.addr, "localhost", trusting(&expired.certificate)).await.unwrap_err();
    assert!(error.to_string().contains("xpired"), "{error}");

    let untrusted = trusting(&listen(2100).await.certificate);
    let error = fetch(server.addr, "localhost", untrusted).await.unwrap_err();
    assert!(
        error.to_string().contains("UnknownIssuer") || error.to_string().contains("BadSignature"),
        "{error}"
    );
}

#[tokio::test]
async fn a_client_of_http_1_only_is_refused_in_the_handshake() {
    let mut server = listen(2100).await;
    let mut tls = trusting(&server.certificate);
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    let error = fetch(server.addr, "localhost", tls).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::Unsupported);
    assert_eq!(error.to_string(), "the peer does not speak HTTP/2 over TLS: it did not negotiate h2 by ALPN");
    assert!(within(server.closed.recv()).await.unwrap().starts_with("tls: "));
}

/// A TLS client by rustls alone.
async fn handshake(server: &Secure, alpn: &[&[u8]]) -> TlsStream<TcpStream> {
    let mut tls = trusting(&server.certificate);
    tls.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    let socket = TcpStream::connect(server.addr).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    within(TlsConnector::from(Arc::new(tls)).connect(name, socket)).await.unwrap()
}

#[tokio::test]
async fn a_client_without_alpn_gets_an_http_1_response() {
    let mut server = listen(2100).await;
    let mut stream = handshake(&server, &[]).await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    within(stream.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 505 "), "{answer}");
    drop(stream);
    assert_eq!(within(server.closed.recv()).await.unwrap(), "no alpn");
}

#[tokio::test]
async fn s3_3_a_server_refuses_prior_knowledge_over_tls() {
    // 9113-3.3-1
    let mut server = listen(2100).await;
    let mut stream = handshake(&server, &[]).await;
    stream.write_all(&wire([&preface(), &settings()])).await.unwrap();
    let mut answer = Vec::new();
    within(stream.read_to_end(&mut answer)).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 505 "), "no SETTINGS: {answer:?}");
    drop(stream);
    assert_eq!(within(server.closed.recv()).await.unwrap(), "no alpn");
}

#[tokio::test]
async fn s3_2_a_server_negotiates_h2_whatever_else_is_offered() {
    // 9113-3.2-1
    let server = listen(2100).await;
    let mut stream = handshake(&server, &[b"h2c", b"http/1.1", b"h2"]).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    stream.write_all(&wire([&preface(), &settings()])).await.unwrap();
    let mut head = [0; 9];
    within(stream.read_exact(&mut head)).await.unwrap();
    assert_eq!(head[3], kind::SETTINGS);
}

#[tokio::test]
async fn s3_2_a_server_does_not_negotiate_h2c() {
    // 9113-3.2-1
    let mut server = listen(2100).await;
    let mut tls = trusting(&server.certificate);
    tls.alpn_protocols = vec![b"h2c".to_vec()];
    let error = fetch(server.addr, "localhost", tls).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::Unsupported);
    assert!(within(server.closed.recv()).await.unwrap().starts_with("tls: "));

    // Not even if it is configured: the protocol that both would negotiate is not HTTP/2 over TLS.
    let (certificate, mut tls) = identity(2100);
    tls.alpn_protocols = vec![b"h2c".to_vec()];
    let mut server = serve(certificate, tls).await;
    let mut stream = handshake(&server, &[b"h2c"]).await;
    stream.write_all(&wire([&preface(), &settings()])).await.unwrap();
    let mut answer = Vec::new();
    within(stream.read_to_end(&mut answer)).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 505 "), "no SETTINGS: {answer:?}");
    drop(stream);
    assert_eq!(within(server.closed.recv()).await.unwrap(), "no alpn");
}

/// A server by rustls alone, which negotiates `alpn`. Returns the ClientHello of a client that
/// connects to `name` (the server name, the protocols), the content that the client sends after the
/// handshake, and the client's result.
async fn listen_to(name: &'static str, alpn: &[&[u8]]) -> (Hello, Vec<u8>, io::Result<String>) {
    let (certificate, mut tls) = identity(2100);
    tls.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let listening = tokio::spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        let start = LazyConfigAcceptor::new(Acceptor::default(), socket).await.unwrap();
        let hello = start.client_hello();
        let hello = Hello {
            name: hello.server_name().map(str::to_owned),
            alpn: hello.alpn().map(|names| names.map(<[u8]>::to_vec).collect()),
        };
        let mut sent = Vec::new();
        if let Ok(mut stream) = start.into_stream(Arc::new(tls)).await {
            // The client may close the connection with or without close_notify.
            let _ = stream.read_to_end(&mut sent).await;
        }
        (hello, sent)
    });
    let fetched = fetch(addr, name, trusting(&certificate)).await;
    let (hello, sent) = within(listening).await.unwrap();
    (hello, sent, fetched)
}

#[derive(Debug, PartialEq, Eq)]
struct Hello {
    name: Option<String>,
    alpn: Option<Vec<Vec<u8>>>,
}

#[tokio::test]
async fn s9_2_a_client_names_the_server_and_offers_h2_alone() {
    // 9113-3.2-1, 9113-9.2-4
    let (hello, _, _) = listen_to("localhost", &[]).await;
    assert_eq!(hello, Hello { name: Some("localhost".into()), alpn: Some(vec![b"h2".to_vec()]) });
    // The name is the caller's, not that of the address.
    let (hello, _, _) = listen_to("example.org", &[]).await;
    assert_eq!(hello.name.as_deref(), Some("example.org"));
    // RFC 6066 allows no IP address as a server name.
    let (hello, _, _) = listen_to("127.0.0.1", &[]).await;
    assert_eq!(hello, Hello { name: None, alpn: Some(vec![b"h2".to_vec()]) });
}

#[tokio::test]
async fn s3_3_a_client_speaks_no_http_2_to_a_server_without_alpn() {
    // 9113-3.3-1
    let (_, sent, fetched) = listen_to("localhost", &[]).await;
    assert_eq!(sent, b"", "no preface");
    assert_eq!(fetched.unwrap_err().kind(), io::ErrorKind::Unsupported);
}

#[tokio::test]
async fn cleartext_on_a_tls_port_ends_in_the_handshake() {
    let mut server = listen(2100).await;
    let mut socket = TcpStream::connect(server.addr).await.unwrap();
    socket.write_all(&preface()).await.unwrap();
    let mut answer = Vec::new();
    within(socket.read_to_end(&mut answer)).await.unwrap();
    assert_eq!(answer.first(), Some(&0x15), "an alert");
    assert_eq!(within(server.closed.recv()).await.unwrap(), NOT_TLS);
}

const NOT_TLS: &str =
    "the peer does not speak TLS here: http:// is for a cleartext port, https:// for a TLS port";

#[tokio::test]
async fn tls_on_a_cleartext_port_is_a_clear_error() {
    let cases: [(&[u8], io::ErrorKind, &str); 2] = [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", io::ErrorKind::InvalidData, NOT_TLS),
        (
            b"",
            io::ErrorKind::UnexpectedEof,
            "the server closed the connection during the TLS handshake: if this is a cleartext port, use http://",
        ),
    ];
    for (answer, kind, text) in cases {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut hello = [0; 4096];
            assert!(socket.read(&mut hello).await.unwrap() > 0);
            socket.write_all(answer).await.unwrap();
            socket.shutdown().await.unwrap();
            while socket.read(&mut hello).await.is_ok_and(|len| len > 0) {}
        });
        let (certificate, _) = identity(2100);
        let error = fetch(addr, "localhost", trusting(&certificate)).await.unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (kind, text));
        within(server).await.unwrap();
    }
}

#[tokio::test]
async fn a_tls_end_without_close_notify_is_no_failure() {
    let mut server = listen(2100).await;
    let mut stream = handshake(&server, &[b"h2"]).await;
    stream.write_all(&wire([&preface(), &settings()])).await.unwrap();
    let mut byte = [0];
    within(stream.read_exact(&mut byte)).await.unwrap();
    // Closes the socket without close_notify.
    stream.get_mut().0.shutdown().await.unwrap();
    let fetched = within(server.closed.recv()).await.unwrap();
    assert!(
        fetched.starts_with("ended: the peer ended the transport without GOAWAY; 0 streams"),
        "{fetched}"
    );
}

#[tokio::test]
async fn a_client_that_half_closes_without_close_notify_gets_its_answer() {
    let (certificate, tls) = identity(2100);
    let bound = Server::builder().tls(tls).bind("127.0.0.1:0").await.unwrap();
    let addr = bound.local_addr().unwrap();
    let (called, mut calls) = mpsc::unbounded_channel();
    tokio::spawn(bound.serve(service_fn(move |_| {
        let (answer, answered) = oneshot::channel::<&str>();
        called.send(answer).unwrap();
        async { answered.await.map(|text| Response::new(Full::<Bytes>::from(text))) }
    })));
    let server = Secure { addr, certificate, closed: mpsc::unbounded_channel().1 };
    let mut stream = handshake(&server, &[b"h2"]).await;
    let get = headers(1, hpack::get("/")).end_headers().end_stream();
    stream.write_all(&wire([&preface(), &settings(), &get])).await.unwrap();
    let answer = within(calls.recv()).await.unwrap();
    stream.get_mut().0.shutdown().await.unwrap();
    // The server has seen the end of input when it sends its final GOAWAY.
    let mut peer = Peer::new(stream);
    peer.expect(kind::GOAWAY).await;
    answer.send("late").unwrap();
    assert_eq!(peer.expect_headers().await[..2], [":status: 200", "content-length: 4"]);
    assert_eq!(peer.expect_on(1).await, data(1, "late").end_stream());
}

/// Without a time limit of the negotiation, only eviction makes room.
#[tokio::test]
async fn handshakes_without_progress_make_room() {
    let (certificate, tls) = identity(2100);
    let mut config = Config::default();
    config.timeouts.preface = None;
    let server = Server::builder().tls(tls).config(config).connections_max(2);
    let server = server.bind("127.0.0.1:0").await.unwrap();
    let addr = server.local_addr().unwrap();
    tokio::spawn(server.serve(service_fn(describe)));
    let silent = TcpStream::connect(addr).await.unwrap();
    let mut stalled = TcpStream::connect(addr).await.unwrap();
    stalled.write_all(&[0x16, 3, 1, 2, 0, 1]).await.unwrap();
    let text = fetch(addr, "localhost", trusting(&certificate)).await.unwrap();
    assert_eq!(text, "POST /t secret");
    drop((silent, stalled));
}
