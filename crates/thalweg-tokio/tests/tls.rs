//! TLS and ALPN, between our ends and against others that do not agree.
#![cfg(feature = "rustls")]
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod support;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use support::{describe, within};
use thalweg::Config;
use thalweg_tokio::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use thalweg_tokio::rustls::{ClientConfig, RootCertStore, ServerConfig};
use thalweg_tokio::server::{Closed, Refusal};
use thalweg_tokio::{Client, Server, client, service_fn};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;

struct Secure {
    addr: SocketAddr,
    closed: mpsc::UnboundedReceiver<String>,
    certificate: CertificateDer<'static>,
}

/// A server with a certificate for `localhost` that is valid until a year.
async fn listen(until: i32) -> Secure {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(2000, 1, 1);
    params.not_after = rcgen::date_time_ymd(until, 1, 1);
    let certificate = params.self_signed(&key).unwrap().der().clone();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let tls = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    let (tell, closed) = mpsc::unbounded_channel();
    let server = Server::bind("127.0.0.1:0").await.unwrap().tls(tls).on_end(move |_, closed| {
        let what = match closed {
            Closed::Ended(end) => format!("ended: {end}"),
            Closed::Refused(Refusal::NoAlpn) => "no alpn".into(),
            Closed::Refused(Refusal::Transport(error)) => format!("tls: {error}"),
            other => other.to_string(),
        };
        tell.send(what).unwrap();
    });
    let addr = server.local_addr().unwrap();
    tokio::spawn(server.serve(service_fn(describe)));
    Secure { addr, closed, certificate }
}

fn trusting(certificate: &CertificateDer<'static>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    ClientConfig::builder().with_root_certificates(roots).with_no_client_auth()
}

async fn fetch(addr: SocketAddr, name: &'static str, tls: ClientConfig) -> io::Result<String> {
    let name = ServerName::try_from(name).unwrap();
    let (mut client, connection): (Client<Full<Bytes>>, _) =
        within(client::connect_tls(addr, name, Arc::new(tls), Config::default())).await?;
    let connection = tokio::spawn(connection);
    let request = Request::post("https://localhost/t").body(Full::from("secret")).unwrap();
    let body = within(client.send(request)).await.unwrap().into_body();
    let text = within(body.collect()).await.unwrap().to_bytes();
    drop(client);
    assert_eq!(within(connection).await.unwrap().report.error, None);
    Ok(String::from_utf8(text.to_vec()).unwrap())
}

#[tokio::test]
async fn both_ends_speak_h2_by_alpn() {
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
    assert!(within(server.closed.recv()).await.unwrap().starts_with("tls: "), "the server is told");

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
    assert!(error.to_string().contains("NoApplicationProtocol"), "{error}");
    assert!(within(server.closed.recv()).await.unwrap().starts_with("tls: "));
}

#[tokio::test]
async fn a_client_without_alpn_is_answered_in_http_1() {
    let mut server = listen(2100).await;
    let connector = TlsConnector::from(Arc::new(trusting(&server.certificate)));
    let socket = TcpStream::connect(server.addr).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = within(connector.connect(name, socket)).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    within(stream.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 505 "), "{answer}");
    drop(stream);
    assert_eq!(within(server.closed.recv()).await.unwrap(), "no alpn");
}

#[tokio::test]
async fn a_server_that_does_not_agree_to_h2_is_named() {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(["localhost".to_owned()])
        .unwrap()
        .self_signed(&key)
        .unwrap()
        .der()
        .clone();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let tls = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(tls));
        let _stream = acceptor.accept(socket).await.unwrap();
        std::future::pending::<()>().await;
    });
    let error = fetch(addr, "localhost", trusting(&certificate)).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::Unsupported);
}

#[tokio::test]
async fn cleartext_on_a_tls_port_ends_in_the_handshake() {
    let mut server = listen(2100).await;
    let mut socket = TcpStream::connect(server.addr).await.unwrap();
    socket.write_all(&thalweg_testkit::frames::preface()).await.unwrap();
    let mut answer = Vec::new();
    within(socket.read_to_end(&mut answer)).await.unwrap();
    assert_eq!(answer.first(), Some(&0x15), "an alert");
    assert!(within(server.closed.recv()).await.unwrap().starts_with("tls: "));
}
