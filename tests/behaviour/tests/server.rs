//! Servers: what a peer sees of a handler, and what a handler sees of a peer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use thalweg::{Config, ErrorCode};
use thalweg_behaviour::{
    Adapter, Content, Handler, Observation, Peer, Piece, Received, Server, Step, on_threads, on_tokio,
    respond,
};
use thalweg_testkit::frames::{Frame, data, goaway, headers, kind, setting, settings, window_update};
use thalweg_testkit::hpack;

on_tokio!(
    content_and_trailers_reach_the_handler,
    the_handler_that_does_not_read_makes_no_100,
    content_that_arrived_makes_no_100,
    content_shorter_than_its_length_is_reset,
    a_handler_that_fails_in_its_content_resets_its_stream,
    a_tunnel_that_finishes_sends_end_stream_alone,
    cookies_reach_the_handler_as_one_field,
    the_handler_that_reads_makes_100_continue,
    the_handler_that_sends_100_itself_makes_one,
    responses_without_content_carry_no_length,
    the_length_of_a_response_to_connect_is_not_sent,
    connection_specific_fields_of_a_handler_are_not_sent,
    connection_specific_trailers_of_a_handler_are_not_sent,
    white_space_around_values_is_not_sent,
    an_early_response_leaves_the_upload_time_to_end,
    an_early_response_gives_no_new_window,
    an_upload_that_does_not_end_after_its_response_is_reset,
    a_violation_after_an_early_response_is_still_a_violation,
    responses_carry_a_date,
    a_client_that_half_closes_gets_its_answer,
    the_handler_of_a_client_that_has_gone_after_goaway_is_cancelled,
    the_handler_of_a_client_that_has_gone_is_cancelled,
    a_first_line_that_is_not_http_is_answered_by_no_text,
    responses_that_have_no_content_end_with_their_headers,
    an_expectation_is_read_in_any_spelling_and_others_make_no_100,
    trailers_that_belong_before_the_content_are_not_sent,
    a_tunnel_by_extended_connect_has_no_length_and_ends_by_halves,
);

on_threads!(
    content_and_trailers_reach_the_handler,
    the_handler_that_does_not_read_makes_no_100,
    content_that_arrived_makes_no_100,
    content_shorter_than_its_length_is_reset,
    a_handler_that_fails_in_its_content_resets_its_stream,
    a_tunnel_that_finishes_sends_end_stream_alone,
    cookies_reach_the_handler_as_one_field,
    the_handler_that_reads_makes_100_continue,
    the_handler_that_sends_100_itself_makes_one,
    responses_without_content_carry_no_length,
    the_length_of_a_response_to_connect_is_not_sent,
    connection_specific_fields_of_a_handler_are_not_sent,
    connection_specific_trailers_of_a_handler_are_not_sent,
    white_space_around_values_is_not_sent,
    responses_carry_a_date,
    an_early_response_leaves_the_upload_time_to_end,
    an_early_response_gives_no_new_window,
    an_upload_that_does_not_end_after_its_response_is_reset,
    a_violation_after_an_early_response_is_still_a_violation,
    a_client_that_half_closes_gets_its_answer,
    the_handler_of_a_client_that_has_gone_is_cancelled,
    the_handler_of_a_client_that_has_gone_after_goaway_is_cancelled,
);

// To be added to the lists as they pass:
//     cookies_reach_the_handler_as_one_field,
//     the_handler_that_reads_makes_100_continue,
//     the_handler_that_sends_100_itself_makes_one,
//     responses_without_content_carry_no_length,
//     the_length_of_a_response_to_connect_is_not_sent,
//     connection_specific_fields_of_a_handler_are_not_sent,
//     connection_specific_trailers_of_a_handler_are_not_sent,
//     white_space_around_values_is_not_sent,
//     an_early_response_leaves_the_upload_time_to_end,
//     an_early_response_gives_no_new_window,
//     an_upload_that_does_not_end_after_its_response_is_reset,
//     a_violation_after_an_early_response_is_still_a_violation,
//     the_handler_of_a_client_that_has_gone_is_cancelled,
//     the_handler_of_a_client_that_has_gone_after_goaway_is_cancelled,
//     a_client_that_half_closes_gets_its_answer,
//     responses_carry_a_date,
//     a_first_line_that_is_not_http_is_answered_by_no_text,

const SHORT: Duration = Duration::from_millis(300);

fn serve<A: Adapter>(steps: impl Fn(&str) -> Vec<Step> + Send + Sync + 'static) -> A::Server {
    let handler: Handler = Arc::new(move |head| steps(head.path()));
    A::serve(Config::default(), handler)
}

fn get(stream: u32, path: &str) -> Frame {
    headers(stream, hpack::get(path)).end_headers().end_stream()
}

fn post(stream: u32, path: &str) -> Frame {
    headers(stream, hpack::request("POST", path)).end_headers()
}

fn with_fields(method: &str, path: &str, fields: &[(&str, &str)]) -> Vec<u8> {
    [hpack::request(method, path), hpack::block(fields)].concat()
}

/// Returns the first observation other than the request.
fn outcome(server: &impl Server) -> Observation {
    loop {
        match server.observation() {
            Observation::Request(_) => {}
            other => return other,
        }
    }
}

/// Returns the fields of a response without its date.
fn undated(fields: Vec<String>) -> Vec<String> {
    fields.into_iter().filter(|field| !field.starts_with("date: ")).collect()
}

/// Returns the fields of the next HEADERS without the date, and whether they end the stream.
fn response(peer: &mut Peer, stream: u32) -> (Vec<String>, bool) {
    let (fields, ends) = peer.expect_fields(stream);
    (undated(fields), ends)
}

fn resets(frames: &[Frame]) -> Vec<ErrorCode> {
    let resets = frames.iter().filter(|frame| frame.kind == kind::RST_STREAM);
    resets.map(|frame| frame.code().expect("a reset has a code")).collect()
}

fn content_and_trailers_reach_the_handler<A: Adapter>() {
    let server = serve::<A>(|_| [vec![Step::ReadAll], respond(200, "hello")].concat());
    let mut peer = server.peer();
    peer.send_frame(&post(1, "/a"));
    peer.send_frame(&data(1, "abc"));
    peer.send_frame(&headers(1, hpack::block(&[("x", "y")])).end_headers().end_stream());
    assert_eq!(response(&mut peer, 1).0, [":status: 200", "content-length: 5"]);
    assert_eq!(peer.expect_content(1).content, b"hello");
    let received = Received { content: b"abc".to_vec(), trailers: vec!["x: y".to_owned()] };
    assert_eq!(outcome(&server), Observation::Content("/a".to_owned(), received));
}

// 9113-8.2.3-1: the fields are joined before anything that does not know HTTP/2 sees them.
fn cookies_reach_the_handler_as_one_field<A: Adapter>() {
    let server = serve::<A>(|_| respond(200, ""));
    let mut peer = server.peer();
    let cookies = [("cookie", "a=1"), ("x-between", "1"), ("cookie", "b=2"), ("cookie", "c=3")];
    let block = with_fields("GET", "/", &cookies);
    peer.send_frame(&headers(1, block).end_headers().end_stream());
    let Observation::Request(head) = server.observation() else { panic!("the request first") };
    assert_eq!(head.values("cookie"), ["a=1; b=2; c=3"]);
    assert_eq!(head.values("x-between"), ["1"]);
}

fn expecting(path: &str) -> Frame {
    headers(1, with_fields("POST", path, &[("expect", "100-continue")])).end_headers()
}

fn the_handler_that_reads_makes_100_continue<A: Adapter>() {
    let server = serve::<A>(|_| [vec![Step::ReadSome, Step::ReadAll], respond(200, "")].concat());
    let mut peer = server.peer();
    peer.send_frame(&expecting("/a"));
    assert_eq!(response(&mut peer, 1), (vec![":status: 100".to_owned()], false));
    peer.send_frame(&data(1, "ab"));
    peer.send_frame(&data(1, "c").end_stream());
    assert_eq!(response(&mut peer, 1).0[0], ":status: 200");
}

fn the_handler_that_does_not_read_makes_no_100<A: Adapter>() {
    let server = serve::<A>(|_| respond(403, ""));
    let mut peer = server.peer();
    peer.send_frame(&expecting("/a"));
    assert_eq!(response(&mut peer, 1).0[0], ":status: 403");
}

fn the_handler_that_sends_100_itself_makes_one<A: Adapter>() {
    let server = serve::<A>(|_| [vec![Step::Inform(100, vec![]), Step::ReadAll], respond(200, "")].concat());
    let mut peer = server.peer();
    peer.send_frame(&expecting("/a"));
    assert_eq!(response(&mut peer, 1), (vec![":status: 100".to_owned()], false));
    peer.send_frame(&data(1, "abc").end_stream());
    assert_eq!(response(&mut peer, 1).0[0], ":status: 200");
}

// RFC 9110 §10.1.1: a server may omit 100 if it has already received content.
fn content_that_arrived_makes_no_100<A: Adapter>() {
    let server = serve::<A>(|_| [vec![Step::ReadAll], respond(200, "")].concat());
    let mut peer = server.peer();
    peer.send(&[expecting("/a").bytes(), data(1, "abc").end_stream().bytes()].concat());
    assert_eq!(response(&mut peer, 1).0[0], ":status: 200");
}

fn responses_without_content_carry_no_length<A: Adapter>() {
    let server = serve::<A>(|path| {
        let fields = vec![("content-length", "0")];
        match path {
            "/204" => vec![Step::Respond { status: 204, fields, content: Content::Nothing }],
            _ => [vec![Step::Inform(103, fields)], respond(200, "")].concat(),
        }
    });
    let mut peer = server.peer();
    peer.send_frame(&get(1, "/204"));
    assert_eq!(response(&mut peer, 1), (vec![":status: 204".to_owned()], true));
    peer.send_frame(&get(3, "/103"));
    assert_eq!(response(&mut peer, 3), (vec![":status: 103".to_owned()], false));
    assert_eq!(response(&mut peer, 3).0[0], ":status: 200");
}

fn connect(stream: u32) -> Frame {
    let block = hpack::block(&[(":method", "CONNECT"), (":authority", "example.org:443")]);
    headers(stream, block).end_headers()
}

fn the_length_of_a_response_to_connect_is_not_sent<A: Adapter>() {
    let server = serve::<A>(|_| {
        vec![Step::Start(200, vec![("content-length", "3")]), Step::Write(b"abcdef".to_vec()), Step::Finish]
    });
    let mut peer = server.peer();
    peer.send_frame(&connect(1));
    assert_eq!(response(&mut peer, 1), (vec![":status: 200".to_owned()], false));
    assert_eq!(peer.expect_content(1).content, b"abcdef");
}

const SPECIFIC: [(&str, &str); 7] = [
    ("connection", "x-hop, close"),
    ("x-hop", "1"),
    ("keep-alive", "timeout=5"),
    ("proxy-connection", "close"),
    ("transfer-encoding", "chunked"),
    ("upgrade", "h2c"),
    ("x-end", "1"),
];

fn connection_specific_fields_of_a_handler_are_not_sent<A: Adapter>() {
    let server = serve::<A>(|_| {
        let content = Content::Whole(b"a".to_vec());
        vec![Step::Respond { status: 200, fields: SPECIFIC.to_vec(), content }]
    });
    let mut peer = server.peer();
    peer.send_frame(&get(1, "/"));
    assert_eq!(response(&mut peer, 1).0, [":status: 200", "x-end: 1", "content-length: 1"]);
    assert_eq!(peer.expect_content(1).content, b"a");
}

fn connection_specific_trailers_of_a_handler_are_not_sent<A: Adapter>() {
    let server = serve::<A>(|_| {
        vec![
            Step::Start(200, vec![]),
            Step::Write(b"a".to_vec()),
            Step::Trailers([&SPECIFIC[..], &[("content-length", "1"), ("te", "gzip")]].concat()),
        ]
    });
    let mut peer = server.peer();
    peer.send_frame(&get(1, "/"));
    assert_eq!(response(&mut peer, 1).0, [":status: 200"]);
    let received = Received { content: b"a".to_vec(), trailers: vec!["x-end: 1".to_owned()] };
    assert_eq!(peer.expect_content(1), received);
}

fn white_space_around_values_is_not_sent<A: Adapter>() {
    let server = serve::<A>(|_| {
        vec![Step::Start(200, vec![("x-a", " a b\t"), ("x-b", "\t")]), Step::Trailers(vec![("x-c", "  c ")])]
    });
    let mut peer = server.peer();
    peer.send_frame(&get(1, "/"));
    assert_eq!(response(&mut peer, 1).0, [":status: 200", "x-a: a b", "x-b: "]);
    assert_eq!(peer.expect_content(1).trailers, ["x-c: c"]);
}

fn a_tunnel_that_finishes_sends_end_stream_alone<A: Adapter>() {
    let server = serve::<A>(|_| {
        vec![
            Step::Start(200, vec![]),
            Step::ReadSome,
            Step::Write(b"abc".to_vec()),
            Step::Finish,
            Step::ReadAll,
        ]
    });
    let mut peer = server.peer();
    peer.send_frame(&connect(1));
    peer.send_frame(&data(1, "x"));
    assert_eq!(response(&mut peer, 1).0, [":status: 200"]);
    assert_eq!(peer.expect_content(1).content, b"abc");
    let (frames, _) = peer.frames_within(SHORT);
    assert_eq!(resets(&frames), []);
    peer.send_frame(&data(1, "yz").end_stream());
    let received = Received { content: b"yz".to_vec(), trailers: vec![] };
    assert_eq!(outcome(&server), Observation::Content(String::new(), received));
    let (frames, _) = peer.frames_within(SHORT);
    assert_eq!(resets(&frames), []);
}

/// Starts an upload that gets its whole response at once.
fn early_response<A: Adapter>() -> (A::Server, Peer) {
    let server = serve::<A>(|_| respond(403, "no"));
    let mut peer = server.peer();
    peer.send_frame(&post(1, "/upload"));
    assert_eq!(response(&mut peer, 1).0, [":status: 403", "content-length: 2"]);
    assert_eq!(peer.expect_content(1).content, b"no");
    (server, peer)
}

// RFC 9113 §8.1: RST_STREAM with NO_ERROR may follow a complete response, and clients in the field
// lose the response when it follows at once.
fn an_early_response_leaves_the_upload_time_to_end<A: Adapter>() {
    let (_server, mut peer) = early_response::<A>();
    peer.send_frame(&data(1, vec![0; 16_384]));
    let (frames, _) = peer.frames_within(SHORT);
    assert_eq!(resets(&frames), []);
    peer.send_frame(&data(1, "end").end_stream());
    let (frames, ended) = peer.frames_within(SHORT);
    assert_eq!((resets(&frames), ended), (vec![], false));
    peer.send_frame(&get(3, "/"));
    assert_eq!(response(&mut peer, 3).0[0], ":status: 403");
}

fn an_early_response_gives_no_new_window<A: Adapter>() {
    let (_server, mut peer) = early_response::<A>();
    for _ in 0..3 {
        peer.send_frame(&data(1, vec![0; 16_384]));
    }
    let (frames, _) = peer.frames_within(SHORT);
    let updates = frames.iter().filter(|frame| frame.kind == kind::WINDOW_UPDATE);
    assert!(updates.into_iter().all(|frame| frame.stream == 0), "{frames:?}");
    assert_eq!(resets(&frames), []);
}

fn an_upload_that_does_not_end_after_its_response_is_reset<A: Adapter>() {
    let (server, mut peer) = early_response::<A>();
    let started = Instant::now();
    let reset = peer.expect(kind::RST_STREAM);
    assert_eq!((reset.stream, reset.code()), (1, Some(ErrorCode::NO_ERROR)));
    assert!(started.elapsed() > SHORT && started.elapsed() < Duration::from_secs(15));
    peer.send_frame(&get(3, "/"));
    assert_eq!(response(&mut peer, 3).0[0], ":status: 403");
    drop(server);
}

fn a_violation_after_an_early_response_is_still_a_violation<A: Adapter>() {
    let (_server, mut peer) = early_response::<A>();
    // More than the window of 65,535 bytes.
    let mut sent = 0;
    while sent <= 1 << 20 {
        peer.send_frame(&data(1, vec![0; 16_384]));
        sent += 16_384;
    }
    let (frames, ended) = peer.frames_within(SHORT);
    let is_flow_control_error = |frame: &Frame| frame.code() == Some(ErrorCode::FLOW_CONTROL_ERROR);
    assert!(frames.iter().any(is_flow_control_error), "{frames:?}, ended: {ended}");
}

fn waiting<A: Adapter>() -> (A::Server, Peer) {
    let server = serve::<A>(|_| vec![Step::WaitForEnd]);
    let mut peer = server.peer();
    peer.send_frame(&get(1, "/wait"));
    assert!(matches!(server.observation(), Observation::Request(_)));
    (server, peer)
}

fn the_handler_of_a_client_that_has_gone_is_cancelled<A: Adapter>() {
    let (server, peer) = waiting::<A>();
    let started = Instant::now();
    peer.close();
    assert_eq!(server.observation(), Observation::Cancelled("/wait".to_owned()));
    assert!(started.elapsed() < Duration::from_secs(6), "after {:?}", started.elapsed());
}

fn the_handler_of_a_client_that_has_gone_after_goaway_is_cancelled<A: Adapter>() {
    let (server, mut peer) = waiting::<A>();
    let started = Instant::now();
    peer.send_frame(&goaway(0, ErrorCode::NO_ERROR));
    peer.close();
    assert_eq!(server.observation(), Observation::Cancelled("/wait".to_owned()));
    assert!(started.elapsed() < Duration::from_secs(6), "after {:?}", started.elapsed());
}

fn a_client_that_half_closes_gets_its_answer<A: Adapter>() {
    let gate = thalweg_behaviour::Gate::default();
    let opened = gate.clone();
    let server = serve::<A>(move |_| [vec![Step::Wait(gate.clone())], respond(200, "late")].concat());
    let mut peer = server.peer();
    peer.send_frame(&get(1, "/"));
    peer.shutdown_write();
    std::thread::sleep(SHORT);
    opened.open();
    assert_eq!(response(&mut peer, 1).0, [":status: 200", "content-length: 4"]);
    // The peer can send no WINDOW_UPDATE any more.
    let frame = peer.expect_on(1);
    assert_eq!((&frame.body[..], frame.ends_stream()), (&b"late"[..], true));
}

// RFC 9110 §6.6.1.
fn responses_carry_a_date<A: Adapter>() {
    let server = serve::<A>(|path| match path {
        "/own" => vec![Step::Start(200, vec![("date", "Thu, 01 Jan 1970 00:00:00 GMT")]), Step::Finish],
        _ => [vec![Step::Inform(103, vec![("link", "</a>")])], respond(404, "")].concat(),
    });
    let mut peer = server.peer();
    peer.send_frame(&get(1, "/"));
    let dates = |fields: &[String]| -> Vec<String> {
        fields.iter().filter_map(|field| field.strip_prefix("date: ")).map(str::to_owned).collect()
    };
    assert_eq!(peer.expect_fields(1).0, [":status: 103", "link: </a>"]);
    let (fields, _) = peer.expect_fields(1);
    let [date] = &dates(&fields)[..] else { panic!("one date: {fields:?}") };
    assert_eq!((date.len(), &date[date.len() - 4..]), (29, " GMT"));
    peer.send_frame(&get(3, "/own"));
    let (fields, _) = peer.expect_fields(3);
    assert_eq!(dates(&fields), ["Thu, 01 Jan 1970 00:00:00 GMT"]);
}

fn content_shorter_than_its_length_is_reset<A: Adapter>() {
    let server = serve::<A>(|_| {
        let pieces = vec![Piece::Bytes(vec![b'x'; 100_000])];
        let content = Content::Source { len: Some(200_000), pieces };
        vec![Step::Respond { status: 200, fields: vec![], content }]
    });
    let mut peer = server.silent_peer();
    peer.greet_with(&settings().entry(setting::INITIAL_WINDOW_SIZE, 1 << 20));
    peer.send_frame(&window_update(0, 1 << 20));
    peer.send_frame(&get(1, "/"));
    assert_eq!(response(&mut peer, 1).0, [":status: 200", "content-length: 200000"]);
    let reset = peer.expect(kind::RST_STREAM);
    assert_eq!((reset.stream, reset.code()), (1, Some(ErrorCode::INTERNAL_ERROR)));
}

// RFC 9113 §3.4: an invalid preface may be answered by closing the connection; text of HTTP/1.1 is
// for peers that speak it.
fn a_first_line_that_is_not_http_is_answered_by_no_text<A: Adapter>() {
    let server = serve::<A>(|_| respond(200, ""));
    for bytes in [
        &b"abcdefghijklmnopqrstuvwx"[..],
        b"GET / HTTQ/1.1\r\n\r\n      ",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\r",
    ] {
        let mut peer = server.silent_peer();
        peer.send(bytes);
        let frames = peer.rest();
        let kinds: Vec<u8> = frames.iter().map(|frame| frame.kind).collect();
        // The connection's window may be announced between them.
        let is_preface = kinds.first() == Some(&kind::SETTINGS) && kinds.last() == Some(&kind::GOAWAY);
        assert!(kinds.is_empty() || is_preface, "{frames:?}");
    }
}

fn a_handler_that_fails_in_its_content_resets_its_stream<A: Adapter>() {
    let server = serve::<A>(|path| {
        let last = if path == "/fail" { Step::Fail } else { Step::Panic };
        vec![Step::Start(200, vec![]), Step::Write(b"abc".to_vec()), last]
    });
    let mut peer = server.peer();
    for (stream, path) in [(1, "/fail"), (3, "/panic")] {
        peer.send_frame(&get(stream, path));
        assert_eq!(response(&mut peer, stream).0, [":status: 200"]);
        let reset = peer.expect(kind::RST_STREAM);
        assert_eq!((reset.stream, reset.code()), (stream, Some(ErrorCode::INTERNAL_ERROR)));
    }
    peer.send_frame(&settings());
    peer.expect(kind::SETTINGS);
}

// 9110-8.6-5, 9110-15.3.5-1, 9110-15.3.6-1, 9110-15.4.5-4
fn responses_that_have_no_content_end_with_their_headers<A: Adapter>() {
    let server = serve::<A>(|path| {
        let (status, fields) = match path {
            "/204" => (204, vec![("content-length", "5")]),
            "/205" => (205, vec![]),
            "/304" => (304, vec![("etag", "a")]),
            _ => (200, vec![]),
        };
        vec![Step::Respond { status, fields, content: Content::Whole(b"hello".to_vec()) }]
    });
    let mut peer = server.peer();
    let head = headers(1, hpack::request("HEAD", "/")).end_headers().end_stream();
    let cases: [(Frame, &[&str]); 4] = [
        (head, &[":status: 200", "content-length: 5"]),
        (get(3, "/204"), &[":status: 204"]),
        (get(5, "/205"), &[":status: 205", "content-length: 0"]),
        (get(7, "/304"), &[":status: 304", "etag: a"]),
    ];
    for (request, expected) in cases {
        peer.send_frame(&request);
        let (fields, ends) = response(&mut peer, request.stream);
        assert_eq!((fields, ends), (expected.iter().map(ToString::to_string).collect(), true));
    }
}

// 9110-5.6.1.2-2, 9110-10.1.1-8
fn an_expectation_is_read_in_any_spelling_and_others_make_no_100<A: Adapter>() {
    let server = serve::<A>(|_| [vec![Step::ReadAll], respond(200, "")].concat());
    let mut peer = server.peer();
    for (stream, value, is_awaited) in
        [(1, "100-Continue", true), (3, ", 100-CONTINUE ,", true), (5, "other", false), (7, "", false)]
    {
        let block = with_fields("POST", "/", &[("expect", value)]);
        peer.send_frame(&headers(stream, block).end_headers());
        if is_awaited {
            assert_eq!(response(&mut peer, stream), (vec![":status: 100".to_owned()], false), "{value}");
        }
        peer.send_frame(&data(stream, "abc").end_stream());
        assert_eq!(response(&mut peer, stream).0[0], ":status: 200", "{value}");
    }
}

// 9110-6.5.1-1
fn trailers_that_belong_before_the_content_are_not_sent<A: Adapter>() {
    let server = serve::<A>(|path| {
        let mut trailers = vec![("content-type", "a"), ("set-cookie", "b"), ("location", "/"), ("age", "1")];
        if path == "/some" {
            trailers.extend([("etag", "c"), ("grpc-status", "0")]);
        }
        vec![Step::Start(200, vec![]), Step::Write(b"a".to_vec()), Step::Trailers(trailers)]
    });
    let mut peer = server.peer();
    for (stream, path, trailers) in [(1, "/some", &["etag: c", "grpc-status: 0"][..]), (3, "/none", &[])] {
        peer.send_frame(&get(stream, path));
        assert_eq!(response(&mut peer, stream).0, [":status: 200"]);
        let trailers = trailers.iter().map(ToString::to_string).collect();
        assert_eq!(peer.expect_content(stream), Received { content: b"a".to_vec(), trailers });
    }
}

// 9110-8.6-6, 9110-9.3.6-6
fn a_tunnel_by_extended_connect_has_no_length_and_ends_by_halves<A: Adapter>() {
    let mut config = Config::default();
    config.enable_connect_protocol = true;
    let handler: Handler = Arc::new(|_| {
        vec![
            Step::Start(200, vec![("content-length", "3")]),
            Step::Write(b"abc".to_vec()),
            Step::Finish,
            Step::ReadAll,
        ]
    });
    let server = A::serve(config, handler);
    let mut peer = server.peer();
    let block = hpack::block(&[
        (":method", "CONNECT"),
        (":protocol", "websocket"),
        (":scheme", "http"),
        (":authority", "example.org"),
        (":path", "/chat"),
    ]);
    peer.send_frame(&headers(1, block).end_headers());
    assert_eq!(response(&mut peer, 1), (vec![":status: 200".to_owned()], false));
    assert_eq!(peer.expect_content(1).content, b"abc");
    peer.send_frame(&data(1, "yz").end_stream());
    let received = Received { content: b"yz".to_vec(), trailers: vec![] };
    assert_eq!(outcome(&server), Observation::Content("/chat".to_owned(), received));
    let (frames, _) = peer.frames_within(SHORT);
    assert_eq!(resets(&frames), []);
}
