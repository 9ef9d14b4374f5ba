//! Clients whose transport ends at any point leave no stream open.

use thalweg::{
    Client, CloseCause, Config, Connection, ErrorCode, Event, Field, HeadersKind, Instant, Request, Server,
    Status,
};
use thalweg_testkit::frames::read_all;

struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }
}

/// Returns what a client writes during a few random calls.
fn life(random: &mut Random) -> Vec<u8> {
    let mut client = Connection::<Client>::new(Config::default()).expect("the default configuration");
    let mut wire = Vec::new();
    let mut streams = Vec::new();
    for _ in 0..1 + random.below(12) {
        match random.below(5) {
            0 | 1 => {
                let request = Request::new("POST", "http", "example.org", "/upload");
                let length = random.below(20_000).to_string();
                let fields = [Field::new(b"x-length", length.as_bytes())];
                streams.push(client.send_request(&request, fields, random.below(3) == 0).expect("room"));
            }
            2 | 3 if !streams.is_empty() => {
                let stream = streams[random.below(streams.len())];
                // The stream may have ended or been reset before: then nothing is sent. The client
                // never sends what is not taken.
                let _ = client.send_data(stream, &vec![7; random.below(3000)], random.below(3) == 0);
            }
            _ if !streams.is_empty() => {
                let stream = streams.swap_remove(random.below(streams.len()));
                client.send_reset(stream, ErrorCode::CANCEL);
            }
            _ => client.send_ping(*b"ping....").unwrap_or_default(),
        }
        while client.poll_transmit(&mut wire) {}
    }
    wire
}

/// When the transport ends, all streams end with it (RFC 9113 §5.4.3), and the server sends GOAWAY.
#[test]
fn ten_thousand_transports_end_at_random_points() {
    let mut random = Random(2026);
    let (mut clean, mut early) = (0, 0);
    for round in 0..10_000 {
        let wire = life(&mut random);
        let death = if random.below(3) == 0 { wire.len() } else { random.below(wire.len() + 1) };
        let mut server = Connection::<Server>::new(Config::default()).expect("the default configuration");
        let mut requests = Vec::new();
        let piece = 1 + random.below(4000);
        for mut input in wire[..death].chunks(piece) {
            while let Some(event) = server.receive(&mut input, Instant::ZERO).expect("an honest life") {
                match event {
                    Event::Headers { stream, kind: HeadersKind::Request, .. } => requests.push(stream),
                    Event::Reset { stream, .. } => requests.retain(|request| *request != stream),
                    Event::Data { stream, data, .. } => server.release(stream, data.len()),
                    _ => {}
                }
            }
        }
        server.check();
        match server.handle_eof() {
            Ok(()) => {
                clean += 1;
                // Complete requests may still be answered.
                for stream in requests {
                    assert_eq!(server.send_response(stream, Status::OK, [], true), Ok(()), "round {round}");
                }
            }
            Err(error) => {
                early += 1;
                assert_eq!(error.cause(), CloseCause::Eof, "round {round}");
                assert!(!error.is_peer_fault());
            }
        }
        server.check();
        let mut out = Vec::new();
        while server.poll_transmit(&mut out) {}
        assert_eq!(server.live_streams(), 0, "round {round}: slots are left");
        assert!(server.is_finished(), "round {round}");
        let go_aways = read_all(&out).iter().filter(|frame| frame.last_stream().is_some()).count();
        assert_eq!(go_aways, 1, "round {round}: GOAWAY frames");
    }
    assert!(clean > 300 && early > 5000, "{clean} clean and {early} early deaths");
}
