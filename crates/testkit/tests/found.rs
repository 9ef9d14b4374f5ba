//! What the simulator and the fuzzers have found, each as the shortest script that showed it.
#![allow(clippy::unwrap_used)]

use thalweg::{CloseCause, Config, Connection, ErrorCode, Instant, Server, Status};
use thalweg_testkit::frames::{flag, goaway, headers, kind, preface, raw, settings, wire};
use thalweg_testkit::sim::{self, Change::*, Method::*, Op::*, Side::*, *};
use thalweg_testkit::{hpack, scenario};

const MESSAGE: Message = Message {
    body: 0,
    chunk: 1,
    announces: false,
    trailers: false,
    padding: None,
    spliced: false,
    header_bytes: 0,
};

const EXCHANGE: Exchange = Exchange {
    method: Get,
    request: MESSAGE,
    informational: 0,
    waits: false,
    status: 200,
    response: MESSAGE,
    pushes: 0,
    pushed: MESSAGE,
};

/// Runs a script, and prints the transcript if it fails.
fn run(client: Setup, server: Setup, ops: Vec<Op>) {
    if let Err(failure) = sim::run(&Script { client, server, ops }) {
        panic!("{failure}");
    }
}

/// RFC 9113 §6.9.2: credit that is too little for a WINDOW_UPDATE may be all that the peer needs
/// once the window has shrunk.
#[test]
fn credit_that_waits_goes_out_when_the_window_shrinks() {
    let client = Setup { stream_window: 4000, ..Setup::default() };
    let server = Setup { output_bytes: 1024, ..Setup::default() };
    let response = Message { body: 6000, chunk: 6000, ..MESSAGE };
    let everything = 1 << 20;
    run(
        client,
        server,
        vec![
            Open(Exchange { response, ..EXCHANGE }),
            Turn { of: Client, bytes: 0 },
            Receive { by: Server, bytes: everything },
            Transmit { by: Server },
            Settings { by: Client, change: InitialWindow(512) },
            Turn { of: Client, bytes: everything },
            Receive { by: Server, bytes: everything },
        ],
    );
}

/// RFC 9113 §6.9.1: a window smaller than the padding can still be used.
#[test]
fn padding_gives_way_where_the_window_is_short() {
    let client = Setup { stream_window: 5, ..Setup::default() };
    let response = Message { body: 30, chunk: 30, padding: Some(152), ..MESSAGE };
    run(client, Setup::default(), vec![Open(Exchange { response, ..EXCHANGE })]);
}

/// RFC 9113 §5.1.2: the limit that is enforced on pushes is the announced one, also when pushes are
/// allowed late.
#[test]
fn pushes_that_are_allowed_late_are_limited_as_announced() {
    let client = Setup { streams: 2, ..Setup::default() };
    let pushed = Message { body: 61_000, chunk: 1000, ..MESSAGE };
    let ops = vec![
        Settings { by: Client, change: Push(true) },
        Settings { by: Client, change: InitialWindow(512) },
        Open(Exchange { pushes: 3, pushed, ..EXCHANGE }),
    ];
    run(client, Setup::default(), ops);
}

/// Responses of the application do not count as replies to the peer's frames: long response headers
/// in one turn end no connection.
#[test]
fn the_peer_is_not_blamed_for_what_the_application_sends() {
    let server = Setup { output_bytes: 1024, ..Setup::default() };
    let response = Message { header_bytes: 3000, ..MESSAGE };
    let request = Message { body: 15, chunk: 15, ..MESSAGE };
    let exchange = Exchange { method: Post, request, waits: true, response, ..EXCHANGE };
    run(Setup::default(), server, vec![Open(exchange), Open(exchange), Open(exchange)]);
}

/// RFC 9113 §5.4.1: a peer that sends GOAWAY with an error and ends its side sends no WINDOW_UPDATE
/// any more, so no stream waits for it.
#[test]
fn the_end_of_input_after_a_goaway_with_an_error_ends_the_connection() {
    let mut server = Connection::<Server>::new(Config::default()).unwrap();
    let request = headers(1, hpack::get("/")).flags(flag::END_STREAM | flag::END_HEADERS);
    let tiny = settings().entry(4, 10);
    let input =
        wire([&preface(), &tiny, &request, &goaway(0, ErrorCode::INTERNAL_ERROR).debug("out of luck")]);
    let mut rest = input.as_slice();
    let mut stream = None;
    while let Some(event) = server.receive(&mut rest, Instant::ZERO).unwrap() {
        if let thalweg::Event::Headers { stream: opened, .. } = event {
            stream = Some(opened);
        }
    }
    let stream = stream.unwrap();
    server.send_response(stream, Status::OK, [], false).unwrap();
    assert_eq!(server.send_data(stream, &[0; 100], true), Ok(10));
    let error = server.handle_eof().unwrap_err();
    assert_eq!((error.cause(), error.code()), (CloseCause::GoAway, ErrorCode::INTERNAL_ERROR));
    assert!(!error.is_peer_fault());
    let mut out = Vec::new();
    assert!(server.poll_transmit(&mut out));
    let last = thalweg_testkit::frames::read_all(&out).pop().unwrap();
    assert_eq!((last.kind, last.code()), (kind::GOAWAY, Some(ErrorCode::NO_ERROR)), "no error of ours");
    assert!(server.is_finished());
}

/// RFC 9113 §6.1: a DATA frame may reset its stream by its header and end the connection by its
/// padding: both are reported for every split.
#[test]
fn a_reset_by_a_data_frame_header_is_reported_before_its_padding_error() {
    scenario::client(|s| {
        s.get();
        s.peer(raw(kind::DATA, flag::PADDED, 1, [20]));
        let events = s.take_events();
        assert!(events[0].starts_with("RESET stream=1 PROTOCOL_ERROR by us: DATA before"), "{events:?}");
        assert!(events[1].starts_with("ERROR PROTOCOL_ERROR: padding fills"), "{events:?}");
        assert_eq!(events.len(), 2);
        s.take_output();
    });
}

/// RFC 9113 §8.4: the client's half of a promised stream never exists. HEADERS that were injected
/// on it before the promise was sent do not make it count as open (seed 902,332,337).
#[test]
fn headers_before_a_promise_and_a_connection_error_leave_the_stream_reserved() {
    let client = Setup { streams: 1, push: true, ..Setup::default() };
    let request = Message { header_bytes: 63, ..MESSAGE };
    let exchange = Exchange { request, waits: true, pushes: 3, ..EXCHANGE };
    let ops = vec![
        Open(exchange),
        Transmit { by: Client },
        // Too short for its PRIORITY flag: a connection error.
        Inject { to: Server, kind: kind::HEADERS, flags: 0x26, stream: 6, payload: vec![] },
    ];
    run(client, Setup::default(), ops);
}

/// The same with promises on several requests, the last of them early (seed 902,997,021).
#[test]
fn headers_before_the_last_of_many_promises_leave_the_stream_reserved() {
    let client = Setup { streams: 1, push: true, automatic: true, ..Setup::default() };
    let pushed = Message { body: 316, chunk: 316, ..MESSAGE };
    let exchange = |pushes| Exchange { pushes, pushed, ..EXCHANGE };
    let last = Exchange { waits: true, ..exchange(2) };
    let ops = vec![
        Open(exchange(2)),
        Open(exchange(1)),
        Open(exchange(2)),
        Open(last),
        Transmit { by: Client },
        Inject { to: Server, kind: kind::HEADERS, flags: 0x64, stream: 14, payload: vec![] },
    ];
    run(client, Setup::default(), ops);
}

/// The same where the early HEADERS reset the promised stream only: the other promises still take
/// their turns (seed 903,414,180).
#[test]
fn headers_before_a_promise_and_a_stream_error_leave_the_stream_reserved() {
    let client = Setup { streams: 1, push: true, ..Setup::default() };
    let pushed = Message { body: 529, chunk: 15, trailers: true, padding: Some(235), ..MESSAGE };
    let exchange = Exchange { status: 204, pushes: 3, pushed, ..EXCHANGE };
    let ops = vec![
        Open(exchange),
        Transmit { by: Client },
        Inject { to: Server, kind: kind::HEADERS, flags: flag::END_HEADERS, stream: 2, payload: vec![] },
    ];
    run(client, Setup::default(), ops);
}

/// An application whose response the peer's SETTINGS_MAX_HEADER_LIST_SIZE refuses resets the
/// stream: with these timeouts nothing else ends it (seed 9,011,539,324).
#[test]
fn a_response_that_is_too_large_for_the_peer_ends_its_stream() {
    let client = TimeoutsMs { idle: Some(10000), shutdown: Some(1), ..TimeoutsMs::OFF };
    let client = Setup { timeouts: client, ..Setup::default() };
    let server = TimeoutsMs { idle: Some(301), ..TimeoutsMs::OFF };
    let server = Setup { timeouts: server, ..Setup::default() };
    let ops = vec![
        Tick { ms: 0 },
        Open(EXCHANGE),
        // The server is idle, and says so; the client receives that, and its request is sent late.
        Tick { ms: 500 },
        Transmit { by: Server },
        Receive { by: Client, bytes: 1 << 19 },
        Inject { to: Server, kind: kind::SETTINGS, flags: 0, stream: 0, payload: vec![0, 6, 0, 0, 0, 2] },
        Tick { ms: 1 },
    ];
    run(client, server, ops);
}
