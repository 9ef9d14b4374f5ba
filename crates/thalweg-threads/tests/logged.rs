//! The levels at which connections' ends are logged. One test, since the log is that of the
//! process: connections have threads of their own.
#![cfg(all(feature = "tracing", feature = "rustls"))]
#![allow(clippy::unwrap_used, reason = "it is all tests")]

mod shared;

use std::fmt::{Debug, Write as _};
use std::io::Write as _;
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use shared::{LIMIT, Running};
use thalweg_testkit::frames::{data, preface, settings, wire};
use thalweg_threads::{Body, Request, Responder, Response};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Sends the level and the message of every event of ours.
struct Log(Mutex<Sender<String>>);

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            write!(self.0, " {value:?}").unwrap();
        }
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("thalweg_threads")
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = Text(event.metadata().level().to_string());
        event.record(&mut text);
        // The test may have ended before its connections.
        drop(self.0.lock().unwrap().send(text.0));
    }
}

fn tls() -> ServerConfig {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate =
        rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap()
}

#[test]
fn what_scanners_do_deserves_no_warning_and_what_peers_break_does() {
    let (sender, log) = channel();
    tracing::subscriber::set_global_default(Log(Mutex::new(sender))).unwrap();
    let hello = |_: Request<Body>, responder: Responder| responder.send(Response::ok().body("hello"));
    let cleartext = Running::start(hello);
    let secure = Running::with(|server| server.tls(tls()), hello);
    let logged = |server: &Running, bytes: &[u8]| {
        let mut socket = TcpStream::connect(server.address).unwrap();
        socket.write_all(bytes).unwrap();
        socket.shutdown(Shutdown::Write).unwrap();
        next(&log)
    };
    let not_tls =
        "the peer does not speak TLS here: http:// is for a cleartext port, https:// for a TLS port";
    let handshake = "the TLS handshake failed: the peer ended the connection in it";
    let tls_hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    assert_eq!(logged(&secure, b""), "DEBUG connection ended: closed by the peer without a byte");
    assert_eq!(logged(&secure, tls_hello), format!("INFO connection ended: {handshake}"));
    assert_eq!(logged(&secure, &preface()), format!("INFO connection ended: {not_tls}"));
    assert_eq!(logged(&cleartext, b""), "DEBUG connection ended: closed by the peer without a byte");
    assert_eq!(
        logged(&cleartext, tls_hello),
        "INFO connection ended: refused: tls on a cleartext port: use http:// here, https:// is for a TLS \
         port: \"\\x16\\x03\""
    );
    assert_eq!(
        logged(&cleartext, b"GET / HTTP/1.1\r\n\r\n"),
        "INFO connection ended: refused: http/1, which this server does not speak"
    );
    // RFC 9113 §6.1: DATA belongs to a stream.
    let offence = logged(&cleartext, &wire([&preface(), &settings(), &data(0, "x")]));
    assert!(offence.starts_with("WARN connection ended: ") && offence.contains("6.1"), "{offence}");
}

fn next(log: &Receiver<String>) -> String {
    log.recv_timeout(LIMIT).expect("the end is logged")
}
