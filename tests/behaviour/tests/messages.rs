//! Messages of each kind: which fields and which content they have on the wire.

use std::sync::Arc;

use thalweg::Config;
use thalweg_behaviour::{
    Adapter, Call, Client, Content, Handler, Observation, Peer, Pending, Received, Server, Step, client,
    on_threads, respond,
};
use thalweg_testkit::frames::{Frame, data, headers, kind, settings};
use thalweg_testkit::hpack;

// `on_tokio!` follows with the same list.
on_threads!(
    date_can_be_switched_off,
    trailers_that_cannot_be_processed_after_the_content_are_not_sent,
    responses_that_have_no_content_end_with_their_headers,
    fields_of_informational_responses_are_repaired,
    an_expectation_in_any_spelling_makes_one_100,
    other_expectations_make_no_100,
    a_length_that_is_repeated_is_sent_once,
    an_extended_connect_has_no_length_and_ends_with_end_stream,
    a_trace_request_has_no_content,
    a_request_without_content_expects_nothing,
    repeated_lengths_of_a_caller_are_sent_once,
);

fn serve<A: Adapter>(steps: impl Fn(&str) -> Vec<Step> + Send + Sync + 'static) -> A::Server {
    serve_with::<A>(Config::default(), true, steps)
}

fn serve_with<A: Adapter>(
    config: Config,
    date: bool,
    steps: impl Fn(&str) -> Vec<Step> + Send + Sync + 'static,
) -> A::Server {
    let handler: Handler = Arc::new(move |head| steps(head.path()));
    A::serve_with(config, date, handler)
}

fn request(stream: u32, method: &str, path: &str) -> Frame {
    headers(stream, hpack::request(method, path)).end_headers().end_stream()
}

/// Returns the fields of the next HEADERS without the date, and whether they end the stream.
fn response(peer: &mut Peer, stream: u32) -> (Vec<String>, bool) {
    let (fields, ends) = peer.expect_fields(stream);
    (fields.into_iter().filter(|field| !field.starts_with("date: ")).collect(), ends)
}

fn with_fields(status: u16, fields: &[(&'static str, &'static str)], content: &str) -> Step {
    Step::Respond { status, fields: fields.to_vec(), content: Content::Whole(content.into()) }
}

fn date_can_be_switched_off<A: Adapter>() {
    // 9110-6.6.1-3
    let server = serve_with::<A>(Config::default(), false, |path| match path {
        "/own" => vec![with_fields(200, &[("date", "Thu, 01 Jan 1970 00:00:00 GMT")], "")],
        _ => respond(404, ""),
    });
    let mut peer = server.peer();
    peer.send_frame(&request(1, "GET", "/"));
    assert_eq!(peer.expect_fields(1).0, [":status: 404", "content-length: 0"]);
    peer.send_frame(&request(3, "GET", "/own"));
    let own = [":status: 200", "date: Thu, 01 Jan 1970 00:00:00 GMT", "content-length: 0"];
    assert_eq!(peer.expect_fields(3).0, own);
}

fn trailers_that_cannot_be_processed_after_the_content_are_not_sent<A: Adapter>() {
    // 9110-6.5.1-1
    let dropped = [
        ("content-length", "3"),
        ("host", "example.org"),
        ("authorization", "Basic QQ=="),
        ("set-cookie", "a=1"),
        ("cache-control", "no-store"),
        ("content-type", "text/plain"),
        ("trailer", "x-sum"),
    ];
    let server = serve::<A>(move |path| {
        let kept = [("x-sum", "1"), ("grpc-status", "0"), ("server-timing", "a")];
        let trailers = if path == "/none" { dropped.to_vec() } else { [&dropped[..], &kept].concat() };
        vec![Step::Start(200, vec![]), Step::Write(b"abc".to_vec()), Step::Trailers(trailers)]
    });
    let mut peer = server.peer();
    peer.send_frame(&request(1, "GET", "/"));
    response(&mut peer, 1);
    let trailers = vec!["x-sum: 1".to_owned(), "grpc-status: 0".to_owned(), "server-timing: a".to_owned()];
    assert_eq!(peer.expect_content(1), Received { content: b"abc".to_vec(), trailers });
    peer.send_frame(&request(3, "GET", "/none"));
    response(&mut peer, 3);
    // END_STREAM is on DATA.
    assert_eq!(peer.expect_content(3), Received { content: b"abc".to_vec(), trailers: vec![] });
}

fn responses_that_have_no_content_end_with_their_headers<A: Adapter>() {
    // 9110-15.3.5-1, 9110-15.3.6-1, 9110-15.4.5-4, 9110-8.6-5
    let server = serve::<A>(|path| match path {
        "/writer" => vec![
            Step::Start(204, vec![("content-length", "3")]),
            Step::Write(b"abc".to_vec()),
            Step::Trailers(vec![("x-sum", "1")]),
        ],
        "/304" => vec![with_fields(304, &[("content-length", "7")], "")],
        "/205" => vec![with_fields(205, &[], "abc")],
        _ => vec![with_fields(200, &[], "abc")],
    });
    let mut peer = server.peer();
    let table: [(&str, &str, &[&str]); 5] = [
        ("HEAD", "/", &[":status: 200", "content-length: 3"]),
        ("HEAD", "/304", &[":status: 304", "content-length: 7"]),
        ("GET", "/writer", &[":status: 204"]),
        ("GET", "/205", &[":status: 205", "content-length: 0"]),
        ("GET", "/304", &[":status: 304", "content-length: 7"]),
    ];
    for (index, (method, path, fields)) in table.into_iter().enumerate() {
        let stream = 1 + 2 * index as u32;
        peer.send_frame(&request(stream, method, path));
        let fields: Vec<String> = fields.iter().map(ToString::to_string).collect();
        assert_eq!(response(&mut peer, stream), (fields, true), "{method} {path}");
    }
}

fn fields_of_informational_responses_are_repaired<A: Adapter>() {
    // 9110-7.6.1-2, 9110-7.6-1, 9110-7.6.1-3
    let server = serve::<A>(|_| {
        let fields =
            vec![("connection", "x-hop, Close"), ("x-hop", "1"), ("keep-alive", "5"), ("link", " </a> ")];
        [vec![Step::Inform(103, fields)], respond(200, "")].concat()
    });
    let mut peer = server.peer();
    peer.send_frame(&request(1, "GET", "/"));
    assert_eq!(peer.expect_fields(1), (vec![":status: 103".to_owned(), "link: </a>".to_owned()], false));
    assert_eq!(response(&mut peer, 1).0, [":status: 200", "content-length: 0"]);
}

/// Posts with `expect` fields; the handler reads all. Returns the status of the first response.
fn expecting<A: Adapter>(fields: &[(&str, &str)]) -> String {
    let server = serve::<A>(|_| [vec![Step::ReadAll], respond(200, "")].concat());
    let mut peer = server.peer();
    let block = [hpack::request("POST", "/"), hpack::block(fields)].concat();
    peer.send_frame(&headers(1, block).end_headers());
    assert!(matches!(server.observation(), Observation::Request(_)));
    let is_expected = fields.iter().all(|(_, value)| value.to_ascii_lowercase().contains("100-continue"));
    if is_expected {
        assert_eq!(response(&mut peer, 1), (vec![":status: 100".to_owned()], false), "{fields:?}");
    }
    peer.send_frame(&data(1, "abc").end_stream());
    response(&mut peer, 1).0.remove(0)
}

fn an_expectation_in_any_spelling_makes_one_100<A: Adapter>() {
    // 9110-5.6.1.2-2, 9110-10.1.1-8, 9110-10.1.1-9
    for fields in [
        &[("expect", ", 100-continue ,")][..],
        &[("expect", "100-Continue")],
        &[("expect", "100-continue"), ("expect", "100-continue")],
    ] {
        assert_eq!(expecting::<A>(fields), ":status: 200", "{fields:?}");
    }
}

fn other_expectations_make_no_100<A: Adapter>() {
    // 9110-10.1.1-8
    assert_eq!(expecting::<A>(&[("expect", "other")]), ":status: 200");
}

fn a_length_that_is_repeated_is_sent_once<A: Adapter>() {
    // 9110-5.3-2, 9110-8.6-7
    let server = serve::<A>(|path| match path {
        "/known" => vec![with_fields(200, &[("content-length", "5"), ("content-length", "5")], "hello")],
        _ => vec![
            Step::Start(200, vec![("content-length", "5"), ("content-length", "5")]),
            Step::Write(b"hello".to_vec()),
            Step::Finish,
        ],
    });
    let mut peer = server.peer();
    for (stream, path) in [(1, "/known"), (3, "/unknown")] {
        peer.send_frame(&request(stream, "GET", path));
        assert_eq!(response(&mut peer, stream).0, [":status: 200", "content-length: 5"], "{path}");
        assert_eq!(peer.expect_content(stream).content, b"hello");
    }
}

fn an_extended_connect_has_no_length_and_ends_with_end_stream<A: Adapter>() {
    // 9110-8.6-6, 9110-9.3.6-6
    let config = Config::default().enable_connect_protocol(true);
    let server = serve_with::<A>(config, true, |_| {
        let start = Step::Start(200, vec![("content-length", "0")]);
        vec![start, Step::ReadSome, Step::Write(b"abc".to_vec()), Step::Finish, Step::ReadAll]
    });
    let mut peer = server.peer();
    let block = hpack::block(&[
        (":method", "CONNECT"),
        (":protocol", "websocket"),
        (":scheme", "http"),
        (":path", "/chat"),
        (":authority", "example.org"),
    ]);
    peer.send_frame(&headers(1, block).end_headers());
    peer.send_frame(&data(1, "x"));
    assert_eq!(response(&mut peer, 1), (vec![":status: 200".to_owned()], false));
    assert_eq!(peer.expect_content(1).content, b"abc");
    peer.send_frame(&data(1, "yz").end_stream());
    assert!(matches!(server.observation(), Observation::Request(_)));
    let received = Received { content: b"yz".to_vec(), trailers: vec![] };
    assert_eq!(server.observation(), Observation::Content("/chat".to_owned(), received));
}

/// Returns the fields other than pseudo-header fields.
fn sent(peer: &mut Peer, stream: u32) -> (Vec<String>, bool) {
    let (fields, ends) = peer.expect_fields(stream);
    (fields.into_iter().filter(|field| !field.starts_with(':')).collect(), ends)
}

fn connected<A: Adapter>() -> (A::Client, Peer) {
    let (client, mut peer) = client::<A>(Config::default());
    peer.answer_greeting(&settings());
    (client, peer)
}

fn a_trace_request_has_no_content<A: Adapter>() {
    // 9110-9.3.8-4
    let (client, mut peer) = connected::<A>();
    let content = Content::Whole(b"abc".to_vec());
    let mut refused = client.send(Call { method: "TRACE", content, ..Call::get("/") });
    let failure = refused.head().expect_err("it has content");
    assert!(failure.text.contains("a TRACE request has no content"), "{failure}");
    let mut pending = client.send(Call { method: "TRACE", ..Call::get("/") });
    assert_eq!(sent(&mut peer, 1), (vec![], true));
    peer.send_frame(&headers(1, hpack::response(200)).end_headers().end_stream());
    assert_eq!(pending.head().expect("a response").start, "200");
}

fn a_request_without_content_expects_nothing<A: Adapter>() {
    // 9110-10.1.1-1, 9110-8.6-2
    let (client, mut peer) = connected::<A>();
    let call = Call::get("/").field("expect", "100-continue").field("content-length", "0");
    let mut pending = client.send(call);
    assert_eq!(sent(&mut peer, 1), (vec![], true));
    peer.send_frame(&headers(1, hpack::response(200)).end_headers().end_stream());
    assert_eq!(pending.head().expect("a response").start, "200");
}

fn repeated_lengths_of_a_caller_are_sent_once<A: Adapter>() {
    // 9110-5.3-2, 9110-10.1.1-2
    let (client, mut peer) = connected::<A>();
    let call = Call::post("/", Content::Whole(b"abc".to_vec()));
    let _pending = client.send(call.field("content-length", "3").field("content-length", "3"));
    assert_eq!(sent(&mut peer, 1).0, ["content-length: 3"]);
    // Without an expectation, content follows at once.
    let frame = peer.expect_on(1);
    assert_eq!((frame.kind, &frame.body[..], frame.ends_stream()), (kind::DATA, &b"abc"[..], true));
}
