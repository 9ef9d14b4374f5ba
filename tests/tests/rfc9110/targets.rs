//! RFC 9110 §4.2, §9.3.6: which authorities a request may name.

use thalweg::{Client, Connection, ErrorCode, Field, OpenError, Request, SendError, Violation};
use thalweg_testkit::frames::{headers, push_promise};
use thalweg_testkit::hpack;
use thalweg_testkit::scenario::{client, client_with, server, server_with};

/// A server refuses a request, or reports it unchanged.
fn receives(lines: &[(&str, &str)], is_good: bool) {
    server(|s| {
        s.peer(headers(1, hpack::block(lines)).end_stream().end_headers());
        if is_good {
            let shown: Vec<String> = lines.iter().map(|(name, value)| format!("{name}: {value}")).collect();
            s.events([format!("HEADERS stream=1 request end [{}]", shown.join(", "))]);
        } else {
            s.refused(1, ErrorCode::PROTOCOL_ERROR);
        }
    });
}

fn sends(request: &Request<'_>, fields: &[Field<'_>]) -> Result<(), OpenError> {
    let mut client = Connection::<Client>::new(thalweg::Config::default()).unwrap();
    client.send_request(request, fields.iter().copied(), true).map(|_| ())
}

fn malformed(violation: Violation) -> Result<(), OpenError> {
    Err(SendError::Malformed(violation).into())
}

#[test]
fn s4_2_1_an_empty_host_is_refused_in_both_directions() {
    // 9110-4.2.1-1, 9110-4.2.1-2, 9110-4.2.2-1, 9110-4.2.2-2
    for scheme in ["http", "https"] {
        for (authority, is_good) in [
            ("a", true),
            ("a:80", true),
            ("a:", true),
            ("[::1]", true),
            (":80", false),
            (":443", false),
            (":", false),
        ] {
            let lines = [(":method", "GET"), (":scheme", scheme), (":authority", authority), (":path", "/")];
            receives(&lines, is_good);
            receives(&[lines[0], lines[1], lines[3], ("host", authority)], is_good);
            let request = Request::get(scheme, authority, "/");
            let expected = if is_good { Ok(()) } else { malformed(Violation::AuthorityInvalid) };
            assert_eq!(sends(&request, &[]), expected, "{authority}");
            let mut without = request;
            without.authority = None;
            assert_eq!(sends(&without, &[Field::new("host", authority)]), expected, "host: {authority}");
        }
    }
    // A target without an authority: neither URI of §4.2.
    receives(&[(":method", "OPTIONS"), (":scheme", "http"), (":path", "*"), ("host", "")], true);
}

#[test]
fn s4_2_4_a_host_field_is_validated_as_an_authority() {
    // 9110-4.2.4-1, 9110-4.2.4-2
    for host in ["user@example.org", "user:secret@example.org", "a b", "a/b", "a?b", "a#b", "a\\b"] {
        let lines = [(":method", "GET"), (":scheme", "https"), (":path", "/"), ("host", host)];
        receives(&lines, false);
        let mut request = Request::get("https", "example.org", "/");
        request.authority = None;
        let refused = malformed(Violation::AuthorityInvalid);
        assert_eq!(sends(&request, &[Field::new("host", host)]), refused, "{host}");
    }
}

#[test]
fn s9_3_6_connect_names_a_host_and_a_valid_port() {
    // 9110-9.3.6-1, 9110-9.3.6-2
    for (authority, is_good) in [
        ("example.org:443", true),
        ("example.org:1", true),
        ("example.org:65535", true),
        ("[::1]:22", true),
        ("example.org", false),
        ("example.org:", false),
        ("example.org:0", false),
        ("example.org:65536", false),
        ("example.org:99999999999999999999", false),
        ("example.org:https", false),
        ("example.org:-1", false),
        ("[::1]", false),
        (":443", false),
    ] {
        receives(&[(":method", "CONNECT"), (":authority", authority)], is_good);
        let sent = sends(&Request::connect(authority), &[]);
        let expected = if is_good { Ok(()) } else { malformed(Violation::ConnectPseudo) };
        assert_eq!(sent, expected, "{authority}");
    }
    // A table entry that passed as the authority of another method is validated again.
    server(|s| {
        s.peer(headers(1, b"\x82\x87\x41\x03a.b\x84").end_stream().end_headers());
        assert_eq!(s.take_events().len(), 1);
        let connect = [&b"\x02\x07CONNECT"[..], b"\xbe"].concat();
        s.peer(headers(3, connect).end_stream().end_headers());
        s.refused(3, ErrorCode::PROTOCOL_ERROR);
    });
}

/// Authorities that http and https do not allow; another scheme may.
const OTHER: [&str; 16] = [
    ":80",
    ":",
    "a:b",
    "a:65536",
    "a:99999999",
    "a:1:2",
    "a:+1",
    "[]",
    "[::1",
    "[::1]a",
    "[::1]:b",
    "::1",
    "[v1.a]",
    "[fe80::1%25eth0]",
    "%2",
    "a|b",
];

#[test]
fn s4_2_hosts_and_ports_are_those_of_http_and_https_alone() {
    // 9110-4.2.1-1, 9110-4.2.1-2, 9110-4.2.2-1, 9110-4.2.2-2, 9110-2.2-1
    for authority in OTHER {
        for (scheme, is_good) in [("http", false), ("https", false), ("HTTPS", false), ("coap", true)] {
            let lines = [(":method", "GET"), (":scheme", scheme), (":authority", authority), (":path", "/")];
            receives(&lines, is_good);
            receives(&[lines[0], lines[1], lines[3], ("host", authority)], is_good);
            let request = Request::get(scheme, authority, "/");
            let expected = if is_good { Ok(()) } else { malformed(Violation::AuthorityInvalid) };
            assert_eq!(sends(&request, &[]), expected, "{scheme} {authority}");
            let mut without = request;
            without.authority = None;
            assert_eq!(sends(&without, &[Field::new("host", authority)]), expected, "{scheme} {authority}");
        }
    }
    for authority in ["a:0", "a:0443", "a:65535", "1.2.3.4", "_a~b!$&()*+,;=", "%2Fa", "[::ffff:1.2.3.4]:1"] {
        receives(
            &[(":method", "GET"), (":scheme", "https"), (":authority", authority), (":path", "/")],
            true,
        );
        assert_eq!(sends(&Request::get("https", authority, "/"), &[]), Ok(()), "{authority}");
    }
}

#[test]
fn s4_2_a_received_table_entry_of_another_scheme_is_validated_again() {
    // 9110-4.2.1-2, 9110-4.2.2-2
    server(|s| {
        let coap = b"\x82\x06\x04coap\x41\x03:80\x84";
        s.peer(headers(1, coap).end_stream().end_headers());
        s.events(["HEADERS stream=1 request end [:method: GET, :scheme: coap, :authority: :80, :path: /]"]);
        // `:authority` from the table, with https and with coap.
        s.peer(headers(3, b"\x82\x87\xbe\x84").end_stream().end_headers());
        s.refused(3, ErrorCode::PROTOCOL_ERROR);
        s.peer(headers(5, b"\x82\x06\x04coap\xbe\x84").end_stream().end_headers());
        s.events(["HEADERS stream=5 request end [:method: GET, :scheme: coap, :authority: :80, :path: /]"]);
        s.peer(headers(7, b"\x82\x87\xbe\x84").end_stream().end_headers());
        s.refused(7, ErrorCode::PROTOCOL_ERROR);
    });
}

#[test]
fn s4_2_an_authority_of_another_scheme_does_not_pass_by_our_table() {
    // 9110-4.2.1-1, 9110-4.2.2-1
    client(|s| {
        for id in [1, 3] {
            s.call(|core| core.send_request(&Request::get("coap", ":80", "/"), [], true)).unwrap();
            s.output([format!(
                "HEADERS stream={id} end [:method: GET, :scheme: coap, :authority: :80, :path: /]"
            )]);
            let sent = s.call(|core| core.send_request(&Request::get("https", ":80", "/"), [], true));
            assert_eq!(sent.map(|_| ()), malformed(Violation::AuthorityInvalid));
        }
    });
}

#[test]
fn s4_2_pushes_and_extended_connect_name_a_host() {
    // 9110-4.2.2-1, 9110-4.2.2-2
    server_with(
        |opening| opening.config.enable_connect_protocol = true,
        |s| {
            let parent = s.get(1);
            let pushed = s.call(|core| core.send_push(parent, &Request::get("https", ":443", "/"), []));
            assert_eq!(pushed.map(|_| ()), malformed(Violation::AuthorityInvalid));
            let lines = |authority| {
                hpack::block(&[
                    (":method", "CONNECT"),
                    (":protocol", "websocket"),
                    (":scheme", "https"),
                    (":authority", authority),
                    (":path", "/"),
                ])
            };
            s.peer(headers(3, lines("a:b")).end_headers());
            s.refused(3, ErrorCode::PROTOCOL_ERROR);
            // RFC 8441 §4: its authority is that of any request, which needs no port.
            s.peer(headers(5, lines("example.org")).end_headers());
            assert_eq!(s.take_events().len(), 1);
        },
    );
    client_with(
        |opening| opening.config.enable_push = true,
        |s| {
            s.get();
            let lines = [(":method", "GET"), (":scheme", "https"), (":authority", ":443"), (":path", "/")];
            s.peer(push_promise(1, 2, hpack::block(&lines)).end_headers());
            s.refused(2, ErrorCode::PROTOCOL_ERROR);
        },
    );
}
