//! Well-behaved clients cancel requests too: in bursts, at random points, thousands of times. The
//! rate limits must not end their connections.
//!
//! How the core distinguishes them from attackers: each stream that is reset before its response
//! takes a token from `rate_limits.resets`, each that completes returns four, and 33 a second are
//! added. A client of which some calls complete never exhausts the tokens; one that only opens and
//! resets does after a thousand streams.

use std::time::Duration;

use thalweg::{
    Client, Config, Connection, ErrorCode, Event, Field, HeadersKind, Instant, Request, Server, Status,
    StreamKey,
};

/// A small generator: seeded, so that a failure repeats.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

struct Workload {
    client: Connection<Client>,
    server: Connection<Server>,
    now: Instant,
    random: Random,
    /// Calls in progress, with the bytes that were received of each.
    calls: Vec<(StreamKey, Vec<u8>)>,
    /// Requests that the server has not responded to yet.
    asked: Vec<(StreamKey, Vec<u8>)>,
    completed: u32,
    cancelled: u32,
}

impl Workload {
    fn new(seed: u64) -> Self {
        let config = Config::default();
        Self {
            client: Connection::new(config).expect("the default configuration"),
            server: Connection::new(config).expect("the default configuration"),
            now: Instant::ZERO,
            random: Random(seed),
            calls: Vec::new(),
            asked: Vec::new(),
            completed: 0,
            cancelled: 0,
        }
    }

    /// Starts a call whose message names the stream, so that mixed-up bytes are detected.
    fn call(&mut self) {
        let request = Request::new("POST", "http", "localhost", "/echo.Echo/Unary");
        let fields = [Field::new(b"content-type", b"application/grpc"), Field::new(b"te", b"trailers")];
        let stream = self.client.send_request(&request, fields, false).expect("room for a call");
        let message = message(stream);
        assert_eq!(self.client.send_data(stream, &message, true), Ok(message.len()));
        self.calls.push((stream, Vec::new()));
    }

    fn cancel(&mut self, index: usize) {
        let (stream, _) = self.calls.swap_remove(index);
        self.client.send_reset(stream, ErrorCode::CANCEL);
        self.cancelled += 1;
    }

    /// Passes bytes to the server, in pieces, and lets it respond to some of its requests.
    fn serve(&mut self, answers: usize) {
        let mut wire = Vec::new();
        while self.client.poll_transmit(&mut wire) {}
        let piece = 1 + self.random.below(900) as usize;
        for mut input in wire.chunks(piece) {
            while let Some(event) = self.server.receive(&mut input, self.now).expect("no accusation") {
                match event {
                    Event::Headers { stream, kind: HeadersKind::Request, .. } => {
                        self.asked.push((stream, Vec::new()));
                    }
                    Event::Data { stream, data, .. } => {
                        let asked = self.asked.iter_mut().find(|(asked, _)| *asked == stream);
                        asked.expect("data of a known request").1.extend_from_slice(data);
                        self.server.release(stream, data.len());
                    }
                    Event::Reset { stream, .. } => self.asked.retain(|(asked, _)| *asked != stream),
                    _ => {}
                }
            }
        }
        self.server.check();
        for _ in 0..answers.min(self.asked.len()) {
            let index = self.random.below(self.asked.len() as u64) as usize;
            let (stream, message) = self.asked.swap_remove(index);
            self.server.send_response(stream, Status::OK, [], false).expect("a live stream");
            assert_eq!(self.server.send_data(stream, &message, false), Ok(message.len()));
            self.server.send_trailers(stream, [Field::new(b"grpc-status", b"0")]).expect("a live stream");
        }
    }

    fn listen(&mut self) {
        let mut wire = Vec::new();
        while self.server.poll_transmit(&mut wire) {}
        let mut input = &wire[..];
        while let Some(event) = self.client.receive(&mut input, self.now).expect("no accusation") {
            match event {
                Event::Data { stream, data, .. } => {
                    let call = self.calls.iter_mut().find(|(call, _)| *call == stream);
                    call.expect("data of a live call").1.extend_from_slice(data);
                    self.client.release(stream, data.len());
                }
                Event::Headers { stream, kind: HeadersKind::Trailers, end: true, .. } => {
                    let index = self.calls.iter().position(|(call, _)| *call == stream).expect("a live call");
                    let (stream, got) = self.calls.swap_remove(index);
                    assert_eq!(got, message(stream), "the bytes of call {stream}");
                    self.completed += 1;
                }
                Event::GoAway { code, .. } => panic!("GOAWAY {code} for an honest client"),
                Event::Reset { stream, code, .. } => panic!("call {stream} was reset with {code}"),
                _ => {}
            }
        }
        self.client.check();
    }

    fn settle(&mut self) {
        for _ in 0..10 {
            self.serve(usize::MAX);
            self.listen();
        }
        assert!(self.calls.is_empty(), "{} calls were never answered", self.calls.len());
        assert_eq!((self.client.live_streams(), self.server.live_streams()), (0, 0), "leaked slots");
        assert_eq!(self.server.report().error, None);
    }
}

fn message(stream: StreamKey) -> Vec<u8> {
    let id = stream.id().as_u32();
    (0..64 + id % 200).map(|i| (i * 7 + id) as u8).collect()
}

#[test]
fn ten_thousand_of_twenty_thousand_calls_are_cancelled_at_random_points() {
    for seed in 0..3 {
        let mut workload = Workload::new(seed);
        let mut made = 0;
        while made < 20_000 {
            let burst = 1 + workload.random.below(100);
            for _ in 0..burst.min(20_000 - made) {
                workload.call();
                made += 1;
            }
            // Timeouts of a millisecond: some calls end before the server has received them, some
            // during the response.
            workload.now = workload.now + Duration::from_millis(1);
            if workload.random.below(2) == 0 {
                workload.serve(0);
            }
            let deaths = workload.calls.len() as u64 / 2 + workload.random.below(2);
            for _ in 0..deaths.min(workload.calls.len() as u64) {
                let index = workload.random.below(workload.calls.len() as u64) as usize;
                workload.cancel(index);
            }
            let answers = 1 + workload.random.below(60) as usize;
            workload.serve(answers);
            workload.listen();
            while workload.calls.len() > 100 {
                workload.serve(200);
                workload.listen();
            }
        }
        workload.settle();
        assert!(
            workload.cancelled >= 8000 && workload.completed >= 8000,
            "{} {}",
            workload.cancelled,
            workload.completed
        );
    }
}

#[test]
fn repeated_bursts_of_nine_hundred_cancellations_are_tolerated() {
    let mut workload = Workload::new(7);
    for _ in 0..10 {
        for _ in 0..9 {
            for _ in 0..100 {
                workload.call();
            }
            workload.serve(0);
            while !workload.calls.is_empty() {
                workload.cancel(0);
            }
            workload.serve(0);
            workload.listen();
        }
        // The client's service recovers: as many calls complete.
        for _ in 0..10 {
            for _ in 0..100 {
                workload.call();
            }
            workload.settle();
        }
        workload.now = workload.now + Duration::from_secs(1);
    }
    assert_eq!((workload.cancelled, workload.completed), (9000, 10_000));
}

#[test]
fn a_client_that_only_opens_and_resets_is_cut_off() {
    let mut workload = Workload::new(9);
    let mut opened = 0;
    let error = loop {
        let request = Request::get("http", "localhost", "/");
        let stream = workload.client.send_request(&request, [], true).expect("room for a call");
        workload.client.send_reset(stream, ErrorCode::CANCEL);
        opened += 1;
        assert!(opened < 2000, "a rapid reset was not noticed");
        let mut wire = Vec::new();
        let _ = workload.client.poll_transmit(&mut wire);
        let mut input = &wire[..];
        let error = loop {
            match workload.server.receive(&mut input, workload.now) {
                Ok(Some(_)) => {}
                Ok(None) => break None,
                Err(error) => break Some(error),
            }
        };
        if let Some(error) = error {
            break error;
        }
    };
    assert_eq!(
        error.to_string(),
        "limit rate_limits.resets of the configuration reached on stream 2001: 1001, limit 1000"
    );
}
