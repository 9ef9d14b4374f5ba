//! Transport faults at every point of one conversation: reset, half-close, spurious readiness,
//! shutdown, suspended machine. No caller hangs, every end is reported once, and a GOAWAY that can
//! still be sent is sent.

#![allow(clippy::unwrap_used, reason = "it is all tests")]

mod shared;

use std::io::{self, ErrorKind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use shared::pipe::{Bench, Pipe, get, greeting, waker};
use shared::{LIMIT, Random, Running};
use thalweg::{Config, Timeouts};
use thalweg_testkit::frames::{
    Frame, Reader, data, flag, goaway, headers, kind, raw, read_all, rst_stream, settings, settings_ack, wire,
};
use thalweg_testkit::hpack;
use thalweg_threads::server::Builder;
use thalweg_threads::{
    Body, Client, CloseLimits, ConnectionEnd, ErrorCode, NegotiationError, Pool, Readiness, Request,
    Responder, Response, Turn,
};

/// Echoes content, and responds to everything else with a greeting.
fn echo(mut request: Request<Body>, responder: Responder) -> io::Result<()> {
    if request.body.is_ended() {
        return responder.send(Response::ok().body("hello"));
    }
    let mut echo = responder.start(Response::ok())?;
    echo.write_from(&mut request.body)?;
    echo.finish()
}

/// A conversation of two complete requests and one without END_STREAM.
fn script() -> Vec<u8> {
    wire([
        &greeting(0x7fff_ffff),
        &get(1, "/"),
        &headers(3, hpack::request("POST", "/")).end_headers(),
        &data(3, [3; 1000]),
        &data(3, [3; 1000]).end_stream(),
        &headers(5, hpack::request("POST", "/")).end_headers(),
        &data(5, [5; 10]),
    ])
}

/// Takes turns until the connection has ended.
fn to_the_end(bench: &mut Bench) -> Arc<ConnectionEnd> {
    let deadline = Instant::now() + LIMIT;
    loop {
        match bench.driver.turn(Readiness::ALL) {
            Turn::Ended(end) => return end,
            Turn::Wait(_) => assert!(Instant::now() < deadline, "it does not end"),
        }
        thread::yield_now();
    }
}

/// Takes turns as a peer that acknowledges PINGs, which a graceful shutdown waits for; returns all
/// frames.
fn answering_pings(bench: &mut Bench) -> (Vec<Frame>, Arc<ConnectionEnd>) {
    let deadline = Instant::now() + LIMIT;
    let (mut reader, mut frames) = (Reader::default(), Vec::new());
    loop {
        let turn = bench.driver.turn(Readiness::ALL);
        reader.push(&bench.pipe.written());
        while let Some(frame) = reader.next_frame().unwrap() {
            if frame.kind == kind::PING && frame.flags == 0 {
                bench.pipe.send(&raw(kind::PING, flag::ACK, 0, &frame.body).bytes());
            }
            frames.push(frame);
        }
        match turn {
            Turn::Ended(end) => return (frames, end),
            Turn::Wait(_) => assert!(Instant::now() < deadline, "it does not end: {frames:?}"),
        }
        thread::yield_now();
    }
}

fn is_content_end(frame: &Frame) -> bool {
    [kind::DATA, kind::HEADERS].contains(&frame.kind) && frame.has(flag::END_STREAM)
}

fn no_linger() -> Builder {
    Builder::new().close_limits(CloseLimits::default().flush(Duration::ZERO).drain(Duration::ZERO))
}

/// All handlers have returned: those that waited in a body got the end.
fn close(pool: &Pool) {
    assert!(pool.close(Instant::now() + LIMIT), "a handler still waits");
}

#[test]
fn a_reset_at_every_point_is_reported_once_and_ends_every_handler() {
    let pool = Pool::new(4, echo);
    let script = script();
    for cut in 0..=script.len() {
        let mut bench = Bench::new(&pool, &no_linger());
        bench.pipe.send(&script[..cut]);
        bench.go();
        bench.pipe.with(|ends| ends.fails = Some(ErrorKind::ConnectionReset));
        let end = to_the_end(&mut bench);
        assert_eq!(end.transport.as_ref().map(io::Error::kind), Some(ErrorKind::ConnectionReset));
        assert!(Arc::ptr_eq(&end, &to_the_end(&mut bench)), "cut at {cut}: there is one report");
        assert_eq!(bench.driver.live_streams(), 0, "cut at {cut}");
    }
    close(&pool);
}

#[test]
fn after_a_read_error_at_every_point_the_goaway_is_still_sent() {
    let pool = Pool::new(4, echo);
    let script = script();
    for cut in (0..=script.len()).step_by(7).chain([script.len()]) {
        let mut bench = Bench::new(&pool, &no_linger());
        bench.pipe.send(&script[..cut]);
        bench.go();
        bench.pipe.with(|ends| ends.read_fails = Some(ErrorKind::TimedOut));
        let end = to_the_end(&mut bench);
        assert_eq!(end.transport.as_ref().map(io::Error::kind), Some(ErrorKind::TimedOut));
        let is_http_2 = cut >= b"PRI * HTTP/2".len();
        let expected = (!is_http_2).then_some(NegotiationError::Transport);
        assert_eq!(end.negotiation_error, expected, "cut at {cut}");
        let frames = read_all(&bench.pipe.written());
        let last = frames.last().map(|frame| frame.kind);
        assert_eq!(last, is_http_2.then_some(kind::GOAWAY), "cut at {cut}: {frames:?}");
        assert!(bench.pipe.with(|ends| ends.driver_has_ended), "cut at {cut}: our side was not ended");
    }
    close(&pool);
}

#[test]
fn after_a_write_error_the_peers_goaway_is_still_received() {
    let pipe = Pipe::default();
    let (wake, _woken) = channel();
    let builder = Client::builder().close_limits(CloseLimits::default().flush(Duration::ZERO));
    let (mut driver, client) = builder.driver(pipe.clone(), "http", "example.org", waker(wake)).unwrap();
    // Some output is left to write.
    pipe.with(|ends| ends.room = Some(20));
    let caller = thread::spawn(move || client.send(Request::post("/not/again")).unwrap_err());
    let deadline = Instant::now() + LIMIT;
    while driver.live_streams() == 0 {
        assert!(Instant::now() < deadline, "it is not opened");
        let _ = driver.turn(Readiness::ALL);
    }
    // The server sent GOAWAY with nothing processed, and closed; after a write error its
    // output is read to the end, byte by byte.
    pipe.send(&wire([&settings(), &settings_ack(), &goaway(0, ErrorCode::NO_ERROR)]));
    pipe.with(|ends| {
        ends.step = Some(1);
        ends.write_fails = Some(ErrorKind::BrokenPipe);
        ends.has_ended = true;
    });
    let end = loop {
        assert!(Instant::now() < deadline, "the connection has not ended");
        if let Turn::Ended(end) = driver.turn(Readiness::ALL) {
            break end;
        }
    };
    assert_eq!(end.transport.as_ref().map(io::Error::kind), Some(ErrorKind::BrokenPipe));
    let error = caller.join().unwrap();
    assert!(error.is_retryable(), "GOAWAY states that the server did not process it: {error}");
}

#[test]
fn a_write_side_closed_at_every_point_of_the_output_leaves_no_caller_waiting() {
    let pool = Pool::new(4, echo);
    for room in (0..2600).step_by(13) {
        let mut bench = Bench::new(&pool, &no_linger());
        bench.pipe.with(|ends| ends.room = Some(room));
        bench.pipe.send(&script());
        bench.until(|pipe| {
            pipe.with(|ends| ends.room == Some(0) || ends.from_driver.len() > 2000).then_some(())
        });
        bench.pipe.with(|ends| ends.write_fails = Some(ErrorKind::BrokenPipe));
        bench.pipe.send(&wire([&rst_stream(5, ErrorCode::CANCEL), &get(7, "/")]));
        bench.until(|pipe| pipe.with(|ends| ends.write_failed).then_some(()));
        // The input of a few stays open, and is read for a second.
        bench.pipe.with(|ends| ends.has_ended = room % 650 != 0);
        let end = to_the_end(&mut bench);
        assert!(end.transport.is_some(), "room {room}: {end}");
        assert_eq!(bench.driver.live_streams(), 0, "room {room}");
    }
    close(&pool);
}

#[test]
fn spurious_readiness_changes_nothing() {
    let pool = Pool::new(4, echo);
    for seed in 0..100 {
        let mut bench = Bench::new(&pool, &Builder::new());
        let mut random = Random(seed);
        bench.pipe.with(|ends| {
            ends.step = Some(1 + random.below(200) as usize);
            ends.stutter = Some(random.clone());
        });
        bench.pipe.send(&script());
        let deadline = Instant::now() + LIMIT;
        let mut output = Vec::new();
        let content = |frames: &[Frame], stream| -> Vec<u8> {
            let of_stream = frames.iter().filter(|frame| frame.kind == kind::DATA && frame.stream == stream);
            of_stream.flat_map(|frame| frame.body.clone()).collect()
        };
        loop {
            assert!(Instant::now() < deadline, "seed {seed}: it does not come");
            let _ = bench.driver.turn(Readiness::ALL);
            output.extend(bench.pipe.written());
            let (mut reader, mut frames) = (Reader::default(), Vec::new());
            reader.push(&output);
            while let Some(frame) = reader.next_frame().unwrap() {
                frames.push(frame);
            }
            let ends = frames.iter().filter(|frame| is_content_end(frame)).count();
            if ends >= 2 && content(&frames, 5).len() == 10 {
                assert_eq!(content(&frames, 1), b"hello", "seed {seed}");
                assert!(content(&frames, 3) == [3; 2000], "seed {seed}");
                break;
            }
        }
    }
    close(&pool);
}

#[test]
fn a_shutdown_at_every_point_completes_open_streams() {
    let pool = Pool::new(4, echo);
    // The last request is completed, too, so that all streams can end regularly.
    let script = [script(), data(5, b"").end_stream().bytes()].concat();
    let first = greeting(0x7fff_ffff).len();
    for cut in (first..=script.len()).step_by(11).chain([script.len()]) {
        let mut bench = Bench::new(&pool, &no_linger());
        bench.pipe.send(&script[..cut]);
        bench.go();
        bench.driver.shutdown();
        bench.go();
        bench.pipe.send(&script[cut..]);
        let (frames, end) = answering_pings(&mut bench);
        assert!(end.is_orderly(), "cut at {cut}: {end}");
        let goaways: Vec<_> = frames.iter().filter(|frame| frame.kind == kind::GOAWAY).collect();
        let last_stream = goaways.last().and_then(|goaway| goaway.last_stream()).expect("a GOAWAY frame");
        // Every stream up to GOAWAY's last-stream id gets its complete response, and no other does.
        for stream in [1, 3, 5] {
            let is_whole = frames.iter().any(|frame| frame.stream == stream && is_content_end(frame));
            assert_eq!(is_whole, stream <= last_stream, "cut at {cut}, stream {stream}: {frames:?}");
        }
    }
    close(&pool);
}

/// When a suspended machine resumes after every deadline, the input that arrived meanwhile is
/// processed before timeouts are.
#[test]
fn input_in_time_is_processed_before_timeouts_after_a_clock_jump() {
    let pool = Pool::new(1, echo);
    // Longer than this thread is likely to be preempted.
    let limit = Some(Duration::from_millis(500));
    let timeouts = Timeouts::default().settings_ack(limit).preface(limit);
    let mut bench = Bench::new(&pool, &Builder::new().config(Config::default().timeouts(timeouts)));
    bench.pipe.send(&greeting(0x7fff_ffff)[..24 + 15]);
    bench.go();
    bench.pipe.send(&greeting(0x7fff_ffff)[24 + 15..]);
    bench.pipe.send(&get(1, "/"));
    thread::sleep(Duration::from_millis(600));
    bench.frames(kind::DATA, 1);
    let Turn::Wait(_) = bench.turns() else { panic!("it has ended") };
}

/// The timeouts of a peer's input are short.
fn short_timeouts() -> Builder {
    let mut config = Config::default();
    let limit = Some(Duration::from_millis(200));
    (config.timeouts.preface, config.timeouts.header_block) = (limit, limit);
    config.timeouts.settings_ack = limit;
    no_linger().config(config)
}

/// A loop that only knows that a timeout is due, for example because a signal interrupted its wait
/// for readiness, need not say what the transport has.
#[test]
fn input_that_arrived_before_a_timeout_is_read_although_nothing_reported_it() {
    let pool = Pool::new(1, echo);
    let input = [greeting(0x7fff_ffff), get(1, "/")].concat();
    let settings = 24 + 15;
    let before_ack = 24 + 9 + 6;
    let half_a_block = input.len() - 3;
    for cut in [10, settings, before_ack, half_a_block] {
        let mut bench = Bench::new(&pool, &short_timeouts());
        let (first, rest) = input.split_at(cut);
        // A block that is cut inside a frame has begun with its frame header only if a frame of it
        // is complete.
        if cut == half_a_block {
            let block = hpack::get("/");
            bench.pipe.send(&greeting(0x7fff_ffff));
            bench.pipe.send(&headers(1, &block[..2]).end_stream().bytes());
            bench.go();
            bench.pipe.send(&raw(kind::CONTINUATION, flag::END_HEADERS, 1, &block[2..]).bytes());
        } else {
            bench.pipe.send(first);
            bench.go();
            bench.pipe.send(rest);
        }
        thread::sleep(Duration::from_millis(300));
        let Turn::Wait(_) = bench.driver.turn(Readiness::NONE) else { panic!("cut at {cut}: it has ended") };
        let frames = bench.frames(kind::DATA, 1);
        assert!(frames.iter().all(|frame| frame.kind != kind::GOAWAY), "cut at {cut}: {frames:?}");
    }
    close(&pool);
}

#[test]
fn input_that_never_ends_does_not_hold_timeouts_off() {
    let pool = Pool::new(1, echo);
    let mut bench = Bench::new(&pool, &short_timeouts());
    bench.pipe.send(&greeting(0x7fff_ffff));
    bench.pipe.send(&headers(1, hpack::get("/")).end_stream().bytes());
    bench.go();
    // Each read finds one byte, and there are more than the driver reads before a timeout.
    bench.pipe.with(|ends| ends.step = Some(1));
    bench.pipe.send(&raw(kind::CONTINUATION, flag::END_HEADERS, 1, [0x82; 100]).bytes());
    thread::sleep(Duration::from_millis(300));
    let _ = bench.driver.turn(Readiness::NONE);
    bench.pipe.with(|ends| ends.step = None);
    let frames = read_all(&bench.pipe.written());
    let last = frames.last().expect("a GOAWAY frame");
    assert_eq!(
        (last.kind, last.code()),
        (kind::GOAWAY, Some(thalweg::Timeout::HeaderBlock.code())),
        "{frames:?}"
    );
    close(&pool);
}

#[test]
fn a_peer_that_fills_every_limit_is_served() {
    const STREAMS: u32 = 256;
    let (gate, closed) = channel::<()>();
    let closed = Mutex::new(closed);
    let bytes = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&bytes);
    let server = Running::with(
        |server| server.threads_max(4),
        move |mut request: Request<Body>, responder: Responder| -> io::Result<()> {
            let _ = closed.lock().unwrap().recv();
            let len = request.body.read_whole(1 << 20)?.len();
            counter.fetch_add(len + request.fields.value("x-large").unwrap().len(), Ordering::Relaxed);
            responder.send(Response::ok().body("done"))
        },
    );
    let mut peer = server.peer();
    peer.greet();
    // 256 streams with field sections of almost 16 KiB, and as much content as the connection's
    // window allows: 1 MiB.
    let fields = hpack::block(&[
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/"),
        (":authority", "a"),
        ("x-large", &"x".repeat(15_000)),
    ]);
    for index in 0..STREAMS {
        let stream = 2 * index + 1;
        peer.send(&headers(stream, &fields).end_headers().bytes());
        peer.send(&data(stream, [7; 4096]).end_stream().bytes());
    }
    let refused = 2 * STREAMS + 1;
    peer.send(&headers(refused, &fields).end_headers().end_stream().bytes());
    assert_eq!(peer.until(kind::RST_STREAM), rst_stream(refused, ErrorCode::REFUSED_STREAM));
    drop(gate);
    let mut answered = 0;
    while answered < STREAMS {
        let frame = peer.until(kind::DATA);
        assert_eq!(frame.body, b"done");
        answered += 1;
    }
    assert_eq!(bytes.load(Ordering::Relaxed), STREAMS as usize * (4096 + 15_000));
    peer.leave();
    assert_eq!(server.end().cause, None);
}

#[test]
fn a_handler_that_never_responds_blocks_no_other_stream_and_ends_with_its_connection() {
    let (sender, receiver) = channel();
    let sender = Mutex::new(sender);
    let server = Running::start(move |mut request: Request<Body>, responder: Responder| -> io::Result<()> {
        if request.path() == "/never" {
            // It waits for content that does not arrive, until the stream ends.
            let error = request.body.read_whole(1).unwrap_err();
            sender.lock().unwrap().send(error.kind()).unwrap();
            return Err(error);
        }
        responder.send(Response::ok().body("hello"))
    });
    let mut peer = server.peer();
    peer.greet();
    peer.send(&headers(1, hpack::request("POST", "/never")).end_headers().bytes());
    for stream in [3, 5, 7] {
        peer.send(&get(stream, "/"));
        assert_eq!(peer.until(kind::DATA).body, b"hello");
    }
    drop(peer);
    assert_eq!(receiver.recv_timeout(LIMIT).unwrap(), ErrorKind::ConnectionAborted);
    server.drained();
}
