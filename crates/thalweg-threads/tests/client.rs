//! The guarantees of a client to the threads that share it.

#![allow(clippy::unwrap_used, reason = "it is all tests")]

mod shared;

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use shared::{LIMIT, Peer, Running};
use thalweg::{CloseCause, Config, ResetCause, Violation};
use thalweg_testkit::frames::{
    Frame, data, flag, goaway, headers, kind, ping, push_promise, rst_stream, setting, settings,
    window_update, wire,
};
use thalweg_testkit::hpack;
use thalweg_threads::{Body, Client, Error, ErrorCode, Payload, Request, Responder, Response, WithCauses};

fn echo(mut request: Request<Body>, responder: Responder) -> io::Result<()> {
    let mut echo = responder.start(Response::ok())?;
    echo.write_from(&mut request.body)?;
    echo.finish()
}

/// A scripted server, and its client.
fn scripted(settings: &Frame) -> (Peer, Client) {
    let (mut peer, client) = Peer::accept(|address| Client::connect(&address.to_string()).unwrap());
    peer.answer_greeting(settings);
    (peer, client.time_limit(Some(LIMIT)))
}

fn respond(stream: u32, content: &[u8]) -> Vec<u8> {
    wire([&headers(stream, hpack::response(200)).end_headers(), &data(stream, content).end_stream()])
}

#[test]
fn many_threads_share_one_connection() {
    const THREADS: usize = 16;
    const REQUESTS: usize = 25;
    let server = Running::start(echo);
    let client = server.client();
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let client = client.clone();
            scope.spawn(move || {
                for request in 0..REQUESTS {
                    let content = vec![(thread * REQUESTS + request) as u8; 1 + 977 * request];
                    let mut response = client.send(Request::post("/echo").body(content.clone())).unwrap();
                    assert!(response.body.read_whole(1 << 20).unwrap() == content);
                }
            });
        }
    });
    client.shutdown();
    let end = client.wait_end();
    assert!(end.is_orderly(), "{end}");
    assert_eq!(end.report.counters.streams_completed, (THREADS * REQUESTS) as u64);
    assert_eq!(server.end().cause, None);
}

#[test]
fn content_larger_than_all_windows_goes_both_ways_at_once() {
    const LEN: u64 = 8 << 20;
    let server = Running::start(echo);
    let payload = Payload::sized_reader(io::repeat(42), LEN);
    // One thread: it sends while it waits for the headers, and while it reads.
    let mut response = server.client().send(Request::post("/echo").body(payload)).unwrap();
    let mut count = 0;
    let mut buffer = vec![0; 100_000];
    loop {
        let len = response.body.read(&mut buffer).unwrap();
        if len == 0 {
            break;
        }
        assert!(buffer[..len].iter().all(|byte| *byte == 42));
        count += len as u64;
    }
    assert_eq!(count, LEN);
    assert!(response.body.is_ended());
}

#[test]
fn requests_beyond_the_servers_limit_wait_for_a_stream() {
    let (mut peer, client) = scripted(&settings().entry(setting::MAX_CONCURRENT_STREAMS, 1));
    let send = |path: &'static str| {
        let client = client.clone();
        thread::spawn(move || client.send(Request::get(path)).unwrap().body.read_whole(100).unwrap())
    };
    let first = send("/1");
    assert_eq!(peer.until(kind::HEADERS).stream, 1);
    let others = [send("/2"), send("/3")];
    // The second request is sent only after the first has ended, and so on.
    for stream in [1, 3, 5] {
        peer.send(&wire([&respond(stream, b"content"), &ping([stream as u8; 8])]));
        loop {
            let frame = peer.frame().unwrap();
            match frame.kind {
                kind::HEADERS => assert_eq!(frame.stream, stream + 2),
                kind::PING => continue,
                _ => panic!("{frame}"),
            }
            break;
        }
        if stream == 3 {
            break;
        }
    }
    peer.send(&respond(5, b"content"));
    assert_eq!(first.join().unwrap(), b"content");
    for other in others {
        assert_eq!(other.join().unwrap(), b"content");
    }
}

#[test]
fn dropping_a_request_response_or_body_cancels_its_stream() {
    let (mut peer, client) = scripted(&settings());
    let (writer, answer) = client.start_request(Request::post("/answer")).unwrap();
    drop(answer);
    assert_eq!(peer.until(kind::RST_STREAM), rst_stream(1, ErrorCode::CANCEL));
    assert!(writer.finish().is_err(), "its stream has ended");

    let (writer, answer) = client.start_request(Request::post("/writer")).unwrap();
    drop(writer);
    assert_eq!(peer.until(kind::RST_STREAM), rst_stream(3, ErrorCode::CANCEL));
    let error = answer.wait().unwrap_err();
    assert!(
        matches!(error, Error::Reset { code: ErrorCode::CANCEL, by: ResetCause::Application }),
        "{error}"
    );

    let waiting = client.clone();
    let response = thread::spawn(move || waiting.send(Request::get("/body")).unwrap());
    assert_eq!(peer.until(kind::HEADERS).stream, 5);
    peer.send(&wire([&headers(5, hpack::response(200)).end_headers(), &data(5, b"part")]));
    drop(response.join().unwrap());
    assert_eq!(peer.until(kind::RST_STREAM), rst_stream(5, ErrorCode::CANCEL));

    // A complete exchange needs no reset.
    let waiting = client.clone();
    let response = thread::spawn(move || waiting.send(Request::get("/whole")).unwrap());
    assert_eq!(peer.until(kind::HEADERS).stream, 7);
    peer.send(&respond(7, b""));
    drop(response.join().unwrap());
    drop(client);
    let frames = peer.until_end_of_client();
    assert!(frames.iter().all(|frame| frame.kind != kind::RST_STREAM), "{frames:?}");
}

#[test]
fn a_request_that_waits_for_a_stream_can_be_cancelled() {
    let (mut peer, client) = scripted(&settings().entry(setting::MAX_CONCURRENT_STREAMS, 1));
    let (writer, answer) = client.start_request(Request::post("/")).unwrap();
    let hurried = client.clone().time_limit(Some(Duration::from_millis(20)));
    let error = hurried.send(Request::get("/late")).unwrap_err();
    assert!(matches!(error, Error::TimedOut), "{error}");
    writer.finish().unwrap();
    peer.send(&respond(1, b"done"));
    assert_eq!(answer.wait().unwrap().body.read_whole(10).unwrap(), b"done");
    // The cancelled request is never sent.
    let (_writer, _answer) = client.start_request(Request::post("/next")).unwrap();
    loop {
        let frame = peer.until(kind::HEADERS);
        let fields = peer.fields(&frame);
        assert!(!fields.contains(&":path: /late".to_owned()));
        if fields.contains(&":path: /next".to_owned()) {
            break;
        }
    }
}

#[test]
fn a_response_that_does_not_arrive_in_time_is_cancelled() {
    let (mut peer, client) = scripted(&settings());
    let client = client.time_limit(Some(Duration::from_millis(20)));
    let (stop, stopped) = channel::<()>();
    let asking = thread::spawn(move || {
        // On a busy machine the time limit may expire before the stream is open; then there is no
        // stream to cancel.
        while stopped.try_recv().is_err() {
            let error = client.send(Request::get("/")).unwrap_err();
            assert!(matches!(error, Error::TimedOut) && !error.is_retryable(), "{error}");
        }
    });
    assert_eq!(peer.until(kind::RST_STREAM).code(), Some(ErrorCode::CANCEL));
    stop.send(()).unwrap();
    asking.join().unwrap();
}

#[test]
fn streams_above_the_goaway_are_retryable() {
    let (mut peer, client) = scripted(&settings());
    let (first, first_answer) = client.start_request(Request::post("/1")).unwrap();
    let (_second, second_answer) = client.start_request(Request::post("/2")).unwrap();
    peer.send(&goaway(1, ErrorCode::NO_ERROR).bytes());
    let error = second_answer.wait().unwrap_err();
    assert!(error.is_retryable(), "{error}");
    let error = client.start_request(Request::post("/3")).map(drop).unwrap_err();
    assert!(matches!(error, Error::Open(_)) && error.is_retryable(), "{error}");
    first.finish().unwrap();
    peer.send(&respond(1, b"served"));
    assert_eq!(first_answer.wait().unwrap().body.read_whole(10).unwrap(), b"served");
    // The connection has no further work.
    let end = client.wait_end();
    assert!(end.is_orderly(), "{end}");
    let error = client.send(Request::get("/4")).unwrap_err();
    assert!(error.is_retryable() && error.connection_end().is_some(), "{error}");
}

#[test]
fn a_refused_stream_is_retryable_and_a_reset_one_is_not() {
    let (mut peer, client) = scripted(&settings());
    for (stream, code, retryable) in [(1, ErrorCode::REFUSED_STREAM, true), (3, ErrorCode::CANCEL, false)] {
        let (_writer, answer) = client.start_request(Request::post("/")).unwrap();
        peer.until(kind::HEADERS);
        peer.send(&rst_stream(stream, code).bytes());
        let error = answer.wait().unwrap_err();
        assert_eq!((error.code(), error.is_retryable()), (Some(code), retryable));
    }
}

#[test]
fn a_lost_connection_is_reported_with_its_report() {
    let (peer, client) = scripted(&settings().entry(setting::MAX_CONCURRENT_STREAMS, 1));
    let (_writer, answer) = client.start_request(Request::post("/")).unwrap();
    let waiting = client.clone();
    let (sender, receiver) = channel();
    let waiting = thread::spawn(move || {
        sender.send(()).unwrap();
        waiting.send(Request::get("/")).map(drop).unwrap_err()
    });
    receiver.recv_timeout(LIMIT).unwrap();
    drop(peer);
    let error = answer.wait().unwrap_err();
    let end = error.connection_end().expect("the connection ended");
    assert!(!error.is_retryable(), "the server may have acted on it: {error}");
    assert_eq!(end.report.error.map(|error| error.cause()), Some(CloseCause::Eof), "{end}");
    assert!(waiting.join().unwrap().is_retryable(), "it was never sent");
    assert!(client.send(Request::get("/")).unwrap_err().is_retryable());
    assert!(client.wait_end().report.error.is_some());
}

#[test]
fn an_early_response_stops_the_upload() {
    let (mut peer, client) = scripted(&settings());
    let sending = client.clone();
    let response = thread::spawn(move || {
        let payload = Payload::reader(io::repeat(1));
        let mut response = sending.send(Request::post("/").body(payload)).unwrap();
        response.body.read_whole(100)
    });
    assert_eq!(peer.until(kind::DATA).stream, 1);
    peer.send(&respond(1, b"enough"));
    peer.send(&rst_stream(1, ErrorCode::NO_ERROR).bytes());
    assert_eq!(response.join().unwrap().unwrap(), b"enough");
}

/// 9113-8.1-8: the response stays valid, and finishing the writer is no error; writing more is one.
#[test]
fn a_request_with_a_complete_response_finishes_without_an_error() {
    for (code, rest) in
        [(ErrorCode::NO_ERROR, &b""[..]), (ErrorCode::NO_ERROR, b"rest"), (ErrorCode::CANCEL, b"")]
    {
        let (mut peer, client) = scripted(&settings());
        let (mut writer, answer) = client.start_request(Request::post("/")).unwrap();
        peer.until(kind::HEADERS);
        peer.send(&respond(1, b"enough"));
        peer.send(&rst_stream(1, code).bytes());
        // The PING acknowledgement shows that all earlier frames were handled.
        peer.send(&ping([7; 8]).bytes());
        peer.until(kind::PING);
        writer.write_all(rest).unwrap();
        let error = writer.flush().err();
        assert_eq!(error.is_some(), !rest.is_empty(), "there is no use in writing more");
        assert_eq!(writer.finish().is_ok(), code == ErrorCode::NO_ERROR, "{code}");
        assert_eq!(answer.wait().unwrap().body.read_whole(100).unwrap(), b"enough");
        drop(client);
        assert_eq!(peer.rest(), [goaway(0, ErrorCode::NO_ERROR)], "no further frame on the stream");
    }
}

#[test]
fn content_that_cannot_be_read_cancels_its_request() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::new(ErrorKind::NotFound, "no more"))
        }
    }
    let (mut peer, client) = scripted(&settings());
    let payload = Payload::reader(Read::chain(&b"some"[..], Broken));
    let error = client.send(Request::post("/").body(payload)).unwrap_err();
    assert!(matches!(&error, Error::Body(cause) if cause.kind() == ErrorKind::NotFound), "{error}");
    assert_eq!(peer.until(kind::DATA).body, b"some");
    assert_eq!(peer.until(kind::RST_STREAM), rst_stream(1, ErrorCode::CANCEL));
}

#[test]
fn an_invalid_request_is_refused_and_the_connection_continues() {
    let server = Running::start(echo);
    let client = server.client();
    for request in [Request::get("no slash"), Request::get("/").field("x", "a\nb")] {
        let error = client.send(request).unwrap_err();
        assert!(matches!(error, Error::Open(_)) && !error.is_retryable(), "{error}");
    }
    let request = Request::post("/").field("content-length", "3").body("four");
    let error = client.send(request).unwrap_err();
    assert!(matches!(&error, Error::Body(cause) if cause.kind() == ErrorKind::InvalidInput), "{error}");
    assert!(client.send(Request::get("/")).is_ok());
}

#[test]
fn a_writer_waits_for_the_window_of_the_server() {
    let (mut peer, client) = scripted(&settings().entry(setting::INITIAL_WINDOW_SIZE, 10));
    let (mut writer, answer) = client.start_request(Request::post("/")).unwrap();
    let writing = thread::spawn(move || {
        writer.write_all(&[5; 200_000]).unwrap();
        writer.finish().unwrap();
    });
    let mut received = peer.until(kind::DATA).body.len();
    assert_eq!(received, 10);
    peer.send(&wire([&window_update(1, 200_000), &window_update(0, 200_000)]));
    loop {
        let frame = peer.until(kind::DATA);
        received += frame.body.len();
        if frame.has(flag::END_STREAM) {
            break;
        }
    }
    assert_eq!(received, 200_000);
    writing.join().unwrap();
    peer.send(&respond(1, b""));
    answer.wait().unwrap();
}

#[test]
fn dropping_the_last_clone_closes_the_connection_after_its_open_streams() {
    let (mut peer, client) = scripted(&settings());
    let (writer, answer) = client.start_request(Request::post("/")).unwrap();
    writer.finish().unwrap();
    peer.until(kind::HEADERS);
    drop(client.clone());
    drop(client);
    peer.send(&headers(1, hpack::response(200)).end_headers().bytes());
    let mut response = answer.wait().unwrap();
    // The body keeps the connection open; it is the only stream with traffic.
    peer.send(&data(1, b"content").end_stream().bytes());
    assert_eq!(response.body.read_whole(100).unwrap(), b"content");
    drop(response);
    let frames = peer.until_end_of_client();
    assert_eq!(frames.last(), Some(&goaway(0, ErrorCode::NO_ERROR)), "{frames:?}");
}

#[test]
fn a_push_is_refused_by_a_client_that_does_not_accept_pushes() {
    let builder = Client::builder().config(Config::default().enable_push(true));
    let (mut peer, client) = Peer::accept(|address| builder.connect(&address.to_string()).unwrap());
    peer.answer_greeting(&settings());
    let (_writer, answer) = client.start_request(Request::post("/")).unwrap();
    peer.until(kind::HEADERS);
    peer.send(&push_promise(1, 2, hpack::get("/pushed")).end_headers().bytes());
    assert_eq!(peer.until(kind::RST_STREAM), rst_stream(2, ErrorCode::CANCEL));
    peer.send(&respond(1, b"asked for"));
    assert_eq!(answer.wait().unwrap().body.read_whole(10).unwrap(), b"asked for");
}

#[test]
fn a_server_that_speaks_http1_is_a_clear_error() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let serving = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").unwrap();
        let mut output = Vec::new();
        stream.read_to_end(&mut output).unwrap();
        output
    });
    let client = Client::connect(&address).unwrap();
    let error = client.send(Request::get("/")).unwrap_err();
    let end = error.connection_end().expect("the connection ended");
    let cause = end.report.error.map(|error| error.cause());
    assert!(matches!(cause, Some(CloseCause::Violation(Violation::PrefaceOfHttp1))), "{end}");
    // The cause is a write.
    let output = serving.join().unwrap();
    let frames = thalweg_testkit::frames::read_all(thalweg_testkit::frames::after_preface(&output));
    assert_eq!(frames.last().map(|frame| frame.kind), Some(kind::GOAWAY));
}

#[test]
fn connecting_to_an_unused_address_is_an_error() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    assert_eq!(Client::connect(&address).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    assert!(Client::connect("no-such-host.invalid").is_err());
}

/// A TLS server may close without an alert when it reads the preface: the caller is told what may
/// be wrong, also if the close was a reset.
#[test]
fn a_server_that_closes_before_its_first_byte_may_speak_tls() {
    for resets in [false, true] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = Client::connect(&listener.local_addr().unwrap().to_string()).unwrap();
        let sent = thread::spawn(move || client.send(Request::get("/")).unwrap_err());
        let (mut socket, _) = listener.accept().unwrap();
        if resets {
            // Closing with unread input resets the connection.
            socket.peek(&mut [0]).unwrap();
        } else {
            socket.shutdown(std::net::Shutdown::Write).unwrap();
            io::copy(&mut socket, &mut io::sink()).unwrap();
        }
        drop(socket);
        let text = WithCauses(&sent.join().unwrap()).to_string();
        assert!(text.contains("if it speaks TLS on this port, connect with TLS (https)"), "{text}");
    }
}

#[test]
fn a_server_that_closes_without_goaway_is_reported() {
    let (peer, client) = scripted(&settings());
    // This happens when its process is killed.
    drop(peer);
    let end = client.wait_end();
    assert!(end.is_orderly(), "{end}");
    assert!(end.to_string().starts_with("the peer ended the transport without GOAWAY; 0 streams"), "{end}");

    let (mut peer, client) = scripted(&settings());
    let (_writer, answer) = client.start_request(Request::post("/")).unwrap();
    peer.until(kind::HEADERS);
    drop(peer);
    let error = answer.wait().unwrap_err();
    let text = WithCauses(&error).to_string();
    assert!(text.contains("the peer ended the byte stream too early"), "{text}");
    assert_eq!(client.wait_end().report.error.unwrap().cause(), CloseCause::Eof);
}
