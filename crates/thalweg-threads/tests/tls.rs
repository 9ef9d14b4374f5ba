//! TLS and ALPN, between our client and server, and against peers without a common protocol.
#![cfg(feature = "rustls")]
#![allow(clippy::unwrap_used, reason = "it is all tests")]

mod shared;

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use shared::{LIMIT, Running};
use thalweg::{Config, Timeouts};
use thalweg_testkit::frames::{Reader, headers, kind, preface, settings, wire};
use thalweg_testkit::hpack;
use thalweg_threads::rustls::crypto::{CryptoProvider, ring};
use thalweg_threads::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use thalweg_threads::rustls::server::Acceptor;
use thalweg_threads::rustls::{
    self, CertificateError, ClientConfig, ClientConnection, RootCertStore, ServerConfig, StreamOwned,
};
use thalweg_threads::{Body, Client, NegotiationError, Payload, Request, Responder, Response};

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
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    (certificate, config)
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

fn echo(mut request: Request<Body>, responder: Responder) -> io::Result<()> {
    let mut echo = responder.start(Response::ok().field("x-scheme", request.scheme()))?;
    echo.write_from(&mut request.body)?;
    echo.finish()
}

fn listen(until: i32) -> (Running, CertificateDer<'static>) {
    let (certificate, config) = identity(until);
    (Running::with(|server| server.tls(config), echo), certificate)
}

/// Connects as the client of a server with a name.
fn connect(server: &Running, name: &str, tls: ClientConfig) -> io::Result<Client> {
    // The name of the certificate is also resolved; every server here listens on 127.0.0.1.
    Client::connect_tls(&format!("{name}:{}", server.address.port()), tls)
        .map(|client| client.time_limit(Some(LIMIT)))
}

fn tls_error(error: &io::Error) -> rustls::Error {
    assert_eq!(error.kind(), ErrorKind::InvalidData, "{error}");
    error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()).expect("an error of TLS").clone()
}

#[test]
fn both_sides_negotiate_h2_by_alpn_and_exchange_content_larger_than_all_buffers() {
    let (server, certificate) = listen(2100);
    let client = connect(&server, "localhost", trusting(&certificate)).unwrap();
    let len = 3 << 20;
    let payload = Payload::sized_reader(io::repeat(7), len);
    let mut response = client.send(Request::post("/").body(payload)).unwrap();
    assert_eq!(response.fields.text("x-scheme"), Some("https"));
    let content = response.body.read_whole(usize::MAX).unwrap();
    assert_eq!((content.len() as u64, content.iter().all(|byte| *byte == 7)), (len, true));
    client.shutdown();
    assert!(client.wait_end().is_orderly());
    let end = server.end();
    assert_eq!((end.cause, end.transport, end.negotiation_error), (None, None, None), "{}", end.text);
}

#[test]
fn a_certificate_that_is_wrong_or_expired_is_a_typed_error_and_the_server_gets_an_alert() {
    let (server, certificate) = listen(2100);
    let error = connect(&server, "127.0.0.1", trusting(&certificate)).unwrap_err();
    let expected = matches!(
        tls_error(&error),
        rustls::Error::InvalidCertificate(CertificateError::NotValidForNameContext { .. })
    );
    assert!(expected, "{error}");
    let end = server.end();
    assert_eq!(
        (end.negotiation_error, end.transport),
        (Some(NegotiationError::Handshake), Some(ErrorKind::InvalidData))
    );

    let (_, other) = listen(2100);
    let error = connect(&server, "localhost", trusting(&other)).unwrap_err();
    assert!(matches!(tls_error(&error), rustls::Error::InvalidCertificate(_)), "{error}");

    let (expired, certificate) = listen(2001);
    let error = connect(&expired, "localhost", trusting(&certificate)).unwrap_err();
    let expected = matches!(
        tls_error(&error),
        rustls::Error::InvalidCertificate(CertificateError::ExpiredContext { .. })
    );
    assert!(expected, "{error}");
}

#[test]
fn a_client_of_http_1_only_is_refused_in_the_handshake() {
    let (server, certificate) = listen(2100);
    let mut tls = trusting(&certificate);
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    let error = connect(&server, "localhost", tls).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(error.to_string(), "the peer does not speak HTTP/2 over TLS: it did not negotiate h2 by ALPN");
    assert_eq!(server.end().negotiation_error, Some(NegotiationError::Handshake));
}

/// A TLS client by rustls alone.
fn stream(
    server: &Running,
    certificate: &CertificateDer<'static>,
    alpn: &[&[u8]],
) -> StreamOwned<ClientConnection, TcpStream> {
    let mut tls = trusting(certificate);
    tls.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    let name = ServerName::try_from("localhost").unwrap();
    let session = ClientConnection::new(Arc::new(tls), name).unwrap();
    let socket = TcpStream::connect(server.address).unwrap();
    socket.set_read_timeout(Some(LIMIT)).unwrap();
    StreamOwned::new(session, socket)
}

/// Returns a server's output to a client that speaks HTTP/2 with prior knowledge, up to its end.
fn answer_to_preface(mut stream: impl Read + Write) -> Vec<u8> {
    stream.write_all(&wire([&preface(), &settings()])).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    answer
}

#[test]
fn a_client_without_alpn_gets_an_http_1_response() {
    let (server, certificate) = listen(2100);
    let mut stream = stream(&server, &certificate, &[]);
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 505 "), "{answer}");
    drop(stream);
    assert_eq!(server.end().negotiation_error, Some(NegotiationError::NoAlpn));
}

#[test]
fn s3_3_a_server_refuses_prior_knowledge_over_tls() {
    // 9113-3.3-1
    let (server, certificate) = listen(2100);
    let answer = answer_to_preface(stream(&server, &certificate, &[]));
    assert!(answer.starts_with(b"HTTP/1.1 505 "), "no SETTINGS: {answer:?}");
    assert_eq!(server.end().negotiation_error, Some(NegotiationError::NoAlpn));
}

#[test]
fn s3_2_a_server_negotiates_h2_whatever_else_is_offered() {
    // 9113-3.2-1
    let (server, certificate) = listen(2100);
    let mut stream = stream(&server, &certificate, &[b"h2c", b"http/1.1", b"h2"]);
    stream.write_all(&wire([&preface(), &settings()])).unwrap();
    let mut head = [0; 9];
    stream.read_exact(&mut head).unwrap();
    assert_eq!(stream.conn.alpn_protocol(), Some(&b"h2"[..]));
    assert_eq!(head[3], kind::SETTINGS);
}

#[test]
fn s3_2_a_server_does_not_negotiate_h2c() {
    // 9113-3.2-1
    let (server, certificate) = listen(2100);
    let mut tls = trusting(&certificate);
    tls.alpn_protocols = vec![b"h2c".to_vec()];
    let error = connect(&server, "localhost", tls).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(error.get_ref().and_then(|inner| inner.downcast_ref()), Some(&NegotiationError::NoAlpn));
    assert_eq!(server.end().negotiation_error, Some(NegotiationError::Handshake));

    // Not even if it is configured: the protocol that both would negotiate is not HTTP/2 over TLS.
    let (certificate, mut config) = identity(2100);
    config.alpn_protocols = vec![b"h2c".to_vec()];
    let server = Running::with(|server| server.tls(config), echo);
    let answer = answer_to_preface(stream(&server, &certificate, &[b"h2c"]));
    assert!(answer.starts_with(b"HTTP/1.1 505 "), "no SETTINGS: {answer:?}");
    assert_eq!(server.end().negotiation_error, Some(NegotiationError::NoAlpn));
}

/// The contents of a ClientHello.
#[derive(Debug, PartialEq, Eq)]
struct Hello {
    name: Option<String>,
    alpn: Option<Vec<Vec<u8>>>,
}

/// A server by rustls alone, without ALPN. Returns the ClientHello of a client of `127.0.0.1` or
/// `localhost`, the content that the client sends after the handshake, and the client's error.
fn listen_to(name: &str) -> (Hello, Vec<u8>, io::Error) {
    let (certificate, config) = identity(2100);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let authority = format!("{name}:{}", listener.local_addr().unwrap().port());
    let listening = thread::spawn(move || {
        let mut socket = listener.accept().unwrap().0;
        socket.set_read_timeout(Some(LIMIT)).unwrap();
        let mut acceptor = Acceptor::default();
        let accepted = loop {
            acceptor.read_tls(&mut socket).unwrap();
            if let Some(accepted) = acceptor.accept().unwrap() {
                break accepted;
            }
        };
        let hello = accepted.client_hello();
        let hello = Hello {
            name: hello.server_name().map(str::to_owned),
            alpn: hello.alpn().map(|names| names.map(<[u8]>::to_vec).collect()),
        };
        let session = accepted.into_connection(Arc::new(config)).unwrap();
        let mut sent = Vec::new();
        // The client may close the connection with or without close_notify.
        let _ = StreamOwned::new(session, socket).read_to_end(&mut sent);
        (hello, sent)
    });
    let tls = trusting(&certificate);
    let error = Client::connect_tls(&authority, tls).unwrap_err();
    let (hello, sent) = listening.join().unwrap();
    (hello, sent, error)
}

#[test]
fn s9_2_a_client_names_the_server_and_offers_h2_alone() {
    // 9113-3.2-1, 9113-9.2-4
    let (hello, ..) = listen_to("localhost");
    assert_eq!(hello, Hello { name: Some("localhost".into()), alpn: Some(vec![b"h2".to_vec()]) });
    // RFC 6066 allows no IP address as a server name.
    let (hello, ..) = listen_to("127.0.0.1");
    assert_eq!(hello, Hello { name: None, alpn: Some(vec![b"h2".to_vec()]) });
}

#[test]
fn s3_3_a_client_speaks_no_http_2_to_a_server_without_alpn() {
    // 9113-3.3-1
    let (_, sent, error) = listen_to("localhost");
    assert_eq!(sent, b"", "no preface");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    let negotiation_error = error.get_ref().and_then(|inner| inner.downcast_ref::<NegotiationError>());
    assert_eq!(negotiation_error, Some(&NegotiationError::NoAlpn));
}

#[test]
fn a_tls_handshake_without_a_server_response_times_out() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let authority = format!("localhost:{}", listener.local_addr().unwrap().port());
    let timeouts = Timeouts::default().preface(Some(Duration::from_millis(50)));
    let builder = Client::builder().config(Config::default().timeouts(timeouts));
    let (certificate, _) = identity(2100);
    let started = Instant::now();
    let error = builder.connect_tls(&authority, trusting(&certificate)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(started.elapsed() >= Duration::from_millis(50));
}

#[test]
fn a_tls_handshake_without_a_client_hello_times_out() {
    let (_, config) = identity(2100);
    let mut core = Config::default();
    core.timeouts.preface = Some(Duration::from_millis(20));
    let server = Running::with(|server| server.tls(config).config(core), echo);
    let mut silent = TcpStream::connect(server.address).unwrap();
    silent.set_read_timeout(Some(LIMIT)).unwrap();
    let mut answer = Vec::new();
    silent.read_to_end(&mut answer).unwrap();
    drop(silent);
    assert_eq!(server.end().negotiation_error, Some(NegotiationError::TimedOut));
}

#[test]
fn cleartext_on_a_tls_port_ends_in_an_alert() {
    let (server, _) = listen(2100);
    let mut socket = TcpStream::connect(server.address).unwrap();
    socket.set_read_timeout(Some(LIMIT)).unwrap();
    socket.write_all(&preface()).unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).unwrap();
    assert_eq!(answer.first(), Some(&0x15), "an alert");
    drop(socket);
    let end = server.end();
    assert_eq!(end.negotiation_error, Some(NegotiationError::NotTls));
    assert_eq!(end.text, NOT_TLS);
}

const NOT_TLS: &str =
    "the peer does not speak TLS here: http:// is for a cleartext port, https:// for a TLS port";

#[test]
fn tls_on_a_cleartext_port_is_a_clear_error() {
    let cases: [(&[u8], ErrorKind, &str); 2] = [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", ErrorKind::InvalidData, NOT_TLS),
        (
            b"",
            ErrorKind::UnexpectedEof,
            "the server closed the connection during the TLS handshake: if this is a cleartext port, use http://",
        ),
    ];
    for (answer, kind, text) in cases {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let authority = format!("localhost:{}", listener.local_addr().unwrap().port());
        let server = thread::spawn(move || {
            let mut socket = listener.accept().unwrap().0;
            let mut hello = [0; 4096];
            assert!(socket.read(&mut hello).unwrap() > 0);
            socket.write_all(answer).unwrap();
            socket.shutdown(std::net::Shutdown::Write).unwrap();
            while socket.read(&mut hello).is_ok_and(|len| len > 0) {}
        });
        let (certificate, _) = identity(2100);
        let tls = trusting(&certificate);
        let error = Client::connect_tls(&authority, tls).unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (kind, text));
        server.join().unwrap();
    }
}

#[test]
fn a_tls_end_without_close_notify_is_no_failure() {
    let (server, certificate) = listen(2100);
    let mut stream = stream(&server, &certificate, &[b"h2"]);
    stream.write_all(&wire([&preface(), &settings()])).unwrap();
    stream.read_exact(&mut [0]).unwrap();
    // Closes the socket without close_notify.
    stream.sock.shutdown(std::net::Shutdown::Write).unwrap();
    let end = server.end();
    assert_eq!((end.transport, end.negotiation_error), (None, None));
    assert!(end.text.starts_with("the peer ended the transport without GOAWAY; 0 streams"), "{}", end.text);
}

#[test]
fn a_client_that_half_closes_without_close_notify_gets_its_answer() {
    let (certificate, config) = identity(2100);
    let (open, gate) = channel::<()>();
    let gate = Mutex::new(gate);
    let late = move |_: Request<Body>, responder: Responder| {
        gate.lock().unwrap().recv_timeout(LIMIT).unwrap();
        responder.send(Response::ok().body("late"))
    };
    let server = Running::with(|server| server.tls(config), late);
    let mut stream = stream(&server, &certificate, &[b"h2"]);
    let get = headers(1, hpack::get("/")).end_headers().end_stream();
    stream.write_all(&wire([&preface(), &settings(), &get])).unwrap();
    stream.sock.shutdown(std::net::Shutdown::Write).unwrap();
    let (mut reader, mut buffer, mut content) = (Reader::default(), [0; 4096], Vec::new());
    loop {
        let Some(frame) = reader.next_frame().unwrap() else {
            let len = stream.read(&mut buffer).unwrap();
            assert!(len > 0, "the answer comes before the end");
            reader.push(&buffer[..len]);
            continue;
        };
        match frame.kind {
            // The server has seen the end of input.
            kind::GOAWAY => open.send(()).unwrap(),
            kind::DATA => content.extend_from_slice(&frame.body),
            _ => {}
        }
        if frame.stream == 1 && frame.ends_stream() {
            break;
        }
    }
    assert_eq!(content, b"late");
}

#[test]
fn an_invalid_server_name_is_refused_before_anything_is_sent() {
    let (certificate, _) = identity(2100);
    let error = Client::connect_tls("a b:1", trusting(&certificate)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[test]
fn a_client_whose_handshake_stands_still_makes_room() {
    let (certificate, config) = identity(2100);
    let server = Running::with(|server| server.tls(config).connections_max(2), echo);
    let silent = [(); 2].map(|()| {
        let mut socket = TcpStream::connect(server.address).unwrap();
        // The beginning of a ClientHello.
        socket.write_all(b"\x16\x03\x01\x02\0\x01\0").unwrap();
        socket
    });
    let started = Instant::now();
    let client = connect(&server, "localhost", trusting(&certificate)).unwrap();
    let mut response = client.send(Request::post("/").body("hello")).unwrap();
    assert_eq!(response.body.read_whole(100).unwrap(), b"hello");
    // Without eviction it takes 10 s, which is `timeouts.preface`.
    assert!(started.elapsed() < Duration::from_secs(6), "{:?}", started.elapsed());
    assert_eq!(server.end().negotiation_error, Some(NegotiationError::Evicted));
    drop(silent);
}
