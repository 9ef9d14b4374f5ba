//! RFC 9110 §4 to §6: targets, field lines and their order, header and trailer sections.

use thalweg::{
    Client, Connection, Event, Field, Headers, HeadersKind, Instant, Request, Server, Status, map_fields,
};
use thalweg_testkit::frames::{Frame, continuation, data, headers, preface, settings, wire};
use thalweg_testkit::hpack::{self, Block};
use thalweg_testkit::scenario::{GET, client, server};

/// The number of octets that §4.1 asks for.
const URI_BYTES: usize = 8000;

/// Passes the frames of a client to a new server with the default configuration, and what it
/// reports of each header block to `look`.
fn on_server(frames: &[Frame], mut look: impl FnMut(HeadersKind, Headers<'_>)) {
    let mut core = Connection::<Server>::new(thalweg::Config::default()).unwrap();
    let wire = wire([&preface(), &settings(), &frames.to_vec()]);
    let mut input = &wire[..];
    while let Some(event) = core.receive(&mut input, Instant::ZERO).unwrap() {
        if let Event::Headers { kind, headers, .. } = event {
            look(kind, headers);
        }
    }
}

#[test]
fn s4_1_a_target_of_8000_octets_is_sent_and_received() {
    // 9110-4.1-1
    let origin = "https://example.org";
    let path = format!("/{}", "a".repeat(URI_BYTES - origin.len() - 1));
    assert_eq!(origin.len() + path.len(), URI_BYTES);
    let mut client = Connection::<Client>::new(thalweg::Config::default()).unwrap();
    client.send_request(&Request::get("https", "example.org", &path), [], true).unwrap();
    let mut output = Vec::new();
    while client.poll_transmit(&mut output) {}
    let mut server = Connection::<Server>::new(thalweg::Config::default()).unwrap();
    let mut input = &output[..];
    let mut received = None;
    while let Some(event) = server.receive(&mut input, Instant::ZERO).unwrap() {
        if let Event::Headers { headers, .. } = event {
            received = headers.path().map(<[u8]>::to_vec);
        }
    }
    assert_eq!(received.as_deref(), Some(path.as_bytes()));
}

#[test]
fn s5_3_field_lines_of_one_name_keep_their_order() {
    // 9110-5.3-1
    let lines = [("x-a", "1"), ("x-b", "2"), ("set-cookie", "b=2"), ("x-a", "0"), ("set-cookie", "a=1")];
    let shown = "x-a: 1, x-b: 2, set-cookie: b=2, x-a: 0, set-cookie: a=1";
    let fields = || lines.map(|(name, value)| Field::new(name.as_bytes(), value.as_bytes()));
    server(|s| {
        let request = Block::new().raw(hpack::get("/")).raw(hpack::block(&lines)).bytes();
        s.peer(headers(1, request).end_stream().end_headers());
        s.events([format!("HEADERS stream=1 request end [{GET}, {shown}]")]);
        let stream = s.stream(1);
        s.call(|core| core.send_response(stream, Status::OK, fields(), false)).unwrap();
        s.call(|core| core.send_trailers(stream, fields())).unwrap();
        s.output([
            format!("HEADERS stream=1 [:status: 200, {shown}]"),
            format!("HEADERS stream=1 end [{shown}]"),
        ]);
    });
    client(|s| {
        let request = Request::get("https", "example.org", "/");
        s.call(|core| core.send_request(&request, fields(), true)).unwrap();
        s.output([format!("HEADERS stream=1 end [{GET}, {shown}]")]);
        let response = Block::new().indexed(8).raw(hpack::block(&lines)).bytes();
        s.peer(headers(1, response).end_headers());
        s.peer(headers(1, hpack::block(&lines)).end_stream().end_headers());
        s.events([
            format!("HEADERS stream=1 response [:status: 200, {shown}]"),
            format!("HEADERS stream=1 trailers end [{shown}]"),
        ]);
    });
    // The types of the `http` crate keep the order of the lines of each name.
    let request = Block::new().raw(hpack::get("/")).raw(hpack::block(&lines)).bytes();
    on_server(&[headers(1, request).end_stream().end_headers()], |_, headers| {
        let map = headers.to_header_map().unwrap();
        for (name, values) in [("x-a", ["1", "0"]), ("set-cookie", ["b=2", "a=1"])] {
            assert!(map.get_all(name).iter().eq(values), "{name}");
            let sent = map_fields(&map).filter(|field| field.name() == name.as_bytes());
            assert!(sent.map(|field| field.value).eq(values.map(str::as_bytes)), "{name}");
        }
    });
}

#[test]
fn s5_3_a_request_is_not_reported_before_its_whole_header_section() {
    // 9110-5.3-3
    server(|s| {
        let fields = hpack::block(&[("x-early", "1")]);
        s.peer(headers(1, Block::new().raw(hpack::get("/")).raw(fields).bytes()).end_stream());
        s.events::<&str>([]);
        s.peer(continuation(1, hpack::block(&[("if-match", "*")])));
        s.events::<&str>([]);
        s.peer(continuation(1, []).end_headers());
        s.events([format!("HEADERS stream=1 request end [{GET}, x-early: 1, if-match: *]")]);
    });
}

#[test]
fn s6_5_1_trailers_stay_apart_from_the_header_section() {
    // 9110-6.5.1-2
    let head = Block::new().raw(hpack::request("POST", "/")).raw(hpack::block(&[("x-sum", "head")])).bytes();
    let frames = [
        headers(1, head).end_headers(),
        data(1, "content"),
        headers(1, hpack::block(&[("x-sum", "trailers"), ("x-more", "1")])).end_stream().end_headers(),
    ];
    let mut sections = Vec::new();
    on_server(&frames, |kind, headers| {
        let fields: Vec<String> = headers
            .fields()
            .map(|field| format!("{}: {}", field.name().escape_ascii(), field.value.escape_ascii()))
            .collect();
        sections.push((kind, fields.join(", ")));
    });
    let expected =
        [(HeadersKind::Request, "x-sum: head"), (HeadersKind::Trailers, "x-sum: trailers, x-more: 1")];
    assert_eq!(sections, expected.map(|(kind, fields)| (kind, fields.to_owned())));
}
