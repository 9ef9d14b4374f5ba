//! The actions of a handler, and the outcome of its stream if the handler fails.

mod shared;

use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier, Mutex};
use std::time::Duration;

use shared::{LIMIT, Running};
use thalweg_testkit::frames::{
    self, data, flag, goaway, headers, kind, ping, rst_stream, setting, settings, window_update, wire,
};
use thalweg_testkit::hpack;
use thalweg_threads::{
    Body, Cancellation, Config, Error, ErrorCode, Fields, Payload, Request, Responder, Response, Status,
    WithCauses,
};

#[test]
fn a_request_arrives_as_sent_and_its_response_arrives() {
    let server = Running::start(|request: Request<Body>, responder: Responder| {
        let seen = format!(
            "{} {} {} {} {:?} {}",
            request.method(),
            request.scheme(),
            request.authority(),
            request.path(),
            request.fields,
            request.remote().is_some_and(|remote| remote.ip().is_loopback()),
        );
        responder.send(Response::new(Status::new(201).unwrap()).field("X-Seen", "1").body(seen))
    });
    let client = server.client();
    let request = Request::get("/a?b=c").field("X-Mine", "yes");
    let mut response = client.send(request).unwrap();
    assert_eq!(response.status().as_u16(), 201);
    let content = response.body.read_whole(1000).unwrap();
    let expected = format!("GET http {} /a?b=c {{x-mine: yes}} true", server.address);
    assert_eq!(String::from_utf8(content).unwrap(), expected);
    assert_eq!(response.fields.text("x-seen"), Some("1"));
    assert_eq!(response.fields.text("content-length"), Some(expected.len().to_string().as_str()));
}

/// Returns the fields of a response without its date, which must be there.
fn undated(mut fields: Vec<String>) -> Vec<String> {
    let date = fields.pop().expect("the date is last");
    assert!(date.starts_with("date: "), "{date}");
    fields
}

#[test]
fn responses_to_head_and_without_content_have_no_data() {
    let server = Running::start(|request: Request<Body>, responder: Responder| match request.path() {
        "/whole" => responder.send(Response::ok().body("12345")),
        "/reader" => responder.send(Response::ok().body(Payload::sized_reader(&b"12345"[..], 5))),
        "/writer" => {
            let mut writer = responder.start(Response::ok().field("content-length", "5"))?;
            writer.write_all(b"12345")?;
            writer.write_from(&mut &b"12345"[..])?;
            writer.finish()
        }
        _ => responder.send(Response::new(Status::new(204).unwrap()).body("not sent")),
    });
    let mut peer = server.peer();
    peer.greet();
    for (index, path) in ["/whole", "/reader", "/writer"].into_iter().enumerate() {
        let stream = 1 + 2 * index as u32;
        peer.send(&headers(stream, hpack::request("HEAD", path)).end_stream().end_headers().bytes());
        let head = peer.until(kind::HEADERS);
        assert!(head.has(flag::END_STREAM), "{path}: {head}");
        assert_eq!(undated(peer.fields(&head)), [":status: 200", "content-length: 5"], "{path}");
    }
    peer.send(&headers(7, hpack::get("/none")).end_stream().end_headers().bytes());
    let head = peer.until(kind::HEADERS);
    assert!(head.has(flag::END_STREAM), "{head}");
    assert_eq!(undated(peer.fields(&head)), [":status: 204"]);
    peer.leave();
}

#[test]
fn trailers_pass_in_both_directions() {
    let server = Running::start(|mut request: Request<Body>, responder: Responder| {
        let mut content = String::new();
        request.body.read_to_string(&mut content)?;
        let trailers = request.body.trailers().cloned().unwrap_or_default();
        let mut writer = responder.start(Response::ok())?;
        write!(writer, "{content} with {trailers:?}")?;
        writer.finish_with(Fields::from([("x-sum", "7")]))
    });
    let client = server.client();
    let payload = Payload::from("content").trailers(Fields::from([("x-check", "3")]));
    let mut response = client.send(Request::post("/").body(payload)).unwrap();
    let content = response.body.read_whole(1000).unwrap();
    assert_eq!(content, b"content with {x-check: 3}");
    assert_eq!(response.body.trailers(), Some(&Fields::from([("x-sum", "7")])));

    let payload = Payload::reader(&b"read"[..]).trailers(Fields::from([("x-check", "4")]));
    let mut response = client.send(Request::post("/").body(payload)).unwrap();
    assert_eq!(response.body.read_whole(1000).unwrap(), b"read with {x-check: 4}");
}

#[test]
fn informational_responses_precede_the_final_one() {
    let server = Running::start(|_: Request<Body>, mut responder: Responder| {
        let refused = responder.send_informational(Response::ok()).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
        responder.send_informational(Response::new(Status::EARLY_HINTS).field("link", "</style.css>"))?;
        responder.send(Response::ok())
    });
    let mut peer = server.peer();
    peer.greet();
    peer.send(&headers(1, hpack::get("/")).end_stream().end_headers().bytes());
    let early = peer.until(kind::HEADERS);
    assert_eq!(peer.fields(&early), [":status: 103", "link: </style.css>"]);
    let last = peer.until(kind::HEADERS);
    assert_eq!(undated(peer.fields(&last)), [":status: 200", "content-length: 0"]);
    peer.leave();
}

#[test]
fn a_client_that_expects_100_gets_it_when_the_handler_reads() {
    let server = Running::start(|mut request: Request<Body>, responder: Responder| {
        let content = request.body.read_whole(100)?;
        responder.send(Response::ok().body(content))
    });
    let mut peer = server.peer();
    peer.greet();
    let block =
        hpack::block(&[(":method", "POST"), (":scheme", "http"), (":path", "/"), ("expect", "100-continue")]);
    peer.send(&headers(1, block).end_headers().bytes());
    let resume = peer.until(kind::HEADERS);
    assert_eq!(peer.fields(&resume), [":status: 100"]);
    peer.send(&data(1, b"content").end_stream().bytes());
    let head = peer.until(kind::HEADERS);
    assert_eq!(peer.fields(&head)[0], ":status: 200");
    assert_eq!(peer.until(kind::DATA).body, b"content");
    peer.leave();
}

#[test]
fn window_is_released_as_the_handler_reads() {
    const WINDOW: u32 = 65_536;
    let mut config = Config::default();
    config.stream_window_bytes = WINDOW;
    let (go, may_read) = channel::<usize>();
    let may_read = Mutex::new(may_read);
    let server = Running::with(
        |server| server.config(config),
        move |mut request: Request<Body>, responder: Responder| {
            let mut buffer = vec![0; WINDOW as usize];
            for len in may_read.lock().unwrap().iter() {
                request.body.read_exact(&mut buffer[..len])?;
            }
            responder.send(Response::ok())
        },
    );
    let mut peer = server.peer();
    peer.greet();
    peer.send(&headers(1, hpack::request("POST", "/")).end_headers().bytes());
    for _ in 0..4 {
        peer.send(&data(1, vec![7; 16_384]).bytes());
    }
    // No content was read: the PING acknowledgement is the only frame.
    peer.send(&ping(*b"silence?").bytes());
    assert_eq!(peer.frame().unwrap(), frames::ping_ack(*b"silence?"));
    go.send(WINDOW as usize / 2 + 1).unwrap();
    let credit = peer.until(kind::WINDOW_UPDATE);
    let increment = credit.increment().unwrap();
    assert_eq!(credit.stream, 1);
    assert!((WINDOW / 4..=WINDOW / 2 + 1).contains(&increment), "{increment}");
    drop(go);
    assert_eq!(peer.until(kind::HEADERS).stream, 1);
    // The handler has responded and does not read the rest.
    assert_eq!(peer.until(kind::RST_STREAM), rst_stream(1, ErrorCode::NO_ERROR));
    peer.leave();
}

#[test]
fn unread_content_is_released() {
    const WINDOW: u32 = 65_535;
    let mut config = Config::default();
    config.connection_window_bytes = WINDOW;
    let (go, gate) = channel::<()>();
    let gate = Mutex::new(gate);
    let server = Running::with(
        |server| server.config(config),
        move |request: Request<Body>, responder: Responder| {
            if request.path() == "/dropped" {
                drop(request);
                let writer = responder.start(Response::ok())?;
                // Longer than the peer waits, because the end of the stream would release the
                // window, too.
                gate.lock().unwrap().recv_timeout(3 * LIMIT).unwrap();
                return writer.finish();
            }
            responder.send(Response::ok())
        },
    );
    let mut peer = server.peer();
    peer.greet();
    let piece = |stream| data(stream, [1; 16_384]);
    let credit = |peer: &mut shared::Peer| {
        let mut credit = 0;
        while credit < WINDOW / 2 {
            let frame = peer.until(kind::WINDOW_UPDATE);
            credit += frame.increment().filter(|_| frame.stream == 0).unwrap_or(0);
        }
        credit
    };
    // It arrives while the handler, which does not read it, is still responding.
    peer.send(&headers(1, hpack::request("POST", "/dropped")).end_headers().bytes());
    peer.until(kind::HEADERS);
    peer.send(&wire([&piece(1), &piece(1), &piece(1)]));
    assert!(credit(&mut peer) <= 3 * 16_384);
    go.send(()).unwrap();
    // The content is complete before the handler runs.
    let request = headers(3, hpack::request("POST", "/")).end_headers();
    peer.send(&wire([&request, &piece(3), &piece(3).end_stream()]));
    assert!(credit(&mut peer) <= 3 * 16_384);
    peer.leave();
}

#[test]
fn a_handler_that_panics_resets_its_stream_and_no_other() {
    let both = Arc::new(Barrier::new(2));
    let gate = Arc::clone(&both);
    let server = Running::start(move |request: Request<Body>, responder: Responder| {
        gate.wait();
        assert_ne!(request.path(), "/panic", "this panic is part of the test");
        responder.send(Response::ok().body("hello"))
    });
    let client = server.client();
    let other = client.clone();
    let panicked = std::thread::spawn(move || other.send(Request::get("/panic")).map(drop).unwrap_err());
    let mut response = client.send(Request::get("/hello")).unwrap();
    assert_eq!(response.body.read_whole(100).unwrap(), b"hello");
    let error = panicked.join().unwrap();
    assert!(matches!(error, Error::Reset { code: ErrorCode::INTERNAL_ERROR, .. }), "{error}");
    assert!(client.end().is_none(), "the connection lives");
}

#[test]
fn a_missing_response_and_unfinished_content_reset_their_streams() {
    let server = Running::start(|request: Request<Body>, responder: Responder| match request.path() {
        "/nothing" => Ok(()),
        "/refused" => {
            responder.reset(ErrorCode::REFUSED_STREAM);
            Ok(())
        }
        "/short" => {
            let mut writer = responder.start(Response::ok())?;
            writer.write_all(b"part")?;
            writer.flush()
        }
        "/reader" => {
            let reader = Read::chain(&[b'x'; 100_000][..], Broken);
            responder.send(Response::ok().body(Payload::reader(reader)))
        }
        _ => responder.send(Response::ok().body(Payload::sized_reader(&[b'x'; 100_000][..], 200_000))),
    });
    let client = server.client();
    let refused = client.send(Request::get("/refused")).unwrap_err();
    assert!(refused.is_retryable(), "{refused}");
    let nothing = client.send(Request::get("/nothing")).unwrap_err();
    assert_eq!((nothing.code(), nothing.is_retryable()), (Some(ErrorCode::INTERNAL_ERROR), false));
    for (path, len) in [("/short", 4), ("/reader", 100_000), ("/sized", 100_000)] {
        let mut response = client.send(Request::get(path)).unwrap();
        let mut content = Vec::new();
        let error = response.body.read_to_end(&mut content).unwrap_err();
        assert_eq!(Error::of_io(&error).unwrap().code(), Some(ErrorCode::INTERNAL_ERROR), "{path}");
        // Content that was still queued when the stream ended is lost.
        assert!(content.len() <= len, "{path}");
    }
}

struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("broken"))
    }
}

#[test]
fn an_invalid_response_is_an_error_for_the_handler() {
    let (sender, receiver) = channel();
    let sender = Mutex::new(sender);
    let server = Running::start(move |request: Request<Body>, responder: Responder| {
        let response = Response::ok();
        let outcome = match request.path() {
            "/name" => responder.send(response.field("a b", "close")),
            "/value" => responder.send(response.field("x", "a\nb")),
            "/length" => responder.send(response.field("content-length", "4").body("12345")),
            "/status" => responder.send(Response::new(Status::EARLY_HINTS)),
            "/start" => responder.start(response.field("x", "a\rb")).map(drop),
            _ => {
                let trailers = Fields::from([(":status", "200")]);
                responder.send(response.body(Payload::from("x").trailers(trailers)))
            }
        };
        sender.lock().unwrap().send(outcome.unwrap_err().kind()).unwrap();
        Ok(())
    });
    let client = server.client();
    for path in ["/name", "/value", "/length", "/status", "/start", "/trailers"] {
        let error = client.send(Request::get(path)).unwrap_err();
        assert_eq!(error.code(), Some(ErrorCode::INTERNAL_ERROR), "{path}");
        assert_eq!(receiver.recv_timeout(LIMIT), Ok(io::ErrorKind::InvalidInput), "{path}");
    }
    // More content than was announced: nothing of it is sent, and the writer gets the error.
    let (sender, receiver) = channel();
    let sender = Mutex::new(sender);
    let server = Running::start(move |_: Request<Body>, responder: Responder| {
        let mut writer = responder.start(Response::ok().field("content-length", "10"))?;
        let error = loop {
            if let Err(error) = writer.write_all(&[0; 70_000]).and_then(|()| writer.flush()) {
                break error;
            }
        };
        sender.lock().unwrap().send(WithCauses(&error).to_string()).unwrap();
        Ok(())
    });
    let mut response = server.client().send(Request::get("/")).unwrap();
    let error = response.body.read_whole(1000).unwrap_err();
    assert_eq!(Error::of_io(&error).unwrap().code(), Some(ErrorCode::INTERNAL_ERROR));
    let text = receiver.recv_timeout(LIMIT).unwrap();
    assert!(text.starts_with("content-length is 10, the body yielded "), "{text}");
}

#[test]
fn a_handler_sees_that_its_stream_was_cancelled() {
    let (sender, receiver) = channel::<Error>();
    let (begin, begun) = channel::<(Cancellation, &'static str)>();
    let (sender, begin) = (Mutex::new(sender), Mutex::new(begin));
    let server = Running::start(move |mut request: Request<Body>, responder: Responder| {
        let cancellation = responder.cancellation();
        let begin = |what| begin.lock().unwrap().send((cancellation.clone(), what)).unwrap();
        let error = match request.path() {
            "/read" => {
                begin("read");
                request.body.read(&mut [0]).unwrap_err()
            }
            "/write" => {
                let mut writer = responder.start(Response::ok())?;
                begin("write");
                loop {
                    if let Err(error) = writer.write_all(&[0; 1000]) {
                        break error;
                    }
                }
            }
            _ => {
                begin("compute");
                while !cancellation.is_cancelled() {
                    std::thread::yield_now();
                }
                responder.send(Response::ok()).unwrap_err()
            }
        };
        sender.lock().unwrap().send(Error::of_io(&error).unwrap().clone()).unwrap();
        Err(error)
    });
    let mut peer = server.peer();
    peer.greet();
    for (stream, what) in [(1, "read"), (3, "write"), (5, "compute")] {
        let request = headers(stream, hpack::request("POST", &format!("/{what}"))).end_headers();
        peer.send(&request.bytes());
        let (cancellation, begun) = begun.recv_timeout(LIMIT).unwrap();
        assert_eq!((begun, cancellation.is_cancelled()), (what, false));
        peer.send(&rst_stream(stream, ErrorCode::CANCEL).bytes());
        let error = receiver.recv_timeout(LIMIT).unwrap();
        assert_eq!(error.code(), Some(ErrorCode::CANCEL), "{what}: {error}");
        assert!(cancellation.is_cancelled());
    }
    peer.send(&headers(7, hpack::get("/read")).end_stream().end_headers().bytes());
    drop(peer);
    assert!(server.end().text.contains("3 reset by the peer"));
}

#[test]
fn a_request_that_is_cancelled_while_it_waits_never_runs() {
    let runs = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&runs);
    let (go, gate) = channel::<()>();
    let gate = Mutex::new(gate);
    let server = Running::with(
        |server| server.threads_max(1),
        move |_: Request<Body>, responder: Responder| {
            counter.fetch_add(1, Ordering::SeqCst);
            gate.lock().unwrap().recv_timeout(LIMIT).unwrap();
            responder.send(Response::ok())
        },
    );
    let mut peer = server.peer();
    peer.greet();
    let request = |stream| headers(stream, hpack::get("/")).end_stream().end_headers();
    peer.send(&wire([&request(1), &request(3), &request(5)]));
    peer.send(&wire([&rst_stream(3, ErrorCode::CANCEL), &ping(*b"received")]));
    peer.until(kind::PING);
    go.send(()).unwrap();
    go.send(()).unwrap();
    assert_eq!(peer.until(kind::HEADERS).stream, 1);
    assert_eq!(peer.until(kind::HEADERS).stream, 5);
    assert_eq!(runs.load(Ordering::SeqCst), 2);
    peer.leave();
}

#[test]
fn requests_wait_while_all_threads_are_busy_and_connections_take_turns() {
    let (go, gate) = channel::<()>();
    let gate = Mutex::new(gate);
    let order = Arc::new(Mutex::new(Vec::new()));
    let served = Arc::clone(&order);
    let server = Running::with(
        |server| server.threads_max(1),
        move |request: Request<Body>, responder: Responder| {
            gate.lock().unwrap().recv_timeout(LIMIT).unwrap();
            served.lock().unwrap().push(request.path().to_owned());
            responder.send(Response::ok())
        },
    );
    let mut crowd = server.peer();
    crowd.greet();
    let request = |stream: u32, path: &str| headers(stream, hpack::get(path)).end_stream().end_headers();
    for stream in 0..100 {
        crowd.send(&request(2 * stream + 1, "/crowd").bytes());
    }
    crowd.send(&ping(*b"received").bytes());
    crowd.until(kind::PING);
    let mut single = server.peer();
    single.greet();
    single.send(&wire([&request(1, "/single"), &ping(*b"received")]));
    single.until(kind::PING);
    for _ in 0..3 {
        go.send(()).unwrap();
    }
    // It was the last of 101 requests, and is handled after one or two: the running one, and one
    // before its turn.
    assert_eq!(single.until(kind::HEADERS).stream, 1);
    for _ in 0..98 {
        go.send(()).unwrap();
    }
    for _ in 0..100 {
        crowd.until(kind::HEADERS);
    }
    let order = order.lock().unwrap();
    let place = order.iter().position(|path| path == "/single").unwrap();
    assert!(place <= 2, "served as number {place}");
}

/// Responses wait for each other to share a write, but not for a handler that takes long.
#[test]
fn a_response_is_sent_while_the_next_handler_runs_and_others_wait() {
    let (go, gate) = channel::<()>();
    let gate = Mutex::new(gate);
    let server = Running::with(
        |server| server.threads_max(1),
        move |request: Request<Body>, responder: Responder| {
            if request.path() == "/slow" {
                gate.lock().unwrap().recv_timeout(LIMIT).unwrap();
            }
            responder.send(Response::ok())
        },
    );
    let mut peer = server.peer();
    peer.greet();
    let request = |stream: u32, path: &str| headers(stream, hpack::get(path)).end_stream().end_headers();
    peer.send(&wire([&request(1, "/"), &request(3, "/slow"), &request(5, "/slow")]));
    assert_eq!(peer.until(kind::HEADERS).stream, 1);
    go.send(()).unwrap();
    assert_eq!(peer.until(kind::HEADERS).stream, 3);
    go.send(()).unwrap();
    assert_eq!(peer.until(kind::HEADERS).stream, 5);
}

#[test]
fn blocked_handlers_do_not_keep_others_from_running() {
    // More handlers than processors, all blocked outside of our readers and writers.
    const BLOCKED: usize = 20;
    let all = Arc::new(Barrier::new(BLOCKED + 1));
    let gate = Arc::clone(&all);
    let server = Running::with(
        |server| server.threads_max(BLOCKED + 1),
        move |_: Request<Body>, responder: Responder| {
            gate.wait();
            responder.send(Response::ok())
        },
    );
    let client = server.client();
    let answers: Vec<_> = (0..BLOCKED)
        .map(|_| {
            let client = client.clone();
            std::thread::spawn(move || client.send(Request::get("/")).map(drop))
        })
        .collect();
    all.wait();
    for answer in answers {
        answer.join().unwrap().unwrap();
    }
}

#[test]
fn a_writer_waits_while_the_windows_are_closed() {
    const PIECE: usize = 25_000;
    const PIECES: usize = 80;
    /// All buffers between writer and peer: the writer's, the queue, the core's output, and the
    /// sockets'.
    const AHEAD_MAX: usize = 600_000;
    let written = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&written);
    let server = Running::start(move |_: Request<Body>, responder: Responder| {
        let mut writer = responder.start(Response::ok())?;
        for round in 0..PIECES {
            writer.write_all(&[round as u8; PIECE])?;
            counter.fetch_add(PIECE, Ordering::SeqCst);
        }
        writer.finish()
    });
    let mut peer = server.peer();
    peer.greet_with(&settings().entry(setting::INITIAL_WINDOW_SIZE, 0));
    peer.send(&headers(1, hpack::get("/")).end_stream().end_headers().bytes());
    peer.until(kind::HEADERS);
    let mut content = Vec::new();
    while content.len() < PIECE * PIECES {
        peer.send(&wire([&window_update(1, 50_000), &window_update(0, 50_000)]));
        let granted = content.len() + 50_000;
        while content.len() < granted.min(PIECE * PIECES) {
            content.extend(peer.until(kind::DATA).body);
        }
        assert!(content.len() <= granted, "more than the window of {granted} bytes");
        let ahead = written.load(Ordering::SeqCst) - content.len();
        assert!(ahead <= AHEAD_MAX, "{ahead} bytes were written ahead of the windows");
    }
    let expected: Vec<u8> = (0..PIECES).flat_map(|round| [round as u8; PIECE]).collect();
    assert_eq!(content, expected);
    peer.leave();
}

#[test]
fn an_echo_begins_before_the_request_ends() {
    let server = Running::start(|mut request: Request<Body>, responder: Responder| {
        let mut echo = responder.start(Response::ok())?;
        echo.write_from(&mut request.body)?;
        echo.finish()
    });
    let (mut writer, answer) = server.client().start_request(Request::post("/echo")).unwrap();
    writer.write_all(b"first").unwrap();
    writer.flush().unwrap();
    let mut response = answer.wait().unwrap();
    let mut buffer = [0; 5];
    response.body.read_exact(&mut buffer).unwrap();
    assert_eq!(&buffer, b"first");
    writer.write_all(b"second").unwrap();
    writer.finish().unwrap();
    assert_eq!(response.body.read_whole(100).unwrap(), b"second");
}

#[test]
fn a_shutdown_completes_open_streams_and_accepts_no_more() {
    let (begin, begun) = channel();
    let (go, gate) = channel::<()>();
    let (begin, gate) = (Mutex::new(begin), Mutex::new(gate));
    let server = Running::start(move |request: Request<Body>, responder: Responder| {
        if request.method() == "GET" {
            begin.lock().unwrap().send(()).unwrap();
            gate.lock().unwrap().recv_timeout(LIMIT).unwrap();
        }
        responder.send(Response::ok().body("served"))
    });
    let client = server.client();
    let waiting = client.clone();
    let under_way = std::thread::spawn(move || waiting.send(Request::get("/")).unwrap().body.read_whole(100));
    begun.recv_timeout(LIMIT).unwrap();
    server.handle.shutdown(LIMIT);
    // A refused request shows that GOAWAY has arrived.
    let error = loop {
        if let Err(error) = client.send(Request::post("/")) {
            break error;
        }
    };
    assert!(error.is_retryable(), "{error}");
    go.send(()).unwrap();
    assert_eq!(under_way.join().unwrap().unwrap(), b"served");
    let end = client.wait_end();
    assert!(end.is_orderly(), "{end}");
    assert!(server.end().cause.is_none());
    let address = server.address;
    server.stop();
    assert!(std::net::TcpStream::connect(address).is_err(), "the listener is closed");
}

#[test]
fn a_shutdown_closes_streams_that_exceed_its_limit() {
    let (sender, receiver) = channel();
    let sender = Mutex::new(sender);
    let server = Running::start(move |mut request: Request<Body>, responder: Responder| {
        let mut writer = responder.start(Response::ok())?;
        writer.write_all(b"part")?;
        writer.flush()?;
        let error = request.body.read(&mut [0]).unwrap_err();
        sender.lock().unwrap().send(Error::of_io(&error).unwrap().clone()).unwrap();
        Err(error)
    });
    let mut peer = server.peer();
    peer.greet();
    peer.send(&headers(1, hpack::request("POST", "/")).end_headers().bytes());
    assert_eq!(peer.until(kind::DATA).body, b"part");
    server.handle.shutdown(Duration::from_millis(50));
    let frames = peer.rest();
    let goaways: Vec<_> = frames.iter().filter(|frame| frame.kind == kind::GOAWAY).collect();
    assert_eq!(goaways.last(), Some(&&goaway(1, ErrorCode::NO_ERROR)), "{frames:?}");
    let error = receiver.recv_timeout(LIMIT).unwrap();
    assert!(error.connection_end().is_some(), "{error}");
    drop(peer);
    server.stop();
}
