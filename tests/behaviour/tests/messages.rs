//! Messages of each kind: which fields and which content they have on the wire.

use std::sync::Arc;

use thalweg::Config;
use thalweg_behaviour::{
    Adapter, Call, Client, Content, Handler, Peer, Pending, Server, Step, client, on_both, respond,
};
use thalweg_testkit::frames::{Frame, headers, kind, settings};
use thalweg_testkit::hpack;

on_both!(
    date_can_be_switched_off,
    fields_of_informational_responses_are_repaired,
    a_length_that_is_repeated_is_sent_once,
    a_trace_request_has_no_content,
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
    // 9110-6.6.1-4
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
