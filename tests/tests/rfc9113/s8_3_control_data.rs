//! RFC 9113 §8.3 to §8.7: control data of requests and responses, push, CONNECT, and retries.

use http::{Method, Uri};
use thalweg::{
    Client, Connection, ErrorCode, Event, Field, OpenError, Request, SendError, Server, Status, Violation,
};
use thalweg_testkit::frames::{
    data, goaway, headers, push_promise, rst_stream, setting, settings, window_update,
};
use thalweg_testkit::hpack;
use thalweg_testkit::scenario::{GET, Opening, Scene, client, client_with, server, server_with};

type Lines<'a> = &'a [(&'a str, &'a str)];

fn with_push(opening: &mut Opening) {
    opening.config.enable_push = true;
}

/// Checks that a server rejects a request and returns no event for it.
fn refused_request(lines: Lines<'_>) {
    server(|s| {
        s.peer(headers(1, hpack::block(lines)).end_stream().end_headers());
        s.refused(1, ErrorCode::PROTOCOL_ERROR);
    });
}

/// Checks that a server reports a request unchanged.
fn good_request(lines: Lines<'_>) {
    let shown: Vec<String> = lines.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    server(|s| {
        s.peer(headers(1, hpack::block(lines)).end_stream().end_headers());
        s.events([format!("HEADERS stream=1 request end [{}]", shown.join(", "))]);
    });
}

/// Checks that a client rejects a response.
fn refused_response(lines: Lines<'_>, violation: Violation) {
    client(|s| {
        s.get();
        s.peer(headers(1, hpack::block(lines)).end_headers());
        s.stream_error(1, ErrorCode::PROTOCOL_ERROR, violation);
    });
}

const METHOD: (&str, &str) = (":method", "GET");
const SCHEME: (&str, &str) = (":scheme", "https");
const AUTHORITY: (&str, &str) = (":authority", "example.org");
const PATH: (&str, &str) = (":path", "/");
const STATUS: (&str, &str) = (":status", "200");

// §8.3: pseudo-header fields.

#[test]
fn s8_3_the_caller_cannot_send_pseudo_header_fields_as_fields() {
    // 9113-8.3-1, 9113-8.3-2, 9113-8.3-3, 9113-8.3-4, 9113-8.3-11, 9110-2.2-2
    for (name, violation) in [
        (":method", Violation::PseudoAfterField),
        (":authority", Violation::PseudoAfterField),
        (":protocol", Violation::PseudoAfterField),
        (":status", Violation::PseudoAfterField),
        (":other", Violation::PseudoUnknown),
        (":", Violation::PseudoUnknown),
    ] {
        let refused = SendError::Malformed(violation);
        let field = || [Field::new(name.as_bytes(), b"200")];
        client(|s| {
            let request = Request::get("https", "example.org", "/");
            assert_eq!(s.call(|core| core.send_request(&request, field(), true)), Err(refused.into()));
            let stream = s.post();
            assert_eq!(s.call(|core| core.send_trailers(stream, field())), Err(refused));
            s.nothing();
        });
        server(|s| {
            let stream = s.get(1);
            assert_eq!(s.call(|core| core.send_response(stream, Status::OK, field(), true)), Err(refused));
            s.respond(stream);
            assert_eq!(s.call(|core| core.send_trailers(stream, field())), Err(refused));
            s.nothing();
        });
    }
}

#[test]
fn s8_3_pseudo_header_fields_go_first() {
    // 9113-8.3-9, 9113-8.3.1-16, 9113-8.3.2-1
    let field = || [Field::new(b"x-after", b"them all")];
    client(|s| {
        let request = Request::get("https", "example.org", "/");
        s.call(|core| core.send_request(&request, field(), true)).unwrap();
        s.output([format!("HEADERS stream=1 end [{GET}, x-after: them all]")]);
    });
    server(|s| {
        let stream = s.get(1);
        s.call(|core| core.send_informational(stream, Status::EARLY_HINTS, field())).unwrap();
        s.call(|core| core.send_response(stream, Status::NOT_FOUND, field(), true)).unwrap();
        s.output([
            "HEADERS stream=1 [:status: 103, x-after: them all]",
            "HEADERS stream=1 end [:status: 404, x-after: them all]",
        ]);
    });
}

#[test]
fn s8_3_unknown_and_foreign_pseudo_header_fields_are_malformed() {
    // 9113-8.3-5, 9113-8.3-6, 9113-8.3-7
    refused_request(&[METHOD, SCHEME, AUTHORITY, PATH, (":other", "x")]);
    refused_request(&[METHOD, SCHEME, AUTHORITY, PATH, STATUS]);
    refused_request(&[METHOD, SCHEME, AUTHORITY, PATH, (":", "")]);
    for foreign in [METHOD, SCHEME, AUTHORITY, PATH, (":protocol", "x"), (":other", "x")] {
        refused_response(&[STATUS, foreign], Violation::PseudoUnknown);
    }
}

#[test]
fn s8_3_invalid_values_are_malformed() {
    // 9113-8.3-8, 9113-8.3.1-11, 9113-8.3.1-13, 9110-7.1-1, 9110-4.2.4-2
    for method in ["", "GET ", "G T", "G\u{e9}T", "GET\r", "(GET)"] {
        refused_request(&[(":method", method), SCHEME, AUTHORITY, PATH]);
    }
    for scheme in ["", "1http", "ht tp", "https:", "ht/tp"] {
        refused_request(&[METHOD, (":scheme", scheme), AUTHORITY, PATH]);
    }
    for authority in
        ["", "user@example.org", "user:secret@example.org", "example.org/", "a b", "a?b", "a#b", "a\\b"]
    {
        refused_request(&[METHOD, SCHEME, (":authority", authority), PATH]);
    }
    for path in ["", "index.html", "http://example.org/", "/a b", "/\t", "/a#b", "*", "/\0", "/\x7f"] {
        refused_request(&[METHOD, SCHEME, AUTHORITY, (":path", path)]);
    }
    for status in ["", "20", "2000", "099", "2 0", "+20", "ok!"] {
        refused_response(&[(":status", status)], Violation::StatusInvalid);
    }
}

#[test]
fn s8_3_valid_values_of_any_kind_pass() {
    // 9113-8.3-8
    good_request(&[
        (":method", "PROPFIND"),
        (":scheme", "coap+tcp"),
        (":authority", "[::1]:8080"),
        (":path", "/?q=1&r=~"),
    ]);
    good_request(&[(":method", "OPTIONS"), SCHEME, AUTHORITY, (":path", "*")]);
    good_request(&[METHOD, SCHEME, PATH]);
    client(|s| {
        s.get();
        s.peer(headers(1, hpack::block(&[(":status", "999")])).end_headers());
        s.events(["HEADERS stream=1 response [:status: 999]"]);
    });
}

#[test]
fn s8_3_the_order_of_pseudo_header_fields_among_each_other_is_free() {
    // 9113-8.3-10
    server(|s| {
        s.peer(headers(1, hpack::block(&[PATH, AUTHORITY, SCHEME, METHOD])).end_stream().end_headers());
        s.events([format!("HEADERS stream=1 request end [{GET}]")]);
    });
}

#[test]
fn s8_3_a_pseudo_header_field_after_another_field_is_malformed() {
    // 9113-8.3-10
    refused_request(&[METHOD, SCHEME, AUTHORITY, ("x-first", "1"), PATH]);
    refused_request(&[METHOD, SCHEME, PATH, ("host", "example.org"), AUTHORITY]);
    refused_response(&[("server", "x"), STATUS], Violation::PseudoAfterField);
}

#[test]
fn s8_3_a_repeated_pseudo_header_field_is_malformed() {
    // 9113-8.3-12
    let all = [METHOD, SCHEME, AUTHORITY, PATH];
    for repeated in all {
        refused_request(&[all[0], all[1], all[2], all[3], repeated]);
    }
    refused_response(&[STATUS, STATUS], Violation::PseudoDuplicate);
}

// §8.3.1: requests.

#[test]
fn s8_3_1_a_request_without_its_pseudo_header_fields_is_malformed() {
    // 9113-8.3.1-17
    refused_request(&[SCHEME, AUTHORITY, PATH]);
    refused_request(&[METHOD, AUTHORITY, PATH]);
    refused_request(&[METHOD, SCHEME, AUTHORITY]);
    refused_request(&[("x-only", "fields")]);
    server(|s| {
        s.peer(headers(1, []).end_stream().end_headers());
        s.refused(1, ErrorCode::PROTOCOL_ERROR);
    });
}

/// Returns the result of a request on a new client.
fn send(request: &Request<'_>, fields: &[Field<'_>]) -> Result<(), OpenError> {
    let mut client = Connection::<Client>::new(thalweg::Config::default()).unwrap();
    client.send_request(request, fields.iter().copied(), true).map(|_| ())
}

fn malformed(violation: Violation) -> Result<(), OpenError> {
    Err(SendError::Malformed(violation).into())
}

#[test]
fn s8_3_1_a_request_is_sent_whole_or_not_at_all() {
    // 9113-8.3.1-16, 9113-8.3.1-12, 9113-8.3.1-10, 9110-2.2-1, 9110-7.1-1, 9110-4.2.1-1,
    // 9110-4.2.2-1, 9110-4.2.4-1
    let good = Request::get("https", "example.org", "/");
    assert_eq!(send(&good, &[]), Ok(()));
    let mut bad = good;
    bad.scheme = None;
    assert_eq!(send(&bad, &[]), malformed(Violation::PseudoMissing));
    let mut bad = good;
    bad.path = None;
    assert_eq!(send(&bad, &[]), malformed(Violation::PseudoMissing));
    for (method, scheme, authority, path, violation) in [
        ("", "https", "example.org", "/", Violation::MethodInvalid),
        ("GET ", "https", "example.org", "/", Violation::MethodInvalid),
        ("GET", "", "example.org", "/", Violation::SchemeInvalid),
        ("GET", "https://", "example.org", "/", Violation::SchemeInvalid),
        ("GET", "https", "", "/", Violation::AuthorityInvalid),
        ("GET", "https", "user@example.org", "/", Violation::AuthorityInvalid),
        ("GET", "https", "example.org", "", Violation::PathInvalid),
        ("GET", "https", "example.org", "*", Violation::PathInvalid),
        ("GET", "https", "example.org", "index.html", Violation::PathInvalid),
        ("GET", "https", "example.org", "/ HTTP/1.1\r\nx: ", Violation::PathInvalid),
    ] {
        assert_eq!(send(&Request::new(method, scheme, authority, path), &[]), malformed(violation), "{path}");
    }
}

#[test]
fn s8_3_1_the_target_decides_the_control_data() {
    // 9113-8.3.1-2, 9113-8.3.1-3, 9113-8.3.1-14, 9113-8.3.1-15, 9113-8.5-1, 9113-8.5-3, 9110-7.2-1
    let cases = [
        (
            "GET",
            "http://example.org/a?b=c",
            ":method: GET, :scheme: http, :authority: example.org, :path: /a?b=c",
        ),
        ("GET", "https://example.org", ":method: GET, :scheme: https, :authority: example.org, :path: /"),
        ("OPTIONS", "example.org", ":method: OPTIONS, :scheme: http, :authority: example.org, :path: *"),
        (
            "OPTIONS",
            "https://example.org/",
            ":method: OPTIONS, :scheme: https, :authority: example.org, :path: /",
        ),
        ("GET", "example.org", ":method: GET, :scheme: http, :authority: example.org, :path: /"),
        ("GET", "/only/a/path", ":method: GET, :scheme: http, :path: /only/a/path"),
        ("CONNECT", "example.org:443", ":method: CONNECT, :authority: example.org:443"),
    ];
    client(|s| {
        for (n, (method, uri, expected)) in cases.into_iter().enumerate() {
            let (method, uri) = (Method::try_from(method).unwrap(), Uri::try_from(uri).unwrap());
            let request = Request::from_http(&method, &uri);
            s.call(|core| core.send_request(&request, [], true)).unwrap();
            s.output([format!("HEADERS stream={} end [{expected}]", 1 + 2 * n)]);
        }
    });
    let whole_server =
        Uri::builder().scheme("https").authority("example.org").path_and_query("*").build().unwrap();
    let request = Request::from_http(&Method::OPTIONS, &whole_server);
    assert_eq!(request, Request::new("OPTIONS", "https", "example.org", "*"));
}

#[test]
fn s8_3_1_a_host_that_differs_from_the_authority_is_not_sent() {
    // 9113-8.3.1-4, 9113-8.3.1-6
    let request = Request::get("https", "example.org", "/");
    for host in ["example.com", "example.org:80", "example.org:8443", "", "www.example.org"] {
        let host = Field::new(b"host", host.as_bytes());
        assert_eq!(send(&request, &[host]), malformed(Violation::AuthorityDiffersFromHost));
    }
    for host in ["example.org", "EXAMPLE.org", "example.org:443", "example.org:"] {
        assert_eq!(send(&request, &[Field::new(b"host", host.as_bytes())]), Ok(()));
    }
    let mut without_authority = request;
    without_authority.authority = None;
    let hosts = [Field::new(b"host", b"example.org"), Field::new(b"host", b"example.com")];
    assert_eq!(send(&without_authority, &hosts[..1]), Ok(()));
    assert_eq!(send(&without_authority, &hosts), malformed(Violation::AuthorityDiffersFromHost));
    let hidden = Field::with_unlisted_name(hosts[1].name(), hosts[1].value);
    assert_eq!(send(&request, &[hidden]), malformed(Violation::AuthorityDiffersFromHost));
}

#[test]
fn s8_3_1_a_request_whose_host_differs_from_its_authority_is_malformed() {
    // 9113-8.3.1-5, 9113-8.3.1-6
    for (scheme, authority, host, same) in [
        ("https", "example.org", "example.org", true),
        ("https", "example.org", "EXAMPLE.ORG", true),
        ("https", "example.org", "example.org:443", true),
        ("https", "example.org:443", "example.org", true),
        ("https", "example.org:", "example.org", true),
        ("http", "example.org", "example.org:80", true),
        ("https", "[::1]", "[::1]:443", true),
        ("https", "[::1]:8443", "[::1]:8443", true),
        ("https", "example.org", "example.com", false),
        ("https", "example.org", "example.org:80", false),
        ("http", "example.org", "example.org:443", false),
        ("coap", "example.org", "example.org:443", false),
        ("https", "example.org:8443", "example.org", false),
        ("https", "[::1]", "[::2]", false),
        ("https", "example.org", "", false),
    ] {
        let lines = [METHOD, (":scheme", scheme), (":authority", authority), PATH, ("host", host)];
        if same { good_request(&lines) } else { refused_request(&lines) }
    }
    refused_request(&[METHOD, SCHEME, PATH, ("host", "example.org"), ("host", "example.com")]);
    good_request(&[METHOD, SCHEME, PATH, ("host", "example.org")]);
}

/// Passes one request to a new server and checks the result.
fn with_request<T>(lines: Lines<'_>, look: impl FnOnce(thalweg::Headers<'_>) -> T) -> T {
    let mut config = thalweg::Config::default();
    config.enable_connect_protocol = true;
    let mut server = Connection::<Server>::new(config).unwrap();
    let wire = thalweg_testkit::frames::wire([
        &thalweg_testkit::frames::preface(),
        &settings(),
        &headers(1, hpack::block(lines)).end_headers(),
    ]);
    let mut input = &wire[..];
    while let Some(event) = server.receive(&mut input, thalweg::Instant::ZERO).unwrap() {
        if let Event::Headers { headers, .. } = event {
            return look(headers);
        }
    }
    panic!("no request");
}

#[test]
fn s8_3_1_an_authority_is_validated_in_every_representation_and_each_time() {
    // 9113-8.1.1-5
    server(|s| {
        let request = |s: &mut Scene<Server>, id, authority: &[u8], is_good: bool| {
            let block = [b"\x82\x87", authority, b"\x84"].concat();
            s.peer(headers(id, block).end_stream().end_headers());
            if is_good {
                let shown = ":method: GET, :scheme: https, :authority: a.b, :path: /";
                s.events([format!("HEADERS stream={id} request end [{shown}]")]);
            } else {
                s.refused(id, ErrorCode::PROTOCOL_ERROR);
            }
        };
        // The static entry, whose value is empty.
        request(s, 1, b"\x81", false);
        // `a/b` in short codes, and again from its table entry.
        request(s, 3, b"\x41\x83\x1b\x11\xff", false);
        request(s, 5, b"\xbe", false);
        request(s, 7, b"\x41\x03a.b", true);
        request(s, 9, b"\xbe", true);
        request(s, 11, b"\xbf", false);
    });
}

#[test]
fn s8_3_a_pseudo_header_field_that_comes_twice_from_a_table_is_malformed() {
    // 9113-8.3-12
    server(|s| {
        // The second request puts an authority into the table, which the third takes from there.
        for (id, block, is_good) in [
            (1, &b"\x82\x87\x87\x84"[..], false),
            (3, b"\x82\x87\x41\x03a.b\x84", true),
            (5, b"\x82\x87\xbe\x84", true),
            (7, b"\x82\x87\xbe\xbe\x84", false),
            (9, b"\x82\x87\xbe\x87\x84", false),
        ] {
            s.peer(headers(id, block).end_stream().end_headers());
            if is_good {
                let shown = ":method: GET, :scheme: https, :authority: a.b, :path: /";
                s.events([format!("HEADERS stream={id} request end [{shown}]")]);
            } else {
                s.refused(id, ErrorCode::PROTOCOL_ERROR);
            }
        }
    });
}

#[test]
fn s8_2_1_the_value_of_a_common_name_is_validated_as_any() {
    // 9113-8.2.1-2, 9113-8.2.1-6, 9113-8.2.1-7
    server(|s| {
        let literals =
            [&b"\x53\x03a\nb"[..], b"\xbe", b"\x53\x01\0", b"\xbe", b"\x53\x02 a", b"\xbe", b"\xc0"];
        for (at, accept) in literals.iter().enumerate() {
            let id = 2 * at as u32 + 1;
            s.peer(headers(id, [b"\x82\x87\x84", *accept].concat()).end_stream().end_headers());
            s.events::<&str>([]);
            let reset = format!("RST_STREAM stream={id} PROTOCOL_ERROR");
            s.output([format!("HEADERS stream={id} [:status: 400]"), reset]);
        }
    });
}

#[test]
fn s8_3_1_the_target_comes_from_the_authority() {
    // 9113-8.3.1-1
    let lines = [METHOD, SCHEME, (":authority", "example.org"), (":path", "/a"), ("host", "EXAMPLE.org:443")];
    let uri = with_request(&lines, |headers| {
        assert_eq!(headers.authority(), Some(&b"example.org"[..]));
        headers.to_request().unwrap().uri().to_string()
    });
    assert_eq!(uri, "https://example.org/a");
    let lines = [METHOD, SCHEME, (":path", "/a"), ("host", "example.org")];
    let uri = with_request(&lines, |headers| headers.to_request().unwrap().uri().to_string());
    assert_eq!(uri, "https://example.org/a", "host, where there is nothing else");
    let uri = with_request(&[METHOD, SCHEME, (":path", "/a")], |headers| {
        headers.to_request().unwrap().uri().to_string()
    });
    assert_eq!(uri, "/a", "neither");
}

// §8.3.2: responses.

#[test]
fn s8_3_2_a_response_without_status_is_malformed() {
    // 9113-8.3.2-2
    refused_response(&[("server", "x")], Violation::StatusInvalid);
    client(|s| {
        s.get();
        s.peer(headers(1, []).end_headers());
        s.stream_error(1, ErrorCode::PROTOCOL_ERROR, Violation::StatusInvalid);
    });
}

// §8.4: push.

#[test]
fn s8_4_only_safe_requests_without_content_are_promised() {
    // 9113-8.4-1, 9113-8.4-2, 9113-8.4-3, 9113-8.4-8, 9113-8.4.1-1, 9113-8.4.1-2
    server(|s| {
        let parent = s.get(1);
        let mut push = |request: &Request<'_>, fields: &[Field<'_>]| {
            s.call(|core| core.send_push(parent, request, fields.iter().copied()).map(|_| ()))
        };
        let unsafe_or_not_cacheable = malformed(Violation::PushRequestInvalid);
        for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "get"] {
            let request = Request::new(method, "https", "example.org", "/");
            assert_eq!(push(&request, &[]), unsafe_or_not_cacheable, "{method}");
        }
        let good = Request::get("https", "example.org", "/");
        let content = Field::new(b"content-length", b"1");
        assert_eq!(push(&good, &[content]), unsafe_or_not_cacheable);
        let mut anonymous = good;
        anonymous.authority = None;
        assert_eq!(push(&anonymous, &[]), unsafe_or_not_cacheable);
        let mut without_path = good;
        without_path.path = None;
        assert_eq!(push(&without_path, &[]), malformed(Violation::PseudoMissing));
        let bad = Field::new(b"X-Bad", b"1");
        assert_eq!(push(&good, &[bad]), malformed(Violation::FieldNameInvalid));
        s.nothing();
        s.promise(parent);
    });
    server(|s| {
        let parent = s.get(1);
        let head = Request::new("HEAD", "https", "example.org", "/");
        let pushed = s.call(|core| core.send_push(parent, &head, [])).unwrap();
        s.output(["PUSH_PROMISE stream=1 promised=2 [:method: HEAD, :scheme: https, :authority: example.org, :path: /]"]);
        // A promised request has no trailers: on its stream the server sends a response.
        let trailers = s.call(|core| core.send_trailers(pushed, [Field::new(b"x-sum", b"1")]));
        assert_eq!(trailers, Err(SendError::HeadersNotSent));
    });
}

#[test]
fn s8_4_promises_of_other_requests_are_reset() {
    // 9113-8.4-4, 9113-8.4-5, 9113-8.4-6, 9113-8.4.1-3, 9113-8.4.1-4
    let promises: [Lines<'_>; 9] = [
        &[(":method", "POST"), SCHEME, AUTHORITY, PATH],
        &[(":method", "OPTIONS"), SCHEME, AUTHORITY, PATH],
        &[(":method", "BREW"), SCHEME, AUTHORITY, PATH],
        &[METHOD, SCHEME, AUTHORITY, PATH, ("content-length", "5")],
        &[METHOD, AUTHORITY, PATH],
        &[METHOD, SCHEME, AUTHORITY],
        &[METHOD, SCHEME, PATH],
        &[METHOD, SCHEME, AUTHORITY, PATH, STATUS],
        &[METHOD, SCHEME, AUTHORITY, PATH, ("host", "example.com")],
    ];
    for promise in promises {
        client_with(with_push, |s| {
            s.get();
            s.peer(push_promise(1, 2, hpack::block(promise)).end_headers());
            s.refused(2, ErrorCode::PROTOCOL_ERROR);
            s.response(1);
        });
    }
    client_with(with_push, |s| {
        s.get();
        let head = hpack::block(&[(":method", "HEAD"), SCHEME, AUTHORITY, PATH, ("content-length", "0")]);
        s.peer(push_promise(1, 2, head).end_headers());
        assert_eq!(s.take_events().len(), 1);
    });
}

#[test]
fn s8_4_a_push_of_a_client_ends_the_connection() {
    // 9113-8.4-11
    server(|s| {
        s.post(1);
        s.peer(push_promise(1, 2, hpack::get("/")).end_headers());
        s.connection_error(ErrorCode::PROTOCOL_ERROR, Violation::PushFromClient, 1);
    });
}

#[test]
fn s8_4_1_a_promise_goes_out_before_what_refers_to_it() {
    // 9113-8.4.1-5
    server(|s| {
        let parent = s.get(1);
        s.respond(parent);
        s.call(|core| {
            core.send_push(parent, &Request::get("https", "example.org", "/style.css"), []).unwrap();
            assert_eq!(core.send_data(parent, b"<link href=/style.css>", true), Ok(22));
        });
        s.output([
            "PUSH_PROMISE stream=1 promised=2 [:method: GET, :scheme: https, :authority: example.org, :path: /style.css]",
            "DATA stream=1 \"<link href=/style.css>\" end",
        ]);
    });
}

#[test]
fn s8_4_1_a_promise_after_the_response_has_ended_is_refused() {
    // 9113-8.4.1-7, 9113-6.6-10
    server(|s| {
        let parent = s.post(1);
        s.call(|core| core.send_response(parent, Status::OK, [], true)).unwrap();
        s.output(["HEADERS stream=1 end [:status: 200]"]);
        let request = Request::get("https", "example.org", "/");
        let refused = s.call(|core| core.send_push(parent, &request, []));
        assert_eq!(refused, Err(SendError::AlreadyEnded.into()));
    });
}

// §8.5: CONNECT.

#[test]
fn s8_5_connect_names_host_and_port_and_nothing_else() {
    // 9113-8.5-1, 9113-8.5-3, 9110-9.3.6-1
    let connect = Request::connect("example.org:443");
    assert_eq!(send(&connect, &[]), Ok(()));
    assert_eq!(send(&Request::connect("[::1]:22"), &[]), Ok(()));
    let mut with_scheme = connect;
    with_scheme.scheme = Some(b"https");
    assert_eq!(send(&with_scheme, &[]), malformed(Violation::ConnectPseudo));
    let mut with_path = connect;
    with_path.path = Some(b"/");
    assert_eq!(send(&with_path, &[]), malformed(Violation::ConnectPseudo));
    let mut nowhere = connect;
    nowhere.authority = None;
    assert_eq!(send(&nowhere, &[]), malformed(Violation::ConnectPseudo));
    for portless in ["example.org", "example.org:", "example.org:https", "[::1]"] {
        assert_eq!(send(&Request::connect(portless), &[]), malformed(Violation::ConnectPseudo), "{portless}");
    }
}

#[test]
fn s8_5_connect_with_other_pseudo_header_fields_is_malformed() {
    // 9113-8.5-2, 9113-8.5-4, 9110-7.1-1
    let connect = (":method", "CONNECT");
    let authority = (":authority", "example.org:443");
    good_request(&[connect, authority]);
    refused_request(&[connect, SCHEME, authority]);
    refused_request(&[connect, authority, PATH]);
    refused_request(&[connect, SCHEME, authority, PATH]);
    refused_request(&[connect]);
    refused_request(&[connect, ("host", "example.org:443")]);
}

/// Opens a tunnel at a server.
fn tunnel(s: &mut Scene<Server>) -> thalweg::StreamKey {
    let block = hpack::block(&[(":method", "CONNECT"), (":authority", "example.org:443")]);
    s.peer(headers(1, block).end_headers());
    s.events(["HEADERS stream=1 request [:method: CONNECT, :authority: example.org:443]"]);
    let stream = s.stream(1);
    s.respond(stream);
    stream
}

#[test]
fn s8_5_only_data_and_stream_management_go_through_a_tunnel() {
    // 9113-8.5-5, 9110-9.3.6-3
    server(|s| {
        let stream = tunnel(s);
        let in_tunnel = SendError::Malformed(Violation::FrameInTunnel);
        assert_eq!(s.call(|core| core.send_trailers(stream, [])), Err(in_tunnel));
        assert_eq!(s.call(|core| core.send_alt_svc(Some(stream), b"", b"clear")), Err(in_tunnel));
        let request = Request::get("https", "example.org", "/");
        assert_eq!(s.call(|core| core.send_push(stream, &request, [])), Err(in_tunnel.into()));
        s.nothing();
        assert_eq!(s.call(|core| core.send_data(stream, b"through", true)), Ok(7));
        s.output(["DATA stream=1 \"through\" end"]);
    });
    client(|s| {
        let stream =
            s.call(|core| core.send_request(&Request::connect("example.org:443"), [], false)).unwrap();
        s.output(["HEADERS stream=1 [:method: CONNECT, :authority: example.org:443]"]);
        s.response(1);
        let refused = s.call(|core| core.send_trailers(stream, []));
        assert_eq!(refused, Err(SendError::Malformed(Violation::FrameInTunnel)));
        s.nothing();
    });
}

#[test]
fn s8_5_other_frames_in_a_tunnel_are_a_stream_error() {
    // 9113-8.5-6, 9110-9.3.6-3
    server(|s| {
        tunnel(s);
        s.peer(window_update(1, 1));
        s.peer(data(1, "through"));
        s.events(["DATA stream=1 \"through\""]);
        s.peer(headers(1, hpack::block(&[("x-sum", "1")])).end_stream().end_headers());
        s.stream_error(1, ErrorCode::PROTOCOL_ERROR, Violation::FrameInTunnel);
    });
    client_with(with_push, |s| {
        s.call(|core| core.send_request(&Request::connect("example.org:443"), [], false)).unwrap();
        s.frames();
        s.response(1);
        s.peer(push_promise(1, 2, hpack::get("/")).end_headers());
        s.events([format!("RESET stream=1 PROTOCOL_ERROR by us: {}", Violation::FrameInTunnel)]);
        s.output(["RST_STREAM stream=2 CANCEL", "RST_STREAM stream=1 PROTOCOL_ERROR"]);
        s.answers();
    });
}

#[test]
fn s8_5_content_length_means_nothing_in_a_tunnel() {
    // 9110-6-1, 9110-9.3.6-7
    // 9113-8.5-6: a tunnel carries DATA
    client(|s| {
        s.call(|core| core.send_request(&Request::connect("example.org:443"), [], false)).unwrap();
        s.frames();
        let block = hpack::block(&[STATUS, ("content-length", "0")]);
        s.peer(headers(1, block).end_headers());
        s.peer(data(1, "through"));
        assert_eq!(s.take_events()[1..], ["DATA stream=1 \"through\""]);
    });
}

// §8.6: no 101.

#[test]
fn s8_6_status_101_does_not_exist() {
    // 9113-8.6-1, 9113-8.6-2
    server(|s| {
        let stream = s.get(1);
        let switching = Status::new(101).unwrap();
        let refused = s.call(|core| core.send_informational(stream, switching, []));
        assert_eq!(refused, Err(SendError::Malformed(Violation::StatusSwitchingProtocols)));
        let refused = s.call(|core| core.send_response(stream, switching, [], true));
        assert!(matches!(refused, Err(SendError::Malformed(_))));
        s.nothing();
    });
    refused_response(&[(":status", "101")], Violation::StatusSwitchingProtocols);
}

// §8.7: reliability.

#[test]
fn s8_7_only_what_no_application_has_seen_is_called_unprocessed() {
    // 9113-8.7-1, 9113-8.7-2, 9113-8.7-3
    let one_stream = |opening: &mut Opening| opening.config.concurrent_streams_max = 1;
    server_with(one_stream, |s| {
        let seen = s.post(1);
        // Refused: the application never receives request 3.
        s.peer(headers(3, hpack::get("/")).end_stream().end_headers());
        s.refused(3, ErrorCode::REFUSED_STREAM);
        // The application has received it, and it is malformed: never REFUSED_STREAM.
        s.peer(window_update(1, 0));
        s.stream_error(1, ErrorCode::PROTOCOL_ERROR, Violation::WindowUpdateZero);
        assert_eq!(s.core().send_capacity(seen), None);
        s.get(5);
        s.call(|core| core.close(ErrorCode::NO_ERROR, b""));
        s.output(["GOAWAY last=5 NO_ERROR"]);
        s.events(["ERROR NO_ERROR: closed by us with NO_ERROR"]);
    });
}

#[test]
fn s8_7_what_was_not_processed_is_marked_for_a_retry() {
    // 9113-8.7-1, 9110-9.2.2-1, 9110-9.2.2-2
    let mut client = Connection::<Client>::new(thalweg::Config::default()).unwrap();
    let request = Request::new("POST", "https", "example.org", "/");
    for _ in 0..3 {
        client.send_request(&request, [], true).unwrap();
    }
    let wire = thalweg_testkit::frames::wire([
        &settings().entry(setting::MAX_CONCURRENT_STREAMS, 1),
        &rst_stream(3, ErrorCode::REFUSED_STREAM),
        &goaway(3, ErrorCode::NO_ERROR),
        &rst_stream(1, ErrorCode::CANCEL),
    ]);
    let mut input = &wire[..];
    let mut retryable = Vec::new();
    while let Some(event) = client.receive(&mut input, thalweg::Instant::ZERO).unwrap() {
        if let Event::Reset { stream, .. } = event {
            retryable.push((stream.id().as_u32(), event.is_retryable()));
        }
    }
    assert_eq!(retryable, [(3, true), (5, true), (1, false)]);
}
