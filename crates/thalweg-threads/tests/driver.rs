//! Drivers in a caller's own loop, over a transport that moves an arbitrary number of bytes.

#![allow(clippy::unwrap_used, reason = "it is all tests")]

mod shared;

use std::io::{self, ErrorKind, Read};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use shared::pipe::{Bench, Pipe, get, greeting, sized, waker};
use shared::{LIMIT, Random};
use thalweg::{Config, RateLimit};
use thalweg_testkit::frames::{
    Frame, Reader, data, flag, headers, kind, read_all, rst_stream, window_update, wire,
};
use thalweg_testkit::hpack;
use thalweg_threads::client;
use thalweg_threads::server::Builder;
use thalweg_threads::{
    Body, CloseLimits, Error, ErrorCode, Pool, Readiness, Request, Responder, Response, Turn,
};

/// The fault that motivated this project: a reset while a response is half written. At every
/// position the frame that has begun completes unchanged, and the other stream is complete.
#[test]
fn a_reset_at_every_position_of_the_output_leaves_every_frame_complete() {
    const LEN: usize = 50_000;
    let pool = Pool::new(2, sized);
    let mut random = Random(0x0b5e_55ed);
    for round in 0..400 {
        let make = if round < 200 { Bench::new } else { Bench::vectored };
        let mut bench = make(&pool, &Builder::new());
        bench.pipe.with(|ends| ends.room = Some(0));
        bench.pipe.send(&greeting(0x7fff_ffff));
        bench.pipe.send(&wire([&get(1, "/50000"), &get(3, "/50000")]));
        // The number of bytes written when the reset arrives.
        let room = 1 + random.below(90_000) as usize;
        bench.pipe.with(|ends| {
            ends.room = Some(room);
            ends.step = (round % 2 == 0).then_some(1 + room / 10);
        });
        bench.until(|pipe| pipe.with(|ends| ends.room == Some(0)).then_some(()));
        bench.pipe.send(&rst_stream(1, ErrorCode::CANCEL).bytes());
        bench.go();
        bench.pipe.with(|ends| ends.room = None);
        let (mut reader, mut other) = (Reader::default(), Vec::new());
        bench.until(|pipe| {
            reader.push(&pipe.written());
            while let Some(frame) = reader.next_frame().unwrap() {
                match frame.kind {
                    kind::DATA => {
                        assert!(
                            frame.body.iter().all(|byte| *byte == LEN as u8),
                            "changed after it was sent"
                        );
                        if frame.stream == 3 {
                            let end = frame.has(flag::END_STREAM);
                            other.extend(frame.body);
                            assert_eq!(end, other.len() == LEN);
                        }
                    }
                    kind::RST_STREAM | kind::GOAWAY => panic!("round {round}: {frame}"),
                    _ => {}
                }
            }
            (other.len() == LEN).then_some(())
        });
        assert!(reader.rest().is_empty(), "round {round}: it ends inside a frame");
    }
}

#[test]
fn a_transport_that_moves_one_byte_at_a_time_changes_nothing() {
    let pool = Pool::new(1, sized);
    let script = wire([&greeting(0x7fff_ffff), &get(1, "/"), &get(3, "/40000"), &get(5, "/")]);
    let run = |make: fn(&Pool, &Builder) -> Bench, step: Option<usize>| {
        let mut bench = make(&pool, &Builder::new());
        bench.pipe.with(|ends| ends.step = step);
        bench.pipe.send(&script);
        let content = |frames: Vec<Frame>, stream| -> Vec<u8> {
            let of_stream = frames.iter().filter(|frame| frame.kind == kind::DATA && frame.stream == stream);
            of_stream.flat_map(|frame| frame.body.clone()).collect()
        };
        let frames = bench.frames(kind::DATA, 5);
        [1, 3, 5].map(|stream| content(frames.clone(), stream))
    };
    let whole = run(Bench::new, None);
    assert_eq!(whole, [b"hello".to_vec(), vec![40_000_u16 as u8; 40_000], b"hello".to_vec()]);
    for (make, step) in
        [(Bench::new as fn(&_, &_) -> _, Some(1)), (Bench::vectored, None), (Bench::vectored, Some(7))]
    {
        assert_eq!(run(make, step), whole);
    }
}

/// A vectored transport gets large content without a copy, at its position among the frames,
/// whatever part of it one write accepts.
#[test]
fn large_content_is_sent_without_a_copy_and_in_order() {
    const LEN: usize = 200_000;
    static CONTENT: [u8; LEN] = {
        let (mut content, mut at) = ([0; LEN], 0);
        while at < LEN {
            content[at] = (at % 251) as u8;
            at += 1;
        }
        content
    };
    let pool = Pool::new(1, |_: Request<Body>, responder: Responder| {
        responder.send(Response::ok().body(&CONTENT[..]))
    });
    let mut random = Random(0x5911_ced1);
    for round in 0..60 {
        let mut bench = Bench::vectored(&pool, &Builder::new());
        let step = (round > 0).then(|| 1 + random.below(70_000) as usize);
        bench.pipe.with(|ends| ends.step = step);
        bench.pipe.send(&wire([&greeting(0x7fff_ffff), &get(1, "/"), &get(3, "/")]));
        let (mut reader, mut contents) = (Reader::default(), [Vec::new(), Vec::new()]);
        bench.until(|pipe| {
            reader.push(&pipe.written());
            while let Some(frame) = reader.next_frame().unwrap() {
                if frame.kind == kind::DATA {
                    contents[frame.stream as usize / 2].extend(frame.body);
                }
            }
            contents.iter().all(|content| content.len() == LEN).then_some(())
        });
        assert!(contents.iter().all(|content| content[..] == CONTENT[..]), "round {round}, step {step:?}");
        let there = CONTENT.as_ptr() as usize..CONTENT.as_ptr() as usize + LEN;
        let of_content = |slices: &[(usize, usize)]| -> usize {
            slices.iter().filter(|(at, _)| there.contains(at)).map(|(_, len)| len).sum()
        };
        let direct = bench.pipe.with(|ends| of_content(&ends.slices));
        // A rest below 8 KiB at the end of a piece is copied.
        assert!(direct >= 2 * LEN - 2 * (8 << 10), "round {round}: {direct} bytes went out as they lay");
    }
}

#[test]
fn responses_of_one_turn_share_one_write() {
    let (gate, closed) = channel::<()>();
    let closed = Mutex::new(closed);
    let pool = Pool::new(1, move |_: Request<Body>, responder: Responder| {
        // Waits until the gate is dropped.
        closed.lock().unwrap().recv_timeout(LIMIT).unwrap_err();
        responder.send(Response::ok().body("hello"))
    });
    let mut bench = Bench::new(&pool, &Builder::new());
    bench.pipe.send(&greeting(0x7fff_ffff));
    for stream in 0..50 {
        bench.pipe.send(&get(2 * stream + 1, "/"));
    }
    bench.go();
    bench.pipe.written();
    bench.pipe.with(|ends| ends.writes = 0);
    drop(gate);
    assert!(pool.close(Instant::now() + LIMIT), "all are answered");
    bench.woken.try_recv().unwrap();
    assert!(bench.woken.try_recv().is_err(), "it was woken more than once");
    bench.go();
    assert_eq!(bench.pipe.with(|ends| ends.writes), 1);
    let frames = read_all(&bench.pipe.written());
    assert_eq!(frames.iter().filter(|frame| frame.kind == kind::DATA).count(), 50);
}

#[test]
fn a_turn_returns_what_it_waits_for() {
    let pool = Pool::new(1, sized);
    let mut config = Config::default();
    config.rate_limits.pings = RateLimit::UNLIMITED;
    let mut bench = Bench::new(&pool, &Builder::new().config(config));
    let wait = |turn| match turn {
        Turn::Wait(wait) => wait,
        Turn::Ended(end) => panic!("{end}"),
    };
    let first = wait(bench.turns());
    assert_eq!((first.read, first.write), (true, false));
    // The preface timeout is ten seconds.
    assert!(first.timeout.is_some_and(|timeout| timeout <= Duration::from_secs(10)), "{first:?}");
    // Nothing can be written, and the driver stops reading from a peer that sends requests without
    // reading responses.
    bench.pipe.with(|ends| ends.room = Some(0));
    bench.pipe.send(&greeting(0x7fff_ffff));
    let ping = thalweg_testkit::frames::ping([1; 8]).bytes();
    let asked = ping.repeat(40_000);
    bench.pipe.send(&asked);
    let blocked = wait(bench.turns());
    assert_eq!((blocked.read, blocked.write), (false, true));
    // The output that waits for the transport, and the input that waits behind it.
    let read = asked.len() - bench.pipe.with(|ends| ends.to_driver.len());
    assert!(read < 300_000, "it has read {read} bytes");
    bench.pipe.with(|ends| ends.room = None);
    let open = wait(bench.turns());
    assert_eq!((open.read, open.write), (true, false));
    assert_eq!(bench.pipe.with(|ends| ends.to_driver.len()), 0);
}

#[test]
fn a_peer_that_does_not_read_is_dropped_at_its_deadline() {
    let pool = Pool::new(1, sized);
    let mut config = Config::default();
    config.timeouts.transmit = Some(Duration::from_millis(30));
    let builder =
        Builder::new().config(config).close_limits(CloseLimits::default().flush(Duration::from_millis(30)));
    let mut bench = Bench::new(&pool, &builder);
    bench.pipe.with(|ends| ends.room = Some(10));
    bench.pipe.send(&greeting(0x7fff_ffff));
    let end = loop {
        match bench.turns() {
            Turn::Ended(end) => break end,
            Turn::Wait(wait) => drop(bench.woken.recv_timeout(wait.timeout.expect("a deadline"))),
        }
    };
    assert_eq!(end.report.error.map(|error| error.to_string()), Some("timeouts.transmit passed".to_owned()));
    assert!(!bench.pipe.with(|ends| ends.driver_has_ended), "GOAWAY could not be written");
}

#[test]
fn a_dropped_driver_ends_every_stream_once() {
    let (sender, receiver) = channel();
    let sender = Mutex::new(sender);
    let pool = Pool::new(1, move |mut request: Request<Body>, responder: Responder| {
        sender.lock().unwrap().send(Ok(())).unwrap();
        let error = request.body.read(&mut [0]).unwrap_err();
        sender.lock().unwrap().send(Err(Error::of_io(&error).unwrap().clone())).unwrap();
        drop(responder);
        Ok(())
    });
    let mut bench = Bench::new(&pool, &Builder::new());
    bench.pipe.send(&greeting(0));
    for stream in [1, 3] {
        bench.pipe.send(&headers(stream, hpack::request("POST", "/")).end_headers().bytes());
    }
    bench.go();
    assert!(receiver.recv_timeout(LIMIT).unwrap().is_ok());
    drop(bench);
    let error = receiver.recv_timeout(LIMIT).unwrap().unwrap_err();
    let end = error.connection_end().expect("the connection ended");
    assert_eq!(end.transport.as_ref().map(io::Error::kind), Some(ErrorKind::Interrupted));
    assert!(pool.close(Instant::now() + LIMIT));
    assert!(receiver.try_recv().is_err(), "the waiting request never runs, and each end is reported once");
}

#[test]
fn a_transport_that_fails_ends_the_connection_with_its_error() {
    let pool = Pool::new(1, sized);
    let mut bench = Bench::new(&pool, &Builder::new());
    bench.pipe.send(&greeting(0));
    bench.go();
    bench.pipe.with(|ends| ends.fails = Some(ErrorKind::BrokenPipe));
    let Turn::Ended(end) = bench.turns() else { panic!("the connection has not ended") };
    assert_eq!(end.transport.as_ref().map(io::Error::kind), Some(ErrorKind::BrokenPipe));
    let Turn::Ended(again) = bench.turns() else { panic!("the connection has not ended") };
    assert!(Arc::ptr_eq(&end, &again), "there is one report");
}

#[test]
fn a_graceful_close_flushes_half_closes_and_drains() {
    let pool = Pool::new(1, sized);
    let mut bench = Bench::new(&pool, &Builder::new());
    bench.pipe.send(&greeting(0));
    bench.go();
    bench.pipe.written();
    bench.driver.shutdown();
    bench.go();
    let frames = read_all(&bench.pipe.written());
    let ping = frames
        .iter()
        .find(|frame| frame.kind == kind::PING)
        .expect("a PING to learn when GOAWAY was received");
    assert!(!bench.pipe.with(|ends| ends.driver_has_ended));
    let answer = thalweg_testkit::frames::ping_ack(ping.body.clone().try_into().unwrap());
    bench.pipe.send(&answer.bytes());
    let Turn::Wait(wait) = bench.turns() else { panic!("the peer has not ended") };
    assert!(wait.read && wait.timeout.is_some_and(|timeout| timeout <= Duration::from_secs(2)), "{wait:?}");
    assert_eq!(read_all(&bench.pipe.written()).last().map(|frame| frame.kind), Some(kind::GOAWAY));
    assert!(bench.pipe.with(|ends| ends.driver_has_ended));
    // Further input of the peer is discarded until it closes, too.
    bench.pipe.send(&[0xff; 100_000]);
    assert!(matches!(bench.turns(), Turn::Wait(_)));
    assert_eq!(bench.pipe.with(|ends| ends.to_driver.len()), 0);
    bench.pipe.with(|ends| ends.has_ended = true);
    let Turn::Ended(end) = bench.turns() else { panic!("the connection has not ended") };
    assert!(end.is_orderly(), "{end}");
}

#[test]
fn a_client_and_a_server_share_one_loop() {
    let pool = Pool::new(2, |mut request: Request<Body>, responder: Responder| {
        let content = request.body.read_whole(1 << 20)?;
        responder.send(Response::ok().body(content))
    });
    let (wake, woken) = channel();
    let (to_server, to_client) = (Pipe::default(), Pipe::default());
    let server_wake = waker(wake.clone());
    let mut server = Builder::new().driver(to_server.clone(), &pool, server_wake).unwrap();
    let (mut client_driver, client) =
        client::Builder::new().driver(to_client.clone(), "http", "example.org", waker(wake)).unwrap();
    let caller = thread::spawn(move || {
        let content = vec![9; 500_000];
        let response = client.send(Request::post("/").body(content.clone()));
        let same = response.unwrap().body.read_whole(1 << 20).unwrap() == content;
        client.shutdown();
        same
    });
    let deadline = Instant::now() + LIMIT;
    let (mut server_end, mut client_end) = (None, None);
    while server_end.is_none() || client_end.is_none() {
        assert!(Instant::now() < deadline, "it does not end");
        let mut is_idle = true;
        if let Turn::Ended(end) = server.turn(Readiness::ALL) {
            server_end = Some(end);
        }
        if let Turn::Ended(end) = client_driver.turn(Readiness::ALL) {
            client_end = Some(end);
        }
        for (from, to) in [(&to_server, &to_client), (&to_client, &to_server)] {
            let bytes = from.written();
            is_idle &= bytes.is_empty();
            to.send(&bytes);
            let has_ended = from.with(|ends| ends.driver_has_ended);
            to.with(|ends| ends.has_ended = has_ended);
        }
        if is_idle {
            let _ = woken.recv_timeout(Duration::from_millis(5));
        }
    }
    assert!(caller.join().unwrap());
    assert!(server_end.unwrap().is_orderly() && client_end.unwrap().is_orderly());
}

#[test]
fn a_stream_stays_open_until_both_halves_are_closed() {
    let pool = Pool::new(1, sized);
    let mut bench = Bench::new(&pool, &Builder::new());
    bench.pipe.send(&greeting(0));
    bench.pipe.send(&headers(1, hpack::request("POST", "/")).end_headers().bytes());
    bench.frames(kind::HEADERS, 1);
    // The response waits for window, the request for its end.
    assert_eq!(bench.driver.live_streams(), 1);
    bench.pipe.send(&wire([&data(1, b"x").end_stream(), &window_update(1, 100)]));
    bench.until(|pipe| pipe.with(|ends| ends.from_driver.ends_with(b"hello")).then_some(()));
    assert_eq!(bench.driver.live_streams(), 0);
}
